"""The benchmark of Restore runs, its ways to wear pictures wear them, and the net undoes it."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")


def test_quick_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.host_adapters.cli.bench._resolution_restore import rows, wears

    monkeypatch.delenv("SAFELIGHT_TEST_DATA", raising=False)
    found = {row.name: row for row in rows(quick=True)}
    assert all(np.isfinite(row.value) for row in found.values())
    for name in wears():
        # On the Plate, which is a drawing, light wear leaves a net nothing to gain.
        assert found[f"{name}: Restore"].value > found[f"{name}: Lanczos"].value - 0.2
        assert found[f"{name}: Restore over the sequence"].target
    assert found["as trained: Restore"].value > found["as trained: Lanczos"].value + 1
    assert found["Restore: float16 off float32"].value < 0.5


@pytest.mark.parametrize(("codec", "options"), [("libx264", {"crf": "8"}), ("mpeg2video", {"qmin": "2", "qmax": "2"})])
def test_a_codec_changes_little_and_not_the_colours(codec: str, options: dict[str, str]) -> None:
    av = pytest.importorskip("av")
    from safelight.host_adapters.cli.bench._resolution_restore import filmed

    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no {codec}")
    y, x = np.mgrid[:48, :64]
    codes = np.stack([60 + 2 * x, 200 - 2 * y, 90 + x + y]).astype(np.uint8)
    error = filmed(codes, codec, options).astype(float) - codes
    assert 0 < np.abs(error).mean() < 3 and np.abs(error.mean((1, 2))).max() < 1.5
