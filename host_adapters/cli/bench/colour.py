"""Colour: faded dyes brought back, the lift to HDR and back, and delivery; each beside what others would do."""

from __future__ import annotations

from safelight.host_adapters.cli.bench import _colour_delivery, _colour_fade, _colour_lift
from safelight.host_adapters.cli.bench.table import Row


def run(*, quick: bool) -> list[Row]:
    """Measure."""
    return [*_colour_fade.rows(quick), *_colour_lift.rows(quick), *_colour_delivery.rows(quick)]
