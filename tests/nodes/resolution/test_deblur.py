"""Deblur: error smaller, ringing bounded, noise heeded, blur found, bits kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scipy.ndimage import maximum_filter, minimum_filter

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.resolution import blur
from safelight.nodes.resolution.blind import Found
from safelight.nodes.resolution.deblur import Deblur, DeblurParams
from tests.nodes.resolution.test_blind import scene as textured
from tests.nodes.resolution.test_blind import spoiled

NODE = Deblur()
SIZE = (120, 170)


def scene() -> np.ndarray:
    """(3, H, W) scene light with edges, lines and texture."""
    y, x = np.mgrid[0 : SIZE[0], 0 : SIZE[1]].astype(np.float64)
    base = 0.18 + 0.3 * ((x + 0.5 * y) % 41 < 17) + 0.1 * np.sin(x / 4) * np.sin(y / 5) * (y > 60)
    base[30:32, 20:150] = 0.9
    return np.stack([base, 0.8 * base + 0.02, 0.6 * base])


class Frames:
    def __init__(self, *images: Image) -> None:
        self.images = images

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        return iter(enumerate(self.images, 1))

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        return iter(self)


def run(data: np.ndarray, channels: tuple[str, ...] = ("R", "G", "B"), **given: Any) -> tuple[np.ndarray, Any]:
    image = Image(data.astype(np.float32), Region.sized(data.shape[2], data.shape[1], -4, 9), channels)
    params = DeblurParams(**given)
    clips = {"input": Clip(1, 1, image.region, image.region, channels=channels)}
    found = NODE.analyse(params, Frames(image), clips, Device("cpu", 1)) if NODE.wants_analysis(params) else None
    request = Request(1, image.region)
    inputs = Inputs(request, {"input": {1: image}}, clips, analysis=found)
    return NODE.compute(params, request, inputs, Device("cpu", 1)).data, found


def blurred(data: np.ndarray, transfer: Any) -> np.ndarray:
    shape = data.shape[1] + 128, data.shape[2] + 128
    padded = np.pad(data, ((0, 0), (64, 64), (64, 64)), mode="symmetric")
    made = [np.fft.irfft2(np.fft.rfft2(plane) * transfer(shape), s=shape)[64:-64, 64:-64] for plane in padded]
    return np.stack(made)


@pytest.mark.parametrize(
    ("given", "transfer"),
    [
        ({"kernel": "gaussian", "size": 1.5}, lambda s: blur.gaussian(s, 1.5)),
        ({"kernel": "disc", "size": 2.5}, lambda s: blur.disc(s, 2.5)),
        ({"kernel": "motion", "size": 6.0, "angle": 30.0}, lambda s: blur.motion(s, 6.0, 30.0)),
        ({"kernel": "stock", "pitch": 6.0}, lambda s: blur.film(s, load_stock("500T"), 0, 6.0)),
    ],
)
@pytest.mark.parametrize("noise", [0.0005, 0.005])
def test_a_known_blur_is_taken_back(given: dict[str, Any], transfer: Any, noise: float) -> None:
    truth = scene()
    spoiled = blurred(truth, transfer) + noise * np.random.default_rng(1).standard_normal(truth.shape)
    out, _ = run(spoiled, noise=noise, **given)
    before, after = (np.mean((a[0] - truth[0]) ** 2) for a in (spoiled, out))
    assert after < (0.75 if noise < 0.001 else 1.0) * before


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.3])
def test_ringing_is_bounded(margin: float) -> None:
    spoiled = blurred(scene(), lambda s: blur.gaussian(s, 2.0))
    out, _ = run(spoiled, kernel="gaussian", size=2.0, noise=1e-4, ringing=margin)
    given = spoiled.astype(np.float32)
    for made, plane in zip(out, given, strict=True):
        low, high = minimum_filter(plane, 13, mode="nearest"), maximum_filter(plane, 13, mode="nearest")
        slack = margin * (high - low) + 1e-6
        assert (made >= low - slack).all() and (made <= high + slack).all()
        dark, bright = (np.log2(1 + a / 0.01) for a in (low, high))
        shade = margin * (bright - dark) + 1e-4
        stops = np.log2(1 + made / 0.01)
        assert (stops >= dark - shade).all() and (stops <= bright + shade).all()


def test_more_noise_takes_back_less() -> None:
    spoiled = blurred(scene(), lambda s: blur.gaussian(s, 1.5))
    changed = [
        np.abs(run(spoiled, kernel="gaussian", size=1.5, noise=n)[0] - spoiled).mean() for n in (0.001, 0.01, 0.1)
    ]
    assert changed[0] > changed[1] > changed[2]


@pytest.mark.parametrize(
    ("kernel", "size", "angle"), [("gaussian", 1.5, 0.0), ("disc", 3.0, 0.0), ("motion", 7.0, 20.0)]
)
def test_an_estimated_blur_is_taken_back_like_a_given_one(kernel: str, size: float, angle: float) -> None:
    truth = textured(1)
    plate = spoiled(truth, kernel, size, angle, 0.02)[None]
    given, _ = run(plate, ("Y",), kernel=kernel, size=size, angle=angle)
    made, found = run(plate, ("Y",))
    assert found["kernel"] == kernel and found["note"] == str(Found(kernel, found["size"], found["angle"]))
    before, told, estimated = (np.mean((a[0] - truth) ** 2) for a in (plate, given, made))
    assert told < 0.8 * before and estimated < 1.05 * told


def test_sharp_pictures_and_flat_ones_keep_their_bits() -> None:
    rng = np.random.default_rng(1)
    for data in (0.2 + 0.01 * rng.standard_normal((3, 40, 60)), np.full((3, 9, 9), 0.5), np.full((3, 1, 1), 0.5)):
        out, found = run(data)
        assert "kernel" not in found and found["note"] == "no blur that could be taken back"
        np.testing.assert_array_equal(out, data.astype(np.float32))


def test_noise_is_measured() -> None:
    data = 0.3 + 0.02 * np.random.default_rng(2).standard_normal((1, 200, 200))
    _, found = run(data, ("Y",), kernel="gaussian")
    assert found["noise"][0] == pytest.approx(0.02, rel=0.05)


def test_noise_that_is_stronger_in_brighter_light_counts_by_its_mean_power() -> None:
    level = np.repeat(np.geomspace(0.05, 0.8, 200)[None], 400, 0)
    data = level * (1 + 0.05 * np.random.default_rng(2).standard_normal(level.shape))
    assert blur.noise_of(data) == pytest.approx(0.05 * float(np.sqrt((level**2).mean())), rel=0.05)


def test_a_stock_keeps_even_light() -> None:
    for layer in range(3):
        known = blur.film((64, 90), load_stock("500T"), layer, 6.0)
        assert known[0, 0] == 1 and known[0, -1] < 0.5
    bright = blurred(0.2 + 0 * scene(), lambda s: blur.film(s, load_stock("500T"), 0, 6.0))
    np.testing.assert_allclose(bright, 0.2)


def test_grain_stays_on_a_flat_field_and_goes_if_told() -> None:
    data = 0.3 + 0.05 * np.random.default_rng(3).standard_normal((1, 128, 128))
    kept, _ = run(data, ("Y",), kernel="gaussian", size=2.0)
    assert kept.std() == pytest.approx(data.std(), rel=0.08)
    assert np.corrcoef(kept.ravel(), data.ravel())[0, 1] > 0.98
    bare, _ = run(data, ("Y",), kernel="gaussian", size=2.0, grain=0.0)
    assert bare.std() < 0.35 * data.std()


def test_other_channels_and_what_is_no_number_stay() -> None:
    data = np.concatenate(
        [blurred(scene(), lambda s: blur.gaussian(s, 1.5)), np.random.default_rng(1).random((1, *SIZE))]
    )
    data = data.astype(np.float32)
    data[0, 50, 60], data[1, 70, 80] = np.nan, np.inf
    out, _ = run(data, ("R", "G", "B", "A"), kernel="gaussian", size=1.5, noise=1e-3)
    np.testing.assert_array_equal(out[3], data[3])
    for y, x in ((50, 60), (70, 80)):
        np.testing.assert_array_equal(out[:, y, x], data[:, y, x])
    assert np.isfinite(out).sum() == out.size - 2


def test_bits_do_not_depend_on_threads() -> None:
    data = spoiled(textured(3), "disc", 2.0, 0, 0.02)[None] * np.array([1, 0.8, 0.5])[:, None, None]
    image = Image(data.astype(np.float32), Region.sized(data.shape[2], data.shape[1]), ("R", "G", "B"))
    request, clips = Request(1, image.region), {"input": Clip(1, 1, image.region, image.region)}
    inputs = Inputs(request, {"input": {1: image}}, clips, analysis={"noise": [0.01] * 3})
    params = DeblurParams(kernel="disc", size=2.0)
    one, *others = (NODE.compute(params, request, inputs, Device("cpu", many)).data for many in (1, 2, 5))
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_refusals() -> None:
    window = Region.sized(8, 8)
    with pytest.raises(GraphError, match="R, G, B or Y"):
        NODE.check(DeblurParams(), {"input": Clip(1, 1, window, window, channels=("A",))}, Settings())
    with pytest.raises(GraphError, match="of Y"):
        NODE.check(DeblurParams(kernel="stock"), {"input": Clip(1, 1, window, window, channels=("Y",))}, Settings())
    with pytest.raises(GraphError):
        NODE.check(DeblurParams(kernel="stock", stock="9999"), {"input": Clip(1, 1, window, window)}, Settings())
    assert NODE.identity(DeblurParams(strength=0), Request(1, window)) == "input"
