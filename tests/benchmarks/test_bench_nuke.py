"""The benchmark of the Nuke plug-in runs, and says something of everything."""

from __future__ import annotations

import numpy as np

from safelight.host_adapters.cli.bench.nuke import run


def test_quick_run() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert set(rows) == {"menu: clock", "menu: processor", "document to nodes", "nodes to document"}
    assert all(np.isfinite(row.value) and row.value > 0 for row in rows.values())
