"""Connected pixels that depart from their neighbours in time, measured piece by piece and judged.

Works on the host in numpy and scipy.ndimage (labels): what is judged are a few thousand pieces a frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]

EIGHT = np.ones((3, 3), bool)
RING = 4


@dataclass(frozen=True, eq=False)
class Pieces:
    """Connected pixels of one tone and what was measured of each; arrays over pieces 0 … n - 1."""

    tone: str
    labels: npt.NDArray[np.int32]
    """(H, W): piece + 1, or 0."""
    boxes: npt.NDArray[np.intp]
    """(n, 4): x0, y0, x1, y1, exclusive, in pixels of the region."""
    sums: Mapping[str, Floats]
    """Measurements by name."""

    def __len__(self) -> int:
        return len(self.boxes)


def none(tone: str, shape: tuple[int, int]) -> Pieces:
    """Return no pieces."""
    return Pieces(tone, np.zeros(shape, np.int32), np.zeros((0, 4), np.intp), {})


def _mean(index: Ints, values: Any, count: int, number: Floats) -> Floats:
    return np.asarray(np.bincount(index, values, count) / np.maximum(number, 1), np.float64)


def pieces(tone: str, fields: Mapping[str, Any], low: float, high: float, seeded: float, smallest: int) -> Pieces:
    """Find and measure the pieces of one tone: support above `low` that somewhere rises above `high`, around a seed
    above `seeded`."""
    grey = tone != "coloured"
    support, seed = (fields["grey"], fields["grey_seed"]) if grey else (fields["colour"], fields["colour_seed"])
    if tone == "dark":
        hot, strength = support < -low, -seed
    elif tone == "bright":
        hot, strength = support > low, seed
    else:
        hot, strength = np.abs(support) > low, np.abs(seed)
    labels, count = ndimage.label(hot, EIGHT)
    at = np.flatnonzero(labels)
    index = labels.ravel()[at]
    # Only pieces with a seed are measured.
    peak, most = np.zeros(count + 1), np.zeros(count + 1)
    np.maximum.at(most, index, np.abs(support.ravel()[at]))
    np.maximum.at(peak, index, strength.ravel()[at])
    area = np.bincount(index, minlength=count + 1)
    keep = (peak > seeded) & (most > high) & (area >= smallest)
    keep[0] = False
    renumber = np.zeros(count + 1, np.int32)
    renumber[keep] = np.arange(1, keep.sum() + 1)
    labels = renumber[labels]
    n = int(keep.sum())
    if n == 0:
        return none(tone, labels.shape)
    at, index = at[keep[index]], renumber[index[keep[index]]] - 1
    height, width = labels.shape
    y, x = at // width, at % width
    number = np.bincount(index, minlength=n).astype(np.float64)
    boxes = np.empty((n, 4), np.intp)
    for i, found in enumerate(ndimage.find_objects(labels)):
        boxes[i] = found[1].start, found[0].start, found[1].stop, found[0].stop
    cx, cy = _mean(index, x, n, number), _mean(index, y, n, number)
    dx, dy = x - cx[index], y - cy[index]
    xx, yy, xy = (
        _mean(index, v, n, number) + extra for v, extra in ((dx * dx, 1 / 12), (dy * dy, 1 / 12), (dx * dy, 0))
    )
    root = np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    stops = fields["grey_stops" if grey else "colour_stops"]
    flat = stops.ravel()
    east, west = flat[np.minimum(x + 1, width - 1) + y * width], flat[np.maximum(x - 1, 0) + y * width]
    south, north = flat[x + np.minimum(y + 1, height - 1) * width], flat[x + np.maximum(y - 1, 0) * width]
    steep, deep = np.zeros(n), np.zeros(n)
    np.maximum.at(steep, index, np.hypot(east - west, south - north) / 2)
    np.maximum.at(deep, index, np.abs(flat[at]))
    strengths = np.abs(support.ravel()[at])
    sums = {
        "area": number,
        "peak": peak[keep],
        "z": _mean(index, strengths, n, number),
        "contrast": _mean(index, flat[at], n, number),
        "grey": _mean(index, fields["grey_stops"].ravel()[at], n, number),
        "colour": _mean(index, fields["colour_stops"].ravel()[at], n, number),
        "apart": _mean(index, fields["apart"].ravel()[at], n, number),
        "steady": _mean(index, np.abs(fields["steady"].ravel()[at]), n, number),
        "sharp": steep / np.maximum(deep, 1e-6),
        "long": np.sqrt(((xx + yy) / 2 + root) / np.maximum((xx + yy) / 2 - root, 1 / 12)),
        "angle": 0.5 * np.arctan2(2 * xy, xx - yy),
        "length": 4 * np.sqrt((xx + yy) / 2 + root),
        "x": cx,
        "y": cy,
        **_ring(labels, n, support, fields),
    }
    return Pieces(tone, labels, boxes, sums)


def _ring(labels: Any, n: int, support: Any, fields: Mapping[str, Any]) -> dict[str, Floats]:
    """Measure what surrounds each piece: from 2 to RING pixels off, where no other piece lies."""
    near = ndimage.maximum_filter(labels, 3)
    wide = ndimage.maximum_filter(labels, 2 * RING + 1)
    at = np.flatnonzero((wide > 0) & (near == 0))
    index = wide.ravel()[at] - 1
    number = np.bincount(index, minlength=n).astype(np.float64)
    return {
        "ring": _mean(index, np.abs(support.ravel()[at]), n, number),
        "ring_apart": _mean(index, fields["apart"].ravel()[at], n, number),
        "ring_stops": _mean(index, np.abs(fields["grey_stops"].ravel()[at]), n, number),
        "before": _mean(index, np.abs(fields["before"].ravel()[at]), n, number),
        "after": _mean(index, np.abs(fields["after"].ravel()[at]), n, number),
    }
