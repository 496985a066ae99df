"""The page of `safelight compare --page`: what it shows, where it looks, and what it says when it cannot be written."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from typer.testing import CliRunner

from safelight.host_adapters.cli.look import CROP, ZOOM, spots
from safelight.host_adapters.cli.main import app
from tests.host_adapters.cli.conftest import Safelight

RED, BLUE = (210, 60, 50), (40, 70, 190)


def _clip(folder: Path, shade: tuple[int, int, int], count: int = 4, size: tuple[int, int] = (96, 64)) -> Path:
    folder.mkdir()
    for frame in range(1, count + 1):
        Pillow.new("RGB", size, shade).save(folder / f"frame.{frame:04d}.png")
    return folder


def test_page_and_crops(tmp_path: Path) -> None:
    a, b = _clip(tmp_path / "a", RED), _clip(tmp_path / "b", BLUE)
    done = CliRunner().invoke(app, ["compare", str(a), str(b), "--page", str(tmp_path / "look"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["page"] == str(tmp_path / "look" / "index.html")
    text = (tmp_path / "look" / "index.html").read_text(encoding="utf-8")
    held = json.loads(re.search(r'id="pictures">(.*?)</script>', text, re.S)[1])
    assert list(held) == ["2", "3", "4"] and all(set(one) == {"a", "b", "difference"} for one in held.values())
    whole = Pillow.open(tmp_path / "look" / held["2"]["b"]).convert("RGB")
    assert whole.size == (96, 64)
    r, _, blue = whole.getpixel((40, 30))
    assert blue > r + 60
    named = set(re.findall(r'src="([^"]+\.webp)"', text))
    assert named == {path.name for path in (tmp_path / "look").glob("*.webp")} and "3_motion.webp" in named
    strip = Pillow.open(tmp_path / "look" / "2_flat.webp").convert("RGB")
    width = (strip.width + 6) // 3 - 6
    assert strip.height == 64 * ZOOM and width == 96 * ZOOM
    before, after, difference = (strip.getpixel((width // 2 + index * (width + 6), 20)) for index in range(3))
    assert before[0] > before[2] + 60 and after[2] > after[0] + 60
    assert difference[0] < 100 < 150 < difference[2]  # B - A: less red, more blue


def test_where_it_looks() -> None:
    rng = np.random.default_rng(1)
    w, h = 800, 600
    after = np.full((h, w, 3), 128, np.uint8)
    after[:150, :200] = rng.integers(0, 255, (150, 200, 1))
    previous, before = after.copy(), after.copy()
    after[400:520, 600:760] = 200
    before[420:540, 100:240] = 118  # a veil that was taken: coarse, no grain
    found = {spot.name: spot.region for spot in spots(before, after, previous)}
    assert list(found) == ["detail", "motion", "flat", "changed"]
    assert found["detail"].x1 <= 200 and found["detail"].y1 <= 150
    assert abs(found["motion"].x0 - 600) < 40 and abs(found["motion"].y0 - 400) < 40
    assert found["changed"].intersect(type(found["flat"])(100, 420, 240, 540)).width > 80
    regions = list(found.values())
    assert all((r.width, r.height) == CROP for r in regions)
    assert not any(a.intersect(b) for i, a in enumerate(regions) for b in regions[:i])
    assert [spot.name for spot in spots(before[:40, :50], after[:40, :50], None)] == ["detail", "flat", "changed"]


def test_a_page_that_cannot_be_written(tmp_path: Path, safelight: Safelight) -> None:
    a = _clip(tmp_path / "a", RED, 1)
    (tmp_path / "file").write_text("x")
    done = safelight("compare", a, a, "--page", "file/deeper")
    assert done.returncode == 2 and "the page cannot be written" in done.stderr and "file/deeper" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_channel(tmp_path: Path) -> None:
    for name, level in (("a.png", 90), ("b.png", 140)):
        Pillow.new("L", (64, 48), level).save(tmp_path / name)
    done = CliRunner().invoke(
        app, ["compare", str(tmp_path / "a.png"), str(tmp_path / "b.png"), "--page", str(tmp_path / "look")]
    )
    assert done.exit_code == 0 and (tmp_path / "look" / "index.html").is_file()
