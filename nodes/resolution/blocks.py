"""The grid that a codec's blocks leave in a picture: period and phase along each axis, and how strongly it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import dctn

Floats = npt.NDArray[np.float64]

CAP = 6.0
"""8-bit codes that a step counts for at most: edges of the picture are no blocks."""
LONGEST, SHORTEST = 40.0, 3.9
"""Periods looked for, in pixels."""
CLEAR = 5.0
"""How far a grid must stand out: pictures without blocks stay under 4."""
FAINT = 0.2
"""Least excess, in 8-bit codes, that is worth touching."""
PART = 1024
"""Pixels of a side, in the middle of a frame, that the quantiser is sought in."""
UNEVEN = 1.5
"""A frame whose grid stands out that much over that of the middling one is a key frame among predicted ones."""
FAINTER = 1.6
"""How much coarser a movie's quantiser is than its grids show: prediction moves them about, so that they are fainter
than what was lost. Measured on MPEG-2 and MPEG-4: 1.5 to 2.7."""


@dataclass(frozen=True)
class Axis:
    """A grid along one axis: edges between pixels at phase + n · period, 0 at the left or upper edge of pixel 0."""

    period: float
    phase: float
    excess: float
    """Mean step at the grid over those beside it, in 8-bit codes, capped at CAP each."""
    clear: float
    """Height over what chance makes, in standard deviations."""


@dataclass(frozen=True)
class Blocks:
    """The grid of a shot."""

    x: Axis
    y: Axis
    quantiser: float = 0.0
    """Median step of the lowest coefficients of 8 × 8 blocks, in 8-bit codes; 0 where it is not known."""
    keys: tuple[tuple[int, float], ...] = ()
    """Frames that show the quantiser, in their order, and its step there."""
    predicted: bool = False
    """Whether most frames are predicted from others; of one frame (`at`), whether it is."""

    @property
    def found(self) -> bool:
        """Tell whether there is a grid, along both axes alike."""
        both = min(self.x.clear, self.y.clear) >= 0.6 * CLEAR and max(self.x.clear, self.y.clear) >= CLEAR
        return both and self.excess >= FAINT

    @property
    def excess(self) -> float:
        """Mean of both axes."""
        return (self.x.excess + self.y.excess) / 2

    @property
    def step(self) -> float:
        """Return a fifth of the quantiser's step in 8-bit codes: measured, or else by how strongly the grid shows."""
        return self.quantiser / 5 or self.shown

    @property
    def shown(self) -> float:
        """Return what the grid shows of that: as fitted on MPEG-1 matrices at scales from 8 to 28 (15 %)."""
        return 2.0 * self.excess**2 + 1.6 * self.excess

    def at(self, frame: int) -> Blocks:
        """Return the grid with the quantiser of a frame: between those of the frames around that show it, evenly from
        one to the other, so that nothing jumps where a coder changed it, and no more than that of the shot: what is
        predicted from a frame coarser than most is often finer, and too much taken costs more than too little.
        """
        if not self.keys:
            return self
        frames, sizes = zip(*self.keys, strict=True)
        around = float(np.exp(np.interp(frame, frames, np.log(sizes))))
        predicted = self.predicted and frame not in frames
        return replace(self, quantiser=min(around, self.quantiser), predicted=predicted)

    @property
    def plain(self) -> bool:
        """Tell whether the blocks are as coded, not scaled since: on a grid of 4, 8 or 16 whole pixels."""
        return all(
            axis.period in (4, 8, 16) and abs(axis.phase - round(axis.phase)) < 0.01 for axis in (self.x, self.y)
        )

    def as_data(self) -> dict[str, Any]:
        """Return plain data, rounded for a person."""
        rounded = [{key: round(value, 4) for key, value in asdict(axis).items()} for axis in (self.x, self.y)]
        keys = [[frame, round(size, 4)] for frame, size in self.keys]
        shown = {"quantiser": round(self.quantiser, 4), "keys": keys, "predicted": self.predicted}
        return {"found": self.found, "x": rounded[0], "y": rounded[1], **shown}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Blocks:
        """Invert `as_data`."""
        keys = tuple((int(frame), float(size)) for frame, size in data["keys"])
        return cls(Axis(**data["x"]), Axis(**data["y"]), data["quantiser"], keys, data["predicted"])


class Search:
    """Looks for the grid of a shot, and for how coarse the quantiser was, frame by frame; of a known period if given.

    The frames that show the quantiser tell of those between: a movie's key frames show it, those predicted from others
    lie on no comb, but lost as much. Where none does and the grid stands out in some frames and not in others, as it
    does in movies, it is taken to be FAINTER times as coarse as the grid shows.
    """

    def __init__(self, period: float | None = None) -> None:
        self._period = period
        self._profiles: list[tuple[Floats, Floats]] = []
        self._parts: list[npt.NDArray[Any]] = []
        self._frames: list[int] = []
        self._corner = (0, 0)
        self._cut = (0, 0)

    def look(self, frame: int, luma: npt.NDArray[Any], x0: int = 0, y0: int = 0) -> None:
        """Look at a frame in 8-bit codes, (H, W), its first pixel at (x0, y0); in order, of one size and place."""
        self._frames.append(frame)
        top, left = (max(0, (size - PART) // 2) for size in luma.shape)
        self._corner, self._cut = (x0, y0), (x0 + left, y0 + top)
        self._profiles.append((steps(luma, 1), steps(luma, 0)))
        self._parts.append(luma[top : top + PART, left : left + PART].copy())

    def found(self) -> Blocks:
        """Return what there is; at least one frame must have been looked at."""
        across, down = (np.mean(axis, axis=0) for axis in zip(*self._profiles, strict=True))
        (x0, y0), (left, top) = self._corner, self._cut
        blocks = Blocks(grid(across, x0, self._period), grid(down, y0, self._period))
        if not (blocks.found and blocks.plain):
            return blocks
        place = round(blocks.x.phase) - left, round(blocks.y.phase) - top
        keys = _steady(
            [
                (frame, size)
                for frame, part in zip(self._frames, self._parts, strict=True)
                if (size := quantiser(part, *place))
            ]
        )
        if keys:
            middle = float(np.median([size for _, size in keys]))
            return replace(blocks, quantiser=middle, keys=keys, predicted=2 * len(keys) < len(self._frames))
        shown = [_standing(x, blocks.x, x0) + _standing(y, blocks.y, y0) for x, y in self._profiles]
        movie = max(shown) > UNEVEN * float(np.median(shown))
        return replace(blocks, quantiser=5 * FAINTER * blocks.shown, predicted=True) if movie else blocks


def _steady(keys: list[tuple[int, float]]) -> tuple[tuple[int, float], ...]:
    """Return the steps with each but the first and the last the median of it and its neighbours: one that is misread
    must not show."""
    sizes = [size for _, size in keys]
    inner = [float(np.median(sizes[k - 1 : k + 2])) for k in range(1, len(sizes) - 1)]
    return tuple(zip([frame for frame, _ in keys], [*sizes[:1], *inner, *sizes[1:][-1:]], strict=True))


def steps(luma: npt.NDArray[Any], axis: int) -> Floats:
    """Return, for each edge between pixels along the axis, by how much the step over it exceeds those beside it,
    capped, mean over all else; luma in 8-bit codes. What is not finite counts as no step.

    >>> steps(np.array([[0.0, 0, 0, 4, 4, 4]]), 1).tolist()
    [0.0, 0.0, 4.0, 0.0, 0.0]
    """
    plane = np.moveaxis(np.asarray(luma, np.float32), axis, -1)
    with np.errstate(invalid="ignore"):
        size = np.abs(np.diff(plane, axis=-1))
        over = size[..., 1:-1] - np.float32(0.5) * (size[..., :-2] + size[..., 2:])
    found = np.zeros(max(0, plane.shape[-1] - 1))
    if over.size:
        capped = np.clip(np.nan_to_num(over, nan=0.0, posinf=0.0, neginf=0.0), -CAP, CAP)
        found[1:-1] = capped.reshape(-1, over.shape[-1]).mean(0, dtype=np.float64)
    return found


def grid(profile: Floats, first: int = 0, period: float | None = None) -> Axis:
    """Return the grid in a profile of `steps`, whose first pixel lies at `first`; of a known period if given."""
    n = len(profile)
    if n < 4 * SHORTEST + 2:
        return Axis(8.0, 0.0, 0.0, 0.0)
    level = np.median(profile)
    spread = 1.4826 * np.median(np.abs(profile - level)) + 1e-3
    wave = np.clip(profile - level, -4 * spread, 12 * spread + 1)
    wave[[0, -1]] = 0
    wave -= wave.mean()
    size = 1 << (8 * n - 1).bit_length()
    power = np.abs(np.fft.rfft(wave, size))
    noise = np.sqrt(n) * min(float(np.std(wave)), 2 * spread) + 1e-9
    candidates = np.arange(max(1, int(size / LONGEST)), int(size / SHORTEST) + 1)
    score = np.zeros(len(candidates))
    count = np.zeros(len(candidates))
    for harmonic in (1, 2, 3):
        inside = candidates * harmonic <= size // 2
        score[inside] += power[candidates[inside] * harmonic]
        count += inside
    score /= np.sqrt(count)
    known, best = period is not None, int(np.argmax(score))
    period = period or size / candidates[best]
    if not known and abs(period - round(period)) < period * period / (4 * n):
        period = float(round(period))
    at = best if not known else int(np.clip(round(size / period) - candidates[0], 0, len(score) - 1))
    clear = float(score[at] / noise)
    phase, excess = _phase(profile, period, level)
    # A comb of one period is one of a half and a third of it too: where only every second or third edge is strong, the
    # blocks are that much larger.
    times = 2 if not known else 4
    while times <= 3 and times * period <= LONGEST:
        means = [_on(profile, times * period, phase + part * period) - level for part in range(times)]
        strongest = int(np.argmax(means))
        if sorted(means)[-2] > 0.6 * means[strongest]:
            times += 1
            continue
        phase, excess, period, times = phase + strongest * period, means[strongest], times * period, 2
    return Axis(float(period), float((phase + first) % period), float(excess), clear)


def _phase(profile: Floats, period: float, level: float) -> tuple[float, float]:
    places = np.arange(0, period, 1.0 if period == round(period) else 0.1)
    means = [_on(profile, period, phase) - level for phase in places]
    best = int(np.argmax(means))
    return float(places[best]), float(means[best])


def _standing(profile: Floats, axis: Axis, first: int = 0) -> float:
    """Return by how much a profile of `steps` stands out at a known grid, in 8-bit codes, as `grid` does."""
    return _on(profile, axis.period, (axis.phase - first) % axis.period) - float(np.median(profile))


def _on(profile: Floats, period: float, phase: float) -> float:
    """Return the mean of the profile at a grid's edges; edge i lies between pixels i and i + 1, at i + 1."""
    n = len(profile)
    edges = phase + period * np.arange(np.ceil((2 - phase) / period), np.floor((n - 2 - phase) / period) + 1)
    at = np.rint(edges).astype(int) - 1
    at = at[(at > 0) & (at < n - 1)]
    return float(profile[at].mean()) if len(at) else 0.0


LOWEST = tuple((v, u) for v in range(5) for u in range(5) if 1 <= u + v <= 4)
"""Coefficients whose steps are sought."""
_BLOCKS = 4000
_STEPS = np.geomspace(5, 160, 500)
_BIN, _MOST = 0.25, 600.0
"""Coefficients are counted in bins of that width, up to there."""
_NONE = 4.0
"""Coefficients up to that are no sign of a step."""
_FEWEST = 12
_ODD = 0.75
"""Odd multiples of half a step begin at one and a half steps; what is under that many says nothing of them."""


def quantiser(luma: npt.NDArray[Any], x0: int, y0: int) -> float:
    """Return the median step of the lowest coefficients of 8 × 8 blocks from (x0, y0) on, in 8-bit codes as luma (H, W)
    is; 0 where fewer than half of them lie on a comb. Only what no later frame has changed does: still frames, and key
    frames of movies.

    Coefficients lie at whole multiples of the step, or (H.263, and MPEG-4 with its quantiser) at odd ones of its half.
    """
    part = np.nan_to_num(np.asarray(luma, np.float64)[y0 % 8 :, x0 % 8 :], posinf=0.0, neginf=0.0)
    h, w = (n // 8 * 8 for n in part.shape)
    blocks = part[:h, :w].reshape(h // 8, 8, w // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    found = dctn(blocks[:: max(1, len(blocks) // _BLOCKS)], axes=(1, 2), norm="ortho")
    sizes = _combs(np.stack([found[:, v, u] for v, u in LOWEST], 1))
    shown = [size for size in sizes if size]
    return float(np.median(shown)) if 2 * len(shown) >= len(LOWEST) else 0.0


def _combs(values: Floats) -> list[float]:
    """Return the step of the comb that each column of coefficients lies on, 0 where there is none."""
    size = round(_MOST / _BIN)
    bins = np.minimum(np.abs(values) / _BIN, size).astype(np.int64)
    counts = np.stack([np.bincount(column, minlength=size + 1)[:size] for column in bins.T], 1).astype(np.float64)
    whole, odd = _teeth()
    many, far = _beyond(counts, _STEPS / 2), _beyond(counts, _ODD * _STEPS)
    fits = np.maximum(whole @ counts / np.maximum(many, 1), odd @ counts / np.maximum(far, 1))
    out = []
    for column, enough in zip(fits.T, (many >= _FEWEST).T, strict=True):
        best, at = 0.0, 0.0
        for step, fit in zip(_STEPS[enough], column[enough], strict=True):
            if fit > 0.6 and fit > 0.8 * best:
                best, at = max(best, float(fit)), float(step)
        out.append(at)
    return out


def _beyond(counts: Floats, least: Floats) -> Floats:
    """Return how many coefficients of each column are larger than each limit (rows), and larger than _NONE."""
    above = np.cumsum(counts[::-1], axis=0)[::-1]
    return np.asarray(above[np.ceil(np.maximum(least, _NONE) / _BIN).astype(np.int64)])


@lru_cache(maxsize=1)
def _teeth() -> tuple[Floats, Floats]:
    """Return how well each bin (columns) fits whole and odd multiples for each of _STEPS (rows), -1 to 1."""
    edges = np.arange(round(_MOST / _BIN)) * _BIN
    fit = np.cos(2 * np.pi / _STEPS[:, None] * (edges + _BIN / 2))
    whole, odd = (np.where(edges >= np.maximum(least, _NONE)[:, None], fit, 0) for least in (_STEPS / 2, _ODD * _STEPS))
    return whole, -odd
