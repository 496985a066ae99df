"""What files claim about their colour: header attributes that say which space the numbers are in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DISPLAY = "safelight:display"
"""Key of metadata: the display that the numbers are a signal for, see `safelight.colour.display`."""

HELD = "safelight:held"
"""Key of a frame's metadata: how much light was held to that display's volume, pixels and cd/m²."""

COLOUR_ATTRIBUTES = frozenset(
    {DISPLAY, HELD, "chromaticities", "adoptedNeutral", "colorInteropID", "oiio:ColorSpace", "oiio:Gamma",
     "ICCProfile", "CICP", "movie:CICP", "whiteLuminance", "dpx:Transfer", "dpx:Colorimetric", "Exif:ColorSpace",
     "acesImageContainerFlag"}
)  # fmt: skip
"""Attributes that are true only while nobody changed the pixels' space."""


def without_colour(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Return the metadata less what says which colour space the numbers are in, for nodes that change it."""
    return {name: value for name, value in metadata.items() if name not in COLOUR_ATTRIBUTES}
