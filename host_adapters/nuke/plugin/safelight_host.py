"""Nuke's answers, looked at before they are believed. Python 3.7, standard library and nuke only."""

from __future__ import annotations

import os
from typing import Any

import safelight_names as names

import nuke

_TEXTS = ("Enumeration_Knob", "Text_Knob", "Channel_Knob")


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


def thing(value: Any, what: str) -> Any:
    """Return a node or knob that Nuke gave, or None; refuse what is neither."""
    if value is None or not isinstance(value, (bool, int, float, str, list, tuple, dict)):
        return value
    raise HostError(f"Nuke answered {value!r} when asked for {what}. Save the script and start Nuke again.")


def word(value: Any, what: str) -> str:
    """Return a name that Nuke gave, or refuse what is none."""
    if not isinstance(value, str) or not value:
        raise HostError(f"Nuke answered {value!r} when asked for {what}. Save the script and start Nuke again.")
    return value


def root() -> Any:
    """Return the root of the script."""
    found = thing(nuke.root(), "the script's root")
    if found is None:
        raise HostError("Nuke has no script open")
    return found


def full(node: Any) -> str:
    """Return a node's name with the groups that it is in."""
    return word(node.fullName(), "a node's full name")


def class_of(node: Any) -> str:
    """Return a node's class."""
    return word(node.Class(), "a node's class")


def knob_of(node: Any, name: str) -> Any:
    """Return a knob, None where there is none of that name."""
    return thing(node.knob(name), f"the knob '{name}'")


def feeding(node: Any, index: int) -> Any:
    """Return what feeds an input, None where nothing does."""
    return thing(node.input(index), f"input {index} of a node")


def knob_value(knob: Any) -> Any:
    """Return a knob's value; a path evaluated, with %04d for the frame."""
    kind = word(knob.Class(), "a knob's class")
    if kind == "File_Knob":
        value = knob.getEvaluatedValue()
        return word(value, "a path") if value not in ("", None) else ""
    value = knob.value()
    wanted = str if kind.endswith("String_Knob") or kind in _TEXTS else (str, bool, int, float)
    if not isinstance(value, wanted):
        raise HostError(f"Nuke answered {value!r} when asked for a knob's value. Save the script and start Nuke again.")
    return value


def text(node: Any, name: str) -> str:
    """Return a knob's value as text; "" where there is no such knob."""
    knob = knob_of(node, name)
    if knob is None:
        return ""
    value = knob_value(knob)
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def put(node: Any, name: str, value: Any) -> None:
    """Set a knob, and see that it took the value."""
    knob = knob_of(node, name)
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
    place = full(node).rpartition(".")[0]
    found = thing(nuke.toNode(place), "a group") if place else root()
    if found is None:
        raise HostError(f"Nuke does not find '{place or 'root'}', which holds '{node.name()}'")
    return found


def result_of(group: Any) -> Any:
    """Return the Read inside one of our groups."""
    for node in listed(group.nodes(), f"the nodes in '{group.name()}'"):
        if node.name() == names.RESULT and class_of(node) == "Read":
            return node
    raise HostError(
        f"'{group.name()}' has no Read named '{names.RESULT}' inside. Make the node anew from the Safelight menu."
    )


def all_names(place: Any = None) -> set[str]:
    """Return the full names of all nodes of a group, of the current one by default."""
    found = nuke.allNodes(group=place) if place is not None else nuke.allNodes()
    return {full(node) for node in listed(found, "all nodes")}


def take_away(before: set[str]) -> None:
    """Delete the nodes that were not there before: what is left of a paste that went wrong.

    Non-commercial does not show a script all of its nodes at once, so there nobody's node is put at risk.
    """
    if nuke.env.get("nc"):
        return
    for node in nuke.allNodes() or ():
        if node is not None and full(node) not in before:
            nuke.delete(node)


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
