"""Nuke scripts: what is read, what is refused, what is written again; random graphs there and back; mangled text."""

from __future__ import annotations

import contextlib
import random
import sys
from pathlib import Path
from typing import ClassVar

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.graph.document import Document, load_document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.registry import default_registry
from safelight.host_adapters.nuke.from_nk import document_of
from safelight.host_adapters.nuke.nk.parse import parse, read
from safelight.host_adapters.nuke.nk.script import SELECTED, Node, walk
from safelight.host_adapters.nuke.nk.words import Lexer, NkError, quote
from safelight.host_adapters.nuke.nk.write import clipboard, script
from safelight.host_adapters.nuke.plugin.safelight_toml import document_text
from safelight.host_adapters.nuke.to_nk import text_of
from tests.host_adapters.nuke.random_graphs import random_document

EXAMPLES = Path(__file__).parents[3] / "examples"
COPIED = """set cut_paste_input [stack 0]
version 15.1 v3
push $cut_paste_input
Blur {
 size {{curve x1001 0 x1010 5}}
 label "a \\[b\\]\\n\\"c\\" \\{ \\$d \\\\"
 name Blur1
 selected true
 addUserKnob {20 User l "My tab"}
 addUserKnob {7 gain l "gain (stops)" t "how\\nmuch" R -2 2}
 addUserKnob {4 mode M {one "two words"} +INVISIBLE}
 gain 0.5
}
set Nabc [stack 0]
Grade {
 white {1.1 1 0.9 1}
 name Grade1
}
push $Nabc
push 0
Merge2 {
 inputs 2+1
 name Merge1
}
"""


def test_the_stack_machine_connects_as_nuke_does() -> None:
    made = parse(COPIED)
    blur, grade, merge = made.nodes
    assert made.version == "15.1 v3" and made.clipboard
    assert blur.inputs == [None] and grade.inputs == [blur]
    # Merge2 takes three: the nothing that was pushed last is its input 0 (B), then Blur, then Grade as the mask.
    assert merge.inputs == [None, blur, grade]


def test_values_come_without_their_escapes() -> None:
    blur = parse(COPIED).nodes[0]
    assert blur.text("label") == 'a [b]\n"c" { $d \\'
    size = blur.knob("size")
    assert size is not None and size.live
    tab, gain, mode = blur.user_knobs
    assert (tab.kind, tab.label) == (20, "My tab")
    assert (gain.tooltip, gain.span) == ("how\nmuch", (-2, 2))
    assert (mode.items, mode.flags) == (("one", "two words"), ("+INVISIBLE",))


def test_groups_have_a_stack_of_their_own() -> None:
    made = parse(
        "Read {\n inputs 0\n name A\n}\nGroup {\n name G\n}\n Input {\n  inputs 0\n  name in\n }\n"
        " Blur {\n  name B\n }\n"
        " Output {\n  name out\n }\nend_group\nset N1 [stack 0]\nGrade {\n name after\n}\n"
    )
    source, group, after = made.nodes
    assert group.inputs == [source] and after.inputs == [group]
    assert group.children is not None
    assert [(node.name, [up.name for up in node.inputs if up]) for node in group.children] == [
        ("in", []),
        ("B", ["in"]),
        ("out", ["B"]),
    ]


def test_clones_share_their_original() -> None:
    made = parse("clone node1|Blur Blur {\n inputs 0\n size 7\n name Blur1\n}\nclone node1|Blur {\n xpos 5\n}\n")
    first, second = made.nodes
    assert second.clone_of is first and second.kind == "Blur"
    assert second.text("size") == "7" and second.text("xpos") == "5"
    again = parse(script(made.nodes)).nodes
    assert again[1].clone_of is again[0]


def test_what_nobody_knows_is_written_as_it_was() -> None:
    first = parse(COPIED)
    second = parse(clipboard(first.nodes))
    assert [(n.kind, [(k.name, k.raw) for k in n.knobs if k.name != "inputs"]) for n in first.nodes] == [
        (n.kind, [(k.name, k.raw) for k in n.knobs if k.name != "inputs"]) for n in second.nodes
    ]
    assert [[up and up.name for up in n.inputs] for n in second.nodes] == [[None], ["Blur1"], [None, "Blur1", "Grade1"]]


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("Blur {\n size 3\n", 1, "never closed"),
        ('\n\nBlur {\n label "a\n}\n', 4, "never closed"),
        ("Blur {\n inputs 99999999\n}\n", 2, "no number of inputs"),
        ("Blur {\n inputs \"__import__('os').getpid()\"\n}\n", 2, "no number of inputs"),
        ("Blur {\n inputs [python os.getpid()]\n}\n", 2, "no number of inputs"),
        ("push $N77\n", 1, "names nothing"),
        ("end_group\n", 1, "no group"),
        ("\nGroup {\n name G\n}\nBlur {\n}\n", 2, "no end_group"),
        ("clone node9 {\n}\n", 1, "original"),
        ("[python {import os}]\n", 1, "begin"),
        ('python "import os"\n', 1, "no node"),
        ("set x [exec ls]\n", 1, "stack N"),
        ("Blur {\n addUserKnob nonsense\n}\n", 2, "addUserKnob"),
        ("Blur {\n}x\n", 2, "without a space"),
        ("Group {\n}\n" * 100, 129, "64"),
    ],
)
def test_errors_name_the_line(text: str, line: int, words: str) -> None:
    with pytest.raises(NkError, match=words) as caught:
        parse(text)
    assert caught.value.line == line


def test_encrypted_scripts_are_named_for_what_they_are(tmp_path: Path) -> None:
    path = tmp_path / "shot.nknc"
    path.write_bytes(bytes(range(256)))
    with pytest.raises(NkError, match="Non-commercial and Indie"):
        read(path)


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
@settings(max_examples=400, deadline=None)
def test_any_text_survives_quoting(text: str) -> None:
    words = Lexer(f"a {quote(text)} b".replace("\r\n", "\n")).statement()
    assert words is not None and [word.text for word in words] == ["a", text, "b"]
    node = Node("Blur", inputs=[SELECTED])
    node.put("label", text)
    inside = Node("Group", children=[node])
    inside.put("name", "G")
    again = parse(clipboard([inside]))
    assert [one.text("label") for one in walk(again.nodes)] == ["", text]


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_every_example_goes_to_nuke_and_back(path: Path) -> None:
    document = load_document(path)
    _same(document, document_of(parse(text_of(document)), folder=path.resolve().parent)[1])


@pytest.mark.slow
def test_200_random_graphs_go_to_nuke_and_back(tmp_path: Path) -> None:
    """Isomorphic, by name and port, with parameters equal."""
    registry = default_registry()
    seen: set[str] = set()
    for seed in range(200):
        nodes, sections = random_document(random.Random(seed), registry)
        document = Document.parse(document_text(nodes, sections), tmp_path)
        again = document_of(parse(text_of(document)), folder=tmp_path)[1]
        _same(document, again)
        seen |= {entry.type for entry in document.entries.values()}
    assert seen == set(registry)


def _same(document: Document, again: Document) -> None:
    before, after = Graph.from_document(document), Graph.from_document(again)
    assert before.params == after.params
    assert {name: node.id for name, node in before.nodes.items()} == {n: node.id for n, node in after.nodes.items()}
    assert before.links == after.links
    assert nx.utils.graphs_equal(nx.MultiDiGraph(before.net), nx.MultiDiGraph(after.net))
    assert {k: v for k, v in document.sections.items() if v} == {k: v for k, v in again.sections.items() if v}


def _mangled(rng: random.Random, texts: list[str]) -> str:
    text = texts[0] if rng.random() < 0.4 else rng.choice(texts)
    begin = rng.randrange(max(1, len(text) - 1500))
    text = text[begin : begin + rng.randrange(20, 1500)] if rng.random() < 0.5 else text[:4000]
    tokens = [
        "{",
        "}",
        '"',
        "\\",
        "[",
        "]",
        "$",
        "\n",
        "push $N1\n",
        "end_group\n",
        "Group {\n}\n",
        "inputs 7\n",
        "\0",
        "[python {open('ran','w')}]",
        "clone ",
        "set N1 [stack 0]\n",
        "\ud7ff",
        "addUserKnob {",
        "push 0\n",
        ";",
    ]
    for _ in range(rng.randrange(6)):
        at = rng.randrange(len(text) + 1)
        kind = rng.random()
        if kind < 0.5:
            text = text[:at] + rng.choice(tokens) + text[at:]
        elif kind < 0.8:
            text = text[:at] + text[at + rng.randrange(40) :]
        else:
            text = text[:at] + text[rng.randrange(len(text) + 1) :]
    return text[:4000]


class _Watch:
    """What Python itself reports of code that is run and files, processes and sockets that are opened."""

    seen: ClassVar[list[str]] = []
    active: ClassVar[bool] = False

    @classmethod
    def hook(cls, event: str, arguments: tuple[object, ...]) -> None:
        if cls.active and event.split(".")[0] in ("exec", "compile", "import", "open", "os", "subprocess", "socket"):
            cls.seen.append(f"{event} {arguments}"[:200])


@pytest.mark.slow
def test_10000_mangled_clipboards_end_in_nodes_or_the_one_error() -> None:
    """Nothing else is raised, nothing is run or opened."""
    registry = default_registry()
    texts = [COPIED, *(text_of(load_document(path)) for path in sorted(EXAMPLES.glob("*.toml"))[:4])]
    document_of(parse(texts[1]), registry)  # whatever is imported late has been imported
    sys.addaudithook(_Watch.hook)
    rng = random.Random(20)
    good, refused = 0, 0
    for _ in range(10_000):
        text = _mangled(rng, texts)
        _Watch.active = True
        try:
            made = parse(text)
            good += 1
            clipboard(made.nodes)
            if good % 20 == 0:
                document_of(made, registry)
        except NkError:
            refused += 1
        except GraphError:
            pass  # a document came of it, and it is refused as any other would be
        finally:
            _Watch.active = False
    assert good > 1000 and refused > 2000
    assert _Watch.seen == []


def test_the_work_grows_with_the_length_alone() -> None:
    """Calls are counted, not seconds: four times the text takes four times the calls, in whatever it is cut."""
    parts = (
        'Blur {\n label "' + "\\" * 2,
        "{",
        "[",
        "Blur {\n name x\n}\n",
        "a " * 3,
        "\\\n",
        "Group {\n}\nend_group\n",
    )
    for part in parts:
        few, many = _calls(part * 500), _calls(part * 2000)
        assert many <= 4.2 * few + 50, part


def _calls(text: str) -> int:
    count = 0

    def note(*_: object) -> None:
        nonlocal count
        count += 1

    sys.setprofile(note)
    try:
        with contextlib.suppress(NkError):
            parse(text)
    finally:
        sys.setprofile(None)
    return count
