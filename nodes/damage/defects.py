"""The list of defects: what was found where, in a file that an artist can edit and a render obeys.

```
{"safelight_defects": 1, "plate": "reel2", "defects": [
{"id": 17, "frame": 1012, "box": [640, 300, 652, 309], "kind": "dust", "tone": "dark", "score": 0.93, "decision": ""}
]}
```
Boxes are in pixels of the display window, x1 and y1 exclusive. `decision` is "" (as found), "keep" (it is damage
whatever the settings say), "reject" (it is none) or "add" (drawn by hand: the box is damage). Only `id`, `frame` and
`box` must be there.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.image import Clip, Image, colour_planes

FORMAT = 1
Kind = Literal["dust", "dirt", "hair", "scratch", "blotch", "splice"]
Tone = Literal["dark", "bright", "coloured"]
Decision = Literal["", "keep", "reject", "add"]

EIGHT = np.ones((3, 3), bool)
_SMALL, _LARGE = 12, 60  # pixels: dust, dirt, blotch
_WORDS = {"kind": get_args(Kind), "tone": get_args(Tone), "decision": get_args(Decision)}


@dataclass(frozen=True)
class Defect:
    """One piece of damage on one frame."""

    id: int
    frame: int
    box: tuple[int, int, int, int]
    """x0, y0, x1, y1 in pixels of the display window, exclusive."""
    kind: Kind = "dust"
    tone: Tone = "dark"
    score: float = 1.0
    """Confidence, 0 to 1."""
    decision: Decision = ""


@dataclass(frozen=True)
class Defects:
    """A list of defects, and the plate they are on."""

    plate: str = ""
    defects: tuple[Defect, ...] = ()

    @classmethod
    def load(cls, path: Path | str) -> Defects:
        """Read a list.

        Raises
        ------
        GraphError
            The file cannot be read or says something wrong; names the file and the line.
        """
        path = Path(path)
        try:
            state = path.stat()
            return _load(path, state.st_mtime_ns, state.st_size)
        except (OSError, UnicodeDecodeError) as error:
            raise GraphError(
                "the list of defects cannot be read",
                file=path,
                remedy=getattr(error, "strerror", None) or "It must be a text file in UTF-8.",
            ) from None

    @classmethod
    def parse(cls, text: str, path: Path | str = "") -> Defects:
        """Read a list from its text; `path` is named in errors."""
        return _Reader(text, Path(path)).read()

    def text(self) -> str:
        """Return the file's text: one defect a line, in order of frame and id."""
        ordered = sorted(self.defects, key=lambda d: (d.frame, d.id))
        lines = [json.dumps({**asdict(d), "box": list(d.box), "score": round(d.score, 4)}) for d in ordered]
        head = json.dumps({"safelight_defects": FORMAT, "plate": self.plate})[:-1]
        return f'{head}, "defects": [' + ("\n" + ",\n".join(lines) + "\n" if lines else "") + "]}\n"

    def save(self, path: Path | str) -> None:
        """Write the list; it lands by rename, so that no half list is ever there.

        Raises GraphError where it cannot be written.
        """
        path = Path(path)
        temporary = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            temporary.write_text(self.text(), encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise GraphError(
                "the list of defects cannot be written", file=path, remedy=error.strerror or "See the folder's rights."
            ) from None

    def at(self, frame: int) -> tuple[Defect, ...]:
        """Return the defects of one frame that somebody decided on."""
        return tuple(d for d in self.defects if d.frame == frame and d.decision)

    def decided(self, frame: int) -> str:
        """Return what the picture of one frame depends on, for a signature; "" for nothing."""
        return json.dumps([[d.box, d.decision] for d in self.at(frame)]) if self.at(frame) else ""

    @staticmethod
    def of_matte(frame: int, matte: Image, plate: Image, first_id: int = 1) -> list[Defect]:
        """List the 8-connected blobs of a matte (its first channel, above 0), in reading order.

        Parameters
        ----------
        plate:
            The picture that the matte is of: says the tone, against the surroundings of each blob.
        first_id:
            Number of the first one; the others follow.

        Kind by the longer side of the box: dust up to 12 pixels, blotch above 60, dirt between; five times as long as
        wide a hair, or, upright and over a quarter of the picture's height, a scratch.
        """
        values = matte.data[0]
        labels, count = ndimage.label(values > 0, EIGHT)
        if not count:
            return []
        tones = _tones(labels, count, plate.crop(matte.region))
        most = ndimage.maximum(values, labels, np.arange(1, count + 1))
        found = []
        for i, (rows, columns) in enumerate(ndimage.find_objects(labels)):
            x0, y0 = matte.region.x0 + columns.start, matte.region.y0 + rows.start
            x1, y1 = matte.region.x0 + columns.stop, matte.region.y0 + rows.stop
            size = _length_and_width(labels[rows, columns] == i + 1)
            kind = _kind(x1 - x0, y1 - y0, size, matte.region.height)
            score = float(np.clip(most[i], 0, 1))
            found.append(Defect(first_id + i, frame, (x0, y0, x1, y1), kind, tones[i], score))
        return found

    def apply(self, matte: Image, frame: int) -> Image:
        """Return a frame's matte as the list has it; the very same where nothing was decided.

        Blobs whose pixels lie for more than half in a rejected box become 0. Those in a kept box become 1; where no
        blob is found any more, the box does. Added boxes become 1. Every other pixel keeps its bits.
        """
        decided = self.at(frame)
        if not decided:
            return matte
        data = matte.data.copy()
        plane = data[0]
        labels, count = ndimage.label(plane > 0, EIGHT)
        number = np.bincount(labels.ravel(), minlength=count + 1)
        for wanted in ("reject", "keep", "add"):
            for defect in decided:
                if defect.decision != wanted:
                    continue
                x0, y0, x1, y1 = defect.box
                rows = slice(max(0, y0 - matte.region.y0), max(0, y1 - matte.region.y0))
                columns = slice(max(0, x0 - matte.region.x0), max(0, x1 - matte.region.x0))
                if wanted == "add":
                    plane[rows, columns] = 1
                    continue
                inside = np.bincount(labels[rows, columns].ravel(), minlength=count + 1)
                mostly = 2 * inside > number
                mostly[0] = False
                if wanted == "reject":
                    plane[mostly[labels]] = 0
                elif mostly.any():
                    plane[mostly[labels]] = 1
                else:
                    plane[rows, columns] = 1
        return matte.with_data(data)


@lru_cache(maxsize=8)
def _load(path: Path, changed: int, size: int) -> Defects:
    return Defects.parse(path.read_text(encoding="utf-8"), path)


def _length_and_width(blob: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Return the length and width of a blob: of the bar with its area and second moments."""
    y, x = np.nonzero(blob)
    xx, yy = x.var() + 1 / 12, y.var() + 1 / 12
    xy = ((x - x.mean()) * (y - y.mean())).mean()
    root = np.sqrt((xx - yy) ** 2 / 4 + xy**2)
    return float(np.sqrt(12 * ((xx + yy) / 2 + root))), len(x) / float(np.sqrt(12 * ((xx + yy) / 2 + root)))


def _kind(width: int, height: int, size: tuple[float, float], picture: int) -> Kind:
    length, thickness = size
    if height > 5 * width and 4 * height > picture:
        return "scratch"
    longer = max(width, height)
    if longer > _SMALL and length > 5 * thickness:
        return "hair"
    return "dust" if longer <= _SMALL else "blotch" if longer > _LARGE else "dirt"


def _tones(labels: Any, count: int, plate: Image) -> list[Tone]:
    """Return each blob's tone, by the light inside it against the light around it, in stops."""
    index = np.arange(1, count + 1)
    ring = np.where(ndimage.maximum_filter(labels, 3) == 0, ndimage.maximum_filter(labels, 9), 0)
    steps = []
    for plane in plate.data[list(colour_planes(plate.channels))]:
        good = np.isfinite(plane)
        light = np.log2(np.maximum(np.where(good, plane, 0), 1 / 1024))
        inside = np.asarray(ndimage.mean(light, np.where(good, labels, 0), index))
        around = np.asarray(ndimage.mean(light, np.where(good, ring, 0), index))
        steps.append(np.nan_to_num(inside - around))
    tones: list[Tone] = []
    for step in np.stack(steps, 1):
        strong = np.sort(np.abs(step))
        if len(step) == 3 and strong[1] < 0.5 * strong[2]:
            tones.append("coloured")
        else:
            tones.append("dark" if step.sum() <= 0 else "bright")
    return tones


class _Reader:
    """Reads a list, knowing at which line everything stands."""

    def __init__(self, text: str, path: Path) -> None:
        self.text = text
        self.path = path
        self.decoder = json.JSONDecoder()

    def read(self) -> Defects:
        try:
            whole = json.loads(self.text)
        except json.JSONDecodeError as error:
            raise self.wrong(f"this is no JSON: {error.msg}", error.pos) from None
        except RecursionError:
            raise self.wrong("this is no list of defects", 0) from None
        if not isinstance(whole, dict) or "safelight_defects" not in whole:
            raise self.wrong('this is no list of defects: "safelight_defects" is missing', 0)
        if whole["safelight_defects"] != FORMAT or isinstance(whole["safelight_defects"], bool):
            raise self.wrong(
                f"the list is of format {whole['safelight_defects']!r}, not {FORMAT}",
                max(0, self.text.find('"safelight_defects"')),
                "Update Safelight, or write the list again.",
            )
        for key in whole:
            if key not in ("safelight_defects", "plate", "defects"):
                remedy = did_you_mean(key, ["plate", "defects"]) or "Leave it out."
                raise self.wrong(f"'{key}' is not known here", self.text.find(json.dumps(key)), remedy)
        if not isinstance(whole.get("plate", ""), str):
            raise self.wrong("'plate' must be text", self.text.find('"plate"'))
        if not isinstance(whole.get("defects"), list):
            raise self.wrong("'defects' must be a list", max(0, self.text.find('"defects"')))
        found: list[Defect] = []
        seen: dict[int, int] = {}
        for start, end, item in self.items():
            defect = self.defect(item, start, end)
            if defect.id in seen:
                raise self.wrong(
                    f"id {defect.id} is there twice, first in line {seen[defect.id]}",
                    start,
                    "Give each defect an id of its own.",
                )
            seen[defect.id] = self.line(start)
            found.append(defect)
        return Defects(whole.get("plate", ""), tuple(found))

    def items(self) -> Iterator[tuple[int, int, Any]]:
        """Yield where each defect of the (valid) text begins and ends, and what it says."""
        at = self.skip(self.text.index("{") + 1)
        while True:
            key, at = self.decoder.raw_decode(self.text, at)
            at = self.skip(self.skip(at) + 1)
            if key == "defects":
                break
            _, at = self.decoder.raw_decode(self.text, at)
            at = self.skip(self.skip(at) + 1)
        at = self.skip(at + 1)
        while self.text[at] != "]":
            item, end = self.decoder.raw_decode(self.text, at)
            yield at, end, item
            at = self.skip(end)
            if self.text[at] == ",":
                at = self.skip(at + 1)

    def skip(self, at: int) -> int:
        while self.text[at] in " \t\r\n":
            at += 1
        return at

    def defect(self, item: Any, start: int, end: int) -> Defect:
        if not isinstance(item, dict):
            raise self.wrong("a defect must be an object: {…}", start)

        def where(key: str) -> int:
            found = self.text.find(json.dumps(key), start, end)
            return found if found >= 0 else start

        known = list(Defect.__dataclass_fields__)
        for key in item:
            if key not in known:
                remedy = did_you_mean(key, known) or f"A defect has {', '.join(known)}."
                raise self.wrong(f"'{key}' is not known of a defect", where(key), remedy)
        for key in ("id", "frame", "box"):
            if key not in item:
                raise self.wrong(f"the defect has no '{key}'", start)
        for key in ("id", "frame"):
            if not _whole(item[key]):
                raise self.wrong(f"'{key}' must be a whole number, not {item[key]!r}", where(key))
        box = item["box"]
        if not (isinstance(box, list) and len(box) == 4 and all(map(_whole, box))):
            raise self.wrong("'box' must be four whole numbers, [x0, y0, x1, y1]", where("box"))
        if box[0] >= box[2] or box[1] >= box[3]:
            raise self.wrong(f"the box {box} is empty", where("box"), "x1 and y1 lie beyond the last pixel.")
        for key, words in _WORDS.items():
            value = item.get(key, words[0])
            if value not in words:
                near = did_you_mean(str(value), [w for w in words if w])
                raise self.wrong(
                    f"'{key}' cannot be {value!r}", where(key), near or "One of " + ", ".join(map(repr, words)) + "."
                )
        score = item.get("score", 1.0)
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise self.wrong(f"'score' must be a number from 0 to 1, not {score!r}", where("score"))
        return Defect(
            item["id"],
            item["frame"],
            tuple(box),
            item.get("kind", "dust"),
            item.get("tone", "dark"),
            float(score),
            item.get("decision", ""),
        )

    def line(self, at: int) -> int:
        return self.text.count("\n", 0, min(at, len(self.text.rstrip()))) + 1

    def wrong(self, what: str, at: int, remedy: str = "") -> GraphError:
        return GraphError(
            what,
            where=f"line {self.line(at)}",
            file=self.path,
            remedy=remedy or "Mend that line, or write the list again.",
        )


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**31


def outside(path: Path | None, clip: Clip) -> list[str]:
    """Read a node's list, if it has one, and return what to warn of: frames that the clip does not have.

    Raises GraphError where the list is broken.
    """
    frames = sorted({d.frame for d in Defects.load(path).defects if d.frame not in clip}) if path is not None else []
    if not frames:
        return []
    few = ", ".join(map(str, frames[:5])) + (f" and {len(frames) - 5} more" if len(frames) > 5 else "")
    return [f"the list of defects speaks of frames that the clip does not have: {few}"]


def decided(path: Path | None, frame: int | None) -> str:
    """Return what a node's list decides on a frame, for the node's fingerprint; "" without a list or a frame."""
    return "" if path is None or frame is None else Defects.load(path).decided(frame)


def merged(lists: Iterable[Sequence[Defect]]) -> tuple[Defect, ...]:
    """Return several frames' defects as one list, numbered on from 1."""
    every = [d for one in lists for d in one]
    return tuple(Defect(i, d.frame, d.box, d.kind, d.tone, d.score, d.decision) for i, d in enumerate(every, 1))
