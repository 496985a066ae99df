"""What happened to pictures before a net sees them: a plain reduction, one by means of light, or film and video."""

from __future__ import annotations

from io import BytesIO

import numpy as np
from scipy.ndimage import gaussian_filter

from safelight.nodes.resolution.learned.sampling import reduced
from safelight.nodes.resolution.learned.training.pictures import Picture, Plane, luma_of, whole

KINDS = ("bicubic", "area", "film")
BLUR = (0.4, 1.2)
"""Sigma of the optics' and the scan's blur, pixels of the full picture."""
GRAIN = (0.005, 0.04)
"""Standard deviation of grain in mid-tones, parts of white, in the reduced picture."""
SIZE = (0.3, 0.9)
"""Sigma of the grain's own softness, pixels of the reduced picture."""
QUALITY = (60, 95)
"""JPEG quality of the codec: its transform and steps are those of MPEG-2 and MJPEG."""
HALVED = 0.7
"""Share of compressed pictures whose colour differences have half the pixels."""
COMMON = (0.0, 0.8)
"""Share of the grain's energy that R, G and B have in common, in colour."""
APART = (0.7, 1.3)
"""How much stronger or weaker the grain of single layers is."""
GREY = 0.125
"""Share of pictures that are black and white: one grain for R, G and B."""


def film(name: str, coded: Plane, scale: int, seed: int, *, light: bool = False) -> Picture:
    """Return a picture and what a scan of it on film, compressed, gives: blur, reduction, grain, codec.

    Luma (H, W), or R, G, B (3, H, W), whose grain is partly shared, and one picture in eight of which is black and
    white. Grain is strongest in mid-tones and soft; one in four pictures is not compressed, nor is scene-linear
    `light`, which no codec of 8 bits could hold. The same for the same seed.
    """
    full, low = worn(np.random.default_rng(seed), whole(coded, scale), scale, light=light)
    return Picture(name, full, low)


def worn(random: np.random.Generator, full: Plane, scale: int, *, light: bool = False) -> tuple[Plane, Plane]:
    """Return what a picture or a part of one shows, (H, W) or (3, H, W), sides multiples of the scale, and its scan, as
    `film` has them: the first without its colours where it is black and white."""
    colour = full.ndim == 3
    grey = colour and random.random() < GREY
    if grey:
        full = np.repeat(luma_of(full)[None], 3, 0)
    low = reduced(gaussian_filter(full, random.uniform(*BLUR), axes=(-2, -1)).astype(np.float32), scale)
    size = random.uniform(*SIZE)
    noise = _noise(random, low.shape[-2:], size)
    if colour and not grey:
        share = random.uniform(*COMMON)
        own = np.stack([_noise(random, low.shape[-2:], size) for _ in range(3)])
        noise = (np.sqrt(share) * noise + np.sqrt(1 - share) * own) * random.uniform(*APART, (3, 1, 1))
    mid = 0.4 + 0.6 * np.sqrt(np.clip(4 * low * (1 - low), 0, 1))
    low = low + (random.uniform(*GRAIN) * noise * mid).astype(np.float32)
    if light:
        return full, low
    if random.random() >= 0.75:
        return full, _codes(low)
    quality, chroma = int(random.integers(*QUALITY)), "4:2:0" if random.random() < HALVED else "4:4:4"
    return full, _compressed(low, quality, chroma)


def _noise(random: np.random.Generator, size: tuple[int, ...], soft: float) -> Plane:
    noise = gaussian_filter(random.standard_normal(size), soft)
    return np.asarray(noise / noise.std(), np.float32)


def _codes(low: Plane) -> Plane:
    return np.asarray(np.rint(np.clip(low, 0, 1) * 255) / np.float32(255), np.float32)


def _compressed(low: Plane, quality: int, chroma: str) -> Plane:
    from PIL import Image

    held = BytesIO()
    codes = np.rint(_codes(low) * 255).astype(np.uint8)
    if codes.ndim == 3:
        Image.fromarray(np.moveaxis(codes, 0, -1)).save(held, "JPEG", quality=quality, subsampling=chroma)
    else:
        Image.fromarray(codes).save(held, "JPEG", quality=quality)
    with Image.open(held) as picture:
        made = np.asarray(np.asarray(picture, np.float32) / np.float32(255))
    return np.moveaxis(made, -1, 0) if made.ndim == 3 else made
