"""Where a clip cuts, and where it dissolves: two pictures compared by what is in them, not by how bright they are.

Frames are compared as small thumbnails of log light and colour, dirt taken out by a median. Two thumbnails are alike
where blocks of one are found in the other nearby, by normalised correlation, with the same colours, and where light is
laid out alike over the picture: brightness, flicker and motion do not count. A cut lies where no frame of the few
before it is like any of the few after it, while those on each side are like each other: after a flash or a destroyed
frame the old picture comes back; in a whip pan neighbours are no more alike than across a cut. A dissolve is a stretch
whose frames are mixtures of its ends, the share of one falling evenly; a fade one of a picture and darkness.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.region import Region

Floats = npt.NDArray[np.float32]

WIDE, HIGH = 64, 36
"""Size of a thumbnail."""
GROUP = 4
"""Frames on each side of a place that a cut is sought at: shorter things than these are flashes."""
BLOCK = (12, 16)
SEARCH = (4, 12)
"""Pixels of a thumbnail that blocks may move, up and across: a fifth of the picture's width a frame."""
TOE = 0.01
LEAST, ALIKE = -4.5, -5.0
"""Neighbours less unlike than this are no cut; how unlike frames of a shot are where there is but one."""
SURE = 5.0
"""Score of a cut that no dissolve can hold: cuts score 7 and more, what ends a dissolve 4."""
LENGTHS = (6, 7, 8, 10, 12, 14, 17, 20, 24, 29, 35, 42, 50)
"""From the frame before a dissolve to the frame after it."""
MOST_ASTRAY, MOST_LEFT = 0.16, 0.7
"""How uneven a dissolve may be, how much texture may be left in it."""
LEFT, EVEN, UNLIKE, ENOUGH = 10.0, 0.1, 0.3, 0.9
"""What speaks for one: texture that is gone; against it: unevenness beyond this, as much; for it, up to a point: ends
that are unlike each other. And how much of that it takes."""
DIM, BLACK, MOST_FADED = 0.02, 0.03, 0.14
"""A fade: light it begins with at least, part of it that is left at most, how uneven it may be."""
LONGER = 0.05
"""What e times the length is worth, in unevenness."""


@dataclass(frozen=True)
class Cut:
    """A cut: `frame` is the first of the new shot."""

    frame: int
    confidence: float


@dataclass(frozen=True)
class Dissolve:
    """A dissolve or fade: the frames that are mixed, `first` to `last`, inclusive."""

    first: int
    last: int
    confidence: float


@dataclass(frozen=True)
class Cuts:
    """What was found in a clip, ascending."""

    cuts: tuple[Cut, ...] = ()
    dissolves: tuple[Dissolve, ...] = ()

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "cuts": [{"frame": cut.frame, "confidence": round(cut.confidence, 3)} for cut in self.cuts],
            "dissolves": [
                {"first": one.first, "last": one.last, "confidence": round(one.confidence, 3)} for one in self.dissolves
            ],
        }


def thumbnail(planes: Any, region: Region | None = None, display: Region | None = None) -> Floats:
    """Return a small picture of a frame: luma in stops above a toe, and two colour differences in stops, (3, 36, 64).

    Parameters
    ----------
    planes:
        (1 or 3, H, W), scene-linear. What is not finite counts as dark.
    region, display:
        Where the planes lie, and the window that is looked at; what of it they do not hold is dark.
    """
    light = np.asarray(planes, np.float32)
    if region is not None and display is not None and region != display:
        placed = np.zeros((len(light), display.height, display.width), np.float32)
        both = region.intersect(display)
        if both:
            y, x = both.y0 - display.y0, both.x0 - display.x0
            v, u = both.y0 - region.y0, both.x0 - region.x0
            part = light[:, v : v + both.height, u : u + both.width]
            placed[:, y : y + both.height, x : x + both.width] = part
        light = placed
    # Means of small cells, then medians of 4 x 4 of those: a speck spoils a cell, not the median.
    cells = np.stack([_means(np.nan_to_num(plane, nan=0.0, posinf=0.0, neginf=0.0)) for plane in light])
    stops = np.log2(np.maximum(cells, 0) + np.float32(TOE))
    if len(stops) < 3:
        stops = np.stack([stops[0], np.zeros_like(stops[0]), np.zeros_like(stops[0])])
    else:
        red, green, blue = stops
        stops = np.stack([(red + 2 * green + blue) / 4, red - green, blue - green])
    blocks = stops.reshape(3, HIGH, stops.shape[1] // HIGH, WIDE, stops.shape[2] // WIDE)
    return np.asarray(np.median(blocks, axis=(2, 4)), np.float32)


def _means(plane: Floats) -> Floats:
    """Return the means of 144 x 256 cells; of a smaller picture its nearest pixels."""
    for axis, count in ((0, 4 * HIGH), (1, 4 * WIDE)):
        size = plane.shape[axis]
        edges = np.arange(count) * size // count
        if size < count:
            plane = plane.take(edges, axis=axis)
        else:
            sums = np.add.reduceat(plane, edges, axis=axis, dtype=np.float64)
            width = np.diff(np.append(edges, size)).astype(np.float64)
            plane = np.asarray(sums / (width[:, None] if axis == 0 else width), np.float32)
    return plane


def features(first: Floats, second: Floats) -> tuple[float, float, float]:
    """Compare two thumbnails: (structure, layout, colour), each 0 for one picture and growing as they differ.

    structure: 1 - the correlation of the first's blocks with the best place in the second nearby, the mean over
    textured blocks. layout: how differently light is spread, in stops, whatever the exposure. colour: how differently
    colours are, in stops.
    """
    luma = ndimage.gaussian_filter(np.stack([first[0], second[0]]), (0, 0.6, 0.6))
    # Without the broad light any two pictures share: blocks of it are alike everywhere.
    luma = luma - ndimage.gaussian_filter(luma, (0, 4, 4))
    structure = (_unfound(luma[0], luma[1]) + _unfound(luma[1], luma[0])) / 2
    layout = _spread(first[0] - np.median(first[0]), second[0] - np.median(second[0]))
    colour = sum(_spread(first[c], second[c]) for c in (1, 2)) / 2
    return structure, layout, colour


def _spread(first: Floats, second: Floats) -> float:
    """Return how far the distributions of two planes are apart, as a whole and in quarters across (earth mover's)."""
    found = []
    for parts in (1, 2, 4):
        for a, b in zip(np.array_split(first, parts, axis=1), np.array_split(second, parts, axis=1), strict=True):
            found.append(float(np.mean(np.abs(np.sort(a, axis=None) - np.sort(b, axis=None)))))
    return float(found[0] + np.mean(found[1:3]) + np.median(found[3:])) / 3


def _unfound(first: Floats, second: Floats) -> float:
    """Return 1 - the best correlation of `first`'s blocks in `second`, weighed by how much texture they have."""
    (bh, bw), (sy, sx) = BLOCK, SEARCH
    rows, columns = HIGH // bh, WIDE // bw
    padded = np.pad(second, ((sy, sy), (sx, sx)), mode="constant", constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (bh, bw))
    best, weight = np.zeros((rows, columns)), np.zeros((rows, columns))
    for j in range(rows):
        for i in range(columns):
            block = first[j * bh : (j + 1) * bh, i * bw : (i + 1) * bw].astype(np.float64)
            block = block - block.mean()
            near = windows[j * bh : j * bh + 2 * sy + 1, i * bw : i * bw + 2 * sx + 1].reshape(-1, bh * bw)
            near = near[np.isfinite(near[:, 0]) & np.isfinite(near[:, -1])].astype(np.float64)
            near = near - near.mean(1, keepdims=True)
            power = (block * block).sum()
            scale = np.sqrt(power * (near * near).sum(1)) + 0.02 * bh * bw * 0.25
            best[j, i] = float((near @ block.ravel() / scale).max())
            weight[j, i] = power / (power + bh * bw * 0.04)
    return float(1 - (best * weight).sum() / weight.sum()) if weight.sum() > 0.05 * weight.size else 0.0


def unlike(first: Floats, second: Floats) -> float:
    """Return how unlike two thumbnails are: the log of the odds that they show different shots."""
    structure, layout, colour = features(first, second)
    return 13 * structure + 5 * layout + 5 * colour - 10.5


class _Pairs:
    """Comparisons of a clip's thumbnails, each made once."""

    def __init__(self, thumbnails: Sequence[Floats]) -> None:
        self._thumbnails = thumbnails
        self._known: dict[tuple[int, int], float] = {}

    def __call__(self, first: int, second: int) -> float:
        pair = (first, second)
        if pair not in self._known:
            self._known[pair] = unlike(self._thumbnails[first], self._thumbnails[second])
        return self._known[pair]


def find_cuts(thumbnails: Sequence[Floats], first: int = 0) -> Cuts:
    """Find the cuts and dissolves of a clip.

    Parameters
    ----------
    thumbnails:
        One of each frame, in order, from `thumbnail`.
    first:
        Number of the first frame.
    """
    pairs = _Pairs(thumbnails)
    scores = {at: _score(pairs, at, len(thumbnails)) for at in range(1, len(thumbnails))}
    peaks = {at: score for at, score in scores.items() if score > 0 and score >= _around(scores, at)}
    dark = fades(thumbnails)
    hard = [at for at, score in peaks.items() if score > SURE and not _inside(at, dark)]
    mixed = [
        one for one in dissolves(thumbnails, hard) if not any(one.first <= f.last and f.first <= one.last for f in dark)
    ]
    mixed = sorted([*mixed, *dark], key=lambda one: one.first)
    cuts = (Cut(first + at, _confidence(score)) for at, score in peaks.items() if not _inside(at, mixed))
    return Cuts(tuple(cuts), tuple(Dissolve(first + one.first, first + one.last, one.confidence) for one in mixed))


def _inside(at: int, mixed: Sequence[Dissolve]) -> bool:
    """Tell whether what looks like a cut at a frame belongs to a dissolve or fade."""
    return any(one.first <= at <= one.last + 1 for one in mixed)


def _around(scores: Mapping[int, float], at: int) -> float:
    return max(scores.get(other, -np.inf) for other in range(at - GROUP // 2, at + GROUP // 2 + 1))


def _confidence(score: float) -> float:
    return float(1 / (1 + np.exp(-score / 2)))


def _score(pairs: _Pairs, at: int, count: int) -> float:
    """Return the log of the odds that a new shot begins at a frame.

    The weights were fitted to joined clips with flicker, flashes, dirt, destroyed frames and pans of up to a fifth of
    the width a frame.
    """
    if pairs(at - 1, at) < LEAST:
        return -np.inf
    before, after = range(max(0, at - GROUP), at), range(at, min(count, at + GROUP))
    across = [pairs(i, j) for i in before for j in after if j - i <= GROUP]
    within = [
        float(np.median([pairs(i, j) for i in side for j in side if 0 < j - i <= 2]))
        for side in (before, after)
        if len(side) > 1
    ] or [ALIKE]
    least, usual = min(across), float(np.median(across))
    return 5.3 * least - 2.2 * usual - 0.9 * (max(within) + min(within)) + 0.4


def dissolves(thumbnails: Sequence[Floats], cuts: Sequence[int] = ()) -> list[Dissolve]:
    """Find the stretches without a cut whose frames are mixtures of their ends, numbered from the first thumbnail."""
    count = len(thumbnails)
    light = [_light(one) for one in thumbnails]
    texture = [_texture(one) for one in thumbnails]
    good: list[tuple[float, int, int]] = []
    for length in LENGTHS:
        for start in range(count - length):
            stop = start + length
            if any(start < cut <= stop for cut in cuts):
                continue
            left = _left(texture, start, stop)
            if left > MOST_LEFT or _astray(light, start, stop, (start + length // 2,)) > MOST_ASTRAY:
                continue
            astray = _astray(light, start, stop, range(start + 1, stop, max(1, length // 8)))
            if astray < MOST_ASTRAY:
                # A part of a dissolve is a dissolve too: the longest that is as even counts.
                good.append((astray + left / 2 - LONGER * float(np.log(length)), start, stop))
    found: list[Dissolve] = []
    for _, start, stop in sorted(good):
        if any(start <= one.last + 1 and stop >= one.first - 1 for one in found):
            continue
        left = _left(texture, start, stop)
        astray = _astray(light, start, stop, range(start + 1, stop, max(1, (stop - start) // 8)))
        differ = min(max(unlike(thumbnails[start], thumbnails[stop]) + 2, 0), 2)
        if LEFT * (MOST_LEFT - left - max(0, astray - EVEN)) + UNLIKE * differ > ENOUGH:
            found.append(Dissolve(start + 1, stop - 1, 1 - left / (2 * MOST_LEFT)))
    return sorted(found, key=lambda one: one.first)


def fades(thumbnails: Sequence[Floats]) -> list[Dissolve]:
    """Find the stretches over which one picture's light falls evenly to nothing or rises from it; numbered from the
    first thumbnail."""
    light = [np.maximum(_light(one) - np.float32(TOE), 0) for one in thumbnails]
    level = np.array([float(one.mean()) for one in light])
    good: list[tuple[float, int, int, float]] = []
    for length in LENGTHS:
        for start in range(len(light) - length):
            stop = start + length
            full, black = (start, stop) if level[start] > level[stop] else (stop, start)
            if level[full] < DIM or level[black] > BLACK * level[full]:
                continue
            wanted = np.abs(np.arange(start, stop + 1) - black) / length
            astray = _faded(light[full], light[start : stop + 1], wanted)
            if astray < MOST_FADED:
                good.append((astray - 1.5 * LONGER * float(np.log(length)), start, stop, astray))
    found: list[Dissolve] = []
    for _, start, stop, astray in sorted(good):
        if not any(start < one.last and stop > one.first for one in found):
            found.append(Dissolve(start + 1, stop - 1, 1 - astray / (2 * MOST_FADED)))
    return sorted(found, key=lambda one: one.first)


def _faded(full: Floats, light: Sequence[Floats], wanted: npt.NDArray[np.float64]) -> float:
    """Return how far frames are from that part of `full` which is wanted of each: the mean error of their shares, and
    what is another picture."""
    power = float(full @ full)
    shares = np.array([float(one @ full) / power for one in light])
    rest = [float(((one - s * full) ** 2).sum()) / power for one, s in zip(light, shares, strict=True)]
    return float(np.mean(np.abs(shares - wanted)) + np.mean(np.sqrt(rest)) / 3)


def _texture(one: Floats) -> float:
    """Return the power of a thumbnail's fine structure, of its luma in stops."""
    luma = ndimage.gaussian_filter(one[0], 0.6)
    return float(np.mean(np.abs(luma - ndimage.gaussian_filter(luma, 3)))) ** 2


def _left(texture: Sequence[float], start: int, stop: int) -> float:
    """Return how much of the ends' texture is left half way: pictures that move keep it, a mixture has about half."""
    share = (np.arange(start, stop + 1) - start) / (stop - start)
    even = (1 - share) * texture[start] + share * texture[stop]
    middle = (share > 0.3) & (share < 0.7)
    return float(np.median((np.asarray(texture[start : stop + 1]) / np.maximum(even, 1e-6))[middle]))


def _light(one: Floats) -> Floats:
    """Return a thumbnail's linear light, blurred so that what moves a little stays where it is."""
    luma, red, blue = one
    green = luma - (red + blue) / 4
    light = np.exp2(np.stack([green + red, green, green + blue]))
    return np.asarray(ndimage.gaussian_filter(light, (0, 4, 4))[:, ::3, ::3], np.float32).ravel()


def _astray(light: Sequence[Floats], start: int, stop: int, inside: Sequence[int]) -> float:
    """Return how far the frames inside are from even mixtures of the ends: the mean error of their shares, and what
    neither end explains; infinity where they are none at all."""
    first, last = light[start], light[stop]
    found = []
    for at in inside:
        frame = light[at]
        weight = 1 / (0.05 + first + last + frame)
        a, b, m = (v * weight for v in (first, last, frame))
        aa, bb, ab, am, bm, mm = (float(x @ y) for x, y in ((a, a), (b, b), (a, b), (a, m), (b, m), (m, m)))
        det = aa * bb - ab * ab
        if det < 0.05 * aa * bb:
            return float("inf")
        of_first, of_last = max(0.0, am * bb - bm * ab) / det, max(0.0, bm * aa - am * ab) / det
        if of_first + of_last == 0:
            return float("inf")
        rest = max(0.0, mm - of_first * am - of_last * bm) / mm
        share = of_last / (of_first + of_last)
        found.append(abs(share - (at - start) / (stop - start)) + rest / 3)
    return float(np.mean(found))
