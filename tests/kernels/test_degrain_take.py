"""What Degrain takes where, against float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.grain.domain import OPPONENT
from safelight.nodes.grain.taking import tone
from safelight.nodes.kernels.launch import isas, launch

SIZES = [(1, 1), (1, 19), (7, 5), (33, 67)]


def pictures(size: tuple[int, int]) -> dict[str, np.ndarray]:
    """A plate and its clean picture of all magnitudes, with broken pixels, and a matte."""
    rng = np.random.default_rng(size)
    plate = (rng.standard_normal((3, *size)) * 10.0 ** rng.integers(-3, 5, (3, *size))).astype(np.float32)
    clean = (plate * (1 + 0.2 * rng.standard_normal(plate.shape))).astype(np.float32)
    matte = rng.uniform(-0.5, 1.5, (1, *size)).astype(np.float32)
    for picture, value in ((plate, np.nan), (plate, np.inf), (clean, np.nan), (matte, np.nan)):
        picture[(..., *(rng.integers(0, n) for n in size))] = value
    return {"plate": plate, "clean": clean, "matte": matte}


def take(given: dict[str, np.ndarray], part: Region | None = None, **how: Any) -> tuple[np.ndarray, np.ndarray]:
    """Run the kernel over the picture, or one part of it."""
    height, width = given["plate"].shape[1:]
    region = Region.sized(width, height, -3, 5)
    image, grain = np.full_like(given["plate"], 9), np.full_like(given["plate"], 9)
    args: dict[str, Any] = {name: (planes, region) for name, planes in given.items()}
    launch(
        Device("cpu", how.pop("threads", 2)),
        "degrain_take",
        part or region,
        isa=how.pop("isa", None),
        **args,
        image=(image, region),
        grain=(grain, region),
        **{"planes": 3, "use_matte": 1, "strength": (1, 1, 1), "tone": (1, 1, 1), **how},
    )
    return image, grain


def check_sums(given: dict[str, np.ndarray], image: np.ndarray, grain: np.ndarray, weight: np.ndarray) -> None:
    """Compare with plate + (clean − plate) × weight, and look at the ends."""
    plate, clean = given["plate"], given["clean"]
    usable = np.isfinite(plate) & np.isfinite(clean)
    weight = np.where(usable, weight, 0)
    none, whole = weight == 0, weight == 1
    np.testing.assert_array_equal(image[none], plate[none])
    assert not grain[none].any()
    np.testing.assert_array_equal(image[whole], clean[whole])
    plate, clean = np.where(usable, plate, 0), np.where(usable, clean, 0)
    image, grain = np.where(usable, image, 0), np.where(usable, grain, 0)
    expected = plate.astype(np.float64) + (clean.astype(np.float64) - plate) * weight
    np.testing.assert_allclose(image[~none], expected[~none], rtol=1e-6, atol=1e-6 * np.abs(plate).max())
    exact = usable & ~whole & adds_up(plate, image, grain)
    np.testing.assert_array_equal((image + grain)[exact], plate[exact])


def adds_up(plate: np.ndarray, image: np.ndarray, grain: np.ndarray) -> np.ndarray:
    """Tell where two floats can give the plate whatever its last bit: not where both are spaced wider than it."""
    above = np.ldexp(1.0, np.maximum(np.frexp(plate.astype(np.float64))[1], -125))
    return (np.abs(image) < above) | (np.abs(grain) < above)


@pytest.mark.parametrize("size", SIZES)
def test_take_against_float64(size: tuple[int, int]) -> None:
    given = pictures(size)
    weight = np.clip(np.nan_to_num(given["matte"], nan=0), 0, 1)
    first = None
    for isa in isas():
        for threads in (1, 3):
            image, grain = take(given, isa=isa, threads=threads)
            check_sums(given, image, grain, weight)
            if isa != "v2":
                first = first or (image, grain)
                np.testing.assert_array_equal(image, first[0])
                np.testing.assert_array_equal(grain, first[1])


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("tones", [(0.0, 1.0, 0.5), (2.0, 0.3, 0.0)])
def test_strengths_against_float64(size: tuple[int, int], tones: tuple[float, float, float]) -> None:
    given, strength = pictures(size), (0.0, 0.7, 1.5)
    clean = np.where(np.isfinite(given["plate"]), given["clean"], 0)
    each = np.minimum(tone(np.nan_to_num(clean), tones) * np.array(strength)[:, None, None], 1)
    weight = np.clip(np.nan_to_num(given["matte"], nan=0), 0, 1) * each
    first = None
    for isa in isas():
        image, grain = take(given, isa=isa, strength=strength, tone=tones)
        check_sums(given, image, grain, weight)
        first = first if isa == "v2" else first or (image, grain)
        if isa != "v2" and first:
            np.testing.assert_array_equal(image, first[0])
            np.testing.assert_array_equal(grain, first[1])
    image, grain = take(given, use_matte=0, strength=strength, tone=tones)
    check_sums(given, image, grain, np.broadcast_to(each, image.shape))


def hard_pairs(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """A plate and a clean picture, (3, 64, 100): values for which halves and sums round, vanish or overflow."""
    rng = np.random.default_rng(3)
    plate = rng.standard_normal((3, 64, 100))
    if kind == "any bits":
        plate = rng.integers(0, 2**32, (3, 64, 100), dtype=np.uint64).astype(np.uint32).view(np.float32)
        plate = np.where(np.isfinite(plate), plate, np.float32(1))
    elif kind == "denormal":
        plate = plate * 1e-40
    elif kind == "dark film":
        plate = plate * 1e-3
        return plate.astype(np.float32), np.full(plate.shape, 2e-4, np.float32)
    ratio = np.exp2(rng.uniform(-30, 3, plate.shape)) * rng.choice([-1, 1], plate.shape)
    with np.errstate(over="ignore"):
        clean = (plate.astype(np.float64) * ratio).astype(np.float32)
    return plate.astype(np.float32), np.where(np.isfinite(clean), clean, np.float32(2.5e38))


@pytest.mark.parametrize("kind", ["any bits", "denormal", "dark film", "ordinary"])
def test_image_and_grain_add_up_to_the_plate(kind: str) -> None:
    plate, clean = hard_pairs(kind)
    first = None
    for isa in isas():
        # The mean of plate and clean picture, or with a share so near 1 that it rounds to the latter.
        for strength in (0.5, 1 - 2**-24):
            how: dict[str, Any] = {"use_matte": 0, "strength": (strength,) * 3, "isa": isa}
            with np.errstate(over="ignore"):
                image, grain = take({"plate": plate, "clean": clean, "matte": plate[:1]}, **how)
                total = image + grain
                exact = adds_up(plate, image, grain)
            assert np.isfinite(image).all() and np.isfinite(grain).all() and exact.mean() > 0.3
            np.testing.assert_array_equal(total[exact], plate[exact])
            # The rest is as near as floats of the grain's size are.
            assert (np.abs(image.astype(np.float64) + grain - plate) <= 0.5 * np.spacing(np.abs(grain)))[~exact].all()
            # The picture moves by one place, of itself or of the plate, from what was asked for, once rounded itself.
            target = plate.astype(np.float64) + (clean.astype(np.float64) - plate) * np.float32(strength)
            large = np.maximum(np.abs(plate), np.abs(target).astype(np.float32))
            sane = (large < 1e38) & (np.abs(clean) < 1e38)
            near = 3 * np.spacing(np.maximum(large, np.abs(clean)))
            assert (np.abs(image - target) <= near)[sane].all()
        first = image if first is None else first
        np.testing.assert_array_equal(image, first) if isa != "v2" else None


def test_every_half_float_adds_up() -> None:
    """All finite halves against pictures up to a thousand times as strong."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    plate = np.resize(halves[np.isfinite(halves)], (3, 150, 150)).astype(np.float32)
    ratio = np.random.default_rng(4).uniform(-1000, 1000, plate.shape)
    image, grain = take(
        {"plate": plate, "clean": (plate * ratio).astype(np.float32), "matte": plate[:1]}, strength=(0.9, 0.5, 0.1)
    )
    np.testing.assert_array_equal(image + grain, plate)


def test_a_part_is_the_crop_of_the_whole() -> None:
    given = pictures((33, 67))
    whole = take(given)
    part = Region.sized(21, 9, 4, 11)
    inside = (slice(None), slice(6, 15), slice(7, 28))
    for one, other in zip(take(given, part), whole, strict=True):
        np.testing.assert_array_equal(one[inside], other[inside])


def protection(
    coded: np.ndarray, matte: np.ndarray, variance: np.ndarray, relative: tuple[float, ...], detail: float
) -> np.ndarray:
    """Return the share to take, float64, window by window."""
    wide = np.pad(coded.astype(np.float64), ((0, 0), (3, 3), (3, 3)), mode="edge")
    varies = np.lib.stride_tricks.sliding_window_view(wide, (7, 7), axis=(1, 2)).var((3, 4))
    mix = OPPONENT if len(coded) == 3 else np.eye(len(coded))
    level = np.einsum("ij,iyx->jyx", mix, coded.astype(np.float64))
    at = np.linspace(-1, 3, variance.shape[1])
    noise = np.stack([np.interp(plane, at, row) for plane, row in zip(level, variance, strict=True)])
    expected = np.einsum("ij,jyx->iyx", mix**2, noise) * np.array(relative)[: len(coded), None, None]
    picture = np.maximum(varies - 0.25 * expected, 0)
    return np.asarray(np.clip(matte, 0, 1) * (1 - detail * (picture / (picture + expected)).max(0)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("planes", [1, 3])
def test_detail_against_float64(size: tuple[int, int], planes: int) -> None:
    rng = np.random.default_rng([planes, *size])
    coded = (1 + rng.standard_normal((planes, *size)) * rng.choice([0.02, 0.2, 2], (planes, *size))).astype(np.float32)
    matte = rng.uniform(-0.5, 1.5, (1, *size)).astype(np.float32)
    variance, relative = rng.uniform(0.01, 0.1, (planes, 16)), (1.1, 0.9, 1.3)
    expected = protection(coded, matte, variance, relative, 0.8)
    region = Region.sized(size[1], size[0], -3, 5)
    first = None

    def detail(part: Region, isa: str, threads: int, planes_in: np.ndarray = coded) -> np.ndarray:
        out = np.full((1, *size), 9, np.float32)
        launch(
            Device("cpu", threads),
            "degrain_detail",
            part,
            reach=3,
            isa=isa,
            coded=(planes_in, region),
            matte=(matte, region),
            out=(out, region),
            variance=(variance, (-1.0, 3.0)),
            planes=planes,
            use_matte=1,
            detail=0.8,
            relative=relative,
        )
        return out

    for isa in isas():
        out = detail(region, isa, 2)
        np.testing.assert_allclose(out, expected, atol=2e-5)
        np.testing.assert_array_equal(detail(region, isa, 3), out)
        if isa != "v2":
            first = out if first is None else first
            np.testing.assert_array_equal(out, first)
        part = Region(region.x0 + size[1] // 3, region.y0, region.x1, region.y1 - size[0] // 3)
        inside = np.s_[:, : size[0] - size[0] // 3, size[1] // 3 :]
        np.testing.assert_array_equal(detail(part, isa, 1)[inside], out[inside])
        huge = detail(region, isa, 1, (coded / np.abs(coded).max() * 3e38).astype(np.float32))
        assert np.isfinite(huge).all() and (huge >= 0).all()
