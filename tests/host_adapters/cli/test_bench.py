"""`safelight bench`: finding benchmarks and printing their rows."""

from __future__ import annotations

import json
import math

import pytest
from typer.testing import CliRunner

from safelight.host_adapters.cli.bench.table import Row, as_data, as_table, as_text
from safelight.host_adapters.cli.commands.bench import benches
from safelight.host_adapters.cli.main import app


def test_benches_are_found_by_looking() -> None:
    assert "engine" in benches() and "table" not in benches() and not any(name.startswith("_") for name in benches())
    listed = CliRunner().invoke(app, ["bench"])
    assert listed.exit_code == 0 and listed.output.split() == benches()
    assert json.loads(CliRunner().invoke(app, ["bench", "--json"]).output) == {"benches": benches()}


def test_rows_are_printed_and_are_json(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Row("ours over copy", 3.14159, "×", "≤ 12", "4K"), Row("nothing", math.inf, "dB")]
    monkeypatch.setattr("safelight.host_adapters.cli.bench.engine.run", lambda *, quick: rows)
    shown = CliRunner().invoke(app, ["bench", "engine", "--quick"])
    assert shown.exit_code == 0 and "3.142" in shown.output and "≤ 12" in shown.output and "∞" in shown.output
    found = CliRunner().invoke(app, ["bench", "engine", "--json"])
    said = json.loads(found.stdout)
    assert said["rows"] == as_data(rows) and said["rows"][1]["value"] is None and said["machine"]["cores"] >= 1
    assert as_table("x", rows).row_count == 2


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (1e-9, "1.000e-09"), (123456, "123456"), (0.5, "0.5"), (math.nan, "not a number")]
)
def test_figures(value: float, text: str) -> None:
    assert as_text(value) == text
