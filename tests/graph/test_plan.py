"""The planner against a naive recursive oracle, on random graphs."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.node import Inputs, Request
from safelight.graph.plan import Target, plan, sink_targets
from safelight.graph.region import Region
from safelight.graph.render import pull
from tests.graph.toys import CALLS, toys

Asked = dict[tuple[str, int], Region]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Random graphs of toys: several sources with windows that differ, filters, forks, joins, cuts."""
    lines = ["safelight = 1", "[shot]", f"cuts = {draw(st.lists(st.integers(-2, 12), max_size=3))}"]
    names: list[str] = []
    for index in range(draw(st.integers(1, 2))):
        x0, y0 = draw(st.integers(-3, 3)), draw(st.integers(-3, 3))
        lines += [f"[nodes.s{index}]", 'type = "Noise"', f"seed = {index}", f"x0 = {x0}", f"y0 = {y0}"]
        lines += [f'tag = "s{index}"', f"width = {draw(st.integers(1, 9))}", f"height = {draw(st.integers(1, 9))}"]
        names.append(f"s{index}")
    for index in range(draw(st.integers(1, 6))):
        kind = draw(st.sampled_from(["Box", "Box", "Add", "Split"]))
        lines += [f"[nodes.n{index}]", f'type = "{kind}"', f'tag = "n{index}"']
        if kind == "Add":
            a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
            lines.append(f'inputs = {{a = "{a}", b = "{b}"}}')
        else:
            lines += [f'input = "{draw(st.sampled_from(names))}"', f"window = {draw(st.integers(0, 2))}"]
            lines += [f"padding = {draw(st.integers(0, 2))}", f"gain = {draw(st.sampled_from([0.0, 0.5, 1.0]))}"]
        names.append(f"n{index}")
    return Graph.from_document(Document.parse("\n".join(lines), Path("/nowhere")), toys())


def oracle(graph: Graph, target: Target) -> Asked:
    """What a target takes, by plain recursion; regions of one (node, frame) united at the end."""
    asked: Asked = {}
    second_outputs = {(s.node, s.output) for ports in graph.links.values() for s in ports.values()}

    def ask(name: str, frame: int, region: Region) -> None:
        node, params = graph.nodes[name], graph.params[name]
        if not node.tileable:
            region = graph.clip(name).extent_at(frame)
        asked[name, frame] = asked.get((name, frame), Region(0, 0, 0, 0)).union(region)
        request = Request(frame, region)
        wishes = node.needs(params, request)
        port = node.identity(params, request)
        plain = all((name, p.name) not in second_outputs for p in node.outputs[1:])
        if port is not None and plain:
            source = graph.links[name][port]
            if graph.clip(source.node, source.output).extent_at(frame).contains(region):
                wishes = {port: [request]}
        for port_name, requests in wishes.items():
            if port_name not in graph.links[name]:
                continue
            source = graph.links[name][port_name]
            clip = graph.clip(source.node, source.output)
            for wish in requests:
                if wish.frame in clip and graph.shot(wish.frame) == graph.shot(frame):
                    ask(source.node, wish.frame, wish.region.intersect(clip.extent_at(wish.frame)))

    ask(target.node, target.frame, target.region)
    return asked


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(1, 8), st.data())
def test_requests_equal_the_oracle(graph: Graph, frame: int, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(graph.order))
    extent = graph.clip(name).extent_at(frame)
    target = Target(name, graph.nodes[name].outputs[0].name, frame, extent)
    made = plan(graph, [target])
    expected = oracle(graph, target)
    got = {key: task.region for key, task in made.tasks.items()}
    assert {key: region for key, region in got.items() if region} == {
        key: region for key, region in expected.items() if region
    }


@settings(max_examples=100, deadline=None)
@given(graphs())
def test_order_and_use_counts(graph: Graph) -> None:
    name = graph.order[-1]
    clip = graph.clip(name)
    targets = [Target(name, graph.nodes[name].outputs[0].name, frame, clip.extent_at(frame)) for frame in clip.frames]
    made = plan(graph, targets)
    done: set[tuple[str, int]] = set()
    uses = {key: task.uses for key, task in made.tasks.items()}
    for target, tasks in made.steps():
        for task in tasks:
            assert task.key not in done
            for need in task.needs:
                assert (need.node, need.frame) in done
                assert made.tasks[need.node, need.frame].region.contains(need.region)
                uses[need.node, need.frame] -= 1
            done.add(task.key)
        assert (target.node, target.frame) in done
        uses[target.node, target.frame] -= 1
    assert done == set(made.tasks)
    assert set(uses.values()) <= {0}


@settings(max_examples=40, deadline=None)
@given(graphs(), st.sampled_from([0, 3, 4]))
def test_random_graphs_render_like_plain_recursion(graph: Graph, tile: int) -> None:
    CALLS.clear()
    name = graph.order[-1]
    frames = [2, 3, 7]
    images = dict(pull(graph, name, frames=frames, device=Device("cpu", 2), tile=tile))
    if tile == 0:
        assert all(count == 1 for (tag, _), count in CALLS.items() if not tag.endswith("prepare"))
    for frame in frames:
        np.testing.assert_array_equal(images[frame].data, naive(graph, name, "", frame).data)


def naive(graph: Graph, name: str, output: str, frame: int) -> Image:
    """A whole frame of a node, by recursion over whole frames, without planner or executor."""
    node, params = graph.nodes[name], graph.params[name]
    clip = graph.clip(name)
    request = Request(frame, clip.extent_at(frame))
    images: dict[str, dict[int, Image]] = {}
    for port, wishes in node.needs(params, request).items():
        if port not in graph.links[name]:
            continue
        source = graph.links[name][port]
        up = graph.clip(source.node, source.output)
        for wish in wishes:
            if wish.frame in up and graph.shot(wish.frame) == graph.shot(frame):
                image = naive(graph, source.node, source.output, wish.frame)
                region = wish.region.intersect(up.extent_at(wish.frame))
                if region:
                    images.setdefault(port, {})[wish.frame] = image.crop(region)
                else:
                    corner = Region(region.x0, region.y0, region.x0, region.y0)
                    images.setdefault(port, {})[wish.frame] = Image(np.zeros((3, 0, 0), np.float32), corner)
    prepared = lambda port, at: node.prepare(params, port, images[port][at], Device("cpu", 1))  # noqa: E731
    inputs = Inputs(request, images, graph.input_clips(name), prepared=prepared)
    made = node.compute(params, request, inputs, Device("cpu", 1))
    return made if isinstance(made, Image) else made[graph.output(name, output)]


def chain_of(radii: list[int], frames: int) -> Graph:
    lines = ["safelight = 1", "[nodes.n]", 'type = "Noise"', f"frames = {frames}", "width = 2048", "height = 1152"]
    last = "n"
    for index, radius in enumerate(radii):
        lines += [f"[nodes.b{index}]", 'type = "Box"', f'input = "{last}"', f"window = {radius}", "padding = 4"]
        last = f"b{index}"
    lines += ["[nodes.out]", 'type = "Store"', f'input = "{last}"', 'path = "x.%04d.npy"']
    return Graph.from_document(Document.parse("\n".join(lines), Path("/nowhere")), toys())


def test_a_chain_computes_each_frame_once_whatever_its_length() -> None:
    made = plan(chain_of([2] * 5, 60), sink_targets(chain_of([2] * 5, 60), range(20, 41)))
    assert made.frames_of("n") == list(range(10, 51))
    assert made.frames_of("b4") == list(range(20, 41))
    assert len(made.tasks) == sum(21 + 2 * k for k in (10, 8, 6, 4, 2, 0, 0))


def test_a_missing_frame_of_a_side_input_is_refused() -> None:
    text = """
safelight = 1
[nodes.a]
type = "Noise"
[nodes.b]
type = "Noise"
frames = 4
[nodes.sum]
type = "Add"
inputs = {a = "a", b = "b"}
"""
    graph = Graph.from_document(Document.parse(text, Path("/nowhere")), toys())
    with pytest.raises(GraphError, match=r"node 'sum': input 'b' has no frame 5: 'b' runs from 1 to 4"):
        plan(graph, [Target("sum", "image", 5, graph.clip("sum").extent)])


def test_planning_grows_linearly() -> None:
    # No clock in a unit test: the count of tasks is what time follows (the benchmark holds the milliseconds).
    sizes = [len(plan(g := chain_of([2] * 5, n), sink_targets(g, range(1, n + 1))).tasks) for n in (100, 200, 400)]
    assert sizes[1] == 2 * sizes[0] and sizes[2] == 4 * sizes[0]


if __name__ == "__main__":
    for radii in ([2] * 5, [10], [5, 5], [1] * 10):
        graph = chain_of(radii, 500)
        graph.clips  # noqa: B018
        began = time.perf_counter()
        plan(graph, sink_targets(graph, range(1, 501)))
        print(radii, f"{(time.perf_counter() - began) * 1e3:.0f} ms")
