"""A Resolve that keeps to the manifest, keeps state, renders real files, and fails where it is told to.

On its objects `hasattr` is always true and an unknown name reads as None, as on the real ones; but the name is
written down in `Host.violations`, and a test that leaves any there fails. A wrong number of arguments raises
TypeError, unknown keys and wrong pages answer False.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO as oiio

from tests.stand_ins.resolve_like.clips import Fake, MediaPoolItem, Timeline
from tests.stand_ins.resolve_like.manifest import Call
from tests.stand_ins.resolve_like.objects import MediaPool, Project, ProjectManager, Resolve


@dataclass(frozen=True)
class Fault:
    """What happens to one call: `kind` is False, None, [None] (nothing is done), `hangs`, `hangs after` or
    `False after` (it is done)."""

    at: int
    kind: str


@dataclass
class Host:
    """The whole of it, and what a test may look at and set."""

    version: tuple[int, int] = (21, 1)
    studio: bool = True
    fault: Fault | None = None
    violations: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    """Every call made: `Class.Method`."""
    page: str = "edit"

    def __post_init__(self) -> None:
        self._ids = 0
        self._lock = threading.RLock()
        self.freed = threading.Event()
        """Set it to let calls that hang come back."""
        self.settings = {
            "timelineFrameRate": "24", "colorScienceMode": "davinciYRGBColorManagedv2", "hdrMasteringOn": "1",
            "colorSpaceInput": "Rec.709 Gamma 2.4", "colorSpaceOutput": "Rec.2100 ST2084",
            "hdrMasteringLuminanceMax": "1000", "hdr10PlusControlsOn": "0",
        }  # fmt: skip
        self.presets: dict[str, dict[str, Any]] = {"H.264 Master": {"format": "mov", "codec": "H264", "mode": 1}}
        self.deliver: dict[str, Any] = {"format": "dpx", "codec": "RGB10", "mode": 0, "MarkIn": 7}
        self.queue: list[dict[str, Any]] = [{"JobId": "theirs", "JobStatus": "Ready", "CompletionPercentage": 0}]
        self.resolve, self.manager, self.pool = Resolve(self), ProjectManager(self), MediaPool(self)
        self.project: Project | None = Project(self)
        self.timelines = [Timeline(self, "cut", 2), Timeline(self, "other")]
        self.current = self.timelines[0]

    def new_id(self) -> str:
        self._ids += 1
        return f"id-{self._ids}"

    def offers(self, call: Call) -> bool:
        return call.since <= self.version and (call.edition == "free" or self.studio)

    def all_clips(self) -> list[MediaPoolItem]:
        return [clip for folder in self.pool._root._walk() for clip in folder._clips]

    def scriptapp(self, name: str) -> Any:
        return self.resolve if name == "Resolve" else None

    def invoke(self, target: Fake, name: str, call: Call, arguments: tuple[Any, ...]) -> Any:
        if not call.least <= len(arguments) <= call.most:
            raise TypeError(
                f"{target._kind}.{name} takes {call.least} to {call.most} arguments, {len(arguments)} given"
            )
        with self._lock:
            number = len(self.calls)
            self.calls.append(f"{target._kind}.{name}")
        kind = self.fault.kind if self.fault is not None and self.fault.at == number else ""
        if kind == "hangs":
            self.freed.wait()
            return None
        if kind in ("False", "None", "[None]"):
            return {"False": False, "None": None, "[None]": [None]}[kind]
        if call.pages and self.page not in call.pages:
            return None if "none" in call.kinds else False
        function: Callable[..., Any] | None = getattr(type(target), f"do_{name}", None)
        if function is None:
            self.violations.append(f"the stand-in does not do {target._kind}.{name}")
            return None
        with self._lock:
            answer = function(target, *arguments)
        if not _is_of(answer, call.kinds):
            self.violations.append(f"the stand-in's {target._kind}.{name} answered {answer!r}, not {call.kinds}")
        if kind == "hangs after":
            self.freed.wait()
        return False if kind == "False after" else answer

    def render(self, job: dict[str, Any]) -> None:
        """Write real EXR files, as the job says."""
        deliver, timeline = job["deliver"], job["timeline"]
        if deliver.get("format") != "exr" or not deliver.get("TargetDir") or deliver.get("mode") != 1:
            job |= {"JobStatus": "Failed", "Error": "not what a pull asks for"}
            return
        if "MarkIn" in deliver and not deliver.get("SelectAllFrames"):
            job |= {"JobStatus": "Failed", "Error": "hidden state: MarkIn"}
            return
        for item in timeline._tracks[0]:
            for k in range(item._duration):
                path = Path(deliver["TargetDir"]) / f"{deliver['CustomName']}{item._start + k:07d}.exr"
                pixels = np.ascontiguousarray(item._media._pixels(item._offset + k), np.float32)
                spec = oiio.ImageSpec(pixels.shape[1], pixels.shape[0], 3, oiio.FLOAT)
                out = oiio.ImageOutput.create(str(path))
                assert out.open(str(path), spec) and out.write_image(pixels)
                out.close()
        job |= {"JobStatus": "Complete", "CompletionPercentage": 100}

    def snapshot(self) -> Any:
        """Return all that a user would find changed."""
        folders = [
            (folder._name, [(c._id, c._path, c._frames, c._space, c._metadata, c._markers) for c in folder._clips])
            for folder in self.pool._root._walk()
        ]
        queue = [(job["JobId"], job["JobStatus"]) for job in self.queue]
        timelines = [timeline._snapshot() for timeline in self.timelines]
        return _frozen((
            self.page, self.current._name, self.pool._current._name, folders, timelines, queue, self.presets,
            self.deliver, self.settings,
        ))  # fmt: skip


def _is_of(answer: Any, kinds: tuple[str, ...]) -> bool:
    for kind in kinds:
        if kind == "none" and answer is None:
            return True
        if kind.startswith("[") and isinstance(answer, list):
            # [None] is what the real one answers when it could not.
            return all(item is None or type(item).__name__ == kind[1:-1] for item in answer)
        if type(answer).__name__ == kind:
            return True
    return False


def _frozen(value: Any) -> str:
    return repr(value)
