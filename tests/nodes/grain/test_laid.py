"""Laid-in grain, measured as a difference: right where a picture full of texture hides it."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.laid import laid_grain
from safelight.nodes.grain.residual import radial
from tests.nodes.grain.test_analyse import grained, rings


def pictures(count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Texture of half a stop on a ramp; the same with grain of 0.1 stops above a toe, green and blue sharing some."""
    rng = np.random.default_rng(1)
    ramp = np.linspace(-2, 2, 384) + 0.5 * rng.standard_normal((count, 3, 320, 384))
    field = grained(rng, ramp.shape, 3.0, 9.0)
    field[:, 2] = 0.6 * field[:, 1] + 0.8 * field[:, 2]
    before = 0.18 * 2.0**ramp
    log = coding("log")
    return before, log.decode(log.encode(before) + 0.1 * field)


def test_sigma_spectrum_and_correlation_under_texture() -> None:
    before, after = pictures()
    before[0, 1, 5, 5] = after[0, 1, 5, 5] = np.nan
    found = laid_grain(zip(before, after, strict=True), coding("log"), "RGB")
    for c, one in enumerate(found.readings.values()):
        assert len(one.level) >= 6 and one.sigma == pytest.approx(np.full(len(one.sigma), 0.1), rel=0.04)
        assert (one.error < 0.04 * one.sigma).all()
        np.testing.assert_allclose(radial(found.correlation[c], 10), rings(3.0, 9.0), rtol=0.1)
    np.testing.assert_allclose(found.channels, [[1, 0, 0], [0, 1, 0.6], [0, 0.6, 1]], atol=0.02)


def test_along_and_across_are_told_apart() -> None:
    before, _ = pictures()
    rng = np.random.default_rng(3)
    white = rng.standard_normal((2, 3, 321, 384))
    down = (white[:, :, 1:] + white[:, :, :-1]) / 2**0.5
    found = laid_grain(zip(before, before + 0.01 * down, strict=True), coding("linear"), "RGB")
    assert found.correlation[0][1, 0] == pytest.approx(0.5, abs=0.02) and abs(found.correlation[0][0, 1]) < 0.02


def test_where_nothing_was_laid_in_there_is_none() -> None:
    before, _ = pictures(1)
    assert laid_grain([(before[0], before[0])], coding("log"), "RGB").silent
    assert laid_grain([], coding("log"), "RGB").silent
    missing = np.full_like(before[0], np.nan)
    assert laid_grain([(missing, missing)], coding("log"), "RGB").silent
    tiny = before[0][:, :5, :7]
    assert laid_grain([(tiny, 2 * tiny)], coding("log"), "RGB").silent
