"""The company pieces keep: what moves in line is told from what chance lays there."""

from __future__ import annotations

import numpy as np

from safelight.nodes.damage.trails import Spots, company, falling, shared

SIZE = (400, 300)


def frame(places: np.ndarray, sign: int = 1) -> Spots:
    """A neighbour in which small squares stand out at these places."""
    plane = np.zeros(SIZE[::-1], np.float32)
    for x, y in np.rint(places).astype(int):
        plane[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2] = 8 * sign
    return Spots(plane, sign)


def pieces(places: np.ndarray) -> dict[str, np.ndarray]:
    count = len(places)
    return {"x": places[:, 0], "y": places[:, 1], "area": np.full(count, 9.0), "z": np.full(count, 8.0)}


def test_what_moves_in_line_is_on_a_trail() -> None:
    rng = np.random.default_rng(1)
    moving = rng.uniform(60, 240, (6, 2))
    step = np.array([17.0, -9.0])
    for sign in (-1, 1):
        found = company(pieces(moving), frame(moving - step, sign), frame(moving + step, sign), SIZE)
        assert found["line"].min() > 4
    on = company(pieces(moving), frame(moving + step), frame(moving + 2 * step), SIZE, one_sided=True)
    assert on["line"].min() > 4
    none = company(pieces(moving), frame(moving - step), frame(np.zeros((0, 2))), SIZE)
    assert (none["line"] == 0).all() and (none["close"] == 0).all() and none["single"].min() > 0
    # What has just come in at the edge has no before.
    late = company(pieces(np.array([[3.0, 100.0]])), frame(np.zeros((0, 2))), frame(np.array([[20.0, 100.0]])), SIZE)
    assert late["line"][0] > 1


def test_dense_dust_is_no_trail() -> None:
    rng = np.random.default_rng(2)
    here, before, after = (rng.uniform(0, 1, (90, 2)) * SIZE for _ in range(3))
    found = company(pieces(here), frame(before), frame(after), SIZE)
    # By chance a surprise of s or more comes about with probability exp(-s): its mean is 1.
    assert np.mean(found["line"]) < 2 and np.mean(found["line"] > 4) < 0.1
    common = shared(pieces(here), found["line"], np.ones(90))
    assert common.max() < 2.5


def test_a_crowd() -> None:
    rng = np.random.default_rng(3)
    here = np.array([[60.0, 60.0], [340.0, 240.0]])
    crowds = [frame(here[0] + rng.normal(0, 15, (30, 2))) for _ in range(2)]
    crowd = company(pieces(here), crowds[0], crowds[1], SIZE)["crowd"]
    assert crowd[0] > 1 > 0 > crowd[1]


def test_rain_falls_one_way_and_lint_every_way() -> None:
    rng = np.random.default_rng(4)
    long = {"long": np.full(40, 4.0), "length": np.full(40, 12.0)}
    rain = falling({**long, "angle": 1.5 + rng.normal(0, 0.05, 40)})
    lint = falling({**long, "angle": rng.uniform(-np.pi / 2, np.pi / 2, 40)})
    assert rain.min() > 5 and lint.mean() < 1.5
    assert (falling({"long": np.ones(3), "length": np.ones(3), "angle": np.zeros(3)}) == 0).all()
