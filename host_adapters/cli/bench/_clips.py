"""Clips that benchmarks work on, as 8-bit frames or scene-linear images, and their figures."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.grain.domain import coding

Codes = npt.NDArray[Any]
"""(frames, height, width, 3), uint8 or uint16."""
SEQUENCES = ("redtree_pan", "flower_handheld", "walker_lowbitrate")
"""Development sequences without damage or cut, under `images/seq` of SAFELIGHT_TEST_DATA."""

LOG = (-2.0, 14.0)
"""Ends of the log encode that peers get of scene-linear plates, in stops above a toe of 0.01."""


def noisy(frames: Codes, sigma: float, seed: int = 1) -> Codes:
    """Add white Gaussian noise to 8-bit frames, rounded and clipped."""
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(frames + rng.normal(0, sigma, frames.shape)), 0, 255).astype(np.uint8)


def psnr(a: npt.NDArray[Any], b: npt.NDArray[Any], peak: float = 255.0) -> float:
    """Return the peak signal-to-noise ratio, in dB."""
    return float(10 * np.log10(peak**2 / np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


def plate(frames: int, height: int, width: int, extra: str = "") -> dict[int, Image]:
    """Render the built-in Plate without its cut, or a node named `out` that `extra` (TOML) puts behind it."""
    text = f"""
        safelight = 1
        [nodes.plate]
        type = "Plate"
        width = {width}
        height = {height}
        frames = {frames}
        first = 0
        cut = false
        {extra}
    """
    graph = Graph.from_document(Document.parse(text, Path()))
    return dict(pull(graph, "out" if extra else "plate"))


def display(images: dict[int, Image]) -> Codes:
    """Return scene-linear frames as 8-bit sRGB (IEC 61966-2-1), (frames, height, width, 3)."""
    light = np.stack([np.clip(images[i].data, 0, 1) for i in sorted(images)]).transpose(0, 2, 3, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-6) ** (1 / 2.4) - 0.055)
    codes: Codes = np.rint(255 * curve).astype(np.uint8)
    return codes


def scene_linear(frames: Codes) -> npt.NDArray[np.float32]:
    """Return 8-bit sRGB frames as linear light (frames, 3, height, width), white at 1."""
    v = frames.astype(np.float32) / np.float32(255)
    light = np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return np.ascontiguousarray(light.transpose(0, 3, 1, 2))


def sequence(name: str, frames: int = 12) -> Codes | None:
    """Load a sequence of the development pictures; None where they are not."""
    root = os.environ.get("SAFELIGHT_TEST_DATA")
    files = sorted((Path(root) / "images" / "seq" / name).glob("*.png"))[:frames] if root else []
    return np.stack([np.asarray(Picture.open(file).convert("RGB")) for file in files]) if files else None


def as_images(frames: Codes) -> dict[int, Image]:
    """Return 8-bit frames as images of values from 0 to 1."""
    region = Region.sized(frames.shape[2], frames.shape[1])
    planes = (np.ascontiguousarray(frame.transpose(2, 0, 1), np.float32) / np.float32(255) for frame in frames)
    return {i: Image(data, region) for i, data in enumerate(planes)}


def as_codes(image: Image) -> Codes:
    """Return one image of values from 0 to 1 as an 8-bit frame (height, width, 3)."""
    return np.clip(np.rint(image.data * 255), 0, 255).astype(np.uint8).transpose(1, 2, 0)


def log_codes(frames: Sequence[npt.NDArray[np.float32]] | npt.NDArray[np.float32], deep: bool) -> Codes:
    """Return scene-linear frames as log codes (n, H, W, 3), of 16 or 8 bits."""
    top = 65535 if deep else 255
    low, high = LOG
    stops = coding("log").encode(np.stack(list(frames)))
    codes = np.clip(np.rint((stops - low) / (high - low) * top), 0, top)
    return np.ascontiguousarray(codes.astype(np.uint16 if deep else np.uint8).transpose(0, 2, 3, 1))


def from_log_codes(codes: Codes) -> npt.NDArray[np.float32]:
    """Invert `log_codes` for one frame."""
    low, high = LOG
    stops = codes.astype(np.float64) / np.iinfo(codes.dtype).max * (high - low) + low
    return coding("log").decode(stops.transpose(2, 0, 1)).astype(np.float32)
