"""The lift's part of the benchmark of colour runs, and its figures are sane; the peer's curve is the published one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from safelight.host_adapters.cli.bench._colour_lift import method_a, method_a_back, rows


def test_the_peer_is_its_own_inverse_and_reaches_the_peak() -> None:
    sdr = np.random.default_rng(1).uniform(0, 1, (3, 500))
    np.testing.assert_allclose(method_a_back(method_a(sdr)), sdr, atol=2e-3)
    assert method_a(np.ones(3)).max() == pytest.approx(1000, rel=1e-3)


@pytest.mark.slow
def test_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SAFELIGHT_TEST_DATA", raising=False)
    found = {row.name: row.value for row in rows(True)}
    assert all(math.isfinite(value) for value in found.values())
    assert found["lift to 1,000 and back: mean ΔE ITP"] < 0.5
    assert found["under 100 cd/m², 1,000 against 10,000: worst ΔE ITP"] < 0.5
    assert found["hue drift in highlights: 99th percentile"] < 1
    for name, value in found.items():
        if "Barten" in name:
            assert value < 1
