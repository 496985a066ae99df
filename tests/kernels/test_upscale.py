"""What Upscale is made of, against float64: direction, interpolation, light kept within bounds, resampling."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import isas, launch
from safelight.nodes.resolution.resampling import lanczos, place, resampled, taps

SIZES = [(1, 1), (1, 17), (5, 1), (7, 16), (23, 35)]
TOE = 0.01


def region_of(a: np.ndarray) -> Region:
    return Region.sized(a.shape[-1], a.shape[-2], -3, 5)


def values(size: tuple[int, int], planes: int, seed: int = 1) -> np.ndarray:
    return (4 * np.random.default_rng([seed, planes, *size]).standard_normal((planes, *size))).astype(np.float32)


def run(name: str, out: dict[str, tuple[int, ...]], size: tuple[int, int], **args: Any) -> list[np.ndarray]:
    """Run every build and two thread counts; all but v2 must agree bit for bit. Return what the best made."""
    region = Region.sized(size[1], size[0], -3, 5)
    found = {}
    for isa in isas():
        for threads in (1, 3):
            outs = {key: np.full((n, *size), 9, np.float32) for key, (n,) in out.items()}
            given = {k: (v, region) if isinstance(v, np.ndarray) and v.ndim == 3 else v for k, v in args.items()}
            launch(Device("cpu", threads), name, region, isa=isa, **given, **{k: (v, region) for k, v in outs.items()})
            found[isa, threads] = list(outs.values())
    best = found[isas()[-1], 1]
    for (isa, _), other in found.items():
        for a, b in zip(best, other, strict=True):
            if isa == "v2":
                np.testing.assert_allclose(b, a, rtol=1e-3, atol=1e-4)
            else:
                np.testing.assert_array_equal(b.view(np.uint32), a.view(np.uint32))
    return best


def padded(a: np.ndarray, n: int) -> np.ndarray:
    return np.pad(a.astype(np.float64), ((0, 0), (n, n), (n, n)), mode="edge")


# --- encode, steer ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("domain", [0, 1])
def test_encode(size: tuple[int, int], domain: int) -> None:
    light = values(size, 3) * 10.0 ** np.random.default_rng(3).integers(-4, 9, (3, *size)).astype(np.float32)
    weights = (0.25, 0.5, 0.25)
    out, guide = run(
        "upscale_encode", {"out": (3,), "guide": (1,)}, size,
        source=light, planes=3, domain=domain, per_toe=1 / TOE, weights=weights,
    )  # fmt: skip
    want = light.astype(np.float64)
    if domain:
        want = np.sign(want) * np.log2(1 + np.abs(want) / TOE)
    np.testing.assert_allclose(out, want, rtol=3e-6, atol=3e-6)
    scale = np.abs(want).sum(0)
    assert (np.abs(guide[0] - np.tensordot(weights, want, 1)) <= 3e-6 * scale + 3e-6).all()


def steer(guide: np.ndarray, noise: float) -> np.ndarray:
    """Structure tensor and the eigenvector of its larger eigenvalue, pixel by pixel."""
    p, (h, w) = padded(guide, 3)[0], guide.shape[1:]
    bell = np.array([0.05448868, 0.24420134, 0.40261995, 0.24420134, 0.05448868])
    out = np.zeros((3, h, w))
    for y in range(h):
        for x in range(w):
            tensor = np.zeros((2, 2))
            for j in range(-2, 3):
                for i in range(-2, 3):
                    at = p[y + 3 + j, :], x + 3 + i
                    gx = (p[y + 3 + j, x + 4 + i] - p[y + 3 + j, x + 2 + i]) / 2
                    gy = (p[y + 4 + j, x + 3 + i] - p[y + 2 + j, x + 3 + i]) / 2
                    assert at[0].size
                    tensor += bell[j + 2] * bell[i + 2] * np.outer([gx, gy], [gx, gy])
            weights, vectors = np.linalg.eigh(tensor)
            v = vectors[:, 1]
            out[:, y, x] = v[0], v[1], (weights[1] - weights[0]) / (weights.sum() + noise)
    return out


@pytest.mark.parametrize("size", SIZES)
def test_steer(size: tuple[int, int]) -> None:
    guide = values(size, 1)
    [out] = run("upscale_steer", {"out": (3,)}, size, guide=guide, noise=1e-3, reach=3)
    want = steer(guide, 1e-3)
    np.testing.assert_allclose(out[2], want[2], atol=2e-5)
    np.testing.assert_allclose(out[0] ** 2 + out[1] ** 2, 1, atol=1e-5)
    sure = want[2] > 0.05  # without a direction there is none to compare
    aligned = np.abs(out[0] * want[0] + out[1] * want[1])
    assert (aligned[sure] > 1 - 1e-4).all()


def test_steer_of_nothing_has_no_direction() -> None:
    [out] = run("upscale_steer", {"out": (3,)}, (5, 9), guide=np.full((1, 5, 9), 3, np.float32), noise=1e-3, reach=3)
    assert (out[2] == 0).all() and (out[0] == 1).all() and (out[1] == 0).all()


# --- spread ----------------------------------------------------------------------------------------------------------


def cubic(v: float) -> float:
    d = abs(v)
    return 1.5 * d**3 - 2.5 * d**2 + 1 if d < 1 else -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2 if d < 2 else 0.0


def spread(small: np.ndarray, direction: np.ndarray, along: float) -> np.ndarray:
    p, (n, h, w) = padded(small, 2), small.shape
    out = np.zeros((4 * n, h, w))
    for y in range(h):
        for x in range(w):
            cosine, sine, sure = direction[:, y, x].astype(np.float64)
            for phase, (py, px) in enumerate([(-0.25, -0.25), (-0.25, 0.25), (0.25, -0.25), (0.25, 0.25)]):
                turned, straight = np.zeros((5, 5)), np.zeros((5, 5))
                for j in range(5):
                    for i in range(5):
                        dx, dy = i - 2 - px, j - 2 - py
                        bump = max(0, 1 - ((dy * cosine - dx * sine) / along) ** 2) ** 2
                        turned[j, i] = cubic(dx * cosine + dy * sine) * bump
                        straight[j, i] = cubic(dx) * cubic(dy)
                weights = sure * turned / turned.sum() + (1 - sure) * straight
                for c in range(n):
                    out[4 * c + phase, y, x] = (weights * p[c, y : y + 5, x : x + 5]).sum()
    return out


@pytest.mark.parametrize("size", SIZES)
def test_spread(size: tuple[int, int]) -> None:
    small, given = values(size, 2), values(size, 8, 2)
    turn = np.random.default_rng(5).uniform(-np.pi / 2, np.pi / 2, size)
    direction = np.stack([np.cos(turn), np.sin(turn), np.random.default_rng(6).random(size)]).astype(np.float32)
    want = spread(small, direction, 2.9)
    for add in (0, 1):
        [out] = run(
            "upscale_spread", {"large": (8,)}, size,
            small=small, steer=direction, given=given, planes=2, add=add, along=2.9, reach=2,
        )  # fmt: skip
        np.testing.assert_allclose(out, want + add * given, atol=3e-5)


# --- settle ----------------------------------------------------------------------------------------------------------


def decode(v: np.ndarray) -> np.ndarray:
    return np.sign(v) * (2 ** np.abs(v) - 1) * TOE


def encode(v: np.ndarray) -> np.ndarray:
    return np.sign(v) * np.log2(1 + np.abs(v) / TOE)


def bounds(small: np.ndarray, crest: float) -> tuple[np.ndarray, np.ndarray]:
    p, (n, h, w) = padded(small, 1), small.shape
    low, high = np.zeros((n, h, w)), np.zeros((n, h, w))
    for c in range(n):
        for y in range(h):
            for x in range(w):
                box = p[c, y : y + 3, x : x + 3]
                middle = box[1, 1]
                pairs = [(box[1, 0], box[1, 2]), (box[0, 1], box[2, 1]), (box[0, 0], box[2, 2]), (box[0, 2], box[2, 0])]
                high[c, y, x] = box.max() + crest * max(0, *(middle - max(pair) for pair in pairs))
                low[c, y, x] = box.min() - crest * max(0, *(min(pair) - middle for pair in pairs))
    return low.repeat(4, 0), high.repeat(4, 0)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("domain", [0, 1])
def test_settle_says_what_is_missing(size: tuple[int, int], domain: int) -> None:
    small, given = values(size, 2), values(size, 8, 2)
    good = np.ones((2, *size), np.float32)
    good[1, 0, 0] = 0
    large, left = run(
        "upscale_settle", {"large": (8,), "left": (2,)}, size,
        small=small, good=good, given=given, planes=2, domain=domain, rounds=0, crest=0.5, toe=TOE, per_toe=1 / TOE,
        reach=1,
    )  # fmt: skip
    want = np.clip(given, *bounds(small, 0.5))
    np.testing.assert_allclose(large, want, atol=1e-5)
    mean = (decode(want) if domain else want).reshape(2, 4, *size).mean(1)
    missing = (small - (encode(mean) if domain else mean)) * good
    np.testing.assert_allclose(left, missing, atol=2e-4)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("domain", [0, 1])
def test_settle_brings_the_mean_right_within_bounds(size: tuple[int, int], domain: int) -> None:
    small = np.abs(values(size, 2))
    given = small.repeat(4, 0) + 0.3 * values(size, 8, 2)
    large, _ = run(
        "upscale_settle", {"large": (8,), "left": (2,)}, size,
        small=small, good=np.ones_like(small), given=given, planes=2, domain=domain, rounds=8, crest=0.5, toe=TOE,
        per_toe=1 / TOE, reach=1,
    )  # fmt: skip
    light = decode(small.astype(np.float64)) if domain else small
    mean = large.astype(np.float64).reshape(2, 4, *size).mean(1)
    np.testing.assert_allclose(mean, light, rtol=2e-5, atol=1e-6)
    low, high = bounds(small, 0.5)
    made = encode(large.astype(np.float64)) if domain else large
    slack = 0.1 if domain else 1e-5
    assert (made >= low - slack).all() and (made <= high + slack).all()


# --- resample --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("ratio", [4 / 3, 1.0, 1.9, 0.7])
def test_resampled(size: tuple[int, int], ratio: float) -> None:
    planes = values(size, 2)
    source = region_of(planes)
    out = Region(-6, 3, 14, 12)
    found = resampled(planes, source, out, ratio, Device("cpu", 2))

    def along(a: np.ndarray, first: int, outs: range) -> np.ndarray:
        made = np.zeros((len(outs), *a.shape[1:]))
        for at, x in enumerate(outs):
            middle = place(x, ratio)
            near = int(np.floor(middle + 0.5))
            taken = np.arange(near - taps(ratio), near + taps(ratio) + 1)
            distance = (middle - taken) / max(ratio, 1)
            weights = lanczos(distance)
            rows = a[np.clip(taken - first, 0, len(a) - 1)]
            close = rows[np.abs(distance) < 1]
            made[at] = np.clip(np.tensordot(weights / weights.sum(), rows, 1), close.min(0), close.max(0))
        return made

    for c in range(2):
        across = along(planes[c].astype(np.float64).T, source.x0, range(out.x0, out.x1)).T
        np.testing.assert_allclose(found[c], along(across, source.y0, range(out.y0, out.y1)), atol=1e-5)


@pytest.mark.parametrize("size", SIZES)
def test_resample_in_every_build(size: tuple[int, int]) -> None:
    """Along a row: the builds agree, and with a sum over the pixels around in float64."""
    source, ratio, x0 = values(size, 2), 0.75, -3
    middle = place(np.arange(x0, x0 + size[1]), ratio)  # type: ignore[arg-type]
    nearest = np.floor(middle + 0.5)
    where = np.stack([nearest, middle - nearest])[:, None].astype(np.float32)
    [out] = run(
        "upscale_resample", {"out": (2,)}, size,
        source=source, place=(where, Region(x0, 0, x0 + size[1], 1)),
        window=(lanczos(np.linspace(0, 3, 6145)), (0.0, 3.0)), planes=2, down=0, taps=taps(ratio), narrow=1.0,
    )  # fmt: skip
    reach = np.arange(-taps(ratio), taps(ratio) + 1)
    for x in range(size[1]):
        weights = lanczos(middle[x] - nearest[x] - reach)
        around = source.astype(np.float64)[:, :, np.clip(nearest[x].astype(int) + reach - x0, 0, size[1] - 1)]
        close = around[:, :, np.abs(middle[x] - nearest[x] - reach) < 1]
        want = np.clip(around @ weights / weights.sum(), close.min(2), close.max(2))
        np.testing.assert_allclose(out[:, :, x], want, atol=2e-5)
