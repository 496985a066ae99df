"""Parameters as text and back, by what `safelight nodes --json` says of them. Python 3.7, standard library only."""

from __future__ import annotations

import json
import re
from typing import Any

_TRUE = ("true", "1", "yes", "on")
_FALSE = ("false", "0", "no", "off")
_WHOLE = re.compile(r"[+-]?\d+(\.0*)?")


def kinds_of(parameter: dict[str, Any]) -> list[str]:
    """Return what a value may be: of `none`, `choice`, `bool`, `int`, `float`, `list`, `text`, the strictest first."""
    parts = parameter["type"].replace("yes or no", "bool").split(" or ")
    found = set()
    for part in parts:
        if part in ("none", "choice", "bool", "int", "float"):
            found.add(part)
        elif part.startswith(("list", "tuple")):
            found.add("list")
        elif part.startswith("dict"):
            found.add("dict")
        else:
            found.add("text")
    order = ("none", "choice", "bool", "int", "float", "list", "dict", "text")
    return [kind for kind in order if kind in found]


def text_of(parameter: dict[str, Any], value: Any) -> str:
    """Return a value as the text of a knob."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, (list, tuple)):
        if all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in value):
            return ", ".join(repr(item) for item in value)
        return json.dumps(list(value), ensure_ascii=False)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, sort_keys=True)
    return str(value)


def value_of(parameter: dict[str, Any], value: Any) -> Any:
    """Return what a knob says as a parameter's value: `value` is the knob's text, number or truth.

    Raises ValueError, in words for a person, where it cannot be meant.
    """
    for kind in kinds_of(parameter):
        try:
            return _READERS[kind](parameter, value)
        except ValueError:
            continue
    choices = ", ".join(str(choice) for choice in parameter["choices"])
    wanted = "one of " + choices if choices else parameter["type"]
    raise ValueError(f"{parameter['name']} = {value!r}: should be {wanted}")


def _none(parameter: dict[str, Any], value: Any) -> Any:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    raise ValueError


def _choice(parameter: dict[str, Any], value: Any) -> Any:
    for choice in parameter["choices"]:
        if str(choice) == str(value).strip():
            return choice
    raise ValueError


def _bool(parameter: dict[str, Any], value: Any) -> Any:
    text = str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError


def _int(parameter: dict[str, Any], value: Any) -> Any:
    text = str(value).strip()
    if isinstance(value, bool) or not _WHOLE.fullmatch(text):
        raise ValueError
    return int(text.partition(".")[0])


def _float(parameter: dict[str, Any], value: Any) -> Any:
    if isinstance(value, bool):
        raise ValueError
    return float(value)


def _list(parameter: dict[str, Any], value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return list(value)
    text = str(value).strip()
    if text.startswith("["):
        made = json.loads(text)
        if not isinstance(made, list):
            raise ValueError
        return made
    inner = "int" if "of int" in parameter["type"] else "float" if "of float" in parameter["type"] else "text"
    return [_READERS[inner](parameter, part) for part in re.split(r"[,\s]+", text) if part]


def _dict(parameter: dict[str, Any], value: Any) -> Any:
    made = json.loads(value) if isinstance(value, str) else value
    if not isinstance(made, dict):
        raise ValueError
    return made


def _text(parameter: dict[str, Any], value: Any) -> Any:
    return "" if value is None else str(value)


_READERS = {
    "none": _none,
    "choice": _choice,
    "bool": _bool,
    "int": _int,
    "float": _float,
    "list": _list,
    "dict": _dict,
    "text": _text,
}
