"""Blurs that nobody told: found by kind, size and direction; none where the picture is sharp or nothing can be told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.nodes.resolution import blind, blur
from safelight.nodes.resolution.blind import Found, Spectrum

SIZE = (260, 350)
BLURS: dict[str, Any] = {
    "gaussian": lambda shape, size, _: blur.gaussian(shape, size),
    "disc": lambda shape, size, _: blur.disc(shape, size),
    "motion": blur.motion,
}


def scene(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Scene light: texture whose spectrum falls like a picture's, under bars and discs with hard edges."""
    rng = np.random.default_rng(seed)
    y, x = blur.frequencies(size)
    far = np.hypot(y, x)
    far[0, 0] = 1
    field = np.fft.irfft2(np.fft.rfft2(rng.standard_normal(size)) * far**-1.2, s=size)
    light = np.exp(0.5 * field / field.std()) / 4
    y, x = np.mgrid[: size[0], : size[1]]
    for _ in range(12):
        turn, (at, to) = rng.uniform(0, np.pi), rng.uniform(0, 1, 2) * size
        along = (x - to) * np.cos(turn) + (y - at) * np.sin(turn)
        inside = (np.abs(along) < rng.uniform(2, 20)) if rng.random() < 0.5 else np.hypot(x - to, y - at) < 25
        light = np.where(inside, light * rng.uniform(0.3, 3), light)
    return light


def spoiled(light: np.ndarray, kernel: str, size: float, angle: float, noise: float) -> np.ndarray:
    """Return the light blurred, under grain that is even in stops."""
    wide = np.pad(light, 32, mode="symmetric")
    known = BLURS[kernel](wide.shape, size, angle)
    soft = np.fft.irfft2(np.fft.rfft2(wide) * known, s=wide.shape)[32:-32, 32:-32]
    grain = noise * np.random.default_rng(9).standard_normal(soft.shape)
    return np.asarray(blur.STOPS.decode(blur.STOPS.encode(np.maximum(soft, 0)) + grain))


def found(*planes: np.ndarray) -> Found | None:
    spectrum = Spectrum()
    for plane in planes:
        spectrum.add(plane)
    return spectrum.blur()


@pytest.mark.parametrize(
    ("kernel", "size", "angle", "noise"),
    [
        ("gaussian", 1.2, 0.0, 0.08),
        ("gaussian", 2.2, 0.0, 0.01),
        ("disc", 2.0, 0.0, 0.08),
        ("disc", 4.5, 0.0, 0.01),
        ("motion", 5.0, 0.0, 0.01),
        ("motion", 7.0, 90.0, 0.08),
        ("motion", 9.0, -35.0, 0.08),
        ("motion", 20.0, 70.0, 0.01),
    ],
)
def test_a_blur_is_found(kernel: str, size: float, angle: float, noise: float) -> None:
    one = found(spoiled(scene(1), kernel, size, angle, noise))
    assert one is not None and one.kernel == kernel
    # A Gaussian bends the fall that pictures have anyway; the others leave rings and stripes.
    assert one.size == pytest.approx(size, rel=0.25 if kernel == "gaussian" else 0.06)
    if kernel == "motion":
        assert abs((one.angle - angle + 90) % 180 - 90) < 4


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_a_sharp_picture_has_none(noise: float) -> None:
    assert found(spoiled(scene(2), "gaussian", 0.3, 0, noise)) is None


def test_a_background_out_of_focus_is_no_blur_of_the_picture() -> None:
    half = scene(3)
    half[:, : SIZE[1] // 2] = spoiled(half, "gaussian", 3.0, 0, 0)[:, : SIZE[1] // 2]
    assert found(spoiled(half, "gaussian", 0.3, 0, 0.02)) is None


def test_frames_are_looked_at_together_and_what_they_do_not_share_is_none() -> None:
    still = found(*(spoiled(scene(seed), "motion", 8, 20, 0.02) for seed in (1, 2, 3)))
    assert still is not None and still.kernel == "motion" and still.size == pytest.approx(8, abs=0.3)
    shaken = found(*(spoiled(scene(5), "motion", 8, turn, 0.02) for turn in (-70, -10, 50)))
    assert shaken is None
    assert found(spoiled(scene(1), "disc", 3, 0, 0.02), scene(1)) is None


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (63, 500), (64, 64), (129, 70)])
def test_flat_small_and_odd_pictures_have_none(size: tuple[int, int]) -> None:
    assert found(np.full(size, 0.3)) is None
    assert found(np.zeros(size)) is None
    assert found() is None


def test_huge_and_negative_light_is_borne() -> None:
    light = spoiled(scene(6), "disc", 3.0, 0, 0.02)
    light[100:110, 200:210] = -0.5
    assert str(found(light)) == "out of focus by a disc of 3.00 pixels (radius)"
    light[40:44, 50:54] = 1e6
    one = found(light)
    assert one is None or np.isfinite(one.size)


def test_round_lamps_at_night_are_no_lens_out_of_focus() -> None:
    dark, rng = 0.1 * scene(20, (300, 400)), np.random.default_rng(0)
    y, x = np.mgrid[:300, :400]
    for _ in range(40):
        near = np.hypot(y - rng.uniform(0, 300), x - rng.uniform(0, 400)) < 3
        dark = np.where(near, 10 ** rng.uniform(0, 2), dark)
    assert found(spoiled(dark, "gaussian", 0.4, 0, 0.02)) is None


def test_the_spectrum_is_the_mean_of_its_tiles() -> None:
    planes = [scene(7, (140, 301)), scene(8, (128, 129)), scene(9, (127, 400))]
    seen = Spectrum()
    for plane in planes:
        seen.add(plane)
    window = np.outer(*(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(128) / 128),) * 2)
    tiles = [
        plane[y : y + 128, x : x + 128]
        for plane, rows, columns in ((planes[0], (0, 12), (0, 57, 115, 173)), (planes[1], (0,), (0, 1)))
        for y in rows
        for x in columns
    ]
    means = [(tile * window**2).sum() / (window**2).sum() for tile in tiles]
    powers = [
        np.abs(np.fft.rfft2(window * (tile - mean) / (mean + blind.TOE))) ** 2 / (window**2).sum()
        for tile, mean in zip(tiles, means, strict=True)
    ]
    assert len(seen.frames) == 2
    for (made, _), part in zip(seen.frames, (powers[:8], powers[8:]), strict=True):
        np.testing.assert_allclose(made, np.mean(part, 0), rtol=1e-9)


@pytest.mark.parametrize(("kernel", "size", "angle"), [("gaussian", 1.5, 0), ("disc", 3.0, 0), ("motion", 9.0, 25)])
def test_what_a_blur_lets_through_is_as_tiles_see_it(kernel: str, size: float, angle: float) -> None:
    """The mean power of windowed noise: the blur's own correlation times the window's, transformed."""
    fine, side = 512, 64
    whole = np.fft.fft2(np.fft.irfft2(BLURS[kernel]((fine, fine), size, angle), s=(fine, fine)))
    correlation = np.fft.fftshift(np.fft.ifft2(np.abs(whole) ** 2).real)
    line = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side)
    once = np.convolve(line, line[::-1])
    middle = slice(fine // 2 - side + 1, fine // 2 + side)
    seen = correlation[middle, middle] * np.outer(once, once) / once[side - 1] ** 2
    wrapped = np.zeros((2 * side, 2 * side))
    wrapped[: 2 * side - 1, : 2 * side - 1] = seen
    power = np.fft.fft2(np.roll(wrapped, (1 - side, 1 - side), (0, 1))).real[::2, ::2][:, : side // 2 + 1]
    looked = blind._plan(side).looked
    expected = power.flat[looked]
    made = blind._passed(side, 1, kernel, size, angle)
    loud = expected > 1e-3
    assert loud.sum() > 100
    assert np.abs(np.log(made[loud] / expected[loud])).max() < 0.35
    assert np.abs(np.log(made[loud] / expected[loud])).mean() < 0.05


def test_a_blur_tells_what_it_is() -> None:
    assert str(Found("gaussian", 1.234)) == "a Gaussian of 1.23 pixels (standard deviation)"
    assert str(Found("disc", 2.5)) == "out of focus by a disc of 2.50 pixels (radius)"
    assert str(Found("motion", 7.04, -20.4)) == "a movement of 7.0 pixels at -20 degrees"
