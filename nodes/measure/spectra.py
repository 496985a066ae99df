"""What was taken from a picture, judged: its power by frequency, and whether it follows the picture's edges."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

RINGS = 10
"""Rings of equal width from frequency 0 to 0.5 cycles a pixel (Nyquist along an axis)."""


def ring_power(planes: npt.ArrayLike, rings: int = RINGS) -> Floats:
    """Return the power in rings of radial frequency, (rings,), summed over the planes.

    Parameters
    ----------
    planes:
        (C, H, W), at least 2 · `rings` pixels wide and high. Their means are removed, and a Hann window (of power)
        keeps the borders from leaking. Frequencies beyond 0.5 (the corners) are in no ring.

    >>> wave = np.cos(2 * np.pi * 0.23 * np.arange(64)) * np.ones((1, 64, 1))
    >>> int(ring_power(wave).argmax())
    4
    """
    picture = np.asarray(planes, np.float64)
    if picture.ndim != 3 or min(picture.shape[1:]) < 2 * rings:
        raise ValueError(f"planes must be (C, H, W), at least {2 * rings} pixels wide and high")
    height, width = picture.shape[1:]
    window = np.outer(*(np.sin(np.pi * (np.arange(n) + 0.5) / n) for n in (height, width)))
    power = np.abs(np.fft.fft2((picture - picture.mean((1, 2), keepdims=True)) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None, :])
    ring = np.minimum((radius * 2 * rings).astype(int), rings)
    total = power.sum(0)
    return np.bincount(ring.ravel(), total.ravel(), rings + 1)[:rings].astype(np.float64)


def ring_ratio(planes: npt.ArrayLike, truth: npt.ArrayLike, rings: int = RINGS) -> Floats:
    """Return how the power of `planes` stands to that of `truth` in each ring, (rings,): 1 where they are alike."""
    return np.asarray(ring_power(planes, rings) / ring_power(truth, rings))


def edge_correlation(planes: npt.ArrayLike, picture: npt.ArrayLike) -> float:
    """Return the largest correlation, in size, of `planes` with a picture's slopes along x and y; both (C, H, W).

    0 where either does not vary.
    """
    taken, clean = np.asarray(planes, np.float64), np.asarray(picture, np.float64)
    if taken.shape != clean.shape or taken.ndim != 3:
        raise ValueError(f"planes {taken.shape} and picture {clean.shape} must be alike, (C, H, W)")
    worst = 0.0
    for axis in (1, 2):
        slope = np.gradient(clean, axis=axis)
        if taken.std() > 0 and slope.std() > 0:
            worst = max(worst, abs(float(np.corrcoef(taken.ravel(), slope.ravel())[0, 1])))
    return worst


__all__ = ["RINGS", "edge_correlation", "ring_power", "ring_ratio"]
