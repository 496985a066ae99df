"""The renderer: the same picture whatever the chunk, tile, thread count; resume; errors; memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import Cancelled, GraphError, RenderError
from safelight.graph.graph import Graph
from safelight.graph.progress import Step
from safelight.graph.render import pull, render
from tests.graph.toys import CALLS, noise_frame, toys

CHAIN = """
safelight = 1
[shot]
cuts = [5]
[nodes.noise]
type = "Noise"
frames = 9
width = 21
height = 17
tag = "noise"
[nodes.soft]
type = "Box"
input = "noise"
padding = 2
tag = "soft"
[nodes.split]
type = "Split"
input = "soft"
tag = "split"
window = 2
[nodes.sum]
type = "Add"
inputs = {a = "split.rest", b = "noise", c = "split"}
[nodes.box]
type = "Box"
input = "sum"
window = 2
tag = "box"
[nodes.out]
type = "Store"
input = "box"
path = "out.%04d.npy"
"""


def graph_of(text: str, folder: Path) -> Graph:
    return Graph.from_document(Document.parse(text, folder), toys())


def frames_in(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.npy"))}


@pytest.fixture
def reference(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("reference")
    report = render(graph_of(CHAIN, folder), device=Device("cpu", 1))
    assert report.rendered == 9
    return frames_in(folder)


@pytest.mark.parametrize("chunk", [1, 7, 0])
@pytest.mark.parametrize("tile", [0, 5, 8])
@pytest.mark.parametrize("threads", [1, 2, 4])
def test_pictures_do_not_depend_on_chunk_tile_threads(
    tmp_path: Path, reference: dict[str, bytes], chunk: int, tile: int, threads: int
) -> None:
    render(graph_of(CHAIN, tmp_path), device=Device("cpu", threads), chunk=chunk, tile=tile)
    assert frames_in(tmp_path) == reference


def test_frames_do_not_depend_on_which_are_rendered(tmp_path: Path, reference: dict[str, bytes]) -> None:
    render(graph_of(CHAIN, tmp_path), [4, 7], device=Device("cpu", 2))
    assert frames_in(tmp_path) == {name: reference[name] for name in ("out.0004.npy", "out.0007.npy")}


def test_each_frame_of_each_node_is_computed_once(tmp_path: Path) -> None:
    CALLS.clear()
    render(graph_of(CHAIN, tmp_path), device=Device("cpu", 2))
    counted = {tag for tag, _ in CALLS}
    assert {"noise", "soft", "split", "box", "split.prepare"} <= counted
    assert all(count == 1 for (tag, _), count in CALLS.items() if not tag.endswith("prepare"))
    assert CALLS["split.prepare", 0] == 9


def test_cut_bounds_the_window(tmp_path: Path) -> None:
    text = CHAIN.replace('type = "Box"\ninput = "sum"', 'type = "Box"\ninput = "noise"')
    graph = graph_of(text, tmp_path)
    (_, image) = next(pull(graph, "box", frames=[4], device=Device("cpu", 1)))
    from tests.graph.toys import NoiseParams, box_sum

    params = NoiseParams(width=21, height=17)
    region = graph.clip("noise").extent
    clean = {frame: image.with_data(noise_frame(params, frame)) for frame in (2, 3, 4)}  # 5 and 6 lie beyond the cut
    expected = sum((box_sum(clean[frame], region, 1) for frame in (2, 3, 4)), np.zeros_like(image.data))
    np.testing.assert_allclose(image.data, expected, rtol=1e-5, atol=1e-5)


def test_metadata_travels(tmp_path: Path) -> None:
    images = dict(pull(graph_of(CHAIN, tmp_path), "box", frames=[3, 6]))
    assert images[3].metadata == {"frame": 3} and images[6].metadata == {"frame": 6}


def test_resume_renders_only_what_is_missing(tmp_path: Path, reference: dict[str, bytes]) -> None:
    render(graph_of(CHAIN, tmp_path))
    (tmp_path / "out.0003.npy").unlink()
    (tmp_path / "out.0005.npy").write_bytes(b"cut short")
    before = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    report = render(graph_of(CHAIN, tmp_path), resume=True)
    assert (report.rendered, report.skipped) == (2, 7)
    assert frames_in(tmp_path) == reference
    after = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    assert {name for name in after if after[name] != before.get(name)} == {"out.0003.npy", "out.0005.npy"}
    assert render(graph_of(CHAIN, tmp_path), resume=True).rendered == 0


def test_resume_renders_again_what_the_graph_changed(tmp_path: Path) -> None:
    render(graph_of(CHAIN, tmp_path))
    report = render(graph_of(CHAIN.replace("padding = 2", "padding = 3"), tmp_path), resume=True)
    assert (report.rendered, report.skipped) == (9, 0)
    report = render(
        graph_of(CHAIN.replace("padding = 2", "padding = 3").replace('tag = "box"', 'tag = "b"'), tmp_path), resume=True
    )
    assert (report.rendered, report.skipped) == (0, 9), "a parameter that changes no pixel must not render again"


def test_kill_nine_and_resume(tmp_path: Path, reference: dict[str, bytes]) -> None:
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        sys.path.insert(0, sys.argv[2])
        from tests.graph import toys
        from tests.graph.test_render import CHAIN, graph_of
        from safelight.graph.render import render
        write = toys.StoreWriter.write
        def slow(self, frame, image):
            time.sleep(0.15)
            return write(self, frame, image)
        toys.StoreWriter.write = slow
        render(graph_of(CHAIN, Path(sys.argv[1])))
        """
    )
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), root])
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("out.*.npy"))) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    done = len(list(tmp_path.glob("out.*.npy")))
    assert 3 <= done < 9
    report = render(graph_of(CHAIN, tmp_path), resume=True)
    assert report.rendered + report.skipped == 9 and report.skipped >= done - 1
    assert frames_in(tmp_path) == reference


def test_a_failing_frame_names_node_frame_and_file(tmp_path: Path) -> None:
    text = CHAIN.replace('tag = "noise"', "broken = 6")
    with pytest.raises(RenderError) as caught:
        render(graph_of(text, tmp_path), [1, 2, 6])
    line = str(caught.value)
    assert "'noise'" in line and "frame 6" in line and "noise.6.toy" in line and "Copy it again" in line
    assert "\n" not in line
    assert not list(tmp_path.glob(".*.tmp*"))


def test_keep_going_renders_the_frames_that_can_be(tmp_path: Path, reference: dict[str, bytes]) -> None:
    report = render(graph_of(CHAIN.replace('tag = "noise"', "broken = 6"), tmp_path), keep_going=True)
    # The cut at 5 keeps the first shot clean; every frame of the second one sees frame 6 through its windows.
    assert [error.frame for error in report.failed] == [6] * len(report.failed) and len(report.failed) == 5
    assert frames_in(tmp_path) == {name: reference[name] for name in sorted(reference)[:4]}


def test_a_fault_of_a_node_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.graph import toys as module

    def fail(*args: object) -> None:
        raise ZeroDivisionError("division\nby zero")

    monkeypatch.setattr(module.Box, "compute", fail)
    with pytest.raises(RenderError, match=r"node 'soft' \(Box\), frame \d+: ZeroDivisionError at region .*by zero"):
        render(graph_of(CHAIN, tmp_path))


def test_cancel_stops_between_frames(tmp_path: Path) -> None:
    cancel = threading.Event()

    class Stop:
        def step(self, step: Step) -> None:
            if step.done == 2:
                cancel.set()

        def note(self, text: str) -> None: ...

    with pytest.raises(Cancelled):
        render(graph_of(CHAIN.replace("frames = 9", "frames = 200"), tmp_path), progress=Stop(), cancel=cancel)
    assert 2 <= len(frames_in(tmp_path)) < 200
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("safelight")]


def test_progress_counts_and_estimates(tmp_path: Path) -> None:
    steps: list[Step] = []

    class Keep:
        def step(self, step: Step) -> None:
            steps.append(step)

        def note(self, text: str) -> None: ...

    render(graph_of(CHAIN, tmp_path), progress=Keep())
    assert [step.done for step in steps] == list(range(10)) and {step.total for step in steps} == {9}
    assert steps[0].seconds_left is None and steps[-1].seconds_left == 0


def test_memory_is_flat_and_holds_the_budget(tmp_path: Path) -> None:
    text = CHAIN.replace("width = 21", "width = 301").replace("height = 17", "height = 201").replace("cuts = [5]", "")
    frame = 301 * 201 * 12
    peaks = []
    for count in (20, 60):
        report = render(graph_of(text.replace("frames = 9", f"frames = {count}"), tmp_path), memory=frame * 40)
        peaks.append(report.peak_bytes)
        assert report.peak_bytes <= frame * 40
    assert peaks[1] <= peaks[0] * 1.15
    with pytest.raises(GraphError, match="--memory allows"):
        render(graph_of(text, tmp_path), memory=frame * 2)


@pytest.mark.parametrize(
    ("frames", "message"),
    [([], "range is empty"), ([99], "frames 99 do not exist: the clip runs from 1 to 9"), ([0, 1], "frames 0 do not")],
)
def test_ranges_are_refused_early(tmp_path: Path, frames: list[int], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        render(graph_of(CHAIN, tmp_path), frames)
    assert not list(tmp_path.iterdir())


def test_an_empty_clip_is_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="range is empty"):
        render(graph_of(CHAIN.replace("frames = 9", "frames = 0"), tmp_path))


def test_nothing_writes_over_what_is_read_or_written(tmp_path: Path) -> None:
    twice = CHAIN + '\n[nodes.again]\ntype = "Store"\ninput = "noise"\npath = "out.%04d.npy"\n'
    with pytest.raises(GraphError, match="writes the same file"):
        render(graph_of(twice, tmp_path))
    over = CHAIN.replace('tag = "noise"', 'file = "out.0003.npy"')
    with pytest.raises(GraphError, match="read by node 'noise'"):
        render(graph_of(over, tmp_path))


def test_single_frame_and_single_pixel(tmp_path: Path) -> None:
    text = (
        CHAIN.replace("frames = 9", "frames = 1")
        .replace("width = 21", "width = 1")
        .replace("height = 17", "height = 1")
    )
    assert render(graph_of(text, tmp_path)).rendered == 1
    assert np.load(tmp_path / "out.0001.npy").shape == (3, 1, 1)
