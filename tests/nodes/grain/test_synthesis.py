"""From a measured autocorrelation to a filter, to channels that correlate, to noise that keeps the mean."""

import numpy as np
import pytest

from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.spectrum import kernel, spectrum_1d
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.grain.synthesis import MOST, mean_bias, mixing, overlap, power_of, taps_of


def film(cloud: float, pitch: float, reach: int = 7) -> np.ndarray:
    """The autocorrelation of a film layer on pixels."""
    line = np.fft.irfft(spectrum_1d(cloud, pitch, np.fft.rfftfreq(64)), 64)[: reach + 1]
    return np.outer(line, line)


def both(taps: np.ndarray) -> np.ndarray:
    """The whole filter."""
    side = np.concatenate([np.arange(len(taps) - 1, 0, -1), np.arange(len(taps))])
    return taps[np.ix_(side, side)]


def autocorrelation(taps: np.ndarray, lag: tuple[int, int]) -> float:
    whole = np.pad(both(taps), 10)
    return float(np.sum(whole * np.roll(whole, lag, (0, 1))))


@pytest.mark.parametrize("pitch", [12.0, 6.0, 4.0])
def test_a_film_layers_filter_is_regrains(pitch):
    taps = taps_of(power_of(film(3.0, pitch)))
    line = kernel(3.0, pitch).taps
    n = min(len(taps), len(line))
    np.testing.assert_allclose(taps[:n, :n], np.outer(line[:n], line[:n]), atol=3e-3)
    assert np.sum(both(taps) ** 2) == pytest.approx(1)


def test_a_filter_has_the_autocorrelation_it_was_made_for():
    y, x = np.mgrid[:8, :8]
    wanted = 0.7 * np.exp(-(y**2) / 2 - x**2 / 6)  # wider along rows, and a share of white noise
    wanted[0, 0] = 1
    taps = taps_of(power_of(wanted))
    assert len(taps) <= MOST + 1
    for lag in ((0, 0), (0, 1), (1, 0), (2, 1), (0, 4)):
        assert autocorrelation(taps, lag) == pytest.approx(wanted[lag], abs=4e-3)


def test_negative_power_is_none():
    impossible = np.zeros((3, 3))
    impossible[0, 0], impossible[0, 1] = 1, 0.9
    power = power_of(impossible)
    assert power.min() == 0 and np.isfinite(taps_of(power)).all()


def test_channels_of_unlike_spectra_correlate_as_asked():
    filters = [taps_of(power_of(film(cloud, 6.0))) for cloud in (2.0, 3.0, 3.6)]
    asked = np.array([[1, 0.4, 0.1], [0.4, 1, -0.3], [0.1, -0.3, 1]])
    weights = mixing(asked, filters)
    np.testing.assert_allclose((weights**2).sum(1), 1)
    shared = weights @ weights.T
    for i in range(3):
        for j in range(3):
            assert shared[i, j] * overlap(filters[i], filters[j]) == pytest.approx(asked[i, j], abs=1e-6)


def test_correlations_that_cannot_be_come_near():
    weights = mixing(np.array([[1, 0.9, -0.9], [0.9, 1, 0.9], [-0.9, 0.9, 1]]), [np.ones((1, 1))] * 3)
    np.testing.assert_allclose((weights**2).sum(1), 1)
    assert np.isfinite(weights).all() and (weights @ weights.T)[0, 1] > 0.2


@pytest.mark.parametrize("domain", ["linear", "log", "density"])
def test_the_mean_light_is_kept(domain):
    code = coding(domain, load_stock("500T").curves)
    light = np.repeat(np.array([[-0.02, 0.0, 1e-3, 0.01, 0.18, 2.0, 40.0]]), 3, axis=0)
    levels = code.encode(light)
    sigma = np.full(levels.shape, 0.1 if domain == "density" else 0.3)
    bias = mean_bias(code, levels, sigma)
    at, weight = np.polynomial.hermite_e.hermegauss(80)
    mean = code.decode(levels[..., None] + sigma[..., None] * (at - bias[..., None])) @ (weight / weight.sum())
    np.testing.assert_allclose(mean, light, rtol=5e-3, atol=3e-5)
    if domain != "linear":
        plain = code.decode(levels[..., None] + sigma[..., None] * at) @ (weight / weight.sum())
        assert plain[2, 4] > 1.02 * light[2, 4], "without it the mean would rise"
