"""A cut list put into a document's text."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.host_adapters.cli.cut_list import with_cuts, write_cuts

NODES = '[nodes.plate]\ntype = "Plate"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("safelight = 1  # mine\n\n" + NODES, "safelight = 1  # mine\n\n[shot]\ncuts = [7, 90]\n\n" + NODES),
        (
            "safelight = 1\n[shot]  # the reel\nname = 'r2'\n\n" + NODES,
            "safelight = 1\n[shot]  # the reel\ncuts = [7, 90]\nname = 'r2'\n\n" + NODES,
        ),
        ("safelight = 1\r\n[shot]\r\n" + NODES, "safelight = 1\r\n[shot]\r\ncuts = [7, 90]\r\n" + NODES),
        ("safelight = 1\n" + NODES + "[shot]", "safelight = 1\n" + NODES + "[shot]\ncuts = [7, 90]"),
    ],
)
def test_it_goes_into_shot_and_the_rest_stays(before: str, after: str) -> None:
    assert with_cuts(before, [7, 90]) == after
    assert Document.parse(after).cuts == (7, 90)
    assert with_cuts(after, [7, 90]) == after


def test_a_list_that_is_there_is_kept_unless_forced() -> None:
    text = "safelight = 1\n[shot]\n# by eye\ncuts = [ 5,  # sure ]\n  9\n]  # end\nreel = 2\n" + NODES
    with pytest.raises(GraphError, match=r"has a cut list already: \[5, 9\].*--force"):
        with_cuts(text, [7])
    assert with_cuts(text, [9, 5]) == text
    made = with_cuts(text, [7], force=True)
    assert made == "safelight = 1\n[shot]\n# by eye\ncuts = [7]  # end\nreel = 2\n" + NODES
    empty = "safelight = 1\n[shot]\ncuts = []\n" + NODES
    with pytest.raises(GraphError, match="already"):
        with_cuts(empty, [7])


def test_what_cannot_be_edited_is_said(tmp_path: Path) -> None:
    inline = "safelight = 1\nshot = {cuts = [3]}\n" + NODES
    with pytest.raises(GraphError, match=r"cannot be put into.*by hand"):
        with_cuts(inline, [7], force=True)
    path = tmp_path / "g.toml"
    path.write_text(inline)
    with pytest.raises(GraphError, match=r"g\.toml"):
        write_cuts(path, [7], force=True)
    assert path.read_text() == inline and list(tmp_path.iterdir()) == [path]


def test_writing_keeps_bytes_and_rights(tmp_path: Path) -> None:
    path = tmp_path / "g.toml"
    path.write_bytes(b"safelight = 1\r\n" + NODES.encode() + "# Blende \u00e4\r\n".encode())
    path.chmod(0o640)
    assert write_cuts(path, [7])
    assert not write_cuts(path, [7])
    assert path.stat().st_mode & 0o777 == 0o640
    assert (
        path.read_bytes().endswith("# Blende \u00e4\r\n".encode()) and b"[shot]\r\ncuts = [7]\r\n" in path.read_bytes()
    )
