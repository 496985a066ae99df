"""GenerativeUpscale run as a test runs it, and pipelines spoiled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.resolution.generative import GenerativeUpscale, GenerativeUpscaleParams

WINDOW = Region(-7, 3, 24, 23)
NODE = GenerativeUpscale()
WEIGHTS = "diffusion_pytorch_model.safetensors"
Folders = dict[str, Path]


def clip_of(image: Image, extent: Region | None = None) -> Clip:
    return Clip(1, 9, image.region, extent or image.region, channels=image.channels)


def asked(pipeline: Path, **others: Any) -> GenerativeUpscaleParams:
    return GenerativeUpscaleParams(pipeline=pipeline, **{"steps": 1, **others})


def made(
    image: Image, pipeline: Path, *, region: Region | None = None, threads: int = 1, frame: int = 1, **others: Any
) -> Image:
    params, clip = asked(pipeline, **others), clip_of(image)
    assert NODE.check(params, {"input": clip}, Settings()) == []
    request = Request(frame, region or NODE.extent(params, {"input": clip}).extent)
    [need] = NODE.needs(params, request)["input"]
    seen = image.crop(need.region.intersect(image.region))
    inputs = Inputs(request, {"input": {frame: seen}}, {"input": clip})
    return NODE.compute(params, request, inputs, Device("cpu", threads))


def same(a: Image, b: Image) -> None:
    np.testing.assert_array_equal(a.data.view(np.uint32), b.data.view(np.uint32))


def copied(path: Path, to: Path) -> Path:
    return Path(shutil.copytree(path, to / path.name))


def edit(file: Path, **changes: Any) -> None:
    held = json.loads(file.read_text())
    for name, value in changes.items():
        held.pop(name, None) if value is None else held.update({name: value})
    file.write_text(json.dumps(held))


def change(file: Path, name: str, value: float) -> None:
    from safetensors.torch import load_file, save_file

    held = load_file(str(file))
    held[name].reshape(-1)[0] = value
    save_file(held, str(file))
