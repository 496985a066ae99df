"""A document that was found sound: node instances, parameters, links, and the facts about every clip."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import networkx as nx
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from safelight.graph.document import VERSION, Document, Entry
from safelight.graph.errors import GraphError, SafelightError, did_you_mean
from safelight.graph.image import Clip
from safelight.graph.node import Node, Settings
from safelight.graph.params import Params, extra
from safelight.graph.provenance import bare_clip, has_record, recorded_clip
from safelight.graph.registry import Registry, default_registry


@dataclass(frozen=True)
class Source:
    """The output that feeds an input."""

    node: str
    output: str


class Graph:
    """A validated graph. Immutable; making one reads no pixels and opens no file.

    `net` is a networkx MultiDiGraph: edges run from the feeding node to the fed one, keyed by input port, with the
    output port as attribute `output`.
    """

    def __init__(
        self,
        nodes: Mapping[str, Node],
        params: Mapping[str, Params],
        links: Mapping[str, Mapping[str, Source]],
        settings: Settings,
        cuts: Sequence[int] = (),
        path: Path | None = None,
    ) -> None:
        self.nodes = dict(nodes)
        self.params = dict(params)
        self.links = {name: dict(links.get(name, {})) for name in nodes}
        self.settings = settings
        self.cuts = tuple(cuts)
        self.path = path
        """File of the document, None for one made in memory."""
        self.net = nx.MultiDiGraph()
        self.net.add_nodes_from(self.nodes)
        for name, ports in self.links.items():
            for port, source in ports.items():
                self.net.add_edge(source.node, name, key=port, output=source.output)
        self.order: list[str] = self._sort()
        """Node names, every node after those that feed it; the document's order otherwise."""

    @classmethod
    def from_document(cls, document: Document, registry: Registry | None = None, *, untrusted: bool = False) -> Graph:
        """Check a document against the node types there are.

        Raises
        ------
        GraphError
            Unknown type, parameter, port or node; a value of the wrong type or out of range; a missing input; a
            cycle. The message names the node and the nearest right name.
        """
        registry = registry if registry is not None else default_registry()
        nodes: dict[str, Node] = {}
        params: dict[str, Params] = {}
        links: dict[str, dict[str, Source]] = {}
        try:
            for name, entry in document.entries.items():
                try:
                    nodes[name] = registry[entry.type]
                    params[name] = _params(nodes[name], entry, document, name)
                except GraphError as error:
                    raise error.of_node(name) from None
            for name, entry in document.entries.items():
                links[name] = _links(name, entry, nodes)
            settings = Settings(document.folder, document.sections, untrusted)
            return cls(nodes, params, links, settings, document.cuts, document.path)
        except GraphError as error:
            raise error.at(file=document.path) from None

    def _sort(self) -> list[str]:
        position = {name: index for index, name in enumerate(self.nodes)}
        try:
            return list(nx.lexicographical_topological_sort(self.net, key=position.__getitem__))
        except nx.NetworkXUnfeasible:
            loop = [edge[0] for edge in nx.find_cycle(self.net)]
            text = " -> ".join([*loop, loop[0]])
            raise GraphError(f"the graph runs in a circle: {text}", remedy="Take one of these links out.") from None

    @property
    def sinks(self) -> list[str]:
        """Nodes that write, in order."""
        return [name for name in self.order if self.nodes[name].sink]

    def output(self, name: str, output: str = "") -> str:
        """Return an output port's name, "" meaning the first; refuse unknown ones."""
        if name not in self.nodes:
            raise GraphError(f"there is no node '{name}'", remedy=did_you_mean(name, self.nodes))
        return _output(self.nodes[name], name, output)

    @cached_property
    def clips(self) -> dict[str, dict[str, Clip]]:
        """Facts about every output, by node and port. Looks at files the first time (headers only)."""
        clips: dict[str, dict[str, Clip]] = {}
        for name in self.order:
            node = self.nodes[name]
            links = self.links[name]
            inputs = {port: self._seen(name, clips[source.node][source.output]) for port, source in links.items()}
            try:
                params = self.params[name]
                made = node.offer(params, self.settings) if node.source else node.extent(params, inputs)
            except SafelightError as error:
                raise error.of_node(name) from None
            if isinstance(made, Clip):
                made = {port.name: made for port in node.outputs}
            clips[name] = dict(made)
            if self._keeps_record(node, links, clips):
                first = node.outputs[0].name
                clips[name][first] = recorded_clip(clips[name][first])
        return clips

    def clip(self, name: str, output: str = "") -> Clip:
        """Return the facts about one output."""
        return self.clips[name][self.output(name, output)]

    def input_clips(self, name: str) -> dict[str, Clip]:
        """Return what a node is told of its connected inputs, by port."""
        return {
            port: self._seen(name, self.clips[source.node][source.output]) for port, source in self.links[name].items()
        }

    def _keeps_record(self, node: Node, links: Mapping[str, Source], clips: Mapping[str, Mapping[str, Clip]]) -> bool:
        """Tell whether a node's first output has a record: a source's where asked for, others' as the first input."""
        if not node.inputs:
            return self.settings.provenance
        source = links.get(node.inputs[0].name)
        return source is not None and has_record(clips[source.node][source.output])

    def _seen(self, name: str, clip: Clip) -> Clip:
        """Return a clip as a node sees it: the engine keeps the record of its pixels, but for what is written."""
        return clip if self.nodes[name].sink else bare_clip(clip)

    def check(self) -> list[str]:
        """Let every node refuse what would fail later; return warnings, each naming its node."""
        warnings = []
        for name in self.order:
            try:
                self._refuse_invention(name)
                found = self.nodes[name].check(self.params[name], self.input_clips(name), self.settings)
                warnings += [f"node '{name}': {text}" for text in found]
            except SafelightError as error:
                raise error.of_node(name) from None
        return warnings

    def _refuse_invention(self, name: str) -> None:
        what = self.nodes[name].invents(self.params[name]) if self.settings.forensic else ""
        if what:
            raise GraphError(
                f"{self.nodes[name].id} {what}, and the graph is forensic",
                remedy="Take the node out, or say forensic = false in [graph].",
            )

    def shot(self, frame: int) -> tuple[float, float]:
        """Return the bounds of the shot a frame is in: first <= frame < end, infinite where no cut bounds it."""
        first = max((cut for cut in self.cuts if cut <= frame), default=float("-inf"))
        end = min((cut for cut in self.cuts if cut > frame), default=float("inf"))
        return first, end


def _params(node: Node, entry: Entry, document: Document, name: str) -> Params:
    values = dict(entry.params)
    for step in range(document.version, VERSION):
        if step in node.upgrades:
            values = node.upgrades[step](values)
    fields = type(node).Params.model_fields
    for target, param, text in document.overrides:
        if target == name:
            values[param] = _override(node, param, text)
    for param, field in fields.items():
        if extra(field).get("kind") == "path" and isinstance(values.get(param), str) and values[param]:
            values[param] = str(document.folder / Path(values[param]).expanduser())
    try:
        return type(node).Params.model_validate(values)
    except ValidationError as error:
        raise _say(error.errors()[0], node) from None


def _override(node: Node, param: str, text: str) -> Any:
    """Turn a command line's text into a value: as it stands if the parameter takes it so, else as TOML."""
    field = type(node).Params.model_fields.get(param)
    if field is not None and extra(field).get("kind") == "path" and text:
        return str(Path(text).expanduser().absolute())  # a person's paths start where the person stands
    try:
        value = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text
    if field is not None and not isinstance(value, str):
        try:
            type(node).Params.__pydantic_validator__.validate_assignment(
                type(node).Params.model_construct(), param, value
            )
        except ValidationError:
            return text
    return value


def _say(error: ErrorDetails, node: Node) -> GraphError:
    """Turn pydantic's first complaint into one line."""
    name = ".".join(str(part) for part in error["loc"]) or "parameters"
    fields = type(node).Params.model_fields
    if error["type"] == "extra_forbidden":
        known = [*fields, "input", "inputs"]
        return GraphError(
            f"{node.id} has no parameter '{name}'",
            remedy=did_you_mean(name, known) or f"It has: {', '.join(fields) or 'none'}.",
        )
    if error["type"] == "missing":
        field = fields.get(name)
        return GraphError(f"{node.id} needs the parameter '{name}'", remedy=(field.description or "") if field else "")
    text = error["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    unit = extra(fields[name]).get("unit") if name in fields else ""
    return GraphError(f"{name} = {error['input']!r}{' ' + str(unit) if unit else ''}: {text[:1].lower()}{text[1:]}")


def _links(name: str, entry: Entry, nodes: Mapping[str, Node]) -> dict[str, Source]:
    node = nodes[name]
    where = f"node '{name}'"
    links: dict[str, Source] = {}
    for port_name, link in entry.links.items():
        if not node.inputs:
            raise GraphError(f"{node.id} takes no input", where=where)
        port = port_name or node.inputs[0].name
        if node.port(port) is None:
            known = [p.name for p in node.inputs]
            raise GraphError(
                f"{node.id} has no input '{port}'",
                where=where,
                remedy=did_you_mean(port, known) or f"It has: {', '.join(known)}.",
            )
        if link.node not in nodes:
            raise GraphError(
                f"input '{port}' comes from '{link.node}', which is not in the graph",
                where=where,
                remedy=did_you_mean(link.node, nodes),
            )
        links[port] = Source(link.node, _output(nodes[link.node], link.node, link.output, where))
    missing = [port.name for port in node.inputs if not port.optional and port.name not in links]
    if missing:
        raise GraphError(
            f"input '{missing[0]}' of {node.id} is not connected",
            where=where,
            remedy=f'Add {"input" if len(node.inputs) == 1 else missing[0]} = "NODE"'
            + ("." if len(node.inputs) == 1 else " to its inputs."),
        )
    return links


def _output(node: Node, name: str, output: str, where: str = "") -> str:
    known = [port.name for port in node.outputs]
    if not output:
        return known[0]
    if output not in known:
        raise GraphError(
            f"'{name}' ({node.id}) has no output '{output}'",
            where=where,
            remedy=did_you_mean(output, known) or f"It has: {', '.join(known)}.",
        )
    return output
