"""Curves through readings, far lags from rings, what is missing, and the figures of a comparison."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.nodes.grain.likeness import Grain, Readings, compact, compare, completed, fit, lights, missing, places
from safelight.nodes.grain.residual import radial
from safelight.nodes.grain.synthesis import power_of
from tests.nodes.grain.test_synthesis import film

LEVELS = 0.18 * 2.0 ** np.arange(-5, 5, 0.5)


def readings(sigma: Any, error: float = 0.01) -> Readings:
    values = np.broadcast_to(np.asarray(sigma, np.float64), LEVELS.shape)
    return Readings(LEVELS, values, error * values)


def grain(sigma: Any, shape: np.ndarray, shared: float = 0.0) -> Grain:
    one = readings(sigma)
    channels = np.eye(3) + shared * (np.ones((3, 3)) - np.eye(3))
    return Grain(dict.fromkeys("RGB", one), np.stack([shape] * 3), channels)


def clean() -> Grain:
    empty = Readings(np.zeros(0), np.zeros(0), np.zeros(0))
    return Grain(dict.fromkeys("RGB", empty), np.stack([film(2, 1000)] * 3), np.eye(3))


def test_places_and_lights_are_inverse() -> None:
    light = np.array([-3.0, -1e-4, 0, 1e-5, 0.18, 900])
    np.testing.assert_allclose(lights(places(light)), light, atol=1e-12)


def test_the_fit_follows_a_curve_and_passes_over_texture() -> None:
    rng = np.random.default_rng(1)
    true = 0.1 * 2.0 ** (-np.arange(-5, 5, 0.5) / 4)
    seen = true * (1 + 0.01 * rng.standard_normal(len(true)))
    seen[7] *= 1.3  # texture
    where, variance = fit(readings(seen))
    made = np.exp(0.5 * np.interp(places(LEVELS), where, variance))
    np.testing.assert_allclose(made, true, rtol=0.025)
    one = Readings(LEVELS[:1], np.array([0.2]), np.array([0.01]))
    assert np.exp(0.5 * fit(one)[1]) == pytest.approx(0.2, rel=1e-3)


def test_beyond_what_was_measured_a_curve_keeps_its_end() -> None:
    made = grain(0.1 * LEVELS**0.2, film(3, 9))
    low, high = made.curve("R", LEVELS[[0, -1]])
    np.testing.assert_allclose(made.curve("R", [-1, 0, 1e5]), [low, low, high])
    assert not clean().curve("R", LEVELS).any() and clean().silent and not made.silent


def test_far_lags_that_are_noise_are_dropped_and_others_kept() -> None:
    rng = np.random.default_rng(2)
    true = film(3.0, 9.0)
    seen = true + 0.004 * rng.standard_normal(true.shape)
    seen[0, 0] = 1
    kept = compact(seen, 1000)
    assert not kept[4:].any() and not kept[:, 4:].any()
    np.testing.assert_array_equal(kept[:2, :2], seen[:2, :2])
    striped = seen.copy()
    striped[0, 6] = 0.2
    np.testing.assert_array_equal(compact(striped, 1000)[:7, :7], striped[:7, :7])


@pytest.mark.parametrize("pitch", [12.0, 6.0, 3.0])
def test_a_profiles_lags_and_rings_give_the_autocorrelation_back(pitch: float) -> None:
    true = film(3.0, pitch)
    made = completed(true[:4, :4].tolist(), radial(true, 10).tolist())
    np.testing.assert_array_equal(made[:4, :4], true[:4, :4])
    np.testing.assert_allclose(radial(made, 10), radial(true, 10), rtol=0.05, atol=0.02)
    assert completed([], [])[0, 0] == 1 and completed([], []).sum() == 1


def test_what_is_missing_completes_sigma_spectrum_and_correlation() -> None:
    wanted, own = grain(0.10, film(3.0, 9.0), 0.3), grain(0.06, film(2.0, 9.0))
    lack = missing(wanted, own)
    np.testing.assert_allclose(lack.sigma, 0.08, rtol=1e-3)
    total = 0.64 * power_of(lack.correlation[0]) + 0.36 * power_of(own.correlation[0])
    np.testing.assert_allclose(total, power_of(wanted.correlation[0]), rtol=0.02, atol=0.01)
    assert 0.64 * lack.channels[0, 1] == pytest.approx(0.3, rel=1e-3)
    assert not lack.more and not lack.excess
    whole = missing(wanted, None)
    np.testing.assert_allclose(whole.sigma, 0.1, rtol=1e-3)
    np.testing.assert_array_equal(missing(wanted, clean()).sigma, whole.sigma)


def test_more_of_the_own_is_told_by_exposure_and_by_frequency() -> None:
    strong = missing(grain(0.1, film(3.0, 9.0)), grain(0.1 * (LEVELS / 0.18) ** 0.2, film(3.0, 9.0)))
    ratio, light = strong.more["G"]
    assert ratio == pytest.approx((LEVELS[-1] / 0.18) ** 0.2, rel=0.02) and light == pytest.approx(LEVELS[-1])
    assert (strong.sigma[:, strong.light > 0.3] == 0).all() and (strong.sigma[:, strong.light < 0.1] > 0).all()
    fine = missing(grain(0.1, film(3.5, 5.0)), grain(0.07, film(0.5, 5.0)))
    ratio, frequency = fine.excess["R"]
    assert ratio > 1.5 and frequency > 0.3 and not fine.more


def test_comparison_of_grain_with_itself_with_none_and_with_other() -> None:
    wanted = grain(0.1, film(3.0, 9.0), 0.3)
    same = compare(wanted, wanted)
    assert same["correlation"] == 0
    assert all(row["sigma_rms"] == row["spectrum_rms"] == 0 and row["levels"] >= 9 for row in same["channels"].values())
    none = compare(wanted, clean())
    assert none["correlation"] == 0.3
    assert all(row["sigma_worst"] == row["spectrum_worst"] == -1 for row in none["channels"].values())
    other = compare(wanted, grain(0.11, film(2.0, 9.0)))["channels"]["B"]
    assert other["sigma_worst"] == pytest.approx(0.1, abs=1e-3) and other["spectrum_worst"] > 0.3


def test_grain_as_data_and_back() -> None:
    wanted = grain(0.1 * LEVELS**0.1, film(3.0, 9.0), 0.3)
    back = Grain.from_data(wanted.as_data())
    np.testing.assert_allclose(back.curve("G", LEVELS), wanted.curve("G", LEVELS), rtol=1e-3)
    np.testing.assert_allclose(back.correlation, wanted.correlation, atol=1e-5)


def test_grain_for_other_channels() -> None:
    rgb = grain(0.1, film(3.0, 9.0), 0.3)
    assert list(rgb.like("Y").readings) == ["Y"] and rgb.like("Y").channels.tolist() == [[1.0]]
    shared = rgb.like("Y").like("RGB")
    assert list(shared.readings) == ["R", "G", "B"] and (shared.channels == 1).all()
    assert rgb.like("BG").channels[0, 1] == 0.3
    with pytest.raises(KeyError):
        rgb.like("Z")
