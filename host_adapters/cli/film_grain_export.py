"""`analyse --film-grain-table`: a measured grain written for AV1 encoders, in the colours of a delivery."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from safelight.colour.config import config_for, default_space
from safelight.graph.device import Device
from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.graph import Graph
from safelight.graph.image import colour_planes
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.grain.delivered import Delivery, Matrix
from safelight.nodes.grain.film_grain import film_grain, palette
from safelight.nodes.grain.film_grain_table import FOREVER, Segment, save_table
from safelight.nodes.grain.profile import Profile

SEED = 7391
"""Any but 0 will do; encoders step it from frame to frame."""
_FRAMES = 3  # of the plate, for its colours


class Export:
    """Where a table goes, and for what; made before anything is measured, so that it is refused early.

    Raises GraphError where the colour config has no such delivery, or the matrix is none.
    """

    def __init__(self, path: Path, space: str, matrix: str, width: int, device: Device) -> None:
        if matrix not in get_args(Matrix):
            raise GraphError(
                f"'{matrix}' is no matrix of a delivery",
                where="--delivery-matrix",
                remedy=did_you_mean(matrix, get_args(Matrix)) or f"Name one of {', '.join(get_args(Matrix))}.",
            )
        config = config_for(Settings())
        name = config.resolve(space) if space else default_space(config, Path("picture.png"), floating=False, log=False)
        config.processor(config.working, name)
        self.path = path
        self._width = width
        cpu = Device("cpu", device.threads)

        def encode(pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
            return np.asarray(config.convert(pixels, config.working, name, cpu))

        self._delivery = Delivery(name, encode, matrix)  # type: ignore[arg-type]

    def write(self, profile: Profile, colours: npt.NDArray[np.float64] | None = None) -> dict[str, Any]:
        """Write the table of a profile; return what it says of itself, as plain data."""
        ratio = profile.plate.width / self._width if self._width else 1.0
        delivery = Delivery(self._delivery.name, self._delivery.encode, self._delivery.matrix, ratio)
        made = film_grain(profile, delivery, colours)
        save_table([Segment(start=0, end=FOREVER, apply=True, seed=SEED, grain=made.grain)], self.path)
        sigma = {
            name: [round(float(v), 3) for v in row] for name, row in zip(("Y", "Cb", "Cr"), made.sigma, strict=True)
        }
        return {
            "file": str(self.path),
            "delivery": delivery.name,
            "matrix": delivery.matrix,
            "luma": [int(code) for code in made.codes],
            "sigma": sigma,
            "parameters": made.grain.model_dump(mode="json"),
            "remarks": list(made.remarks),
        }


def colours_of(
    graph: Graph, node: str, profile: Profile, device: Device, memory: int, cancel: threading.Event
) -> npt.NDArray[np.float64]:
    """Return the colours of the frames that were measured, planes in the profile's order."""
    frames = profile.plate.frames
    spread = sorted({frames[round(i * (len(frames) - 1) / (_FRAMES - 1))] for i in range(_FRAMES)})
    area = Region(*profile.plate.patch) if profile.plate.patch else None
    pictures = []
    for _, image in pull(graph, node, frames=spread, device=device, memory=memory, cancel=cancel):
        cropped = image.crop(image.region.intersect(area)) if area else image
        pictures.append(cropped.data[list(colour_planes(image.channels))])
    return palette(pictures)
