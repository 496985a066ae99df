"""Lines followed through evidence, against every path tried."""

from __future__ import annotations

from itertools import product

import numpy as np

from safelight.graph.device import Device
from safelight.nodes.damage import ridges, tracks
from safelight.nodes.damage.tracks import BEND, DRIFT, LEAN, STRIP


def best_path(strips: np.ndarray) -> float:
    """Try all paths, whole or in part."""
    count, slants, width = strips.shape
    most, best = slants // 2, -np.inf
    for first in range(count):
        for length in range(1, count - first + 1):
            for x0 in range(width):
                for way in product(range(-most, most + 1), repeat=length):
                    if length > 1 and np.abs(np.diff(way)).max() > 1:
                        continue
                    x, score = x0, 0.0
                    for j, slant in enumerate(way):
                        if not 0 <= x < width:
                            break
                        score += float(strips[first + j, slant + most, x]) - DRIFT - LEAN * abs(slant)
                        x += slant
                    else:
                        best = max(best, score - BEND * float(np.abs(np.diff(way)).sum()))
    return best


def test_the_best_path_is_found() -> None:
    rng = np.random.default_rng(5)
    for _ in range(4):
        strips = rng.normal(1.2, 1, (5, 3, 7)).astype(np.float32)
        found = tracks.find(strips, 0.5)
        np.testing.assert_allclose(found[0].score, best_path(strips), rtol=1e-5)


def test_a_line_that_leans_is_followed_and_its_columns_said() -> None:
    rng = np.random.default_rng(6)
    picture = rng.normal(0, 0.1, (200, 120)).astype(np.float32)
    columns = np.floor(30.5 + 0.2 * np.arange(200)).astype(int)
    picture[np.arange(200), columns] -= 0.3
    evidence = ridges.evidence(picture[None], ridges.noise(picture)[None], (1, 2, 3), Device("cpu", 1))[0]
    (line,) = tracks.find(ridges.strips(evidence[0], 2), 14.0)
    rows, at = line.columns(200)
    assert len(rows) >= 200 - 2 * STRIP
    assert np.mean(np.abs(np.floor(at) - columns[rows]) <= 1) > 0.95
    assert not tracks.find(ridges.strips(evidence[1], 2), 14.0)
