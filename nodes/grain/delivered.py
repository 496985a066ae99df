"""The grain of a measured profile as the noise of one delivery: of its Y'CbCr code values.

Grey of every level is given the profile's noise (Gaussian in the profile's domain, channels correlated as measured),
is encoded as the delivery is, clipped where it clips, and what comes out is taken: variances and covariances of Y', Cb
and Cr by the luma code, and their spectra, chroma at its own resolution. With the plate's own colours, the noise at a
luma code is the mean over what the plate shows at that code.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from safelight.nodes.grain.autoregression import SIDE, resampled
from safelight.nodes.grain.domain import Coding, coding
from safelight.nodes.grain.profile import LAGS, Channel, Profile
from safelight.nodes.grain.regrain import film_layers
from safelight.nodes.grain.spectrum import pixel_overlaps
from safelight.nodes.grain.stock import load_stock

Floats = npt.NDArray[np.float64]
Matrix = Literal["bt709", "bt601", "bt2020"]
_LUMA = {"bt709": (0.2126, 0.7152, 0.0722), "bt601": (0.299, 0.587, 0.114), "bt2020": (0.2627, 0.678, 0.0593)}
_NODES = 9  # of the Gauss-Hermite rule along each channel
_NODES_OF_COLOURS = 4
_BLUR = 2.0  # luma codes that colours are gathered over
_GREY = 4.0  # colours that grey counts for
_LIGHT = 200.0  # scene-linear light at the end of the levels: nine stops over a white of 0.4
_STEPS = 192
_CLOUDS = np.geomspace(0.15, 4.0, 80)  # sigma of dye clouds over the pixel's edge


@dataclass(frozen=True)
class Delivery:
    """What the film is encoded in: Y'CbCr of video range, 4:2:0 with each chroma pixel in the middle of four."""

    name: str
    encode: Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]
    """Scene-linear working light (3, 1, n) to R'G'B' of the delivery, 0 to 1."""
    matrix: Matrix = "bt709"
    ratio: float = 1.0
    """Pixels of the measured plate along a pixel of the delivery."""

    def codes(self, light: Floats) -> Floats:
        """Return Y', Cb, Cr (3, n) in codes of 8 bits, unrounded, of scene-linear light (3, n)."""
        coded = self.encode(np.ascontiguousarray(light[:, None], np.float32))[:, 0]
        red, green, blue = np.clip(np.nan_to_num(coded.astype(np.float64), nan=0.0), 0, 1)
        kr, kg, kb = _LUMA[self.matrix]
        y = kr * red + kg * green + kb * blue
        cb, cr = 0.5 * (blue - y) / (1 - kb), 0.5 * (red - y) / (1 - kr)
        return np.stack([16 + 219 * y, 128 + 224 * cb, 128 + 224 * cr])


class Noise:
    """The noise of a profile in its domain."""

    def __init__(self, profile: Profile) -> None:
        names = sorted(profile.channels, key=lambda name: "RGB".find(name.upper()))
        self._order = order = [list(profile.channels).index(name) for name in names]
        self.channels: list[Channel] = [profile.channels[name] for name in names]
        self.coding: Coding = coding(profile.domain)
        if profile.domain == "density":
            curves = load_stock(profile.stock).curves
            self.coding = coding("density", [curves[layer] for layer in film_layers(names)[1]])
        self.correlation = np.array(profile.correlation, np.float64)[np.ix_(order, order)]
        np.fill_diagonal(self.correlation, 1.0)

    def mixing(self) -> Floats:
        """Return (C, C) weights that make correlated noise of independent noise; measured matrices may need a nudge."""
        values, vectors = np.linalg.eigh(self.correlation)
        root = vectors * np.sqrt(np.maximum(values, 1e-6))
        return np.asarray(root / np.linalg.norm(root, axis=1, keepdims=True))

    def sorted(self, colours: Floats | None) -> Floats:
        """Return colours (C, m) with the planes in our order; none for None."""
        return np.zeros((len(self._order), 0)) if colours is None else colours[self._order]

    def sigma(self, at: Floats) -> Floats:
        """Return sigma (C, n) at values (C, n) of the domain; beyond the measured ones that of the nearest."""
        rows = []
        for c, channel in enumerate(self.channels):
            points = self.coding.encode(np.tile([point.level for point in channel.curve], (len(self.channels), 1)))[c]
            rows.append(np.interp(at[c], points, [p.sigma for p in channel.curve]) if channel.curve else 0 * at[c])
        return np.stack(rows)

    def measured(self) -> tuple[float, float]:
        """Return the light between which every channel that has noise was measured."""
        curves = [channel.curve for channel in self.channels if channel.curve]
        first, last = max(curve[0].level for curve in curves), min(curve[-1].level for curve in curves)
        return min(first, last), max(first, last)

    def spectra(self) -> Floats:
        """Return (C, C, N, N) spectra and cross spectra; the coherence of two channels is one number."""
        own = np.stack([_spectrum(channel) for channel in self.channels])
        roots = np.sqrt(own)
        both = roots[:, None] * roots[None]
        coherence = np.clip(self.correlation / both.mean((2, 3)), -1, 1)
        return np.asarray(both * coherence[..., None, None])


def _spectrum(channel: Channel) -> Floats:
    """Return the (N, N) spectrum of mean 1.

    Lags under four pixels are the measured ones; beyond stand those of Gaussian dye clouds and white noise that fit.
    """
    white = np.ones((SIDE, SIDE))
    if not channel.autocorrelation:
        return white
    seen = np.array(channel.autocorrelation, np.float64)
    best, model = np.inf, np.zeros((SIDE // 2 + 1, SIDE // 2 + 1))
    for cloud in _CLOUDS:
        line = pixel_overlaps(float(cloud), 1.0, SIDE // 2)
        shape = np.outer(line, line) / line[0] ** 2
        inside = shape[:LAGS, :LAGS].ravel()[1:]
        share = float(np.clip(inside @ seen.ravel()[1:] / (inside @ inside), 0, 1))
        misfit = float(np.square(share * inside - seen.ravel()[1:]).sum())
        if misfit < best:
            best, model = misfit, share * shape
    model[:LAGS, :LAGS] = seen
    lag = np.abs(np.fft.fftfreq(SIDE, 1 / SIDE)).astype(int)
    power = np.maximum(np.fft.fft2(model[np.ix_(lag, lag)]).real, 1e-3)
    return np.asarray(power / power.mean())


@dataclass(frozen=True)
class Delivered:
    """The noise in the delivery, pixel by pixel."""

    codes: Floats
    """(n,) whole luma codes, from black to white."""
    sigma: Floats
    """(3, n) of Y', Cb, Cr, chroma still at full resolution."""
    inside: npt.NDArray[np.bool_]
    """(n,) where the profile was measured."""
    weight: Floats
    """(n,) how much of the picture lies at each code, mean 1."""
    shares: Floats
    """(3, C, m) codes of Y', Cb, Cr for each sigma of a channel, at m samples of the picture that were measured."""
    spectra: Floats
    """(C, C, N, N) of the channels."""
    colour: bool


def delivered(noise: Noise, delivery: Delivery, colours: Floats) -> Delivered:
    """Return the noise in the delivery, by luma code; `colours` (C, m) in the noise's order, or none (C, 0)."""
    count = len(noise.channels)
    log = Coding("log")
    levels = log.decode(np.linspace(0, float(log.encode([_LIGHT])[0]), _STEPS))
    luma, variance, shares = _encoded(noise, delivery, np.tile(levels, (count, 1)), _NODES)
    rising = np.concatenate([[True], luma[1:] > np.maximum.accumulate(luma)[:-1] + 1e-6])
    luma, variance, shares = luma[rising], variance[:, rising], shares[..., rising]
    codes = np.arange(np.ceil(luma[0] - 1e-3), np.floor(luma[-1] + 1e-3) + 1)
    variance = np.stack([np.interp(codes, luma, row) for row in variance])
    shares = shares[..., np.abs(luma[None] - codes[:, None]).argmin(1)]
    first, last = delivery.codes(np.tile(noise.measured(), (3, 1)))[0] + (-0.5, 0.5)
    inside = (codes >= first) & (codes <= last)
    weight = np.ones(len(codes))
    if colours.shape[1]:
        there, own, slopes = _encoded(noise, delivery, colours, _NODES_OF_COLOURS)
        near = np.exp(-0.5 * ((there - codes[:, None]) / _BLUR) ** 2)
        # Where the plate shows next to nothing, grey stands in.
        variance = (near @ own.T + _GREY * variance.T).T / (near.sum(1) + _GREY)
        weight = near.sum(1) + _GREY
        used = slopes[..., (there >= first) & (there <= last)]
        shares = used if used.shape[2] else shares[..., inside]
    else:
        shares = shares[..., inside]
    return Delivered(codes, np.sqrt(variance), inside, weight / weight.mean(), shares, noise.spectra(), count == 3)


def _encoded(noise: Noise, delivery: Delivery, light: Floats, nodes: int) -> tuple[Floats, Floats, Floats]:
    """Return luma code (n,), variances of Y', Cb, Cr (3, n) and shares (3, C, n) where light (C, n) has the noise."""
    count, size = light.shape
    node, weight = np.polynomial.hermite_e.hermegauss(nodes)
    z = np.stack(np.meshgrid(*[node] * count, indexing="ij")).reshape(count, -1)
    w = np.prod(np.stack(np.meshgrid(*[weight] * count, indexing="ij")).reshape(count, -1), axis=0)
    w /= w.sum()
    mixing = noise.mixing()
    mean = noise.coding.encode(light)
    noisy = mean[..., None] + noise.sigma(mean)[..., None] * (mixing @ z)[:, None]
    lit = noise.coding.decode(noisy.reshape(count, -1))
    coded = delivery.codes(np.broadcast_to(lit, (3, lit.shape[1]))).reshape(3, size, -1)
    off = coded - (coded @ w)[..., None]
    # The best straight line through what the encoding does to the noise.
    independent = (off * w) @ z.T
    return (
        delivery.codes(np.broadcast_to(light, (3, size)))[0],
        np.square(off) @ w,
        (independent @ np.linalg.inv(mixing)).swapaxes(1, 2),
    )


def cross_spectra(seen: Delivered, delivery: Delivery) -> tuple[Floats, Floats]:
    """Return (3, 3, N, N) cross spectra of Y', Cb, Cr as delivered, and the share of sigma (3,) that is left there.

    Y' stands for the mean of the four pixels over a chroma pixel wherever it is crossed with chroma. Spectra
    are means over the samples, each counted for one.
    """
    own = seen.spectra.mean((2, 3))
    size = np.sqrt(np.maximum(np.einsum("pcn,cd,pdn->pn", seen.shares, own, seen.shares), 1e-12))
    unit = seen.shares / size[:, None]
    weights = np.einsum("pcn,qdn->pqcd", unit, unit) / unit.shape[2]
    cross = np.einsum("pqcd,cdyx->pqyx", weights, seen.spectra)
    if delivery.ratio != 1:
        cross = np.array([[resampled(part, delivery.ratio) for part in row] for row in cross])
    full = cross[0, 0]
    cross = np.array([[resampled(part, 2.0) for part in row] for row in cross])
    kept = np.sqrt(np.maximum([full.mean(), cross[1, 1].mean(), cross[2, 2].mean()], 0))
    # Y' crossed with chroma is halved, Y' by itself is not; what chroma is correlated with is set right here.
    scale = np.sqrt(np.maximum(cross[[0, 1, 2], [0, 1, 2]].mean((1, 2)), 0))
    cross = cross / np.maximum(scale[:, None] * scale[None], 1e-12)[..., None, None]
    cross[0, 0] = full / full.mean()
    return cross, kept
