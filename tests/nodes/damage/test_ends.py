"""A line followed on beyond its ends."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from safelight.nodes.damage import ends
from safelight.nodes.damage.presence import Seen
from safelight.nodes.damage.tracks import Track
from safelight.nodes.damage.uprights import Line

HIGH, WIDE = 400, 160


def sway(y: np.ndarray) -> np.ndarray:
    return 80.5 + 6 * np.sin(y / 70)


def picture(present: np.ndarray, deep: float = 0.3, seed: int = 2) -> np.ndarray:
    plane = np.random.default_rng(seed).normal(0, 0.1, (HIGH, WIDE)).astype(np.float32)
    y = np.flatnonzero(present)
    plane[y, np.floor(sway(y)).astype(int)] -= np.float32(deep)
    return plane


def line_of(first: int, last: int) -> Line:
    y = np.arange(first, last)
    track = Track(first // 8, np.full(1, 80), np.zeros(1, np.int64), np.full(1, 3, np.float32))
    return Line(track, y, sway(y).astype(np.float32), "dark", 0, 1, np.full(len(y), 1.5, np.float32), 0.3)


def rows_of(parts: list[Line], present: np.ndarray) -> np.ndarray:
    out = np.zeros(HIGH, bool)
    for part in parts:
        out[part.y] = True
        off = np.abs(part.x - sway(part.y))
        # In a gap nothing holds the path but that it is traced no farther than this.
        assert off[present[part.y]].max(initial=0) <= 2 and off.max(initial=0) <= ends.ASIDE
    return out


SIGMA = np.full((HIGH, WIDE), 0.1, np.float32)


@pytest.mark.parametrize("turned", [False, True])
def test_a_line_is_followed_over_gaps_to_where_it_ends(turned: bool) -> None:
    present = np.zeros(HIGH, bool)
    present[40:150] = present[190:370] = True
    plane, line = picture(present), line_of(216, 280)
    if turned:
        plane = np.ascontiguousarray(plane[::-1])
        line = replace(line, y=HIGH - 1 - line.y[::-1], x=line.x[::-1])
    parts = ends.whole(line, Seen(plane, plane), SIGMA)
    if turned:
        parts = [replace(part, y=HIGH - 1 - part.y) for part in parts]
    found = rows_of(parts, present)
    assert (found & present).sum() > 0.85 * present.sum()
    assert (found & ~present).sum() < 0.07 * present.sum()


def test_nothing_is_added_where_the_line_ends() -> None:
    present = np.zeros(HIGH, bool)
    present[160:280] = True
    for seed in range(5):
        found = rows_of(ends.whole(line_of(168, 272), Seen(*(picture(present, seed=seed),) * 2), SIGMA), present)
        assert (found & ~present).sum() <= 16 and (found & present).sum() > 100


def test_what_runs_on_as_another_line_is_left() -> None:
    y = np.arange(HIGH)
    scratch = (y >= 160) & (y < 280)
    plane = picture(scratch)
    other = (y >= 288) & (y < 392)
    plane[y[other], np.floor(sway(y[other])).astype(int)] -= np.float32(0.6)
    # Frames around have it too: of what they lack it is no part.
    lacking = picture(scratch, seed=3)
    found = rows_of(ends.whole(line_of(160, 280), Seen(plane, lacking), SIGMA), scratch)
    assert (found & other).sum() == 0 and (found & scratch).sum() > 100


def test_the_path_is_the_best_of_all() -> None:
    rng = np.random.default_rng(5)
    strips = rng.normal(0, 1, (4, 2 * ends.STEEPEST + 1, 41)).astype(np.float32)
    columns, slants, total = ends._path(strips, 20, 1)
    best = -1e9
    for at, first, turns in product((19, 20, 21), range(7), product((-1, 0, 1), repeat=3)):
        x, state = at, first
        worth = -ends.BEND * abs(first - ends.STEEPEST - 1) + strips[0, state, x]
        best = max(best, worth)
        for j, turn in enumerate(turns, 1):
            x, state = x + state - ends.STEEPEST, state + turn
            if not 0 <= state < 7:
                break
            worth += strips[j, state, x] - ends.BEND * abs(turn)
            best = max(best, worth)
    assert total == pytest.approx(best, abs=1e-4)
    np.testing.assert_array_equal(np.diff(columns), slants[:-1])


def test_rows_are_weighed_by_the_depth_of_the_line() -> None:
    own, spread = np.array([0.0, 0.2, 0.4, 9.0]), np.full(4, 0.2)
    # a (z - a / 2), of two planes the sum, of one without the line nothing.
    z = np.array([-0.5, 0.5, 1.5, 3.0])
    want = np.clip(ends.SURE * np.array([z[0], z[1], z[2], z[3]]), -ends.CAP, ends.CAP)
    np.testing.assert_allclose(ends.gains([(own, spread)], [0.2]), want, atol=1e-6)
    np.testing.assert_allclose(ends.gains([(own, spread)] * 2, [0.2, 0.0]), want, atol=1e-6)
    assert ends.depths([(own[:3], spread[:3])], np.array([True, False, True])) == pytest.approx([0.2])
    assert ends.depths([(-own, spread)], np.ones(4, bool)) == [0.0]


@pytest.mark.parametrize("size", [(1, 1), (40, 3), (9, 400), (400, 9)])
def test_small_and_narrow_pictures(size: tuple[int, int]) -> None:
    plane = np.random.default_rng(1).normal(0, 0.1, size).astype(np.float32)
    y = np.arange(size[0] // 3, max(1, 2 * size[0] // 3))
    line = replace(
        line_of(0, 1), y=y, x=np.full(len(y), size[1] / 2, np.float32), strength=np.full(len(y), 1.0, np.float32)
    )
    for part in ends.whole(line, Seen(plane, plane), np.full(size, 0.1, np.float32)):
        assert ((part.y >= 0) & (part.y < size[0])).all() and np.isfinite(part.x).all()
