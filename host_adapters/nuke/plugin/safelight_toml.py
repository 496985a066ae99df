"""Graph documents as text. Python 3.7, standard library only."""

from __future__ import annotations

import re
from re import Match
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+")
_MUST = re.compile('["\\\\\x00-\x1f\x7f]')
_SHORT = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r", "\b": "\\b", "\f": "\\f"}


def document_text(
    nodes: dict[str, dict[str, Any]], sections: dict[str, dict[str, Any]] | None = None, comment: str = ""
) -> str:
    """Return a document as TOML.

    Parameters
    ----------
    nodes:
        By name: {"type": text, "params": {…}, "inputs": {port: "name" or "name.output"}}; the port "" is the first.
    sections:
        `graph`, `colour`, `shot`: tables of plain values.
    """
    lines = [f"# {line}" for line in comment.splitlines()]
    lines.append("safelight = 1")
    for title in ("graph", "colour", "shot"):
        table = (sections or {}).get(title)
        if table:
            lines += ["", f"[{title}]"]
            lines += [f"{_key(name)} = {value_text(value)}" for name, value in table.items()]
    for name, node in nodes.items():
        lines += ["", f"[nodes.{_key(name)}]", "type = " + value_text(node["type"])]
        inputs = node.get("inputs") or {}
        if list(inputs) == [""]:
            lines.append("input = " + value_text(inputs[""]))
        elif inputs:
            lines.append("inputs = " + value_text(inputs))
        for key, value in (node.get("params") or {}).items():
            if value is not None:
                lines.append(f"{_key(key)} = {value_text(value)}")
    return "\n".join(lines) + "\n"


def value_text(value: Any) -> str:
    """Return one value as TOML: text, number, truth, list or table."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return f'"{_MUST.sub(_escaped, value)}"'
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(value_text(item) for item in value) + "]"
    if isinstance(value, dict):
        inner = ", ".join(f"{_key(name)} = {value_text(item)}" for name, item in value.items())
        return "{ " + inner + " }"
    raise TypeError(f"no TOML for {value!r}")


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else value_text(name)


def _escaped(match: Match[str]) -> str:
    char = match.group(0)
    return _SHORT.get(char) or f"\\u{ord(char):04x}"
