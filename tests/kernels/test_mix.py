"""Kernel `mix` and the launch layer, against float64."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import isas, launch
from safelight.nodes.kernels.source import find

SIZES = [(1, 1), (1, 17), (5, 1), (7, 16), (3, 33), (40, 67)]


def pictures(height: int, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng([height, width])
    a = (rng.standard_normal((3, height, width)) * 10.0 ** rng.integers(-3, 5, (3, height, width))).astype(np.float32)
    b = rng.standard_normal((3, height, width)).astype(np.float32)
    matte = rng.random((1, height, width)).astype(np.float32)
    matte[rng.random((1, height, width)) < 0.2] = 0
    matte[rng.random((1, height, width)) < 0.2] = 1
    a[:, rng.random((height, width)) < 0.05] = np.nan
    b[:, rng.random((height, width)) < 0.05] = np.inf
    return a, b, matte


def mix(a: np.ndarray, b: np.ndarray, matte: np.ndarray, amount: float, *, isa: str, threads: int = 1) -> np.ndarray:
    region = Region.sized(a.shape[2], a.shape[1], -5, 3)
    out = np.full_like(a, 77)
    planes = {"a": (a, region), "b": (b, region), "matte": (matte, region), "out": (out, region)}
    launch(Device("cpu", threads), "mix", region, isa=isa, **planes, amount=amount, use_matte=1, planes=3)
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("amount", [1.0, 0.3])
def test_against_float64(size: tuple[int, int], amount: float) -> None:
    a, b, matte = pictures(*size)
    weight = matte.astype(np.float64) * np.float32(amount)
    with np.errstate(invalid="ignore"):
        expected = a + (b.astype(np.float64) - a) * weight
    expected = np.where(weight == 0, a, np.where(weight == 1, b, expected))
    for isa in isas():
        out = mix(a, b, matte, amount, isa=isa)
        finite = np.isfinite(expected)
        np.testing.assert_array_equal(np.isfinite(out), finite)
        error = np.abs(out.astype(np.float64)[finite] - expected[finite])
        scale = np.nan_to_num(np.abs(a), posinf=0) + np.nan_to_num(np.abs(b), posinf=0)
        assert (error <= 2**-22 * scale[finite]).all()


@pytest.mark.parametrize("size", SIZES)
def test_builds_and_threads_agree(size: tuple[int, int]) -> None:
    a, b, matte = pictures(*size)
    results = [
        mix(a, b, matte, 0.3, isa=isa, threads=n).view(np.int32) for isa in isas() if isa != "v2" for n in (1, 3)
    ]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0], other)


def test_a_tile_equals_the_crop_of_the_whole() -> None:
    a, b, matte = pictures(40, 67)
    region = Region.sized(67, 40)
    whole = np.empty_like(a)
    part = Region(13, 5, 50, 21)
    tile = np.empty((3, part.height, part.width), np.float32)
    for target, out in ((region, whole), (part, tile)):
        planes = {"a": (a, region), "b": (b, region), "matte": (matte, region), "out": (out, target)}
        launch(Device("cpu", 1), "mix", target, **planes, amount=0.7, use_matte=1, planes=3)
    np.testing.assert_array_equal(tile.view(np.int32), whole[:, 5:21, 13:50].view(np.int32))


def test_views_with_any_row_stride() -> None:
    a, b, matte = pictures(40, 67)
    region = Region(0, 0, 30, 20)
    out = np.zeros((3, 50, 80), np.float32)
    view = out[:, 7:27, 11:41]
    planes = {"a": (a[:, 3:23, 5:35], region), "b": (b[:, ::2, :30], region), "matte": (matte[:, :20, :60:2], region)}
    launch(Device("cpu", 1), "mix", region, **planes, out=(view, region), amount=1.0, use_matte=1, planes=3)
    expected = mix(
        *(np.ascontiguousarray(v) for v in (planes["a"][0], planes["b"][0], planes["matte"][0])), 1.0, isa=isas()[-1]
    )
    np.testing.assert_array_equal(view, expected)
    assert out.sum() == pytest.approx(view.sum(), nan_ok=True) and not out[:, :7].any()


def test_programming_errors_are_refused() -> None:
    a, b, matte = pictures(4, 4)
    region = Region.sized(4, 4)
    good = {"a": (a, region), "b": (b, region), "matte": (matte, region), "out": (np.empty_like(a), region)}
    device = Device("cpu", 1)
    with pytest.raises(TypeError, match="needs 'amount'"):
        launch(device, "mix", region, **good, use_matte=1, planes=3)
    with pytest.raises(TypeError, match=r"no argument \['anount'\]"):
        launch(device, "mix", region, **good, amount=1, anount=1, use_matte=1, planes=3)
    with pytest.raises(TypeError, match="would write"):
        launch(device, "mix", region.grow(1), **good, amount=1, use_matte=1, planes=3)
    with pytest.raises(TypeError, match="where its region is"):
        launch(device, "mix", region, **{**good, "a": (a[:, 1:], region)}, amount=1, use_matte=1, planes=3)
    with pytest.raises(TypeError, match="consecutive columns"):
        launch(
            device, "mix", region, **{**good, "out": (a.astype(np.float64), region)}, amount=1, use_matte=1, planes=3
        )
    with pytest.raises(KeyError):
        find("no_such_kernel")
