"""A graph document as Nuke nodes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safelight.graph.document import Document
from safelight.graph.errors import SafelightError
from safelight.graph.graph import Graph
from safelight.graph.registry import Registry, default_registry
from safelight.host_adapters.nuke import groups
from safelight.host_adapters.nuke.groups import Spec
from safelight.host_adapters.nuke.nk import script
from safelight.host_adapters.nuke.nk.script import Node, UserKnob
from safelight.host_adapters.nuke.nk.write import clipboard
from safelight.host_adapters.nuke.plugin import safelight_files as files
from safelight.host_adapters.nuke.plugin import safelight_names as names

APART = (180, 110)
"""Distance of nodes in the node graph."""


def nodes_of(document: Document, registry: Registry | None = None) -> list[Node]:
    """Return the nodes of a document, laid out from top to bottom.

    Raises GraphError for whatever is wrong with the document: it is checked against the registry first.
    """
    registry = registry if registry is not None else default_registry()
    graph = Graph.from_document(document, registry)
    specs = groups.specs_of(registry)
    taken: dict[str, str] = {}
    made: dict[str, Node] = {}
    for name in graph.order:
        taken[name] = _free(groups.legal_name(name), set(taken.values()))
        values = graph.params[name].model_dump(mode="json")
        spec = specs[graph.nodes[name].id]
        kept = name if taken[name] != name else ""
        if spec["id"] == "Read":
            made[name] = _read(spec, taken[name], values, kept, _range(graph, name))
        elif spec["id"] == "Write":
            made[name] = _write(spec, taken[name], values, kept)
        else:
            made[name] = groups.group(spec, taken[name], values, kept)
    others: dict[tuple[str, str], Node] = {}
    for name in graph.order:
        ports = [port.name for port in graph.nodes[name].inputs]
        for port in ports:
            source = graph.links[name].get(port)
            feed: Node | None = None
            if source is not None:
                feed = made[source.node]
                if source.output != graph.nodes[source.node].outputs[0].name:
                    key = source.node, source.output
                    if key not in others:
                        label = _free(f"{taken[source.node]}_{groups.legal_name(source.output)}", set(taken.values()))
                        taken[f"{source.node}.{source.output}"] = label
                        others[key] = groups.output(source.output, label, made[source.node])
                    feed = others[key]
            made[name].inputs.append(feed)
        while made[name].inputs and made[name].inputs[-1] is None:
            made[name].inputs.pop()
    nodes = [*made.values(), *others.values()]
    sections = {title: dict(table) for title, table in document.sections.items() if table}
    if sections:
        config = sections.get("colour", {}).get("config")
        if isinstance(config, str) and config and not config.startswith("ocio://"):
            sections["colour"]["config"] = (document.folder / config).as_posix()
        nodes.insert(0, groups.settings(sections))
    _lay_out(nodes)
    return nodes


def text_of(document: Document, registry: Registry | None = None) -> str:
    """Return a document as text to paste into Nuke."""
    return clipboard(nodes_of(document, registry))


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"


def _range(graph: Graph, name: str) -> tuple[int, int] | None:
    """Return the frames that a Read finds on disk; None where the files are not there."""
    try:
        clip = graph.nodes[name].offer(graph.params[name], graph.settings)
    except (SafelightError, OSError):
        return None
    return (clip.first, clip.last) if not isinstance(clip, Mapping) else None


def _read(spec: Spec, name: str, values: Mapping[str, Any], kept: str, frames: tuple[int, int] | None) -> Node:
    node = Node("Read")
    node.put("file", groups.escape_path(Path(values["path"]).as_posix()))
    first, last = frames or (values["first"], values["last"])
    for knob, value in (("first", first), ("last", last), ("origfirst", first), ("origlast", last)):
        if value is not None:
            node.put(knob, str(value))
    if frames is not None:
        node.put("origset", "true")
    node.put("on_error", files.MISSING[values["missing"]])
    _space(node, values["colourspace"])
    return _with_tab(node, spec, name, values, kept)


def _write(spec: Spec, name: str, values: Mapping[str, Any], kept: str) -> Node:
    node = Node("Write")
    path = Path(values["path"])
    node.put("file", groups.escape_path(path.as_posix()))
    kind = path.suffix.lower().lstrip(".")
    if kind == "exr":
        node.put("file_type", "exr")
        if values["datatype"] in files.DATATYPES:
            node.put("datatype", files.DATATYPES[values["datatype"]])
        if values["compression"] in files.COMPRESSIONS:
            node.put("compression", files.COMPRESSIONS[values["compression"]])
        node.put("metadata", "all metadata")
    node.put("create_directories", "true")
    _space(node, values["colourspace"])
    return _with_tab(node, spec, name, values, kept)


def _space(node: Node, space: str) -> None:
    if space == "scene_linear":
        node.put("raw", "true")
    elif space != "auto":
        node.put("colorspace", space)


def _with_tab(node: Node, spec: Spec, name: str, values: Mapping[str, Any], kept: str) -> Node:
    node.put("name", name)
    node.put("tile_color", f"0x{names.FILE_TILE:08x}")
    node.user_knobs.append(UserKnob(script.TAB, "safelight", f"Safelight {spec['id']}"))
    groups.add_parameters(node, spec, values, leave_out=("path",))
    groups.hide(node, names.TYPE, spec["id"])
    groups.hide(node, names.VERSION, str(spec["version"]))
    groups.hide(node, names.NAME, kept)
    return node


def _lay_out(nodes: list[Node]) -> None:
    """Give each node a place below those that feed it."""
    place: dict[Node, tuple[int, int]] = {}
    used: dict[int, int] = {}

    def row(node: Node) -> int:
        feeds = [up for up in node.inputs if up is not None]
        return max((place[up][1] for up in feeds), default=-1) + 1

    waiting = list(nodes)
    while waiting:
        node = next(one for one in waiting if all(up is None or up in place for up in one.inputs))
        waiting.remove(node)
        line = row(node)
        feeds = [up for up in node.inputs if up is not None]
        column = max(place[feeds[0]][0] if feeds else 0, used.get(line, 0))
        used[line] = column + 1
        place[node] = column, line
        node.put("xpos", str(column * APART[0]))
        node.put("ypos", str(line * APART[1]))
