"""The figures of HDR delivery, small: the exact ones must be exact."""

from __future__ import annotations

import math

import pytest

pytest.importorskip("av")

from safelight.host_adapters.cli.bench._colour_delivery import PEAKS, rows


def test_figures() -> None:
    found = {row.name: row for row in rows(True)}
    assert all(math.isfinite(row.value) for row in found.values())
    for peak in PEAKS:
        assert found[f"light: MaxCLL off the files', peak {peak}"].value == 0
        assert found[f"light: MaxFALL off the files', peak {peak}"].value < 1e-12
    assert found["ACES 2 against OpenColorIO's transforms"].value < 0.5
    assert found["plain PQ against the formula"].value < 0.5
    assert found["plain HLG shown at 1000 cd/m²: light off"].value < 1e-3
    assert sum(name.startswith("figures: time") for name in found) == 3
