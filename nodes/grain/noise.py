"""Noise of a plate, measured from itself: strength against level for each channel, and spectrum.

Blocks of 8 × 8 pixels are sorted by level. In each class the calmest are found by one half of their DCT coefficients
and measured by the other half, and the other way round, so that choosing them does not make the noise look weaker.
Texture can only raise a class, so the curve through the classes leans to the lower ones (asymmetric least squares,
Eilers and Boelens 2005). Selecting flat blocks by rank: Pyatykh et al. 2013; Ponomarenko et al. 2007.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import dct, dctn

from safelight.nodes.grain import doubts
from safelight.nodes.grain.domain import OPPONENT, Coding
from safelight.nodes.grain.spectrum import covariance, pixel_ratio
from safelight.nodes.grain.stock import Stock

Floats = npt.NDArray[np.float64]

SAMPLES = 64
"""Samples of a sigma curve."""

_U, _V = np.meshgrid(np.arange(8), np.arange(8))
_HALVES = ((_U + _V) % 2 == 1, ((_U + _V) % 2 == 0) & (_U + _V > 0))
# Shading lives in the lowest frequencies: sigma is measured above them.
_UPPER = tuple(half & (_U + _V >= 3) & (np.maximum(_U, _V) >= 2) for half in _HALVES)
_SHARE = 0.1  # of a class's blocks: the calmest
_MEDIAN = 0.4549  # of a squared normal number
_FALL = {1: 1.3, 2: 1.5}
_PER_FRAME = 8192  # blocks of a frame that are looked at, spread evenly: memory does not grow with the picture
_FEWEST = doubts.FEWEST  # blocks a class must measure
_SILENT = {"log": 2e-3, "linear": 1e-4, "density": 4e-4}  # sigma below which there is nothing to take


@dataclass(frozen=True)
class Noise:
    """Noise of a plate in a working domain.

    `sigma` (C, SAMPLES) over levels from `low` to `high`; `spectrum` (C, 8, 8): variance of each DCT coefficient of
    each opponent channel (of the plane itself where there is one), against what `sigma` says of white noise.
    """

    low: float
    high: float
    sigma: Floats
    spectrum: Floats
    measured: bool = True
    remarks: tuple[str, ...] = ()
    """What speaks against the measurement, for a person."""

    @property
    def silent(self) -> bool:
        """Tell whether there is no noise."""
        return bool(np.all(self.sigma <= 0))

    def as_data(self) -> dict[str, Any]:
        """Return plain data, rounded for a person."""
        return {
            "low": round(self.low, 6),
            "high": round(self.high, 6),
            "sigma": [[float(f"{v:.5g}") for v in row] for row in self.sigma],
            "spectrum": [[float(f"{v:.4g}") for v in plane.ravel()] for plane in self.spectrum],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Noise:
        """Read what `as_data` gave."""
        spectrum = np.asarray(data["spectrum"], np.float64)
        return cls(data["low"], data["high"], np.asarray(data["sigma"], np.float64), spectrum.reshape(-1, 8, 8))

    @classmethod
    def white(cls, sigma: Sequence[float]) -> Noise:
        """Return white noise of one sigma for each channel, the same at every level."""
        values = np.repeat(np.asarray(sigma, np.float64)[:, None], SAMPLES, axis=1)
        return cls(0.0, 1.0, values, np.ones((len(sigma), 8, 8)))

    @classmethod
    def of_stock(cls, stock: Stock, layers: Sequence[int], pitch: float, coding: Coding) -> Noise:
        """Return the grain of a stock on pixels `pitch` µm apart, in the density of its layers.

        Layers are independent: their correlation is unpublished.
        """
        high = 3.5
        nets = np.linspace(0, high, 512)
        light = coding.decode(np.repeat(nets[None], len(layers), axis=0))
        sigma, spectra = [], []
        for row, layer in zip(light, layers, strict=True):
            cloud = stock.cloud_um[layer]
            sigma.append(stock.sigma48_at(layer, row) * pixel_ratio(cloud, pitch))
            lags = covariance(1.0, cloud, pitch, 7)[0]
            lag = np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
            transform = dct(np.eye(8), axis=0, norm="ortho")
            line = np.einsum("ki,ij,kj->k", transform, lags[lag] / lags[0], transform)
            spectra.append(np.outer(line, line))
        mix = OPPONENT**2 if len(layers) == 3 else np.eye(len(layers))
        return cls(0.0, high, np.stack(sigma), np.einsum("ij,jyx->iyx", mix, np.stack(spectra)))


def _blocks(plane: npt.NDArray[Any]) -> npt.NDArray[Any]:
    h, w = plane.shape[0] // 8 * 8, plane.shape[1] // 8 * 8
    return plane[:h, :w].reshape(h // 8, 8, w // 8, 8).transpose(0, 2, 1, 3).reshape(-1, 8, 8)


def smooth(levels: Floats, values: Floats, weights: Floats, at: Floats, *, lean: bool = True) -> Floats:
    """Return a smooth curve through points, at evenly spaced levels `at`; one that leans below them if asked to."""
    n = len(at)
    nearest = np.clip(np.searchsorted(at, levels), 1, n - 1)
    f = np.clip((levels - at[nearest - 1]) / (at[nearest] - at[nearest - 1]), 0, 1)
    basis = np.zeros((len(levels), n))
    basis[np.arange(len(levels)), nearest - 1] = 1 - f
    basis[np.arange(len(levels)), nearest] = f
    bend = np.diff(np.eye(n), 2, axis=0)
    slope = np.diff(np.eye(n), axis=0)
    stiff = 4000 * bend.T @ bend + 1e-3 * slope.T @ slope
    side = np.ones(len(levels))
    curve: Floats = np.full(n, np.average(values, weights=weights))
    for _ in range(30 if lean else 1):
        scaled = basis * (weights * side)[:, None]
        curve = np.asarray(np.linalg.solve(scaled.T @ basis + stiff, scaled.T @ values), np.float64)
        side = np.where(values > basis @ curve, 0.04, 0.96)
    return curve


def dct_spectrum(correlation: Floats, channels: Floats, sigma: Floats) -> Floats:
    """Return the `Noise.spectrum` of noise with known correlations.

    Parameters
    ----------
    correlation:
        (C, n, n) autocorrelation of each channel at lags |dy|, |dx| < n; nothing beyond.
    channels:
        (C, C) correlation of the channels' pixels, shared by all frequencies alike.
    sigma:
        (C,) of the channels: how they weigh in the opponent channels.
    """
    count, n, _ = correlation.shape
    transform = dct(np.eye(8), axis=0, norm="ortho")
    lag = np.abs(np.subtract.outer(np.arange(8), np.arange(8)))
    forms = np.stack([np.einsum("ki,ij,kj->k", transform, lag == d, transform) for d in range(min(n, 8))], axis=1)
    own = np.maximum(np.einsum("vy,cyx,ux->cvu", forms, correlation[:, : min(n, 8), : min(n, 8)], forms), 1e-3)
    if count != 3:
        return np.asarray(own)
    root = np.sqrt(own)
    shared = np.einsum("avu,bvu->abvu", root, root)
    shared *= (channels * np.outer(sigma, sigma) / shared.mean((2, 3)))[:, :, None, None]
    scale = np.maximum(OPPONENT**2 @ sigma**2, 1e-30)
    # What channels share may leave an opponent channel with nothing, which the filter could not divide by.
    mixed = np.einsum("ia,ib,abvu->ivu", OPPONENT, OPPONENT, shared) / scale[:, None, None]
    return np.asarray(np.maximum(mixed, 1e-3))


def estimate(frames: Iterable[npt.NDArray[np.float32]], coding: Coding) -> Noise:
    """Measure the noise of a plate.

    Parameters
    ----------
    frames:
        Pictures (1 or 3, H, W), plate values. Values that are not finite, and blocks that touch the plate's smallest
        or largest value (clipped), are left out.

    Returns
    -------
    Noise; silent (sigma 0) where the plate has none or is too small to tell (under 24 usable blocks). Its `remarks` say
    what speaks against it: few blocks, a clipped plate, a codec's spectrum.
    """
    encoded: list[Floats] = []
    opposed: list[Floats] = []
    equal: list[Floats] = []
    ended: list[tuple[float, float]] = []
    for number, frame in enumerate(frames):
        raw = np.stack([_blocks(plane) for plane in frame], axis=1)
        every = -(-len(raw) // _PER_FRAME)
        chosen = raw[number % every :: every] if every > 1 else raw
        known = frame.reshape(len(frame), -1)
        if not np.isfinite(known.sum(dtype=np.float64)):
            known = known[:, np.isfinite(known).all(axis=0)]
        if not known.size:
            continue
        ends = (known.min(1)[None, :, None, None], known.max(1)[None, :, None, None])
        at_ends = [chosen == end for end in ends]
        if len(chosen):
            ended.append((float(at_ends[0].any(1).mean()), float(at_ends[1].any(1).mean())))
        clipped = [(found.sum((2, 3)) > 1).any(1) for found in at_ends]
        good = np.isfinite(chosen).all((1, 2, 3)) & ~clipped[0] & ~clipped[1]
        planes = coding.encode_single(chosen[good].swapaxes(0, 1)).swapaxes(0, 1).astype(np.float64)
        encoded.append(planes)
        equal.append(doubts.equal_neighbours(chosen[good]))
        opposed.append(np.einsum("ij,njyx->niyx", OPPONENT, planes) if planes.shape[1] == 3 else planes)
    channels = encoded[0].shape[1] if encoded else 1
    usable = sum(map(len, encoded))
    remarks = (*doubts.few(usable), *doubts.clipped(ended))
    quiet = Noise(0.0, 1.0, np.zeros((channels, SAMPLES)), np.ones((channels, 8, 8)), remarks=remarks)
    if usable < _FEWEST:
        return quiet
    blocks = np.concatenate(encoded)
    levels = blocks.mean((2, 3))
    power = dctn(blocks, axes=(2, 3), norm="ortho") ** 2
    remarks = (*remarks, *doubts.codec(np.concatenate(equal), power))
    quiet = replace(quiet, remarks=remarks)
    low, high = float(np.percentile(levels, 0.2)), float(np.percentile(levels, 99.8))
    high = max(high, low + 1e-3)
    at = np.linspace(low, high, SAMPLES)
    sigma = np.zeros((channels, SAMPLES))
    for c in range(channels):
        points = _classes(levels[:, c], power[:, c])
        if points is None:
            return quiet
        centre, variance, count = points
        floor = _SILENT[coding.domain] ** 2 * 1e-2
        sigma[c] = np.exp(0.5 * smooth(centre, np.log(np.maximum(variance, floor)), count, at))
    expected = np.stack([np.interp(levels[:, c], at, sigma[c]) ** 2 for c in range(channels)], axis=1)
    spectrum = _spectrum(np.concatenate(opposed), expected)
    # Texture never fills the highest frequencies of the calmest blocks: what they hold is noise, or nothing.
    if np.median(sigma) * np.sqrt(spectrum[0, 5:, 5:].mean()) < _SILENT[coding.domain]:
        return quiet
    return Noise(low, high, sigma, spectrum, remarks=remarks)


def _classes(level: Floats, power: Floats) -> tuple[Floats, Floats, Floats] | None:
    """Return level, variance and weight of each class of blocks."""
    order = np.argsort(level, kind="stable")
    size = max(int(_FEWEST / _SHARE), len(order) // 24)
    rows = []
    for start in range(0, max(1, len(order) - size // 2), size):
        chosen = order[start : start + size]
        keep = max(min(_FEWEST, len(chosen)), int(len(chosen) * _SHARE))
        found = []
        for judge, measure in (_UPPER, _UPPER[::-1]):
            calm = chosen[np.argsort(power[chosen][:, judge].sum(1), kind="stable")[:keep]]
            found.append(np.mean(np.median(power[calm][:, measure], axis=0)) / _MEDIAN)
        rows.append((float(level[chosen].mean()), float(np.mean(found)), float(len(chosen))))
    if not rows:
        return None
    table = np.asarray(rows)
    return table[:, 0], table[:, 1], table[:, 2] / table[:, 2].max()


def _spectrum(blocks: Floats, expected: Floats) -> Floats:
    """Return each opponent channel's variance for each coefficient, against what the sigma curves predict."""
    channels = blocks.shape[1]
    mix = OPPONENT**2 if channels == 3 else np.eye(channels)
    power = dctn(blocks, axes=(2, 3), norm="ortho") ** 2 / (expected @ mix.T)[:, :, None, None]
    spectrum = np.ones((channels, 8, 8))
    keep = max(_FEWEST, int(len(blocks) * _SHARE))
    grey = power.mean(1)
    for judge, measure in (_HALVES, _HALVES[::-1]):
        # One choice for all channels: what is flat in grey is flat.
        calm = np.argsort(grey[:, judge].sum(1), kind="stable")[:keep]
        # The median passes over the few blocks with a gradient or an edge.
        spectrum[:, measure] = np.median(power[calm][:, :, measure], axis=0) / _MEDIAN
    # Shading lifts the lowest frequencies. No grain cloud or lens at a sane pitch falls faster than this.
    for low in (2, 1):
        cap = _FALL[low] * spectrum[:, low + 1, :]
        spectrum[:, low, :] = np.minimum(spectrum[:, low, :], cap)
        spectrum[:, :, low] = np.minimum(spectrum[:, :, low], _FALL[low] * spectrum[:, :, low + 1])
    spectrum[:, 0, 1:] = np.minimum(spectrum[:, 0, 1:], 1.15 * spectrum[:, 1, 1:])
    spectrum[:, 1:, 0] = np.minimum(spectrum[:, 1:, 0], 1.15 * spectrum[:, 1:, 1])
    spectrum[:, 0, 0] = 1.1 * np.maximum(spectrum[:, 0, 1], spectrum[:, 1, 0])
    return np.clip(spectrum, 1e-4, 6.0)
