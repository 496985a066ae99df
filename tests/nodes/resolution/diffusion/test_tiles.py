"""Tiles on an absolute grid: their shares, which of them a part takes, and what lies beyond the edges."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.nodes.resolution.diffusion.tiles import Grid, mirrored


@pytest.mark.parametrize(("side", "shared"), [(16, 4), (16, 8), (8, 0), (24, 6), (128, 32)])
@pytest.mark.parametrize("data", [(0, 1), (-7, 40), (3, 200), (-500, -130), (11, 13)])
def test_the_shares_of_all_tiles_sum_to_one(side: int, shared: int, data: tuple[int, int]) -> None:
    grid, scale = Grid(side, shared), 4
    total = np.zeros((data[1] - data[0]) * scale)
    for k in grid.along(*data, data):
        window = grid.window(k, data, scale)
        assert window.min() >= 0 and np.abs(np.diff(window)).max() <= 4.0 / max(shared * scale, 1)
        first = grid.first(k) * scale
        low, high = max(first, data[0] * scale), min(first + side * scale, data[1] * scale)
        total[low - data[0] * scale : high - data[0] * scale] += window[low - first : high - first]
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_part_takes_the_tiles_that_reach_it() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        side = int(rng.integers(2, 20)) * 2
        grid = Grid(side, 2 * int(rng.integers(0, side // 4 + 1)))
        first = int(rng.integers(-60, 60))
        data = (first, first + int(rng.integers(1, 90)))
        low, high = sorted(int(v) for v in rng.integers(*data, 2))
        want = [
            k
            for k in range(-99, 99)
            if k * grid.step < data[1] and (k + 1) * grid.step > data[0]
            and grid.first(k) <= high and grid.first(k) + side > low
        ]  # fmt: skip
        assert list(grid.along(low, high + 1, data)) == want


def test_beyond_the_edges_lies_the_mirror() -> None:
    for size in (1, 2, 5, 40):
        want = np.pad(np.arange(7, 7 + size), 30, "symmetric")
        np.testing.assert_array_equal(mirrored(7 - 30, size + 60, (7, 7 + size)), want)
