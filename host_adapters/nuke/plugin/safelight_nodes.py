"""Node types, as the engine declared them when the plug-in was installed, and how one is made. Python 3.7."""

from __future__ import annotations

import json
import os
from typing import Any

import safelight_config
from safelight_host import HostError, all_names, full, kind_of, take_away

import nuke

FILE = "safelight_nodes.json"
SNIPPETS = "safelight_nodes"
_loaded: dict[str, Any] = {}


def load() -> dict[str, Any]:
    """Return the whole file: version, rooms, nodes. Read once.

    Raises HostError where it is missing or broken.
    """
    if not _loaded:
        path = os.path.join(safelight_config.HERE, FILE)
        try:
            with open(path, encoding="utf-8") as stream:
                _loaded.update(json.load(stream))
        except (OSError, ValueError) as error:
            raise HostError(f"{path} cannot be read ({error}). Run 'safelight nuke install' again.")
    return _loaded


def specs() -> dict[str, Any]:
    """Return what is declared about every node type, by id."""
    return dict(load()["nodes"])


def spec_of(node: Any) -> dict[str, Any]:
    """Return what is declared about a node's type; refuse a node that is none of ours."""
    spec = specs().get(kind_of(node))
    if spec is None:
        raise HostError(f"'{full(node)}' is no Safelight node. Choose one from the Safelight menu.")
    return dict(spec)


def forget() -> None:
    """Read the file again the next time: the engine has written another."""
    _loaded.clear()


def create(name: str) -> Any:
    """Make a node below the selected one, from the snippet of script that was installed with the menu."""
    path = os.path.join(safelight_config.HERE, SNIPPETS, name + ".nk")
    if not os.path.isfile(path):
        raise HostError(f"{path} is missing. Run 'safelight nuke install' again.")
    before = all_names()
    node = nuke.nodePaste(path.replace("\\", "/"))
    if node is None or isinstance(node, (bool, list)) or not kind_of(node):
        take_away(before)
        raise HostError(f"Nuke made no '{name}' of {path} (nuke.nodePaste answered {node!r})")
    return node
