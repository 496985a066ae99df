"""Reading and writing through the nodes, as the engine does it: extent, check, compute, writer."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.io.read import Read
from safelight.nodes.io.write import Write


@dataclass
class Bench:
    """Runs Read and Write without the engine."""

    settings: Settings = field(default_factory=Settings)
    device: Device = field(default_factory=lambda: Device("cpu", 2))

    def clip(self, path: Path, **params: Any) -> Clip:
        node = Read()
        chosen = node.Params(path=path, **params)
        clip = node.offer(chosen, self.settings)
        self.warnings = list(node.check(chosen, {}, self.settings))
        return clip

    def read(self, path: Path, frame: int | None = None, region: Region | None = None, **params: Any) -> Image:
        node = Read()
        chosen = node.Params(path=path, **params)
        clip = node.offer(chosen, self.settings)
        list(node.check(chosen, {}, self.settings))
        number = clip.first if frame is None else frame
        request = Request(number, region or clip.extent_at(number))
        return node.compute(chosen, request, Inputs(request, {}, {}, self.settings), self.device)

    def write(self, path: Path, clip: Clip, images: dict[int, Image], **params: Any) -> list[Path]:
        node = Write()
        chosen = node.Params(path=path, **params)
        self.warnings = list(node.check(chosen, {"input": clip}, self.settings))
        writer = node.writer(chosen, clip, sorted(images), self.settings)
        done: list[Path] = []
        try:
            for frame in sorted(images):
                done += writer.write(frame, images[frame])
            return [*done, *writer.close()]
        except BaseException:
            writer.abort()
            raise

    def copy(self, source: Path, target: Path, **params: Any) -> Path:
        """A bare Read -> Write of the first frame."""
        clip = self.clip(source)
        return self.write(target, clip, {clip.first: self.read(source)}, **params)[0]


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture(scope="session")
def data() -> Path:
    folder = os.environ.get("SAFELIGHT_TEST_DATA")
    if not folder or not (Path(folder) / "images").is_dir():
        pytest.skip("SAFELIGHT_TEST_DATA is not set")
    return Path(folder) / "images"


def picture(
    width: int = 31,
    height: int = 17,
    channels: Sequence[str] = ("R", "G", "B"),
    seed: int = 1,
    low: float = 0.0,
    high: float = 1.0,
) -> Image:
    rng = np.random.default_rng(seed)
    planes = rng.uniform(low, high, (len(channels), height, width)).astype(np.float32)
    return Image(planes, Region.sized(width, height), tuple(channels))


def clip_of(image: Image, frames: int = 1, display: Region | None = None, **facts: Any) -> Clip:
    return Clip(1, frames, display or image.region, image.region, channels=image.channels, **facts)


def write_oiio(
    path: Path, samples: np.ndarray, kind: str, attributes: dict[str, Any] | None = None, **spec: Any
) -> Path:
    """A file made by OpenImageIO alone, without any of our code."""
    made = OpenImageIO.ImageSpec(samples.shape[1], samples.shape[0], samples.shape[2], kind)
    for name, value in spec.items():
        setattr(made, name, value)
    for name, value in (attributes or {}).items():
        made.attribute(name, *value) if isinstance(value, tuple) else made.attribute(name, value)
    output = OpenImageIO.ImageOutput.create(str(path))
    assert output.open(str(path), made), output.geterror()
    assert output.write_image(samples), output.geterror()
    output.close()
    return path


@pytest.fixture
def make_picture() -> Any:
    return picture


@pytest.fixture
def make_clip() -> Any:
    return clip_of


@pytest.fixture
def make_file() -> Any:
    return write_oiio
