"""What each file format can hold, and what it gets when nobody says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.provenance import CHANNEL
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.io.files.sequence import MOVIE_SUFFIXES


@dataclass(frozen=True)
class Format:
    """One still format."""

    name: str
    """OpenImageIO's name."""
    suffixes: tuple[str, ...]
    types: tuple[str, ...]
    """Sample types it can hold, the usual one first."""
    compressions: tuple[str, ...]
    """The usual one first."""
    windows: bool = False
    """Whether it keeps a data window beside the display window, and any channels."""
    alpha: bool = True


FORMATS = (
    Format(
        "openexr",
        (".exr", ".sxr"),
        ("half", "float"),
        ("zip", "none", "rle", "zips", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab"),
        windows=True,
    ),
    Format("dpx", (".dpx",), ("uint10", "uint16", "uint8"), ("none",)),
    Format("tiff", (".tif", ".tiff"), ("uint16", "uint8", "half", "float"), ("zip", "none", "lzw", "packbits")),
    Format("png", (".png",), ("uint16", "uint8"), ("zip",)),
    Format("jpeg", (".jpg", ".jpeg"), ("uint8",), ("jpeg",), alpha=False),
)
_LOSSLESS = {"none", "rle", "zips", "zip", "piz"}
_COLOUR = ("R", "G", "B", "Y")


def format_of(path: Path) -> Format | None:
    """Return the format of a name's extension, None for a movie's.

    Raises
    ------
    GraphError
        No such extension can be written.
    """
    suffix = path.suffix.lower()
    if suffix in MOVIE_SUFFIXES:
        return None
    for known in FORMATS:
        if suffix in known.suffixes:
            return known
    names = [name for known in FORMATS for name in known.suffixes] + [".mov", ".mp4", ".mkv"]
    raise GraphError(
        f"files of the kind '{suffix or path.name}' cannot be written",
        file=path,
        remedy=did_you_mean(suffix, names) or f"Known are {', '.join(names)}.",
    )


def origin_types(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the sample types of the file the picture came from, by channel; empty where it came from none."""
    origin = metadata.get(ORIGIN)
    types = origin.get("types") if isinstance(origin, Mapping) else None
    return types if isinstance(types, Mapping) else {}


def channel_types(
    target: Format, channels: tuple[str, ...], datatype: str, metadata: Mapping[str, Any]
) -> tuple[str, ...]:
    """Choose each channel's sample type.

    A datatype asked for holds for R, G, B, Y and A. Of an EXR's other channels, depth and ids keep the type they were
    read with; what no file said becomes what the picture is; `provenance` is a whole number. With "auto" every channel
    keeps its type where the format can hold it.
    """
    source = origin_types(metadata)
    usual = target.types[0]
    colour = [source[name] for name in channels if name in _COLOUR and name in source]
    kept = "float" if colour and colour[0] == "double" else colour[0] if colour else ""
    picture = datatype if datatype != "auto" else kept if kept in target.types else usual
    if not target.windows:
        return (picture,) * len(channels)
    types = []
    for name in channels:
        own = {"double": "float"}.get(source.get(name, ""), source.get(name, ""))
        if name == CHANNEL:
            types.append("uint32")
        elif name in (*_COLOUR, "A"):
            types.append(own if datatype == "auto" and own in target.types else picture)
        else:
            types.append(own if own in ("half", "float", "uint32") else picture)
    return tuple(types)


def choose_compression(target: Format, wanted: str, types: tuple[str, ...], metadata: Mapping[str, Any]) -> str:
    """Choose a compression: the one asked for, else the source's if it loses nothing, else the format's usual one."""
    if wanted != "auto":
        return wanted
    origin = metadata.get(ORIGIN)
    if isinstance(origin, Mapping) and origin.get("format") == target.name:
        was = str(origin.get("compression", ""))
        if was in target.compressions and (was in _LOSSLESS or (was == "pxr24" and "float" not in types)):
            return was
    return target.compressions[0]


def pick_channels(target: Format | None, channels: tuple[str, ...], path: Path) -> tuple[str, ...]:
    """Choose the channels a file gets: all of an EXR's; else R, G, B or Y, and A where there is room for it.

    Raises
    ------
    GraphError
        The picture has neither R, G and B nor Y.
    """
    if target is not None and target.windows:
        return channels
    if all(name in channels for name in "RGB"):
        colour: tuple[str, ...] = ("R", "G", "B")
    elif "Y" in channels and not any(name in channels for name in "RGB"):
        colour = ("Y",)
    else:
        raise GraphError(
            f"the picture has the channels {', '.join(channels)}; this file needs R, G and B, or Y",
            file=path,
            remedy="Write EXR, which holds any channels.",
        )
    alpha = ("A",) if "A" in channels and target is not None and target.alpha else ()
    return colour + alpha
