"""Resolution: pictures enlarged, by their pixels and by nets, codecs' blocks and blur taken out, and all at once by
Restore; each beside its peers."""

from __future__ import annotations

from safelight.host_adapters.cli.bench import (
    _resolution_classical,
    _resolution_deblock,
    _resolution_deblur,
    _resolution_learned,
    _resolution_restore,
)
from safelight.host_adapters.cli.bench.table import Row


def run(*, quick: bool) -> list[Row]:
    """Measure."""
    return [
        *_resolution_classical.rows(quick),
        *_resolution_deblock.rows(quick),
        *_resolution_deblur.rows(quick),
        *_resolution_learned.rows(quick),
        *_resolution_restore.rows(quick),
    ]
