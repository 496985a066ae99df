"""A measured grain profile as the parameters of AV1's film-grain synthesis, for one delivery encoding.

A profile tells grain in scene-linear light; a decoder adds it to Y'CbCr code values. So grey of every level is given
the profile's noise (Gaussian in the profile's domain, channels correlated as measured), is encoded as the delivery is,
clipped where it clips, and what comes out is taken: variances and covariances of Y', Cb and Cr by the luma code, and
their spectra, chroma at its own resolution. Scaling curves and autoregression are fitted to those.

With the plate's own colours, the noise at a luma code is the mean over what the plate shows at that code.

What the standard cannot hold is said in remarks, with figures: one spectrum for all levels, noise by luma alone
(saturated colours of one luma get one noise), no correlation of Cb with Cr but through Y.

Source: AV1 Bitstream & Decoding Process Specification (2019), 7.18.3.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import GraphError
from safelight.nodes.grain.autoregression import SIDE, Filter, Fit, Target, fit, resampled
from safelight.nodes.grain.domain import Coding, coding
from safelight.nodes.grain.film_grain_table import MOST_CHROMA, MOST_Y, FilmGrain
from safelight.nodes.grain.profile import LAGS, Channel, Profile
from safelight.nodes.grain.regrain import film_layers
from safelight.nodes.grain.spectrum import pixel_overlaps
from safelight.nodes.grain.stock import load_stock

Floats = npt.NDArray[np.float64]
Matrix = Literal["bt709", "bt601", "bt2020"]
_LUMA = {"bt709": (0.2126, 0.7152, 0.0722), "bt601": (0.299, 0.587, 0.114), "bt2020": (0.2627, 0.678, 0.0593)}

SIGMA = 511.5251 / 16
"""Sigma of the standard's Gaussian sequence (7.18.3.2, 2048 numbers), in codes of 8 bits."""
NEAR = 0.05
"""Difference of an autocorrelation, or of a correlation, from which it is remarked."""
_NODES = 9  # of the Gauss-Hermite rule along each channel
_NODES_OF_COLOURS = 4
_COLOURS = 4096
_BLUR = 2.0  # luma codes that colours are gathered over
_GREY = 4.0  # colours that grey counts for
_LIGHT = 200.0  # scene-linear light at the end of the levels: nine stops over a white of 0.4
_STEPS = 192
_CLOUDS = np.geomspace(0.15, 4.0, 80)  # sigma of dye clouds over the pixel's edge
_WEAK = 0.5  # codes of 8 bits: what rounding to 8 bits mostly swallows


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


@dataclass(frozen=True)
class Made:
    """A fitted set of parameters, and what it says of itself."""

    grain: FilmGrain
    remarks: tuple[str, ...]
    """What the table holds otherwise than the plate, each with a figure."""
    codes: Floats
    """(n,) luma codes of 8 bits."""
    sigma: Floats
    """(3, n) sigma of Y', Cb, Cr that was asked for at those, in codes of 8 bits."""
    filters: Fit


def palette(pictures: Iterable[npt.NDArray[np.float32]]) -> Floats:
    """Return the colours of a plate (C, m): means of 4 × 4 pixels, at most 4096, from all over its pictures (C, H, W).

    Those that touch a picture's smallest or largest value are left out: what is clipped is darker or lighter than it
    seems.
    """
    found = []
    for planes in pictures:
        height, width = planes.shape[1] // 4, planes.shape[2] // 4
        blocks = planes[:, : 4 * height, : 4 * width].reshape(-1, height, 4, width, 4).astype(np.float64)
        finite = np.isfinite(blocks).all((0, 2, 4))
        known = blocks.transpose(0, 1, 3, 2, 4)[:, finite]
        if not known.size:
            continue
        ends = np.array([known.min((1, 2, 3)), known.max((1, 2, 3))])[..., None, None, None]
        clipped = ((known == ends).sum((3, 4)) > 1).any((0, 1))
        found.append(known[:, ~clipped].mean((2, 3)))
    every = np.concatenate(found, axis=1) if found else np.zeros((3, 0))
    return every[:, np.linspace(0, every.shape[1] - 1, min(every.shape[1], _COLOURS)).astype(int)]


def film_grain(profile: Profile, delivery: Delivery, colours: Floats | None = None) -> Made:
    """Fit AV1's parameters to a profile.

    `colours` are the plate's (`palette`), planes in the profile's order; without them, the plate is taken for grey.

    Raises GraphError where the profile holds no grain, or channels that are neither R, G, B nor one alone.
    """
    names = list(profile.channels)
    if not profile.grain:
        raise GraphError(
            "the profile holds no grain: there is nothing to put into a film-grain table",
            remedy="Encode without a table.",
        )
    if sorted(name.upper() for name in names) != ["B", "G", "R"] and len(names) != 1:
        raise GraphError(
            f"a film-grain table takes R, G and B or a single channel, not {', '.join(names)}",
            remedy="Measure the plate's red, green and blue.",
        )
    noise = _Noise(profile)
    seen = _delivered(noise, delivery, noise.sorted(colours))
    cross, kept = _planes(seen, delivery)
    planes = [_target(cross, plane) for plane in range(3 if seen.colour else 1)]
    found = fit(planes[0], *(planes[1:] or (None, None)))
    return _parameters(seen, delivery, cross, seen.sigma * kept[:, None], found)


class _Noise:
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
class _Delivered:
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


def _delivered(noise: _Noise, delivery: Delivery, colours: Floats) -> _Delivered:
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
    return _Delivered(codes, np.sqrt(variance), inside, weight / weight.mean(), shares, noise.spectra(), count == 3)


def _encoded(noise: _Noise, delivery: Delivery, light: Floats, nodes: int) -> tuple[Floats, Floats, Floats]:
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


def _planes(seen: _Delivered, delivery: Delivery) -> tuple[Floats, Floats]:
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


def _target(cross: Floats, plane: int) -> Target:
    return Target(np.maximum(cross[plane, plane], 1e-3), float(cross[0, plane].mean()) if plane else 0.0)


def _parameters(seen: _Delivered, delivery: Delivery, cross: Floats, sigma: Floats, found: Fit) -> Made:
    filters = [plane for plane in (found.y, found.cb, found.cr) if plane is not None]
    strongest = SIGMA * max(plane.sigma for plane in filters)
    halvings = next((shift for shift in range(3) if 3 * strongest / 2**shift <= 127), 3)
    needed = [row * 2**halvings / (SIGMA * plane.sigma) for row, plane in zip(sigma, filters, strict=False)]
    peak = max(float(row.max()) for row in needed)
    shift = next((s for s in (11, 10, 9) if peak * 2**s <= 255), 8)
    remarks = []
    for name, row in zip(("Y", "Cb", "Cr"), needed, strict=False):
        if row.max() * 2**8 > 255.5:
            remarks.append(
                f"grain in {name} is held at {255 / 256 / row.max():.0%} of its strength: no table holds more"
            )
    curves = [
        _points(seen.codes, np.minimum(row * 2**shift, 255), seen.weight, most)
        for row, most in zip(needed, (MOST_Y, MOST_CHROMA, MOST_CHROMA), strict=False)
    ]
    if not any(scaling for _, scaling in curves[0]):
        raise GraphError(
            f"grain of {float(sigma[0].max()):.1g} codes of 8 bits is weaker than a film-grain table can hold",
            remedy="Encode without a table.",
        )
    if len(curves) == 1 or not any(scaling for curve in curves[1:] for _, scaling in curve):
        curves[1:] = [(), ()]
    none = (0,) * (2 * found.lag * (found.lag + 1) + 1)
    grain = FilmGrain(
        ar_coeff_lag=found.lag,
        ar_coeff_shift=found.shift,
        grain_scale_shift=halvings,
        scaling_shift=shift,
        chroma_scaling_from_luma=False,
        overlap=True,
        # Looked up by luma alone: (64 luma + 0 chroma) / 64 + 0.
        cb_mult=128,
        cb_luma_mult=192,
        cb_offset=256,
        cr_mult=128,
        cr_luma_mult=192,
        cr_offset=256,
        scaling_y=curves[0],
        scaling_cb=curves[1],
        scaling_cr=curves[2],
        ar_y=found.y.coefficients,
        ar_cb=found.cb.coefficients if found.cb else none,
        ar_cr=found.cr.coefficients if found.cr else none,
    )
    remarks += _remarks(seen, cross, sigma, filters)
    return Made(grain, tuple(remarks), seen.codes, sigma, found)


def _points(codes: Floats, wanted: Floats, weight: Floats, most: int) -> tuple[tuple[int, int], ...]:
    """Return the (code, scaling) whose straight lines come nearest, in proportion to what is wanted.

    `weight` (n,) is how much each code counts. Points are added where the lines are farthest off, then moved.
    """
    weight = np.sqrt(weight) / (wanted + 0.05 * wanted.max() + 1e-9)

    def solved(at: list[int]) -> tuple[Floats, float]:
        lines = np.stack([np.interp(codes, codes[at], row) for row in np.eye(len(at))], axis=1) * weight[:, None]
        values: Floats = np.asarray(np.linalg.lstsq(lines, wanted * weight, rcond=None)[0], np.float64)
        return values, float(np.square(lines @ values - wanted * weight).sum())

    at = [0, len(codes) - 1]
    while len(at) < most:
        off = np.abs(np.interp(codes, codes[at], wanted[at]) - wanted)
        worst = int((np.where(off > 0.5, off, 0) * weight).argmax())
        if off[worst] <= 0.5:
            break
        at = sorted([*at, worst])
    values, least = solved(at)
    for step in (16, 8, 4, 2, 1):
        for index in range(1, len(at) - 1):
            for moved in (at[index] - step, at[index] + step):
                if at[index - 1] < moved < at[index + 1]:
                    trial = [*at[:index], moved, *at[index + 1 :]]
                    found, error = solved(trial)
                    if error < least:
                        at, values, least = trial, found, error
    whole = np.clip(np.rint(values), 0, 255).astype(int)
    return tuple((int(codes[i]), int(value)) for i, value in zip(at, whole, strict=True))


def _remarks(seen: _Delivered, cross: Floats, sigma: Floats, filters: list[Filter]) -> list[str]:
    said = []
    low, high = (int(code) for code in seen.codes[seen.inside][[0, -1]])
    if low > seen.codes[0] + 8 or high < seen.codes[-1] - 8:
        said.append(
            f"the plate was measured from luma {low} to {high} (of 255); beyond, grain goes on as it ends there"
        )
    for name, plane in zip(("Y", "Cb", "Cr"), filters, strict=False):
        if plane.misfit > NEAR:
            said.append(
                f"the size of the grain in {name} is not met: autocorrelation off by {plane.misfit:.2f} at worst; no "
                "filter of lag 3 comes nearer"
            )
    for index, plane in enumerate(filters[1:], 1):
        wanted = float(cross[0, index].mean())
        if abs(plane.correlation - wanted) > NEAR:
            said.append(
                f"correlation of {('Cb', 'Cr')[index - 1]} with Y is {plane.correlation:+.2f} instead of {wanted:+.2f}"
            )
    if len(filters) == 3:
        wanted, held = float(cross[1, 2].mean()), filters[1].correlation * filters[2].correlation
        if abs(wanted - held) > NEAR:
            said.append(
                f"correlation of Cb with Cr is about {held:+.2f} instead of {wanted:+.2f}: the standard holds only "
                "what both share with Y"
            )
    typical = float(np.median(sigma[0][seen.inside]))
    if typical < _WEAK:
        said.append(
            f"sigma of Y is {typical:.2f} codes of 8 bits: rounding swallows most of it unless 10 bits are coded"
        )
    return said
