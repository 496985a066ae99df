"""One render of one node: frames of Nuke's out, the engine, frames back in. Python 3.7, standard library and nuke.

    nodes of Nuke's  ->  raw float EXR  ->  engine  ->  raw float EXR  ->  Read inside the node

The steps are called one by one, all but `run_engine` on the main thread. Whatever fails, the script is as it was: what
is made for the time of a step is taken away again, and knobs change in the last step alone, all or none.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import safelight_colour
import safelight_config
import safelight_frames as frames_of
import safelight_graph
import safelight_hash
import safelight_names as names
import safelight_nodes
from safelight_engine import Engine, EngineError
from safelight_host import (
    HostError,
    Stopped,
    edition,
    feeding,
    full,
    knob_of,
    knob_value,
    listed,
    parent,
    put,
    replaced,
    result_of,
    root,
    text,
    thing,
    whole,
)
from safelight_toml import document_text

import nuke

OUT = "safelight_out"
_WRITE = (
    ("file_type", "exr"),
    ("channels", "all"),
    ("datatype", "32 bit float"),
    ("compression", "Zip (1 scanline)"),
    ("metadata", "all metadata"),
    ("raw", True),
)
_NC_SIZE = (1920, 1080)
"""Largest picture that Nuke Non-commercial writes."""


class Job:
    """A render of one node."""

    def __init__(self, node: Any, frames: str = "") -> None:
        self.name = full(node)
        self._frames = frames or text(node, names.FRAMES)
        self.frames: list[int] = []
        self.key = ""
        self.folder = ""
        self.document = ""
        self.notes: list[str] = []
        self._config = safelight_config.load()
        self._engine = Engine(self._config.engine, os.path.dirname(str(nuke.EXE_PATH)))
        self._feeds: dict[str, tuple[Any, str, int, int]] = {}
        """By name: node, folder of its frames, first and last frame."""

    def prepare(self) -> None:
        """Look at the graph, write its document; nothing is rendered yet."""
        node = self._node()
        _refuse_script()
        self.key, document, collected, _, self.folder = describe(node, self._config)
        for name, feed in collected.feeds.items():
            first, last = _range(feed)
            _refuse_size(feed)
            self._feeds[name] = (feed, document["nodes"][name]["folder"], first, last)
        try:
            self.frames = frames_of.parse(self._frames)
        except ValueError as error:
            raise HostError(f"'{node.name()}': {error}")
        if not self.frames and self._feeds:
            first, last = _range(next(iter(collected.feeds.values())))
            self.frames = list(range(first, last + 1))
        os.makedirs(self.folder, exist_ok=True)
        nodes = {
            name: {key: value for key, value in entry.items() if key != "folder"}
            for name, entry in document["nodes"].items()
        }
        self.document = os.path.join(self.folder, "graph.toml")
        remark = f"Made by {edition()} from '{self.name}' of {text(root(), 'name') or 'an unsaved script'}."
        replaced(self.document, document_text(nodes, document["sections"], remark))

    def write_inputs(self) -> int:
        """Write the frames of Nuke's that the engine needs and that are not there; return how many were written.

        One frame of each first, so that a wrong parameter is refused before a night of writing.
        """
        written = 0
        for name, (feed, folder, first, last) in self._feeds.items():
            start = min(max(self.frames[0], first), last) if self.frames else first
            written += _write(feed, folder, [start], name)
        asked = frames_of.engine_text(self.frames)
        found = self._engine.check(self.document, asked)
        if not self.frames:
            self.frames = _engine_frames(found["frames"])
        wanted = {row["name"]: row for row in found["nodes"]}
        for name, (feed, folder, _, _) in self._feeds.items():
            needed = set(_engine_frames(wanted[name]["frames"])) | set(_engine_frames(wanted[name]["analysed"]))
            written += _write(feed, folder, sorted(needed), name)
        return written

    def run_engine(self, progress: Callable[[float, str], None], cancelled: Callable[[], bool]) -> None:
        """Render. May be called on any thread."""
        asked = frames_of.engine_text(self.frames)
        self.notes = self._engine.render(self.document, asked, progress, cancelled)
        gone = [frame for frame in self.frames if not os.path.isfile(self.path(frame))]
        if gone:
            raise EngineError(f"the engine ended well, and frames {frames_of.nuke_text(gone)} are not in {self.folder}")

    def bring_back(self) -> None:
        """Point the Read inside the node at the frames."""
        node = self._node()
        read = result_of(node)
        done = set(self.frames)
        if text(node, names.KEY) == self.key:
            done |= set(frames_of.parse(text(node, names.DONE)))
        pattern = _pattern(self.folder)
        first, last = min(done), max(done)
        changes = [
            (read, "file", pattern),
            (read, "first", first),
            (read, "last", last),
            (read, "origfirst", first),
            (read, "origlast", last),
            (read, "raw", True),
            (read, "on_error", "error"),
            (node, names.KEY, self.key),
            (node, names.DONE, frames_of.nuke_text(sorted(done))),
        ]
        _all_or_none(changes)
        reload = knob_of(read, "reload")
        if reload is not None:
            reload.execute()

    def path(self, frame: int) -> str:
        """Return the file of one frame of the result."""
        return _frame(self.folder, frame)

    def _node(self) -> Any:
        node = thing(nuke.toNode(self.name), f"'{self.name}'")
        if node is None:
            raise HostError(f"'{self.name}' is not in the script any more; frames that were made lie in {self.folder}")
        return node


def describe(node: Any, config: Any) -> tuple[str, dict[str, Any], Any, Any, str]:
    """Return what a render of a node is made of: key, document, what was collected, colour, folder.

    The key is a hash of parameters, of everything above in the script, of the files it reads, and of the colour.
    """
    collected = safelight_graph.collect(node)
    sections = safelight_graph.sections()
    colour = colour_of(sections)
    sections = dict(sections, colour=dict(sections.get("colour", {}), config=colour.config))
    ground = safelight_hash.of_root(root(), config.common(os.environ.get("OCIO", "")))
    cache = cache_folder(config)
    nodes: dict[str, Any] = {}
    keys = {}
    for name, feed in collected.feeds.items():
        above, ours = safelight_hash.of_node(feed, config)
        _refuse_unrendered(feed, ours)
        keys[name] = safelight_hash.digest(ground, above, colour.space)
        folder = os.path.join(cache, "inputs", keys[name][:24])
        first, last = _range(feed)
        nodes[name] = {
            "type": "Read",
            "params": {
                "path": _pattern(folder),
                "colourspace": colour.space,
                "first": first,
                "last": last,
                "missing": "black",  # frames that no node asks for are not written
            },
            "folder": folder,
        }
    nodes.update(collected.nodes)
    specs = safelight_nodes.specs()
    paths, stamps = _paths(collected.nodes, specs, config)
    versions = {entry["type"]: specs[entry["type"]]["version"] for entry in collected.nodes.values()}
    times = safelight_hash.files(colour.config, config) if not colour.config.startswith("ocio://") else []
    ranges = {name: [nodes[name]["params"]["first"], nodes[name]["params"]["last"]] for name in keys}
    said = {title: table for title, table in sections.items() if title != "colour"}
    parts = [keys, ranges, paths, stamps, collected.target, versions, said, times, config.common(colour.config)]
    key = safelight_hash.digest(*parts)
    folder = os.path.join(cache, re.sub(r"[^A-Za-z0-9_]", "_", full(node)), key[:24])
    nodes[OUT] = {
        "type": "Write",
        "inputs": {"": collected.target},
        "params": {
            "path": _pattern(folder),
            "colourspace": colour.space,
            "datatype": "float",
            "compression": "zip",
        },
    }
    return key, {"nodes": nodes, "sections": sections}, collected, colour, folder


def _paths(nodes: dict[str, Any], specs: dict[str, Any], config: Any) -> tuple[dict[str, Any], list[Any]]:
    """Make the paths among parameters this machine's; return the nodes with those of all machines, and files' times."""
    shared: dict[str, Any] = {}
    stamps: list[Any] = []
    for name, entry in nodes.items():
        params = dict(entry["params"])
        for parameter in specs[entry["type"]]["parameters"]:
            path = params.get(parameter["name"])
            if parameter["kind"] == "path" and path:
                params[parameter["name"]] = config.common(path)
                entry["params"][parameter["name"]] = config.local(path)
                # What a node writes for people does not make its picture stale.
                stamps += safelight_hash.files(path, config) if parameter["picture"] else []
        shared[name] = dict(entry, params=params)
    return shared, stamps


def colour_of(sections: dict[str, dict[str, Any]]) -> safelight_colour.Colour:
    """Return the colour that a render works in: the settings node's config, else the script's."""
    named = sections.get("colour", {}).get("config")
    if named:
        return safelight_colour.Colour(safelight_config.load().local(str(named)), "scene_linear", "settings node")
    beside = os.path.dirname(str(nuke.EXE_PATH))
    local = safelight_config.load().local
    folders = [str(path) for path in listed(nuke.pluginPath(), "the plug-in folders")]
    folders += [os.path.join(beside, "plugins"), os.path.join(os.path.dirname(beside), "Resources")]
    try:
        return safelight_colour.of_script(lambda name: local(text(root(), name)), folders, safelight_config.HERE)
    except ValueError as error:
        raise HostError(str(error))


def cache_folder(config: Any) -> str:
    """Return where results go: SAFELIGHT_CACHE, the config's, beside the script, the machine's temporary folder."""
    script = text(root(), "name")
    if config.cache:
        return os.path.join(config.cache, re.sub(r"[^A-Za-z0-9_]", "_", os.path.basename(script)) or "unsaved")
    if script and os.path.isabs(script):
        return os.path.join(os.path.dirname(script), "safelight_cache")
    return os.path.join(os.environ.get("NUKE_TEMP_DIR") or tempfile.gettempdir(), "safelight_cache")


def _range(feed: Any) -> tuple[int, int]:
    what = f"the frame range of '{feed.name()}'"
    return whole(feed.firstFrame(), what), whole(feed.lastFrame(), what)


def _refuse_script() -> None:
    if root().proxy():
        raise HostError("the script is in proxy mode, and the frames would be small ones. Switch proxy off.")
    views = nuke.views()
    if not isinstance(views, list) or len(views) != 1:
        raise HostError(
            f"the script has the views {views!r}, and Safelight renders one. Keep one in Project Settings, Views."
        )


def _refuse_size(feed: Any) -> None:
    width, height = whole(feed.width(), "the width"), whole(feed.height(), "the height")
    if nuke.env.get("nc") and (width > _NC_SIZE[0] or height > _NC_SIZE[1]):
        raise HostError(
            f"Nuke Non-commercial writes no more than {_NC_SIZE[0]} x {_NC_SIZE[1]}, and '{feed.name()}' is "
            f"{width} x {height}: what reached the engine would not be your picture. Render the graph document outside "
            "Nuke (Safelight, Export selection)."
        )


def _refuse_unrendered(feed: Any, ours: list[Any]) -> None:
    for node in ours:
        if not text(node, names.KEY) and text(node, names.SHOW) == "result" and text(node, "disable") != "true":
            raise HostError(f"'{node.name()}' above '{feed.name()}' has no result yet. Render it first.")


def _engine_frames(words: str) -> list[int]:
    return frames_of.parse(words.replace(",", " ")) if words else []


def _write(feed: Any, folder: str, frames: list[int], name: str) -> int:
    """Write frames of a node as raw float EXR, those alone that are not there; whole files or none."""
    missing = [frame for frame in frames if not os.path.isfile(_frame(folder, frame))]
    if not missing:
        return 0
    os.makedirs(folder, exist_ok=True)
    work = tempfile.mkdtemp(prefix=".writing_", dir=folder)
    try:
        with _write_node(feed, _pattern(work)) as write:
            for first, last, step in frames_of.runs(missing):
                try:
                    nuke.execute(write, first, last, step)
                except RuntimeError as error:
                    if "cancel" in str(error).lower():
                        raise Stopped(f"stopped while '{feed.name()}' was written; nothing was changed")
                    raise HostError(f"Nuke could not render '{feed.name()}', frames {first}-{last}: {error}")
        for frame in missing:
            made = _frame(work, frame)
            if not os.path.isfile(made) or not os.path.getsize(made):
                raise HostError(
                    f"Nuke wrote no frame {frame} of '{feed.name()}' into {folder}. Is the disk full, or is it not "
                    "allowed to write there?"
                )
        for frame in missing:
            os.replace(_frame(work, frame), _frame(folder, frame))
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return len(missing)


@contextlib.contextmanager
def _write_node(feed: Any, pattern: str) -> Iterator[Any]:
    """Give a Write below a node for a moment; it leaves neither a trace in the script nor an entry to undo."""
    place = parent(feed)
    undo = thing(nuke.Undo(), "undo")
    if undo is None:
        raise HostError("Nuke gave no hold on undo, and a Write made for a moment would be seen there")
    write = None
    undo.disable()
    try:
        place.begin()
        try:
            write = thing(nuke.nodes.Write(), "a Write")
        finally:
            place.end()
        if write is None:
            raise HostError(f"Nuke made no Write node for '{feed.name()}'")
        put(write, "file", pattern)
        for knob, value in _WRITE:
            put(write, knob, value)
        write.setInput(0, feed)
        connected = feeding(write, 0)
        if connected is None or full(connected) != full(feed):
            raise HostError(f"Nuke did not connect a Write to '{feed.name()}'")
        yield write
    finally:
        try:
            if write is not None:
                nuke.delete(write)
        finally:
            undo.enable()


def _frame(folder: str, frame: int) -> str:
    return os.path.join(folder, f"frame.{frame:04d}.exr")


def _pattern(folder: str) -> str:
    return os.path.join(folder, "frame.%04d.exr").replace("\\", "/")


def _all_or_none(changes: list[tuple[Any, str, Any]]) -> None:
    """Set knobs; put all back where one does not take."""
    before = []
    try:
        for node, name, value in changes:
            knob = knob_of(node, name)
            before.append((knob, knob_value(knob) if knob is not None else None))
            put(node, name, value)
    except BaseException:
        for knob, value in reversed(before):
            if knob is not None:
                knob.setValue(value)
        raise
