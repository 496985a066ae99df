"""Upscale: windows, light kept, no ringing, tiles, what is not colour, what is not a number, the record, forensics."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from safelight.graph import provenance
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.provenance import CHANNEL, GRAINED, MOVED, SYNTHESISED, with_codes
from safelight.graph.region import Region
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.resolution.enlarging import TOE
from safelight.nodes.resolution.placing import BEYOND
from safelight.nodes.resolution.upscale import Upscale, UpscaleParams

WINDOW = Region(-7, 3, 40, 32)
NODE = Upscale()
WAYS = ("bicubic", "area")


def scene(region: Region = WINDOW, channels: tuple[str, ...] = ("R", "G", "B"), seed: int = 1) -> Image:
    """Light from shadows to lamps, with edges, lines and some below 0."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[region.y0 : region.y1, region.x0 : region.x1].astype(np.float64)
    base = 0.18 * 2 ** (3 * np.sin(x / 3 + y / 7)) * np.where(x + 0.4 * y > 20, 6, 1) + 40 * (abs(x - y) < 1)
    data = np.stack(
        [base * (1 + 0.1 * c) + 0.02 * rng.standard_normal(base.shape) - 0.01 for c in range(len(channels))]
    )
    return Image(data.astype(np.float32), region, channels, {"reel": "A1"})


def clip_of(image: Image, **facts: object) -> Clip:
    return replace(Clip(1, 1, image.region, image.region, channels=image.channels), **facts)  # type: ignore[arg-type]


def made(image: Image, scale: float = 2, region: Region | None = None, threads: int = 2, **others: Any) -> Image:
    params = UpscaleParams(scale=scale, **others)
    whole = NODE.extent(params, {"input": clip_of(image)}).extent
    request = Request(1, region or whole)
    [need] = NODE.needs(params, request)["input"]
    seen = image.crop(need.region.intersect(image.region))
    return NODE.compute(params, request, Inputs(request, {"input": {1: seen}}, {}), Device("cpu", threads))


def mean(data: np.ndarray, n: int) -> np.ndarray:
    c, h, w = data.shape
    return data.astype(np.float64).reshape(c, h // n, n, w // n, n).mean((2, 4))


# --- windows ---------------------------------------------------------------------------------------------------------


def test_windows_grow_from_the_edge_of_pixel_0() -> None:
    clip = Clip(
        5, 6, Region(0, 0, 101, 50), Region(-3, -1, 110, 50), extents={6: Region(2, 2, 3, 4)}, pixel_aspect=2.0,
        fps=Fraction(24), metadata={"a": 1},
    )  # fmt: skip
    out = NODE.extent(UpscaleParams(scale=2), {"input": clip})
    assert (out.display, out.extent, out.extents) == (
        Region(0, 0, 202, 100), Region(-6, -2, 220, 100), {6: Region(4, 4, 6, 8)},
    )  # fmt: skip
    assert (out.pixel_aspect, out.fps, out.metadata, out.first, out.last) == (2.0, Fraction(24), {"a": 1}, 5, 6)
    out = NODE.extent(UpscaleParams(scale=1.5), {"input": clip})
    assert (out.display, out.extent) == (Region(0, 0, 152, 75), Region(-5, -2, 165, 75))


@pytest.mark.parametrize("scale", [2, 4, 1.5, 2.25, 3, 8])
def test_a_slope_lies_where_it_lay(scale: float) -> None:
    """Half-pixel conventions: pixel x of the result sees the picture at (x + 1/2)/scale - 1/2."""
    region = Region(-9, 2, 40, 40)
    x = np.arange(region.x0, region.x1)
    ramp = np.broadcast_to(1 + 0.02 * x, (3, region.height, region.width)).astype(np.float32)
    out = made(Image(ramp, region), scale)
    want = 1 + 0.02 * ((np.arange(out.region.x0, out.region.x1) + 0.5) / scale - 0.5)
    inner = slice(int(6 * scale), int(-6 * scale))
    np.testing.assert_allclose(
        out.data[:, 8, inner], np.broadcast_to(want[inner], out.data[:, 8, inner].shape), atol=2e-3
    )


# --- light -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "size"), [(2, (29, 47)), (4, (9, 13)), (8, (4, 5)), (2, (1, 1)), (4, (1, 9)), (2, (7, 1))]
)
def test_the_mean_light_of_what_a_pixel_becomes_is_its_own(scale: int, size: tuple[int, int]) -> None:
    image = scene(Region.sized(size[1], size[0], -3, 5))
    error = np.abs(mean(made(image, scale).data, scale) - image.data)
    assert (error <= (np.abs(image.data) + TOE) / 4096).all()


def test_huge_and_negative_light_survives() -> None:
    image = scene()
    image.data[:] *= 10.0 ** np.random.default_rng(2).integers(-3, 12, image.data.shape)
    image.data[:, ::3] *= -1
    out = made(image)
    assert np.isfinite(out.data).all()
    error = np.abs(mean(out.data, 2) - image.data)
    assert (error <= (mean(np.abs(out.data), 2) + TOE) / 4096).all()  # signs of 1e9 that cancel leave their last bits
    assert (out.data.min() < -1e9) and (out.data.max() > 1e9)


def test_constant_light_stays() -> None:
    image = Image(np.full((3, 9, 9), 0.18, np.float32), Region.sized(9, 9))
    for scale in (2, 4, 1.7):
        np.testing.assert_allclose(made(image, scale).data, 0.18, rtol=2e-6)


def lanczos2(plane: np.ndarray) -> np.ndarray:
    def along(a: np.ndarray) -> np.ndarray:
        n = len(a)
        at = (np.arange(2 * n) + 0.5) / 2 - 0.5
        d = at[:, None] - np.arange(-4, n + 4)[None]
        w = np.where(abs(d) < 3, np.sinc(d) * np.sinc(d / 3), 0)
        return w / w.sum(1, keepdims=True) @ np.pad(a, ((4, 4), (0, 0)), mode="edge")

    return along(along(plane).T).T


def test_edges_ring_at_most_a_quarter_as_much_as_lanczos() -> None:
    ours, theirs = [], []
    grid = (np.arange(48 * 8) + 0.5) / 8 - 24
    for degrees in (0, 7, 22.5, 45, 70, 90):
        for phase in (0, 0.3, 0.6):
            turn = np.radians(degrees)
            edge = np.cos(turn) * grid[None] + np.sin(turn) * grid[:, None] > phase
            small = edge.reshape(48, 8, 48, 8).mean((1, 3)) * 0.5 + 0.2
            out = made(Image(np.repeat(small[None].astype(np.float32), 3, 0), Region.sized(48, 48))).data[0]
            for found, many in ((out, ours), (lanczos2(small), theirs)):
                many.append(max(found[16:-16, 16:-16].max() - 0.7, 0.2 - found[16:-16, 16:-16].min()))
    assert max(ours) < 0.25 * max(theirs) and np.mean(ours) < np.mean(theirs) / 6


def test_kodak_luma_is_better_than_lanczos(data: Path) -> None:
    gains = []
    for number in (1, 8, 19):
        picture = Picture.open(data / "images" / "stills" / "kodak" / f"{number:02d}.png").convert("L")
        small = picture.resize((picture.width // 2, picture.height // 2), Picture.Resampling.BICUBIC)
        truth = np.asarray(picture, np.float64)[8:-8, 8:-8]
        codes = np.asarray(small, np.float32) / 255
        light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
        out = made(Image(light[None].astype(np.float32), Region.sized(*small.size), ("Y",))).data[0].clip(0, 1)
        ours = 255 * np.where(out <= 0.0031308, 12.92 * out, 1.055 * out ** (1 / 2.4) - 0.055)[8:-8, 8:-8]
        theirs = np.asarray(small.resize(picture.size, Picture.Resampling.LANCZOS), np.float64)[8:-8, 8:-8]
        gains.append(10 * np.log10(np.mean((theirs - truth) ** 2) / np.mean((ours - truth) ** 2)))
    assert min(gains) > 0.3


# --- tiles, threads --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [2, 4, 1.5, 3.3])
def test_tiles_are_the_whole_bit_for_bit(scale: float) -> None:
    image = scene(Region(-11, 3, 75, 70), ("R", "G", "B", "A"))
    image.data[3] = np.clip(image.data[3], 0, 1)
    image.data[1, 30:39, 20:31] = np.nan
    whole = made(image, scale)
    for tile in whole.region.tiles(37):
        part = made(image, scale, tile, threads=1)
        np.testing.assert_array_equal(part.data.view(np.uint32), whole.crop(tile).data.view(np.uint32))


# --- what is not colour, what is no number ---------------------------------------------------------------------------


def test_coverage_stays_in_its_range_and_data_is_repeated() -> None:
    image = scene(channels=("R", "G", "B", "A", "sky", "Z", "id", "n"))
    y, x = np.mgrid[0 : WINDOW.height, 0 : WINDOW.width]
    image.data[3] = (x + 0.37 * y > 25).astype(np.float32)
    image.data[4] = 0.25 + 0.5 * (x > y)
    types = {ORIGIN: {"types": {"n": "uint32"}}}
    image.data[5:] = np.arange(3 * x.size).reshape(3, *x.shape)
    image = replace(image, metadata=types)
    out = made(image)
    assert out.data[3].min() == 0 and out.data[3].max() == 1
    assert out.data[4].min() >= 0.25 and out.data[4].max() <= 0.75
    np.testing.assert_allclose(mean(out.data[3:5], 2), image.data[3:5], atol=1e-6)
    np.testing.assert_array_equal(out.data[5:], image.data[5:].repeat(2, 1).repeat(2, 2))
    np.testing.assert_array_equal(
        out.data[:3], made(replace(image, data=image.data[:3], channels=("R", "G", "B"))).data
    )


def test_what_is_no_number_stays_where_it_is_and_touches_nothing() -> None:
    image = scene()
    clean = made(image)
    spoiled = image.data.copy()
    spoiled[0, 10, 12], spoiled[2, 10, 12] = np.inf, -np.inf
    spoiled[1, 20:29, 30:39] = np.frombuffer(np.uint32(0x7FC01234).tobytes(), np.float32)
    out = made(image.with_data(spoiled))
    bad = ~np.isfinite(spoiled).repeat(2, 1).repeat(2, 2)
    np.testing.assert_array_equal(~np.isfinite(out.data), bad)
    np.testing.assert_array_equal(out.data[bad].view(np.uint32), spoiled.repeat(2, 1).repeat(2, 2)[bad].view(np.uint32))
    far = np.ones(out.data.shape[1:], bool)
    far[0:48, 0:58], far[12:, 32:] = False, False
    assert far.any()
    np.testing.assert_array_equal(out.data[:, far], clean.data[:, far])
    good = ~bad
    assert np.abs(out.data[good] - clean.data[good]).max() < 45


def test_flicker_is_no_more_than_the_input_has() -> None:
    """Noise from frame to frame is the input's where the result is reduced, and little more pixel by pixel: four values
    of one mean vary no less than the mean does."""
    rng = np.random.default_rng(4)
    base = scene(Region.sized(64, 48)).data
    frames = [(base + 0.01 * (abs(base) + 0.01) * rng.standard_normal(base.shape)).astype(np.float32) for _ in range(2)]
    given = np.diff([np.log2(1 + np.maximum(f, 0) / TOE) for f in frames], axis=0)
    outs = [made(Image(f, Region.sized(64, 48))).data for f in frames]
    got = np.diff([np.log2(1 + np.maximum(f, 0) / TOE) for f in outs], axis=0)
    assert got.std() < 1.15 * given.std()


# --- record, refusals ------------------------------------------------------------------------------------------------


def test_the_record_is_that_of_the_pixel_it_lies_in_and_moved() -> None:
    image = scene()
    record = np.zeros((WINDOW.height, WINDOW.width), np.uint32)
    record[5, 7] = GRAINED
    for scale in (2, 1.5):
        out = made(image, scale)
        request = Request(1, out.region)
        inputs = Inputs(request, {"input": {1: with_codes(image, record)}}, {})
        found = NODE.record(UpscaleParams(scale=scale), request, inputs, {"image": out}, Device("cpu", 1))
        assert found.shape == out.data.shape[1:] and found.dtype == np.uint32
        assert set(np.unique(found)) == {MOVED, MOVED | GRAINED}
        y, x = np.argwhere(found & GRAINED)[0]
        assert int((y + out.region.y0 + 0.5) // scale) == 5 + WINDOW.y0
        assert int((x + out.region.x0 + 0.5) // scale) == 7 + WINDOW.x0
    assert CHANNEL == "provenance"


DOCUMENT = """
safelight = 1
[graph]
forensic = true
[nodes.plate]
type = "Plate"
width = 64
height = 48
frames = 2
[nodes.large]
type = "Upscale"
input = "plate"
"""


def test_a_forensic_graph_takes_fidelity(tmp_path: Path) -> None:
    graph = Graph.from_document(Document.parse(DOCUMENT, tmp_path))
    assert not [text for text in graph.check() if "large" in text]
    assert graph.clips["large"]["image"].display == Region.sized(128, 96)
    assert NODE.invents(UpscaleParams()) == ""
    detail = UpscaleParams.model_construct(scale=2, mode="detail")
    assert "net" in NODE.invents(detail)


def test_scales_beyond_the_range_are_refused(tmp_path: Path) -> None:
    for scale in (0.5, 9):
        with pytest.raises(GraphError, match="scale"):
            Graph.from_document(Document.parse(DOCUMENT + f"scale = {scale}\n", tmp_path))
    assert NODE.identity(UpscaleParams(scale=1), Request(1, WINDOW)) == "input"


# --- detail ----------------------------------------------------------------------------------------------------------


def test_detail_is_refused_where_nothing_may_be_invented(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    with pytest.raises(GraphError, match="learned"):
        Graph.from_document(Document.parse(DOCUMENT + 'mode = "detail"\n', tmp_path)).check()


def test_detail_says_early_which_weights_it_lacks(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    free = DOCUMENT.replace("forensic = true", "")
    with pytest.raises(GraphError, match="no such weights") as raised:
        Graph.from_document(Document.parse(free + 'mode = "detail"\nweights = "mine.safetensors"\n', tmp_path)).check()
    assert raised.value.file == tmp_path / "mine.safetensors"


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_detail_of_means_of_light_keeps_them(scale: int) -> None:
    pytest.importorskip("torch")
    image = scene(channels=("R", "G", "B"))
    out = made(image, scale, mode="detail", model="fast", reduction="area")
    assert np.max(np.abs(mean(out.data, scale) - image.data) / (np.abs(image.data) + 0.01)) < 1 / 4096
    assert not np.array_equal(out.data, made(image, scale, mode="detail", model="fast").data)
    signed = [NODE.fingerprint(UpscaleParams(mode="detail", reduction=way), None, Settings()) for way in WAYS]
    assert signed[0] != signed[1]


@pytest.mark.parametrize("reduction", WAYS)
@pytest.mark.parametrize("scale", [2, 4, 3])
def test_detail_is_one_picture_whatever_the_tile_and_keeps_coverage(scale: float, reduction: str) -> None:
    pytest.importorskip("torch")
    image, detail = scene(channels=("R", "G", "B", "A")), {"mode": "detail", "model": "fast", "reduction": reduction}
    plain, whole = made(image, scale), made(image, scale, **detail)
    assert plain.region == whole.region and not np.array_equal(plain.data[:3], whole.data[:3])
    np.testing.assert_array_equal(plain.data[3], whole.data[3])
    part = Region(whole.region.x0 + 9, whole.region.y0 + 5, whole.region.x0 + 26, whole.region.y0 + 31)
    small = made(image, scale, part, **detail)
    np.testing.assert_array_equal(small.data, whole.crop(part).data)


def test_detail_is_marked_where_it_goes_beyond_the_pixels() -> None:
    pytest.importorskip("torch")
    image, params = scene(), UpscaleParams(scale=2, mode="detail", model="fast")
    out = made(image, 2, mode="detail", model="fast")
    record = with_codes(image, np.zeros((WINDOW.height, WINDOW.width), np.uint32))
    request = Request(1, out.region)
    found = NODE.record(params, request, Inputs(request, {"input": {1: record}}, {}), {"image": out}, Device("cpu", 1))
    marked = found & provenance.ORIGIN == SYNTHESISED
    assert marked.any() and not marked.all()
    apart = np.abs(_stops(out.data) - _stops(made(image, 2).data)).max(axis=0)
    np.testing.assert_array_equal(marked, apart > BEYOND)


def _stops(light: np.ndarray) -> np.ndarray:
    return np.sign(light) * np.log2(1 + np.abs(light) / TOE)
