"""Film density: the characteristic curve of one layer, and its inverse, for every value light can have.

Scene-linear exposure `e` is camera exposure with 0.18 at camera stop 0 (normal exposure of a mid-grey). Density is
optical density (log10 of opacity), absolute unless it is called net (above `d_min`).

A curve has three parts:

* Toe line. A density curve has no inverse at or below D-min, and a scene-linear picture has zeros and negative values.
  Below the exposure where the net density has log-log slope 1, net density is proportional to exposure:
  D = Dmin + n_t e / e_t. The joint is smooth, and zero and negative values survive.
* The tabled points, joined by a monotone cubic (PCHIP; Fritsch and Butland, SIAM J. Sci. Stat. Comput. 5, 1984).
* Shoulder line. Above the last point the curve goes on straight against log exposure, so that no highlight is clamped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from scipy.interpolate import PchipInterpolator
from scipy.optimize import brentq

Floats = npt.NDArray[np.float64]

MID_GREY = 0.18
"""Scene-linear value of camera stop 0."""

_DECADES_PER_STOP = float(np.log10(2.0))


class Curve:
    """Characteristic curve of one film layer.

    Parameters
    ----------
    log_exposure:
        (n,) log10 of exposure relative to camera stop 0, ascending; one stop is 0.30103.
    density:
        (n,) absolute density at those exposures, not falling.
    d_min:
        Density of the unexposed, processed film.

    Raises
    ------
    ValueError
        The points do not describe a curve that can be turned round.
    """

    def __init__(self, log_exposure: npt.ArrayLike, density: npt.ArrayLike, d_min: float) -> None:
        x, d = np.asarray(log_exposure, np.float64), np.asarray(density, np.float64)
        if x.ndim != 1 or x.shape != d.shape or x.size < 3:
            raise ValueError("a curve needs as many densities as exposures, at least three")
        if not (np.all(np.diff(x) > 0) and np.all(np.diff(d) >= 0)):
            raise ValueError("a curve's exposures must rise and its densities must not fall")
        self.d_min = float(d_min)
        self._middle = PchipInterpolator(x, d)
        self._slope = self._middle.derivative()
        self._x_end, self._n_end = float(x[-1]), float(d[-1]) - self.d_min
        self._end_slope = float(self._slope(x[-1]))
        if not self._end_slope > 0:
            raise ValueError("a curve must still rise at its last point")
        self._x_toe = self._find_toe(x)
        self._n_toe = float(self._middle(self._x_toe)) - self.d_min
        above = x > self._x_toe
        self._knots = np.concatenate([[self._x_toe], x[above]])
        self._knot_net = np.concatenate([[self._n_toe], d[above] - self.d_min])
        if not np.all(np.diff(self._knot_net) > 0):
            raise ValueError("a curve must rise everywhere above its toe")

    def _find_toe(self, x: Floats) -> float:
        """Return the highest log exposure below which net density falls faster than exposure."""

        def excess(at: float) -> float:
            return float(self._slope(at) - np.log(10.0) * (self._middle(at) - self.d_min))

        fine = np.linspace(x[0], x[-1], 50 * x.size)
        steep = np.flatnonzero(self._slope(fine) - np.log(10.0) * (self._middle(fine) - self.d_min) > 0)
        if not steep.size or steep[-1] + 1 == fine.size:
            raise ValueError("a curve's net density must have log-log slope 1 somewhere")
        return float(brentq(excess, float(fine[steep[-1]]), float(fine[steep[-1] + 1]), xtol=1e-14))

    @property
    def e_toe(self) -> float:
        """Scene-linear exposure below which density is linear in exposure."""
        return float(MID_GREY * 10.0**self._x_toe)

    @property
    def n_toe(self) -> float:
        """Net density at `e_toe`."""
        return self._n_toe

    @property
    def e_end(self) -> float:
        """Scene-linear exposure of the last tabled point."""
        return float(MID_GREY * 10.0**self._x_end)

    @property
    def n_end(self) -> float:
        """Net density of the last tabled point."""
        return self._n_end

    @property
    def end_stops(self) -> float:
        """Stops per unit of density above the last tabled point."""
        return 1.0 / (self._end_slope * _DECADES_PER_STOP)

    def net(self, e: npt.ArrayLike) -> Floats:
        """Return density above `d_min` at scene-linear exposure e (any shape, any value; NaN stays NaN)."""
        e = np.asarray(e, np.float64)
        x = np.log10(np.maximum(e, self.e_toe) / MID_GREY)
        curved = self._middle(np.minimum(x, self._x_end)) - self.d_min
        curved = curved + self._end_slope * np.maximum(x - self._x_end, 0.0)
        return np.asarray(np.where(e > self.e_toe, curved, self._n_toe / self.e_toe * e))

    def density(self, e: npt.ArrayLike) -> Floats:
        """Return absolute density at scene-linear exposure e (any shape, any value; NaN stays NaN).

        >>> curve = Curve([-2, -1, 0, 1], [0.2, 0.25, 0.8, 1.4], 0.195)
        >>> curve.density(0.18).item(), curve.density(0.0).item()
        (0.8, 0.195)
        """
        return np.asarray(self.net(e) + self.d_min)

    def exposure(self, d: npt.ArrayLike) -> Floats:
        """Return the scene-linear exposure of absolute density d: the inverse of `density`, within 1e-6 relative."""
        return self.exposure_of_net(np.asarray(d, np.float64) - self.d_min)

    def exposure_of_net(self, n: npt.ArrayLike) -> Floats:
        """Return the scene-linear exposure of net density n, where absolute density would lose digits."""
        n = np.asarray(n, np.float64)
        inside = np.clip(n, self._n_toe, self._n_end)
        x = self._solve(np.where(np.isnan(inside), self._n_toe, inside))
        x = x + np.maximum(n - self._n_end, 0.0) / self._end_slope
        return np.asarray(np.where(n > self._n_toe, MID_GREY * 10.0**x, self.e_toe / self._n_toe * n))

    def _solve(self, n: Floats) -> Floats:
        """Invert the cubic by Newton's steps held in a shrinking bracket."""
        i = np.clip(np.searchsorted(self._knot_net, n, side="right") - 1, 0, self._knots.size - 2)
        low, high = self._knots[i], self._knots[i + 1]
        rise = self._knot_net[i + 1] - self._knot_net[i]
        x = low + (high - low) * (n - self._knot_net[i]) / rise
        for _ in range(60):
            error = self._middle(x) - self.d_min - n
            low, high = np.where(error <= 0, x, low), np.where(error >= 0, x, high)
            slope = self._slope(x)
            step = x - error / np.where(slope > 0, slope, 1.0)
            # A step that leaves the bracket, or a level slope, is replaced by halving.
            good = (slope > 0) & (step >= low) & (step <= high)
            moved = np.where(good, step, 0.5 * (low + high))
            if np.all(np.abs(moved - x) <= 1e-13):
                return np.asarray(moved)
            x = moved
        return np.asarray(x)


def octave_samples(low: float, high: float, per_octave: int) -> Floats:
    """Return where an octave table is sampled: low 2^o (1 + m / per_octave), up to high; low and high powers of two.

    Even steps within an octave, so that a float32's own bits are the table's index.
    """
    octaves = round(float(np.log2(high / low)))
    inside = low * np.exp2(np.arange(octaves))[:, None] * (1.0 + np.arange(per_octave) / per_octave)
    return np.append(inside.ravel(), high)


@dataclass(frozen=True)
class CurveTables:
    """The curves of some layers, sampled for float32 kernels as octave tables (`octave_samples`).

    `forward[c]` is net density at `light_samples`; `inverse[c]` is log2 of scene-linear exposure at `net_samples`.
    Linear interpolation between samples; below `e_toe`/`n_toe` and above `n_end` a kernel uses the closed forms of
    `Curve`.

    Spacing: 256 samples an octave forward, 4096 back: in light, interpolation errs by less than 5e-6 relative.
    """

    curves: tuple[Curve, ...]
    forward: Floats = field(init=False)
    inverse: Floats = field(init=False)

    light: ClassVar[tuple[float, float]] = (2.0**-11, 2.0**40)
    """First and last place of `forward`. It begins where the published curves do, and ends beyond every highlight."""
    nets: ClassVar[tuple[float, float]] = (2.0**-5, 4.0)
    """First and last place of `inverse`."""
    light_samples: ClassVar[Floats] = octave_samples(*light, 256)
    net_samples: ClassVar[Floats] = octave_samples(*nets, 4096)

    def __post_init__(self) -> None:
        for curve in self.curves:
            if curve.e_toe < self.light[0] or curve.n_toe < self.nets[0] or curve.n_end > self.nets[1]:
                raise ValueError("a curve reaches beyond the kernels' tables")
        object.__setattr__(self, "forward", np.stack([curve.net(self.light_samples) for curve in self.curves]))
        inverse = np.stack([np.log2(curve.exposure_of_net(self.net_samples)) for curve in self.curves])
        object.__setattr__(self, "inverse", inverse)
