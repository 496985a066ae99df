"""Documents: what is wrong is said in one line, with the nearest right name."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.graph import document as module
from safelight.graph.document import Document, load_document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from tests.graph.toys import toys

GOOD = """
safelight = 1
[shot]
cuts = [9, 5, 9]
[nodes.noise]
type = "Noise"
width = 5
[nodes.split]
type = "Split"
input = "noise"
[nodes.sum]
type = "Add"
inputs = {a = "split.rest", b = "noise"}
[nodes.out]
type = "Store"
input = "sum"
path = "sub/out.%04d.npy"
"""


def build(text: str, folder: Path = Path("/shots/a")) -> Graph:
    return Graph.from_document(Document.parse(text, folder), toys())


def test_a_good_document() -> None:
    graph = build(GOOD)
    assert graph.order == ["noise", "split", "sum", "out"]
    assert graph.sinks == ["out"]
    assert graph.links["sum"]["a"].output == "rest"
    assert graph.net.edges["split", "sum", "a"]["output"] == "rest"
    assert graph.cuts == (5, 9)
    assert graph.params["out"].path == "/shots/a/sub/out.%04d.npy"  # type: ignore[attr-defined]
    assert graph.shot(4) == (float("-inf"), 5) and graph.shot(5) == (5, 9) and graph.shot(9) == (9, float("inf"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("safelight = 1", "", "does not say its version. Its first line should be 'safelight = 1'"),
        ("safelight = 1", "safelight = 99", "version 99, newer than this Safelight reads"),
        ("safelight = 1", "safelight = 1\nnoeds = 3", "unknown table 'noeds'. Did you mean 'nodes'?"),
        ("[shot]", "[shot", "not a TOML document: .*line 3"),
        ("cuts = [9, 5, 9]", 'cuts = "9"', "'shot.cuts' must list frame numbers"),
        ('type = "Noise"', "", "node 'noise': the node has no type"),
        ('type = "Noise"', 'type = "Nose"', "node 'noise': there is no node type 'Nose'. Did you mean 'Noise'?"),
        ("width = 5", "widht = 5", "node 'noise': Noise has no parameter 'widht'. Did you mean 'width'?"),
        ("width = 5", "width = 0", "node 'noise': width = 0: input should be greater than or equal to 1"),
        ("width = 5", 'width = "wide"', "node 'noise': width = 'wide': input should be a valid integer"),
        ("width = 5", "width = nan", "node 'noise': width = nan: "),
        ('input = "noise"', 'input = "nose"', "input 'input' comes from 'nose', .* Did you mean 'noise'?"),
        ('input = "noise"', 'inputs = {imput = "noise"}', "Split has no input 'imput'. Did you mean 'input'?"),
        ('input = "noise"', "", "node 'split': input 'input' of Split is not connected"),
        ('input = "noise"', "input = 3", "node 'split': an input must name a node, not 3"),
        ('b = "noise"', 'b = "split.rets"', "'split' .Split. has no output 'rets'. Did you mean 'rest'?"),
        (', b = "noise"', "", "node 'sum': input 'b' of Add is not connected"),
        ('input = "noise"', 'input = "sum"', "the graph runs in a circle: .*split -> sum|sum -> split"),
        ('path = "sub/out.%04d.npy"', "", "node 'out': Store needs the parameter 'path'"),
        ("width = 5", 'input = "sum"', "node 'noise': Noise takes no input"),
    ],
)
def test_a_wrong_document_is_one_clear_line(old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(GraphError, match=message) as caught:
        build(GOOD.replace(old, new, 1))
    assert "\n" not in str(caught.value)


def test_files_are_named(tmp_path: Path) -> None:
    path = tmp_path / "shot.toml"
    with pytest.raises(GraphError, match=r"shot\.toml: there is no such graph document"):
        load_document(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(GraphError, match=r"shot\.toml: the graph document is not UTF-8"):
        load_document(path)
    path.write_text(GOOD.replace("width", "widht"))
    with pytest.raises(GraphError, match=r"node 'noise', .*shot\.toml: Noise has no parameter"):
        Graph.from_document(load_document(path), toys())
    with pytest.raises(GraphError, match=r"cannot be read"):
        load_document(tmp_path)


def test_overrides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "shot.toml"
    path.write_text(GOOD)
    monkeypatch.chdir(tmp_path.parent)
    given = [("noise.width", "7"), ("out.path", "there/x.%d.npy"), ("noise.tag", "12"), ("split.gain", "0.25")]
    graph = Graph.from_document(load_document(path, given), toys())
    assert graph.params["noise"].width == 7  # type: ignore[attr-defined]
    assert graph.params["noise"].tag == "12", "a text stays a text"  # type: ignore[attr-defined]
    assert graph.params["split"].gain == 0.25  # type: ignore[attr-defined]
    assert graph.params["out"].path == str(tmp_path.parent / "there/x.%d.npy")  # type: ignore[attr-defined]
    with pytest.raises(GraphError, match=r"no node 'nose'. Did you mean 'noise'"):
        load_document(path, [("nose.width", "7")])
    with pytest.raises(GraphError, match=r"Write NODE.PARAM=VALUE"):
        load_document(path, [("width", "7")])
    with pytest.raises(GraphError, match=r"has no parameter 'with'. Did you mean 'width'"):
        Graph.from_document(load_document(path, [("noise.with", "7")]), toys())
    with pytest.raises(GraphError, match=r"width = 'abc'"):
        Graph.from_document(load_document(path, [("noise.width", "abc")]), toys())


def test_old_documents_are_upgraded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are renamed by the document's upgrade, parameters by their node's."""
    from safelight.graph import graph as graph_module
    from tests.graph.toys import Noise

    def rename(data: dict) -> dict:  # type: ignore[type-arg]
        return {("nodes" if key == "knots" else key): value for key, value in data.items()}

    monkeypatch.setattr(module, "VERSION", 2)
    monkeypatch.setattr(graph_module, "VERSION", 2)
    monkeypatch.setitem(module.UPGRADES, 1, rename)
    monkeypatch.setattr(Noise, "upgrades", {1: lambda p: {("width" if k == "wide" else k): v for k, v in p.items()}})
    old = 'safelight = 1\n[knots.n]\ntype = "Noise"\nwide = 4'
    assert build(old).params["n"].width == 4  # type: ignore[attr-defined]
    new = 'safelight = 2\n[nodes.n]\ntype = "Noise"\nwide = 4'
    with pytest.raises(GraphError, match=r"no parameter 'wide'"):
        build(new)
