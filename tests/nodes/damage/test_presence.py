"""Which rows of a path show its scratch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from safelight.nodes.damage import contrast, ends, presence
from safelight.nodes.damage.presence import Seen
from safelight.nodes.damage.presence_odds import PRESENT
from safelight.nodes.damage.tracks import Track
from safelight.nodes.damage.uprights import Line

HIGH, WIDE, DEEP = 480, 80, 0.25


def line_of(count: int) -> Line:
    track = Track(0, np.full(1, 40), np.zeros(1, np.int64), np.full(1, 40, np.float32))
    x = np.full(count, 40.5, np.float32)
    return Line(track, np.arange(count), x, "dark", 0, 1, np.full(count, 1.5, np.float32), DEEP, True)


def planes(present: np.ndarray, seed: int, noise: float = 0.08) -> Seen:
    rng = np.random.default_rng(seed)
    frames = rng.normal(0, noise, (3, len(present), WIDE)).astype(np.float32)
    frames[1, present, 40] -= np.float32(DEEP)
    each = [frames[1] - frames[0], frames[1] - frames[2]]
    return Seen(frames[1], np.mean(each, 0, dtype=np.float32), each, [frames[0], frames[2]])


@pytest.mark.parametrize("seed", range(4))
def test_gaps_are_told_from_what_is_there(seed: int) -> None:
    present = np.ones(HIGH, bool)
    present[120:200] = present[330:400] = False
    seen, line = planes(present, seed), line_of(HIGH)
    there, deep = ends.shown(line, seen.planes)
    found = presence.told(line, there, deep, seen)
    assert (found & present).sum() > 0.9 * present.sum()
    assert (found & ~present).sum() < 0.2 * (~present).sum()


def test_nothing_is_told_of_noise() -> None:
    line = line_of(HIGH)
    shares = [presence.told(line, np.zeros(HIGH, bool), [0.0, 0.0], planes(np.zeros(HIGH, bool), s)) for s in range(8)]
    assert np.mean(shares) < 0.05


@pytest.mark.parametrize("count", [1, 3, 4, 9, 130])
def test_measurements_are_as_defined(count: int) -> None:
    rng = np.random.default_rng(count)
    there = rng.random(count) < 0.5
    seen, line = planes(there, count), line_of(count)
    deep = [0.2, 0.3]
    found = presence.measurements(line, there, deep, seen)
    assert list(found) == list(PRESENT.measured)
    groups = -(-count // 4)

    def grouped(rows: np.ndarray) -> list[float]:
        rows = list(rows) + [rows[-1]] * (4 * groups - count)
        return [sum(rows[4 * g : 4 * g + 4]) / 4 for g in range(groups)]

    def averaged(values: list[float], wide: int) -> list[float]:
        last = len(values) - 1
        window = range(-(wide // 2), wide - wide // 2)
        return [sum(values[min(max(g + i, 0), last)] for i in window) / wide for g in range(groups)]

    for name, plane, depth in zip(("picture", "lacking"), seen.planes, deep, strict=True):
        own, spread = contrast.rows(line, plane)
        noisy = grouped(np.clip(own / spread, -4, 4))
        share = grouped(np.clip(own / depth, -3, 4))
        for key, want in {
            name: noisy,
            f"{name} near": averaged(noisy, 4),
            f"{name} wide": averaged(noisy, 16),
            f"{name} share close": averaged(share, 2),
            f"{name} share near": averaged(share, 4),
            f"{name} share wide": averaged(share, 16),
        }.items():
            np.testing.assert_allclose(found[key], want, atol=1e-9)
    for wide, name in ((4, "near"), (16, "wide")):
        each = [averaged(grouped(np.clip(contrast.rows(line, one)[0] / 0.3, -3, 4)), wide) for one in seen.each]
        np.testing.assert_allclose(found[f"least {name}"], np.minimum(*each), atol=1e-9)
        if name == "near":
            np.testing.assert_allclose(found["most near"], np.maximum(*each), atol=1e-9)
        beside = [averaged(grouped(np.clip(contrast.rows(line, one)[0] / 0.2, -3, 4)), wide) for one in seen.beside]
        np.testing.assert_allclose(found[f"beside {name}"], np.mean(beside, 0), atol=1e-9)
    known = np.flatnonzero(there)
    away = [min(abs(known - row)) if len(known) else 999.0 for row in range(count)]
    np.testing.assert_allclose(found["away"], np.log1p(grouped(np.array(away))), atol=1e-9)
    of_all = {
        "known": there.mean(),
        "depth": np.log(0.2),
        "depth lacking": np.log(0.3),
        "width": 1,
        "record": 0,
        "fleeting": 1,
        "bright": 0,
        "score": np.log(line.track.score),
    }
    for key, value in of_all.items():
        assert found[key] == pytest.approx(np.full(groups, value))


@pytest.mark.parametrize("value", [0.0, 1e30, -1e30])
def test_flat_and_huge_pictures_say_something_finite(value: float) -> None:
    plane = np.full((40, WIDE), value, np.float32)
    line = line_of(40)
    for each in ((), (plane,), (plane, plane)):
        found = presence.measurements(line, np.zeros(40, bool), [0.0, 0.0], Seen(plane, plane, each, each))
        assert all(np.isfinite(one).all() for one in found.values())
        assert presence.told(line, np.zeros(40, bool), [0.0, 0.0], Seen(plane, plane, each, each)).shape == (40,)


def test_a_line_of_a_record_is_read_as_one() -> None:
    line = replace(line_of(40), plane=2, tone="bright")
    seen = planes(np.zeros(40, bool), 1)
    found = presence.measurements(line, np.zeros(40, bool), [0.1, 0.1], seen)
    assert (found["record"] == 1).all() and (found["bright"] == 1).all()
