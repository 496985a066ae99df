"""Lines followed down the picture: the best paths through evidence, by dynamic programming.

A path steps from strip to strip, its slant changing by a pixel a strip at most. Each strip adds its evidence less what
noise finds along its best path, so that a path through noise loses and one along a faint line gains; a path's score is
what it gains from end to end, gaps included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage.ridges import STRIP, Floats

DRIFT = 1.35
"""What a strip must have to count for a line: a path chooses the best of several strips of noise at each step."""
BEND, LEAN = 0.25, 0.06
"""Price of a change of slant by a pixel, and of a pixel of slant."""
APART = 5
"""Pixels between two lines."""
_MOST_LINES = 250
_IDLE = 60
"""Paths in a row that lead to lines already found before the search ends."""


@dataclass(frozen=True)
class Track:
    """A path down the picture: columns x[i] at the tops of strips first, first + 1, …, and each strip's evidence."""

    first: int
    x: npt.NDArray[np.int64]
    slant: npt.NDArray[np.int64]
    evidence: Floats

    @property
    def score(self) -> float:
        """What the path gains."""
        bends = np.abs(np.diff(self.slant)).sum() * BEND + np.abs(self.slant).sum() * LEAN
        return float((self.evidence - DRIFT).sum() - bends)

    def columns(self, height: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the rows that the path passes and where it is at the middle of each."""
        ends = np.append(self.x, self.x[-1] + self.slant[-1])
        rows = np.arange(self.first * STRIP, min(height, (self.first + len(self.x)) * STRIP))
        at = np.interp(rows + 0.5, (self.first + np.arange(len(ends))) * STRIP, ends)
        return rows, np.asarray(at, np.float32)


def _moved(values: Floats, most: int, way: int) -> Floats:
    """Shift the row of each slant by that slant, filling with 0."""
    out = np.zeros_like(values)
    w = values.shape[1]
    for i in range(values.shape[0]):
        shift = way * (i - most)
        if abs(shift) >= w:
            continue
        if shift >= 0:
            out[i, shift:] = values[i, : w - shift]
        else:
            out[i, :shift] = values[i, -shift:]
    return out


def _carried(values: Floats) -> Floats:
    """Return the best of each slant and its neighbours, less the price of the bend; never below 0."""
    out = np.maximum(values, 0)
    bent = values - np.float32(BEND)
    np.maximum(out[1:], bent[:-1], out=out[1:])
    np.maximum(out[:-1], bent[1:], out=out[:-1])
    return out


def _passes(gain: Floats, most: int) -> tuple[Floats, Floats]:
    """Return the best score of paths that end in each state, and of those that begin there."""
    down, up = np.empty_like(gain), np.empty_like(gain)
    down[0] = gain[0]
    for j in range(1, len(gain)):
        down[j] = gain[j] + _carried(_moved(down[j - 1], most, 1))
    up[-1] = gain[-1]
    for j in range(len(gain) - 2, -1, -1):
        up[j] = gain[j] + _moved(_carried(up[j + 1]), most, -1)
    return down, up


def find(strips: Floats, least: float) -> list[Track]:
    """Find the lines in summed evidence, the best first.

    Parameters
    ----------
    strips:
        (n, slants, W), from `ridges.strips`.
    least:
        Least score of a line.
    """
    most = strips.shape[1] // 2
    lean = (np.abs(np.arange(-most, most + 1)) * LEAN).astype(np.float32)
    gain = strips - np.float32(DRIFT) - lean[:, None]
    down, up = _passes(gain, most)
    total = down + up - gain
    best = total.max(1)
    free = np.ones(best.shape, bool)
    found: list[Track] = []
    # Paths that join a line further on score too, less with every pixel away from it: a line is the best around.
    own = np.take_along_axis(gain, total.argmax(1)[:, None], 1)[:, 0] > 0
    peak = best >= ndimage.maximum_filter1d(best, 2 * APART + 1, axis=1)
    seeds = np.flatnonzero((best >= least) & own & peak)
    seeds = seeds[np.argsort(-best.ravel()[seeds], kind="stable")]
    width = best.shape[1]
    idle = 0
    for seed in seeds:
        if not free.ravel()[seed]:
            continue
        if len(found) >= _MOST_LINES or idle >= _IDLE:
            break
        j, x = int(seed // width), int(seed % width)
        track = _traced(strips, down, up, j, x, int(total[j, :, x].argmax()), most)
        clear = free[track.first + np.arange(len(track.x)), np.clip(track.x, 0, width - 1)]
        parts = [part for part in _runs(track, clear) if part.score >= least]
        found += parts
        idle = 0 if parts else idle + 1
        for i, x in enumerate(track.x):
            free[track.first + i, max(0, x - APART) : x + APART + 1] = False
    return found


def _runs(track: Track, clear: npt.NDArray[np.bool_]) -> list[Track]:
    """Cut a track to the runs that no better one holds."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], clear.view(np.int8), [0]])))
    return [
        Track(track.first + int(a), track.x[a:b], track.slant[a:b], track.evidence[a:b])
        for a, b in zip(edges[::2], edges[1::2], strict=True)
    ]


def _traced(strips: Floats, down: Floats, up: Floats, j: int, x: int, slant: int, most: int) -> Track:
    """Follow the best path through one state both ways, to where it gains no more."""
    width = strips.shape[2]
    path = [(j, x, slant)]
    jj, xx, ss = j, x, slant
    while jj > 0:
        options = [
            (float(down[jj - 1, s, xx - (s - most)]) - BEND * abs(s - ss), s)
            for s in range(max(0, ss - 1), min(2 * most, ss + 1) + 1)
            if 0 <= xx - (s - most) < width
        ]
        if not options or max(options)[0] <= 0:
            break
        ss = max(options, key=lambda o: (o[0], -abs(o[1] - most)))[1]
        xx -= ss - most
        jj -= 1
        path.insert(0, (jj, xx, ss))
    jj, xx, ss = j, x, slant
    while jj < len(strips) - 1:
        xx += ss - most
        if not 0 <= xx < width:
            break
        options = [
            (float(up[jj + 1, s, xx]) - BEND * abs(s - ss), s) for s in range(max(0, ss - 1), min(2 * most, ss + 1) + 1)
        ]
        if max(options)[0] <= 0:
            break
        ss = max(options, key=lambda o: (o[0], -abs(o[1] - most)))[1]
        jj += 1
        path.append((jj, xx, ss))
    steps = np.array(path)
    return Track(int(steps[0, 0]), steps[:, 1], steps[:, 2] - most, strips[steps[:, 0], steps[:, 2], steps[:, 1]])
