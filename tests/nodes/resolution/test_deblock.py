"""Deblock: grids found and not found, blocks gone, error smaller, bits kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from scipy.fft import dctn, idctn

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.resolution.blocks import FAINTER, LOWEST, Axis, Blocks, Search, grid, quantiser, steps
from safelight.nodes.resolution.deblock import Deblock, DeblockParams, excess
from safelight.nodes.resolution.deblock_training import MATRIX, quantised

NODE = Deblock()
DEVICE = Device("cpu", 2)


def scene(height: int = 160, width: int = 240, seed: int = 1) -> np.ndarray:
    """8-bit RGB codes, (H, W, 3): shading, edges of all directions, texture, a little grain."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    base = 110 + 60 * np.sin(x / 31) * np.cos(y / 23) + 40 * np.sign(np.sin((x + 0.6 * y) / 17))
    base += 8 * np.sin(x * y / 90) * (y > height / 2) + 1.5 * rng.standard_normal((height, width))
    return np.clip(base[..., None] * [1, 0.9, 0.7] + [0, 5, 20], 0, 255).round().astype(np.uint8)


def coded(codes: np.ndarray, scale: int) -> np.ndarray:
    """Luma and colour differences through a video encoder's quantiser, colour at full size."""
    seen = np.asarray(Picture.fromarray(codes).convert("YCbCr"), np.float32)
    made = np.stack([quantised(seen[..., c], scale) for c in range(3)], -1)
    return np.asarray(Picture.fromarray(made.astype(np.uint8), "YCbCr").convert("RGB"))


def image(codes: np.ndarray, corner: tuple[int, int] = (0, 0)) -> Image:
    data = np.ascontiguousarray(codes.transpose(2, 0, 1), np.float32) / np.float32(255)
    return Image(data, Region.sized(data.shape[2], data.shape[1], *corner))


class Frames:
    def __init__(self, *images: Image) -> None:
        self.images = images

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        return iter(enumerate(self.images, 1))

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        return iter(self)


def run(plate: Image, params: DeblockParams | None = None, found: Any = None, frame: int = 1) -> tuple[Image, Any]:
    params = params or DeblockParams(values="coded", matrix="601")
    clip = Clip(1, 1, plate.region, plate.region, channels=plate.channels)
    found = found or NODE.analyse(params, Frames(plate), {"input": clip}, DEVICE)
    request = Request(frame, plate.region)
    return NODE.compute(params, request, Inputs(request, {"input": {frame: plate}}, {}, analysis=found), DEVICE), found


def luma(codes: np.ndarray) -> np.ndarray:
    return codes.astype(np.float64) @ np.array([0.299, 0.587, 0.114])


def measured(plane: np.ndarray) -> Blocks:
    return Blocks(grid(steps(plane, 1)), grid(steps(plane, 0)))


# --- the grid --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1.5, 4 / 3, 2.25])
@pytest.mark.parametrize("cut", [(0, 0), (3, 5)])
def test_the_grid_is_found_scaled_and_cut_too(scale: float, cut: tuple[int, int]) -> None:
    codes = coded(scene(240, 360), 16)
    plane = Picture.fromarray(luma(codes).round().astype(np.uint8))
    size = round(plane.width * scale), round(plane.height * scale)
    made = np.asarray(plane.resize(size, Picture.Resampling.BICUBIC), np.float32)[cut[0] :, cut[1] :]
    blocks = measured(made)
    assert blocks.found
    for axis, off in ((blocks.x, cut[1]), (blocks.y, cut[0])):
        assert axis.period == pytest.approx(8 * scale, abs=0.06)
        away = (axis.phase + off) % axis.period
        assert min(away, axis.period - away) < 1


def test_pictures_without_blocks_have_none() -> None:
    assert not measured(luma(scene())).found
    rng = np.random.default_rng(3)
    for size in ((90, 160), (1, 1), (3, 400), (64, 64)):
        assert not measured(rng.normal(100, 8, size)).found
        assert not measured(np.full(size, 40.0)).found


def test_real_pictures_without_blocks_have_none(data: Path) -> None:
    for number in range(1, 25, 4):
        plane = Picture.open(data / "images" / "stills" / "kodak" / f"{number:02d}.png").convert("L")
        assert not measured(np.asarray(plane, np.float32)).found


@pytest.mark.parametrize("scale", [8, 16, 28])
def test_the_quantiser_is_read_off_the_coefficients(scale: int) -> None:
    true = np.median([MATRIX[8 * v + u] for v, u in LOWEST]) * scale / 8
    given = quantised(luma(scene()).astype(np.float32), scale)
    found = quantiser(given, 0, 0)
    assert found == pytest.approx(true, rel=0.15) or (scale == 28 and found == 0)  # too few left to tell
    assert quantiser(luma(scene()), 0, 0) == 0


@pytest.mark.parametrize("step", [8, 12, 16, 30])
def test_odd_multiples_of_half_a_step_are_read_too(step: int) -> None:
    plane = luma(scene()).astype(np.float32)
    blocks = plane.reshape(20, 8, 30, 8).transpose(0, 2, 1, 3)
    found = dctn(blocks, axes=(2, 3), norm="ortho")
    level = np.trunc(found / step)
    made = idctn(np.where(level == 0, 0, (level + 0.5 * np.sign(level)) * step), axes=(2, 3), norm="ortho")
    given = made.transpose(0, 2, 1, 3).reshape(plane.shape).round().astype(np.float32)
    assert quantiser(given, 0, 0) == pytest.approx(step, rel=0.06)
    assert quantiser(given, 3, 0) == 0


def looked_at(*frames: np.ndarray, corner: tuple[int, int] = (0, 0)) -> Blocks:
    search = Search()
    for number, frame in enumerate(frames, 1):
        search.look(number, frame.astype(np.float32), *corner)
    return search.found()


def predicted(plane: np.ndarray, by: int) -> np.ndarray:
    """What prediction from halfway between two pixels leaves of blocks: a fainter grid and no comb."""
    return (0.5 * plane + 0.25 * np.roll(plane, (by, by), (0, 1)) + 0.25 * luma(scene())).round()


def test_a_movie_s_quantiser_is_that_of_its_key_frame() -> None:
    key = luma(coded(scene(), 16)).round()
    others = [predicted(key, by) for by in (1, 2, 3, 5, 6)]
    alone, whole = looked_at(key), looked_at(key, *others)
    assert alone.quantiser == quantiser(key.astype(np.float32), 0, 0) > 0
    assert all(quantiser(frame.astype(np.float32), 0, 0) == 0 for frame in others)
    assert whole.found and whole.quantiser == alone.quantiser and whole.excess < 0.8 * alone.excess


def test_between_key_frames_the_quantiser_goes_from_one_to_the_middling_one() -> None:
    fine, coarse = (luma(coded(scene(), scale)).round() for scale in (4, 12))
    blocks = looked_at(fine, *(predicted(fine, by) for by in (1, 2, 3, 5)), coarse)
    assert [frame for frame, _ in blocks.keys] == [1, 6]
    first, last = (size for _, size in blocks.keys)
    assert last > 2 * first
    sizes = [5 * blocks.at(frame).step for frame in range(-3, 12)]
    steady = first * (last / first) ** (np.clip(np.arange(-4, 11), 0, 5) / 5)
    assert sizes == pytest.approx(np.minimum(steady, (first + last) / 2))
    assert [frame for frame in range(1, 8) if blocks.at(frame).predicted] == [2, 3, 4, 5, 7]
    assert not looked_at(fine, fine).at(3).predicted
    assert Blocks.from_data(blocks.as_data()).at(3).step == pytest.approx(blocks.at(3).step, rel=1e-4)
    misread = looked_at(fine, fine, coarse, fine, fine)
    assert {size for _, size in misread.keys} == {first}


def test_a_movie_that_shows_no_quantiser_is_taken_for_coarser_than_its_grid_shows() -> None:
    key = 255 * (luma(coded(scene(), 16)) / 255) ** 0.7  # graded: no coefficient lies on a comb now
    even, movie = looked_at(key, key, key), looked_at(key, *(predicted(key, by) for by in (1, 2, 3, 5, 6)))
    assert even.found and even.quantiser == 0 and even.step == even.shown
    assert movie.found and movie.step == pytest.approx(FAINTER * movie.shown)


def test_the_quantiser_is_found_where_the_frame_does_not_begin_on_the_grid() -> None:
    key = luma(coded(scene(), 16)).round()
    shifted = looked_at(key[3:, 5:], corner=(-40, 17))
    assert shifted.quantiser == pytest.approx(looked_at(key).quantiser, rel=0.1)


def filmed(frames: list[np.ndarray], codec: str, quantiser: int) -> list[np.ndarray]:
    """Luma through a video codec, one key frame and the others predicted from it."""
    av = pytest.importorskip("av")
    encoder = av.CodecContext.create(codec, "w")
    encoder.height, encoder.width = frames[0].shape
    encoder.pix_fmt, encoder.framerate, encoder.gop_size = "yuv420p", 24, 24
    encoder.options = {"qmin": str(quantiser), "qmax": str(quantiser)}
    decoder = av.CodecContext.create(codec, "r")
    grey = [np.full((frames[0].shape[0] // 2, frames[0].shape[1]), 128, np.uint8)]
    packets = []
    for frame in frames:
        picture = av.VideoFrame.from_ndarray(np.concatenate([frame, *grey]), "yuv420p")
        packets += encoder.encode(picture)
    packets += encoder.encode(None)
    decoded = [one for packet in (*packets, None) for one in decoder.decode(packet)]
    return [one.to_ndarray()[: frames[0].shape[0]] for one in decoded]


@pytest.mark.parametrize(("codec", "step"), [("mpeg2video", 14 * 22 / 8), ("mpeg4", 2 * 14)])
def test_movies_gain_in_every_frame(codec: str, step: float) -> None:
    whole = luma(scene(192, 272)).round().astype(np.uint8)
    truth = [np.ascontiguousarray(whole[k : k + 160, 2 * k : 2 * k + 240]) for k in range(8)]
    given = filmed(truth, codec, 14)
    found = looked_at(*given)
    assert len(given) == 8 and found.found and found.quantiser == pytest.approx(step, rel=0.2)
    plates = [Image(frame[None].astype(np.float32) / 255, Region.sized(240, 160), ("Y",)) for frame in given]
    clip = {"input": Clip(1, 8, plates[0].region, plates[0].region, channels=("Y",))}
    params = DeblockParams(values="coded")
    assert [request.frame for request in NODE.analysis_requests(params, clip)] == list(range(1, 9))
    analysis = NODE.analyse(params, Frames(*plates), clip, DEVICE)
    assert not Blocks.from_data(analysis).at(1).predicted and Blocks.from_data(analysis).at(8).predicted
    for frame, (plate, was, want) in enumerate(zip(plates, given, truth, strict=True), 1):
        made = run(plate, params, analysis, frame)[0].data[0] * 255
        assert np.mean((made - want) ** 2) < np.mean((was.astype(np.float64) - want) ** 2)


def test_frames_are_looked_at_all_over_a_shot_and_one_by_one_where_it_begins() -> None:
    window = Region.sized(8, 8)
    asked = NODE.analysis_requests(DeblockParams(), {"input": Clip(101, 300, window, window)})
    frames = [request.frame for request in asked]
    assert frames == sorted(set(frames)) and frames[:16] == list(range(101, 117)) and len(frames) == 23
    assert frames[-1] == 300


# --- the picture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("quality", [8, 16, 28])
def test_blocks_go_and_the_error_falls(quality: int) -> None:
    truth, given = scene(), coded(scene(), quality)
    out, found = run(image(given))
    assert found["found"]
    made = luma(out.data.transpose(1, 2, 0) * 255)
    before, after, region = luma(given), luma(truth), Region.sized(240, 160)
    blocks = Blocks.from_data(found)
    left, was, none = (excess(plane, region, blocks) for plane in (made, before, after))
    assert abs(left - none) < 0.2 * (was - none)
    assert np.mean((made - after) ** 2) < 0.96 * np.mean((before - after) ** 2)


def test_kodak_gains_a_third_of_a_decibel_over_what_was_coded(data: Path) -> None:
    gains = []
    for number in (5, 8, 15):
        truth = np.asarray(Picture.open(data / "images" / "stills" / "kodak" / f"{number:02d}.png").convert("RGB"))
        truth = truth[96:352, 128:512]
        given = coded(truth, 16)
        out, _ = run(image(given))
        ours, was, true = luma(out.data.transpose(1, 2, 0) * 255), luma(given), luma(truth)
        gains.append(10 * np.log10(np.mean((was - true) ** 2) / np.mean((ours - true) ** 2)))
    assert np.mean(gains) > 0.3


@pytest.mark.parametrize("method", ["classical", "net"])
@pytest.mark.parametrize("scale", [2, 3, 5])
def test_grain_is_no_loss_where_the_quantiser_is_fine(scale: int, method: str) -> None:
    if method == "net":
        pytest.importorskip("torch")
    grain = np.random.default_rng(7).normal(0, 3, (160, 240))
    truth = np.clip(luma(scene()) + grain, 0, 255).round().astype(np.float32)
    given = quantised(truth, scale)
    plate = Image(given[None] / np.float32(255), Region.sized(240, 160), ("Y",))
    params = DeblockParams.model_validate({"values": "coded", "method": method})
    blocks = Blocks(*[Axis(8.0, 0.0, 1.0, 9.0)] * 2, quantiser(given, 0, 0), ((1, quantiser(given, 0, 0)),))
    made = run(plate, params, {**blocks.as_data(), "edges": 0.0})[0].data[0] * 255
    assert blocks.quantiser > 0
    assert np.mean((made - truth) ** 2) < np.mean((given - truth) ** 2)


def test_a_picture_without_blocks_keeps_its_bits() -> None:
    plate = image(scene())
    plate.data[0, 3, 3] = np.nan
    out, found = run(plate)
    assert not found["found"] and "no blocks" in found["note"]
    np.testing.assert_array_equal(out.data.view(np.uint32), plate.data.view(np.uint32))


def test_other_channels_and_what_is_no_number_stay() -> None:
    plate = image(coded(scene(), 16), (-5, 7))
    data = np.concatenate([plate.data, np.random.default_rng(1).random((1, 160, 240)).astype(np.float32)])
    data[:3, 40, 50] = np.nan, np.inf, 0.5
    data[:, 90, 60] *= -3
    spoiled = Image(data, plate.region, ("R", "G", "B", "A"))
    out, found = run(spoiled)
    assert found["found"]
    np.testing.assert_array_equal(out.data[3], data[3])
    np.testing.assert_array_equal(out.data[:3, 40, 50].view(np.uint32), data[:3, 40, 50].view(np.uint32))
    assert np.isfinite(np.delete(out.data.reshape(4, -1), 40 * 240 + 50, 1)).all()
    plate.data[:, 90, 60] *= -3
    clean, _ = run(plate, found=found)
    np.testing.assert_allclose(out.data[:3, :30, :30], clean.data[:, :30, :30], atol=1e-4)


def test_scene_light_beyond_white_and_below_black_survives() -> None:
    codes = coded(scene(), 16).astype(np.float32) / 255
    light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4).transpose(2, 0, 1)
    light = np.ascontiguousarray(3 * light - 0.05, np.float32)
    out, found = run(Image(light, Region.sized(240, 160)), DeblockParams())
    assert found["found"] and out.data.max() > 1.5 and out.data.min() < 0
    assert 0 < np.abs(out.data - light).mean() < 0.05


def test_one_plane_of_luma() -> None:
    plane = luma(coded(scene(), 16)).astype(np.float32) / 255
    out, found = run(Image(plane[None], Region.sized(240, 160), ("Y",)))
    assert found["found"] and not np.array_equal(out.data[0], plane)


def test_the_same_bits_whatever_the_threads() -> None:
    plate = image(coded(scene(), 16))
    params = DeblockParams(values="coded", matrix="601")
    found = NODE.analyse(params, Frames(plate), {"input": Clip(1, 1, plate.region, plate.region)}, DEVICE)
    request = Request(1, plate.region)
    made = [
        NODE.compute(params, request, Inputs(request, {"input": {1: plate}}, {}, analysis=found), Device("cpu", n)).data
        for n in (1, 3)
    ]
    np.testing.assert_array_equal(*made)


def test_refusals_and_identities() -> None:
    window = Region.sized(8, 8)
    for channels in (("A",), ("R", "G")):
        with pytest.raises(GraphError, match="among the channels"):
            NODE.check(DeblockParams(), {"input": Clip(1, 1, window, window, channels=channels)}, Settings())
    with pytest.raises(GraphError, match="block is 2"):
        NODE.check(DeblockParams(block=2), {"input": Clip(1, 1, window, window)}, Settings())
    assert NODE.identity(DeblockParams(strength=0), Request(1, window)) == "input"
    assert NODE.identity(DeblockParams(), Request(1, window)) is None
    assert NODE.wants_analysis(DeblockParams()) and not NODE.wants_analysis(DeblockParams(amount=0))
