"""The CPU processor on planar rows: threads, bands, strides, strange values."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.colour.apply import apply_cpu
from safelight.colour.config import config_for
from safelight.graph.node import Settings

NAMES = ("ACEScct", "srgb_tx", "ADX10", "Cineon", "acescc", "sRGB - Display/Un-tone-mapped")


def cpu(target: str, source: str = "scene_linear") -> object:
    return config_for(Settings()).processor(source, target)._cpu


def values(height: int, width: int) -> np.ndarray:
    random = np.random.default_rng(height * 1000 + width)
    pixels = random.normal(0.3, 1.0, (3, height, width)) * 10.0 ** random.integers(-4, 5, (3, height, width))
    return pixels.astype(np.float32)


@pytest.mark.parametrize("target", NAMES)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 13), (17, 1), (23, 29)])
def test_threads_and_bands_do_not_show(target: str, height: int, width: int) -> None:
    pixels = values(height, width)
    kept = pixels.copy()
    whole = apply_cpu(cpu(target), pixels, 1, band=height)
    for threads, band in [(1, 1), (2, 1), (3, 4), (4, 7), (2, 0)]:
        np.testing.assert_array_equal(apply_cpu(cpu(target), pixels, threads, band=band), whole)
    np.testing.assert_array_equal(pixels, kept)


@pytest.mark.parametrize("target", NAMES)
def test_a_pixel_alone_equals_it_among_others(target: str) -> None:
    pixels = values(5, 11)
    whole = apply_cpu(cpu(target), pixels)
    for y, x in [(0, 0), (2, 5), (4, 10)]:
        part = pixels[:, y : y + 1, x : x + 1]
        np.testing.assert_array_equal(apply_cpu(cpu(target), part), whole[:, y : y + 1, x : x + 1])
    np.testing.assert_array_equal(apply_cpu(cpu(target), pixels[:, 1:4, 3:9]), whole[:, 1:4, 3:9])


def test_any_strides_and_read_only() -> None:
    pixels = values(8, 9)
    expected = apply_cpu(cpu("srgb_tx"), pixels)
    packed = np.ascontiguousarray(pixels.transpose(1, 2, 0))
    packed.setflags(write=False)
    np.testing.assert_array_equal(apply_cpu(cpu("srgb_tx"), packed.transpose(2, 0, 1), 2, band=3), expected)
    np.testing.assert_array_equal(apply_cpu(cpu("srgb_tx"), pixels[:, ::-1, ::-1]), expected[:, ::-1, ::-1])


@pytest.mark.parametrize("target", NAMES)
def test_what_is_not_finite_stays_in_its_pixel(target: str) -> None:
    pixels = values(6, 7)
    clean = apply_cpu(cpu(target), pixels)
    pixels[:, 2, 3] = np.nan
    pixels[1, 4, 5] = np.inf
    pixels[2, 0, 0] = -np.inf
    dirty = apply_cpu(cpu(target), pixels, 2, band=1)
    touched = np.zeros((6, 7), bool)
    touched[[2, 4, 0], [3, 5, 0]] = True
    np.testing.assert_array_equal(dirty[:, ~touched], clean[:, ~touched])


def test_nan_stays_nan_through_a_matrix() -> None:
    pixels = np.full((3, 1, 2), 0.5, np.float32)
    pixels[:, 0, 1] = np.nan
    out = apply_cpu(cpu("ACES2065-1"), pixels)
    assert np.isnan(out[:, 0, 1]).all() and np.isfinite(out[:, 0, 0]).all()


def test_empty_and_wrong_planes() -> None:
    assert apply_cpu(cpu("srgb_tx"), np.zeros((3, 0, 5), np.float32)).shape == (3, 0, 5)
    with pytest.raises(ValueError, match="3 planes"):
        apply_cpu(cpu("srgb_tx"), np.zeros((4, 2, 2), np.float32))
