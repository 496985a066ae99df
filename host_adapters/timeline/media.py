"""Media in folders: numbered files and movies, found by path, by reel and timecode, or by name."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from safelight.graph.errors import GraphError, SafelightError
from safelight.graph.frames import format_frames
from safelight.host_adapters.timeline.edit import Reference, Use
from safelight.host_adapters.timeline.timecode import header_timecode, nominal, timecode
from safelight.nodes.io.files.decode import STILL_SUFFIXES
from safelight.nodes.io.files.local import opener
from safelight.nodes.io.files.sequence import MOVIE_SUFFIXES, Pattern

_NUMBERED = re.compile(r"^(.*?)(-?\d+)(\.[^.\d][^.]*)$")
_REELS = ("reelName", "openexr:reelName", "dpx:InputDevice", "movie:reel_name", "movie:com.apple.quicktime.reel")
_CODES = ("smpte:TimeCode", "timeCode", "dpx:TimeCode", "movie:timecode")


class Media:
    """Numbered files, or a movie. Headers are looked at when somebody asks, once."""

    def __init__(self, path: Path, numbers: Sequence[int] = (), pattern: Pattern | None = None) -> None:
        self.path = path
        """The movie's path, or the pattern's."""
        self.pattern = pattern
        self._numbers = sorted(numbers)

    def __repr__(self) -> str:
        return f"Media({str(self.path)!r})"

    @property
    def movie(self) -> bool:
        """Whether it is one file."""
        return self.pattern is None

    @cached_property
    def header(self) -> Any:
        """Header of the first frame."""
        if self.pattern is None:
            return opener(False).movie_header(self.path)
        return opener(False).header(self.pattern.path(self._numbers[0]), "")

    @cached_property
    def first(self) -> int:
        """Number of the first frame; a movie's is 1."""
        return 1 if self.movie else self._numbers[0]

    @cached_property
    def last(self) -> int:
        """Number of the last frame."""
        return int(self.header.frames) if self.movie else self._numbers[-1]

    @cached_property
    def numbers(self) -> frozenset[int]:
        """Numbers of all frames there are."""
        return frozenset(range(1, self.last + 1)) if self.movie else frozenset(self._numbers)

    @property
    def stem(self) -> str:
        """Its name without number and suffix.

        >>> Media(Path("a/A001_C003.####.dpx"), [1], Pattern(Path("a"), "A001_C003.", ".dpx", 4)).stem
        'A001_C003'
        """
        return self.path.stem if self.pattern is None else self.pattern.before.rstrip("._- ")

    @property
    def key(self) -> tuple[str, str]:
        """What is equal for names of one sequence, whatever their numbers and padding."""
        if self.pattern is None:
            return self.path.name.casefold(), ""
        return self.pattern.before.casefold(), self.pattern.after.casefold()

    def _attribute(self, names: Iterable[str]) -> Any:
        try:
            attributes = self.header.attributes
        except SafelightError:
            return None  # Read will say what is wrong with the file, if it comes to reading it
        return next((attributes[name] for name in names if attributes.get(name) not in (None, "")), None)

    @cached_property
    def reel(self) -> str:
        """Reel that its header names; empty for none."""
        return str(self._attribute(_REELS) or "").strip()

    @cached_property
    def rate(self) -> float | None:
        """Frames a second that its header names."""
        try:
            return float(self.header.fps) if self.header.fps else None
        except SafelightError:
            return None

    def timecode(self, rate: float) -> int | None:
        """Return the timecode of its first frame as a frame count; None where its header has none."""
        found = self._attribute(_CODES)
        return None if found is None else header_timecode(found, rate)

    def offset(self, use: Use) -> tuple[int | None, str]:
        """Return what leads from a use's media time to the number of a frame, and how it was found.

        None, and why not, where no rule brings all the frames that the edit shows inside the media.
        """
        reference = use.reference
        if self.rate and nominal(self.rate) != nominal(use.rate):
            return None, f"{self.path.name} runs at {self.rate:g} frames a second and the clip at {use.rate:g}"
        tried: list[tuple[int, str]] = []
        if reference.number is not None and reference.first is not None and not self.movie:
            tried.append((reference.number - reference.first, "file number"))
        code = self.timecode(use.rate)
        if code is not None:
            tried.append((self.first - code, "timecode"))
        length = self.last - self.first + 1
        same = reference.length in (None, length)
        if reference.first is not None and same:
            tried.append((self.first - reference.first, "place from its start"))
        if not self.movie:
            tried.append((0, "timecode is file number"))
        for offset, how in tried:
            if self.first <= use.first + offset and use.last + offset <= self.last:
                return offset, how
        begins = "no timecode" if code is None else f"timecode from {timecode(code, use.rate)}"
        if reference.first is not None and not same:
            begins += f"; the edit counts on {reference.length} frames, so that nothing says which is the first"
        shown = f"{timecode(use.first, use.rate)} to {timecode(use.last, use.rate)}"
        return None, (
            f"it shows {shown} (frames {use.first}-{use.last}), "
            f"and {self.path.name} has {self.first}-{self.last}, {begins}"
        )


@dataclass(frozen=True)
class Match:
    """Media found for a use."""

    media: Media
    offset: int
    """Number of a frame's file less its media time."""
    by: str
    """`path`, `reel` or `name`, and how frames were numbered."""


class Library:
    """All media under some folders. Hidden files and folders are not looked at, nor is the folder `skip`."""

    def __init__(self, folders: Sequence[Path], skip: Path | None = None) -> None:
        self.folders = tuple(folders)
        left_out = skip.resolve() if skip is not None else None
        self.media: list[Media] = []
        for folder in folders:
            if not folder.is_dir():
                raise GraphError("there is no such media folder", file=folder, remedy="Name a folder after --media.")
            for root, inner, names in os.walk(folder, onerror=_refuse):
                inner[:] = sorted(
                    name for name in inner if not name.startswith(".") and Path(root, name).resolve() != left_out
                )
                self.media += _sort(Path(root), sorted(names))

    def find(self, use: Use) -> Match:
        """Return the media of a use: by path, by reel and timecode, by name; the first way that finds some decides.

        Raises
        ------
        GraphError
            None is found, none holds the frames, or several do; the message names clip, track, timecode.
        """
        reasons: list[str] = []
        for by, found in (
            ("path", self._by_path(use.reference)),
            ("reel", self._by_reel(use)),
            ("name", self._by_name(use)),
        ):
            fitting: list[Match] = []
            for media in found:
                offset, how = media.offset(use)
                if offset is None:
                    reasons.append(how)
                else:
                    fitting.append(Match(media, offset, f"{by}, {how}"))
            if len({match.media.path for match in fitting}) > 1:
                named = ", ".join(str(match.media.path) for match in fitting[:3])
                raise GraphError(
                    f"{len(fitting)} media fit by {by}: {named}",
                    where=use.where,
                    remedy="Leave the wrong one out of --media.",
                )
            if fitting:
                return fitting[0]
        told = " or ".join(
            filter(
                None,
                (
                    f"file '{PurePosixPath(use.reference.path).name}'" if use.reference.path else "",
                    f"reel '{use.reel}'" if use.reel else "",
                    f"name '{use.name}'",
                ),
            )
        )
        if reasons:
            raise GraphError(reasons[0], where=use.where, remedy="Give --media the folder of the whole media.")
        places = ", ".join(map(str, self.folders)) or "where the timeline says"
        raise GraphError(
            f"no media is there for {told}", where=use.where, remedy=f"Looked in {places}; add --media FOLDER."
        )

    def _by_path(self, reference: Reference) -> list[Media]:
        if not reference.path:
            return []
        name = PurePosixPath(reference.path).name
        keys = {_key_of(name), (name.casefold(), "")}
        found = [media for media in self.media if media.key in keys]
        # Of several by one name those whose folders agree longest are meant.
        tails = [_shared_tail(reference.path, media.path) for media in found]
        return [media for media, tail in zip(found, tails, strict=True) if tail == max(tails)]

    def _by_reel(self, use: Use) -> list[Media]:
        reel = use.reel.casefold()
        if not reel:
            return []
        exact = [media for media in self.media if reel in (media.stem.casefold(), media.path.parent.name.casefold())]
        exact = exact or [media for media in self.media if media.reel.casefold() == reel]
        # Camera files begin with their reel and go on with date and serial: A001C003_210314_R1AB.
        return exact or [
            media for media in self.media if re.match(rf"{re.escape(reel)}[^0-9a-z]", media.stem.casefold())
        ]

    def _by_name(self, use: Use) -> list[Media]:
        names = {PurePosixPath(name).stem.casefold().rstrip("._- #") for name in (use.name, use.reference.name) if name}
        names |= {use.name.casefold()}
        return [media for media in self.media if media.stem.casefold() in names]


def media_at(reference: Reference, folder: Path) -> Library:
    """Return a library of the one media that a reference's own path means; empty where it is not there."""
    library = Library(())
    path = folder / reference.path if reference.path else None
    if path is not None and path.parent.is_dir():
        names = sorted(entry.name for entry in path.parent.iterdir() if entry.is_file())
        library.media = _sort(path.parent, names)
    return library


def missing_frames(media: Media, first: int, last: int) -> str:
    """Return the frames of a range that are not there, as text; empty if all are."""
    return format_frames([number for number in range(first, last + 1) if number not in media.numbers])


def _sort(folder: Path, names: Sequence[str]) -> list[Media]:
    """Sort file names of one folder into movies and sequences."""
    media: list[Media] = []
    groups: dict[tuple[str, str], list[str]] = {}
    for name in names:
        suffix = Path(name).suffix.casefold()
        if name.startswith("."):
            continue
        if suffix in MOVIE_SUFFIXES:
            media.append(Media(folder / name))
        elif suffix in STILL_SUFFIXES and (match := _NUMBERED.match(name)):
            groups.setdefault((match[1], match[3]), []).append(match[2])
    for (before, after), texts in groups.items():
        digits = min(len(text) for text in texts)
        pattern = Pattern(folder, before, after, digits)
        numbers = [int(text) for text in texts if f"{int(text):0{digits}d}" == text]
        media.append(Media(Path(str(pattern)), numbers, pattern))
    return media


def _key_of(name: str) -> tuple[str, str]:
    match = re.match(r"^(.*?)(#+|-?\d+)(\.[^.\d][^.]*)$", name)
    return (match[1].casefold(), match[3].casefold()) if match else (name.casefold(), "")


def _shared_tail(path: str, other: Path) -> int:
    mine, theirs = PurePosixPath(path).parent.parts[::-1], other.parent.parts[::-1]
    count = 0
    for a, b in zip(mine, theirs, strict=False):
        if a.casefold() != b.casefold():
            break
        count += 1
    return count


def _refuse(error: OSError) -> None:
    raise GraphError(f"the media folder cannot be read: {error.strerror}", file=error.filename)
