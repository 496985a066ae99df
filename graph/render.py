"""The two ways to get pictures out of a graph: `render` writes its sinks, `pull` hands pixels to the caller."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from safelight.graph import ledger
from safelight.graph.analysis import run_analyses
from safelight.graph.behind import WriteBehind
from safelight.graph.device import Device, choose_device
from safelight.graph.errors import Cancelled, GraphError, SafelightError
from safelight.graph.execute import Executor, peak_bytes
from safelight.graph.frames import format_frames
from safelight.graph.graph import Graph
from safelight.graph.image import NOTES, Image
from safelight.graph.plan import Key, Plan, Target, plan, sink_targets
from safelight.graph.progress import Progress, Silent, Stage
from safelight.graph.signature import Signatures

LONGEST_PLAN = 2000
"""Frames planned at once; longer renders are cut here, so that a plan's own memory stays flat."""


@dataclass
class Report:
    """What a render did."""

    rendered: int = 0
    """Frames written, counted once for each sink."""
    skipped: int = 0
    """Frames found good and left (`resume`)."""
    failed: list[SafelightError] = field(default_factory=list)
    """One error for each frame that could not be made (only with `keep_going`)."""
    files: list[Path] = field(default_factory=list)
    """Files completed, in order."""
    warnings: list[str] = field(default_factory=list)
    seconds: float = 0.0
    peak_bytes: int = 0
    """Most bytes of pixels held at once."""


def default_budget() -> int:
    """Return the bytes a render may hold when nobody says: half of what the machine has free now."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (ValueError, OSError, AttributeError):
        return 4 << 30


def sink_frames(graph: Graph, frames: Sequence[int] | None) -> list[int]:
    """Return the frames to render: those asked for, or all that the sinks have; refuse frames that do not exist."""
    sinks = graph.sinks
    if not sinks:
        raise GraphError(
            "the graph has no node that writes", file=graph.path, remedy='Add one, such as type = "Write".'
        )
    if frames is None:
        frames = sorted({frame for sink in sinks for frame in graph.clip(sink).frames})
    if not frames:
        raise GraphError("there are no frames to render: the range is empty", file=graph.path)
    for sink in sinks:
        clip = graph.clip(sink)
        outside = [frame for frame in frames if frame not in clip]
        if outside:
            raise GraphError(
                f"frames {format_frames(outside)} do not exist: the clip runs from {clip.first} to {clip.last}",
                where=f"node '{sink}'",
                remedy="Choose frames inside it with --frames.",
            )
    return sorted(set(frames))


def render(
    graph: Graph,
    frames: Sequence[int] | None = None,
    *,
    device: Device | None = None,
    memory: int = 0,
    tile: int = 0,
    chunk: int = 0,
    resume: bool = False,
    keep_going: bool = False,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Report:
    """Render every sink of a graph.

    Parameters
    ----------
    frames:
        Frames to make; default all there are.
    memory:
        Bytes of pixels to hold at most; 0 for half of what is free.
    tile:
        Edge of the tiles that nodes are computed in, pixels; 0 lets memory decide. The picture does not depend on it.
    chunk:
        Frames planned together; 0 for all. The picture does not depend on it.
    resume:
        Leave frames that an earlier render made with the same signature and that nobody touched since.
    keep_going:
        When a frame fails, go on with the others and list the failures in the report.
    cancel:
        Set it from another thread to stop between two tiles.

    Raises
    ------
    GraphError
        Found before the first frame: nothing was written.
    RenderError
        A frame failed; frames before it are complete, nothing is half-written.
    Cancelled
        `cancel` was set; likewise.
    """
    began = time.monotonic()
    device = device or choose_device()
    progress = progress or Silent()
    report = Report()
    frames = sink_frames(graph, frames)
    report.warnings = graph.check()
    for warning in report.warnings:
        progress.note(warning)
    check_files(graph, frames)
    budget = memory or default_budget()
    analyses = run_analyses(graph, device, budget=budget, progress=progress, cancel=cancel)
    todo = sink_targets(graph, frames)
    # Taken before anything is read: a file that changes meanwhile makes its frames be rendered again, never trusted.
    signatures = Signatures(graph, analyses)
    signed = {(target.node, target.frame): signatures.written(target.node, target.frame) for target in todo}
    if resume:
        todo = [target for target in todo if not _is_done(graph, target, signed)]
        report.skipped = len(signed) - len(todo)
    chunks = _chunks(todo, chunk or LONGEST_PLAN)
    if not chunks:
        progress.note(f"all {report.skipped} frames are already good")
        report.seconds = time.monotonic() - began
        return report
    made = plan(graph, chunks[0])
    _fit(graph, made, memory, budget, progress)

    stage = Stage("render", len(todo), progress)
    writers: dict[str, WriteBehind] = {}

    def pending() -> int:
        return sum(writer.pending_bytes for writer in writers.values())

    try:
        for name in graph.sinks:
            mine = [target.frame for target in todo if target.node == name]
            if mine:
                writers[name] = _open(graph, name, mine, (device.threads, budget // 4), signed, stage, report)
        for index, targets in enumerate(chunks):
            executor = Executor(
                graph,
                made if index == 0 else plan(graph, targets),
                device,
                budget=budget,
                tile=tile,
                cancel=cancel,
                analyses=analyses,
                pending=pending,
                keep_going=keep_going,
            )
            for target, image in executor.run():
                if isinstance(image, SafelightError):
                    report.failed.append(image)
                    progress.note(f"error: {image}")
                    continue
                report.peak_bytes = max(report.peak_bytes, executor.live_bytes + image.nbytes + pending())
                for note in image.metadata.get(NOTES, ()):
                    if note not in report.warnings:
                        report.warnings.append(note)
                        progress.note(note)
                writers[target.node].put(target.frame, device.download(image))
                del image
        for name in list(writers):
            writers.pop(name).finish()
    except BaseException as error:
        for writer in writers.values():
            writer.stop(drain=not isinstance(error, Cancelled | KeyboardInterrupt))
        raise
    report.seconds = time.monotonic() - began
    return report


def _is_done(graph: Graph, target: Target, signed: Mapping[Key, str]) -> bool:
    path = graph.nodes[target.node].target(graph.params[target.node], target.frame)
    return path is not None and ledger.is_done(path, signed[target.node, target.frame])


def _chunks(targets: Sequence[Target], size: int) -> list[list[Target]]:
    """Cut targets into runs of `size` frames."""
    numbers = sorted({target.frame for target in targets})
    parts = [set(numbers[start : start + size]) for start in range(0, len(numbers), size)]
    return [[target for target in targets if target.frame in part] for part in parts]


def _fit(graph: Graph, made: Plan, memory: int, budget: int, progress: Progress) -> None:
    """Refuse a plan that cannot be held in the memory that was allowed; warn when it may not fit the machine's."""
    needed = peak_bytes(graph, made)
    text = f"the graph needs about {needed / 2**30:.2f} GiB at once"
    if memory and needed > memory:
        remedy = "Allow more, or split the graph."
        raise GraphError(f"{text}, and --memory allows {memory / 2**30:.2f}", file=graph.path, remedy=remedy)
    if needed > budget:
        progress.note(f"{text}; {budget / 2**30:.2f} GiB is half of what is free")


def _open(
    graph: Graph,
    name: str,
    frames: list[int],
    limits: tuple[int, int],
    signed: Mapping[Key, str],
    stage: Stage,
    report: Report,
) -> WriteBehind:
    """Open one sink, within (threads, bytes that may wait to be written)."""
    node, params = graph.nodes[name], graph.params[name]

    def written(frame: int | None, files: Sequence[Path]) -> None:
        report.files += files
        if frame is None:
            return
        target = node.target(params, frame)
        if target is not None:
            ledger.record(target, signed[name, frame])
        report.rendered += 1
        stage.advance(frame, report.peak_bytes)

    settings = replace(graph.settings, threads=limits[0])
    try:
        writer = node.writer(params, graph.input_clips(name)[node.inputs[0].name], frames, settings)
    except SafelightError as error:
        raise error.at(where=f"node '{name}'") from None
    return WriteBehind(name, writer, limits[1], written)


def check_files(graph: Graph, frames: Sequence[int]) -> None:
    """Refuse two sinks on one file, and a sink on a file that is read."""
    read: dict[Path, str] = {}
    for name in graph.order:
        node, params = graph.nodes[name], graph.params[name]
        if node.source:
            clip = graph.clip(name)
            paths = {node.target(params, frame) for frame in clip.frames}
            read.update(dict.fromkeys((path for path in paths if path is not None), name))
    taken: dict[Path, str] = {}
    for name in graph.sinks:
        node, params = graph.nodes[name], graph.params[name]
        for frame in frames:
            path = node.target(params, frame)
            if path is None:
                continue
            if path in read:
                raise GraphError(
                    f"the file is read by node '{read[path]}' and would be written over",
                    where=f"node '{name}'",
                    frame=frame,
                    file=path,
                    remedy="Write somewhere else.",
                )
            if taken.get(path, name) != name:
                raise GraphError(
                    f"node '{taken[path]}' writes the same file",
                    where=f"node '{name}'",
                    frame=frame,
                    file=path,
                    remedy="Give each its own path.",
                )
            taken[path] = name


def pull(
    graph: Graph,
    node: str,
    output: str = "",
    frames: Sequence[int] | None = None,
    *,
    device: Device | None = None,
    memory: int = 0,
    tile: int = 0,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> Iterator[tuple[int, Image]]:
    """Yield a node's frames as pixels in memory (numpy), in the order asked for, without writing anything.

    `frames` defaults to the node's whole clip. Errors as in `render`.
    """
    device = device or choose_device()
    output = graph.output(node, output)
    clip = graph.clips[node][output]
    budget = memory or default_budget()
    analyses = run_analyses(graph, device, budget=budget, progress=progress, cancel=cancel)
    numbers = list(clip.frames) if frames is None else list(frames)
    targets = [Target(node, output, frame, clip.extent_at(frame)) for frame in numbers]
    executor = Executor(graph, plan(graph, targets), device, budget=budget, tile=tile, cancel=cancel, analyses=analyses)
    for target, image in executor.run():
        assert isinstance(image, Image)
        yield target.frame, device.download(image)
