"""The curve of whole-number codes in pieces that a kernel evaluates without a search: polynomials by octave."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

OCTAVES = 32
"""Octaves of light under 1 that have pieces; the lowest, which no curve of 10 bits comes to, is that of black."""
MANTISSA = 23
"""Bits of a float's fraction."""
CODE, STEP, BEND = 6, 3, 2
"""Coefficients of the code, of the light a code takes, and of how that changes, as the kernels have them."""
CLOSE = 0.015
"""Error in codes over which pieces are made smaller: half the distance at which a pixel is on no code any more."""
SMALLEST = 7
"""An octave is cut into 2^7 pieces at most: 4,096 in all."""
_SAMPLES = 64


def pieces_of(curve: Floats, fine: Floats, codes: int) -> Floats:
    """Return the pieces, (11, 32 · 2^k), from dark to light: 2^k of them in every octave of light from 2^-32 to 1.

    Parameters
    ----------
    curve, fine:
        Light, rising, of signals from 0 to 1.
    codes:
        The highest code.

    Each piece holds polynomials of the place within it, 0 to 1, constant first: the code (degree 5), and the light that
    a shift by `s` codes adds, s · (step + s · bend), step of degree 2, bend of degree 1. At half a code to either side
    that is the light of the curve there, so that neighbouring codes meet.
    """
    found = _pieces(curve, fine, codes, 0)
    whole = np.arange(1, codes)
    light = np.interp(whole / codes, fine, curve)
    for cut in range(SMALLEST + 1):
        found = _pieces(curve, fine, codes, cut)
        if np.abs(code_in(found, light) - whole).max() < CLOSE:
            break
    return found


def shift_of(pieces: Floats) -> int:
    """Return how many bits of a float tell the place within a piece."""
    per: int = pieces.shape[1] // OCTAVES
    return MANTISSA + 1 - per.bit_length()


def code_in(pieces: Floats, light: npt.ArrayLike) -> Floats:
    """Return the code of light as pieces have it."""
    index, at = _place(np.asarray(light, np.float64), pieces.shape[1])
    return np.asarray(sum(pieces[k, index] * at**k for k in range(CODE)))


def _place(light: Floats, count: int) -> tuple[npt.NDArray[np.int64], Floats]:
    mantissa, exponent = np.frexp(np.clip(light, 2.0**-OCTAVES, 1 - 2.0**-24))
    per = count // OCTAVES
    within = (2 * mantissa - 1) * per
    part = np.floor(within).astype(np.int64)
    return (exponent + OCTAVES - 1) * per + part, within - part


def _pieces(curve: Floats, fine: Floats, codes: int, cut: int) -> Floats:
    per = 1 << cut
    at = spread()
    octave, part = np.divmod(np.arange(OCTAVES * per), per)
    light = 2.0 ** (octave - OCTAVES)[:, None] * (1 + (part[:, None] + at) / per)
    signal = np.interp(light, curve, fine)
    half = 0.5 / codes
    low, high = (_beyond(signal + shift, fine, curve) for shift in (-half, half))
    here = np.interp(signal, fine, curve)
    step, bend = high - low, 2 * (high + low - 2 * here)
    made = np.concatenate([
        fitted(values, count) for values, count in ((signal * codes, CODE), (step, STEP), (bend, BEND))
    ])  # fmt: skip
    made[:, 0] = 0
    dark, grey = _beyond(np.array([-half, half]), fine, curve) - curve[0]
    made[[CODE, CODE + STEP], 0] = grey - dark, 2 * (grey + dark)  # the lowest piece is black's
    return made


def spread() -> Floats:
    """Return places within a piece, Chebyshev's, at which a fit spreads its errors evenly."""
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * (np.arange(_SAMPLES) + 0.5) / _SAMPLES))


def fitted(values: Floats, count: int) -> Floats:
    """Return so many coefficients (count, pieces), constant first, of values (pieces, places) at `spread`."""
    powers = spread()[:, None] ** np.arange(count)
    return np.asarray(np.linalg.lstsq(powers, values.T, rcond=None)[0])


def _beyond(signal: Floats, fine: Floats, curve: Floats) -> Floats:
    """Return the light of signals, straight on beyond 0 and 1."""
    inside = np.clip(signal, 0, 1)
    far = max(len(fine) // 256, 1)
    slopes = (
        (curve[far] - curve[0]) / (fine[far] - fine[0]),
        (curve[-1] - curve[-1 - far]) / (fine[-1] - fine[-1 - far]),
    )
    return np.asarray(
        np.interp(inside, fine, curve) + np.where(signal < inside, slopes[0], slopes[1]) * (signal - inside)
    )
