"""Blur as a transfer function, and its inverse under noise."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.special import j1

from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.stock import Stock

Floats = npt.NDArray[np.float64]

TRUST = 0.02
"""How well a blur is known at best, over the picture's standard deviation: what its inverse takes for noise."""
STOPS = coding("log")
LEVELS = 8
"""Parts of a picture, by brightness, in which noise is measured."""
LONGEST = 64.0
"""Pixels over which pictures are taken to have structure: their spectrum falls beyond."""
RINGS = (0.015, 0.03, 0.06, 0.12, 0.2)
"""Edges, cycles a pixel, of the rings of frequency in which a picture's own spectrum is read."""
FALLS = (-4.0, -2.0)
"""Powers of frequency with which a picture's spectrum may fall."""
SEEN = 0.5
"""Least transfer of the blur at frequencies where that is read."""


def frequencies(shape: tuple[int, int]) -> tuple[Floats, Floats]:
    """Return the frequencies of `rfft2` along y and x, cycles a pixel."""
    y, x = np.fft.fftfreq(shape[0]), np.fft.rfftfreq(shape[1])
    return np.asarray(y, np.float64)[:, None], np.asarray(x, np.float64)[None]


def gaussian(shape: tuple[int, int], sigma: float) -> Floats:
    """Return the transfer function of a Gaussian."""
    y, x = frequencies(shape)
    return np.asarray(np.exp(-2 * np.pi**2 * sigma**2 * (x**2 + y**2)))


def disc(shape: tuple[int, int], radius: float) -> Floats:
    """Return that of a lens out of focus: a disc of a radius in pixels."""
    y, x = frequencies(shape)
    argument = 2 * np.pi * radius * np.hypot(x, y)
    return np.where(argument < 1e-6, 1.0, 2 * j1(argument) / np.maximum(argument, 1e-6))


def motion(shape: tuple[int, int], length: float, angle: float) -> Floats:
    """Return that of a straight, even movement: length in pixels, angle in degrees from right towards down."""
    y, x = frequencies(shape)
    turn = np.radians(angle)
    return np.asarray(np.sinc(length * (x * np.cos(turn) + y * np.sin(turn))))


def film(shape: tuple[int, int], stock: Stock, layer: int, pitch_um: float) -> Floats:
    """Return that of a layer of a stock, as published.

    Even light passes unchanged, whatever the chart begins with; beyond it the transfer goes on falling as its end does.
    """
    chart = stock.data["mtf"]
    at, value = (np.asarray(chart[key], np.float64) for key in ("cycles_per_mm", "RGB"[layer]))
    y, x = frequencies(shape)
    seen = np.hypot(x, y) * 1000 / pitch_um
    slope = np.log(value[-1] / value[-2]) / np.log(at[-1] / at[-2])
    beyond = value[-1] * (np.maximum(seen, at[-1]) / at[-1]) ** min(slope, 0.0)
    return np.asarray(np.where(seen <= at[-1], np.interp(seen, [0.0, *at], [1.0, *value]), beyond))


def noise_of(plane: Floats) -> float:
    """Return the standard deviation of a plane's white noise, from its finest diagonal detail (Donoho 1995).

    Grain that is even in stops is stronger in brighter light: it is measured at LEVELS levels and the variances
    averaged.
    """
    h, w = (n // 2 * 2 for n in plane.shape)
    if not h or not w:
        return 0.0
    p = plane[:h, :w]
    a, b, c, d = (part.ravel() for part in (p[::2, ::2], p[1::2, ::2], p[::2, 1::2], p[1::2, 1::2]))
    detail = np.abs(a - b - c + d)[np.argsort(a + b + c + d, kind="stable")] / 2
    parts = np.array_split(detail, max(1, min(LEVELS, len(detail) // 64)))
    return float(np.sqrt(np.mean([np.median(part) ** 2 for part in parts])) / 0.6745)


def spectrum(shown: Floats, known: Floats, noise: float, shape: tuple[int, int]) -> Floats:
    """Return the power that a picture had before its blur, at the frequencies of `rfft2`, where white noise of standard
    deviation 1 has 1: a power law fitted to what the blur and the noise left (medians of rings); nearly nothing where
    noise covers all of it.

    `shown` is the power at each frequency now, `known` the blur's transfer.
    """
    y, x = frequencies(shape)
    square = x**2 + y**2
    at, power = [], []
    for low, high in pairwise(RINGS):
        ring = (square > low**2) & (square <= high**2) & (np.abs(known) > SEEN)
        if np.count_nonzero(ring) < 16:
            continue
        # The median of the power of noise-like detail is ln 2 of its mean.
        seen = np.median(shown[ring] / known[ring] ** 2) / np.log(2) - noise**2 / np.median(known[ring] ** 2)
        if seen > max(0.5 * noise**2, 1e-12):
            at.append(np.log(low * high) / 2)
            power.append(np.log(seen))
    if len(at) < 2:
        return np.full(square.shape, 1e-12)
    fall = float(np.clip(np.polyfit(at, power, 1)[0], *FALLS))
    level = np.mean(power) - fall * np.mean(at)
    return np.asarray(np.exp(level) * (square + LONGEST**-2) ** (fall / 2))


def sharpened(plane: Floats, transfer: Any, noise: float, reach: int, margin: float) -> Floats:
    """Return a plane without a blur, as far as noise allows, bounded.

    The least-squares inverse that is drawn to the plane itself where noise is stronger than the picture (Wiener's
    weights; Tikhonov and Arsenin 1977): what cannot be taken back stays as it was, its grain with it.

    Parameters
    ----------
    plane:
        (H, W), finite.
    transfer:
        A function from a shape to the blur's transfer function.
    noise:
        Standard deviation of white noise.
    reach:
        Pixels that the blur reaches.
    margin:
        No value leaves the range of the pixels within `reach` by more than this share of it, neither in light nor in
        stops.
    """
    h, w = plane.shape
    around = min(4 * reach, 256)
    shape = tuple(next_fast_len(n + 2 * around, real=True) for n in (h, w))
    pads = [(around, total - n - around) for n, total in zip((h, w), shape, strict=True)]
    padded = np.pad(plane, pads, mode="symmetric")
    known = transfer(shape)
    wide = rfft2(padded)
    power = spectrum(np.abs(wide) ** 2 / padded.size, known, noise, shape)
    doubt = (noise**2 + (TRUST * float(plane.std())) ** 2 + 1e-12) / power
    inverse = (known + doubt) / (known**2 + doubt)
    inverse[0, 0] = 1
    made = irfft2(wide * inverse, s=shape)[around : around + h, around : around + w]
    size = 2 * reach + 1
    low, high = minimum_filter(plane, size, mode="nearest"), maximum_filter(plane, size, mode="nearest")
    slack = margin * (high - low)
    # A tenth of the range under a dark edge beside a lamp would be black: in stops it is a shade.
    dark, bright = STOPS.encode(low), STOPS.encode(high)
    shade = margin * (bright - dark)
    least = np.maximum(low - slack, STOPS.decode(dark - shade))
    return np.asarray(np.clip(made, least, np.minimum(high + slack, STOPS.decode(bright + shade))), np.float64)
