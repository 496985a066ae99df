"""Runs a plan: reads ahead in threads, computes each task once, frees pixels at their last use."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from safelight.graph.device import Device
from safelight.graph.errors import Cancelled, RenderError, SafelightError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Request, only
from safelight.graph.plan import Key, Need, Plan, Target, Task, clamped_needs
from safelight.graph.pool import shared
from safelight.graph.provenance import bare, has_record, with_codes
from safelight.graph.region import Region

Outputs = Mapping[str, Image]
READ_AHEAD = 6
"""Frames read ahead at most, budget permitting: enough to hide a slow disk, few enough to start soon."""


class Executor:
    """Carries out one plan. Use `run()` once; it yields each target's image in order.

    Pixels do not depend on `device.threads`, `tile` or `budget`: a node sees exactly the pixels its `needs` names.
    """

    def __init__(
        self,
        graph: Graph,
        plan: Plan,
        device: Device,
        *,
        budget: int,
        tile: int = 0,
        cancel: threading.Event | None = None,
        analyses: Mapping[str, Mapping[str, Any]] | None = None,
        pending: Callable[[], int] = lambda: 0,
        keep_going: bool = False,
    ) -> None:
        self._graph = graph
        self._plan = plan
        self._device = device
        self._cpu = Device("cpu", device.threads)
        self._budget = budget
        shared.keep_within(budget)
        self._tile = tile
        self._cancel = cancel or threading.Event()
        self._analyses = analyses or {}
        self._pending = pending  # bytes that wait for the writers: they count towards the budget
        self._keep_going = keep_going
        self._live: dict[Key, Outputs | SafelightError] = {}
        self._moved: dict[Key, dict[tuple[str, str], Image]] = {}  # copies on the other side, by output and device
        self._prepared: dict[tuple[str, str, int], Any] = {}
        self._prepared_uses: dict[tuple[str, str, int], int] = {}
        self._uses = {key: task.uses for key, task in plan.tasks.items()}
        self._reading: dict[Key, Future[Outputs]] = {}
        self._sources = iter(())  # type: Iterator[Task]
        self._next_source: Task | None = None
        for task in plan.tasks.values():
            if graph.nodes[task.node].prepares() and task.identity is None:
                for need in task.needs:
                    place = (task.node, need.port, need.frame)
                    self._prepared_uses[place] = self._prepared_uses.get(place, 0) + 1

    @property
    def live_bytes(self) -> int:
        """Bytes of pixels held now, counting each buffer once, without what waits in the writers."""
        images = [image for copies in self._moved.values() for image in copies.values()]
        for outputs in self._live.values():
            if not isinstance(outputs, SafelightError):
                images += outputs.values()
        prepared = {id(value): int(getattr(value, "nbytes", 0)) for value in self._prepared.values()}
        return sum({id(image.data): image.nbytes for image in images}.values()) + sum(prepared.values())

    def run(self) -> Iterator[tuple[Target, Image | SafelightError]]:
        """Yield every target with its image, in order; with `keep_going`, the error in place of a failed one.

        Raises
        ------
        RenderError
            A node failed; names node, frame and region.
        Cancelled
            The cancel event was set.
        """
        steps = list(self._plan.steps())
        self._sources = (
            task for _, tasks in steps for task in tasks if self._graph.nodes[task.node].source and task.region
        )
        self._next_source = next(self._sources, None)
        readers = ThreadPoolExecutor(min(2, max(1, self._device.threads)), thread_name_prefix="safelight-read")
        try:
            for target, tasks in steps:
                for task in tasks:
                    self._read_ahead(readers)
                    self._run_task(task, readers)
                outputs = self._live[target.node, target.frame]
                image: Image | SafelightError
                if isinstance(outputs, SafelightError):
                    image = outputs
                else:
                    image = outputs[target.output].crop(target.region)
                self._release((target.node, target.frame))
                del outputs
                yield target, image
                del image  # or the last frame would stay while the next is made
        finally:
            for future in self._reading.values():
                future.cancel()
            readers.shutdown(wait=True, cancel_futures=True)
            self._live.clear()
            self._moved.clear()
            self._prepared.clear()

    # --- one task ------------------------------------------------------------------------------------------------

    def _run_task(self, task: Task, readers: ThreadPoolExecutor) -> None:
        if self._cancel.is_set():
            raise Cancelled
        broken = next(
            (up for need in task.needs if isinstance(up := self._live[need.node, need.frame], SafelightError)), None
        )
        result: Outputs | SafelightError
        if broken is not None:
            result = broken
        else:
            try:
                result = self._result(task, readers)
            except Cancelled:
                raise
            except Exception as error:
                failure = self._explain(error, task)
                if not self._keep_going:
                    raise failure from error
                result = failure
        self._live[task.key] = result
        for need in task.needs:
            self._release((need.node, need.frame))
            self._release_prepared(task, need)

    def _result(self, task: Task, readers: ThreadPoolExecutor) -> Outputs:
        node = self._graph.nodes[task.node]
        if not task.region:
            return self._empty(task)
        if task.identity is not None:
            image = self._input(task.needs[0], self._device)
            return {node.outputs[0].name: image.crop(task.region)}
        if node.source:
            if task.key not in self._reading:
                self._submit(task, readers)
            return self._reading.pop(task.key).result()
        return self._compute(task, node)

    def _compute(self, task: Task, node: Node) -> Outputs:
        """Compute a task's region, in tiles where the node allows and memory or the caller asks for it."""
        device = self._device if self._device.kind in node.devices else self._cpu
        tile = self._tile_of(task, node)
        if not tile:
            return self._call(task, node, task.region, device)
        whole: dict[str, Any] = {}
        model: dict[str, Image] = {}
        for part in task.region.tiles(tile):
            if self._cancel.is_set():
                raise Cancelled
            for name, image in self._call(task, node, part, device).items():
                if name not in whole:
                    shape = (len(image.channels), task.region.height, task.region.width)
                    whole[name] = device.empty(shape)
                    model[name] = image
                y, x = part.y0 - task.region.y0, part.x0 - task.region.x0
                whole[name][:, y : y + part.height, x : x + part.width] = image.data
        return {name: model[name].with_data(data, task.region) for name, data in whole.items()}

    def _tile_of(self, task: Task, node: Node) -> int:
        if not node.tileable:
            return 0
        if self._tile:
            return self._tile
        size = _bytes(self._graph, task)
        return 1024 if node.scratch * size > self._budget / 4 else 0

    def _call(self, task: Task, node: Node, region: Region, device: Device) -> Outputs:
        graph, name = self._graph, task.node
        request = Request(task.frame, region)
        needs = task.needs if region == task.region else clamped_needs(graph, name, request)
        images: dict[str, dict[int, Image]] = {}
        seen: dict[str, dict[int, Image]] = {}
        for need in needs:
            image = self._input(need, device).crop(need.region)
            images.setdefault(need.port, {})[need.frame] = image
            seen.setdefault(need.port, {})[need.frame] = image if node.sink else bare(image)
        inputs = Inputs(
            request,
            seen,
            graph.input_clips(name),
            graph.settings,
            prepared=lambda port, frame: self._prepare(task, port, frame, device),
            analysis=self._analyses.get(name),
        )
        outputs = only(node.compute(graph.params[name], request, inputs, device), node)
        if not node.sink:
            outputs = self._record(name, request, Inputs(request, images, inputs.clips), outputs, device)
        for port, image in outputs.items():
            if image.region != region:
                raise RuntimeError(f"{node.id} made {image.region} of output '{port}' where {region} was asked for")
        return outputs

    def _record(
        self, name: str, request: Request, inputs: Inputs, outputs: Outputs, device: Device
    ) -> Mapping[str, Image]:
        """Lay the record of its pixels beside the first output, where the graph keeps one."""
        node = self._graph.nodes[name]
        first = node.outputs[0].name
        made, xp = outputs[first], device.xp
        if not has_record(self._graph.clips[name][first]) or has_record(made):
            return outputs
        if node.inputs:
            found = node.record(self._graph.params[name], request, inputs, outputs, device)
        else:
            found = xp.zeros(made.data.shape[1:], dtype="uint32")
        return {**outputs, first: with_codes(made, found, xp)}

    def _prepare(self, task: Task, port: str, frame: int, device: Device) -> Any:
        place = (task.node, port, frame)
        if place not in self._prepared:
            need = next(need for need in task.needs if need.port == port and need.frame == frame)
            image = self._input(need, device).crop(need.region)
            node = self._graph.nodes[task.node]
            self._prepared[place] = node.prepare(self._graph.params[task.node], port, bare(image), device)
        return self._prepared[place]

    def _input(self, need: Need, device: Device) -> Image:
        """Return an input's pixels on the device, moving them there once for all users."""
        outputs = self._live[need.node, need.frame]
        assert not isinstance(outputs, SafelightError)
        image = outputs[need.output]
        copies = self._moved.setdefault((need.node, need.frame), {})
        if (need.output, device.kind) not in copies:
            moved = device.download(image) if device.kind == "cpu" else device.upload(image)
            if moved is image:
                return image
            copies[need.output, device.kind] = moved
        return copies[need.output, device.kind]

    def _empty(self, task: Task) -> Outputs:
        clips = self._graph.clips[task.node]
        corner = Region(task.region.x0, task.region.y0, task.region.x0, task.region.y0)
        shape = {port: (len(clip.channels), 0, 0) for port, clip in clips.items()}
        return {
            port: Image(self._device.xp.zeros(shape[port], dtype="float32"), corner, clip.channels)
            for port, clip in clips.items()
        }

    def _release(self, key: Key) -> None:
        self._uses[key] -= 1
        if self._uses[key] <= 0:
            self._live.pop(key, None)
            self._moved.pop(key, None)

    def _release_prepared(self, task: Task, need: Need) -> None:
        place = (task.node, need.port, need.frame)
        if place in self._prepared_uses:
            self._prepared_uses[place] -= 1
            if self._prepared_uses[place] <= 0:
                self._prepared.pop(place, None)

    def _explain(self, error: Exception, task: Task) -> SafelightError:
        """Say where it happened, whatever it was."""
        where = f"node '{task.node}' ({self._graph.nodes[task.node].id})"
        if isinstance(error, SafelightError):
            return error.at(where=where, frame=task.frame)
        if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
            return RenderError(
                f"out of memory at region {task.region}",
                where=where,
                frame=task.frame,
                remedy="Render with a smaller --memory or --tile, or on a machine with more.",
            )
        return RenderError(
            f"{type(error).__name__} at region {task.region}: {error}",
            where=where,
            frame=task.frame,
            remedy="This is a fault of the node: please report it with the graph.",
        )

    # --- reading ahead -------------------------------------------------------------------------------------------

    def _read_ahead(self, readers: ThreadPoolExecutor) -> None:
        while self._next_source is not None:
            task = self._next_source
            if task.key in self._live or task.key in self._reading:
                self._next_source = next(self._sources, None)
                continue
            ahead = [self._plan.tasks[key] for key in self._reading]
            held = self.live_bytes + self._pending() + sum(_bytes(self._graph, other) for other in ahead)
            # The headroom is for what the compute thread makes meanwhile.
            if len(ahead) >= READ_AHEAD or held + 2 * _bytes(self._graph, task) > self._budget * 0.75:
                return
            self._submit(task, readers)
            self._next_source = next(self._sources, None)

    def _submit(self, task: Task, readers: ThreadPoolExecutor) -> None:
        node = self._graph.nodes[task.node]

        def read() -> Outputs:
            return self._call(task, node, task.region, self._cpu)

        self._reading[task.key] = readers.submit(read)


def _bytes(graph: Graph, task: Task) -> int:
    """Return the bytes of a task's outputs."""
    clips = graph.clips[task.node].values()
    return sum(task.region.area * len(clip.channels) * 4 for clip in clips)


def peak_bytes(graph: Graph, plan: Plan) -> int:
    """Estimate the most memory a plan holds at once, without reading ahead: pixels alive, prepared and scratch."""
    uses = {key: task.uses for key, task in plan.tasks.items()}
    prepared = {name for name in graph.order if graph.nodes[name].prepares()}
    live = peak = 0
    for target, tasks in plan.steps():
        for task in tasks:
            node = graph.nodes[task.node]
            own = 0 if task.identity is not None else _bytes(graph, task)
            made_ready = sum(_need_bytes(graph, need) for need in task.needs) if task.node in prepared else 0
            scratch = 0 if task.identity is not None or node.source else int(node.scratch * own)
            peak = max(peak, live + own + made_ready + scratch)
            live += own
            for key in [(need.node, need.frame) for need in task.needs]:
                live -= _drop(graph, plan, uses, key)
        live -= _drop(graph, plan, uses, (target.node, target.frame))
    return peak


def _drop(graph: Graph, plan: Plan, uses: dict[Key, int], key: Key) -> int:
    uses[key] -= 1
    task = plan.tasks[key]
    return _bytes(graph, task) if uses[key] == 0 and task.identity is None else 0


def _need_bytes(graph: Graph, need: Need) -> int:
    clip: Clip = graph.clips[need.node][need.output]
    return need.region.area * len(clip.channels) * 4


__all__ = ["Executor", "peak_bytes"]
