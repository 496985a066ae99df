"""Reads and writes timelines with OpenTimelineIO and its plug-ins: OTIO, EDL, FCP7 XML, AAF."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError, did_you_mean

_PLUGINS = {".edl": "otio-cmx3600-adapter", ".xml": "otio-fcp-adapter", ".aaf": "otio-aaf-adapter"}
SUFFIXES = (".otio", ".otioz", ".otiod", *_PLUGINS)


def otio() -> Any:
    """Return the library, or say how to get it."""
    try:
        import opentimelineio
    except ImportError:
        raise GraphError(
            "timelines need OpenTimelineIO, which is not installed", remedy="Run pip install 'safelight[timeline]'."
        ) from None
    return opentimelineio


def load_timeline(path: Path, fps: float = 0.0, sequence: str = "") -> Any:
    """Read a timeline.

    Parameters
    ----------
    fps:
        Frames a second of an EDL, which does not say it; other formats say it themselves.
    sequence:
        Name of the sequence to take from a file that holds several.

    Raises
    ------
    GraphError
        No such file, a format that is not read, a plug-in that is missing, an EDL without `fps` or with drop-frame
        timecode, several sequences; the message names the file and the remedy.
    """
    library = otio()
    suffix = path.suffix.casefold()
    if suffix not in SUFFIXES:
        raise GraphError(
            f"'{path.suffix or path.name}' is no timeline that is read here",
            file=path,
            remedy="Use .otio, .edl, .xml (Final Cut Pro 7) or .aaf."
            + (" Export FCPXML as FCP7 XML instead." if suffix in (".fcpxml", ".fcpxmld") else ""),
        )
    if not path.exists():
        raise GraphError("there is no such timeline", file=path)
    if suffix not in {f".{name}" for name in library.adapters.suffixes_with_defined_adapters(read=True)}:
        plugin = _PLUGINS.get(suffix, "")
        raise GraphError(
            f"{path.suffix} needs the plug-in {plugin} of OpenTimelineIO, which is not installed",
            file=path,
            remedy=f"Run pip install {plugin}.",
        )
    options: dict[str, Any] = {}
    if suffix == ".edl":
        _check_edl(path, fps)
        options["rate"] = fps
    try:
        found = library.adapters.read_from_file(str(path), **options)
    except Exception as error:  # every plug-in has errors of its own
        text = " ".join(str(error).split()) or type(error).__name__
        raise GraphError(f"the timeline cannot be read: {text}", file=path) from None
    timeline = _one(library, found, path, sequence)
    if suffix == ".edl":
        _place_tracks(library, timeline, fps)
    return timeline


def _place_tracks(library: Any, timeline: Any, fps: float) -> None:
    """Give an EDL's tracks a common start: its plug-in says each track's record start as a negative trim."""
    time = library.opentime.RationalTime
    starts = [-track.source_range.start_time.value if track.source_range else 0.0 for track in timeline.tracks]
    first = min(starts, default=0.0)
    for track, start in zip(timeline.tracks, starts, strict=True):
        track.source_range = None
        if start > first:
            track.insert(0, library.schema.Gap(duration=time(start - first, fps)))
    timeline.global_start_time = time(first, fps)


def _check_edl(path: Path, fps: float) -> None:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise GraphError(f"the timeline cannot be read: {error.strerror}", file=path) from None
    if not fps:
        raise GraphError(
            "an EDL does not say how many frames a second it counts",
            file=path,
            remedy="Add --fps 24 (or 25, 30, 23.976, …).",
        )
    for line in text.splitlines():
        if line.strip().upper().startswith("FCM:") and "NON" not in line.upper() and "DROP" in line.upper():
            raise GraphError(
                "the EDL counts in drop-frame timecode, which is not read from EDLs",
                file=path,
                remedy="Export the timeline as OTIO or FCP7 XML.",
            )


def _one(library: Any, found: Any, path: Path, sequence: str) -> Any:
    if isinstance(found, library.schema.Timeline):
        timelines = [found]
    elif isinstance(found, library.schema.SerializableCollection):
        timelines = list(found.find_children(descended_from_type=library.schema.Timeline))
    else:
        timelines = []
    if not timelines:
        raise GraphError("the file holds no timeline", file=path)
    names = [str(timeline.name) for timeline in timelines]
    if sequence:
        if sequence not in names:
            raise GraphError(
                f"there is no sequence '{sequence}'",
                file=path,
                remedy=did_you_mean(sequence, names) or f"There are: {', '.join(names)}.",
            )
        return timelines[names.index(sequence)]
    if len(timelines) > 1:
        raise GraphError(
            f"the file holds {len(timelines)} sequences: {', '.join(names)}",
            file=path,
            remedy="Name one with --sequence.",
        )
    return timelines[0]


def timeline_text(timeline: Any, suffix: str, fps: float) -> str:
    """Return a timeline as the text of a format (`.otio`, `.edl`, `.xml`).

    Raises GraphError where the format cannot hold the edit (an EDL of several tracks), in the plug-in's words.
    """
    library = otio()
    try:
        if suffix == ".otio":
            return str(library.adapters.write_to_string(timeline, "otio_json")) + "\n"
        if suffix == ".edl":
            return str(library.adapters.write_to_string(timeline, "cmx_3600", rate=fps))
        return str(library.adapters.write_to_string(timeline, "fcp_xml"))
    except Exception as error:  # every plug-in has errors of its own
        text = " ".join(str(error).split()) or type(error).__name__
        raise GraphError(f"{suffix} cannot hold this edit: {text}") from None
