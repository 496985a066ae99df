"""What lies in the media pool and on timelines: clips, folders, items, timelines."""

# ruff: noqa: N802 (methods have the names of the host's)

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import OpenImageIO as oiio

from tests.stand_ins.resolve_like.manifest import CLIP_PROPERTIES, MANIFEST, SETTINGS

if TYPE_CHECKING:
    from tests.stand_ins.resolve_like.host import Host


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


class Marked(Fake):
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


class MediaPoolItem(Marked):
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


class TimelineItem(Marked):
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


class Timeline(Marked):
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
