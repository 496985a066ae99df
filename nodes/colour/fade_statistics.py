"""What a picture's densities look like as figures: what the estimator of fading reads.

All of it is known to be much alike in pictures that have not faded, and to move when dyes do: black and white points of
the three records (they hold share and stain), where the colours lie in four bands from light to dark (histograms of
the differences of the records, as in Barron, Convolutional color constancy, ICCV 2015: stain moves the light bands,
shares the dark ones), contrast of edges (edges of lightness are equally strong in all records: van de Weijer et al.,
Edge-based color constancy, IEEE TIP 16, 2007), correlation of the records (leaks).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SIDE = 60
"""Pixels on the long side of the picture that is looked at, at most."""
LEVELS = (0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99)
_RANGE = (-0.3, 3.0)
_NEUTRAL = 0.1
"""Density by which a near-grey pixel's records differ."""
_BANDS = 4
_BINS = 7
_NARROW, _WIDE = 0.08, 0.8
"""Differences of density: up to the first the bins are narrow, at the second they end."""
_PAIRS = ([0, 0, 1], [1, 2, 2])


def reduced(light: npt.ArrayLike, side: int = SIDE) -> Floats:
    """Return light (3, H, W) averaged over blocks of pixels to at most `side`; blocks without a finite pixel take the
    picture's median, so that they say nothing."""
    planes = np.asarray(light, np.float64)
    if not planes.size:
        return np.zeros((3, 1, 1))
    height, width = planes.shape[1:]
    step = max(1, round(max(height, width) / side))
    ys, xs = np.arange(0, height, step), np.arange(0, width, step)
    if len(ys) > 1 and height % step:  # a narrow last block would be noisier than the others
        ys, planes = ys[:-1], planes[:, : height // step * step]
    if len(xs) > 1 and width % step:
        xs, planes = xs[:-1], planes[:, :, : width // step * step]
    good = np.asarray(np.isfinite(planes).all(0))
    count = _blocks(good[None].astype(np.float64), ys, xs)
    total = _blocks(np.where(good, planes, 0.0), ys, xs)
    made = total / np.maximum(count, 1)
    if not np.all(count):
        filled = count[0] > 0
        middle = np.median(made[:, filled], axis=1) if filled.any() else np.zeros(3)
        made = np.where(filled, made, middle[:, None, None])
    return np.asarray(made)


def _blocks(planes: Floats, ys: npt.NDArray[np.intp], xs: npt.NDArray[np.intp]) -> Floats:
    return np.asarray(np.add.reduceat(np.add.reduceat(planes, ys, axis=1), xs, axis=2))


def quantiles(values: Floats, levels: Sequence[float]) -> Floats:
    """Return the values (…, n) below which these shares of them lie."""
    ordered = np.sort(values, axis=-1)
    n = ordered.shape[-1]
    return np.asarray(ordered[..., [min(n - 1, int(level * n)) for level in levels]])


def statistics(density: npt.ArrayLike) -> Floats:
    """Return the figures (n,) of a small picture's densities (3, h, w)."""
    d = np.clip(np.asarray(density, np.float64), *_RANGE)
    if d.shape[1] < 2 or d.shape[2] < 2:
        d = np.repeat(np.repeat(d, 2 if d.shape[1] < 2 else 1, 1), 2 if d.shape[2] < 2 else 1, 2)
    x = d.reshape(3, -1)
    x = x[:, np.argsort(x.mean(0), kind="stable")]
    rg, bg = x[0] - x[1], x[2] - x[1]
    differences = np.stack([rg, bg, rg - bg])
    near = 1 / (1 + (rg**2 + bg**2 - rg * bg) / _NEUTRAL**2)
    found = [quantiles(x, LEVELS), quantiles(differences, (0.02, 0.15, 0.5, 0.85, 0.98))]
    for part in np.array_split(np.arange(x.shape[1]), _BANDS):
        if not part.size:
            part = np.arange(x.shape[1])
        found.append(quantiles(differences[:2, part], (0.25, 0.5, 0.75)))
        weight = near[part]
        total = weight.sum() + 1e-9
        found.append(np.array([weight @ rg[part] / total, weight @ bg[part] / total, weight.mean()]))
        found.append(np.sqrt(_histogram(rg[part], bg[part])))
    found += _spread(np.cov(x) + 1e-12 * np.eye(3), 1e-3)
    found += _edges(d)
    found += [(d < 0.02).mean((1, 2)), (d > 2.2).mean((1, 2))]
    return np.concatenate([one.ravel() for one in found])


def _histogram(a: Floats, b: Floats) -> Floats:
    """Return the share of pixels (bins * bins,) by two differences, each pixel spread over its four nearest bins."""
    ends = np.arcsinh(_WIDE / _NARROW)
    at = [np.clip((np.arcsinh(one / _NARROW) / ends + 1) / 2 * (_BINS - 1), 0, _BINS - 1 - 1e-6) for one in (a, b)]
    low = [one.astype(np.intp) for one in at]
    part = [one - below for one, below in zip(at, low, strict=True)]
    count = np.zeros(_BINS * _BINS)
    for i in (0, 1):
        for j in (0, 1):
            weight = (part[0] if i else 1 - part[0]) * (part[1] if j else 1 - part[1])
            count += np.bincount((low[0] + i) * _BINS + low[1] + j, weight, _BINS * _BINS)
    return count / a.size


def _spread(covariance: Floats, least: float) -> list[Floats]:
    """Return ln of the standard deviations, and the correlations."""
    sigma = np.sqrt(np.diag(covariance)) + least
    return [np.log(sigma), (covariance / np.outer(sigma, sigma))[_PAIRS]]


def _edges(d: Floats) -> list[Floats]:
    across = np.diff(d, axis=2).reshape(3, -1)
    slopes = np.concatenate([across, np.diff(d, axis=1).reshape(3, -1)], 1)
    found = _spread(slopes @ slopes.T / slopes.shape[1], 1e-4)
    found.append(np.log(np.abs(slopes).mean(1) + 1e-4))
    middle = (d[:, :, 1:] + d[:, :, :-1]).reshape(3, -1) / 2
    for record, steps in zip(middle, np.abs(across), strict=True):
        order = np.argsort(record, kind="stable")
        parts = [part if part.size else order for part in np.array_split(order, 3)]
        found.append(np.array([np.log(steps[part].mean() + 1e-3) for part in parts]))
    return found
