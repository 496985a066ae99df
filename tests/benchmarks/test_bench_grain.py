"""The grain benchmark runs, its figures are sane, and its measures say what is known of made-up fields."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from safelight.host_adapters.cli.bench._clips import plate
from safelight.host_adapters.cli.bench._known import Known, ring_power
from safelight.host_adapters.cli.bench.grain import run


def test_quick_run() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert all(np.isfinite(row.value) for row in rows.values())
    assert rows["500T at 4K: 48 µm reading, worst error"].value < 5
    assert 0.3 < rows["white noise of the same sigma: 48 µm reading"].value < 0.7
    assert rows["500T at 4K: taken: correlation with edges and texture"].value < 0.5
    assert rows["500T at 4K: Degrain, then Regrain: 48 µm reading"].value < 30
    assert rows["GrainAnalyse, 500T at 4K: sigma, median error"].value < 10
    assert rows["film share, worst error"].value < 20
    if "match to 500T at 4K: sigma curve, worst error" in rows:
        assert rows["match to 500T at 4K: sigma curve, worst error"].value < 30
        assert rows["match to 500T at 4K: 48 µm reading, by the stock's table"].value < 10


@pytest.fixture(scope="module")
def known() -> Known:
    clean = plate(2, 270, 480)
    return Known(np.stack([clean[i].data for i in range(2)]), "500T", 6.08)


def test_grain_itself_is_grain(known: Known) -> None:
    fields = [known.units(known.grained[i].data, known.clean[i], i) for i in range(2)]
    np.testing.assert_allclose(known.readings(fields), 1, atol=0.06)
    np.testing.assert_allclose(known.readings(fields, range(2)), 1, atol=0.15)
    assert np.abs(known.ring_errors(fields)[:, 1:]).max() < 0.12
    assert max(np.abs(one).max() for one in known.edges(fields, range(2))) < 0.02


def test_a_picture_that_was_taken_along_shows(known: Known) -> None:
    """A blur takes edges; half of the grain is a quarter of its power."""
    blurred = [gaussian_filter(known.grained[i].data, (0, 1, 1)) for i in range(2)]
    fields = [known.units(known.grained[i].data, blurred[i], i) for i in range(2)]
    assert known.edges(fields, range(2))[0].min() > 0.1
    shifted = [np.roll(known.clean[i], 1, axis=2) for i in range(2)]
    moved = [known.units(known.clean[i], shifted[i], i) for i in range(2)]
    assert np.abs(known.edges(moved, range(2))[1]).min() > 0.5
    soft = [gaussian_filter(known.clean[i], (0, 1.5, 1.5)) for i in range(2)]
    lost = [known.units(known.clean[i], soft[i], i) for i in range(2)]
    # A blur of the clean picture is seen at edges, hardly where it is flat.
    assert (known.readings(lost, range(2)) < 0.05 * known.readings(lost)).all()
    half = [0.5 * known.units(known.grained[i].data, known.clean[i], i) for i in range(2)]
    np.testing.assert_allclose(known.ring_errors(half)[:, 1:], -0.75, atol=0.05)
    np.testing.assert_allclose(known.readings(half), 0.5, atol=0.03)


def test_rings_of_white_noise() -> None:
    found = ring_power(3 * np.random.default_rng(4).standard_normal((301, 402)))
    np.testing.assert_allclose(found, 9, rtol=0.15)
