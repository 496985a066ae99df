"""Grain that was laid in, measured on the pictures it was laid into: what they are now less what they were."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.nodes.grain.domain import Coding
from safelight.nodes.grain.likeness import Grain, Readings, compact
from safelight.nodes.grain.residual import REACH, SIDE, cut

Floats = npt.NDArray[np.float64]

FEWEST = 6
"""Blocks that a figure must rest on, as in a survey."""
_PER_FRAME = 4096  # blocks of a frame, spread evenly
_HALF_STOPS = 16
_GREY = 0.18


def laid_grain(
    pairs: Iterable[tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]], coding: Coding, names: Sequence[str]
) -> Grain:
    """Measure the difference of two pictures in the domain, block by block, over classes of half a stop.

    Parameters
    ----------
    pairs:
        (before, after), each (C, H, W) plate values. Of the blocks that are finite, the calmer half before is taken,
        so that the level of a block says what its pixels were.

    Returns
    -------
    Grain; silent where nothing was laid in or fewer than six blocks can be measured.
    """
    noise: list[Floats] = []
    level: list[Floats] = []
    for before, after in pairs:
        a, b = cut(before), cut(after)
        every = max(1, -(-len(a) // _PER_FRAME))
        a, b = a[every // 2 :: every].astype(np.float64), b[every // 2 :: every].astype(np.float64)
        good = np.isfinite(a).all((1, 2, 3)) & np.isfinite(b).all((1, 2, 3))
        a, b = a[good], b[good]
        if not len(a):
            continue
        code = coding.encode(a.swapaxes(0, 1)).swapaxes(0, 1)
        calm = np.argsort(code.var((2, 3)).sum(1), kind="stable")[: max(FEWEST, len(a) // 2)]
        noise.append(coding.encode(b[calm].swapaxes(0, 1)).swapaxes(0, 1) - code[calm])
        level.append(b[calm].mean((2, 3)))
    count = len(names)
    white = np.zeros((count, REACH + 1, REACH + 1))
    white[:, 0, 0] = 1
    nothing = Readings(np.zeros(0), np.zeros(0), np.zeros(0))
    if not noise:
        return Grain(dict.fromkeys(names, nothing), white, np.eye(count))
    return _gathered(np.concatenate(noise), np.concatenate(level), names, white)


def _gathered(noise: Floats, level: Floats, names: Sequence[str], white: Floats) -> Grain:
    stops = np.log2(np.maximum(level, 1e-9) / _GREY)
    classes = np.clip(np.round(2 * stops), -_HALF_STOPS, _HALF_STOPS).astype(np.int64)
    unit = np.zeros_like(noise)
    readings: dict[str, Readings] = {}
    for c, name in enumerate(names):
        rows = []
        for index in np.unique(classes[:, c]):
            mine = classes[:, c] == index
            part = noise[mine, c]
            if len(part) < FEWEST or (variance := float(part.var())) <= 0:
                continue
            spread = ((part - part.mean()) ** 2).mean((1, 2)).std(ddof=1) / len(part) ** 0.5
            rows.append((float(level[mine, c].mean()), variance**0.5, 0.5 * float(spread) / variance**0.5))
            unit[mine, c] = (part - part.mean()) / variance**0.5
        table = np.array(sorted(rows)).reshape(-1, 3)
        readings[name] = Readings(table[:, 0], table[:, 1], table[:, 2])
    shapes = white.copy()
    for c in range(len(names)):
        full = unit[:, c][np.any(unit[:, c] != 0, axis=(1, 2))]
        if len(full):
            shapes[c] = compact(_autocorrelation(full), float(len(full)))
    flat = unit.swapaxes(0, 1).reshape(len(names), -1)
    strength = np.sqrt((flat**2).sum(1))
    shared = flat @ flat.T / np.maximum(np.outer(strength, strength), 1e-12)
    np.fill_diagonal(shared, 1)
    return Grain(readings, shapes, np.clip(shared, -1, 1))


def _autocorrelation(blocks: npt.NDArray[Any]) -> Floats:
    """Return (REACH + 1, REACH + 1) of blocks (n, SIDE, SIDE) without a mean, at lags |dy|, |dx|."""
    wide = np.fft.rfft2(blocks, (2 * SIDE, 2 * SIDE))
    both = np.fft.irfft2((np.abs(wide) ** 2).mean(0), (2 * SIDE, 2 * SIDE))
    both = 0.5 * (both[: REACH + 1] + both[-np.arange(REACH + 1)])
    both = both[:, : REACH + 1]
    pairs = SIDE - np.arange(REACH + 1)
    out = both / np.outer(pairs, pairs)
    return np.asarray(out / out[0, 0])
