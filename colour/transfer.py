"""How light becomes a signal and a signal light: PQ and HLG.

float64, any shape. Light is in cd/m² where it says so.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

PQ_PEAK = 10000.0
"""Light of PQ signal 1, in cd/m²."""

# SMPTE ST 2084, Rec. ITU-R BT.2100-2 table 4.
_M1, _M2 = 2610 / 16384, 2523 / 32
_C1, _C2, _C3 = 3424 / 4096, 2413 / 128, 2392 / 128
# Rec. ITU-R BT.2100-2 table 5.
_A = 0.17883277
_B = 1 - 4 * _A
_C = 0.5 - _A * float(np.log(4 * _A))
HLG_LUMA = (0.2627, 0.6780, 0.0593)
"""Weights of red, green and blue in the luminance that HLG's system gamma acts on."""


def pq(light: npt.ArrayLike) -> Values:
    """Return the PQ signal (0 to 1) of light in cd/m²; negative light counts as none, light over 10,000 goes on.

    Source: SMPTE ST 2084, Rec. ITU-R BT.2100-2 table 4 (inverse EOTF).
    """
    power = (np.maximum(np.asarray(light, np.float64), 0.0) / PQ_PEAK) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2, np.float64)


def pq_light(signal: npt.ArrayLike) -> Values:
    """Return the light in cd/m² of a PQ signal: the inverse of `pq`.

    A signal at or below PQ's own black is no light; from about 1.99 on, the formula's pole, light is infinite.

    Source: SMPTE ST 2084, Rec. ITU-R BT.2100-2 table 4 (EOTF).
    """
    power = np.maximum(np.asarray(signal, np.float64), 0.0) ** (1 / _M2)
    above = np.maximum(power - _C1, 0.0)
    with np.errstate(divide="ignore"):
        ratio = np.where(power >= _C2 / _C3, np.inf, above / np.maximum(_C2 - _C3 * power, 0.0))
    return np.asarray(PQ_PEAK * ratio ** (1 / _M1), np.float64)


def hlg(scene: npt.ArrayLike) -> Values:
    """Return the HLG signal of scene light, both 0 to 1; negative light counts as none, light over 1 goes on.

    Source: Rec. ITU-R BT.2100-2 table 5 (OETF).
    """
    e = np.maximum(np.asarray(scene, np.float64), 0.0)
    return np.asarray(np.where(e <= 1 / 12, np.sqrt(3 * e), _A * np.log(np.maximum(12 * e - _B, 1e-9)) + _C))


def hlg_scene(signal: npt.ArrayLike) -> Values:
    """Return the scene light of an HLG signal: the inverse of `hlg`."""
    v = np.maximum(np.asarray(signal, np.float64), 0.0)
    return np.asarray(np.where(v <= 0.5, v**2 / 3, (np.exp((v - _C) / _A) + _B) / 12))


def hlg_gamma(peak: float) -> float:
    """Return HLG's system gamma for a display of `peak` cd/m² in the reference surroundings.

    Source: Rec. ITU-R BT.2100-2 note 5e for 400 to 2,000 cd/m², and its extended formula (BT.2390-8, 6.2) beyond.

    >>> hlg_gamma(1000.0)
    1.2
    """
    if 400 <= peak <= 2000:
        return float(1.2 + 0.42 * np.log10(peak / 1000))
    return float(1.2 * 1.111 ** np.log2(peak / 1000))


def hlg_light(signal: npt.ArrayLike, peak: float = 1000.0) -> Values:
    """Return the display light in cd/m² of an HLG signal (3, …), Rec.2020 red, green, blue, on a display of `peak`.

    Black is none. Source: Rec. ITU-R BT.2100-2 table 5 (OOTF).
    """
    scene = hlg_scene(signal)
    luminance = np.tensordot(HLG_LUMA, scene, axes=1)
    gain = np.where(luminance > 0, np.maximum(luminance, 1e-30) ** (hlg_gamma(peak) - 1), 0.0)
    return np.asarray(peak * gain * scene)


def hlg_signal(light: npt.ArrayLike, peak: float = 1000.0) -> Values:
    """Return the HLG signal of display light (3, …) in cd/m², Rec.2020: the inverse of `hlg_light`."""
    display = np.maximum(np.asarray(light, np.float64), 0.0) / peak
    luminance = np.tensordot(HLG_LUMA, display, axes=1)
    gamma = hlg_gamma(peak)
    gain = np.where(luminance > 0, np.maximum(luminance, 1e-30) ** ((1 - gamma) / gamma), 0.0)
    return hlg(gain * display)
