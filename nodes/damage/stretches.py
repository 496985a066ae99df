"""Where along its path a line is there: broken scratches, and scratches that a path joined to the scene."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage.ridges import STRIP, Floats
from safelight.nodes.damage.tracks import APART, Track
from safelight.nodes.damage.uprights import Line

GROUP = 4
"""Rows that are there or not together."""
CHANGE = 6.0
"""Price of a beginning or an end, in units of log likelihood."""
LEAST = 0.6
"""Sigmas of a line in its mean: what is fainter is cut as if it had them."""
SHORTEST = 16
"""Rows of the shortest stretch."""
SHOWN, CLEAR = 0.15, 0.15
"""Share of its mean from which a line is there: where it is known to be one, and before it is."""


def loudness(rows: Floats) -> float:
    """Return how strong a line is where it is there."""
    smooth = ndimage.uniform_filter1d(rows, 2 * STRIP, mode="nearest")
    return max(LEAST, float(np.percentile(smooth, 70)))


def present(strength: Floats, level: float) -> npt.NDArray[np.bool_]:
    """Tell which rows of a path show a line (above a share of its mean), by the likeliest runs of being there."""
    mean = loudness(strength)
    return likeliest(mean * (strength - level * mean))


def likeliest(gains: Floats, change: float = CHANGE) -> npt.NDArray[np.bool_]:
    """Tell which rows show a line, by the likeliest runs of being there, from each row's log likelihood.

    `change`: the price of a beginning or an end.
    """
    count = -(-len(gains) // GROUP)
    gain = np.append(gains, np.zeros(count * GROUP - len(gains), np.float32)).reshape(count, GROUP).sum(1).tolist()
    there, gone = gain[0], 0.0
    came, went = [False] * count, [False] * count
    for i in range(1, count):
        came[i], went[i] = gone - change > there, there - change > gone
        there, gone = gain[i] + (gone - change if came[i] else there), (there - change if went[i] else gone)
    states = np.empty(count, bool)
    state = there > gone
    for i in range(count - 1, -1, -1):
        states[i] = state
        if came[i] if state else went[i]:
            state = not state
    return states.repeat(GROUP)[: len(gains)]


def cut(line: Line, rows: Floats, level: float) -> list[Line]:
    """Cut a line to the stretches where rows of evidence, in sigmas, say that it is there."""
    there = present(rows, level)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.view(np.int8), [0]])))
    found = []
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        if b - a < SHORTEST:
            continue
        first = int(line.y[a]) // STRIP - line.track.first
        last = max(first + 1, -(-(int(line.y[b - 1]) + 1) // STRIP) - line.track.first)
        t = line.track
        track = Track(t.first + first, t.x[first:last], t.slant[first:last], t.evidence[first:last])
        found.append(replace(line, track=track, y=line.y[a:b], x=line.x[a:b], strength=line.strength[a:b]))
    return found


def joined(parts: list[Line]) -> list[Line]:
    """Return several stretches of one line as a line with gaps; none of none."""
    if len(parts) < 2:
        return parts
    tracks = [part.track for part in parts]
    track = Track(
        tracks[0].first,
        np.concatenate([t.x for t in tracks]),
        np.concatenate([t.slant for t in tracks]),
        np.concatenate([t.evidence for t in tracks]),
    )
    y, x, rows = (np.concatenate([getattr(part, name) for part in parts]) for name in ("y", "x", "strength"))
    return [replace(parts[0], track=track, y=y, x=x, strength=rows)]


def free(line: Line, taken: Any) -> Any:
    """Tell which rows of a line no better one lies beside."""
    return ~taken[line.y, np.clip(line.x.astype(np.int64), 0, taken.shape[1] - 1)]


def take(line: Line, taken: Any) -> None:
    """Mark a line and what lies beside it."""
    columns = line.x.astype(np.int64)
    for off in range(-APART, APART + 1):
        taken[line.y, np.clip(columns + off, 0, taken.shape[1] - 1)] = True


def drawn(line: Line) -> Line:
    """Return a line where it is there."""
    there = np.zeros(int(line.y.max(initial=0)) + 1, bool)
    for part in cut(line, line.strength, SHOWN) if len(line.y) else ():
        there[part.y] = True
    there = there[line.y]
    return replace(line, y=line.y[there], x=line.x[there], strength=line.strength[there])


def draw(matte: Floats, line: Line, confidence: float, grow: int) -> None:
    """Lay a line into a matte."""
    left = np.floor(line.x).astype(np.int64) - line.width // 2 - grow
    for off in range(line.width + 2 * grow):
        columns = left + off
        inside = (columns >= 0) & (columns < matte.shape[1])
        rows = line.y[inside]
        matte[rows, columns[inside]] = np.maximum(matte[rows, columns[inside]], np.float32(confidence))
