"""Resampling by whole factors: how nets are trained, judged, and held to what the pixels say.

Pictures are (…, H, W); sample (0, 0) of both grids lies in one corner, as areas, not as points: pixel i covers
[i, i + 1), so that reducing by 2 puts a sample's centre between those of the two it stands for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


REACH = 8
"""Coarse pixels that `returning` looks at on every side."""


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
    """Return the taps that reduce by a whole factor: the kernel stretched to the coarser grid; they sum to 1."""
    kernel, half = KERNELS[name]
    reach = half * scale
    at = np.arange(-reach, reach) + 0.5 if scale % 2 == 0 else np.arange(1 - reach, reach).astype(float)
    taps = kernel(at / scale)
    return np.asarray(taps / taps.sum())


@lru_cache(maxsize=32)
def returning(name: str, scale: int, reach: int = REACH) -> Floats:
    """Return the taps that enlarge so that `reduced` gives the very input back, (scale, 2 reach + 1).

    The reduction's own taps, turned round, applied to the input after the inverse of what the two make together; that
    inverse falls to a third from tap to tap, and cut at `reach` leaves 1e-4 of what is returned.
    """
    taps = reducing(name, scale)
    half = len(taps) // (2 * scale)
    # What reducing makes of the turned-round taps: a short symmetric filter on the coarse grid.
    both = np.correlate(taps, taps, "full") * scale
    middle = len(taps) - 1
    lags = both[middle % scale :: scale]
    length = 256
    ring = np.zeros(length)
    centre = middle // scale
    for k, value in enumerate(lags):
        ring[(k - centre) % length] += value
    inverse = np.fft.ifft(1 / np.fft.fft(ring)).real
    back = np.zeros((scale, 2 * reach + 1))
    for p in range(scale):
        for j in range(-reach, reach + 1):
            # Fine pixel p of coarse pixel 0 receives from coarse pixel i the tap that reduces i from it.
            for i in range(-half - 1, half + 2):
                at = p - scale * i + (len(taps) - scale) // 2
                if 0 <= at < len(taps):
                    back[p, j + reach] += scale * taps[at] * inverse[(j - i) % length]
    return back


def reduced(picture: Any, scale: int, name: str = "cubic") -> Any:
    """Return the picture reduced by a whole factor, low-passed by the stretched kernel; edges go on as their mirror.

    Height and width must be multiples of `scale`; the result has the picture's dtype, numpy's or torch's.
    """
    taps = reducing(name, scale)
    for axis in (-2, -1):
        picture = _reduced(picture, scale, taps, axis)
    return picture


def _reduced(picture: Any, scale: int, taps: Floats, axis: int) -> Any:
    size = picture.shape[axis]
    if size % scale:
        raise ValueError(f"a side of {size} pixels cannot be reduced by {scale}")
    before = (len(taps) - scale) // 2
    wide = mirrored(picture, before, len(taps) - scale - before, axis)
    return _weighed([_along(wide, axis, slice(k, k + size - scale + 1, scale)) for k in range(len(taps))], taps)


def enlarged(picture: Any, scale: int, name: str = "lanczos") -> Any:
    """Return the picture enlarged by a whole factor with an interpolating kernel; edges go on as their mirror."""
    return spread(picture, phases(name, scale))


def spread(picture: Any, taps: Floats) -> Any:
    """Return the picture enlarged by the rows of `taps`, as `phases` and `returning` make them."""
    for axis in (-2, -1):
        half, size = taps.shape[1] // 2, picture.shape[axis]
        wide = mirrored(picture, half, half, axis)
        near = [_along(wide, axis, slice(k, k + size)) for k in range(taps.shape[1])]
        picture = interleaved([_weighed(near, row) for row in taps], axis)
    return picture


def _along(picture: Any, axis: int, part: slice) -> Any:
    return picture[..., part] if axis == -1 else picture[..., part, :]


def _weighed(parts: Sequence[Any], taps: Floats) -> Any:
    """Return the weighed sum, product by product and sum by sum: the same bits wherever a pixel lies."""
    total: Any = None
    for part, tap in zip(parts, taps.tolist(), strict=True):
        total = part * tap if total is None else total + part * tap
    return total


def interleaved(parts: Sequence[Any], axis: int) -> Any:
    """Return pictures of one shape woven into each other on an axis."""
    first = parts[0]
    if isinstance(first, np.ndarray):
        woven: Any = np.stack(parts, axis=first.ndim if axis == -1 else first.ndim - 1)
    else:
        import torch

        woven = torch.stack(list(parts), dim=first.ndim if axis == -1 else first.ndim - 1)
    shape = list(first.shape)
    shape[axis] *= len(parts)
    return woven.reshape(shape)


def mirrored(picture: Any, before: int, after: int, axis: int) -> Any:
    """Return the picture with more pixels before and after on one axis: its mirror about the edge, over and over."""
    if not (before or after):
        return picture
    at = mirror(picture.shape[axis], before, after)
    return picture[..., at] if axis == -1 else picture[..., at, :]


def mirror(size: int, before: int, after: int) -> npt.NDArray[np.intp]:
    """Return which pixel stands at each place from -before to size + after - 1.

    >>> mirror(3, 2, 4).tolist()
    [1, 0, 0, 1, 2, 2, 1, 0, 0]
    """
    at = np.arange(-before, size + after) % (2 * size)
    return np.where(at < size, at, 2 * size - 1 - at).astype(np.intp)
