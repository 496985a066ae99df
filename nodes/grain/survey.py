"""Survey of a plate's noise: which blocks hold nothing else, and what they say in figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.nodes.grain.domain import Coding
from safelight.nodes.grain.noise import Noise, estimate
from safelight.nodes.grain.patch import FEWEST
from safelight.nodes.grain.residual import (
    REACH,
    Blocks,
    autocovariance,
    broad,
    cut,
    measure,
    piled_up,
    spread,
    usable,
)

Floats = npt.NDArray[np.float64]

_PER_FRAME = 8192  # blocks of a frame, spread evenly: memory does not grow with the picture
_GREY = 0.18
_HALF_STOPS = 16  # from mid-grey to either end of the classes of level
_CLOSE = (5.0, 4.0, 3.0, 3.0, 3.0)  # standard deviations a block's energy may be off, round by round
_CALM = 32  # blocks of a class that are kept at least when the busier ones are left out
_MODE = 20  # blocks of a class whose most frequent energy is trusted over the first guess
_LEAST, _MOST = 0.2, 6.0  # of the energy first guessed; a held frame has none
_ALIKE = 1.05  # variance that a temporal figure may have over a spatial one and still be the better founded


@dataclass(frozen=True)
class Reading:
    """One class of level of one channel."""

    level: float
    variance: float
    linear: float
    """Variance in plate values."""
    error: float
    """Standard error of `variance`."""
    blocks: int
    temporal: bool


@dataclass(frozen=True)
class Survey:
    """All figures. `readings` is empty for a plate without noise."""

    readings: list[list[Reading]]
    """By channel, by level."""
    correlation: Floats
    """(C, REACH + 1, REACH + 1) autocorrelation."""
    channels: Floats
    """(C, C) correlation of the channels."""
    blocks: Floats
    """(C,) blocks behind the autocorrelation."""
    usable: int
    """Blocks that were finite and not clipped."""
    remarks: tuple[str, ...] = ()
    """What speaks against the measurement, for a person."""


@dataclass
class _Kind:
    """Blocks got in one way, and which of them hold noise alone."""

    blocks: Blocks
    temporal: bool
    classes: npt.NDArray[np.int64]
    guess: Floats
    alone: npt.NDArray[np.bool_]
    """(n, C): taken for noise alone."""


def survey(frames: Iterable[tuple[int, npt.NDArray[np.float32]]], coding: Coding) -> Survey:
    """Measure the noise of a plate.

    Parameters
    ----------
    frames:
        (number, (C, H, W) plate values), ascending. Two frames that follow each other make a pair; none is in two.
    """
    found: dict[bool, list[Blocks]] = {False: [], True: []}
    count = 1

    def watched() -> Iterable[npt.NDArray[np.float32]]:
        nonlocal count
        last: tuple[int, npt.NDArray[np.float32]] | None = None
        for number, planes in frames:
            count = len(planes)
            if last is not None and last[0] == number - 1:
                _collect(found, last[1], planes, coding)
                last = None
            else:
                if last is not None:
                    _collect(found, last[1], None, coding)
                last = number, planes
            yield planes
        if last is not None:
            _collect(found, last[1], None, coding)

    noise = estimate(watched(), coding)
    count_usable = sum(len(part.level) for part in found[False])
    white = np.zeros((count, REACH + 1, REACH + 1))
    white[:, 0, 0] = 1
    if noise.silent or count_usable < FEWEST:
        return Survey([[] for _ in range(count)], white, np.eye(count), np.zeros(count), count_usable, noise.remarks)
    kinds = [_kind(Blocks.join(parts), temporal, noise, coding) for temporal, parts in found.items() if parts]
    correlation = white
    for turn in range(3):  # the spread of blocks' energy follows from the spectrum, which follows from the blocks
        for kind in kinds:
            _choose(kind, correlation, turn == 0)
        chosen = _better(kinds, correlation)
        correlation, blocks, channels = _shape(kinds, chosen, correlation)
    return Survey(_read(kinds, chosen, correlation), correlation, channels, blocks, count_usable, noise.remarks)


def _collect(
    found: dict[bool, list[Blocks]],
    first: npt.NDArray[np.float32],
    second: npt.NDArray[np.float32] | None,
    coding: Coding,
) -> None:
    """Measure the blocks of a frame, and of its difference from the next."""
    a = cut(first)
    every = max(1, -(-len(a) // _PER_FRAME))
    good, raw, code = usable(a[every // 2 :: every], piled_up(first), coding)
    if second is None or second.shape != first.shape:
        if good.any():
            found[False].append(measure(code[good], raw[good], raw[good].mean((2, 3), dtype=np.float64)))
        return
    good_b, raw_b, code_b = usable(cut(second)[every // 2 :: every], piled_up(second), coding)
    good &= good_b
    if not good.any():
        return
    raw, code, raw_b, code_b = raw[good], code[good], raw_b[good], code_b[good]
    found[False].append(measure(code, raw, raw.mean((2, 3), dtype=np.float64), code_b))
    half = np.float32(0.5**0.5)
    level = 0.5 * (raw + raw_b).mean((2, 3), dtype=np.float64)
    found[True].append(measure((code_b - code) * half, (raw_b - raw) * half, level, (code + code_b) * half))


def _kind(blocks: Blocks, temporal: bool, noise: Noise, coding: Coding) -> _Kind:
    stops = np.log2(np.maximum(blocks.level, 1e-9) / _GREY)
    classes = np.clip(np.round(2 * stops), -_HALF_STOPS, _HALF_STOPS).astype(np.int64) + _HALF_STOPS
    levels = coding.encode(blocks.level.T)
    at = np.linspace(noise.low, noise.high, noise.sigma.shape[1])
    pixel = float(noise.spectrum.mean())
    guess = np.stack([np.interp(row, at, sigma) ** 2 for row, sigma in zip(levels, noise.sigma, strict=True)], axis=1)
    return _Kind(blocks, temporal, classes, guess * pixel, np.ones(classes.shape, bool))


def _energy(blocks: Blocks, correlation: Floats) -> Floats:
    """Return the variance each block tells, (n, C)."""
    means = np.array([spread(one).mean for one in correlation])
    return np.asarray(np.diagonal(blocks.cross, axis1=1, axis2=2) / means)


def _mode(values: Floats) -> float:
    """Return where values are densest: the half-sample mode (Robertson and Cryer 1974)."""
    x = np.sort(values)
    while len(x) > 8:
        half = len(x) // 2
        start = int(np.argmin(x[half:] - x[: len(x) - half]))
        x = x[start : start + half + 1]
    return float(x.mean())


def _choose(kind: _Kind, correlation: Floats, first: bool) -> None:
    """Find the blocks whose energy, in every channel, is that of most blocks of their level; in all but the first
    round also its broad part, which slow changes of the picture lift most. Faint texture is left: of these blocks the
    calmest are kept, judged by what has independent noise, so that the choice does not make noise look weaker: the
    pair's sum for its difference, the other frame for a frame."""
    energy = _energy(kind.blocks, correlation)
    facts = [spread(one) for one in correlation]
    wide = np.maximum([fact.relative for fact in facts], 0.05)
    count = energy.shape[1]
    columns = np.arange(count)
    level = np.ones((count, 2 * _HALF_STOPS + 1))
    sane = (energy > _LEAST * kind.guess) & (energy < _MOST * kind.guess)
    groups = [(c, index) for c in range(count) for index in np.unique(kind.classes[:, c])]
    for c, index in groups:
        mine = sane[:, c] & (kind.classes[:, c] == index)
        if mine.sum() >= _MODE:
            level[c, index] = np.exp(_mode(np.log(energy[mine, c] / kind.guess[mine, c])))
    alone: npt.NDArray[np.bool_] = np.asarray(sane.all(1))
    for turn, close in enumerate(_CLOSE):
        expected = kind.guess * level[columns, kind.classes]
        ratio = energy / expected
        alone = np.asarray((sane & (np.abs(ratio - 1) < close * wide)).all(1))
        if not first and alone.sum() >= _MODE:
            part = broad(kind.blocks.sums) / expected
            for c, fact in enumerate(facts):
                usual = np.exp(_mode(np.log(np.maximum(part[alone, c], 1e-12))))
                alone = np.asarray(alone & (np.abs(part[:, c] / usual - 1) < 2.5 * fact.broad))
        for c, index in groups:
            mine = alone & (kind.classes[:, c] == index)
            if mine.any():
                level[c, index] *= np.median(ratio[mine, c]) if turn < 2 else ratio[mine, c].mean()
    kind.alone = np.repeat(alone[:, None], count, axis=1)
    busy = (kind.blocks.judge / kind.guess).sum(1)
    for c, index in groups:
        mine = np.flatnonzero(alone & (kind.classes[:, c] == index) & (busy > 0))
        keep = max(_CALM, len(mine) // 4)
        kind.alone[mine[np.argsort(busy[mine], kind="stable")[keep:]], c] = False


def _better(kinds: list[_Kind], correlation: Floats) -> list[npt.NDArray[np.bool_]]:
    """Return for each kind (C, classes): whether its figure is the one to take."""
    count = kinds[0].guess.shape[1]
    n = np.zeros((2, count, 2 * _HALF_STOPS + 1), np.int64)
    mean = np.full(n.shape, np.inf)
    for kind in kinds:
        energy = _energy(kind.blocks, correlation)
        for c in range(count):
            for index in np.unique(kind.classes[kind.alone[:, c], c]):
                mine = kind.alone[:, c] & (kind.classes[:, c] == index)
                n[int(kind.temporal), c, index] = mine.sum()
                mean[int(kind.temporal), c, index] = energy[mine, c].mean()
    enough = n >= FEWEST
    temporal = enough[1] & (~enough[0] | (mean[1] <= _ALIKE * mean[0]))
    return [temporal if kind.temporal else enough[0] & ~temporal for kind in kinds]


def _taken(kind: _Kind, chosen: npt.NDArray[np.bool_], middle: bool) -> npt.NDArray[np.bool_]:
    """Return (n, C): blocks that count for a channel; `middle` leaves out deep shadows and bright lights."""
    count = chosen.shape[0]
    taken = kind.alone & chosen[np.arange(count), kind.classes]
    return np.asarray(taken & (np.abs(kind.classes - _HALF_STOPS) <= 8)) if middle else np.asarray(taken)


def _shape(
    kinds: list[_Kind], chosen: list[npt.NDArray[np.bool_]], correlation: Floats
) -> tuple[Floats, Floats, Floats]:
    """Return autocorrelation, blocks behind it, correlation of the channels, all of noise scaled to one strength."""
    count = correlation.shape[0]
    middle = sum(int(_taken(k, c, True).all(1).sum()) for k, c in zip(kinds, chosen, strict=True)) >= 64
    sums = np.zeros((count, (REACH + 1) ** 2))
    blocks = np.zeros(count)
    cross = np.zeros((count, count))
    for kind, mine in zip(kinds, chosen, strict=True):
        taken = _taken(kind, mine, middle)
        energy = _energy(kind.blocks, correlation)
        scale = np.ones_like(energy)
        for c in range(count):
            for index in np.unique(kind.classes[taken[:, c], c]):
                inside = kind.classes[:, c] == index
                scale[inside, c] = energy[inside & taken[:, c], c].mean()
            sums[c] += (kind.blocks.sums[taken[:, c], c] / scale[taken[:, c], c, None]).sum(0)
            blocks[c] += taken[:, c].sum()
        every = taken.all(1)
        root = np.sqrt(scale[every])
        cross += (kind.blocks.cross[every] / (root[:, :, None] * root[:, None])).sum(0)
    covariance = autocovariance(sums / np.maximum(blocks, 1)[:, None])
    variance = covariance[:, :1, :1]
    shape = np.where(variance > 0, covariance / np.where(variance > 0, variance, 1), correlation)
    strength = np.sqrt(np.diagonal(cross))
    if not (strength > 0).all():
        return shape, blocks, np.eye(count)
    return shape, blocks, np.clip(cross / np.outer(strength, strength), -1, 1)


def _read(kinds: list[_Kind], chosen: list[npt.NDArray[np.bool_]], correlation: Floats) -> list[list[Reading]]:
    facts = [spread(one).mean for one in correlation]
    readings: list[list[Reading]] = [[] for _ in facts]
    for kind, mine in zip(kinds, chosen, strict=True):
        energy = _energy(kind.blocks, correlation)
        for c, fact in enumerate(facts):
            for index in np.flatnonzero(mine[c]):
                inside = kind.alone[:, c] & (kind.classes[:, c] == index)
                if (n := int(inside.sum())) < FEWEST:
                    continue
                readings[c].append(
                    Reading(
                        float(kind.blocks.level[inside, c].mean()),
                        float(energy[inside, c].mean()),
                        float(kind.blocks.linear[inside, c].mean() / fact),
                        float(energy[inside, c].std(ddof=1) / n**0.5),
                        n,
                        kind.temporal,
                    )
                )
    return [sorted(rows, key=lambda row: row.level) for rows in readings]
