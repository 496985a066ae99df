"""ICtCp: intensity and two colour differences, made so that lines of one hue are straight. Absolute light, by PQ."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from safelight.colour.primaries import Values, from_xyz, to_xyz
from safelight.colour.transfer import pq, pq_light

# Rec. ITU-R BT.2100-2, table 7.
REC2020_TO_LMS = np.array([[1688, 2146, 262], [683, 2951, 462], [99, 309, 3688]]) / 4096
"""Linear Rec.2020 red, green, blue to long, medium and short cone responses; white is 1, 1, 1."""
LMS_TO_ICTCP = np.array([[2048, 2048, 0], [6610, -13613, 7003], [17933, -17390, -543]]) / 4096
"""PQ of the cone responses to I, Ct, Cp; greys have Ct = Cp = 0."""
XYZ_TO_LMS = REC2020_TO_LMS @ from_xyz("rec2020")
LMS_TO_XYZ = to_xyz("rec2020") @ np.linalg.inv(REC2020_TO_LMS)
ICTCP_TO_LMS = np.linalg.inv(LMS_TO_ICTCP)


def ictcp(xyz: npt.ArrayLike) -> Values:
    """Return I, Ct, Cp of absolute light.

    Parameters
    ----------
    xyz:
        (3, …) CIE XYZ in cd/m², D65. Negative cone responses count as none.

    Source: Rec. ITU-R BT.2100-2, table 7 (PQ).
    """
    lms = np.tensordot(XYZ_TO_LMS, np.asarray(xyz, np.float64), axes=1)
    return np.asarray(np.tensordot(LMS_TO_ICTCP, pq(lms), axes=1), np.float64)


def ictcp_light(components: npt.ArrayLike) -> Values:
    """Return CIE XYZ in cd/m² of I, Ct, Cp (3, …): the inverse of `ictcp` for light without negative cone responses."""
    lms = pq_light(np.tensordot(ICTCP_TO_LMS, np.asarray(components, np.float64), axes=1))
    return np.asarray(np.tensordot(LMS_TO_XYZ, lms, axes=1), np.float64)
