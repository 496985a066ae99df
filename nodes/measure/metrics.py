"""Figures that say how two pictures, or two clips, differ.

Pictures are float32 or float64, (C, H, W), of one shape, scene-linear unless the caller says otherwise; nothing is
clamped. All sums run in float64. A pixel where either picture holds NaN or infinity in any channel is left out of every
figure but `bit_identical`, and is counted by `Comparison.unmeasured`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import fft, ndimage

Pixels = npt.NDArray[np.floating]

SSIM_RADIUS = 5
SSIM_SIGMA = 1.5


def psnr(mean_square: float, peak: float = 1.0) -> float:
    """Return the peak signal-to-noise ratio in dB, infinite for no difference.

    Parameters
    ----------
    mean_square:
        Mean of the squared difference, over pixels and channels.
    peak:
        Value that counts as full scale; scene-linear pictures have none of their own, so it must be stated.
    """
    if mean_square == 0:
        return math.inf
    return 10 * math.log10(peak * peak / mean_square)


def ssim(a: Pixels, b: Pixels, peak: float = 1.0) -> float | None:
    """Return the mean structural similarity, channel by channel, averaged; None under 11 x 11 pixels.

    Gaussian window of 11 x 11 with sigma 1.5, K1 = 0.01, K2 = 0.03, population statistics, windows that lie wholly
    inside the picture; no prior downsampling. Windows that touch a pixel that is not finite are left out.

    Source: Wang, Bovik, Sheikh, Simoncelli, IEEE Trans. Image Processing 13(4), 2004.
    """
    size = 2 * SSIM_RADIUS + 1
    if min(a.shape[1:]) < size:
        return None
    taps = np.exp(-0.5 * (np.arange(-SSIM_RADIUS, SSIM_RADIUS + 1) / SSIM_SIGMA) ** 2)
    taps /= taps.sum()

    def smooth(plane: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        inner = slice(SSIM_RADIUS, -SSIM_RADIUS)
        across = ndimage.correlate1d(plane, taps, axis=1, mode="nearest")[:, inner]
        return np.asarray(ndimage.correlate1d(across, taps, axis=0, mode="nearest")[inner])

    bad = ~(np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0))
    good = None
    if bad.any():
        inner = slice(SSIM_RADIUS, -SSIM_RADIUS)
        good = ~ndimage.maximum_filter(bad, size=size)[inner, inner]
        if not good.any():
            return None
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    total = 0.0
    for plane_a, plane_b in zip(a, b, strict=True):
        x, y = np.where(bad, 0, plane_a).astype(np.float64), np.where(bad, 0, plane_b).astype(np.float64)
        mx, my = smooth(x), smooth(y)
        # Differences of large squares: float64 keeps what a highlight of 100 would cancel in float32.
        vx, vy, cov = smooth(x * x) - mx * mx, smooth(y * y) - my * my, smooth(x * y) - mx * my
        value = ((2 * mx * my + c1) * (2 * cov + c2)) / ((mx * mx + my * my + c1) * (vx + vy + c2))
        total += float(value.mean() if good is None else value[good].mean())
    return total / len(a)


def flicker(levels: Sequence[float]) -> float:
    """Return the root mean square of the change from frame to frame of a mean level; 0 for fewer than two frames."""
    if len(levels) < 2:
        return 0.0
    return float(np.sqrt(np.mean(np.diff(np.asarray(levels, dtype=np.float64)) ** 2)))


@dataclass(frozen=True)
class Spectrum:
    """A frame made ready for `shift`: the transform of its windowed, compressed luminance."""

    values: npt.NDArray[np.complex64]
    shape: tuple[int, int]


def spectrum(pixels: Pixels, threads: int = 1) -> Spectrum:
    """Prepare one picture for `shift`.

    Planes are averaged and compressed by log2(1 + v / 0.18), v >= 0, so that one lamp does not outweigh the picture;
    what is not finite counts as 0; a Hann window hides the borders.
    """
    plane = np.nan_to_num(pixels.mean(axis=0, dtype=np.float32), nan=0, posinf=0, neginf=0)
    plane = np.log2(1 + np.maximum(plane, 0) / np.float32(0.18))
    window = np.outer(_hann(plane.shape[0]), _hann(plane.shape[1])).astype(np.float32)
    plane -= plane.mean()
    # What is left of an even picture is rounding: it has moved nowhere.
    plane *= window if float(np.abs(plane).max(initial=0.0)) > 1e-4 else np.float32(0)
    return Spectrum(np.asarray(fft.rfft2(plane, workers=threads)), (plane.shape[0], plane.shape[1]))


def shift(before: Spectrum, after: Spectrum, *, least: float = 0.45, threads: int = 1) -> tuple[float, float] | None:
    """Return how far (x, y), in pixels, the picture as a whole moved between two frames; None across a cut.

    Phase correlation (Kuglin and Hines 1975; here whitened by the square root), its highest peak refined by a matrix
    Fourier transform on a grid of 1/100 pixel (Guizar-Sicairos, Thurman, Fienup, Optics Letters 33(2), 2008), with the
    frequencies above a quarter of the sampling rate left out, where grain and aliasing live. `least` is the height of
    the peak, 1 for a pure shift, below which the frames are held to be of different pictures.
    """
    height, width = before.shape
    if height < 8 or width < 8:
        return None
    cross = after.values * np.conj(before.values)
    size = np.abs(cross)
    fy, fx = np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :]
    passed = (fy * fy + fx * fx < 0.25**2) & (size > 1e-30)
    passed[0, 0] = False
    if not passed.any():
        return None
    # Whitened half way: fully whitened, frequencies that hold nothing but grain would count as much as any other.
    phase = np.where(passed, cross / np.sqrt(np.maximum(size, 1e-30)), 0)
    # The half spectrum stands for both halves, except where it is its own mirror image.
    weight = np.full(fx.shape[1], 2.0)
    weight[0] = 1.0
    if width % 2 == 0:
        weight[-1] = 1.0
    energy = float((np.abs(phase) * weight).sum())
    surface = fft.irfft2(phase, s=before.shape, workers=threads) * (height * width / energy)
    top = np.unravel_index(int(np.argmax(surface)), surface.shape)
    if float(surface[top]) < least:
        return None
    y, x = (float(v if v <= n // 2 else v - n) for v, n in zip(top, surface.shape, strict=True))
    for step in (0.1, 0.01):
        reach = np.arange(-12, 13) * step
        ys, xs = y + reach, x + reach
        rows = np.exp(2j * np.pi * ys[:, None] * fy[:, 0][None, :])
        columns = np.exp(2j * np.pi * fx[0][:, None] * xs[None, :]) * weight[:, None]
        fine = (rows @ phase @ columns).real
        at = np.unravel_index(int(np.argmax(fine)), fine.shape)
        y, x = float(ys[at[0]]), float(xs[at[1]])
    return round(x, 4), round(y, 4)


def jitter(shifts: Sequence[tuple[float, float] | None]) -> float:
    """Return the unsteadiness of a clip, in pixels: the root mean square change of the shift from frame to frame.

    An even pan scores 0. A None (a cut) interrupts; 0 when no two shifts follow each other.
    """
    changes = [
        (b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2
        for a, b in itertools.pairwise(shifts)
        if a is not None and b is not None
    ]
    return math.sqrt(sum(changes) / len(changes)) if changes else 0.0


def _hann(size: int) -> npt.NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size))


@dataclass(frozen=True)
class Figures:
    """How one frame of A differs from the same frame of B. `None` where a figure has no meaning."""

    frame: int
    bit_identical: bool
    """Every value has the same bits (NaN equals NaN of the same bits, -0 is not 0)."""
    changed: int
    """Pixels in which any channel has other bits."""
    pixels: int
    unmeasured: int
    """Pixels with NaN or infinity in A or B: in no figure below."""
    mean_square: float | None
    psnr: float | None
    """dB; infinite when nothing differs."""
    ssim: float | None
    max_difference: float | None
    level: float | None
    """Mean of A - B, over pixels and channels."""
    extra: dict[str, float | None] = field(default_factory=dict)


def compare_frame(frame: int, a: Pixels, b: Pixels, peak: float = 1.0) -> Figures:
    """Measure one pair of pictures of one shape, float32, (C, H, W)."""
    if a.shape != b.shape or a.dtype != np.float32 or b.dtype != np.float32:
        raise ValueError(f"pictures of {a.shape} {a.dtype} and {b.shape} {b.dtype}")
    differs = np.ascontiguousarray(a).view(np.uint32) != np.ascontiguousarray(b).view(np.uint32)
    changed = int(np.count_nonzero(differs.any(axis=0)))
    good = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
    pixels = good.size
    measured = int(np.count_nonzero(good))
    if measured == 0:
        return Figures(frame, changed == 0, changed, pixels, pixels, None, None, None, None, None)
    if changed == 0:
        similar = 1.0 if min(a.shape[1:]) > 2 * SSIM_RADIUS else None
        return Figures(frame, True, 0, pixels, pixels - measured, 0.0, math.inf, similar, 0.0, 0.0)
    apart = a.astype(np.float64)
    with np.errstate(invalid="ignore"):
        apart -= b
    if measured != pixels:
        apart = apart[:, good]
    mean_square = float(np.mean(np.square(apart)))
    return Figures(
        frame=frame,
        bit_identical=False,
        changed=changed,
        pixels=pixels,
        unmeasured=pixels - measured,
        mean_square=mean_square,
        psnr=psnr(mean_square, peak),
        ssim=ssim(a, b, peak),
        max_difference=float(np.abs(apart).max()),
        level=float(apart.mean()),
    )
