"""How a line behaves from frame to frame: what is compared of it with the frames around, each when it is first asked.

Comparing costs more than all the rest, and most lines are told by the first of it: nothing is measured before it is
asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage import sways
from safelight.nodes.damage.ridges import CLIP, FLANK, GAP, STRIP, Floats
from safelight.nodes.damage.seeking import Prepared
from safelight.nodes.damage.uprights import MIX, Line, contrasts, profile, strength, strengths

BESIDE = 28
"""Pixels beside a line where the scene's motion is looked up: blocks on a strong scratch follow the scratch."""
MOVES = 1.25
"""Pixels of sideways motion that tell a line that stays from one that moves."""
INNER, OUTER = 2, 10
"""Pixels beside a line, without half its width, between which the scene is compared."""
ASIDE = 24
"""Pixels a line is looked for to both sides, whatever the scene is found to do."""

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Neighbour:
    """A frame around: its planes of light, and where the scene went to it, (2, blocks down, across) in pixels."""

    planes: Floats
    vectors: Floats | None
    block: int
    away: int
    """Frames to it, below 0 for one before."""
    frames: tuple[Prepared, Prepared]
    """The line's and this one."""

    @cached_property
    def drift(self) -> float:
        """Pixels that the scene as a whole goes sideways."""
        return sways.drift(sways.thirds(*(one.soft for one in self.frames)))

    def slopes(self, line: Line, reach: int) -> Floats:
        """Return how luma changes across, down and to it around a line, (3, rows, 2 reach + 1)."""
        h, w = self.planes.shape[1:]
        # More on every side: what pixels are softened by, and their slopes taken of.
        more = sways.MARGIN + 1
        top, left = max(0, int(line.y.min()) - more), max(0, int(line.x.min()) - reach - more)
        part = np.s_[top : min(h, int(line.y.max()) + more + 1), left : min(w, int(line.x.max()) + reach + more + 1)]
        changes = sways.slopes(*(one.planes[0][part] for one in self.frames))
        # Whole columns before any part is taken of them: the path's own may lie on the edge of a pixel.
        x = np.floor(line.x) - left
        return np.stack([profile(one, line.y - top, x, reach) for one in changes])

    @cached_property
    def usual(self) -> float:
        """Pixels that most blocks go sideways, in their mean."""
        if self.vectors is None:
            return 0.0
        return float(self.vectors[0][np.abs(self.vectors[0] - np.median(self.vectors[0])) < 1].mean())


def _vectors(other: Neighbour, y: npt.NDArray[np.int64], x: Floats) -> tuple[Floats, Floats]:
    """Return where the scene goes at places (0 where it is not known): dx, dy."""
    if other.vectors is None:
        zero = np.zeros(len(y), np.float32)
        return zero, zero
    rows = np.clip(y // other.block, 0, other.vectors.shape[1] - 1)
    columns = np.clip((x // other.block).astype(np.int64), 0, other.vectors.shape[2] - 1)
    return other.vectors[0, rows, columns], other.vectors[1, rows, columns]


def _again(line: Line, other: Neighbour, sigma: Floats, dx: Floats, dy: Floats, shifts: range) -> Floats:
    """Return row by row the line's strength in another frame at places moved by (dx, dy); of the shifts, the best one
    over a stretch."""
    reach = line.width // 2 + GAP + FLANK + max(abs(shifts[0]), abs(shifts[-1])) + 1
    plane = other.planes[line.plane]
    y = line.y + np.rint(dy).astype(np.int64)
    around = profile(plane, y, line.x + dx, reach)
    each = strengths(around, sigma, line.tone, line.width, shifts)
    smooth = ndimage.uniform_filter1d(each, 4 * STRIP, axis=1, mode="nearest")
    return np.asarray(np.take_along_axis(each, smooth.argmax(0)[None], 0)[0])


def swerves(line: Line, others: Sequence[Neighbour]) -> float:
    """Return by how many pixels a line's motion from the frame before to the frame after departs from steady motion,
    against the median of the picture: what a camera does, all the scene does."""
    first, second = others[:2] if len(others) >= 2 else (None, None)
    if (
        first is None
        or second is None
        or first.vectors is None
        or second.vectors is None
        or first.block != second.block
    ):
        return 0.0
    whole = np.median((first.vectors + second.vectors).reshape(2, -1), axis=1)
    own = np.median(_vectors(first, line.y, line.x)[0] + _vectors(second, line.y, line.x)[0])
    return abs(float(own - whole[0]))


def flicker(line: Line, others: Sequence[Floats]) -> float:
    """Return how unevenly a line changes to other frames, along its length: the mean square of windows of rows, where
    noise gives 1."""
    window = 2 * STRIP
    count = len(line.y) // window
    if count < 3 or not others:
        return 0.0
    found = []
    for other in others:
        away = (line.strength - other)[: count * window].reshape(count, window).mean(1)
        # What changes all along, or steadily, is a line of the scene that moved by a part of a pixel.
        at = np.arange(count) - (count - 1) / 2
        away = away - away.mean() - at * (away * at).sum() / (at * at).sum()
        found.append(float((away**2).sum()) / (count - 2) * window / 2)
    return float(np.mean(found))


@dataclass(frozen=True)
class Verdict:
    """How a line behaves from frame to frame; shares are of its own strength."""

    stays: float
    """How much of it is at the same place in other frames: the median of the frames."""
    moves: float
    """How much of it goes where the scene goes: the median of the frames."""
    aside: float
    """How much of it is found again, as a whole, at one place to the side: the median of the frames."""
    passed: float
    """Share of the length, over all frames, where the scene moves sideways behind it."""
    held: float
    """Where the scene moves: how much of it stays."""
    follows: float
    """Where the scene moves: how much of it goes with the scene, as a share of what stays at its very place."""
    seen: float
    """Its strength in the picture itself, in sigmas."""
    edge: float
    """How different its two sides are in the picture itself, all along, in sigmas: beside an edge of the scene."""
    bare: float
    """Its contrast in the picture itself, as a share of the step it was found with."""
    flicker: float
    """How unevenly it changes along its length from frame to frame, at its place: 1 for noise."""
    alone: float
    """How far one record alone has it: the contrast of the next, as a share of the largest; 1 for grey pictures."""
    swerves: float
    """How differently from the scene as a whole it changes its motion, if what moves with it is it: pixels."""
    astray: float
    """How unlike the moved scene is to the scene beside the line, in sigmas: large where motion is not understood."""
    sways: float
    """How far it sways by itself, as a multiple of what no line of a still scene does."""


class Behaviour:
    """What a `Verdict` says of a line, measured as it is asked for."""

    def __init__(self, line: Line, centre: Floats, others: Sequence[Neighbour], sigma: Floats, quiet: float) -> None:
        """Hold a line beside frames around, one at least.

        Parameters
        ----------
        centre:
            The line's frame: planes of light.
        sigma:
            Local noise of the line's plane.
        quiet:
            The frame's noise, where it is least.
        """
        self._here = sigma[line.y, np.clip(line.x.astype(np.int64), 0, centre.shape[2] - 1)]
        self._around = profile(centre[line.plane], line.y, line.x, line.width // 2 + GAP + FLANK + 1)
        if line.fleeting:
            line = replace(line, strength=strength(self._around, self._here, line.tone, line.width))
        self._line, self._centre, self._others, self._quiet = line, centre, others, quiet
        self._own = max(line.mean, 1e-3)
        self._zero = np.zeros(len(line.y), np.float32)

    @cached_property
    def seen(self) -> float:
        """Its strength in the picture itself, as `Verdict` says it, like all that follow."""
        return self._line.mean

    @cached_property
    def edge(self) -> float:
        """How different its two sides are."""
        line, around = self._line, self._around
        left = around.shape[1] // 2 - line.width // 2
        before, after = around[:, left - GAP - FLANK : left - GAP], around[:, left + line.width + GAP :][:, :FLANK]
        sides = after.mean(1) - before.mean(1)
        return abs(float(np.nan_to_num(np.clip(sides / self._here, -CLIP, CLIP)).mean()))

    @cached_property
    def bare(self) -> float:
        """Its contrast in the picture itself."""
        line = self._line
        (seen,) = contrasts(self._centre[line.plane][None], line)
        return float((1 if line.tone == "bright" else -1) * seen / max(line.step, 1e-3))

    @cached_property
    def alone(self) -> float:
        """How far one record alone has it."""
        if len(self._centre) != 4:
            return 1.0
        records = np.sort(np.abs(np.linalg.pinv(MIX) @ contrasts(self._centre, self._line)))
        return float(records[1] / max(records[2], 1e-6))

    @cached_property
    def _still(self) -> list[Floats]:
        return [_again(self._line, other, self._here, self._zero, self._zero, range(-1, 2)) for other in self._others]

    @cached_property
    def stays(self) -> float:
        """How much of it stays in its place."""
        return float(np.median([still.mean() / self._own for still in self._still]))

    @cached_property
    def flicker(self) -> float:
        """How unevenly it changes at its place."""
        return flicker(self._line, self._still)

    @cached_property
    def _follow(self) -> list[list[tuple[Floats, Floats]]]:
        """Of each frame where the scene goes at the line and to both its sides: dx, dy."""
        line = self._line
        return [[_vectors(other, line.y, line.x + off) for off in (0, -BESIDE, BESIDE)] for other in self._others]

    @cached_property
    def _ways(self) -> list[list[tuple[Floats, Floats]]]:
        """The same, each way once."""
        found = []
        for follow in self._follow:
            ways: list[tuple[Floats, Floats]] = []
            for one in follow:
                if not any(np.array_equal(one, other) for other in ways):
                    ways.append(one)
            found.append(ways)
        return found

    @cached_property
    def _behind(self) -> list[Flags]:
        """Where the scene moves behind the line, to each frame."""
        found = []
        for _, (left, _), (right, _) in self._follow:
            # Motion beside the line: both sides must agree that there is some.
            found.append((np.minimum(np.abs(left), np.abs(right)) >= MOVES) & (left * right > 0))
        return found

    @cached_property
    def passed(self) -> float:
        """Where the scene moves behind it, of all its length."""
        return sum(int(behind.sum()) for behind in self._behind) / (len(self._line.y) * len(self._others))

    @cached_property
    def held(self) -> float:
        """How much of it stays where the scene moves."""
        if not any(behind.any() for behind in self._behind):
            return 0.0
        held = sum(float(still[behind].sum()) for still, behind in zip(self._still, self._behind, strict=True))
        whole = sum(float(self._line.strength[behind].sum()) for behind in self._behind)
        return held / max(whole, 1e-3)

    @cached_property
    def follows(self) -> float:
        """How much of it goes with the scene there."""
        line, here, zero = self._line, self._here, self._zero
        kept = went = 0.0
        # Motion of a pixel or two is told by the very place alone.
        exact = range(1)
        for other, follow, behind in zip(self._others, self._ways, self._behind, strict=True):
            if not behind.any():
                continue
            kept += float(_again(line, other, here, zero, zero, exact)[behind].sum())
            went += max(float(_again(line, other, here, np.rint(dx), dy, exact)[behind].sum()) for dx, dy in follow)
        return went / max(kept, 1e-3)

    @cached_property
    def moves(self) -> float:
        """How much of it goes where the scene goes."""
        line, here = self._line, self._here
        found = []
        for other, follow in zip(self._others, self._ways, strict=True):
            gone = [_again(line, other, here, dx, dy, range(-2, 3)).mean() / self._own for dx, dy in follow]
            found.append(max(gone))
        return float(np.median(found))

    @cached_property
    def aside(self) -> float:
        """How much of it is found to the side."""
        line = self._line
        found = []
        # Strips of a picture find chance likenesses: the line moves as a whole.
        reach = line.width // 2 + GAP + FLANK + ASIDE + 1
        for other in self._others:
            around = profile(other.planes[line.plane], line.y, line.x, reach)
            away = strengths(around, self._here, line.tone, line.width, range(-ASIDE, ASIDE + 1)).mean(1)
            found.append(float(np.delete(away, np.s_[ASIDE - 1 : ASIDE + 2]).max()) / self._own)
        return float(np.median(found))

    @cached_property
    def swerves(self) -> float:
        """How differently from the scene it moves."""
        return swerves(self._line, self._others)

    @cached_property
    def astray(self) -> float:
        """How unlike the moved scene is."""
        line, found = self._line, []
        here = profile(self._centre[line.plane], line.y, line.x, line.width // 2 + OUTER)
        for other, follow in zip(self._others, self._ways, strict=True):
            found.append(min(_unlike(line, here, other, dx, dy) for dx, dy in follow) / self._quiet)
        return float(np.median(found))

    @cached_property
    def sways(self) -> float:
        """How far it sways by itself; where that is below 1, only that it is."""
        return _sways(self._line, self._centre[self._line.plane], self._others)


def _sways(line: Line, plane: Floats, others: Sequence[Neighbour]) -> float:
    """Return how far a line sways by itself; where that is below 1, only that it is."""
    own = profile(plane, line.y, line.x, sways.REACH)
    compared, shifts, errors = [], [], []
    for other in others:
        found = sways.shifted(own, profile(other.planes[line.plane], line.y, line.x, sways.REACH), line.width)
        if found is not None and other.vectors is not None:
            compared.append(other)
            shifts.append(found[0])
            errors.append(found[1])

    def beside(other: Neighbour) -> float:
        return float(np.mean([_vectors(other, line.y, line.x + off)[0] for off in (-BESIDE, BESIDE)]))

    def drift(other: Neighbour) -> float:
        around = other.slopes(line, BESIDE)
        around[:, :, BESIDE - sways.REACH : BESIDE + sways.REACH + 1] = np.nan
        return sways.drift(around)

    # Another way that the scene may go only explains more: the dear ones are tried last.
    away = [other.away for other in compared]
    scenes: list[list[float]] = []
    most = sways.sways(away, shifts, errors, scenes)
    for way in (beside, lambda other: other.usual, drift, lambda other: other.drift):
        if most < 1:
            break
        scenes.append([way(other) for other in compared])
        most = sways.sways(away, shifts, errors, scenes)
    return most


def _unlike(line: Line, here: Floats, other: Neighbour, dx: Floats, dy: Floats) -> float:
    """Return how far the scene beside a line is from what another frame shows there, in stops: the median of rows.

    `here`: the line's profile.
    """
    inner, reach = line.width // 2 + INNER, line.width // 2 + OUTER
    there = profile(other.planes[line.plane], line.y + np.rint(dy).astype(np.int64), line.x + dx, reach)
    away = here - there
    away = np.concatenate([away[:, : reach - inner], away[:, reach + inner + 1 :]], axis=1)
    known = np.isfinite(away).all(1)
    if not known.any():
        return 1e3
    away = away[known]
    # Flicker is no unlikeness.
    away = away - away.mean(1, keepdims=True)
    return float(np.median(np.abs(away).mean(1)))
