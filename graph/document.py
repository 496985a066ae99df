"""Graph documents: TOML text to plain data, whatever version it was written in."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError, did_you_mean

VERSION = 1
"""Version of the document schema that this release writes."""

UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""From a version to the next: each takes the whole document as plain data. Nodes add their own (`Node.upgrades`)."""

SECTIONS = ("safelight", "graph", "colour", "shot", "nodes")
SWITCHES = ("forensic", "provenance")
"""Entries of [graph] that say how every node works; see `Settings`."""
LABELS = ("name", "description")
"""Entries of [graph] for people."""
_RESERVED = ("type", "input", "inputs")


@dataclass(frozen=True)
class Link:
    """Where an input comes from."""

    node: str
    output: str = ""
    """Output port; empty for the node's first."""


@dataclass(frozen=True)
class Entry:
    """One node of a document, not yet checked against its type."""

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)
    links: Mapping[str, Link] = field(default_factory=dict)
    """By input port; the key "" is the first input."""


@dataclass(frozen=True)
class Document:
    """A graph document as data. Immutable: `with_params` returns another."""

    entries: Mapping[str, Entry]
    sections: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    folder: Path = field(default_factory=Path.cwd)
    path: Path | None = None
    version: int = VERSION
    """Version the text was written in; the data is already that of VERSION, but for the nodes' own upgrades."""
    overrides: Sequence[tuple[str, str, str]] = ()
    """(node, parameter, text) from a command line, applied last."""

    @classmethod
    def parse(cls, text: str, folder: Path | None = None, path: Path | None = None) -> Document:
        """Read TOML text.

        Raises
        ------
        GraphError
            Not TOML (with line and column), no or a newer version, an unknown table, a node without a type.
        """
        try:
            data = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise GraphError(f"not a TOML document: {error}", file=path) from None
        try:
            return cls._build(data, folder or Path.cwd(), path)
        except GraphError as error:
            raise error.at(file=path) from None

    @classmethod
    def _build(cls, data: dict[str, Any], folder: Path, path: Path | None) -> Document:
        version = data.get("safelight")
        if not isinstance(version, int) or isinstance(version, bool) or version < 1:
            raise GraphError(
                "the document does not say its version", remedy=f"Its first line should be 'safelight = {VERSION}'."
            )
        if version > VERSION:
            raise GraphError(
                f"the document is of version {version}, newer than this Safelight reads ({VERSION})",
                remedy="Update Safelight.",
            )
        for step in range(version, VERSION):
            data = UPGRADES[step](data)
        for name in data:
            if name not in SECTIONS:
                raise GraphError(f"unknown table '{name}'", remedy=did_you_mean(name, SECTIONS))
        tables = data.get("nodes")
        if not isinstance(tables, dict) or not tables:
            raise GraphError("the document has no nodes", remedy="Add a table such as [nodes.plate].")
        sections = {name: data.get(name, {}) for name in ("graph", "colour", "shot")}
        for name, table in sections.items():
            if not isinstance(table, dict):
                raise GraphError(f"'{name}' must be a table", remedy=f"Write [{name}] and its entries below it.")
        _check_graph(sections["graph"])
        cuts = sections["shot"].get("cuts", [])
        if not isinstance(cuts, list) or not all(isinstance(cut, int) for cut in cuts):
            raise GraphError("'shot.cuts' must list frame numbers", remedy="Write, for instance, cuts = [1043, 1101].")
        entries = {name: _entry(name, table) for name, table in tables.items()}
        return cls(entries, sections, folder, path, version)

    def with_overrides(self, overrides: Sequence[tuple[str, str]]) -> Document:
        """Return the document with `("NODE.PARAM", "VALUE")` pairs laid over it."""
        split = []
        for target, value in overrides:
            node, dot, name = target.rpartition(".")
            if not dot or not node or not name:
                raise GraphError(f"'{target}' does not name a parameter", remedy="Write NODE.PARAM=VALUE.")
            if node not in self.entries:
                raise GraphError(f"there is no node '{node}'", remedy=did_you_mean(node, self.entries))
            split.append((node, name, value))
        return replace(self, overrides=(*self.overrides, *split))

    @property
    def cuts(self) -> tuple[int, ...]:
        """First frames of new shots, ascending."""
        return tuple(sorted(set(self.sections.get("shot", {}).get("cuts", ()))))


def load_document(path: Path | str, overrides: Sequence[tuple[str, str]] = ()) -> Document:
    """Read a document from a file; relative paths in it start from its folder.

    Raises GraphError, naming the file, for whatever is wrong with it.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise GraphError("there is no such graph document", file=path) from None
    except UnicodeDecodeError:
        raise GraphError("the graph document is not UTF-8 text", file=path) from None
    except OSError as error:
        raise GraphError(f"the graph document cannot be read: {error.strerror}", file=path) from None
    return Document.parse(text, path.resolve().parent, path).with_overrides(overrides)


def _check_graph(table: Mapping[str, Any]) -> None:
    for name, value in table.items():
        if name not in SWITCHES and name not in LABELS:
            raise GraphError(f"[graph] has no entry '{name}'", remedy=did_you_mean(name, [*SWITCHES, *LABELS]))
        if name in SWITCHES and not isinstance(value, bool):
            raise GraphError(f"'graph.{name}' must be true or false, not {value!r}")


def _entry(name: str, table: Any) -> Entry:
    where = f"node '{name}'"
    if "." in name or not name:
        raise GraphError("a node's name cannot hold a dot or be empty", where=where)
    if not isinstance(table, dict):
        raise GraphError("a node must be a table", where=where, remedy=f"Write [nodes.{name}] and its entries below.")
    node_type = table.get("type")
    if not isinstance(node_type, str):
        raise GraphError("the node has no type", where=where, remedy='Add a line such as type = "Degrain".')
    if "input" in table and "inputs" in table:
        raise GraphError("'input' and 'inputs' exclude each other", where=where)
    links: dict[str, Link] = {}
    if "input" in table:
        links[""] = _link(table["input"], where)
    for port, source in _table(table.get("inputs", {}), "inputs", where).items():
        links[port] = _link(source, where)
    params = {key: value for key, value in table.items() if key not in _RESERVED}
    return Entry(node_type, params, links)


def _table(value: Any, name: str, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise GraphError(f"'{name}' must be a table", where=where, remedy='Write inputs = {a = "x", b = "y"}.')
    return value


def _link(value: Any, where: str) -> Link:
    if not isinstance(value, str) or not value:
        raise GraphError(f"an input must name a node, not {value!r}", where=where)
    node, _, output = value.partition(".")
    return Link(node, output)
