"""Puts the menu scripts where DaVinci Resolve looks for them, and takes them away again."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from safelight.graph.errors import GraphError
from safelight.host_adapters.resolve.engine import python

NAMES = ("Safelight.py", "Safelight.lua", "Safelight undo.py")
_FOLDERS = {
    "darwin": "~/Library/Application Support/Blackmagic Design/DaVinci Resolve/Fusion/Scripts",
    "win32": r"%APPDATA%\Blackmagic Design\DaVinci Resolve\Support\Fusion\Scripts",
    "linux": "~/.local/share/DaVinciResolve/Fusion/Scripts",
}
_SIGN = "safelight resolve install"
"""Stands in every script we wrote: others of the same name are never overwritten."""


def scripts_folder(platform: str = sys.platform) -> Path:
    """Return the user's folder of scripts for the menu of the Edit page."""
    text = _FOLDERS.get(platform, _FOLDERS["linux"])
    return Path(os.path.expandvars(text)).expanduser() / "Edit"


def scripts(arguments: Sequence[str], template: Path, options: Sequence[str]) -> dict[str, str]:
    """Return the menu scripts by name.

    Parameters
    ----------
    arguments:
        What `safelight` is called with to restore the shot under the playhead.
    template:
        The graph document, for the Lua script.
    options:
        Handles and folder, as arguments that both take.
    """
    here = files("safelight.host_adapters.resolve").joinpath("menu")
    text = here.joinpath("safelight.py").read_text(encoding="utf-8")
    lua = here.joinpath("safelight.lua").read_text(encoding="utf-8")
    site = str(Path(__file__).resolve().parents[3])
    output = [options[index + 1] for index, word in enumerate(options) if word == "--output"]

    def filled(words: Sequence[str]) -> str:
        made = text.replace('"@PYTHON@"', json.dumps(python())).replace('"@SITE@"', json.dumps(_site() or site))
        made = made.replace("@VERSION@", f"{sys.version_info[0]}.{sys.version_info[1]}")
        return made.replace('"@ARGUMENTS@"', repr(json.dumps(list(words))))

    call = " ".join(_quoted(word) for word in (str(template), *options))
    return {
        NAMES[0]: filled(arguments),
        NAMES[1]: lua.replace('"@PYTHON@"', _lua(python())).replace('"@ARGUMENTS@"', _lua(call)),
        NAMES[2]: filled(["resolve", "undo", *(["--output", output[0]] if output else [])]),
    }


def install(folder: Path, made: dict[str, str], *, dry_run: bool = False) -> list[Path]:
    """Write the scripts; return those that were written, or would be.

    Raises GraphError where a file of that name is not ours, or the folder cannot be written to.
    """
    written = []
    for name, text in made.items():
        path = folder / name
        there = _read(path)
        if there == text:
            continue
        if there is not None and _SIGN not in there:
            raise GraphError(
                "a script of that name is there, and it is not ours", file=path, remedy="Rename it, or use --to."
            )
        written.append(path)
        if dry_run:
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{name}.part")
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(path)
        except OSError as error:
            raise GraphError(f"the script cannot be written: {error.strerror}", file=path) from None
    return written


def uninstall(folder: Path, *, dry_run: bool = False) -> list[Path]:
    """Delete the scripts that are ours; return them."""
    ours = [path for name in NAMES if _SIGN in (_read(path := folder / name) or "")]
    for path in ours if not dry_run else ():
        try:
            path.unlink()
        except OSError as error:
            raise GraphError(f"the script cannot be deleted: {error.strerror}", file=path) from None
    return ours


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GraphError(f"the script cannot be read: {error.strerror}", file=path) from None


def _site() -> str:
    """Return the folder of installed packages that Safelight is found through."""
    import sysconfig

    return sysconfig.get_paths()["purelib"]


def _quoted(word: str) -> str:
    if '"' in word:
        raise GraphError("a quotation mark in a path is more than a menu script can hand on", file=word)
    return f'"{word}"'


def _lua(text: str) -> str:
    """Write text as a Lua string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
