"""HDR delivery by Write: what files, sidecars and movies say, resumed and split renders, refusals, reading back."""

from __future__ import annotations

import json
import math
import shutil
import struct
import subprocess
import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest

from safelight.colour.claims import DISPLAY
from safelight.colour.config import config_for
from safelight.colour.transfer import hlg_light, pq_light
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.graph.render import render
from safelight.nodes.colour.convert import Convert, ConvertParams
from safelight.nodes.colour.deliver import Deliver, DeliverParams
from safelight.nodes.io.files.mastering import Mastering, mdcv, obus, sei, with_obus, with_sei
from safelight.nodes.io.files.movie_tags import tag_movie
from safelight.nodes.io.write import Write

WIDTH, HEIGHT = 96, 64
FRAMES = range(1, 13)
CPU = Device("cpu", 1)
PQ_SPACE = "Rec.2100-PQ - Display"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def scene(frame: int) -> Image:
    """Light from 1 to 1,500 cd/m², letterboxed, another every frame."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    base = np.exp2(-6 + 10 * x / WIDTH) * (1 + 0.3 * np.sin(y / 7 + frame / 3))
    data = (np.array([1, 0.8, 0.6])[:, None, None] * base).astype(np.float32)
    data[:, :8], data[:, -8:] = 0, 0
    return Image(data, Region.sized(WIDTH, HEIGHT), metadata={"owner": "me"})


def delivered(frames=FRAMES, make=scene, **params) -> tuple[Clip, dict[int, Image]]:
    chosen, node = DeliverParams(**params), Deliver()
    window = Region.sized(WIDTH, HEIGHT)
    clip = node.extent(chosen, {"input": Clip(frames[0], frames[-1], window, window, fps=Fraction(24))})
    images = {}
    for frame in frames:
        request = Request(frame, window)
        inputs = Inputs(request, {"input": {frame: make(frame)}}, {})
        images[frame] = node.compute(chosen, request, inputs, CPU)
    return clip, images


def sidecar(path: Path) -> dict:
    return json.loads(path.read_text())


def raw(path: Path, kind: str) -> np.ndarray:
    reader = OpenImageIO.ImageInput.open(str(path))
    return np.moveaxis(reader.read_image(0, 0, 0, 3, kind), 2, 0)


def oracle(codes: list[np.ndarray]) -> tuple[float, float]:
    """MaxCLL and MaxFALL of PQ signals read back from files, every pixel in float64; 8 rows of border above, below."""
    lights = [pq_light(np.asarray(code, np.float64)).max(axis=0) for code in codes]
    inside = [light[8:-8].ravel() for light in lights]
    return max(light.max() for light in lights), max(math.fsum(light) / light.size for light in inside)


@pytest.mark.parametrize(
    ("name", "kind", "scale"),
    [("a.####.png", "uint16", 65535), ("a.####.tif", "uint16", 65535), ("a.####.exr", "half", 1)],
)
def test_maxcll_and_maxfall_equal_those_of_the_files_read_back(tmp_path, bench, name, kind, scale) -> None:
    clip, images = delivered()
    made = bench.write(tmp_path / name, clip, images)
    said = sidecar(tmp_path / f"a.{name[-3:]}.light.json")
    assert made[-1] == tmp_path / f"a.{name[-3:]}.light.json" and bench.warnings == []
    files = [tmp_path / name.replace("####", f"{frame:04d}") for frame in FRAMES]
    cll, fall = oracle([raw(file, kind).astype(np.float64) / scale for file in files])
    assert said["max_cll"] == cll and said["max_fall"] == pytest.approx(fall, rel=1e-13)
    assert said["content_light_level"] == [round(cll), round(fall)]
    assert said["active_area"] == [0, 8, WIDTH, HEIGHT - 8] and said["frames"] == "1-12"
    assert said["display"]["peak"] == 1000 and said["mastering_display"]["x265"].endswith("L(10000000,1)")
    assert [one["frame"] for one in said["per_frame"]] == list(FRAMES)
    assert said["per_frame"][3]["held"]["over"] > 0
    assert cll <= 1002.5  # a half is as coarse as that at 1,000


def test_dpx_of_ten_bits(tmp_path, bench) -> None:
    clip, images = delivered()
    bench.write(tmp_path / "a.####.dpx", clip, images)
    codes = [(raw(tmp_path / f"a.{frame:04d}.dpx", "uint16") >> 6) / 1023 for frame in FRAMES]
    said = sidecar(tmp_path / "a.dpx.light.json")
    assert (said["max_cll"], pytest.approx(said["max_fall"], rel=1e-13)) == oracle(codes)


def test_hlg_is_measured_through_its_system_gamma(tmp_path, bench) -> None:
    clip, images = delivered(encoding="hlg", limit="rec2020", peak=1000)
    bench.write(tmp_path / "a.####.png", clip, images)
    lights = [hlg_light(raw(tmp_path / f"a.{frame:04d}.png", "uint16") / 65535).max(axis=0) for frame in FRAMES]
    said = sidecar(tmp_path / "a.png.light.json")
    assert said["max_cll"] == max(light.max() for light in lights)
    assert said["max_fall"] == pytest.approx(max(light[8:-8].mean() for light in lights), rel=1e-12)
    assert said["mastering_display"] is None


def test_exr_says_what_it_is(tmp_path, bench) -> None:
    module = pytest.importorskip("OpenEXR")
    clip, images = delivered()
    bench.write(tmp_path / "a.####.exr", clip, images)
    header = module.File(str(tmp_path / "a.0004.exr")).header()
    np.testing.assert_allclose(
        header["chromaticities"], [0.708, 0.292, 0.17, 0.797, 0.131, 0.046, 0.3127, 0.329], atol=1e-6
    )
    light = sidecar(tmp_path / "a.exr.light.json")["per_frame"][3]
    assert header["whiteLuminance"] == 10000 and header["colorInteropID"] == "pq_rec2020_display"
    assert header["maxCLL"] == np.float32(light["max"]) and header["maxFALL"] == np.float32(light["mean"])
    assert header["masteringDisplay"] == "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
    assert json.loads(header["safelight:display"])["limit"] == "p3d65" and header["owner"] == "me"
    # read again: a warning that the numbers are a signal, and no stale figures in what is written from it
    back = bench.read(tmp_path / "a.0004.exr")
    clip = bench.clip(tmp_path / "a.0004.exr")
    assert any("pq_rec2020_display" in warning and PQ_SPACE in warning for warning in bench.warnings)
    bench.write(tmp_path / "b.exr", clip, {4: back})
    assert "maxCLL" not in module.File(str(tmp_path / "b.exr")).header()


def chunks(path: Path) -> dict[bytes, bytes]:
    data, at, found = path.read_bytes(), 8, {}
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body = data[at + 8 : at + 8 + size]
        assert struct.unpack_from(">I", data, at + 8 + size)[0] == zlib.crc32(kind + body)
        if kind == b"IDAT":
            found.setdefault(b"before IDAT", b" ".join(found))
        found[kind] = body
        at += 12 + size
    return found


def test_png_says_what_it_is(tmp_path, bench) -> None:
    clip, images = delivered()
    bench.write(tmp_path / "a.####.png", clip, images)
    found = chunks(tmp_path / "a.0004.png")
    light = sidecar(tmp_path / "a.png.light.json")["per_frame"][3]
    assert found[b"cICP"] == bytes([9, 16, 0, 1])
    assert struct.unpack(">2I", found[b"cLLI"]) == (round(light["max"] * 1e4), round(light["mean"] * 1e4))
    rx, ry, gx, gy, bx, by, wx, wy, most, least = struct.unpack(">8H2I", found[b"mDCV"])
    assert (rx, ry, gx, gy, bx, by, wx, wy) == (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450)
    assert (most, least) == (10000000, 1)
    assert {b"cICP", b"mDCV", b"cLLI"} <= set(found[b"before IDAT"].split())
    assert not {b"sRGB", b"gAMA", b"cHRM"} & set(found)


@pytest.mark.parametrize(("name", "params"), [("a.####.png", {}), ("a.####.tif", {"colourspace": PQ_SPACE})])
def test_stills_read_back_are_the_light_again(tmp_path, bench, name, params) -> None:
    """PQ undone: scene-linear, 1.0 for 100 cd/m²; a tagged PNG by itself."""
    clip, images = delivered(limit="rec2020", peak=10000)
    bench.write(tmp_path / name, clip, images)
    back = bench.read(tmp_path / name, 5, **params)
    np.testing.assert_allclose(back.data, scene(5).data, rtol=2e-3, atol=2e-5)


# --- resumed and split ---


def document(folder: Path, peak: int = 1000) -> Graph:
    text = f"""safelight = 1
[shot]
cuts = [1004]
[nodes.plate]
type = "Plate"
width = 96
height = 64
frames = 8
[nodes.deliver]
type = "Deliver"
input = "plate"
peak = {peak}
[nodes.out]
type = "Write"
input = "deliver"
path = "out/a.####.png"
hdr10plus = true
"""
    return Graph.from_document(Document.parse(text, folder))


def test_a_farm_and_a_resume_add_up_to_one_render(tmp_path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    render(document(one))
    graph = document(two)
    frames = list(graph.clip("out").frames)
    render(graph, frames[:3])
    part = sidecar(two / "out/a.png.light.json")
    assert [frame["frame"] for frame in part["per_frame"]] == frames[:3]
    render(graph, frames[5:])
    part = sidecar(two / "out/a.png.light.json")
    assert part["frames_without_figures"] == "1004-1005"
    assert not (two / "out/a.png.hdr10plus.json").exists()
    done = render(document(two), resume=True)
    assert done.skipped == 6 and done.rendered == 2
    for kind in ("light", "hdr10plus"):
        assert (two / f"out/a.png.{kind}.json").read_bytes() == (one / f"out/a.png.{kind}.json").read_bytes()
    plus = sidecar(one / "out/a.png.hdr10plus.json")
    assert plus["SceneInfoSummary"] == {"SceneFirstFrameIndex": [0, 3], "SceneFrameNumbers": [3, 5]}


def test_frames_of_another_peak_or_touched_by_others_are_not_counted(tmp_path) -> None:
    graph = document(tmp_path)
    frames = list(graph.clip("out").frames)
    render(graph)
    (tmp_path / f"out/a.{frames[1]:04d}.png").touch()
    render(graph, frames[:1])
    said = sidecar(tmp_path / "out/a.png.light.json")
    assert said["frames_without_figures"] == str(frames[1])
    render(document(tmp_path, peak=600), frames[2:4])
    said = sidecar(tmp_path / "out/a.png.light.json")
    assert [frame["frame"] for frame in said["per_frame"]] == frames[2:4] and said["display"]["peak"] == 600


def test_a_render_that_fails_keeps_the_figures_of_what_landed(tmp_path, bench) -> None:
    clip, images = delivered()
    writer = Write().writer(Write.Params(path=tmp_path / "a.####.png"), clip, list(FRAMES), bench.settings)
    writer.write(1, images[1])
    writer.abort()
    assert [one["frame"] for one in sidecar(tmp_path / "a.png.light.json")["per_frame"]] == [1]


@pytest.mark.parametrize("peak", [100, 600, 1000, 4000, 10000])
def test_one_master_for_every_peak(tmp_path, peak: int) -> None:
    graph = document(tmp_path, peak=peak)
    render(graph, [graph.clip("out").first])
    said = sidecar(tmp_path / "out/a.png.light.json")
    assert said["max_cll"] <= peak * 1.0005 and said["mastering_display"]["max"] == peak


# --- movies ---

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


# --- what is refused, and what is said ---


@pytest.mark.parametrize(
    ("name", "params", "message", "remedy"),
    [
        ("a.png", {"colourspace": "sRGB - Display"}, "already", "Deliver"),
        ("a.png", {"datatype": "uint8"}, "bands", "uint16"),
        ("a.jpg", {}, "bands", "EXR"),
        ("a.mp4", {"datatype": "uint8"}, "bands", "uint10"),
        ("a.mp4", {"pixel_format": "yuv420p"}, "bands", "10 bits"),
        ("a.avi", {}, "cannot say", ".mov"),
        ("a.mov", {"codec": "ffv1"}, "do not hold", ".mkv"),
        ("a.png", {"light": "off", "hdr10plus": True}, "HDR10\\+", "light"),
        ("a.png", {"mastering_max": 4.0, "mastering_min": 5.0}, "darkest", ""),
    ],
)
def test_refused(tmp_path, bench, name, params, message, remedy) -> None:
    clip, images = delivered([1])
    with pytest.raises(GraphError, match=message) as caught:
        bench.write(tmp_path / name, clip, images, **params)
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"light": "on", "colourspace": "ACEScct"}, "how bright"),
        ({"hdr10plus": True}, "PQ"),
        ({"mastering_max": 1000.0}, "mastering"),
        ({"mastering_primaries": "p3d65"}, "mastering"),
    ],
)
def test_light_of_what_is_no_display_is_refused(tmp_path, bench, make_clip, params, message) -> None:
    image = scene(1)
    with pytest.raises(GraphError, match=message):
        bench.write(tmp_path / "a.png", make_clip(image), {1: image}, **params)


def test_a_display_space_named_directly_counts_as_hdr(tmp_path, bench, make_clip) -> None:
    image = scene(1)
    bench.write(tmp_path / "a.png", make_clip(image), {1: image}, colourspace=PQ_SPACE)
    assert any("ST 2086" in warning for warning in bench.warnings)
    said = sidecar(tmp_path / "a.png.light.json")
    assert said["mastering_display"] is None
    assert said["max_cll"] == oracle([raw(tmp_path / "a.png", "uint16") / 65535])[0]
    assert chunks(tmp_path / "a.png")[b"cICP"] == bytes([9, 16, 0, 1])
    more = {"colourspace": PQ_SPACE, "mastering_max": 4000.0, "mastering_primaries": "rec2020", "mastering_min": 0.005}
    bench.write(tmp_path / "a.png", make_clip(image), {1: image}, **more)
    assert bench.warnings == [] and sidecar(tmp_path / "a.png.light.json")["mastering_display"]["min"] == 0.005


def test_ordinary_files_get_no_sidecar_unless_asked(tmp_path, bench, make_clip) -> None:
    image = scene(1)
    bench.write(tmp_path / "a.png", make_clip(image), {1: image})
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    bench.write(tmp_path / "a.png", make_clip(image), {1: image}, light="on", colourspace="Rec.1886 Rec.709 - Display")
    codes = raw(tmp_path / "a.png", "uint16") / 65535
    assert sidecar(tmp_path / "a.png.light.json")["max_cll"] == (100 * codes**2.4).max()


def test_the_display_is_forgotten_where_colour_changes() -> None:
    clip, images = delivered([1])
    node, params = Convert(), ConvertParams(source=PQ_SPACE, target="scene_linear")
    assert DISPLAY not in node.extent(params, {"input": clip}).metadata
    request = Request(1, images[1].region)
    out = node.compute(params, request, Inputs(request, {"input": {1: images[1]}}, {}), CPU)
    assert DISPLAY not in out.metadata


def test_a_tag_that_the_config_has_no_space_for_is_asked_about(tmp_path, bench) -> None:
    from tests.colour.configs import write_config

    clip, images = delivered([1])
    bench.write(tmp_path / "a.png", clip, images)
    write_config(tmp_path)
    bench.settings = Settings(tmp_path, {"colour": {"config": "show.ocio"}})
    with pytest.raises((GraphError, RenderError), match="PQ"):
        bench.read(tmp_path / "a.png")


def test_exr_with_a_smaller_data_window_counts_black_around_it(tmp_path, bench) -> None:
    clip, images = delivered([1])
    inner = images[1].crop(Region(0, 8, WIDTH, HEIGHT - 8))
    bench.write(tmp_path / "a.exr", clip, {1: inner})
    cut = sidecar(tmp_path / "a.exr.light.json")
    bench.write(tmp_path / "a.exr", clip, images)
    whole = sidecar(tmp_path / "a.exr.light.json")
    assert cut["per_frame"] == whole["per_frame"] and cut["max_fall"] == whole["max_fall"]
