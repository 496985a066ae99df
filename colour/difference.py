"""How different two colours look: CIE Lab, ΔE2000 (CIEDE2000), ΔE ITP, and light as evenly as it is seen (PU21).

Everything here takes and gives float64 arrays whose first axis is the three components: (3,), (3, n), (3, h, w).
Light comes as CIE 1931 XYZ relative to D65, as `ColourConfig.to_xyz` makes it from any space of the config.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.ictcp import ictcp
from safelight.colour.primaries import D65, Values

# Mantiuk and Azimi 2021, "banding and glare", the encoding the authors recommend.
_PU21 = (0.353487901, 0.3734658629, 8.277049286e-05, 0.9062562627, 0.09150303166, 0.9099517204, 596.3148142)
PU21_WHITE = 256.0
"""PU21 value that counts as full scale: that of 100 cd/m², so that figures compare with those of 8-bit pictures."""

_CHUNK = 1 << 18


def lab(xyz: npt.ArrayLike, white: npt.ArrayLike = D65) -> Values:
    """Return CIE 1976 L*a*b*.

    Parameters
    ----------
    xyz:
        (3, …) light relative to `white`; above white gives L* over 100, negative light goes on along the linear part.
    white:
        XYZ of the reference white.

    Source: CIE 15:2018, 8.2.1.
    """
    values = np.asarray(xyz, np.float64)
    ratio = values / np.asarray(white, np.float64).reshape(3, *[1] * (values.ndim - 1))
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    return np.stack([116 * root[1] - 16, 500 * (root[0] - root[1]), 200 * (root[1] - root[2])])


def delta_e_2000(first: npt.ArrayLike, second: npt.ArrayLike) -> Values:
    """Return the CIEDE2000 difference of two L*a*b* arrays (3, …); shape (…), about 1 where just visible.

    Source: Sharma, Wu, Dalal, The CIEDE2000 Color-Difference Formula, Color Research & Application 30 (2005), whose
    34 test pairs it reproduces; kL = kC = kH = 1.
    """
    return _in_chunks(_delta_e_2000, first, second)


def _delta_e_2000(first: Values, second: Values) -> Values:
    (l1, a1, b1), (l2, a2, b2) = first, second
    seventh = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    stretch = 1 + 0.5 * (1 - np.sqrt(seventh / (seventh + 25.0**7)))
    a1, a2 = a1 * stretch, a2 * stretch
    c1, c2 = np.hypot(a1, b1), np.hypot(a2, b2)
    h1, h2 = np.degrees(np.arctan2(b1, a1)) % 360, np.degrees(np.arctan2(b2, a2)) % 360
    grey = c1 * c2 == 0  # a grey has no hue

    turn = h2 - h1
    turn = np.where(turn > 180, turn - 360, np.where(turn < -180, turn + 360, turn))
    turn = np.where(grey, 0.0, turn)
    delta_l, delta_c = l2 - l1, c2 - c1
    delta_h = 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))

    mid, c, h = (l1 + l2) / 2, (c1 + c2) / 2, (h1 + h2) / 2
    far = np.abs(h1 - h2) > 180
    h = np.where(far, np.where(h1 + h2 < 360, h + 180, h - 180), h)
    h = np.where(grey, h1 + h2, h)

    t = (
        1
        - 0.17 * np.cos(np.radians(h - 30))
        + 0.24 * np.cos(np.radians(2 * h))
        + 0.32 * np.cos(np.radians(3 * h + 6))
        - 0.20 * np.cos(np.radians(4 * h - 63))
    )
    s_l = 1 + 0.015 * (mid - 50) ** 2 / np.sqrt(20 + (mid - 50) ** 2)
    s_c = 1 + 0.045 * c
    s_h = 1 + 0.015 * c * t
    turned = 2 * np.sqrt(c**7 / (c**7 + 25.0**7)) * np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2))))
    part_l, part_c, part_h = delta_l / s_l, delta_c / s_c, delta_h / s_h
    # Rounding may take the sum of squares a hair below zero.
    square = part_l**2 + part_c**2 + part_h**2 - turned * part_c * part_h
    return np.asarray(np.sqrt(np.maximum(square, 0.0)), np.float64)


def pu21(light: npt.ArrayLike) -> Values:
    """Return light in cd/m² on a scale that is even to the eye: 0 at 0.005 cd/m², 256 near 100, 595 at 10,000.

    Light outside 0.005 … 10,000 counts as the nearer end.

    Source: Mantiuk and Azimi, PU21: A novel perceptually uniform encoding for adapting existing quality metrics for
    HDR, Picture Coding Symposium 2021.
    """
    p = _PU21
    power = np.clip(np.asarray(light, np.float64), 0.005, 10000.0) ** p[3]
    return np.asarray(np.maximum(p[6] * (((p[0] + p[1] * power) / (1 + p[2] * power)) ** p[4] - p[5]), 0.0), np.float64)


def delta_e_itp(first: npt.ArrayLike, second: npt.ArrayLike) -> Values:
    """Return ΔE ITP of two arrays (3, …) of CIE XYZ in cd/m²; shape (…), 1 where just visible to a critical eye.

    Display light goes in as it is measured. Scene-linear light has no luminance of its own: scale it to that of a
    display first (100 cd/m² at 1.0 is what `safelight compare` takes).

    Source: Rec. ITU-R BT.2124-0.
    """
    return _in_chunks(_delta_e_itp, first, second)


def _delta_e_itp(first: Values, second: Values) -> Values:
    i, t, p = ictcp(first) - ictcp(second)
    return np.asarray(720 * np.sqrt(i**2 + (0.5 * t) ** 2 + p**2), np.float64)


def _in_chunks(measure: Callable[[Values, Values], Values], first: Any, second: Any) -> Values:
    """Measure a part at a time: the working memory of a whole frame would be twenty times the frame."""
    first, second = np.broadcast_arrays(first, second)
    if first.shape[0] != 3:
        raise ValueError(f"colours have three components on the first axis, not {first.shape[0]}")
    shape, count = first.shape[1:], int(np.prod(first.shape[1:], dtype=np.int64))
    first, second = first.reshape(3, count), second.reshape(3, count)
    out = np.empty(count, np.float64)
    with np.errstate(invalid="ignore"):
        for start in range(0, count, _CHUNK):
            part = slice(start, start + _CHUNK)
            out[part] = measure(first[:, part].astype(np.float64), second[:, part].astype(np.float64))
    return out.reshape(shape)
