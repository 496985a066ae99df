"""Holes filled from their own frame: what lies on both sides, joined along the direction in which it agrees best."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from safelight.nodes.damage.holes import Bools, Ints

Floats = npt.NDArray[np.float32]

# Half turns in 12 steps, as whole steps of at least one pixel on the longer axis.
_ANGLES = np.pi * np.arange(12) / 12
DIRECTIONS = (
    np.stack([np.sin(_ANGLES), np.cos(_ANGLES)], 1) / np.maximum(abs(np.sin(_ANGLES)), abs(np.cos(_ANGLES)))[:, None]
)
FARTHEST = 256
"""Steps a ray takes at most."""
WITHIN = 2
"""Pixels to each side that a direction is shared with."""
SHARED = 0.05, 0.2
"""How well a direction's ends agree around, of 1: chance, structure."""


def smoothed(planes: Floats, known: Bools, y: Ints, x: Ints) -> Floats:
    """Return the mean of the known pixels among the 3 × 3 around each place, (C, N); 0 where there is none."""
    h, w = known.shape
    total = np.zeros((len(planes), len(y)), np.float32)
    count = np.zeros(len(y), np.float32)
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            v, u = y + j, x + i
            inside = (v >= 0) & (v < h) & (u >= 0) & (u < w)
            v, u = np.clip(v, 0, h - 1), np.clip(u, 0, w - 1)
            use = inside & known[v, u]
            total += np.where(use, planes[:, v, u], np.float32(0))
            count += use
    return np.asarray(total / np.maximum(count, np.float32(1)), np.float32)


def fill(
    planes: Floats, known: Bools, y: Ints, x: Ints, sigma: float, directions: npt.NDArray[np.float64] = DIRECTIONS
) -> tuple[Floats, Bools]:
    """Fill pixels from the nearest known ones along each direction.

    Of each direction the two ends, each the mean of its known neighbours, are joined linearly; directions are weighed
    by how well their ends agree against `sigma` (domain units), and by nearness. After the directional interpolation
    used for concealing blocks (Zeng and Liu 1999).

    Some direction agrees by chance at every pixel. One that structure runs along agrees at its neighbours too; where
    none does, pixels are given the mean of the filled ones around, or each would follow another direction: speckle.

    Parameters
    ----------
    planes:
        (C, H, W), finite where known.
    known:
        (H, W): pixels to fill from.

    Returns
    -------
    Values (C, N), and which pixels could be reached at all.
    """
    top = np.zeros((len(planes), len(y)), np.float64)
    bottom = np.zeros(len(y), np.float64)
    lone = np.zeros_like(top)
    lone_weight = np.zeros_like(bottom)
    shared = np.zeros_like(bottom)
    around = _neighbours(y, x)
    for step in directions:
        far: list[npt.NDArray[np.float64]] = []
        ends: list[Floats] = []
        for sign in (1, -1):
            reached, at_y, at_x = _march(known, y, x, sign * step)
            far.append(np.where(reached > 0, reached * np.hypot(*step), np.inf))
            ends.append(smoothed(planes, known, at_y, at_x))
        a, b = far
        both = np.isfinite(a) & np.isfinite(b)
        gap = np.abs(ends[0] - ends[1]).mean(0)
        near = np.where(both, a + b, 1.0)
        alike = np.where(both, np.exp(-0.5 * np.minimum(gap / (1.5 * sigma), 8.0) ** 2), 0.0)
        weight = alike / near**2
        share = np.where(both, b / near, 0.0)
        top += weight * (share * ends[0] + (1 - share) * ends[1])
        bottom += weight
        shared += weight * _mean_of(alike, around)
        for distance, end in zip(far, ends, strict=True):
            w = np.where(np.isfinite(distance), 1 / np.maximum(distance, 1.0) ** 2, 0.0)
            lone += w * end
            lone_weight += w
    joined = bottom > 0
    value = np.where(joined, top / np.where(joined, bottom, 1), lone / np.where(lone_weight > 0, lone_weight, 1))
    low, high = SHARED
    known_by = np.clip((shared / np.where(joined, bottom, 1) - low) / (high - low), 0, 1)
    alone = np.nonzero(joined & (known_by < 1))[0]
    if len(alone):
        calm = np.stack([_mean_of(plane, around) for plane in value])[:, alone]
        value[:, alone] = known_by[alone] * value[:, alone] + (1 - known_by[alone]) * calm
    return value.astype(np.float32), lone_weight > 0


def _neighbours(y: Ints, x: Ints) -> list[tuple[Ints, Ints]]:
    """Return pairs of listed pixels within WITHIN of each other, step by step: indices of the one, of the other."""
    width = int(x.max(initial=0)) + 2 * WITHIN + 1
    key = y * width + x
    order = np.argsort(key, kind="stable")
    ordered = key[order]
    found = []
    for j in range(-WITHIN, WITHIN + 1):
        for i in range(-WITHIN, WITHIN + 1):
            goal = key + (j * width + i)
            at = np.minimum(np.searchsorted(ordered, goal), max(0, len(ordered) - 1))
            here = np.nonzero(ordered[at] == goal)[0]
            found.append((here, order[at[here]]))
    return found


def _mean_of(values: npt.NDArray[np.float64], around: list[tuple[Ints, Ints]]) -> npt.NDArray[np.float64]:
    """Return for each listed pixel the mean of a value over itself and its neighbours."""
    total, count = np.zeros_like(values), np.zeros_like(values)
    for here, there in around:
        total[here] += values[there]
        count[here] += 1
    return total / count


def _march(known: Bools, y: Ints, x: Ints, step: npt.NDArray[np.float64]) -> tuple[Ints, Ints, Ints]:
    """Return how many steps it is to the nearest known pixel (0: none there), and where that lies."""
    h, w = known.shape
    count = np.zeros(len(y), np.intp)
    at_y, at_x = y.copy(), x.copy()
    left = np.arange(len(y))
    for n in range(1, FARTHEST):
        # Halves are rounded away from zero on both rays alike, whatever the pixel.
        v = y[left] + int(np.sign(step[0]) * np.floor(abs(step[0]) * n + 0.5))
        u = x[left] + int(np.sign(step[1]) * np.floor(abs(step[1]) * n + 0.5))
        inside = (v >= 0) & (v < h) & (u >= 0) & (u < w)
        left, v, u = left[inside], v[inside], u[inside]
        hit = known[v, u]
        count[left[hit]], at_y[left[hit]], at_x[left[hit]] = n, v[hit], u[hit]
        left = left[~hit]
        if not len(left):
            break
    return count, at_y, at_x


def bridged(plane: Floats, y: Ints, x: Ints) -> Floats:
    """Return a guess of the pixels listed, in reading order, from the two others that end their row and their column.

    Each direction counts by how near its ends are. Pixels in a row and a column without any other get the mean of the
    rest; 0 where there is none.
    """
    total, weight = np.zeros(len(y), np.float64), np.zeros(len(y), np.float64)
    for picture, line, along in ((plane, y, x), (plane.T, x, y)):
        order = np.lexsort((along, line)) if picture is not plane else np.arange(len(y))
        line, along = line[order], along[order]
        begins = np.ones(len(y), bool)
        begins[1:] = (line[1:] != line[:-1]) | (along[1:] != along[:-1] + 1)
        run, first = np.cumsum(begins) - 1, np.nonzero(begins)[0]
        last = np.append(first[1:], len(y)) - 1
        low, high = along[first] - 1, along[last] + 1
        before, after = low >= 0, high < picture.shape[1]
        a = picture[line[first], np.maximum(low, 0)]
        b = picture[line[first], np.minimum(high, picture.shape[1] - 1)]
        a, b = np.where(before, a, b), np.where(after, b, a)
        length = (high - low).astype(np.float64)
        share = (along - low[run]) / length[run]
        w = np.where(before | after, 1 / length**2, 0)[run]
        total[order] += w * (a[run] * (1 - share) + b[run] * share)
        weight[order] += w
    lost = weight == 0
    if lost.any():
        rest = np.ones(plane.shape, bool)
        rest[y, x] = False
        total[lost] = plane[rest].mean() if rest.any() else 0
        weight[lost] = 1
    return np.asarray(total / weight, np.float32)
