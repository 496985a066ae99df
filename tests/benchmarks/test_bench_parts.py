"""Benchmarks that are put together from parts hold every part there is; the parts have tests of their own."""

from __future__ import annotations

import importlib
import pkgutil

import pytest

from safelight.host_adapters.cli import bench
from safelight.host_adapters.cli.bench.table import Row


@pytest.mark.parametrize("name", ["colour", "resolution"])
def test_every_part_is_measured(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = sorted(info.name for info in pkgutil.iter_modules(bench.__path__) if info.name.startswith(f"_{name}_"))
    modules = {part: importlib.import_module(f"{bench.__name__}.{part}") for part in parts}
    measured = [part for part, module in modules.items() if hasattr(module, "rows")]
    for part in measured:
        monkeypatch.setattr(modules[part], "rows", lambda quick, part=part: [Row(part, float(quick), "")])
    found = importlib.import_module(f"{bench.__name__}.{name}").run(quick=True)
    assert sorted(row.name for row in found) == measured and len(measured) >= 2
    assert all(row.value == 1 for row in found)
