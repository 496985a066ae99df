"""Putting the plug-in into a user's Nuke, and taking it out again."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.host_adapters.nuke.install import install, uninstall
from safelight.host_adapters.nuke.to_nk import text_of


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path / ".nuke"


def test_install_touches_nothing_of_yours_and_uninstall_leaves_it(home: Path) -> None:
    home.mkdir()
    (home / "init.py").write_text("print('mine')")
    before = (home / "init.py").read_text()
    planned = install(dry_run=True).lines
    assert len(planned) > 20 and not (home / "safelight").exists() and (home / "init.py").read_text() == before
    done = install(cache="/cache", path_map=[("P:/", "/mnt/p")])
    assert done.lines == planned
    text = (home / "init.py").read_text()
    assert text.startswith("print('mine')\n# >>> safelight") and repr((home / "safelight").as_posix()) in text
    compile(text, "init.py", "exec")
    assert install().lines == []
    config = json.loads((home / "safelight" / "safelight_config.json").read_text())
    assert (config["cache"], config["path_map"], config["engine"][0]) == ("/cache", [["P:/", "/mnt/p"]], sys.executable)
    (home / "safelight" / "menu.py").write_text("# edited")
    assert "keep your menu.py as menu.py.before" in install().lines
    (home / "safelight" / "safelight_names.py").write_text("# edited")
    lines = uninstall().lines
    assert any("safelight_names.py: it was edited" in line for line in lines)
    assert (home / "init.py").read_text().strip() == before
    assert sorted(path.name for path in (home / "safelight").iterdir()) == ["menu.py.before", "safelight_names.py"]
    with pytest.raises(GraphError, match="no plug-in"):
        uninstall()


def test_install_refuses_a_folder_of_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "menu.py").write_text("# theirs")
    with pytest.raises(GraphError, match="somebody else's"):
        install(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["menu.py"]


def test_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "safelight.host_adapters.cli.main", "nuke"]
    (tmp_path / "bad.nk").write_text("Blur {\n size [exec ls]\n")
    (tmp_path / "fed.nk").write_text(
        text_of(Document.parse('safelight = 1\n[nodes.p]\ntype = "Plate"\n[nodes.d]\ntype = "Degrain"\ninput = "p"\n'))
        .replace("Group {", "Blur {\n inputs 0\n name soft\n}\nGroup {", 1)
        .replace(" inputs 0\n name p\n", " disable true\n name p\n")
    )
    for name, words in (
        ("bad.nk", "error: line 1, bad.nk: the brace opened here is never closed"),
        ("fed.nk", "'d' is fed by 'soft', a Blur of Nuke's"),
        ("none.nk", "none.nk: there is no such script"),
    ):
        run = subprocess.run([*command, "export", name], cwd=tmp_path, capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (2, "") and words in run.stderr, run.stderr
