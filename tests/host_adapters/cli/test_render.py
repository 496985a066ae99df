"""`safelight render`: frames, reports, resume, failures, progress."""

from __future__ import annotations

import json
from pathlib import Path

import OpenImageIO
import pytest

from safelight.graph.progress import Step
from safelight.host_adapters.cli.progress import progress_of
from tests.host_adapters.cli.conftest import Safelight, frames_in, plate_document


def test_frames_are_written_and_said(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    done = safelight("render", "plate.toml")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "" and "4 rendered" in done.stderr and "render: 4/4" in done.stderr
    assert frames_in(tmp_path / "out") == [f"plate.{number}.exr" for number in range(1001, 1005)]


def test_json_is_one_object_on_standard_output(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    done = safelight("render", "plate.toml", "--json", "--frames", "1002-1004x2", "--threads", "1")
    report = json.loads(done.stdout)
    assert done.returncode == 0 and report["ok"] and report["rendered"] == 2 and report["frames"] == "1002,1004"
    assert [Path(file).name for file in report["files"]] == ["plate.1002.exr", "plate.1004.exr"]
    assert all(Path(file).exists() for file in report["files"]) and report["peak_bytes"] > 0
    assert report["device"] == "cpu" and report["threads"] == 1


def test_set_overrides_and_paths_start_where_the_user_stands(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    here = tmp_path / "here"
    here.mkdir()
    arguments = ["--set", "plate.width=40", "-s", "plate.seed=9", "--set", "out.path=small.####.exr", "-f", "1003"]
    done = safelight("render", "../plate.toml", *arguments, cwd=here)
    assert done.returncode == 0, done.stderr
    assert frames_in(here) == ["small.1003.exr"]
    assert OpenImageIO.ImageBuf(str(here / "small.1003.exr")).spec().width == 40


def test_resume_makes_only_what_is_missing(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    assert safelight("render", "plate.toml").returncode == 0
    (tmp_path / "out" / "plate.1002.exr").unlink()
    again = json.loads(safelight("render", "plate.toml", "--resume", "--json").stdout)
    assert (again["rendered"], again["skipped"]) == (1, 3)
    other = json.loads(safelight("render", "plate.toml", "--resume", "--json", "--set", "plate.seed=2").stdout)
    assert (other["rendered"], other["skipped"]) == (4, 0)
    nothing = safelight("render", "plate.toml", "--resume", "--set", "plate.seed=2")
    assert nothing.returncode == 0 and "already good" in nothing.stderr


@pytest.fixture
def damaged(safelight: Safelight, tmp_path: Path) -> Path:
    """Folder with a document that copies four frames, one of which is cut short."""
    plate_document(tmp_path)
    assert safelight("render", "plate.toml").returncode == 0
    bad = tmp_path / "out" / "plate.1003.exr"
    bad.write_bytes(bad.read_bytes()[:-900])
    (tmp_path / "copy.toml").write_text(
        "safelight = 1\n[nodes.in]\ntype = 'Read'\npath = 'out/plate.####.exr'\n"
        "[nodes.copy]\ntype = 'Write'\ninput = 'in'\npath = 'copy/copy.####.exr'\n"
    )
    return tmp_path


def test_a_frame_that_fails_ends_with_status_1_and_one_line(safelight: Safelight, damaged: Path) -> None:
    done = safelight("render", "copy.toml")
    assert done.returncode == 1 and done.stdout == ""
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "plate.1003.exr" in errors[0] and "node 'in'" in errors[0], done.stderr
    assert "Traceback" not in done.stderr
    assert frames_in(damaged / "copy") == ["copy.1001.exr", "copy.1002.exr"]


def test_keep_going_makes_the_others(safelight: Safelight, damaged: Path) -> None:
    done = safelight("render", "copy.toml", "--keep-going", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["ok"] is False and report["rendered"] == 3
    assert [error["frame"] for error in report["failed"]] == [1003]
    assert frames_in(damaged / "copy") == ["copy.1001.exr", "copy.1002.exr", "copy.1004.exr"]


def test_openjd_lines(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    done = safelight("render", "plate.toml", "--progress", "openjd")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert "openjd_status: render" in lines and lines[-1] == "openjd_progress: 100.0"
    assert all(line.startswith(("openjd_progress: ", "openjd_status: ")) for line in lines)


def test_no_progress_when_none_is_wanted(safelight: Safelight, tmp_path: Path) -> None:
    plate_document(tmp_path)
    assert len(safelight("render", "plate.toml", "--progress", "none").stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", ["bar", "lines", "openjd", "none"])
def test_progress_says_pace_time_left_and_memory(kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    with progress_of(kind) as shown:
        shown.step(Step("render", 0, 4, None, 0, 0.0))
        shown.step(Step("render", 3, 4, 1003, 2_000_000, 1.5))
        shown.note("something [odd]")
        shown.step(Step("render", 4, 4, 1004, 2_000_000, 2.0))
    out, err = capfd.readouterr()
    assert "something [odd]" in err
    if kind in ("lines", "bar"):
        assert "4/4" in err and "2 fps" in err and "2 MB" in err
    assert (out == "") == (kind != "openjd")


def test_lines_come_every_few_seconds_only(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr("safelight.host_adapters.cli.progress.time.monotonic", lambda: float(next(clock)))
    with progress_of("lines") as shown:
        for done in range(21):
            shown.step(Step("render", done, 40, 1000 + done, 0, float(done)))
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 4 and "left" in lines[0]
