"""What is a scratch and what stands in the scene: a scratch lies on the film, the scene moves behind it.

A line's strength is measured along its path, against the pixels beside it, in the frame it was found in and in frames
around: at the same place (a scratch that stays), where the scene went (something of the scene), and in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage import sways
from safelight.nodes.damage.ridges import CLIP, FLANK, GAP, STRIP, Floats, Tone
from safelight.nodes.damage.tracks import Track

BESIDE = 28
"""Pixels beside a line where the scene's motion is looked up: blocks on a strong scratch follow the scratch."""
MOVES = 1.25
"""Pixels of sideways motion that tell a line that stays from one that moves."""
SAME = 0.55
"""Share of a line's strength that is the line again."""
ASIDE = 24
"""Pixels a line is looked for to both sides, whatever the scene is found to do."""
BARED = 0.1
"""Share of its step that a line must have in the picture itself, over a few rows."""
MIX = np.array(
    [[0.4, 0.45, 0.15], [1, -0.75, -0.25], [-0.75, 1, -0.25], [-0.5, -0.5, 1]],
    np.float32,
)
"""Planes of R, G, B: luma, and each record less what the others say it is."""


@dataclass(frozen=True)
class Line:
    """A line on one frame: rows y, columns x (their middles), what it looks like."""

    track: Track
    y: npt.NDArray[np.int64]
    x: Floats
    tone: Tone
    plane: int
    """Which of the planes of evidence it is in: 0 luma, then the records."""
    width: int
    strength: Floats
    """Row by row, in sigmas, clipped."""
    step: float
    """Difference to its sides, stops."""
    fleeting: bool = False
    """Found in what the frame has that the frames around, moved to match it, have not."""

    @property
    def mean(self) -> float:
        """Strength over the whole length."""
        return float(self.strength.mean())

    @property
    def wanders(self) -> float:
        """How far it strays from upright, in pixels: what a scratch that stays in its place hardly does."""
        return float(np.ptp(ndimage.uniform_filter1d(self.x, 3 * STRIP, mode="nearest")))


def profile(plane: Floats, y: npt.NDArray[np.int64], x: Floats, reach: int) -> Floats:
    """Return the pixels around a path, (rows, 2 reach + 1); NaN beyond the picture."""
    h, w = plane.shape
    columns = np.floor(x).astype(np.int64)[:, None] + np.arange(-reach, reach + 1)
    inside = (columns >= 0) & (columns < w) & ((y >= 0) & (y < h))[:, None]
    taken = plane[np.clip(y, 0, h - 1)[:, None], np.clip(columns, 0, w - 1)]
    return np.asarray(np.where(inside, taken, np.nan), np.float32)


def strengths(around: Floats, sigma: Floats, tone: Tone, width: int, shifts: range) -> Floats:
    """Return row by row how much the middle of a profile, moved by each shift, is a line, in sigmas; 0 where unknown.

    (shifts, rows); `shifts` are consecutive.
    """
    first, count = around.shape[1] // 2 + shifts[0] - width // 2, len(shifts)

    def mean(at: int, wide: int) -> Floats:
        total = around[:, at : at + count].copy()
        for i in range(1, wide):
            total += around[:, at + i : at + i + count]
        total *= np.float32(1 / wide)
        return total

    inside = mean(first, width)
    before, after = mean(first - GAP - FLANK, FLANK), mean(first + width + GAP, FLANK)
    found = inside - np.maximum(before, after) if tone == "bright" else np.minimum(before, after) - inside
    found *= (np.float32(1 / np.sqrt(1 / width + 1 / FLANK)) / sigma)[:, None]
    return np.ascontiguousarray(np.nan_to_num(np.clip(found, -CLIP, CLIP)).T)


def strength(around: Floats, sigma: Floats, tone: Tone, width: int, shift: int = 0) -> Floats:
    """Return row by row how much the middle of a profile, moved by `shift`, is a line, in sigmas; 0 where unknown."""
    return np.asarray(strengths(around, sigma, tone, width, range(shift, shift + 1))[0])


def _placed(around: Floats, here: Floats, tone: Tone, width: int, x: Floats) -> Floats:
    """Return columns moved to where a profile has the line."""
    # The path wavers by a pixel in noise: each row takes the offset that its surroundings agree on.
    offsets = strengths(around, here, tone, width, range(-2, 3))
    smooth = ndimage.gaussian_filter1d(offsets, 1.5 * STRIP, axis=1, mode="nearest")
    smooth += np.array([-0.06, -0.02, 0, -0.02, -0.06])[:, None]
    return np.asarray(x + (smooth.argmax(0) - 2).astype(np.float32), np.float32)


def placed(line: Line, y: npt.NDArray[np.int64], x: Floats, plane: Floats, sigma: Floats) -> Floats:
    """Return the exact columns of a rough path that a line takes."""
    here = sigma[y, np.clip(np.floor(x).astype(np.int64), 0, plane.shape[1] - 1)]
    around = profile(plane, y, x, line.width // 2 + GAP + FLANK + 4)
    return _placed(around, here, line.tone, line.width, x)


def measured(track: Track, plane: Floats, sigma: Floats, tone: Tone, index: int, widest: int) -> Line:
    """Find a line's exact place, row by row, and its width."""
    h, w = plane.shape
    y, x = track.columns(h)
    reach = widest // 2 + GAP + FLANK + 4
    here = sigma[y, np.clip(np.floor(x).astype(np.int64), 0, w - 1)]
    around = profile(plane, y, x, reach)
    middle = around.shape[1] // 2
    sign = 1 if tone == "bright" else -1
    wide = {}
    for width in range(1, widest + 1):
        wide[width] = float(strengths(around, here, tone, width, range(-1, 2)).mean(1).max())
    width = max(wide, key=lambda k: (wide[k], -k))
    x = _placed(around, here, tone, width, x)
    around = profile(plane, y, x, reach)
    rows = strength(around, here, tone, width)
    left = middle - width // 2
    sides = np.concatenate([around[:, : left - GAP], around[:, left + width + GAP :]], axis=1)
    background = np.nanmedian(sides, axis=1) if np.isfinite(sides).any(1).all() else np.nan_to_num(around[:, middle])
    clear = rows > 0.5
    inside = around[:, left : left + width].mean(1)
    step = float(np.nanmedian((sign * (inside - background))[clear])) if clear.any() else 0.0
    return Line(track, y, np.asarray(x, np.float32), tone, index, width, rows, step)


@dataclass(frozen=True)
class Neighbour:
    """A frame around: its planes of light, and where the scene went to it, (2, blocks down, across) in pixels."""

    planes: Floats
    vectors: Floats | None
    block: int
    away: int
    """Frames to it, below 0 for one before."""
    slopes: Floats
    """How luma changes across, down and to it; (3, H, W)."""
    drift: float
    """Pixels that the scene as a whole goes sideways."""


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


def _contrast(plane: Floats, line: Line) -> Floats:
    around = profile(plane, line.y, line.x, line.width // 2 + GAP + FLANK + 1)
    left = around.shape[1] // 2 - line.width // 2
    sides = (around[:, left - GAP - FLANK : left - GAP], around[:, left + line.width + GAP :][:, :FLANK])
    return np.asarray(around[:, left : left + line.width].mean(1) - 0.5 * (sides[0].mean(1) + sides[1].mean(1)))


def bared(line: Line, planes: Sequence[Floats]) -> Floats:
    """Return a line's strength, below 0 where one of some pictures does not show it: where it is another frame's, or
    the scene is uncovered there and one frame beside lacks what it hides."""
    sign = 1 if line.tone == "bright" else -1
    shown = [sign * np.nan_to_num(_contrast(plane, line)) for plane in planes]
    least = np.min([ndimage.uniform_filter1d(one, 3 * STRIP, mode="nearest") for one in shown], 0)
    return np.where(least < BARED * line.step, np.float32(-1), line.strength)


def contrasts(planes: Floats, line: Line) -> npt.NDArray[np.float64]:
    """Return in every plane how much brighter a line is than its sides, in the mean of its rows, in stops."""
    found = []
    for plane in planes:
        rows = _contrast(plane, line)
        rows = rows[np.isfinite(rows)]
        low, high = np.percentile(rows, (10, 90)) if len(rows) else (0.0, 0.0)
        rows = rows[(rows >= low) & (rows <= high)]
        found.append(float(rows.mean()) if len(rows) else 0.0)
    return np.array(found)


def swerves(line: Line, others: list[Neighbour]) -> float:
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


def flicker(line: Line, others: list[Floats]) -> float:
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


def verdict(line: Line, centre: Floats, others: list[Neighbour], sigma: Floats, quiet: float) -> Verdict:
    """Compare a line with frames around.

    Parameters
    ----------
    centre:
        The line's frame: planes of light.
    sigma:
        Local noise of the line's plane.
    quiet:
        The frame's noise, where it is least.
    """
    w = centre.shape[2]
    here = sigma[line.y, np.clip(line.x.astype(np.int64), 0, w - 1)]
    around = profile(centre[line.plane], line.y, line.x, line.width // 2 + GAP + FLANK + 1)
    left = around.shape[1] // 2 - line.width // 2
    sides = around[:, left + line.width + GAP :][:, :FLANK].mean(1) - around[:, left - GAP - FLANK : left - GAP].mean(1)
    edge = abs(float(np.nan_to_num(np.clip(sides / here, -CLIP, CLIP)).mean()))
    if line.fleeting:
        line = replace(line, strength=strength(around, here, line.tone, line.width))
    own = max(line.mean, 1e-3)
    zero = np.zeros(len(line.y), np.float32)
    stays, moves, aside, astray = [], [], [], []
    stood = []
    seen_in = contrasts(centre, line)
    bare = (1 if line.tone == "bright" else -1) * seen_in[line.plane] / max(line.step, 1e-3)
    alone = 1.0
    if len(centre) == 4:
        records = np.sort(np.abs(np.linalg.pinv(MIX) @ seen_in))
        alone = float(records[1] / max(records[2], 1e-6))
    passed, held, whole, kept, went = 0, 0.0, 0.0, 0.0, 0.0
    for other in others:
        still = _again(line, other, here, zero, zero, range(-1, 2))
        follow = [_vectors(other, line.y, line.x + off) for off in (0, -BESIDE, BESIDE)]
        gone = [_again(line, other, here, dx, dy, range(-2, 3)).mean() / own for dx, dy in follow]
        # Motion beside the line: both sides must agree that there is some.
        left, right = follow[1][0], follow[2][0]
        behind = (np.minimum(np.abs(left), np.abs(right)) >= MOVES) & (left * right > 0)
        stays.append(still.mean() / own)
        stood.append(still)
        moves.append(max(gone))
        astray.append(min(_unlike(line, centre, other, dx, dy) for dx, dy in follow) / quiet)
        passed += int(behind.sum())
        held += float(still[behind].sum())
        # Motion of a pixel or two is told by the very place alone.
        exact = range(1)
        kept += float(_again(line, other, here, zero, zero, exact)[behind].sum())
        went += max(float(_again(line, other, here, np.rint(dx), dy, exact)[behind].sum()) for dx, dy in follow)
        whole += float(line.strength[behind].sum())
        # Strips of a picture find chance likenesses: the line moves as a whole.
        reach = line.width // 2 + GAP + FLANK + ASIDE + 1
        around = profile(other.planes[line.plane], line.y, line.x, reach)
        away = strengths(around, here, line.tone, line.width, range(-ASIDE, ASIDE + 1)).mean(1)
        aside.append(float(np.delete(away, np.s_[ASIDE - 1 : ASIDE + 2]).max()) / own)
    share = passed / (len(line.y) * len(others))
    held = held / max(whole, 1e-3) if passed else 0.0
    return Verdict(
        float(np.median(stays)),
        float(np.median(moves)),
        float(np.median(aside)),
        share,
        held,
        went / max(kept, 1e-3),
        line.mean,
        edge,
        float(bare),
        flicker(line, stood),
        alone,
        swerves(line, others),
        float(np.median(astray)),
        _sways(line, centre[line.plane], others),
    )


def _sways(line: Line, plane: Floats, others: list[Neighbour]) -> float:
    own = profile(plane, line.y, line.x, sways.REACH)
    away, shifts, errors = [], [], []
    scenes: tuple[list[float], ...] = ([], [], [], [])
    for other in others:
        found = sways.shifted(own, profile(other.planes[line.plane], line.y, line.x, sways.REACH), line.width)
        if found is None or other.vectors is None:
            continue
        away.append(other.away)
        shifts.append(found[0])
        errors.append(found[1])
        beside = [_vectors(other, line.y, line.x + off)[0] for off in (-BESIDE, BESIDE)]
        scenes[0].append(float(np.mean(beside)))
        middle = np.median(other.vectors[0])
        scenes[1].append(float(other.vectors[0][np.abs(other.vectors[0] - middle) < 1].mean()))
        around = np.stack([profile(one, line.y, line.x, BESIDE) for one in other.slopes])
        around[:, :, BESIDE - sways.REACH : BESIDE + sways.REACH + 1] = np.nan
        scenes[2].append(sways.drift(around))
        scenes[3].append(other.drift)
    return sways.sways(away, shifts, errors, scenes)


def _unlike(line: Line, centre: Floats, other: Neighbour, dx: Floats, dy: Floats) -> float:
    """Return how far the scene beside a line is from what another frame shows there, in stops: the median of rows."""
    inner, reach = line.width // 2 + 2, line.width // 2 + 10
    here = profile(centre[line.plane], line.y, line.x, reach)
    there = profile(other.planes[line.plane], line.y + np.rint(dy).astype(np.int64), line.x + dx, reach)
    away = np.delete(here - there, np.s_[reach - inner : reach + inner + 1], axis=1)
    known = np.isfinite(away).all(1)
    if not known.any():
        return 1e3
    away = away[known]
    # Flicker is no unlikeness.
    away = away - away.mean(1, keepdims=True)
    return float(np.median(np.abs(away).mean(1)))


def extended(line: Line, planes: list[Floats], sigma: Floats) -> tuple[Line, float]:
    """Follow an upright line beyond its ends to the picture's borders, in its frame (the first) and those around.

    Returns the line over the whole height and the share of the height that it spans, in twentieths.
    """
    h, w = planes[0].shape
    lean, at = np.polyfit(line.y, line.x, 1) if len(line.y) > 1 else (0.0, float(line.x[0]))
    y = np.arange(h)
    x = (at + lean * y).astype(np.float32)
    x[line.y] = line.x
    x = np.clip(x, 0, w - 1)
    here = sigma[y, x.astype(np.int64)]
    reach = line.width // 2 + GAP + FLANK + 2
    frames = [strength(profile(plane, y, x, reach), here, line.tone, line.width) for plane in planes]
    rows = np.mean(frames, axis=0, dtype=np.float32)
    parts = np.array([part.mean() for part in np.array_split(rows, 20)])
    least = max(0.4 * line.mean, 1.8 / np.sqrt(h / 20 * len(frames)))
    return replace(line, y=y, x=x, strength=frames[0]), float((parts > least).mean())
