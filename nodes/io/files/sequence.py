"""Frame numbers in file names: `plate.####.exr`, `plate.%04d.exr`, a folder, or one file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from safelight.graph.errors import GraphError
from safelight.nodes.io.files.decode import STILL_SUFFIXES

MOVIE_SUFFIXES = frozenset(
    {".mov", ".mp4", ".m4v", ".mkv", ".avi", ".mxf", ".webm", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".y4m", ".nut"}
)
_PATTERN = re.compile(r"#+|%0?(\d*)d")
_NUMBERED = re.compile(r"^(.*?)(-?\d+)(\.[^.\d][^.]*)$")


@dataclass(frozen=True)
class Pattern:
    """A path with a place for the frame number."""

    folder: Path
    before: str
    after: str
    digits: int
    """Least number of digits; smaller numbers are padded with zeros."""

    def path(self, frame: int) -> Path:
        """Return the file of one frame."""
        return self.folder / f"{self.before}{frame:0{self.digits}d}{self.after}"

    def frame(self, name: str) -> int | None:
        """Return the frame number of a file name, None if it is not of this pattern."""
        if not (name.startswith(self.before) and name.endswith(self.after)):
            return None
        middle = name[len(self.before) : len(name) - len(self.after)]
        if not re.fullmatch(r"-?\d+", middle, re.ASCII):
            return None
        number = int(middle)
        return number if f"{number:0{self.digits}d}" == middle else None

    def __str__(self) -> str:
        return str(self.folder / f"{self.before}{'#' * self.digits}{self.after}")


@dataclass(frozen=True)
class Files:
    """Frames there are: numbered files, or one file (a still or a movie)."""

    frames: Mapping[int, Path]
    """By number; empty for a single file."""
    single: Path | None = None
    pattern: Pattern | None = None

    @property
    def movie(self) -> bool:
        """Whether the single file is a movie."""
        return self.single is not None and self.single.suffix.lower() in MOVIE_SUFFIXES


def parse_pattern(path: Path) -> Pattern | None:
    """Read `####` or `%04d` in a file's name; None when there is neither.

    Raises
    ------
    GraphError
        There are two of them, or one in a folder's name.
    """
    found = list(_PATTERN.finditer(path.name))
    if _PATTERN.search(str(path.parent)) and not path.parent.is_dir():
        raise GraphError("a folder's name cannot hold the frame number", file=path, remedy="Use #### in the file name.")
    if not found:
        return None
    if len(found) > 1:
        raise GraphError("the name holds the frame number twice", file=path, remedy="Keep one #### or %04d.")
    match = found[0]
    digits = len(match.group()) if match.group()[0] == "#" else int(match.group(1) or 1)
    return Pattern(path.parent, path.name[: match.start()], path.name[match.end() :], digits)


def find_files(path: Path) -> Files:
    """Find what a path means: a sequence, the one sequence in a folder, a still, a movie.

    Names that begin with a dot are never looked at: temporary files of writers are among them.

    Raises
    ------
    GraphError
        Nothing is there, or a folder holds more than one sequence; the message names them.
    """
    pattern = None if path.is_file() else parse_pattern(path)
    if pattern is not None:
        frames = {frame: pattern.folder / name for name in _names(pattern.folder)
                  if (frame := pattern.frame(name)) is not None}  # fmt: skip
        if not frames:
            raise GraphError("no file of that name is there", file=path, remedy=_near(pattern))
        return Files(dict(sorted(frames.items())), pattern=pattern)
    if path.is_dir():
        return _folder(path)
    if not path.exists():
        raise GraphError("there is no such file or folder", file=path, remedy=_alike(path))
    if not os.access(path, os.R_OK):
        raise GraphError("the file may not be read", file=path, remedy="Change its permissions.")
    return Files({}, single=path)


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and not entry.is_dir()]
    except FileNotFoundError:
        raise GraphError("there is no such folder", file=folder) from None
    except OSError as error:
        raise GraphError(f"the folder cannot be read ({error.strerror})", file=folder) from None


def _group(names: list[str]) -> dict[tuple[str, str], dict[int, list[str]]]:
    """Sort file names into sequences: by (before, after) the frames, each with its spellings."""
    found: dict[tuple[str, str], dict[int, list[str]]] = {}
    for name in names:
        match = _NUMBERED.match(name)
        if match:
            before, number, after = match.groups()
            found.setdefault((before, after), {}).setdefault(int(number), []).append(name)
    return found


def _folder(folder: Path) -> Files:
    names = [name for name in _names(folder) if Path(name).suffix.lower() in STILL_SUFFIXES]
    sequences = _group(names)
    loose = [name for name in names if not _NUMBERED.match(name)]
    movies = [name for name in _names(folder) if Path(name).suffix.lower() in MOVIE_SUFFIXES]
    shown = [f"{before}{'#' * _digits(frames)}{after}" for (before, after), frames in sorted(sequences.items())]
    shown += sorted(loose) + sorted(movies)
    if not shown:
        raise GraphError("the folder holds no picture files", file=folder)
    if len(shown) > 1:
        listed = ", ".join(shown[:6]) + (f" and {len(shown) - 6} more" if len(shown) > 6 else "")
        raise GraphError(
            f"the folder holds more than one sequence: {listed}", file=folder, remedy="Name one of them in 'path'."
        )
    if not sequences:
        return Files({}, single=folder / shown[0])
    (before, after), frames = next(iter(sequences.items()))
    pattern = Pattern(folder, before, after, _digits(frames))
    for frame, spellings in sorted(frames.items()):
        if spellings != [pattern.path(frame).name]:
            raise GraphError(
                f"frame {frame} is spelt {' and '.join(sorted(spellings))}; the others have {pattern.digits} digits",
                file=folder,
                remedy="Rename the odd ones, or name the sequence with #### in 'path'.",
            )
    return Files({frame: pattern.path(frame) for frame in sorted(frames)}, pattern=pattern)


def _digits(frames: Mapping[int, list[str]]) -> int:
    """Return the padding that all names agree with, if there is one: the shortest number's length."""
    lengths = [len(match.group(2)) for names in frames.values() for name in names if (match := _NUMBERED.match(name))]
    return min(lengths)


def _near(pattern: Pattern) -> str:
    others = _group(_names(pattern.folder))
    frames = others.get((pattern.before, pattern.after))
    if frames:
        return f"There are {pattern.before}{'#' * _digits(frames)}{pattern.after}: mind the number of digits."
    shown = [f"{before}{'#' * _digits(frames)}{after}" for (before, after), frames in sorted(others.items())][:4]
    return f"The folder holds {', '.join(shown)}." if shown else "The folder holds no numbered files."


def _alike(path: Path) -> str:
    from safelight.graph.errors import did_you_mean

    return did_you_mean(path.name, _names(path.parent)) if path.parent.is_dir() else "Its folder is not there either."
