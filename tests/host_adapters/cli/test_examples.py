"""Every document in examples/: accepted by check, rendered on made-up pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest

from tests.host_adapters.cli.conftest import Safelight

EXAMPLES = Path(__file__).parents[3] / "examples"
DOCUMENTS = sorted(path.name for path in EXAMPLES.glob("*.toml"))
ENLARGED = ("restore.toml", "upscale.toml", "upscale_detail.toml")


def picture(
    path: Path, number: int, *, kind: str = "half", channels: int = 3, log: bool = False, noise: float = 0.02
) -> None:
    """Write a soft, moving, noisy picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(number)
    y, x = np.mgrid[0:90, 0:160].astype(np.float32)
    base = 0.3 + 0.25 * np.sin((x + 2 * number) / 9) * np.cos(y / 7)
    pixels = base[..., None] * np.ones(channels, np.float32) + noise * rng.standard_normal((90, 160, channels))
    spec = OpenImageIO.ImageSpec(160, 90, channels, kind)
    if log:
        spec.attribute("dpx:Transfer", "Printing density")
        spec.attribute("oiio:BitsPerSample", 10)
    out = OpenImageIO.ImageOutput.create(str(path))
    assert out is not None and out.open(str(path), spec), path
    assert out.write_image(pixels.astype(np.float32))
    out.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The examples, and the pictures they read."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    root = tmp_path / "examples"
    for number in range(1001, 1009):
        picture(root / "scans" / f"shot010.{number}.exr", number)
        picture(root / "renders" / f"shot010.{number}.exr", number, noise=0.002)
        picture(root / "mattes" / f"sky.{number}.exr", number, channels=1)
        picture(root / "scans" / f"reel1.{number}.dpx", number, kind="uint16", log=True)
    return root


def test_there_are_examples_and_each_is_described() -> None:
    text = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert len(DOCUMENTS) >= 5
    for name in DOCUMENTS:
        assert f"[{name}]({name})" in text


@pytest.mark.parametrize("name", DOCUMENTS)
def test_check_accepts_and_render_makes_it(safelight: Safelight, folder: Path, name: str) -> None:
    if name in ("restore.toml", "upscale_detail.toml"):
        pytest.importorskip("torch")
    done = safelight("check", folder / name, "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)
    assert plan["count"] >= 8 and plan["writes"]
    small = ["--set", "plate.width=160", "--set", "plate.height=90"] if "Plate" in (folder / name).read_text() else []
    done = safelight("render", folder / name, "--frames", "1003-1004", "--json", *small)
    assert done.returncode == 0, done.stderr
    files = [Path(file) for file in json.loads(done.stdout)["files"] if not file.endswith(".json")]
    assert len(files) == 2 * len(plan["writes"])
    for file in files:
        pixels = OpenImageIO.ImageBuf(str(file)).get_pixels(OpenImageIO.FLOAT)
        assert pixels.shape[:2] == ((180, 320) if name in ENLARGED else (90, 160))
        assert np.isfinite(pixels).all() and pixels.std() > 1e-4
