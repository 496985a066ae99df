"""Nuke's answers, looked at before they are believed. Python 3.7, standard library and nuke only."""

from __future__ import annotations

import os
from typing import Any, Iterator

import nuke

import safelight_names as names


class HostError(Exception):
    """Something went wrong that a person should read of; one sentence, and what to do."""


class Stopped(Exception):
    """Somebody asked for it."""


def edition() -> str:
    """Return the edition of Nuke by name."""
    if nuke.env.get("nc"):
        return "Nuke Non-commercial"
    if nuke.env.get("indie"):
        return "Nuke Indie"
    return "Nuke"


def say(text: str) -> None:
    """Show a message: a box where there is a GUI, a line of log elsewhere."""
    if nuke.GUI:
        nuke.message(text)
    else:
        nuke.tprint("Safelight: " + text)


def text(node: Any, name: str) -> str:
    """Return a knob's value as text; "" where there is no such knob. Paths come evaluated, with %04d for the frame."""
    knob = node.knob(name)
    if knob is None:
        return ""
    value = knob.getEvaluatedValue() if knob.Class() == "File_Knob" else knob.value()
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)


def put(node: Any, name: str, value: Any) -> None:
    """Set a knob, and see that it took the value."""
    knob = node.knob(name)
    if knob is None:
        raise HostError(f"'{node.name()}' ({node.Class()}) has no knob '{name}' in this Nuke")
    knob.setValue(value)
    found = knob.value()
    if found != value and not (isinstance(value, str) and str(found).strip() == value.strip()):
        raise HostError(f"'{node.name()}' did not take {name} = {value!r}: it says {found!r}")


def listed(value: Any, what: str) -> list[Any]:
    """Return a list of nodes that Nuke gave, or refuse what is none."""
    if not isinstance(value, (list, tuple)) or any(item is None for item in value):
        raise HostError(f"Nuke answered {value!r} when asked for {what}. Save the script and start Nuke again.")
    return list(value)


def whole(value: Any, what: str) -> int:
    """Return a whole number that Nuke gave, or refuse what is none."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise HostError(f"Nuke answered {value!r} when asked for {what}. Save the script and start Nuke again.")
    return int(value)


def kind_of(node: Any) -> str:
    """Return the Safelight type of a node; "" for others."""
    return text(node, names.TYPE)


def parent(node: Any) -> Any:
    """Return the group that a node is in, or the root."""
    place = str(node.fullName()).rpartition(".")[0]
    found = nuke.toNode(place) if place else nuke.root()
    if found is None:
        raise HostError(f"Nuke does not find '{place or 'root'}', which holds '{node.name()}'")
    return found


def result_of(group: Any) -> Any:
    """Return the Read inside one of our groups."""
    for node in listed(group.nodes(), f"the nodes in '{group.name()}'"):
        if node.name() == names.RESULT and node.Class() == "Read":
            return node
    raise HostError(
        f"'{group.name()}' has no Read named '{names.RESULT}' inside. Make the node anew from the Safelight menu."
    )


def walk_up(node: Any) -> Iterator[tuple[Any, int]]:
    """Yield the nodes feeding a node, with the number of the input."""
    for index in range(whole(node.inputs(), f"the inputs of '{node.name()}'")):
        up = node.input(index)
        if up is not None:
            yield up, index


def replaced(path: str, content: str) -> None:
    """Write a small text file whole or not at all; one that says the same already is left alone."""
    try:
        with open(path, encoding="utf-8") as stream:
            if stream.read() == content:
                return
    except (OSError, ValueError):
        pass
    temporary = f"{path}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as stream:
        stream.write(content)
    os.replace(temporary, path)
