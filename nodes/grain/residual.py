"""What noise is left in blocks of a plate once the picture is taken out of them, and its statistics without bias.

The picture is taken out by a plane fitted to each 16 × 16 block: of the difference of two neighbouring frames (where
the picture stands still only noise is left, times √2), or of one frame (where it is flat). Fitting takes noise along:
by how much follows from the noise's autocovariance c, as every figure is a quadratic form r'Tr of the residual r = Px
with expectation tr(T P C P), linear in c. So c is found by solving that system (`autocovariance`): no window, no
smearing of the spectrum. Lags beyond `REACH` are taken to be uncorrelated.

Blocks that hold more than noise are told by their energy: a few percent of spread is all that noise alone gives it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, rfft2

from safelight.nodes.grain.domain import Coding

Floats = npt.NDArray[np.float64]
Singles = npt.NDArray[np.float32]

SIDE = 16
"""Edge of a block, pixels."""
REACH = 7
"""Largest lag of the autocovariance, pixels along an axis."""
_N = SIDE * SIDE
_LAGS = REACH + 1
_BROAD = 4
_PADDED = 24


@dataclass(frozen=True)
class Blocks:
    """Statistics of n blocks, C channels."""

    level: Floats
    """(n, C) mean plate value."""
    sums: Floats
    """(n, C, (REACH + 1)²) residual's products at each lag, all pairs with that |dy|, |dx|."""
    cross: Floats
    """(n, C, C) mean products of the channels' residuals."""
    linear: Floats
    """(n, C) mean square of the residual in plate values."""
    judge: Floats
    """(n, C) mean square of what else is known of the block, whose noise is independent; 0 where nothing is."""

    @classmethod
    def join(cls, parts: list[Blocks]) -> Blocks:
        """Return all blocks as one."""
        return cls(*(np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__))


def cut(planes: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return (C, H, W) as blocks (n, C, SIDE, SIDE), row by row; what is over at the right and below is left out."""
    c, h, w = planes.shape
    rows, columns = h // SIDE, w // SIDE
    blocks = planes[:, : rows * SIDE, : columns * SIDE].reshape(c, rows, SIDE, columns, SIDE)
    return blocks.transpose(1, 3, 0, 2, 4).reshape(rows * columns, c, SIDE, SIDE)


def piled_up(planes: npt.NDArray[Any]) -> tuple[Floats, Floats]:
    """Return the value at which each plane (C, H, W) is clipped below, and above; not a number where it is not.

    A plane is clipped where more pixels have its smallest (or largest) value than have the next one: in noise, also in
    noise rounded to whole codes, they become fewer towards the ends.
    """
    found = np.full((2, len(planes)), np.nan)
    for c, plane in enumerate(planes):
        known = plane.ravel()
        if not np.isfinite(known.sum(dtype=np.float64)):
            known = known[np.isfinite(known)]
        for side, (least, beyond) in enumerate(((np.min, np.greater), (np.max, np.less))):
            if not known.size:
                continue
            end = least(known)
            if (piled := np.count_nonzero(known == end)) > 1:
                rest = known[beyond(known, end)]
                following = np.count_nonzero(rest == least(rest)) if rest.size else 0
                if piled > following:
                    found[side, c] = end
    return found[0], found[1]


def usable(
    blocks: npt.NDArray[Any], ends: tuple[Floats, Floats], coding: Coding
) -> tuple[npt.NDArray[np.bool_], Singles, Singles]:
    """Return which blocks (n, C, SIDE, SIDE) are finite and not clipped, their values, and those in the domain."""
    raw = blocks.astype(np.float32)
    # A sum that is finite has no part that is not.
    good: npt.NDArray[np.bool_] = np.isfinite(raw.sum((1, 2, 3), dtype=np.float64))
    for end in ends:
        for c in np.flatnonzero(np.isfinite(end)):
            good = good & ((raw[:, c] == end[c]).sum((1, 2)) <= 1)
    raw[~good] = 0
    return good, raw, coding.encode_single(raw.swapaxes(0, 1)).swapaxes(0, 1)


def measure(values: Singles, linear: Singles, level: Floats, judge: Singles | None = None) -> Blocks:
    """Return the statistics of blocks (n, C, SIDE, SIDE), in the domain and in plate values; `judge` in the domain."""
    rest = _flatten(values)
    # Long enough that the lags kept do not meet those from the other end.
    wide = rfft2(rest, (_PADDED, _PADDED))
    both = irfft2(wide.real**2 + wide.imag**2, (_PADDED, _PADDED))
    near = both[..., :_LAGS, :].copy()
    near[..., 1:, :] += both[..., :-_LAGS:-1, :] if REACH else 0
    sums = near[..., :_LAGS].copy()
    sums[..., 1:] += near[..., :-_LAGS:-1]
    flat = rest.reshape(*rest.shape[:2], _N)
    return Blocks(
        level,
        sums.reshape(*rest.shape[:2], _LAGS * _LAGS).astype(np.float64),
        (flat @ flat.swapaxes(1, 2) / _N).astype(np.float64),
        _power(_flatten(linear)),
        np.zeros_like(level) if judge is None else _power(_flatten(judge)),
    )


def _power(blocks: Singles) -> Floats:
    """Return the mean square of each block (n, C, SIDE, SIDE)."""
    return np.asarray(np.einsum("ncyx,ncyx->nc", blocks, blocks), np.float64) / _N


@lru_cache(maxsize=1)
def _plane() -> Floats:
    """Return (3, N) orthonormal: constant and slopes."""
    t = np.arange(SIDE) - (SIDE - 1) / 2
    y, x = np.meshgrid(t, t, indexing="ij")
    basis = np.stack([np.ones(_N), y.ravel(), x.ravel()])
    return np.asarray(basis / np.linalg.norm(basis, axis=1, keepdims=True))


def _flatten(blocks: Singles) -> Singles:
    """Return blocks without their plane, in single precision: what is left is small."""
    basis = _plane()
    flat = blocks.reshape(-1, _N)
    # The mean goes first: what is left has all its digits.
    rest = np.asarray(flat - flat.mean(1, keepdims=True), np.float32)
    slopes = basis[1:].astype(np.float32)
    rest -= (rest @ slopes.T) @ slopes
    return rest.reshape(blocks.shape)


@dataclass(frozen=True, eq=False)
class _Moments:
    """What the figures of a block are expected to be, linear in the noise's autocovariance c over all lags, and their
    variances, quadratic in it."""

    system: Floats
    """(lags, lags): tr(P T P T'), of the products at each lag; c' system c is half the variance of the energy."""
    energy: Floats
    """(lags,): tr(P T P)."""
    broad: Floats
    """(lags,): tr(B P T P), B the form of the broad part."""
    broad_system: Floats
    """(lags, lags): tr(B P T P B P T' P)."""


@lru_cache(maxsize=1)
def _moments() -> _Moments:
    lag = np.abs(np.subtract.outer(np.arange(SIDE), np.arange(SIDE)))
    basis = _plane()
    lines = np.stack([lag == d for d in range(_LAGS)]).astype(np.float64)
    plain = np.einsum("aij,bkl->abikjl", lines, lines).reshape(_LAGS * _LAGS, _N, _N)
    half = plain @ basis.T  # (lags, N, 3)
    inner = basis @ half
    forms = plain - half @ basis - basis.T @ half.swapaxes(1, 2) + basis.T @ inner @ basis
    # The broad form adds up all pairs of pixels under four apart: what is broad weighs most. It is separable.
    near, count = (lag < _BROAD).astype(np.float64), len(forms)
    low = (near @ forms.reshape(count, SIDE, SIDE * _N)).reshape(count, SIDE, SIDE, _N)
    low = (near @ low).reshape(count, _N, _N)
    return _Moments(
        plain.reshape(count, -1) @ forms.reshape(count, -1).T,
        np.trace(forms, axis1=1, axis2=2),
        np.trace(low, axis1=1, axis2=2),
        low.reshape(count, -1) @ low.swapaxes(1, 2).reshape(count, -1).T,
    )


def autocovariance(sums: Floats) -> Floats:
    """Return (…, REACH + 1, REACH + 1) autocovariance of the noise from blocks' mean `sums` (…, lags)."""
    found = np.linalg.solve(_moments().system, sums.reshape(-1, _LAGS * _LAGS).T).T
    return np.asarray(found.reshape(*sums.shape[:-1], _LAGS, _LAGS))


def broad(sums: Floats) -> Floats:
    """Return the broad part of blocks' energy from their `sums` (…, lags)."""
    near = sums.reshape(*sums.shape[:-1], _LAGS, _LAGS)[..., :_BROAD, :_BROAD]
    return np.asarray(near.sum((-2, -1)))


@dataclass(frozen=True)
class Spread:
    """What a block of Gaussian noise of variance 1 shows."""

    mean: float
    """Mean square of its residual."""
    relative: float
    """Standard deviation of that over it."""
    broad: float
    """Standard deviation of the broad part over its mean."""


def spread(correlation: Floats) -> Spread:
    """Return it for noise with that (REACH + 1)² autocorrelation: moments of quadratic forms of normal numbers."""
    c, facts = correlation.ravel(), _moments()
    trace = float(c @ facts.energy)
    return Spread(
        trace / _N,
        float(np.sqrt(2 * max(0.0, float(c @ facts.system @ c)))) / trace,
        float(np.sqrt(2 * max(0.0, float(c @ facts.broad_system @ c))) / max(float(c @ facts.broad), 1e-9)),
    )


def radial(correlation: Floats, bins: int) -> Floats:
    """Return the power spectrum in rings from 0 to 0.5 cycles a pixel; white noise has 1 everywhere."""
    n = 128
    f = np.fft.fftfreq(n)
    line = np.cos(2 * np.pi * np.outer(f, np.arange(correlation.shape[0])))
    line[:, 1:] *= 2
    power = line @ correlation @ line.T
    ring = np.floor(np.hypot(f[:, None], f[None]) / 0.5 * bins).astype(int)
    return np.maximum([power[ring == index].mean() for index in range(bins)], 0.0)
