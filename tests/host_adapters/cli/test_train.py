"""`safelight train`: a net from a folder, resumed, plotted; wrong use told."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.host_adapters.cli.conftest import Safelight

pytest.importorskip("torch")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    random = np.random.default_rng(0)
    for k in range(2):
        small = random.integers(0, 255, (60, 60, 3), np.uint8)
        Image.fromarray(small).resize((240, 240), Image.Resampling.NEAREST).save(folder / f"{k}.png")
    return folder


def test_a_net_from_a_folder(safelight: Safelight, photos: Path, tmp_path: Path) -> None:
    from safelight.nodes.resolution.learned import storing
    from safelight.nodes.resolution.learned.enlarge import enlarge

    run = safelight("train", photos, "-o", "net.safetensors", "--steps", 3, "--threads", 1, "--plot", "p.png",
                    "--test", photos, "--json")  # fmt: skip
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["steps"] == 3 and told["parameters"] == 56964 and told["losses"][-1][0] == 3
    assert set(told["test"]) == {"psnr", "lanczos"} and "left" in run.stderr
    stored = storing.load(tmp_path / "net.safetensors")
    assert stored.notes["steps"] == 3 and len(stored.ranges) == 8 and not stored.repairs
    made = enlarge(np.full((1, 9, 9), 0.3, np.float32), 2, model=tmp_path / "net.safetensors")
    np.testing.assert_allclose(made, 0.3, rtol=1e-3)
    with Image.open(tmp_path / "p.png") as plot:
        assert plot.size == (1440, 640) and len(set(plot.getdata())) > 20
    assert not list(tmp_path.glob("*.checkpoint"))


def test_a_net_for_holes(safelight: Safelight, photos: Path, tmp_path: Path) -> None:
    pytest.importorskip("safetensors")
    from safelight.nodes.resolution.learned.filling import FillShape, find

    run = safelight("train", photos, "-o", "fill.safetensors", "--net", "fill", "--steps", 2, "--threads", 1,
                    "--plot", "p.png", "--json")  # fmt: skip
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["steps"] == 2 and told["scale"] is None and set(told["held_out"]) == {"psnr", "structure"}
    assert told["parameters"] == FillShape().parameters and find(tmp_path / "fill.safetensors").notes["steps"] == 2
    assert (tmp_path / "p.png").exists()


def test_restore_learns_film_in_colour(photos: Path, tmp_path: Path) -> None:
    from safelight.host_adapters.cli.commands.train import train
    from safelight.nodes.resolution.learned import storing

    train(photos, tmp_path / "net.safetensors", net="restore", steps=2, threads=1, device="cpu")
    stored = storing.load(tmp_path / "net.safetensors")
    assert stored.shape.planes == 3 and stored.repairs and stored.notes["degradation"] == "film"


def test_wrong_use(photos: Path, tmp_path: Path) -> None:
    from safelight.graph.errors import GraphError
    from safelight.host_adapters.cli.commands.train import train

    out = tmp_path / "net.safetensors"
    for more, words in (
        ({"out": tmp_path / "net.pth"}, "Name it FILE.safetensors"),
        ({"scale": 3}, "Use --scale 2 or 4"),
        ({"net": "restore", "scale": 4}, "restore: 2 times"),
        ({"net": "huge"}, "Nets: fast, main"),
        ({"plot": tmp_path / "x.gif"}, "Name it FILE.png"),
        ({"start": tmp_path / "none.safetensors"}, "no such weights"),
        ({"device": "gpu"}, "Use auto, cpu or cuda"),
        ({"net": "fill", "degradation": "film"}, "Leave --degradation out"),
    ):
        with pytest.raises(GraphError) as caught:
            train(photos, **{"out": out, "threads": 1, **more})  # type: ignore[arg-type]
        assert words in str(caught.value)
    (tmp_path / "net.safetensors.checkpoint").write_bytes(b"rubbish")
    with pytest.raises(GraphError, match="no whole checkpoint"):
        train(photos, out, steps=3, threads=1)
