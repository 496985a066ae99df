"""Delivered frames, and what files say of their light: for the tests of HDR delivery."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO

from safelight.colour.transfer import pq_light
from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.nodes.colour.deliver import Deliver, DeliverParams

WIDTH, HEIGHT = 96, 64
FRAMES = range(1, 13)
CPU = Device("cpu", 1)
PQ_SPACE = "Rec.2100-PQ - Display"


def scene(frame: int) -> Image:
    """Light from 1 to 1,500 cd/m², letterboxed, another every frame."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = np.exp2(-6 + 10 * x / WIDTH) * (1 + 0.3 * np.sin(y / 7 + frame / 3))
    data = (np.array([1, 0.8, 0.6])[:, None, None] * base).astype(np.float32)
    data[:, :8], data[:, -8:] = 0, 0
    return Image(data, Region.sized(WIDTH, HEIGHT), metadata={"owner": "me"})


def delivered(frames=FRAMES, make=scene, **params) -> tuple[Clip, dict[int, Image]]:
    chosen, node = DeliverParams(**params), Deliver()
    window = Region.sized(WIDTH, HEIGHT)
    clip = node.extent(chosen, {"input": Clip(frames[0], frames[-1], window, window, fps=Fraction(24))})
    images = {}
    for frame in frames:
        request = Request(frame, window)
        inputs = Inputs(request, {"input": {frame: make(frame)}}, {})
        images[frame] = node.compute(chosen, request, inputs, CPU)
    return clip, images


def sidecar(path: Path) -> dict:
    return json.loads(path.read_text())


def raw(path: Path, kind: str) -> np.ndarray:
    reader = OpenImageIO.ImageInput.open(str(path))
    return np.moveaxis(reader.read_image(0, 0, 0, 3, kind), 2, 0)


def oracle(codes: list[np.ndarray]) -> tuple[float, float]:
    """MaxCLL and MaxFALL of PQ signals read back from files, every pixel in float64; 8 rows of border above, below."""
    lights = [pq_light(np.asarray(code, np.float64)).max(axis=0) for code in codes]
    inside = [light[8:-8].ravel() for light in lights]
    return max(light.max() for light in lights), max(math.fsum(light) / light.size for light in inside)
