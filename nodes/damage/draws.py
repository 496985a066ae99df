"""Random numbers for damage, from counters alone: the same for any frame order, thread or tile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_GOLDEN = 0x9E3779B97F4A7C15
_MASK = 2**64 - 1


def mixed(*words: int) -> int:
    """Return a 64-bit hash of whole numbers, negative ones too (SplitMix64's finaliser over each).

    >>> mixed(1, 2) == mixed(1, 2), mixed(1, 2) == mixed(2, 1)
    (True, False)
    """
    value = 0
    for word in words:
        value = (value + (word & _MASK) + _GOLDEN) & _MASK
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 & _MASK
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB & _MASK
        value ^= value >> 31
    return value


class Draws:
    """A stream of numbers that belongs to a few words (seed, frame, kind, …).

    Made of Philox's raw words (Salmon et al. 2011), which numpy promises never to change; its distributions may.
    """

    def __init__(self, *words: int) -> None:
        key = mixed(*words)
        self._bits = np.random.Philox(key=key | mixed(key, 1) << 64)

    def uniform(self, count: int) -> Floats:
        """Return numbers in 0 <= u < 1."""
        raw: Any = self._bits.random_raw(count)
        return np.asarray(raw >> np.uint64(11), np.float64) * 2.0**-53

    def between(self, low: float, high: float) -> float:
        """Return one number from the interval."""
        return low + (high - low) * float(self.uniform(1)[0])

    def below(self, count: int) -> int:
        """Return one of 0 … count - 1."""
        return int(float(self.uniform(1)[0]) * count)

    def chance(self, share: float) -> bool:
        """Return True with this probability."""
        return float(self.uniform(1)[0]) < share

    def normal(self, count: int) -> Floats:
        """Return normal numbers (Box and Muller)."""
        first, second = self.uniform(2 * count).reshape(2, count)
        return np.asarray(np.sqrt(-2 * np.log(1 - first)) * np.cos(2 * np.pi * second))

    def poisson(self, mean: float) -> int:
        """Return a count with this mean (Knuth); above 30 the nearest whole number of a normal one."""
        if mean > 30:
            return max(0, round(mean + math.sqrt(mean) * float(self.normal(1)[0])))
        count, product, least = 0, float(self.uniform(1)[0]), math.exp(-mean)
        while product > least:
            count += 1
            product *= float(self.uniform(1)[0])
        return count


def wave(at: Floats, *words: int) -> Floats:
    """Return smooth noise from -1 to 1 along a line: a value at each whole number, joined smoothly.

    Defined for all `at`, so that what runs on over frames (a scratch along the film) needs no frame before it.
    """
    low = np.floor(at)
    part = at - low
    smooth = part * part * (3 - 2 * part)
    cells = low.astype(np.int64)
    key = np.uint64(mixed(*words))
    first, second = _hashed(cells, key), _hashed(cells + 1, key)
    return np.asarray(first + (second - first) * smooth)


def _hashed(cells: npt.NDArray[np.int64], key: np.uint64) -> Floats:
    with np.errstate(over="ignore"):
        v = cells.astype(np.uint64) * np.uint64(_GOLDEN) + key
        v = (v ^ (v >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        v = (v ^ (v >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        v ^= v >> np.uint64(31)
    return np.asarray((v >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1)
