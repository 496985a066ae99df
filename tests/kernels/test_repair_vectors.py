"""Where Repair's pieces lie in another frame, against a slow search in float64."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import isas, launch

FEWEST, GAIN, NONE = 40, 0.1, 1e38
STEPS = ((-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True)
class Case:
    """Two lumas, what is good in each, the search's vectors, pieces, and the window they are compared in."""

    here: npt.NDArray[np.float32]
    there: npt.NDArray[np.float32]
    good: npt.NDArray[np.bool_]
    giving: npt.NDArray[np.bool_]
    field: npt.NDArray[np.float32]
    middle: npt.NDArray[np.intp]
    half: int = 12
    every: int = 2

    @property
    def weight(self) -> npt.NDArray[np.float32]:
        at = np.arange(-self.half, self.half + 1, self.every)
        return np.exp(-2 * (at[:, None] ** 2 + at**2) / self.half**2).astype(np.float32)


def found(case: Case, isa: str | None = None) -> npt.NDArray[np.float32]:
    listed, whole = Region.sized(len(case.middle), 1), Region.sized(case.here.shape[1], case.here.shape[0])
    out = np.full((3, 1, len(case.middle)), 9, np.float32)
    launch(
        Device("cpu", 2),
        "repair_vectors",
        listed,
        isa=isa,
        middle=(case.middle.T[:, None].astype(np.float32), listed),
        here=(case.here, whole),
        there=(case.there, whole),
        good=case.good.view(np.uint8),
        giving=case.giving.view(np.uint8),
        field=(case.field, Region.sized(case.field.shape[2], case.field.shape[1])),
        weight=(case.weight, Region.sized(*case.weight.shape[::-1])),
        out=(out, listed),
        half=case.half,
        every=case.every,
        fewest=FEWEST,
        gain=GAIN,
    )
    return out[:, 0]


def cost(case: Case, middle: Any, vector: Any) -> float:
    """The weighted mean difference of the good samples, without that of the means."""
    at = range(-case.half, case.half + 1, case.every)
    h, w = case.here.shape
    pairs, mine = [], 0
    for j, dy in enumerate(at):
        for i, dx in enumerate(at):
            y, x = int(middle[0]) + dy, int(middle[1]) + dx
            if not (0 <= y < h and 0 <= x < w and case.good[y, x]):
                continue
            mine += 1
            v, u = y + int(vector[0]), x + int(vector[1])
            if 0 <= v < h and 0 <= u < w and case.giving[v, u]:
                weight = float(case.weight[j, i])
                pairs.append((weight, float(case.here[y, x]) - float(case.there[v, u])))
    if len(pairs) < 8 or (len(pairs) < FEWEST and 2 * len(pairs) < mine):
        return np.inf
    weights, steps = np.array(pairs).T
    mean = (weights * steps).sum() / weights.sum()
    return float((weights * np.abs(steps - mean)).sum() / weights.sum())


def searched(case: Case, middle: Any) -> tuple[float, float, float]:
    (h, w), (rows, columns), reach = case.here.shape, case.field.shape[1:], case.half + 4
    proposed = []
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            by = min(max(int(np.trunc((middle[0] + j * reach) * rows / h)), 0), rows - 1)
            bx = min(max(int(np.trunc((middle[1] + i * reach) * columns / w)), 0), columns - 1)
            proposed.append(tuple(int(v) for v in case.field[:, by, bx]))
    best = tuple(int(v) for v in np.median(np.array(proposed), axis=0))
    least = cost(case, middle, best)
    for tried in ((0, 0), *proposed):
        one = cost(case, middle, tried)
        if one < (1 - GAIN) * least:
            best, least = tried, one
    for step in range(5):
        sides = [cost(case, middle, (best[0] + dy, best[1] + dx)) for dy, dx in STEPS]
        nearest = int(np.argmin(sides))
        if step == 4 or not sides[nearest] < (1 - GAIN) * least:
            break
        best, least = (best[0] + STEPS[nearest][0], best[1] + STEPS[nearest][1]), sides[nearest]
    between, fine = least, []
    for low, high in (sides[:2], sides[2:]):
        slope, offset = max(low, high) - least, 0.0
        if np.isfinite(slope):
            if slope > 2 * GAIN * least + 1e-9:
                offset = np.floor(np.clip((low - high) / (2 * slope), -0.5, 0.5) * 4 + 0.5) / 4
            between -= slope * abs(offset)
        fine.append(offset)
    return best[0] + fine[0], best[1] + fine[1], max(between, 0.4 * least)


def scene(size: tuple[int, int], seed: int = 1, grain: float = 0.02, moved: tuple[int, int] = (3, -5)) -> Case:
    """Texture that moves, half of it by another vector; damage in both frames."""
    rng = np.random.default_rng([seed, *size])
    h, w = size
    wide = ndimage.gaussian_filter(rng.standard_normal((h + 40, w + 40)), 2) * 3
    here = wide[20 : 20 + h, 20 : 20 + w]
    there = wide[20 - moved[0] : 20 - moved[0] + h, 20 - moved[1] : 20 - moved[1] + w] + 0.3
    there = np.where(np.arange(w) > w // 2, np.roll(there, 2, 0), there)
    here, there = (p + grain * rng.standard_normal(size) for p in (here, there))
    good, giving = (rng.random(size) > 0.1 for _ in range(2))
    rows, columns = max(1, h // 8), max(1, w // 8)
    field = np.array(moved)[:, None, None] + rng.integers(-2, 3, (2, rows, columns))
    middle = np.stack([rng.integers(0, h, 40), rng.integers(0, w, 40)], 1)
    return Case(here.astype(np.float32), there.astype(np.float32), good, giving, field.astype(np.float32), middle)


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (33, 47), (90, 120)])
@pytest.mark.parametrize(("half", "every"), [(12, 2), (7, 1), (20, 3), (68, 8)])
def test_vectors_are_those_of_a_slow_search(size: tuple[int, int], half: int, every: int) -> None:
    case = replace(scene(size), half=half, every=every)
    out = found(case)
    wanted = np.array([searched(case, at) for at in case.middle]).T
    told = np.isfinite(wanted[2])
    np.testing.assert_array_equal(out[2] < NONE, told)
    # A cost that lies within rounding of another's bound may fall on either side: none does here.
    np.testing.assert_allclose(out[:2].astype(np.float64), wanted[:2])
    np.testing.assert_allclose(out[2][told], wanted[2][told], rtol=1e-4, atol=1e-6)
    for isa in isas():
        np.testing.assert_array_equal(found(case, isa).view(np.uint32), out.view(np.uint32))


def test_the_motion_is_found_past_damage_and_another_brightness() -> None:
    case = scene((90, 120), moved=(4, 7))
    left = case.middle[:, 1] + case.half + 8 < 60
    left &= (case.middle > 20).all(1) & (case.middle[:, 0] < 70)
    assert left.sum() >= 3
    np.testing.assert_array_equal(np.rint(found(case)[:2, left]), np.repeat([[4.0], [7.0]], left.sum(), 1))


def test_next_to_nothing_good_tells_nothing() -> None:
    case = scene((33, 47))
    for name in ("good", "giving"):
        assert (found(replace(case, **{name: np.zeros((33, 47), bool)}))[2] > NONE).all()


@pytest.mark.parametrize("value", [-3e4, 3e4, 1e9])
def test_huge_values(value: float) -> None:
    case = scene((33, 47))
    here = case.here.copy()
    here[10:14, 10:14] = value
    out = found(replace(case, here=here))
    assert np.isfinite(out).all()
