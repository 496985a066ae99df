"""What tells scene from damage by the company it keeps: things that move leave a trail through three frames, glints sit
among others that come and go in the same place, rain falls in one direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

REACH = 48.0
"""Pixels a frame that a small thing may move against its background."""
CROWD = 3
FAINT = 2.0
ALIKE = 5
GLINT = 20
CLOSE = 14.0


class Spots:
    """What stands out in a neighbouring frame, in the place of the frame at hand: centre, area and strength each."""

    def __init__(self, plane: Any, sign: int) -> None:
        labels, count = ndimage.label(plane * sign > FAINT, np.ones((3, 3), bool))
        at = np.flatnonzero(labels)
        index = labels.ravel()[at] - 1
        width = plane.shape[1]
        number = np.bincount(index, minlength=count).astype(np.float64)
        strength = np.bincount(index, np.abs(plane.ravel()[at]), count)
        keep = number >= 3
        part = np.maximum(number, 1)
        x, y = np.bincount(index, at % width, count) / part, np.bincount(index, at // width, count) / part
        self.places = np.stack([x, y], 1)[keep]
        self.area = number[keep]
        self.strength = (strength / part)[keep]
        self.tree = cKDTree(self.places) if len(self.places) else None
        self.density = len(self.places) / max(1, plane.size)

    def near(self, places: Floats, reach: float) -> list[list[int]]:
        """Return for each place the spots around it."""
        if self.tree is None or not len(places):
            return [[] for _ in places]
        return [sorted(found) for found in self.tree.query_ball_point(places, reach)]


def follow(
    sums: Mapping[str, Floats], before: Spots, after: Spots, size: tuple[int, int], reach: float = REACH
) -> tuple[Bools, Bools]:
    """Tell which pieces are on a trail, and which sit in a crowd.

    A trail: something alike (area within a factor of 2.5, strength of 2) before and after, in about opposite directions
    and about equally far; or one of the two alone (area within a factor of 2), where the other would lie outside a
    picture of `size` (width, height); or something of like area within CLOSE pixels on both sides. A crowd: around the
    piece stand CROWD spots, and 2.5 times the frame's mean, in both neighbours.
    """
    places = np.stack([sums["x"], sums["y"]], 1) if sums else np.zeros((0, 2))
    area, strength = sums.get("area", np.zeros(0)), sums.get("z", np.zeros(0))
    moving, crowded = np.zeros(len(places), bool), np.zeros(len(places), bool)
    least = [max(CROWD, 2.5 * spots.density * np.pi * reach**2) for spots in (before, after)]
    for i, (a, b) in enumerate(zip(before.near(places, reach), after.near(places, reach), strict=True)):
        crowded[i] = len(a) >= least[0] and len(b) >= least[1]
        # Close by on both sides is enough, whichever way: stars twinkle, and motion wavers around them.
        moving[i] = all(
            any(np.hypot(*(spots.places[k] - places[i])) < CLOSE and _alike(area[i], spots.area[k], 4.0) for k in found)
            for spots, found in ((before, a), (after, b))
        )
        a = [k for k in a if _alike(area[i], before.area[k], 2.5) and _alike(strength[i], before.strength[k], 2.0)]
        b = [k for k in b if _alike(area[i], after.area[k], 2.5) and _alike(strength[i], after.strength[k], 2.0)]
        moving[i] |= _leaves(places[i], before, a, area[i], size) or _leaves(places[i], after, b, area[i], size)
        if moving[i] or not a or not b:
            continue
        back, on = places[i] - before.places[a], after.places[b] - places[i]
        far = np.hypot(*(back[:, None] - on[None]).transpose(2, 0, 1))
        step = np.hypot(back[:, 0], back[:, 1])[:, None]
        moving[i] = bool((far <= 1.5 + 0.2 * step).any())
    return moving, crowded


def _leaves(place: Floats, spots: Spots, alike: Sequence[int], area: float, size: tuple[int, int]) -> bool:
    for k in alike:
        x, y = 2 * place - spots.places[k]
        if _alike(area, spots.area[k], 2.0) and not (0 <= x < size[0] and 0 <= y < size[1]):
            return True
    return False


def twinkling(sums: Mapping[str, Floats], before: Spots, after: Spots) -> Bools:
    """Tell which pieces are glints: GLINT pixels or less, with something alike within 3 pixels before or after."""
    if not sums:
        return np.zeros(0, bool)
    places = np.stack([sums["x"], sums["y"]], 1)
    found = np.zeros(len(places), bool)
    for spots in (before, after):
        for i, near in enumerate(spots.near(places, 3.0)):
            found[i] |= any(_alike(sums["z"][i], spots.strength[k], 2.0) for k in near)
    return found & (sums["area"] <= GLINT)


def falling(sums: Mapping[str, Floats], count: int) -> Bools:
    """Tell which pieces are streaks that share their direction with ALIKE others and more: rain, sleet, sparks."""
    if not count:
        return np.zeros(0, bool)
    streak = (sums["long"] > 2.5) & (sums["length"] > 6)
    turn = np.abs(np.angle(np.exp(2j * (sums["angle"][:, None] - sums["angle"][None]))) / 2)
    alike = ((turn < np.radians(12)) & streak[None] & streak[:, None]).sum(1)
    # Hairs and lint lie every way: of those, 12 degrees to either side hold one in 7.5.
    return np.asarray(streak & (alike > ALIKE) & (alike > 0.4 * streak.sum()))


def _alike(one: float, other: float, factor: float) -> bool:
    return bool(one < factor * other and other < factor * one)
