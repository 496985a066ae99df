"""Restore: windows, tiles, strength, what is not colour, what is not a number, the record, weights, forensics."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph import provenance
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.provenance import FILTERED, GRAINED, MOVED, SYNTHESISED, with_codes
from safelight.graph.region import Region
from safelight.nodes.resolution.learned.coding import LUMA, decode, encode
from safelight.nodes.resolution.learned.sampling import enlarged
from safelight.nodes.resolution.placing import BEYOND
from safelight.nodes.resolution.restore import Restore, RestoreParams
from safelight.nodes.resolution.upscale import Upscale, UpscaleParams

torch: Any = pytest.importorskip("torch")
Make = Callable[..., Path]
WINDOW = Region(-7, 3, 40, 32)
NODE = Restore()
ONE = Device("cpu", 1)


@pytest.fixture
def weights(net_file: Make) -> Path:
    """A small net for colour that says it repairs."""
    return net_file(planes=3, repairs=True)


def scene(region: Region = WINDOW, channels: tuple[str, ...] = ("R", "G", "B"), seed: int = 1) -> Image:
    """Grainy light from shadows to lamps, with edges, and some below 0."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[region.y0 : region.y1, region.x0 : region.x1].astype(np.float64)
    base = 0.18 * 2 ** (3 * np.sin(x / 9 + y / 7)) * np.where(x + 0.4 * y > 20, 6, 1) + 4000 * (abs(x - y) < 1)
    data = np.stack(
        [base * (1 + 0.1 * c) + 0.03 * rng.standard_normal(base.shape) - 0.02 for c in range(len(channels))]
    )
    return Image(data.astype(np.float32), region, channels, {"reel": "A1"})


def clip_of(image: Image, **facts: object) -> Clip:
    return replace(Clip(1, 1, image.region, image.region, channels=image.channels), **facts)  # type: ignore[arg-type]


def made(image: Image, region: Region | None = None, threads: int = 1, **others: Any) -> Image:
    params = RestoreParams(**others)
    whole = NODE.extent(params, {"input": clip_of(image)}).extent
    request = Request(1, region or whole)
    [need] = NODE.needs(params, request)["input"]
    seen = image.crop(need.region.intersect(image.region))
    return NODE.compute(params, request, Inputs(request, {"input": {1: seen}}, {}), Device("cpu", threads))


# --- windows, tiles --------------------------------------------------------------------------------------------------


def test_windows_grow_as_upscale_s(weights: Path) -> None:
    clip = Clip(5, 6, Region(0, 0, 101, 50), Region(-3, -1, 110, 50), extents={6: Region(2, 2, 3, 4)}, pixel_aspect=2.0)
    out = NODE.extent(RestoreParams(weights=weights), {"input": clip})
    assert out == Upscale().extent(UpscaleParams(scale=2), {"input": clip})
    assert NODE.extent(RestoreParams(scale=1), {"input": clip}) == clip


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("size", [(1, 1), (1, 17), (9, 1), (5, 3), (23, 31)])
def test_small_and_odd_pictures(weights: Path, scale: int, size: tuple[int, int]) -> None:
    image = scene(Region.sized(size[1], size[0], -3, 5))
    out = made(image, scale=scale, weights=weights)
    assert out.data.shape == (3, scale * size[0], scale * size[1]) and np.isfinite(out.data).all()
    assert (out.region.x0, out.region.y0) == (-3 * scale, 5 * scale)


@pytest.mark.parametrize("scale", [1, 2])
def test_tiles_are_the_whole_bit_for_bit(weights: Path, scale: int) -> None:
    image = scene(Region(-11, 3, 75, 70), ("R", "G", "B", "A"))
    image.data[3] = np.clip(image.data[3], 0, 1)
    image.data[1, 30:39, 20:31] = np.nan
    whole = made(image, scale=scale, weights=weights, threads=3)
    for tile in whole.region.tiles(37):
        part = made(image, tile, scale=scale, weights=weights)
        np.testing.assert_array_equal(part.data.view(np.uint32), whole.crop(tile).data.view(np.uint32))


def test_a_slope_lies_where_it_lay(weights: Path) -> None:
    """Half-pixel conventions, at both scales: weak enough a net leaves the slope."""
    region = Region(-9, 2, 40, 40)
    x = np.arange(region.x0, region.x1)
    ramp = np.broadcast_to(1 + 0.02 * x, (3, region.height, region.width)).astype(np.float32)
    for scale in (1, 2):
        out = made(Image(ramp, region), scale=scale, weights=weights, strength=1e-4)
        want = 1 + 0.02 * ((np.arange(out.region.x0, out.region.x1) + 0.5) / scale - 0.5)
        inner = slice(6 * scale, -6 * scale)
        np.testing.assert_allclose(out.data[:, 8, inner], np.broadcast_to(want, (3, len(want)))[:, inner], atol=2e-3)


# --- strength --------------------------------------------------------------------------------------------------------


def test_strength_mixes_evenly_to_the_eye(weights: Path) -> None:
    image = scene()
    none, half, full = (encode(made(image, weights=weights, strength=s).data) for s in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(none, enlarged(encode(image.data), 2), atol=1e-6)
    assert np.abs(full - none).max() > 0.02
    np.testing.assert_allclose(half, (none + full) / 2, atol=2e-6)
    params = RestoreParams(scale=1, strength=0, weights=weights)
    assert NODE.identity(params, Request(1, WINDOW)) == "input"
    assert NODE.identity(RestoreParams(strength=0, weights=weights), Request(1, WINDOW)) is None
    near = made(image, scale=1, weights=weights, strength=1e-4)
    np.testing.assert_allclose(encode(near.data), encode(image.data), atol=1e-3)


def test_nothing_brings_it_back_to_its_data(net_file: Make) -> None:
    """The data are what is wrong: reduced again the result is not the picture it was made from."""
    from safelight.nodes.resolution.learned.sampling import reduced

    image = scene()
    out = made(image, weights=net_file(planes=3, repairs=True, seed=4))
    assert np.abs(reduced(encode(out.data), 2) - encode(image.data)).max() > 0.01


# --- the shipped net -------------------------------------------------------------------------------------------------


def grainy(seed: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return a coded drawing of soft discs and bars at full size, and it reduced, with grain."""
    from safelight.nodes.resolution.learned.sampling import reduced

    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :192] / 2.0
    full = 0.4 + 0.2 * np.tanh(20 - np.hypot(x - 40, y - 35)) + 0.15 * np.tanh(4 * np.sin(x / 5)) * (y > 55)
    full = np.stack([full, 0.9 * full, 0.8 * full + 0.05])
    low = reduced(full, 2) + 0.03 * rng.standard_normal((3, 80, 96))
    return full.astype(np.float32), low.astype(np.float32)


def error(got: np.ndarray, want: np.ndarray) -> float:
    return float(np.sqrt(np.mean((got - want)[:, 8:-8, 8:-8] ** 2)))


def test_grain_goes_in_luma_and_colour() -> None:
    full, low = grainy()
    image = Image(decode(low), Region.sized(96, 80))
    ours, plain = (encode(made(image, strength=s).data) for s in (1.0, 0.0))
    assert error(ours, full) < 0.55 * error(plain, full)
    differences = [(a - full)[2:] - (a - full)[:1] for a in (ours, plain)]
    assert np.std(differences[0]) < 0.55 * np.std(differences[1]), "no colour grain is left"
    small = encode(made(image, scale=1).data)
    want = encode(decode(full).reshape(3, 80, 2, 96, 2).mean((2, 4)))
    assert error(small, want) < 0.6 * error(low, want)


def test_one_channel_is_a_grey_picture() -> None:
    full, low = grainy()
    grey = np.tensordot(LUMA, low, 1)[None]
    one = made(Image(decode(grey), Region.sized(96, 80), ("Y",)))
    three = made(Image(decode(grey).repeat(3, 0), Region.sized(96, 80)))
    assert one.data.shape == (1, 160, 192)
    np.testing.assert_allclose(one.data[0], three.data.mean(0), rtol=1e-5)
    want = np.tensordot(LUMA, full, 1)[None]
    assert error(encode(one.data), want) < 0.7 * error(enlarged(grey, 2), want)


@pytest.mark.parametrize(("precision", "most"), [("float16", 0.15), ("bfloat16", 1.5), ("int8", 12.0)])
def test_other_precisions_are_near(precision: str, most: float) -> None:
    if precision == "int8":
        pytest.importorskip("onnxruntime")
        pytest.importorskip("onnx")
    image = Image(decode(grainy()[1]), Region.sized(96, 80))
    want, got = (encode(made(image, precision=kind).data) for kind in ("float32", precision))
    assert 0 < 255 * np.abs(got - want).max() < most


def test_light_beyond_white_and_below_black_survives() -> None:
    image = scene(Region.sized(60, 50))
    image.data[:, 20:26, 20:26], image.data[:, 5:12, 5:12] = 5000, -2
    for scale in (1, 2):
        out = made(image, scale=scale)
        assert np.isfinite(out.data).all() and out.data.max() > 3000 and out.data.min() < -1


# --- what is not colour, what is no number ---------------------------------------------------------------------------


def test_coverage_and_data_are_never_restored(weights: Path) -> None:
    image = scene(channels=("R", "G", "B", "A", "sky", "Z", "id"))
    image.data[3:5] = np.clip(image.data[3:5], 0, 1)
    out, theirs = made(image, weights=weights), Upscale()
    request = Request(1, out.region)
    inputs = Inputs(request, {"input": {1: image}}, {})
    want = theirs.compute(UpscaleParams(scale=2), request, inputs, ONE)
    np.testing.assert_array_equal(out.data[3:], want.data[3:])
    assert not np.array_equal(out.data[:3], want.data[:3])
    same = made(image, scale=1, weights=weights)
    np.testing.assert_array_equal(same.data[3:], image.data[3:])
    assert out.channels == image.channels and out.metadata == image.metadata
    matte = made(Image(image.data[3:4], WINDOW, ("A",)), weights=weights)
    np.testing.assert_array_equal(matte.data[0], out.data[3])


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("channels", [("R", "G", "B"), ("Y",)])
def test_what_is_no_number_stays_and_touches_nothing(weights: Path, scale: int, channels: tuple[str, ...]) -> None:
    image = scene(Region.sized(70, 60), channels)
    clean = made(image, scale=scale, weights=weights)
    spoiled = image.data.copy()
    spoiled[0, 10, 12], spoiled[-1, 11, 12] = np.inf, -np.inf
    spoiled[0, 20:29, 30:39] = np.frombuffer(np.uint32(0x7FC01234).tobytes(), np.float32)
    out = made(image.with_data(spoiled), scale=scale, weights=weights)
    whole = spoiled.repeat(scale, 1).repeat(scale, 2)
    bad = ~np.isfinite(whole)
    np.testing.assert_array_equal(~np.isfinite(out.data), bad)
    np.testing.assert_array_equal(out.data[bad].view(np.uint32), whole[bad].view(np.uint32))
    reach = 4 + 2 + 3  # the net's layers, what stands in for a missing pixel, Lanczos
    far = np.ones(out.data.shape[1:], bool)
    for y0, y1, x1 in ((10, 12, 13), (20, 29, 39)):
        far[scale * max(0, y0 - reach) : scale * (y1 + reach), : scale * (x1 + reach)] = False
    assert far.any()
    np.testing.assert_array_equal(out.data[:, far], clean.data[:, far])


# --- record, refusals ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1, 2])
def test_the_record_says_what_is_synthesised(weights: Path, scale: int) -> None:
    image = scene()
    record = np.zeros((WINDOW.height, WINDOW.width), np.uint32)
    record[5, 7] = GRAINED
    params = RestoreParams(scale=scale, weights=weights, strength=0.4)
    out, plain = (made(image, scale=scale, weights=weights, strength=s) for s in (0.4, 0.0))
    request = Request(1, out.region)
    inputs = Inputs(request, {"input": {1: with_codes(image, record)}}, {})
    found = NODE.record(params, request, inputs, {"image": out}, ONE)
    assert found.shape == out.data.shape[1:] and found.dtype == np.uint32
    expected = FILTERED | (MOVED if scale == 2 else 0)
    assert (found & expected == expected).all()
    at = found[5 * scale : 6 * scale, 7 * scale : 8 * scale]
    assert (at & GRAINED).all() and not (found[: 5 * scale] & GRAINED).any()
    synthesised = found & provenance.ORIGIN == SYNTHESISED
    assert synthesised.any() and not synthesised.all()
    stops = [np.sign(a) * np.log2(1 + np.abs(a) / 0.01) for a in (out.data, plain.data)]
    np.testing.assert_array_equal(synthesised, np.abs(stops[0] - stops[1]).max(0) > BEYOND)


DOCUMENT = """
safelight = 1
[graph]
forensic = FORENSIC
[nodes.plate]
type = "Plate"
width = 64
height = 48
frames = 2
[nodes.restored]
type = "Restore"
input = "plate"
"""


def test_a_forensic_graph_refuses_it(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="learned"):
        Graph.from_document(Document.parse(DOCUMENT.replace("FORENSIC", "true"), tmp_path)).check()
    graph = Graph.from_document(Document.parse(DOCUMENT.replace("FORENSIC", "false"), tmp_path))
    assert not [text for text in graph.check() if "restored" in text]
    assert graph.clips["restored"]["image"].display == Region.sized(128, 96)


def test_weights_that_do_not_fit_are_refused_before_rendering(net_file: Make, tmp_path: Path) -> None:
    rgb = {"input": clip_of(scene())}
    text = tmp_path / "net.bin"
    text.write_bytes(b"x")
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(net_file(planes=3, repairs=True).read_bytes()[:-64])
    for path, words in (
        (net_file(scale=4, repairs=True), "enlarge 4 times, and 2 times is asked for"),
        (net_file(scale=1, layers=5, repairs=True), "enlarge 1 times"),
        (net_file(), "enlarge and do not repair"),
        (tmp_path / "none.safetensors", "no such weights"),
        (text, r"unknown kind .\.bin"),
        (cut, "no whole safetensors"),
        (tmp_path / "mine.pth", "no such weights"),
    ):
        with pytest.raises(GraphError, match=words) as caught:
            list(NODE.check(RestoreParams(weights=path), rgb, Settings()))
        assert caught.value.file == path and caught.value.remedy
    (tmp_path / "mine.pth").write_bytes(b"x")
    with pytest.raises(GraphError, match="is a pickle"):
        list(NODE.check(RestoreParams(weights=tmp_path / "mine.pth"), rgb, Settings()))
    two = {"input": clip_of(scene(channels=("R", "G")))}
    with pytest.raises(GraphError, match="two colour channels"):
        list(NODE.check(RestoreParams(), two, Settings()))
    luma = net_file(repairs=True, seed=9)
    assert "luma" in next(iter(NODE.check(RestoreParams(weights=luma), rgb, Settings())))
    assert "bands" in next(iter(NODE.check(RestoreParams(precision="int8"), rgb, Settings())))
    assert not list(NODE.check(RestoreParams(), rgb, Settings()))
    for wrong in ({"scale": 3}, {"scale": 0}, {"strength": 1.5}, {"strength": -0.1}):
        with pytest.raises(ValueError, match=r"less|greater"):
            RestoreParams(**wrong)  # type: ignore[arg-type]


def test_a_signature_holds_the_weights(net_file: Make) -> None:
    first, second = (RestoreParams(weights=net_file(planes=3, repairs=True, seed=s)) for s in (1, 2))
    settings = Settings()
    assert NODE.fingerprint(first, None, settings) != NODE.fingerprint(second, None, settings) != ""
    assert NODE.fingerprint(RestoreParams(), None, settings)
    assert NODE.invents(RestoreParams()) and not NODE.invents(RestoreParams(strength=0))
