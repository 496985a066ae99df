"""`safelight compare`: figures of two clips whose difference is known."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import OpenImageIO
import pytest

from safelight.colour.difference import pu21
from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.progress import Silent
from safelight.graph.provenance import GRAINED, from_frame
from safelight.graph.region import Region
from safelight.host_adapters.cli.comparison import check_pair, compare_clips, graph_of, read_record
from tests.host_adapters.cli.conftest import Safelight


def write(
    folder: Path,
    pixels: np.ndarray,
    number: int,
    *,
    channels: tuple[str, ...] = ("R", "G", "B"),
    corner: tuple[int, int] = (0, 0),
    display: tuple[int, int] | None = None,
) -> None:
    """Write (C, H, W) float32 as EXR."""
    folder.mkdir(exist_ok=True)
    path = folder / f"f.{number:04d}.exr"
    spec = OpenImageIO.ImageSpec(pixels.shape[2], pixels.shape[1], pixels.shape[0], OpenImageIO.FLOAT)
    spec.channelnames = channels
    spec.x, spec.y = corner
    spec.full_width, spec.full_height = display or (pixels.shape[2], pixels.shape[1])
    out = OpenImageIO.ImageOutput.create(str(path))
    assert out is not None and out.open(str(path), spec)
    assert out.write_image(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    out.close()


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """Two clips of five frames: b is a, 0.01, 0.02, 0.03 brighter in the last three; its numbers are one higher."""
    rng = np.random.default_rng(1)
    for index in range(5):
        pixels = rng.random((3, 36, 64)).astype(np.float32)
        write(tmp_path / "a", pixels, 1 + index)
        write(tmp_path / "b", pixels + np.float32(0.01 * max(0, index - 1)), 2 + index)
    return tmp_path


def test_figures_of_a_known_difference(safelight: Safelight, clips: Path) -> None:
    done = safelight("compare", "a/f.####.exr", "b/f.####.exr", "--json", cwd=clips)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    frames, whole = found["frames"], found["all"]
    assert [(row["frame_a"], row["frame_b"]) for row in frames] == [(n, n + 1) for n in range(1, 6)]
    assert [row["bit_identical"] for row in frames] == [True, True, False, False, False]
    assert frames[0]["psnr_db"] is None and frames[0]["ssim"] == 1 and frames[0]["delta_e_2000"] == 0
    assert [row["psnr_db"] for row in frames[2:]] == [
        pytest.approx(-20 * math.log10(step), abs=1e-3) for step in (0.01, 0.02, 0.03)
    ]
    assert [row["level"] for row in frames] == [pytest.approx(-x, abs=1e-7) for x in (0, 0, 0.01, 0.02, 0.03)]
    assert frames[2]["max_difference"] == pytest.approx(0.01, rel=1e-4)
    assert frames[2]["changed_pixels"] == 36 * 64
    assert 0 < frames[2]["delta_e_2000"] < frames[3]["delta_e_2000"] < frames[4]["delta_e_2000"] < 10
    assert 0 < frames[2]["delta_e_itp"] < frames[3]["delta_e_itp"]
    assert whole["frames"] == 5 and whole["bit_identical"] is False and whole["changed_pixels"] == 3 * 36 * 64
    mean_square = (0.01**2 + 0.02**2 + 0.03**2) / 5
    assert whole["psnr_db"] == pytest.approx(-10 * math.log10(mean_square), abs=1e-3)
    assert whole["flicker"] == pytest.approx(math.sqrt(3 * 0.01**2 / 4), rel=1e-4)
    assert "paired by order" in done.stderr and found["peak"] == 1


def test_peak_is_taken(safelight: Safelight, clips: Path) -> None:
    one, ten = (
        json.loads(safelight("compare", "a", "b", "--json", "--peak", peak, cwd=clips).stdout)["all"]["psnr_db"]
        for peak in (1, 10)
    )
    assert ten - one == pytest.approx(20)


def test_white_is_the_light_of_one(safelight: Safelight, tmp_path: Path) -> None:
    for name, level in (("a", 0.5), ("b", 0.25)):
        write(tmp_path / name, np.full((3, 12, 16), level, np.float32), 1)
    sdr, hdr = (
        json.loads(safelight("compare", "a", "b", "--json", *white, cwd=tmp_path).stdout)
        for white in ([], ["--white", "2000"])
    )
    for found, white in ((sdr, 100.0), (hdr, 2000.0)):
        apart = float(pu21(0.5 * white) - pu21(0.25 * white))
        assert found["white"] == white
        assert found["all"]["pu_psnr_db"] == pytest.approx(20 * math.log10(256 / apart), abs=0.02)
    assert sdr["all"]["delta_e_2000"] == hdr["all"]["delta_e_2000"] and sdr["all"]["delta_e_itp"] > 0
    refused = safelight("compare", "a", "b", "--white", "0", cwd=tmp_path)
    assert refused.returncode == 2 and "--white 0" in refused.stderr


def test_the_table_says_it_all(safelight: Safelight, clips: Path) -> None:
    done = safelight("compare", "a", "a", "--frames", "2-4", cwd=clips)
    assert done.returncode == 0 and "bit-identical: yes" in done.stdout
    assert "all 3" in done.stdout and "∞" in done.stdout and "jitter" in done.stdout


def test_jitter_of_a_shaken_clip(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    base = np.kron(rng.random((3, 30, 40)), np.ones((1, 4, 4)))
    steps = [0, 2, 0, 2, 0, 2]
    for number, step in enumerate(steps, 1):
        write(tmp_path / "still", base[:, 8:88, 8:128].astype(np.float32), number)
        write(tmp_path / "shaken", base[:, 8:88, 8 - step : 128 - step].astype(np.float32), number)
    graph = graph_of(tmp_path / "still", tmp_path / "shaken")
    frames, others = check_pair(graph)
    pairs = list(compare_clips(graph, frames, others, device=Device("cpu", 2), progress=Silent()))
    assert pairs[0].shift_a is None and pairs[0].shift_b is None
    for pair, step, before in zip(pairs[1:], steps[1:], steps, strict=False):
        assert pair.shift_a == pytest.approx((0, 0), abs=0.02)
        assert pair.shift_b == pytest.approx((step - before, 0), abs=0.1)


@pytest.mark.parametrize(
    ("shape", "numbers", "said"),
    [((3, 36, 65), range(1, 6), "A is 64 x 36 and B is 65 x 36"), ((3, 36, 64), range(1, 4), "A has 5 frames")],
)
def test_clips_that_do_not_fit_are_one_error(
    safelight: Safelight, clips: Path, shape: tuple[int, ...], numbers: range, said: str
) -> None:
    for number in numbers:
        write(clips / "c", np.zeros(shape, np.float32), number)
    done = safelight("compare", "a", "c", cwd=clips)
    assert done.returncode == 2 and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1 and said in done.stderr
    some = safelight("compare", "a", "c", "--frames", "1-2", cwd=clips)
    assert some.returncode == (2 if shape[2] == 65 else 0), some.stderr


def test_other_channels(safelight: Safelight, tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    colour = rng.random((3, 20, 20)).astype(np.float32)
    write(tmp_path / "a", np.concatenate([colour, np.ones((1, 20, 20), np.float32)]), 1, channels=("R", "G", "B", "A"))
    write(tmp_path / "b", colour, 1)
    write(tmp_path / "c", colour[:1], 1, channels=("Y",))
    done = safelight("compare", "a", "b", "--json", cwd=tmp_path)
    assert json.loads(done.stdout)["all"]["bit_identical"] is True
    assert "not compared: A" in done.stderr
    done = safelight("compare", "b", "c", cwd=tmp_path)
    assert done.returncode == 2 and "has the channels" in done.stderr


def test_what_one_data_window_lacks_counts_as_zero(safelight: Safelight, tmp_path: Path) -> None:
    pixels = np.full((3, 20, 30), 0.5, np.float32)
    write(tmp_path / "a", pixels, 1)
    write(tmp_path / "b", pixels[:, 5:, :], 1, corner=(0, 5), display=(30, 20))
    found = json.loads(safelight("compare", "a", "b", "--json", cwd=tmp_path).stdout)["all"]
    assert found["bit_identical"] is False and found["changed_pixels"] == 150 and found["max_difference"] == 0.5


def test_nan_is_counted_and_left_out(safelight: Safelight, tmp_path: Path) -> None:
    pixels = np.full((3, 20, 30), 0.5, np.float32)
    write(tmp_path / "b", pixels, 1)
    pixels[1, 3, 3] = np.nan
    write(tmp_path / "a", pixels, 1)
    found = json.loads(safelight("compare", "a", "b", "--json", cwd=tmp_path).stdout)["all"]
    assert found["unmeasured_pixels"] == 1 and found["changed_pixels"] == 1 and found["max_difference"] == 0
    assert found["psnr_db"] is None


def test_missing_files_are_one_line(safelight: Safelight) -> None:
    done = safelight("compare", "none.####.exr", "none.####.exr")
    assert done.returncode in (1, 2) and len(done.stderr.splitlines()) == 1 and done.stderr.startswith("error: ")


def write_recorded(folder: Path, pixels: np.ndarray, codes: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    names = ("R", "G", "B")
    planes: dict[str, Any] = {name: OpenEXR.Channel(name, plane) for name, plane in zip(names, pixels, strict=True)}
    planes["provenance"] = OpenEXR.Channel("provenance", codes.astype(np.uint32))
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, planes) as file:
        file.write(str(folder / "f.0001.exr"))


def test_a_true_record_is_counted(safelight: Safelight, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).random((3, 20, 30)).astype(np.float32)
    write(tmp_path / "a", pixels, 1)
    codes = np.zeros((20, 30))
    pixels[:, 4:6, 5:10] += 1
    codes[4:6, 5:10] = from_frame(1) | GRAINED
    write_recorded(tmp_path / "b", pixels, codes)
    done = safelight("compare", "a", "b", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)["all"]["provenance"]
    assert record == {"pixels": {"kept": 590, "from frame t+1, grain laid in": 10}, "kept_but_changed": 0}
    shown = safelight("compare", "a", "b", cwd=tmp_path)
    assert "kept 98.333%" in shown.stdout and "all marked kept are bit-identical" in shown.stdout


def test_a_false_record_fails(safelight: Safelight, tmp_path: Path) -> None:
    pixels = np.random.default_rng(2).random((3, 20, 30)).astype(np.float32)
    write(tmp_path / "a", pixels, 1)
    pixels[1, 4, 5] = np.nextafter(pixels[1, 4, 5], np.float32(2))
    write_recorded(tmp_path / "b", pixels, np.zeros((20, 30)))
    done = safelight("compare", "a", "b", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert "pixels marked kept that differ from A: 1" in done.stderr
    assert not json.loads(done.stdout)["ok"]


def test_a_record_is_held_against_the_pixels_that_a_has() -> None:
    names = ("R", "G", "B", "provenance")
    a = Image(np.ones((3, 4, 4), np.float32), Region(10, 20, 14, 24))
    b = Image(np.concatenate([np.ones((3, 4, 6)), np.zeros((1, 4, 6))]).astype(np.float32), Region(0, 0, 6, 4), names)
    found = read_record(a, b, (10, 20))
    assert found is not None and found.broken == 8
    assert read_record(b, a, (0, 0)) is None


def test_a_kept_pixel_is_kept_as_far_as_halfs_can_hold_it(safelight: Safelight, tmp_path: Path) -> None:
    pixels = np.random.default_rng(3).random((3, 6, 8)).astype(np.float32)
    pixels[0, 0, 0] = 1e6
    write(tmp_path / "a", pixels, 1)
    with np.errstate(over="ignore"):
        stored = pixels.astype(np.float16)
    write_recorded(tmp_path / "b", stored, np.zeros((6, 8)))
    assert safelight("compare", "a", "b", cwd=tmp_path).returncode == 0
    stored[1, 2, 3] = np.nextafter(stored[1, 2, 3], np.float16(2))
    write_recorded(tmp_path / "b", stored, np.zeros((6, 8)))
    done = safelight("compare", "a", "b", cwd=tmp_path)
    assert done.returncode == 1 and "differ from A: 1" in done.stderr
