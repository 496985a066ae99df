"""What Repair reads pictures with, against float64: encoding, luma, samples between pixels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import isas, launch

SIZES = [(1, 1), (1, 17), (5, 1), (7, 16), (23, 35)]
TOE = 0.01
WEIGHTS = (0.3, 0.5, 0.2, 0.1)


def plate(size: tuple[int, int], planes: int) -> np.ndarray:
    """Light of all sizes and signs, with what is not finite."""
    rng = np.random.default_rng([planes, *size])
    found = rng.standard_normal((planes, *size)) * 10.0 ** rng.integers(-4, 9, (planes, *size))
    found[0, rng.random(size) < 0.05] = np.nan
    found[-1, rng.random(size) < 0.05] = -np.inf
    return found.astype(np.float32)


def stops(light: np.ndarray) -> np.ndarray:
    return np.sign(light) * np.log2(1 + np.abs(light.astype(np.float64)) / TOE)


# --- encoding --------------------------------------------------------------------------------------------------------


def encode(light: np.ndarray, part: Region | None = None, **how: Any) -> np.ndarray:
    region = Region.sized(light.shape[2], light.shape[1], -3, 5)
    out = np.full((len(light) + 1, *light.shape[1:]), 9, np.float32)
    launch(
        Device("cpu", how.get("threads", 2)),
        "repair_encode",
        part or region,
        isa=how.get("isa"),
        plate=(light, region),
        out=(out[:-1], region),
        grey=(out[-1:], region),
        planes=len(light),
        per_toe=1 / TOE,
        weights=WEIGHTS,
    )
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("planes", [1, 3, 4])
def test_encoding(size: tuple[int, int], planes: int) -> None:
    light = plate(size, planes)
    good = np.isfinite(light).all(0)
    expected = np.where(good, stops(np.where(good, light, 0)), 0)
    grey = np.tensordot(WEIGHTS[:planes], expected, 1)
    out = encode(light)
    np.testing.assert_allclose(out[:-1], expected, rtol=3e-6, atol=3e-6)
    np.testing.assert_allclose(out[-1], np.where(good, grey, np.nan), rtol=1e-5, atol=1e-5)
    for isa in isas():
        for threads in (1, 3):
            other = encode(light, isa=isa, threads=threads)
            if isa == "v2":
                np.testing.assert_allclose(other, out, rtol=1e-6, atol=1e-6)
            else:
                np.testing.assert_array_equal(other.view(np.uint32), out.view(np.uint32))


# --- luma ------------------------------------------------------------------------------------------------------------


def luma(grey: np.ndarray, part: Region | None = None, **how: Any) -> np.ndarray:
    region = Region.sized(grey.shape[1], grey.shape[0], -3, 5)
    out = np.full((2, *grey.shape), 9, np.float32)
    launch(
        Device("cpu", how.get("threads", 2)),
        "repair_luma",
        part or region,
        reach=1,
        isa=how.get("isa"),
        grey=(grey, region),
        luma=(out[:1], region),
        search=(out[1:], region),
        search_scale=200.0,
    )
    return out


@pytest.mark.parametrize("size", SIZES)
def test_luma(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size)
    grey = rng.normal(3, 20, size).astype(np.float32)
    grey[rng.random(size) < 0.1] = np.nan
    wide = np.pad(np.nan_to_num(grey.astype(np.float64)), 1, mode="edge")
    expected = np.lib.stride_tricks.sliding_window_view(wide, (3, 3)).mean((2, 3))
    out = luma(grey)
    np.testing.assert_allclose(out[0], expected, rtol=1e-5, atol=1e-5)
    assert (out[1] == np.rint(out[1])).all()
    # Halfway between two steps it may be either.
    np.testing.assert_allclose(out[1], np.clip(expected * 200, -8191, 8191), atol=0.501)
    for isa in isas():
        for threads in (1, 3):
            other = luma(grey, isa=isa, threads=threads)
            np.testing.assert_allclose(other, out, rtol=1e-6, atol=1 if isa == "v2" else 0)


def test_a_tile_equals_the_crop_of_the_whole() -> None:
    light = plate((23, 35), 3)
    part = Region(2, 9, 19, 20)
    where = (slice(None), slice(4, 15), slice(5, 22))
    whole, tile = encode(light), encode(light, part)
    np.testing.assert_array_equal(tile[where].view(np.uint32), whole[where].view(np.uint32))
    assert (tile[:, :4] == 9).all() and (tile[:, :, 22:] == 9).all()
    np.testing.assert_array_equal(luma(whole[-1], part)[where], luma(whole[-1])[where])


# --- samples ---------------------------------------------------------------------------------------------------------


def sample(picture: np.ndarray, good: np.ndarray, places: np.ndarray, part: Region | None = None, **how: Any) -> Any:
    """Read (2, n) places, in rows of seven."""
    rows = -(-places.shape[1] // 7)
    listed = Region.sized(7, rows)
    padded = np.zeros((2, rows * 7), np.float32)
    padded[:, : places.shape[1]] = places
    out = np.full((2 * len(picture) + 1, rows, 7), 9, np.float32)
    launch(
        Device("cpu", how.get("threads", 2)),
        "repair_sample",
        part or listed,
        isa=how.get("isa"),
        places=(padded.reshape(2, rows, 7), listed),
        picture=(picture, Region.sized(picture.shape[2], picture.shape[1], 11, -4)),
        good=good.view(np.uint8),
        out=(out, listed),
        planes=len(picture),
    )
    return out.reshape(len(out), -1)[:, : places.shape[1]]


def reference(picture: np.ndarray, good: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return the same in float64, place by place."""
    planes, h, w = picture.shape
    out = np.zeros((2 * planes + 1, places.shape[1]))
    for n, (y, x) in enumerate(places.T):
        y0, x0 = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        v, u = (np.clip(np.arange(-2, 3) + at, 0, size - 1) for at, size in ((y0, h), (x0, w)))
        use = good[np.ix_(v, u)].astype(np.float64)
        steps = np.arange(-2, 3)
        moved = use * np.outer(np.exp(-0.5 * (steps - (y - y0)) ** 2), np.exp(-0.5 * (steps - (x - x0)) ** 2))
        still = use * np.outer(np.exp(-0.5 * steps**2), np.exp(-0.5 * steps**2))
        for c, plane in enumerate(picture.astype(np.float64)):
            window = plane[np.ix_(v, u)]
            value = window[2, 2]
            near = [value, *window[1:4, 1:4][use[1:4, 1:4] > 0]]
            low = (moved * window).sum() / max(moved.sum(), 1e-12)
            rest = value - (still * window).sum() / max(still.sum(), 1e-12)
            out[2 * c, n], out[2 * c + 1, n] = np.clip(low + rest, min(near), max(near)), low
        out[-1, n] = 0 <= y0 < h and 0 <= x0 < w and use[2, 2]
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("planes", [1, 3])
def test_samples(size: tuple[int, int], planes: int) -> None:
    rng = np.random.default_rng([planes, *size])
    picture = rng.normal(0, 5, (planes, *size)).astype(np.float32)
    good = rng.random(size) > 0.2
    quarters = rng.integers(-20, 4 * np.array(size)[:, None] + 20, (2, 60)) / 4
    out = sample(picture, good, quarters)
    np.testing.assert_allclose(out, reference(picture, good, quarters), rtol=1e-5, atol=1e-5)
    for isa in isas():
        for threads in (1, 3):
            other = sample(picture, good, quarters, isa=isa, threads=threads)
            if isa == "v2":
                np.testing.assert_allclose(other, out, rtol=1e-5, atol=1e-5)
            else:
                np.testing.assert_array_equal(other.view(np.uint32), out.view(np.uint32))


def test_samples_of_huge_pictures_stay_finite_and_whole_places_give_the_pixel() -> None:
    rng = np.random.default_rng(3)
    picture = (rng.normal(size=(3, 9, 12)) * 1e30).astype(np.float32)
    places = np.stack(np.meshgrid(np.arange(9.0), np.arange(12.0), indexing="ij")).reshape(2, -1)
    out = sample(picture, np.ones((9, 12), bool), places)
    assert np.isfinite(out).all() and (out[-1] == 1).all()
    np.testing.assert_allclose(out[:6:2], picture.reshape(3, -1), rtol=1e-5, atol=1e25)
    part = sample(picture, np.ones((9, 12), bool), places, Region(0, 3, 7, 5))
    np.testing.assert_array_equal(part[:, 21:35], out[:, 21:35])
    assert (part[:, :21] == 9).all()
