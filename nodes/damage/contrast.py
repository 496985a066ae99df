"""How much more of its tone a line has than its sides, row by row, and what the places beside it have by chance."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage.ridges import FLANK, GAP, Floats
from safelight.nodes.damage.uprights import Line, profile

Rows = npt.NDArray[np.float64]

BESIDE = range(9, 18)
"""Pixels to both sides where the spread of contrast is measured."""
AROUND = 33
"""Rows that it is measured over."""
FLOOR = 1e-6


def summed(values: Floats) -> Rows:
    """Return sums of rows from their left, (rows, columns + 1)."""
    return np.concatenate([np.zeros((len(values), 1)), np.cumsum(values, 1, dtype=np.float64)], 1)


def of(sums: Rows, at: range, line: Line) -> Rows:
    """Return how much more of its tone a line's width of columns, from each of `at` on, has than both sides, in stops,
    (rows, columns of `at`); from sums of rows. `at` are consecutive."""

    def mean(off: int, wide: int) -> Rows:
        first, last = at.start + off, at.stop + off
        return np.asarray((sums[:, first + wide : last + wide] - sums[:, first:last]) / wide)

    sides = 0.5 * (mean(-GAP - FLANK, FLANK) + mean(line.width + GAP, FLANK))
    return np.asarray((mean(0, line.width) - sides) * (1 if line.tone == "bright" else -1))


def _around(line: Line, plane: Floats) -> tuple[Rows, int]:
    """Return sums of rows around a line, and the column where it begins."""
    reach = BESIDE[-1] + line.width // 2 + 1 + GAP + FLANK + 1
    return summed(np.nan_to_num(profile(plane, line.y, line.x, reach))), reach - line.width // 2


def own(line: Line, plane: Floats) -> Rows:
    """Return row by row a line's contrast in a plane, (rows,), in stops."""
    sums, left = _around(line, plane)
    return of(sums, range(left, left + 1), line)[:, 0]


def rows(line: Line, plane: Floats) -> tuple[Rows, Rows]:
    """Return row by row a line's contrast in a plane, and the spread of what is beside it, (rows,) each, in stops."""
    sums, left = _around(line, plane)
    far, count = BESIDE[-1], len(BESIDE)
    each = of(sums, range(left - far, left + far + 1), line)
    beside = np.concatenate([each[:, :count], each[:, -count:]], 1)
    beside = ndimage.uniform_filter1d(beside**2, AROUND, axis=0, mode="nearest")
    return each[:, far], np.sqrt(1.3 * np.median(beside, 1) + FLOOR)
