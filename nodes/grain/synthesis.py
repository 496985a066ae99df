"""Grain of any measured spectrum: from an autocorrelation to a filter, from filters to correlated channels, to pixels.

White Gaussian noise, filtered by the zero-phase root of the power spectrum, has that spectrum (Oppenheim and Schafer,
Discrete-Time Signal Processing). Channels that share white noise with correlation r correlate, filtered by a and b of
energy 1, by r times the sum of a b: so the white noise is given what the pixels ask for over that sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.density import CurveTables
from safelight.graph.device import Device
from safelight.graph.image import Array, Image
from safelight.graph.region import Region
from safelight.nodes.grain.domain import CODE, TOE, Coding
from safelight.nodes.kernels.launch import launch

Floats = npt.NDArray[np.float64]

MOST = 10
"""Largest half-width of a filter, pixels."""
TRUNCATION = 2e-3
"""Error of any lag of the autocorrelation that cutting the filter may cause."""
_GRID = 64
_LEVELS = 512
_LOG_MOST = 24.0  # log-encoded light at the end of the tables for density
_GAUSS = np.polynomial.hermite_e.hermegauss(24)


def power_of(correlation: Floats, size: int = _GRID) -> Floats:
    """Return the (size, size) power spectrum of an autocorrelation (n, n) of lags |dy|, |dx|; negative power is 0."""
    n = correlation.shape[0]
    f = np.fft.fftfreq(size)
    line = np.cos(2 * np.pi * np.outer(f, np.arange(n)))
    line[:, 1:] *= 2
    return np.asarray(np.maximum(line @ correlation @ line.T, 0.0))


def taps_of(power: Floats) -> Floats:
    """Return the filter that gives white noise this spectrum: weights (half + 1, half + 1) at |dy|, |dx|, of energy 1.

    As short as `TRUNCATION` and `MOST` allow.

    >>> taps_of(np.ones((64, 64))).round(6).tolist()
    [[1.0]]
    """
    full = np.fft.ifft2(np.sqrt(power)).real
    wanted = np.fft.ifft2(power).real
    wanted = wanted / wanted[0, 0]
    size = len(power)
    for half in range(MOST + 1):
        keep = np.minimum(np.arange(size), size - np.arange(size)) <= half
        cut = full * np.outer(keep, keep)
        made = np.fft.ifft2(np.abs(np.fft.fft2(cut)) ** 2).real
        if np.abs(made / made[0, 0] - wanted).max() <= TRUNCATION or half == MOST:
            break
    taps = cut[: half + 1, : half + 1]
    return np.asarray(taps / np.sqrt(np.sum(_copies(half) * taps**2)))


def _copies(half: int) -> Floats:
    """Return at how many places of the filter each weight stands."""
    line = np.where(np.arange(half + 1) > 0, 2.0, 1.0)
    return np.outer(line, line)


def overlap(a: Floats, b: Floats) -> float:
    """Return the correlation that two filters leave to white noise they share."""
    n = min(len(a), len(b))
    return float(np.sum(_copies(n - 1) * a[:n, :n] * b[:n, :n]))


def mixing(correlation: Floats, taps: Sequence[Floats]) -> Floats:
    """Return (C, C) weights of independent white noises so that filtered channels correlate as asked for.

    Every row's squares sum to 1: sigma and spectrum of each channel stay exact. What no set of noises can have (or
    these filters cannot) is brought to the nearest by dropping negative eigenvalues.

    >>> weights = mixing(np.array([[1.0, 0.5], [0.5, 1.0]]), [np.ones((1, 1))] * 2)
    >>> (weights @ weights.T).round(6).tolist()
    [[1.0, 0.5], [0.5, 1.0]]
    """
    count = len(taps)
    white = np.eye(count)
    for i in range(count):
        for j in range(i):
            white[i, j] = white[j, i] = np.clip(correlation[i, j] / max(overlap(taps[i], taps[j]), 1e-3), -1, 1)
    values, vectors = np.linalg.eigh(white)
    white = (vectors * np.maximum(values, 1e-9)) @ vectors.T
    scale = np.sqrt(np.diagonal(white))
    weights = np.linalg.cholesky(white / np.outer(scale, scale))
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True))


def mean_bias(coding: Coding, levels: Floats, sigma: Floats) -> Floats:
    """Return what to take off values in the domain, in sigmas, so that noise of `sigma` keeps the mean light.

    `levels` and `sigma` (C, n), in the domain. Solved by Newton's steps on the mean over a Gaussian.
    """
    if coding.domain == "linear":
        return np.zeros_like(levels)
    at, weight = _GAUSS[0], _GAUSS[1] / _GAUSS[1].sum()
    light = coding.decode(levels)
    bias = np.zeros_like(levels)
    small = np.maximum(1e-3 * sigma, 1e-6)
    for _ in range(4):
        spread = levels[..., None] + sigma[..., None] * at - bias[..., None]
        mean = coding.decode(spread) @ weight
        slope = (coding.decode(spread + small[..., None]) - coding.decode(spread - small[..., None])) @ weight
        bias += (mean - light) * (2 * small) / np.where(slope > 0, slope, 1.0)
    return np.where(sigma > 0, np.clip(bias / np.where(sigma > 0, sigma, 1.0), -2, 2), 0.0)


@dataclass(frozen=True, eq=False)
class Laying:
    """Grain as the kernels take it, for the colour planes of a picture in their order."""

    coding: Coding
    taps: Floats
    """(C, half + 1, half + 1)."""
    mix: Floats
    """(C, C)."""
    tables: dict[str, Any]

    @classmethod
    def of(cls, coding: Coding, light: Floats, sigma: Floats, correlation: Floats, channels: Floats) -> Laying:
        """Prepare grain.

        Parameters
        ----------
        light:
            (n,) plate values, ascending.
        sigma:
            (C, n) sigma in the domain at these; beyond them the end values.
        correlation:
            (C, m, m) autocorrelation at lags |dy|, |dx|.
        channels:
            (C, C) correlation of the channels.
        """
        filters = [taps_of(power_of(one)) for one in correlation]
        side = max(len(one) for one in filters)
        taps = np.stack([np.pad(one, (0, side - len(one))) for one in filters])
        return cls(coding, taps, mixing(channels, filters), _tables(coding, light, sigma))

    @property
    def half(self) -> int:
        """Half-width of the filters, pixels."""
        return int(self.taps.shape[1]) - 1

    def lay(
        self,
        device: Device,
        image: Image,
        planes: Sequence[int],
        out: Array,
        grain: Array,
        *,
        seed: int,
        frame: int,
        matte: Image | None = None,
        isa: str | None = None,
    ) -> None:
        """Put `planes` of the image with grain into `out`, and what was added into `grain` (both of its shape)."""
        region, half, count = image.region, self.half, len(planes)
        quads = Region(region.x0 - half, (region.y0 - half) >> 2, region.x1 + half, ((region.y1 - 1 + half) >> 2) + 1)
        white = device.empty((4 * count, quads.height, quads.width))
        mix = np.zeros((3, 3))
        mix[:count, :count] = self.mix
        launch(
            device, "match_white", quads, isa=isa,
            out=(white, quads), mix=mix.ravel(), layers=count, frame=frame, seed=seed,
        )  # fmt: skip
        launch(
            device, "match_apply", region, isa=isa, reach=half,
            image=image, matte=matte or image, use_matte=matte is not None, white=(white, quads),
            out=(out, region), grain=(grain, region), taps=(self.taps.reshape(count, -1), (0, max(1, half))),
            plane=[*planes, *[planes[-1]] * (3 - count)], layers=count, half=half,
            domain=CODE[self.coding.domain], toe=TOE, per_toe=1 / TOE, **self.tables,
        )  # fmt: skip


def _tables(coding: Coding, light: Floats, sigma: Floats) -> dict[str, Any]:
    """Return the kernel's tables."""
    log = Coding("log")
    place = log.encode(light)
    count = len(sigma)

    def at(values: Floats) -> Floats:
        """Return sigma (C, n) at plate values."""
        here = log.encode(values)
        return np.stack([np.interp(here, place, row) for row in sigma])

    nothing = (np.zeros((1, 2)), (0.0, 1.0))
    flat = {name: [0.0] * 3 for name in ("e_toe", "n_toe", "toe_slope", "toe_back", "x_end", "n_end", "end_stops")}
    if coding.domain != "density":
        ends = coding.encode(light[[0, -1]])
        span = (float(ends[0]), float(max(ends[1], ends[0] + 1e-6)))
        levels = np.linspace(*span, _LEVELS)
        made = at(coding.decode(levels))
        bias = mean_bias(coding, np.repeat(levels[None], count, axis=0), made)
        return {"sigma": (made, span), "bias": (bias, span), "forward": nothing, "inverse": nothing, **flat}
    curves = CurveTables(coding.curves)
    levels = np.linspace(0, _LOG_MOST, _LEVELS)
    lit = log.decode(levels)
    bias = mean_bias(coding, coding.encode(np.repeat(lit[None], count, axis=0)), at(lit))
    films = coding.curves

    def three(values: Sequence[float]) -> list[float]:
        return [*values, *[values[-1]] * (3 - len(values))]

    return {
        "sigma": (at(curves.light_samples), curves.light),
        "bias": (bias, (0.0, _LOG_MOST)),
        "forward": (curves.forward, curves.light),
        "inverse": (curves.inverse, curves.nets),
        "e_toe": three([curve.e_toe for curve in films]),
        "n_toe": three([curve.n_toe for curve in films]),
        "toe_slope": three([curve.n_toe / curve.e_toe for curve in films]),
        "toe_back": three([curve.e_toe / curve.n_toe for curve in films]),
        "x_end": three([float(np.log2(curve.e_end)) for curve in films]),
        "n_end": three([curve.n_end for curve in films]),
        "end_stops": three([curve.end_stops for curve in films]),
    }
