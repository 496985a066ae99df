"""What a result depends on, as a hash: knobs, nodes above, the files these read. Python 3.7."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any

import safelight_names as names
from safelight_host import HostError, class_of, feeding, full, knob_of, knob_value, listed, text, thing, whole, word

import nuke

_LOOKS = frozenset(
    """
    name xpos ypos selected hide_input label note_font note_font_size note_font_color tile_color gl_color icon
    postage_stamp postage_stamp_frame cached bookmark dope_sheet indicators panel help autolabel onCreate onDestroy
    knobChanged updateUI rootNodeUpdated reload render Render
    """.split()  # noqa: SIM905
)
_OURS = frozenset(
    (names.STATE, names.STATUS, names.COLOUR, names.KEY, names.DONE, names.FRAMES, names.ON_STALE, names.NAME)
)
_ROOT = ("colorManagement", "OCIO_config", "customOCIOConfigPath", "workingSpaceLUT", "format")
_NUMBER = re.compile(r"(%0?\d*d|#+)")


def digest(*parts: Any) -> str:
    """Return a hash of plain data."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode("utf-8")).hexdigest()


def of_root(root: Any, env_ocio: str) -> str:
    """Return a hash of what every node's picture depends on."""
    return digest([(name, text(root, name)) for name in _ROOT], env_ocio)


def of_node(node: Any, config: Any) -> tuple[str, list[Any]]:
    """Return a hash of all that a node's picture depends on, and the Safelight groups among it."""
    hashes: dict[str, str] = {}
    ours: dict[str, Any] = {}
    waiting = [(node, False)]
    started = set()
    while waiting:
        one, ready = waiting.pop()
        place = full(one)
        if place in hashes:
            continue
        feeds = _needed(one)
        if not ready and place not in started:
            started.add(place)
            waiting.append((one, True))
            waiting += [(up, False) for up in feeds if full(up) not in started]
            continue
        if knob_of(one, names.KEY) is not None:
            ours[place] = one
        # A node that an expression leads back to stands with its name alone.
        above = [hashes.get(full(up), full(up)) for up in feeds]
        hashes[place] = digest(_own(one, config), above)
    return hashes[full(node)], list(ours.values())


def files(path: str, config: Any) -> list[Any]:
    """Return name, size and time of every file that a path or pattern of frames stands for."""
    path = config.local(path)
    folder, base = os.path.split(path)
    match = _NUMBER.search(base)
    if not match:
        stat = _stat(path)
        return [[config.common(path), *stat]] if stat else []
    wanted = re.compile(re.escape(base[: match.start()]) + r"-?\d+" + re.escape(base[match.end() :]) + "$")
    found = []
    try:
        with os.scandir(folder or ".") as entries:
            for entry in entries:
                if wanted.match(entry.name):
                    stat = _stat(entry.path)
                    if stat:
                        found.append([entry.name, *stat])
    except OSError:
        return []
    return [config.common(folder), sorted(found)]


def _stat(path: str) -> list[int]:
    try:
        stat = os.stat(path)
    except OSError:
        return []
    return [stat.st_size, int(stat.st_mtime)]


def _needed(node: Any) -> list[Any]:
    """Return the nodes that a node's picture hangs on, inputs first and in order."""
    found = [feeding(node, index) for index in range(whole(node.inputs(), "a node's inputs"))]
    known = [up for up in found if up is not None]
    names_known = {full(up) for up in known}
    what = nuke.INPUTS | nuke.HIDDEN_INPUTS | nuke.EXPRESSIONS
    for up in listed(node.dependencies(what), f"what '{node.name()}' depends on"):
        if full(up) not in names_known and class_of(up) != "Root":
            known.append(up)
            names_known.add(full(up))
    if class_of(node) in ("Group", "Gizmo", "LiveGroup"):
        known += listed(node.nodes(), f"the nodes in '{node.name()}'")
    return known


def _own(node: Any, config: Any) -> list[Any]:
    """Return a node's class, knobs, connections and the times of the files it reads."""
    knobs = node.knobs()
    if not isinstance(knobs, dict):
        raise HostError(f"Nuke answered {knobs!r} when asked for the knobs of '{node.name()}'")
    written = []
    for name in sorted(knobs):
        if name in _LOOKS or name in _OURS:
            continue
        knob = thing(knobs[name], f"the knob '{name}'")
        if class_of(knob) == "File_Knob":
            path = str(knob_value(knob))
            times = files(path, config) if path and class_of(node) != "Write" else []
            written.append([name, config.common(path), times])
        else:
            written.append([name, word(knob.toScript(), f"the text of the knob '{name}'")])
    count = whole(node.inputs(), "a node's inputs")
    connected = [index for index in range(count) if feeding(node, index) is not None]
    return [class_of(node), written, connected]
