"""Where a frame is repaired: holes, the feathered band around them, and the pieces that are worked on together."""

from __future__ import annotations

from dataclasses import dataclass
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


def damaged(matte: Any, threshold: float, grow: int, include: Any = None, holdout: Any = None) -> Bools:
    """Return the damaged pixels, (H, W): matte ≥ threshold or include ≥ 0.5, grown on every side, but never where the
    holdout is above 0. Mattes (H, W); what is not a number in them counts as 0."""
    with np.errstate(invalid="ignore"):
        found = np.asarray(matte >= threshold)
        if include is not None:
            found |= include >= 0.5
        grown = widened(found, grow)
        if holdout is not None:
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
    out = mask.copy()
    h, w = mask.shape
    y, x = np.nonzero(mask)
    for j in range(-pixels, pixels + 1):
        for i in range(-pixels, pixels + 1):
            out[np.clip(y + j, 0, h - 1), np.clip(x + i, 0, w - 1)] = True
    return out


def listed(hole: Bools, feather: int, holdout: Any = None) -> Holes:
    """List the pixels of all holes and of the band of `feather` pixels around them, and cut them into pieces."""
    weight = hole.astype(np.float32)
    area = hole
    for step in range(1, feather + 1):
        wider = widened(area, 1)
        weight[wider & ~area] = 1 - step / (feather + 1)
        area = wider
    if holdout is not None:
        with np.errstate(invalid="ignore"):
            area = area & ~(holdout > 0)
    marks, count = ndimage.label(area, np.ones((3, 3)))
    y, x = np.nonzero(area)
    blob = marks[y, x].astype(np.intp) - 1
    low, high = _bounds(y, x, blob, count)
    big = (high - low).max(1) > SMALL
    cell = np.where(big[blob], 1 + (y // CELL) * (hole.shape[1] // CELL + 1) + x // CELL, 0)
    first, piece = _pieces(blob, cell)
    across = ((high - low).min(1) // 2 + 1)[blob[first]]
    low, high = _bounds(y, x, piece, len(first))
    return Holes(hole, y, x, weight[y, x], blob, piece, np.concatenate([low, high], 1), across)


def subset(holes: Holes, chosen: Bools) -> Holes:
    """Return the chosen pixels alone, cut into pieces of FINE pixels."""
    y, x, blob, cell = holes.y[chosen], holes.x[chosen], holes.blob[chosen], _cells(holes)[chosen]
    first, piece = _pieces(blob, cell)
    low, high = _bounds(y, x, piece, len(first))
    across = holes.across[holes.piece[chosen]][first]
    return Holes(holes.hole, y, x, holes.weight[chosen], blob, piece, np.concatenate([low, high], 1), across)


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
