"""`safelight demo`, small: pictures, figures, page, and graphs that render again."""

from __future__ import annotations

import base64
import html.parser
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.host_adapters.cli.demo.diagram import svg
from safelight.host_adapters.cli.demo.documents import STEPS, Shot, documents
from safelight.host_adapters.cli.demo.pictures import Crop, difference, region_of, to_bytes
from tests.graph.toys import toys
from tests.host_adapters.cli.conftest import Safelight, frames_in


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict]:
    import subprocess

    from tests.host_adapters.cli.conftest import COMMAND

    folder = tmp_path_factory.mktemp("demo") / "new" / "out"
    done = subprocess.run(
        [*COMMAND, "demo", str(folder), "--width", "320", "--frames", "8", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


def test_figures_make_sense(made: tuple[Path, dict]) -> None:
    folder, report = made
    grained, degrained, regrained = report["steps"]
    assert [step["step"] for step in report["steps"]] == ["grained", "degrained", "regrained"]
    assert degrained["density_psnr_db"] > grained["density_psnr_db"] + 3
    assert degrained["density_psnr_db"] > regrained["density_psnr_db"]
    assert degrained["density_ssim"] > grained["density_ssim"]
    assert 20 < grained["density_psnr_db"] < 45
    coarse, left, fine, added = report["microdensitometer"]
    # Some hundred discs a layer: the reading's own chance is under a tenth.
    assert all(0.85 < ratio < 1.15 for ratio in coarse["reading_over_table"])
    assert all(ratio < 0.8 for ratio in left["reading_over_table"])
    # A difference of two such readings: the green one's own chance is 8 %.
    assert all(0.75 < ratio < 1.25 for ratio in added["reading_over_table"])
    assert all(a <= b for a, b in zip(added["reading_over_table"], fine["reading_over_table"], strict=True))
    assert json.loads((folder / "figures.json").read_text())["steps"] == report["steps"]


def test_every_frame_of_every_step_is_there_and_nothing_half_made(made: tuple[Path, dict]) -> None:
    folder, report = made
    for step in STEPS:
        assert frames_in(folder / step) == [f"{step}.{number}.exr" for number in range(1001, 1009)]
    assert report["files"] == 32
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_the_page_holds_everything_itself(made: tuple[Path, dict]) -> None:
    folder, report = made
    text = (folder / "index.html").read_text(encoding="utf-8")

    class Links(html.parser.HTMLParser):
        def __init__(self) -> None:
            super().__init__()
            self.found: list[str] = []
            self.stack: list[str] = []

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in ("meta", "img", "rect", "path", "input", "br"):
                self.stack.append(tag)
            self.found += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data")]

        def handle_endtag(self, tag: str) -> None:
            if tag in ("rect", "path"):
                return
            assert self.stack and self.stack.pop() == tag

    links = Links()
    links.feed(text)
    assert links.found == [] and links.stack == []
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)
    data = re.search(r'<script type="application/json" id="pictures">(.*?)</script>', text, re.S)
    assert data is not None
    pictures = json.loads(data.group(1))
    assert sorted(pictures) == ["1003", "1007"]  # one frame of each scene
    for steps in pictures.values():
        assert sorted(steps) == sorted(STEPS)
        for uri in steps.values():
            image = Image.open(io.BytesIO(base64.b64decode(uri.split(",")[1])))
            assert image.size == (320, 180) and np.asarray(image).std() > 10
    assert f"{report['steps'][1]['density_psnr_db']:.2f}" in text
    assert text.count("<svg") == 3


def test_the_contact_sheet_is_a_picture(made: tuple[Path, dict]) -> None:
    sheet = np.asarray(Image.open(made[0] / "contact_sheet.png"))
    assert sheet.ndim == 3 and sheet.shape[1] > 1000 and sheet.std() > 20


def test_its_graphs_render_again(made: tuple[Path, dict], safelight: Safelight, tmp_path: Path) -> None:
    folder, _ = made
    again = tmp_path / "again.####.exr"
    for name, node, step in (
        ("1_plate.toml", "grained", "grained"),
        ("2_degrain.toml", "degrained", "degrained"),
        ("3_regrain.toml", "regrained", "regrained"),
    ):
        arguments = ["--set", f"{node}.path={again}", "--frames", "1005-1006"]
        arguments += ["--set", f"truth.path={tmp_path}/truth.####.exr"] if step == "grained" else []
        done = safelight("render", folder / name, *arguments)
        assert done.returncode == 0, done.stderr
        for number in (1005, 1006):
            compared = safelight("compare", folder / step / f"{step}.{number}.exr", tmp_path / f"again.{number}.exr")
            assert "bit-identical: yes" in compared.stdout, compared.stderr


def test_short_demos_have_no_cut() -> None:
    assert Shot(frames=7).cut is None and "cuts = []" in documents(Shot(frames=7))["2_degrain.toml"]
    assert "cuts = [1005]" in documents(Shot(frames=8))["2_degrain.toml"]


def test_diagram_of_a_branching_graph() -> None:
    text = """safelight = 1
    [nodes.a]
    type = "Noise"
    [nodes.b]
    type = "Box"
    input = "a"
    [nodes.c]
    type = "Add"
    inputs = {a = "a", b = "b"}
    """
    drawn = svg(Graph.from_document(Document.parse(text), toys()))
    assert drawn.count("<rect") == 3 and drawn.count('class="edge"') == 3
    boxes = re.findall(r'<rect x="(\d+)" y="(\d+)"', drawn)
    assert len(set(boxes)) == 3


def test_pictures_for_looking_at() -> None:
    black, lamp = np.zeros((3, 2, 2), np.float32), np.full((3, 2, 2), 99, np.float32)
    assert (difference(lamp, lamp) == 128).all()
    assert (difference(lamp, black) == 255).all() and (difference(black, lamp) == 0).all()
    odd = np.array([[[np.nan, -1], [0.5, 2]]] * 3, np.float32)
    np.testing.assert_array_equal(to_bytes(odd)[..., 0], [[0, 0], [128, 255]])
    inside = region_of(Crop("corner", 0.99, 0.0), 100, 50, 40, 30)
    assert (inside.x0, inside.y0, inside.x1, inside.y1) == (60, 0, 100, 30)
    whole = region_of(Crop("all", 0.5, 0.5), 10, 5, 40, 30)
    assert (whole.x0, whole.y0, whole.x1, whole.y1) == (0, 0, 10, 5)
