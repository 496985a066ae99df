"""The objects of the stand-in: what each of Resolve's classes keeps and does."""

# ruff: noqa: N802 (methods have the names of the host's)

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import OpenImageIO as oiio

from tests.stand_ins.resolve_like.manifest import CLIP_PROPERTIES, MANIFEST, RENDER_KEYS, SETTINGS

if TYPE_CHECKING:
    from tests.stand_ins.resolve_like.host import Host

NUMBERED = re.compile(r"%0(\d+)d")


class Fake:
    """Base of all objects: only what the manifest lists can be called."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._id = host.new_id()

    def __dir__(self) -> list[str]:
        return [name for name, call in MANIFEST[self._kind].items() if self._host.offers(call)]

    @property
    def _kind(self) -> str:
        return type(self).__name__

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        call = MANIFEST[self._kind].get(name)
        if call is None or not self._host.offers(call):
            self._host.violations.append(f"{self._kind}.{name} is not in the manifest of {self._host.version}")
            return None
        return lambda *arguments: self._host.invoke(self, name, call, arguments)

    def do_GetUniqueId(self) -> str:
        return self._id

    def do_GetName(self) -> str:
        return self._name  # type: ignore[no-any-return]


class _Marked(Fake):
    """Objects that carry markers."""

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._markers: dict[int, dict[str, Any]] = {}

    def do_AddMarker(self, frame: float, color: str, name: str, note: str, duration: float, custom: str = "") -> bool:
        if int(frame) in self._markers or color not in ("Blue", "Green", "Sand", "Mint"):
            return False
        told = {"color": color, "name": name, "note": note, "duration": duration, "customData": custom}
        self._markers[int(frame)] = told
        return True

    def do_GetMarkers(self) -> dict[float, Any]:
        return {float(frame): dict(marker) for frame, marker in self._markers.items()}

    def do_GetMarkerByCustomData(self, custom: str) -> dict[str, Any]:
        return next((dict(marker) for marker in self._markers.values() if marker["customData"] == custom), {})

    def do_DeleteMarkerByCustomData(self, custom: str) -> bool:
        for frame, marker in list(self._markers.items()):
            if marker["customData"] == custom:
                del self._markers[frame]
                return True
        return False


class MediaPoolItem(_Marked):
    def __init__(self, host: Host, path: str, frames: int, first: int = 1, space: str = "", value: float = 0) -> None:
        super().__init__(host)
        self._set(path, frames, first)
        self._space, self._value = space, value
        self._metadata: dict[str, str] = {}

    def _set(self, path: str, frames: int, first: int) -> None:
        self._path, self._frames, self._first = path, frames, first
        self._name = Path(path).name

    def do_GetClipProperty(self, name: str | None = None) -> Any:
        told = {
            "File Path": self._path, "Frames": str(self._frames), "FPS": self._host.settings["timelineFrameRate"],
            "Type": "Video", "Input Color Space": self._space,
        }  # fmt: skip
        return told if name is None else told.get(name, "")

    def do_SetClipProperty(self, name: str, value: str) -> bool:
        if name not in CLIP_PROPERTIES or not isinstance(value, str):
            return False
        if name == "Input Color Space":
            self._space = value
        return True

    def do_GetMetadata(self, name: str | None = None) -> Any:
        return dict(self._metadata) if name is None else self._metadata.get(name, "")

    def do_SetMetadata(self, table: Any, value: str | None = None) -> bool:
        self._metadata |= table if isinstance(table, dict) else {table: value}
        return True

    def do_ReplaceClip(self, path: str) -> bool:
        """As the real one: takes a sequence by one of its files, loses the metadata, changes every use."""
        match = re.fullmatch(r"(.*?)(\d+)(\.\w+)", path)
        if not Path(path).is_file() or match is None:
            return False
        stem, digits, suffix = match.groups()
        files = sorted(Path(stem).parent.glob(f"{Path(stem).name}{'[0-9]' * len(digits)}{suffix}"))
        last = files[-1].name[len(Path(stem).name) : -len(suffix)]
        self._set(f"{stem}[{digits}-{last}]{suffix}", len(files), int(digits))
        self._metadata, self._space = {}, ""
        return True

    def _pixels(self, index: int) -> np.ndarray:
        match = re.search(r"\[(\d+)-\d+\]", self._path)
        if match is None:
            return np.full((2, 2, 3), (self._value, index, 0.5), np.float32)
        number = f"{int(match[1]) + index:0{len(match[1])}d}"
        return np.asarray(oiio.ImageBuf(self._path.replace(match[0], number)).get_pixels(oiio.FLOAT))


class Folder(Fake):
    def __init__(self, host: Host, name: str) -> None:
        super().__init__(host)
        self._name = name
        self._clips: list[MediaPoolItem] = []
        self._folders: list[Folder] = []

    def do_GetClipList(self) -> list[MediaPoolItem]:
        return list(self._clips)

    def do_GetSubFolderList(self) -> list[Folder]:
        return list(self._folders)

    def _walk(self) -> list[Folder]:
        return [self, *(inner for folder in self._folders for inner in folder._walk())]


class TimelineItem(_Marked):
    def __init__(
        self, host: Host, media: MediaPoolItem | None, name: str, start: int, duration: int, offset: int
    ) -> None:
        super().__init__(host)
        self._media, self._name, self._start, self._duration, self._offset = media, name, start, duration, offset
        self._takes: list[tuple[int, int, MediaPoolItem]] = []
        self._selected = 0
        self._grade = ""
        self._retime = 1

    def do_GetStart(self, subframe: bool = False) -> int:
        return self._start

    def do_GetEnd(self, subframe: bool = False) -> int:
        return self._start + self._duration

    def do_GetDuration(self, subframe: bool = False) -> int:
        return self._duration

    def do_GetLeftOffset(self, subframe: bool = False) -> int:
        return self._offset

    def do_GetRightOffset(self, subframe: bool = False) -> int:
        return (self._media._frames if self._media else 0) - self._offset - self._duration

    def do_GetSourceStartFrame(self) -> int:
        return self._offset - (1 if self._offset else 0)  # one off, as seen

    def do_GetSourceEndFrame(self) -> int:
        return self._offset + self._duration * self._retime - 1

    def do_GetMediaPoolItem(self) -> MediaPoolItem | None:
        return self._media

    def do_GetClipEnabled(self) -> bool:
        return True

    def do_AddTake(self, media: MediaPoolItem, start: int = 0, end: int = -1) -> bool:
        if not isinstance(media, MediaPoolItem) or media not in self._host.all_clips():
            return False
        if not self._takes:
            assert self._media is not None
            self._takes = [(self._offset, self._offset + self._duration - 1, self._media)]
            self._selected = 1
        self._takes.append((start, end if end >= 0 else media._frames - 1, media))
        return True

    def do_GetTakesCount(self) -> int:
        return len(self._takes)

    def do_GetSelectedTakeIndex(self) -> int:
        return self._selected

    def do_GetTakeByIndex(self, index: int) -> dict[str, Any] | None:
        if not 1 <= index <= len(self._takes):
            return None
        start, end, media = self._takes[index - 1]
        return {"startFrame": start, "endFrame": end, "mediaPoolItem": media}

    def do_SelectTakeByIndex(self, index: int) -> bool:
        if not 1 <= index <= len(self._takes):
            return False
        self._selected = index
        self._offset, _, self._media = self._takes[index - 1]
        return True

    def do_DeleteTakeByIndex(self, index: int) -> bool:
        if not 1 <= index <= len(self._takes) or index == self._selected:
            return False
        del self._takes[index - 1]
        self._selected -= index < self._selected
        return True

    def do_FinalizeTake(self) -> bool:
        self._takes, self._selected = [], 0
        return True

    def do_CopyGrades(self, items: list[TimelineItem]) -> bool:
        for item in items:
            item._grade = self._grade
        return bool(items)

    def _snapshot(self) -> Any:
        # A selector that holds the original alone shows what there was without one.
        takes = [(start, end, media._path) for start, end, media in self._takes] if len(self._takes) > 1 else []
        media = self._media._path if self._media else None
        return (self._id, self._name, self._start, self._duration, self._offset, media, takes,
                self._selected if takes else 0, self._grade, self._markers)  # fmt: skip


class Timeline(_Marked):
    def __init__(self, host: Host, name: str, tracks: int = 1) -> None:
        super().__init__(host)
        self._name = name
        self._tracks: list[list[TimelineItem]] = [[] for _ in range(tracks)]
        self._names = [f"Video {index + 1}" for index in range(tracks)]
        self._current: TimelineItem | None = None
        self._settings: dict[str, str] = {"useCustomSettings": "0"}

    def do_GetTrackCount(self, kind: str) -> int:
        return len(self._tracks) if kind == "video" else 0

    def do_GetTrackName(self, kind: str, index: int) -> str:
        return self._names[index - 1]

    def do_SetTrackName(self, kind: str, index: int, name: str) -> bool:
        self._names[index - 1] = name
        return True

    def do_GetItemListInTrack(self, kind: str, index: int) -> list[TimelineItem]:
        return list(self._tracks[index - 1])

    def do_GetIsTrackEnabled(self, kind: str, index: int) -> bool:
        return True

    def do_GetCurrentVideoItem(self) -> TimelineItem | None:
        return self._current

    def do_AddTrack(self, kind: str, sub: str = "") -> bool:
        self._tracks.append([])
        self._names.append(f"Video {len(self._tracks)}")
        return kind == "video"

    def do_DeleteTrack(self, kind: str, index: int) -> bool:
        if not 1 <= index <= len(self._tracks) or len(self._tracks) == 1:
            return False
        del self._tracks[index - 1], self._names[index - 1]
        return True

    def do_DeleteClips(self, items: list[TimelineItem], ripple: bool = False) -> bool:
        there = [item for track in self._tracks for item in track]
        if ripple or not items or not all(item in there for item in items):
            return False
        for track in self._tracks:
            track[:] = [item for item in track if item not in items]
        return True

    def do_GetStartFrame(self) -> int:
        return 86400

    def do_GetSetting(self, name: str) -> str | None:
        return self._settings.get(name, self._host.settings.get(name)) if name in SETTINGS else None

    def do_GetSettings(self) -> dict[str, str]:
        return {**self._host.settings, **self._settings}

    def _snapshot(self) -> Any:
        tracks = [[item._snapshot() for item in track] for track in self._tracks]
        return self._name, self._names, tracks, self._markers


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
