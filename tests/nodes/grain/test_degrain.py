"""Degrain through its contract: prepare, analyse, compute."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.kernels import cuda
from tests.stand_ins import cupy_like

from .scene import moving_scene

RGB = ("R", "G", "B")
SIGMA = 12 / 255
TWO = Device("cpu", 2)


def pictures(frames: np.ndarray, channels: Sequence[str] = RGB) -> dict[int, Image]:
    """Frames (n, C, H, W) as images whose data window starts at (3, -2)."""
    region = Region.sized(frames.shape[3], frames.shape[2], 3, -2)
    return {
        i: Image(np.ascontiguousarray(f, np.float32), region, tuple(channels), {"n": i}) for i, f in enumerate(frames)
    }


def degrain(
    images: Mapping[int, Image], frame: int, device: Device = TWO, matte: Image | None = None, **settings: Any
) -> tuple[Image, Image]:
    """Run the node on one frame as the engine does, with what frames there are."""
    node, params = Degrain(), DegrainParams(**{"domain": "linear", "noise": "manual", "sigma": SIGMA, **settings})
    first = images[frame]
    clips = {"input": Clip(min(images), max(images), first.region, first.region, channels=first.channels)}
    analysis = None
    if node.wants_analysis(params):
        asked = [r.frame for r in node.analysis_requests(params, clips)]
        analysis = node.analyse(params, [(n, images[n]) for n in asked if n in images], clips, device)
    request = Request(frame, first.region)
    needed = {r.frame: images[r.frame] for r in node.needs(params, request)["input"] if r.frame in images}
    inputs = Inputs(
        request,
        {"input": needed} if matte is None else {"input": needed, "matte": {frame: matte}},
        clips,
        prepared=lambda port, n: node.prepare(params, port, needed[n], device),
        analysis=analysis,
    )
    out = node.compute(params, request, inputs, device)
    return out["image"], out["grain"]


def error(image: Image, clean: np.ndarray) -> float:
    """Root mean square against the truth, in codes."""
    return float(np.sqrt(((image.data - clean) ** 2).mean()) * 255)


@pytest.fixture(scope="module")
def shot() -> tuple[np.ndarray, np.ndarray]:
    clean = moving_scene(5, 120, 176).transpose(0, 3, 1, 2) / np.float32(255)
    noisy = clean + np.random.default_rng(3).normal(0, SIGMA, clean.shape).astype(np.float32)
    return clean, noisy


def test_a_moving_shot_gains(shot: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = shot
    images = pictures(noisy)
    errors = [error(degrain(images, 2, radius=radius)[0], clean[2]) for radius in (0, 1, 2)]
    assert errors[0] < 6.5 and errors[1] < 5.0 and errors[2] < 4.7  # of 12
    assert errors[2] < errors[1] < errors[0]


def test_first_and_last_frames_and_a_single_frame(shot: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = shot
    images = pictures(noisy)
    for frame in (0, 4):
        assert error(degrain(images, frame)[0], clean[frame]) < 5.2
    assert error(degrain({2: images[2]}, 2)[0], clean[2]) < 6.5


def test_a_still_shot_gains_more() -> None:
    clean = np.repeat(moving_scene(1, 96, 128).transpose(0, 3, 1, 2), 5, axis=0) / np.float32(255)
    noisy = clean + np.random.default_rng(3).normal(0, SIGMA, clean.shape)
    assert error(degrain(pictures(noisy), 2)[0], clean[2]) < 4.2


def test_image_and_grain_are_the_plate(shot: tuple[np.ndarray, np.ndarray]) -> None:
    plate = pictures(shot[1].astype(np.float16).astype(np.float32))
    for settings in ({}, {"domain": "log", "sigma": 0.2}, {"strength": 0.4}, {"strength": 2.0}):
        image, grain = degrain(plate, 2, **settings)
        np.testing.assert_array_equal(image.data + grain.data, plate[2].data)
        assert grain.data.std() > 0.01 and image.metadata == {"n": 2} and grain.region == plate[2].region


def test_what_is_taken_is_grain_and_no_edges(shot: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = shot
    _, grain = degrain(pictures(noisy), 2)
    taken = grain.data[:, 8:-8, 8:-8]
    assert 0.8 * SIGMA < taken.std() < 1.1 * SIGMA
    edges = np.gradient(clean[2], axis=2)[:, 8:-8, 8:-8]
    assert abs(np.corrcoef(taken.ravel(), edges.ravel())[0, 1]) < 0.05


def test_things_that_appear_leave_no_ghost() -> None:
    clean = np.full((5, 3, 96, 128), 0.4, np.float32)
    clean[2, :, 30:60, 40:90] = 0.6  # there in one frame alone
    noisy = clean + np.random.default_rng(5).normal(0, 0.02, clean.shape)
    image, _ = degrain(pictures(noisy), 2, sigma=0.02)
    assert np.abs(image.data - clean[2])[:, 34:56, 44:86].max() < 0.03
    assert np.abs(image.data - clean[2]).max() < 0.08
    after, _ = degrain(pictures(noisy), 3, sigma=0.02)
    assert np.abs((after.data - clean[3]).mean(0)[30:60, 40:90]).max() < 0.03


def test_a_neighbour_that_does_not_match_is_as_good_as_none(shot: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = shot
    other = np.random.default_rng(9).random(noisy[0].shape)
    mixed = pictures(np.stack([other, other[:, ::-1], noisy[2], other[:, :, ::-1], other[::-1]]))
    alone = error(degrain({2: mixed[2]}, 2)[0], clean[2])
    assert error(degrain(mixed, 2)[0], clean[2]) < alone + 0.3


def test_auto_is_calibrated(shot: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = shot
    images = pictures(noisy)
    given = error(degrain(images, 2)[0], clean[2])
    assert error(degrain(images, 2, noise="auto")[0], clean[2]) < given * 1.12


def test_strength_zero_and_silence_keep_the_bits(shot: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = shot
    images = pictures(noisy)
    image, grain = degrain(images, 2, strength=0)
    assert image.data is images[2].data and not grain.data.any()
    assert list(Degrain().needs(DegrainParams(strength=0), Request(2, images[2].region))["input"]) == [
        Request(2, images[2].region)
    ]
    smooth = np.broadcast_to(np.linspace(0, 1, 176, dtype=np.float32), clean.shape)
    image, grain = degrain(pictures(smooth), 2, noise="auto")
    np.testing.assert_array_equal(image.data, smooth[2])
    assert not grain.data.any()


def test_broken_pixels_are_handed_through_and_do_not_spread(shot: tuple[np.ndarray, np.ndarray]) -> None:
    noisy = shot[1].copy()
    whole, _ = degrain(pictures(noisy), 2)
    noisy[2, 0, 40, 50], noisy[2, :, 80, 90], noisy[1, :, 20:24, 30:34] = np.nan, np.inf, -np.inf
    image, grain = degrain(pictures(noisy), 2)
    broken = ~np.isfinite(noisy[2])
    np.testing.assert_array_equal(image.data[broken], noisy[2][broken])
    assert not grain.data[broken].any() and np.isfinite(image.data[~broken]).all()
    assert np.abs(image.data - whole.data)[~broken].max() < 3 * SIGMA
    every, none = degrain(pictures(np.full((3, 3, 20, 20), np.nan)), 1)
    assert np.isnan(every.data).all() and not none.data.any()


def test_negative_and_huge_values_survive_without_a_halo() -> None:
    rng = np.random.default_rng(6)
    clean = np.full((3, 3, 64, 96), 0.18)
    clean[:, :, :, 60:] = -0.01
    clean[:, :, 20:23, 20:23] = 6500
    noisy = clean * (1 + rng.normal(0, 0.03, clean.shape))
    image, _ = degrain(pictures(noisy), 1, domain="log", noise="auto")
    lamp = image.data[:, 20:23, 20:23]
    assert (np.abs(lamp / noisy[1][:, 20:23, 20:23] - 1) < 0.1).all()
    around = image.data[:, 8:36, 8:36].copy()
    around[:, 12:15, 12:15] = 0.18
    assert np.abs(around / 0.18 - 1).max() < 0.15
    assert (image.data[:, 8:-8, 66:-8] < 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (5, 130), (64, 3)])
def test_small_frames(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    plate = 0.5 + rng.normal(0, SIGMA, (3, 3, *size))
    image, grain = degrain(pictures(plate), 1)
    assert image.data.shape == (3, *size) and np.isfinite(image.data).all()
    np.testing.assert_array_equal(image.data + grain.data, plate[1].astype(np.float32))


def test_other_channels_are_untouched(shot: tuple[np.ndarray, np.ndarray]) -> None:
    noisy = shot[1]
    alone, _ = degrain(pictures(noisy), 2)
    alpha = np.random.default_rng(2).random((5, 1, *noisy.shape[2:])).astype(np.float32)
    shuffled = np.concatenate([noisy[:, 2:3], alpha, noisy[:, 1:2], noisy[:, :1]], axis=1)
    image, grain = degrain(pictures(shuffled, ("B", "A", "G", "R")), 2)
    np.testing.assert_array_equal(image.data[1], alpha[2, 0])
    np.testing.assert_array_equal(image.data[[3, 2, 0]], alone.data)
    assert not grain.data[1].any()


def test_luma_alone(shot: tuple[np.ndarray, np.ndarray]) -> None:
    clean, noisy = shot
    for channels in (("Y",), ("G", "R")):
        n = len(channels)
        image, _ = degrain(pictures(noisy[:, :n], channels), 2, noise="auto")
        assert error(image, clean[2, :n]) < 6.5


def test_threads_do_not_matter(shot: tuple[np.ndarray, np.ndarray]) -> None:
    images = pictures(shot[1])
    one = degrain(images, 2, Device("cpu", 1))
    for threads in (2, 3, 7):
        other = degrain(images, 2, Device("cpu", threads))
        np.testing.assert_array_equal(one[0].data, other[0].data)
        np.testing.assert_array_equal(one[1].data, other[1].data)


def test_everything_stays_on_the_device(shot: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    noisy = shot[1][1:4].copy()
    noisy[1, 0, 5, 6] = np.nan
    mixed = np.concatenate([noisy, noisy[:, :1]], axis=1)
    images = pictures(mixed, ("B", "G", "R", "A"))
    want = degrain(images, 1)
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    monkeypatch.setattr(cuda, "run", cupy_like.run)
    cupy_like.LAUNCHED.clear()
    device = Device("cuda", 1)
    made = degrain({n: device.upload(image) for n, image in images.items()}, 1, device)
    assert set(cupy_like.LAUNCHED) == {
        "degrain_encode",
        "motion_shrink",
        "motion_search",
        "motion_compensate",
        "degrain",
        "degrain_reduce",
        "degrain_mend",
        "degrain_finish",
    }
    for here, there in zip(want, made, strict=True):
        np.testing.assert_array_equal(device.download(there).data, here.data)


def test_neighbours_of_another_size_are_left_out(shot: tuple[np.ndarray, np.ndarray]) -> None:
    images = pictures(shot[1])
    alone = degrain({2: images[2]}, 2)[0]
    small = images[1].crop(Region(3, -2, 60, 60))
    np.testing.assert_array_equal(degrain({1: small, 2: images[2]}, 2)[0].data, alone.data)


def test_bad_input_is_refused_early() -> None:
    window = Region.sized(10, 10)
    with pytest.raises(GraphError, match="no R, G, B or Y"):
        list(Degrain().check(DegrainParams(), {"input": Clip(1, 5, window, window, channels=("A", "Z"))}, Settings()))
    short = list(Degrain().check(DegrainParams(), {"input": Clip(1, 2, window, window)}, Settings()))
    assert len(short) == 1 and "frames in the clip: 2" in short[0]
    with pytest.raises(ValueError, match="radius"):
        DegrainParams(radius=5)
