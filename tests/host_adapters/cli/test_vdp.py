"""ColorVideoVDP in `safelight compare`: what it is given, and its verdict where it is installed."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.progress import Silent
from safelight.host_adapters.cli import vdp
from safelight.host_adapters.cli.comparison import graph_of
from tests.host_adapters.cli.conftest import Safelight

CPU = Device("cpu", 1)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def clips(folder: Path, frames: int = 3, size: tuple[int, int] = (48, 64)) -> list[np.ndarray]:
    """Two clips in Rec.709-free greys and colours, b a little brighter in a patch; returns a's frames."""
    rng = np.random.default_rng(3)
    made = []
    for frame in range(1, frames + 1):
        pixels = rng.uniform(0, 5, (3, *size)).astype(np.float32)
        made.append(pixels)
        for name, data in (("a", pixels), ("b", pixels.copy())):
            if name == "b":
                data[:, 8:24, 8:24] *= 1.3
            (folder / name).mkdir(exist_ok=True)
            spec = OpenImageIO.ImageSpec(size[1], size[0], 3, "float")
            out = OpenImageIO.ImageOutput.create(str(folder / name / f"f.{frame:04d}.exr"))
            assert out.open(str(folder / name / f"f.{frame:04d}.exr"), spec)
            out.write_image(np.ascontiguousarray(np.moveaxis(data, 0, 2)))
            out.close()
    return made


class Tensor:
    """As much of a tensor as the calling needs; anything else is an error."""

    def __init__(self, data: np.ndarray) -> None:
        assert data.dtype == np.float32 and data.flags.c_contiguous
        self.data = data

    def to(self, place: str) -> Tensor:
        assert place == "cpu"
        return self


class Photometry:
    def __init__(self, display_photometry: str) -> None:
        assert display_photometry in MODELS

    def apply_dm_and_color_transform(self, frame: Tensor, colorspace: str) -> np.ndarray:
        assert colorspace == "DKLd65" and frame.data.ndim == 5 and frame.data.shape[:3:2] == (1, 1)
        return frame.data[0, :, 0]


MODELS = {
    "pq": {"colorspace": "BT.2020-PQ"},
    "light": {"colorspace": "BT.709-linear"},
    "desk": {},
    "hlg": {"colorspace": "BT.2020-HLG"},
}


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A pycvvdp that asks as the real one does and keeps what it gets; it has no figure of its own but 8.25."""
    seen: dict[str, Any] = {"a": [], "b": []}
    folder = tmp_path / "library"
    (folder / "vvdp_data").mkdir(parents=True)
    (folder / "vvdp_data" / "display_models.json").write_text(json.dumps(MODELS))

    class Metric:
        def __init__(self, display_name: str, *, quiet: bool, device: str) -> None:
            assert display_name in MODELS and quiet and device == "cpu"

        def predict_video_source(self, source: Any) -> tuple[float, dict]:
            seen["size"], seen["fps"] = source.get_video_size(), source.get_frames_per_second()
            for index in range(seen["size"][2]):
                seen["b"].append(source.get_test_frame(index, device="cpu", colorspace="DKLd65"))
                seen["a"].append(source.get_reference_frame(index, device="cpu", colorspace="DKLd65"))
                assert source.get_test_frame(index, device="cpu", colorspace="DKLd65") is not None
            with pytest.raises(RuntimeError, match="asked for after"):
                source.get_test_frame(-1, device="cpu", colorspace="DKLd65")
            return 8.25, {}

    library, source, torch = ModuleType("pycvvdp"), ModuleType("pycvvdp.video_source"), ModuleType("torch")
    library.__file__, library.cvvdp, library.video_source = str(folder / "__init__.py"), Metric, source
    source.video_source_dm = Photometry
    torch.from_numpy, torch.Tensor, torch.device = Tensor, Tensor, lambda name: name
    torch.set_num_threads = lambda count: seen.update(threads=count)
    for module in (library, source, torch):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    return seen


def run(folder: Path, display: str, white: float = 100.0, frames: int = 3) -> vdp.Verdict:
    graph = graph_of(folder / "a", folder / "b", "Linear Rec.709 (sRGB)", untrusted=False)
    numbers = list(range(1, frames + 1))
    return vdp.measure(graph, numbers, numbers, display=display, white=white, device=CPU, progress=Silent())


def test_what_it_is_given(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    made = clips(tmp_path)
    verdict = run(tmp_path, "light", white=203)
    assert verdict.as_data() == {"jod": 8.25, "display": "light"} and stand_in["threads"] == 1
    assert stand_in["size"] == (48, 64, 3) and stand_in["fps"] == 24
    for got, want in zip(stand_in["a"], made, strict=True):
        np.testing.assert_allclose(got, want * 203, rtol=1e-4, atol=2e-2)
    np.testing.assert_allclose(
        stand_in["b"][1][:, 8:24, 8:24], made[1][:, 8:24, 8:24] * 203 * 1.3, rtol=1e-4, atol=2e-2
    )


def test_other_displays_get_their_own_signal(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    made = clips(tmp_path, 1)
    run(tmp_path, "desk", frames=1)
    held = np.clip(np.float64(made[0]), 0, 1)
    want = np.where(held <= 0.0031308, 12.92 * held, 1.055 * held ** (1 / 2.4) - 0.055)
    np.testing.assert_allclose(stand_in["a"][0], want, atol=2e-4)
    assert stand_in["fps"] == 0
    run(tmp_path, "pq", frames=1)
    assert stand_in["a"][1].max() < 0.8 and stand_in["a"][1].min() >= 0


def test_refusals(tmp_path: Path, stand_in: dict[str, Any]) -> None:
    clips(tmp_path)
    graph = graph_of(tmp_path / "a", tmp_path / "b", "auto", untrusted=False)
    for name in ("hlg", "ligth"):
        with pytest.raises(GraphError, match="no display"):
            vdp.check(graph, name)
    clips(tmp_path, size=(48, 48))
    (tmp_path / "c").mkdir()
    other = tmp_path / "other"
    other.mkdir()
    clips(other, size=(32, 64))
    graph = graph_of(tmp_path / "a", other / "b", "auto", untrusted=False)
    with pytest.raises(GraphError, match="one size"):
        vdp.check(graph, "light")


def test_without_it_there_is_one_clear_error(safelight: Safelight, tmp_path: Path) -> None:
    clips(tmp_path, 1)
    (tmp_path / "pycvvdp.py").write_text("raise ImportError('no such module')")
    done = safelight("compare", "a", "b", "--vdp", "light", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2 and "pip install" in done.stderr and "cvvdp" in done.stderr


def test_the_verdict_is_that_of_the_library_itself(tmp_path: Path) -> None:
    if importlib.util.find_spec("pycvvdp") is None:
        pytest.skip("needs pycvvdp")
    import pycvvdp
    import torch

    made = clips(tmp_path)
    other = [frame.copy() for frame in made]
    for frame in other:
        frame[:, 8:24, 8:24] *= 1.3
    verdict = run(tmp_path, vdp.DISPLAY)
    metric = pycvvdp.cvvdp(display_name=vdp.DISPLAY, quiet=True, device=torch.device("cpu"))
    a, b = (np.stack(frames, axis=1) * np.float32(100) for frames in (made, other))
    want, _ = metric.predict(b, a, dim_order="CFHW", frames_per_second=24)
    assert 2 < verdict.jod < 9.9 and verdict.jod == pytest.approx(float(want), abs=2e-3)
