"""What is known of a colour or of another print held against what the picture tells of its fading.

The estimate from the picture is a Gaussian guess (`fade_estimate`): the patch or the reference is believed as far as it
is exact, and what it cannot say stays as guessed. Gauss and Newton's steps with Levenberg's damping.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from safelight.nodes.colour.fade_estimate import HIGHEST, LOWEST
from safelight.nodes.colour.fade_statistics import Floats, quantiles
from safelight.nodes.colour.fading import Fade

Residual = Callable[[Floats], Floats]
"""From parameters (15) to what is left to explain, in standard deviations."""

EXACT = 0.01
"""Density that a patch of known colour, or a grey one, is good to."""
SKIN = np.array([[0.539, 0.305, 0.223], [0.171, 0.084, 0.058]])
"""Linear Rec.709 light of the two skins of the ColorChecker chart (patches 2 and 1)."""
SKIN_SPREAD = 0.05
"""Density by which the records of one skin differ from those of another, beside how dark it is."""
PIXEL = 0.06
"""Density that a pixel of a reference is good to: grain, another lens, another print."""
SHAPE = 0.05
"""Density that a quantile of a picture is good to against that of another picture of the same scene."""
POINTS = 500
_OUTLIER = 1.5
_LEVELS = tuple(np.linspace(0.02, 0.98, 13))


def believed(vector: Floats, covariance: Floats, left: Residual, steps: int = 12) -> tuple[Floats, Floats]:
    """Return parameters and covariance once a residual has been heard."""
    values, axes = np.linalg.eigh(covariance)
    basis = axes[:, values > 1e-10] * np.sqrt(values[values > 1e-10])
    z, damping = np.zeros(basis.shape[1]), 1e-3

    def at(z: Floats) -> Floats:
        return np.asarray(np.clip(vector + basis @ z, LOWEST, HIGHEST), np.float64)

    def cost(z: Floats, r: Floats) -> float:
        return float(z @ z + r @ r)

    r = left(at(z))
    slopes = _slopes(left, at, z, r)
    for _ in range(steps):
        normal = np.eye(z.size) * (1 + damping) + slopes.T @ slopes
        moved = z - np.linalg.solve(normal, z + slopes.T @ r)
        after = left(at(moved))
        if cost(moved, after) < cost(z, r):
            small = cost(z, r) - cost(moved, after) < 1e-4 * cost(z, r) + 1e-6
            z, r, damping = moved, after, damping / 4
            slopes = _slopes(left, at, z, r)
            if small:
                break
        else:
            damping = max(damping * 8, 1e-2)
    return at(z), np.asarray(basis @ np.linalg.inv(np.eye(z.size) + slopes.T @ slopes) @ basis.T)


def _slopes(left: Residual, at: Callable[[Floats], Floats], z: Floats, r: Floats) -> Floats:
    step = 1e-3
    if not z.size:
        return np.zeros((r.size, 0))
    return np.stack([(left(at(z + step * one)) - r) / step for one in np.eye(z.size)], axis=1)


def neutral(density: Floats) -> Residual:
    """Return the residual of patches (3, n) that were grey: their records were equal."""

    def left(vector: Floats) -> Floats:
        d = Fade.of(vector).repaired(density)
        return np.concatenate([d[0] - d[1], d[2] - d[1]]) / EXACT

    return left


def skin(density: Floats, typical: Floats) -> Residual:
    """Return the residual of patches (3, n) of skin; `typical` (3, m) are densities of skins in the same records."""
    rg, bg = typical[0] - typical[1], typical[2] - typical[1]

    def left(vector: Floats) -> Floats:
        d = Fade.of(vector).repaired(density)
        return np.concatenate([d[0] - d[1] - rg.mean(), d[2] - d[1] - bg.mean()]) / SKIN_SPREAD

    return left


def known(density: Floats, truth: Floats) -> Residual:
    """Return the residual of patches (3, n) whose true densities are given."""
    return lambda vector: ((Fade.of(vector).repaired(density) - truth) / EXACT).ravel()


def pixelwise(pairs: Sequence[tuple[Floats, Floats]]) -> Residual:
    """Return the residual of small pictures (3, h, w) and their references, pixel on pixel; outliers count less."""
    ours, theirs = (np.concatenate([np.reshape(p[i], (3, -1)) for p in pairs], 1) for i in (0, 1))
    every = max(1, ours.shape[1] // POINTS)
    ours, theirs = ours[:, ::every], np.clip(theirs[:, ::every], -0.3, 2.6)

    def left(vector: Floats) -> Floats:
        apart = (np.clip(Fade.of(vector).repaired(ours), -0.3, 2.6) - theirs) / PIXEL
        # Huber's loss as a residual: its square grows linearly beyond the outlier.
        size = np.abs(apart)
        far = np.sqrt(np.maximum(2 * _OUTLIER * size - _OUTLIER**2, 0.0))
        return np.asarray(np.where(size > _OUTLIER, np.sign(apart) * far, apart).ravel())

    return left


def alike(ours: Floats, theirs: Floats) -> Residual:
    """Return the residual of a picture (3, n) and another of the same scene (3, m): their distributions."""

    def figures(d: Floats) -> Floats:
        d = np.clip(d, -0.3, 2.6)
        return quantiles(np.concatenate([d, d[:1] - d[1:2], d[2:] - d[1:2], d[:1] - d[2:]]), _LEVELS).ravel()

    wanted, every = figures(theirs), max(1, ours.shape[1] // 4000)
    few = ours[:, ::every]
    return lambda vector: (figures(Fade.of(vector).repaired(few)) - wanted) / SHAPE


def registered(ours: Floats, theirs: Floats) -> bool:
    """Tell whether two small pictures (3, h, w) show the same thing in the same place."""
    if ours.shape != theirs.shape:
        return False
    a, b = (np.clip(one, -0.3, 3).mean(0) for one in (ours, theirs))
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum()) > 0.85 * float(np.sqrt((a * a).sum() * (b * b).sum())) > 0
