"""What dirt is found by, against float64: block sums and departures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import isas, launch

STEPS = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
# Records, from (grey, red - blue, green against both), orthonormal.
TURN = np.array([[3**-0.5] * 3, [2**-0.5, 0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]]).T
WEIGHT = np.array([0.8, 0.55, 0.24])
GREY = TURN.T @ WEIGHT


def frames(size: tuple[int, int], planes: int, count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A frame and its neighbours, with spots in the frame and in some of the neighbours."""
    rng = np.random.default_rng([seed, planes, count, *size])
    base = rng.normal(0, 0.4, (planes, *size)) + 3
    others = base[None] + rng.normal(0, 0.1, (count, planes, *size))
    centre = base + rng.normal(0, 0.1, base.shape)
    for picture in (centre, *others[: 1 + count // 2]):
        y, x = (int(rng.integers(0, n)) for n in size)
        picture[:, y : y + 3, x : x + 4] += rng.choice([-1.5, 1.5])
    return centre.astype(np.float32), others.astype(np.float32)


# --- blocks ----------------------------------------------------------------------------------------------------------


EDGE = 3
"""Pixels around the picture that the block sums are given."""


def blocks(centre: np.ndarray, others: np.ndarray, **how: Any) -> np.ndarray:
    planes, height, width = centre.shape
    grid = Region.sized(-(-(width - 2 * EDGE) // 16), -(-(height - 2 * EDGE) // 16), 2, 1)
    out = np.full((len(others) * (13 if planes == 3 else 2), grid.height, grid.width), 9, np.float32)
    region = Region.sized(width, height, -7, 4)
    part = how.get("part", Region.sized(grid.width, grid.height))
    launch(
        Device("cpu", how.get("threads", 2)),
        "dirt_blocks",
        part,
        isa=how.get("isa"),
        centre=(centre, region),
        others=(others.reshape(-1, height, width), region),
        out=(out, Region.sized(grid.width, grid.height)),
        planes=planes,
        count=len(others),
        left=region.x0 + EDGE,
        top=region.y0 + EDGE,
        width=width - 2 * EDGE,
        height=height - 2 * EDGE,
        per_sigma=(5.0, 4.0, 3.0),
        per_record=PER_RECORD,
    )
    return out


PER_RECORD = (12.0, 9.0, 5.0)


def smoothed(planes: np.ndarray) -> np.ndarray:
    """Means of 3 × 3 pixels, binomial, without the outermost ones."""
    return (np.lib.stride_tricks.sliding_window_view(planes, (3, 3), axis=(-2, -1)) * STEPS).sum((-2, -1))


@pytest.mark.parametrize("size", [(16, 16), (17, 53), (40, 33)])
@pytest.mark.parametrize(("planes", "count"), [(1, 2), (3, 2), (3, 4)])
def test_block_sums(size: tuple[int, int], planes: int, count: int) -> None:
    centre, others = frames((size[0] + 2 * EDGE, size[1] + 2 * EDGE), planes, count)
    others[0, 0, 3 + EDGE, 5 + EDGE] += 1e30
    out = blocks(centre, others)
    away = centre.astype(np.float64) - others
    inner = away[:, :, EDGE:-EDGE, EDGE:-EDGE]
    step = np.floor(np.clip(inner * 16 * np.array([5, 4, 3])[:planes, None, None], -64, 64) + 0.5)
    if planes == 3:
        records = np.einsum("rc,ncyx->nryx", TURN, smoothed(away))[:, :, EDGE - 1 : 1 - EDGE, EDGE - 1 : 1 - EDGE]
        of_records = np.floor(np.clip(records * 8 * np.array(PER_RECORD)[:, None, None], -96, 96) + 0.5)
    for by in range(out.shape[1]):
        for bx in range(out.shape[2]):
            y, x = min(16 * by, size[0] - 16), min(16 * bx, size[1] - 16)
            own = step[:, :, y : y + 16, x : x + 16]
            parts = [own.sum((2, 3)), (own[:, :1] ** 2).sum((2, 3))]
            if planes == 3:
                some = of_records[:, :, y + 1 : y + 16 : 4, x : x + 16]
                pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
                parts += [some.sum((2, 3)), np.stack([(some[:, r] * some[:, q]).sum((1, 2)) for r, q in pairs], 1)]
            # A difference on the border between two steps may be rounded to either.
            np.testing.assert_allclose(out[:, by, bx], np.concatenate(parts, 1).ravel(), atol=100)
    for isa in isas():
        for threads in (1, 3):
            made = blocks(centre, others, isa=isa, threads=threads)
            np.testing.assert_allclose(made, out, atol=100 if isa == "v2" else 0)
    np.testing.assert_array_equal(blocks(centre, others, part=Region(0, 0, 1, 1))[:, :1, :1], out[:, :1, :1])


# --- departures ------------------------------------------------------------------------------------------------------

WHOLE, SMOOTH, FLOOR, SUSPECT, ALIKE = (1.1, 0.9, 1.3, 1.2), (0.2, 0.25, 0.3, 0.35), 0.001, 5.0, 3.0
SIGMA2 = np.linspace(0.005, 0.03, 48).reshape(3, 16)


def reference(centre: np.ndarray, others: np.ndarray, match: np.ndarray, least: float) -> np.ndarray:
    """Return the eleven planes in float64, window by window."""
    planes, height, width = centre.shape
    beyond, steady = len(others) == 4, others[:, 0, ::-1]
    features = np.concatenate([GREY[None], TURN]) if planes == 3 else np.ones((1, 1))
    weight = WEIGHT if planes == 3 else np.ones(1)
    block_y, block_x = np.arange(height) // 16, np.arange(width) // 16

    def windows(picture: np.ndarray) -> np.ndarray:
        wide = np.pad(picture, ((0, 0), (1, 1), (1, 1)), mode="edge").astype(np.float64)
        return np.lib.stride_tricks.sliding_window_view(wide, (3, 3), axis=(1, 2))

    def look(picture: np.ndarray, bias: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        seen = np.einsum("fc,cyxji->fyxji", features, windows(picture))
        shift = 0 if bias is None else np.einsum("fc,cyx->fyx", features, bias)
        return (seen * STEPS).sum((3, 4)) + shift, seen.min((3, 4)) + shift, seen.max((3, 4)) + shift

    def both(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return np.where(a * b > 0, np.sign(a) * np.minimum(np.abs(a), np.abs(b)), 0)

    each = match.reshape(len(others), -1, *match.shape[1:])[:, :, block_y][..., block_x].astype(np.float64)
    seen = [look(o, m[:planes]) for o, m in zip(others, each, strict=True)]
    here = look(centre, None)
    raw = [one[0] for one in seen]
    for number, m in enumerate(each if planes == 3 else ()):
        step = here[0][1:] - seen[number][0][1:]
        others_of = ((1, 2), (0, 2), (0, 1))
        told = np.stack([m[7 + 2 * f] * step[q] + m[8 + 2 * f] * step[r] for f, (q, r) in enumerate(others_of)])
        seen[number] = tuple(np.concatenate([part[:1], part[1:] + told]) for part in seen[number])  # type: ignore[assignment]
    level = (others[0].astype(np.float64) + others[1]) / 2
    if planes == 3:
        level = np.einsum("ri,iyx->ryx", TURN, level)
    at = np.linspace(-1, 6, 16)
    var = [np.interp(plane, at, row) for plane, row in zip(level, SIGMA2, strict=False)]
    out = np.zeros((11, height, width))
    for f in range(len(features)):
        white = np.maximum(np.einsum("c,cyx->yx", weight**2, var) if f == 0 else var[f - 1], FLOOR)
        noise = white * 2 * SMOOTH[f]
        left = [m[planes + f] for m in each]
        parts = [[part[f] for part in one] for one in seen]
        mean = [one[0] for one in parts]
        before, after, excess = parts[0], parts[1], np.maximum(left[0], left[1])
        plain = [raw[0][f], raw[1][f]]
        if beyond:
            bad = np.abs(both(mean[0] - mean[1], mean[0] - mean[2])) > SUSPECT * np.sqrt(noise)
            worse = np.abs(both(mean[1] - mean[0], mean[1] - mean[3])) > SUSPECT * np.sqrt(noise)
            before = [np.where(bad, two, one) for one, two in zip(parts[0], parts[2], strict=True)]
            after = [np.where(worse, two, one) for one, two in zip(parts[1], parts[3], strict=True)]
            excess = np.maximum(np.where(bad, left[2], left[0]), np.where(worse, left[3], left[1]))
            if f:
                sides, excesses = [before[0], after[0]], []
                plain = [np.where(bad, raw[2][f], raw[0][f]), np.where(worse, raw[3][f], raw[1][f])]
                for s, out_of in ((0, bad), (1, worse)):
                    near, far = (noise / 2 + left[i] for i in (s, s + 2))
                    agree = ~out_of & ((mean[s] - mean[s + 2]) ** 2 < (near + far) * ALIKE)
                    sides[s] = np.where(agree, (mean[s] * far + mean[s + 2] * near) / (near + far), sides[s])
                    both_of = near * far / (near + far) - noise / 2
                    excesses.append(np.where(agree, both_of, np.where(out_of, left[s + 2], left[s])))
                before, after = [sides[0], *before[1:]], [sides[1], *after[1:]]
                excess = np.maximum(*excesses)
        per = 1 / np.sqrt(noise + excess)
        x = here[0][f]
        support = both(x - before[0], x - after[0]) * per
        lift = np.sqrt(white * WHOLE[f]) * 1.2
        top = np.maximum(np.maximum(before[2], after[2]) - lift, np.maximum(before[0], after[0]))
        bottom = np.minimum(np.minimum(before[1], after[1]) + lift, np.minimum(before[0], after[0]))
        seed = (np.maximum(x - top, 0) + np.minimum(x - bottom, 0)) * per
        seed = np.where(np.abs(support) > least, seed, 0)
        middle = x - (before[0] + after[0]) / 2
        if f == 0:
            grey = middle
            out[0], out[1], out[8] = seed, support, middle / weight.sum()
            out[7] = np.abs(before[0] - after[0]) / np.sqrt(noise)
            still = [
                (windows(s[None])[0] * STEPS).sum((2, 3)) + np.einsum("c,cyx->yx", features[0], m[:planes])
                for s, m in zip(steady, each, strict=True)
            ]
            far = still[2:] if beyond else still[::-1]
            pairs = ((0, 1), (2, 1), (0, 3)) if beyond else ((0, 1),)
            ways = np.stack([both(x - still[i], x - still[j]) for i, j in pairs])
            out[10] = np.take_along_axis(ways, np.abs(ways).argmax(0)[None], 0)[0] * per
            out[5] = both(still[0] - far[0], still[0] - x) * per
            out[6] = both(still[1] - far[1], still[1] - x) * per
        else:
            more = np.abs(support) > np.abs(out[3])
            rest = (grey - weight[f - 1] * (x - (plain[0] + plain[1]) / 2)) / (weight.sum() - weight[f - 1])
            for plane, value in ((2, seed), (3, support), (4, rest), (9, middle)):
                out[plane] = np.where(more, value, out[plane])
    return out


def depart(centre: np.ndarray, others: np.ndarray, match: np.ndarray, part: Region | None = None, **how: Any) -> Any:
    planes, height, width = centre.shape
    region = Region.sized(width, height, -3, 5)
    out = np.full((11, height, width), 9, np.float32)
    launch(
        Device("cpu", how.get("threads", 2)),
        "dirt_depart",
        part or region,
        reach=1,
        isa=how.get("isa"),
        centre=(centre, region),
        others=(others.reshape(-1, height, width), region),
        steady=(np.ascontiguousarray(others[:, 0, ::-1]), region),
        match=(match, Region.sized(match.shape[2], match.shape[1])),
        out=(out, region),
        variance=(SIGMA2[: 3 if planes == 3 else 1], (-1.0, 6.0)),
        planes=planes,
        beyond=len(others) == 4,
        grey=tuple(GREY),
        weight=tuple(WEIGHT),
        whole=WHOLE,
        smooth=SMOOTH,
        floor=FLOOR,
        suspect=SUSPECT,
        alike=ALIKE,
        least=how.get("least", 0.0),
        left=region.x0,
        top=region.y0,
    )
    return out


@pytest.mark.parametrize("size", [(1, 1), (1, 19), (7, 5), (37, 67)])
@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize(("count", "least"), [(2, 0.0), (4, 0.0), (4, 1.5)])
def test_departures(size: tuple[int, int], planes: int, count: int, least: float) -> None:
    centre, others = frames(size, planes, count)
    rng = np.random.default_rng(5)
    rows, columns = -(-size[0] // 16), -(-size[1] // 16)
    match = rng.normal(0, 0.05, (count, 13 if planes == 3 else 2, rows, columns))
    match[:, planes : planes + 4] = match[:, planes : planes + 4] ** 2
    match[:, planes + 4 :] *= 6
    match = match.reshape(-1, rows, columns).astype(np.float32)
    expected = reference(centre, others, match, least)
    first = None
    for isa in isas():
        out = depart(centre, others, match, isa=isa, least=least)
        np.testing.assert_array_equal(depart(centre, others, match, isa=isa, least=least, threads=3), out)
        # Where two records or two neighbours are equally far, rounding chooses.
        off = ~np.isclose(out, expected, rtol=1e-3, atol=2e-3)
        assert off.mean() < 0.003
        if isa != "v2":
            first = out if first is None else first
            np.testing.assert_array_equal(out, first)
        part = Region(-3 + size[1] // 3, 5, -3 + size[1], 5 + size[0] - size[0] // 3)
        inside = np.s_[:, : size[0] - size[0] // 3, size[1] // 3 :]
        np.testing.assert_array_equal(depart(centre, others, match, part, isa=isa, least=least)[inside], out[inside])


def test_a_spot_departs_and_a_spot_in_a_neighbour_is_passed_over() -> None:
    centre, others = np.full((1, 20, 40), 3, np.float32), np.full((4, 1, 20, 40), 3, np.float32)
    centre[0, 8:12, 10:14] = others[1, 0, 8:12, 10:14] = 1  # on the same spot in the frame and in the one after
    centre[0, 8:12, 30:34] = 5
    match = np.zeros((8, 2, 3), np.float32)
    out = depart(centre, others, match)
    assert out[0, 10, 12] < -10 and out[1, 10, 12] < -10 and out[0, 10, 31] > 10
    assert (out[:2, :, 18:26] == 0).all()
    assert depart(centre, others[:2], match[:4])[0, 10, 12] == 0  # without the frame beyond, it could be the picture
    assert (depart(centre, np.broadcast_to(centre, (4, *centre.shape)).copy(), match)[:2] == 0).all()


def test_huge_values_stay_numbers() -> None:
    centre, others = frames((19, 35), 3, 4)
    out = depart(centre * np.float32(1e15), others * np.float32(-1e15), np.zeros((52, 2, 3), np.float32))
    assert np.isfinite(out).all()
    broken = centre.copy()
    broken[:, 5, 7] = np.nan
    wrong, right = (depart(c, others, np.zeros((52, 2, 3), np.float32)) for c in (broken, centre))
    far = np.ones((19, 35), bool)
    far[4:7, 6:9] = False
    np.testing.assert_array_equal(wrong[:, far], right[:, far])
