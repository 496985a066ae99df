"""Read: sequences, policies, formats, header attributes, odd files."""

import os
import struct
from fractions import Fraction

import numpy as np
import OpenImageIO
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError, SafelightError
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.io.files.sequence import find_files, parse_pattern
from safelight.nodes.io.read import Read


def half(value: float, size=(4, 5)):
    return np.full((*size, 3), value, np.float16)


@pytest.fixture
def plate(tmp_path, make_file):
    for frame in (1001, 1002, 1003, 1005, 1006):
        make_file(tmp_path / f"plate.{frame:04d}.exr", half(frame - 1000), "half")
    (tmp_path / ".plate.1004.exr").write_bytes(b"half a frame")
    (tmp_path / ".safelight-00000000-1-1-00000000-0.exr").write_bytes(b"")
    (tmp_path / "notes.txt").write_text("hello")
    return tmp_path


@pytest.mark.parametrize("name", ["plate.####.exr", "plate.%04d.exr", "."])
def test_a_sequence_by_pattern_and_folder(plate, bench, name):
    clip = bench.clip(plate / name, missing="hold")
    assert (clip.first, clip.last) == (1001, 1006)
    assert clip.display == clip.extent == Region.sized(5, 4)
    assert bench.read(plate / name, 1003, missing="hold").data[0, 0, 0] == 3


def test_missing_frames(plate, bench):
    path = plate / "plate.####.exr"
    with pytest.raises(GraphError, match="frame 1004 of 1001-1006 is missing"):
        bench.clip(path)
    assert bench.clip(path, last=1003).last == 1003
    assert bench.read(path, 1004, missing="hold").data[0, 0, 0] == 3
    black = bench.read(path, 1004, missing="black")
    assert black.data.shape == (3, 4, 5) and not black.data.any()
    assert bench.clip(path, missing="black", first=990, last=1010).frames == range(990, 1011)
    assert bench.read(path, 990, missing="hold", first=990).data[0, 0, 0] == 1
    assert bench.read(path, 1010, missing="hold", last=1010).data[0, 0, 0] == 6
    with pytest.raises(GraphError, match="frames 990-1000, 1004 of"):
        bench.clip(path, first=990)
    with pytest.raises(GraphError, match="no frame from 1006 to 1001"):
        bench.clip(path, first=1006, last=1001)


def test_a_frame_that_vanishes_while_rendering(plate, bench):
    node, path = Read(), plate / "plate.####.exr"
    params = node.Params(path=path, last=1003)
    node.offer(params, bench.settings)
    (plate / "plate.1002.exr").unlink()
    request = Request(1002, Region.sized(5, 4))
    with pytest.raises(RenderError, match=r"frame 1002, .*plate\.1002\.exr: the frame's file is missing"):
        node.compute(params, request, Inputs(request, {}, {}, bench.settings), Device("cpu", 1))


def test_differing_sizes_name_frame_file_and_both_sizes(plate, bench, make_file):
    make_file(plate / "plate.1004.exr", half(4, (6, 7)), "half")
    with pytest.raises(RenderError) as caught:
        bench.clip(plate / "plate.####.exr")
    text = str(caught.value)
    assert "1004" in text and "7x6" in text and "5x4" in text and "plate.1004.exr" in text
    make_file(plate / "plate.1004.exr", np.zeros((4, 5, 4), np.float16), "half")
    with pytest.raises(RenderError, match="differs from frame 1001 in channels: A, B, G, R"):
        bench.clip(plate / "plate.####.exr")


def test_data_windows_may_differ(plate, bench, make_file):
    make_file(plate / "plate.1004.exr", half(4, (2, 3)), "half", x=1, y=2, full_width=5, full_height=4)
    clip = bench.clip(plate / "plate.####.exr")
    assert clip.extents == {1004: Region(1, 2, 4, 4)} and clip.extent_at(1005) == clip.extent
    assert bench.read(plate / "plate.####.exr", 1004).data.shape == (3, 2, 3)
    assert bench.read(plate / "plate.####.exr", 1004, Region(2, 2, 3, 4)).data.shape == (3, 2, 1)


def test_two_sequences_in_a_folder_are_named(plate, make_file):
    make_file(plate / "clean.0001.exr", half(1), "half")
    with pytest.raises(GraphError, match=r"more than one sequence: clean\.####\.exr, plate\.####\.exr"):
        find_files(plate)


def test_helpful_words_for_wrong_paths(plate):
    with pytest.raises(GraphError, match=r"plate\.####\.exr: mind the number of digits"):
        find_files(plate / "plate.#####.exr")
    with pytest.raises(GraphError, match=r"The folder holds plate\.####\.exr"):
        find_files(plate / "plat.####.exr")
    with pytest.raises(GraphError, match="no such folder"):
        find_files(plate / "nowhere" / "plate.####.exr")
    with pytest.raises(GraphError, match=r"Did you mean 'notes\.txt'"):
        find_files(plate / "note.txt")
    with pytest.raises(GraphError, match="twice"):
        parse_pattern(plate / "plate.##.%04d.exr")
    (plate / "empty").mkdir()
    with pytest.raises(GraphError, match="no picture files"):
        find_files(plate / "empty")


@pytest.mark.parametrize("pattern", ["x.#.exr", "x.%d.exr"])
def test_unpadded_and_negative_numbers(tmp_path, pattern):
    for number in (-8, -1, 0, 7, 10, 123):
        (tmp_path / f"x.{number}.exr").touch()
    (tmp_path / "x.007.exr").touch()
    assert list(find_files(tmp_path / pattern).frames) == [-8, -1, 0, 7, 10, 123]


def test_padded_numbers_grow_beyond_their_padding(tmp_path):
    for name in ("x.0998.exr", "x.9999.exr", "x.10000.exr", "x.010001.exr"):
        (tmp_path / name).touch()
    assert list(find_files(tmp_path / "x.####.exr").frames) == [998, 9999, 10000]


def test_mixed_spelling_in_a_folder(tmp_path):
    for name in ("x.001.exr", "x.0002.exr"):
        (tmp_path / name).touch()
    with pytest.raises(GraphError, match="frame 2 is spelt"):
        find_files(tmp_path)


def test_a_still_is_held(tmp_path, bench, make_file):
    path = make_file(tmp_path / "still.0007.exr", half(2), "half")
    assert bench.clip(path).frames == range(1, 2)
    assert bench.clip(path, first=5, last=9).frames == range(5, 10)
    assert bench.read(path, 9, first=5, last=9).data[0, 0, 0] == 2


def test_a_hash_in_a_real_name_is_no_pattern(tmp_path, bench, make_file):
    path = make_file(tmp_path / "take#2.exr", half(2), "half")
    assert bench.clip(path).frames == range(1, 2)


def test_unreadable_still(tmp_path, bench):
    (tmp_path / "a.exr").write_bytes(b"not a picture at all")
    with pytest.raises(RenderError, match="not an EXR"):
        bench.clip(tmp_path / "a.exr")
    (tmp_path / "b.png").write_bytes(b"not a picture at all")
    with pytest.raises(RenderError, match="cannot be read"):
        bench.clip(tmp_path / "b.png")


@pytest.mark.parametrize(
    ("suffix", "kind", "top"),
    [("dpx", "uint8", 255), ("dpx", "uint16", 65535), ("tif", "uint8", 255), ("tif", "uint16", 65535),
     ("png", "uint8", 255), ("png", "uint16", 65535)],
)  # fmt: skip
def test_whole_numbers_become_code_over_most(tmp_path, bench, make_file, suffix, kind, top):
    codes = np.random.default_rng(4).integers(0, top + 1, (9, 7, 3)).astype(kind)
    path = make_file(tmp_path / f"a.{suffix}", codes, kind)
    image = bench.read(path, colourspace="scene_linear")
    assert np.array_equal(np.moveaxis(image.data, 0, 2), (codes.astype(np.float64) / top).astype(np.float32))


def test_ten_bit_dpx_codes_are_exact(tmp_path, bench, make_file):
    codes = np.arange(1024, dtype=np.uint16).reshape(32, 32, 1).repeat(3, 2)
    path = make_file(tmp_path / "a.dpx", (codes << 6) | (codes >> 4), "uint16", {"oiio:BitsPerSample": 10})
    image = bench.read(path, colourspace="scene_linear")
    assert np.array_equal(np.moveaxis(image.data, 0, 2), (codes / 1023.0).astype(np.float32))


def test_grey_and_grey_with_alpha(tmp_path, bench, make_file):
    codes = np.random.default_rng(4).integers(0, 256, (5, 6, 1), dtype=np.uint8)
    grey = bench.read(make_file(tmp_path / "g.png", codes, "uint8"))
    assert grey.channels == ("Y",)
    colour = bench.read(make_file(tmp_path / "c.png", codes.repeat(3, 2), "uint8"))
    assert np.allclose(grey.data[0], colour.data[1], atol=1e-6)


def test_unassociated_alpha_stays_as_stored(tmp_path, bench, make_file):
    codes = np.random.default_rng(4).integers(0, 256, (5, 6, 4), dtype=np.uint8)
    path = make_file(tmp_path / "a.png", codes, "uint8", {"oiio:UnassociatedAlpha": 1}, alpha_channel=3)
    image = bench.read(path, colourspace="scene_linear")
    assert np.array_equal(np.rint(image.data * 255), np.moveaxis(codes, 2, 0))


def test_colour_is_converted_and_data_channels_are_not(tmp_path, bench, make_file):
    samples = np.random.default_rng(4).uniform(0.1, 0.9, (5, 6, 5)).astype(np.float32)
    path = make_file(tmp_path / "a.exr", samples, "float", channelnames=("R", "G", "B", "A", "Z"))
    plain = bench.read(path)
    assert np.array_equal(plain.data, np.moveaxis(samples, 2, 0))
    moved = bench.read(path, colourspace="ACES2065-1")
    assert np.array_equal(moved.data[3:], plain.data[3:]) and not np.allclose(moved.data[:3], plain.data[:3], atol=1e-3)
    assert np.allclose(moved.data[:3].mean(), plain.data[:3].mean(), rtol=0.2)
    node = Read()
    one, two = (node.Params(path=path, colourspace=name) for name in ("auto", "ACES2065-1"))
    assert node.fingerprint(one, None, bench.settings) == "" != node.fingerprint(two, None, bench.settings)
    picked = bench.read(path, channels="Z,R")
    assert picked.channels == ("R", "Z") and np.array_equal(picked.data, plain.data[[0, 4]])
    with pytest.raises(RenderError, match="no channel 'X'"):
        bench.clip(path, channels="X")
    with pytest.raises(GraphError, match="only R of R, G, B"):
        bench.clip(path, channels="R", colourspace="ACES2065-1")


def test_unknown_colour_space_is_refused_early(tmp_path, bench, make_file):
    path = make_file(tmp_path / "a.exr", half(1), "half")
    with pytest.raises(GraphError, match="ACEScg"):
        bench.clip(path, colourspace="ACESgc")


def test_headers_with_other_primaries_are_pointed_out(tmp_path, bench, make_file):
    primaries = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)
    path = make_file(
        tmp_path / "a.exr", half(1), "half", {"chromaticities": (OpenImageIO.TypeDesc("float[8]"), primaries)}
    )
    bench.clip(path)
    assert len(bench.warnings) == 1 and "primaries" in bench.warnings[0] and "colourspace" in bench.warnings[0]


def test_clip_facts_from_the_header(tmp_path, bench, make_file):
    attributes = {
        "PixelAspectRatio": 2.0,
        "framesPerSecond": (OpenImageIO.TypeDesc("rational"), (24000, 1001)),
        "owner": "us",
    }
    path = make_file(tmp_path / "a.exr", half(1), "half", attributes)
    clip = bench.clip(path)
    assert clip.pixel_aspect == 2.0 and clip.fps == Fraction(24000, 1001)
    assert bench.clip(path, fps=25).fps == 25


def test_fingerprint_follows_the_file(plate, bench, make_file):
    node = Read()
    params = node.Params(path=plate / "plate.####.exr", missing="hold")
    first, other = (node.fingerprint(params, frame, bench.settings) for frame in (1001, 1002))
    assert first != other and node.fingerprint(params, 1003, bench.settings) == node.fingerprint(
        params, 1004, bench.settings
    )
    assert node.target(params, 1002) == plate / "plate.1002.exr"
    os.utime(plate / "plate.1001.exr", ns=(1, 1))
    assert node.fingerprint(params, 1001, bench.settings) != first
    assert node.fingerprint(params, 1002, bench.settings) == other


def test_many_headers_are_quick(tmp_path, bench, make_file):
    path = make_file(tmp_path / "p.0001.exr", half(1), "half")
    for frame in range(2, 401):
        os.link(path, tmp_path / f"p.{frame:04d}.exr")
    assert bench.clip(tmp_path / "p.####.exr").last == 400


def test_missing_movie_library(tmp_path, bench, monkeypatch):
    import sys

    (tmp_path / "a.mov").write_bytes(b"x" * 100)
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(GraphError, match=r"safelight\[movie\]"):
        bench.clip(tmp_path / "a.mov")


ODD = {
    "channel_g_only_float.exr": (("G",), Region.sized(500, 500), Region.sized(500, 500)),
    "mixed_half_float_uint.exr": (("R", "G", "B", "Z", "id"), Region.sized(300, 200), Region.sized(300, 200)),
    "multipart_10parts.exr": (("R", "G", "B", "A"), Region.sized(2048, 1556), Region.sized(877, 876, 654, 245)),
    "pixels_all_half.exr": (("R", "G", "B"), Region.sized(256, 256), Region.sized(256, 256)),
    "pixels_nan_inf.exr": (("R", "G", "B"), Region.sized(800, 800), Region.sized(800, 800)),
    "tiled_mipmap.exr": (("R", "G", "B"), Region.sized(512, 512), Region.sized(512, 512)),
    "window_disjoint.exr": (("R", "G", "B"), Region.sized(200, 300, 400, 0), Region.sized(400, 300)),
    "window_grid_overscan.exr": (("R", "G", "B", "A"), Region.sized(1000, 1000), Region(-250, -250, 1250, 1250)),
    "window_inset.exr": (("R", "G", "B"), Region.sized(340, 260, 30, 20), Region.sized(400, 300)),
    "window_offset.exr": (("R", "G", "B"), Region.sized(501, 401), Region.sized(400, 300, 30, 40)),
    "window_overscan_neg.exr": (("R", "G", "B"), Region.sized(481, 371, -40, -40), Region.sized(400, 300)),
    "y_only.exr": (("Y",), Region.sized(874, 493), Region.sized(874, 493)),
}
BROKEN = {
    "deep_scanline.exr": "deep",
    "empty.exr": "empty",
    "truncated_60pct.exr": "rows 256 to 399 lie beyond the end",
    "truncated_70pct.dpx": "cannot be read",
    "truncated_half.png": "cut off",
    "truncated_header.exr": "middle of its header",
    "zeroed_chunk.exr": "corrupted",
}


def judge(bench, path):
    try:
        return bench.read(path)
    except SafelightError as error:
        text = str(error)
        assert "\n" not in text and "Traceback" not in text and path.name in text and len(text) < 500
        raise


@pytest.mark.parametrize("untrusted", [False, True])
@pytest.mark.parametrize("name", sorted(ODD))
def test_odd_files_that_are_right(data, bench, name, untrusted):
    bench.settings = Settings(untrusted=untrusted)
    clip, image = bench.clip(data / "odd" / name), judge(bench, data / "odd" / name)
    assert (clip.channels, clip.display, clip.extent) == ODD[name] and image.region == clip.extent
    reader = OpenImageIO.ImageInput.open(str(data / "odd" / name))
    samples = reader.read_image(0, 0, 0, min(3, len(clip.channels)), "float")
    assert np.array_equal(image.data[:3], np.moveaxis(samples, 2, 0), equal_nan=True)


@pytest.mark.parametrize("untrusted", [False, True])
@pytest.mark.parametrize("name", sorted(BROKEN))
def test_odd_files_that_are_broken(data, bench, name, untrusted):
    bench.settings = Settings(untrusted=untrusted)
    with pytest.raises(RenderError, match=BROKEN[name]):
        judge(bench, data / "odd" / name)


def test_every_odd_file_has_its_test(data):
    names = {path.name for path in (data / "odd").iterdir() if path.is_file()}
    assert names <= {*ODD, *BROKEN, "yc_subsampled_chroma.exr"}


def test_damaged_files_in_the_child(data, bench):
    bench.settings = Settings(untrusted=True)
    found = sorted((data / "odd" / "damaged").iterdir())
    assert len(found) >= 6
    for path in found:
        with pytest.raises(RenderError):
            judge(bench, path)


@pytest.mark.parametrize("untrusted", [False, True])
def test_luminance_chroma(data, bench, untrusted):
    pytest.importorskip("OpenEXR")
    bench.settings = Settings(untrusted=untrusted)
    image = judge(bench, data / "odd" / "yc_subsampled_chroma.exr")
    other = bench.read(data / "exr" / "ilm_crissyfield_from_yc.exr").data
    weights = np.array([0.2126, 0.7152, 0.0722])[:, None, None]
    assert np.abs((image.data * weights).sum(0) - (other * weights).sum(0)).max() < 2e-3
    # The two decoders place and filter chroma differently; the pictures must agree but for that.
    assert np.mean(np.abs(image.data - other)) < 0.03 * other.mean()


def test_luminance_chroma_without_its_decoder(data, bench, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "OpenEXR", None)
    with pytest.raises(RenderError, match=r"safelight\[exr\]"):
        judge(bench, data / "odd" / "yc_subsampled_chroma.exr")


def test_a_part_by_name_and_number(data, bench):
    path = data / "odd" / "multipart_10parts.exr"
    first = bench.clip(path).channels
    other = bench.clip(path, part="1")
    assert (first == ("R", "G", "B", "A") and other.channels != first) or other.extent != Region.sized(1, 1)
    assert np.array_equal(bench.read(path, part="rgba_right").data, bench.read(path).data)
    with pytest.raises(GraphError, match="rgba_right"):
        bench.clip(path, part="rgba_rigth")


def test_film_scans_are_read_as_log(data, bench):
    image = bench.read(data / "dpx" / "desk_cineonlog_10bit.dpx")
    assert np.median(image.data[1]) == pytest.approx(0.18, rel=0.5) and image.data.max() > 5
    assert bench.read(data / "dpx" / "checker.cin").data.shape == (3, 90, 160)


def write_luma_chroma(path, luma, red, blue):
    """An uncompressed luminance/chroma EXR, written out byte by byte from the file layout."""
    height, width = luma.shape

    def attribute(name, kind, value):
        return name + b"\0" + kind + b"\0" + struct.pack("<i", len(value)) + value

    def channel(name, step):
        return name + b"\0" + struct.pack("<i4x2i", 1, step, step)

    window = struct.pack("<4i", 0, 0, width - 1, height - 1)
    head = b"\x76\x2f\x31\x01" + struct.pack("<i", 2)
    head += attribute(b"channels", b"chlist", channel(b"BY", 2) + channel(b"RY", 2) + channel(b"Y", 1) + b"\0")
    head += attribute(b"compression", b"compression", b"\0") + attribute(b"lineOrder", b"lineOrder", b"\0")
    head += attribute(b"dataWindow", b"box2i", window) + attribute(b"displayWindow", b"box2i", window)
    head += attribute(b"pixelAspectRatio", b"float", struct.pack("<f", 1))
    head += attribute(b"screenWindowCenter", b"v2f", bytes(8)) + attribute(b"screenWindowWidth", b"float", bytes(4))
    head += b"\0"
    rows = []
    for y in range(height):
        body = b"" if y % 2 else blue[y // 2].tobytes() + red[y // 2].tobytes()
        body += luma[y].tobytes()
        rows.append(struct.pack("<ii", y, len(body)) + body)
    start, table = len(head) + 8 * height, b""
    for row in rows:
        table += struct.pack("<q", start)
        start += len(row)
    path.write_bytes(head + table + b"".join(rows))


def test_luminance_chroma_of_a_known_picture(tmp_path, bench):
    pytest.importorskip("OpenEXR")
    y, x = np.mgrid[0:40, 0:56] / 20.0
    rgb = np.stack([1 + np.sin(x) * 0.5, 1 + np.cos(y) * 0.5, 1 + np.sin(x + y) * 0.3]).astype(np.float32)
    luma = np.tensordot(np.float32([0.2126, 0.7152, 0.0722]), rgb, 1)
    red, blue = (((rgb[i] - luma) / luma)[::2, ::2].astype(np.float16) for i in (0, 2))
    write_luma_chroma(tmp_path / "yc.exr", luma.astype(np.float16), red, blue)
    image = bench.read(tmp_path / "yc.exr")
    assert image.channels == ("R", "G", "B")
    inside = np.s_[:, 8:-8, 8:-8]
    assert np.abs(image.data - rgb)[inside].max() < 5e-3 and np.abs(image.data - rgb).max() < 0.06
