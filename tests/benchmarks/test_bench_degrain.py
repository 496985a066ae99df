"""The benchmark runs and its figures are sane."""

from __future__ import annotations

import numpy as np

from safelight.host_adapters.cli.bench.degrain import run


def test_quick_run() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert all(np.isfinite(row.value) for row in rows.values())
    gain = rows["Plate: Degrain"].value - rows["Plate: noisy"].value
    assert gain > 5
    assert rows["500T at 4K: gain, noise auto"].value > 4
    if "Plate: gain over nlmeans" in rows:
        assert rows["Plate: gain over nlmeans"].value > 0.5
