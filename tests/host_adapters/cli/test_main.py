"""The whole program: exit statuses, streams, one-line errors, interruption."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import OpenImageIO
import pytest
import typer
from typer.testing import CliRunner

from safelight.graph.errors import Cancelled, GraphError, RenderError
from safelight.host_adapters.cli.guard import guarded
from safelight.host_adapters.cli.main import COMMANDS, app
from tests.host_adapters.cli.conftest import COMMAND, Safelight, frames_in, plate_document


def test_help_teaches() -> None:
    runner = CliRunner()
    top = runner.invoke(app, ["--help"])
    assert top.exit_code == 0 and "130" in top.output
    for command in COMMANDS:
        shown = runner.invoke(app, [command.__name__, "--help"])
        assert shown.exit_code == 0, shown.output
        assert f"safelight {command.__name__}" in shown.output and "Examples" in shown.output
        assert command.__name__ in top.output


def test_version(safelight: Safelight) -> None:
    done = safelight("--version")
    assert done.returncode == 0 and done.stdout.startswith("safelight 0") and done.stderr == ""


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, safelight.host_adapters.cli.main; print(*sys.modules)"
    done = subprocess.run([*COMMAND[:1], "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert not loaded & {"numpy", "scipy", "networkx", "OpenImageIO", "PyOpenColorIO", "av", "cupy", "PIL"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rendr"], "Did you mean 'render'?"),
        (["render"], "missing argument 'GRAPH'"),
        (["render", "a.toml", "b.toml"], "unexpected extra argument"),
        (["nodes", "--jsn"], "--jsn"),
        (["render", "none.toml"], "there is no such graph document"),
        (["render", "plate.toml", "--set", "plate.witdh=9"], "Did you mean 'width'?"),
        (["render", "plate.toml", "--set", "plat.width=9"], "Did you mean 'plate'?"),
        (["render", "plate.toml", "--set", "plate.width=0"], "greater than or equal to 1"),
        (["render", "plate.toml", "--set", "plate"], "Write --set NODE.PARAM=VALUE."),
        (["render", "plate.toml", "--frames", "9-1"], "is empty"),
        (["render", "plate.toml", "--frames", "one"], "is not a frame range"),
        (["render", "plate.toml", "--frames", "1-2"], "the clip runs from 1001 to 1004"),
        (["render", "plate.toml", "--memory", "lots"], "is not an amount of memory"),
        (["render", "plate.toml", "--memory", "8"], "Write a unit"),
        (["render", "plate.toml", "--device", "gpu"], "Use auto, cpu or cuda."),
        (["render", "plate.toml", "--progress", "bars"], "Did you mean 'bar'?"),
        (["render", "plate.toml", "--threads", "0"], "--threads"),
        (["check", "broken.toml"], "line 3"),
        (["nodes", "Plat"], "Did you mean 'Plate'?"),
        (["bench", "engin"], "Did you mean 'engine'?"),
        (["compare", "a.exr", "b.exr"], "a.exr"),
        (["compare", "a.exr", "b.exr", "--peak", "0"], "--peak"),
        (["demo", "plate.toml"], "not a folder"),
        (["demo", "out", "--width", "3"], "--width"),
    ],
)
def test_wrong_use_is_one_line_and_status_2(
    safelight: Safelight, tmp_path: Path, arguments: list[str], said: str
) -> None:
    plate_document(tmp_path)
    (tmp_path / "broken.toml").write_text("safelight = 1\n[nodes.a]\ntype = = 3\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    done = safelight(*arguments)
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert len(lines) == 1 and lines[0].startswith("error: "), done.stderr
    assert said in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_json_errors_are_one_object_too(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    done = safelight("render", "plate.toml", "--set", "plate.witdh=9", "--json")
    assert done.returncode == 2 and done.stderr.startswith("error: ")
    said = json.loads(done.stdout)
    assert said["ok"] is False and said["exit"] == 2
    assert said["error"]["where"] == "node 'plate'" and "width" in said["error"]["remedy"]
    both = safelight("render", "plate.toml", "--json", "--progress", "openjd")
    assert both.returncode == 2 and json.loads(both.stdout)["error"]["remedy"] == "Choose one."


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (GraphError("the graph is wrong", remedy="Mend it."), 2, "error: the graph is wrong. Mend it."),
        (RenderError("no frame", frame=7, file="a.exr"), 1, "error: frame 7, a.exr: no frame"),
        (Cancelled(), 130, "stopped on request"),
        (KeyboardInterrupt(), 130, "stopped on request"),
        (ZeroDivisionError("two\nlines"), 1, "error: unexpected ZeroDivisionError: two lines. This is a fault"),
        (PermissionError(13, "Permission denied", "/x"), 1, "error: /x: Permission denied"),
        (MemoryError(), 1, "error: out of memory"),
    ],
)
def test_every_error_is_a_line_and_a_status(
    error: BaseException, status: int, said: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SAFELIGHT_DEBUG", raising=False)

    def fail(as_json: bool = False) -> None:
        raise error

    with pytest.raises(typer.Exit) as left:
        guarded(fail)()
    out, err = capfd.readouterr()
    assert left.value.exit_code == status
    assert out == "" and err.startswith(said) and err.count("\n") == 1
    with pytest.raises(typer.Exit):
        guarded(fail)(as_json=True)
    assert json.loads(capfd.readouterr().out)["exit"] == status
    monkeypatch.setenv("SAFELIGHT_DEBUG", "1")
    with pytest.raises(typer.Exit):
        guarded(fail)()
    assert "Traceback" in capfd.readouterr().err


def test_debug_shows_the_traceback(safelight: Safelight) -> None:
    assert "Traceback" in safelight("--debug", "render", "none.toml").stderr
    assert "Traceback" in safelight("render", "none.toml", SAFELIGHT_DEBUG="1").stderr
    assert "Traceback" not in safelight("render", "none.toml").stderr


def test_a_reader_that_goes_away_is_no_error(tmp_path: Path) -> None:
    shell = f"{' '.join(COMMAND)} nodes --json | head -c 10"
    done = subprocess.run(shell, shell=True, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stderr == "" and len(done.stdout) == 10


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interruption_leaves_whole_frames_only(tmp_path: Path, number: signal.Signals) -> None:
    plate_document(tmp_path, width=640, height=360, frames=4000)
    out = tmp_path / "out"
    process = subprocess.Popen(
        [*COMMAND, "render", "plate.toml", "--threads", "1"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "SAFELIGHT_DEBUG": "0"},
    )
    try:
        end = time.monotonic() + 120
        while not (out.is_dir() and len(frames_in(out)) >= 3):
            assert process.poll() is None and time.monotonic() < end, process.stderr and process.stderr.read()
            time.sleep(0.02)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130
    assert stdout == "" and "stopped on request" in stderr and "Traceback" not in stderr
    made = frames_in(out)
    assert 3 <= len(made) < 4000
    for name in made:
        assert name.startswith("plate.") and name.endswith(".exr")
        pixels = OpenImageIO.ImageBuf(str(out / name)).get_pixels(OpenImageIO.FLOAT)
        assert pixels.shape == (360, 640, 3)


def test_help_shows_every_word() -> None:
    """Rich takes [word] for markup and leaves it out, unless it is written \\[word]."""
    commands, seen = [typer.main.get_command(app)], 0
    while commands:
        command = commands.pop()
        commands += getattr(command, "commands", {}).values()
        for text in (command.help, *(getattr(option, "help", None) for option in command.params)):
            seen += 1
            assert not re.search(r"(?<!\\)\[[a-z]+\]", text or ""), f"{command.name}: {text}"
    assert seen > 100
