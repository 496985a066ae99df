"""Resampling by whole factors: how nets are trained, judged, and held to what the pixels say.

Pictures are (…, H, W); sample (0, 0) of both grids lies in one corner, as areas, not as points: pixel i covers
[i, i + 1), so that reducing by 2 puts a sample's centre between those of the two it stands for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def cubic(x: Floats) -> Floats:
    """Return Keys' cubic convolution kernel, a = -1/2 (Keys 1981), as bicubic scalers use it."""
    a = np.abs(x)
    near = (1.5 * a - 2.5) * a * a + 1
    far = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return np.where(a <= 1, near, np.where(a < 2, far, 0.0))


def lanczos(x: Floats) -> Floats:
    """Return the sinc windowed by its own third lobe (Duchon 1979)."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0.0)


KERNELS: dict[str, tuple[Callable[[Floats], Floats], int]] = {"cubic": (cubic, 2), "lanczos": (lanczos, 3)}
"""Kernel and half its support, by name."""


@lru_cache(maxsize=32)
def phases(name: str, scale: int) -> Floats:
    """Return the taps that enlarge by a whole factor, (scale, 2 r + 1): row p makes pixel p of the `scale` that lie in
    an input pixel, from that pixel and its r neighbours on both sides; each row sums to 1."""
    kernel, half = KERNELS[name]
    centres = (np.arange(scale) + 0.5) / scale - 0.5
    taps = kernel(centres[:, None] - np.arange(-half, half + 1)[None])
    return np.asarray(taps / taps.sum(1, keepdims=True))


@lru_cache(maxsize=32)
def reducing(name: str, scale: int) -> Floats:
    """Return the taps that reduce by a whole factor: the kernel stretched to the coarser grid, 2 r of them, the middle
    between the two in the middle (or on one, where `scale` is odd); they sum to 1."""
    kernel, half = KERNELS[name]
    reach = half * scale
    at = np.arange(-reach, reach) + 0.5 if scale % 2 == 0 else np.arange(-reach, reach + 1).astype(float)
    taps = kernel(at / scale)
    return np.asarray(taps / taps.sum())


def reduced(picture: Any, scale: int, name: str = "cubic") -> npt.NDArray[Any]:
    """Return the picture reduced by a whole factor, low-passed by the stretched kernel; edges go on as their mirror.

    Height and width must be multiples of `scale`; the result has the picture's dtype.
    """
    picture = np.asarray(picture)
    taps = reducing(name, scale).astype(picture.dtype)
    for axis in (-1, -2):
        picture = _reduced(picture, scale, taps, axis)
    return picture


def _reduced(picture: npt.NDArray[Any], scale: int, taps: npt.NDArray[Any], axis: int) -> npt.NDArray[Any]:
    size = picture.shape[axis]
    if size % scale:
        raise ValueError(f"a side of {size} pixels cannot be reduced by {scale}")
    before = (len(taps) - scale + scale % 2) // 2
    picture = mirrored(picture, before, len(taps) - before, axis)
    count = size // scale
    out: Any = 0
    for k, tap in enumerate(taps):
        at = [slice(None)] * picture.ndim
        at[axis] = slice(k, k + scale * (count - 1) + 1, scale)
        out = out + tap * picture[tuple(at)]
    return np.asarray(out)


def enlarged(picture: Any, scale: int, name: str = "lanczos") -> npt.NDArray[Any]:
    """Return the picture enlarged by a whole factor with an interpolating kernel; edges go on as their mirror."""
    picture = np.asarray(picture)
    taps = phases(name, scale).astype(picture.dtype)
    for axis in (-1, -2):
        half = taps.shape[1] // 2
        wide = mirrored(picture, half, half, axis)
        size = picture.shape[axis]
        shape = list(picture.shape)
        shape[axis] = size * scale
        out = np.empty(shape, picture.dtype)
        for phase, row in enumerate(taps):
            total: Any = 0
            for k, tap in enumerate(row):
                at = [slice(None)] * picture.ndim
                at[axis] = slice(k, k + size)
                total = total + tap * wide[tuple(at)]
            at = [slice(None)] * picture.ndim
            at[axis] = slice(phase, None, scale)
            out[tuple(at)] = total
        picture = out
    return picture


def mirrored(picture: npt.NDArray[Any], before: int, after: int, axis: int) -> npt.NDArray[Any]:
    """Return the picture with more pixels before and after on one axis: its mirror about the edge, over and over."""
    return np.take(picture, mirror(picture.shape[axis], before, after), axis=axis)


def mirror(size: int, before: int, after: int) -> npt.NDArray[np.intp]:
    """Return which pixel stands at each place from -before to size + after - 1.

    >>> mirror(3, 2, 4).tolist()
    [1, 0, 0, 1, 2, 2, 1, 0, 0]
    """
    at = np.arange(-before, size + after) % (2 * size)
    return np.where(at < size, at, 2 * size - 1 - at).astype(np.intp)
