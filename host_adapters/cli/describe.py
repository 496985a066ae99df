"""Node types as plain data, read from their own declarations: what every host and document is made from."""

from __future__ import annotations

import inspect
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from safelight.graph.node import Node, Port
from safelight.graph.params import extra

_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def room(node: Node) -> str:
    """Return the room a node lives in: the folder its file is in."""
    return type(node).__module__.split(".")[-2]


def summary(node: Node) -> str:
    """Return the first line of a node's documentation."""
    return (inspect.getdoc(type(node)) or "").partition("\n")[0]


def describe(node: Node) -> dict[str, Any]:
    """Return everything that is declared about a node type."""
    kind = type(node)
    return {
        "id": node.id,
        "version": node.version,
        "room": room(node),
        "help": inspect.getdoc(kind) or "",
        "inputs": [_port(port) for port in node.inputs],
        "outputs": [_port(port) for port in node.outputs],
        "writes": node.sink,
        "reads": node.source,
        "devices": list(node.devices),
        "parameters": [parameter(name, field) for name, field in kind.Params.model_fields.items()],
    }


def parameter(name: str, field: FieldInfo) -> dict[str, Any]:
    """Return one parameter: type, default, range, unit, choices, help."""
    stored = extra(field)
    bounds = {
        bound: getattr(item, bound)
        for item in field.metadata
        for bound in _BOUNDS
        if getattr(item, bound, None) is not None
    }
    required = field.is_required()
    default = None if required or field.default is PydanticUndefined else field.get_default(call_default_factory=True)
    return {
        "name": name,
        "type": type_text(field.annotation),
        "required": required,
        "default": default,
        "unit": stored.get("unit", ""),
        "range": bounds,
        "choices": choices(field.annotation),
        "kind": stored.get("kind", ""),
        "picture": stored.get("picture", True),
        "help": field.description or "",
    }


def choices(annotation: Any) -> list[Any]:
    """Return the values of a Literal, also inside a union; empty for other types."""
    if get_origin(annotation) is Literal:
        return list(get_args(annotation))
    return [value for part in get_args(annotation) for value in choices(part)]


def type_text(annotation: Any) -> str:
    """Write a type for a person.

    >>> type_text(float), type_text(Literal["a", "b"]), type_text(int | None)
    ('float', 'choice', 'int or none')
    """
    if annotation is type(None):
        return "none"
    if get_origin(annotation) is Literal:
        return "choice"
    if isinstance(annotation, type) and not get_args(annotation):
        return {"str": "text", "bool": "yes or no"}.get(annotation.__name__, annotation.__name__)
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in (list, tuple, dict):
        inner = ", ".join(type_text(part) for part in parts if part is not Ellipsis)
        return f"{origin.__name__} of {inner}" if inner else origin.__name__
    return " or ".join(dict.fromkeys(type_text(part) for part in parts)) or str(annotation)


def range_text(bounds: dict[str, Any]) -> str:
    """Write a range for a person.

    >>> range_text({"ge": 0.0, "le": 4.0}), range_text({"gt": 0})
    ('0 … 4', '> 0')
    """
    low = bounds.get("ge")
    high = bounds.get("le")
    if low is not None and high is not None:
        return f"{_number(low)} … {_number(high)}"
    return ", ".join(f"{_BOUNDS[name]} {_number(value)}" for name, value in bounds.items())


def _number(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else f"{value:g}"


def _port(port: Port) -> dict[str, Any]:
    return {"name": port.name, "help": port.help, "optional": port.optional}
