"""Movies: every frame at its place, range and matrix right, whole or not there."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.io.files.ycbcr import MATRICES, from_rgb, to_rgb
from safelight.nodes.io.read import Read
from safelight.nodes.io.write import Write

av = pytest.importorskip("av")

SIZE = (64, 48)
LINEAR = {"colourspace": "scene_linear"}


def counter(frame: int) -> Image:
    """A picture that says its number: 8 bars, bright for 1, dark for 0."""
    bits = [(frame >> bit) & 1 for bit in range(8)]
    row = np.repeat(np.array(bits, np.float32) * 0.6 + 0.2, SIZE[0] // 8)
    return Image(np.broadcast_to(row, (3, SIZE[1], SIZE[0])).copy(), Region.sized(*SIZE))


def number(image: Image) -> int:
    bars = image.data[1].mean(axis=0).reshape(8, -1).mean(axis=1)
    return sum(1 << bit for bit in range(8) if bars[bit] > 0.5)


def movie_clip(count: int, **facts) -> Clip:
    return Clip(1, count, Region.sized(*SIZE), Region.sized(*SIZE), fps=Fraction(24000, 1001), **facts)


@pytest.mark.parametrize(
    ("name", "params"),
    [("a.mov", {}), ("a.mp4", {}), ("a.mkv", {}), ("a.avi", {}), ("b.mp4", {"codec": "libx265"}),
     ("b.mkv", {"datatype": "uint8"}), ("c.mkv", {"datatype": "uint16"}), ("d.mkv", {"codec": "libx264"}),
     ("e.mp4", {"datatype": "uint10"})],
)  # fmt: skip
@pytest.mark.parametrize("untrusted", [False, True])
def test_every_frame_is_found_in_any_order(tmp_path, bench, name, params, untrusted):
    count = 60
    made = bench.write(
        tmp_path / name, movie_clip(count), {f: counter(f) for f in range(1, count + 1)}, **LINEAR, **params
    )
    assert made == [tmp_path / name] and list(tmp_path.iterdir()) == [tmp_path / name]
    bench.settings = Settings(untrusted=untrusted)
    clip = bench.clip(tmp_path / name)
    assert (clip.first, clip.last) == (1, count) and clip.display == Region.sized(*SIZE)
    assert abs(float(clip.fps) - 24000 / 1001) < 0.01
    for frame in (1, 60, 2, 31, 30, 29, 59, 60, 5, 6, 7, 8):
        assert number(bench.read(tmp_path / name, frame, **LINEAR)) == frame


def test_frames_with_reordering_and_long_groups(tmp_path, bench):
    """B-frames and one key frame in 200: the index must follow the order of display."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.options = {"bf": "4", "g": "200", "crf": "12"}
        for frame in range(1, 81):
            grey = (counter(frame).data[0] * 255).astype(np.uint8)
            made = av.VideoFrame.from_ndarray(np.stack([grey] * 3, axis=2), "rgb24")
            container.mux(stream.encode(made))
        container.mux(stream.encode(None))
    assert bench.clip(tmp_path / "a.mp4").last == 80
    for frame in (80, 1, 40, 41, 39, 2, 79):
        assert number(bench.read(tmp_path / "a.mp4", frame, **LINEAR)) == frame


def reference(y, cb, cr, bits, matrix, full):
    """BT.601, BT.709, BT.2020 as the recommendations write them, in float64."""
    s = 2.0 ** (bits - 8)
    if full:
        luma, b, r = y / (2.0**bits - 1), (cb - 128 * s) / (2.0**bits - 1), (cr - 128 * s) / (2.0**bits - 1)
    else:
        luma, b, r = (y / s - 16) / 219, (cb / s - 128) / 224, (cr / s - 128) / 224
    kr, kb = MATRICES[matrix]
    red, blue = luma + 2 * (1 - kr) * r, luma + 2 * (1 - kb) * b
    return np.stack([red, (luma - kr * red - kb * blue) / (1 - kr - kb), blue], axis=-1)


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("matrix", sorted(MATRICES))
@pytest.mark.parametrize("full", [False, True])
def test_conversion_follows_the_recommendations(bits, matrix, full):
    rng = np.random.default_rng(bits)
    kind = np.uint8 if bits == 8 else np.uint16
    planes = [rng.integers(0, 2**bits, (11, 13)).astype(kind) for _ in range(3)]
    got = to_rgb(planes, bits, matrix, full)
    want = reference(*(plane.astype(np.float64) for plane in planes), bits, matrix, full)
    assert np.abs(got - want).max() < 2e-6
    rgb = rng.uniform(0, 1, (3, 11, 13)).astype(np.float32)
    back = to_rgb(from_rgb(rgb, bits, matrix, full, (False, False)), bits, matrix, full)
    assert np.abs(np.moveaxis(back, 2, 0) - rgb).max() < 2.0 / 2 ** (bits - 1)
    for level, luma in ((0.0, 0 if full else 16), (1.0, 255 if full else 235)):
        code = from_rgb(np.full((3, 2, 2), level, np.float32), bits, matrix, full, (True, True))
        assert code[0][0, 0] == (luma * 2 ** (bits - 8) if not full or not level else 2**bits - 1)
        assert code[1].shape == (1, 1) and code[1][0, 0] == 128 * 2 ** (bits - 8) == code[2][0, 0]


@pytest.mark.parametrize("layout", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize("size", [(12, 10), (13, 11), (1, 1)])
def test_chroma_is_brought_back(layout, size):
    halves = {"yuv420p": (True, True), "yuv422p": (True, False), "yuv444p": (False, False)}[layout]
    y, x = np.mgrid[0 : size[1], 0 : size[0]] / 20.0
    rgb = np.stack([0.3 + 0.2 * x, 0.5 - 0.2 * y, 0.3 + 0.1 * (x + y)]).astype(np.float32)
    planes = from_rgb(rgb, 16, "bt709", False, halves)
    assert np.abs(np.moveaxis(to_rgb(planes, 16, "bt709", False), 2, 0) - rgb).max() < 0.03


@pytest.mark.parametrize(
    ("layout", "colorspace", "color_range", "matrix", "full"),
    [("yuv444p", 1, 1, "bt709", False), ("yuv444p", 1, 2, "bt709", True), ("yuv444p", 5, 1, "bt601", False),
     ("yuv444p10le", 9, 1, "bt2020", False), ("yuv444p", 2, 1, "bt601", False)],
)  # fmt: skip
def test_range_and_matrix_of_the_file_are_followed(tmp_path, bench, layout, colorspace, color_range, matrix, full):
    bits = 10 if layout.endswith("10le") else 8
    kind = np.uint16 if bits == 10 else np.uint8
    rng = np.random.default_rng(3)
    planes = [rng.integers(60 << (bits - 8), 180 << (bits - 8), (48, 64)).astype(kind) for _ in range(3)]
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, layout
        stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, color_range
        frame = av.VideoFrame(64, 48, layout)
        for plane, codes in zip(frame.planes, planes, strict=True):
            lines = np.zeros((48, plane.line_size // codes.itemsize), kind)
            lines[:, :64] = codes
            plane.update(lines)
        frame.colorspace, frame.color_range = colorspace, color_range
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    image = bench.read(tmp_path / "a.mkv", **LINEAR)
    want = reference(*(plane.astype(np.float64) for plane in planes), bits, matrix, full)
    assert np.abs(np.moveaxis(image.data, 0, 2) - want).max() < 2e-6


@pytest.mark.parametrize(("datatype", "most"), [("uint8", 255), ("uint10", 1023), ("uint16", 65535)])
def test_ffv1_is_lossless(tmp_path, bench, datatype, most):
    codes = np.random.default_rng(1).integers(0, most + 1, (3, 48, 64))
    image = Image((codes / most).astype(np.float32), Region.sized(64, 48))
    bench.write(tmp_path / "a.mkv", movie_clip(1), {1: image}, datatype=datatype, **LINEAR)
    assert np.array_equal(np.rint(bench.read(tmp_path / "a.mkv", **LINEAR).data * most), codes)


def test_ffmpeg_reads_the_same_tags(tmp_path, bench):
    bench.write(tmp_path / "a.mp4", movie_clip(2), {1: counter(1), 2: counter(2)}, colourspace="sRGB - Texture")
    try:
        told = subprocess.run(
            ["ffprobe", "-v", "error", "-show_streams", str(tmp_path / "a.mp4")], capture_output=True, text=True
        ).stdout
    except FileNotFoundError:
        pytest.skip("ffprobe is not installed")
    assert "color_range=tv" in told and "color_space=bt709" in told and "color_primaries=bt709" in told
    assert "nb_frames=2" in told and "r_frame_rate=24000/1001" in told


def test_refused_early(tmp_path, bench):
    node = Write()
    odd = Clip(1, 5, Region.sized(63, 47), Region.sized(63, 47))
    with pytest.raises(GraphError, match="even sizes only, and the picture is 63x47"):
        list(node.check(node.Params(path=tmp_path / "a.mp4"), {"input": odd}, bench.settings))
    with pytest.raises(GraphError, match="cannot hold datatype uint8"):
        list(node.check(node.Params(path=tmp_path / "a.mov", datatype="uint8"), {"input": odd}, bench.settings))
    with pytest.raises(GraphError, match="pixel format"):
        list(node.check(node.Params(path=tmp_path / "a.mov", pixel_format="yuv4"), {"input": odd}, bench.settings))
    with pytest.raises(GraphError, match=r"'\.webm' cannot be written"):
        list(node.check(node.Params(path=tmp_path / "a.webm"), {"input": odd}, bench.settings))
    told = list(node.check(node.Params(path=tmp_path / "a.mkv"), {"input": odd}, bench.settings))
    assert any("frames a second" in text for text in told)
    with pytest.raises(GraphError, match="frames 0, 3-9"):
        bench.write(tmp_path / "b.mkv", movie_clip(2), {1: counter(1), 2: counter(2)})
        bench.clip(tmp_path / "b.mkv", first=0, last=9)


def test_an_aborted_movie_leaves_nothing(tmp_path, bench):
    node = Write()
    params = node.Params(path=tmp_path / "a.mov")
    writer = node.writer(params, movie_clip(9), range(1, 10), bench.settings)
    writer.write(1, counter(1))
    assert not (tmp_path / "a.mov").exists()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("untrusted", [False, True])
def test_damaged_movies(tmp_path, bench, untrusted):
    bench.write(tmp_path / "a.mp4", movie_clip(40), {f: counter(f) for f in range(1, 41)})
    whole = (tmp_path / "a.mp4").read_bytes()
    bench.settings = Settings(untrusted=untrusted)
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "noise.mkv").write_bytes(np.random.default_rng(0).bytes(5000))
    (tmp_path / "empty.mov").write_bytes(b"")
    for name in ("cut.mp4", "noise.mkv", "empty.mov"):
        with pytest.raises(RenderError, match="cannot be read") as caught:
            bench.clip(tmp_path / name)
        assert name in str(caught.value) and "\n" not in str(caught.value)


def test_a_movie_read_by_several_threads(tmp_path, bench):
    from concurrent.futures import ThreadPoolExecutor

    bench.write(tmp_path / "a.mkv", movie_clip(40), {f: counter(f) for f in range(1, 41)}, **LINEAR)
    node = Read()
    params = node.Params(path=tmp_path / "a.mkv", **LINEAR)

    def read(frame):
        request = Request(frame, Region.sized(*SIZE))
        return number(node.compute(params, request, Inputs(request, {}, {}, Settings()), bench.device))

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(read, range(1, 41))) == list(range(1, 41))


def test_importing_the_nodes_does_not_import_pyav():
    code = "import sys, safelight.nodes.io.read, safelight.nodes.io.write; sys.exit('av' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
