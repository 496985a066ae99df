"""The domains grain is measured and taken in, as float64 formulas: the kernels' reference, and what analyses use."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Domain = Literal["log", "linear"]
CODE = {"linear": 0, "log": 1, "density": 2}
"""What the kernels call the domains."""

TOE = 0.01
"""Scene-linear light below which the log domain turns linear: 4.2 stops under mid-grey."""

# Orthonormal: white noise stays white and as strong. Grey; red against blue; green against both.
OPPONENT = np.array([[3**-0.5, 3**-0.5, 3**-0.5], [2**-0.5, 0.0, -(2**-0.5)], [6**-0.5, -2 * 6**-0.5, 6**-0.5]])


def encode(pixels: Any, domain: Domain) -> npt.NDArray[np.float64]:
    """Return plate values in the domain; `log`: stops above the toe, odd about zero.

    >>> float(encode(0.03, "log"))
    2.0
    """
    v = np.asarray(pixels, np.float64)
    return v if domain == "linear" else np.sign(v) * np.log2(1 + np.abs(v) / TOE)


def decode(values: Any, domain: Domain) -> npt.NDArray[np.float64]:
    """Invert `encode`."""
    v = np.asarray(values, np.float64)
    return v if domain == "linear" else np.sign(v) * np.expm1(np.abs(v) * np.log(2)) * TOE
