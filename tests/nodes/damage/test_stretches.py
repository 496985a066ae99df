"""Where along its path a line is there."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np

from safelight.nodes.damage import stretches
from safelight.nodes.damage.ridges import STRIP
from safelight.nodes.damage.stretches import CHANGE, GROUP
from safelight.nodes.damage.tracks import Track
from safelight.nodes.damage.uprights import Line


def line_of(rows: np.ndarray) -> Line:
    count = -(-len(rows) // STRIP)
    track = Track(0, np.full(count, 7), np.zeros(count, np.int64), np.full(count, 3, np.float32))
    y = np.arange(len(rows))
    return Line(track, y, np.full(len(rows), 7, np.float32), "dark", 0, 1, rows, 0.3)


def test_the_likeliest_runs_are_found() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        rows = rng.normal(rng.choice([-0.3, 1.2], 8).repeat(GROUP), 1).astype(np.float32)
        mean = stretches.loudness(rows)
        gain = (mean * (rows - 0.3 * mean)).reshape(-1, GROUP).sum(1)

        def worth(states: tuple[int, ...], gain: np.ndarray = gain) -> float:
            return float((gain * states).sum() - CHANGE * np.abs(np.diff(states)).sum())

        best = max(worth(states) for states in product((0, 1), repeat=len(gain)))
        found = stretches.present(rows, 0.3)
        np.testing.assert_allclose(worth(tuple(found[::GROUP].astype(int))), best, rtol=1e-4, atol=1e-4)


def test_a_broken_line_is_cut_and_joined() -> None:
    rows = np.full(240, -0.3, np.float32)
    rows[16:80] = rows[136:216] = 1.5
    whole = line_of(rows)
    first, second = stretches.cut(whole, rows, stretches.CLEAR)
    assert (first.y[0], first.y[-1], second.y[0], second.y[-1]) == (16, 79, 136, 215)
    assert first.track.first == 2 and len(first.track.x) == 8 and len(second.track.x) == 10
    (both,) = stretches.joined([first, second])
    np.testing.assert_array_equal(both.y, np.concatenate([first.y, second.y]))
    assert len(both.track.x) == 18 and len(both.strength) == len(both.y)
    assert stretches.joined([]) == [] and stretches.joined([first]) == [first]
    assert not stretches.cut(replace(whole, strength=-rows), np.full(240, -0.3, np.float32), stretches.CLEAR)
