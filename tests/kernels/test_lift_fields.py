"""Kernels of a lift's surroundings, against float64: halves, codes, clipping, smoothing, recovering."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from safelight.colour.config import config_for
from safelight.colour.transfer import pq, pq_light
from safelight.graph.device import Device
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.nodes.colour.code_pieces import pieces_of
from safelight.nodes.colour.lift_fields import pieces
from safelight.nodes.colour.lifting import working_to_lms
from safelight.nodes.colour.source import Source, source_in
from safelight.nodes.kernels.launch import isas, launch

Floats = npt.NDArray[np.float64]
SIZES = [(1, 1), (1, 17), (5, 1), (7, 16), (3, 33), (40, 67), (64, 96)]


def region_of(planes: npt.NDArray[Any]) -> Region:
    return Region.sized(planes.shape[2], planes.shape[1])


def half(size: tuple[int, int]) -> tuple[int, int]:
    return (size[0] + 1) // 2, (size[1] + 1) // 2


def noise(planes: int, size: tuple[int, int], seed: int = 1) -> npt.NDArray[np.float32]:
    return np.random.default_rng([seed, *size]).uniform(0, 3, (planes, *size)).astype(np.float32)


def run(name: str, size: tuple[int, int], outs: dict[str, int], **arguments: Any) -> list[npt.NDArray[np.float32]]:
    """Run every build; those with fused multiply-add must agree to the bit. Return the last one's."""
    found = []
    for isa in isas():
        made = {key: np.full((planes, *size), 77, np.float32) for key, planes in outs.items()}
        region = Region.sized(size[1], size[0])
        given: dict[str, Any] = {
            key: (value, region_of(value)) if isinstance(value, np.ndarray) and value.ndim == 3 else value
            for key, value in arguments.items()
        }
        given |= {key: (one, region) for key, one in made.items()}
        launch(Device("cpu", 2), name, region, isa=isa, **given)
        found.append(list(made.values()))
        if isa != "v2":
            for one, other in zip(found[-1], found[0] if isas()[0] != "v2" else found[-1], strict=True):
                np.testing.assert_array_equal(one.view(np.int32), other.view(np.int32))
    return found[-1]


def straight(planes: npt.NDArray[Any]) -> Floats:
    """Return planes with a border of one pixel that goes on straight."""
    v = planes.astype(np.float64)
    for axis in (1, 2):
        v = np.moveaxis(v, axis, 0)
        inner = min(1, len(v) - 1)
        v = np.moveaxis(
            np.concatenate([2 * v[:1] - v[inner : inner + 1], v, 2 * v[-1:] - v[-1 - inner :][:1]]), 0, axis
        )
    return v


def doubled(planes: npt.NDArray[Any], size: tuple[int, int]) -> Floats:
    v = straight(planes)
    for axis, count in ((1, size[0]), (2, size[1])):
        v = np.moveaxis(v, axis, 0)
        at = np.arange(count)
        near = at // 2 + 1
        v = np.moveaxis(0.75 * v[near] + 0.25 * v[near + np.where(at % 2, 1, -1)], 0, axis)
    return v


def within(difference: Floats) -> Floats:
    size = np.abs(difference)
    return np.asarray(np.sign(difference) * np.minimum(size, 0.5) * np.clip(2 - size, 0, 1))


def quads(planes: npt.NDArray[Any], how: str) -> Floats:
    """Return the four pixels of each mean, (C, h, w, 4); beyond an odd border its pixels again, or straight on."""
    v = straight(planes)[:, 1:, 1:] if how == "straight" else np.pad(planes, ((0, 0), (0, 1), (0, 1)), mode="edge")
    rows, columns = half((planes.shape[1], planes.shape[2]))
    v = v[:, : 2 * rows, : 2 * columns].astype(np.float64)
    return np.stack([v[:, j::2, i::2] for j in (0, 1) for i in (0, 1)], axis=-1)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("how", ["edge", "straight"])
def test_lift_shrink(size: tuple[int, int], how: str) -> None:
    image = noise(2, size)
    [made] = run("lift_shrink", half(size), {"out": 2}, image=image, straight=how == "straight", planes=2)
    np.testing.assert_allclose(made, quads(image, how).mean(axis=-1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("own", "up", "rounded"), [(1.0, 0.0, True), (0.25, 0.5, False), (0.0, 1.0, False)])
def test_lift_expand(size: tuple[int, int], own: float, up: float, rounded: bool) -> None:
    small, fine = noise(2, half(size)), noise(2, size, 2)
    [made] = run("lift_expand", size, {"out": 2}, half=small, fine=fine, own=own, up=up, rounded=rounded, planes=2)
    wide = doubled(small, size)
    np.testing.assert_allclose(
        made, fine + within(wide - fine) if rounded else own * fine + up * wide, rtol=1e-5, atol=2e-6
    )


@pytest.mark.parametrize("size", SIZES)
def test_lift_relax(size: tuple[int, int]) -> None:
    smooth, codes = noise(3, size), noise(3, size, 2)
    [made] = run("lift_relax", size, {"out": 3}, reach=1, smooth=smooth, codes=codes, planes=3)
    v = straight(smooth)
    v = v[:, :-2] + 2 * v[:, 1:-1] + v[:, 2:]
    v = (v[:, :, :-2] + 2 * v[:, :, 1:-1] + v[:, :, 2:]) / 16
    np.testing.assert_allclose(made, codes + within(v - codes), rtol=1e-5, atol=2e-6)


def light(size: tuple[int, int]) -> tuple[Source, npt.NDArray[np.float32], Floats, Floats]:
    """Return a source, a picture in the working space with what is not finite in it, its codes and light."""
    config = config_for(Settings())
    source = source_in(config, "srgb_tx", 8)
    assert source is not None
    rng = np.random.default_rng([3, *size])
    codes = rng.integers(0, 256, (3, *size)).astype(np.float64)
    codes[:, rng.random(size) < 0.3] = 255
    coded = (codes / 255).astype(np.float32)
    image = config.convert(coded, "srgb_tx", config.working, Device("cpu", 1)).copy()
    lost = rng.random(size) < 0.05
    image[1, lost] = np.nan
    codes[:, lost] = 0
    e = codes / 255
    return source, image, codes, np.where(e <= 0.04045, e / 12.92, ((e + 0.055) / 1.055) ** 2.4)


@pytest.mark.parametrize("led", [0, 1])
@pytest.mark.parametrize("size", SIZES)
def test_lift_reduce(size: tuple[int, int], led: int) -> None:
    source, image, codes, linear = light(size)
    made, clip = run(
        "lift_reduce", half(size), {"codes": 4, "clip": 5 if led else 2}, image=image, **pieces(source),
        to_source=source.to_source.ravel(), level=1.0, want_codes=1, want_clip=1, led=led, plane=np.arange(3), planes=3,
    )  # fmt: skip
    c = quads(codes, "edge")
    np.testing.assert_allclose(made[:3], c.mean(axis=-1), atol=0.01)
    pairs = [np.minimum(np.abs(c[..., a] - c[..., b]), 2) for a, b in ((0, 1), (2, 3), (0, 2), (1, 3))]
    np.testing.assert_allclose(made[3], sum(pairs).mean(axis=0) / 2, atol=0.01)  # type: ignore[union-attr]
    v = quads(linear, "edge")
    full = np.clip((v - 0.99) / 0.009, 0, 1)
    np.testing.assert_allclose(clip[2:], full.mean(axis=-1)[: 3 * led], atol=1e-3)
    np.testing.assert_allclose(clip[0], full.min(axis=0).mean(axis=-1), atol=1e-3)
    np.testing.assert_allclose(clip[1], v.mean(axis=0).mean(axis=-1), atol=1e-5)


@pytest.mark.parametrize(("name", "curve", "bits", "fewest"), [
    ("power", lambda e: e**2.4, 8, 32),
    ("kinked", lambda e: np.where(e < 0.3, e / 5, 0.06 + (e - 0.3) * 0.94 / 0.7), 8, 64),
])  # fmt: skip
def test_codes_of_any_curve(name: str, curve: Any, bits: int, fewest: int) -> None:
    """Curves that take many pieces are looked up in memory, others in registers: codes are the same either way."""
    fine = np.linspace(0, 1, 16385)
    source = Source(np.eye(3), pieces=pieces_of(curve(fine), fine, 2**bits - 1))
    assert source.pieces is not None and source.pieces.shape[1] >= fewest
    codes = np.resize(np.arange(2**bits), (1, 19, 2 * 35)).repeat(3, axis=0)
    image = curve(codes / (2**bits - 1)).astype(np.float32)
    [made, _clip] = run(
        "lift_reduce", half((19, 70)), {"codes": 4, "clip": 2}, image=image, **pieces(source), level=1.0, want_codes=1,
        to_source=np.eye(3).ravel(), want_clip=0, led=0, plane=np.arange(3), planes=3,
    )  # fmt: skip
    np.testing.assert_allclose(made[:3], quads(codes, "edge").mean(axis=-1), atol=0.02)


@pytest.mark.parametrize("size", SIZES)
def test_lift_colours(size: tuple[int, int]) -> None:
    source, image, _codes, linear = light(size)
    [made] = run(
        "lift_colours", half(size), {"light": 7}, image=image, to_source=source.to_source.ravel(), level=1.0,
        plane=np.arange(3),
    )  # fmt: skip
    v = quads(linear, "edge")
    most = v.max(axis=0)
    weight = most**4 * (1 - np.clip((most - 0.99) / 0.009, 0, 1))
    want = np.concatenate([v.mean(axis=-1), (v * weight).mean(axis=-1), weight.mean(axis=-1)[None]])
    np.testing.assert_allclose(made, want, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("led", [0, 1])
def test_lift_recover(led: int) -> None:
    size = (40, 67)
    rng = np.random.default_rng(9)
    mean, near, far = rng.uniform(0, 1, (3, *size)), rng.uniform(0, 1, (5, *size)), rng.uniform(0, 0.9, (2, *size))
    weight = rng.uniform(0.1, 1, (1, *size))
    around = np.concatenate([weight * rng.uniform(0.05, 1, (3, *size)), weight])
    names = ("light", "around", "near_", "far_")
    planes = {name: one.astype(np.float32) for name, one in zip(names, (mean, around, near, far), strict=True)}
    [made] = run(
        "lift_recover", size, {"out": 4 if led else 1}, **planes, level=1.0, most=2.0, led=led,
    )  # fmt: skip

    def step(v: Floats, a: float, b: float) -> Floats:
        t = np.clip((v - a) / (b - a), 0, 1)
        return np.asarray(t * t * (3 - 2 * t))

    rest = np.clip((far[1] - far[0]) / np.maximum(1 - far[0], 0.1), 0.01, 1)
    dome = step(near[0], 0.5, 1) * (1 - step(far[0], 0.04, 0.3)) * np.clip(-np.log2(rest) - 0.75, 0, 2)
    np.testing.assert_allclose(made[0], dome, atol=1e-4)
    if led:
        hold, open_ = around[:3] / weight, 1 - near[2:]
        scale = (open_ * mean).sum(axis=0) / np.maximum((open_ * hold).sum(axis=0), 1e-3)
        told = np.clip(np.log2(np.clip(hold * scale, 1e-3, 1e3)), 0, 2) * np.clip(open_.sum(axis=0), 0, 1)
        np.testing.assert_allclose(made[1:], told * step(near[2:], 0.5, 1), atol=1e-4)


@pytest.mark.parametrize("size", SIZES)
def test_lift_light(size: tuple[int, int]) -> None:
    _source, image, _codes, _linear = light(size)
    matrix = working_to_lms(config_for(Settings()))
    knee = 101.5
    [made] = run(
        "lift_light", half(size), {"out": 1}, image=image, to_lms=(matrix * 203 / 10000).ravel(),
        knee_log2=np.log2(knee / 10000), plane=np.arange(3),
    )  # fmt: skip
    clean = np.where(np.isfinite(image).all(axis=0), image, 0).astype(np.float64)
    signal = pq(203 * np.tensordot(matrix, clean, axes=1)[:2]).mean(axis=0)
    stops = np.maximum(np.log2(np.maximum(pq_light(signal), 1e-9) / knee), -8)
    np.testing.assert_allclose(made, quads(stops[None], "edge").mean(axis=-1), atol=2e-4)
