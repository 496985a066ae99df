"""`safelight cuts`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.host_adapters.cli.conftest import Safelight, plate_document


def test_a_graph_is_looked_at_and_its_list_written(safelight: Safelight, tmp_path: Path) -> None:
    extra = '[nodes.clean]\ntype = "Degrain"\ninput = "plate"  # its analysis is not wanted here\n'
    path = plate_document(tmp_path, width=192, height=108, frames=12, extra=extra)
    before = path.read_text()
    done = safelight("cuts", "plate.toml")
    assert done.returncode == 0 and "1007" in done.stdout and path.read_text() == before, done.stderr
    done = safelight("cuts", "plate.toml", "--write", "--json")
    found = json.loads(done.stdout)
    assert [cut["frame"] for cut in found["cuts"]] == [1007] and found["cuts"][0]["confidence"] > 0.9
    assert found["dissolves"] == [] and found["written"] is True and list(found["nodes"]) == ["plate"]
    assert path.read_text() == before.replace("[nodes.plate]", "[shot]\ncuts = [1007]\n\n[nodes.plate]")
    assert safelight("check", "plate.toml").returncode == 0
    path.write_text(path.read_text().replace("[1007]", "[1006, 1007]  # by eye"))
    done = safelight("cuts", "plate.toml", "--write")
    assert done.returncode == 2 and "--force" in done.stderr and "1006" in done.stderr and done.stdout == ""
    done = safelight("cuts", "plate.toml", "--write", "--force")
    assert done.returncode == 0 and "cuts = [1007]  # by eye" in path.read_text()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.toml",), "there is no such graph document"),
        (("nothing.####.exr",), "nothing"),
        (("nothing.####.exr", "--write"), "is for a graph document"),
        (("plate.toml", "--force"), "--force does nothing without --write"),
        (("plate.toml", "--node", "plat"), "there is no node 'plat'"),
    ],
)
def test_wrong_use(safelight: Safelight, tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    plate_document(tmp_path)
    done = safelight("cuts", *arguments)
    assert done.returncode == 2 and words in done.stderr and done.stdout == "", done.stderr


@pytest.mark.parametrize(("folder", "cuts"), [("seq/bbb_cut", [7]), ("film/abomb_cut_1950s", [11])])
def test_real_sequences(safelight: Safelight, data: Path, folder: str, cuts: list[int]) -> None:
    found = json.loads(safelight("cuts", data / "images" / folder, "--json").stdout)
    assert [cut["frame"] for cut in found["cuts"]] == cuts and found["dissolves"] == []
