"""What is known of a picture file beside its pixels, in one neutral form for all formats.

Attributes travel as plain Python values under OpenImageIO's names (`smpte:TimeCode`, `ImageDescription`, `owner`, …),
which are the same for all formats; what else it takes to write a file like the one read lies under `ORIGIN`.
"""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from safelight.graph.region import Region

ORIGIN = "safelight:file"
"""Key in an image's metadata: what the file was, see `Header.metadata`."""


@dataclass(frozen=True)
class Header:
    """One file's header. All fields survive `to_plain` and `from_plain`, which take it between processes as JSON."""

    format: str
    """OpenImageIO's name: `openexr`, `dpx`, `tiff`, …; `movie`."""
    display: Region
    data: Region
    channels: tuple[str, ...]
    types: tuple[str, ...]
    """Sample type of each channel: `half`, `float`, `double`, `uint8`, `uint10`, `uint12`, `uint16`, `uint32`."""
    pixel_aspect: float = 1.0
    fps: Fraction | None = None
    compression: str = ""
    log: bool = False
    """The file says that it holds a film log (Cineon, printing density)."""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    attribute_types: Mapping[str, str] = field(default_factory=dict)
    """OpenImageIO's type string of each attribute (`timecode`, `float[8]`, …)."""
    frames: int = 1
    """Pictures in the file: more than one in a movie."""

    @property
    def floating(self) -> bool:
        """Whether the picture's samples are floating point."""
        return self.types[0] in ("half", "float", "double")

    def metadata(self, path: str, colourspace: str, converted: bool) -> dict[str, Any]:
        """Return what travels with the pixels: the attributes, and under `ORIGIN` the rest."""
        return {
            **self.attributes,
            ORIGIN: {
                "path": path,
                "format": self.format,
                "types": dict(zip(self.channels, self.types, strict=True)),
                "attribute_types": dict(self.attribute_types),
                "compression": self.compression,
                "colourspace": colourspace,
                "converted": converted,
                "log": self.log,
                "pixel_aspect": self.pixel_aspect,
                "fps": self.fps,
            },
        }

    def to_plain(self) -> dict[str, Any]:
        """Return the header as data that JSON holds."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        plain["display"], plain["data"] = _corners(self.display), _corners(self.data)
        plain["fps"] = [self.fps.numerator, self.fps.denominator] if self.fps else None
        plain["attributes"] = {name: _plain(value) for name, value in self.attributes.items()}
        plain["attribute_types"] = dict(self.attribute_types)
        return plain

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Header:
        """Rebuild a header; raises ValueError, TypeError or KeyError on anything else than `to_plain` makes."""
        values = {name: plain[name] for name in cls.__dataclass_fields__}
        values["display"], values["data"] = Region(*map(int, plain["display"])), Region(*map(int, plain["data"]))
        values["channels"], values["types"] = tuple(map(str, plain["channels"])), tuple(map(str, plain["types"]))
        values["fps"] = Fraction(int(plain["fps"][0]), int(plain["fps"][1])) if plain["fps"] else None
        values["attributes"] = {str(name): _unplain(value) for name, value in plain["attributes"].items()}
        values["attribute_types"] = {str(name): str(value) for name, value in plain["attribute_types"].items()}
        return cls(**values)


def _corners(region: Region) -> list[int]:
    return [region.x0, region.y0, region.x1, region.y1]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _unplain(value: Any) -> Any:
    if isinstance(value, dict):
        return base64.b64decode(value["base64"])
    if isinstance(value, list):
        return tuple(_unplain(item) for item in value)
    if isinstance(value, str | int | float):
        return value
    raise ValueError(f"an attribute cannot be {type(value).__name__}")


def frame_rate(value: Any) -> Fraction | None:
    """Turn what headers hold (a float, or a numerator and denominator) into a rate; None when it is none.

    >>> frame_rate(23.976)
    Fraction(24000, 1001)
    """
    if isinstance(value, tuple) and len(value) == 2:
        return Fraction(int(value[0]), int(value[1])) if value[0] > 0 and value[1] > 0 else None
    if not isinstance(value, int | float) or not math.isfinite(value) or not 0 < value < 10000:
        return None
    for whole in (24, 30, 48, 60, 120):
        if abs(value - whole * 1000 / 1001) < 0.002:
            return Fraction(whole * 1000, 1001)
    return Fraction(value).limit_denominator(1001)
