"""Kernel `fade_repair`, against float64."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.colour.fade_repair import repair
from safelight.nodes.colour.fading import MEDIA, Fade, fade_light, repair_light
from safelight.nodes.colour.records import Records
from safelight.nodes.kernels.launch import isas

SIZES = [(1, 1), (1, 17), (5, 1), (7, 16), (23, 35)]
FADE = Fade((0.4, 0.7, 0.9), (0.2, -0.1, 0.03), (0.05, 0.1, 0.3), (0.1, -0.05, 0.08, 0.02, 0.05, 0.1))
INTO = np.array([[1.7, -0.62, -0.08], [-0.13, 1.14, -0.01], [-0.02, -0.13, 1.15]])
SEEN = Records("", INTO, np.linalg.inv(INTO))
KERNEL = "fade_repair"


def plate(size: tuple[int, int]) -> np.ndarray:
    """Light of all sizes and signs, with what is not finite."""
    rng = np.random.default_rng(size)
    light = rng.standard_normal((3, *size)) * 10.0 ** rng.integers(-4, 5, (3, *size))
    light = np.where(rng.random(size) < 0.5, rng.random((3, *size)), light)
    light[:, rng.random(size) < 0.1] = 0
    light[0, rng.random(size) < 0.05] = np.nan
    light[2, rng.random(size) < 0.05] = -np.inf
    return light.astype(np.float32)


def run(light: np.ndarray, medium: str, *, threads: int = 2, fade: Fade = FADE) -> np.ndarray:
    region = Region.sized(light.shape[2], light.shape[1], -3, 5)
    out = np.full_like(light, 7)
    repair(Device("cpu", threads), Image(light, region), (0, 1, 2), out, fade, medium, SEEN)
    return out


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("medium", MEDIA)
def test_against_float64(size: tuple[int, int], medium: str) -> None:
    light = plate(size)
    good = np.isfinite(light).all(0)
    clean = repair_light(INTO @ np.where(good, light, 0).reshape(3, -1), FADE, MEDIA[medium])
    expected = (SEEN.back @ clean).reshape(light.shape)
    out = run(light, medium)
    np.testing.assert_array_equal(out[:, ~good].view(np.int32), light[:, ~good].view(np.int32))
    assert np.isfinite(out[:, good]).all()
    error = np.abs(out - expected)[:, good].max(0, initial=0)
    # A pixel's records share matrices, and density is held in float32: light errs relative to the brightest record.
    scale = np.abs(clean).max(0).reshape(size)[good]
    assert (error <= 3e-5 * scale + 1e-6).all()


@pytest.mark.parametrize("size", SIZES)
def test_builds_and_threads_agree(size: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    light = plate(size)
    made = []
    for isa in isas():
        monkeypatch.setattr("safelight.nodes.kernels.launch.best_isa", lambda isa=isa: isa)
        made += [(isa, run(light, "print", threads=n)) for n in (1, 3)]
    exact = [one.view(np.int32) for isa, one in made if isa != "v2"]
    for other in exact[1:]:
        np.testing.assert_array_equal(exact[0], other)
    for _, other in made:
        np.testing.assert_allclose(other, made[-1][1], rtol=1e-3, atol=1e-3 * 1e-3)


def test_a_tile_equals_the_crop_of_the_whole() -> None:
    light, region = plate((23, 35)), Region.sized(35, 23)
    whole, part = run(light, "print"), Region(13, 5, 30, 21)
    tile = np.empty((3, part.height, part.width), np.float32)
    repair(Device("cpu", 1), Image(light, region).crop(part), (0, 1, 2), tile, FADE, "print", SEEN)
    np.testing.assert_array_equal(tile.view(np.int32), whole[:, 5:21, 13:30].view(np.int32))


@pytest.mark.parametrize("medium", MEDIA)
def test_it_turns_a_fade_round(medium: str) -> None:
    rng = np.random.default_rng(4)
    density = rng.uniform(0.05, 2.2, (3, 20, 30))
    how = MEDIA[medium]
    clean = how.zero * 10 ** (density / how.per_decade)
    faded = fade_light(clean, FADE, how)
    assert np.abs(faded / clean - 1).mean() > 0.3
    out = run((SEEN.back @ faded.reshape(3, -1)).reshape(clean.shape).astype(np.float32), medium)
    np.testing.assert_allclose((INTO @ out.reshape(3, -1)).reshape(clean.shape), clean, rtol=3e-3)


def test_other_channels_and_orders_keep_their_places() -> None:
    light = plate((7, 16))
    mixed = np.stack([light[2], light[0] * 0 + 5, light[1], light[0]])
    region, out = Region.sized(16, 7), np.full((4, 7, 16), 3, np.float32)
    repair(Device("cpu", 1), Image(mixed, region, ("B", "A", "G", "R")), (3, 2, 0), out, FADE, "print", SEEN)
    np.testing.assert_array_equal(out[[3, 2, 0]].view(np.int32), run(light, "print").view(np.int32))
    assert (out[1] == 3).all()
