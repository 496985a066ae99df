"""What an analysis of noise says against itself."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from scipy.fft import dctn, idctn

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.image import Clip
from safelight.graph.render import pull
from safelight.nodes.grain import doubts
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.noise import estimate

from .scene import moving_scene
from .test_degrain import pictures

FILMS = ("film/abomb_cut_1950s", "film/market_street_1906", "seq/walker_lowbitrate")


def note(frames: np.ndarray, domain: str = "linear") -> str:
    """Return what Degrain's analysis of frames (n, C, H, W) says to a person."""
    images = pictures(frames, ("R", "G", "B") if frames.shape[1] == 3 else ("Y",))
    region = images[0].region
    clips = {"input": Clip(0, len(images) - 1, region, region, channels=images[0].channels)}
    data = Degrain().analyse(DegrainParams(domain=domain), images.items(), clips, Device("cpu", 1))
    return str(data["note"])


def codes(light: np.ndarray) -> np.ndarray:
    """Round to 8 bit."""
    return np.clip(np.rint(light * 255), 0, 255) / 255


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return moving_scene(4, 160, 240).transpose(0, 3, 1, 2) / 255


def compressed(frames: np.ndarray, step: float) -> np.ndarray:
    """What a codec of 8 x 8 blocks leaves: coefficients rounded, coarser at higher frequencies."""
    n, c, h, w = frames.shape
    blocks = frames.reshape(n, c, h // 8, 8, w // 8, 8).swapaxes(3, 4) * 255
    size = step * (1 + np.add.outer(np.arange(8), np.arange(8)))
    kept = idctn(np.rint(dctn(blocks, axes=(4, 5), norm="ortho") / size) * size, axes=(4, 5), norm="ortho")
    return np.asarray(codes(kept.swapaxes(3, 4).reshape(n, c, h, w) / 255))


def test_noise_and_grain_raise_no_doubt(scene: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    for sigma in (2, 4, 12):
        noisy = 0.1 + 0.8 * scene + rng.normal(0, sigma / 255, scene.shape)
        for domain in ("linear", "log"):
            assert "Careful" not in note(codes(noisy), domain)
        assert "Careful" not in note(codes(noisy[:, :1]))
    # The quietest that eight bits of one plane can hold.
    assert "Careful" not in note(codes(0.2 + 0.5 * scene[:, :1] + rng.normal(0, 0.7 / 255, scene[:, :1].shape)))


@pytest.mark.parametrize("pitch", [24.3, 12.15, 6.08])
def test_a_regrained_plate_raises_no_doubt(pitch: float) -> None:
    text = f"""
        safelight = 1
        [nodes.plate]
        type = "Plate"
        width = 320
        height = 180
        frames = 2
        first = 0
        [nodes.out]
        type = "Regrain"
        stock = "500T"
        pitch = {pitch}
        input = "plate"
    """
    frames = dict(pull(Graph.from_document(Document.parse(text, Path())), "out"))
    assert "Careful" not in note(np.stack([frames[n].data for n in sorted(frames)]), "log")


def test_a_codec_is_told(scene: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    soft = 0.3 + 0.25 * scene + rng.normal(0, 3 / 255, scene.shape)
    said = note(compressed(soft, 12))
    assert "neighbouring pixels are equal" in said and "codec's spectrum" in said
    assert "Careful" not in note(codes(soft))


def test_doubts_are_figures() -> None:
    rng = np.random.default_rng(2)
    power = rng.chisquare(1, (500, 3, 8, 8))
    falling = power * np.exp(-np.add.outer(np.arange(8), np.arange(8)))
    assert doubts.codec(np.full(500, 0.9), power) == [] and doubts.codec(np.full(500, 0.4), falling) == []
    assert "60% of neigh" in doubts.codec(np.full(500, 0.6), falling)[0]
    assert "100%" in doubts.codec(np.ones(3), np.zeros((3, 1, 8, 8)))[0]
    blocks = np.zeros((2, 2, 8, 8), np.float32)
    blocks[1] = np.arange(8)
    blocks[0, 1, :, 4:] = 1
    np.testing.assert_allclose(doubts.equal_neighbours(blocks), [6 / 7, 0])


@pytest.mark.parametrize(("shape", "count"), [((3, 1, 1), 0), ((3, 16, 24), 6), ((3, 40, 40), 23)])
def test_too_few_blocks_are_told(shape: tuple[int, int, int], count: int) -> None:
    frame = np.random.default_rng(0).random(shape)
    if shape[1] == 40:
        frame[:, :16, :8] = np.nan  # two of 25 blocks
    said = note(frame[None])
    assert f"only {count} usable blocks" in said and "24 are needed" in said and "nothing will be taken" in said


def test_few_blocks_are_told() -> None:
    said = note(0.5 + np.random.default_rng(0).normal(0, 0.02, (1, 3, 80, 88)))
    assert "usable blocks" in said and "rough" in said and "sigma" in said
    assert "usable" not in note(0.5 + np.random.default_rng(0).normal(0, 0.02, (4, 3, 80, 88)))


def test_nothing_but_broken_pixels() -> None:
    assert "only 0 usable blocks" in note(np.full((2, 3, 32, 32), np.nan))


def test_a_clipped_plate_is_told(scene: np.ndarray) -> None:
    noisy = 0.5 + np.random.default_rng(1).normal(0, 0.02, scene.shape)
    noisy[..., :100] = 1.0
    said = note(noisy)
    assert "largest value (clipped)" in said and "42%" in said and "smallest" not in said
    assert "clipped" not in note(noisy[..., 80:])
    assert estimate(list(noisy.astype(np.float32)), coding("linear")).sigma.max() < 0.03


@pytest.mark.parametrize("name", FILMS)
def test_compressed_films_are_told(name: str) -> None:
    folder = Path(os.environ.get("SAFELIGHT_TEST_DATA", "")) / "images" / name
    files = sorted(folder.glob("*.png"))[::4]
    if not os.environ.get("SAFELIGHT_TEST_DATA") or not files:
        pytest.skip("no development pictures")
    frames = np.stack([np.asarray(Picture.open(file).convert("RGB")) for file in files]).transpose(0, 3, 1, 2) / 255
    for domain in ("linear", "log"):
        assert "codec's spectrum" in note(frames, domain)


def test_a_filmed_pan_with_noise_raises_no_doubt() -> None:
    folder = Path(os.environ.get("SAFELIGHT_TEST_DATA", "")) / "images" / "seq" / "redtree_pan"
    files = sorted(folder.glob("*.png"))[::7]
    if not os.environ.get("SAFELIGHT_TEST_DATA") or not files:
        pytest.skip("no development pictures")
    frames = np.stack([np.asarray(Picture.open(file).convert("RGB")) for file in files]).transpose(0, 3, 1, 2) / 255
    rng = np.random.default_rng(1)
    for sigma in (4, 12):
        assert "codec" not in note(codes(frames + rng.normal(0, sigma / 255, frames.shape)))
