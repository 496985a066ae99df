"""What the buttons and the menu do. Every fault ends in one message; nothing else reaches Nuke. Python 3.7."""

from __future__ import annotations

import functools
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from typing import Any

import safelight_config
import safelight_frames as frames_of
import safelight_graph
import safelight_names as names
import safelight_nodes
import safelight_stale
from safelight_engine import Engine, EngineError, EngineStopped
from safelight_host import (
    HostError,
    Stopped,
    all_names,
    class_of,
    edition,
    full,
    knob_of,
    knob_value,
    listed,
    parent,
    put,
    result_of,
    say,
    take_away,
    text,
    thing,
)
from safelight_job import Job, colour_of
from safelight_toml import document_text
from safelight_values import text_of, value_of

import nuke

ANSWER = 60.0
"""Seconds that Nuke's main thread gets to take a result; a modal window can hold it up."""
_running: set[str] = set()
_looked_at: list[str] = []
PRESET = "*.safelight.json"


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn whatever goes wrong into one message."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return function(*args, **kwargs)
        except (Stopped, EngineStopped) as error:
            say(str(error) or "stopped")
        except Exception as error:
            say(words_of(error))
        return None

    return run


def words_of(error: BaseException) -> str:
    """Return an error as one message."""
    if isinstance(error, (HostError, EngineError, ValueError)):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    return (
        f"unexpected {type(error).__name__}: {error}. This is a fault of Safelight's plug-in; the script is unchanged."
    )


@guarded
def render(node: Any, frames: str = "") -> None:
    """Render a node's frames: beside Nuke where there is a GUI, so that work goes on; else here and now."""
    if not nuke.GUI:
        render_now(node, frames)
        return
    name = full(node)
    if name in _running:
        raise HostError(f"'{name}' is being rendered already. Cancel it in the progress window first.")
    job = _started(node, frames)
    _running.add(name)
    try:
        threading.Thread(target=_beside, args=(job,), name="safelight " + name, daemon=True).start()
    except BaseException:
        _running.discard(name)
        raise


def render_now(node: Any, frames: str = "") -> Job:
    """Render a node's frames and wait: for `nuke -t`, farms and scripts. Raises what went wrong."""
    job = _started(node, frames)
    said = [-10.0]

    def progress(percent: float, stage: str) -> None:
        if percent - said[0] >= 10 or (percent == 100 and said[0] != 100):
            said[0] = percent
            nuke.tprint(f"Safelight: {job.name}: {stage} {percent:.0f} %")

    job.run_engine(progress, lambda: False)
    _taken(job)
    return job


def _started(node: Any, frames: str) -> Job:
    _refresh()
    job = Job(node, frames)
    job.prepare()
    job.write_inputs()
    return job


def _beside(job: Job) -> None:
    """Run the engine on a thread of its own; hand the outcome to the main thread."""
    outcome: BaseException | None = None
    try:
        window = [thing(nuke.ProgressTask("Safelight: " + job.name), "a progress window")]
        if window[0] is None:
            raise HostError("Nuke opened no progress window, so that nobody could cancel. Start Nuke again.")

        def progress(percent: float, stage: str) -> None:
            window[0].setProgress(int(percent))
            window[0].setMessage(f"{stage}, frames {frames_of.nuke_text(job.frames)}")

        try:
            job.run_engine(progress, lambda: window[0].isCancelled() is True)
        finally:
            window.clear()  # deleting the task closes its window
    except BaseException as error:
        outcome = error
    answered = threading.Event()
    nuke.executeInMainThread(_finished, (job, outcome, answered))
    if not answered.wait(ANSWER):
        _running.discard(job.name)
        nuke.tprint(
            f"Safelight: Nuke did not take the result of '{job.name}' in {ANSWER:.0f} s; the frames lie in "
            f"{job.folder}. Press Render again: they are not made twice."
        )


def _finished(job: Job, outcome: BaseException | None, answered: threading.Event) -> None:
    answered.set()
    if job.name not in _running:
        return  # it was given up
    _running.discard(job.name)
    _after(job, outcome)


@guarded
def _after(job: Job, outcome: BaseException | None) -> None:
    if isinstance(outcome, EngineStopped):
        whole = sum(os.path.isfile(job.path(frame)) for frame in job.frames)
        raise Stopped(f"'{job.name}' was stopped: {whole} of {len(job.frames)} frames are whole and will be kept")
    if outcome is not None:
        raise outcome
    _taken(job)


def _taken(job: Job) -> None:
    job.bring_back()
    node = nuke.toNode(job.name)
    safelight_stale.mark(node)
    for note in job.notes:
        nuke.tprint(f"Safelight: {job.name}: {note}")


@guarded
def make_read(node: Any) -> Any:
    """Put a Read of the result beside a node."""
    inside = result_of(node)
    if not text(node, names.KEY):
        raise HostError(f"'{node.name()}' has no result yet. Render it first.")
    place = parent(node)
    read = None
    place.begin()
    try:
        read = thing(nuke.nodes.Read(), "a Read")
        if read is None:
            raise HostError(f"Nuke made no Read beside '{node.name()}'")
        put(read, "file", text(inside, "file"))
        for name in ("first", "last", "origfirst", "origlast"):
            put(read, name, knob_value(knob_of(inside, name)))
        put(read, "raw", True)
        put(read, "before", "black")
        put(read, "after", "black")
        put(read, "on_error", "error")
        name = full(node).rpartition(".")[2] + "_result"
        read.setName(name)
        if not full(read).rpartition(".")[2].startswith(name):
            raise HostError(f"Nuke did not name the Read '{name}'")
        read.setXYpos(int(text(node, "xpos")) + 120, int(text(node, "ypos")))
    except BaseException:
        if read is not None:
            nuke.delete(read)
        raise
    finally:
        place.end()
    return read


@guarded
def save_preset(node: Any, path: str = "") -> None:
    """Keep a node's parameters in a file."""
    spec = safelight_nodes.spec_of(node)
    values = safelight_graph.parameters(node, spec)
    path = path or _asked("Save preset", PRESET)
    if not path:
        return
    if not path.endswith(".json"):
        path += PRESET[1:]
    data = {"safelight_preset": 1, "type": spec["id"], "version": spec["version"], "parameters": values}
    with open(path + ".tmp", "w", encoding="utf-8") as stream:
        json.dump(data, stream, indent=1, ensure_ascii=False)
        stream.write("\n")
    os.replace(path + ".tmp", path)


@guarded
def load_preset(node: Any, path: str = "") -> None:
    """Take a node's parameters from a file: all that it names, or none."""
    spec = safelight_nodes.spec_of(node)
    path = path or _asked("Load preset", PRESET)
    if not path:
        return
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
        kind, values = data["type"], dict(data["parameters"])
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"{path} is no preset: {error}")
    if kind != spec["id"]:
        raise HostError(f"{path} is a preset of {kind}, and '{node.name()}' is a {spec['id']}")
    known = {parameter["name"]: parameter for parameter in spec["parameters"]}
    strange = [name for name in values if name not in known]
    if strange:
        raise HostError(f"{path}: {kind} has no parameter {', '.join(strange)}")
    changes = []
    for name, value in values.items():
        value_of(known[name], value)  # refuses what cannot be meant, before anything is changed
        knob = knob_of(node, names.PREFIX + name)
        if knob is None:
            raise HostError(f"'{node.name()}' has no knob for {name}. Make the node anew from the Safelight menu.")
        number = class_of(knob) in ("Double_Knob", "Int_Knob", "Boolean_Knob")
        changes.append((knob, value if number else text_of(known[name], value), knob_value(knob)))
    for knob, value, _ in changes:
        knob.setValue(value)
    wrong = [knob.name() for knob, value, _ in changes if knob.value() != value]
    if wrong:
        for knob, _, old in changes:
            knob.setValue(old)
        raise HostError(f"'{node.name()}' did not take {', '.join(wrong)} of {path}; nothing was changed")


@guarded
def choose_space(node: Any) -> None:
    """Let a person choose one of the script's colour spaces for a knob."""
    spec = safelight_nodes.spec_of(node)
    knobs = [parameter["name"] for parameter in spec["parameters"] if parameter["kind"] == "colourspace"]
    found = nuke.getOcioColorSpaces()
    if not isinstance(found, list) or not found or not all(isinstance(space, str) for space in found):
        raise HostError(f"Nuke answered {found!r} when asked for the colour spaces. Type the name into the knob.")
    knob = _chosen("for", knobs) if len(knobs) > 1 else knobs[0]
    space = _chosen(knob, ["auto", *found]) if knob else ""
    if space:
        put(node, names.PREFIX + knob, space)


@guarded
def export_selection(path: str = "") -> None:
    """Write the selected nodes as a graph document."""
    nodes, left = safelight_graph.selection(listed(nuke.selectedNodes(), "the selected nodes"))
    sections = safelight_graph.sections()
    colour = colour_of(sections)
    sections["colour"] = dict(sections.get("colour", {}), config=colour.config)
    path = path or _asked("Export graph document", "*.toml")
    if not path:
        return
    path = path if path.endswith(".toml") else path + ".toml"
    with open(path + ".tmp", "w", encoding="utf-8") as stream:
        stream.write(document_text(nodes, sections, f"Exported from {edition()}."))
    os.replace(path + ".tmp", path)
    words = f"{len(nodes)} nodes are in {path}."
    say(words + (f" Left out, as Safelight has no such node: {', '.join(left)}." if left else ""))


@guarded
def import_document(path: str = "") -> None:
    """Make nodes of a graph document."""
    path = path or _asked("Import graph document", "*.toml")
    if not path:
        return
    work = tempfile.mkdtemp(prefix="safelight_")
    before = all_names()
    try:
        made = os.path.join(work, "graph.nk").replace("\\", "/")
        _engine().run(["nuke", "import", path, "--output", made])
        pasted = nuke.nodePaste(made)
        if thing(pasted, "the pasted nodes") is None:
            raise HostError(f"Nuke made no nodes of {path} (nuke.nodePaste answered {pasted!r})")
    except BaseException:
        take_away(before)
        raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


@guarded
def create(name: str) -> Any:
    """Make a node from the menu."""
    node = safelight_nodes.create(name)
    if knob_of(node, names.COLOUR) is not None:
        safelight_stale.mark(node)
    return node


@guarded
def check_results() -> None:
    """Hold every result against the script, and say which are stale."""
    stale = safelight_stale.check_all()
    say(f"Stale: {', '.join(stale)}." if stale else "No result of Safelight's is stale.")


@guarded
def about() -> None:
    """Say which engine, which edition, which colour."""
    config = safelight_config.load()
    made = safelight_nodes.load()["version"]
    say(
        f"Safelight {_engine().version()} ({' '.join(config.engine)}), menu made by {made}.\n"
        f"{edition()} {nuke.NUKE_VERSION_STRING}.\nColour: {colour_of(safelight_graph.sections())}."
    )


def _engine() -> Engine:
    return Engine(safelight_config.load().engine, os.path.dirname(str(nuke.EXE_PATH)))


def _refresh() -> None:
    """Once a session, let an engine of another version write the menu anew; say so where it cannot."""
    if _looked_at:
        return
    version, made = _engine().version(), str(safelight_nodes.load()["version"])
    _looked_at.append(version)
    if version == made:
        return
    try:
        _engine().run(["nuke", "install", "--to", safelight_config.HERE])
        safelight_nodes.forget()
        nuke.tprint(f"Safelight: the menu was made by {made} and now by {version}; it shows at Nuke's next start.")
    except EngineError as error:
        nuke.tprint(
            f"Safelight: the menu was made by {made}, the engine is {version}, and it cannot be renewed: {error}"
        )


def _chosen(prompt: str, options: list[str]) -> str:
    """Let a person choose; "" where nothing was chosen."""
    number = nuke.choice("Colour space", prompt, options)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number < len(options):
        return ""
    return options[number]


def _asked(title: str, pattern: str) -> str:
    if not nuke.GUI:
        raise HostError(f"{title}: give the path, as there is nobody to ask")
    found = nuke.getFilename(title, pattern)
    return found if isinstance(found, str) else ""
