"""What happened to pictures before a net sees them: a plain reduction, or film and video."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from scipy.ndimage import gaussian_filter

from safelight.nodes.resolution.learned.sampling import reduced
from safelight.nodes.resolution.learned.training.pictures import Picture, Plane

KINDS = ("bicubic", "film")
BLUR = (0.4, 1.2)
"""Sigma of the optics' and the scan's blur, pixels of the full picture."""
GRAIN = (0.005, 0.04)
"""Standard deviation of grain in mid-tones, parts of white, in the reduced picture."""
SIZE = (0.3, 0.9)
"""Sigma of the grain's own softness, pixels of the reduced picture."""
QUALITY = (60, 95)
"""JPEG quality of the codec: its transform and steps are those of MPEG-2 and MJPEG."""


def film(name: str, luma: Plane, scale: int, seed: int) -> Picture:
    """Return a picture and what a scan of it on film, compressed, gives: blur, reduction, grain, codec.

    Grain is strongest in mid-tones and soft; one in four pictures is not compressed. The same for the same seed.
    """
    random = np.random.default_rng(seed)
    height, width = (size // scale * scale for size in luma.shape)
    full = np.ascontiguousarray(luma[:height, :width])
    low = reduced(gaussian_filter(full, random.uniform(*BLUR)).astype(np.float32), scale)
    noise = gaussian_filter(random.standard_normal(low.shape), random.uniform(*SIZE))
    mid = 0.4 + 0.6 * np.sqrt(np.clip(4 * low * (1 - low), 0, 1))
    low = low + (random.uniform(*GRAIN) / noise.std() * noise * mid).astype(np.float32)
    low = _compressed(low, int(random.integers(*QUALITY))) if random.random() < 0.75 else _codes(low)
    return Picture(name, full, low)


def _codes(low: Plane) -> Plane:
    return np.asarray(np.rint(np.clip(low, 0, 1) * 255) / np.float32(255), np.float32)


def _compressed(low: Plane, quality: int) -> Plane:
    from PIL import Image

    held = BytesIO()
    Image.fromarray((_codes(low) * 255).astype(np.uint8)).save(held, "JPEG", quality=quality)
    with Image.open(held) as picture:
        return np.asarray(np.asarray(picture, np.float32) / np.float32(255))
