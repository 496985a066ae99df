"""Fresh grain for places that have none of their own: as strong and as coarse as the plate's."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import fft

from safelight.nodes.damage.donors import Frame
from safelight.nodes.damage.draws import Draws
from safelight.nodes.damage.holes import Holes, Ints
from safelight.nodes.grain.domain import OPPONENT
from safelight.nodes.grain.noise import Noise

Floats = npt.NDArray[np.float32]
PERIOD = 256
"""Pixels after which one frame's fresh grain repeats: far more than a hole has across."""


@dataclass(frozen=True)
class Laid:
    """The grain that is laid into a frame: the shot's, its field by frame and seed, how strong."""

    noise: Noise
    frame: int
    seed: int
    strength: float


def field(noise: Noise, frame: int, seed: int) -> Floats:
    """Return a frame's grain for a sigma of 1, (C, PERIOD, PERIOD), without seams at its edges.

    White normal noise in each opponent channel, shaped by the square root of the plate's spectrum.
    """
    channels = len(noise.spectrum)
    at = np.minimum(np.abs(np.fft.fftfreq(PERIOD)) * 16, 7.0)
    low = np.minimum(at.astype(np.intp), 6)
    part = at - low
    made = np.empty((channels, PERIOD, PERIOD))
    for c, table in enumerate(np.asarray(noise.spectrum)):
        rows = table[low] * (1 - part)[:, None] + table[low + 1] * part[:, None]
        power = rows[:, low] * (1 - part) + rows[:, low + 1] * part
        white = Draws(seed, 47, frame, c).normal(PERIOD * PERIOD).reshape(PERIOD, PERIOD)
        made[c] = fft.ifft2(fft.fft2(white) * np.sqrt(power)).real
    if channels == 3:
        made = np.einsum("io,iyx->oyx", OPPONENT, made)
    return made.astype(np.float32)


def sigma_at(noise: Noise, planes: Floats) -> Floats:
    """Return the plate's sigma at these values of the domain, (C, …)."""
    at = np.linspace(noise.low, noise.high, noise.sigma.shape[1])
    return np.stack([np.interp(p, at, row) for p, row in zip(planes, noise.sigma, strict=True)]).astype(np.float32)


def sigma_around(noise: Noise, here: Frame, holes: Holes) -> npt.NDArray[np.float64]:
    """Return the plate's mean sigma around each piece."""
    y = (holes.boxes[:, 0] + holes.boxes[:, 2]) // 2
    x = (holes.boxes[:, 1] + holes.boxes[:, 3]) // 2
    level = np.repeat(here.luma[y, x][None], len(here.planes), axis=0)
    return np.asarray(sigma_at(noise, level).mean(0), np.float64)


def grain(noise: Noise, made: Floats, values: Floats, y: Ints, x: Ints) -> Floats:
    """Return grain for pixels of these values, (C, N), at their place in the frame's field."""
    return sigma_at(noise, values) * made[:, y % PERIOD, x % PERIOD]
