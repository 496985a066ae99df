"""The planner: which pixels of which frames of which node a render takes. Pure: it opens nothing and computes nothing.

For a list of targets it walks the graph once from the sinks up, uniting what is asked of each (node, frame), so that
each is computed once, and once more from the top down to put the work in an order that frees early.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.node import Node, Request
from safelight.graph.region import Region

Key = tuple[str, int]
"""A node's name and a frame: the unit of work."""


@dataclass(frozen=True, slots=True)
class Target:
    """Pixels that the caller wants."""

    node: str
    output: str
    frame: int
    region: Region


@dataclass(frozen=True, slots=True)
class Need:
    """Pixels that a task takes from the task (node, frame); `region` is clamped to what exists and may be empty."""

    port: str
    node: str
    output: str
    frame: int
    region: Region


@dataclass(slots=True)
class Task:
    """One (node, frame) to be computed once."""

    node: str
    frame: int
    region: Region
    needs: list[Need]
    identity: str | None
    """Input port whose pixels it hands on, or None."""
    uses: int = 0
    """How many needs and targets read it: at zero its pixels are freed."""

    @property
    def key(self) -> Key:
        """Where it is kept in a plan."""
        return self.node, self.frame


@dataclass(slots=True)
class Plan:
    """What a render does, in order."""

    targets: list[Target]
    tasks: dict[Key, Task] = field(default_factory=dict)

    def steps(self) -> Iterator[tuple[Target, list[Task]]]:
        """Yield each target with the tasks that must run before it and have not run yet, inputs before users."""
        done: set[Key] = set()
        tasks = self.tasks
        for target in self.targets:
            order: list[Task] = []
            stack: list[tuple[Key, bool]] = [((target.node, target.frame), False)]
            while stack:
                key, ready = stack.pop()
                if key in done:
                    continue
                task = tasks[key]
                if ready:
                    done.add(key)
                    order.append(task)
                    continue
                stack.append((key, True))
                stack += [
                    ((need.node, need.frame), False)
                    for need in reversed(task.needs)
                    if (need.node, need.frame) not in done
                ]
            yield target, order

    def frames_of(self, node: str) -> list[int]:
        """Return the frames a node is computed for, ascending."""
        return sorted(frame for name, frame in self.tasks if name == node)


def sink_targets(graph: Graph, frames: Sequence[int]) -> list[Target]:
    """Return the sinks' whole frames, frame by frame."""
    targets = []
    for frame in frames:
        for name in graph.sinks:
            output = graph.output(name)
            targets.append(Target(name, output, frame, graph.clips[name][output].extent_at(frame)))
    return targets


def plan(graph: Graph, targets: Sequence[Target]) -> Plan:
    """Plan arbitrary targets, in the order they will be delivered.

    Raises
    ------
    GraphError
        A target's frame, or a frame that an input must have, is not in its clip.
    """
    made = Plan(list(targets))
    wanted: dict[str, dict[int, Region]] = {name: {} for name in graph.order}
    side_outputs: set[str] = set()
    for target in targets:
        clip = graph.clips[target.node][target.output]
        if target.frame not in clip:
            raise GraphError(
                f"frame {target.frame} does not exist: the clip runs from {clip.first} to {clip.last}",
                where=f"node '{target.node}'",
                remedy="Ask for frames inside it.",
            )
        _unite(wanted[target.node], target.frame, target.region)
        _note_output(graph.nodes[target.node], target.node, target.output, side_outputs)

    for name in reversed(graph.order):
        if not wanted[name]:
            continue
        for source in graph.links[name].values():
            _note_output(graph.nodes[source.node], source.node, source.output, side_outputs)
        _plan_node(graph, name, wanted, made, with_identity=name not in side_outputs)

    tasks = made.tasks
    for task in tasks.values():
        for need in task.needs:
            tasks[need.node, need.frame].uses += 1
    for target in targets:
        tasks[target.node, target.frame].uses += 1
    return made


def _plan_node(
    graph: Graph, name: str, wanted: dict[str, dict[int, Region]], made: Plan, *, with_identity: bool
) -> None:
    """Make the tasks of one node, all of whose users are planned, and hand its needs to the nodes above."""
    node, params = graph.nodes[name], graph.params[name]
    own = graph.clips[name][node.outputs[0].name]
    for frame in sorted(wanted[name]):
        region = wanted[name][frame] if node.tileable else own.extent_at(frame)
        request = Request(frame, region)
        identity = node.identity(params, request) if with_identity else None
        if identity not in graph.links[name]:
            identity = None
        needs = clamped_needs(graph, name, request, identity)
        if identity is not None and needs[0].region != region:  # the input has fewer pixels: they must be made
            identity, needs = None, clamped_needs(graph, name, request)
        for need in needs:
            _unite(wanted[need.node], need.frame, need.region)
        made.tasks[name, frame] = Task(name, frame, region, needs, identity)


def clamped_needs(graph: Graph, name: str, request: Request, identity: str | None = None) -> list[Need]:
    """Return what a node needs for a request, clamped to the clips, the cuts and the data windows.

    Frames beyond a clip's ends or across a cut fall away; pixels outside a data window too (maybe all of them).
    With `identity`, the one input port that is handed on.
    """
    node, links, cuts = graph.nodes[name], graph.links[name], graph.cuts
    asked = {identity: (request,)} if identity is not None else node.needs(graph.params[name], request)
    frame, shot = request.frame, bisect_right(cuts, request.frame)
    needs: list[Need] = []
    for port, requests in asked.items():
        source = links.get(port)
        if source is None:
            continue
        up_name, up_output = source.node, source.output
        clip = graph.clips[up_name][up_output]
        first, last, extents = clip.first, clip.last, clip.extents
        found = not requests
        for wish in requests:
            at = wish.frame
            if at < first or at > last or (at != frame and bisect_right(cuts, at) != shot):
                continue
            extent = extents.get(at, clip.extent) if extents else clip.extent
            pixels = wish.region if extent.contains(wish.region) else wish.region.intersect(extent)
            needs.append(Need(port, up_name, up_output, at, pixels))
            found = True
        if not found:
            raise GraphError(
                f"input '{port}' has no frame {frame}: '{up_name}' runs from {first} to {last}",
                where=f"node '{name}'",
                remedy="Render fewer frames, or give it a clip that is long enough.",
            )
    return needs


def _unite(regions: dict[int, Region], frame: int, region: Region) -> None:
    old = regions.get(frame)
    if old is None:
        regions[frame] = region
    elif old is not region and not old.contains(region):
        regions[frame] = old.union(region)


def _note_output(node: Node, name: str, output: str, side_outputs: set[str]) -> None:
    # An identity speaks of the first output alone: with another one in use the node must be computed.
    if output != node.outputs[0].name:
        side_outputs.add(name)
