"""`safelight check`: the plan before the render."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safelight.graph.document import Document
from safelight.graph.frames import parse_frames
from safelight.graph.graph import Graph
from safelight.host_adapters.cli.bench._chain import chain
from safelight.host_adapters.cli.forecast import forecast, handles
from tests.graph.toys import toys
from tests.host_adapters.cli.conftest import Safelight, frames_in, plate_document


def test_check_prints_the_plan_and_writes_nothing(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    done = safelight("check", "plate.toml")
    assert done.returncode == 0, done.stderr
    for word in ("plate", "Write", "96 x 54", "1001-1004", "memory", "cost", "plate.1001.exr", "(4 files)"):
        assert word in done.stdout
    assert frames_in(tmp_path) == ["plate.toml"]


def test_json(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    found = json.loads(safelight("check", "plate.toml", "--json", "--frames", "1002").stdout)
    assert found["ok"] and found["frames"] == "1002" and found["count"] == 1
    assert [row["name"] for row in found["nodes"]] == ["plate", "out"]
    assert found["writes"][0]["first"].endswith("out/plate.1002.exr")
    assert found["handles"] == [0, 0] and found["peak_bytes"] >= 96 * 54 * 12


def test_an_invalid_graph_is_status_2(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path, extra="[nodes.mix]\ntype = 'Mix'\ninputs = {a = 'plate'}")
    done = safelight("check", "plate.toml")
    assert done.returncode == 2 and done.stdout == "" and "input 'b' of Mix is not connected" in done.stderr


def test_handles_add_up_along_the_chain() -> None:
    graph = chain(200, 32, 18, radius=5, spans=2)
    assert handles(graph) == {"n0": (10, 10), "n1": (5, 5), "n2": (0, 0), "out": (0, 0)}
    found = forecast(graph, range(101, 111))
    made = {row["name"]: row["frames"] for row in found["nodes"]}
    assert made == {"n0": "91-120", "n1": "96-115", "n2": "101-110", "out": "101-110"}
    # What farm.md says: a task of ten frames with a total radius of ten makes twenty more.
    assert found["chunks"] == {10: pytest.approx(2.0)}
    assert found["cost"] == pytest.approx((30 + 20 + 10) / 10)
    # The widest moment: the window of the lower filter, its result, and what it is made from.
    assert 11 * 32 * 18 * 12 <= found["peak_bytes"] <= 40 * 32 * 18 * 12


def test_an_overlay_of_two_branches_counts_the_longer() -> None:
    text = """safelight = 1
    [nodes.a]
    type = "Noise"
    frames = 30
    [nodes.b]
    type = "Box"
    input = "a"
    window = 3
    [nodes.c]
    type = "Add"
    inputs = {a = "a", b = "b"}
    [nodes.s]
    type = "Store"
    input = "c"
    path = "x.%04d.npy"
    """
    graph = Graph.from_document(Document.parse(text), toys())
    assert handles(graph)["a"] == (3, 3)
    found = forecast(graph)
    assert found["handles"] == [3, 3] and found["count"] == 30
    assert found["writes"][0]["first"].endswith("x.0001.npy")


def test_frames_that_an_analysis_looks_at_are_named() -> None:
    """Also those far from the frames asked for, and through the filters above the node that analyses."""
    text = """safelight = 1
    [nodes.plate]
    type = "Plate"
    width = 32
    height = 18
    frames = 50
    [nodes.first]
    type = "Degrain"
    input = "plate"
    noise = "manual"
    radius = 1
    [nodes.second]
    type = "Degrain"
    input = "first"
    [nodes.out]
    type = "Write"
    input = "second"
    path = "x.####.exr"
    """
    found = forecast(Graph.from_document(Document.parse(text)), [1020])
    rows = {row["name"]: row["analysed"] for row in found["nodes"]}
    looked = sorted({1001 + round(i * 49 / 7) for i in range(8)})
    assert parse_frames(rows["first"]) == looked
    around = sorted({frame + step for frame in looked for step in (-1, 0, 1)} & set(range(1001, 1051)))
    assert sorted(parse_frames(rows["plate"])) == around
    assert rows["second"] == rows["out"] == ""
