"""A shot's pictures as files: the camera file itself where Safelight reads it, else rendered with handles."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.graph.errors import Cancelled, RenderError
from safelight.host_adapters.resolve.journal import Journal
from safelight.host_adapters.resolve.paths import RANGE, as_pattern
from safelight.host_adapters.resolve.project import Colour
from safelight.host_adapters.resolve.remote import Remote
from safelight.nodes.io.files.decode import STILL_SUFFIXES
from safelight.nodes.io.files.sequence import MOVIE_SUFFIXES

if TYPE_CHECKING:
    from safelight.host_adapters.resolve.shots import HostShot

STALL = 600.0
"""Seconds a render in Resolve may stand still before it is given up."""


@dataclass(frozen=True)
class Pull:
    """Pictures to restore."""

    path: Path
    """What Read takes."""
    first: int
    last: int
    """Frame numbers with handles, as Read counts."""
    shown: int
    """Number of the first frame that the timeline shows."""
    space: str
    """Resolve's name of the colour space they are in; empty where it is not known."""
    rendered: bool
    """Whether Resolve rendered them."""


@dataclass(frozen=True)
class Media:
    """A file of numbered pictures or a movie, and the part of it that a shot shows."""

    path: str
    """As Resolve has it: a sequence's with `[first-last]`."""
    frames: int
    offset: int
    duration: int
    space: str = ""

    @property
    def pattern(self) -> str:
        """Path as a Read takes it: numbered files with `####`."""
        return as_pattern(self.path)

    @property
    def first(self) -> int:
        """Number of the media's first frame, as a Read counts: that of a sequence's first file, 1 for a movie."""
        match = RANGE.search(self.path)
        return int(match[1]) if match else 1

    @property
    def readable(self) -> bool:
        """Whether Safelight reads the file itself."""
        suffix = Path(self.pattern).suffix.casefold()
        return suffix in STILL_SUFFIXES or suffix in MOVIE_SUFFIXES

    def handles(self, wanted: int) -> tuple[int, int]:
        """Return the handles there are before and after."""
        return min(wanted, self.offset), min(wanted, max(0, self.frames - self.offset - self.duration))


def pull_direct(media: Media, handles: int, *, whole: bool = False) -> Pull:
    """Take the camera file as it is; `whole` takes all its frames."""
    before, after = media.handles(media.frames if whole else handles)
    shown = media.first + media.offset
    last = shown + media.duration - 1 + after
    return Pull(Path(media.pattern), shown - before, last, shown, media.space, rendered=False)


@dataclass
class Deliver:
    """What a pull through Resolve's render queue goes by."""

    project: Remote
    colour: Colour
    journal: Journal
    folder: Path
    preset: str
    """Render preset to begin from: it puts the settings that cannot be read into a known state."""
    tell: Callable[[str], None]
    stopped: Callable[[], bool]
    poll: float = 1.0
    """Seconds between two looks at the queue."""


def pull_rendered(shot: HostShot, handles: int, deliver: Deliver) -> Pull:
    """Render a shot with handles as EXR on a timeline of its own, which is removed again.

    A fresh timeline shows the media without the grade; the project's output transform is baked in, and its name
    recorded. The files are counted: settings of Deliver that scripts cannot see may say otherwise than was asked.

    Raises RenderError; whatever happens, timeline, page, presets and queue are put back as they were.
    """
    before, after = shot.source.handles(handles)
    steps_before = list(deliver.journal.steps)
    failed: Exception | None = None
    try:
        first, last = _render(shot, before, after, deliver)
    except Exception as error:
        failed = error
    mine = [step for step in deliver.journal.steps if not any(step is known for known in steps_before)]
    problems = deliver.journal.undo(deliver.project, mine)
    if failed is not None:
        raise failed
    if problems:
        raise RenderError(
            f"Resolve's state before the pull could not be put back: {problems[0]}",
            where=shot.where,
            remedy="Run 'safelight resolve undo'.",
        )
    return Pull(
        deliver.folder / f"pull.{'#' * 8}.exr", first, last, first + before, deliver.colour.output, rendered=True
    )


def _render(shot: HostShot, before: int, after: int, deliver: Deliver) -> tuple[int, int]:
    project, journal = deliver.project, deliver.journal
    pool = project.one("MediaPool", "GetMediaPool")
    current = project.one("Timeline", "GetCurrentTimeline")
    name = f"Safelight pull {uuid.uuid4().hex[:8]}"
    timelines = [
        project.one("Timeline", "GetTimelineByIndex", index).id
        for index in range(1, project.whole("GetTimelineCount") + 1)
    ]
    journal.note("current timeline", timeline=current.id)
    journal.note("temporary timeline", name=name, before=timelines)
    timeline = pool.one("Timeline", "CreateEmptyTimeline", name)
    project.do("SetCurrentTimeline", timeline)
    length = before + shot.duration + after
    items = pool.many(
        "TimelineItem",
        "AppendToTimeline",
        [
            {
                "mediaPoolItem": shot.media,
                "startFrame": shot.source.offset - before,
                "endFrame": shot.source.offset + shot.duration + after,
                "mediaType": 1,
                "trackIndex": 1,
            }
        ],
    )
    if len(items) != 1 or items[0].whole("GetDuration") != length:
        raise RenderError(
            f"Resolve laid {items[0].whole('GetDuration') if items else 0} frames of {length} on the timeline to pull",
            where=shot.where,
            remedy="Ask for fewer handles.",
        )
    start = items[0].whole("GetStart")
    job = _queue(deliver, name)
    _wait(deliver, job, shot)
    return _check_files(deliver.folder, start, length, shot)


def _queue(deliver: Deliver, name: str) -> str:
    project, journal = deliver.project, deliver.journal
    saved = f"Safelight state {uuid.uuid4().hex[:8]}"
    if deliver.preset not in project.rows(str, "GetRenderPresetList"):
        raise RenderError(
            f"there is no render preset '{deliver.preset}'", remedy="Name one of the Deliver page with --preset."
        )
    journal.note("deliver", preset=saved)
    project.do("SaveAsNewRenderPreset", saved)
    project.do("LoadRenderPreset", deliver.preset)
    formats = project.table("GetRenderFormats")
    exr = next((value for label, value in formats.items() if "exr" in f"{label} {value}".casefold()), None)
    if exr is None:
        raise RenderError("Resolve offers no EXR to render to", remedy="Safelight pulls as EXR; update Resolve.")
    codecs = project.table("GetRenderCodecs", exr)
    # Half is exact for what cameras record; which codecs there are is asked, never assumed.
    wanted = [value for label, value in codecs.items() if "half" in label.casefold() and "zip" in label.casefold()]
    wanted += [value for label, value in codecs.items() if "half" in label.casefold()] + list(codecs.values())
    if not wanted:
        raise RenderError("Resolve offers no codec for EXR", remedy="Update Resolve.")
    project.do("SetCurrentRenderFormatAndCodec", exr, wanted[0])
    project.do("SetCurrentRenderMode", 1)
    deliver.folder.mkdir(parents=True, exist_ok=True)
    for stale in deliver.folder.glob("pull.*.exr"):
        stale.unlink()
    settings: dict[str, Any] = {
        "SelectAllFrames": True,
        "TargetDir": str(deliver.folder),
        "CustomName": "pull.",
        "UniqueFilenameStyle": 0,
        "ExportVideo": True,
        "ExportAudio": False,
    }
    project.do("SetRenderSettings", settings)
    queued = project.rows(dict, "GetRenderJobList")
    journal.note("render job", before=[row["JobId"] for row in queued])
    job = project.text("AddRenderJob")
    if not job:
        raise project.refused("AddRenderJob", job)
    # Only by place: named arguments are said to have hung the application.
    project.do("StartRendering", [job])
    return job


def _wait(deliver: Deliver, job: str, shot: HostShot) -> None:
    moved, last = time.monotonic(), -1.0
    while True:
        status = deliver.project.table("GetRenderJobStatus", job)
        state = str(status.get("JobStatus", "")).casefold()
        if state == "complete":
            return
        if state in ("failed", "cancelled", "canceled"):
            raise RenderError(
                f"Resolve's render ended: {status.get('Error') or state}",
                where=shot.where,
                remedy="See the render queue of the Deliver page.",
            )
        if deliver.stopped():
            raise Cancelled
        share = float(status.get("CompletionPercentage") or 0)
        if share != last:
            moved, last = time.monotonic(), share
            deliver.tell(f"pulling {shot.name}: {share:g} %")
        elif time.monotonic() - moved > STALL:
            raise RenderError(f"Resolve's render stood still for {STALL:g} s", where=shot.where)
        time.sleep(deliver.poll)


def _check_files(folder: Path, start: int, length: int, shot: HostShot) -> tuple[int, int]:
    """Find the numbers that Resolve gave the files: all of them, in a row, or none is used."""
    from safelight.graph.frames import format_frames

    numbers = []
    for path in sorted(folder.glob("pull.*.exr")):
        digits = path.name[len("pull.") : -len(".exr")]
        if digits.isdigit():
            numbers.append(int(digits))
            target = path.with_name(f"pull.{int(digits):08d}.exr")
            if target != path:
                path.rename(target)
    if len(numbers) != length or numbers != list(range(min(numbers, default=0), min(numbers, default=0) + length)):
        raise RenderError(
            f"Resolve rendered frames {format_frames(numbers) if numbers else 'none'} where {length} in a row were due "
            f"from {start}",
            where=shot.where,
            file=folder,
            remedy="Look at the Deliver page's settings, or name another --preset.",
        )
    return numbers[0], numbers[-1]
