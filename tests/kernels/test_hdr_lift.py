"""Kernel "hdr_lift" against float64 by BT.2100's own formulas, both ways; builds, threads and strides agree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from safelight.colour.config import config_for
from safelight.colour.ictcp import ICTCP_TO_LMS, LMS_TO_ICTCP
from safelight.colour.transfer import pq, pq_light
from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.nodes.colour.code_pieces import pieces_of
from safelight.nodes.colour.lift_fields import pieces, table
from safelight.nodes.colour.lifting import Curve, Lift, lift_planes, working_to_lms
from safelight.nodes.colour.pq_pieces import decoding, encoding
from safelight.nodes.colour.source import Source, source_in
from safelight.nodes.kernels.launch import isas, launch
from tests.kernels.test_lift_fields import doubled, within

SIZES = [(1, 1), (1, 17), (5, 1), (7, 16), (3, 33), (40, 67)]
CURVES = [
    Curve.of(peak=1000, diffuse_white=203),
    Curve.of(peak=10000, diffuse_white=100, knee=0.3, highlights=0.9),
    Curve.of(peak=600, diffuse_white=203, clip=40),
]


KINK = 0.3


def kinked(e: np.ndarray) -> np.ndarray:
    """Light of a signal by a curve that takes many pieces."""
    return np.asarray(np.where(e < KINK, e / 5, KINK / 5 + (e - KINK) * (1 - KINK / 5) / (1 - KINK)))


def matrix() -> np.ndarray:
    return np.asarray(working_to_lms(config_for(Settings())))


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng([height, width])
    data = np.abs(rng.standard_normal((3, height, width))) * 10.0 ** rng.integers(-3, 2, (1, height, width))
    data[:, rng.random((height, width)) < 0.1] *= -1
    data[:, rng.random((height, width)) < 0.05] *= 1000
    data[1, rng.random((height, width)) < 0.05] = np.nan
    data[0, rng.random((height, width)) < 0.05] = np.inf
    return np.asarray(data, np.float32)


def run(lift: Lift, data: np.ndarray, *, isa: str | None = None, threads: int = 1) -> np.ndarray:
    region = Region.sized(data.shape[2], data.shape[1], -5, 3)
    out = np.full_like(data, 77)
    planes = (0, 1, 2) if len(data) == 3 else (0,)
    names = ("R", "G", "B") if len(data) == 3 else ("Y",)
    image = Image(data, region, names)
    lift_planes(Device("cpu", threads), lift, image, planes, out, width=region.width, isa=isa)
    return out


def reference(lift: Lift, data: np.ndarray) -> np.ndarray:
    """ICtCp there and back, I through the curve; cones below zero by PQ's odd continuation."""
    assert lift.curve is not None
    up = (lift.diffuse_white, 100.0) if not lift.back else (100.0, lift.diffuse_white)
    given = data.astype(np.float64) * up[0]
    lms = np.tensordot(lift.to_lms, given, axes=1)
    with np.errstate(invalid="ignore"):
        components = np.tensordot(LMS_TO_ICTCP, np.sign(lms) * pq(np.abs(lms)), axes=1)
        intensity = components[0]
        knee = lift.curve.knee
        above = intensity > pq(knee)
        stops = np.log2(np.maximum(pq_light(np.where(above, intensity, pq(knee))), knee) / knee)
        moved = lift.curve.down(stops) if lift.back else lift.curve.up(stops)
        made = np.stack([pq(knee * 2**moved), *components[1:]])
        signal = np.tensordot(ICTCP_TO_LMS, made, axes=1)
        lifted = np.tensordot(np.linalg.inv(lift.to_lms), np.sign(signal) * pq_light(np.abs(signal)), axes=1)
    out = np.where(above, lifted, given) / up[1]
    return np.asarray(np.where(np.isfinite(data).all(axis=0), out, data))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("back", [False, True])
def test_against_float64(size: tuple[int, int], curve: Curve, back: bool) -> None:
    white = 203.0 if curve is not CURVES[1] else 100.0
    lift = Lift(curve, white, 1.0, back, matrix())
    data = picture(*size)
    expected = reference(lift, data)
    known = np.isfinite(data).all(axis=0)
    # On the way back light near the peak has no source that single precision could tell.
    lms = np.tensordot(matrix(), np.where(known, data, 0).astype(np.float64), axes=1)
    known &= ~(back & (lms[:2].max(axis=0) * 100 > 0.8 * curve.knee * 2 ** (curve.v_top + curve.room)))
    scale = np.abs(expected).max(axis=0)
    for isa in isas():
        out = run(lift, data, isa=isa)
        error = np.abs(out[:, known] - expected[:, known]).max(axis=0) / np.maximum(scale[known], 1e-30)
        assert error.size == 0 or error.max() < 1e-4, isa
        lost = ~np.isfinite(data).all(axis=0)
        np.testing.assert_array_equal(out[:, lost].view(np.int32), data[:, lost].view(np.int32))


@pytest.mark.parametrize("size", [*SIZES, (65, 130)])
@pytest.mark.parametrize("planes", [1, 3])
def test_builds_and_threads_agree(size: tuple[int, int], planes: int) -> None:
    config = config_for(Settings())
    source = source_in(config, "srgb_tx", 8)
    assert source is not None
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: size[0], : size[1]]
    codes = np.rint(np.clip(240 + x / 5 + y / 7 + rng.normal(0, 0.2, size), 0, 255)) / 255
    coded = np.repeat(codes[None].astype(np.float32), 3, axis=0)
    data = config.convert(coded, "srgb_tx", config.working, Device("cpu", 1))[:planes]
    for back in (False, True):
        lift = Lift(CURVES[0], 203.0, 1.1, back, matrix(), source, 1.0, 2.0, True)
        made = [run(lift, data, isa=isa, threads=n).view(np.int32) for isa in isas() if isa != "v2" for n in (1, 3)]
        for other in made[1:]:
            np.testing.assert_array_equal(made[0], other)


@pytest.mark.parametrize("size", [(1, 1), (5, 1), (7, 16), (40, 67)])
@pytest.mark.parametrize("planes", [1, 3])
@pytest.mark.parametrize("curve", [lambda e: e**2.4, kinked])
def test_debanding_against_float64(size: tuple[int, int], planes: int, curve: Callable[..., Any]) -> None:
    """Codes move by the part of their distance from the smooth ones that may be rounding, where it is calm."""
    fine = np.linspace(0, 1, 16385)
    to_source = matrix() if planes == 3 else np.eye(3)
    source = Source(to_source, 1.0, np.zeros((2, 2)), pieces_of(curve(fine), fine, 255))
    rng = np.random.default_rng([planes, *size])
    codes = rng.integers(1, 255, (planes, *size)).astype(np.float64)
    small = (planes + 1, (size[0] + 1) // 2, (size[1] + 1) // 2)
    smooth = rng.integers(1, 255, small) + rng.uniform(-1, 1, small)
    smooth[-1] = rng.uniform(0, 0.6, small[1:])  # how busy
    wide = doubled(smooth, size)
    codes = np.where(
        rng.random(codes.shape) < 0.8, np.rint(np.clip(wide[:planes] + rng.normal(0, 0.8, codes.shape), 1, 254)), codes
    )
    strays = rng.random(codes.shape) < 0.1
    given = curve((codes + 0.3 * strays) / 255)
    t = np.clip((wide[-1] - 0.25) * 4, 0, 1)
    moved = codes + 0.995 * (1 - t * t * (3 - 2 * t)) * within(wide[:planes] - codes)
    want = np.where(strays, given, curve(moved / 255))
    back = np.linalg.inv(to_source) if planes == 3 else np.eye(1)
    data, expected = (np.tensordot(back, v, axes=1) for v in (given, want))
    step = np.abs(np.tensordot(np.abs(back), curve((codes + 0.5) / 255) - curve((codes - 0.5) / 255), axes=1))
    plain = (np.abs(codes - KINK * 255) > 2).all(axis=0)  # at a sharp kink a piece follows neither slope
    dark = Curve.of(peak=10000, diffuse_white=100, knee=0.9)
    region, of_half = Region.sized(size[1], size[0]), Region.sized(small[2], small[1])
    given32, half32 = data.astype(np.float32), smooth.astype(np.float32)
    numbers = dark.arguments() | {"knee": 1e9, "knee_signal": 9.0}  # nothing expands
    for isa in isas():
        out = np.full_like(given32, 77)
        launch(
            Device("cpu", 2), "hdr_lift", region, isa=isa, image=(given32, region), out=(out, region),
            smooth=(half32[:planes], of_half), busy=(half32[planes:], of_half), recover=(given32, region),
            base=(given32, region), detail=1.0, dither=0.0, seed=1, frame=1, x0=0, y0=0, to_lms=np.eye(3).ravel(),
            from_lms=np.eye(3).ravel(), gain=2.0, **numbers, saturation=0.0, back=False,
            encoding=(encoding(), (0.0, 1.0)), decoding=(decoding(), (0.0, 1.0)), **pieces(source), table=table(source),
            to_source=to_source.ravel(), from_source=np.linalg.inv(to_source).ravel(), level=1.0, deband=True,
            clip=False, led=False, plane=np.resize(np.arange(planes, dtype=np.int32), 3), planes=planes,
        )  # fmt: skip
        assert (np.abs(out / 2 - expected) / step)[:, plain].max(initial=0) < 0.02, isa


def test_a_pixel_does_not_depend_on_those_beside_it() -> None:
    """Lanes are computed together: around the knee, bright or huge neighbours must not change a pixel's bits."""
    lift = Lift(CURVES[0], 203.0, 1.1, False, matrix())
    rng = np.random.default_rng(8)
    row = (0.5 * 2 ** rng.uniform(-1e-6, 1e-6, (3, 1, 4096))).astype(np.float32)
    row[:, :, 1::3] = rng.choice([0.01, 0.9, 80.0, 1e6, -2.0, np.nan], row[:, :, 1::3].shape)
    for isa in isas():
        whole = run(lift, row, isa=isa)
        alone = np.concatenate([run(lift, row[:, :, x : x + 1], isa=isa) for x in range(0, 4096, 61)], axis=2)
        np.testing.assert_array_equal(whole[:, :, ::61].view(np.int32), alone.view(np.int32))


def test_pq_in_pieces() -> None:
    rng = np.random.default_rng(5)
    light = 2 ** rng.uniform(-32, 0, 20000)
    mantissa, exponent = np.frexp(light)
    found = sum(c[exponent + 31] * (2 * mantissa - 1) ** k for k, c in enumerate(encoding()))
    np.testing.assert_allclose(found, pq(light * 1e4), atol=3e-7)
    signal = rng.uniform(1 / 32, 1, 20000)
    at, piece = np.modf(signal * 32)
    found = sum(c[piece.astype(int)] * at**k for k, c in enumerate(decoding()))
    np.testing.assert_allclose(found, pq_light(signal) / 1e4, rtol=2e-7)


@pytest.mark.parametrize("curve", CURVES)
def test_the_curve_is_smooth_rises_and_has_an_inverse(curve: Curve) -> None:
    stops = np.linspace(-3, 15, 200001)
    made = curve.up(stops)
    slope = np.diff(made) / np.diff(stops)
    assert (slope > 0).all() and made[-1] < curve.v_top + curve.room
    assert np.abs(np.diff(slope)).max() < 2e-3 * max(1.0, slope.max())
    inside = stops < curve.top + 12
    np.testing.assert_allclose(curve.down(made)[inside], stops[inside], atol=1e-7)
    np.testing.assert_array_equal(made[stops <= 0], stops[stops <= 0])
