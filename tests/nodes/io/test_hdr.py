"""HDR delivery by Write: what files and sidecars say, resumed and split renders, refusals, reading back."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from safelight.colour.claims import DISPLAY
from safelight.colour.transfer import hlg_light
from safelight.graph.document import Document
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.graph import Graph
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.graph.render import render
from safelight.nodes.colour.convert import Convert, ConvertParams
from safelight.nodes.io.write import Write
from tests.nodes.io.hdr import CPU, FRAMES, HEIGHT, PQ_SPACE, WIDTH, delivered, oracle, raw, scene, sidecar


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


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
