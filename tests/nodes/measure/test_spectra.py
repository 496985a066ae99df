"""Power by frequency, and correlation with edges."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.nodes.measure.spectra import edge_correlation, ring_power, ring_ratio


def test_a_wave_lies_in_its_ring() -> None:
    y, x = np.mgrid[:120, :160]
    for frequency, ring in ((0.07, 1), (0.26, 5), (0.48, 9)):
        for wave in (np.cos(2 * np.pi * frequency * x), np.cos(2 * np.pi * frequency * y)):
            power = ring_power(wave[None])
            assert power.argmax() == ring and power[ring] > 0.9 * power.sum()


def test_ratio_is_of_powers_and_blind_to_the_mean() -> None:
    noise = np.random.default_rng(2).standard_normal((3, 64, 80))
    np.testing.assert_allclose(ring_ratio(noise * 0.5 + 7, noise), 0.25, rtol=1e-6)


def test_edges_are_found_in_what_was_taken() -> None:
    rng = np.random.default_rng(3)
    clean = np.repeat(np.repeat(rng.random((3, 12, 16)), 8, axis=1), 8, axis=2)
    noise = rng.standard_normal(clean.shape)
    assert edge_correlation(noise, clean) < 0.02
    for axis in (1, 2):
        assert edge_correlation(noise + 2 * np.gradient(clean, axis=axis), clean) > 0.1
    assert edge_correlation(noise, np.ones_like(clean)) == 0.0


def test_bad_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="20 pixels"):
        ring_power(np.zeros((3, 19, 40)))
    with pytest.raises(ValueError, match="alike"):
        edge_correlation(np.zeros((3, 20, 20)), np.zeros((3, 20, 21)))
