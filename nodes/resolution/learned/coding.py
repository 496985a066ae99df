"""What nets see instead of scene-linear light: a display's curve up to white, stops above it, odd below black."""

from __future__ import annotations

from typing import Any

import numpy as np

# IEC 61966-2-1; above white the curve goes on with its own slope there, in the logarithm of light.
_TOE, _LINEAR, _A, _GAMMA = 0.0031308, 12.92, 0.055, 2.4
_SLOPE = (1 + _A) / _GAMMA
_MOST = 3e38

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Rec. 601 weights of coded R, G, B, by which luma is counted wherever figures of super-resolution are printed."""
_END = 1 + _SLOPE * float(np.log(_MOST))


def encode(light: Any) -> Any:
    """Return scene-linear light as nets see it: the sRGB curve to 1.0, ``1 + 0.44 ln(light)`` above; odd, smooth and
    without an end. Mid-grey is 0.46, 4 stops over white 2.22, 9 stops 3.74.

    Takes and gives float32 of numpy or torch; finite for all that is finite.

    >>> encode(np.float32([0.0, 0.18, 1.0, 16.0, -0.18])).round(2).tolist()
    [0.0, 0.46000000834465027, 1.0, 2.2200000286102295, -0.46000000834465027]
    """
    xp = module_of(light)
    a = xp.clip(xp.abs(light), 0, _MOST)
    curve = xp.clip(a, _TOE, 1) ** (1 / _GAMMA) * (1 + _A) - _A
    high = xp.log(xp.clip(a, 1, None)) * _SLOPE + 1
    return xp.copysign(xp.where(a <= _TOE, xp.clip(a, 0, 1) * _LINEAR, xp.where(a <= 1, curve, high)), light)


def decode(code: Any) -> Any:
    """Invert `encode`, within a few parts in a million."""
    xp = module_of(code)
    a = xp.clip(xp.abs(code), 0, _END)
    curve = ((xp.clip(a, 0, 1) + _A) * (1 / (1 + _A))) ** _GAMMA
    high = xp.exp((xp.clip(a, 1, None) - 1) * (1 / _SLOPE))
    light = xp.where(a <= _TOE * _LINEAR, a * (1 / _LINEAR), xp.where(a <= 1, curve, high))
    return xp.copysign(light, code)


def slope(code: Any, light: Any) -> Any:
    """Return the slope of `decode`, light by coded value, where it has given `light`: 0.08 near black, 2.3 at white,
    and growing with the light above.

    >>> code = np.float32([0.0, 1.0])
    >>> slope(code, decode(code)).round(2).tolist()
    [0.07999999821186066, 2.2699999809265137]
    """
    xp = module_of(code)
    a, light = xp.abs(code), xp.abs(light)
    high = light * (1 / _SLOPE)
    curve = light * _GAMMA / (a + _A)
    return xp.where(a <= _TOE * _LINEAR, xp.full_like(a, 1 / _LINEAR), xp.where(a <= 1, curve, high))


def module_of(values: Any) -> Any:
    """Return numpy or torch, whichever the values are of."""
    if isinstance(values, np.ndarray | np.generic):
        return np
    import torch

    return torch
