"""The benchmark of Deblock, small: sane figures."""

from __future__ import annotations

import importlib.util
import math
import shutil

from safelight.host_adapters.cli.bench._resolution_deblock import rows


def test_quick() -> None:
    found = {row.name: row.value for row in rows(quick=True)}
    assert all(math.isfinite(value) for value in found.values())
    assert found["Deblock, mjpeg middling: gain"] > 0
    if importlib.util.find_spec("torch") is not None:
        assert found["Deblock's net, mjpeg middling: gain"] > found["Deblock, mjpeg middling: gain"]
    if shutil.which("ffmpeg") is not None:
        assert found["Deblock, MPEG-2, quantiser 3, the Plate: gain"] > 0
