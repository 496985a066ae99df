"""How far the dyes of a picture have faded, told from the picture alone.

Cascaded regression (Xiong and De la Torre, Supervised descent method, CVPR 2013): a linear map reads the figures of
`fade_statistics` and corrects the parameters of the fade; the picture is repaired by them, read again, corrected again.
The maps were fitted by `fade_training` so that the repaired picture's colours, not the parameters, come out right.
What the fit left over in pictures it had not seen is kept as a covariance: it says how sure an estimate is, and how
much a patch of known colour is to be believed against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from safelight.colour.difference import lab
from safelight.nodes.colour.fade_statistics import Floats, reduced, statistics
from safelight.nodes.colour.fading import MEDIA, Fade, Medium

COUNT = 15
"""Parameters of a fade: `Fade.vector`."""
LOWEST = np.array([-1.9] * 3 + [-0.14] * 3 + [-0.4] * 3 + [-0.2] * 6)
HIGHEST = np.array([0.7] * 3 + [0.4] * 3 + [0.9] * 3 + [0.3] * 6)
NUMBERS = Path(__file__).with_name("fades")
_FAR = 4.0  # standard deviations at which a figure is held: what was never seen is not extrapolated
# Rec.709 to CIE XYZ: the records' own primaries serve well enough to say how different two colours look.
_XYZ = np.array(
    [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]]
)

Reason = Literal["", "black", "one colour", "monochrome", "empty"]


@dataclass(frozen=True)
class Stage:
    """One linear map, of low rank: parameters += left @ right @ (standardised figures, parameters so far, 1)."""

    mean: Floats
    scale: Floats
    left: Floats
    right: Floats


@dataclass(frozen=True)
class Estimator:
    """What was fitted for one medium."""

    stages: tuple[Stage, ...]
    unit: Floats
    """(15,) parameters are divided by it on their way into a map; 0 where the medium has no such parameter."""
    covariance: Floats
    """(15, 15) of the errors on pictures that were not fitted on."""
    gate: Floats
    """Weights of a row of the first stage and of the parameters found: how faded a picture looks, a logit."""
    usual: Floats
    """(27,) mean of the first figures, the quantiles of the three records, in pictures that have not faded."""

    def vector(self, density: Floats) -> Floats:
        """Return the parameters of the fade of a small picture's densities (3, h, w)."""
        found = levelled(density, self.usual)
        for stage in self.stages:
            figures = standardised(statistics(Fade.of(found).repaired(density)), stage)
            found = found + stage.left @ (stage.right @ self._row(figures, found))
            found = np.clip(found, LOWEST, HIGHEST)
        return np.where(self.unit > 0, found, 0.0)

    def steady(self, density: Floats) -> Floats:
        """Return the mean of what the picture tells and what its four corners tell, each of 0.8 of its sides."""
        height, width = density.shape[1:]
        h, w = max(1, int(0.8 * height)), max(1, int(0.8 * width))
        corners = [density[:, y : y + h, x : x + w] for y in (0, height - h) for x in (0, width - w)]
        return np.asarray(np.mean([self.vector(one) for one in (density, *corners)], axis=0), np.float64)

    def _row(self, figures: Floats, found: Floats) -> Floats:
        return np.concatenate([figures, found / np.where(self.unit > 0, self.unit, 1), [1.0]])

    def faded(self, density: Floats, found: Floats) -> float:
        """Return how surely this picture has faded: 0 not, 1 it has."""
        first = levelled(density, self.usual)
        figures = standardised(statistics(Fade.of(first).repaired(density)), self.stages[0])
        row = np.concatenate([self._row(figures, first), found / np.where(self.unit > 0, self.unit, 1)])
        return float(1 / (1 + np.exp(-np.clip(float(self.gate @ row), -30, 30))))


def levelled(density: Floats, usual: Floats) -> Floats:
    """Return the parameters, shares and stains alone, that bring the records' quantiles nearest to the usual ones."""
    own = statistics(density)[: usual.size].reshape(3, -1)
    usual = usual.reshape(3, -1)
    apart = usual - usual.mean(1, keepdims=True)
    share = np.clip((own * apart).sum(1) / (apart**2).sum(1), 0.1, 2.0)
    found = np.zeros(COUNT)
    found[:3], found[6:9] = np.log(share), own.mean(1) - share * usual.mean(1)
    return np.clip(found, LOWEST, HIGHEST)


def standardised(figures: Floats, stage: Stage) -> Floats:
    """Return figures over the spread they had when the stage was fitted, held within what was seen."""
    return np.asarray(np.clip((figures - stage.mean) / stage.scale, -_FAR, _FAR))


@lru_cache(maxsize=4)
def estimator(medium: str) -> Estimator:
    """Return the fitted numbers of a medium: print, negative or separations."""
    with np.load(NUMBERS / f"{medium}.npz") as kept:
        data = {name: np.asarray(kept[name], np.float64) for name in kept.files}
    count = sum(name.startswith("mean") for name in data)
    stages = tuple(Stage(*(data[f"{part}{i}"] for part in ("mean", "scale", "left", "right"))) for i in range(count))
    return Estimator(stages, data["unit"], data["covariance"], data["gate"], data["usual"])


@dataclass(frozen=True)
class Seen:
    """One frame, small, as densities of the three records."""

    frame: int
    density: Floats
    reason: Reason
    """Why nothing can be told from it; empty where something can."""

    @classmethod
    def of(cls, frame: int, light: npt.ArrayLike, medium: Medium) -> Seen:
        """Look at light (3, H, W) in the records' primaries."""
        planes = np.asarray(light, np.float64)
        reason: Reason = "empty" if not np.isfinite(planes).all(0).any() else ""
        small = reduced(planes)
        density = medium.density(small)
        return cls(frame, density, reason or _reason(small, density, medium))


def _reason(light: Floats, density: Floats, medium: Medium) -> Reason:
    if np.quantile(light, 0.995) < 1e-3 * medium.zero if medium.per_decade < 0 else np.quantile(light, 0.995) < 1e-3:
        return "black"
    d = np.clip(density.reshape(3, -1), -0.5, 3.5)
    if np.ptp(np.quantile(d, (0.02, 0.98), axis=1), axis=0).max() < 0.03:
        return "one colour"
    # The three records of a picture without colours are functions of one another, whatever cast lies over it.
    order = np.argsort(d.mean(0), kind="stable")
    parts = [part for part in np.array_split(order, max(1, min(64, order.size // 16))) if part.size]
    left = [
        d[:, part] - d[:, part].mean(0) - (d[:, part] - d[:, part].mean(0)).mean(1, keepdims=True) for part in parts
    ]
    if float(np.sqrt(np.mean(np.concatenate(left, 1) ** 2))) < 0.006:
        return "monochrome"
    return ""


def colours(density: Floats, medium: Medium) -> Floats:
    """Return CIE Lab of densities (3, …) of the records."""
    light = medium.zero * 10.0 ** (np.clip(density, -6, 8) / medium.per_decade)
    return lab(np.tensordot(_XYZ, light, 1))


def change(fade: Fade, density: Floats, medium: Medium) -> float:
    """Return the mean colour difference (CIE 1976) that repairing by `fade` makes in a small picture."""
    d = density.reshape(3, -1)
    return float(np.mean(np.linalg.norm(colours(fade.repaired(d), medium) - colours(d, medium), axis=0)))


def doubt(vector: Floats, covariance: Floats, density: Floats, medium: Medium) -> float:
    """Return the colour difference (CIE 1976, rms) that an error of `covariance` makes in the repair."""
    d = density.reshape(3, -1)
    d = d[:, :: max(1, d.shape[1] // 300)]
    here = colours(Fade.of(vector).repaired(d), medium)
    total = 0.0
    values, axes = np.linalg.eigh(covariance)
    for value, axis in zip(values, axes.T, strict=True):
        if value > 1e-9:
            moved = colours(Fade.of(vector + np.sqrt(value) * axis).repaired(d), medium)
            total += float(np.mean(np.minimum(np.sum((moved - here) ** 2, 0), 50.0**2)))
    return float(np.sqrt(total))


@dataclass(frozen=True)
class Estimate:
    """What was found of a shot."""

    vector: Floats
    covariance: Floats
    faded: float
    """How surely the shot has faded, 0 to 1."""
    agreement: float
    """Mean colour difference between repairing by one frame's own estimate and by the shot's."""


def blind(shot: list[Seen], medium_name: str) -> Estimate:
    """Return the fade that the frames agree on: the median of what each tells by itself, parameter by parameter."""
    known, medium = estimator(medium_name), MEDIA[medium_name]
    told = [one for one in shot if not one.reason]
    if not told:
        return Estimate(np.zeros(COUNT), known.covariance, 0.0, 0.0)
    found = np.array([known.steady(one.density) for one in told])
    vector = np.median(found, axis=0)
    faded = float(np.median([known.faded(one.density, vector) for one in told]))
    apart = []
    for one, own in zip(told, found, strict=True):
        d = one.density.reshape(3, -1)[:, ::7]
        here, there = (colours(Fade.of(v).repaired(d), medium) for v in (vector, own))
        apart.append(float(np.mean(np.minimum(np.linalg.norm(here - there, axis=0), 100.0))))
    return Estimate(vector, known.covariance, faded, float(np.mean(apart)))
