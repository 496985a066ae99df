"""How much a pixel looks like a thin upright line, against float64."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.damage import ridges
from safelight.nodes.damage.ridges import CLIP, FLANK, GAP
from safelight.nodes.kernels.launch import isas, launch


def reference(planes: np.ndarray, sigma: np.ndarray, widths: tuple[int, ...]) -> np.ndarray:
    """Pixel by pixel."""
    count, h, w = planes.shape
    out = np.zeros((count, 2, h, w))
    for c, y, x in np.ndindex(count, h, w):
        if not GAP + FLANK <= x < w - GAP - FLANK:
            continue
        row, best = planes[c, y].astype(np.float64), np.full(2, -np.inf)
        for width in widths:
            left = x - width // 2
            middle, before, after = (
                np.mean([row[min(max(at, 0), w - 1)] for at in range(first, first + n)])
                for first, n in ((left, width), (left - GAP - FLANK, FLANK), (left + width + GAP, FLANK))
            )
            pair = np.array([min(before, after) - middle, middle - max(before, after)])
            best = np.maximum(best, pair / np.sqrt(1 / width + 1 / FLANK))
        out[c, :, y, x] = np.clip(best / sigma[c, y, x], -CLIP, CLIP)
    return out


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (5, 8), (7, 53)])
@pytest.mark.parametrize("widths", [(1,), (1, 2, 3), (1, 2, 3, 5, 8, 12, 15)])
def test_ridges(size: tuple[int, int], widths: tuple[int, ...]) -> None:
    rng = np.random.default_rng([3, *size])
    planes = rng.normal(0, 1, (3, *size)).astype(np.float32)
    planes[1] *= 1e6
    sigma = rng.uniform(0.3, 2, planes.shape).astype(np.float32)
    out = ridges.evidence(planes, sigma, widths, Device("cpu", 2))
    np.testing.assert_allclose(out, reference(planes, sigma, widths), atol=2e-5)
    for isa in isas():
        for threads in (1, 3):
            other = ridges.evidence(planes, sigma, widths, Device("cpu", threads), isa)
            np.testing.assert_array_equal(other, out)


def test_what_is_not_finite_reaches_no_pixel_beyond_its_neighbours() -> None:
    rng = np.random.default_rng(8)
    planes = rng.normal(0, 1, (1, 4, 60)).astype(np.float32)
    sigma = np.ones_like(planes)
    plain = ridges.evidence(planes, sigma, (1, 2, 3), Device("cpu", 1))
    planes[0, 2, 30] = np.nan
    spoilt = ridges.evidence(planes, sigma, (1, 2, 3), Device("cpu", 1))
    away = np.ones((4, 60), bool)
    away[2, 30 - 7 : 30 + 8] = False
    np.testing.assert_array_equal(spoilt[:, :, away], plain[:, :, away])


def test_a_part_is_the_crop_of_the_whole() -> None:
    rng = np.random.default_rng(9)
    planes = rng.normal(0, 1, (2, 9, 70)).astype(np.float32)
    sigma = np.ones_like(planes)
    whole = ridges.evidence(planes, sigma, (1, 2, 3), Device("cpu", 1)).reshape(4, 9, 70)
    region, part = Region.sized(70, 9), Region(3, 2, 41, 7)
    out = np.full((4, part.height, part.width), 9, np.float32)
    launch(
        Device("cpu", 2), "scratch_ridge", part, reach=7, plane=(planes, region), noise=(sigma, region),
        out=(out, part), widths=(1, 2, 3, 0, 0, 0, 0, 0),
        units=(*map(ridges.unit_of, (1, 2, 3)), 0, 0, 0, 0, 0), gap=GAP, flank=FLANK, clip=CLIP,
    )  # fmt: skip
    np.testing.assert_array_equal(out, whole[:, 2:7, 3:41])
