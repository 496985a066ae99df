"""The benchmark of cuts runs, and its figures are those of known cases."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.host_adapters.cli.bench._joined import Joined
from safelight.host_adapters.cli.bench.cuts import overlap, run, score


def test_figures() -> None:
    clip = Joined([], [5, 9, 20], [])
    assert score([{5, 9}], [clip]) == pytest.approx((1, 2 / 3, 0.8))
    assert score([{5, 10}], [clip]) == pytest.approx((0.5, 1 / 3, 0.4))
    assert score([set()], [clip]) == (0, 0, 0)
    assert overlap((1, 10), (1, 10)) == 1 and overlap((1, 10), (6, 15)) == pytest.approx(1 / 3)


def test_quick_run() -> None:
    rows = {row.name: row for row in run(quick=True)}
    assert all(np.isfinite(row.value) for row in rows.values())
    assert rows["cuts: F1"].value == 1 and rows["dissolves reported where there is none"].value == 0
