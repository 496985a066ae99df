"""What nodes that enlarge do with windows, with planes that are no colour, and with pixels that are no number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import ceil, floor
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.provenance import ORIGIN, SYNTHESISED, codes
from safelight.graph.region import Region
from safelight.nodes.io.files.formats import origin_types
from safelight.nodes.resolution.enlarging import TOE, missing, scaled
from safelight.nodes.resolution.learned.enlarge import halo, tileable
from safelight.nodes.resolution.learned.models import Net

BEYOND = 0.125
"""Stops that a net may go beyond what the pixels say and still count as saying the same."""
Precision = Literal["auto", "float32", "float16", "bfloat16", "int8"]
"""Of a net, as a parameter has it."""
PRECISION = "Of the net alone. auto is float32, on a GPU float16. int8 is for preview: it bands."
PICKLED = "Take weights from .pth files too. Such files can hold programs: of weights, only."
INT8 = "precision int8 is for preview: it bands"

_WHOLE = 1 << 24  # pixels around: a net that looks everywhere is given the whole frame
_DATA = ("Z", "ZBack", "id", "depth")

Way = Callable[[Any], Any]
"""Makes (C, H, W) over the region that is asked for of planes (C, h, w) over the source's."""


def rounded(region: Region, scale: float) -> Region:
    """Return a window at another scale, each edge at the nearest pixel's."""
    return Region(*(floor(v * scale + 0.5) for v in (region.x0, region.y0, region.x1, region.y1)))


def outwards(region: Region, scale: float) -> Region:
    """Return a window at another scale, with every pixel that it touches."""
    low, high = (floor(v * scale) for v in (region.x0, region.y0)), (ceil(v * scale) for v in (region.x1, region.y1))
    return Region(*low, *high)


def grown(clip: Clip, scale: float) -> Clip:
    """Return a clip with its windows at another scale: the display window rounded, data windows outwards."""
    return replace(
        clip,
        display=rounded(clip.display, scale),
        extent=outwards(clip.extent, scale),
        extents={frame: outwards(region, scale) for frame, region in clip.extents.items()},
    )


def around(net: str | Net, scale: int) -> int:
    """Return the input pixels on every side that a net's pixels depend on: all of them, of those that do not say."""
    return halo(net, scale) if isinstance(net, str) or tileable(net) else _WHOLE


def nearest(source: Region, region: Region, scale: float, device: Device) -> tuple[Any, Any]:
    """Return rows and columns of `source` that the rows and columns of `region` lie in."""
    xp = device.xp
    rows = np.floor((np.arange(region.y0, region.y1) + 0.5) / scale).astype(np.intp) - source.y0
    columns = np.floor((np.arange(region.x0, region.x1) + 0.5) / scale).astype(np.intp) - source.x0
    return (
        xp.asarray(np.clip(rows, 0, source.height - 1)),
        xp.asarray(np.clip(columns, 0, source.width - 1)),
    )


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


def assembled(source: Image, region: Region, scale: float, device: Device, *, picture: Way, coverage: Way) -> Image:
    """Return an image over `region`: its colour made by one way, alpha and mattes by the other, data repeated."""
    colour, cover, data = kinds(source)
    out = device.empty((len(source.channels), region.height, region.width))
    for planes, way in ((colour, picture), (cover, coverage)):
        if planes:
            made = way(source.data[list(planes)])
            for at, plane in enumerate(planes):
                out[plane] = made[at]
    repeat(source, region, scale, data, out, device)
    return Image(out, region, source.channels, source.metadata)


def repeat(source: Image, region: Region, scale: float, planes: Sequence[int], out: Any, device: Device) -> None:
    """Write planes of `source` into `out`, over `region`, each pixel the one it lies in."""
    if planes:
        rows, columns = nearest(source.region, region, scale, device)
        for plane in planes:
            out[plane] = source.data[plane][rows[:, None], columns[None]]


def cut(fine: Any, source: Region, whole: int, region: Region) -> Any:
    """Return of planes enlarged from `source` by a whole factor those over `region`."""
    covers = scaled(source, whole)
    y, x = region.y0 - covers.y0, region.x0 - covers.x0
    return fine[:, y : y + region.height, x : x + region.width]


def handed(made: Any, planes: Any, source: Region, region: Region, scale: float, device: Device) -> Any:
    """Return `made` with what was not finite in `planes` put back, bit for bit, in all pixels that it becomes."""
    bad = missing(planes, device.xp)
    if bool(bad.any()):
        rows, columns = nearest(source, region, scale, device)
        here = bad[:, rows[:, None], columns[None]]
        made[here] = planes[:, rows[:, None], columns[None]][here]
    return made


def marked(source: Image, region: Region, scale: float, mark: int, device: Device) -> Any:
    """Return for each pixel of `region` the record of the one it lies in, and `mark`."""
    rows, columns = nearest(source.region, region, scale, device)
    return codes(source)[rows[:, None], columns[None]] | np.uint32(mark)


def synthesised(found: Any, made: Any, plain: Any, xp: Any) -> Any:
    """Return a record with those pixels called synthesised whose colour is over `BEYOND` from what the data say."""
    apart = xp.abs(_stops(made, xp) - _stops(plain, xp)).max(axis=0)
    return xp.where(apart > BEYOND, found & np.uint32(~ORIGIN & 0xFF) | np.uint32(SYNTHESISED), found)


def _stops(light: Any, xp: Any) -> Any:
    return xp.sign(light) * xp.log2(1 + xp.abs(light) / TOE)
