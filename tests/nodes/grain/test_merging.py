"""Stacks merged at several sizes: what noise becomes at half the size, what is left at low frequencies, no halo."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.fft import dctn
from scipy.ndimage import gaussian_filter

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.grain.merging import Stack, halved, merged
from safelight.nodes.grain.noise import Noise
from safelight.nodes.grain.working import BORDER, mirror, work_area
from safelight.nodes.measure.spectra import ring_ratio

TWO = Device("cpu", 2)
SIGMA = 0.05


def stack(frames: np.ndarray) -> Stack:
    """Frames (n, C, H, W) that need no moving; the first is the centre."""
    region = Region.sized(frames.shape[3], frames.shape[2])
    work = work_area(region)
    bordered = np.zeros((*frames.shape[:2], work.height, work.width), np.float32)
    bordered[:, :, BORDER : BORDER + region.height, BORDER : BORDER + region.width] = frames
    for frame in bordered:
        mirror(frame, region.width, region.height, np)
    others = bordered[1:] if len(frames) > 1 else bordered
    return Stack(region, bordered[0], others.reshape(-1, work.height, work.width), len(frames) - 1)


@pytest.mark.parametrize("blur", [0.0, 0.6])
def test_noise_at_half_size_is_what_halved_says(blur: float) -> None:
    f = np.arange(8) / 16

    def power(frequency: np.ndarray) -> np.ndarray:
        return np.exp(-((2 * np.pi * blur * frequency) ** 2))

    half = sum(power(g) * np.cos(np.pi * g) ** 6 for g in (f / 2, 0.5 - f / 2))
    made = halved(np.outer(power(f), power(f))[None])[0]
    np.testing.assert_allclose(made, np.outer(half, half) / 4, rtol=0.05)
    # And noise itself, measured by the transform: it also sees other frequencies than its own, which are lower.
    noise = np.random.default_rng(1).standard_normal((1, 1024, 1024))
    if blur:
        noise = gaussian_filter(noise, (0, blur, blur), mode="wrap")
    for axis in (1, 2):
        parts = [np.take(np.roll(noise, 1 - j, axis), np.arange(0, 1024, 2), axis=axis) for j in range(4)]
        noise = (parts[0] + 3 * parts[1] + 3 * parts[2] + parts[3]) / 8
    blocks = noise.reshape(1, 64, 8, 64, 8).transpose(0, 1, 3, 2, 4)
    seen = (dctn(blocks, axes=(3, 4), norm="ortho") ** 2).mean((0, 1, 2))
    assert (seen / made > 0.75).all() and (seen / made < 1.1).all()


def test_low_frequencies_of_flat_noise_are_taken() -> None:
    rng = np.random.default_rng(2)
    grain = rng.normal(0, SIGMA, (5, 3, 192, 192))
    noise = Noise.white([SIGMA] * 3)
    left = [merged(stack(0.5 + grain), noise, TWO, levels=n) - 0.5 for n in (0, 1, 2, 3)]
    lowest = [ring_ratio(picture, grain[0])[0] for picture in left]
    assert lowest[0] > 0.12  # a fifth of it is averaged away by five frames, and no more
    assert lowest[1] < 0.7 * lowest[0] and lowest[2] < 0.5 * lowest[0] and lowest[3] <= lowest[2] and lowest[3] < 0.04


def test_an_edge_has_no_halo() -> None:
    rng = np.random.default_rng(3)
    clean = np.where(np.arange(160) < 80, 0.2, 2.2) * np.ones((3, 128, 1))
    made = merged(stack(clean + rng.normal(0, SIGMA, (5, *clean.shape))), Noise.white([SIGMA] * 3), TWO)
    # The mean over rows shows what follows the edge; noise alone leaves about 0.2 sigma / √128 there.
    assert np.abs((made - clean).mean(1)).max() < 0.25 * SIGMA


def test_thin_bright_lines_survive_reduction() -> None:
    rng = np.random.default_rng(4)
    clean = np.full((3, 96, 128), 0.3)
    clean[:, 40:42] = clean[:, :, 60] = 1.3
    made = merged(stack(clean + rng.normal(0, SIGMA, (5, *clean.shape))), Noise.white([SIGMA] * 3), TWO)
    assert np.abs(made - clean).max() < 2 * SIGMA


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (33, 32), (65, 131)])
@pytest.mark.parametrize("planes", [1, 3])
def test_every_size_is_finite_and_threads_agree(size: tuple[int, int], planes: int) -> None:
    rng = np.random.default_rng(size)
    frames = rng.normal(0.5, SIGMA, (3, planes, *size))
    noise = Noise.white([SIGMA] * planes)
    one = merged(stack(frames), noise, Device("cpu", 1))
    assert one.shape == (planes, *size) and np.isfinite(one).all()
    np.testing.assert_array_equal(merged(stack(frames), noise, Device("cpu", 3)), one)
    alone = merged(stack(frames[:1]), noise, TWO)
    assert np.isfinite(alone).all()
