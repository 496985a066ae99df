"""Kernels of grain removal, against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.fft import dctn, idctn

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.grain.degrain import COLOUR_STEP, STEP
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


SETTINGS: dict[str, Any] = {"agree": 2.0, "doubt": 3.0, "scale": 1.0}
KEEP = (4.0, 6.0, 6.0)


def reference(
    centre: np.ndarray, others: np.ndarray, count: int, region: Region, variance: np.ndarray, spectrum: np.ndarray
) -> np.ndarray:
    """Return the clean picture in opponent channels, float64, patch by patch."""
    h, w = region.height, region.width
    total, weights = np.zeros((3, h + 32, w + 32)), np.zeros((3, h + 32, w + 32))
    stackd = (
        np.concatenate([centre, others])[: 3 * (count + 1)].astype(np.float64).reshape(count + 1, 3, *centre.shape[1:])
    )
    for y in range(-8 + STEP, h, STEP):
        for x in range(-7, w):
            seen = stackd[:, :, y + 8 : y + 16, x + 8 : x + 16]
            level = np.linalg.solve(OPPONENT, seen[0].mean((1, 2)))
            low, high = 0.0, 4.0
            at = np.clip((level - low) / (high - low), 0, 1) * (variance.shape[1] - 1)
            noise_rgb = [np.interp(at[c], np.arange(variance.shape[1]), variance[c]) for c in range(3)]
            for c in range(3):
                if c > 0 and y % COLOUR_STEP:
                    continue
                noise = (OPPONENT[c] ** 2) @ noise_rgb
                f = dctn(seen[:, c], axes=(1, 2), norm="ortho")
                acc, den = np.zeros((8, 8)), np.ones((8, 8))
                for n in range(1, count + 1):
                    d = f[n] - f[0]
                    for b in range(4):
                        inside = b == BAND
                        expected = noise * spectrum[c][inside].mean()
                        excess = max((d[inside] ** 2).mean() - expected * SETTINGS["agree"], 0)
                        weight = expected / (expected + SETTINGS["doubt"] * excess)
                        acc[inside] += weight * d[inside]
                        den[inside] += weight
                value = f[0] + acc / den
                left = noise * spectrum[c] / den
                strong = value**2 > KEEP[c] * left
                strong[0, 0] = True
                patch = idctn(np.where(strong, value, 0), norm="ortho")
                weight = 1 / left[strong].sum()
                total[c, y + 8 : y + 16, x + 8 : x + 16] += weight * patch
                weights[c, y + 8 : y + 16, x + 8 : x + 16] += weight
    return (total / np.maximum(weights, 1e-30))[:, 8 : 8 + h, 8 : 8 + w]


def degrain(
    plate: np.ndarray,
    centre: np.ndarray,
    others: np.ndarray,
    count: int,
    region: Region,
    work: Region,
    variance: np.ndarray,
    spectrum: np.ndarray,
    *,
    isa: str,
    threads: int,
    rows: int = 64,
) -> tuple[np.ndarray, np.ndarray]:
    image, grain = np.full_like(plate, 9), np.full_like(plate, 9)
    u = [spectrum[c][b == BAND].mean() for c in range(3) for b in range(4)]
    tiles = -(-region.width // TILE)
    launch(
        Device("cpu", threads),
        "degrain",
        Region.sized(1, tiles * -(-region.height // rows)),
        isa=isa,
        plate=(plate, region),
        centre=(centre, work),
        others=(others, work),
        image=(image, region),
        grain=(grain, region),
        scratch=(image, region),
        variance=(variance, (0.0, 4.0)),
        spectrum=(spectrum.reshape(3, 64), (0, 1)),
        uncurve=(np.zeros(2), (0, 1)),
        planes=3,
        count=count,
        domain=0,
        tiles_x=tiles,
        rows=rows,
        step=STEP,
        colour_step=COLOUR_STEP,
        width=region.width,
        height=region.height,
        toe=TOE,
        band=u,
        keep=KEEP,
        amount=(1, 1, 1),
        **SETTINGS,
    )
    return image, grain


@pytest.mark.parametrize(("size", "count"), [((1, 1), 0), ((1, 19), 1), ((21, 33), 2), ((67, 5), 3), ((9, 130), 2)])
def test_degrain_against_float64(size: tuple[int, int], count: int) -> None:
    plate, centre, others, region, work = stack(*size, count)
    variance = np.linspace([0.03, 0.04, 0.02], [0.06, 0.05, 0.07], 16).T
    spectrum = (
        np.exp(-np.hypot(*np.meshgrid(np.arange(8), np.arange(8))) / 8)[None] * np.array([1, 0.9, 1.2])[:, None, None]
    )
    expected = np.linalg.inv(OPPONENT) @ reference(centre, others, count, region, variance, spectrum).reshape(3, -1)
    first = None
    for isa in isas():
        for threads in (1, 3):
            image, grain = degrain(
                plate, centre, others, count, region, work, variance, spectrum, isa=isa, threads=threads
            )
            # A coefficient on the edge of being kept may fall to either side: a patch in hundreds, and one of 32.
            error = np.abs(image - expected.reshape(image.shape))
            assert np.quantile(error, 0.98) < 2e-5 and error.max() < 0.02
            exact = adds_up(plate, image, grain)
            np.testing.assert_array_equal((image + grain)[exact], plate[exact])
            np.testing.assert_allclose(image + grain, plate, atol=2**-24 * 8)
            if isa != "v2":
                first = image if first is None else first
                np.testing.assert_array_equal(image, first)
        if isa == "scalar":
            shorter = degrain(
                plate, centre, others, count, region, work, variance, spectrum, isa=isa, threads=2, rows=16
            )
            np.testing.assert_array_equal(shorter[0], first)
