"""Connecting: edition, version, and every reason why not, in one line each."""

from __future__ import annotations

import sys
import threading
import time
from pathlib import Path

import pytest

from safelight.graph.errors import Cancelled, GraphError, RenderError
from safelight.host_adapters.resolve import connect as connecting
from safelight.host_adapters.resolve.connect import connect
from safelight.host_adapters.resolve.engine import run_engine
from safelight.host_adapters.resolve.remote import Caller, Hung, Remote
from tests.stand_ins.resolve_like.host import Host


def refusal(host: Host) -> str:
    with pytest.raises(GraphError) as caught:
        connect(scriptapp=host.scriptapp, wait=1)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("version", [(18, 5), (19, 0), (20, 3), (21, 0), (21, 1)])
def test_studio_connects(version: tuple[int, int]) -> None:
    host = Host(version=version)
    session = connect(scriptapp=host.scriptapp, wait=1)
    assert session.studio and session.version[:2] == version and session.told.startswith("DaVinci Resolve Studio ")
    assert host.violations == []  # IsStudio is not asked for before it is there


def test_editions_and_releases_that_cannot() -> None:
    assert "18.4.0 is too old. Safelight needs 18.5" in refusal(Host(version=(18, 4)))
    assert "from 21.1 on only the Studio edition does. Use the Lua script" in refusal(Host(studio=False))
    assert not connect(scriptapp=Host(version=(21, 0), studio=False).scriptapp, wait=1).studio


def test_none_names_every_reason() -> None:
    with pytest.raises(GraphError) as caught:
        connect(scriptapp=lambda name: None, wait=1)
    for text in ("does not answer", "Start it", "External scripting using: Local", "free edition", "Lua"):
        assert text in str(caught.value)


def test_no_project_no_timeline_no_shot() -> None:
    host = Host()
    host.project = None
    with pytest.raises(GraphError, match="no project is open"):
        connect(scriptapp=host.scriptapp, wait=1).project()


def test_an_answer_that_never_comes() -> None:
    gate = threading.Event()
    with pytest.raises(GraphError, match="in time"):
        connect(scriptapp=lambda name: gate.wait(), wait=0.1)
    gate.set()


def test_a_missing_module_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RESOLVE_SCRIPT_API", str(tmp_path))
    with pytest.raises(GraphError, match=r"DaVinciResolveScript\.py.*RESOLVE_SCRIPT_API"):
        connect()


def test_windows_probes_in_another_process(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A library that takes the process down is met there, and named."""
    modules = tmp_path / "Modules"
    modules.mkdir()
    (modules / "DaVinciResolveScript.py").write_text("import os\nos.abort()\n")
    monkeypatch.setenv("RESOLVE_SCRIPT_API", str(tmp_path))
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(GraphError, match="crashes under this Python"):
        connect(platform="win32")
    (modules / "DaVinciResolveScript.py").write_text("def scriptapp(name):\n    return None\n")
    with pytest.raises(GraphError, match="does not answer"):
        connect(platform="win32")
    sys.modules.pop("DaVinciResolveScript", None)


def test_a_menu_script_hands_its_resolve_on() -> None:
    host = Host(version=(21, 0), studio=False)
    with connecting.given(host.resolve):
        assert connect().product == "DaVinci Resolve"


def test_unknown_names_arity_and_deadline() -> None:
    host = Host()
    resolve = connect(scriptapp=host.scriptapp, wait=0.3).resolve
    with pytest.raises(RenderError, match=r"this Resolve has no Resolve\.GetPojectManager"):
        resolve.call("GetPojectManager")
    assert host.violations == []  # it was seen before it was called
    with pytest.raises(RenderError, match=r"failed in Resolve\.OpenPage: .* 0 given"):
        resolve.call("OpenPage")
    with pytest.raises(RenderError, match=r"answered False to Resolve\.OpenPage"):
        resolve.do("OpenPage", "colour")
    began = time.monotonic()
    with pytest.raises(Hung, match=r"did not return from x within 0.1 s"):
        Caller(0.1)("x", time.sleep, (5,))
    assert time.monotonic() - began < 3


def test_the_stand_in_is_strict() -> None:
    host = Host()
    assert hasattr(host.resolve, "NoSuchThing") and host.resolve.NoSuchThing is None  # as on the real ones
    assert len(host.violations) == 2 and "NoSuchThing" not in dir(host.resolve)
    with pytest.raises(TypeError):
        host.resolve.GetVersion(1)
    host.page = "media"
    assert host.timelines[0].GetCurrentVideoItem() is None
    assert host.project.SetRenderSettings({"Typo": 1}) is False and host.project.GetSetting("typo") is None


def test_the_engine_reports_fails_and_stops(tmp_path: Path) -> None:
    document = tmp_path / "plate.toml"
    text = (
        'safelight = 1\n[nodes.p]\ntype = "Plate"\nwidth = 64\nheight = 36\nframes = %d\n'
        '[nodes.o]\ntype = "Write"\ninput = "p"\npath = "out/%s"\n'
    )
    document.write_text(text % (3, "p.####.exr"))
    shares: list[float] = []
    run_engine(document, lambda share, stage: shares.append(share), threading.Event())
    assert shares[-1] == 1 and len(list((tmp_path / "out").glob("*.exr"))) == 3
    document.write_text(text % (3, "p.exr"))
    with pytest.raises(RenderError, match="3 frames would all be written to one file"):
        run_engine(document, lambda share, stage: None, threading.Event())
    document.write_text(text % (5000, "q.####.exr"))
    cancel = threading.Event()
    with pytest.raises(Cancelled):
        run_engine(document, lambda share, stage: cancel.set(), cancel)
    made = [path for path in (tmp_path / "out").iterdir() if path.name.startswith(".q")]
    assert made == []  # no half frame


def test_remote_answers() -> None:
    class Odd:
        def Whole(self) -> float:  # noqa: N802
            return 3.0

        def Flag(self) -> bool:  # noqa: N802
            return True

    odd = Remote("Odd", Odd(), Caller(0))
    assert odd.whole("Whole") == 3
    with pytest.raises(RenderError, match=r"answered True to Odd\.Flag"):
        odd.whole("Flag")
