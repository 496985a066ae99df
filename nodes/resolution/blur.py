"""Blurs as transfer functions, and how strong the noise over them is."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import j1

from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.stock import Stock

Floats = npt.NDArray[np.float64]

STOPS = coding("log")
LEVELS = 8
"""Parts of a picture, by brightness, in which noise is measured."""


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
