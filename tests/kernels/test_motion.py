"""Kernels "motion_shrink", "motion_search" and "motion_compensate", against float64 and obvious loops."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import isas, launch
from safelight.nodes.motion.blocks import RAMP, TAPS, compensate, pyramid, search

SIZES = [(16, 16), (17, 40), (33, 64), (70, 91)]


def whole(height: int, width: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng([height, width, seed])
    return np.rint(rng.standard_normal((1, height, width)) * 2000).clip(-8191, 8191).astype(np.float32)


@pytest.mark.parametrize("size", SIZES)
def test_shrink_against_float64(size: tuple[int, int]) -> None:
    luma = whole(*size)
    h, w = size[0] // 2, size[1] // 2
    p = np.pad(luma[0].astype(np.float64), ((1, 2), (1, 2)), mode="edge")
    weights = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64
    expected = np.zeros((h, w))
    for y in range(h):
        for x in range(w):
            expected[y, x] = np.floor((weights * p[2 * y : 2 * y + 4, 2 * x : 2 * x + 4]).sum() + 0.5)
    for isa in isas():
        for threads in (1, 3):
            out = np.full((1, h, w), 7, np.float32)
            launch(
                Device("cpu", threads),
                "motion_shrink",
                Region.sized(-(-w // 16), h),
                isa=isa,
                source=(luma, Region.sized(size[1], size[0])),
                out=(out, Region.sized(w, h)),
            )
            np.testing.assert_array_equal(out[0], expected)


def sad(here: np.ndarray, there: np.ndarray, x: int, y: int, dx: int, dy: int) -> float:
    a = here[0, y : y + 16, x : x + 16].astype(np.float64)
    return float(np.abs(a - there[0, y + dy : y + dy + 16, x + dx : x + dx + 16]).sum())


@pytest.mark.parametrize("size", SIZES)
def test_full_search_against_loops(size: tuple[int, int]) -> None:
    here, there = whole(*size), whole(*size, seed=1)
    there[:, 2:, 3:] = here[:, :-2, :-3]
    h, w = size
    blocks = Region.sized(-(-w // 8), -(-h // 8))
    penalty = 1.5
    expected = np.zeros((3, blocks.height, blocks.width))
    for by in range(blocks.height):
        for bx in range(blocks.width):
            x, y = min(max(bx * 8 - 4, 0), w - 16), min(max(by * 8 - 4, 0), h - 16)
            best = (sad(here, there, x, y, 0, 0), 0, 0, sad(here, there, x, y, 0, 0))
            for dy in range(max(-4, -y), min(4, h - 16 - y) + 1):
                for dx in range(max(-4, -x), min(4, w - 16 - x) + 1):
                    cost = sad(here, there, x, y, dx, dy)
                    price = cost + penalty * 256 * (abs(dx) + abs(dy))
                    if price < best[0]:
                        best = (price, dx, dy, cost)
            expected[:, by, bx] = best[1], best[2], best[3] / 256
    for isa in isas():
        for threads in (1, 3):
            out = np.full((7, blocks.height, blocks.width), 99, np.float32)
            launch(
                Device("cpu", threads),
                "motion_search",
                blocks,
                isa=isa,
                here=(here, Region.sized(w, h)),
                there=(there, Region.sized(w, h)),
                before=(out, blocks),
                out=(out, blocks),
                shift=0,
                range=4,
                steps=0,
                penalty=penalty,
            )
            np.testing.assert_array_equal(out[:3], expected.astype(np.float32))


def test_whole_search_is_one_result_everywhere() -> None:
    here, there = (np.rint(gaussian_filter(whole(150, 203, seed=s), (0, 3, 3)) * 8) for s in (0, 2))
    there[:, 5:, 9:] = here[:, :-5, :-9]
    results = []
    for isa in isas():
        for threads in (1, 2, 5):
            device = Device("cpu", threads)
            a, b = pyramid(here, device, isa=isa), pyramid(there, device, isa=isa)
            results.append(search(a, b, device, noise=100, isa=isa))
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)
    inner = results[0][:, 3:-3, 3:-3]
    assert (inner[0] == 9).mean() > 0.95 and (inner[1] == 5).mean() > 0.95


def compensated(planes: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    c, h, w = planes.shape
    taps, out = TAPS.astype(np.float64).reshape(4, 6), np.zeros((c, h, w))
    nb = vectors.shape[1:]
    for y in range(h):
        for x in range(w):
            cy, cx = (y + 4) // 8, (x + 4) // 8
            for j in (0, 1):
                for i in (0, 1):
                    by, bx = min(max(cy - 1 + j, 0), nb[0] - 1), min(max(cx - 1 + i, 0), nb[1] - 1)
                    qx, qy = int(vectors[0, by, bx]), int(vectors[1, by, bx])
                    wy = float(RAMP[(y + 4) % 8 + (0 if j else 8)])
                    wx = float(RAMP[(x + 4) % 8 + (0 if i else 8)])
                    rows = np.clip(y + (qy >> 2) + np.arange(-2, 4), 0, h - 1)
                    columns = np.clip(x + (qx >> 2) + np.arange(-2, 4), 0, w - 1)
                    seen = planes[:, rows][:, :, columns].astype(np.float64)
                    out[:, y, x] += wy * wx * np.einsum("j,i,cji->c", taps[qy & 3], taps[qx & 3], seen)
    return out


@pytest.mark.parametrize("size", [(1, 1), (1, 19), (24, 9), (33, 40)])
def test_compensation_against_float64(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size)
    planes = rng.standard_normal((2, *size)).astype(np.float32)
    vectors = rng.integers(-30, 31, (2, -(-size[0] // 8), -(-size[1] // 8))).astype(np.float32)
    vectors[:, : vectors.shape[1] // 2] = 6  # some that agree
    expected = compensated(planes, vectors)
    results = [compensate(planes, vectors, Device("cpu", threads), isa=isa) for isa in isas() for threads in (1, 3)]
    for isa, out in zip([i for i in isas() for _ in (1, 3)], results, strict=True):
        np.testing.assert_allclose(out, expected, atol=3e-6)
        if isa != "v2":  # without a fused multiply-add: to rounding
            np.testing.assert_array_equal(out, results[0])


def test_taps_and_ramp_add_up() -> None:
    np.testing.assert_allclose(TAPS.reshape(4, 6).sum(1), 1, atol=1e-6)
    np.testing.assert_array_equal(RAMP[:8] + RAMP[8:], np.ones(8, np.float32))
