"""Nuke nodes for our node types: groups with a knob for every parameter, made from the registry alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from safelight.graph.node import Node as BaseNode
from safelight.graph.registry import Registry
from safelight.host_adapters.cli.describe import describe, range_text
from safelight.host_adapters.nuke.nk import script
from safelight.host_adapters.nuke.nk.script import Node, UserKnob
from safelight.host_adapters.nuke.nk.words import NkError
from safelight.host_adapters.nuke.plugin import safelight_names as names
from safelight.host_adapters.nuke.plugin.safelight_values import kinds_of, text_of, value_of

FILES = ("Read", "Write")
"""Node types whose part Nuke's own nodes of these classes play."""
_HIDDEN = ("+INVISIBLE",)
_INT_MAX = 2**31 - 1
_WIDEST = 4000
"""Widest range that a slider is of use for."""
_KNOBS = {"choice": script.ENUM, "bool": script.BOOL, "int": script.INT, "float": script.DOUBLE}
_BUTTON = (
    "try:\n    import safelight_panel\n"
    "except ImportError:\n"
    "    nuke.message('Safelight is not installed on this machine. Run: safelight nuke install')\n"
    "else:\n    safelight_panel.{}(nuke.thisNode())"
)

Spec = Mapping[str, Any]
"""One entry of `safelight nodes --json`."""
_described: dict[type[BaseNode], Spec] = {}


def specs_of(registry: Registry) -> dict[str, Spec]:
    """Return what is declared about every node type."""
    for node in registry.values():
        if type(node) not in _described:
            _described[type(node)] = describe(node)
    return {node.id: _described[type(node)] for node in registry.values()}


def group(spec: Spec, name: str, values: Mapping[str, Any], document_name: str = "") -> Node:
    """Return a group for one node: its knobs, and inside the Read that will hold its result.

    Parameters
    ----------
    values:
        Parameters that differ from their defaults.
    document_name:
        The node's name in the document, where it is not `name`.
    """
    node = _node("Group", name, names.EMPTY_TILE)
    node.put("label", f"[value {names.STATE}]")
    node.user_knobs.append(UserKnob(script.TAB, "safelight", spec["id"]))
    add_parameters(node, spec, values)
    if any(parameter["kind"] == "colourspace" for parameter in spec["parameters"]):
        tip = "Choose one of the script's colour spaces for a knob above."
        node.user_knobs.append(_button("safelight_space", "Choose colour space…", "choose_space", tip))
    node.user_knobs += _running(bool(spec["inputs"]))
    hide(node, names.TYPE, spec["id"])
    hide(node, names.VERSION, str(spec["version"]))
    hide(node, names.NAME, document_name)
    hide(node, names.STATE, names.EMPTY)
    hide(node, names.KEY, "")
    hide(node, names.DONE, "")
    node.children = _inside([port["name"] for port in spec["inputs"]])
    return node


def output(port: str, name: str, source: Node) -> Node:
    """Return a node that stands for another output than the first of the node above it."""
    node = _node("Group", name, names.EMPTY_TILE)
    node.put("label", f"[value {names.OUTPUT}]\n[value {names.STATE}]")
    node.user_knobs.append(UserKnob(script.TAB, "safelight", "Output"))
    node.user_knobs.append(UserKnob(script.STRING, names.OUTPUT, "output", "Output of the node above: grain, matte, …"))
    node.put(names.OUTPUT, port)
    node.user_knobs += _running(True)
    hide(node, names.TYPE, names.OUTPUT_TYPE)
    hide(node, names.STATE, names.EMPTY)
    hide(node, names.KEY, "")
    hide(node, names.DONE, "")
    node.children = _inside(["input"])
    node.inputs = [source]
    return node


def add_parameters(node: Node, spec: Spec, values: Mapping[str, Any], leave_out: Sequence[str] = ()) -> None:
    """Add a typed knob for every parameter, and say each one's value, defaults too: these may change one day."""
    for parameter in spec["parameters"]:
        if parameter["name"] in leave_out:
            continue
        node.user_knobs.append(knob_of(parameter))
        value = values.get(parameter["name"], parameter["default"])
        text = text_of(dict(parameter), value)
        if knob_kind(parameter) == script.FILE:
            text = escape_path(text)
        node.put(names.PREFIX + parameter["name"], text)


def knob_kind(parameter: Spec) -> int:
    """Return the kind of knob that holds a parameter."""
    if parameter["kind"] == "path":
        return script.FILE
    kinds = kinds_of(dict(parameter))
    if kinds == ["int"] and parameter["range"].get("le", 0) > _INT_MAX:
        return script.STRING  # more than Nuke's whole numbers hold
    return _KNOBS.get(kinds[0], script.STRING) if len(kinds) == 1 else script.STRING


def knob_of(parameter: Spec) -> UserKnob:
    """Return the knob of a parameter: label with unit, help with range as tooltip, slider where both ends are known."""
    kind = knob_kind(parameter)
    unit = parameter["unit"]
    label = parameter["name"].replace("_", " ") + (f" ({unit})" if unit else "")
    span = range_text(parameter["range"])
    if "list" in kinds_of(dict(parameter)):
        span = "numbers separated by commas"
    elif "none" in kinds_of(dict(parameter)):
        span = f"{span}; empty for none" if span else "empty for none"
    tooltip = parameter["help"] + (f"\n{span}{' ' + unit if unit and parameter['range'] else ''}" if span else "")
    low, high = (_end(parameter["range"], *ends) for ends in (("ge", "gt"), ("le", "lt")))
    slider = kind in (script.INT, script.DOUBLE) and low is not None and high is not None and high - low <= _WIDEST
    return UserKnob(
        kind,
        names.PREFIX + parameter["name"],
        label,
        tooltip,
        items=tuple(map(str, parameter["choices"])) if kind == script.ENUM else (),
        span=(low, high) if slider and low is not None and high is not None else None,
        flags=("+STARTLINE",) if kind in (script.BOOL, script.ENUM) else (),
    )


def read_parameters(node: Node, spec: Spec) -> dict[str, Any]:
    """Return the parameters that a node's knobs say, as plain values.

    Raises NkError for a value that cannot be meant, one that is animated, one that is an expression.
    """
    found: dict[str, Any] = {}
    for parameter in spec["parameters"]:
        knob = node.knob(names.PREFIX + parameter["name"])
        if knob is None:
            continue
        if any(word.live for word in knob.words) or (knob.words and knob.words[0].kind == "braced"):
            raise NkError(
                f"{parameter['name']} of '{node.name}' is animated or an expression",
                line=knob.line,
                remedy="A parameter holds for the whole shot: set it to one value.",
            )
        text = knob.text
        if knob_kind(parameter) == script.FILE:
            text = unescape_path(text, f"{parameter['name']} of '{node.name}'", knob.line)
        try:
            found[parameter["name"]] = value_of(dict(parameter), text)
        except ValueError as error:
            raise NkError(f"'{node.name}': {error}", line=knob.line) from None
    known = {names.PREFIX + parameter["name"] for parameter in spec["parameters"]}
    for knob in node.knobs:
        if knob.name.startswith(names.PREFIX) and knob.name not in known:
            raise NkError(
                f"'{node.name}': {spec['id']} has no parameter '{knob.name.removeprefix(names.PREFIX)}' (any more)",
                line=knob.line,
                remedy="Make the node anew from the menu.",
            )
    return found


def escape_path(path: str) -> str:
    r"""Write a path as a file knob's text: Nuke would replace `[…]` and `$`, and takes `\` as an escape.

    >>> escape_path("a[1].exr")
    'a\\[1].exr'
    """
    return re.sub(r"[\\\[$]", r"\\\g<0>", path)


def unescape_path(text: str, what: str, line: int = 0) -> str:
    """Read a file knob's text as a path; refuse what only Nuke could work out."""
    if re.search(r"(?:^|[^\\])(?:\\\\)*[\[$]", text) or "%V" in text or "%v" in text:
        raise NkError(
            f"{what} is worked out by Nuke: {text}",
            line=line,
            remedy="Write the path itself, or export from inside Nuke (Safelight, Export), which works it out.",
        )
    return re.sub(r"\\(.)", r"\1", text)


def legal_name(name: str) -> str:
    """Return a name that Nuke allows.

    >>> legal_name("my node"), legal_name("1st"), legal_name("Körnung")
    ('my_node', '_1st', 'K_rnung')
    """
    made = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return made if made[:1].isalpha() or made[:1] == "_" else f"_{made}"


def _node(kind: str, name: str, tile: int) -> Node:
    node = Node(kind)
    node.put("name", name)
    node.put("tile_color", f"0x{tile:08x}")
    return node


def hide(node: Node, name: str, value: str) -> None:
    """Add a knob that nobody sees."""
    node.user_knobs.append(UserKnob(script.STRING, name, name, flags=_HIDDEN))
    node.put(name, value)


def _end(bounds: Mapping[str, float], *ends: str) -> float | None:
    return next((bounds[end] for end in ends if end in bounds), None)


def _button(name: str, label: str, function: str, tooltip: str, *flags: str) -> UserKnob:
    return UserKnob(script.PYSCRIPT, name, label, tooltip, flags=flags, body=_BUTTON.format(function))


def _running(fed: bool) -> list[UserKnob]:
    show = ("result", "input") if fed else ("result",)
    return [
        UserKnob(script.TEXT, "safelight_line", ""),
        UserKnob(
            script.STRING,
            names.FRAMES,
            "frames",
            "Frames to render, as Nuke writes them: 1001-1100, 1001-1100x2, 1 5 -8--5. Empty: all of the input.",
        ),
        _button(
            "safelight_render",
            "Render",
            "render",
            "Write the input as raw float EXR, run Safelight beside Nuke, read the result back. Frames that are good "
            "already are not made again. Cancel keeps what is whole.",
            "+STARTLINE",
        ),
        _button("safelight_read", "Make Read", "make_read", "Put a Read of the result beside this node."),
        UserKnob(
            script.ENUM,
            names.SHOW,
            "show",
            "What leaves this node. A result that is not there is an error, never the untouched input.",
            items=show,
            flags=("+STARTLINE",),
        ),
        UserKnob(
            script.ENUM,
            names.ON_STALE,
            "if stale",
            "What a render of this script does when the result was made from other knobs or another input.",
            items=("warn", "stop"),
        ),
        UserKnob(script.TEXT, names.COLOUR, "colour", body=" "),
        UserKnob(script.TEXT, names.STATUS, "result", body=names.EMPTY),
        _button("safelight_save", "Save preset", "save_preset", "Keep the parameters in a file.", "+STARTLINE"),
        _button("safelight_load", "Load preset", "load_preset", "Take the parameters from a file."),
    ]


def _inside(ports: Sequence[str]) -> list[Node]:
    made = []
    for index, port in enumerate(ports):
        feed = Node("Input")
        feed.put("name", port)
        feed.put("xpos", str(index * 120))
        if index:
            feed.put("number", str(index))
        made.append(feed)
    read = Node("Read")
    read.put("file", "")
    for knob, value in (("before", "black"), ("after", "black"), ("raw", "true"), ("on_error", "error")):
        read.put(knob, value)
    read.put("name", names.RESULT)
    read.put("xpos", "-140")
    switch = Node("Switch", inputs=[read, made[0] if made else None])
    switch.put_raw("which", f"{{{{parent.{names.SHOW}}}}}")
    switch.put("name", "show")
    switch.put("ypos", "120")
    out = Node("Output", inputs=[switch])
    out.put("name", "Output1")
    out.put("ypos", "220")
    return [*made, read, switch, out]


def settings(sections: Mapping[str, Mapping[str, Any]]) -> Node:
    """Return a node that stands for [graph], [colour] and [shot] of a document."""
    node = _node("NoOp", "Safelight_settings", names.FILE_TILE)
    node.put("label", "settings of the document")
    rest = {title: dict(table) for title, table in sections.items()}
    cuts = rest.get("shot", {}).pop("cuts", [])
    config = rest.get("colour", {}).pop("config", "")
    node.user_knobs += [
        UserKnob(script.TAB, "safelight", "Document"),
        UserKnob(script.FILE, names.CONFIG, "OCIO config", "Path or ocio:// name; empty: as the script has it."),
        UserKnob(script.STRING, names.CUTS, "cuts", "First frames of new shots, separated by commas."),
        UserKnob(script.STRING, names.REST, "more", "The rest of [graph], [colour] and [shot], as JSON."),
    ]
    node.put(names.CONFIG, escape_path(str(config)))
    node.put(names.CUTS, ", ".join(map(str, cuts)))
    rest = {title: table for title, table in rest.items() if table}
    node.put(names.REST, json.dumps(rest, ensure_ascii=False, default=str) if rest else "")
    hide(node, names.TYPE, names.SETTINGS_TYPE)
    return node


def read_settings(node: Node) -> dict[str, dict[str, Any]]:
    """Return the sections that such a node says."""
    line = node.line
    try:
        made = json.loads(node.text(names.REST) or "{}")
        if not isinstance(made, dict) or not all(isinstance(table, dict) for table in made.values()):
            raise ValueError("no table of tables")
        cuts = [int(part) for part in re.split(r"[,\s]+", node.text(names.CUTS)) if part]
    except ValueError as error:
        raise NkError(f"the settings in '{node.name}' cannot be read: {error}", line=line) from None
    config = unescape_path(node.text(names.CONFIG), f"the OCIO config of '{node.name}'", line)
    if cuts:
        made.setdefault("shot", {})["cuts"] = cuts
    if config:
        made.setdefault("colour", {})["config"] = config
    return made
