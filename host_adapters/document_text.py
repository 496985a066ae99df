"""Graph documents as text: plain data to TOML, and a template moved to another folder."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.params import extra
from safelight.graph.registry import Registry, default_registry

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def document_text(document: Document, heading: str = "") -> str:
    """Return a document as TOML that `Document.parse` reads back to the same entries and sections.

    Parameters
    ----------
    heading:
        Lines of comment to stand at the top, without `#`.
    """
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    lines += ["safelight = 1"]
    for name, table in document.sections.items():
        if table:
            lines += ["", f"[{_key(name)}]", *_pairs(table)]
    for name, entry in document.entries.items():
        lines += ["", f"[nodes.{_key(name)}]", f"type = {_value(entry.type)}"]
        links = {port: ".".join(filter(None, (link.node, link.output))) for port, link in entry.links.items()}
        if set(links) == {""}:
            lines.append(f"input = {_value(links[''])}")
        elif links:
            lines.append(f"inputs = {_value(links)}")
        lines += _pairs(entry.params)
    return "\n".join(lines) + "\n"


def absolute_paths(document: Document, registry: Registry | None = None) -> dict[str, dict[str, Any]]:
    """Return every node's parameters with its paths made absolute, so that the document may live in another folder."""
    registry = registry if registry is not None else default_registry()
    moved = {}
    for name, entry in document.entries.items():
        try:
            fields = type(registry[entry.type]).Params.model_fields
        except GraphError as error:
            raise error.of_node(name).at(file=document.path) from None
        values = dict(entry.params)
        for param, field in fields.items():
            if extra(field).get("kind") == "path" and isinstance(values.get(param), str) and values[param]:
                values[param] = str(document.folder / Path(values[param]).expanduser())
        moved[name] = values
    return moved


def absolute_config(colour: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the table [colour] with its config's path made absolute."""
    config = colour.get("config")
    if isinstance(config, str) and config and "://" not in config:
        return {**colour, "config": str(folder / Path(config).expanduser())}
    return dict(colour)


def _pairs(table: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in table.items() if value is not None]


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name, ensure_ascii=False)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        if not math.isfinite(value):
            return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")
        text = repr(value)
        return text if any(sign in text for sign in ".e") else f"{text}.0"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str | Path):
        # JSON's escapes are TOML's but for DEL, which TOML does not take as it is.
        return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_key(str(name))} = {_value(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return str(value)  # dates and times write themselves as TOML does
