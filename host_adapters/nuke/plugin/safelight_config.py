"""Where the engine is, where results go, which paths other machines write otherwise. Python 3.7, standard library only.

`safelight_config.json` beside this file is written by `safelight nuke install`; the environment overrules it:

SAFELIGHT_ENGINE    the `safelight` command of the engine's environment, with its full path
SAFELIGHT_CACHE     folder for results
SAFELIGHT_PATH_MAP  FROM=TO pairs, separated by `;`: paths that begin with FROM are at TO on this machine
"""

from __future__ import annotations

import json
import os
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
FILE = "safelight_config.json"


class Config:
    """What the plug-in was told."""

    def __init__(self, data: dict[str, Any], env: Any = None) -> None:
        env = os.environ if env is None else env
        named = env.get("SAFELIGHT_ENGINE", "")
        self.engine: list[str] = [named] if named else [str(part) for part in data.get("engine", [])]
        """Command of the engine, in words."""
        self.version = str(data.get("version", ""))
        """Version of the engine that the menu was made from."""
        self.cache = env.get("SAFELIGHT_CACHE", "") or str(data.get("cache", ""))
        self.path_map: list[tuple[str, str]] = [(str(a), str(b)) for a, b in data.get("path_map", [])]
        for pair in filter(None, env.get("SAFELIGHT_PATH_MAP", "").split(";")):
            begin, equals, other = pair.partition("=")
            if not equals:
                raise ValueError(f"SAFELIGHT_PATH_MAP: '{pair}' is no FROM=TO")
            self.path_map.append((begin.strip(), other.strip()))

    def local(self, path: str) -> str:
        """Return a path of another machine as it is written here."""
        return _replaced(path, self.path_map)

    def common(self, path: str) -> str:
        """Return a path of this machine as the others write it: what hashes are made of."""
        return _replaced(path, [(other, begin) for begin, other in self.path_map])


def load(env: Any = None) -> Config:
    """Read the config beside this file; a missing one is an empty one.

    Raises ValueError, naming the file, where it cannot be read.
    """
    path = os.path.join(HERE, FILE)
    try:
        with open(path, encoding="utf-8") as stream:
            data = json.load(stream)
    except FileNotFoundError:
        data = {}
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read: {error}. Run 'safelight nuke install' again.")
    if not isinstance(data, dict):
        raise ValueError(f"{path} is no config. Run 'safelight nuke install' again.")
    return Config(data, env)


def _replaced(path: str, pairs: list[tuple[str, str]]) -> str:
    for begin, other in pairs:
        begin = begin.rstrip("/")
        if path == begin or path.startswith(begin + "/"):
            return other.rstrip("/") + path[len(begin) :]
    return path
