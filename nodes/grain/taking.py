"""How much of the grain is taken where: the part of Degrain that a matte steers."""

from __future__ import annotations

from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch


def coverage(matte: Image, region: Region, device: Device) -> Any:
    """Return a matte's first channel over `region`, (1, H, W); 0 outside its data window."""
    if matte.region == region:
        return matte.data[:1]
    whole = device.xp.zeros((1, region.height, region.width), dtype=np.float32)
    inside = matte.region.intersect(region)
    if inside:
        y, x = inside.y0 - region.y0, inside.x0 - region.x0
        whole[:, y : y + inside.height, x : x + inside.width] = matte.crop(inside).data[:1]
    return whole


def take(device: Device, region: Region, plate: Any, clean: Any, grain: Any, *, matte: Any) -> None:
    """Rewrite `clean` and `grain` (planes over `region`) to what is taken under the matte: see `degrain_take`."""
    launch(
        device,
        "degrain_take",
        region,
        plate=(plate, region),
        clean=(clean, region),
        matte=(matte, region),
        image=(clean, region),
        grain=(grain, region),
        planes=plate.shape[0],
    )
