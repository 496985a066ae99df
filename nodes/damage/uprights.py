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

from safelight.nodes.damage.ridges import CLIP, FLANK, GAP, STRIP, Floats, Tone
from safelight.nodes.damage.tracks import Track

SAME = 0.55
"""Share of a line's strength that is the line again."""
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
    first = np.floor(x).astype(np.int64) - reach
    if len(y) and min(y.min(), first.min()) >= 0 and y.max() < h and first.max() + 2 * reach < w:
        # The run of pixels from each one on, without a copy.
        plane = np.ascontiguousarray(plane)
        runs: Floats = np.ndarray(
            (h, w - 2 * reach, 2 * reach + 1), plane.dtype, plane, 0, (*plane.strides, plane.itemsize)
        )
        return runs[y, first]
    columns = first[:, None] + np.arange(2 * reach + 1)
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
    known = np.isfinite(sides)
    if known.all():
        background = np.median(sides, axis=1)
    elif known.any(1).all():
        background = np.nanmedian(sides, axis=1)
    else:
        background = np.nan_to_num(around[:, middle])
    clear = rows > 0.5
    inside = around[:, left : left + width].mean(1)
    step = float(np.nanmedian((sign * (inside - background))[clear])) if clear.any() else 0.0
    return Line(track, y, np.asarray(x, np.float32), tone, index, width, rows, step)


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
