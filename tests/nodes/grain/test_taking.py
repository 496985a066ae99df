"""Degrain where a matte, strengths or detail protection say how much is taken."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Request, Settings
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.kernels import cuda
from safelight.nodes.kernels.launch import best_isa
from tests.stand_ins import cupy_like

from .scene import moving_scene
from .test_degrain import SIGMA, degrain, pictures


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    """Five frames of half-float values, (5, 3, 96, 140)."""
    clean = moving_scene(5, 96, 140).transpose(0, 3, 1, 2) / np.float32(255)
    plate = clean + np.random.default_rng(3).normal(0, SIGMA, clean.shape)
    return plate.astype(np.float16).astype(np.float32)


def ramp(region: Region) -> np.ndarray:
    """A matte that is 0, then rises, then is 1, with values beyond and broken ones in it."""
    matte = np.broadcast_to(np.clip(np.linspace(-0.5, 1.5, region.width), 0, 1), (1, region.height, region.width))
    matte = matte.astype(np.float32)
    matte[:, 10, 10], matte[:, 11, 70], matte[:, 12, 10], matte[:, 13, 72] = -3, 7, np.nan, np.nan
    return matte


def digest(settings: dict[str, Any]) -> str:
    rng = np.random.default_rng(4)
    steps = rng.integers(-12, 13, (3, 3, 40, 130)) + 40 * (np.arange(130) // 20) + 20
    image, grain = degrain(pictures((steps / 256).astype(np.float32)), 1, sigma=0.03, **settings)
    return hashlib.sha256(image.data.tobytes() + grain.data.tobytes()).hexdigest()[:16]


@pytest.mark.skipif(best_isa() == "v2", reason="without a fused multiply-add the last bits differ")
def test_defaults_give_the_bits_they_always_gave() -> None:
    assert digest({}) == "fe7a8a242042cf84"
    assert digest({"domain": "log", "strength": 0.5}) == "f1fb89809a2bfdd2"


def test_a_matte_says_where(noisy: np.ndarray) -> None:
    images = pictures(noisy)
    plate, region = images[2].data, images[2].region
    for settings in ({}, {"strength": 0.5}, {"domain": "log", "sigma": 0.2}):
        whole, all_grain = degrain(images, 2, **settings)
        matte = ramp(region)
        image, grain = degrain(images, 2, matte=Image(matte, region, ("A",)), **settings)
        nowhere = np.broadcast_to(~(matte > 0), plate.shape)
        everywhere = np.broadcast_to(matte >= 1, plate.shape)
        np.testing.assert_array_equal(image.data[nowhere], plate[nowhere])
        assert not grain.data[nowhere].any()
        np.testing.assert_array_equal(image.data[everywhere], whole.data[everywhere])
        np.testing.assert_array_equal(grain.data[everywhere], all_grain.data[everywhere])
        np.testing.assert_array_equal(image.data + grain.data, plate)
        blend = plate + (whole.data - plate).astype(np.float64) * np.clip(np.nan_to_num(matte), 0, 1)
        np.testing.assert_allclose(image.data, blend, atol=3e-7)


def test_a_matte_of_ones_changes_nothing_and_of_zeros_everything(noisy: np.ndarray) -> None:
    images = pictures(noisy)
    region = images[2].region
    shape = (1, region.height, region.width)
    whole, all_grain = degrain(images, 2)
    image, grain = degrain(images, 2, matte=Image(np.ones(shape, np.float32), region, ("A",)))
    np.testing.assert_array_equal(image.data, whole.data)
    np.testing.assert_array_equal(grain.data, all_grain.data)
    image, grain = degrain(images, 2, matte=Image(np.zeros(shape, np.float32), region, ("A",)))
    assert image.data is images[2].data and not grain.data.any()


def test_nothing_is_taken_outside_the_matte_window(noisy: np.ndarray) -> None:
    images = pictures(noisy)
    region = images[2].region
    part = Region(region.x0 + 20, region.y0 - 5, region.x1 + 9, region.y0 + 40)
    matte = Image(np.ones((2, part.height, part.width), np.float32), part, ("A", "Z"))
    whole, _ = degrain(images, 2)
    image, _ = degrain(images, 2, matte=matte)
    expected = images[2].data.copy()
    expected[:, :40, 20:] = whole.data[:, :40, 20:]
    np.testing.assert_array_equal(image.data, expected)
    nothing = Image(np.zeros((1, 0, 0), np.float32), Region(0, 0, 0, 0), ("A",))
    assert degrain(images, 2, matte=nothing)[0].data is images[2].data


def test_broken_pixels_and_other_channels_under_a_matte(noisy: np.ndarray) -> None:
    frames = np.concatenate([noisy[:, ::-1], noisy[:, :1]], axis=1).copy()
    frames[2, 0, 40, 50], frames[2, :, 80, 90] = np.nan, np.inf
    images = pictures(frames, ("B", "G", "R", "A"))
    region = images[2].region
    matte = Image(np.full((1, region.height, region.width), 0.5, np.float32), region, ("A",))
    image, grain = degrain(images, 2, matte=matte)
    broken = ~np.isfinite(frames[2])
    np.testing.assert_array_equal(image.data[broken], frames[2][broken])
    assert not grain.data[broken].any() and np.isfinite(image.data[~broken]).all()
    np.testing.assert_array_equal(image.data[3], frames[2, 3])
    whole, _ = degrain(images, 2)
    half = 0.5 * (frames[2, :3].astype(np.float64) + whole.data[:3])
    np.testing.assert_allclose(image.data[:3][~broken[:3]], half[~broken[:3]], atol=3e-7)


def test_a_channel_at_zero_keeps_its_bits(noisy: np.ndarray) -> None:
    images = pictures(noisy)
    whole, _ = degrain(images, 2)
    for channels, order in ((("R", "G", "B"), (0, 1, 2)), (("B", "G", "R"), (2, 1, 0))):
        shuffled = pictures(noisy[:, list(order)], channels)
        image, grain = degrain(shuffled, 2, red=0, blue=0.5)
        red, blue = channels.index("R"), channels.index("B")
        np.testing.assert_array_equal(image.data[red], noisy[2, 0])
        assert not grain.data[red].any()
        np.testing.assert_array_equal(image.data[1], whole.data[1])
        half = 0.5 * (noisy[2, 2].astype(np.float64) + whole.data[2])
        np.testing.assert_allclose(image.data[blue], half, atol=2e-7)
        np.testing.assert_array_equal(image.data + grain.data, shuffled[2].data)


def test_a_stronger_channel_is_a_stronger_noise(noisy: np.ndarray) -> None:
    images = pictures(noisy)
    image, _ = degrain(images, 2, red=2, green=2, blue=2)
    same, _ = degrain(images, 2, strength=2)
    np.testing.assert_allclose(image.data, same.data, atol=1e-5)
    # Noise twice as strong in blue than is said, and blue at 2: better than blue at 1, and red as good.
    clean = moving_scene(5, 96, 140).transpose(0, 3, 1, 2) / np.float32(255)
    strong = pictures(clean + (noisy - clean) * np.array([1, 1, 2])[:, None, None])
    errors = [((degrain(strong, 2, blue=blue)[0].data - clean[2])[2] ** 2).mean() for blue in (1, 2)]
    assert errors[1] < 0.8 * errors[0]
    np.testing.assert_array_equal(
        degrain(images, 2, strength=0.5, red=2, green=2, blue=2)[0].data, degrain(images, 2)[0].data
    )


def test_tones_in_every_domain() -> None:
    rng = np.random.default_rng(8)
    stops = np.repeat(np.array([-4.0, 0.0, 4.0]), 48)
    plate = 0.18 * 2 ** np.broadcast_to(stops, (3, 3, 64, 144)) * (1 + rng.normal(0, 0.04, (3, 3, 64, 144)))
    images = pictures(plate.astype(np.float16))
    parts = [np.s_[:, :, at + 12 : at + 36] for at in (0, 48, 96)]
    for settings in ({"domain": "log", "sigma": 0.06}, {"sigma": 0.05}, {"noise": "stock", "domain": "density"}):
        whole, _ = degrain(images, 1, **settings)
        for at, name in enumerate(("shadows", "midtones", "highlights")):
            image, grain = degrain(images, 1, **settings, **{name: 0})
            for other, part in enumerate(parts):
                expected = images[1].data if other == at else whole.data
                np.testing.assert_array_equal(image.data[part], expected[part])
            assert not grain.data[parts[at]].any()
            np.testing.assert_array_equal(image.data + grain.data, images[1].data)


def test_a_stronger_tone_reaches_beyond_the_noise_curve() -> None:
    rng = np.random.default_rng(8)
    clean = np.repeat(0.18 * 2 ** np.array([-5.0, 5.0]), 64)
    plate = clean * (1 + rng.normal(0, 0.1, (1, 3, 64, 128)))
    images = pictures(plate.astype(np.float16))
    for name, part in (("shadows", np.s_[:, 8:-8, 8:48]), ("highlights", np.s_[:, 8:-8, 80:120])):
        weak = {"domain": "log", "sigma": {"shadows": 0.03, "highlights": 0.09}[name]}
        before = degrain(images, 0, **weak)[0].data[part]
        after = degrain(images, 0, **weak, **{name: 2})[0].data[part]
        assert after.std() < 0.8 * before.std()


def test_all_tones_at_zero_hand_on_the_plate(noisy: np.ndarray) -> None:
    images, node = pictures(noisy), Degrain()
    off = {"shadows": 0, "midtones": 0, "highlights": 0}
    params = DegrainParams(**off)
    assert node.identity(params, Request(2, images[2].region)) == "input" and node.reach(params) == (0, 0)
    assert not node.wants_analysis(params)
    image, grain = degrain(images, 2, **off)
    assert image.data is images[2].data and not grain.data.any()


def test_luma_has_tones_and_no_channels(noisy: np.ndarray) -> None:
    images = pictures(noisy[:, :1], ("Y",))
    np.testing.assert_array_equal(degrain(images, 2, red=0)[0].data, degrain(images, 2)[0].data)
    image, _ = degrain(images, 2, midtones=0, shadows=0)
    dark = images[2].data < 0.3
    np.testing.assert_array_equal(image.data[dark], images[2].data[dark])


def test_detail_is_protected_and_flat_parts_are_not() -> None:
    rng = np.random.default_rng(8)
    texture = np.repeat(np.repeat(rng.choice([-0.12, 0.12], (40, 40)), 2, 0), 2, 1)
    clean = np.full((3, 3, 80, 160), 0.4)
    clean[..., 80:] += texture
    images = pictures((clean + rng.normal(0, 0.02, clean.shape)).astype(np.float16))
    flat, rough = np.s_[:, 6:-6, 6:66], np.s_[:, 6:-6, 94:154]
    for settings in ({"sigma": 0.02}, {"domain": "log", "noise": "auto"}, {"sigma": 0.02, "strength": 0.5}):
        grains = {detail: degrain(images, 1, detail=detail, **settings)[1].data for detail in (0, 0.5, 1)}
        image, grain = degrain(images, 1, detail=1, **settings)
        np.testing.assert_array_equal(image.data + grain.data, images[1].data)
        assert grains[1][flat].std() > 0.93 * grains[0][flat].std()
        assert grains[1][rough].std() < 0.1 * grains[0][rough].std()
        assert 0.4 < grains[0.5][rough].std() / grains[0][rough].std() < 0.6


def test_detail_under_a_matte_and_beside_broken_pixels(noisy: np.ndarray) -> None:
    frames = noisy.copy()
    frames[2, :, 40, 50], frames[2, 0, 60, 60] = np.nan, np.inf
    images = pictures(frames)
    region = images[2].region
    matte = ramp(region)
    image, grain = degrain(images, 2, matte=Image(matte, region, ("A",)), detail=0.7, red=0.5)
    finite = np.isfinite(frames[2])
    np.testing.assert_array_equal(image.data[~finite], frames[2][~finite])
    np.testing.assert_array_equal((image.data + grain.data)[finite], frames[2][finite])
    nowhere = np.broadcast_to(~(matte > 0), finite.shape)
    assert not grain.data[nowhere].any() and grain.data[~nowhere].any()
    alone, _ = degrain(pictures(frames[:, 1:2], ("Y",)), 2, detail=1)
    assert np.isfinite(alone.data[0][finite[1]]).all()


def test_taking_stays_on_the_device(noisy: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(noisy[1:4])
    region = images[1].region
    part = Region(region.x0 + 20, region.y0 + 5, region.x1 - 9, region.y0 + 40)
    matte = Image(np.full((1, part.height, part.width), 0.5, np.float32), part, ("A",))
    want = degrain(images, 1, matte=matte, red=0.5, shadows=2, detail=0.5)
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    monkeypatch.setattr(cuda, "run", cupy_like.run)
    cupy_like.LAUNCHED.clear()
    device = Device("cuda", 1)
    there = {n: device.upload(image) for n, image in images.items()}
    made = degrain(there, 1, device, device.upload(matte), red=0.5, shadows=2, detail=0.5)
    assert "degrain_take" in cupy_like.LAUNCHED
    for here, far in zip(want, made, strict=True):
        np.testing.assert_array_equal(device.download(far).data, here.data)


def test_a_matte_of_another_size_is_refused() -> None:
    plate, other = Region.sized(64, 48), Region.sized(64, 40)
    clips = {"input": Clip(1, 9, plate, plate), "matte": Clip(1, 9, other, other, channels=("A",))}
    with pytest.raises(GraphError, match="matte is 64x40") as caught:
        list(Degrain().check(DegrainParams(), clips, Settings()))
    assert "plate's size" in str(caught.value)
    clips["matte"] = Clip(1, 9, plate, other, channels=("A",))
    assert not list(Degrain().check(DegrainParams(), clips, Settings()))


def test_a_matte_through_the_graph() -> None:
    text = """
        safelight = 1
        [nodes.plate]
        type = "Plate"
        width = 64
        height = 48
        frames = 3
        first = 1
        [nodes.out]
        type = "Degrain"
        noise = "manual"
        sigma = 0.2
        inputs = {input = "plate", matte = "plate"}
    """
    made = dict(pull(Graph.from_document(Document.parse(text, Path())), "out", frames=[2]))[2]
    taken = dict(pull(Graph.from_document(Document.parse(text, Path())), "out", "grain", [2]))[2]
    plate = dict(pull(Graph.from_document(Document.parse(text, Path())), "plate", frames=[2]))[2]
    assert taken.data.any()
    np.testing.assert_allclose(made.data + taken.data, plate.data, atol=1e-6)
