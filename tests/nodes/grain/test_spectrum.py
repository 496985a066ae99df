import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import j1

from safelight.nodes.grain import spectrum as sp

CLOUDS = (2.0, 2.4, 2.5, 3.0, 3.6)
PITCHES = (12.15, 6.08, 4.05)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_aperture_factor_is_the_integral_over_the_spectrum(cloud):
    # Formula 1: sigma48² = 2 pi ∫ W(f) [2 J1(pi a f) / (pi a f)]² f df, with W0 = 1.
    def integrand(f):
        x = np.pi * 48.0 * f
        return np.exp(-4 * np.pi**2 * cloud**2 * f**2) * (2 * j1(x) / x) ** 2 * f

    variance = 2 * np.pi * quad(integrand, 1e-12, 1.0, limit=2000, epsabs=1e-16)[0]
    area = np.pi * 24.0**2
    assert variance * area == pytest.approx(sp.aperture_factor(cloud), rel=1e-8)
    assert sp.wiener_zero(np.sqrt(variance), cloud) == pytest.approx(1.0, rel=1e-8)


def test_plain_selwyn_errs_as_published():
    # 4.8, 7.3 and 9.8 % in sigma at 2, 3 and 4 µm.
    errors = [1 - np.sqrt(sp.aperture_factor(cloud)) for cloud in (2.0, 3.0, 4.0)]
    np.testing.assert_allclose(errors, [0.048, 0.073, 0.098], atol=5e-4)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("pitch", (*PITCHES, 1.0, 100.0))
def test_overlaps_are_the_integral_over_two_pixels(cloud, pitch):
    def direct(j):
        def integrand(u):
            return (pitch - abs(u)) / pitch**2 * np.exp(-((j * pitch + u) ** 2) / (4 * cloud**2))

        edges = [point for point in (-j * pitch, 0.0) if -pitch < point < pitch]
        return quad(integrand, -pitch, pitch, points=sorted({*edges}), epsabs=1e-15, limit=500)[0]

    found = sp.pixel_overlaps(cloud, pitch, 5)
    np.testing.assert_allclose(found, [direct(j) for j in range(6)], rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("cloud", CLOUDS)
def test_averaged_fine_pixels_are_coarse_pixels(cloud):
    # 6K averaged three by three is 2K, exactly: the covariance holds the pixel's aperture.
    fine = sp.covariance(0.01, cloud, 4.05, 8)
    for i in range(3):
        for j in range(3):
            mean = (
                sum(
                    fine[abs(a - b - 3 * i), abs(c - d - 3 * j)]
                    for a in range(3)
                    for b in range(3)
                    for c in range(3)
                    for d in range(3)
                )
                / 81
            )
            assert mean == pytest.approx(sp.covariance(0.01, cloud, 12.15, 2)[i, j], rel=1e-9, abs=1e-18)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("pitch", (*PITCHES, 1.41, 0.7, 200.0))
def test_kernel_makes_the_covariance(cloud, pitch):
    made = sp.kernel(cloud, pitch)
    both = np.concatenate([made.taps[:0:-1], made.taps])
    assert np.sum(both**2) == pytest.approx(1, abs=1e-12)
    auto = np.correlate(both, both, "full")[2 * made.half :]
    want = sp.pixel_overlaps(cloud, pitch, 2 * made.half)
    assert np.max(np.abs(auto - want / want[0])) <= sp.TRUNCATION
    assert made.error <= sp.TRUNCATION


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("pitch", PITCHES)
def test_kernel_is_no_wider_than_six_where_scans_are_made(cloud, pitch):
    assert sp.kernel(cloud, pitch).half <= 6


def test_too_fine_a_pitch_is_refused():
    with pytest.raises(ValueError, match="too fine"):
        sp.kernel(3.6, 0.1)


@pytest.mark.parametrize("cloud", CLOUDS)
@pytest.mark.parametrize("pitch", PITCHES)
def test_spectrum_is_the_transform_of_the_covariance(cloud, pitch):
    f = np.linspace(0, 0.5, 101)
    power = sp.spectrum_1d(cloud, pitch, f)
    taps = sp.kernel(cloud, pitch).taps
    response = taps[0] + 2 * np.cos(2 * np.pi * np.outer(f, np.arange(1, taps.size))) @ taps[1:]
    # Aliased sum of the film's spectrum through the pixel: the independent way to the same thing.
    orders = f[:, None] + np.arange(-40, 41)
    alias = np.exp(-4 * np.pi**2 * cloud**2 * (orders / pitch) ** 2) * np.sinc(orders) ** 2
    np.testing.assert_allclose(
        power, alias.sum(1) / (alias.sum(1)[:-1].sum() + alias.sum(1)[1:].sum()) * 200, rtol=2e-4
    )
    np.testing.assert_allclose(response**2, power, atol=1e-3 * power[0])


def test_pixel_sigma_of_wrong_recipes_is_far_off():
    # At 4K, 3 µm: sigma48 as pixel sigma reads a fifth; Selwyn's law on the pixel's area reads nearly double.
    ratio = sp.pixel_ratio(3.0, 6.08)
    assert 1 / ratio < 0.3
    assert np.sqrt(np.pi * 24**2) / 6.08 / ratio > 1.8
