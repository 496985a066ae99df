"""What nets see instead of scene-linear light: a display's curve up to white, stops above it, odd below black."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.float32]

# IEC 61966-2-1; above white the curve goes on with its own slope there, in the logarithm of light.
_TOE, _LINEAR, _A, _GAMMA = 0.0031308, 12.92, 0.055, 2.4
_SLOPE = (1 + _A) / _GAMMA
_MOST = np.float32(3e38)


def encode(light: npt.ArrayLike) -> Pixels:
    """Return scene-linear light as nets see it: the sRGB curve to 1.0, ``1 + 0.44 ln(light)`` above; odd, smooth and
    without an end. Mid-grey is 0.46, 4 stops over white 2.22, 9 stops 3.74.

    >>> encode([0.0, 0.18, 1.0, 16.0, -0.18]).round(2).tolist()
    [0.0, 0.46000000834465027, 1.0, 2.2200000286102295, -0.46000000834465027]
    """
    v = np.asarray(light, np.float32)
    a = np.minimum(np.abs(v), _MOST)
    with np.errstate(divide="ignore"):
        curve = np.float32(1 + _A) * np.power(np.minimum(a, 1), np.float32(1 / _GAMMA)) - np.float32(_A)
        high = 1 + np.float32(_SLOPE) * np.log(np.maximum(a, 1))
    code = np.where(a <= np.float32(_TOE), a * np.float32(_LINEAR), np.where(a <= 1, curve, high))
    return np.asarray(np.copysign(code, v), np.float32)


def decode(code: npt.ArrayLike) -> Pixels:
    """Invert `encode`, within a part in a million."""
    v = np.asarray(code, np.float32)
    a = np.abs(v)
    low = a * np.float32(1 / _LINEAR)
    curve = np.power((np.minimum(a, 1) + np.float32(_A)) * np.float32(1 / (1 + _A)), np.float32(_GAMMA))
    with np.errstate(over="ignore"):
        high = np.exp(np.minimum((np.maximum(a, 1) - 1) * np.float32(1 / _SLOPE), np.float32(88.7)))
    light = np.where(a <= np.float32(_TOE * _LINEAR), low, np.where(a <= 1, curve, high))
    return np.asarray(np.copysign(light, v), np.float32)
