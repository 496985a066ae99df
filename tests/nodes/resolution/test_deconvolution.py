"""A blur taken back: by an obvious reference, under grain, at borders, with any values, in any number of threads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.fft import next_fast_len
from scipy.ndimage import gaussian_filter

from safelight.nodes.resolution import blur
from safelight.nodes.resolution import deconvolution as made_by
from safelight.nodes.resolution.deconvolution import deconvolved
from tests.nodes.resolution.test_blind import scene, spoiled


def gaussian(shape: tuple[int, int]) -> Any:
    return blur.gaussian(shape, 0.7)


def reference(plane: np.ndarray, noise: float, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """The rounds as dense matrices: every pixel an unknown, every product written out."""
    h, w = plane.shape
    around = made_by.BORDER[0] * reach
    rows, columns = (next_fast_len(n + 2 * around, real=True) for n in (h, w))
    pads = [(around, rows - h - around), (around, columns - w - around)]
    wide = np.pad(plane, pads, mode="symmetric")
    point = np.fft.irfft2(gaussian((rows, columns)), s=(rows, columns))
    many = rows * columns
    index = np.arange(many).reshape(rows, columns)
    known, down, right = np.zeros((many, many)), -np.eye(many), -np.eye(many)
    for y in range(rows):
        for x in range(columns):
            known[index[y, x]] = np.roll(point, (y, x), (0, 1)).ravel()
            down[index[y, x], index[(y + 1) % rows, x]] += 1
            right[index[y, x], index[y, (x + 1) % columns]] += 1
    light = gaussian_filter(np.abs(wide), reach) + 0.01
    inside = np.zeros((rows, columns), bool)
    inside[around : around + h, around : around + w] = True
    power = np.mean(light[inside] ** 2)
    doubt = noise**2 / power + 0.015**2
    plate, light, inside = wide.ravel(), light.ravel(), inside.ravel()
    believed = np.where(inside, power / light**2, 0)
    # Whatever lies there before the first round, it counts as its own blurred picture.
    picture, seen, duals, before = plate, plate, [np.zeros(many)] * 3, 0.0
    for number in range(16):
        loose = 0.3 * 10 ** (number / 15)
        weight = 3.0 * doubt / (0.05 * loose)
        duals = [duals[0] * before / weight, duals[1] * before / weight, duals[2]]
        # One after the other: shrunk differences, the plate's mean with the blurred picture, the picture.
        steps = [down @ picture + duals[0], right @ picture + duals[1]]
        height = np.hypot(*steps)
        shrunk = np.maximum(height - 3.0 * doubt * power / light / weight, 0) / np.where(height > 0, height, 1)
        wanted = [step * shrunk for step in steps]
        blurred = seen + duals[2]
        clean = (believed * plate + blurred) / (believed + 1)
        duals = [steps[0] - wanted[0], steps[1] - wanted[1], blurred - clean]
        pull = weight * (down.T @ (wanted[0] - duals[0]) + right.T @ (wanted[1] - duals[1]))
        square = known.T @ known + weight * (down.T @ down + right.T @ right)
        picture = np.linalg.solve(square, known.T @ (clean - duals[2]) + pull)
        seen, before = known @ picture, weight
    left = plate - seen
    return picture[inside].reshape(h, w), left[inside].reshape(h, w)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (6, 5), (9, 11)])
@pytest.mark.parametrize("noise", [0.0, 0.03])
@pytest.mark.parametrize("double", [False, True])
def test_rounds_are_those_of_the_reference(
    size: tuple[int, int], noise: float, double: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = np.random.default_rng(sum(size)).uniform(-0.1, 1, size)
    plane[0, 0] = 500.0 if double else plane[0, 0]
    expected = reference(plane, noise, 1)
    if double:
        monkeypatch.setattr(made_by, "SINGLE", 0.0)
    close = {"rtol": 1e-6, "atol": 1e-7} if double else {"rtol": 1e-3, "atol": 1e-4}
    for one, other in zip(made_by._fitted(plane, gaussian, noise, 1, 1), expected, strict=True):
        np.testing.assert_allclose(one, other, **close)


@pytest.mark.parametrize(("kernel", "size", "angle"), [("disc", 3.0, 0.0), ("motion", 15.0, -60.0)])
@pytest.mark.parametrize("noise", [0.005, 0.05])
def test_what_lies_beyond_the_borders_does_not_ring(kernel: str, size: float, angle: float, noise: float) -> None:
    """A frame cut from a larger one that was blurred: mirrored edges alone would be wrong there."""
    truth = scene(1, (320, 340))
    shape = (576, 576)
    known = {"disc": blur.disc, "motion": blur.motion}[kernel]
    wide = np.pad(truth, [(128, 128), (118, 118)], mode="symmetric")
    arguments = (size, angle) if kernel == "motion" else (size,)
    soft = np.fft.irfft2(np.fft.rfft2(wide) * known(shape, *arguments), s=shape)[128:448, 118:458]
    rng = np.random.default_rng(4)
    given = blur.STOPS.decode(blur.STOPS.encode(np.maximum(soft, 0)) + noise * rng.standard_normal(soft.shape))
    cut = (slice(60, -60),) * 2
    plate, wanted = given[cut], truth[cut]
    reach = int(np.ceil(size / (2 if kernel == "motion" else 1))) + 1
    made = deconvolved(plate, lambda s: known(s, *arguments), blur.noise_of(plate), reach)
    error = np.square(made - wanted)
    before = np.square(plate - wanted)
    rim = np.ones(plate.shape, bool)
    rim[20:-20, 20:-20] = False
    assert error.mean() < 0.75 * before.mean()
    assert error[rim].mean() < before[rim].mean()


def test_grain_stays_as_it_was_or_goes() -> None:
    truth = scene(2)
    soft = spoiled(truth, "disc", 2.5, 0, 0.0)
    noisy = spoiled(truth, "disc", 2.5, 0, 0.05)
    grain = noisy - soft

    def through(share: float) -> np.ndarray:
        return deconvolved(noisy, lambda s: blur.disc(s, 2.5), blur.noise_of(noisy), 4, grain=share, margin=1.0)

    # What is left of its finest detail, that no disc lets through, over the plate's: all of it, or next to nothing.
    def finest(a: np.ndarray) -> float:
        return float(np.std(a[::2, ::2] - a[1::2, ::2] - a[::2, 1::2] + a[1::2, 1::2]))

    whole, none = through(1.0), through(0.0)
    np.testing.assert_allclose(through(0.5), (whole + none) / 2, atol=0.02)
    assert np.corrcoef((whole - none).ravel(), grain.ravel())[0, 1] > 0.8
    assert finest(whole - none) == pytest.approx(finest(grain), rel=0.1)


def test_even_grain_stays_about_as_it_was() -> None:
    grain = 0.05 * np.random.default_rng(3).standard_normal((128, 130))
    plane = 0.3 * (1 + grain)
    made = deconvolved(plane, lambda s: blur.gaussian(s, 2.0), 0.015, 6)
    assert made.std() == pytest.approx(plane.std(), rel=0.05)
    assert (made - plane).std() < 0.15 * plane.std()


def test_bits_do_not_depend_on_threads() -> None:
    plane = spoiled(scene(5, (131, 157)), "disc", 2.0, 0, 0.02)
    one = deconvolved(plane, lambda s: blur.disc(s, 2.0), 0.01, 3)
    for threads in (2, 3, 7):
        np.testing.assert_array_equal(one, deconvolved(plane, lambda s: blur.disc(s, 2.0), 0.01, 3, threads=threads))


def unbounded(plane: np.ndarray, transfer: Any, reach: int) -> np.ndarray:
    """The bound would hold even areas to what they were whatever came out."""
    return np.asarray(np.add(*made_by._fitted(plane, transfer, 0.0, reach, 1)))


def test_a_lamp_leaves_the_dark_far_from_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    plane = np.full((120, 280), 0.02)
    plane[50:60, 135:145] = 6e4
    soft = np.maximum(np.fft.irfft2(np.fft.rfft2(plane) * blur.gaussian(plane.shape, 2.5), s=plane.shape), 0)

    def off() -> float:
        made = unbounded(soft, lambda s: blur.gaussian(s, 2.5), 8)
        return float(np.abs(made - soft)[:, 235:].max())

    assert off() < 1e-5
    # What rounding to single precision would leave there.
    monkeypatch.setattr(made_by, "SINGLE", np.inf)
    assert off() > 1e-4


@pytest.mark.parametrize("value", [0.0, -0.3, 1e6])
def test_flat_pictures_stay(value: float) -> None:
    plane = np.full((9, 12), value)
    np.testing.assert_allclose(unbounded(plane, gaussian, 2), plane, rtol=1e-4, atol=1e-6)
