"""`bench engine`, small: figures that make sense."""

from __future__ import annotations

from safelight.host_adapters.cli.bench.engine import run


def test_engine() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert len(rows) == 5
    held = rows["pixels held at most, 40 frames"].value * 1e9
    # At least the two windows of eleven frames; at most those, what is read ahead and what waits.
    assert 11 * 512 * 288 * 12 < held < 60 * 512 * 288 * 12
    resident = rows["peak resident, 40 frames"].value * 1e9
    assert held < resident < 2e9
    assert 0.5 < rows["peak resident, 40 frames over 20"].value < 1.5
    assert rows["planning 100 frames"].value > 0 and rows["engine, 40 frames"].value > 0
