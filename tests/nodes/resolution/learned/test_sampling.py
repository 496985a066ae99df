"""Resampling by whole factors, against sums written out in double precision."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from safelight.nodes.resolution.learned.sampling import (
    KERNELS,
    enlarged,
    mirror,
    phases,
    reduced,
    reducing,
    returning,
    spread,
)

SIZES = [(1, 1), (1, 7), (5, 1), (13, 9), (8, 30)]


def slow(line: Any, places: Any, kernel: Callable[[Any], Any], width: float) -> Any:
    """Return samples of a line at places, weighed by a kernel `width` samples wide; beyond its ends its mirror."""
    n, out = len(line), []
    reach = int(np.ceil(3 * width)) + 2
    for place in places:
        near = range(int(np.floor(place)) - reach, int(np.floor(place)) + reach + 1)
        weights = np.array([float(kernel(np.array((place - i) / width))) for i in near])
        values = np.array([line[i % (2 * n) if i % (2 * n) < n else 2 * n - 1 - i % (2 * n)] for i in near])
        out.append((weights * values).sum() / weights.sum())
    return np.array(out)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_both_ways_against_sums(name: str, scale: int, size: tuple[int, int]) -> None:
    kernel = KERNELS[name][0]
    picture = np.random.default_rng(0).standard_normal(size)
    want = picture
    for axis in (0, 1):
        n = size[axis]
        up = (np.arange(n * scale) + 0.5) / scale - 0.5
        want = np.apply_along_axis(lambda line, up=up: slow(line, up, kernel, 1), axis, want)
    np.testing.assert_allclose(enlarged(picture, scale, name), want, atol=1e-12)
    big = np.random.default_rng(1).standard_normal((size[0] * scale, size[1] * scale))
    want = big
    for axis in (0, 1):
        down = (np.arange(size[axis]) + 0.5) * scale - 0.5
        want = np.apply_along_axis(lambda line, down=down: slow(line, down, kernel, scale), axis, want)
    np.testing.assert_allclose(reduced(big, scale, name), want, atol=1e-12)


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("size", SIZES)
def test_what_returns_is_the_input(scale: int, size: tuple[int, int]) -> None:
    picture = np.random.default_rng(2).uniform(-1, 1, size)
    back = reduced(spread(picture, returning("cubic", scale)), scale)
    assert np.abs(back - picture).max() < 2e-4
    far = reduced(spread(picture, returning("cubic", scale, 16)), scale)
    assert np.abs(far - picture).max() < 1e-7


def test_sums_and_sizes() -> None:
    for name in KERNELS:
        for scale in (2, 3, 4):
            np.testing.assert_allclose(phases(name, scale).sum(1), 1)
            assert reducing(name, scale).sum() == pytest.approx(1)
    with pytest.raises(ValueError, match="5 pixels cannot be reduced by 2"):
        reduced(np.zeros((4, 5)), 2)


def test_mirror_goes_on_and_on() -> None:
    assert mirror(1, 3, 2).tolist() == [0] * 6
    line = np.arange(5)[mirror(5, 12, 0)][:12]
    assert line.tolist() == [1, 0, 0, 1, 2, 3, 4, 4, 3, 2, 1, 0][-12:]


def test_torch_gives_the_bits_of_numpy() -> None:
    torch = pytest.importorskip("torch")
    picture = np.random.default_rng(3).standard_normal((3, 11, 14)).astype(np.float32)
    for make in (
        lambda x: enlarged(x, 2),
        lambda x: reduced(enlarged(x, 2), 2),
        lambda x: spread(x, returning("cubic", 2)),
    ):
        np.testing.assert_array_equal(make(torch.from_numpy(picture)).numpy(), make(picture))
