"""Which planes of a picture are enlarged in which way, and which small pixel a large one lies in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Image, colour_planes
from safelight.graph.region import Region
from safelight.nodes.io.files.formats import origin_types
from safelight.nodes.resolution.enlarging import missing

_DATA = ("Z", "ZBack", "id", "depth")


def kinds(image: Image) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]:
    """Return the planes of colour, of coverage, and of data that must not be mixed."""
    colour, types = colour_planes(image.channels), origin_types(image.metadata)
    cover: list[int] = []
    data: list[int] = []
    for index, name in enumerate(image.channels):
        if index not in colour:
            last = name.rsplit(".", 1)[-1]
            whole = types.get(name) == "uint32"
            is_data = whole or last in _DATA or "crypto" in name.lower()
            (data if is_data else cover).append(index)
    return colour, tuple(cover), tuple(data)


def nearest(source: Region, region: Region, scale: float, device: Device) -> tuple[Any, Any]:
    """Return rows and columns of `source` that the rows and columns of `region` lie in."""
    xp = device.xp
    rows = np.floor((np.arange(region.y0, region.y1) + 0.5) / scale).astype(np.intp) - source.y0
    columns = np.floor((np.arange(region.x0, region.x1) + 0.5) / scale).astype(np.intp) - source.x0
    return (
        xp.asarray(np.clip(rows, 0, source.height - 1)),
        xp.asarray(np.clip(columns, 0, source.width - 1)),
    )


def repeat(source: Image, region: Region, scale: float, planes: Sequence[int], out: Any, device: Device) -> None:
    """Write planes of `source` into `out`, over `region`, each pixel the one it lies in."""
    if planes:
        rows, columns = nearest(source.region, region, scale, device)
        for plane in planes:
            out[plane] = source.data[plane][rows[:, None], columns[None]]


def hand_through(planes: Any, source: Region, region: Region, scale: float, made: Any, device: Device) -> None:
    """Put what is not finite in `planes`, over `source`, into all pixels of `made`, over `region`, that it becomes."""
    bad = missing(planes, device.xp)
    if bool(bad.any()):
        rows, columns = nearest(source, region, scale, device)
        here = bad[:, rows[:, None], columns[None]]
        made[here] = planes[:, rows[:, None], columns[None]][here]
