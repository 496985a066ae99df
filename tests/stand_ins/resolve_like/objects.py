"""The objects that hold all others: the media pool, projects, their manager, Resolve itself."""

# ruff: noqa: N802 (methods have the names of the host's)

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.stand_ins.resolve_like.clips import Fake, Folder, MediaPoolItem, Timeline, TimelineItem
from tests.stand_ins.resolve_like.manifest import RENDER_KEYS, SETTINGS

if TYPE_CHECKING:
    from tests.stand_ins.resolve_like.host import Host

NUMBERED = re.compile(r"%0(\d+)d")


class MediaPool(Fake):
    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._root = Folder(host, "Master")
        self._current = self._root

    def do_GetRootFolder(self) -> Folder:
        return self._root

    def do_AddSubFolder(self, parent: Folder, name: str) -> Folder | None:
        if any(folder._name == name for folder in parent._folders):
            return None
        parent._folders.append(Folder(self._host, name))
        return parent._folders[-1]

    def do_GetCurrentFolder(self) -> Folder:
        return self._current

    def do_SetCurrentFolder(self, folder: Folder) -> bool:
        if folder not in self._root._walk():
            return False
        self._current = folder
        return True

    def do_ImportMedia(self, infos: list[dict[str, Any]]) -> list[MediaPoolItem | None]:
        made: list[MediaPoolItem | None] = []
        for info in infos:
            path, first, last = info["FilePath"], info["StartIndex"], info["EndIndex"]
            match = NUMBERED.search(path)
            if match is None or set(info) != {"FilePath", "StartIndex", "EndIndex"}:
                return [None]
            digits = int(match[1])
            if not all(Path(path.replace(match[0], f"{n:0{digits}d}")).is_file() for n in range(first, last + 1)):
                return [None]
            told = path.replace(match[0], f"[{first:0{digits}d}-{last:0{digits}d}]")
            clip = MediaPoolItem(self._host, told, last - first + 1, first)
            self._current._clips.append(clip)
            made.append(clip)
        return made

    def do_DeleteClips(self, clips: list[MediaPoolItem]) -> bool:
        if not clips or not all(clip in self._host.all_clips() for clip in clips):
            return False
        for folder in self._root._walk():
            folder._clips[:] = [clip for clip in folder._clips if clip not in clips]
        return True

    def do_DeleteFolders(self, folders: list[Folder]) -> bool:
        for folder in self._root._walk():
            folder._folders[:] = [inner for inner in folder._folders if inner not in folders]
        if self._current not in self._root._walk():
            self._current = self._root
        return bool(folders)

    def do_CreateEmptyTimeline(self, name: str) -> Timeline | None:
        if any(timeline._name == name for timeline in self._host.timelines):
            return None
        self._host.timelines.append(Timeline(self._host, name))
        self._host.current = self._host.timelines[-1]  # the real one opens it, too
        return self._host.timelines[-1]

    def do_DeleteTimelines(self, timelines: list[Timeline]) -> bool:
        if not timelines or not all(timeline in self._host.timelines for timeline in timelines):
            return False
        self._host.timelines[:] = [one for one in self._host.timelines if one not in timelines]
        if self._host.current in timelines:
            self._host.current = self._host.timelines[0]
        return True

    def do_AppendToTimeline(self, infos: list[dict[str, Any]]) -> list[TimelineItem | None]:
        if not isinstance(infos, list):
            return [None]
        timeline = self._host.current
        laid: list[TimelineItem | None] = []
        for info in infos:
            known = {"mediaPoolItem", "startFrame", "endFrame", "mediaType", "trackIndex", "recordFrame"}
            media, track = info["mediaPoolItem"], info.get("trackIndex", 1)
            if set(info) - known or media not in self._host.all_clips() or not 1 <= track <= len(timeline._tracks):
                return [None]
            row = timeline._tracks[track - 1]
            begin = info.get("recordFrame", max((item._start + item._duration for item in row), default=86400))
            length = min(info["endFrame"], media._frames) - info["startFrame"]  # endFrame is exclusive
            if length <= 0 or info["startFrame"] < 0:
                return [None]
            if any(item._start < begin + length and begin < item._start + item._duration for item in row):
                continue  # silently dropped
            row.append(TimelineItem(self._host, media, media._name, begin, length, info["startFrame"]))
            laid.append(row[-1])
        return laid


class Project(Fake):
    _name = "project"

    def do_GetMediaPool(self) -> MediaPool:
        return self._host.pool

    def do_GetCurrentTimeline(self) -> Timeline | None:
        return self._host.current

    def do_SetCurrentTimeline(self, timeline: Timeline) -> bool:
        if timeline not in self._host.timelines:
            return False
        self._host.current = timeline
        return True

    def do_GetTimelineCount(self) -> int:
        return len(self._host.timelines)

    def do_GetTimelineByIndex(self, index: int) -> Timeline | None:
        return self._host.timelines[index - 1] if 1 <= index <= len(self._host.timelines) else None

    def do_GetSettings(self) -> dict[str, str]:
        return dict(self._host.settings)

    def do_GetSetting(self, name: str) -> str | None:
        return self._host.settings.get(name) if name in SETTINGS else None

    def do_GetRenderPresetList(self) -> list[str]:
        return list(self._host.presets)

    def do_LoadRenderPreset(self, name: str) -> bool:
        if name not in self._host.presets:
            return False
        self._host.deliver = dict(self._host.presets[name])
        return True

    def do_SaveAsNewRenderPreset(self, name: str) -> bool:
        if name in self._host.presets:
            return False
        self._host.presets[name] = dict(self._host.deliver)
        return True

    def do_DeleteRenderPreset(self, name: str) -> bool:
        return self._host.presets.pop(name, None) is not None

    def do_GetRenderFormats(self) -> dict[str, str]:
        return {"QuickTime": "mov", "EXR": "exr", "DPX": "dpx"}

    def do_GetRenderCodecs(self, extension: str) -> dict[str, str]:
        exr = {"RGB half (no compression)": "RGBHalf", "RGB half (ZIP)": "RGBHalfZIP", "RGB float": "RGBFloat"}
        return exr if extension == "exr" else {"RGB 10 bits": "RGB10"} if extension == "dpx" else {}

    def do_SetCurrentRenderFormatAndCodec(self, extension: str, codec: str) -> bool:
        if codec not in self.do_GetRenderCodecs(extension).values():
            return False
        self._host.deliver |= {"format": extension, "codec": codec}
        return True

    def do_SetCurrentRenderMode(self, mode: int) -> bool:
        self._host.deliver["mode"] = mode
        return mode in (0, 1)

    def do_SetRenderSettings(self, settings: dict[str, Any]) -> bool:
        if set(settings) - set(RENDER_KEYS):
            return False
        self._host.deliver |= settings
        return True

    def do_AddRenderJob(self) -> str:
        job = {"JobId": self._host.new_id(), "JobStatus": "Ready", "CompletionPercentage": 0}
        self._host.queue.append({**job, "timeline": self._host.current, "deliver": dict(self._host.deliver)})
        return str(job["JobId"])

    def do_GetRenderJobList(self) -> list[dict[str, Any]]:
        return [{"JobId": job["JobId"]} for job in self._host.queue]

    def do_StartRendering(self, jobs: Any = (), interactive: bool = False) -> bool:
        chosen = [job for job in self._host.queue if job["JobId"] in jobs]
        for job in chosen:
            self._host.render(job)
        return bool(chosen) and len(chosen) == len(jobs)

    def do_IsRenderingInProgress(self) -> bool:
        return False

    def do_StopRendering(self) -> None:
        return None

    def do_GetRenderJobStatus(self, name: str) -> dict[str, Any]:
        job = next((job for job in self._host.queue if job["JobId"] == name), None)
        return {key: job[key] for key in ("JobStatus", "CompletionPercentage", "Error") if key in job} if job else {}

    def do_DeleteRenderJob(self, name: str) -> bool:
        before = len(self._host.queue)
        self._host.queue[:] = [job for job in self._host.queue if job["JobId"] != name]
        return len(self._host.queue) < before


class ProjectManager(Fake):
    def do_GetCurrentProject(self) -> Project | None:
        return self._host.project


class Resolve(Fake):
    def do_GetProjectManager(self) -> ProjectManager:
        return self._host.manager

    def do_OpenPage(self, page: str) -> bool:
        self._host.page = page
        return page in ("media", "cut", "edit", "fusion", "color", "fairlight", "deliver")

    def do_GetCurrentPage(self) -> str:
        return self._host.page

    def do_GetVersion(self) -> list[Any]:
        return [*self._host.version, 0, 7, ""]

    def do_GetProductName(self) -> str:
        return "DaVinci Resolve Studio" if self._host.studio else "DaVinci Resolve"

    def do_IsStudio(self) -> bool:
        return self._host.studio
