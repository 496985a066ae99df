"""The classical half of the resolution benchmark, small: sane figures."""

from __future__ import annotations

import math

from safelight.host_adapters.cli.bench._resolution_classical import rows


def test_quick() -> None:
    found = {row.name: row.value for row in rows(quick=True)}
    assert all(math.isfinite(value) for value in found.values())
    assert found["×2: fidelity"] > found["×2: Lanczos"] > found["×2: bicubic"]
    assert found["×2: light not kept"] < 1 and found["×4: light not kept"] < 1
    assert found["overshoot over Lanczos'"] < 0.25
