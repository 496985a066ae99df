"""What tells scene from damage by the company it keeps: things that move leave a trail through three frames, glints sit
among others that come and go in the same place, rain falls in one direction.

Dense dust finds company by chance. What is measured is therefore how unlikely chance is to give as good a match: the
number of such matches to expect where spots of this area and strength lie as densely as they do around the piece
(Poisson), as an a-contrario test does (Desolneux, Moisan and Morel 2000).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.spatial import cKDTree

from safelight.nodes.damage.blobs import Ints, components, means

Floats = npt.NDArray[np.float64]

REACH = 48.0
"""Pixels a frame that a small thing may move against its background."""
FAINT = 2.0
SMALLEST = 3
AREA, STRENGTH = np.log(2.5), np.log(2.0)
ROUND = 96.0
"""Pixels around a piece that its frame's company is weighed over."""
PRIOR = 4.0
"""Pieces without company that are assumed around each piece."""
STREAK = 6.0


class Spots:
    """What stands out in a neighbouring frame, in the place of the frame at hand: centre, area and strength each."""

    def __init__(self, plane: Any, sign: int) -> None:
        at, index, count = components(plane > FAINT if sign > 0 else plane < -FAINT)
        width = plane.shape[1]
        keep = np.bincount(index, minlength=count) >= SMALLEST
        self.places = np.stack([means(index, at % width, count), means(index, at // width, count)], 1)[keep]
        self.area = np.log(np.bincount(index, minlength=count)[keep].astype(np.float64))
        self.strength = np.log(means(index, np.abs(plane.ravel()[at]), count)[keep])
        self.tree = cKDTree(self.places) if len(self.places) else None
        self.pixels = max(1, plane.size)

    def near(self, places: Floats, reach: float) -> tuple[Ints, Ints]:
        """Return pairs of (place, spot) that lie within reach."""
        if self.tree is None or not len(places):
            return np.zeros(0, np.intp), np.zeros(0, np.intp)
        found = self.tree.query_ball_point(places, reach, return_sorted=True)
        spots = np.concatenate([np.asarray(one, np.intp) for one in found]) if len(found) else np.zeros(0, np.intp)
        return np.repeat(np.arange(len(places)), [len(one) for one in found]), spots


def company(
    sums: Mapping[str, Floats],
    before: Spots,
    after: Spots,
    size: tuple[int, int],
    reach: float = REACH,
    one_sided: bool = False,
) -> dict[str, Floats]:
    """Measure the company of each piece; 0 where it has none, else how little chance explains it, in powers of e.

    `line`: something alike (area within a factor of 2.5, strength of 2) before and after, in opposite directions and
    equally far; or one of the two where the other would lie outside a picture of `size` (width, height). `close`:
    something alike on both sides, whichever way, the nearer the rarer. `single`: on one side. `crowd`: logarithm of
    how much denser spots lie around the piece in both neighbours than over the whole frame.

    With `one_sided`, `before` and `after` are the next frame and the one beyond it: a trail runs through both.
    """
    n = len(sums["x"])
    places = np.stack([sums["x"], sums["y"]], 1)
    area, strength = np.log(sums["area"]), np.log(np.maximum(sums["z"], 1e-3))
    around = np.pi * reach**2
    pairs: list[tuple[Ints, Ints, Floats]] = []
    density: list[Floats] = []
    alone: list[Floats] = []
    crowd: list[Floats] = []
    for spots in (before, after):
        i, k = spots.near(places, reach)
        every = np.bincount(i, minlength=n) / around
        crowd.append(np.log((every * around + 1) / (len(spots.places) / spots.pixels * around + 1)))
        alike = (np.abs(area[i] - spots.area[k]) < AREA) & (np.abs(strength[i] - spots.strength[k]) < STRENGTH)
        i, k = i[alike], k[alike]
        usual = _usual(area, strength, spots)
        # The one that is tested is not counted in the density that it is tested against.
        density.append((np.maximum(np.bincount(i, minlength=n) - 1, 0) / around + usual) / 2)
        far = np.hypot(*(places[i] - spots.places[k]).T)
        expected = density[-1][i] * np.pi * (far + 1) ** 2
        alone.append(_least(i, expected, n))
        pairs.append((i, k, far))
    line = np.full(n, np.inf)
    on = (2.0, 0.5) if one_sided else (-1.0, -1.0)
    for (i, k, far), one, other, mine in ((pairs[0], before, after, 0), (pairs[1], after, before, 1)):
        if not len(i):
            continue
        goal = places[i] + on[mine] * (one.places[k] - places[i])
        outside = (goal < 0).any(1) | (goal >= np.asarray(size)).any(1)
        off = np.full((len(i), 2), np.inf)
        if other.tree is not None:
            gap, which = other.tree.query(goal, k=2, distance_upper_bound=4 + 0.25 * reach)
            there = np.minimum(which, len(other.places) - 1)
            alike = np.abs(area[i][:, None] - other.area[there]) < AREA
            alike &= np.abs(strength[i][:, None] - other.strength[there]) < STRENGTH
            off = np.where(np.isfinite(gap) & alike, gap, np.inf)
        first = density[mine][i] * np.pi * (far + 1) ** 2
        second = np.minimum(density[1 - mine][i][:, None] * np.pi * (off + 1) ** 2, 1e6).min(1)
        expected = np.where(outside, first, first * second)
        line = np.minimum(line, _least(i, expected, n))
    both = alone[0] * alone[1]
    return {
        "line": _surprise(line),
        "close": _surprise(both),
        "single": _surprise(np.minimum(*alone)),
        "crowd": np.minimum(*crowd),
    }


def _usual(area: Floats, strength: Floats, spots: Spots) -> Floats:
    """Return how many spots alike there are for each pixel of the whole frame."""
    if not len(spots.places):
        return np.full(len(area), 0.5 / spots.pixels)
    tree = cKDTree(np.stack([spots.area / AREA, spots.strength / STRENGTH], 1))
    found = tree.query_ball_point(np.stack([area / AREA, strength / STRENGTH], 1), 1.0, p=np.inf, return_length=True)
    return np.asarray((found + 0.5) / spots.pixels, np.float64)


def _least(index: Ints, values: Floats, count: int) -> Floats:
    out = np.full(count, np.inf)
    order = np.argsort(-values, kind="stable")
    out[index[order]] = values[order]
    return out


def _surprise(expected: Floats) -> Floats:
    """Return minus the logarithm of the probability that chance gives one match or more."""
    return np.asarray(-np.log(np.maximum(-np.expm1(-np.minimum(expected, 50)), 1e-9)), np.float64)


def shared(sums: Mapping[str, Floats], values: Floats, weight: Floats) -> Floats:
    """Return for each piece the weighted mean of a measurement over the others within ROUND pixels."""
    tree = cKDTree(np.stack([sums["x"], sums["y"]], 1))
    pairs = tree.query_pairs(ROUND, output_type="ndarray")
    total, amount = np.zeros(len(values)), np.full(len(values), PRIOR)
    for i, k in (pairs.T, pairs.T[::-1]):
        total += np.bincount(i, weight[k] * values[k], len(values))
        amount += np.bincount(i, weight[k], len(values))
    return np.asarray(total / amount, np.float64)


def falling(sums: Mapping[str, Floats]) -> Floats:
    """Return by how many standard deviations more streaks share a streak's direction than if they lay every way."""
    streak = (sums["long"] > 2.0) & (sums["length"] > STREAK)
    out = np.zeros(len(streak))
    angle = sums["angle"][streak]
    turn = np.abs(np.angle(np.exp(2j * (angle[:, None] - angle[None]))) / 2)
    alike = (turn < np.radians(12)).sum(1) - 1.0
    usual = (len(angle) - 1) / 7.5  # of every way, 12 degrees to either side hold one in 7.5
    out[streak] = np.maximum((alike - usual) / np.sqrt(usual + 1), 0)
    return out
