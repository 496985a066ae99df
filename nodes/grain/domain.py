"""The domains grain is measured and taken in: float64 formulas, and the tables that give kernels the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from safelight.colour.density import Curve

Floats = npt.NDArray[np.float64]
Domain = Literal["log", "linear", "density"]
CODE = {"linear": 0, "log": 1, "density": 2}
"""What the kernels call the domains."""

TOE = 0.01
"""Scene-linear light below which the log domain turns linear: 4.2 stops under mid-grey."""

# Orthonormal: white noise stays white and as strong. Grey; red against blue; green against both.
OPPONENT = np.array([[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])

_MOST = 24.0  # log-encoded light at a table's end: 168 thousand
_SAMPLES = 8192


def _log(light: Floats) -> Floats:
    return np.asarray(np.sign(light) * np.log2(1 + np.abs(light) / TOE))


def _unlog(v: Floats) -> Floats:
    return np.asarray(np.sign(v) * np.expm1(np.abs(v) * np.log(2)) * TOE)


@dataclass(frozen=True, eq=False)
class Coding:
    """How plate values become what grain is taken in.

    `log`: stops above the toe. `linear`: as they are. `density`: density above D-min of the layer each plane is exposed
    on. All are odd, so that negative values survive; below the foot of a characteristic curve density is linear in
    light anyway.
    """

    domain: Domain
    curves: tuple[Curve, ...] = ()

    def encode(self, pixels: Any) -> Floats:
        """Return plate values (C, …) in the domain.

        >>> float(Coding("log").encode([0.03])[0])
        2.0
        """
        v = np.asarray(pixels, np.float64)
        if self.domain == "linear":
            return v
        if self.domain == "log":
            return _log(v)
        return np.stack([np.sign(p) * c.net(np.abs(p)) for p, c in zip(v, self.curves, strict=True)])

    def decode(self, values: Any) -> Floats:
        """Invert `encode`."""
        v = np.asarray(values, np.float64)
        if self.domain == "linear":
            return v
        if self.domain == "log":
            return _unlog(v)
        return np.stack([np.sign(p) * c.exposure_of_net(np.abs(p)) for p, c in zip(v, self.curves, strict=True)])

    def encode_single(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Return the same in single precision, within 1e-6 stops in `log`: much quicker there, for statistics."""
        v = np.asarray(pixels, np.float32)
        if self.domain == "linear":
            return v
        if self.domain == "log":
            toes = np.minimum(np.abs(v), np.float32(1e34)) * np.float32(1 / TOE)
            return np.asarray(np.copysign(np.log(toes + np.float32(1)) * np.float32(1 / np.log(2)), v))
        return np.asarray(self.encode(v), np.float32)

    @property
    def forward(self) -> tuple[Floats, tuple[float, float]]:
        """Table for kernels: density over log-encoded light, from 0 on."""
        if not self.curves:
            return np.zeros((1, 2)), (0.0, 1.0)
        return _tables(self.curves)[0], (0.0, _MOST)

    @property
    def inverse(self) -> tuple[Floats, tuple[float, float]]:
        """Table for kernels: log-encoded light over density, from 0 on."""
        if not self.curves:
            return np.zeros((1, 2)), (0.0, 1.0)
        forward, backward = _tables(self.curves)
        return backward, (0.0, float(forward[:, -1].min()))


@lru_cache(maxsize=8)
def _tables(curves: tuple[Curve, ...]) -> tuple[Floats, Floats]:
    light = _unlog(np.linspace(0, _MOST, _SAMPLES))
    forward = np.stack([curve.net(light) for curve in curves])
    nets = np.linspace(0, forward[:, -1].min(), _SAMPLES)
    return forward, np.stack([_log(curve.exposure_of_net(nets)) for curve in curves])


def coding(domain: Domain, curves: Sequence[Curve] = ()) -> Coding:
    """Return the coding of a domain; `density` takes one curve for each plane."""
    return Coding(domain, tuple(curves) if domain == "density" else ())
