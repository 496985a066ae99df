"""Kernels of grain removal, against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.fft import dctn, idctn

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.grain.domain import CODE, OPPONENT, TOE, coding
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.grain.working import TILE, mirror, work_area
from safelight.nodes.kernels.launch import isas, launch

from .test_degrain_take import adds_up

BAND = np.maximum(*np.meshgrid(np.arange(8), np.arange(8))) // 2


@pytest.mark.parametrize("size", [(1, 1), (1, 17), (7, 16), (40, 67)])
@pytest.mark.parametrize("domain", ["linear", "log", "density"])
def test_encode_against_float64(size: tuple[int, int], domain: str) -> None:
    rng = np.random.default_rng(size)
    plate = (rng.standard_normal((3, *size)) * 10.0 ** rng.integers(-3, 4, (3, *size))).astype(np.float32)
    code = coding(domain, load_stock("500T").curves)  # type: ignore[arg-type]
    coded = np.einsum("ij,jyx->iyx", OPPONENT, code.encode(plate))
    region = Region.sized(size[1], size[0], -3, 5)
    for isa in isas():
        out, luma = np.empty_like(plate), np.empty((1, *size), np.float32)
        launch(
            Device("cpu", 2),
            "degrain_encode",
            region,
            isa=isa,
            plate=(plate, region),
            out=(out, region),
            luma=(luma, region),
            curve=code.forward,
            planes=3,
            domain=CODE[domain],
            per_toe=1 / TOE,
            search_scale=100.0,
        )
        scale = 1 + np.abs(coded).max()
        np.testing.assert_allclose(out, coded, atol=2e-6 * scale)
        assert (luma == np.rint(luma)).all() and np.abs(luma).max() <= 8191
        inside = np.abs(coded[0]) * 100 < 8190
        assert np.abs(luma[0] - coded[0] * 100)[inside].max(initial=0) <= 0.51 + 1e-4 * scale


def stack(height: int, width: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, Region, Region]:
    """Plate, centre and neighbours with their mirrored border."""
    rng = np.random.default_rng([height, width, count])
    region = Region.sized(width, height, 4, -6)
    work = work_area(region)
    y, x = np.mgrid[:height, :width]
    clean = np.stack([np.sin(x / 4 + c) + np.cos(y / 3) + 2 * (x > y) for c in range(3)])
    frames = []
    for n in range(count + 1):
        plate = clean + rng.normal(0, 0.2, clean.shape) + (2 if n == 2 else 0)
        coded = np.empty((3, work.height, work.width), np.float32)
        coded[:, 8 : 8 + height, 8 : 8 + width] = np.einsum("ij,jyx->iyx", OPPONENT, plate)
        mirror(coded, width, height, np)
        frames.append((plate.astype(np.float32), coded))
    others = np.concatenate([f[1] for f in frames[1:]]) if count else frames[0][1]
    return frames[0][0], frames[0][1], others, region, work


AGREE, DOUBT, KEEP = (2.8, 2.4, 2.2, 2.0), 3.0, (4.0, 6.0, 6.0)


def reference(
    centre: np.ndarray,
    others: np.ndarray,
    count: int,
    region: Region,
    variance: np.ndarray,
    spectrum: np.ndarray,
    steps: tuple[int, int],
    pilot: np.ndarray | None = None,
) -> np.ndarray:
    """Return the clean picture in opponent channels, float64, patch by patch."""
    h, w = region.height, region.width
    total, weights = np.zeros((3, h + 32, w + 32)), np.zeros((3, h + 32, w + 32))
    stackd = (
        np.concatenate([centre, others])[: 3 * (count + 1)].astype(np.float64).reshape(count + 1, 3, *centre.shape[1:])
    )
    for y in range(-8 + steps[0], h, steps[0]):
        for x in range(-6, w, 2):
            seen = stackd[:, :, y + 8 : y + 16, x + 8 : x + 16]
            level = np.linalg.solve(OPPONENT, seen[0].mean((1, 2)))
            low, high = 0.0, 4.0
            at = np.clip((level - low) / (high - low), 0, 1) * (variance.shape[1] - 1)
            noise_rgb = [np.interp(at[c], np.arange(variance.shape[1]), variance[c]) for c in range(3)]
            for c in range(3):
                if c > 0 and y % steps[1]:
                    continue
                noise = (OPPONENT[c] ** 2) @ noise_rgb
                f = dctn(seen[:, c], axes=(1, 2), norm="ortho")
                known = f[0]
                if pilot is not None:
                    known = dctn(pilot[c, y + 8 : y + 16, x + 8 : x + 16].astype(np.float64), norm="ortho")
                acc, den = np.zeros((8, 8)), np.ones((8, 8))
                for n in range(1, count + 1):
                    for b in range(4):
                        inside = b == BAND
                        expected = noise * spectrum[c][inside].mean()
                        excess = max(((f[n] - known)[inside] ** 2).mean() - expected * AGREE[b], 0)
                        weight = expected / (expected + DOUBT * excess)
                        acc[inside] += weight * (f[n] - f[0])[inside]
                        den[inside] += weight
                value = f[0] + acc / den
                left = noise * spectrum[c] / den
                if pilot is None:
                    gain = (value**2 > KEEP[c] * left).astype(float)
                else:
                    ratio = np.minimum(known**2 / (KEEP[c] * left), 2.0**20)
                    gain = ratio**2 / (ratio**2 + 1)
                gain[0, 0] = 1
                patch = idctn(value * gain, norm="ortho")
                weight = 1 / (gain**2 * left).sum()
                total[c, y + 8 : y + 16, x + 8 : x + 16] += weight * patch
                weights[c, y + 8 : y + 16, x + 8 : x + 16] += weight
    return (total / np.maximum(weights, 1e-30))[:, 8 : 8 + h, 8 : 8 + w]


def degrain(
    centre: np.ndarray,
    others: np.ndarray,
    count: int,
    region: Region,
    work: Region,
    variance: np.ndarray,
    spectrum: np.ndarray,
    steps: tuple[int, int],
    pilot: np.ndarray | None = None,
    *,
    isa: str,
    threads: int,
    rows: int = 64,
) -> np.ndarray:
    image = np.full((3, region.height, region.width), 9, np.float32)
    tiles = -(-region.width // TILE)
    launch(
        Device("cpu", threads),
        "degrain",
        Region.sized(1, tiles * -(-region.height // rows)),
        isa=isa,
        centre=(centre, work),
        others=(others, work),
        pilot=(centre if pilot is None else pilot, work),
        image=(image, region),
        scratch=(image, region),
        variance=(variance, (0.0, 4.0)),
        spectrum=(spectrum.reshape(3, 64), (0, 1)),
        planes=3,
        count=count,
        tiles_x=tiles,
        rows=rows,
        step=steps[0],
        colour_step=steps[1],
        width=region.width,
        height=region.height,
        second=pilot is not None,
        scale=1.0,
        agree=AGREE,
        doubt=DOUBT,
        band=[spectrum[c][b == BAND].mean() for c in range(3) for b in range(4)],
        keep=KEEP,
    )
    return image


VARIANCE = np.linspace([0.03, 0.04, 0.02], [0.06, 0.05, 0.07], 16).T
SPECTRUM = (
    np.exp(-np.hypot(*np.meshgrid(np.arange(8), np.arange(8))) / 8)[None] * np.array([1, 0.9, 1.2])[:, None, None]
)


@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize(("size", "count"), [((1, 1), 0), ((1, 19), 1), ((21, 33), 2), ((67, 5), 3), ((9, 130), 2)])
def test_degrain_against_float64(size: tuple[int, int], count: int, second: bool) -> None:
    _, centre, others, region, work = stack(*size, count)
    pilot = None
    if second:
        smooth = sum(np.roll(centre, by, axis=axis) for axis in (1, 2) for by in (-1, 0, 1)) / 6
        pilot = np.ascontiguousarray(smooth, np.float32)
    steps = (4, 8) if second and count == 3 else (2, 4)
    expected = reference(centre, others, count, region, VARIANCE, SPECTRUM, steps, pilot)
    given = (centre, others, count, region, work, VARIANCE, SPECTRUM, steps, pilot)
    first = None
    for isa in isas():
        for threads in (1, 3):
            image = degrain(*given, isa=isa, threads=threads)
            # A coefficient on the edge of being kept may fall to either side: a patch in hundreds, and one of 16.
            error = np.abs(image - expected)
            assert np.quantile(error, 0.98) < 2e-5 and error.max() < (2e-5 if second else 0.04)
            if isa != "v2":
                first = image if first is None else first
                np.testing.assert_array_equal(image, first)
        if isa == "scalar":
            np.testing.assert_array_equal(degrain(*given, isa=isa, threads=2, rows=16), first)


@pytest.mark.parametrize("size", [(1, 1), (1, 19), (7, 5), (33, 135)])
@pytest.mark.parametrize("domain", ["linear", "log", "density"])
def test_finish_against_float64(size: tuple[int, int], domain: str) -> None:
    rng = np.random.default_rng(size)
    code = coding(domain, load_stock("500T").curves)  # type: ignore[arg-type]
    plate = (rng.standard_normal((3, *size)) * 10.0 ** rng.integers(-3, 3, (3, *size))).astype(np.float32)
    clean = plate * (1 + 0.2 * rng.standard_normal(plate.shape))
    coded = np.einsum("ij,jyx->iyx", OPPONENT, code.encode(clean)).astype(np.float32)
    plate[0, 0, 0], coded[:, -1, -1] = np.inf, np.nan
    region = Region.sized(size[1], size[0], -3, 5)
    amount = np.array([1.0, 0.5, 1.0])[:, None, None]
    broken = ~np.isfinite(plate) | ~np.isfinite(coded).all(0)
    first: Any = None
    for isa in isas():
        for threads in (1, 3):
            image, grain = np.full_like(plate, 9), np.full_like(plate, 9)
            launch(
                Device("cpu", threads),
                "degrain_finish",
                region,
                isa=isa,
                plate=(plate, region),
                coded=(coded, region),
                image=(image, region),
                grain=(grain, region),
                uncurve=code.inverse,
                planes=3,
                domain=CODE[domain],
                toe=TOE,
                amount=amount.ravel(),
            )
            np.testing.assert_array_equal(image[broken], plate[broken])
            assert not grain[broken].any()
            good = ~broken
            target = (plate + (clean - np.where(good, plate, 0)) * amount)[good]
            bound = 2e-3 * (np.abs(target) + np.broadcast_to(np.abs(clean).max(0), good.shape)[good] + 0.02)
            assert (np.abs(image[good] - target) < bound).all()
            exact = good & adds_up(plate, image, grain)
            np.testing.assert_array_equal((image + grain)[exact], plate[exact])
            if isa != "v2":
                first = (image, grain) if first is None else first
                np.testing.assert_array_equal(image, first[0])
                np.testing.assert_array_equal(grain, first[1])


@pytest.mark.parametrize("size", [(1, 1), (1, 19), (7, 6), (33, 135), (40, 64)])
def test_half_size_and_back_against_float64(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(size)
    h, w = size
    region, half = Region.sized(w, h), Region.sized(-(-w // 2), -(-h // 2))
    work = work_area(region)
    source = rng.standard_normal((2, work.height, work.width)).astype(np.float32)
    base = rng.standard_normal((2, half.height, half.width)).astype(np.float32)
    base[0, 0, 0] = np.nan
    small = source.astype(np.float64)[:, 7 : 7 + 2 * half.height + 2, 7 : 7 + 2 * half.width + 2]
    for axis, n in ((1, half.height), (2, half.width)):
        parts = [np.take(small, np.arange(n) * 2 + j, axis=axis) for j in range(4)]
        small = (parts[0] + 3 * parts[1] + 3 * parts[2] + parts[3]) / 8
    apart = np.where(np.isfinite(base), base - small, 0)
    wide = np.pad(apart, ((0, 0), (1, 1), (1, 1)), mode="edge")
    for axis in (1, 2):
        at = (np.arange(2 * (wide.shape[axis] - 2)) + 0.5) / 2 + 0.5
        low = np.floor(at).astype(int)
        part = (at - low).reshape((-1, 1) if axis == 1 else -1)
        wide = np.take(wide, low, axis=axis) * (1 - part) + np.take(wide, low + 1, axis=axis) * part
    before = rng.standard_normal((2, h, w)).astype(np.float32)
    mended = before + wide[:, :h, :w]
    first: Any = None
    for isa in isas():
        for threads in (1, 3):
            device = Device("cpu", threads)
            runs = Region.sized(-(-half.width // 32), half.height)
            given: dict[str, Any] = {"source": (source, work), "planes": 2, "left": 8, "top": 8}
            made, differ, image = np.full(base.shape, 9, np.float32), np.full(base.shape, 9, np.float32), before.copy()
            launch(device, "degrain_reduce", runs, isa=isa, base=(base, half), out=(made, half), differ=0, **given)
            launch(device, "degrain_reduce", runs, isa=isa, base=(base, half), out=(differ, half), differ=1, **given)
            runs = Region.sized(-(-w // 64), h)
            launch(device, "degrain_mend", runs, isa=isa, half=(differ, half), image=(image, region), planes=2)
            np.testing.assert_allclose(made, small, atol=1e-6)
            np.testing.assert_allclose(differ, apart, atol=1e-6)
            np.testing.assert_allclose(image, mended, atol=2e-6)
            first = (made, differ, image) if first is None else first
            for one, other in zip((made, differ, image), first, strict=True):
                np.testing.assert_array_equal(one, other)
