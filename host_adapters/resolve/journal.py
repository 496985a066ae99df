"""What a job is about to change in Resolve, written down before each call, so that all of it can be taken back.

A step is noted first and then done: whatever becomes of the call (False, an answer that lies, no answer at all),
taking back looks at what is there and removes what was not there before.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError, RenderError
from safelight.host_adapters.resolve.paths import first_file
from safelight.host_adapters.resolve.remote import Remote

Step = dict[str, Any]
NAME = "journal.json"
SPACE = "Input Color Space"
"""Property of a clip: what Resolve takes it to be in."""


@dataclass
class Journal:
    """The steps of one job, in order."""

    project: str
    """Id of the project it works in."""
    path: Path | None = None
    steps: list[Step] = field(default_factory=list)

    def note(self, kind: str, **facts: Any) -> Step:
        """Write down a step that is about to be done."""
        step = {"step": kind, **facts}
        self.steps.append(step)
        self.save()
        return step

    def drop(self, step: Step) -> None:
        """Forget a step that left nothing behind."""
        self.steps = [known for known in self.steps if known is not step]
        self.save()

    def save(self) -> None:
        """Write the journal, by rename."""
        if self.path is None:
            return
        temporary = self.path.with_name(f".{self.path.name}.part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps({"project": self.project, "steps": self.steps}, indent=1), encoding="utf-8")
            temporary.replace(self.path)
        except OSError as error:
            raise RenderError(
                f"the journal cannot be written: {error.strerror}",
                file=self.path,
                remedy="Nothing is changed in Resolve without it: name another folder.",
            ) from None

    @classmethod
    def load(cls, path: Path) -> Journal:
        """Read a journal. Raises GraphError where it is none."""
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            steps = [dict(step) for step in data["steps"]]
            return cls(str(data["project"]), path, steps)
        except FileNotFoundError:
            raise GraphError("there is no journal of a job", file=path) from None
        except (OSError, ValueError, KeyError, TypeError):
            raise GraphError("the journal cannot be read", file=path) from None

    def undo(self, project: Remote, steps: list[Step] | None = None) -> list[str]:
        """Take back steps, last first (all by default); return what could not be, one sentence each.

        Each step looks for itself whether there is anything to take back, so that doing it twice does no harm.
        """
        problems = []
        for step in reversed(self.steps if steps is None else steps):
            try:
                _UNDO[step["step"]](project, step)
                self.steps = [known for known in self.steps if known is not step]
            except (RenderError, GraphError) as error:
                problems.append(f"{step['step']}: {error.what}")
        self.save()
        return problems


def find_timeline(project: Remote, timeline_id: str) -> Remote | None:
    """Return the project's timeline of an id."""
    for index in range(1, project.whole("GetTimelineCount") + 1):
        timeline = project.one("Timeline", "GetTimelineByIndex", index)
        if timeline.id == timeline_id:
            return timeline
    return None


def find_item(timeline: Remote, item_id: str) -> Remote | None:
    """Return a timeline's video item of an id."""
    for track in range(1, timeline.whole("GetTrackCount", "video") + 1):
        for item in timeline.many("TimelineItem", "GetItemListInTrack", "video", track):
            if item.id == item_id:
                return item
    return None


def find_folder(pool: Remote, folder_id: str) -> Remote | None:
    """Return the media pool's folder of an id, however deep it lies."""
    waiting = [pool.one("Folder", "GetRootFolder")]
    while waiting:
        folder = waiting.pop()
        if folder.id == folder_id:
            return folder
        waiting += folder.many("Folder", "GetSubFolderList")
    return None


def _item_of(project: Remote, step: Step) -> Remote | None:
    timeline = find_timeline(project, step["timeline"])
    return find_item(timeline, step["item"]) if timeline is not None else None


def _undo_folder(project: Remote, step: Step) -> None:
    pool = project.one("MediaPool", "GetMediaPool")
    parent = find_folder(pool, step["parent"])
    for folder in parent.many("Folder", "GetSubFolderList") if parent is not None else []:
        if folder.id in step["before"] or folder.text("GetName") != step["name"]:
            continue
        if not folder.many("MediaPoolItem", "GetClipList") and not folder.many("Folder", "GetSubFolderList"):
            pool.do("DeleteFolders", [folder])


def _undo_current_folder(project: Remote, step: Step) -> None:
    pool = project.one("MediaPool", "GetMediaPool")
    folder = find_folder(pool, step["folder"])
    if folder is not None and pool.one("Folder", "GetCurrentFolder").id != step["folder"]:
        pool.do("SetCurrentFolder", folder)


def _undo_import(project: Remote, step: Step) -> None:
    pool = project.one("MediaPool", "GetMediaPool")
    folder = find_folder(pool, step["folder"])
    if folder is None:
        return
    new = [media for media in folder.many("MediaPoolItem", "GetClipList") if media.id not in step["before"]]
    ours = [
        media for media in new if str(media.table("GetClipProperty").get("File Path", "")).startswith(step["media"])
    ]
    if ours:
        pool.do("DeleteClips", ours)


def _undo_take(project: Remote, step: Step) -> None:
    item = _item_of(project, step)
    if item is None:
        return
    count, kept = item.whole("GetTakesCount"), max(step["count"], 1)
    if count <= kept:
        return
    item.do("SelectTakeByIndex", step["selected"] or 1)
    for index in range(count, kept, -1):
        item.do("DeleteTakeByIndex", index)


def _undo_clips(project: Remote, step: Step) -> None:
    timeline = find_timeline(project, step["timeline"])
    if timeline is None or timeline.whole("GetTrackCount", "video") < step["track"]:
        return
    items = timeline.many("TimelineItem", "GetItemListInTrack", "video", step["track"])
    ours = [item for item in items if item.id not in step["before"]]
    if ours:
        timeline.do("DeleteClips", ours, False)


def _undo_track(project: Remote, step: Step) -> None:
    timeline = find_timeline(project, step["timeline"])
    if timeline is None:
        return
    for track in range(timeline.whole("GetTrackCount", "video"), step["count"], -1):
        if timeline.many("TimelineItem", "GetItemListInTrack", "video", track):
            raise RenderError(f"track V{track} holds clips that somebody added since: it stays")
        timeline.do("DeleteTrack", "video", track)


def _undo_marker(project: Remote, step: Step) -> None:
    item = _item_of(project, step)
    if item is not None and item.table("GetMarkerByCustomData", step["data"]):
        item.do("DeleteMarkerByCustomData", step["data"])


def _undo_replace(project: Remote, step: Step) -> None:
    pool = project.one("MediaPool", "GetMediaPool")
    waiting = [pool.one("Folder", "GetRootFolder")]
    while waiting:
        folder = waiting.pop()
        waiting += folder.many("Folder", "GetSubFolderList")
        for media in folder.many("MediaPoolItem", "GetClipList"):
            if media.id == step["media"]:
                if media.table("GetClipProperty").get("File Path") != step["path"]:
                    media.do("ReplaceClip", first_file(step["path"]))
                if step["space"] and media.table("GetClipProperty").get(SPACE) != step["space"]:
                    media.do("SetClipProperty", SPACE, step["space"])
                if step["metadata"] and media.table("GetMetadata") != step["metadata"]:
                    media.do("SetMetadata", step["metadata"])
                return


def _undo_temporary(project: Remote, step: Step) -> None:
    pool = project.one("MediaPool", "GetMediaPool")
    for index in range(project.whole("GetTimelineCount"), 0, -1):
        timeline = project.one("Timeline", "GetTimelineByIndex", index)
        if timeline.id not in step["before"] and timeline.text("GetName") == step["name"]:
            pool.do("DeleteTimelines", [timeline])


def _undo_current_timeline(project: Remote, step: Step) -> None:
    current = project.maybe("Timeline", "GetCurrentTimeline")
    timeline = find_timeline(project, step["timeline"])
    if timeline is not None and (current is None or current.id != step["timeline"]):
        project.do("SetCurrentTimeline", timeline)


def _undo_render_job(project: Remote, step: Step) -> None:
    jobs = project.rows(dict, "GetRenderJobList")
    if project.call("IsRenderingInProgress") is True:
        project.call("StopRendering")
    for job in jobs:
        if job["JobId"] not in step["before"]:
            project.do("DeleteRenderJob", job["JobId"])


def _undo_deliver(project: Remote, step: Step) -> None:
    if step["preset"] in project.rows(str, "GetRenderPresetList"):
        project.do("LoadRenderPreset", step["preset"])
        project.do("DeleteRenderPreset", step["preset"])


_UNDO: dict[str, Callable[[Remote, Step], None]] = {
    "folder": _undo_folder,
    "current folder": _undo_current_folder,
    "import": _undo_import,
    "take": _undo_take,
    "clips": _undo_clips,
    "track": _undo_track,
    "marker": _undo_marker,
    "replace": _undo_replace,
    "temporary timeline": _undo_temporary,
    "current timeline": _undo_current_timeline,
    "render job": _undo_render_job,
    "deliver": _undo_deliver,
}
