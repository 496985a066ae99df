"""Block motion: where each 8 × 8 block of a picture is found in another, and the other picture moved to match."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch

BLOCK = 8
WINDOW = 16
"""Side of the smallest picture that can be searched."""

# Six-tap interpolation at 0, 1/4, 1/2, 3/4 pixel: windowed sinc, each row summing to one.
_SINC = []
for _q in range(4):
    _t = np.arange(-2, 4) - _q / 4
    _w = np.sinc(_t) * np.where(np.abs(_t) < 3, np.sinc(_t / 3), 0)
    _SINC.append(_w / _w.sum())
TAPS = np.asarray(_SINC, np.float32).ravel()

# Raised cosine over a window: halves add up to one.
_HALF = np.float32(np.sin(np.pi * (np.arange(8) + 0.5) / 16) ** 2)
RAMP = np.concatenate([_HALF, np.float32(1) - _HALF])


@dataclass(frozen=True)
class Pyramid:
    """One picture's luma at falling sizes, whole numbers up to ± 8191, each (1, H, W) float32; finest first."""

    levels: tuple[Any, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all levels."""
        return sum(int(level.nbytes) for level in self.levels)


def _whole(level: Any) -> Region:
    return Region.sized(level.shape[-1], level.shape[-2])


def pyramid(luma: Any, device: Device, *, reach: int = 48, isa: str | None = None) -> Pyramid:
    """Build the search pyramid.

    Parameters
    ----------
    luma:
        (1, H, W) float32 of whole numbers, |v| ≤ 8191, at least 16 × 16.
    reach:
        Pixels of motion that must be found: sets the number of levels.
    """
    levels = [luma]
    while len(levels) < 5 and min(levels[-1].shape[1:]) >= 4 * WINDOW and (8 << (len(levels) - 1)) < reach:
        last = levels[-1]
        h, w = last.shape[1] // 2, last.shape[2] // 2
        small = device.empty((1, h, w))
        region = Region.sized(w, h)
        launch(
            device,
            "motion_shrink",
            Region.sized(-(-w // 16), h),
            isa=isa,
            source=(last, _whole(last)),
            out=(small, region),
        )
        levels.append(small)
    return Pyramid(tuple(levels))


def search(
    here: Pyramid, there: Pyramid, device: Device, *, noise: float, smoothness: float = 0.02, isa: str | None = None
) -> Any:
    """Find every block of `here` in `there`.

    Parameters
    ----------
    noise:
        Standard deviation of the noise in the finest level's units: sets the price of an odd vector.

    Returns
    -------
    (7, ⌈H/8⌉, ⌈W/8⌉) float32: dx, dy (pixels, whole), mean absolute difference there, and one pixel left, right, above
    and below it.
    """
    vectors: Any = None
    top = len(here.levels) - 1
    for level in range(top, -1, -1):
        a, b = here.levels[level], there.levels[level]
        blocks = Region.sized(-(-a.shape[2] // BLOCK), -(-a.shape[1] // BLOCK))
        penalty = smoothness * noise / (1 << level)
        passes = [(0, 8, 0)] if level == top else [(1, 0, 2)]
        passes.append((0, 0, 2))
        for shift, extent, steps in passes:
            out = device.xp.empty((7, blocks.height, blocks.width), dtype=np.float32)
            before = out if vectors is None else vectors
            launch(
                device,
                "motion_search",
                blocks,
                isa=isa,
                here=(a, _whole(a)),
                there=(b, _whole(b)),
                before=(before, _whole(before)),
                out=(out, blocks),
                shift=shift,
                range=extent,
                steps=steps,
                penalty=penalty,
            )
            vectors = out
    return vectors


def quarter(vectors: Any, device: Device) -> Any:
    """Return dx, dy in quarter pixels: the vertex of the equal-sided V through each vector's three costs."""
    xp = device.xp
    out = xp.empty((2, *vectors.shape[1:]), dtype=np.float32)
    for axis in (0, 1):
        best, low, high = vectors[2], vectors[3 + 2 * axis], vectors[4 + 2 * axis]
        slope = xp.maximum(low, high) - best
        offset = xp.where(slope > 0, (low - high) / xp.maximum(2 * slope, np.float32(1e-6)), np.float32(0))
        out[axis] = vectors[axis] * 4 + xp.rint(xp.clip(offset, -0.5, 0.5) * 4)
    return out


def compensate(planes: Any, vectors: Any, device: Device, out: Any = None, isa: str | None = None) -> Any:
    """Move a picture by block vectors, overlapped.

    Parameters
    ----------
    planes:
        (C, H, W) float32.
    vectors:
        (2, ⌈H/8⌉, ⌈W/8⌉) float32: dx, dy in quarter pixels.
    """
    if out is None:
        out = device.empty(planes.shape)
    region = _whole(planes)
    launch(
        device,
        "motion_compensate",
        Region.sized(1, vectors.shape[1] + 1),
        isa=isa,
        source=(planes, region),
        vectors=(vectors, _whole(vectors)),
        out=(out, region),
        planes=planes.shape[0],
        taps=TAPS,
        ramp=RAMP,
    )
    return out


__all__: Sequence[str] = ["BLOCK", "WINDOW", "Pyramid", "compensate", "pyramid", "quarter", "search"]
