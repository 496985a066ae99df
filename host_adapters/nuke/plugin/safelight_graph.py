"""Live nodes as a graph document: Safelight's own, and the nodes of Nuke's that feed them. Python 3.7."""

from __future__ import annotations

import json
import re
from typing import Any

import safelight_files
import safelight_names as names
import safelight_nodes
from safelight_host import HostError, class_of, feeding, full, kind_of, knob_of, knob_value, listed, root, text, word
from safelight_values import value_of

import nuke

_THROUGH = ("Dot", "NoOp")


class Collected:
    """Safelight nodes above one, by name in the document."""

    def __init__(self) -> None:
        self.nodes: dict[str, dict[str, Any]] = {}
        self.feeds: dict[str, Any] = {}
        """Nodes of Nuke's that feed them, by the name of the Read that will stand for them."""
        self.target = ""
        """Name, with output, of what was asked for."""
        self._names: dict[str, str] = {}

    def name_for(self, node: Any) -> tuple[str, bool]:
        """Return a node's name in the document, and whether it is new there."""
        place = full(node)
        if place in self._names:
            return self._names[place], False
        base = re.sub(r"[^A-Za-z0-9_]", "_", place)
        made, number = base, 2
        while made in self._names.values():
            made, number = f"{base}_{number}", number + 1
        self._names[place] = made
        return made, True


def collect(target: Any) -> Collected:
    """Return all Safelight nodes that one hangs on, and what of Nuke's feeds them.

    Raises HostError for inputs that are missing and values that cannot be meant.
    """
    found = Collected()
    source, output = _through(target)
    if source is None or kind_of(source) not in safelight_nodes.specs():
        raise HostError(f"'{target.name()}' stands for no Safelight node. Choose a node from the Safelight menu.")
    waiting = [source]
    while waiting:
        node = waiting.pop()
        name, new = found.name_for(node)
        if not new and name in found.nodes:
            continue
        spec = safelight_nodes.spec_of(node)
        links = {}
        for index, port in enumerate(spec["inputs"]):
            up, asked = _through(feeding(node, index))
            if up is None:
                if not port["optional"]:
                    raise HostError(f"the input '{port['name']}' of '{node.name()}' is not connected")
                continue
            label, _ = found.name_for(up)
            links[port["name"]] = label + (f".{asked}" if asked else "")
            if kind_of(up) in safelight_nodes.specs() and class_of(up) == "Group":
                if label not in found.nodes:
                    waiting.append(up)
            else:
                found.feeds[label] = up
        found.nodes[name] = {"type": spec["id"], "params": parameters(node, spec), "inputs": links}
    found.target = found.name_for(source)[0] + (f".{output}" if output else "")
    return found


def selection(nodes: list[Any]) -> tuple[dict[str, Any], list[str]]:
    """Return a selection as nodes of a document, and what of it had to be left out, in words.

    Raises HostError where a Safelight node is fed by one that a document cannot hold.
    """
    specs = safelight_nodes.specs()
    found = Collected()
    nodes = [node for node in nodes if text(node, "disable") != "true"]
    ours = [node for node in nodes if kind_of(node) in specs or class_of(node) in ("Read", "Write")]
    if not any(kind_of(node) in specs for node in ours):
        raise HostError("no Safelight node is selected. Select nodes that were made from the Safelight menu.")
    left = [
        f"{node.name()} ({class_of(node)})"
        for node in nodes
        if node not in ours and not kind_of(node) and class_of(node) not in _THROUGH
    ]
    made = {}
    for node in ours:
        kind = kind_of(node) or class_of(node)
        if kind not in specs:
            raise HostError(f"'{full(node)}' is no Safelight node. Choose one from the Safelight menu.")
        spec = specs[kind]
        links = {}
        for index, port in enumerate(spec["inputs"]):
            up, asked = _through(feeding(node, index))
            if up is None:
                continue
            if not (kind_of(up) in specs or class_of(up) == "Read"):
                raise HostError(
                    f"'{node.name()}' is fed by '{up.name()}', a {class_of(up)} of Nuke's, which no document can hold. "
                    "Render it to files and read these, or use Render on the node, which does so by itself."
                )
            if not any(full(up) == full(other) for other in ours):
                ours.append(up)
            links[port["name"]] = found.name_for(up)[0] + (f".{asked}" if asked else "")
        params = parameters(node, spec)
        if kind in ("Read", "Write"):
            own = {} if kind_of(node) else safelight_files.parameters(kind, lambda name, node=node: text(node, name))
            params = dict(own, **params)
            params["path"] = _path(node)
            if not params["path"]:
                raise HostError(f"'{node.name()}' names no file")
        made[found.name_for(node)[0]] = {"type": spec["id"], "params": params, "inputs": links}
    return made, left


def parameters(node: Any, spec: dict[str, Any]) -> dict[str, Any]:
    """Return what a node's knobs say, as parameters; refuse a knob whose parameter is no more."""
    known = {names.PREFIX + parameter["name"] for parameter in spec["parameters"]}
    knobs = node.knobs()
    if not isinstance(knobs, dict):
        raise HostError(f"Nuke answered {knobs!r} when asked for the knobs of '{full(node)}'. Start Nuke again.")
    gone = sorted(name[len(names.PREFIX) :] for name in knobs if name.startswith(names.PREFIX) and name not in known)
    if gone:
        raise HostError(
            f"'{full(node)}' was made by another version: {spec['id']} has no parameter {', '.join(gone)}. "
            "Make the node anew from the Safelight menu."
        )
    found = {}
    for parameter in spec["parameters"]:
        knob = knob_of(node, names.PREFIX + parameter["name"])
        if knob is None:
            continue
        if class_of(knob) in ("Double_Knob", "Int_Knob", "Boolean_Knob") and (
            knob.isAnimated() or knob.hasExpression()
        ):
            raise HostError(
                f"{parameter['name']} of '{node.name()}' is animated or an expression. "
                "A parameter holds for the whole shot: set it to one value."
            )
        try:
            found[parameter["name"]] = value_of(parameter, knob_value(knob))
        except (TypeError, ValueError) as error:
            raise HostError(f"'{node.name()}': {error}")
    return found


def _path(node: Any) -> str:
    """Return the files of a Read or Write as they are written, worked out by Nuke only where they must be."""
    knob = knob_of(node, "file")
    written = word(knob.value(), "a path") if knob is not None and knob.value() else ""
    return written if not re.search(r"[\\\[$]", written) else text(node, "file")


def sections() -> dict[str, dict[str, Any]]:
    """Return what the script's settings node says of a document beside its nodes; nothing where there is none."""
    found = [
        node for node in listed(nuke.allNodes("NoOp", root()), "all nodes") if kind_of(node) == names.SETTINGS_TYPE
    ]
    if not found:
        return {}
    if len(found) > 1:
        raise HostError(
            f"there are {len(found)} Safelight settings nodes ({', '.join(str(node.name()) for node in found)}). "
            "Keep one of them."
        )
    node = found[0]
    try:
        made = json.loads(text(node, names.REST) or "{}")
        cuts = [int(part) for part in text(node, names.CUTS).replace(",", " ").split()]
        for table in made.values():
            table.keys()
    except (ValueError, AttributeError) as error:
        raise HostError(f"the settings in '{node.name()}' cannot be read: {error}")
    if cuts:
        made.setdefault("shot", {})["cuts"] = cuts
    if text(node, names.CONFIG):
        made.setdefault("colour", {})["config"] = text(node, names.CONFIG)
    return dict(made)


def _through(node: Any) -> tuple[Any, str]:
    """Return the node that counts, and which output of it: dots, disabled nodes and Outputs are looked through."""
    output = ""
    while node is not None:
        kind = kind_of(node)
        if kind == names.OUTPUT_TYPE:
            output = output or text(node, names.OUTPUT)
        elif text(node, "disable") == "true" or (class_of(node) in _THROUGH and kind != names.SETTINGS_TYPE):
            if output:
                raise HostError(f"the output '{output}' is asked of '{node.name()}', which is disabled")
        else:
            break
        node = feeding(node, 0)
    return node, output
