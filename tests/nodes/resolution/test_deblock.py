"""Deblock: grids found and not found, blocks gone, error smaller, bits kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.resolution.blocks import LOWEST, Blocks, grid, quantiser, steps
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


def run(plate: Image, params: DeblockParams | None = None, found: Any = None) -> tuple[Image, Any]:
    params = params or DeblockParams(values="coded", matrix="601")
    clip = Clip(1, 1, plate.region, plate.region, channels=plate.channels)
    found = found or NODE.analyse(params, Frames(plate), {"input": clip}, DEVICE)
    request = Request(1, plate.region)
    return NODE.compute(params, request, Inputs(request, {"input": {1: plate}}, {}, analysis=found), DEVICE), found


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
