"""Results that were made from something else than what is there now: found, shown, spoken of. Python 3.7."""

from __future__ import annotations

import threading
from typing import Any

import safelight_config
import safelight_job
import safelight_names as names
from safelight_engine import EngineError
from safelight_host import HostError, class_of, feeding, full, knob_of, listed, text, whole

import nuke

DELAY = 0.7
"""Seconds after the last change of a knob until results are held against the script."""
_QUIET = frozenset(
    ["xpos", "ypos", "selected", "label", "note_font", "tile_color", "gl_color", "hide_input", "postage_stamp", "panel"]
)
_timer: list[threading.Timer] = []
_TILES = {names.FRESH: names.FRESH_TILE, names.STALE: names.STALE_TILE, names.EMPTY: names.EMPTY_TILE}


class StaleResult(Exception):
    """A render of the script would use a result that is not up to date, and the node says it must not."""


def groups() -> list[Any]:
    """Return the Safelight nodes that can have a result."""
    found = listed(nuke.allNodes("Group", recurseGroups=True), "all groups")
    return [node for node in found if knob_of(node, names.KEY) is not None]


def state_of(node: Any) -> tuple[str, str]:
    """Return the state of a node's result, and why it is so."""
    if not text(node, names.KEY):
        return names.EMPTY, ""
    try:
        key = safelight_job.describe(node, safelight_config.load())[0]
    except (HostError, EngineError, ValueError) as error:
        return names.STALE, str(error)
    return (
        (names.FRESH, "")
        if key == text(node, names.KEY)
        else (names.STALE, "knobs, input, files, colour or the node's version changed")
    )


def mark(node: Any) -> str:
    """Show a node's state on it: label, tile colour, status. Return the state."""
    state, why = state_of(node)
    done = text(node, names.DONE)
    shown = {names.FRESH: f"frames {done}", names.STALE: f"{names.STALE} ({why}); frames {done}"}.get(state, state)
    for name, value in ((names.STATE, state), ("tile_color", _TILES[state]), (names.STATUS, shown)):
        knob = knob_of(node, name)
        if knob is not None and knob.value() != value:
            knob.setValue(value)
    knob = knob_of(node, names.COLOUR)
    if knob is not None:
        try:
            colour = str(safelight_job.colour_of(safelight_job.safelight_graph.sections()))
        except HostError as error:
            colour = str(error)
        if knob.value() != colour:
            knob.setValue(colour)
    return state


def check_all() -> list[str]:
    """Look at every result; return the names of those that are stale."""
    return [full(node) for node in groups() if mark(node) == names.STALE]


def knob_changed() -> None:
    """Called by Nuke on every change: look again when it has been quiet for a moment."""
    knob = nuke.thisKnob()
    if knob is None or knob.name() in _QUIET or knob.name().startswith("safelight_"):
        return
    for old in _timer:
        old.cancel()
    timer = threading.Timer(DELAY, lambda: nuke.executeInMainThread(look_quietly))
    timer.daemon = True
    _timer[:] = [timer]
    timer.start()


def look_quietly() -> None:
    """Look at every result; a fault is a line of log."""
    try:
        check_all()
    except Exception as error:  # a look in passing never disturbs work; Render and Check results say it aloud
        nuke.tprint(f"Safelight could not look at its results: {error}")


def before_render() -> None:
    """Called by Nuke before a Write renders, on farm machines too: say which results above it are stale.

    Raises StaleResult, which stops the render, where a node says `if stale: stop`; never for another reason.
    """
    stop = []
    try:
        for node in _above(nuke.thisNode()):
            if text(node, names.SHOW) != "result" or text(node, "disable") == "true":
                continue
            state, why = state_of(node)
            if state != names.STALE:
                continue
            words = f"the result of '{full(node)}' is stale ({why}). Render it again."
            nuke.tprint("Safelight: " + words)
            if text(node, names.ON_STALE) == "stop":
                stop.append(words)
    except Exception as error:
        nuke.tprint(f"Safelight could not look at its results, and the render goes on: {error}")
    if stop:
        raise StaleResult(" ".join(stop))


def _above(node: Any) -> list[Any]:
    found, seen, waiting = [], set(), [node]
    while waiting:
        one = waiting.pop()
        if one is None or full(one) in seen:
            continue
        seen.add(full(one))
        if class_of(one) == "Group" and knob_of(one, names.KEY) is not None:
            found.append(one)
        waiting += [feeding(one, index) for index in range(whole(one.inputs(), "a node's inputs"))]
    return found
