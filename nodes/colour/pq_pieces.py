"""PQ and its inverse in pieces that a kernel evaluates without a power: see `pq.h`."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from safelight.colour.transfer import PQ_PEAK, pq, pq_light
from safelight.nodes.colour.code_pieces import OCTAVES, fitted, spread

Floats = npt.NDArray[np.float64]

COEFFICIENTS = 7
PIECES = 32


@lru_cache(maxsize=1)
def encoding() -> Floats:
    """Return (7, 32): the signal of light from 2^-32 to 1, of 10,000 cd/m², by octave."""
    light = 2.0 ** (np.arange(OCTAVES) - OCTAVES)[:, None] * (1 + spread())
    return fitted(pq(light * PQ_PEAK), COEFFICIENTS)


@lru_cache(maxsize=1)
def decoding() -> Floats:
    """Return (7, 32): light, of 10,000 cd/m², of signals from 0 to 1, in equal parts; good from 1/32 on."""
    return fitted(pq_light((np.arange(PIECES)[:, None] + spread()) / PIECES) / PQ_PEAK, COEFFICIENTS)
