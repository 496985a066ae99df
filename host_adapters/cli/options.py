"""Arguments that several commands share, and how their text is read."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from safelight.graph.errors import GraphError

_UNITS = {"": 1, "B": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}
_BINARY = {"K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

GraphFile = Annotated[Path, typer.Argument(metavar="GRAPH", help="Graph document (TOML).", show_default=False)]
Target = Annotated[
    Path,
    typer.Argument(
        metavar="GRAPH|SEQUENCE",
        help="Graph document (.toml), or file, folder or sequence (shot.####.exr).",
        show_default=False,
    ),
]
ColourSpace = Annotated[
    str, typer.Option("--colourspace", help="Colour space of a sequence, where the files do not say it.")
]
Frames = Annotated[
    str | None,
    typer.Option("--frames", "-f", metavar="RANGE", help="Frames: 1001-1100, 1001-1100x2, 1001,1005. Default: all."),
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", "-s", metavar="NODE.PARAM=VALUE", help="Override a parameter; may be given many times."),
]
DeviceName = Annotated[str, typer.Option("--device", metavar="auto|cpu|cuda", help="Where to compute.")]
Threads = Annotated[
    int | None,
    typer.Option("--threads", "-t", min=1, metavar="N", help="CPU threads. Default: all this process may use."),
]
Memory = Annotated[
    str | None,
    typer.Option(
        "--memory", "-m", metavar="SIZE", help="Most memory for pixels: 8GB, 512MiB. Default: half of what is free."
    ),
]
Untrusted = Annotated[
    bool,
    typer.Option("--untrusted", help="Read files in a child process with a memory limit: for files from strangers."),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


def read_size(text: str | None) -> int:
    """Return bytes; 0 for None.

    >>> read_size("8GB"), read_size("1.5 GiB"), read_size("512M")
    (8000000000, 1610612736, 512000000)
    """
    if text is None:
        return 0
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*(?:([KMGT]?)(i?)B?)?\s*", text, re.IGNORECASE)
    if match is None or (match[3] and not match[2]):
        raise GraphError(f"'{text}' is not an amount of memory", remedy="Write, for instance, --memory 8GB or 512MiB.")
    unit = (match[2] or "").upper()
    size = int(float(match[1]) * (_BINARY if match[3] else _UNITS)[unit])
    if size < 1 << 20:
        raise GraphError(f"--memory {text} is under one megabyte", remedy="Write a unit: 8GB.")
    return size


def read_sets(values: Sequence[str] | None) -> list[tuple[str, str]]:
    """Split NODE.PARAM=VALUE pairs."""
    pairs = []
    for text in values or ():
        target, equals, value = text.partition("=")
        if not equals or "." not in target:
            raise GraphError(f"'--set {text}' sets nothing", remedy="Write --set NODE.PARAM=VALUE.")
        pairs.append((target.strip(), value))
    return pairs


def size_text(size: float) -> str:
    """Write an amount of memory for a person.

    >>> size_text(3_221_225_472), size_text(1536)
    ('3.22 GB', '1.54 KB')
    """
    for unit in ("B", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def time_text(seconds: float) -> str:
    """Write a length of time for a person.

    >>> time_text(4.26), time_text(75), time_text(7384)
    ('4.3 s', '1:15', '2:03:04')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
