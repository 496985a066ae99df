"""The grid that a codec's blocks leave in a picture: period and phase along each axis, and how strongly it shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
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
    """Median step of the lowest coefficients of 8 × 8 blocks, in 8-bit codes; 0 where none shows."""

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
        """Return a fifth of the quantiser's step in 8-bit codes: measured, or else by how strongly the grid shows, as
        fitted on MPEG-1 matrices at scales from 8 to 28 (15 %). A measure more than a factor of 2 from that is of no
        use: movies hold frames predicted from others, whose coefficients lie on no comb of their own."""
        shown = 2.0 * self.excess**2 + 1.6 * self.excess
        return self.quantiser / 5 if shown / 2 < self.quantiser / 5 < 2 * shown else shown

    @property
    def plain(self) -> bool:
        """Tell whether the blocks are as coded, not scaled since: on a grid of 4, 8 or 16 whole pixels."""
        return all(
            axis.period in (4, 8, 16) and abs(axis.phase - round(axis.phase)) < 0.01 for axis in (self.x, self.y)
        )

    def as_data(self) -> dict[str, Any]:
        """Return plain data, rounded for a person."""
        rounded = [{key: round(value, 4) for key, value in asdict(axis).items()} for axis in (self.x, self.y)]
        return {"found": self.found, "x": rounded[0], "y": rounded[1], "quantiser": round(self.quantiser, 4)}

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Blocks:
        """Invert `as_data`."""
        return cls(Axis(**data["x"]), Axis(**data["y"]), data["quantiser"])


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
_STEPS = np.geomspace(6, 160, 480)


def quantiser(luma: npt.NDArray[Any], x0: int, y0: int) -> float:
    """Return the median step of the lowest coefficients of 8 × 8 blocks from (x0, y0) on, in 8-bit codes; 0 where fewer
    than half of them lie on a comb. Only what no later frame has changed does: still frames, and key frames of movies.
    """
    part = np.nan_to_num(np.asarray(luma, np.float64)[y0 % 8 :, x0 % 8 :], posinf=0.0, neginf=0.0)
    h, w = (n // 8 * 8 for n in part.shape)
    blocks = part[:h, :w].reshape(h // 8, 8, w // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)
    found = dctn(blocks[:: max(1, len(blocks) // _BLOCKS)], axes=(1, 2), norm="ortho")
    sizes = [_comb(found[:, v, u]) for v, u in LOWEST]
    shown = [size for size in sizes if size]
    return float(np.median(shown)) if 2 * len(shown) >= len(LOWEST) else 0.0


def _comb(values: Floats) -> float:
    values = values[np.abs(values) > 4]
    best, at = 0.0, 0.0
    for step in _STEPS:
        far = values[np.abs(values) > step / 2]
        if len(far) < 12:
            break
        fit = float(np.cos(2 * np.pi / step * far).mean())
        if fit > 0.6 and fit > 0.8 * best:
            best, at = max(best, fit), float(step)
    return at
