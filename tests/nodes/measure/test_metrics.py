"""Figures against closed forms, definitions written out, and published numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.nodes.io.plate import Plate, PlateParams
from safelight.nodes.measure.metrics import compare_frame, flicker, jitter, psnr, shift, spectrum, ssim


def plate(number: int, **params: object) -> np.ndarray:
    made = PlateParams(**{"width": 480, "height": 270, "frames": 40, **params})  # type: ignore[arg-type]
    request = Request(number, Region.sized(made.width, made.height))
    return Plate().compute(made, request, Inputs(request, {}, {}), Device("cpu", 2)).data


def slow_ssim(a: np.ndarray, b: np.ndarray, peak: float) -> float:
    """SSIM of one plane, window by window, as the paper writes it."""
    ax = np.arange(-5, 6)
    window = np.exp(-(ax[:, None] ** 2 + ax[None, :] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    values = []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11].astype(np.float64), b[y : y + 11, x : x + 11].astype(np.float64)
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            values.append((2 * mp * mq + c1) * (2 * cov + c2) / ((mp**2 + mq**2 + c1) * (vp + vq + c2)))
    return float(np.mean(values))


def test_psnr_of_known_errors() -> None:
    assert psnr(0.01**2) == pytest.approx(40)
    assert psnr(4.0, peak=255) == pytest.approx(20 * math.log10(255 / 2))
    assert psnr(0) == math.inf


@pytest.mark.parametrize("gain", [1.0, 100.0])
@pytest.mark.parametrize("size", [(11, 11), (23, 31)])
def test_ssim_against_its_definition(size: tuple[int, int], gain: float) -> None:
    rng = np.random.default_rng(1)
    a = (rng.random((3, *size)) * gain).astype(np.float32)
    b = (a + rng.standard_normal(a.shape) * 0.1).astype(np.float32)
    expected = np.mean([slow_ssim(p, q, 1.0) for p, q in zip(a, b, strict=True)])
    assert ssim(a, b) == pytest.approx(expected, abs=1e-7)


def test_ssim_beside_scikit_image() -> None:
    metrics = pytest.importorskip("skimage.metrics")
    a, b = plate(1001)[1], plate(1002)[1]
    theirs, whole = metrics.structural_similarity(
        a.astype(np.float64),
        b.astype(np.float64),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    assert ssim(a[None], b[None]) == pytest.approx(whole[5:-5, 5:-5].mean(), abs=1e-6)
    assert 0 < theirs < 1


def test_ssim_in_closed_form() -> None:
    flat = np.full((1, 20, 20), 0.5, np.float32)
    other = np.full((1, 20, 20), 0.25, np.float32)
    assert ssim(flat, flat) == pytest.approx(1)
    assert ssim(flat, other) == pytest.approx((2 * 0.125 + 1e-4) / (0.25 + 0.0625 + 1e-4))
    assert ssim(flat[:, :10], other[:, :10]) is None


def test_ssim_leaves_out_windows_with_nan() -> None:
    rng = np.random.default_rng(2)
    a = rng.random((1, 40, 40)).astype(np.float32)
    b = a + np.float32(0.05) * rng.standard_normal(a.shape).astype(np.float32)
    b[0, 3, 3] = np.nan
    # A NaN in a corner: the windows left are those below it and those beside it.
    below = slow_ssim(a[0, 4:], b[0, 4:], 1.0) * 26 * 30
    beside = slow_ssim(a[0, :14, 4:], b[0, :14, 4:], 1.0) * 4 * 26
    assert ssim(a, b) == pytest.approx((below + beside) / (26 * 30 + 4 * 26), abs=1e-7)
    b[:] = np.nan
    assert ssim(a, b) is None


def test_flicker_of_a_known_series() -> None:
    assert flicker([]) == flicker([3.0]) == 0
    assert flicker([0, 1, 0, 1, 0]) == pytest.approx(1)
    assert flicker([0, 0.1, 0.2, 0.3]) == pytest.approx(0.1)


def moved(picture: np.ndarray, dx: float, dy: float) -> np.ndarray:
    fy, fx = np.fft.fftfreq(picture.shape[0])[:, None], np.fft.fftfreq(picture.shape[1])[None]
    return np.fft.ifft2(np.fft.fft2(picture) * np.exp(-2j * np.pi * (fx * dx + fy * dy))).real


@pytest.mark.parametrize(("dx", "dy"), [(0, 0), (0.3, -0.7), (2.37, 5.01), (-11.2, 0.05)])
@pytest.mark.parametrize("noise", [0, 0.05])
def test_shift_finds_a_known_one(dx: float, dy: float, noise: float) -> None:
    rng = np.random.default_rng(3)
    base = ndimage.gaussian_filter(rng.standard_normal((200, 251)), 1.5, mode="wrap") + 1
    noisy = [p + noise * rng.standard_normal(p.shape) for p in (base, moved(base, dx, dy))]
    found = shift(*(spectrum(p[None].astype(np.float32)) for p in noisy))
    assert found is not None
    assert found == pytest.approx((dx, dy), abs=0.02 if noise == 0 else 0.06)


def test_shift_knows_a_cut_and_leaves_tiny_pictures_alone() -> None:
    assert shift(spectrum(plate(1020)), spectrum(plate(1021))) is None
    assert shift(spectrum(plate(1019)), spectrum(plate(1020))) is not None
    tiny = spectrum(np.ones((3, 5, 90), np.float32))
    assert shift(tiny, tiny) is None
    flat = spectrum(np.ones((3, 40, 90), np.float32))
    assert shift(flat, flat) is None


def test_jitter_is_zero_for_an_even_pan() -> None:
    assert jitter([(1.5, 0.2)] * 9) == 0
    assert jitter([(1, 0), (-1, 0), (1, 0)]) == pytest.approx(2)
    assert jitter([(1, 0), None, (5, 5), (5, 4)]) == pytest.approx(1)
    assert jitter([]) == jitter([None, (1, 1)]) == 0


def test_compare_frame_of_known_errors() -> None:
    rng = np.random.default_rng(4)
    a = rng.random((3, 30, 40)).astype(np.float32)
    b = a.copy()
    b[1, 7, 9] += 0.5
    found = compare_frame(7, a, b)
    assert (found.frame, found.bit_identical, found.changed, found.pixels) == (7, False, 1, 1200)
    assert found.mean_square == pytest.approx(0.25 / 3600, rel=1e-5)
    assert found.psnr == pytest.approx(-10 * math.log10(0.25 / 3600), rel=1e-5)
    assert found.max_difference == pytest.approx(0.5) and found.level == pytest.approx(-0.5 / 3600, rel=1e-5)


def test_bit_identity_looks_at_bits() -> None:
    a = np.zeros((1, 12, 12), np.float32)
    b = a.copy()
    a[0, 0, 0] = b[0, 0, 0] = np.nan
    same = compare_frame(1, a, b)
    assert same.bit_identical and same.changed == 0 and same.psnr == math.inf and same.unmeasured == 1
    b[0, 5, 5] = -0.0
    other = compare_frame(1, a, b)
    assert not other.bit_identical and other.changed == 1 and other.psnr == math.inf and other.max_difference == 0
    nothing = compare_frame(1, np.full_like(a, np.inf), b)
    assert nothing.psnr is None and nothing.unmeasured == 144


def test_pictures_that_do_not_fit_are_a_programming_error() -> None:
    with pytest.raises(ValueError, match="pictures of"):
        compare_frame(1, np.zeros((1, 2, 2), np.float32), np.zeros((1, 2, 3), np.float32))
