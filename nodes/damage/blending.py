"""What is laid in, blended into the plate; and what was not laid in, named."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.image import Image, colour_planes
from safelight.nodes.damage import donors
from safelight.nodes.damage.choosing import Made
from safelight.nodes.damage.donors import Frame
from safelight.nodes.damage.holes import Bools, Holes, blob_boxes

Floats = npt.NDArray[np.float32]


def blended(source: Image, here: Frame, holes: Holes, made: Made, device: Device) -> Floats:
    """Return the source with the repair laid in: its low part fades over the band, its grain changes hands midway."""
    y, x = holes.y, holes.x
    use = (made.code != 0) & (holes.weight > 0) & (holes.inside | here.good[y, x])
    made.code[~use] = 0
    value = made.value.copy()
    band = np.nonzero(use & ~holes.inside)[0]
    if len(band):
        _, low, _ = donors.sampled(here, y[band].astype(np.float64), x[band].astype(np.float64), device)
        step = made.low[:, band] - low
        w = holes.weight[band]
        own = here.planes[:, y[band], x[band]]
        value[:, band] = np.where(w >= 0.5, value[:, band] - (1 - w) * step, own + w * step)
    data = source.data.copy()
    light = donors.to_light(value[:, use])
    for plane, made_plane in zip(colour_planes(source.channels), light, strict=True):
        data[plane, y[use], x[use]] = made_plane
    return data


def unfilled(frame: int, holes: Holes, lost: Bools, source: Image) -> str:
    """Name the holes that stay, in pixels of the display window."""
    boxes = blob_boxes(holes, lost)
    corner = source.region
    named = [f"[{x0 + corner.x0}, {y0 + corner.y0}, {x1 + corner.x0}, {y1 + corner.y0}]" for y0, x0, y1, x1 in boxes]
    one = len(boxes) == 1
    return (
        f"frame {frame}: Repair left {len(boxes)} {'hole' if one else 'holes'} ({int(lost.sum())} pixels) that no "
        f"frame can fill as {'it was, box' if one else 'they were, boxes'} {', '.join(named)}"
    )
