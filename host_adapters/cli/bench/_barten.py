"""Barten's model of the eye: the least contrast it sees. Independent of everything that the figures judge.

References: Barten, Formula for the contrast sensitivity of the human eye, Proc. SPIE 5294 (2003), 231-238; Rep. ITU-R
BT.2246-4 (conditions for television, minimum detectable contrast), the model behind PQ's bits (Miller, Nezamabadi and
Daly, Perceptual signal coding for more efficient usage of bit codes, SMPTE Motion Imaging Journal 122, 2013).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

FIELD = 60.0
"""Angle of the picture, degrees."""
# Barten's constants for an observer with good vision between 20 and 30 years.
_SIGNAL_TO_NOISE = 3.0
_SPREAD, _SPREAD_PUPIL = 0.5 / 60, 0.08 / 60  # degrees, degrees a millimetre
_TIME = 0.1  # s
_LARGEST, _CYCLES = 12.0, 15.0  # degrees, cycles
_EFFICIENCY = 0.03
_PHOTONS = 1.2274e6  # photons a second, square degree and troland
_NEURAL = 3e-8  # s degrees²
_INHIBITION = 7.0  # cycles a degree


def sensitivity(frequency: npt.ArrayLike, light: npt.ArrayLike, field: float = FIELD) -> Values:
    """Return the contrast sensitivity of both eyes at frequencies in cycles a degree, at light in cd/m²."""
    u, level = np.asarray(frequency, np.float64), np.asarray(light, np.float64)
    pupil = 5 - 3 * np.tanh(0.4 * np.log10(level * field**2 / 40**2))
    trolands = np.pi * pupil**2 / 4 * level * (1 - (pupil / 9.7) ** 2 + (pupil / 12.4) ** 4)
    spread = np.hypot(_SPREAD, _SPREAD_PUPIL * pupil)
    optics = np.exp(-2 * (np.pi * spread * u) ** 2)
    area = 1 / field**2 + 1 / _LARGEST**2 + (u / _CYCLES) ** 2
    noise = 1 / (_EFFICIENCY * _PHOTONS * trolands) + _NEURAL / -np.expm1(-((u / _INHIBITION) ** 2))
    return np.asarray(optics / _SIGNAL_TO_NOISE / np.sqrt(2 / _TIME * area * noise))


def modulation(light: npt.ArrayLike) -> Values:
    """Return the least amplitude over mean of a wave that is seen, at the frequency where the eye is best."""
    levels, least = _least()
    return np.asarray(np.interp(np.log(np.maximum(light, levels[0])), np.log(levels), least))


def least_step(light: npt.ArrayLike) -> Values:
    """Return the least step that is seen, over its light: modulation times 2 / 1.27, from waves to edges (BT.2246)."""
    return modulation(light) * 2 / 1.27


@cache
def _least() -> tuple[Values, Values]:
    levels = np.geomspace(1e-3, 1e4, 400)
    frequencies = np.geomspace(0.2, 30, 200)[:, None]
    return levels, 1 / sensitivity(frequencies, levels).max(axis=0)
