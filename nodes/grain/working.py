"""The area Degrain's kernels work on: the picture, without holes, mirrored beyond its edges."""

from __future__ import annotations

from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.grain.domain import CODE, TOE, Coding
from safelight.nodes.kernels.launch import launch

BORDER = 8
TILE, WIDE = 122, 162  # of the kernel `degrain`: columns an item writes, columns it reads


def work_area(region: Region) -> Region:
    """Return the area the kernels work on: the picture, mirrored beyond its edges."""
    tiles = -(-region.width // TILE)
    width = max(-(-(region.width + 2 * BORDER) // 8) * 8, (tiles - 1) * TILE + WIDE)
    height = -(-(region.height + 2 * BORDER) // 8) * 8
    return Region.sized(width, height, region.x0 - BORDER, region.y0 - BORDER)


def mirror(array: Any, width: int, height: int, xp: Any, least: bool = False) -> None:
    """Fill the border around a picture at (BORDER, BORDER) with its reflection; `least`: no more than BORDER of it.

    What lies beyond that only patches read that no pixel of the picture sees.
    """
    for axis, size in ((2, width), (1, height)):
        total = min(array.shape[axis], size + 2 * BORDER) if least else array.shape[axis]
        source = xp.asarray(np.pad(np.arange(size), (BORDER, total - BORDER - size), mode="symmetric") + BORDER)
        for part in (slice(0, BORDER), slice(BORDER + size, total)):
            if axis == 2:
                array[:, :, part] = array[:, :, source[part]]
            else:
                array[:, part] = array[:, source[part]]


def filled(planes: Any, xp: Any) -> Any:
    """Return the planes with each value that is not finite replaced by the mean of the nearest finite ones, for the
    filter alone to see."""
    good = xp.isfinite(planes)
    if bool(good.all()):
        return planes
    values = xp.where(good, planes, np.float32(0))
    for _ in range(max(planes.shape[1:])):
        if bool(good.all()):
            break
        padded = xp.pad(values, ((0, 0), (1, 1), (1, 1)))
        known = xp.pad(good, ((0, 0), (1, 1), (1, 1)))
        h, w = planes.shape[1:]
        total, count = xp.zeros_like(values), xp.zeros_like(values)
        for j in range(3):
            for i in range(3):
                total += padded[:, j : j + h, i : i + w]
                count += known[:, j : j + h, i : i + w]
        reached = ~good & (count > 0)
        if not bool(reached.any()):
            break
        values = xp.where(reached, total / xp.maximum(count, np.float32(1)), values)
        good = good | reached
    return values


def encoded(source: Any, region: Region, code: Coding, scale: float, device: Device) -> tuple[Any, Any]:
    """Return a frame as it is searched and compared; see the kernel `degrain_encode`.

    Parameters
    ----------
    source:
        (n, H, W) float32 over `region`, scene-linear: R, G, B, or one plane. What is not finite is filled.
    code:
        How light becomes the numbers that are compared, for these planes.
    scale:
        Steps of the search luma for each unit of that domain.

    Returns
    -------
    tuple
        The planes (n, h, w), three of them as grey and two colour differences, orthonormal; and the luma (1, h, w) in
        whole numbers. Both over `work_area(region)`, mirrored beyond the picture.
    """
    work = work_area(region)
    planes = device.empty((source.shape[0], work.height, work.width))
    luma = device.empty((1, work.height, work.width))
    launch(
        device,
        "degrain_encode",
        region,
        plate=(filled(source, device.xp), region),
        out=(planes, work),
        luma=(luma, work),
        curve=code.forward,
        planes=source.shape[0],
        domain=CODE[code.domain],
        per_toe=1 / TOE,
        search_scale=scale,
    )
    mirror(planes, region.width, region.height, device.xp)
    mirror(luma, region.width, region.height, device.xp)
    return planes, luma
