"""The benchmark of learned enlarging runs, and what must be exact is."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")


def test_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.host_adapters.cli.bench._resolution_learned import rows

    monkeypatch.delenv("SAFELIGHT_TEST_DATA", raising=False)
    found = {row.name: row for row in rows(quick=True)}
    assert all(np.isfinite(row.value) for row in found.values())
    for model in ("main", "fast"):
        assert found[f"{model}: pixels of tiles unlike the whole"].value == 0
        assert found[f"{model}: reduced again, off the input"].value < 1 / 4096
        assert found[f"{model}: float16 off float32"].value < 0.1
        for scale in (2, 4):
            assert (
                found[f"x{scale}: {model}"].value
                > found[f"x{scale}: Lanczos"].value
                > found[f"x{scale}: bicubic"].value
            )
            light = f"x{scale} of means of light: "
            assert found[f"{light}{model}, reduction area"].value > found[f"{light}Lanczos"].value + 0.5
