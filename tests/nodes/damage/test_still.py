"""Damage that one frame alone shows: wide medians against the slow ones, fringes of shifted records, dust."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy import ndimage

from safelight.nodes.damage.still import background, coloured


def town(height: int = 240, width: int = 320) -> np.ndarray:
    """Towers before a sky, in stops, the same on all records."""
    rng = np.random.default_rng(3)
    plane = np.repeat(np.linspace(0, 1, height)[:, None], width, 1)
    for x in range(20, width - 30, 45):
        top = int(rng.integers(60, 140))
        plane[top:, x : x + 14] -= 1.5
        plane[top - 30 : top, x + 5 : x + 9] -= 1.5  # a spire
        plane[top - 34 : top - 26, x + 3 : x + 11] -= 1.5
    return ndimage.gaussian_filter(plane, 0.7)


def records(shift: tuple[int, int] = (0, 0), seed: int = 1) -> np.ndarray:
    """Three records of the town, red moved by `shift`, with grain."""
    planes = np.stack([np.roll(town(), shift if c == 0 else (0, 0), (0, 1)) for c in range(3)])
    return (planes + np.random.default_rng(seed).normal(0, 0.04, planes.shape)).astype(np.float32)


def sought(planes: np.ndarray) -> np.ndarray:
    return coloured(planes, sensitivity=0.5, smallest=2, largest=100) >= 0.5


@pytest.mark.parametrize("shift", [(0, 0), (1, 9), (-4, -12)])
def test_fringes_are_the_scene(shift: tuple[int, int]) -> None:
    assert sought(records(shift)).sum() <= 30


def test_dust_beside_fringes_is_found() -> None:
    planes = records((1, 9))
    planes[1, 20:26, 100:107] -= 1.2
    planes[2, 30:35, 182:186] += 1.2
    planes[0, 12:40, 260:263] -= 0.8  # lint
    found = sought(planes)
    assert found[21:25, 101:106].all() and found[31:34, 183:185].all() and not found[0:10].any()
    assert found[14:38, 261].mean() < 0.1, "longer than five times its width: no dust"


@pytest.mark.parametrize(
    ("size", "radius"),
    [*product([(1, 1), (1, 37), (63, 5)], [8, 24, 60, 150]), *product([(130, 171)], [8, 24, 60])],
)
def test_wide_medians_are_near_the_slow_ones(size: tuple[int, int], radius: int) -> None:
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: size[0], : size[1]]
    smooth = 0.004 * y + 0.003 * x
    plane = (smooth + rng.normal(0, 0.05, size)).astype(np.float32)
    plane[rng.random(size) < 0.01] += 5  # dust: a median does not see it
    slow = ndimage.median_filter(plane.astype(np.float64), 2 * radius + 1, mode="nearest")
    made = background(plane, radius)
    assert made.shape == size and made.dtype == np.float32
    # Nearest edges weigh differently in blocks: within what the plane slopes over the radius, and the grain.
    assert np.abs(made - slow).max() <= 0.15 + 0.004 * min(radius, max(size))


def test_one_pixel_and_one_row() -> None:
    for size in ((1, 1), (1, 40), (5, 3)):
        assert not coloured(np.zeros((3, *size), np.float32), sensitivity=1, smallest=1, largest=100).any()
