"""Which display a signal is for: how its numbers stand for light.

A picture encoded for a display says so in its metadata, under `DISPLAY`; a clip does too. What that light measures
(MaxCLL), what a header or a movie's tags say, and which master it is, all come from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.claims import DISPLAY
from safelight.colour.primaries import CHROMATICITIES
from safelight.colour.transfer import Values, hlg_light, pq_light

LOWEST_PEAK, HIGHEST_PEAK = 100.0, 10000.0
HIGHEST_SDR = 300.0
"""cd/m² of signal 1 that an encoding without absolute light may stand for."""
HLG_PEAK = 1000.0
"""Nominal peak of HLG, in cd/m²."""

CONTAINERS: dict[str, tuple[str, ...]] = {
    "pq": ("rec2020", "p3d65"),
    "hlg": ("rec2020",),
    "bt1886": ("rec709", "rec2020"),
    "srgb": ("rec709", "p3d65"),
    "gamma26": ("p3d65",),
}
"""Primaries that each encoding is defined with; the first is the usual one."""
ENCODING_NAMES = {"pq": "PQ", "hlg": "HLG", "bt1886": "BT.1886", "srgb": "sRGB", "gamma26": "gamma 2.6"}
PRIMARIES_NAMES = {"rec709": "Rec.709", "p3d65": "P3-D65", "rec2020": "Rec.2020"}
_WIDTH = {"rec709": 0, "p3d65": 1, "rec2020": 2}
# Rec. ITU-T H.273. BT.1886 is the display's side of the transfer that Rec.709 and Rec.2020 name.
_PRIMARIES = {"rec709": 1, "rec2020": 9, "p3d65": 12}
_TRANSFER = {"pq": 16, "hlg": 18, "srgb": 13, "gamma26": 2}
# Names of the Color Interop Forum, "Color Space Encodings for Texture Assets and CG Rendering", 2025.
_INTEROP = {
    ("pq", "rec2020"): "pq_rec2020_display",
    ("pq", "p3d65"): "pq_p3d65_display",
    ("hlg", "rec2020"): "hlg_rec2020_display",
    ("bt1886", "rec709"): "g24_rec709_display",
    ("srgb", "rec709"): "srgb_rec709_display",
    ("srgb", "p3d65"): "srgb_p3d65_display",
    ("gamma26", "p3d65"): "g26_p3d65_display",
}


@dataclass(frozen=True)
class Display:
    """A display, and the signal that drives it."""

    encoding: str
    """`pq`, `hlg`, `bt1886`, `srgb`, `gamma26`."""
    primaries: str
    """What red, green and blue of the signal are: `rec709`, `p3d65`, `rec2020`."""
    limit: str | None = None
    """Gamut that the colours are held in; None where nobody says."""
    peak: float | None = None
    """Brightest light of the mastering display, cd/m²; None where nobody says."""
    rendering: str | None = None
    """`plain` or `aces2`: how scene light became display light."""
    white: float | None = None
    """cd/m² that scene-linear 1.0 stands for, where light was taken as it is."""

    @property
    def hdr(self) -> bool:
        """Whether the signal is high dynamic range (Rec. ITU-R BT.2100)."""
        return self.encoding in ("pq", "hlg")

    @property
    def full(self) -> float:
        """Light of signal 1 in cd/m²."""
        if self.encoding == "pq":
            return 10000.0
        return self.peak if self.peak is not None else HLG_PEAK if self.encoding == "hlg" else LOWEST_PEAK

    @property
    def code_points(self) -> tuple[int, int]:
        """Primaries and transfer as Rec. ITU-T H.273 numbers them; 2 where it has no number."""
        if self.encoding == "bt1886":
            return _PRIMARIES[self.primaries], 14 if self.primaries == "rec2020" else 1
        return _PRIMARIES[self.primaries], _TRANSFER[self.encoding]

    @property
    def interop(self) -> str:
        """Name of the encoding in headers (`colorInteropID`); empty where there is none."""
        return _INTEROP.get((self.encoding, self.primaries), "")

    @property
    def matrix(self) -> str:
        """Name of the Y'CbCr matrix that belongs to the signal, see `ycbcr.MATRICES`."""
        return "bt2020" if self.primaries == "rec2020" else "bt709"

    def __str__(self) -> str:
        text = f"{ENCODING_NAMES[self.encoding]} {PRIMARIES_NAMES[self.primaries]}"
        if self.limit is not None and self.limit != self.primaries:
            text += f", {PRIMARIES_NAMES[self.limit]} limited"
        return text + (f", {self.peak:g} cd/m²" if self.peak is not None else "")

    def light(self, signal: npt.ArrayLike) -> Values:
        """Return the light in cd/m² of a signal.

        Parameters
        ----------
        signal:
            (3, …) red, green, blue. Held to 0…1, as a display does; NaN stays NaN.

        Sources: SMPTE ST 2084; Rec. ITU-R BT.2100-2 table 5 (HLG, system gamma by peak); Rec. ITU-R BT.1886 with black
        at 0; IEC 61966-2-1.
        """
        held = np.clip(np.asarray(signal, np.float64), 0.0, 1.0)
        if self.encoding == "pq":
            return pq_light(held)
        if self.encoding == "hlg":
            return hlg_light(held, self.full)
        if self.encoding == "srgb":
            linear = np.where(held <= 0.04045, held / 12.92, ((held + 0.055) / 1.055) ** 2.4)
        else:
            linear = held ** (2.6 if self.encoding == "gamma26" else 2.4)
        return np.asarray(self.full * linear)

    def as_data(self) -> dict[str, Any]:
        """Return plain data, less what nobody says."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def display_of(metadata: Mapping[str, Any]) -> Display | None:
    """Return the display that a picture or a clip says its numbers are for; None where it says none."""
    said = metadata.get(DISPLAY)
    return Display(**said) if isinstance(said, Mapping) else None


def display_named(interop: str) -> Display | None:
    """Return the display behind a name of the Color Interop Forum; None for other names.

    >>> display_named("pq_rec2020_display").encoding
    'pq'
    """
    for (encoding, primaries), name in _INTEROP.items():
        if name == interop:
            return Display(encoding, primaries)
    return None


def display_tagged(code_points: Any) -> Display | None:
    """Return the HDR display that H.273 primaries and transfer name; None where they name none.

    >>> display_tagged((9, 16, 9, 0)).interop
    'pq_rec2020_display'
    """
    encoding = {16: "pq", 18: "hlg"}.get(code_points[1])
    if encoding is None:
        return None
    primaries = {number: name for name, number in _PRIMARIES.items()}.get(code_points[0], "")
    return Display(encoding, primaries) if primaries in CONTAINERS[encoding] else None


def contains(container: str, limit: str) -> bool:
    """Tell whether one set of primaries can show all colours of another.

    >>> contains("rec2020", "p3d65"), contains("rec709", "p3d65")
    (True, False)
    """
    return _WIDTH[limit] <= _WIDTH[container]


def chromaticities(primaries: str) -> tuple[float, ...]:
    """Return x and y of red, green, blue and white."""
    return (*(value for pair in CHROMATICITIES[primaries] for value in pair), 0.3127, 0.3290)
