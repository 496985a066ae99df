"""What an edit shows: every clip of its video tracks, with the frames of its media that it needs."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from safelight.graph.errors import GraphError
from safelight.host_adapters.timeline.load import otio
from safelight.host_adapters.timeline.timecode import timecode

_REEL_KEYS = ("reel", "reelname", "tape", "tapename", "tapeid")
_EPSILON = 1e-4
"""Part of a frame that a time may be off by its conversion between rates."""


@dataclass(frozen=True)
class Reference:
    """What the edit says of a clip's media."""

    path: str = ""
    """Path as the edit has it, perhaps of another machine; numbered files with `####`. Empty: none is said."""
    name: str = ""
    first: int | None = None
    """Media time of its first frame (a frame count: timecode where it has one); None where the edit does not say."""
    length: int | None = None
    """Frames it has, as the edit says."""
    number: int | None = None
    """Number in the file name of its first frame, for numbered files."""


@dataclass(frozen=True)
class Use:
    """One clip of the edit that shows media: frames are counted in the media's own rate and timecode."""

    order: int
    """Place among all clips of the video tracks, from 0: first track first."""
    track: str
    name: str
    record: int
    """First frame it has on the timeline, from the timeline's start."""
    duration: int
    """Frames it has on the timeline, transitions not counted."""
    record_timecode: str
    rate: float
    """Frames a second that its source is counted in."""
    first: int
    last: int
    """First and last frame of the media that the edit shows, transitions included."""
    cut_in: int
    cut_out: int
    """The same without the transitions; `cut_out` is the frame after the last."""
    head: int
    tail: int
    """Frames before and after that its transitions take."""
    speed: float
    reel: str
    reference: Reference
    enabled: bool
    refused: str = ""
    """Why it cannot be conformed; empty if it can."""

    @property
    def where(self) -> str:
        """Name clip, track and timecode, for messages."""
        return f"clip '{self.name}', track {self.track}, {self.record_timecode}"

    @property
    def retime(self) -> str:
        """Say the speed for a person; empty at normal speed."""
        if self.speed == 1:
            return ""
        return "freeze" if self.speed == 0 else f"{self.speed * 100:.6g} %"


@dataclass(frozen=True)
class Edit:
    """A timeline's video, read."""

    name: str
    rate: float
    """Frames a second of the timeline."""
    start: int
    """Timecode of its first frame, as a frame count."""
    uses: tuple[Use, ...] = ()
    gaps: int = 0
    transitions: int = 0
    tracks: tuple[str, ...] = ()
    others: tuple[str, ...] = field(default_factory=tuple)
    """Clips that show no media (titles, generators), each named with its place."""


def read_edit(timeline: Any) -> Edit:
    """Read all video tracks of an OpenTimelineIO timeline.

    Raises GraphError for a timeline without video or one that is trimmed as a whole; what is wrong with single clips
    stands in their `refused`.
    """
    library = otio()
    tracks = video_tracks(timeline)
    if not any(len(track) for _, track in tracks):
        raise GraphError("the timeline has no clips on a video track")
    if timeline.tracks.source_range is not None or any(track.source_range is not None for _, track in tracks):
        raise GraphError("the timeline shows a part of its tracks only", remedy="Export the whole timeline.")
    rate = _rate(timeline, tracks)
    start = round(timeline.global_start_time.rescaled_to(rate).value) if timeline.global_start_time else 0
    uses: list[Use] = []
    others: list[str] = []
    gaps = transitions = order = 0
    for label, track in tracks:
        at = library.opentime.RationalTime(0, rate)
        children = list(track)
        for index, child in enumerate(children):
            if isinstance(child, library.schema.Transition):
                transitions += 1
                continue
            record = round(at.rescaled_to(rate).value)
            here = timecode(start + record, rate)
            at = at + child.duration()
            if isinstance(child, library.schema.Gap):
                gaps += 1
                continue
            if isinstance(child, library.schema.Clip):
                if isinstance(child.media_reference, library.schema.GeneratorReference):
                    others.append(f"'{child.name}', track {label}, {here}")
                else:
                    around = (children[index - 1] if index else None, children[index + 1 : index + 2])
                    end = round(at.rescaled_to(rate).value)
                    uses.append(_use(library, child, around, order, label, record, end - record, here))
            else:
                uses.append(_nested(child, order, label, record, here, rate))
            order += 1
    return Edit(
        str(timeline.name or "timeline"),
        rate,
        start,
        tuple(uses),
        gaps,
        transitions,
        tuple(label for label, _ in tracks),
        tuple(others),
    )


def video_tracks(timeline: Any) -> list[tuple[str, Any]]:
    """Return the video tracks, each with its label V1, V2, … from the bottom up."""
    library = otio()
    found = [
        track
        for track in timeline.tracks
        if isinstance(track, library.schema.Track) and track.kind == library.schema.TrackKind.Video
    ]
    return [(f"V{index}", track) for index, track in enumerate(found, 1)]


def clips(timeline: Any) -> Iterator[Any]:
    """Yield what `Use.order` counts: all children of the video tracks but gaps and transitions."""
    library = otio()
    for _, track in video_tracks(timeline):
        for child in track:
            if not isinstance(child, library.schema.Transition | library.schema.Gap):
                yield child


def _rate(timeline: Any, tracks: list[tuple[str, Any]]) -> float:
    if timeline.global_start_time is not None:
        return float(timeline.global_start_time.rate)
    return float(next(track.duration().rate for _, track in tracks if len(track)))


def _nested(child: Any, order: int, label: str, record: int, here: str, rate: float) -> Use:
    kind = type(child).__name__.lower()
    why = f"a nested sequence ({kind}) is not conformed: decompose it in the timeline"
    length = round(child.duration().rescaled_to(rate).value)
    name = str(child.name or kind)
    return Use(
        order,
        label,
        name,
        record,
        length,
        here,
        rate,
        0,
        0,
        0,
        0,
        0,
        0,
        1.0,
        "",
        Reference(),
        enabled=True,
        refused=why,
    )


def _use(
    library: Any,
    clip: Any,
    around: tuple[Any, list[Any]],
    order: int,
    label: str,
    record: int,
    duration: int,
    here: str,
) -> Use:
    shown = clip.trimmed_range()
    rate = float(shown.start_time.rate)
    speed, refused = _speed(library, clip)
    before, after = around[0], around[1][0] if around[1] else None
    head = tail = 0.0
    if isinstance(before, library.schema.Transition):
        head = before.in_offset.rescaled_to(rate).value
    if isinstance(after, library.schema.Transition):
        tail = after.out_offset.rescaled_to(rate).value
    begin, length = shown.start_time.value, shown.duration.rescaled_to(rate).value
    if speed == 1:
        first, last = begin - head, begin + length + tail - 1
        cut_in, cut_out = _floor(begin), _ceil(begin + length)
    else:
        first, last = begin - head * speed, begin + (length - 1 + tail) * speed
        cut_in, cut_out = _floor(begin), _ceil(begin + (length - 1) * speed) + 1
    if length <= _EPSILON and not refused:
        refused = "it has no length"
    return Use(
        order=order,
        track=label,
        name=str(clip.name or _reference(library, clip).name or f"clip {order + 1}"),
        record=record,
        duration=duration,
        record_timecode=here,
        rate=rate,
        first=_floor(first),
        last=_ceil(last),
        cut_in=cut_in,
        cut_out=cut_out,
        head=_ceil(head),
        tail=_ceil(tail),
        speed=speed,
        reel=_reel(clip),
        reference=_reference(library, clip),
        enabled=_enabled(clip),
        refused=refused,
    )


def _speed(library: Any, clip: Any) -> tuple[float, str]:
    """Return the speed of a clip, and why it is refused where its retime is not understood."""
    speed = 1.0
    for effect in clip.effects:
        if isinstance(effect, library.schema.FreezeFrame):
            speed = 0.0
        elif isinstance(effect, library.schema.LinearTimeWarp):
            speed *= float(effect.time_scalar)
        elif isinstance(effect, library.schema.TimeEffect) or _is_remap(effect):
            name = effect.effect_name or effect.name or type(effect).__name__
            return 1.0, (
                f"the retime '{name}' is not understood: only freezes and constant speeds are; "
                "render the retime in the edit, or export it as a constant speed"
            )
    if speed < 0:
        return speed, f"it plays backwards ({speed * 100:.6g} %): hosts count such clips from different ends"
    if not math.isfinite(speed):
        return 1.0, "its speed is no number"
    return speed, ""


def _is_remap(effect: Any) -> bool:
    """Tell whether a plug-in left a retime as an effect without a kind (FCP7 XML's time remap at other than 100 %)."""
    told = _plain(effect.metadata.get("fcp_xml", {}))
    known = "timeremap" in str(told.get("effectid", "")).casefold() if isinstance(told, dict) else False
    if not known and "timeremap" not in re.sub(r"[^a-z]", "", str(effect.name or effect.effect_name).casefold()):
        return False
    values = {}
    parameters = told.get("parameter", []) if isinstance(told, dict) else []
    for item in parameters if isinstance(parameters, list) else [parameters]:
        if isinstance(item, dict):
            values[str(item.get("parameterid", "")).casefold()] = str(item.get("value", "")).casefold()
    try:
        plain = float(values.get("speed", "0")) == 100
    except ValueError:
        plain = False
    return not (plain and values.get("reverse", "false") == "false" and values.get("variablespeed", "0") in ("0", ""))


def _enabled(clip: Any) -> bool:
    told = clip.metadata.get("fcp_xml", {})
    said = str(told.get("enabled", "TRUE")).casefold() if isinstance(told, Mapping) else "true"
    return bool(clip.enabled) and said != "false"


def _reel(clip: Any) -> str:
    found = _seek_reel(_plain(clip.metadata), 4)
    if not found and clip.media_reference is not None:
        found = _seek_reel(_plain(clip.media_reference.metadata), 4)
    return found


def _seek_reel(table: Any, depth: int) -> str:
    """Look for a reel in what an exporter left as metadata, nearest first."""
    if not isinstance(table, dict) or not depth:
        return ""
    for key, value in table.items():
        if re.sub(r"[^a-z]", "", str(key).casefold()) in _REEL_KEYS:
            if isinstance(value, str) and value.strip():
                return value.strip()
            if isinstance(value, dict) and isinstance(value.get("name"), str) and value["name"].strip():
                return str(value["name"]).strip()
    return next((found for value in table.values() if (found := _seek_reel(value, depth - 1))), "")


def _plain(value: Any) -> Any:
    """Return OpenTimelineIO's maps and lists as Python's."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, str | bytes | int | float | bool) or value is None:
        return value
    try:
        return [_plain(item) for item in value]
    except TypeError:
        return value


def _reference(library: Any, clip: Any) -> Reference:
    media = clip.media_reference
    if media is None:
        return Reference()
    first = length = None
    if media.available_range is not None:
        first = _floor(media.available_range.start_time.value)
        length = round(media.available_range.duration.value) or None
    name = str(media.name or "")
    if isinstance(media, library.schema.ImageSequenceReference):
        digits = "#" * max(1, media.frame_zero_padding)
        url = f"{media.target_url_base.rstrip('/')}/{media.name_prefix}{digits}{media.name_suffix}"
        path = local_path(url)
        number = int(media.start_frame) if media.frame_step == 1 else None
        return Reference(path, name or PurePosixPath(path).name, first, length, number)
    if isinstance(media, library.schema.ExternalReference):
        path, number = _numbered(local_path(media.target_url))
        return Reference(path, name or PurePosixPath(path).name, first, length, number)
    return Reference("", name, first, length)


def _numbered(path: str) -> tuple[str, int | None]:
    """Turn `x.[0001-0100].dpx`, as hosts write sequences, into `x.####.dpx` and its first number."""
    match = re.search(r"\[(-?\d+)-(-?\d+)\](\.\w+)$", path)
    if match:
        return f"{path[: match.start()]}{'#' * len(match[1].lstrip('-'))}{match[3]}", int(match[1])
    return path, None


def local_path(url: str) -> str:
    """Return the path that a URL or a path of any system means, with forward slashes.

    >>> local_path("file://localhost/Volumes/A%20B/x.mov"), local_path("file:///C:/x.mov"), local_path(r"D:\\a\\x.mov")
    ('/Volumes/A B/x.mov', 'C:/x.mov', 'D:/a/x.mov')
    """
    # `%04d` is no escape, though it stands in a URL.
    url = re.sub(r"%0?(\d*)d(?=\.\w+$)", lambda match: "#" * int(match[1] or 1), url)
    if url.startswith("file:"):
        parts = urlsplit(url.replace("#", "%23"))
        path = unquote(parts.path)
        if parts.netloc not in ("", "localhost"):
            path = f"//{parts.netloc}{path}"
    else:
        path = url.replace("\\", "/")
    return path[1:] if re.match(r"/[A-Za-z]:", path) else path


def _floor(value: float) -> int:
    return math.floor(value + _EPSILON)


def _ceil(value: float) -> int:
    return math.ceil(value - _EPSILON)
