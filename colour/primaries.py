"""Red, green and blue lights by their chromaticities, and the matrices between them and CIE XYZ."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

D65 = np.array([0.3127 / 0.3290, 1.0, (1 - 0.3127 - 0.3290) / 0.3290])
"""XYZ of the white of sRGB, BT.709, BT.2020 and P3-D65 (chromaticity 0.3127, 0.3290), Y = 1."""

CHROMATICITIES: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "rec709": ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    "p3d65": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "rec2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
}
"""Chromaticity x, y of red, green, blue; the white is D65. Rec. ITU-R BT.709-6, SMPTE RP 431-2, Rec. BT.2020-2."""


def to_xyz(primaries: str) -> Values:
    """Return the 3 × 3 matrix from linear red, green, blue to CIE XYZ, Y = 1 for white.

    Source: SMPTE RP 177.

    >>> to_xyz("rec2020")[1].round(4).tolist()
    [0.2627, 0.678, 0.0593]
    """
    xy = np.array(CHROMATICITIES[primaries])
    lights = np.stack([xy[:, 0], xy[:, 1], 1 - xy.sum(axis=1)])
    return np.asarray(lights * np.linalg.solve(lights, D65))


def from_xyz(primaries: str) -> Values:
    """Return the 3 × 3 matrix from CIE XYZ to linear red, green, blue."""
    return np.asarray(np.linalg.inv(to_xyz(primaries)))
