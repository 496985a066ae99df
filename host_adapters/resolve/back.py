"""Restored pictures back on the timeline: as a take, on a new track with the grade copied, or in place of the media."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from safelight.graph.errors import RenderError
from safelight.host_adapters.resolve.journal import SPACE, Journal
from safelight.host_adapters.resolve.remote import Remote
from safelight.host_adapters.resolve.shots import HostShot

Back = Literal["take", "track", "replace"]
BACKS = ("take", "track", "replace")
FOLDER = "Safelight"
"""Folder of the media pool that restored media go to."""
TRACK = "Safelight V{track}"
"""Name of the track above that holds the restored shots of a track."""


def import_media(
    project: Remote, journal: Journal, pattern: Path, first: int, last: int, space: str, where: str
) -> Remote:
    """Bring numbered pictures into the media pool's folder for them.

    Parameters
    ----------
    pattern:
        Their path with `####` for the number.
    space:
        Resolve's name of their colour space; empty to leave it to the project.
    """
    pool = project.one("MediaPool", "GetMediaPool")
    folder = _folder(pool, journal)
    previous = pool.one("Folder", "GetCurrentFolder")
    step = journal.note("current folder", folder=previous.id)
    pool.do("SetCurrentFolder", folder)
    there = [media.id for media in folder.many("MediaPoolItem", "GetClipList")]
    journal.note("import", folder=folder.id, before=there, media=str(pattern.parent))
    digits = pattern.name.count("#")
    name = pattern.name.replace("#" * digits, f"%0{digits}d")
    found = pool.many(
        "MediaPoolItem",
        "ImportMedia",
        [{"FilePath": str(pattern.parent / name), "StartIndex": first, "EndIndex": last}],
    )
    if len(found) != 1:
        raise RenderError(f"Resolve made {len(found)} clips of one sequence", where=where, file=pattern)
    media = found[0]
    _check_length(media, last - first + 1, pattern, where)
    if space:
        media.do("SetClipProperty", SPACE, space)
    pool.do("SetCurrentFolder", previous)
    journal.drop(step)
    return media


def as_take(timeline: Remote, journal: Journal, shot: HostShot, media: Remote, start: int) -> None:
    """Add the media as a take of the shot and choose it.

    What AddTake answers differs between builds, so that the takes are counted and read back; FinalizeTake, which
    would throw the others away, is never called.

    Parameters
    ----------
    start:
        Frames of the media before the first that the shot shows.

    Raises RenderError where the take is not there or shows other frames than the shot did.
    """
    item = shot.item
    count = item.whole("GetTakesCount")
    selected = item.whole("GetSelectedTakeIndex")
    journal.note("take", timeline=timeline.id, item=shot.id, count=count, selected=selected)
    item.call("AddTake", media, start, start + shot.duration - 1)
    now = item.whole("GetTakesCount")
    if now != max(count, 1) + 1:
        raise RenderError(
            f"Resolve added no take: it has {now}", where=shot.where, remedy="Bring it back as a track: --back track."
        )
    take = item.table("GetTakeByIndex", now)
    if take.get("startFrame") != start:
        raise RenderError(f"Resolve made a take from frame {take.get('startFrame')} where {start} was asked for",
                          where=shot.where, remedy="Bring it back as a track: --back track.")  # fmt: skip
    item.do("SelectTakeByIndex", now)
    _check_place(item, shot, start)


def as_track(project: Remote, timeline: Remote, journal: Journal, shot: HostShot, media: Remote, start: int) -> None:
    """Lay the media on a track of its own above, at the shot's place, with the shot's grade."""
    pool = project.one("MediaPool", "GetMediaPool")
    track, there = _track(timeline, journal, shot)
    journal.note("clips", timeline=timeline.id, track=track, before=there)
    laid = pool.many(
        "TimelineItem",
        "AppendToTimeline",
        [
            {
                "mediaPoolItem": media,
                "startFrame": start,
                "endFrame": start + shot.duration,  # exclusive
                "mediaType": 1,
                "trackIndex": track,
                "recordFrame": shot.start,
            }
        ],
    )
    if len(laid) != 1:
        raise RenderError(f"Resolve laid {len(laid)} clips where one was due", where=shot.where)
    _check_place(laid[0], shot, start)
    shot.item.do("CopyGrades", [laid[0]])


def in_place(project: Remote, journal: Journal, shot: HostShot, pattern: Path, first: int, frames: int) -> None:
    """Put the pictures in place of the shot's media, everywhere it is used; its metadata is kept."""
    media = shot.media
    properties, metadata = media.table("GetClipProperty"), media.table("GetMetadata")
    old, space = str(properties.get("File Path")), str(properties.get(SPACE) or "")
    journal.note("replace", media=media.id, path=old, metadata=metadata, space=space)
    digits = pattern.name.count("#")
    media.do("ReplaceClip", str(pattern.parent / pattern.name.replace("#" * digits, f"{first:0{digits}d}")))
    _check_length(media, frames, pattern, shot.where)
    if metadata:
        media.do("SetMetadata", metadata)
    if space:
        media.do("SetClipProperty", SPACE, space)
    _check_place(shot.item, shot, shot.source.offset)


def mark(timeline: Remote, journal: Journal, shot: HostShot, data: str, note: str) -> None:
    """Set a marker on the shot whose hidden data is the job's hash."""
    taken = {int(frame) for frame in shot.item.table("GetMarkers")}
    frame = next(number for number in range(len(taken) + 1) if number not in taken)
    journal.note("marker", timeline=timeline.id, item=shot.id, data=data)
    shot.item.do("AddMarker", frame, "Sand", "Safelight", note, 1, data)
    if not shot.item.table("GetMarkerByCustomData", data):
        raise RenderError("the marker of the job is not there", where=shot.where)


def _folder(pool: Remote, journal: Journal) -> Remote:
    root = pool.one("Folder", "GetRootFolder")
    inner = root.many("Folder", "GetSubFolderList")
    for folder in inner:
        if folder.text("GetName") == FOLDER:
            return folder
    journal.note("folder", parent=root.id, name=FOLDER, before=[folder.id for folder in inner])
    return pool.one("Folder", "AddSubFolder", root, FOLDER)


def _track(timeline: Remote, journal: Journal, shot: HostShot) -> tuple[int, list[str]]:
    """Return a track above for the shot, and the ids of what lies on it: ours with room at that place, or a new one."""
    name = TRACK.format(track=shot.track)
    count = timeline.whole("GetTrackCount", "video")
    for track in range(shot.track + 1, count + 1):
        if timeline.text("GetTrackName", "video", track) != name:
            continue
        items = timeline.many("TimelineItem", "GetItemListInTrack", "video", track)
        if all(
            item.whole("GetEnd") <= shot.start or item.whole("GetStart") >= shot.start + shot.duration for item in items
        ):
            return track, [item.id for item in items]
    journal.note("track", timeline=timeline.id, count=count)
    timeline.do("AddTrack", "video")
    if timeline.whole("GetTrackCount", "video") != count + 1:
        raise RenderError("Resolve added no track", where=shot.where)
    timeline.do("SetTrackName", "video", count + 1, name)
    return count + 1, []


def _check_length(media: Remote, frames: int, pattern: Path, where: str) -> None:
    told = media.table("GetClipProperty").get("Frames")
    if str(told) != str(frames):
        raise RenderError(f"Resolve sees {told} frames in media that has {frames}", where=where, file=pattern)


def _check_place(item: Remote, shot: HostShot, start: int) -> None:
    """Hold what lies on the timeline now against the shot: never a wrong frame."""
    found = item.whole("GetStart"), item.whole("GetDuration"), item.whole("GetLeftOffset")
    if found != (shot.start, shot.duration, start):
        raise RenderError(
            f"Resolve shows {found[1]} frames from frame {found[2]} at {found[0]}, where {shot.duration} from {start} "
            f"at {shot.start} were due",
            where=shot.where,
            remedy="It was taken back. Try another --back.",
        )
