"""`safelight analyse A --against B`: the match of two plates as table, JSON and plot."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.host_adapters.cli.match_report import SIZE, draw_match
from tests.host_adapters.cli.conftest import Safelight
from tests.host_adapters.cli.test_analyse import write


@pytest.fixture
def plates(tmp_path: Path) -> Path:
    """Two frames of a ramp with white noise of 4 % in `a/`; the clean ramp in `b/`."""
    rng = np.random.default_rng(1)
    ramp = 0.18 * 2.0 ** np.linspace(-1.5, 1.5, 256)
    for index in (1, 2):
        write(tmp_path / "a" / f"f.{index:04d}.exr", ramp * (1 + 0.04 * rng.standard_normal((3, 160, 256))))
        write(tmp_path / "b" / f"f.{index:04d}.exr", np.broadcast_to(ramp, (3, 160, 256)))
    return tmp_path


def test_table_json_and_plot(safelight: Safelight, plates: Path) -> None:
    pair = ("analyse", "a/f.####.exr", "--against", "b/f.####.exr")
    done = safelight(*pair, "--plot", "p.png", cwd=plates)
    assert done.returncode == 0, done.stderr
    assert "error of the match" in done.stdout and "G before" in done.stdout and "B after" in done.stdout
    done = safelight(*pair, "--json", cwd=plates)
    found = json.loads(done.stdout)
    assert found["ok"] and Path(found["against"]).name == "f.####.exr"
    match = found["match"]["match"]
    for name in "RGB":
        assert match["before"]["channels"][name]["sigma_worst"] == -1
        assert abs(match["after"]["channels"][name]["sigma_rms"]) < 0.1
    with Image.open(plates / "p.png") as picture:
        assert picture.size == SIZE
        colours = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 20) or []}
        assert {(232, 96, 84), (104, 200, 112), (104, 150, 250)} <= colours


def test_wrong_use_is_refused(safelight: Safelight, plates: Path) -> None:
    done = safelight("analyse", "a/f.####.exr", "--against", "b/f.####.exr", "--profile", "p.json", cwd=plates)
    assert done.returncode == 2 and "--against compares two plates" in done.stderr
    done = safelight("analyse", "a/f.####.exr", "--against", "c/f.####.exr", cwd=plates)
    assert done.returncode == 2 and "node 'picture'" in done.stderr


def test_a_match_that_adds_nothing_is_drawn_with_its_note() -> None:
    note = "the reference has no grain: nothing is added"
    picture = draw_match({"note": note, "domain": "log", "stock": "", "channels": ["R"], "added": None}, "b to a")
    assert picture.size == SIZE and len(picture.getcolors(1 << 20) or []) > 2
