"""Kernel `plate`: its textures, waves and text against float64, its builds against each other."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.io.plate_scene import TEXTURES, scene_arguments
from safelight.nodes.kernels.launch import isas, launch

SIZES = [(1, 1), (1, 40), (24, 1), (67, 40), (333, 187)]


def draw(
    width: int,
    height: int,
    region: Region | None = None,
    *,
    isa: str | None = None,
    threads: int = 1,
    scene: int = 0,
    time: int = 3,
    **changed: object,
) -> np.ndarray:
    region = region or Region.sized(width, height)
    out = np.full((3, region.height, region.width), 77, np.float32)
    arguments = scene_arguments(width, height, 1, scene, time, 1004) | changed
    launch(Device("cpu", threads), "plate", region, isa=isa, out=(out, region), **arguments)
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scene", [0, 1])
def test_builds_and_threads_agree(size: tuple[int, int], scene: int) -> None:
    made = [draw(*size, isa=isa, threads=n, scene=scene) for isa in isas() if isa != "v2" for n in (1, 3)]
    for other in made[1:]:
        np.testing.assert_array_equal(made[0].view(np.int32), other.view(np.int32))
    for isa in isas():
        np.testing.assert_allclose(draw(*size, isa=isa, scene=scene), made[0], rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("region", [Region(0, 0, 1, 1), Region(13, 5, 250, 121), Region(300, 100, 333, 187)])
def test_a_tile_equals_the_crop_of_the_whole(region: Region) -> None:
    whole = draw(333, 187)[:, region.y0 : region.y1, region.x0 : region.x1]
    np.testing.assert_array_equal(draw(333, 187, region).view(np.int32), whole.view(np.int32))


def mixed(value: int) -> int:
    """lowbias32 but for its last step, which the top 24 bits do not see."""
    value ^= value >> 16
    value = value * 0x7FEB352D % 2**32
    value ^= value >> 15
    return value * 0x846CA68B % 2**32


def noise(m: np.ndarray, seed: int, x: int, y: int) -> float:
    """Texture at one pixel, from its definition: quadratic B-splines over hashed cells."""
    u = (int(m[0]) * x + int(m[1]) * y + int(m[4]) + 2**31) % 2**32 - 2**31
    v = (int(m[2]) * x + int(m[3]) * y + int(m[5]) + 2**31) % 2**32 - 2**31
    fu, fv = (u % 65536) / 65536, (v % 65536) / 65536
    total = 0.0
    for j, wv in enumerate(((1 - fv) ** 2 / 2, 0.5 + fv * (1 - fv), fv**2 / 2)):
        for i, wu in enumerate(((1 - fu) ** 2 / 2, 0.5 + fu * (1 - fu), fu**2 / 2)):
            cu, cv = ((u >> 16) + i) % 65536, ((v >> 16) + j) % 65536
            hashed = mixed((cu * 0x9E3779B1 + seed + cv * 0x85EBCA77) % 2**32)
            total += wu * wv * ((hashed >> 8) / 2**23 - 1)
    return total


def test_textures_and_waves_against_float64() -> None:
    # Sky alone: everything else is pushed out of the picture, and its colour is flat.
    width, height = 61, 33
    arguments = scene_arguments(width, height, 5, 0, 7, 1)
    far = np.full(26, -(10**6), dtype=np.int32)
    far[1::2] = 10**6  # below the picture
    far[12:20] = -(10**6)
    tint = np.ones(48, np.float32)
    lattice = arguments["lattice"].reshape(-1, 6)
    lattice[2] = 0
    plain = {
        "corner": far,
        "tint": tint,
        "lamps": np.array([1, 0, 0] * 3, np.float32),
        "chart": np.array([0, 0, 0, 0], np.int32),
        "lattice": lattice.ravel(),
        "seed": arguments["seed"],
        "unit": 1.0,
    }
    for isa in isas():
        sky = draw(width, height, isa=isa, **plain)
        for y, x in ((0, 0), (32, 60), (17, 5), (9, 44)):
            a = noise(lattice[0], int(arguments["seed"][0]), x, y)
            b = noise(lattice[1], int(arguments["seed"][1]), x, y)
            assert sky[0, y, x] == pytest.approx(2 ** (0.7 * (a + 0.35 * b)), rel=3e-6)
            assert sky[1, y, x] == sky[0, y, x]


def test_textures_are_all_at_least_two_and_a_half_pixels_wide() -> None:
    assert min(min(wide, high) for wide, high, _, _ in TEXTURES) >= 2.5
