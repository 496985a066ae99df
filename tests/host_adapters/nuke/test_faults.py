"""Nuke answers False, None, [None], or not at all: one clear message, and the script as it was."""

from __future__ import annotations

import shutil
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.host_adapters.nuke.conftest import Nuke
from tests.stand_ins.nuke_like import NEVER

FAULTS = {"False": False, "None": None, "[None]": [None], "never": NEVER}
TELLS = {"nuke.message", "nuke.tprint"}
"""What messages are told with: nothing can be said when they fail."""
PROGRESS = {"ProgressTask.setProgress", "ProgressTask.setMessage", "ProgressTask.isCancelled", "nuke.ProgressTask"}
WAITS = {"nuke.execute", "nuke.executeInMainThread", "nuke.nodePaste"}
"""Calls that can keep somebody waiting; elsewhere `never` would be a Nuke that is dead."""


@pytest.fixture
def at_once(quick: Nuke, monkeypatch: pytest.MonkeyPatch) -> Nuke:
    """A Nuke with the engine's work done on the spot: thousands of renders, and none of them is about processes."""
    frames = quick.module("frames")

    def check(self: Any, document: str, text: str) -> dict[str, Any]:
        reads = [name for name, node in tomllib.loads(Path(document).read_text())["nodes"].items() if "missing" in node]
        return {"frames": text, "nodes": [{"name": name, "frames": text, "analysed": ""} for name in reads]}

    def render(self: Any, document: str, text: str, progress: Any, cancelled: Any) -> list[str]:
        nodes = tomllib.loads(Path(document).read_text())["nodes"]
        for frame in frames.parse(text):
            shutil.copyfile(nodes["Grade1"]["path"] % frame, nodes["safelight_out"]["path"] % frame)
            progress(50.0, "render")
            cancelled()
        return []

    engine = quick.module("engine").Engine
    monkeypatch.setattr(engine, "version", lambda self: version("safelight"))
    monkeypatch.setattr(engine, "check", check)
    monkeypatch.setattr(engine, "render", render)
    return quick


def _run(quick: Nuke) -> tuple[Any, Any]:
    """Return a node ready to be rendered, and the script before."""
    grade = quick.host.make("Grade", inputs=[quick.plate()])
    node = quick.node("Degrain", grade)
    quick.host.calls.clear()
    quick.host.messages.clear()
    return node, quick.host.snapshot()


def _calls_of_a_render(quick: Nuke) -> list[str]:
    node, _ = _run(quick)
    quick.render(node, "1003-1004")
    assert quick.host.messages == [] and node._knobs["safelight_key"]._value
    return sorted(set(quick.host.calls) - TELLS)


def _inject(quick: Nuke, name: str, fault: str, number: int, run: Any, good: Any) -> str:
    """Run with one fault; return the one message, "" where it did no harm."""
    node, before = run(quick)
    quick.host.faults = {name: FAULTS[fault]}
    quick.host.fault_at = number
    try:
        good(node, call=True)
        hit = quick.host.calls.count(name) >= number
    finally:
        quick.host.faults = {}
    place = f"{name} = {fault}, call {number}"
    assert hit or quick.host.messages == [], place
    if name == "Undo.enable":
        quick.host.undo_off = 0  # nobody can enable what does not let itself be enabled
    if name == "Group.end":
        del quick.host.context[1:]
    assert quick.host.undo_off == 0 and quick.host.tasks_open == 0 and len(quick.host.context) == 1, place
    left = [path.name for path in (quick.folder / "cache").rglob("*") if ".writing" in path.name]
    assert left == [], place
    if not quick.host.messages:
        if hit and not good(node, call=False):
            assert quick.host.snapshot() == before and quick.host.printed, f"{place}: nothing was done, nothing said"
        return ""
    assert len(quick.host.messages) == 1, f"{place}: {quick.host.messages}"
    (message,) = quick.host.messages
    assert "unexpected" not in message and "Traceback" not in message and len(message) > 20, f"{place}: {message}"
    assert quick.host.snapshot() == before, f"{place}: {message}"
    for one in list(quick.host.the_root._children):
        quick.host.do_delete(one)
    return message


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_in_a_render_ends_in_one_message_or_does_no_harm(
    at_once: Nuke, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = at_once
    names = _calls_of_a_render(quick)
    assert {"nuke.execute", "nuke.nodes.Write", "Node.setInput", "Knob.setValue", "Group.nodes"} <= set(names)
    monkeypatch.setattr(quick.module("panel"), "ANSWER", 0.5)

    def good(node: Any, *, call: bool) -> bool:
        if call:
            quick.render(node, "1003-1004")
        return bool(node._knobs["safelight_key"]._value) and bool(
            next(one for one in node._children if one._kind == "Read")._knobs["file"]._value
        )

    harmful = 0
    for name in names:
        if fault == "never" and name not in WAITS:
            continue
        for number in (1, 2, 7, 40):
            shutil.rmtree(quick.folder / "cache", ignore_errors=True)
            for one in list(quick.host.the_root._children):
                quick.host.do_delete(one)
            harmful += bool(_inject(quick, name, fault, number, _run, good))
    assert harmful >= (3 if fault != "never" else 1)


def test_a_main_thread_that_never_answers_is_spoken_of(at_once: Nuke, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = at_once
    monkeypatch.setattr(quick.module("panel"), "ANSWER", 0.3)
    node, before = _run(quick)
    quick.host.faults = {"nuke.executeInMainThread": NEVER}
    quick.render(node, "1003")
    assert quick.host.messages == [] and quick.host.snapshot() == before
    assert any("did not take the result of 'Degrain1'" in line for line in quick.host.printed)
    quick.host.faults = {}
    rendered = list(quick.host.rendered)
    quick.render(node, "1003")
    assert node._knobs["safelight_done"]._value == "1003" and quick.host.rendered == rendered


@pytest.mark.parametrize("fault", ["False", "None", "[None]"])
@pytest.mark.parametrize("what", ["make_read", "save_preset", "load_preset", "choose_space", "export", "import"])
def test_every_fault_behind_the_other_buttons_too(
    quick: Nuke, what: str, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel = quick.module("panel")
    preset, document = str(quick.folder / "a.safelight.json"), quick.folder / "d.toml"
    snippet = (quick.plugin / "safelight_nodes" / "Degrain.nk").read_text()
    # The engine makes the script of an import: here it has made it already.
    monkeypatch.setattr(
        quick.module("engine").Engine, "run", lambda self, arguments, **_: Path(arguments[-1]).write_text(snippet)
    )

    def run(quick: Nuke) -> tuple[Any, Any]:
        node = quick.node("Convert" if what == "choose_space" else "Degrain", quick.plate())
        if what == "make_read":
            node._knobs["safelight_key"]._do_setValue("x")
        if what in ("save_preset", "load_preset"):
            quick.host.gui = False
            panel.save_preset(node, preset)
            quick.host.gui = True
            node._knobs["sl_radius"]._do_setValue(4)
        node._knobs["selected"]._value = what == "export"
        document.unlink(missing_ok=True)
        quick.host.answers = [0, 1]
        quick.host.calls.clear()
        quick.host.messages.clear()
        return node, quick.host.snapshot()

    def good(node: Any, *, call: bool) -> bool:
        if call:
            if what == "export":
                panel.export_selection(str(document))
                if quick.host.messages and quick.host.messages[0].startswith("2 nodes are in"):
                    quick.host.messages.clear()
            elif what == "import":
                panel.import_document(str(document))
            elif what in ("save_preset", "load_preset"):
                getattr(panel, what)(node, preset)
            else:
                getattr(panel, what)(node)
            return True
        return {
            "make_read": lambda: any(one._do_name() == "Degrain1_result" for one in quick.host.the_root._children),
            "save_preset": lambda: True,
            "load_preset": lambda: node._knobs["sl_radius"]._value == 2,
            "choose_space": lambda: True,
            "export": lambda: document.exists(),
            "import": lambda: len(quick.host.the_root._children) == 3,
        }[what]()

    run(quick)
    node = quick.host.the_root._children[-1]
    good(node, call=True)
    names = sorted(set(quick.host.calls) - TELLS)
    assert quick.host.messages == [] and names
    for name in names:
        for number in (1, 3):
            for one in list(quick.host.the_root._children):
                quick.host.do_delete(one)
            _inject(quick, name, fault, number, run, good)
