"""The defects of a clip: every detector's mattes rendered, listed, and held against a list that a person edited."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.analysis import run_analyses
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.execute import Executor
from safelight.graph.frames import format_frames
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.plan import Target, plan
from safelight.graph.progress import Progress, Stage
from safelight.graph.render import default_budget
from safelight.nodes.damage.defects import Defect, Defects, Kind
from safelight.nodes.damage.dirt import NOTE
from safelight.nodes.damage.frames import KIND

Box = tuple[int, int, int, int]
DETECTORS: Mapping[str, Kind | None] = {
    "DirtDetect": None,
    "ScratchDetect": "scratch",
    "HairDetect": "hair",
    "FrameDetect": "blotch",
}
"""Nodes whose mattes are listed, and what they call what they find; None: told by its shape."""
BAR = 0.6
"""What FrameDetect finds over so much of the width, at the top or bottom, is a splice."""
CHUNK = 200
"""Frames planned at once."""
SAME = 0.5
"""Share of the smaller of two boxes that both cover, from which they are of one defect."""


@dataclass(frozen=True)
class Found:
    """One defect, and the matte around it."""

    defect: Defect
    shape: npt.NDArray[np.bool_]
    """Over its box: where the matte is above 0."""

    @property
    def size(self) -> int:
        """Pixels."""
        return int(self.shape.sum())


@dataclass
class Listed:
    """What a search gave."""

    listed: Defects
    worst: list[Found] = field(default_factory=list)
    """The most striking, by score and size, with their shapes."""
    flagged: dict[int, str] = field(default_factory=dict)
    """Frames that a detector calls more than damaged in places, and what."""
    carried: int = 0
    """Decisions taken over from an earlier list."""

    def kinds(self, frame: int | None = None) -> dict[str, int]:
        """Return how many there are of each kind, commonest first; in one frame or in all. Rejected ones do not
        count."""
        count = Counter(
            d.kind for d in self.listed.defects if d.decision != "reject" and (frame is None or d.frame == frame)
        )
        return dict(count.most_common())

    def frames(self) -> list[int]:
        """Return the frames that have any, those with most first."""
        count = Counter(d.frame for d in self.listed.defects if d.decision != "reject")
        return [frame for frame, _ in sorted(count.items(), key=lambda one: (-one[1], one[0]))]


@dataclass(frozen=True)
class Search:
    """What is rendered: the detectors of a document, without the lists they obey, and the plate they look at."""

    graph: Graph
    document: Document
    mattes: tuple[tuple[str, str], ...]
    """Nodes and outputs."""
    plate: str
    repair: str | None
    """The node that repairs the plate, where there is one."""
    obeyed: tuple[Path, ...]
    """Lists that the document's nodes obey."""

    @property
    def name(self) -> str:
        """Name of the plate, for the list."""
        path = getattr(self.graph.params[self.plate], "path", None)
        return Path(path).name.split(".")[0] if path else self.plate


def of_sequence(path: Path, colourspace: str) -> Document:
    """Return a document that finds and repairs the damage of a sequence, at the nodes' defaults."""
    where, space = json.dumps(str(path.expanduser().absolute())), json.dumps(colourspace)
    text = f'safelight = 1\n[nodes.plate]\ntype = "Read"\npath = {where}\ncolourspace = {space}\n'
    for name, node in (("dirt", "DirtDetect"), ("scratches", "ScratchDetect"), ("frames", "FrameDetect")):
        text += f'[nodes.{name}]\ntype = "{node}"\ninput = "plate"\n'
    text += '[nodes.damage]\ntype = "MatteMerge"\ninputs = {a = "dirt", b = "scratches", c = "frames"}\n'
    text += '[nodes.repair]\ntype = "Repair"\ninputs = {source = "plate", matte = "damage"}\n'
    return Document.parse(text)


def search_of(document: Document, node: str | None, *, untrusted: bool = False) -> Search:
    """Choose what to look at: the node named, else every detector, else the mattes that feed a Repair.

    Raises GraphError where there is none, and where the detectors look at different plates.
    """
    whole = Graph.from_document(document, untrusted=untrusted)
    kinds = {name: whole.nodes[name].id for name in whole.nodes}
    repairs = [name for name, kind in kinds.items() if kind == "Repair"]
    if node is not None:
        name, _, output = node.partition(".")
        if name not in whole.nodes:
            raise GraphError(f"there is no node '{name}'", file=document.path, remedy=did_you_mean(name, whole.nodes))
        outputs = [port.name for port in whole.nodes[name].outputs]
        wanted = [(name, whole.output(name, output or ("matte" if "matte" in outputs else "")))]
    else:
        wanted = [(name, whole.output(name)) for name in whole.order if kinds[name] in DETECTORS]
        if not wanted:
            feeds = [whole.links[name]["matte"] for name in repairs if "matte" in whole.links[name]]
            wanted = list(dict.fromkeys((source.node, source.output) for source in feeds))
    if not wanted:
        raise GraphError(
            "no node of the graph finds damage",
            file=document.path,
            remedy="Add a DirtDetect, name a node that makes a matte with --node, or name the plate itself.",
        )
    plates = {source for name, _ in wanted for source in _plates(whole, name)}
    if len(plates) != 1:
        raise GraphError(
            f"the mattes are of several plates: {', '.join(sorted(plates))}" if plates else "the matte is of no plate",
            file=document.path,
            remedy="Choose one with --node.",
        )
    (plate,) = plates
    obeyed = [getattr(params, "defects", None) for params in whole.params.values()]
    # What a list took away must be found again, or its decision would be lost with it.
    free = replace(
        document,
        entries={
            name: replace(entry, params={key: value for key, value in entry.params.items() if key != "defects"})
            for name, entry in document.entries.items()
        },
        overrides=[one for one in document.overrides if one[1] != "defects"],
    )
    repair = next((name for name in repairs if whole.links[name]["source"].node == plate), None)
    return Search(
        part(free, whole, [name for name, _ in wanted] + [plate]),
        document,
        tuple(wanted),
        plate,
        repair,
        tuple(dict.fromkeys(Path(one) for one in obeyed if one is not None)),
    )


def above(graph: Graph, names: Iterable[str]) -> set[str]:
    """Return nodes and all that feed them."""
    found: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += [source.node for source in graph.links[name].values()]
    return found


def part(document: Document, whole: Graph, names: Sequence[str]) -> Graph:
    """Return the graph of some nodes and all that feed them: no other node needs its analysis made."""
    needed = above(whole, names)
    entries = {name: entry for name, entry in document.entries.items() if name in needed}
    overrides = [one for one in document.overrides if one[0] in needed]
    return Graph.from_document(
        replace(document, entries=entries, overrides=overrides), untrusted=whole.settings.untrusted
    )


def _plates(graph: Graph, name: str) -> set[str]:
    """Return the node whose picture a matte is of: through mattes up to what a detector looks at."""
    node = graph.nodes[name]
    links = graph.links[name]
    if node.id in DETECTORS or not links:
        first = links.get(node.inputs[0].name) if links else None
        return {first.node} if first else {name}
    if any(port.name == "matte" for port in node.inputs) and "input" in links:
        return {links["input"].node}
    return {plate for source in links.values() for plate in _plates(graph, source.node)}


def rendered(
    graph: Graph,
    wanted: Sequence[tuple[str, str]],
    frames: Sequence[int],
    device: Device,
    *,
    memory: int = 0,
    progress: Progress,
    cancel: threading.Event | None = None,
) -> Iterator[tuple[int, dict[str, Image]]]:
    """Yield several nodes' pictures, frame by frame: what they share is made once."""
    budget = memory or default_budget()
    analyses = run_analyses(graph, device, budget=budget, progress=progress, cancel=cancel)
    for start in range(0, len(frames), CHUNK):
        targets = [
            Target(node, output, frame, graph.clips[node][output].extent_at(frame))
            for frame in frames[start : start + CHUNK]
            for node, output in wanted
        ]
        executor = Executor(graph, plan(graph, targets), device, budget=budget, cancel=cancel, analyses=analyses)
        held: dict[str, Image] = {}
        for target, image in executor.run():
            assert isinstance(image, Image)
            held[target.node] = device.download(image)
            if len(held) == len(wanted):
                yield target.frame, held
                held = {}


def frames_of(search: Search, wanted: Sequence[int] | None) -> list[int]:
    """Return the frames to look at; refuse those that the plate does not have."""
    clip = search.graph.clip(search.plate)
    if wanted is None:
        return list(clip.frames)
    outside = [frame for frame in wanted if frame not in clip]
    if outside:
        raise GraphError(
            f"frames {format_frames(outside)} do not exist: the clip runs from {clip.first} to {clip.last}",
            remedy="Choose frames inside it with --frames.",
        )
    return sorted(set(wanted))


def find(
    search: Search,
    frames: Sequence[int],
    old: Defects | None,
    device: Device,
    *,
    least: float = 0.5,
    worst: int = 0,
    memory: int = 0,
    progress: Progress,
    cancel: threading.Event | None = None,
) -> Listed:
    """Render the mattes and list what is in them.

    Parameters
    ----------
    old:
        An earlier list: its decisions, and its entries on other frames, are taken over.
    least:
        Defects of a lower score are left out, unless somebody decided on them.
    worst:
        How many are kept with their shapes.
    """
    stage = Stage("find defects", len(frames), progress)
    decided = _Decided(old, frames)
    listed: list[Defect] = []
    out = Listed(Defects())
    wanted = [(search.plate, search.graph.output(search.plate)), *search.mattes]
    for frame, images in rendered(
        search.graph, wanted, frames, device, memory=memory, progress=progress, cancel=cancel
    ):
        plate = images[search.plate]
        found: list[Found] = []
        for name, _ in search.mattes:
            matte = images[name]
            said = str(matte.metadata.get(KIND) or matte.metadata.get(NOTE) or "").replace(",", ", ")
            if said:
                out.flagged[frame] = f"{out.flagged[frame]}; {said}" if frame in out.flagged else said
            found += _apart(_listed(search.graph.nodes[name].id, frame, matte, plate), found)
        mine = decided.settle(frame, found, least)
        listed += [one.defect for one in mine]
        out.worst = sorted([*out.worst, *mine], key=striking, reverse=True)[:worst]
        stage.advance(frame, plate.nbytes)
    out.listed = Defects(search.name, tuple(decided.elsewhere + listed))
    out.carried = decided.carried
    return out


def striking(one: Found) -> float:
    """Return what the worst defects are ordered by: score, then size."""
    return float(one.defect.score * (1 + 0.1 * np.log2(max(1, one.size))))


def _listed(node: str, frame: int, matte: Image, plate: Image) -> list[Found]:
    """List one detector's matte, each with the shape of its blob."""
    matte = matte.crop(matte.region.intersect(plate.region))
    found = []
    for defect in Defects.of_matte(frame, matte, plate):
        kind = DETECTORS.get(node) or defect.kind
        x0, y0, x1, y1 = defect.box
        region = matte.region
        if node == "FrameDetect" and x1 - x0 > BAR * region.width and (y0 == region.y0 or y1 == region.y1):
            kind = "splice"
        part = matte.data[0, y0 - region.y0 : y1 - region.y0, x0 - region.x0 : x1 - region.x0] > 0
        found.append(Found(replace(defect, kind=kind), part))
    return found


def _apart(new: list[Found], there: Sequence[Found]) -> list[Found]:
    """Leave out what another detector has found already."""
    if not there:
        return new
    boxes = np.array([one.defect.box for one in there])
    return [one for one in new if not _alike(one.defect.box, boxes).any()]


def _alike(box: Box, boxes: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Tell which boxes (n, 4) are of one defect with this: alike in place and size."""
    shared = np.maximum(0, np.minimum(boxes[:, 2], box[2]) - np.maximum(boxes[:, 0], box[0])) * np.maximum(
        0, np.minimum(boxes[:, 3], box[3]) - np.maximum(boxes[:, 1], box[1])
    )
    sizes = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    size = (box[2] - box[0]) * (box[3] - box[1])
    return np.asarray((shared > SAME * np.minimum(sizes, size)) & (shared > 0.25 * np.maximum(sizes, size)))


class _Decided:
    """An earlier list: what it says of each frame, and which numbers are free."""

    def __init__(self, old: Defects | None, frames: Sequence[int]) -> None:
        looked = set(frames)
        every = old.defects if old is not None else ()
        self.elsewhere = [d for d in every if d.frame not in looked]
        self.there: dict[int, list[Defect]] = {}
        for d in every:
            if d.frame in looked:
                self.there.setdefault(d.frame, []).append(d)
        self.next = max((d.id for d in every), default=0) + 1
        self.carried = sum(bool(d.decision) for d in self.elsewhere)

    def settle(self, frame: int, found: Sequence[Found], least: float) -> list[Found]:
        """Give what was found on a frame its numbers and decisions; add what was decided of what is not found now."""
        old = self.there.get(frame, [])
        left = set(range(len(old)))
        # Decided ones choose first: of two alike, the edit must not go to neither.
        order = sorted(left, key=lambda i: not old[i].decision)
        mine: dict[int, Defect] = {}
        boxes = np.array([one.defect.box for one in found]).reshape(-1, 4)
        for i in order:
            if old[i].decision == "add" or not len(boxes):
                continue
            alike = [int(j) for j in np.flatnonzero(_alike(old[i].box, boxes)) if int(j) not in mine]
            if alike:
                mine[alike[0]] = old[i]
                left.discard(i)
        out = []
        for j, one in enumerate(found):
            was = mine.get(j)
            if one.defect.score < least and not (was and was.decision):
                continue
            if was is None:
                was, self.next = replace(one.defect, id=self.next), self.next + 1
            # A decision stays with the box that it was made for: it is what the render obeys.
            kept = replace(was, score=one.defect.score) if was.decision else replace(one.defect, id=was.id)
            out.append(Found(kept, one.shape if kept.box == one.defect.box else _whole(kept.box)))
            self.carried += bool(kept.decision)
        for i in sorted(left):
            if old[i].decision:
                out.append(Found(old[i], _whole(old[i].box)))
                self.carried += 1
        return out


def _whole(box: Box) -> npt.NDArray[np.bool_]:
    """Return a shape that fills a box, which may be larger than any picture."""
    return np.broadcast_to(np.True_, (box[3] - box[1], box[2] - box[0]))
