"""Pixels on a device: moved there once, worked on there, brought back for those who need them here."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from safelight.graph import device as device_module
from safelight.graph.device import Device, choose_device
from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.registry import Registry
from safelight.graph.render import render
from safelight.nodes.kernels import cuda
from safelight.nodes.kernels.launch import isas
from safelight.nodes.merge.mix import Mix
from tests.graph.toys import Box, toys
from tests.stand_ins import cupy_like

TEXT = """
safelight = 1
[nodes.one]
type = "Noise"
frames = 5
width = 33
[nodes.two]
type = "Noise"
frames = 5
width = 33
seed = 3
[nodes.half]
type = "Mix"
inputs = {a = "one", b = "two"}
amount = 0.5
[nodes.soft]
type = "Box"
input = "half"
[nodes.last]
type = "Mix"
inputs = {a = "half", b = "soft", matte = "two"}
[nodes.out]
type = "Store"
input = "last"
path = "out.%04d.npy"
"""


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """A machine with a stand-in GPU; counts the transfers."""
    if "scalar" not in isas():
        pytest.skip("the stand-in runs the scalar build")
    moved: Counter[str] = Counter()
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    monkeypatch.setattr(cuda, "run", cupy_like.run)
    monkeypatch.setattr(Box, "devices", ("cpu",))
    upload, download = Device.upload, Device.download

    def count_up(self: Device, image: Image) -> Image:
        result = upload(self, image)
        moved["up"] += result is not image
        return result

    def count_down(self: Device, image: Image) -> Image:
        result = download(self, image)
        moved["down"] += result is not image
        return result

    monkeypatch.setattr(device_module.Device, "upload", count_up)
    monkeypatch.setattr(device_module.Device, "download", count_down)
    cupy_like.LAUNCHED.clear()
    yield moved


def graph(folder: Path) -> Graph:
    registry: Registry = toys()
    registry.add(Mix)
    return Graph.from_document(Document.parse(TEXT, folder), registry)


@pytest.mark.parametrize("tile", [0, 8])
def test_the_device_s_picture_is_the_cpu_s(tmp_path: Path, gpu: Counter[str], tile: int) -> None:
    (tmp_path / "cpu").mkdir()
    (tmp_path / "gpu").mkdir()
    render(graph(tmp_path / "cpu"), device=Device("cpu", 1))
    assert not gpu.total() and not cupy_like.LAUNCHED
    render(graph(tmp_path / "gpu"), device=choose_device("auto", 1), tile=tile)
    for frame in range(1, 6):
        name = f"out.{frame:04d}.npy"
        np.testing.assert_array_equal(np.load(tmp_path / "gpu" / name), np.load(tmp_path / "cpu" / name))
    assert set(cupy_like.LAUNCHED) == {"mix"}
    # Up: two sources and the CPU node's picture, once each. Down: that node's input and the result, once each.
    assert gpu == {"up": 5 * 3, "down": 5 * 2}


def test_numpy_cannot_touch_what_is_on_the_device(gpu: Counter[str]) -> None:
    array = Device("cuda", 1).xp.asarray(np.ones((2, 2), np.float32))
    with pytest.raises(TypeError):
        np.add(array, 1)
    with pytest.raises(TypeError):
        array[0] = np.ones(2, np.float32)
