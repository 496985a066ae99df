"""Provenance: what is recorded of a pixel, and that the record is true."""

from __future__ import annotations

import doctest
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from safelight.graph import provenance
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.provenance import FRAME, GRADED, GRAINED, KEPT, MOVED, SYNTHESISED
from safelight.graph.region import Region
from safelight.graph.render import pull, render
from safelight.graph.signature import Signatures
from tests.graph.toys import toys

PAIR = """
safelight = 1
{graph}
[nodes.noise]
type = "Noise"
width = 21
height = 17
[nodes.soft]
type = "Box"
input = "noise"
[nodes.sum]
type = "Box"
input = "soft"
"""


def graph_of(table: str = "", tmp_path: Path | None = None) -> Graph:
    return Graph.from_document(Document.parse(PAIR.format(graph=table), tmp_path or Path()), toys())


def frames_of(graph: Graph, node: str, **how: int) -> list[Image]:
    return [image for _, image in pull(graph, node, "", [3, 4], device=Device("cpu", 1), **how)]


def test_the_examples_hold() -> None:
    assert doctest.testmod(provenance).failed == 0


def test_a_plain_graph_carries_no_record() -> None:
    graph = graph_of()
    assert graph.clip("sum").channels == ("R", "G", "B")
    assert frames_of(graph, "sum")[0].channels == ("R", "G", "B")


def test_sources_begin_with_kept_pixels() -> None:
    image = frames_of(graph_of("[graph]\nprovenance = true"), "noise")[0]
    assert image.channels == ("R", "G", "B", "provenance")
    assert not provenance.codes(image).any()


@pytest.mark.parametrize("tile", [0, 5])
def test_the_picture_is_the_same_with_a_record(tile: int) -> None:
    plain, recorded = frames_of(graph_of(), "sum"), frames_of(graph_of("[graph]\nprovenance = true"), "sum", tile=tile)
    for a, b in zip(plain, recorded, strict=True):
        assert a.data.tobytes() == b.data[:3].tobytes()
        assert b.channels[3] == "provenance"


def test_changed_pixels_are_marked_and_only_those() -> None:
    rng = np.random.default_rng(1)
    data = rng.standard_normal((4, 5, 7)).astype(np.float32)
    data[0, 0, 0], data[1, 1, 1] = np.nan, -0.0
    data[3] = 0
    before = Image(data, Region.sized(7, 5), ("R", "G", "B", "provenance"))
    touched = data.copy()
    touched[2, 3, 4] += 1
    touched[1, 1, 1] = 0.0  # another bit is another bit
    found = provenance.altered(before, before.with_data(touched), GRADED)
    want = np.zeros((5, 7), np.uint32)
    want[3, 4] = want[1, 1] = GRADED
    assert (found == want).all()


def test_pixels_beyond_the_input_are_synthesised() -> None:
    small = Image(np.zeros((4, 2, 2), np.float32), Region(1, 1, 3, 3), ("R", "G", "B", "provenance"))
    large = Image(np.zeros((4, 4, 4), np.float32), Region(0, 0, 4, 4), small.channels)
    found = provenance.altered(small, large, GRADED)
    assert (found[1:3, 1:3] == KEPT).all()
    assert (found == SYNTHESISED).sum() == 12


def test_a_blend_takes_the_further_origin_and_both_marks() -> None:
    other = provenance.from_frame(-3)
    a, b = np.uint32([[KEPT, other | MOVED, SYNTHESISED]]), np.uint32([[other, GRADED, other | GRAINED]])
    assert provenance.blended(a, b).tolist() == [[other, other | MOVED | GRADED, SYNTHESISED | GRAINED]]


@pytest.mark.parametrize("offset", [-128, -1, 1, 127])
def test_a_donor_frame_is_readable(offset: int) -> None:
    code = provenance.from_frame(offset)
    assert code & provenance.ORIGIN == FRAME
    assert provenance.describe(code) == f"from frame t{offset:+d}"


def test_a_donor_too_far_away_is_refused() -> None:
    with pytest.raises(ValueError, match="128 frames away"):
        provenance.from_frame(128)


def test_forensic_graphs_carry_a_record_and_say_so_in_every_signature() -> None:
    plain, forensic = graph_of(), graph_of("[graph]\nforensic = true")
    assert "provenance" in forensic.clip("sum").channels
    assert "provenance" not in graph_of("[graph]\nforensic = true\nprovenance = false").clip("sum").channels
    assert Signatures(plain).of("sum", "image", 3) != Signatures(forensic).of("sum", "image", 3)


@pytest.mark.parametrize(
    ("table", "words"),
    [("forensick = true", "no entry 'forensick'"), ("forensic = 1", "'graph.forensic' must be true or false, not 1")],
)
def test_a_graph_table_with_errors_is_refused(table: str, words: str) -> None:
    with pytest.raises(GraphError, match=words):
        graph_of(f"[graph]\n{table}")


CHAIN = """
safelight = 1
[graph]
{switch} = true
[nodes.plate]
type = "Plate"
width = 64
height = 40
frames = 3
first = 1
[nodes.grain]
type = "Regrain"
input = "plate"
[nodes.clean]
type = "Degrain"
input = "grain"
noise = "manual"
sigma = 0.3
inputs = {{input = "grain", matte = "half"}}
[nodes.half]
type = "Read"
path = "half.exr"
last = 3
[nodes.out]
type = "Write"
input = "{last}"
path = "out.####.exr"
"""


def test_a_record_reaches_the_file_and_is_read_back(tmp_path: Path) -> None:
    matte = np.zeros((40, 64), np.float32)
    matte[:, 32:] = 1
    with OpenEXR.File({"type": OpenEXR.scanlineimage}, {"Y": OpenEXR.Channel("Y", matte)}) as file:
        file.write(str(tmp_path / "half.exr"))
    text = CHAIN.format(switch="provenance", last="clean").replace('input = "grain"\nnoise', "noise")
    graph = Graph.from_document(Document.parse(text, tmp_path))
    render(graph, [2], device=Device("cpu", 1))
    text = f'safelight = 1\n[nodes.back]\ntype = "Read"\npath = "{tmp_path}/out.0002.exr"\n'
    text += '[nodes.more]\ntype = "Regrain"\ninput = "back"\n'
    again = Graph.from_document(Document.parse(text))
    ((_, back),) = pull(again, "back", "", [1], device=Device("cpu", 1))
    ((_, truth),) = pull(graph, "clean", "", [2], device=Device("cpu", 1))
    found = provenance.codes(back)
    assert (found == provenance.codes(truth)).all()
    assert not (found[:, :32] & provenance.FILTERED).any()
    assert (found[:, 32:] & provenance.FILTERED).mean() > 8
    ((_, more),) = pull(again, "more", "", [1], device=Device("cpu", 1))
    assert (provenance.codes(more) & ~np.uint32(GRAINED) == found & ~np.uint32(GRAINED)).all()


def test_a_forensic_graph_refuses_what_invents(tmp_path: Path) -> None:
    text = CHAIN.format(switch="forensic", last="grain").replace('input = "grain"\nnoise', "noise")
    graph = Graph.from_document(Document.parse(text, tmp_path))
    with pytest.raises(GraphError, match=r"node 'grain'.*never on the film, and the graph is forensic"):
        graph.check()
