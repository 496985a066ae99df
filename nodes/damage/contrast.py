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


def of(sums: Rows, at: npt.NDArray[np.int64], line: Line) -> Rows:
    """Return how much more of its tone a line's width of columns, from each of `at` on, has than both sides, in stops,
    (rows, columns of `at`); from sums of rows."""

    def mean(first: npt.NDArray[np.int64], wide: int) -> Rows:
        return np.asarray((sums[:, first + wide] - sums[:, first]) / wide)

    sides = 0.5 * (mean(at - GAP - FLANK, FLANK) + mean(at + line.width + GAP, FLANK))
    return np.asarray((mean(at, line.width) - sides) * (1 if line.tone == "bright" else -1))


def rows(line: Line, plane: Floats) -> tuple[Rows, Rows]:
    """Return row by row a line's contrast in a plane, and the spread of what is beside it, (rows,) each, in stops."""
    reach = BESIDE[-1] + line.width // 2 + 1 + GAP + FLANK + 1
    sums = summed(np.nan_to_num(profile(plane, line.y, line.x, reach)))
    left = reach - line.width // 2
    own = of(sums, np.array([left]), line)[:, 0]
    off = np.array([*(-i for i in BESIDE), *BESIDE])
    beside = ndimage.uniform_filter1d(of(sums, left + off, line) ** 2, AROUND, axis=0, mode="nearest")
    return own, np.sqrt(1.3 * np.median(beside, 1) + FLOOR)
