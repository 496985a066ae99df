"""Nuke nodes as a graph document."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.registry import Registry, default_registry
from safelight.host_adapters.nuke import groups
from safelight.host_adapters.nuke.groups import Spec
from safelight.host_adapters.nuke.nk.script import Node, Script
from safelight.host_adapters.nuke.nk.words import NkError
from safelight.host_adapters.nuke.plugin import safelight_files
from safelight.host_adapters.nuke.plugin import safelight_names as names
from safelight.host_adapters.nuke.plugin.safelight_toml import document_text

PathPair = tuple[str, str]
_THROUGH = ("Dot", "NoOp")
"""Classes that hand their input on."""


@dataclass
class Found:
    """A document that was read from nodes, as plain data."""

    nodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    sections: dict[str, dict[str, Any]] = field(default_factory=dict)
    left: list[str] = field(default_factory=list)
    """Nodes that are no part of it, in words."""


def document_of(
    script: Script, registry: Registry | None = None, *, folder: Path | None = None, path_map: Sequence[PathPair] = ()
) -> tuple[str, Document, Found]:
    """Return a script's Safelight nodes as a document's text, checked, and what was found on the way.

    Parameters
    ----------
    folder:
        Where the document will lie; paths below it become relative.
    path_map:
        (from, to): beginnings of paths that are written otherwise on the machine that will render.

    Raises
    ------
    NkError
        There is no Safelight node; one is fed by a node that Safelight cannot stand for; a value cannot be meant.
    GraphError
        The document that came out is refused: a value out of range, an input that is missing.
    """
    registry = registry if registry is not None else default_registry()
    specs = groups.specs_of(registry)
    found = _Reading(script.nodes, specs).found()
    for node in found.nodes.values():
        spec = specs[node["type"]]
        for parameter in spec["parameters"]:
            value = node["params"].get(parameter["name"])
            if parameter["kind"] == "path" and value:
                node["params"][parameter["name"]] = _placed(str(value), folder, path_map)
            elif not parameter["required"] and value == parameter["default"]:
                node["params"].pop(parameter["name"], None)
        if node["inputs"] and list(node["inputs"]) == [port["name"] for port in spec["inputs"][:1]]:
            node["inputs"] = {"": next(iter(node["inputs"].values()))}
    text = document_text(found.nodes, found.sections)
    document = Document.parse(text, folder)
    Graph.from_document(document, registry)
    return text, document, found


def _placed(path: str, folder: Path | None, path_map: Sequence[PathPair]) -> str:
    for begin, other in path_map:
        if path == begin or path.startswith(begin.rstrip("/") + "/"):
            return other.rstrip("/") + path[len(begin.rstrip("/")) :]
    if folder is not None and Path(path).is_absolute() and Path(path).is_relative_to(folder):
        return Path(path).relative_to(folder).as_posix()
    return path


class _Reading:
    def __init__(self, nodes: Sequence[Node], specs: Mapping[str, Spec]) -> None:
        self.nodes = nodes
        self.specs = specs
        self.names: dict[Node, str] = {}

    def found(self) -> Found:
        made = Found()
        wanted = [node for node in self.nodes if self._type(node) in self.specs and not _disabled(node)]
        extra: dict[Node, None] = {}
        for node in wanted:
            self._look(node, extra)
        writes = [
            node for node in self.nodes if node.kind == "Write" and node not in wanted and self._fed_by(node, wanted)
        ]
        for node in self.nodes:
            if node in wanted or node in extra or node in writes:
                self._name(node)
            elif self._type(node) == names.SETTINGS_TYPE:
                made.sections = groups.read_settings(node)
            elif node.kind not in ("Viewer", "BackdropNode", "StickyNote", *_THROUGH) and not self._type(node):
                made.left.append(f"{node.name or node.kind} ({node.kind})")
        if not self.names:
            raise NkError(
                "there is no Safelight node here", remedy="Select nodes that were made from the Safelight menu."
            )
        for node, name in self.names.items():
            made.nodes[name] = self._entry(node)
        return made

    def _type(self, node: Node) -> str:
        return node.text(names.TYPE)

    def _look(self, node: Node, extra: dict[Node, None]) -> None:
        """Note the files that feed a node, and refuse what is none of ours."""
        for index in range(len(node.inputs)):
            source, _ = self._source(node, index)
            if source is None or self._type(source) in self.specs:
                continue
            if source.kind == "Read":
                extra[source] = None
                continue
            raise NkError(
                f"'{node.name}' is fed by '{source.name}', a {source.kind} of Nuke's, which no document can hold",
                line=source.line,
                remedy="Render it to files and read these, or use Render on the node, which does so by itself.",
            )

    def _fed_by(self, node: Node, wanted: Sequence[Node]) -> bool:
        return bool(node.inputs) and self._source(node, 0)[0] in wanted

    def _source(self, node: Node, index: int) -> tuple[Node | None, str]:
        """Return the node that feeds an input and its output; dots, disabled nodes and Outputs are looked through."""
        source, output = node.input(index), ""
        while source is not None:
            if self._type(source) == names.OUTPUT_TYPE:
                output = output or source.text(names.OUTPUT)
            elif _disabled(source) or (source.kind in _THROUGH and self._type(source) != names.SETTINGS_TYPE):
                if output:
                    raise NkError(
                        f"the output '{output}' is asked of '{source.name}', which is disabled", line=source.line
                    )
            else:
                break
            source = source.input(0)
        return source, output

    def _name(self, node: Node) -> None:
        shown = node.name or node.kind
        kept = node.text(names.NAME)
        if kept and re.fullmatch(re.escape(groups.legal_name(kept)) + r"(_\d+)?", shown):
            shown = kept
        base, number = shown.replace(".", "_"), 2
        shown = base
        while shown in self.names.values():
            shown, number = f"{base}_{number}", number + 1
        self.names[node] = shown

    def _entry(self, node: Node) -> dict[str, Any]:
        kind = self._type(node) or node.kind
        spec = self.specs[kind]
        params = groups.read_parameters(node, spec)
        if kind in groups.FILES:
            params = {**_file(node, kind, marked=bool(self._type(node))), **params}
        links = {}
        for index, port in enumerate(spec["inputs"]):
            source, output = self._source(node, index)
            if source is not None and source in self.names:
                links[port["name"]] = self.names[source] + (f".{output}" if output else "")
        return {"type": kind, "params": params, "inputs": links}


def _disabled(node: Node) -> bool:
    return node.text("disable") not in ("", "false", "0")


def _file(node: Node, kind: str, *, marked: bool) -> dict[str, Any]:
    """Return what Nuke's own knobs of a Read or Write say, for what our tab does not."""
    file = node.knob("file")
    text = file.text if file is not None else ""
    if not text:
        raise NkError(f"'{node.name}' names no file", line=node.line)
    found: dict[str, Any] = {"path": groups.unescape_path(text, f"the file of '{node.name}'", node.line)}
    return found if marked else {**found, **safelight_files.parameters(kind, node.text)}
