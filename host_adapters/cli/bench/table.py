"""What a benchmark reports: rows, as a table for a person or as plain data for a machine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table


@dataclass(frozen=True)
class Row:
    """One figure of a benchmark."""

    name: str
    """What was measured."""
    value: float
    """The figure; a ratio where ours stands beside a peer in the same run."""
    unit: str
    """Unit of the value ("ms", "dB", "×", "MB"); empty for a plain number."""
    target: str = ""
    """What is wanted, for a person ("≤ 1.2", "≥ 1 dB")."""
    note: str = ""
    """Conditions: sizes, settings, the peer's version."""


def as_text(value: float) -> str:
    """Write a figure with four significant digits at most, without an exponent where it can be read without.

    >>> as_text(0.012345), as_text(1234.56), as_text(3.0)
    ('0.01235', '1235', '3')
    """
    if not math.isfinite(value):
        return "∞" if value > 0 else "-∞" if value < 0 else "not a number"
    if value == 0 or 1e-4 <= abs(value) < 1e7:
        text = f"{value:.{max(0, 3 - math.floor(math.log10(abs(value))))}f}" if value else "0"
        return text.rstrip("0").rstrip(".") if "." in text else text
    return f"{value:.3e}"


def as_data(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows as plain data; a figure that is no finite number becomes null, as JSON has no word for it."""
    return [{**asdict(row), "value": row.value if math.isfinite(row.value) else None} for row in rows]


def as_table(name: str, rows: Sequence[Row]) -> Table:
    """Return the rows as a rich table."""
    from rich.table import Table

    table = Table(title=f"bench {name}", title_justify="left")
    table.add_column("name")
    table.add_column("value", justify="right")
    table.add_column("unit")
    table.add_column("target")
    table.add_column("note", overflow="fold")
    for row in rows:
        table.add_row(row.name, as_text(row.value), row.unit, row.target, row.note)
    return table
