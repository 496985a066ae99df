"""Where a frame is repaired: holes, the feathered band around them, and the pieces that are worked on together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]

SMALL = 24
"""Blobs up to this many pixels across are one piece; larger ones are cut into cells of CELL pixels."""
CELL = 12
FINE = 4
SHARE = 4
"""A hole's band is at most this part of it: around a speck there is little to be blended."""


@dataclass(frozen=True)
class Holes:
    """The pixels that are repaired, as a list.

    `hole` (H, W) tells all that is damaged. Each listed pixel lies at `y`, `x`, belongs to a `piece` and a `blob`
    (8-connected, band included), and shows `weight` of what is laid in: 1 in the hole, less in the band around it.
    """

    hole: Bools
    y: Ints
    x: Ints
    weight: npt.NDArray[np.float32]
    ring: npt.NDArray[np.uint8]
    """0 for pixels that the matte itself marks, else their distance from those; `grow` is the last that is repaired in
    full."""
    grow: int
    blob: Ints
    piece: Ints
    boxes: Ints
    """(pieces, 4): y0, x0, y1, x1 of each piece, ends exclusive."""
    across: Ints
    """(pieces): from the middle of its hole to beyond its nearer edges, pixels."""

    @property
    def inside(self) -> Bools:
        """Tell which listed pixels lie in the hole itself."""
        return np.asarray(self.weight == 1)

    def less(self, fewer: Holes) -> Holes:
        """Return the same list, with the weights of one of fewer holes: 0 for pixels that it does not list."""
        weight = np.zeros(self.hole.shape, np.float32)
        weight[fewer.y, fewer.x] = fewer.weight
        return replace(self, weight=weight[self.y, self.x])


def damaged(matte: Any, threshold: float, include: Any = None) -> Bools:
    """Return the pixels marked as damaged, (H, W): matte ≥ threshold or include ≥ 0.5. What is not a number in them
    counts as 0."""
    with np.errstate(invalid="ignore"):
        found = np.asarray(matte >= threshold)
        if include is not None:
            found |= include >= 0.5
    return found


def holed(marked: Bools, grow: int, holdout: Any = None) -> Bools:
    """Return the marked pixels grown on every side, but never where the holdout is above 0."""
    grown = widened(marked, grow)
    if holdout is not None:
        with np.errstate(invalid="ignore"):
            grown &= ~(holdout > 0)
    return grown


def widened(mask: Bools, pixels: int) -> Bools:
    """Return the mask grown by a square on every side; cheap where little is set."""
    count = np.count_nonzero(mask)
    if pixels == 0 or not count:
        return mask.copy()
    if count > 0.1 * mask.size:
        size = 2 * pixels + 1
        return np.asarray(ndimage.maximum_filter(mask, size, mode="constant", cval=0), bool)
    h, w = mask.shape
    out = mask.copy()
    for axis in (0, 1):
        y, x = places(out if axis else mask)
        for step in range(-pixels, pixels + 1):
            if axis:
                out[y, np.clip(x + step, 0, w - 1)] = True
            else:
                out[np.clip(y + step, 0, h - 1), x] = True
    return out


def listed(marked: Bools, grow: int, feather: int, holdout: Any = None) -> Holes:
    """List the pixels of all holes and of the band around them, and cut them into pieces.

    The band is `feather` pixels wide, at most a fourth of what its hole is across.
    """
    ring = np.zeros(marked.shape, np.uint8)
    area = marked
    for step in range(1, grow + 1):
        wider = widened(area, 1)
        ring[wider & ~area] = step
        area = wider
    free = None
    if holdout is not None:
        with np.errstate(invalid="ignore"):
            free = ~(holdout > 0)
        area = area & free
    hole = area
    y, x, wide = _widths(hole)
    for step in range(1, feather + 1):
        seeds = np.zeros_like(hole)
        seeds[y[wide >= SHARE * step], x[wide >= SHARE * step]] = True
        wider = widened(seeds, step)
        ring[wider & ~area] = grow + step
        area = area | wider
    if free is not None:
        area = area & free
    marks, count = ndimage.label(area, np.ones((3, 3)))
    y, x = places(area)
    blob = marks[y, x].astype(np.intp) - 1
    low, high = _bounds(y, x, blob, count)
    big = (high - low).max(1) > SMALL
    cell = np.where(big[blob], 1 + (y // CELL) * (hole.shape[1] // CELL + 1) + x // CELL, 0)
    first, piece = _pieces(blob, cell)
    across = ((high - low).min(1) // 2 + 1)[blob[first]]
    low, high = _bounds(y, x, piece, len(first))
    rings = ring[y, x]
    weight = (1 - np.maximum(rings.astype(np.float32) - grow, 0) / np.float32(feather + 1)).astype(np.float32)
    return Holes(hole, y, x, weight, rings, grow, blob, piece, np.concatenate([low, high], 1), across)


def _widths(hole: Bools) -> tuple[Ints, Ints, Ints]:
    """Return the y and x of every pixel of a hole, and how many pixels the hole is across, the longer way."""
    marks, count = ndimage.label(hole, np.ones((3, 3)))
    y, x = places(hole)
    own = marks[y, x].astype(np.intp) - 1
    low, high = _bounds(y, x, own, count)
    return y, x, (high - low).max(1, initial=0)[own]


def places(mask: Bools) -> tuple[Ints, Ints]:
    """Return the y and x of every pixel that is set, in reading order: numpy's `nonzero`, five times as fast."""
    y, x = np.divmod(np.flatnonzero(mask), max(1, mask.shape[1]))
    return y, x


def subset(holes: Holes, chosen: Bools) -> Holes:
    """Return the chosen pixels alone, cut into pieces of FINE pixels."""
    y, x, blob, cell = holes.y[chosen], holes.x[chosen], holes.blob[chosen], _cells(holes)[chosen]
    first, piece = _pieces(blob, cell)
    low, high = _bounds(y, x, piece, len(first))
    across = holes.across[holes.piece[chosen]][first]
    boxes = np.concatenate([low, high], 1)
    return Holes(holes.hole, y, x, holes.weight[chosen], holes.ring[chosen], holes.grow, blob, piece, boxes, across)


def in_cells(holes: Holes, chosen: Bools) -> Bools:
    """Return the chosen pixels and all listed ones in the cells of FINE pixels around them."""
    if not chosen.any():
        return chosen
    cells = _cells(holes)
    return np.asarray(np.isin(cells, np.unique(cells[chosen])))


def _cells(holes: Holes) -> Ints:
    return np.asarray((holes.y // FINE) * (holes.hole.shape[1] // FINE + 1) + holes.x // FINE)


def _pieces(blob: Ints, cell: Ints) -> tuple[Ints, Ints]:
    """Number the pixels' pieces, by blob and cell; return where each first occurs, and the number of each pixel."""
    _, first, piece = np.unique(blob * (cell.max(initial=0) + 1) + cell, return_index=True, return_inverse=True)
    return first, piece.reshape(-1)


def blob_boxes(holes: Holes, chosen: Bools) -> Ints:
    """Return y0, x0, y1, x1 of every blob's chosen pixels, (blobs with any, 4)."""
    kept, index = np.unique(holes.blob[chosen], return_inverse=True)
    low, high = _bounds(holes.y[chosen], holes.x[chosen], index, len(kept))
    return np.concatenate([low, high], 1)


def _bounds(y: Ints, x: Ints, index: Ints, count: int) -> tuple[Ints, Ints]:
    low = np.full((count, 2), np.iinfo(np.intp).max, np.intp)
    high = np.zeros((count, 2), np.intp)
    for axis, at in enumerate((y, x)):
        np.minimum.at(low[:, axis], index, at)
        np.maximum.at(high[:, axis], index, at + 1)
    return low, high
