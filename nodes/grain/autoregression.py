"""The autoregression of AV1's film grain, fitted to a spectrum.

The decoder filters white noise by a causal filter in raster order, g(x) = w(x) + sum_k a_k g(x + k), with k up to three
rows above and three pixels aside, and adds to chroma a share of the luma grain beneath. The coefficients follow from
the autocovariance (the two-dimensional Yule-Walker equations; Ranganath and Jain, IEEE Trans. ASSP 33, 1985), are
rounded to the standard's fixed point, and then moved by single steps for as long as that brings the spectrum nearer.

Spectra are real (N, N) power over the frequencies of numpy's fft2, mean 1 for variance 1; the fields are symmetric.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

MOST_LAG = 3
SIDE = 48
"""N: a spectrum's points along an axis."""
_ROWS, _COLUMNS, _PAD = 73, 82, 3  # the luma template; chroma in 4:2:0 has 38 x 44
_TEMPLATES = 160  # enough for a percent of sigma, whatever the grain's size
_SEED = 1
_SWEEPS = 6
_CLOSE = 0.01  # of an autocorrelation: no need for a longer filter


def neighbours(lag: int) -> list[tuple[int, int]]:
    """Return (dy, dx) of the filter's pixels in the order of the standard.

    >>> neighbours(1)
    [(-1, -1), (-1, 0), (-1, 1), (0, -1)]
    """
    rows = [(dy, dx) for dy in range(-lag, 0) for dx in range(-lag, lag + 1)]
    return rows + [(0, dx) for dx in range(-lag, 0)]


def resampled(spectrum: Floats, ratio: float) -> Floats:
    """Return the spectrum after the picture was made smaller by `ratio` (mean of what each new pixel covers).

    The mean of the result over that of `spectrum` is what is left of the variance. A ratio under 1 interpolates. Cross
    spectra may be given too.
    """
    f = np.fft.fftfreq(SIDE)
    if ratio == 1:
        return spectrum
    whole = ratio == round(ratio) and ratio > 1
    # The mean of `ratio` samples where that is a whole number, else of the continuous picture.
    box = np.ones(SIDE) if ratio < 1 else np.sinc(ratio * f) / (np.sinc(f) if whole else 1.0)
    lags = np.fft.fftfreq(SIDE, 1 / SIDE)
    at = np.cos(2 * np.pi * np.outer(lags * ratio, f)) * (np.abs(lags * ratio) < SIDE / 2)[:, None]
    covariance = at @ (spectrum * np.outer(box**2, box**2)) @ at.T / SIDE**2
    return np.asarray(np.fft.fft2(covariance).real)


@dataclass(frozen=True)
class Filter:
    """A fitted plane."""

    coefficients: tuple[int, ...]
    """Over 2^shift; for chroma the share of luma comes last."""
    sigma: float
    """Of the filtered template, where white noise of variance 1 goes in."""
    autocorrelation: Floats
    """(4, 7): of the template, dy 0 … 3 down, dx -3 … 3."""
    misfit: float
    """Largest difference from the autocorrelation that was asked for."""
    correlation: float
    """With the luma grain beneath."""


@dataclass(frozen=True)
class Target:
    """What a plane should look like."""

    spectrum: Floats
    """Above 0 everywhere."""
    correlation: float = 0.0
    """With luma's mean over the same pixel; only its value at lag 0 is asked for."""

    @property
    def autocorrelation(self) -> Floats:
        """(4, 7), as `Filter`'s."""
        return _lags(_half(self.spectrum))


def _lags(half: Floats) -> Floats:
    covariance = np.fft.irfft2(half)
    reach = np.arange(-MOST_LAG, MOST_LAG + 1)
    rows = covariance[: MOST_LAG + 1][:, reach]
    return np.asarray(rows / covariance[0, 0])


def _predict(target: Target, lag: int) -> Floats:
    """Return the coefficients that predict a pixel best from those before it."""
    places = neighbours(lag)
    if not places:
        return np.zeros(0)
    covariance = np.fft.ifft2(target.spectrum).real
    k = np.array(places)
    gaps = k[:, None] - k[None]
    matrix = covariance[gaps[..., 0], gaps[..., 1]] + 1e-6 * covariance[0, 0] * np.eye(len(k))
    return np.asarray(np.linalg.solve(matrix, covariance[k[:, 0], k[:, 1]]))


@lru_cache(maxsize=MOST_LAG + 1)
def _phases(lag: int) -> npt.NDArray[np.complex128]:
    """Return (pixels, N, N / 2 + 1): each pixel of the filter seen from each frequency of numpy's rfft2."""
    f, half = np.fft.fftfreq(SIDE), np.fft.rfftfreq(SIDE)
    k = np.array(neighbours(lag)).reshape(-1, 2)
    turns = k[:, 0, None, None] * f[:, None] + k[:, 1, None, None] * half[None]
    return np.asarray(np.exp(2j * np.pi * turns))


def _response(a: Floats, lag: int) -> npt.NDArray[np.complex128]:
    """Return the filter's transfer function 1 / (1 - A), (N, N / 2 + 1)."""
    below = 1 - np.einsum("k,kyx->yx", a, _phases(lag))
    # A root on a frequency itself: no filter that anybody keeps.
    return np.asarray(1 / np.where(below == 0, 1e-9, below))


def _half(spectrum: Floats) -> Floats:
    """Return the frequencies of rfft2."""
    return spectrum[:, : SIDE // 2 + 1]


def _whole(half: Floats) -> Floats:
    """Return all frequencies of a spectrum from those of rfft2: it is even."""
    mirror = -np.arange(SIDE)
    rest = half[mirror][:, SIDE // 2 - 1 : 0 : -1]
    return np.concatenate([half, rest], axis=1)


def _mean(half: Floats) -> float:
    """Return the mean over all frequencies."""
    return float((2 * half.sum() - half[:, 0].sum() - half[:, -1].sum()) / SIDE**2)


def run(a: Floats, lag: int, noise: Floats) -> Floats:
    """Filter fields (…, rows, columns) in raster order; a border of three pixels above and at the sides stays as it is.

    Linear: without the decoder's rounding and clipping.
    """
    from scipy.signal import lfilter  # a second to import, which the command line's help need not wait for

    out = noise.copy()
    places = neighbours(lag)
    within = a[len(places) - lag :][::-1]
    last = noise.shape[-1] - _PAD
    for y in range(_PAD, noise.shape[-2]):
        row = out[..., y, _PAD:last].copy()
        for value, (dy, dx) in zip(a, places, strict=True):
            if dy < 0:
                row += value * out[..., y + dy, _PAD + dx : last + dx]
        before = out[..., y, _PAD - lag : _PAD]
        if lag:
            # lfilter's state for the pixels before the first, newest last.
            state = np.stack(
                [sum(within[j] * before[..., lag - 1 - (j - i)] for j in range(i, lag)) for i in range(lag)], axis=-1
            )
            row = lfilter([1.0], np.concatenate([[1.0], -within]), row, axis=-1, zi=state)[0]
        out[..., y, _PAD:last] = row
    return out


def _stable(a: Floats, lag: int) -> bool:
    """Tell whether an impulse dies away in a template's size, and with the energy that the frequencies say."""
    impulse = np.zeros((_ROWS, 2 * _COLUMNS))
    impulse[_PAD, _COLUMNS] = 1
    energy = float(np.square(run(a, lag, impulse)).sum())
    return bool(np.isfinite(energy) and abs(energy / _mean(_made(a, lag, 0.0, None)[0]) - 1) < 0.02)


def _made(a: Floats, lag: int, share: float, luma: Floats | None) -> tuple[Floats, float]:
    """Return the spectrum (of rfft2) that a filter makes of white noise and luma, and its correlation with luma."""
    transfer = _response(a, lag)
    power = np.square(transfer.real) + np.square(transfer.imag)
    if luma is None:
        return np.asarray(power), 0.0
    spectrum = power * (1 + share**2 * luma)
    both = share * _mean(transfer.real * luma)
    return np.asarray(spectrum), both / float(np.sqrt(_mean(spectrum) * _mean(luma)))


def _share(a: Floats, lag: int, wanted: float, luma: Floats) -> float:
    """Return how much luma gives a correlation."""
    if not wanted:
        return 0.0
    low, high = 0.0, 64.0
    if abs(_made(a, lag, high, luma)[1]) < abs(wanted):
        return float(np.copysign(high, wanted))
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if abs(_made(a, lag, middle, luma)[1]) < abs(wanted) else (low, middle)
    return float(np.copysign(high, wanted))


def _solve(target: Target, lag: int, luma: Floats | None) -> Floats:
    """Return unrounded coefficients, for chroma with the share of luma last."""
    if luma is None:
        return _predict(target, lag)
    share = 0.0
    a = _predict(target, lag)
    for _ in range(8):
        share = _share(a, lag, target.correlation, luma)
        # What the filter must make of white noise, once what it makes of white noise and luma is as asked for.
        driven = _whole(1 + share**2 * luma)
        wanted = target.spectrum / driven
        a = _predict(Target(wanted / wanted.mean()), lag)
    return np.append(a, share)


def _cost(whole: Floats, lag: int, shift: int, target: Target, wanted: Floats, luma: Floats | None) -> float:
    """Return how far the spectrum is off, squared, and the correlation with luma."""
    values = whole / (1 << shift)
    count = len(neighbours(lag))
    share = float(values[count]) if luma is not None else 0.0
    spectrum, correlation = _made(values[:count], lag, share, luma)
    off = np.square(spectrum / _mean(spectrum) - wanted).mean()
    return float(off + 2 * (correlation - target.correlation) ** 2)


def _round(values: Floats, lag: int, shift: int, target: Target, luma: Floats | None) -> Floats:
    """Return whole coefficients, moved step by step to where the spectrum is nearest."""
    whole = np.clip(np.rint(values * (1 << shift)), -128, 127)
    shrink = 1.0
    while not _stable(whole[: len(neighbours(lag))] / (1 << shift), lag):
        # Grain too coarse for the fixed point: a filter that forgets sooner.
        shrink *= 0.98
        whole = np.clip(np.rint(values * shrink * (1 << shift)), -128, 127)
    wanted = _half(target.spectrum / target.spectrum.mean())
    count = len(neighbours(lag))
    best = _cost(whole, lag, shift, target, wanted, luma)
    for _ in range(_SWEEPS):
        last, start = best, whole
        for index in range(len(whole)):
            for step in (-1, 1):
                trial = whole.copy()
                trial[index] += step
                if -128 <= trial[index] <= 127:
                    cost = _cost(trial, lag, shift, target, wanted, luma)
                    if cost < best:
                        whole, best = trial, cost
                        break
        if not _stable(whole[:count] / (1 << shift), lag):
            return start
        if best > 0.98 * last:
            break
    return whole


@dataclass(frozen=True)
class Fit:
    """The filters of Y, Cb, Cr; the last two are None where there is no chroma."""

    lag: int
    shift: int
    y: Filter
    cb: Filter | None
    cr: Filter | None


def fit(y: Target, cb: Target | None, cr: Target | None) -> Fit:
    """Fit the three planes; chroma, both or none, at half the resolution along either axis (4:2:0)."""
    targets = [plane for plane in (y, cb, cr) if plane is not None]
    best: tuple[float, int, int, list[Floats]] | None = None
    for lag in range(MOST_LAG + 1):
        worst, shift, whole = _whole_numbers(targets, lag)
        if best is None or worst < 0.9 * best[0]:
            best = worst, lag, shift, whole
        if best[0] < _CLOSE:
            break
    assert best is not None
    _, lag, shift, whole = best
    found = _tried(targets, whole, lag, shift)
    return Fit(lag, shift, found[0], *(found[1:] or (None, None)))


def _whole_numbers(targets: list[Target], lag: int) -> tuple[float, int, list[Floats]]:
    """Return the largest difference of an autocorrelation, the shift, and the coefficients of each plane."""
    raw: list[Floats] = []
    for target in targets:
        raw.append(_solve(target, lag, _luma(raw[0], lag) if raw else None))
    most = max((float(np.abs(values).max()) for values in raw if values.size), default=0.0)
    shift = next((s for s in (9, 8, 7) if most * (1 << s) <= 126), 6)
    whole: list[Floats] = []
    worst = 0.0
    for target, values in zip(targets, raw, strict=True):
        luma = _luma(whole[0] / (1 << shift), lag) if whole else None
        whole.append(_round(values, lag, shift, target, luma))
        parts = whole[-1] / (1 << shift)
        spectrum, _ = _made(parts[: len(neighbours(lag))], lag, float(parts[-1]) if luma is not None else 0.0, luma)
        worst = max(worst, float(np.abs(_lags(spectrum) - target.autocorrelation).max()))
    return worst, shift, whole


def _tried(targets: list[Target], whole: list[Floats], lag: int, shift: int) -> list[Filter]:
    """Return the filters with what they make of templates, beginnings and borders included."""
    rng = np.random.default_rng(_SEED)
    luma = run(whole[0] / (1 << shift), lag, rng.standard_normal((_TEMPLATES, _ROWS, _COLUMNS)))
    filters = [_measured(luma[:, 9:, 9:73], None, whole[0], targets[0])]
    # Luma's mean over each pixel of the chroma template; 0 at its border, which is not filtered.
    inside = luma[:, _PAD:, _PAD:-_PAD]
    inside = inside.reshape(_TEMPLATES, inside.shape[1] // 2, 2, inside.shape[2] // 2, 2).mean((2, 4))
    below = np.pad(inside, ((0, 0), (_PAD, 0), (_PAD, _PAD)))
    for target, values in zip(targets[1:], whole[1:], strict=True):
        parts = values / (1 << shift)
        field = run(parts[:-1], lag, rng.standard_normal(below.shape) + parts[-1] * below)
        filters.append(_measured(field[:, 6:, 6:38], below[:, 6:, 6:38], values, target))
    return filters


def _luma(a: Floats, lag: int) -> Floats:
    """Return the spectrum (of rfft2) of luma's mean over a chroma pixel, where white noise of variance 1 goes in."""
    return _half(np.maximum(resampled(_whole(_made(a, lag, 0.0, None)[0]), 2.0), 1e-9))


def _measured(field: Floats, below: Floats | None, whole: Floats, target: Target) -> Filter:
    rows, columns = field.shape[1:]
    variance = float(np.square(field).mean())
    found = np.empty((MOST_LAG + 1, 2 * MOST_LAG + 1))
    for dy in range(MOST_LAG + 1):
        for dx in range(-MOST_LAG, MOST_LAG + 1):
            a = field[:, : rows - dy, max(0, -dx) : columns - max(0, dx)]
            b = field[:, dy:, max(0, dx) : columns - max(0, -dx)]
            found[dy, dx + MOST_LAG] = (a * b).mean() / variance
    together = 0.0
    if below is not None:
        together = float((field * below).mean() / np.sqrt(variance * np.square(below).mean()))
    return Filter(
        tuple(int(v) for v in whole),
        variance**0.5,
        found,
        float(np.abs(found - target.autocorrelation).max()),
        together,
    )
