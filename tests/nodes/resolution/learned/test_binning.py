"""Means of light, and the way back to them, against a slow float64 reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.optimize import brentq

from safelight.nodes.resolution.learned.binning import binned, blocks, means, returned
from safelight.nodes.resolution.learned.coding import decode, encode, slope

WITHIN = 1 / 4096


def shifted(block: Any, wanted: float) -> Any:
    """Return the light of one block, coded, shifted until its mean is what is wanted."""
    coded = block.astype(np.float64)
    shift = brentq(lambda by: float(decode(coded + by).mean()) - wanted, -40, 40, xtol=1e-14)
    return decode(coded + shift)


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_means_of_light(scale: int) -> None:
    code = np.random.default_rng(scale).uniform(-0.5, 3, (3, 5 * scale, scale)).astype(np.float32)
    light = decode(code.astype(np.float64)).reshape(3, 5, scale, 1, scale).mean((2, 4))
    np.testing.assert_allclose(decode(binned(code, scale)), light, rtol=2e-5, atol=1e-6)
    np.testing.assert_array_equal(blocks(means(code, 1), scale), np.kron(code, np.ones((1, scale, scale), np.float32)))


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 5)])
@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-0.6, 0.2), (0.0, 5.0)])
@pytest.mark.parametrize("off", [0.02, 0.3])
def test_the_way_back(size: tuple[int, int], low: float, high: float, off: float) -> None:
    random = np.random.default_rng(1)
    code = random.uniform(low, high, (2, *size)).astype(np.float32)
    made = (blocks(code, 2) + random.normal(0, off, (2, 2 * size[0], 2 * size[1]))).astype(np.float32)
    light = returned(made, code, 2)
    assert light.dtype == np.float32
    wanted = decode(code.astype(np.float64))
    assert np.max(np.abs(means(light.astype(np.float64), 2) - wanted) / (np.abs(wanted) + 0.01)) < WITHIN
    for plane, y, x in np.ndindex(code.shape):
        part = np.s_[plane, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        want = shifted(made[part], float(wanted[plane, y, x]))
        # Newton's two steps do not end where the light goes through black, or is spread over stops.
        loose = 0.35 if off > 0.1 else 0.02
        np.testing.assert_allclose(light[part], want, rtol=loose, atol=loose * (np.abs(want).max() + 0.01))


def test_what_is_right_stays() -> None:
    random = np.random.default_rng(2)
    made = random.uniform(0, 1.5, (1, 8, 12)).astype(np.float32)
    np.testing.assert_allclose(encode(returned(made, binned(made, 4), 4)), made, atol=2e-5)
    even = np.full((1, 3, 3), 0.4, np.float32)
    np.testing.assert_allclose(returned(blocks(even + np.float32(0.2), 2), even, 2), decode(blocks(even, 2)), rtol=1e-5)


def test_extremes_stay_finite_and_keep_their_light() -> None:
    """A lamp of 10,000 that the net did not see, and one that it made of nothing; black; light under 0."""
    code = encode(np.float32([[[1e4, 0.01, 0.0, -0.3, 3e30]]]))
    for flat in (0.0, 0.5, 5.0, -1.0):
        light = returned(np.full((1, 2, 10), flat, np.float32), code, 2)
        assert np.isfinite(light).all()
        wanted = decode(code)
        np.testing.assert_allclose(means(light, 2)[..., :4], wanted[..., :4], rtol=1e-3, atol=1e-5)
    # A lamp in one of four pixels.
    made = encode(np.float32([[[400, 0.1], [0.1, 0.1]]]))
    light = returned(made, encode(np.float32([[[50]]])), 2)
    assert light.min() > 0 and light.mean() == pytest.approx(50, rel=1e-4) and light[0, 0, 0] > 190


def test_torch_makes_the_same() -> None:
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(3)
    code = random.uniform(0, 2, (3, 9, 7)).astype(np.float32)
    made = random.uniform(0, 2, (3, 18, 14)).astype(np.float32)
    got = returned(torch.from_numpy(made), torch.from_numpy(code), 2)
    assert got.dtype == torch.float32
    np.testing.assert_allclose(got.numpy(), returned(made, code, 2), rtol=2e-4, atol=1e-6)


def test_slope() -> None:
    code = np.random.default_rng(4).uniform(-1, 4, 500)
    step = 1e-5
    np.testing.assert_allclose(
        slope(code, decode(code)), (decode(code + step) - decode(code - step)) / (2 * step), rtol=1e-4
    )
