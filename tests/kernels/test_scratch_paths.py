"""Lines followed through summed evidence, against dynamic programming and a greedy choice in float64; and the sums, the
noise and the running medians that they are told by."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.damage import ridges, tracks
from safelight.nodes.damage.ridges import BLOCK, STRIP
from safelight.nodes.damage.tracks import APART, BEND, DRIFT, LEAN, Track
from safelight.nodes.kernels.launch import isas, launch

Rows = npt.NDArray[np.float64]
DEVICE = Device("cpu", 2)
SIZES = [(1, 1, 1), (1, 3, 40), (6, 3, 9), (9, 1, 40), (20, 5, 70), (12, 13, 33)]


def evidence(size: tuple[int, int, int], seed: int) -> npt.NDArray[np.float32]:
    """Noise, and two lines that cross the picture."""
    rng = np.random.default_rng([seed, *size])
    strips = rng.normal(0, 1, size).astype(np.float32)
    for x0, slant in ((size[2] // 4, 0), (size[2] // 2, min(1, size[1] // 2))):
        for j in range(size[0]):
            if x0 + slant * j < size[2]:
                strips[j, size[1] // 2 + slant, x0 + slant * j] += 3
    return strips


def scored(strips: Rows) -> tuple[Rows, Rows, Rows]:
    """Gains, and what the best paths gain that end in, and begin in, every state: state by state."""
    count, slants, width = strips.shape
    most = slants // 2
    gain = strips - DRIFT - LEAN * np.abs(np.arange(-most, most + 1))[:, None]
    down, up = gain.copy(), gain.copy()
    for j, s, x in np.ndindex(count, slants, width):
        for t in range(max(0, s - 1), min(slants, s + 2)):
            before = x - (t - most)
            if j and 0 <= before < width:
                down[j, s, x] = max(down[j, s, x], gain[j, s, x] + down[j - 1, t, before] - BEND * abs(t - s))
    for j, s, x in ((j, s, x) for j in range(count - 2, -1, -1) for s in range(slants) for x in range(width)):
        after = x + s - most
        for t in range(max(0, s - 1), min(slants, s + 2)):
            if 0 <= after < width:
                up[j, s, x] = max(up[j, s, x], gain[j, s, x] + up[j + 1, t, after] - BEND * abs(t - s))
    return gain, down, up


def followed(strips: Rows, least: float) -> list[Track]:
    """The best places first, each followed both ways and cut to what none before lies beside."""
    count, slants, width = strips.shape
    most = slants // 2
    gain, down, up = scored(strips)
    total = down + up - gain
    best, way = total.max(1), total.argmax(1)
    free, found = np.ones(best.shape, bool), []
    places = sorted(np.ndindex(*best.shape), key=lambda at: -best[at])
    for j, x in places:
        around = best[j, max(0, x - APART) : x + APART + 1]
        if best[j, x] < least or not free[j, x] or best[j, x] < around.max() or gain[j, way[j, x], x] <= 0:
            continue
        path, at = [(j, x, int(way[j, x]))], (j, x, int(way[j, x]))
        while at[0]:
            j, x, s = at
            options = [
                (down[j - 1, t, x - t + most] - BEND * abs(t - s), -abs(t - most), t)
                for t in range(max(0, s - 1), min(slants, s + 2))
                if 0 <= x - t + most < width
            ]
            if not options or max(options)[0] <= 0:
                break
            t = max(options)[2]
            at = (j - 1, x - t + most, t)
            path.insert(0, at)
        at = path[-1]
        while at[0] < count - 1:
            j, x, s = at
            x += s - most
            if not 0 <= x < width:
                break
            ways = range(max(0, s - 1), min(slants, s + 2))
            score, _, t = max((up[j + 1, t, x] - BEND * abs(t - s), -abs(t - most), t) for t in ways)
            if score <= 0:
                break
            at = (j + 1, x, t)
            path.append(at)
        clear = [free[j, x] for j, x, _ in path]
        edges = np.flatnonzero(np.diff([0, *clear, 0]))
        for a, b in zip(edges[::2], edges[1::2], strict=True):
            steps = np.array(path[a:b])
            own = strips[steps[:, 0], steps[:, 2], steps[:, 1]]
            one = Track(int(steps[0, 0]), steps[:, 1], steps[:, 2] - most, own.astype(np.float32))
            if one.score >= least:
                found.append(one)
        for j, x, _ in path:
            free[j, max(0, x - APART) : x + APART + 1] = False
    return found


def same(found: list[Track], wanted: list[Track]) -> None:
    assert [one.first for one in found] == [one.first for one in wanted]
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one.x, other.x)
        np.testing.assert_array_equal(one.slant, other.slant)
        np.testing.assert_allclose(one.evidence, other.evidence, rtol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("seed", [1, 2])
def test_lines_are_those_of_a_slow_search(size: tuple[int, int, int], seed: int) -> None:
    strips = evidence(size, seed)
    found = tracks.find(strips, 0.8)
    same(found, followed(strips.astype(np.float64), 0.8))
    assert found or size[0] == 1
    for isa in isas():
        same(tracks.find(strips, 0.8, isa), found)


def test_the_search_ends_after_paths_that_lead_to_nothing_new_and_at_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    strips = evidence((20, 5, 200), 3)
    every = tracks.find(strips, 2.0)
    monkeypatch.setattr(tracks, "_MOST_LINES", 3)
    few = tracks.find(strips, 2.0)
    assert 3 <= len(few) < len(every)
    same(few, every[: len(few)])
    monkeypatch.setattr(tracks, "_IDLE", 0)
    assert not tracks.find(strips, 2.0)


@pytest.mark.parametrize("value", [-3e4, 3e4, 1e30])
def test_huge_evidence(value: float) -> None:
    strips = evidence((12, 5, 70), 4)
    strips[5, 2, 30] = value
    for one in tracks.find(strips, 2.0):
        assert ((one.x >= 0) & (one.x < 70)).all()


@pytest.mark.parametrize("size", [(1, 1), (8, 5), (13, 40), (50, 3), (41, 77)])
@pytest.mark.parametrize("most", [0, 2, 6])
def test_strips(size: tuple[int, int], most: int) -> None:
    rng = np.random.default_rng([7, *size])
    found = rng.normal(0, 1, size).astype(np.float32)
    count, wide = -(-size[0] // STRIP), size[1]
    wanted = np.zeros((count, 2 * most + 1, wide))
    for j, s, x in np.ndindex(*wanted.shape):
        for row in range(STRIP):
            y, at = STRIP * j + row, x + round((s - most) * (row + 0.5) / STRIP)
            if y < size[0] and 0 <= at < wide:
                wanted[j, s, x] += float(found[y, at])
    out = ridges.strips(found, most)
    np.testing.assert_allclose(out, ridges.unit(wanted.astype(np.float32)), atol=1e-5)
    for isa in isas():
        np.testing.assert_array_equal(ridges.strips(found, most, isa), out)


@pytest.mark.parametrize("size", [(5, 16), (16, 17), (33, 47), (100, 64), (31, 130)])
def test_noise(size: tuple[int, int]) -> None:
    h, w = size
    plane = np.random.default_rng([8, *size]).normal(0, 1, size).astype(np.float32)
    away = np.abs(plane[:, 2:-2] - 0.5 * (plane[:, :-4].astype(np.float64) + plane[:, 4:]))
    rows, columns = -(-h // BLOCK), -(-w // BLOCK)
    margins = ((0, rows * BLOCK - h), (2, columns * BLOCK - w + 2))
    blocks = np.pad(away, margins, mode="reflect" if h > 16 else "edge").reshape(rows, BLOCK, columns, BLOCK)
    means = ndimage.uniform_filter(np.median(blocks.mean(3), axis=1), 3, mode="nearest") * 1.2533 / np.sqrt(1.5)
    wanted = np.maximum(means, ridges.FLOOR).repeat(BLOCK, 0)[:h].repeat(BLOCK, 1)[:, :w]
    out = ridges.noise(plane, DEVICE)
    np.testing.assert_allclose(out, wanted, rtol=1e-5)
    for isa in isas():
        np.testing.assert_array_equal(ridges.noise(plane, DEVICE, isa), out)


@pytest.mark.parametrize("size", [(1, 1), (3, 7), (20, 121)])
def test_running_medians(size: tuple[int, int]) -> None:
    rng = np.random.default_rng([9, *size])
    values = np.round(rng.normal(0, 3, size), 1)  # some of them alike
    for isa in isas():
        out = np.empty_like(values)
        one = Region.sized(1, size[0])
        launch(DEVICE, "scratch_median", one, isa=isa, values=values, out=out, wide=size[1])
        np.testing.assert_array_equal(out, ndimage.median_filter(values, (1, 21), mode="nearest"))


def test_what_is_held_above_runs_in_these_kernels(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = set()

    def noted(device: Device, name: str, *args: Any, **more: Any) -> None:
        asked.add(name)
        launch(device, name, *args, **more)

    for module in (ridges, tracks):
        monkeypatch.setattr(module, "launch", noted)
    tracks.find(evidence((20, 5, 70), 1), 6.0)
    plane = np.random.default_rng(1).normal(size=(70, 90)).astype(np.float32)
    ridges.strips(plane, 3)
    ridges.noise(plane)
    assert asked == {"scratch_passes", "scratch_trace", "scratch_strips", "scratch_noise"}
