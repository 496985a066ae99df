"""`safelight analyse SEQUENCE --fade FILE`: figures, curves, before and after."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.host_adapters.cli.fade_report import SIZE
from safelight.nodes.colour.fading import MEDIA, Fade, fade_light
from tests.host_adapters.cli.conftest import Safelight
from tests.nodes.colour.test_fade_repair import scene

LOST = Fade((0.35, 0.8, 0.6), (0.05, 0.0, 0.1), (0.06, 0.1, 0.25), (0.06, 0.02, 0.05, 0.03, 0.02, 0.05))


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    light = fade_light(scene(), LOST, MEDIA["print"])
    code = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    for number in (1, 2):
        pixels = np.rint(255 * np.clip(code, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
        Image.fromarray(np.ascontiguousarray(pixels)).save(folder / f"f.{number:04d}.png")
    return folder


def test_a_page_with_curves_and_a_picture(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "f.####.png", "--fade", "fade.html", "--json", cwd=scan)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)["fade"]
    assert found["medium"] == "print" and 0 <= found["confidence"] <= 1 and len(found["share"]) == 3
    page = (scan / "fade.html").read_text(encoding="utf-8")
    assert "data:image/png;base64," in page and "What the confidence rests on" in page and "cyan dye" in page
    assert f"{found['share'][0]:.1%}" in page and "http" not in page.split("base64")[0]
    done = safelight("analyse", "f.####.png", "--fade", "fade.png", "--medium", "separations", cwd=scan)
    assert done.returncode == 0 and "confidence" in done.stdout
    assert Image.open(scan / "fade.png").size == SIZE


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--fade", "fade.txt"), "no PNG and no HTML"),
        (("--fade", "there/fade.png"), "folder is not there"),
        (("--fade", "fade.png", "--cuts"), "colours alone"),
        (("--fade", "fade.png", "--medium", "wax"), "medium"),
    ],
)
def test_wrong_use(safelight: Safelight, scan: Path, arguments: tuple[str, ...], words: str) -> None:
    done = safelight("analyse", "f.####.png", *arguments, cwd=scan)
    assert done.returncode == 2 and words in done.stderr
