"""Lines that are known to be scratches, followed on beyond their ends: at their own depth they are found where a line
of unknown depth is not.

A row's contrast is weighed as a likelihood ratio of the line's own depth against none, with the spread that the places
beside the line have, in the picture and in what it has that the frames around, moved to match it, have not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.damage import contrast, presence, stretches
from safelight.nodes.damage.presence import Measured, Seen
from safelight.nodes.damage.ridges import FLANK, GAP, STRIP, Floats
from safelight.nodes.damage.uprights import Line, placed, profile
from safelight.nodes.kernels.launch import launch

Rows = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

AWAY = 60
"""Pixels to both sides that a line may be followed to."""
STEEPEST = 3
"""Pixels that it may lean in a strip."""
BEND, LEAN = 0.7, 0.05
"""Price of a change of slant by a pixel, and of a pixel of slant."""
DOUBT, TEMPER = 0.6, 0.5
"""Share of its depth from which a row speaks for a line that is followed; how far rows are told apart by their noise,
which is not white."""
GAP_COST, MOST = -0.8, 4.0
"""The least and the most that a strip may say: a gap of any length costs little a strip."""
NEED = 5.0
"""Log likelihood that a line must gain beyond its end."""
HALF, SURE, CAP = 0.5, 0.7, 0.7
"""The same for rows of a path that is known, and the most that one of them may say."""
CLIP = 2.5
PIECE = 64
"""Rows that are compared with the line as a whole."""
FRESH, STILL, DEEPER, DEEPEST = 0.25, 0.25, 1.6, 3.0
"""Share of a piece's contrast that frames around must lack; the share below which a line is one that they have too,
and how much deeper than it a piece may then be; how much deeper at all."""
ASIDE, SHIFT, ASTRAY = 3, 5.0, 0.2
"""Pixels to both sides that a line is traced in; price of a pixel sideways between groups of rows, and of a group that
lies a pixel off."""
LEAST = 16
"""Rows of a line that is followed."""


def depths(measured: Sequence[tuple[Rows, Rows]], there: Flags) -> list[float]:
    """Return in each plane the mean contrast of a line where it is there; 0 where it has the other tone."""
    found = []
    for own, spread in measured:
        weight = there / spread**2
        found.append(max(0.0, float((weight * own).sum() / max(weight.sum(), 1e-9))))
    return found


def gains(measured: Sequence[tuple[Rows, Rows]], deep: Sequence[float]) -> Floats:
    """Return the log likelihood of each row that a line of these depths is there."""
    total: Rows = np.zeros(len(measured[0][0]))
    for (own, spread), depth in zip(measured, deep, strict=True):
        want = depth / spread
        total += want * (np.clip(own / spread, -CLIP, CLIP + want) - HALF * want)
    return np.clip(SURE * total, -CAP, CAP).astype(np.float32)


def shown(line: Line, planes: Sequence[Floats]) -> tuple[Flags, list[float]]:
    """Tell which rows of a line show it, by its own depth in planes, and that depth."""
    return _shown(line, [contrast.rows(line, plane) for plane in planes])


def _shown(line: Line, measured: Measured) -> tuple[Flags, list[float]]:
    there = stretches.present(line.strength, stretches.SHOWN)
    if not there.any():
        there = line.strength > 0
    for _ in range(2):
        there = stretches.likeliest(gains(measured, depths(measured, there)))
        if not there.any():
            break
    return there, depths(measured, there)


def traced(line: Line, planes: Sequence[Floats], deep: Sequence[float], measured: Measured) -> Line:
    """Return a line at the columns that its own depth makes likeliest, up to ASIDE pixels from where it was.

    `measured`: `contrast.rows` of it in each plane.
    """
    offsets = np.arange(-ASIDE, ASIDE + 1)
    reach = ASIDE + line.width // 2 + 1 + GAP + FLANK + 1
    left = reach - line.width // 2
    count = -(-len(line.y) // stretches.GROUP)
    gain: Rows = np.zeros((count * stretches.GROUP, len(offsets)))
    at = range(left - ASIDE, left + ASIDE + 1)
    for plane, depth, (_, spread) in zip(planes, deep, measured, strict=True):
        own = contrast.of(contrast.summed(np.nan_to_num(profile(plane, line.y, line.x, reach))), at, line)
        want = (depth / spread)[:, None]
        gain[: len(line.y)] += SURE * want * np.clip(own / spread[:, None], -CLIP, CLIP + want)
    score = gain.reshape(count, stretches.GROUP, -1).sum(1) - ASTRAY * np.abs(offsets)
    path = offsets[_likeliest(score)]
    middles = (np.arange(count) + 0.5) * stretches.GROUP
    moved = np.interp(np.arange(len(line.y)) + 0.5, middles, path)
    return replace(line, x=np.clip(line.x + moved, 0, planes[0].shape[1] - 1e-3).astype(np.float32))


def _likeliest(score: Rows) -> npt.NDArray[np.int64]:
    """Return of each step, (steps, places), the place on the best path, which moves by one place a step at most."""
    # Few places and many steps: plain numbers are faster than arrays of so few.
    steps = score.tolist()
    last, came = steps[0], []
    for gained in steps[1:]:
        now, ways = [], []
        for i, own in enumerate(gained):
            best, way = last[i], 0
            if i and last[i - 1] - SHIFT >= best:
                best, way = last[i - 1] - SHIFT, -1
            if i + 1 < len(last) and last[i + 1] - SHIFT > best:
                best, way = last[i + 1] - SHIFT, 1
            now.append(own + best)
            ways.append(way)
        came.append(ways)
        last = now
    at = last.index(max(last))
    path = [at]
    for ways in reversed(came):
        at += ways[at]
        path.append(at)
    return np.array(path[::-1])


def whole(line: Line, seen: Seen, sigma: Floats) -> list[Line]:
    """Return a scratch where it is there: its own rows, and what it runs on to above and below.

    `sigma`: (H, W): local noise of the picture.
    """
    planes = seen.planes
    measured = [contrast.rows(line, plane) for plane in planes]
    there, deep = _shown(line, measured)
    if there.any():
        line = traced(line, planes, deep, measured)
        measured = [contrast.rows(line, plane) for plane in planes]
        there, deep = _shown(line, measured)
    known = _part(line, there)
    if len(line.y) < LEAST:
        return [known]
    found = [_part(line, presence.told(line, there, deep, seen, measured))]
    if len(known.y) < LEAST:
        return found
    for up in (True, False):
        path = _followed(known, planes, deep, up)
        if path is None:
            continue
        y, x = path
        on = replace(line, y=y, x=placed(line, y, x, planes[0], sigma), strength=np.zeros(len(y), np.float32))
        on = traced(on, planes, deep, [contrast.rows(on, plane) for plane in planes])
        there = _beyond(known, on, deep, seen, up)
        measured = [contrast.rows(on, plane) for plane in planes]
        found.append(_part(on, there & _alike(measured, deep, there)))
    return found


def _beyond(known: Line, on: Line, deep: Sequence[float], seen: Seen, up: bool) -> Flags:
    """Tell which rows of a path that runs on from a line show it, by them and the line together."""
    first, second = (on, known) if up else (known, on)
    y, x = np.concatenate([first.y, second.y]), np.concatenate([first.x, second.x])
    both = replace(known, y=y, x=x, strength=np.zeros(len(y), np.float32))
    certain = np.repeat([not up, up], [len(first.y), len(second.y)])
    there = presence.told(both, certain, deep, seen)
    return there[: len(on.y)] if up else there[len(known.y) :]


def _part(line: Line, there: Flags) -> Line:
    return replace(line, y=line.y[there], x=line.x[there], strength=line.strength[there])


def _alike(measured: Sequence[tuple[Rows, Rows]], deep: Sequence[float], there: Flags) -> Flags:
    """Tell which rows are of pieces as deep as the line: a path that runs on may run into the scene's own lines."""
    out = np.zeros(len(there), bool)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], there.view(np.int8), [0]])))
    for a, b in zip(edges[::2], edges[1::2], strict=True):
        for piece in np.array_split(np.arange(a, b), max(1, round((b - a) / PIECE))):
            seen, lacking = (float(np.clip(own[piece], -1, 1).mean()) for own, _ in measured)
            alone = lacking >= FRESH * seen and seen <= DEEPEST * deep[0]
            out[piece] = alone or (deep[1] < STILL * deep[0] and seen <= DEEPER * deep[0])
    return out


def _likelihoods(
    line: Line, planes: Sequence[Floats], deep: Sequence[float], top: int, bottom: int, x: int
) -> tuple[Floats, int]:
    """Return for each pixel of rows around a column the log likelihood of the line, and the first column."""
    wide = planes[0].shape[1]
    columns = np.arange(x - AWAY, x + AWAY + 1)
    margin = line.width // 2 + GAP + FLANK
    taken = np.clip(np.arange(columns[0] - margin, columns[-1] + 2 * margin + 2), 0, wide - 1)
    at = range(GAP + FLANK, GAP + FLANK + len(columns))
    total: Rows = np.zeros((bottom - top, len(columns)))
    for plane, depth in zip(planes, deep, strict=True):
        own = contrast.of(contrast.summed(plane[top:bottom][:, taken]), at, line)
        spread = ndimage.uniform_filter1d(own**2, contrast.AROUND, axis=0, mode="nearest")
        spread = np.sqrt(1.3 * _median(spread) + contrast.FLOOR)
        want = depth / spread
        total += want * (np.clip(own / spread, -CLIP, CLIP + want) - DOUBT * want)
    total *= TEMPER
    total[:, (columns < 0) | (columns >= wide)] = -1
    return total.astype(np.float32), int(columns[0])


def _median(values: Rows) -> Rows:
    """Return the running median of 21 values of each row, the border repeated."""
    out = np.empty_like(values, order="C")
    one = Region.sized(1, len(values))
    launch(
        Device("cpu", 1),
        "scratch_median",
        one,
        values=np.ascontiguousarray(values),
        out=out,
        wide=values.shape[1],
    )
    return out


def _followed(
    line: Line, planes: Sequence[Floats], deep: Sequence[float], up: bool
) -> tuple[npt.NDArray[np.int64], Floats] | None:
    """Return the best path from a line's end on, to where it gains no more; None where it gains too little."""
    height, wide = planes[0].shape
    end = 0 if up else len(line.y) - 1
    y, x = int(line.y[end]), int(np.floor(line.x[end]))
    count = (y if up else height - 1 - y) // STRIP
    if count < 2:
        return None
    near = np.abs(line.y - y) < 5 * STRIP
    lean = float(np.polyfit(line.y[near], line.x[near], 1)[0]) if near.sum() > 12 else 0.0
    top = y - count * STRIP if up else y + 1
    likely, left = _likelihoods(line, planes, deep, top, top + count * STRIP, x)
    if up:
        likely, lean = likely[::-1], -lean
    start = int(np.clip(round(lean * STRIP), -STEEPEST, STEEPEST))
    steps, slants, total = _path(_strips(likely), x - left, start)
    if total < NEED:
        return None
    ends = np.append(steps, steps[-1] + slants[-1]) + left
    at = np.arange(len(steps) * STRIP)
    along = np.interp(at + 0.5, np.arange(len(ends)) * STRIP, ends)
    ys, xs = (y - 1 - at[::-1], along[::-1]) if up else (y + 1 + at, along)
    inside = (xs >= 0) & (xs < wide)
    return ys[inside], xs[inside].astype(np.float32)


def _strips(likely: Floats) -> Floats:
    """Sum rows over strips along each slant, (strips, slants, columns), with the price of the slant."""
    count, wide = len(likely) // STRIP, likely.shape[1]
    padded = np.pad(likely.reshape(count, STRIP, wide), ((0, 0), (0, 0), (STEEPEST, STEEPEST)))
    out = np.zeros((count, 2 * STEEPEST + 1, wide), np.float32)
    for slant in range(-STEEPEST, STEEPEST + 1):
        for row in range(STRIP):
            shift = STEEPEST + round(slant * (row + 0.5) / STRIP)
            out[:, slant + STEEPEST] += padded[:, row, shift : shift + wide]
    np.clip(out, GAP_COST, MOST, out=out)
    out -= np.float32(LEAN) * np.abs(np.arange(-STEEPEST, STEEPEST + 1, dtype=np.float32))[:, None]
    return out


def _path(strips: Floats, x: int, start: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], float]:
    """Return columns, slants and total of the best path of any length from a column and a slant on."""
    count, states, wide = strips.shape
    never = np.float32(-1e6)
    score = np.full(strips.shape, never, np.float32)
    came = np.zeros(strips.shape, np.int8)
    turn = np.float32(BEND) * np.abs(np.arange(states) - STEEPEST - start).astype(np.float32)
    score[0, :, x - 1 : x + 2] = strips[0, :, x - 1 : x + 2] - turn[:, None]
    for j in range(1, count):
        moved = np.full((states + 2, wide), never, np.float32)
        for state in range(states):
            k = state - STEEPEST
            moved[1 + state, max(0, k) : wide + min(0, k)] = score[j - 1, state, max(0, -k) : wide - max(0, k)]
        bent = moved - np.float32(BEND)
        options = np.stack([bent[:-2], moved[1:-1], bent[2:]])
        which = options.argmax(0)
        score[j] = np.take_along_axis(options, which[None], 0)[0] + strips[j]
        came[j] = which - 1
    best = score.reshape(count, -1).max(1)
    last = int(best.argmax())
    state, column = (int(i) for i in np.unravel_index(score[last].argmax(), score[last].shape))
    columns, slants = np.empty(last + 1, np.int64), np.empty(last + 1, np.int64)
    for j in range(last, -1, -1):
        columns[j], slants[j] = column, state - STEEPEST
        if j:
            state += int(came[j, state, column])
            column -= state - STEEPEST
    return columns, slants, float(best[last])
