"""How far the dyes of a picture have faded, told from the picture alone.

A few small nets read the figures of `fade_statistics` and say the parameters of the fade; the picture is repaired by
them, read again, corrected once more (a cascade, as in Xiong and De la Torre, Supervised descent method, CVPR 2013).
`fade_training` fitted them so that the repaired picture's colours, not the parameters, come out right. They also say
how far from the original the repair will be and how surely the picture has faded. The covariance of what they got wrong
in pictures they had not seen says how much a patch of known colour is to be believed against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from safelight.colour.difference import delta_e_2000, lab
from safelight.nodes.colour.fade_statistics import Floats, reduced, statistics
from safelight.nodes.colour.fading import MEDIA, Fade, Medium

COUNT = 15
"""Parameters of a fade: `Fade.vector`."""
LOWEST = np.array([-1.9] * 3 + [-0.14] * 3 + [-0.4] * 3 + [-0.2] * 6)
HIGHEST = np.array([0.7] * 3 + [0.4] * 3 + [0.9] * 3 + [0.3] * 6)
NUMBERS = Path(__file__).with_name("fades")
_FAR = 4.0  # standard deviations at which a figure is held: what was never seen is not extrapolated
# Rec.709 to CIE XYZ: the records' own primaries serve well enough to say how different two colours look.
XYZ = np.array(
    [[0.4123908, 0.3575843, 0.1804808], [0.2126390, 0.7151687, 0.0721923], [0.0193308, 0.1191948, 0.9505322]]
)

Reason = Literal["", "black", "one colour", "monochrome", "empty"]


@dataclass(frozen=True)
class Stage:
    """A set of small nets that read the same figures: two layers of rectified sums and a linear one."""

    mean: Floats
    scale: Floats
    weights: tuple[Floats, ...]
    """Each (nets, inputs, outputs); the last gives the parameters, ln of the difference left, the logit of faded."""
    biases: tuple[Floats, ...]
    """Each (nets, 1, outputs)."""

    def answers(self, figures: Floats, start: Floats) -> Floats:
        """Return what each net says (nets, 17) of figures and of parameters over their unit."""
        row = np.concatenate([np.clip((figures - self.mean) / self.scale, -_FAR, _FAR), start])
        y = np.broadcast_to(row, (len(self.weights[0]), 1, row.size))
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            y = y @ weight + bias
            if i + 1 < len(self.weights):
                y = np.maximum(y, 0)
        return np.asarray(y[:, 0])


@dataclass(frozen=True)
class Told:
    """What one picture tells."""

    vector: Floats
    left: float
    """Colour difference (CIEDE2000) that is expected to be left after the repair."""
    faded: float
    """How surely it has faded, 0 to 1."""

    @classmethod
    def mean(cls, many: list[Told]) -> Told:
        """Return the mean."""
        return cls(*(np.mean([getattr(one, name) for one in many], axis=0) for name in ("vector", "left", "faded")))


@dataclass(frozen=True)
class Estimator:
    """What was fitted for one medium."""

    stages: tuple[Stage, ...]
    unit: Floats
    """(15,) parameters are divided by it on their way into a net; 0 where the medium has no such parameter."""
    covariance: Floats
    """(15, 15) of the errors on pictures that were not fitted on."""
    usual: Floats
    """(27,) mean of the first figures, the quantiles of the three records, in pictures that have not faded."""

    def told(self, density: Floats) -> Told:
        """Return what a small picture's densities (3, h, w) tell."""
        found, answer, logits = np.zeros(COUNT), np.zeros(COUNT + 2), []
        for stage in self.stages:
            figures = statistics(Fade.of(found).repaired(density))
            answer = stage.answers(figures, found / np.where(self.unit > 0, self.unit, 1)).mean(0)
            logits.append(answer[COUNT + 1])
            found = np.clip(found + answer[:COUNT] * self.unit, LOWEST, HIGHEST)
        logit = float(np.clip(np.mean(logits), -30, 30))
        left = float(np.exp(np.clip(answer[COUNT], -3, 4)) - 0.3)
        return Told(found, max(left, 0.0), 1 / (1 + np.exp(-logit)))

    def steady(self, density: Floats) -> Told:
        """Return the mean of what the picture tells and what its four corners tell, each of 0.8 of its sides."""
        height, width = density.shape[1:]
        h, w = max(1, int(0.8 * height)), max(1, int(0.8 * width))
        corners = [density[:, y : y + h, x : x + w] for y in (0, height - h) for x in (0, width - w)]
        return Told.mean([self.told(one) for one in (density, *corners)])


@lru_cache(maxsize=4)
def estimator(medium: str) -> Estimator:
    """Return the fitted numbers of a medium: print, negative or separations."""
    with np.load(NUMBERS / f"{medium}.npz") as kept:
        data = {name: np.asarray(kept[name], np.float64) for name in kept.files}
    stages = []
    for i in range(sum(name.startswith("mean") for name in data)):
        layers = [j for j in range(9) if f"weight{i}{j}" in data]
        weights = tuple(data[f"weight{i}{j}"] * data[f"column{i}{j}"] for j in layers)
        stages.append(Stage(data[f"mean{i}"], data[f"scale{i}"], weights, tuple(data[f"bias{i}{j}"] for j in layers)))
    return Estimator(tuple(stages), data["unit"], data["covariance"], data["usual"])


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
    return lab(np.tensordot(XYZ, light, 1))


def change(fade: Fade, density: Floats, medium: Medium) -> float:
    """Return the mean colour difference (CIEDE2000) that repairing by `fade` makes in a small picture."""
    d = density.reshape(3, -1)
    return float(np.mean(delta_e_2000(colours(fade.repaired(d), medium), colours(d, medium))))


def doubt(vector: Floats, covariance: Floats, density: Floats, medium: Medium) -> float:
    """Return the colour difference (CIEDE2000, rms) that an error of `covariance` makes in the repair."""
    d = density.reshape(3, -1)
    d = d[:, :: max(1, d.shape[1] // 300)]
    here = colours(Fade.of(vector).repaired(d), medium)
    total = 0.0
    values, axes = np.linalg.eigh(covariance)
    for value, axis in zip(values, axes.T, strict=True):
        if value > 1e-9:
            moved = colours(Fade.of(vector + np.sqrt(value) * axis).repaired(d), medium)
            total += float(np.mean(delta_e_2000(moved, here) ** 2))
    return float(np.sqrt(total))


@dataclass(frozen=True)
class Estimate:
    """What was found of a shot."""

    vector: Floats
    covariance: Floats
    left: float
    """Colour difference (CIEDE2000) to the original that is expected to be left."""
    faded: float
    """How surely the shot has faded, 0 to 1."""
    agreement: float
    """Mean colour difference (CIEDE2000) between repairing by one frame's own estimate and by the shot's."""


def blind(shot: list[Seen], medium_name: str) -> Estimate:
    """Return the fade that the frames agree on: the median of what each tells by itself, parameter by parameter."""
    known, medium = estimator(medium_name), MEDIA[medium_name]
    seen = [one for one in shot if not one.reason]
    if not seen:
        return Estimate(np.zeros(COUNT), known.covariance, 0.0, 0.0, 0.0)
    told = [known.steady(one.density) for one in seen]
    vector = np.median([one.vector for one in told], axis=0)
    apart = []
    for one, own in zip(seen, told, strict=True):
        d = one.density.reshape(3, -1)[:, ::7]
        here, there = (colours(Fade.of(v).repaired(d), medium) for v in (vector, own.vector))
        apart.append(float(np.mean(delta_e_2000(here, there))))
    left, faded = (float(np.median([getattr(one, name) for one in told])) for name in ("left", "faded"))
    return Estimate(vector, known.covariance, left, faded, float(np.mean(apart)))
