"""Reduction by means of light, as a sensor's or a scanner's pixels make it, and the way back to such pixels.

Pictures are (…, H, W), numpy's or torch's, coded as `coding` has it where nothing else is said.
"""

from __future__ import annotations

from typing import Any

from safelight.nodes.resolution.learned.coding import decode, encode, module_of, slope

FAR = 0.5
"""What is left is made up by a factor of light, as long as that is so near to 1, else by a sum."""


def binned(code: Any, scale: int) -> Any:
    """Return a picture reduced by a whole factor, coded: each pixel the mean light of `scale` × `scale`.

    >>> import numpy as np
    >>> decode(binned(np.float32([[0, 1], [1, 0]]), 2)).round(4).tolist()
    [[0.5]]
    """
    return encode(means(decode(code), scale))


def returned(made: Any, code: Any, scale: int) -> Any:
    """Return an enlarged picture brought to its data, as scene-linear light: means of blocks are the very light.

    All new pixels of an old one are shifted by as much in coded values, as far as its mean light asks for: what is even
    stays even, and nothing rings.

    Parameters
    ----------
    made:
        (…, scale H, scale W), coded.
    code:
        (…, H, W), coded.

    Returns
    -------
    (…, scale H, scale W), scene-linear, unclamped; means of blocks within 1/4096 of |light| + 0.01 of that of `code`.

    Source: back-projection, Irani and Peleg 1991, by Newton's method.
    """
    wanted = decode(code)
    shift = _newton(made, wanted, scale)
    # Light grows faster than its code: to shift by the mean of the codes is too much for edges, if never as far too
    # much as Newton's step out of a dark block; under black it is the other way round.
    plain = code - means(made, scale)
    xp = module_of(code)
    made = made + blocks(xp.where(wanted < 0, xp.maximum(shift, plain), xp.minimum(shift, plain)), scale)
    # Once more leaves a few parts in a hundred at the hardest edges.
    made = made + blocks(_newton(made, wanted, scale), scale)
    light = decode(made)
    mean = means(light, scale)
    some = xp.where(mean == 0, xp.ones_like(mean), mean)
    near = (mean != 0) & (xp.abs(wanted / some - 1) < FAR)
    factor = xp.where(near, wanted / some, xp.ones_like(mean))
    return light * blocks(factor, scale) + blocks(xp.where(near, xp.zeros_like(mean), wanted - mean), scale)


def _newton(made: Any, wanted: Any, scale: int) -> Any:
    light = decode(made)
    return (wanted - means(light, scale)) / means(slope(made, light), scale)


def means(planes: Any, scale: int) -> Any:
    """Return means of blocks of `scale` × `scale`, sum by sum: the same bits wherever a block lies."""
    total: Any = None
    for y in range(scale):
        for x in range(scale):
            part = planes[..., y::scale, x::scale]
            total = part if total is None else total + part
    return total * (1 / scale**2)


def blocks(planes: Any, scale: int) -> Any:
    """Return each pixel as a block of `scale` × `scale`."""
    for axis in (-2, -1):
        repeat = planes.repeat_interleave if hasattr(planes, "repeat_interleave") else planes.repeat
        planes = repeat(scale, axis)
    return planes
