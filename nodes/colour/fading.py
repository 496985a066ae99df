"""How dyes fade, in density, and the way back.

A colour film holds its picture as density: minus log10 of the light that each of three dyes lets through. Fading takes
a share of every dye, not the same from thin to dense; stain adds density to all; and each record of a scan sees a
little of the other dyes, of what they turned into, or of light that leaked between them:

    D'_i = sum_j leak_ij f_j(D_j) + stain_i,    f_j(D) = share_j D (1 + bend_j (D - 1)),    leak_ii = 1.

`share` is what is left of a density of 1; `bend` says how much better dense parts keep (above 0) or worse. Film holds
densities from 0 to `DENSEST`. Beyond, light that film never held, f goes over within `EASE` into slope 1: a constant
gain of light. So zero, negative and very bright values survive, and the whole can be turned round.

References: Gschwind and Frey, Electronic imaging, a tool for the reconstruction of faded color photographs (Journal of
Imaging Science and Technology 38, 1994); Frey and Gschwind, Mathematical bleaching models for photographic
three-color materials (JIST 38, 1994); Trumpy et al., Digital unfading of chromogenic film (Heritage 6, 2023).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
MediumName = Literal["print", "negative", "separations"]

DENSEST = 3.0
"""Density up to which the model of the dyes holds."""
EASE = 0.5
"""Density over which the curve turns to slope 1 beyond the film's range."""
FAINTEST = 2.0**-40
"""Light, over that of density 0 or under it, at which the logarithm stops; slope 1 has long been reached."""
BENDS = (-0.15, 0.5)
"""Range in which every curve rises."""


@dataclass(frozen=True)
class Medium:
    """How light becomes density.

    A print (and black-and-white separations shown through filters): density 0 is its clear base, light `zero`; more
    density is less light. A negative: the picture is what was printed from it; density 0 is clear film, light `zero`,
    and density grows by `gamma` for each factor of ten of light.
    """

    zero: float = 1.0
    per_decade: float = -1.0
    """Density for each factor of ten of light."""

    def density(self, light: npt.ArrayLike) -> Floats:
        """Return density of scene-linear light (any shape); light at or under zero gives that of the faintest."""
        ratio = np.asarray(light, np.float64) / self.zero
        return np.asarray(self.per_decade * np.log10(np.maximum(ratio, FAINTEST)))

    def gain(self, rise: npt.ArrayLike) -> Floats:
        """Return by what light is multiplied where density rises by so much."""
        return np.asarray(10.0 ** (np.asarray(rise, np.float64) / self.per_decade))


MEDIA: dict[str, Medium] = {
    "print": Medium(1.0, -1.0),
    "separations": Medium(1.0, -1.0),
    "negative": Medium(0.002, 0.6),
}
"""Clear film of a negative lies 6.5 stops under mid-grey, its gamma is 0.6: the averages of camera negatives."""


@dataclass(frozen=True)
class Fade:
    """What has become of the three dyes (red, green, blue record: cyan, magenta, yellow dye)."""

    share: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bend: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stain: tuple[float, float, float] = (0.0, 0.0, 0.0)
    leak: tuple[float, float, float, float, float, float] = (0.0,) * 6
    """What the record sees of another dye: red of green, red of blue, green of red, green of blue, blue of red, blue of
    green."""

    @classmethod
    def of(cls, values: npt.ArrayLike) -> Fade:
        """Return the fade of a vector: ln of the shares, bends, stains, leaks (15)."""
        v = [float(x) for x in np.asarray(values, np.float64)]
        three = np.exp(np.clip(v[:3], -3.0, 2.0))
        bend = np.clip(v[3:6], *BENDS)
        return cls(_three(three), _three(bend), _three(v[6:9]), tuple(v[9:15]))  # type: ignore[arg-type]

    def vector(self) -> Floats:
        """Return ln of the shares, bends, stains, leaks."""
        return np.concatenate([np.log(self.share), self.bend, self.stain, self.leak])

    def scaled(self, strength: float) -> Fade:
        """Return the part of the fade that is to be undone: 0 none, 1 all."""
        return self if strength == 1 else Fade.of(self.vector() * strength)

    @property
    def nothing(self) -> bool:
        """True where nothing has faded."""
        return not np.any(self.vector())

    @property
    def leaks(self) -> Floats:
        """Matrix (3, 3) with ones on its diagonal."""
        matrix = np.eye(3)
        matrix[~np.eye(3, dtype=bool)] = self.leak
        return matrix

    def curve(self, ndim: int = 1) -> Curve:
        """Return the three curves as one, for arrays whose first of `ndim` axes is the dyes."""
        shape = (3,) + (1,) * (ndim - 1)
        return Curve(np.reshape(self.share, shape), np.reshape(self.bend, shape))

    def faded(self, density: npt.ArrayLike) -> Floats:
        """Return what density (3, …) has become; exact for densities within the film's range."""
        d = np.asarray(density, np.float64)
        f = self.curve(d.ndim).forward(d)
        return np.asarray(np.tensordot(self.leaks, f, 1) + _up(self.stain, f))

    def repaired(self, density: npt.ArrayLike) -> Floats:
        """Return density (3, …) as it was.

        What records see of each other is held to the film's range, so that a light beyond it stays its channel's own.
        """
        d = np.asarray(density, np.float64)
        d = d - _up(self.stain, d)
        d = d + np.tensordot(np.linalg.inv(self.leaks) - np.eye(3), np.clip(d, -EASE, DENSEST), 1)
        return self.curve(d.ndim).inverse(d)


def _three(values: Any) -> tuple[float, float, float]:
    a, b, c = (float(v) for v in values)
    return a, b, c


def _up(values: tuple[float, ...], like: Floats) -> Floats:
    return np.asarray(values).reshape(len(values), *[1] * (like.ndim - 1))


class Curve:
    """One dye, or several side by side: rises everywhere, its slope a broken line that is 1 beyond the film's range.

    Attributes
    ----------
    slopes, after:
        (4, …) slope and faded density at the densities `KNOTS`.
    """

    KNOTS = np.array([-EASE, 0.0, DENSEST, DENSEST + EASE])

    def __init__(self, share: npt.ArrayLike, bend: npt.ArrayLike) -> None:
        s, b = np.asarray(share, np.float64), np.asarray(bend, np.float64)
        low, high, top = s * (1 - b), s * (1 - b + 2 * b * DENSEST), s * DENSEST * (1 + b * (DENSEST - 1))
        one = np.ones_like(low)
        self.slopes = np.stack([one, low, high, one])
        self.after = np.stack([-EASE / 2 * (1 + low), 0 * one, top, top + EASE / 2 * (1 + high)])

    def forward(self, d: npt.ArrayLike) -> Floats:
        """Return f(d)."""
        d = np.asarray(d, np.float64)
        k, m, f = self.KNOTS, self.slopes, self.after
        out = np.where(d < k[0], f[0] + (d - k[0]), f[3] + (d - k[3]))
        for i in range(3):
            u = np.clip(d - k[i], 0, k[i + 1] - k[i])
            part = f[i] + u * (m[i] + u * (m[i + 1] - m[i]) / (2 * (k[i + 1] - k[i])))
            out = np.where((d >= k[i]) & (d < k[i + 1]), part, out)
        return np.asarray(out)

    def inverse(self, y: npt.ArrayLike) -> Floats:
        """Return the d whose f is y."""
        y = np.asarray(y, np.float64)
        k, m, f = self.KNOTS, self.slopes, self.after
        out = np.where(y < f[0], k[0] + (y - f[0]), k[3] + (y - f[3]))
        for i in range(3):
            u = np.clip(y - f[i], 0, f[i + 1] - f[i])
            root = np.sqrt(np.maximum(m[i] ** 2 + 2 * (m[i + 1] - m[i]) / (k[i + 1] - k[i]) * u, 0.0))
            out = np.where((y >= f[i]) & (y < f[i + 1]), k[i] + 2 * u / (m[i] + root), out)
        return np.asarray(out)


def repair_light(light: npt.ArrayLike, fade: Fade, medium: Medium) -> Floats:
    """Return scene-linear light (3, …) as it was before a fade. The slow, plain twin of the kernel `fade_repair`."""
    light = np.asarray(light, np.float64)
    d = medium.density(light)
    return np.asarray(light * medium.gain(fade.repaired(d) - d))


def fade_light(light: npt.ArrayLike, fade: Fade, medium: Medium) -> Floats:
    """Return scene-linear light (3, …) as it is after a fade."""
    light = np.asarray(light, np.float64)
    d = medium.density(light)
    return np.asarray(light * medium.gain(fade.faded(d) - d))
