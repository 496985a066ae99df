import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from safelight.nodes.grain.spectrum import aperture_factor, covariance, pixel_ratio
from safelight.nodes.measure.microdensitometer import Microdensitometer, disc_weights


@pytest.mark.parametrize("pitch", [12.15, 6.08, 4.05, 1.0, 60.0])
def test_weights_are_the_discs_area_in_each_pixel(pitch):
    weights = disc_weights(48.0, pitch)
    assert weights.sum() == pytest.approx(1)
    assert np.all(weights >= 0)
    np.testing.assert_allclose(weights, weights[::-1])
    np.testing.assert_allclose(weights, weights.T, atol=1e-12)
    half = weights.shape[0] // 2
    assert (half - 0.5) * pitch <= 24.0 <= (half + 0.5) * pitch or half == 0
    # A whole pixel's weight is its area over the disc's.
    if pitch < 20:
        assert weights[half, half] == pytest.approx(pitch**2 / (np.pi * 24**2), rel=2e-4)


@pytest.mark.parametrize(("pitch", "kappa"), [(12.15, 0.917), (6.08, 0.974), (4.05, 0.988)])
def test_kappa_is_the_published_one(pitch, kappa):
    assert Microdensitometer(pitch).kappa(3.0) == pytest.approx(kappa, abs=5e-4)


@pytest.mark.parametrize(("pitch", "diameter"), [(12.15, 43.86), (6.08, 46.00), (4.05, 46.68)])
def test_a_disc_of_equal_noise_area_needs_no_kappa(pitch, diameter):
    # Its readings of pixels equal the 48 µm disc's on film.
    assert Microdensitometer(pitch, diameter).kappa(3.0) == pytest.approx(1, abs=0.02)


def test_kappa_is_the_double_sum():
    meter = Microdensitometer(12.15)
    weights = meter.weights
    lag = covariance(1.0, 3.0, 12.15, weights.shape[0])
    total = 0.0
    for (a, b), v in np.ndenumerate(weights):
        for (c, d), w in np.ndenumerate(weights):
            total += v * w * lag[abs(a - c), abs(b - d)]
    assert meter.kappa(3.0) == pytest.approx(np.sqrt(total), rel=1e-9)


def test_readings_are_means_under_the_disc():
    rng = np.random.default_rng(2)
    picture = rng.random((31, 42))
    meter = Microdensitometer(6.08)
    size = meter.weights.shape[0]
    found = meter.readings(picture, 4)
    assert found.shape == ((31 - size) // 4 + 1, (42 - size) // 4 + 1)
    for (y, x), value in np.ndenumerate(found):
        assert value == pytest.approx(np.sum(meter.weights * picture[4 * y : 4 * y + size, 4 * x : 4 * x + size]))
    np.testing.assert_allclose(meter.readings(np.full((40, 40), 1.5)), 1.5)


def test_a_picture_smaller_than_the_disc_is_refused():
    with pytest.raises(ValueError, match="at least 9 pixels"):
        Microdensitometer(6.08).readings(np.zeros((5, 50)))


@pytest.mark.parametrize("cloud", [3.0])
def test_poisson_dye_clouds_are_an_independent_witness(cloud):
    """Clouds strewn by a Poisson process, seen by a disc on the film and by pixels: no spectrum, no kernel.

    Their sigma under the disc, a pixel's, a pixel's covariance with its neighbour's, and what the virtual instrument
    makes of the pixels, all as the formulas say.
    """
    cell, fold, side, density = 6.08 / 6, 6, 3072, 0.05
    rng = np.random.default_rng(11)
    y, x = np.mgrid[-24:25, -24:25] * cell
    disc = (np.hypot(y, x) <= 24.0).astype(float)
    disc /= disc.sum()
    meter = Microdensitometer(6.08)
    read, seen, pixel, beside = [], [], [], []
    for _ in range(5):
        clouds = rng.poisson(density * cell**2, (side, side)).astype(float)
        film = gaussian_filter(clouds, cloud / cell, mode="wrap", truncate=5)
        film -= film.mean()
        spectrum = np.fft.rfft2(film)
        under = np.fft.irfft2(spectrum * np.fft.rfft2(np.roll(np.pad(disc, (0, side - 49)), (-24, -24), (0, 1))))
        read.append(under[::12, ::12].var())
        pixels = film.reshape(side // fold, fold, side // fold, fold).mean((1, 3))
        pixel.append(pixels.var())
        beside.append((pixels * np.roll(pixels, 1, 1)).mean())
        seen.append(meter.readings(pixels, 2).var())
    sigma48 = np.sqrt(np.mean(read))
    # Poisson: a cell of area c holds density * c clouds, each of amount 1 / c once spread: W0 = density * c².
    white = np.sqrt(density * cell**4 * aperture_factor(cloud) / (np.pi * 24.0**2))
    assert sigma48 == pytest.approx(white, rel=0.02)
    assert np.sqrt(np.mean(pixel)) / sigma48 == pytest.approx(pixel_ratio(cloud, 6.08), rel=0.02)
    lag = covariance(1.0, cloud, 6.08, 1)
    assert np.mean(beside) / np.mean(pixel) == pytest.approx(lag[0, 1] / lag[0, 0], abs=0.01)
    assert np.sqrt(np.mean(seen)) / meter.kappa(cloud) == pytest.approx(sigma48, rel=0.01)
