"""The benchmark runs and its figures are sane."""

from __future__ import annotations

import numpy as np

from safelight.host_adapters.cli.bench.degrain import run


def test_quick_run() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert all(np.isfinite(row.value) for row in rows.values())
    gain = rows["moving scene: Degrain"].value - rows["moving scene: noisy"].value
    assert gain > 6
    if "moving scene: gain over nlmeans" in rows:
        assert rows["moving scene: gain over nlmeans"].value > 0.5
