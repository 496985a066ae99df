"""What a lift takes from a pixel's surroundings: the signal under the rounding of codes, and the light that clips."""

from __future__ import annotations

from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.colour.code_pieces import OCTAVES, shift_of
from safelight.nodes.colour.source import Source
from safelight.nodes.kernels.launch import launch as launch_kernel

Plane = tuple[Any, Region]

COARSEST = 8
"""Levels of the pyramid of codes: bands up to 256 pixels wide are smoothed."""
STEPS = 1
"""Steps of smoothing at half the size; twice as many at every smaller one, up to 16."""
BUSY = 4
"""Level at which it is told how busy codes are."""
HIGHLIGHTS = 24
"""The picture's width over the size of an area that is too large for a lamp or a glint."""
TEXTURE = 4
"""Level of the means that texture is told from."""
FEW = 1 << 15
"""Pixels that are not worth a second thread."""
SPREAD = 0.05
"""Weight of a colour twice as far away."""


def fields(
    device: Device,
    source: Source,
    image: Plane,
    planes: tuple[int, ...],
    *,
    width: int,
    level: float,
    deband: bool,
    stops: float,
    led: bool = False,
    isa: str | None = None,
) -> tuple[tuple[Plane, Plane] | None, Plane | None]:
    """Return, at half the size, smooth codes (3 planes) with how busy they are, and stops for what clips (1, or 4).

    Parameters
    ----------
    image:
        Planes and their region, which begins at 0, 0.
    width:
        The picture's, which says how large a large area is.
    level:
        Light at which the source's channels clip.
    deband:
        Whether codes are wanted; needs the source's table.
    stops:
        The most light that what clips is given; 0: none wanted.
    led:
        Whether channels that clip alone are given light too.

    Either is None where it is not wanted, or nothing clips.
    """
    region = image[1]
    small = _half(region)
    codes = device.empty((4 if deband else 1, small.height, small.width)), small
    clip = device.empty(((5 if led else 2) if stops else 1, small.height, small.width)), small
    three, to_source = _three(planes), _matrix(source, planes)
    _launch(
        device, "lift_reduce", small, isa=isa, image=image, codes=codes, clip=clip, **pieces(source),
        to_source=to_source, level=level, want_codes=deband, want_clip=stops > 0, led=led, plane=three,
        planes=len(planes),
    )  # fmt: skip
    smooth = _smooth(device, codes, isa) if deband else None
    if not stops or not float((clip[0][2:] if led else clip[0][:1]).max()) > 0:
        return smooth, None
    light = None
    if led:
        light = device.empty((7, small.height, small.width)), small
        _launch(
            device, "lift_colours", small, isa=isa, image=image, light=light, to_source=to_source, level=level,
            plane=three,
        )  # fmt: skip
    return smooth, _recovered(device, clip, light, width, level, stops, isa)


def texture_base(
    device: Device, image: Plane, planes: tuple[int, ...], to_lms: Any, knee_log2: float, isa: str | None
) -> Plane:
    """Return, at half the size, the stops above the knee that texture lies on: means of 16 × 16 pixels, smoothly."""
    small = _half(image[1])
    first = device.empty((1, small.height, small.width)), small
    _launch(
        device, "lift_light", small, isa=isa, image=image, out=first, to_lms=to_lms, knee_log2=knee_log2,
        plane=_three(planes),
    )  # fmt: skip
    sizes = _pyramid(device, first, TEXTURE, isa)
    found = sizes[-1]
    for fine in reversed(sizes[:-1]):
        found = _joined(device, found, fine, 0.0, 1.0, isa)
    return found


def _smooth(device: Device, codes: Plane, isa: str | None) -> tuple[Plane, Plane]:
    """Find the smoothest picture that rounds to the codes, from coarse to fine, and how busy they are.

    At each size it lies within half a code of the mean code there, which holds the truth too.
    """
    sizes = _pyramid(device, codes, COARSEST, isa, 2, True)
    codes3 = [_part(size, 0, 3) for size in sizes]
    found = codes3[-1]
    for size in range(len(sizes) - 2, -1, -1):
        found = _joined(device, found, codes3[size], 1.0, 0.0, isa, rounded=True)
        spare = device.empty(found[0].shape), found[1]
        for _ in range(min(STEPS << size, 16)):
            _launch(
                device, "lift_relax", found[1], reach=1, isa=isa, smooth=found, codes=codes3[size], out=spare, planes=3
            )  # fmt: skip
            found, spare = spare, found
    busy = [_part(size, 3, 4) for size in sizes[:BUSY]]
    calm = busy[-1]
    for plane in reversed(busy[:-1]):
        calm = _joined(device, calm, plane, 0.0, 1.0, isa)
    return found, calm


def _recovered(
    device: Device, clip: Plane, light: Plane | None, width: int, level: float, stops: float, isa: str | None
) -> Plane:
    large = max(4, round(np.log2(max(width, 1) / HIGHLIGHTS)))
    base = 1 if large < 6 else 2
    clips = _pyramid(device, clip, large, isa)
    large = len(clips)
    base = min(base, large)
    near, weight = clips[max(large - 3, 0)], 1 / 3
    for size in range(large - 3, base - 1, -1):
        near = _joined(device, near, clips[size - 1], 1 / 3 if size >= large - 4 else 0.0, weight, isa)
        weight = 1.0
    far = _part(clips[-1], 0, 2)
    for size in range(large - 1, base - 1, -1):
        far = _joined(device, far, _part(clips[size - 1], 0, 2), 0.0, 1.0, isa)
    here = around = clips[base - 1]
    if light is not None:
        lights = _pyramid(device, light, large, isa)
        around = _part(lights[-1], 3, 7)
        for size in range(large - 1, base - 1, -1):
            around = _joined(device, around, _part(lights[size - 1], 3, 7), 1.0, SPREAD, isa)
        here = lights[base - 1]
    region = here[1]
    out = device.empty((1 if light is None else 4, region.height, region.width)), region
    _launch(
        device, "lift_recover", region, isa=isa, light=_part(here, 0, 3), around=around, near_=near, far_=far, out=out,
        level=level, most=stops, led=light is not None,
    )  # fmt: skip
    return out if base == 1 else _joined(device, out, _part(clips[0], 0, len(out[0])), 0.0, 1.0, isa)


def _part(plane: Plane, first: int, end: int) -> Plane:
    return plane[0][first:end], plane[1]


def _pyramid(
    device: Device, first: Plane, most: int, isa: str | None, least: int = 1, straight: bool = False
) -> list[Plane]:
    """Return a picture and its halves, at most that many, none with a side under `least`."""
    sizes = [first]
    while len(sizes) < most and min(sizes[-1][1].width, sizes[-1][1].height) > max(least, 1):
        region = _half(sizes[-1][1])
        count = first[0].shape[0]
        made = device.empty((count, region.height, region.width)), region
        _launch(device, "lift_shrink", region, isa=isa, image=sizes[-1], out=made, straight=straight, planes=count)
        sizes.append(made)
    return sizes


def _joined(
    device: Device,
    half: Plane,
    fine: Plane,
    own: float,
    up: float,
    isa: str | None,
    *,
    rounded: bool = False,
) -> Plane:
    made = device.empty(fine[0].shape), fine[1]
    _launch(
        device, "lift_expand", fine[1], isa=isa, half=half, fine=fine, out=made, own=own, up=up, rounded=rounded,
        planes=fine[0].shape[0],
    )  # fmt: skip
    return made


def _launch(device: Device, name: str, region: Region, **arguments: Any) -> None:
    few = device.kind == "cpu" and region.area < FEW
    launch_kernel(Device("cpu", 1) if few else device, name, region, **arguments)


def table(source: Source) -> tuple[Any, tuple[float, float]]:
    """Return the table of codes as kernels take it; one that says nothing where there are no codes."""
    return (np.zeros((2, 2)) if source.table is None else source.table), (0.0, 1.0)


def pieces(source: Source) -> dict[str, Any]:
    """Return the pieces of the curve of codes as kernels take them."""
    found = np.zeros((11, OCTAVES)) if source.pieces is None else source.pieces
    return {"pieces": (found, (0.0, 1.0)), "shift": shift_of(found)}


def _half(region: Region) -> Region:
    return Region.sized((region.width + 1) // 2, (region.height + 1) // 2)


def _three(planes: tuple[int, ...]) -> Any:
    return np.resize(np.asarray(planes, np.int32), 3)


def _matrix(source: Source, planes: tuple[int, ...]) -> Any:
    return (source.to_source if len(planes) == 3 else np.eye(3)).ravel()
