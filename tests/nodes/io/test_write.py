"""Write: round trips of every format and type, headers, windows, refusals."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import OpenImageIO
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.graph.render import render
from safelight.nodes.io.files.exr_chunks import read_exr
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.io.write import Write

EVERY_HALF = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, 2).view(np.float16)


def native(path: Path, kind: str, channel: int | None = None) -> np.ndarray:
    reader = OpenImageIO.ImageInput.open(str(path))
    if channel is None:
        return reader.read_image(0, 0, 0, reader.spec().nchannels, kind)
    return reader.read_image(0, 0, channel, channel + 1, kind)


def hidden(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("compression", ["none", "rle", "zips", "zip", "piz", "pxr24"])
def test_a_bare_copy_of_half_keeps_every_bit(tmp_path, bench, make_file, compression):
    source = make_file(tmp_path / "a.exr", EVERY_HALF, "half", {"compression": compression})
    target = bench.copy(source, tmp_path / "b.exr")
    assert np.array_equal(native(target, "half").view(np.uint16), EVERY_HALF.view(np.uint16))
    one, two = read_exr(source).parts[0].raw, read_exr(target).parts[0].raw
    assert {**one, "capDate": two.get("capDate")} == {**two, "capDate": two.get("capDate")}
    assert hidden(tmp_path) == []


def test_a_bare_copy_of_float_keeps_every_bit(tmp_path, bench, make_file):
    bits = np.random.default_rng(0).integers(0, 2**32, (33, 21, 3), dtype=np.uint32)
    source = make_file(tmp_path / "a.exr", bits.view(np.float32), "float")
    target = bench.copy(source, tmp_path / "b.exr")
    assert np.array_equal(native(target, "float").view(np.uint32), bits)


def test_lossy_sources_are_copied_without_loss(tmp_path, bench, make_file, make_picture):
    samples = np.ascontiguousarray(np.moveaxis(make_picture(64, 64).data, 0, 2)).astype(np.float16)
    source = make_file(tmp_path / "a.exr", samples, "half", {"compression": "dwaa"})
    target = bench.copy(source, tmp_path / "b.exr")
    assert np.array_equal(native(target, "half").view(np.uint16), native(source, "half").view(np.uint16))
    assert read_exr(target).parts[0].compression == "zip"


@pytest.mark.parametrize("compression", ["none", "zip", "piz", "dwaa"])
def test_mixed_types_keep_every_bit(tmp_path, bench, compression):
    rng = np.random.default_rng(0)
    depth = rng.integers(0, 2**32, (256, 256), dtype=np.uint32)
    ids = rng.integers(0, 2**32, (256, 256), dtype=np.uint32)
    image = Image(
        np.stack([EVERY_HALF[..., 0].astype(np.float32), depth.view(np.float32), ids.view(np.float32)]),
        Region.sized(256, 256, -3, 5),
        ("R", "Z", "id"),
        {ORIGIN: {"types": {"R": "half", "Z": "float", "id": "uint32"}}, "owner": "us"},
    )
    # numpy's conversion above made signalling NaNs quiet; give them back their bits.
    from safelight.nodes.io.files.pixels import unpack

    image.data[0] = unpack(EVERY_HALF[..., :1], "half", bench.device)[0]
    clip = bench_clip(image)
    path = bench.write(tmp_path / "a.exr", clip, {1: image}, compression=compression)[0]
    header = read_exr(path).parts[0]
    assert {c.name: c.type for c in header.channels} == {"R": "half", "Z": "float", "id": "uint32"}
    assert header.data == image.region and header.raw["owner"][1] == b"us"
    assert np.array_equal(native(path, "half", 0).view(np.uint16)[..., 0], EVERY_HALF.view(np.uint16)[..., 0])
    assert np.array_equal(native(path, "float", 1).view(np.uint32)[..., 0], depth)
    assert np.array_equal(native(path, "uint", 2)[..., 0], ids)
    again = bench.copy(path, tmp_path / "b.exr")
    assert bench.read(again).data.tobytes() == image.data.tobytes() == bench.read(path).data.tobytes()


def bench_clip(image, display=None, **facts):
    from safelight.graph.image import Clip

    return Clip(1, 1, display or image.region, image.region, channels=image.channels, **facts)


@pytest.mark.parametrize(
    ("suffix", "datatype", "step"),
    [("exr", "half", 2**-11), ("exr", "float", 0), ("dpx", "uint8", 1 / 255), ("dpx", "uint10", 1 / 1023),
     ("dpx", "uint16", 1 / 65535), ("tif", "uint8", 1 / 255), ("tif", "uint16", 1 / 65535), ("tif", "half", 2**-11),
     ("tif", "float", 0), ("png", "uint8", 1 / 255), ("png", "uint16", 1 / 65535), ("jpg", "uint8", 0.2)],
)  # fmt: skip
@pytest.mark.parametrize("size", [(31, 17), (1, 1), (1, 9), (13, 1)])
def test_every_format_and_type_round_trips(tmp_path, bench, make_picture, make_clip, suffix, datatype, step, size):
    image = make_picture(*size)
    path = tmp_path / f"a.{suffix}"
    bench.write(path, make_clip(image), {1: image}, datatype=datatype, colourspace="scene_linear")
    back = bench.read(path, colourspace="scene_linear")
    assert back.channels == image.channels and back.region == image.region
    assert np.abs(back.data - image.data).max() <= step * 0.5001 + (0.5 if suffix == "jpg" else 0)
    # What a file holds can be written again without any change, but for JPEG.
    if suffix != "jpg":
        again = tmp_path / f"b.{suffix}"
        bench.write(again, bench.clip(path), {1: back}, colourspace="scene_linear")
        assert bench.read(again, colourspace="scene_linear").data.tobytes() == back.data.tobytes()


@pytest.mark.parametrize("compression", ["b44", "b44a", "dwaa", "dwab"])
def test_lossy_compressions_are_near(tmp_path, bench, make_clip, compression):
    y, x = np.mgrid[0:64, 0:96] / 30.0
    image = Image(np.stack([1 + np.sin(x + k) * np.cos(y) for k in range(3)]).astype(np.float32), Region.sized(96, 64))
    bench.write(tmp_path / "a.exr", make_clip(image), {1: image}, compression=compression)
    assert read_exr(tmp_path / "a.exr").parts[0].compression == compression
    assert np.abs(bench.read(tmp_path / "a.exr").data - image.data).max() < 0.05


def test_dwa_level_changes_the_size(tmp_path, bench, make_picture, make_clip):
    image = make_picture(128, 128)
    for level in (1, 500):
        bench.write(tmp_path / f"{level}.exr", make_clip(image), {1: image}, compression="dwaa", dwa_level=level)
    assert (tmp_path / "500.exr").stat().st_size < 0.8 * (tmp_path / "1.exr").stat().st_size


def test_whole_numbers_clamp_and_floats_do_not(tmp_path, bench, make_clip):
    values = np.array([-2, -0.0, 0.5, 1, 7e4, np.inf, -np.inf, np.nan], np.float32)
    image = Image(np.stack([values[None]] * 3), Region.sized(8, 1))
    for suffix, datatype in (("png", "uint8"), ("png", "uint16"), ("dpx", "uint10"), ("tif", "uint16")):
        path = tmp_path / f"{datatype}.{suffix}"
        bench.write(path, make_clip(image), {1: image}, datatype=datatype, colourspace="scene_linear")
        got = bench.read(path, colourspace="scene_linear").data[0, 0]
        assert np.allclose(got, [0, 0, 0.5, 1, 1, 1, 0, 0], atol=1e-2) and got[3] == 1
    bench.write(tmp_path / "f.exr", make_clip(image), {1: image}, datatype="float")
    assert bench.read(tmp_path / "f.exr").data.tobytes() == image.data.tobytes()
    bench.write(tmp_path / "h.exr", make_clip(image), {1: image}, datatype="half")
    got = bench.read(tmp_path / "h.exr").data[0, 0]
    assert np.array_equal(got, [-2, 0, 0.5, 1, np.inf, np.inf, -np.inf, np.nan], equal_nan=True)


def test_dpx_is_film_log_by_default(tmp_path, bench, make_clip):
    image = Image(np.full((3, 4, 4), 0.18, np.float32), Region.sized(4, 4))
    bench.write(tmp_path / "a.dpx", make_clip(image), {1: image})
    spec = OpenImageIO.ImageInput.open(str(tmp_path / "a.dpx")).spec()
    assert (
        spec.get_string_attribute("dpx:Transfer") == "Logarithmic"
        and spec.get_int_attribute("oiio:BitsPerSample") == 10
    )
    code = native(tmp_path / "a.dpx", "uint16")[0, 0, 1] >> 6
    assert 440 <= code <= 480  # 18 % grey of Cineon: 470, of the ACES configs' Cineon curve near it
    assert np.abs(bench.read(tmp_path / "a.dpx").data - 0.18).max() < 2e-3


def test_converted_files_come_back(tmp_path, bench, make_picture, make_clip):
    image = make_picture(low=0.3, high=0.4)  # inside the gamut of sRGB
    for space, suffix in (("ACES2065-1", "exr"), ("sRGB - Texture", "png"), ("ACEScct", "tif")):
        path = tmp_path / f"a.{suffix}"
        bench.write(path, make_clip(image), {1: image}, colourspace=space, datatype="auto")
        back = bench.read(path, colourspace=space)
        assert np.allclose(back.data, image.data, atol=2e-3)
        assert not np.allclose(bench.read(path, colourspace="scene_linear").data, image.data, atol=1e-3)


def header_file(make_file, path, extra=None, samples=EVERY_HALF[:9, :7]):
    types = OpenImageIO.TypeDesc
    attributes = {
        "smpte:TimeCode": (types("timecode"), (0x01020304, 0)),
        "smpte:KeyCode": (types("keycode"), (1, 2, 3, 4, 5, 4, 64)),
        "framesPerSecond": (types("rational"), (24000, 1001)),
        "reelName": "A001",
        "owner": "the archive",
        "comments": "second scan",
        "DateTime": "1968:04:02 20:00:00",
        "PixelAspectRatio": 1.5,
        "expTime": 0.02,
        "aFloat2": (types("float2"), (1.5, -2.5)),
        "anInt2": (types("int[2]"), (3, 4)),
        "aMatrix": (types("matrix"), tuple(float(i) for i in range(16))),
        "aWhole": 7,
        "names": (types("string[2]"), ("one", "two")),
        "chromaticities": (types("float[8]"), (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)),
        "colorInteropID": "lin_rec709_scene",
        **(extra or {}),
    }
    return make_file(path, np.ascontiguousarray(samples), "half", attributes, x=-2, y=3, full_width=20, full_height=10)


def test_header_and_windows_survive_a_bare_copy(tmp_path, bench, make_file):
    source = header_file(make_file, tmp_path / "a.exr")
    clip = bench.clip(source)
    assert clip.extent == Region(-2, 3, 5, 12) and clip.display == Region.sized(20, 10)
    assert clip.metadata["smpte:TimeCode"] == (0x01020304, 0)
    target = bench.copy(source, tmp_path / "b.exr")
    one, two = read_exr(source).parts[0].raw, read_exr(target).parts[0].raw
    assert one == two
    assert {"timeCode", "keyCode", "framesPerSecond", "reelName", "owner", "comments", "capDate", "colorInteropID",
            "chromaticities", "pixelAspectRatio"} <= set(two)  # fmt: skip


def test_colour_claims_are_dropped_when_pixels_change_space(tmp_path, bench, make_file):
    source = header_file(make_file, tmp_path / "a.exr")
    target = bench.copy(source, tmp_path / "b.exr", colourspace="ACES2065-1")
    raw = read_exr(target).parts[0].raw
    assert raw["colorInteropID"][1].rstrip(b"\0") == b"lin_ap0_scene"
    assert np.frombuffer(raw["chromaticities"][1], "<f4")[0] == pytest.approx(0.7347)
    other = read_exr(bench.copy(source, tmp_path / "c.exr", colourspace="ACEScct")).parts[0].raw
    assert "colorInteropID" not in other and "chromaticities" not in other and "timeCode" in other


def test_timecode_crosses_formats(tmp_path, bench, make_file):
    source = header_file(make_file, tmp_path / "a.exr")
    bench.copy(source, tmp_path / "b.dpx")
    clip = bench.clip(tmp_path / "b.dpx")
    assert clip.metadata["smpte:TimeCode"] == (0x01020304, 0)
    target = bench.copy(tmp_path / "b.dpx", tmp_path / "c.exr")
    raw = read_exr(target).parts[0].raw
    assert raw["timeCode"] == read_exr(source).parts[0].raw["timeCode"] and not any(n.startswith("dpx") for n in raw)


def test_frame_rate_and_aspect_of_a_clip_without_a_file(tmp_path, bench, make_picture):
    image = make_picture()
    clip = bench_clip(image, fps=Fraction(24), pixel_aspect=2.0)
    bench.write(tmp_path / "a.exr", clip, {1: image})
    again = bench.clip(tmp_path / "a.exr")
    assert again.fps == 24 and again.pixel_aspect == 2.0
    first = (tmp_path / "a.exr").read_bytes()
    bench.write(tmp_path / "a.exr", clip, {1: image})
    assert (tmp_path / "a.exr").read_bytes() == first


def test_formats_without_windows_get_the_display_window(tmp_path, bench, make_picture):
    image = make_picture(6, 4)
    image = Image(image.data, Region.sized(6, 4, 2, -1))
    clip = bench_clip(image, display=Region.sized(5, 7))
    bench.write(tmp_path / "a.tif", clip, {1: image}, datatype="float")
    back = bench.read(tmp_path / "a.tif")
    want = np.zeros((3, 7, 5), np.float32)
    want[:, 0:3, 2:5] = image.data[:, 1:4, 0:3]
    assert np.array_equal(back.data, want)


def test_an_image_without_pixels(tmp_path, bench):
    image = Image(np.zeros((3, 0, 0), np.float32), Region(0, 0, 0, 0))
    clip = bench_clip(image, display=Region.sized(8, 6))
    bench.write(tmp_path / "a.exr", clip, {1: image})
    assert bench.clip(tmp_path / "a.exr").display == Region.sized(8, 6)
    bench.write(tmp_path / "a.png", clip, {1: image})
    assert not bench.read(tmp_path / "a.png").data.any()


def test_windows_of_the_odd_files_survive(data, bench, tmp_path):
    for name in ("disjoint", "inset", "offset", "overscan_neg", "grid_overscan"):
        source = data / "odd" / f"window_{name}.exr"
        target = bench.copy(source, tmp_path / f"{name}.exr")
        assert (bench.clip(target).extent, bench.clip(target).display) == (
            bench.clip(source).extent,
            bench.clip(source).display,
        )
        assert bench.read(target).data.tobytes() == bench.read(source).data.tobytes()


def test_real_stills_survive(data, bench, tmp_path):
    for source in sorted((data / "exr").glob("*.exr")):
        target = bench.copy(source, tmp_path / source.name)
        assert bench.read(target).data.tobytes() == bench.read(source).data.tobytes()
        one, two = read_exr(source).parts[0].raw, read_exr(target).parts[0].raw
        layout = {"compression", "tiles", "preview", "type", "lineOrder", "channels", "chunkCount"}
        assert {k: v for k, v in one.items() if k not in layout} == {k: v for k, v in two.items() if k not in layout}


def test_compute_hands_the_input_on(make_picture, make_clip):
    image = make_picture()
    node = Write()
    params = node.Params(path=Path("/nowhere/a.exr"))
    request = Request(1, Region(3, 4, 9, 10))
    assert node.identity(params, request) == "input"
    out = node.compute(params, request, Inputs(request, {"input": {1: image}}, {"input": make_clip(image)}), None)
    assert np.array_equal(out.data, image.data[:, 4:10, 3:9])
    pattern = node.Params(path=Path("/nowhere/a.####.exr"))
    assert node.target(pattern, 7) == Path("/nowhere/a.0007.exr")
    assert node.target(node.Params(path=Path("/nowhere/a.mov")), 7) is None


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        ("a.exe", {}, "kind '.exe' cannot be written"),
        ("a.exrr", {}, "Did you mean '.exr'"),
        ("a.exr", {"datatype": "uint10"}, "cannot hold datatype uint10"),
        ("a.png", {"datatype": "half"}, "They can hold uint16, uint8"),
        ("a.dpx", {"compression": "piz"}, "no compression piz"),
        ("a.exr", {"colourspace": "ACESgc"}, "ACEScg"),
        ("a.exr", {"channels": "R,Q"}, "no channel 'Q'"),
        ("a.####.%04d.exr", {}, "twice"),
        ("file/a.exr", {}, "is a file, not a folder"),
        ("a.mov", {"datatype": "half"}, "movies cannot hold"),
    ],
)
def test_refused_before_anything_renders(tmp_path, bench, make_picture, make_clip, name, params, words):
    (tmp_path / "file").write_text("")
    image = make_picture()
    node = Write()
    with pytest.raises(GraphError, match=words):
        list(node.check(node.Params(path=tmp_path / name, **params), {"input": make_clip(image)}, bench.settings))
    assert sorted(tmp_path.iterdir()) == [tmp_path / "file"]


def test_many_frames_into_one_name(tmp_path, bench, make_picture, make_clip):
    image = make_picture()
    with pytest.raises(GraphError, match=r"a\.####\.exr"):
        bench.write(tmp_path / "a.exr", make_clip(image, 2), {1: image, 2: image})


def test_folders_are_made(tmp_path, bench, make_picture, make_clip):
    image = make_picture()
    paths = bench.write(tmp_path / "new" / "er" / "a.####.exr", make_clip(image, 2), {1: image, 2: image})
    assert [path.name for path in paths] == ["a.0001.exr", "a.0002.exr"] and all(path.exists() for path in paths)


def test_the_source_is_not_overwritten(tmp_path, bench, make_file):
    make_file(tmp_path / "a.0001.exr", EVERY_HALF, "half")
    clip = bench.clip(tmp_path / "a.####.exr")
    with pytest.raises(GraphError, match="its own source"):
        bench.write(tmp_path / "a.%04d.exr", clip, {})


def test_left_out_channels_are_said(tmp_path, bench, make_picture, make_clip):
    image = make_picture(channels=("R", "G", "B", "A", "Z"))
    bench.write(tmp_path / "a.png", make_clip(image), {1: image})
    assert any("the channels Z" in text for text in bench.warnings)
    assert bench.read(tmp_path / "a.png").channels == ("R", "G", "B", "A")
    bench.write(tmp_path / "a.exr", make_clip(image), {1: image}, channels="Z,G")
    assert bench.read(tmp_path / "a.exr").channels == ("G", "Z")


@pytest.mark.parametrize("tile", [0, 100])
@pytest.mark.parametrize("untrusted", [False, True])
def test_through_the_engine(tmp_path, make_file, tile, untrusted):
    """A rendered copy has the source's bits, windows and header, frame by frame, at any tile size."""
    from safelight.graph.device import Device
    from safelight.graph.document import Document
    from safelight.graph.graph import Graph
    from safelight.graph.render import render

    (tmp_path / "in").mkdir()
    sources = []
    for frame in range(7, 11):
        samples = np.roll(EVERY_HALF, frame, axis=1)
        sources.append(header_file(make_file, tmp_path / "in" / f"a.{frame:04d}.exr", {"aWhole": frame}, samples))
    text = """
        safelight = 1
        [nodes.read]
        type = "Read"
        path = "in"
        [nodes.write]
        type = "Write"
        input = "read"
        path = "out/b.%04d.exr"
    """
    graph = Graph.from_document(Document.parse(text, tmp_path), untrusted=untrusted)
    report = render(graph, device=Device("cpu", 2), tile=tile)
    assert [path.name for path in report.files] == [f"b.{frame:04d}.exr" for frame in range(7, 11)]
    for source, target in zip(sources, report.files, strict=True):
        assert np.array_equal(native(source, "half").view(np.uint16), native(target, "half").view(np.uint16))
        assert read_exr(source).parts[0].raw == read_exr(target).parts[0].raw


def test_a_dpx_keeps_the_encoding_it_was_read_in(tmp_path: Path) -> None:
    """Like for like: a DPX that holds no film log must not become one by being copied."""
    rng = np.random.default_rng(3)
    codes = (rng.integers(0, 1024, (5, 7, 3)) << 6).astype(np.uint16)
    spec = OpenImageIO.ImageSpec(7, 5, 3, OpenImageIO.UINT16)
    spec.attribute("oiio:BitsPerSample", 10)
    spec.attribute("dpx:Transfer", "Linear")
    out = OpenImageIO.ImageOutput.create("a.dpx")
    assert out.open(str(tmp_path / "a.dpx"), spec) and out.write_image(codes) and out.close()
    for space in ("auto", "ACEScct"):
        text = (
            f'safelight = 1\n[nodes.a]\ntype = "Read"\npath = "a.dpx"\ncolourspace = "{space}"\n'
            '[nodes.b]\ntype = "Write"\ninput = "a"\npath = "b.dpx"\n'
        )
        render(Graph.from_document(Document.parse(text, tmp_path)), device=Device("cpu", 1))
        copied = OpenImageIO.ImageBuf(str(tmp_path / "b.dpx")).get_pixels(OpenImageIO.UINT16) >> 6
        np.testing.assert_array_equal(copied, codes >> 6)
