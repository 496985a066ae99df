"""The odds that a piece is damage, from what `judge.measurements` says of it: two small nets of one inner layer.

Recipe. The node Damage laid dust (0.02 to 0.5 % of the picture, 2.5 to 7 pixels, dark, bright and on one record, drawn
shapes and given ones, seeds 900 to 975) over Plate, photographs moved and turned, and six real and drawn sequences,
with grain of two stocks and without. Undamaged, the same clips hold none; nor do drawn scenes of stars, rain, snow,
sparkle, lamps, blinking and things thrown. Of three old films 13 frames were added, weighed fourfold; there a piece is
dust if five frames to either side agree on what was behind it. A piece is right if damage covers 0.4 of it. Logistic
loss, pieces weighed by the root of their area (at most 60 pixels), undamaged clips fivefold, drawn scenes twofold.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

FAR = 4.0
"""Standard deviations from the mean beyond which a measurement says no more."""


@dataclass(frozen=True)
class Odds:
    """One net."""

    measured: Mapping[str, tuple[float, float, tuple[float, ...]]]
    """Of each measurement its mean, its standard deviation and its weights in the inner units."""
    inner: tuple[float, ...]
    outer: tuple[float, ...]
    base: float


def log_odds(odds: Odds, values: Mapping[str, Floats]) -> Floats:
    """Return the logarithm of the odds of each piece; sums run in one order, so that bits stay the same anywhere."""
    units: list[Any] = list(odds.inner)
    for name, (mean, spread, weights) in odds.measured.items():
        part = np.clip((values[name] - mean) / spread, -FAR, FAR)
        units = [unit + weight * part for unit, weight in zip(units, weights, strict=True)]
    total: Any = odds.base
    for unit, weight in zip(units, odds.outer, strict=True):
        total = total + weight * np.tanh(unit)
    return np.asarray(total, np.float64)


# fmt: off
GREY = Odds(
    measured={
        "peak": (1.87, 0.89, (1.12, -0.06, -0.37, -0.54, 0.36, 0.37, 0.11, 1.11)),
        "most": (2.17, 0.77, (-0.98, 0.33, -0.11, 0.26, -0.44, 0.26, 0.28, -0.26)),
        "z": (1.69, 0.56, (-0, 0.66, 0.47, 0.62, 0.25, -0.29, -0.15, -0.59)),
        "area": (2.95, 0.94, (0.03, 0.14, 0.67, 0.47, -0.2, -0.18, -0.25, 0.07)),
        "deep": (-0.42, 0.71, (0.06, 0.24, -0.86, -0.89, -0.27, 1.02, 0.58, 0.19)),
        "ring": (-2.34, 1.04, (-0.37, -1.36, 0.08, 0.21, 0.68, 0.51, 0.08, -0.93)),
        "ringz": (-1.02, 0.71, (0.54, 0.26, 0.27, -0.74, -0.09, -0.15, -0.09, -0.77)),
        "apart": (0.93, 1.06, (0.05, 0.16, 0.37, -0.13, -0.38, -0.03, 0.45, -0.79)),
        "apart_to_z": (-1.61, 1.03, (-0.26, -0.11, 0.25, 0.14, -0.1, -0.17, 0.24, -0.14)),
        "ring_apart": (1.02, 1.02, (0.17, -0.49, 0.35, -0.6, 0.65, 0.57, 0.04, 1)),
        "ba": (0.82, 0.64, (-0.61, -0.22, -0.17, 0.66, -0.31, -0.3, 0.04, 0.21)),
        "long": (0.59, 0.48, (-0.16, -0.29, 0.11, -0.21, -0.12, 0.45, -0.27, 0.03)),
        "sharp": (0.44, 0.1, (-0, -0.27, -0.14, -0.11, 0.78, 0.36, -0.09, 0.2)),
        "steady": (1.03, 0.32, (-0.04, 0.59, 0.38, -0.38, -0.3, 0.33, -0.1, -0.12)),
        "beyond": (0.08, 0.27, (-0.12, -0.43, -0.2, -0.11, -0.28, -0.45, 0.06, 0.18)),
        "bright": (0.7, 0.46, (-0.3, 0.5, -0.56, -0.26, -0.37, -0.15, -0.13, 0.02)),
        "line": (2.36, 2.78, (-0.03, -0.11, -0.36, 0.17, -0.54, 0.17, -0.29, 0.07)),
        "close": (2.05, 2.22, (-0.54, 0.55, -0.22, -0.01, 0.16, -0.07, -0.19, -0.03)),
        "single": (1.82, 1.36, (0.15, -0.08, 0.07, -0.1, 0.07, 0.3, 0.07, -0.18)),
        "crowd": (-0.13, 0.69, (-0.05, -0.11, 0.01, 0.15, -0.11, 0.11, -0.19, -0.06)),
        "fall": (1.97, 5.08, (-0.2, 0.59, -0.81, 0.23, -0.76, 0.13, 0.52, -0.26)),
        "s_line": (1.54, 1.4, (0.13, -0.19, -0.43, 0.63, -0.46, 0.65, 0.87, 0.78)),
        "s_close": (1.23, 1.07, (-0.39, 0.17, -0.13, -0.55, -0.03, 0.22, 0.74, -0.05)),
        "s_crowd": (0.01, 0.32, (0.5, 0.18, 0.29, -0.07, 0.36, -0.14, 0.56, -0.33)),
        "s_fall": (1.56, 3.76, (-0.23, -0.08, -0.41, 0.38, -0.3, 0.17, 0.38, 0.15)),
    },
    inner=(-1.31, 1.87, 0.25, -0.45, 0.43, 0.17, 1.89, 0.96),
    outer=(1.97, 2.42, 2.26, -2.21, 2.26, -2.01, -2, 2.5),
    base=-5.75,
)
COLOURED = Odds(
    measured={
        "peak": (1.75, 0.89, (0.3, 0.64, -0.08, -0.11, 0.48, 0.65)),
        "most": (2.03, 0.78, (-0.19, 0.06, 0.22, 0.23, -0.24, 0.05)),
        "z": (1.59, 0.56, (-0, 0.16, -0.05, 0.11, -0.06, 0.15)),
        "area": (2.91, 1.02, (-0.08, 0.15, -0.02, 0.04, 0.29, 0.15)),
        "deep": (-0.24, 0.85, (0.31, 0.43, 0.53, 0.28, 0.07, 0.41)),
        "ring": (-2.67, 0.99, (-0.22, -0.36, -0.19, 0.02, -0.07, -0.37)),
        "ringz": (-0.73, 0.53, (0.07, -0.3, -0.27, 0.05, 0.04, -0.29)),
        "apart": (0.98, 1.02, (-0.2, -0.33, 0.05, 0.26, -0.18, -0.33)),
        "apart_to_z": (-1.47, 0.99, (-0.04, -0.17, -0.07, 0.04, 0.04, -0.16)),
        "ring_apart": (0.99, 0.94, (0.14, -0.04, -0.24, 0.06, -0.06, -0.02)),
        "ba": (0.75, 0.6, (-0.07, 0.01, 0.06, 0.17, -0.21, -0.01)),
        "long": (0.54, 0.44, (-0.3, -0.1, -0.07, -0.04, 0.03, -0.09)),
        "sharp": (0.48, 0.16, (0.01, -0.27, -0.27, 0.08, -0.17, -0.26)),
        "steady": (0.73, 0.43, (0.25, 0.11, -0.04, 0.02, 0.22, 0.12)),
        "beyond": (0.08, 0.27, (-0.1, -0.12, 0.07, 0, -0.06, -0.13)),
        "pur": (0.29, 0.22, (-0.57, -0.11, 0.52, 0.46, -0.53, -0.14)),
        "line": (2.02, 2.75, (-0.26, 0.1, 0.33, 0.18, -0.38, 0.05)),
        "close": (1.87, 2.23, (-0.02, 0.12, 0.05, 0.09, -0.08, 0.1)),
        "single": (1.69, 1.4, (-0.21, -0.02, -0.01, -0.05, -0.02, -0.03)),
        "crowd": (-0.2, 0.72, (0.12, 0.04, 0.1, 0.15, -0.1, 0.05)),
        "fall": (1.04, 3.52, (-0.18, -0.08, 0.17, 0.16, -0.2, -0.12)),
        "s_line": (1.51, 1.43, (-0.36, 0.23, 0.54, 0.26, -0.21, 0.2)),
        "s_close": (1.3, 1.16, (-0.25, -0.05, 0.13, 0.26, -0.13, -0.04)),
        "s_crowd": (-0.04, 0.34, (0.26, -0.11, -0.25, 0.21, -0.15, -0.09)),
        "s_fall": (1.03, 2.84, (-0.13, -0.07, 0.17, 0.24, -0.19, -0.12)),
    },
    inner=(-0.51, 0.64, -0.96, 0.36, -1.21, 0.52),
    outer=(1.44, 1.28, -1.58, -1.11, 1.36, 1.27),
    base=-2.74,
)
GREY_AT_END, COLOURED_AT_END = GREY, COLOURED
# fmt: on
