"""What is measured of a line only where it is asked for, against the same of the whole picture."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.nodes.damage import sways
from safelight.nodes.damage.behaviour import Behaviour, Neighbour
from safelight.nodes.damage.seeking import Prepared
from safelight.nodes.damage.tracks import Track
from safelight.nodes.damage.uprights import Line, contrasts, profile

HIGH, WIDE = 90, 120


def held(seed: int) -> Prepared:
    planes = np.random.default_rng(seed).normal(0, 1, (4, HIGH, WIDE)).astype(np.float32)
    return Prepared(planes, np.ones((HIGH, WIDE), bool), None, np.ones_like(planes), np.empty(0, np.int8))


def line(x: float, lean: float, rows: slice = slice(0, HIGH)) -> Line:
    y = np.arange(HIGH)[rows]
    none = np.zeros(1, np.int64)
    track = Track(0, none, none, np.ones(1, np.float32))
    at = np.clip(x + lean * y, 0, WIDE - 0.01).astype(np.float32)
    return Line(track, y, at, "dark", 1, 2, np.ones(len(y), np.float32), 0.3)


def neighbour(first: Prepared, second: Prepared, away: int, vectors: np.ndarray | None) -> Neighbour:
    return Neighbour(second.planes, vectors, 8, away, (first, second))


@pytest.mark.parametrize("one", [line(0.4, 0.0), line(119.6, -0.3), line(60.9, 0.45), line(30, 0.2, slice(20, 55))])
def test_slopes_around_a_line_are_those_of_the_whole_picture(one: Line) -> None:
    first, second = held(1), held(2)
    other = neighbour(first, second, 1, None)
    whole = sways.slopes(first.planes[0], second.planes[0])
    wanted = np.stack([profile(plane, one.y, one.x, 28) for plane in whole])
    np.testing.assert_array_equal(other.slopes(one, 28), wanted)
    assert other.drift == sways.drift(whole[:, ::3, ::3])


@pytest.mark.parametrize("size", [(1, 50), (2, 2), (31, 44)])
def test_slopes_at_every_third_pixel(size: tuple[int, int]) -> None:
    planes = np.random.default_rng(3).normal(0, 1, (2, *size)).astype(np.float32)
    wanted = sways.changes(*planes)[:, ::3, ::3]
    np.testing.assert_array_equal(sways.thirds(*planes), wanted)


def test_a_profile_inside_the_picture_is_that_of_a_wider_one() -> None:
    plane = held(4).planes[0]
    wide = np.pad(plane, 9, constant_values=np.nan)
    y, x = np.array([-2, 0, 40, 89, 92]), np.array([3.2, 60.9, 7.0, 111.5, 60.0], np.float32)
    wanted = np.stack([wide[row + 9, int(at) + 9 - 8 : int(at) + 9 + 9] for row, at in zip(y, x, strict=True)])
    np.testing.assert_array_equal(profile(plane, y, x, 8), wanted)
    np.testing.assert_array_equal(profile(plane, y[2:3], x[1:2], 8), plane[40:41, 52:69])


def test_a_line_that_stays_while_the_scene_moves_is_seen_to() -> None:
    frames = {at: held(5 + at) for at in (0, 1, 2)}
    one = line(60, 0.0)
    for frame in frames.values():
        frame.planes[:, :, 59:61] -= 4
    vectors = np.zeros((2, -(-HIGH // 8), -(-WIDE // 8)), np.float32)
    vectors[0] = 5
    others = [neighbour(frames[0], frames[at], at, at * vectors) for at in (1, 2)]
    seen = Behaviour(one, frames[0].planes, others, frames[0].noise[1], 1.0)
    assert seen.stays > 0.8
    assert seen.held > 0.8
    assert seen.moves < 0.5
    assert seen.aside < 0.5
    assert seen.follows < 0.5
    assert seen.passed == 1.0
    assert seen.bare == pytest.approx(-contrasts(frames[0].planes, one)[1] / 0.3)
