"""The shots of a timeline: items of its video tracks that show media, with the frames of the file they show."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError
from safelight.host_adapters.resolve.pull import Media
from safelight.host_adapters.resolve.remote import Remote
from safelight.host_adapters.timeline.timecode import nominal, timecode

JOB = "job.json"
"""Beside the folder of the restored pictures: what they were made from."""


@dataclass(frozen=True)
class HostShot:
    """One item of the timeline."""

    item: Remote
    media: Remote
    id: str
    name: str
    track: int
    start: int
    """First frame on the timeline, in Resolve's count (timecode as frames)."""
    duration: int
    source: Media
    """The media it shows; of a shot that was restored already, the media it had before."""
    rate: float
    timecode: str
    enabled: bool
    refused: str = ""
    """Why it cannot be restored; empty if it can."""

    @property
    def where(self) -> str:
        """Name item, track and timecode, for messages."""
        return f"shot '{self.name}', track V{self.track}, {self.timecode}"

    def as_data(self) -> dict[str, Any]:
        """Return the shot as plain data."""
        first = self.source.first + self.source.offset
        return {
            "id": self.id,
            "name": self.name,
            "track": self.track,
            "start": self.start,
            "timecode": self.timecode,
            "duration": self.duration,
            "path": self.source.path,
            "frames": [first, first + self.duration - 1],
            "media_frames": self.source.frames,
            "rate": self.rate,
            "enabled": self.enabled,
            "colour_space": self.source.space,
            "refused": self.refused,
        }


def list_shots(timeline: Remote, rate: float) -> list[HostShot]:
    """Return all items of the video tracks that show media: transitions, titles and generators have none.

    An item that shows a take of ours, or media that was replaced, stands for what it showed before; items on tracks
    that we made are left out.

    Parameters
    ----------
    rate:
        Frames a second of the timeline.
    """
    shots = []
    for track in range(1, timeline.whole("GetTrackCount", "video") + 1):
        on = timeline.call("GetIsTrackEnabled", "video", track)
        if not isinstance(on, bool):
            raise timeline.refused("GetIsTrackEnabled", on)
        for item in timeline.many("TimelineItem", "GetItemListInTrack", "video", track):
            media = item.maybe("MediaPoolItem", "GetMediaPoolItem")
            if media is not None and (shot := _shot(item, media, track, on, rate)) is not None:
                shots.append(shot)
    return shots


def current_shot(timeline: Remote, shots: list[HostShot]) -> HostShot:
    """Return the shot under the playhead."""
    item = timeline.maybe("TimelineItem", "GetCurrentVideoItem")
    here = item.id if item is not None else ""
    found = next((shot for shot in shots if shot.id == here), None)
    if found is None:
        raise GraphError("there is no shot under the playhead", remedy="Move it onto one, or name a shot with --shot.")
    return found


def _shot(item: Remote, media: Remote, track: int, on: bool, rate: float) -> HostShot | None:
    properties = media.table("GetClipProperty")
    start, duration, name = item.whole("GetStart"), item.whole("GetDuration"), item.id
    path = str(properties.get("File Path") or "")
    own = _number(properties.get("FPS")) or rate
    made = made_from(path)
    if made is not None and made["back"] != "replace" and made["item"] != name:
        return None
    # GetSourceStartFrame can be one off; how far the item may be drawn to the left is not.
    offset = item.whole("GetLeftOffset")
    shown = item.whole("GetSourceEndFrame") - item.whole("GetSourceStartFrame") + 1
    frames = int(_number(properties.get("Frames")) or 0) or offset + duration
    source = Media(path, frames, offset, duration, str(properties.get("Input Color Space") or ""))
    if made is not None:
        at = offset if made["back"] == "replace" else made["offset"]
        source = Media(made["path"], made["frames"], at, duration, made["space"])
    enabled = item.call("GetClipEnabled")
    return HostShot(
        item=item,
        media=media,
        id=name,
        name=item.text("GetName"),
        track=track,
        start=start,
        duration=duration,
        source=source,
        rate=own,
        timecode=timecode(start, rate),
        enabled=on and enabled is not False,
        refused=why_not(source, shown, (own, rate)),
    )


def why_not(source: Media, shown: int, rates: tuple[float, float]) -> str:
    """Say why a shot cannot be restored; "" if it can.

    Parameters
    ----------
    shown:
        Frames of the media that the shot runs through, by its source frames (which can be one off).
    rates:
        Frames a second of the media and of the timeline.
    """
    if not source.path:
        return "it is no file but a compound clip, a Fusion clip or the like: decompose it in place"
    if abs(shown - source.duration) > 1:
        return f"it is retimed ({shown} frames of the media in {source.duration}): render the retime in place first"
    if nominal(rates[0]) != nominal(rates[1]):
        return f"its media runs at {rates[0]:g} frames a second and the timeline at {rates[1]:g}"
    if source.offset + source.duration > source.frames:
        return f"it shows frames up to {source.offset + source.duration} of media that has {source.frames}"
    return ""


def slug(text: str) -> str:
    """Return text as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", Path(text).stem).strip("_")[:40] or "shot"


def made_from(path: str) -> dict[str, Any] | None:
    """Return what pictures were made from, if a job of ours made them; None for other people's."""
    record = Path(path).parent.parent / JOB
    if not path or not record.is_file():
        return None
    try:
        found = json.loads(record.read_text(encoding="utf-8"))["source"]
        return {
            "item": str(found["item"]),
            "back": str(found["back"]),
            "path": str(found["path"]),
            "frames": int(found["frames"]),
            "offset": int(found["offset"]),
            "space": str(found["space"]),
        }
    except (OSError, ValueError, KeyError, TypeError):
        raise GraphError("the record of a job cannot be read", file=record, remedy="Move its folder away.") from None


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None
