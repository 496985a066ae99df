"""Two plates' grain held against each other: what one lacks to be like the other, and how far off it is, in figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.nodes.grain.profile import BINS, Profile
from safelight.nodes.grain.residual import REACH, radial
from safelight.nodes.grain.survey import Survey
from safelight.nodes.grain.synthesis import power_of

Floats = npt.NDArray[np.float64]

_NODES = 0.25  # stops between nodes of a fitted curve
_STIFF = 1e3  # of a fitted curve: it bends over about a stop
_LEAN = 0.3  # of the weight that a reading above the curve keeps
_KNOWN = 0.02  # relative error of a variance that no number of samples removes
_NEAR = 0.6  # stops from a reading within which a curve counts as measured
_MORE = 1.03  # sigma over another's from which it is called more: the measurement's own error is below
_OVER = 1.1  # power in a ring over another's from which it is called more
_SAMPLES = 256
_GREY, _MIDDLE = 0.18, 4.0
_TOE = 1e-3  # plate value under which curves are fitted over light itself, not over stops
_FAINT = 0.02  # far autocorrelation that slow changes of the picture leave


def places(light: npt.ArrayLike) -> Floats:
    """Return where plate values lie on the axis that curves are fitted over: stops, above a toe."""
    v = np.asarray(light, np.float64)
    return np.asarray(np.sign(v) * np.log2(1 + np.abs(v) / _TOE))


def lights(place: npt.ArrayLike) -> Floats:
    """Invert `places`."""
    v = np.asarray(place, np.float64)
    return np.asarray(np.sign(v) * np.expm1(np.abs(v) * np.log(2)) * _TOE)


@dataclass(frozen=True, eq=False)
class Readings:
    """Sigma of one channel at some levels, ascending."""

    level: Floats
    """Plate values."""
    sigma: Floats
    """In the domain."""
    error: Floats
    """Standard error of sigma."""


@dataclass(frozen=True, eq=False)
class Grain:
    """Measured grain of a plate."""

    readings: dict[str, Readings]
    """By channel; empty ones for a channel without grain."""
    correlation: Floats
    """(C, n, n) autocorrelation at lags |dy|, |dx|."""
    channels: Floats
    """(C, C) correlation of the channels."""

    @property
    def silent(self) -> bool:
        """Tell whether there is none."""
        return not any(len(one.level) for one in self.readings.values())

    @classmethod
    def of_survey(cls, found: Survey, names: Sequence[str]) -> Grain:
        """Take what a survey found."""
        readings = {}
        shapes = []
        for c, name in enumerate(names):
            rows = found.readings[c]
            sigma = np.array([row.variance for row in rows]) ** 0.5
            error = np.array([row.error for row in rows]) / np.maximum(2 * sigma, 1e-12)
            readings[name] = Readings(np.array([row.level for row in rows]), sigma, error)
            shapes.append(compact(found.correlation[c], float(found.blocks[c])))
        return cls(readings, np.stack(shapes), found.channels)

    @classmethod
    def of_profile(cls, profile: Profile) -> Grain:
        """Take what a profile holds; lags it does not keep follow from its rings."""
        readings = {
            name: Readings(
                np.array([point.level for point in one.curve]),
                np.array([point.sigma for point in one.curve]),
                np.array([point.uncertainty for point in one.curve]),
            )
            for name, one in profile.channels.items()
        }
        shapes = [completed(one.autocorrelation, one.spectrum) for one in profile.channels.values()]
        return cls(readings, np.stack(shapes), np.asarray(profile.correlation, np.float64))

    def like(self, names: Sequence[str]) -> Grain:
        """Return the grain for other channels: each by its name; a lone Y from G; R, G and B from a lone Y, shared.

        Raises KeyError with the name of a channel that is not there.
        """
        mine = list(self.readings)
        chosen = []
        for name in names:
            if name in mine:
                chosen.append(mine.index(name))
            elif mine == ["Y"]:
                chosen.append(0)
            elif name == "Y" and "G" in mine:
                chosen.append(mine.index("G"))
            else:
                raise KeyError(name)
        readings = {name: self.readings[mine[index]] for name, index in zip(names, chosen, strict=True)}
        return Grain(readings, self.correlation[chosen], self.channels[np.ix_(chosen, chosen)])

    def curve(self, name: str, light: npt.ArrayLike) -> Floats:
        """Return sigma of a channel at plate values; beyond what was measured its end values."""
        one = self.readings[name]
        at = places(np.asarray(light, np.float64))
        if not len(one.level):
            return np.zeros(at.shape)
        place, variance = fit(one)
        return np.asarray(np.exp(0.5 * np.interp(at, place, variance)))

    def as_data(self) -> dict[str, Any]:
        """Return plain data, rounded for a person."""
        return {
            "channels": {
                name: {
                    "level": _round(one.level),
                    "sigma": _round(one.sigma),
                    "error": _round(one.error),
                    "spectrum": _round(radial(self.correlation[c], BINS)) if len(one.level) else [],
                    "autocorrelation": [_round(row) for row in self.correlation[c]],
                }
                for c, (name, one) in enumerate(self.readings.items())
            },
            "correlation": [_round(row) for row in self.channels],
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Grain:
        """Read what `as_data` gave."""
        parts = data["channels"]
        return cls(
            {
                name: Readings(*(np.asarray(one[key], np.float64) for key in ("level", "sigma", "error")))
                for name, one in parts.items()
            },
            np.stack([np.asarray(one["autocorrelation"], np.float64) for one in parts.values()]),
            np.asarray(data["correlation"], np.float64),
        )


def _round(values: npt.ArrayLike) -> list[float]:
    return [float(f"{v:.5g}") for v in np.asarray(values, np.float64).ravel()]


def compact(correlation: Floats, blocks: float) -> Floats:
    """Return the autocorrelation without its far lags where they are no more than the measurement's error or 0.02.

    Lags that hold nothing only roughen the spectrum. `blocks` of 256 pixels are behind the figures (Bartlett 1946).
    """
    n = correlation.shape[0]
    every = np.where(np.arange(n) > 0, 2.0, 1.0)
    energy = float(np.sum(np.outer(every, every) * correlation**2))
    error = np.sqrt(energy / max(1.0, blocks * 256) / np.outer(every, every))
    for keep in range(2, n):
        lags = np.add.outer(np.arange(n) >= keep, np.arange(n) >= keep)
        # Of many lags some stray by chance; a slow change of the picture lifts all of them a little.
        if (np.abs(correlation[lags]) < np.maximum(4.5 * error[lags], _FAINT)).all():
            out = np.zeros_like(correlation)
            out[:keep, :keep] = correlation[:keep, :keep]
            return out
    return correlation


def completed(lags: Sequence[Sequence[float]], rings: Sequence[float]) -> Floats:
    """Return the (REACH + 1)² autocorrelation whose first lags are these and whose rings are those, and which is
    otherwise as small as it can be. Without lags (no grain) that of white noise."""
    n = REACH + 1
    out = np.zeros((n, n))
    out[0, 0] = 1
    if not len(lags):
        return out
    known = np.asarray(lags, np.float64)
    out[: len(known), : len(known)] = known
    unknown = [(y, x) for y in range(n) for x in range(n) if y >= len(known) or x >= len(known)]
    columns = np.stack([_linear_rings(y, x, n) for y, x in unknown], axis=1)
    missing = np.asarray(rings, np.float64) - _rings(out)
    distance = np.array([np.hypot(y, x) for y, x in unknown])
    weight = np.exp(-distance / 2)  # what is far is likelier nothing
    scaled = columns * weight
    found = weight * (scaled.T @ np.linalg.solve(scaled @ scaled.T + 1e-3 * np.eye(len(missing)), missing))
    for (y, x), value in zip(unknown, found, strict=True):
        out[y, x] = value
    return out


def _linear_rings(y: int, x: int, n: int) -> Floats:
    one = np.zeros((n, n))
    one[y, x] = 1
    return _rings(one)


def _rings(correlation: Floats) -> Floats:
    """Return mean power in the rings, linear in the autocorrelation (`radial` holds it above 0)."""
    base = np.zeros_like(correlation)
    base[0, 0] = 1e3  # lifts every ring above 0
    return np.asarray(radial(correlation + base, BINS) - 1e3)


def fit(one: Readings) -> tuple[Floats, Floats]:
    """Return nodes (on the axis of `places`) and log variance of a smooth curve through readings.

    Penalised least squares (Whittaker 1923). Readings that stray count for little (Tukey's biweight), and those above
    the curve for less than those below, as texture can only raise them.
    """
    at = places(one.level)
    value = 2 * np.log(np.maximum(one.sigma, 1e-9))
    middle = float(np.median(value))  # where nothing pulls, the curve stays here
    value = value - middle
    error = np.hypot(2 * one.error / np.maximum(one.sigma, 1e-9), _KNOWN)
    low, high = float(at.min()), float(at.max())
    count = max(2, 1 + int(np.ceil((high - low) / _NODES)))
    place = np.linspace(low, max(high, low + 1e-6), count)
    nearest = np.clip(np.searchsorted(place, at), 1, count - 1)
    part = np.clip((at - place[nearest - 1]) / (place[nearest] - place[nearest - 1]), 0, 1)
    basis = np.zeros((len(at), count))
    basis[np.arange(len(at)), nearest - 1] = 1 - part
    basis[np.arange(len(at)), nearest] = part
    bend = np.diff(np.eye(count), 2, axis=0) if count > 2 else np.zeros((1, count))
    stiff = _STIFF * bend.T @ bend + 1e-3 * np.eye(count)
    trust = np.ones(len(at))
    curve = np.zeros(count)
    for _ in range(12):
        scaled = basis * (trust / error**2)[:, None]
        curve = np.linalg.solve(scaled.T @ basis + stiff, scaled.T @ value)
        off = (value - basis @ curve) / np.hypot(error, 0.03)
        trust = np.maximum(1 - (off / 5) ** 2, 0.02) ** 2 * np.where(off > 0, _LEAN, 1.0)
    return place, np.asarray(curve + middle)


@dataclass(frozen=True, eq=False)
class Missing:
    """Grain to add."""

    light: Floats
    """(n,) plate values, ascending."""
    sigma: Floats
    """(C, n) in the domain."""
    correlation: Floats
    """(C, m, m) autocorrelation."""
    channels: Floats
    """(C, C)."""
    more: dict[str, tuple[float, float]]
    """Channels whose own grain is stronger somewhere: its sigma over the wanted one where that is worst, and the plate
    value there."""
    excess: dict[str, tuple[float, float]]
    """Channels whose own grain has more power somewhere in the spectrum: its power over the wanted one in the ring
    where that is worst, and the frequency there, cycles a pixel."""

    def as_data(self) -> dict[str, Any]:
        """Return plain data, rounded for a person."""
        return {
            "light": _round(self.light),
            "sigma": [_round(row) for row in self.sigma],
            "autocorrelation": [[_round(row) for row in one] for one in self.correlation],
            "correlation": [_round(row) for row in self.channels],
        }


def missing(wanted: Grain, own: Grain | None) -> Missing:
    """Return what a plate with grain `own` (None or silent: clean) lacks of `wanted`; both of the same channels.

    Variances of independent noises add: sigma² = wanted² - own² at every level; the spectrum is the difference of the
    two, weighed by their variances, where it is positive.
    """
    names = list(wanted.readings)
    levels = [level for one in wanted.readings.values() for level in one.level]
    ends = places(np.array([min(levels), max(levels)])) if levels else np.array([0.0, 1.0])
    light = lights(np.linspace(float(ends[0]), float(ends[1]), _SAMPLES))
    want = np.stack([wanted.curve(name, light) for name in names]) ** 2
    if own is None or own.silent:
        return Missing(light, np.sqrt(want), wanted.correlation, wanted.channels, {}, {})
    have = np.stack([own.curve(name, light) for name in names]) ** 2
    added = np.maximum(want - have, 0)
    more: dict[str, tuple[float, float]] = {}
    size = 2 * wanted.correlation.shape[1]
    excess: dict[str, tuple[float, float]] = {}
    shapes, share = [], np.zeros(len(names))
    for c, name in enumerate(names):
        seen = own.readings[name].level
        inside = seen[(seen >= light[0]) & (seen <= light[-1])]
        ratio = own.curve(name, inside) / np.maximum(wanted.curve(name, inside), 1e-9)
        if len(inside) and ratio.max() > _MORE:
            more[name] = (float(ratio.max()), float(inside[ratio.argmax()]))
        # Level by level the own grain is another share of the wanted; one filter serves the mean of the middle ones,
        # from which the survey has spectrum and correlation.
        middle = np.abs(np.log2(np.maximum(inside, 1e-9) / _GREY)) < _MIDDLE
        some = (ratio < 1) & (middle if middle.sum() > 2 else True)
        at = inside[some] if some.any() else light
        share[c] = min(0.99, float(np.mean((own.curve(name, at) / np.maximum(wanted.curve(name, at), 1e-9)) ** 2)))
        rings = share[c] * radial(own.correlation[c], BINS) / np.maximum(radial(wanted.correlation[c], BINS), 1e-3)
        if rings.max() > _OVER:
            excess[name] = (float(rings.max()), (int(rings.argmax()) + 0.5) * 0.5 / BINS)
        power = power_of(wanted.correlation[c]) - share[c] * power_of(own.correlation[c])
        power = np.maximum(power, 0)
        shape = np.fft.ifft2(power).real[: size // 2, : size // 2]
        shapes.append(shape / shape[0, 0] if shape[0, 0] > 0 else wanted.correlation[c])
    weak, rest = np.sqrt(share), np.sqrt(1 - share)
    shared = wanted.channels - own.channels * np.outer(weak, weak)
    shared = np.clip(shared / np.outer(rest, rest), -1, 1)
    np.fill_diagonal(shared, 1)
    return Missing(light, np.sqrt(added), np.stack(shapes), shared, more, excess)


def compare(wanted: Grain, found: Grain) -> dict[str, Any]:
    """Return how far `found` is from `wanted`, as plain data; both of the same channels.

    For each channel: `sigma_rms` and `sigma_worst`, relative errors of the fitted curve at every half stop where both
    were measured (at every one of `wanted` where the other has no grain), the `levels` of these; `spectrum`, relative
    errors in the rings, `spectrum_rms` and `spectrum_worst`. `correlation`: largest difference of any pair.
    """
    out: dict[str, Any] = {"channels": {}}
    for c, name in enumerate(wanted.readings):
        a, b = wanted.readings[name], found.readings[name]
        if not len(a.level):
            continue
        place, other = places(a.level), places(b.level)
        at = np.arange(np.ceil(2 * place.min()), np.floor(2 * place.max()) + 1) / 2
        keep = _measured(at, place) & (_measured(at, other) if len(other) else True)
        at = at[keep] if keep.any() else place
        light = lights(at)
        error = found.curve(name, light) / wanted.curve(name, light) - 1
        want = radial(wanted.correlation[c], BINS)
        have = radial(found.correlation[c], BINS) if len(b.level) else np.zeros(BINS)
        rings = have / np.maximum(want, 1e-3) - 1
        out["channels"][name] = {
            "sigma_rms": _one(np.sqrt(np.mean(error**2))),
            "sigma_worst": _one(error[np.abs(error).argmax()]),
            "levels": len(at),
            "spectrum_rms": _one(np.sqrt(np.mean(rings**2))),
            "spectrum_worst": _one(rings[np.abs(rings).argmax()]),
            "spectrum": [_one(v) for v in rings],
        }
    have = found.channels if not found.silent else np.eye(len(found.channels))
    out["correlation"] = _one(np.abs(have - wanted.channels).max())
    return out


def _measured(at: Floats, places: Floats) -> npt.NDArray[np.bool_]:
    """Tell where a curve rests on readings: between the first and the last, none of them far."""
    if not len(at):
        return np.zeros(0, bool)
    near = np.abs(at[:, None] - places).min(1) < _NEAR
    return np.asarray(near & (at >= places.min()) & (at <= places.max()))


def _one(value: Any) -> float:
    return round(float(value), 4)
