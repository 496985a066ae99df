"""The plug-in, installed into a folder and loaded into the stand-in for Nuke."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from safelight.host_adapters.nuke.install import CONFIG, install
from tests.stand_ins.nuke_like import Host

FAKE = Path(__file__).parent / "fake_engine.py"
FIRST, LAST = 1001, 1012


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plug-in, as `safelight nuke install` puts it there."""
    return install(tmp_path_factory.mktemp("installed") / "safelight").folder


class Nuke:
    """The stand-in with the plug-in in it, a plate, and what a test asks of them."""

    def __init__(self, folder: Path, plugin: Path, **edition: Any) -> None:
        self.folder, self.plugin = folder, plugin
        self.host = Host(folder, **edition)
        sys.modules["nuke"] = self.host.module

    def module(self, name: str) -> Any:
        return importlib.import_module(f"safelight_{name}")

    def plate(self, **knobs: Any) -> Any:
        """Make a Read of the plate."""
        read = self.host.make(
            "Read", file=str(self.folder / "plate" / "p.####.exr"), first=FIRST, last=LAST, raw=True, on_error="error"
        )
        for name, value in knobs.items():
            read._knobs[name]._do_setValue(value)
        return read

    def node(self, kind: str, *inputs: Any, **parameters: Any) -> Any:
        """Make a Safelight node from the menu's snippet."""
        for one in self.host.the_root._children:
            one._knobs["selected"]._value = False
        node = self.module("nodes").create(kind)
        node._inputs = list(inputs)
        for name, value in parameters.items():
            node._knobs[f"sl_{name}"]._do_setValue(value)
        return node

    def render(self, node: Any, frames: str = "") -> None:
        """Press Render, and be Nuke's event loop until it has ended."""
        panel = self.module("panel")
        panel.render(node, frames)
        self.host.pump(120, until=lambda: not panel._running)
        assert not panel._running, "the render never ended"

    def use(self, engine: list[str]) -> None:
        """Let the plug-in run another engine."""
        path = self.plugin / CONFIG
        path.write_text(json.dumps({**json.loads(path.read_text()), "engine": engine}))


@pytest.fixture
def nuke(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nuke]:
    """A Nuke with a GUI and the real engine."""
    yield from running(tmp_path, installed, monkeypatch)


@pytest.fixture
def quick(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nuke]:
    """A Nuke with an engine that copies its input: for what happens around the engine."""
    for made in running(tmp_path, installed, monkeypatch):
        made.use([sys.executable, str(FAKE)])
        yield made


def running(folder: Path, installed: Path, monkeypatch: pytest.MonkeyPatch, **edition: Any) -> Iterator[Nuke]:
    plugin = folder / "plugin"
    shutil.copytree(installed, plugin)
    for name in ("OCIO", "SAFELIGHT_ENGINE", "SAFELIGHT_CACHE", "SAFELIGHT_PATH_MAP"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SAFELIGHT_CACHE", str(folder / "cache"))
    monkeypatch.syspath_prepend(str(plugin))
    made = Nuke(folder, plugin, **edition)
    write_plate(folder / "plate")
    try:
        yield made
    finally:
        _forget()
        sys.modules.pop("nuke", None)


def _forget() -> None:
    for name in [name for name in sys.modules if name.startswith("safelight_") or name in ("init", "menu")]:
        del sys.modules[name]


def write_plate(folder: Path, first: int = FIRST, last: int = LAST) -> None:
    """Write a noisy EXR sequence with everything that can get lost on the way."""
    folder.mkdir(exist_ok=True)
    for frame in range(first, last + 1):
        rng = np.random.default_rng(frame)
        data = (0.2 + 0.05 * rng.standard_normal((20, 36, 5))).astype(np.float32)
        data[..., 3] = rng.random((20, 36))
        data[0, 0, :3] = np.nan
        data[1, 1, :3] = (-3.5, 65504.0, 1e30)
        data[2, 2, :3] = (np.inf, -np.inf, 1e-40)
        spec = OpenImageIO.ImageSpec(36, 20, 5, "float")
        spec.channelnames = ("R", "G", "B", "A", "depth.Z")
        spec.x, spec.y, spec.full_x, spec.full_y, spec.full_width, spec.full_height = 4, -2, 0, 0, 48, 27
        spec.attribute("smpte:TimeCode", OpenImageIO.TypeDesc("timecode"), (0x01000000 + frame, 0))
        spec.attribute("reelName", "A001C002")
        spec.attribute("owner", "somebody")
        spec.attribute("PixelAspectRatio", 1.0)
        spec.attribute("compression", "zip")
        out = OpenImageIO.ImageOutput.create(str(folder / f"p.{frame}.exr"))
        assert out is not None and out.open(str(folder / f"p.{frame}.exr"), spec)
        out.write_image(data)
        out.close()


os.environ.setdefault("SAFELIGHT_DEBUG", "0")
