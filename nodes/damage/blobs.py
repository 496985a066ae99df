"""Connected pixels that depart from their neighbours in time, measured piece by piece.

Works on the host: what stands out is a small part of a frame, so pieces are lists of pixels, never whole planes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, sparse

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Around = tuple[Ints, Ints]
"""Positions in the flat frame, and the piece that each is counted for."""

EIGHT = np.ones((3, 3), bool)
RING, BESIDE = (2, 4), (4, 6)
"""Pixels off a piece: where its surroundings lie, and what it lies on."""
DENSE = 0.03


@dataclass(frozen=True, eq=False)
class Pieces:
    """Connected pixels of one tone and what was measured of each; arrays over pieces 0 … n - 1."""

    tone: str
    shape: tuple[int, int]
    at: Ints
    """Positions of their pixels in the flat frame, ascending."""
    index: Ints
    """The piece each of those pixels belongs to."""
    boxes: Ints
    """(n, 4): x0, y0, x1, y1, exclusive, in pixels of the region."""
    sums: Mapping[str, Floats]
    """Measurements by name."""
    beside: Around
    """What lies BESIDE its pieces."""

    def __len__(self) -> int:
        return len(self.boxes)

    def mean(self, plane: Any) -> Floats:
        """Return each piece's mean of a plane (H, W)."""
        return means(self.index, plane.ravel()[self.at], len(self))


def none(tone: str, shape: tuple[int, int]) -> Pieces:
    """Return no pieces."""
    empty = np.zeros(0, np.intp)
    return Pieces(tone, shape, empty, empty, np.zeros((0, 4), np.intp), {}, (empty, empty))


def means(index: Ints, values: Any, count: int) -> Floats:
    """Return the mean of the values of each of `count` groups; 0 for one without."""
    number = np.bincount(index, minlength=count)
    return np.asarray(np.bincount(index, values, count) / np.maximum(number, 1), np.float64)


def most(index: Ints, values: Any, count: int) -> Floats:
    """Return the largest of the values, none below 0, of each of `count` groups."""
    out = np.zeros(count)
    order = np.argsort(values, kind="stable")
    out[index[order]] = np.maximum(values[order], 0)
    return out


def components(hot: Any) -> tuple[Ints, Ints, int]:
    """Return the positions of the pixels that are set, ascending, the number of the 8-connected piece each belongs to,
    and how many pieces there are."""
    at = np.flatnonzero(hot)
    if len(at) > DENSE * hot.size:
        labels, count = ndimage.label(hot, EIGHT)
        return at, labels.ravel()[at].astype(np.intp) - 1, int(count)
    width = hot.shape[1]
    x = at % width
    first, second = [], []
    for step, inside in ((1, x < width - 1), (width - 1, x > 0), (width, None), (width + 1, x < width - 1)):
        here = np.arange(len(at)) if inside is None else np.flatnonzero(inside)
        goal = at[here] + step
        there = np.minimum(np.searchsorted(at, goal), max(0, len(at) - 1))
        meet = at[there] == goal
        first.append(here[meet])
        second.append(there[meet])
    a, b = np.concatenate(first), np.concatenate(second)
    graph = sparse.coo_matrix((np.ones(len(a), bool), (a, b)), (len(at), len(at)))
    count, index = sparse.csgraph.connected_components(graph, directed=False)
    return at, index.astype(np.intp), int(count)


def pieces(tone: str, fields: Mapping[str, Any], low: float, high: float, seeded: float, smallest: int) -> Pieces:
    """Find and measure the pieces of one tone: support above `low` that somewhere rises above `high`, around a seed
    above `seeded`."""
    grey = tone != "coloured"
    support, seed = (fields["grey"], fields["grey_seed"]) if grey else (fields["colour"], fields["colour_seed"])
    shape = support.shape
    hot = {"dark": lambda: support < -low, "bright": lambda: support > low, "coloured": lambda: np.abs(support) > low}
    at, index, count = components(hot[tone]())
    strengths = np.abs(support.ravel()[at])
    # Only pieces with a seed are measured.
    rooted = seed.ravel()[at] * {"dark": -1, "bright": 1, "coloured": np.sign(support.ravel()[at])}[tone]
    highest, peak = most(index, strengths, count), most(index, rooted, count)
    keep = (peak > seeded) & (highest > high) & (np.bincount(index, minlength=count) >= smallest)
    n = int(keep.sum())
    if n == 0:
        return none(tone, shape)
    inside = keep[index]
    at, index, strengths = at[inside], (np.cumsum(keep) - 1)[index[inside]], strengths[inside]
    width = shape[1]
    y, x = at // width, at % width
    number = np.bincount(index, minlength=n).astype(np.float64)
    boxes = np.stack(
        [
            width - most(index, width - x, n),
            shape[0] - most(index, shape[0] - y, n),
            most(index, x, n) + 1,
            most(index, y, n) + 1,
        ],
        1,
    ).astype(np.intp)
    cx, cy = means(index, x, n), means(index, y, n)
    dx, dy = x - cx[index], y - cy[index]
    xx, yy, xy = (means(index, v, n) + extra for v, extra in ((dx * dx, 1 / 12), (dy * dy, 1 / 12), (dx * dy, 0)))
    root = np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    flat = fields["grey_stops" if grey else "colour_stops"].ravel()
    east, west = flat[np.minimum(x + 1, width - 1) + y * width], flat[np.maximum(x - 1, 0) + y * width]
    south, north = flat[x + np.minimum(y + 1, shape[0] - 1) * width], flat[x + np.maximum(y - 1, 0) * width]
    steep = most(index, np.hypot(east - west, south - north) / 2, n)

    def mean(name: str) -> Floats:
        return means(index, fields[name].ravel()[at], n)

    (around, owner), beside = surroundings(at, index, shape, (RING, BESIDE))
    sums = {
        "area": number,
        "peak": peak[keep],
        "most": highest[keep],
        "z": means(index, strengths, n),
        "contrast": means(index, flat[at], n),
        "record": mean("colour_stops"),
        "rest": mean("rest"),
        "grey": means(index, np.abs(fields["grey"].ravel()[at]), n),
        "apart": mean("apart"),
        "steady": means(index, np.abs(fields["steady"].ravel()[at]), n),
        "sharp": steep / np.maximum(most(index, np.abs(flat[at]), n), 1e-6),
        "long": np.sqrt(((xx + yy) / 2 + root) / np.maximum((xx + yy) / 2 - root, 1 / 12)),
        "angle": 0.5 * np.arctan2(2 * xy, xx - yy),
        "length": 4 * np.sqrt((xx + yy) / 2 + root),
        "x": cx,
        "y": cy,
        "ring": means(owner, np.abs(support.ravel()[around]), n),
        "ring_apart": means(owner, fields["apart"].ravel()[around], n),
        "ring_stops": means(owner, np.abs(fields["grey_stops"].ravel()[around]), n),
        "before": means(owner, np.abs(fields["before"].ravel()[around]), n),
        "after": means(owner, np.abs(fields["after"].ravel()[around]), n),
        "raised": mean("here") - means(owner, fields["here"].ravel()[around], n),
    }
    return Pieces(tone, shape, at, index, boxes, sums, beside)


def surroundings(at: Ints, index: Ints, shape: tuple[int, int], rings: Sequence[tuple[int, int]]) -> list[Around]:
    """Return for each ring, (nearest, farthest) pixels off a piece, the pixels that lie in it where no piece is nearer,
    and the piece each surrounds: of several the last."""
    height, width = shape
    out = np.zeros(height * width, np.int32)
    out[at] = index + 1
    marked, held = at, {0: len(at)}
    seen: dict[int, Ints] = {}
    for reach in sorted({reach for near, far in rings for reach in (near - 1, far)} - {0}):
        step = reach - max(held)
        marked = _grown(out, marked, 1, width, step)
        marked = _grown(out, marked, width, height, step)
        held[reach], seen[reach] = len(marked), out[marked].astype(np.intp) - 1
    return [(marked[held[near - 1] : held[far]], seen[far][held[near - 1] :]) for near, far in rings]


def _grown(out: npt.NDArray[np.int32], marked: Ints, stride: int, size: int, reach: int) -> Ints:
    """Give the pixels within reach of the marked ones, along one axis of so many pixels, the largest of their values;
    return the marked ones and then those that had none."""
    values, place = out[marked], marked // stride % size
    every = [marked]
    for step in (step for step in range(-reach, reach + 1) if step):
        inside = (place + step >= 0) & (place + step < size)
        goal = marked[inside] + step * stride
        was = out[goal]
        out[goal] = np.maximum(was, values[inside])
        every.append(goal[was == 0])
    return np.concatenate(every)
