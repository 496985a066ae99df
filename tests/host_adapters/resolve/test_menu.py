"""The menu scripts: installed, taken out, and run: the Python one as Resolve runs it, the Lua one in a Lua."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safelight.graph.errors import GraphError
from safelight.host_adapters.resolve.install import NAMES, install, scripts, scripts_folder, uninstall
from tests.host_adapters.cli.conftest import Safelight, safelight
from tests.host_adapters.resolve.conftest import LENGTH, OFFSET, TEMPLATE, shown
from tests.stand_ins.resolve_like.clips import Fake
from tests.stand_ins.resolve_like.host import Host

__all__ = ["safelight"]  # the fixture
RIGHT = [(0.25, float(frame), 0.5) for frame in range(OFFSET, OFFSET + LENGTH)]


@pytest.fixture
def template(tmp_path: Path) -> Path:
    path = tmp_path / "template.toml"
    path.write_text(TEMPLATE)
    return path


def made(template: Path, output: Path) -> dict[str, str]:
    shared = ["--handles", "3", "--output", str(output)]
    return scripts(["resolve", "run", str(template), *shared, "--back", "take"], template, shared)


def test_install_and_uninstall(tmp_path: Path, safelight: Safelight, template: Path) -> None:
    folder = tmp_path / "Scripts" / "Edit"
    arguments = ("resolve", "install", template, "--to", folder)
    dry = safelight(*arguments, "--dry-run")
    assert dry.returncode == 0 and "would write" in dry.stderr and not folder.exists()
    assert safelight(*arguments).returncode == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted(NAMES)
    again = safelight(*arguments, "--json")
    assert json.loads(again.stdout)["written"] == [] and "as it should be" in again.stderr
    (folder / NAMES[0]).write_text("print('mine')")
    refused = safelight(*arguments)
    assert refused.returncode == 2 and "not ours" in refused.stderr
    assert safelight("resolve", "uninstall", "--to", folder).returncode == 0
    assert [path.read_text() for path in folder.iterdir()] == ["print('mine')"]
    wrong = safelight("resolve", "install", template, "--to", folder, "--back", "tack")
    assert wrong.returncode == 2 and "Did you mean 'track'?" in wrong.stderr


@pytest.mark.parametrize("platform", ["darwin", "win32", "linux"])
def test_scripts_lie_where_resolve_looks(platform: str) -> None:
    assert scripts_folder(platform).parts[-1] == "Edit" and "Resolve" in str(scripts_folder(platform))


def test_the_python_script_runs_without_file(host: Host, tmp_path: Path, template: Path) -> None:
    """In the free edition up to 21.0 it talks to Resolve from within; `__file__` is not defined there."""
    host.version, host.studio = (21, 0), False
    text = made(template, tmp_path / "jobs")[NAMES[0]]
    scope: dict[str, Any] = {"resolve": host.resolve, "__name__": "__main__"}
    exec(compile(text, NAMES[0], "exec"), scope)
    assert "__file__" not in scope and shown(host, 1, 86400) == RIGHT
    assert host.timelines[0]._tracks[0][0]._selected == 2


def test_the_python_script_says_which_python_it_needs(
    host: Host, tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    host.version, host.studio = (20, 3), False
    here = f'VERSION = "{sys.version_info[0]}.{sys.version_info[1]}"'
    text = made(template, tmp_path)[NAMES[0]]
    assert here in text
    exec(compile(text.replace(here, 'VERSION = "3.6"'), "x", "exec"), {"resolve": host.resolve})
    assert "installed under 3.6" in capsys.readouterr().out


def test_studio_starts_a_process(
    host: Host, tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESOLVE_SCRIPT_API", str(tmp_path))
    exec(compile(made(template, tmp_path)[NAMES[0]], "x", "exec"), {"resolve": host.resolve})
    assert "scripting module is not there" in capsys.readouterr().out


def test_the_script_begins_at_once(tmp_path: Path, template: Path) -> None:
    """Under 100 ms until it asks for its host; measured as the median of the processor's time."""
    text = made(template, tmp_path)[NAMES[0]]
    (tmp_path / "menu.py").write_text(text)
    code = "import time\nbegan = time.process_time()\nexec(open('menu.py').read())\nprint(time.process_time() - began)"
    seconds = []
    for _ in range(3):
        done = subprocess.run(
            [sys.executable, "-S", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        assert "start this from its menu" in done.stdout
        seconds.append(float(done.stdout.split()[-1]))
    print(f"menu script: {sorted(seconds)[1] * 1000:.0f} ms")


def test_quotation_marks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="quotation mark"):
        made(tmp_path / 'a"b.toml', tmp_path)
    assert install(tmp_path / "x", {}) == [] and uninstall(tmp_path / "x") == []


class Lua:
    """Runs the script in LuaJIT, as Resolve does, with the stand-in behind Lua's own tables."""

    WRAP = """
    function(call)
      local function wrap(object)
        return setmetatable({object = object}, {__index = function(_, name)
          return function(self, ...) return call(self.object, name, ...) end
        end})
      end
      return wrap
    end
    """

    def __init__(self, host: Host) -> None:
        luajit = pytest.importorskip("lupa.luajit21")
        self.lua = luajit.LuaRuntime(unpack_returned_tuples=True)
        self.table = luajit.lua_type
        self.said: list[str] = []
        self.wrap = self.lua.eval(self.WRAP)(self.call)
        self.lua.globals().resolve = self.wrap(host.resolve)
        self.lua.globals().print = lambda *words: self.said.append(" ".join(map(str, words)))

    def call(self, target: Fake, name: str, *arguments: Any) -> Any:
        method = getattr(target, name)
        assert method is not None, f"{type(target).__name__}.{name}"
        return self.out(method(*map(self.into, arguments)))

    def into(self, value: Any) -> Any:
        if self.table(value) != "table":
            return value
        if value["object"] is not None:
            return value["object"]
        keys = list(value.keys())
        if keys and all(isinstance(key, int) for key in keys):
            return [self.into(value[key]) for key in sorted(keys)]
        return {key: self.into(value[key]) for key in keys}

    def out(self, value: Any) -> Any:
        if isinstance(value, Fake):
            return self.wrap(value)
        if isinstance(value, list):
            return self.lua.table_from([self.out(item) for item in value])
        if isinstance(value, dict):
            return self.lua.table_from({key: self.out(item) for key, item in value.items()})
        return value

    def run(self, text: str) -> str:
        self.said.clear()
        self.lua.execute(text)
        return "\n".join(self.said)


def test_the_lua_script(host: Host, tmp_path: Path, template: Path) -> None:
    before = host.snapshot()
    host.studio = False
    lua = Lua(host)
    text = made(template, tmp_path / "jobs")[NAMES[1]]
    said = lua.run(text)
    assert "done: a take with 10 frames" in said, said
    item = host.timelines[0]._tracks[0][0]
    assert shown(host, 1, 86400) == RIGHT and item._selected == 2 and item._media._space == "ACEScg"
    assert host.pool._current is host.pool._root and any(
        "safelight:" in m["customData"] for m in item._markers.values()
    )
    after = host.snapshot()
    assert after != before
    assert "restored before; nothing was changed" in lua.run(text) and host.snapshot() == after


def test_the_lua_script_takes_back_what_failed(host: Host, tmp_path: Path, template: Path) -> None:
    host.studio = False
    before = host.snapshot()
    lua = Lua(host)
    text = made(template, tmp_path / "jobs")[NAMES[1]]
    # A marker of another colour than there is is refused, and so is the job.
    refuse = text.replace('"Sand"', '"Colour of nothing"')
    said = lua.run(refuse)
    assert "error: Resolve answered false to AddMarker" in said and host.snapshot() == before
    host.timelines[0]._current = host.timelines[0]._tracks[0][2]
    assert "'.braw' files are not read" in lua.run(text) and host.snapshot() == before
    host.timelines[0]._current = host.timelines[0]._tracks[1][0]
    assert "titles and generators show no media" in lua.run(text) and host.snapshot() == before


def test_the_command_line_on_a_stand_in(
    host: Host, tmp_path: Path, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from safelight.host_adapters.resolve.menu_run import run

    jobs = str(tmp_path / "jobs")
    before = host.snapshot()
    assert run(host.resolve, ["resolve", "shots", "--json"]) == 0
    assert [shot["name"] for shot in json.loads(capsys.readouterr().out)["shots"]] == ["A001", "B002"]
    assert run(host.resolve, ["resolve", "run", str(template), "-o", jobs, "--shot", "A01"]) == 2
    assert "Did you mean 'A001'?" in capsys.readouterr().err
    arguments = ["resolve", "run", str(template), "-o", jobs, "--shot", "A001", "--back", "track", "--json"]
    assert run(host.resolve, arguments) == 0
    assert json.loads(capsys.readouterr().out)["shots"][0]["done"] is True
    assert run(host.resolve, arguments) == 0
    assert json.loads(capsys.readouterr().out)["shots"][0]["done"] is False
    assert shown(host, 3, 86400) == RIGHT
    assert run(host.resolve, ["resolve", "undo", "-o", jobs]) == 0 and host.snapshot() == before
    assert run(host.resolve, ["resolve", "undo", "-o", jobs]) == 2
    assert "nothing to take back" in capsys.readouterr().err
