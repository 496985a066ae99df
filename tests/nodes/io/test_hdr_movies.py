"""HDR movies by Write: side data as ffprobe reads it, light, tags, layouts."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from fractions import Fraction

import numpy as np
import pytest

from safelight.colour.config import config_for
from safelight.graph.image import Image
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.nodes.io.files.mastering import Mastering, mdcv, obus, sei, with_obus, with_sei
from safelight.nodes.io.files.movie_tags import tag_movie
from tests.nodes.io.hdr import CPU, FRAMES, HEIGHT, PQ_SPACE, WIDTH, delivered, oracle, scene, sidecar


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


MOVIES = [
    ("a.mp4", {}, True),
    ("a.mp4", {"codec": "libsvtav1"}, True),
    ("a.mkv", {"codec": "libx265"}, True),
    ("a.mkv", {"codec": "libsvtav1"}, True),
    ("a.mov", {}, False),
    ("a.mkv", {}, False),
    ("a.mkv", {"codec": "prores_ks"}, False),
    ("a.mkv", {"pixel_format": "yuv444p10le"}, False),
]


def ratio(text: str) -> float:
    return float(Fraction(text))


@pytest.mark.parametrize(("name", "params", "in_band"), MOVIES)
def test_ffprobe_reads_the_side_data(tmp_path, bench, name, params, in_band) -> None:
    pytest.importorskip("av")
    if shutil.which("ffprobe") is None:
        pytest.skip("needs ffprobe")
    clip, images = delivered()
    bench.write(tmp_path / name, clip, images, **params)
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name}.light.json"}
    said = sidecar(tmp_path / f"{name}.light.json")
    command = ["ffprobe", "-v", "error", "-of", "json", "-count_frames", "-show_streams", "-show_frames"]
    done = subprocess.run([*command, str(tmp_path / name)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    found = json.loads(done.stdout)
    (stream,) = found["streams"]
    assert (stream["color_transfer"], stream["color_primaries"]) == ("smpte2084", "bt2020")
    assert stream["color_space"] in (("gbr",) if "gbr" in stream["pix_fmt"] else ("bt2020nc",))
    assert int(stream["nb_read_frames"]) == len(FRAMES) and "title" not in stream.get("tags", {})
    places = [stream["side_data_list"], *([found["frames"][0]["side_data_list"]] if in_band else [])]
    for place in places:
        data = {entry["side_data_type"]: entry for entry in place}
        level = data["Content light level metadata"]
        assert [level["max_content"], level["max_average"]] == said["content_light_level"]
        display, made = data["Mastering display metadata"], said["mastering_display"]
        for colour in ("red", "green", "blue"):
            got = [ratio(display[f"{colour}_x"]), ratio(display[f"{colour}_y"])]
            assert got == pytest.approx(made[colour], abs=1e-5)
        assert ratio(display["white_point_x"]) == pytest.approx(0.3127, abs=1e-5)
        assert ratio(display["max_luminance"]) == made["max"]
        assert ratio(display["min_luminance"]) == pytest.approx(made["min"], abs=3e-5)


@pytest.mark.parametrize(("name", "params", "in_band"), MOVIES)
def test_movies_read_back_are_right(tmp_path, bench, name, params, in_band) -> None:
    """Tagged PQ is undone by itself; a code of the movie's ten bits is what lossless coding may lose."""
    pytest.importorskip("av")
    clip, images = delivered()
    bench.write(tmp_path / name, clip, images, rate_factor=0, **params)
    lossless = name == "a.mkv" and "codec" not in params
    back = bench.clip(tmp_path / name)
    assert back.last == len(FRAMES) and back.metadata["movie:CICP"][:2] == (9, 16) and bench.warnings == []
    config = config_for(Settings())
    for frame in (12, 1, 7):
        image = bench.read(tmp_path / name, frame)
        signal = config.convert(image.data, config.working, PQ_SPACE, CPU)
        error = np.abs(signal - images[frame].data)[:, 8:-8] * 1023
        if "pixel_format" in params:
            assert error.max() < 2.0  # a code of luma and one of chroma, through the matrix
        elif lossless:
            assert error.max() < 0.51
        else:
            assert np.median(error) < 1.0 and error.mean() < 1.5


def test_a_movie_measures_the_codes_it_holds(tmp_path, bench) -> None:
    """FFV1 keeps R'G'B': its frames decoded by PyAV give the sidecar's figures."""
    av = pytest.importorskip("av")
    clip, images = delivered()
    bench.write(tmp_path / "a.mkv", clip, images)
    codes = []
    with av.open(str(tmp_path / "a.mkv")) as movie:
        for frame in movie.decode(video=0):
            planes = [
                np.frombuffer(plane, np.uint16).reshape(plane.height, -1)[:, : plane.width] for plane in frame.planes
            ]
            codes.append(np.stack([planes[2], planes[0], planes[1]]) / 1023)
    said = sidecar(tmp_path / "a.mkv.light.json")
    cll, fall = oracle(codes)
    assert said["max_cll"] == cll and said["max_fall"] == pytest.approx(fall, rel=1e-13)


def test_hlg_movies_are_tagged_and_carry_no_absolute_light(tmp_path, bench) -> None:
    av = pytest.importorskip("av")
    clip, images = delivered(encoding="hlg")
    bench.write(tmp_path / "a.mp4", clip, images)
    with av.open(str(tmp_path / "a.mp4")) as movie:
        context = movie.streams.video[0].codec_context
        assert (context.color_primaries, context.color_trc, context.colorspace) == (9, 18, 9)
    assert b"clli" not in (tmp_path / "a.mp4").read_bytes()
    image = bench.read(tmp_path / "a.mp4", 5)
    inside = image.data[:, 12:-12, 8:-16]
    assert np.median(np.abs(inside / scene(5).data[:, 12:-12, 8:-16] - 1)) < 0.05


def test_black_movies(tmp_path, bench) -> None:
    """Zeros in the figures are where start codes would appear by chance."""
    av = pytest.importorskip("av")
    dark = lambda frame: Image(np.zeros((3, HEIGHT, WIDTH), np.float32), Region.sized(WIDTH, HEIGHT))  # noqa: E731
    clip, images = delivered(make=dark)
    for params in ({}, {"codec": "libsvtav1"}):
        bench.write(tmp_path / "a.mp4", clip, images, **params)
        with av.open(str(tmp_path / "a.mp4")) as movie:
            assert sum(1 for _ in movie.decode(video=0)) == len(FRAMES)
    assert sidecar(tmp_path / "a.mp4.light.json")["content_light_level"] == [1, 1]


def test_sei_units_escape_start_codes() -> None:
    made = Mastering("p3d65", 0.0001, 1000)
    body = sei(made, (256, 1))
    units = body.split(b"\x00\x00\x00\x01")[1:]
    assert len(units) == 2 and all(unit[:2] == b"\x4e\x01" for unit in units)
    assert units[1] == b"\x4e\x01\x90\x04\x01\x00\x00\x03\x01\x80"
    assert units[0].replace(b"\x00\x00\x03", b"\x00\x00")[4:28] == mdcv(made)
    access = b"\x00\x00\x00\x01\x40\x01vps" + b"\x00\x00\x01\x26\x01slice" + b"\x00\x00\x01\x26\x01more"
    assert with_sei(access, b"X") == access[:9] + b"X" + access[9:]
    assert obus(None, (1000, 400)) == bytes([0x2A, 6, 1, 3, 232, 1, 144, 0x80])
    unit = bytes([0x12, 0, 0x0A, 2, 7, 7, 0x32, 1, 9])
    assert with_obus(unit, b"X") == unit[:6] + b"X" + unit[6:]
    with pytest.raises(ValueError, match="size"):
        with_obus(bytes([0x30, 1]), b"X")


@pytest.mark.parametrize("suffix", [".mov", ".mkv"])
def test_files_of_another_layout_are_not_touched(tmp_path, suffix) -> None:
    file = tmp_path / "a"
    for content in (b"", b"\x00" * 64, struct.pack(">I4s", 8, b"moov") + struct.pack(">I4s", 8, b"free"), b"junk" * 9):
        file.write_bytes(content)
        with pytest.raises((ValueError, struct.error)):
            tag_movie(file, suffix, Mastering("p3d65", 0.0001, 1000), (1000, 400))
        assert file.read_bytes() == content
