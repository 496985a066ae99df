"""Noise measured from the plate itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.noise import Noise, estimate
from safelight.nodes.grain.spectrum import pixel_ratio
from safelight.nodes.grain.stock import load_stock


def clean(height: int = 200, width: int = 320) -> np.ndarray:
    rng = np.random.default_rng(2)
    y, x = np.mgrid[:height, :width]
    texture = gaussian_filter(rng.standard_normal((height, width)), 2) * (x < width / 3)
    grey = 0.15 + 0.7 * x / width + 0.3 * texture + 0.1 * (y // 50 % 2)
    return np.stack([grey, 0.8 * grey + 0.05, 0.9 * grey])


@pytest.mark.parametrize("sigma", [0.004, 0.02, 0.06])
def test_white_noise_is_found(sigma: float) -> None:
    rng = np.random.default_rng(7)
    frames = [(clean() + rng.normal(0, sigma, clean().shape)).astype(np.float32) for _ in range(3)]
    noise = estimate(frames, coding("linear"))
    # The darkest third is texture alone: there it may read high.
    np.testing.assert_allclose(noise.sigma[:, 24:-8], sigma, rtol=0.12 if sigma > 0.01 else 0.3)
    np.testing.assert_allclose(noise.spectrum[:, 2:, 2:].mean((1, 2)), 1, atol=0.15)


def test_noise_that_grows_with_the_square_root_of_light() -> None:
    rng = np.random.default_rng(7)
    light = clean()
    frames = [(light + 0.05 * np.sqrt(light) * rng.standard_normal(light.shape)).astype(np.float32) for _ in range(4)]
    noise = estimate(frames, coding("linear"))
    level = np.linspace(noise.low, noise.high, noise.sigma.shape[1])
    np.testing.assert_allclose(noise.sigma[0, 8:-8], 0.05 * np.sqrt(level[8:-8]), rtol=0.15)


def test_coloured_noise_has_its_spectrum() -> None:
    rng = np.random.default_rng(8)
    frames, pure = [], []
    for _ in range(4):
        grain = gaussian_filter(rng.standard_normal((3, 200, 320)), (0, 0.7, 0.7))
        grain *= 0.03 / grain.std()
        frames.append((clean() + grain).astype(np.float32))
        pure.append(grain.reshape(3, 25, 8, 40, 8).transpose(0, 1, 3, 2, 4).reshape(-1, 8, 8))
    noise = estimate(frames, coding("linear"))
    truth = (dctn(np.concatenate(pure), axes=(1, 2), norm="ortho") ** 2).mean(0)
    measured = noise.spectrum[0] * np.median(noise.sigma) ** 2
    np.testing.assert_allclose(measured[2:, 2:] / truth[2:, 2:], 1, atol=0.4)
    assert 0.85 < measured[2:, 2:].sum() / truth[2:, 2:].sum() < 1.15
    assert 0.4 < measured[0, 0] / truth[0, 0] < 1.5


def test_a_plate_without_noise_is_silent() -> None:
    assert estimate([clean().astype(np.float32)] * 2, coding("linear")).silent
    assert estimate([np.full((3, 64, 64), 0.3, np.float32)], coding("linear")).silent
    assert estimate([np.zeros((1, 64, 64), np.float32)], coding("log")).silent


@pytest.mark.parametrize("shape", [(3, 1, 1), (3, 1, 50), (1, 8, 8), (3, 16, 16)])
def test_too_little_to_tell_is_silent(shape: tuple[int, int, int]) -> None:
    assert estimate([np.random.default_rng(0).random(shape).astype(np.float32)], coding("log")).silent


def test_broken_and_clipped_values_are_left_out() -> None:
    rng = np.random.default_rng(7)
    frame = (clean() + rng.normal(0, 0.02, clean().shape)).astype(np.float32)
    frame[:, :60, :60] = 1.5  # burnt out
    frame[1, 100:120, 100:130] = np.nan
    frame[0, 150, 200] = np.inf
    noise = estimate([frame] * 2, coding("linear"))
    np.testing.assert_allclose(np.median(noise.sigma), 0.02, rtol=0.1)


def test_one_plane() -> None:
    rng = np.random.default_rng(7)
    frame = (clean()[:1] + rng.normal(0, 0.02, (1, 200, 320))).astype(np.float32)
    noise = estimate([frame], coding("linear"))
    assert noise.sigma.shape[0] == 1 and noise.spectrum.shape == (1, 8, 8)
    np.testing.assert_allclose(np.median(noise.sigma), 0.02, rtol=0.1)


def test_as_data_and_back() -> None:
    noise = Noise.white([0.1, 0.2, 0.3])
    data: dict[str, Any] = noise.as_data()
    again = Noise.from_data(data)
    np.testing.assert_allclose(again.sigma, noise.sigma)
    np.testing.assert_allclose(again.spectrum, noise.spectrum)


def test_domains_are_odd_and_invertible() -> None:
    v = np.array([-6500.0, -0.3, -1e-6, 0, 1e-6, 0.18, 1, 6500])[None]
    stock = load_stock("500T")
    for code in (coding("log"), coding("linear"), coding("density", stock.curves[:1])):
        np.testing.assert_allclose(code.decode(code.encode(v)), v, rtol=2e-6, atol=1e-12)
        np.testing.assert_array_equal(code.encode(-v), -code.encode(v))
        np.testing.assert_allclose(code.encode_single(v.astype(np.float32)), code.encode(v), rtol=1e-6, atol=1e-6)


def test_noise_of_a_stock_is_what_the_data_say() -> None:
    stock = load_stock("5219")
    code = coding("density", stock.curves)
    noise = Noise.of_stock(stock, (0, 1, 2), 6.0, code)
    net = code.encode(np.full((3, 1), 0.18))[:, 0]
    at = np.linspace(noise.low, noise.high, noise.sigma.shape[1])
    for layer in range(3):
        expected = stock.sigma48(layer, 0.0) * pixel_ratio(stock.cloud_um[layer], 6.0)
        assert np.interp(net[layer], at, noise.sigma[layer]) == pytest.approx(expected, rel=0.01)
    np.testing.assert_allclose(noise.spectrum.mean((1, 2)), 1, rtol=1e-6)  # the variance is sigma's
    assert (noise.spectrum[:, 0, 0] > 2 * noise.spectrum[:, 7, 7]).all()
