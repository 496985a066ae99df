"""`safelight analyse`: table, JSON, profile and plot of a plate whose noise is known."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest
from PIL import Image

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.host_adapters.cli.film_grain_export import Export
from safelight.host_adapters.cli.grain_page import page
from safelight.host_adapters.cli.grain_plot import SIZE, draw, ticks
from safelight.nodes.grain.film_grain_table import FOREVER, parse_table
from safelight.nodes.grain.profile import load_profile
from tests.host_adapters.cli.conftest import Safelight


def write(path: Path, pixels: np.ndarray) -> None:
    """Write (3, H, W) as EXR."""
    path.parent.mkdir(exist_ok=True)
    spec = OpenImageIO.ImageSpec(pixels.shape[2], pixels.shape[1], 3, OpenImageIO.FLOAT)
    out = OpenImageIO.ImageOutput.create(str(path))
    assert out is not None and out.open(str(path), spec)
    assert out.write_image(np.ascontiguousarray(pixels.transpose(1, 2, 0), np.float32))
    out.close()


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """Three frames of a ramp of three stops with white noise of 4 %, in `a/`; one without noise in `clean/`."""
    rng = np.random.default_rng(1)
    ramp = 0.18 * 2.0 ** np.linspace(-1.5, 1.5, 256)
    for index in range(3):
        noisy = ramp * (1 + 0.04 * rng.standard_normal((3, 160, 256)))
        write(tmp_path / "a" / f"f.{index + 1:04d}.exr", noisy)
    write(tmp_path / "clean" / "f.0001.exr", np.broadcast_to(ramp, (3, 160, 256)))
    return tmp_path


def test_json_profile_and_plot(safelight: Safelight, scan: Path) -> None:
    done = safelight(
        "analyse", "a/f.####.exr", "--json", "--plot", "p.png", "--profile", "p.json", "--pitch", 6, cwd=scan
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["ok"] and found["grain"] == load_profile(scan / "p.json").as_data()
    grain = found["grain"]
    assert Path(grain["plate"]["source"]) == scan / "a" / "f.0001.exr"
    assert grain["plate"]["frames"] == [1, 2, 3] and grain["frequencies_per_mm"][0] == pytest.approx(
        0.025 / 0.006, 1e-3
    )
    for channel in grain["channels"].values():
        # The lowest ring holds few periods: it is the least certain.
        assert channel["spectrum"][1:] == pytest.approx([1] * 9, abs=0.15)
        assert channel["film_share"] < 0.1
        for point in channel["curve"]:
            assert point["sigma_linear"] == pytest.approx(0.04 * point["level"], rel=0.1)
    with Image.open(scan / "p.png") as picture:
        assert picture.size == SIZE
        seen = {pixel for _, pixel in picture.convert("RGB").getcolors(1 << 20) or []}
    assert {(38, 38, 38), (232, 96, 84), (104, 200, 112), (104, 150, 250)} <= seen


def test_table(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "a/f.####.exr", "--patch", "0,0,128,160", cwd=scan)
    assert done.returncode == 0, done.stderr
    for text in ("grain: sigma nearest mid-grey", "sigma, stops", "correlation R-G", "film grain in R", "0.475"):
        assert text in done.stdout


def test_a_clean_plate_says_so(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "clean/f.0001.exr", "--plot", "c.png", cwd=scan)
    assert done.returncode == 0, done.stderr
    assert "no grain found" in done.stdout and (scan / "c.png").is_file()


def test_cuts_are_shown_where_asked(safelight: Safelight, scan: Path) -> None:
    other = 0.2 * 2 ** np.random.default_rng(4).normal(0, 1, (3, 20, 32)).repeat(8, 1).repeat(8, 2)
    for index in range(4, 8):
        write(scan / "a" / f"f.{index:04d}.exr", other)
    plate = scan / "a" / "f.####.exr"
    done = safelight("analyse", plate, "--cuts")
    assert done.returncode == 0 and "new shots: 4 " in done.stdout and "fades: none" in done.stdout, done.stderr
    told = json.loads(safelight("analyse", plate, "--cuts", "--json").stdout)
    assert told["dissolves"] == [] and [cut["frame"] for cut in told["cuts"]] == [4] and "grain" in told
    assert "cuts" not in json.loads(safelight("analyse", plate, "--json").stdout)
    wrong = safelight("analyse", plate, "--cuts", "--against", plate)
    assert wrong.returncode == 2 and "--cuts looks at a sequence" in wrong.stderr


def test_html_page(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "a/f.####.exr", "--plot", "p.html", "--profile", "p.json", cwd=scan)
    assert done.returncode == 0, done.stderr
    html = (scan / "p.html").read_text(encoding="utf-8")
    assert "http" not in html and "<script" not in html and html.count("<img") == 1
    start = html.index("base64,") + 7
    with Image.open(io.BytesIO(base64.b64decode(html[start : html.index('"', start)]))) as picture:
        assert picture.size == SIZE
    profile = load_profile(scan / "p.json")
    assert html.count("<tr") == 3 + sum(len(channel.curve) for channel in profile.channels.values()) + 2 * 3
    for text in ("Grain of f.####.exr", "3 frames of 256 × 160", "of the noise is film grain", "cycles/pixel", "±"):
        assert text in html


def test_a_page_says_what_speaks_against_it(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "a/f.####.exr", "--profile", "p.json", cwd=scan)
    assert done.returncode == 0, done.stderr
    profile = load_profile(scan / "p.json")
    doubted = profile.model_copy(update={"note": "grain: 1 < 2. Careful: a codec. Careful: clipped " + 300 * "x"})
    html = page(doubted, "a & b")
    assert "Grain of a &amp; b" in html and "<p>grain: 1 &lt; 2</p>" in html
    assert html.count('<p class="careful">') == 2 and "Careful: a codec." in html
    assert draw(doubted, "long").getpixel((40, 0)) == (38, 38, 38)
    assert np.any(np.all(np.asarray(draw(doubted, "long"))[64:86] == (232, 192, 122), axis=-1))


def test_a_page_without_grain(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "clean/f.0001.exr", "--plot", "c.HTML", cwd=scan)
    assert done.returncode == 0, done.stderr
    html = (scan / "c.HTML").read_text(encoding="utf-8")
    assert "no grain found" in html and "<table" not in html and "one frame of 256 × 160" in html


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.####.exr"], "none"),
        (["a/f.####.exr", "--plot", "no/p.png"], "the folder is not there"),
        (["a/f.####.exr", "--plot", "p.jpg"], "is no PNG and no HTML"),
        (["a/f.####.exr", "--profile", "no/p.json"], "the folder is not there"),
        (["a/f.####.exr", "--patch", "1,2,x,4"], "no area"),
        (["a/f.####.exr", "--patch", "0,0,999,99"], "does not lie in the picture"),
        (["a/f.####.exr", "--stock", "501T"], "no film stock"),
        (["a/f.####.exr", "--film-grain-table", "g.tbl", "--delivery", "sRGBB"], "no colour space 'sRGBB'"),
        (["a/f.####.exr", "--delivery-width", "100"], "Name one: --film-grain-table"),
        (["p.json", "--pitch", "6"], "a saved profile is not measured again"),
    ],
)
def test_wrong_use_is_one_line(safelight: Safelight, scan: Path, arguments: list[str], says: str) -> None:
    done = safelight("analyse", *arguments, cwd=scan)
    assert done.returncode == 2
    assert says in done.stderr and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr


@pytest.mark.parametrize(("low", "high"), [(0, 1e-6), (0, 0.123), (-7.5, 5.5), (0, 4321)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    found = ticks(low, high)
    assert 3 <= len(found) <= 10 and low <= found[0] and found[-1] <= high
    assert np.allclose(np.diff(found), found[1] - found[0])


def test_the_plot_of_nothing_is_drawn(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "clean/f.0001.exr", "--profile", "c.json", cwd=scan)
    assert done.returncode == 0, done.stderr
    assert draw(load_profile(scan / "c.json"), "clean").size == SIZE


def test_film_grain_table(safelight: Safelight, scan: Path) -> None:
    done = safelight(
        "analyse", "a/f.####.exr", "--json", "--film-grain-table", "g.tbl", "--profile", "p.json", cwd=scan
    )
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["film_grain_table"]
    (segment,) = parse_table((scan / "g.tbl").read_text())
    assert (segment.start, segment.end, segment.apply) == (0, FOREVER, True)
    assert segment.grain is not None and segment.grain.model_dump(mode="json") == made["parameters"]
    # White noise of 4 %: no autoregression, and 4 % of light is 4 % over 2.4 of sRGB's code near mid-grey.
    assert segment.grain.ar_coeff_lag == 0 or max(map(abs, segment.grain.ar_y)) < 4
    sigma = dict(zip(made["luma"], made["sigma"]["Y"], strict=True))
    grey = 16 + 219 * (1.055 * 0.18 ** (1 / 2.4) - 0.055)
    slope = 219 * 1.055 / 2.4 * 0.18 ** (1 / 2.4)
    of_three = (0.2126**2 + 0.7152**2 + 0.0722**2) ** 0.5
    assert sigma[round(grey)] == pytest.approx(0.04 * slope * of_three, rel=0.15)
    done = safelight(
        "analyse", "p.json", "--film-grain-table", "h.tbl", "--delivery", "Rec.1886 Rec.709 - Display",
        "--delivery-width", 128, cwd=scan,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "film-grain table for Rec.1886 Rec.709 - Display, bt709" in done.stdout
    assert "note: the plate was measured from luma" in done.stdout and "wrote h.tbl" in done.stderr
    assert parse_table((scan / "h.tbl").read_text())[0].grain != segment.grain


def test_a_matrix_that_is_none_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=r"'bt708' is no matrix of a delivery.*Did you mean 'bt709'"):
        Export(tmp_path / "g.tbl", "", "bt708", 0, Device("cpu", 1))


def test_no_grain_is_no_table(safelight: Safelight, scan: Path) -> None:
    done = safelight("analyse", "clean/f.0001.exr", "--film-grain-table", "c.tbl", cwd=scan)
    assert done.returncode == 2 and "there is nothing to put into a film-grain table" in done.stderr
    assert not (scan / "c.tbl").exists()
