"""Resolution: pictures enlarged, by their pixels and by nets, and codecs' blocks taken out; each beside its peers."""

from __future__ import annotations

from safelight.host_adapters.cli.bench import _resolution_classical, _resolution_learned
from safelight.host_adapters.cli.bench.table import Row


def run(*, quick: bool) -> list[Row]:
    """Measure."""
    return [*_resolution_classical.rows(quick), *_resolution_learned.rows(quick)]
