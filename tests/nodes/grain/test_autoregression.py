"""The autoregression of AV1's film grain: its arithmetic against slow loops, its fit against known spectra."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.nodes.grain.autoregression import SIDE, Target, fit, neighbours, resampled, run
from safelight.nodes.grain.spectrum import spectrum_1d


def film(cloud: float, pitch: float) -> np.ndarray:
    """The spectrum of grain, mean 1."""
    line = spectrum_1d(cloud, pitch, np.fft.fftfreq(SIDE))
    return np.outer(line, line) / line.mean() ** 2


@pytest.mark.parametrize("lag", [0, 1, 2, 3])
def test_filtering_is_the_standards_loop(lag: int) -> None:
    rng = np.random.default_rng(lag)
    a = rng.normal(size=2 * lag * (lag + 1)) * 0.1
    noise = rng.standard_normal((2, 11, 17))
    slow = noise.copy()
    for y in range(3, 11):
        for x in range(3, 14):
            for value, (dy, dx) in zip(a, neighbours(lag), strict=True):
                slow[:, y, x] += value * slow[:, y + dy, x + dx]
    np.testing.assert_allclose(run(a, lag, noise), slow, rtol=1e-12, atol=1e-12)


def test_halving_is_the_mean_of_four() -> None:
    spectrum = film(3.0, 6.0)
    rng = np.random.default_rng(1)
    field = np.fft.ifft2(np.fft.fft2(rng.standard_normal((900, SIDE, SIDE))) * np.sqrt(spectrum)).real
    half = field.reshape(900, SIDE // 2, 2, SIDE // 2, 2).mean((2, 4))
    power = (np.abs(np.fft.fft2(half)) ** 2).mean(0) / (SIDE / 2) ** 2
    found = resampled(spectrum, 2.0)
    assert found.mean() == pytest.approx(half.var(), rel=0.01)
    # The same frequencies, cycles a new pixel: every second of ours.
    np.testing.assert_allclose(found[::2, ::2], power, rtol=0.25)
    assert np.abs(found[::2, ::2] / power - 1).mean() < 0.04


@pytest.mark.parametrize("ratio", [1.0, 0.5, 1.5, 3.0])
def test_a_smaller_picture_keeps_the_variance_that_its_pixels_average(ratio: float) -> None:
    # Gaussian clouds seen by larger pixels are the same model at a larger pitch.
    fine = film(6.0, 4.0)
    line = spectrum_1d(6.0, 4.0 * ratio, np.fft.fftfreq(SIDE))
    found = resampled(fine, ratio)
    np.testing.assert_allclose(found / found.mean(), np.outer(line, line), atol=0.06 * np.outer(line, line).max())


def test_white_noise_needs_no_filter() -> None:
    white = np.ones((SIDE, SIDE))
    found = fit(Target(white), Target(white), Target(white))
    assert found.lag == 0 and found.y.coefficients == () and found.cb is not None and found.cb.coefficients == (0,)
    assert found.y.sigma == pytest.approx(1, rel=0.01)


def test_an_autoregression_is_found_again() -> None:
    f = np.fft.fftfreq(SIDE)
    # 0.5 from the left and 0.25 from above: whole numbers at every shift.
    transfer = 1 / (1 - 0.5 * np.exp(-2j * np.pi * f)[None] - 0.25 * np.exp(-2j * np.pi * f)[:, None])
    found = fit(Target(np.abs(transfer) ** 2), None, None)
    assert found.lag == 1 and found.cb is None
    wanted = {(0, -1): 0.5, (-1, 0): 0.25, (-1, -1): 0.0, (-1, 1): 0.0}
    for place, value in zip(neighbours(1), found.y.coefficients, strict=True):
        assert value / 2**found.shift == pytest.approx(wanted[place], abs=0.02)


@pytest.mark.parametrize(("pitch", "off", "ring"), [(12.0, 0.02, 0.03), (6.0, 0.03, 0.1)])
def test_the_grain_of_film(pitch: float, off: float, ring: float) -> None:
    luma = film(3.0, pitch)
    chroma = np.maximum(resampled(luma, 2.0), 1e-3)
    found = fit(Target(luma), Target(chroma, -0.1), Target(chroma, -0.4))
    assert found.cb is not None and found.cr is not None
    for plane in (found.y, found.cb, found.cr):
        assert plane.misfit < off and max(map(abs, plane.coefficients)) <= 127
    assert found.cb.correlation == pytest.approx(-0.1, abs=0.02)
    assert found.cr.correlation == pytest.approx(-0.4, abs=0.02)
    noise = np.random.default_rng(9).standard_normal((200, SIDE + 24, SIDE + 24))
    made = run(np.array(found.y.coefficients) / 2**found.shift, found.lag, noise)[:, 21:-3, 12:-12]
    assert made.std() == pytest.approx(found.y.sigma, rel=0.02)
    window = np.outer(*[np.hanning(SIDE)] * 2)
    window /= np.sqrt(np.square(window).mean())
    power = (np.abs(np.fft.fft2(made * window)) ** 2).mean(0)
    f = np.fft.fftfreq(SIDE)
    radius = (np.hypot(f[:, None], f[None]) * 20).astype(int)
    for index in range(1, 10):
        here = radius == index
        assert power[here].mean() / power.mean() == pytest.approx(luma[here].mean() / luma.mean(), rel=ring), index


def test_grain_too_coarse_for_the_standard_says_how_far_off_it_is() -> None:
    found = fit(Target(np.maximum(film(3.0, 1.5), 1e-3)), None, None)
    assert found.y.misfit > 0.05
    assert np.isfinite(found.y.sigma)
