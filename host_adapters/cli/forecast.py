"""What a render would do, as plain data: the plan for a person, a farm, a host."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safelight.graph.analysis import looks_of
from safelight.graph.execute import peak_bytes
from safelight.graph.frames import format_frames
from safelight.graph.graph import Graph
from safelight.graph.node import Request
from safelight.graph.plan import Plan, Target, plan, sink_targets
from safelight.graph.render import check_files, sink_frames

CHUNKS = (10, 25, 100)
"""Sizes of farm tasks for which the overhead is said."""
LONGEST = 2000
"""Frames planned in full; for longer ranges the figures are those of this many, scaled."""


def forecast(graph: Graph, frames: Sequence[int] | None = None) -> dict[str, Any]:
    """Validate and plan; return nodes, handles, memory, cost, files, warnings.

    Raises GraphError for whatever a render would refuse before its first frame.
    """
    numbers = sink_frames(graph, frames)
    warnings = graph.check()
    check_files(graph, numbers)
    part = numbers[:LONGEST]
    made = plan(graph, sink_targets(graph, part))
    reach = handles(graph)
    analysed = _analysed(graph)
    rows = [_row(graph, name, made, reach[name], analysed[name]) for name in graph.order]
    delivered = sum(target.region.area for target in made.targets) / 1e6
    total = sum(row["megapixels"] for row in rows)
    before = max((reach[name][0] for name in graph.order), default=0)
    after = max((reach[name][1] for name in graph.order), default=0)
    scale = len(numbers) / len(part)
    sizes = [size for size in CHUNKS if size < len(numbers)] or [len(numbers)]
    for row in rows:
        row["megapixels"] = round(row["megapixels"] * scale, 3)
    wanting = [name for name in graph.order if graph.nodes[name].wants_analysis(graph.params[name])]
    return {
        "frames": format_frames(numbers),
        "count": len(numbers),
        "nodes": rows,
        "handles": [before, after],
        "chunks": {size: (before + after) / size for size in sizes},
        "peak_bytes": peak_bytes(graph, made),
        "megapixels": round(total * scale, 3),
        "cost": total / delivered if delivered else 0.0,
        "analyses": wanting,
        "reads": _files(graph, made, sinks=False, whole=len(part) == len(numbers)),
        "writes": _files(graph, made, sinks=True, whole=len(part) == len(numbers)),
        "warnings": warnings,
    }


def handles(graph: Graph) -> dict[str, tuple[int, int]]:
    """Return how many frames before and after a range each node is needed for, were the clips endless."""
    reach = dict.fromkeys(graph.order, (0, 0))
    for name in reversed(graph.order):
        node, params = graph.nodes[name], graph.params[name]
        clip = graph.clip(name)
        frame = (clip.first + clip.last) // 2
        asked = node.needs(params, Request(frame, clip.extent_at(frame)))
        for port, requests in asked.items():
            source = graph.links[name].get(port)
            if source is None or not requests:
                continue
            back = frame - min(request.frame for request in requests)
            ahead = max(request.frame for request in requests) - frame
            before, after = reach[name]
            old = reach[source.node]
            reach[source.node] = max(old[0], before + back), max(old[1], after + ahead)
    return reach


def _analysed(graph: Graph) -> dict[str, set[int]]:
    """Return by node the frames that whole-shot analyses take of it, whatever the frames to render."""
    found: dict[str, set[int]] = {name: set() for name in graph.order}
    for name in graph.order:
        if not graph.nodes[name].wants_analysis(graph.params[name]):
            continue
        looks = looks_of(graph, name).values()
        targets = [Target(at.node, at.output, ask.frame, ask.region) for at, asked in looks for ask in asked]
        if targets:
            for up, frame in plan(graph, targets).tasks:
                found[up].add(frame)
    return found


def _row(graph: Graph, name: str, made: Plan, reach: tuple[int, int], analysed: set[int]) -> dict[str, Any]:
    clip = graph.clip(name)
    tasks = [task for (node, _), task in made.tasks.items() if node == name]
    pixels = sum(task.region.area for task in tasks if task.identity is None)
    size = f"{clip.display.width} x {clip.display.height}"
    return {
        "name": name,
        "type": graph.nodes[name].id,
        "picture": size if clip.extent == clip.display and not clip.extents else f"{size}, data {clip.extent}",
        "channels": list(clip.channels),
        "clip": [clip.first, clip.last],
        "frames": format_frames(made.frames_of(name)),
        "analysed": format_frames(sorted(analysed)),
        "handles": list(reach),
        "megapixels": pixels / 1e6,
        "handed_on": sum(task.identity is not None for task in tasks),
    }


def _files(graph: Graph, made: Plan, *, sinks: bool, whole: bool) -> list[dict[str, Any]]:
    found = []
    for name in graph.order:
        node, params = graph.nodes[name], graph.params[name]
        if not (node.sink if sinks else node.source):
            continue
        frames = made.frames_of(name)
        paths = [path for frame in frames if (path := node.target(params, frame)) is not None]
        if not paths:
            text = str(getattr(params, "path", "")) or "one file"
        elif len(set(paths)) == 1:
            text = str(paths[0])
        else:
            text = f"{paths[0]} … {paths[-1].name} ({len(set(paths))} files{'' if whole else ', and on'})"
        found.append({"node": name, "files": text, "first": _str(paths[:1]), "last": _str(paths[-1:])})
    return found


def _str(paths: Sequence[Path]) -> str | None:
    return str(paths[0]) if paths else None
