"""The two nets that Restore is compared with: made by one command, used one after the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.graph.device import Device

pytest.importorskip("torch")


def test_both_are_made_and_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safelight.nodes.resolution.learned import storing
    from safelight.nodes.resolution.learned.enlarge import enlarge
    from safelight.nodes.resolution.learned.training import sequence

    random = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for k in range(2):
        small = random.integers(0, 255, (60, 60, 3), np.uint8)
        Image.fromarray(small).resize((240, 240), Image.Resampling.BICUBIC).save(tmp_path / "photos" / f"{k}.png")
    sequence.train(tmp_path / "photos", tmp_path, steps=2)
    assert "held-out" in capsys.readouterr().out
    files = [sequence.file_of(tmp_path, *stage) for stage in sequence.STAGES]
    clean, larger = (storing.load(file) for file in files)
    assert (clean.shape.scale, clean.repairs) == (1, True) and (larger.shape.scale, larger.repairs) == (2, False)
    assert clean.notes["degradation"] == "film" and larger.notes["degradation"] == "bicubic"
    light = random.uniform(0, 2, (3, 20, 30)).astype(np.float32)
    made = sequence.restored(light, Device("cpu", 1), tmp_path)
    want = enlarge(enlarge(light, 1, model=files[0]), 2, model=files[1], consistent=False)
    np.testing.assert_array_equal(made, want)
