"""What the knobs of Nuke's own Read and Write say in a document's words. Python 3.7, standard library only."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

DATATYPES = {"half": "16 bit half", "float": "32 bit float"}
COMPRESSIONS = {
    "none": "none",
    "rle": "RLE",
    "zips": "Zip (1 scanline)",
    "zip": "Zip (16 scanlines)",
    "piz": "PIZ Wavelet (32 scanlines)",
    "b44": "B44",
    "b44a": "B44A",
    "dwaa": "DWAA",
    "dwab": "DWAB",
}
"""Our names of EXR compressions, and those of Nuke's Write."""
MISSING = {"error": "error", "hold": "nearest frame", "black": "black"}
"""Our `missing`, and what Nuke's Read calls it."""
ROLES = (
    "scene_linear",
    "compositing_log",
    "color_timing",
    "data",
    "default",
    "rendering",
    "reference",
    "texture_paint",
)
_SAMPLES = dict({shown: name for name, shown in DATATYPES.items()}, **{"8 bit": "uint8", "10 bit": "uint10"})
_SAMPLES["16 bit"] = "uint16"
_PACKED = {shown: name for name, shown in COMPRESSIONS.items()}


def role_of(text: str) -> str:
    """Return a colour space as OpenColorIO knows it, of what a knob shows; empty for the default.

    >>> role_of("scene_linear (ACES - ACEScg)"), role_of("default (sRGB)"), role_of("Linear Rec.709 (sRGB)")
    ('scene_linear', '', 'Linear Rec.709 (sRGB)')
    """
    text = text.strip()
    match = re.match(r"(\w+) \(.+\)$", text)
    if match and match.group(1) in ROLES:
        text = match.group(1)
    return "" if text == "default" else text


def parameters(kind: str, text: Callable[[str], str]) -> dict[str, Any]:
    """Return the parameters of our Read or Write, but for the path.

    Parameters
    ----------
    text:
        Gives a knob's value as text, "" for one that is not there.
    """
    found: dict[str, Any] = {}
    raw = text("raw").lower() in ("true", "1")
    found["colourspace"] = "scene_linear" if raw else role_of(text("colorspace")) or "auto"
    if kind == "Read":
        shown = text("on_error").lower()
        found["missing"] = {"black": "black", "nearest frame": "hold", "nearestframe": "hold"}.get(shown, "error")
        for name in ("first", "last"):
            if re.fullmatch(r"-?\d{1,9}", text(name)):
                found[name] = int(text(name))
    else:
        found["datatype"] = _SAMPLES.get(text("datatype").strip(), "auto")
        found["compression"] = _PACKED.get(text("compression"), "auto")
    return found
