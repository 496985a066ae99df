"""Restore beside denoisers, Upscale and two nets in sequence: the part of `resolution` that is about it, by itself."""

from __future__ import annotations

from safelight.host_adapters.cli.bench import _resolution_restore
from safelight.host_adapters.cli.bench.table import Row


def run(*, quick: bool) -> list[Row]:
    """Measure."""
    return _resolution_restore.rows(quick)
