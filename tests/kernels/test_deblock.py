"""What Deblock is made of, against float64: codes and back, filters by class, edges evened."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import isas, launch
from safelight.nodes.resolution.deblock_training import features

SIZES = [(1, 1), (1, 17), (5, 1), (7, 16), (23, 35)]


def values(size: tuple[int, int], planes: int, seed: int = 1) -> np.ndarray:
    return (4 * np.random.default_rng([seed, planes, *size]).standard_normal((planes, *size))).astype(np.float32)


def agree(found: dict[tuple[str, int], np.ndarray]) -> np.ndarray:
    best = found[isas()[-1], 1]
    for (isa, _), other in found.items():
        if isa == "v2":
            np.testing.assert_allclose(other, best, rtol=1e-4, atol=1e-3)
        else:
            np.testing.assert_array_equal(other.view(np.uint32), best.view(np.uint32))
    return best


def encode(plate: np.ndarray, curve: int, cleaned: np.ndarray | None = None, amount: float = 1) -> np.ndarray:
    size = plate.shape[1:]
    region = Region.sized(size[1], size[0], -3, 5)
    coded = plate if cleaned is None else encode(plate, curve)
    found = {}
    for isa in isas():
        for threads in (1, 3):
            out = np.full_like(plate, 9)
            launch(
                Device("cpu", threads), "deblock_encode", region, isa=isa, plate=(plate, region),
                coded=(coded, region), cleaned=(plate if cleaned is None else cleaned, region), out=(out, region),
                planes=len(plate), curve=curve, back=cleaned is not None, amount=amount,
                red=0.2126, blue=0.0722,
            )  # fmt: skip
            found[isa, threads] = out
    return agree(found)


def codes(light: np.ndarray) -> np.ndarray:
    a = np.abs(light.astype(np.float64))
    return 255 * np.sign(light) * np.where(a <= 0.0031308, 12.92 * a, 1.055 * a ** (1 / 2.4) - 0.055)


def as_light(code: np.ndarray) -> np.ndarray:
    a = np.abs(code / 255)
    return np.sign(code) * np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4)


MATRIX = np.array([[0.2126, 0.7152, 0.0722], np.zeros(3), np.zeros(3)])
MATRIX[1] = (np.array([0, 0, 1]) - MATRIX[0]) / 1.8556
MATRIX[2] = (np.array([1, 0, 0]) - MATRIX[0]) / 1.5748


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("curve", [0, 1])
def test_codes_and_back(size: tuple[int, int], planes: int, curve: int) -> None:
    plate = values(size, planes) * 10.0 ** np.random.default_rng(2).integers(-4, 2, (planes, *size)).astype(np.float32)
    seen = codes(plate) if curve else 255 * plate.astype(np.float64)
    want = np.tensordot(MATRIX, seen, 1) if planes == 3 else seen
    out = encode(plate, curve)
    scale = np.abs(seen).sum(0)
    assert (np.abs(out - want) <= 5e-6 * scale + 1e-4).all()
    np.testing.assert_array_equal(encode(plate, curve, out).view(np.uint32), plate.view(np.uint32))
    moved = out + values(size, planes, 3)
    delta = 0.5 * (moved.astype(np.float64) - out)
    changed = seen + (np.tensordot(np.linalg.inv(MATRIX), delta, 1) if planes == 3 else delta)
    back = as_light(changed) if curve else changed / 255
    found = encode(plate, curve, moved, 0.5)
    size_of = np.abs(back).sum(0) + np.abs(plate).sum(0)
    assert (np.abs(found - back) <= 1e-4 * size_of + 1e-5).all()


@pytest.mark.parametrize("size", [(8, 8), (9, 17), (24, 40)])
@pytest.mark.parametrize("corner", [(0, 0), (5, 3)])
def test_refine_weighs_what_training_weighs(size: tuple[int, int], corner: tuple[int, int]) -> None:
    """The kernel's classes and folds are those of `features`, which cuts them out with numpy."""
    h, w = size
    big = 8 + h, 8 + w
    coded, smooth = values(big, 1)[0] * 4, values(big, 1, 2)[0]
    busy = (1.0, 4.0, 9.0, 20.0)
    filters = np.random.default_rng(4).standard_normal((250, 73)).astype(np.float32) * 0.1
    region = Region.sized(big[1], big[0], corner[0] - 8, corner[1] - 8)  # the grid stays at a corner of it
    steer = np.empty((3, *big), np.float32)
    launch(Device("cpu", 1), "upscale_steer", region, reach=3, guide=(smooth, region), out=(steer, region), noise=0.02)
    found = {}
    for isa in isas():
        for threads in (1, 3):
            out = np.empty((1, *big), np.float32)
            launch(
                Device("cpu", threads), "deblock_refine", region, reach=2, isa=isa, coded=(coded, region),
                smooth=(smooth, region), steer=(steer, region), out=(out, region), filters=(filters, (0.0, 1.0)),
                x0=corner[0], y0=corner[1], busy=busy, sure=0.45,
            )  # fmt: skip
            found[isa, threads] = out
    import safelight.nodes.resolution.deblock_training as training

    kept, training.BUSY = training.BUSY, busy
    try:
        taps, classes = features(coded, smooth, 1.0, Device("cpu", 1))
    finally:
        training.BUSY = kept
    want = smooth + np.einsum("nk,nk->n", taps.astype(np.float64), filters[classes]).reshape(big)
    best = agree(found)[0]
    close = np.abs(best - want) < 1e-3
    assert close.mean() > 0.99  # a variance within rounding of a limit may fall to either side


def evened(source: np.ndarray, first: int, period: float, phase: float, amount: float, limit: float) -> np.ndarray:
    """Along the last axis, edge by edge."""
    out = source.astype(np.float64).copy()
    n = source.shape[1]
    for step in range(-50, 400):
        edge = int(np.floor(phase + step * period + 0.5)) - first
        for row in range(len(source)):
            at = [source[row, min(max(edge + i, 0), n - 1)].astype(np.float64) for i in (-2, -1, 0, 1)]
            over = (at[2] - at[1]) - ((at[1] - at[0]) + (at[3] - at[2])) / 2
            moved = over * np.clip(2 - abs(over) / limit, 0, 1) * 0.5 * amount
            if 0 <= edge < n:
                out[row, edge] = source[row, edge] - moved
            if 0 <= edge - 1 < n:
                out[row, edge - 1] = source[row, edge - 1] + moved
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("period", "phase"), [(8.0, 3.0), (5.33, 0.4), (12.0, 11.0)])
def test_edges_are_evened(size: tuple[int, int], period: float, phase: float) -> None:
    source = values(size, 1)
    region = Region.sized(size[1], size[0], -3, 5)
    for down in (0, 1):
        found = {}
        for isa in isas():
            for threads in (1, 3):
                out = np.empty_like(source)
                launch(
                    Device("cpu", threads), "deblock_edges", region, reach=2, isa=isa, source=(source, region),
                    out=(out, region), down=down, period=period, phase=phase, amount=0.7, limit=3.0,
                )  # fmt: skip
                found[isa, threads] = out
        plane = source[0].T if down else source[0]
        want = evened(plane, 5 if down else -3, period, phase, 0.7, 3.0)
        np.testing.assert_allclose(agree(found)[0], want.T if down else want, atol=1e-5)
