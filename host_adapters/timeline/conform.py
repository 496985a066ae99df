"""Conforms an edit: which frames of which media it takes to restore, each once, with handles and cuts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from safelight.graph.errors import GraphError
from safelight.host_adapters.timeline.edit import Edit, Use
from safelight.host_adapters.timeline.media import Library, Match, Media, media_at, missing_frames
from safelight.host_adapters.timeline.timecode import timecode

Repeats = Literal["once", "each"]
REPEATS = ("once", "each")


@dataclass(frozen=True)
class Left:
    """A clip that is not restored, and why."""

    use: Use
    why: str


@dataclass
class Shot:
    """A stretch of one media that is restored in one go: one graph document."""

    name: str
    media: Media
    uses: list[Use]
    matches: list[Match]
    first: int
    last: int
    """Numbers of the first and last frame that the edit shows."""
    start: int
    end: int
    """The same with handles: what is rendered."""
    cuts: list[int] = field(default_factory=list)
    """Numbers of frames that begin another shot of the edit, where its media runs on through the cut."""

    @property
    def length(self) -> int:
        """Frames that are rendered."""
        return self.end - self.start + 1

    def media_time(self, number: int) -> int:
        """Return the media time (timecode as a frame count) of a frame number, as its first use counts it."""
        return number - self.matches[0].offset

    def as_data(self) -> dict[str, Any]:
        """Return the shot as plain data."""
        return {
            "shot": self.name,
            "media": str(self.media.path),
            "found": self.matches[0].by,
            "frames": [self.first, self.last],
            "rendered": [self.start, self.end],
            "handles": [self.first - self.start, self.end - self.last],
            "cuts": self.cuts,
            "uses": [
                {
                    "clip": use.name,
                    "track": use.track,
                    "record": use.record,
                    "record_timecode": use.record_timecode,
                    "duration": use.duration,
                    "source": [use.first + match.offset, use.last + match.offset],
                    "source_timecode": timecode(use.cut_in, use.rate),
                    "transitions": [use.head, use.tail],
                    "speed": use.speed,
                    "reel": use.reel,
                }
                for use, match in zip(self.uses, self.matches, strict=True)
            ],
        }


@dataclass
class Conform:
    """What came of an edit."""

    edit: Edit
    shots: list[Shot]
    disabled: list[Use]
    left: list[Left]
    """Clips that could not be conformed (`keep_going`)."""


def conform(
    edit: Edit,
    folders: Sequence[Path],
    beside: Path,
    *,
    handles: int = 8,
    repeats: Repeats = "once",
    keep_going: bool = False,
    skip: Path | None = None,
) -> Conform:
    """Find the media of every clip that is enabled and the frames to restore.

    Parameters
    ----------
    folders:
        Where media lie; without any, the paths in the timeline are taken, relative ones from `beside`.
    handles:
        Frames before and after what the edit shows, as far as there are any.
    repeats:
        `once`: uses of one media that share frames become one shot. `each`: every clip becomes a shot of its own.
    keep_going:
        List clips that cannot be conformed in `left`, and go on.
    skip:
        Folder that holds no media: that of the restored pictures, which have their media's reel and timecode.

    Raises
    ------
    GraphError
        A clip cannot be conformed: retime or nesting that is not understood, media that are missing, ambiguous, too
        short or incomplete. The message names clip, track, timecode, and how many others are wrong, too.
    """
    library = Library(folders, skip) if folders else None
    found: list[tuple[Use, Match]] = []
    errors: list[tuple[Use, GraphError]] = []
    for use in edit.uses:
        if not use.enabled:
            continue
        try:
            if use.refused:
                raise GraphError(use.refused, where=use.where)
            match = (library or media_at(use.reference, beside)).find(use)
            _whole(use, match)
            found.append((use, match))
        except GraphError as error:
            errors.append((use, error))
    if errors and not keep_going:
        first = errors[0][1]
        more = f" {len(errors) - 1} more clips cannot be conformed." if len(errors) > 1 else ""
        told = f"{first.remedy.rstrip('.')}. " if first.remedy else ""
        raise GraphError(
            first.what,
            where=first.where,
            remedy=f"{told}--keep-going leaves such clips as they are and lists them.{more}",
        )
    shots = _shots(found, handles, repeats)
    return Conform(edit, shots, [u for u in edit.uses if not u.enabled], [Left(use, str(e)) for use, e in errors])


def _whole(use: Use, match: Match) -> None:
    gone = missing_frames(match.media, use.first + match.offset, use.last + match.offset)
    if gone:
        raise GraphError(
            f"frames {gone} of the media are missing",
            where=use.where,
            file=match.media.path,
            remedy="Copy the whole sequence.",
        )


def _shots(found: Sequence[tuple[Use, Match]], handles: int, repeats: Repeats) -> list[Shot]:
    by_media: dict[Path, list[tuple[Use, Match]]] = {}
    for use, match in found:
        by_media.setdefault(match.media.path, []).append((use, match))
    shots: list[Shot] = []
    for pairs in by_media.values():
        ordered = sorted(pairs, key=lambda pair: (pair[0].first + pair[1].offset, pair[0].order))
        of_media: list[Shot] = []
        for use, match in ordered:
            first, last = use.first + match.offset, use.last + match.offset
            # Media time must mean the same frame for all uses of a shot: they are named by one reference.
            if (
                repeats == "once"
                and of_media
                and first <= of_media[-1].last
                and of_media[-1].matches[0].offset == match.offset
                and of_media[-1].uses[0].rate == use.rate
            ):
                shot = of_media[-1]
                shot.uses.append(use)
                shot.matches.append(match)
                shot.last = max(shot.last, last)
            else:
                of_media.append(Shot("", match.media, [use], [match], first, last, first, last))
        through = _through_cuts(pairs)
        for shot in of_media:
            _add_handles(shot, handles)
            shot.cuts = [cut for cut in through if shot.start < cut <= shot.end]
        shots += of_media
    shots.sort(key=lambda shot: min(use.order for use in shot.uses))
    for index, shot in enumerate(shots, 1):
        earliest = min(shot.uses, key=lambda use: use.order)
        shot.name = f"{index * 10:04d}_{_slug(Path(earliest.name).stem or shot.media.stem)}"
    return shots


def _through_cuts(pairs: Sequence[tuple[Use, Match]]) -> list[int]:
    """Return where one clip ends in the media and another begins: the cuts of a finished master."""
    ends = {use.cut_out + match.offset for use, match in pairs}
    return sorted({use.cut_in + match.offset for use, match in pairs} & ends)


def _add_handles(shot: Shot, handles: int) -> None:
    numbers = shot.media.numbers
    while shot.first - shot.start < handles and shot.start - 1 in numbers:
        shot.start -= 1
    while shot.end - shot.last < handles and shot.end + 1 in numbers:
        shot.end += 1


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text).strip("_")[:40] or "shot"
