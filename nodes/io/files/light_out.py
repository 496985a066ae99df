"""Sidecars of light: what the frames of a sequence or a movie measure, in files beside them.

Each frame of a sequence has an entry of its own, `.safelight/NAME.light.json` beside frame file NAME, written by
rename once the frame has landed: farm tasks never write the same one, and a frame that is written again replaces it.
The sidecar is put together from all entries whose frame still is the file that was measured, whoever wrote it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.colour.display import Display
from safelight.graph.frames import format_frames
from safelight.graph.ledger import FOLDER
from safelight.nodes.io.files.landing import Landing
from safelight.nodes.io.files.light import ContentLight, FrameLight, summary
from safelight.nodes.io.files.mastering import Mastering
from safelight.nodes.io.files.sequence import parse_pattern

VERSION = 1
_RULES = {
    "measured": "max(R, G, B) of each pixel of the display window, decoded from the code values as written, in cd/m2; "
    "of a Y'CbCr movie, from the R'G'B' codes of its depth, before subsampling and lossy coding",
    "max_cll": "largest light of any pixel (CTA-861.3)",
    "max_fall": "largest mean of a frame (CTA-861.3), black borders that all frames share left out",
    "content_light_level": "MaxCLL and MaxFALL as files hold them: whole cd/m2, 1 at least, as 0 says unknown",
}


@dataclass(frozen=True)
class LightPlan:
    """What a Write measures and says of its light."""

    display: Display
    mastering: Mastering | None
    hdr10plus: bool
    cuts: tuple[int, ...]
    """First frames of new shots."""


def sidecar_of(path: Path, kind: str = "light") -> Path:
    """Return the sidecar of a sequence, still or movie.

    >>> sidecar_of(Path("out/a.####.exr")).name, sidecar_of(Path("film.mov"), "hdr10plus").name
    ('a.exr.light.json', 'film.mov.hdr10plus.json')
    """
    pattern = parse_pattern(path)
    name = path.name
    if pattern is not None:
        name = (pattern.before.rstrip(".") or "frames") + path.suffix
    return path.with_name(f"{name}.{kind}.json")


class SequenceLight:
    """Keeps the light of single files, and their sidecar."""

    def __init__(self, path: Path, plan: LightPlan, frames: Sequence[int]) -> None:
        self._path, self._plan = path, plan
        self._last = frames[-1] if frames else None
        self._dirty = False

    def add(self, frame: int, file: Path, light: FrameLight, held: Mapping[str, Any]) -> list[Path]:
        """Note one frame that has landed. With the last one the sidecar is written; return it then."""
        entry = _entry(file)
        stat = file.stat()
        data = {
            "frame": frame,
            "file": file.name,
            "size": stat.st_size,
            "mtime_ns": stat.st_mtime_ns,
            "display": self._plan.display.as_data(),
            "light": light.as_data(),
            **({"held": dict(held)} if held else {}),
        }
        entry.parent.mkdir(exist_ok=True)
        _write(entry, data, indent=None)
        # Before the frame counts as done, so that a render which is killed here writes it, and the sidecar, again.
        self._dirty = True
        return self.close() if frame == self._last else []

    def close(self) -> list[Path]:
        """Write the sidecars from all entries that are true, unless that is done; return them."""
        if not self._dirty:
            return []
        self._dirty = False
        found = self._entries()
        while True:
            made = write_sidecars(self._path, self._plan, found, None)
            again = self._entries()
            # Another task may have put down its sidecar, with fewer frames than there are now, at the same time.
            if again.keys() == found.keys():
                return made
            found = again

    def _entries(self) -> dict[int, dict[str, Any]]:
        pattern = parse_pattern(self._path)
        folder = self._path.parent / FOLDER
        found: dict[int, dict[str, Any]] = {}
        display = self._plan.display.as_data()
        try:
            names = [entry.name for entry in os.scandir(folder) if entry.name.endswith(".light.json")]
        except OSError:
            return {}
        for name in names:
            try:
                data = json.loads((folder / name).read_text(encoding="utf-8"))
                frame = int(data["frame"])
                file = pattern.path(frame) if pattern else self._path
                if data["file"] != file.name or name != f"{file.name}.light.json" or data["display"] != display:
                    continue
                stat = file.stat()
                if (data["size"], data["mtime_ns"]) != (stat.st_size, stat.st_mtime_ns):
                    continue
                FrameLight.from_data(data["light"])
            except (OSError, ValueError, KeyError, TypeError):
                continue
            found[frame] = data
        return dict(sorted(found.items()))


class MovieLight:
    """Keeps the light of a movie's frames until its sidecar is written."""

    def __init__(self, path: Path, plan: LightPlan) -> None:
        self._path, self._plan = path, plan
        self._frames: dict[int, dict[str, Any]] = {}

    def add(self, frame: int, light: FrameLight, held: Mapping[str, Any]) -> None:
        """Note one frame."""
        self._frames[frame] = {"frame": frame, "light": light.as_data(), **({"held": dict(held)} if held else {})}

    @property
    def content(self) -> ContentLight | None:
        """The light of all frames there are."""
        return summary(FrameLight.from_data(data["light"]) for data in self._frames.values())

    def close(self, movie: Path) -> list[Path]:
        """Write the sidecars beside the movie that has landed; return them."""
        return write_sidecars(self._path, self._plan, self._frames, movie)


def write_sidecars(
    path: Path, plan: LightPlan, entries: Mapping[int, Mapping[str, Any]], movie: Path | None
) -> list[Path]:
    """Write the sidecar, and HDR10+ where it was asked for; return the files. Of no frames, none."""
    frames = list(entries)
    lights = [FrameLight.from_data(entry["light"]) for entry in entries.values()]
    content = summary(lights)
    if content is None:
        return []
    missing = sorted(set(range(frames[0], frames[-1] + 1)) - set(frames))
    data: dict[str, Any] = {
        "safelight_light": VERSION,
        "of": path.name,
        "display": plan.display.as_data(),
        "mastering_display": plan.mastering.as_data() if plan.mastering else None,
        "max_cll": content.max_cll,
        "max_fall": content.max_fall,
        "content_light_level": list(content.levels),
        "active_area": list(content.active),
        "frames": format_frames(frames),
        "frames_without_figures": format_frames(missing) if missing else "",
        "rules": _RULES,
        "per_frame": [
            {"frame": frame, **entry["light"], **({"held": entry["held"]} if "held" in entry else {})}
            for frame, entry in entries.items()
        ],
    }
    if movie is not None:
        data["bytes"] = movie.stat().st_size
    made = [_write(sidecar_of(path), data)]
    if plan.hdr10plus:
        plus = sidecar_of(path, "hdr10plus")
        if missing:
            # A file that leaves frames out would shift all that follow: none is better than a wrong one.
            plus.unlink(missing_ok=True)
        else:
            made.append(_write(plus, hdr10plus(frames, lights, plan.cuts), indent=None))
    return made


def hdr10plus(frames: Sequence[int], lights: Sequence[FrameLight], cuts: Iterable[int]) -> dict[str, Any]:
    """Return HDR10+ metadata (SMPTE ST 2094-40), profile A, in the JSON that x265 and hdr10plus_tool read.

    Light in tenths of a cd/m². The second and third of the distribution's values are no percentiles: the light that
    99.99 % of the pixels do not exceed, and the percentage of pixels at 100 cd/m² or less; the ninth is at 99.98 %.
    """
    first = frames[0]
    starts = sorted({0, *(cut - first for cut in cuts if first < cut <= frames[-1])})
    scenes: list[dict[str, Any]] = []
    scene = 0
    for index, light in enumerate(lights):
        while scene + 1 < len(starts) and index >= starts[scene + 1]:
            scene += 1
        p1, _p5, _p10, p25, p50, p75, p90, p95, _p99, p9998, p9999 = light.percentiles
        values = [_tenths(value) for value in (p1, p9999, 0.0, p25, p50, p75, p90, p95, p9998)]
        values[2] = round(100 * light.dim)
        scenes.append(
            {
                "LuminanceParameters": {
                    "AverageRGB": _tenths(light.mean),
                    "LuminanceDistributions": {
                        "DistributionIndex": [1, 5, 10, 25, 50, 75, 90, 95, 99],
                        "DistributionValues": values,
                    },
                    "MaxScl": [_tenths(value) for value in light.highest],
                },
                "NumberOfWindows": 1,
                "TargetedSystemDisplayMaximumLuminance": 0,
                "SceneFrameIndex": index - starts[scene],
                "SceneId": scene,
                "SequenceFrameIndex": index,
            }
        )
    ends = [*starts[1:], len(lights)]
    return {
        "JSONInfo": {"HDR10plusProfile": "A", "Version": "1.0"},
        "SceneInfo": scenes,
        "SceneInfoSummary": {
            "SceneFirstFrameIndex": starts,
            "SceneFrameNumbers": [end - start for start, end in zip(starts, ends, strict=True)],
        },
        "ToolInfo": {"Tool": "safelight", "Version": "1"},
    }


def _tenths(light: float) -> int:
    return min(100000, max(0, round(10 * light)))


def _entry(file: Path) -> Path:
    return file.parent / FOLDER / f"{file.name}.light.json"


def _write(path: Path, data: Any, indent: int | None = 1) -> Path:
    with Landing(path) as landing:
        try:
            landing.temporary.write_text(json.dumps(data, indent=indent) + "\n", encoding="utf-8")
        except OSError as error:
            raise landing.failure(error.strerror or str(error)) from None
        return landing.land()
