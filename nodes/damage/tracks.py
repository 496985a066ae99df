"""Lines followed down the picture: the best paths through evidence, by dynamic programming.

A path steps from strip to strip, its slant changing by a pixel a strip at most. Each strip adds its evidence less what
noise finds along its best path, so that a path through noise loses and one along a faint line gains; a path's score is
what it gains from end to end, gaps included.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.damage.ridges import STRIP, Floats
from safelight.nodes.kernels.launch import launch

DRIFT = 1.35
"""What a strip must have to count for a line: a path chooses the best of several strips of noise at each step."""
BEND, LEAN = 0.25, 0.06
"""Price of a change of slant by a pixel, and of a pixel of slant."""
APART = 5
"""Pixels between two lines."""
_MOST_LINES = 250
_IDLE = 60
"""Paths in a row that lead to lines already found before the search ends."""
_LANES = 16
"""Columns that a kernel may load at once."""
_NEVER = -3e38
_ONE = Region.sized(1, 1)


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


def find(strips: Floats, least: float, isa: str | None = None) -> list[Track]:
    """Find the lines in summed evidence, the best first.

    Parameters
    ----------
    strips:
        (n, slants, W), from `ridges.strips`; 15 slants at most.
    least:
        Least score of a line, above 0.
    """
    device = Device("cpu", 1)  # each step needs the one before: more threads would only wait
    strips = np.ascontiguousarray(strips, np.float32)
    count, slants, width = strips.shape
    most = slants // 2
    steep = (np.abs(np.arange(-most, most + 1)) * LEAN).astype(np.float32)
    lean = (*steep.tolist(), *[0.0] * (16 - slants))
    # What stands beside the picture scores nothing: paths may end there.
    edge = max(most, APART)
    beyond = Region(-edge, 0, width + edge + _LANES, slants)
    down, up = (np.zeros((count, slants, beyond.width), np.float32) for _ in range(2))
    best = np.full((count, beyond.width), _NEVER, np.float32)
    tops = np.empty((count, width), np.float32)
    whole = (strips, Region.sized(width, slants))
    prices = {"drift": DRIFT, "bend": BEND, "lean": lean, "edge": edge, "apart": APART}
    launch(
        device,
        "scratch_passes",
        _ONE,
        isa=isa,
        strips=whole,
        down=(down, beyond),
        up=(up, beyond),
        best=(best, Region(-edge, 0, beyond.x1, count)),
        seeds=(tops, Region.sized(width, count)),
        **prices,
    )
    seeds = np.flatnonzero(tops >= least)
    seeds = seeds[np.argsort(-tops.ravel()[seeds], kind="stable")].astype(np.int32)
    # The last line before the limit may be cut to several.
    runs = np.empty((_MOST_LINES + count, 2 + 2 * count), np.int32)
    found = np.zeros((1, 1), np.int32)
    launch(
        device,
        "scratch_trace",
        _ONE,
        isa=isa,
        strips=whole,
        down=(down, beyond),
        up=(up, beyond),
        seeds=seeds[None],
        free=np.ones((count, width), np.uint8),
        path=np.empty((2, count), np.int32),
        runs=runs,
        found=found,
        count=len(seeds),
        limit=_MOST_LINES,
        idle=_IDLE,
        least=least,
        **prices,
    )
    return [_track(strips, run, most) for run in runs[: found[0, 0]].astype(np.int64)]


def _track(strips: Floats, run: npt.NDArray[np.int64], most: int) -> Track:
    """Return a run as `scratch_trace` lists it: first strip, strips, columns, slants."""
    first, count, steps = int(run[0]), int(run[1]), len(strips)
    x, slant = run[2 : 2 + count], run[2 + steps : 2 + steps + count]
    return Track(first, x, slant, strips[first + np.arange(count), slant + most, x])
