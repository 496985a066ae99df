"""The benchmark of Deblur, small: its blurs are blurs, its peers work, its bound holds."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.fft import irfft2, rfft2

from safelight.host_adapters.cli.bench._resolution_deblur import blurs, richardson_lucy, rows, wiener


def test_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFELIGHT_TEST_DATA", raising=False)
    found = {row.name: row.value for row in rows(quick=True)}
    assert all(math.isfinite(value) for value in found.values())
    assert found["Gaussian 1.5, fine grain: Deblur, gain"] > 0
    for name in blurs():
        assert found[f"{name}: Deblur, overshoot at steps"] < 12
    assert found["Gaussian 1.5, fine grain: Deblur, beyond the range"] <= 20.001


@pytest.mark.parametrize("name", list(blurs()))
def test_what_peers_are_told_is_what_was_done(name: str) -> None:
    one = blurs()[name]
    plane = np.zeros((96, 128))
    plane[40:60, 50:80] = 1.0
    told = irfft2(rfft2(plane) * one.transfer(plane.shape), s=plane.shape)
    # What a stock does reaches further than the window that a point is seen in.
    np.testing.assert_allclose(told, one.apply(plane), atol=0.01 if "500T" in name else 1e-6)


def test_peers_sharpen() -> None:
    one = blurs()["Gaussian 1.5"]
    plane = np.full((96, 96), 0.2)
    plane[:, 48:] = 0.7
    given = one.apply(plane) + 0.001 * np.random.default_rng(1).standard_normal(plane.shape)
    for made in (wiener(given, one.transfer, 0.001), list(richardson_lucy(given, one.transfer))[-1]):
        assert np.abs(np.diff(made[40:56])).max() > 1.5 * np.abs(np.diff(given[40:56])).max()
        assert np.mean((made - plane)[:, 40:56] ** 2) < np.mean((given - plane)[:, 40:56] ** 2)
