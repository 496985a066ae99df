"""How much of a plate's noise is film grain, and how much digital: by its spectrum, and by how it goes with light."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from safelight.nodes.grain.residual import SIDE
from safelight.nodes.grain.spectrum import pixel_overlaps
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.grain.survey import Reading

Floats = npt.NDArray[np.float64]

_CLOUDS = np.geomspace(0.15, 2.5, 80)  # sigma of a film's dye clouds over the pixel's edge
_SHARES = np.linspace(0, 1, 101)
_STOCKS = ("50D", "250D", "200T", "500T")
_WITHIN = 4.0  # stops from mid-grey to the levels that are looked at, as for the spectrum
_FEWEST, _SPAN = 5, 3.0  # levels, and stops between the outer ones, from which light tells anything
_SHAPE = 0.1  # of a variance: what stocks and developments leave of a published granularity
_EXPOSURES = (-1.0, -0.5, 0.0, 0.5, 1.0)  # stops by which a plate of an unknown stock may have been graded
_FITS, _CONTRADICTS = 4.0, 9.0  # chi-square above the best
_OTHERS = 1e-6  # of a correlation, squared: what the model of the clouds leaves out


def film_share(
    correlation: Floats,
    blocks: float,
    pitch: float | None,
    readings: Sequence[Reading] = (),
    layer: int = 1,
    stock: str = "",
) -> tuple[float, float, float]:
    """Return film's share of the variance, mean over the blocks measured, and the least and most that fit.

    By the spectrum: white noise adds to lag 0 alone, so at all other lags the autocorrelation is the film's times its
    share. Clouds are taken to be 0.15 to 2.5 pixels in sigma; with a pitch, 1.5 to 4.5 µm. By light: photon and read
    noise of a sensor have a variance a + b · light; film's is that of a density, times the square of the slope of the
    characteristic curve. On coarse pixels film is nearly white and light decides, on fine ones the spectrum does.

    Parameters
    ----------
    correlation, blocks:
        (REACH + 1, REACH + 1) autocorrelation, and how many blocks it is of.
    pitch:
        Distance of pixels on the film, µm; None: unknown.
    readings:
        Variance of scene-linear light at its levels; none where the plate is not scene-linear.
    layer:
        Of the film, for the channel: 0 red, 1 green, 2 blue.
    stock:
        The film's; empty: any.
    """
    spectral, freedom = _spectral(correlation, blocks, pitch)
    light, levels = _by_light(readings, layer, (stock,) if stock else _STOCKS)
    # Neither model is perfect: each counts by how well it fits at its best.
    spectral /= max(1.0, float(spectral.min()) / freedom)
    light /= max(1.0, float(light.min()) / levels)
    coloured, likely = spectral <= spectral.min() + _FITS, light <= light.min() + _FITS
    if light[coloured].min() <= light.min() + _CONTRADICTS:
        misfit = spectral + light
        fits = misfit <= misfit.min() + _FITS
        return float(_SHARES[int(np.argmin(misfit))]), float(_SHARES[fits].min()), float(_SHARES[fits].max())
    best, least, most = float(_SHARES[int(np.argmin(spectral))]), _SHARES[coloured].min(), _SHARES[coloured].max()
    # White noise is no film's, however it goes with light; what is coloured may be a sensor's that was debayered.
    return best, float(min(least, _SHARES[likely].min())) if most > _SHARES[likely].max() else float(least), float(most)


def _spectral(correlation: Floats, blocks: float, pitch: float | None) -> tuple[Floats, int]:
    """Return for each share how badly its best cloud fits the autocorrelation, chi-square; degrees of freedom."""
    clouds = _CLOUDS if not pitch else np.geomspace(1.5 / pitch, 4.5 / pitch, 80)
    lags = np.array([(y, x) for y in range(4) for x in range(4) if y or x])
    seen = correlation[lags[:, 0], lags[:, 1]]
    # Means over two or four places a pixel.
    per = np.where((lags > 0).all(1), 2.0, 1.0) * max(blocks, 1) * SIDE**2
    weight = 1 / (2 * np.sum(correlation**2) / per + _OTHERS)
    misfit = np.full(len(_SHARES), np.inf)
    for cloud in clouds:
        line = pixel_overlaps(float(cloud), 1.0, 3)
        line /= line[0]
        error = seen - _SHARES[:, None] * (line[lags[:, 0]] * line[lags[:, 1]])
        misfit = np.minimum(misfit, (error**2 * weight).sum(1))
    return misfit, len(lags) - 2


def _by_light(readings: Sequence[Reading], layer: int, stocks: Sequence[str]) -> tuple[Floats, int]:
    """Return for each share how badly its best stock fits the variances, chi-square; degrees of freedom."""
    lowest, highest = 0.18 * 2**-_WITHIN, 0.18 * 2**_WITHIN
    rows = [row for row in readings if lowest <= row.level <= highest and row.linear > 0]
    light = np.array([row.level for row in rows])
    if len(rows) < _FEWEST or np.log2(light.max() / light.min()) < _SPAN:
        return np.zeros(len(_SHARES)), 1
    variance = np.array([row.linear for row in rows])
    blocks = np.array([row.blocks for row in rows], np.float64)
    scale = 1 / (variance * np.hypot(_SHAPE, [row.error / row.variance for row in rows]))
    sensor = np.stack([light, np.ones_like(light)], axis=1) * scale[:, None]
    misfit = np.full(len(_SHARES), np.inf)
    graded = _EXPOSURES if len(stocks) > 1 else (0.0,)
    for stock, stops in ((stock, stops) for stock in stocks for stops in graded):
        film = _film_variance(stock, layer, light * 2.0**stops)
        film = film / np.average(film / variance, weights=blocks)  # at share 1
        for index, share in enumerate(_SHARES):
            rest = nnls(sensor, (variance - share * film) * scale)[1]
            misfit[index] = min(misfit[index], rest**2)
    return misfit, len(rows) - 3


@lru_cache(maxsize=64)
def _slope(stock: str, layer: int) -> tuple[Floats, Floats]:
    """Return light, ascending, and how fast it grows with density there."""
    curve = load_stock(stock).curves[layer]
    light = 0.18 * 2.0 ** np.linspace(-_WITHIN - 2, _WITHIN + 2, 600)
    return light, np.asarray(np.gradient(light, curve.net(light)))


def _film_variance(stock: str, layer: int, light: Floats) -> Floats:
    """Return the variance of scene-linear light of a stock's grain, up to a factor."""
    at, slope = _slope(stock, layer)
    return np.asarray((load_stock(stock).sigma48_at(layer, light) * np.interp(light, at, slope)) ** 2)
