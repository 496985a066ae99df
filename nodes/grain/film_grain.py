"""A measured grain profile as the parameters of AV1's film-grain synthesis, for one delivery encoding.

A profile tells grain in scene-linear light; a decoder adds it to Y'CbCr code values. Scaling curves and autoregression
are fitted to what the profile's noise is there (`delivered`).

What the standard cannot hold is said in remarks, with figures: one spectrum for all levels, noise by luma alone
(saturated colours of one luma get one noise), no correlation of Cb with Cr but through Y.

Source: AV1 Bitstream & Decoding Process Specification (2019), 7.18.3.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import GraphError
from safelight.nodes.grain.autoregression import Filter, Fit, Target, fit
from safelight.nodes.grain.delivered import Delivered, Delivery, Noise, cross_spectra, delivered
from safelight.nodes.grain.film_grain_table import MOST_CHROMA, MOST_Y, FilmGrain
from safelight.nodes.grain.profile import Profile

Floats = npt.NDArray[np.float64]

SIGMA = 511.5251 / 16
"""Sigma of the standard's Gaussian sequence (7.18.3.2, 2048 numbers), in codes of 8 bits."""
NEAR = 0.05
"""Difference of an autocorrelation, or of a correlation, from which it is remarked."""
_COLOURS = 4096
_WEAK = 0.5  # codes of 8 bits: what rounding to 8 bits mostly swallows


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
    noise = Noise(profile)
    seen = delivered(noise, delivery, noise.sorted(colours))
    cross, kept = cross_spectra(seen, delivery)
    planes = [_target(cross, plane) for plane in range(3 if seen.colour else 1)]
    found = fit(planes[0], *(planes[1:] or (None, None)))
    return _parameters(seen, delivery, cross, seen.sigma * kept[:, None], found)


def _target(cross: Floats, plane: int) -> Target:
    return Target(np.maximum(cross[plane, plane], 1e-3), float(cross[0, plane].mean()) if plane else 0.0)


def _parameters(seen: Delivered, delivery: Delivery, cross: Floats, sigma: Floats, found: Fit) -> Made:
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


def _remarks(seen: Delivered, cross: Floats, sigma: Floats, filters: list[Filter]) -> list[str]:
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
