"""What a result depends on, as a hash: knobs, nodes above, the files these read. Python 3.7."""

from __future__ import annotations

import hashlib
import json
import os
import re
from typing import Any

import nuke

import safelight_names as names
from safelight_host import HostError, listed, text

_LOOKS = frozenset(
    "name xpos ypos selected hide_input label note_font note_font_size note_font_color tile_color gl_color icon "
    "postage_stamp postage_stamp_frame cached bookmark dope_sheet indicators panel help autolabel onCreate onDestroy "
    "knobChanged updateUI lifetimeStart lifetimeEnd useLifetime rootNodeUpdated reload render Render".split()
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
        full = str(one.fullName())
        if full in hashes:
            continue
        feeds = _needed(one)
        if not ready and full not in started:
            started.add(full)
            waiting.append((one, True))
            waiting += [(up, False) for up in feeds if str(up.fullName()) not in started]
            continue
        if one.knob(names.KEY) is not None:
            ours[full] = one
        # A node that an expression leads back to stands with its name alone.
        above = [hashes.get(str(up.fullName()), str(up.fullName())) for up in feeds]
        hashes[full] = digest(_own(one, config), above)
    return hashes[str(node.fullName())], list(ours.values())


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
    found = [node.input(index) for index in range(int(node.inputs()))]
    known = [up for up in found if up is not None]
    names_known = {str(up.fullName()) for up in known}
    what = nuke.INPUTS | nuke.HIDDEN_INPUTS | nuke.EXPRESSIONS
    for up in listed(node.dependencies(what), f"what '{node.name()}' depends on"):
        if str(up.fullName()) not in names_known and up.Class() != "Root":
            known.append(up)
            names_known.add(str(up.fullName()))
    if node.Class() in ("Group", "Gizmo", "LiveGroup"):
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
        knob = knobs[name]
        if knob.Class() == "File_Knob":
            path = str(knob.getEvaluatedValue() or "")
            times = files(path, config) if path and node.Class() != "Write" else []
            written.append([name, config.common(path), times])
        else:
            written.append([name, str(knob.toScript())])
    connected = [index for index in range(int(node.inputs())) if node.input(index) is not None]
    return [str(node.Class()), written, connected]
