"""Signatures change when, and only when, a picture may."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.signature import Signatures
from tests.graph.toys import Box, Noise, toys

TEXT = """
safelight = 1
[nodes.noise]
type = "Noise"
frames = 9
[nodes.box]
type = "Box"
input = "noise"
window = 1
[nodes.off]
type = "Box"
input = "box"
gain = 0.0
[nodes.split]
type = "Split"
input = "off"
window = 0
[nodes.out]
type = "Store"
input = "split"
path = "x.%04d.npy"
"""


def signatures(text: str = TEXT) -> Signatures:
    return Signatures(Graph.from_document(Document.parse(text, Path("/nowhere")), toys()))


def test_the_same_document_has_the_same_signature() -> None:
    one, two = signatures(), signatures(TEXT.replace("[nodes.noise]", "[graph]\nname = 'x'\n[nodes.noise]"))
    assert one.of("split", "image", 5) == two.of("split", "image", 5)


def test_node_names_and_idle_parameters_do_not_matter() -> None:
    renamed = TEXT.replace("nodes.box", "nodes.blur").replace('input = "box"', 'input = "blur"\ntag = "x"')
    assert signatures(renamed).of("split", "image", 5) == signatures().of("split", "image", 5)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("frames = 9", "frames = 9\nseed = 1"),
        ("window = 1", "window = 2"),
        ("[nodes.noise]", "[shot]\ncuts=[5]\n[nodes.noise]"),
    ],
)
def test_what_changes_the_picture_changes_the_signature(old: str, new: str) -> None:
    assert signatures(TEXT.replace(old, new, 1)).of("split", "image", 5) != signatures().of("split", "image", 5)


def test_version_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signatures().of("split", "image", 5)
    monkeypatch.setattr(Box, "version", 2)
    assert signatures().of("split", "image", 5) != before


def test_an_identity_has_its_input_s_signature() -> None:
    made = signatures()
    assert made.of("off", "image", 5) == made.of("box", "image", 5)
    assert made.of("box", "image", 5) != made.of("noise", "image", 5)


def test_outputs_frames_and_files_differ() -> None:
    made = signatures()
    assert made.of("split", "image", 5) != made.of("split", "rest", 5)
    assert made.of("split", "image", 5) != made.of("split", "image", 6)
    other = signatures(TEXT.replace("x.%04d.npy", "y.%04d.npy"))
    assert made.written("out", 5) != other.written("out", 5)


def test_a_changed_file_touches_only_the_frames_that_see_it(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signatures().of("split", "image", frame) for frame in range(1, 10)]
    monkeypatch.setattr(Noise, "fingerprint", lambda self, params, frame, settings: "new" if frame == 4 else "")
    after = [signatures().of("split", "image", frame) for frame in range(1, 10)]
    assert [frame for frame in range(1, 10) if before[frame - 1] != after[frame - 1]] == [3, 4, 5]


def test_a_long_chain_needs_no_recursion() -> None:
    lines = ["safelight = 1", "[nodes.n0]", 'type = "Noise"', "frames = 3"]
    for index in range(1, 1500):
        lines += [f"[nodes.n{index}]", 'type = "Box"', "window = 0", f'input = "n{index - 1}"']
    assert len(signatures("\n".join(lines)).of("n1499", "image", 2)) == 64
