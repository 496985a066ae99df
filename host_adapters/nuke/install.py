"""The plug-in put where Nuke finds it, and taken away again: nothing of anybody else's is touched."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError
from safelight.graph.registry import Registry, default_registry
from safelight.host_adapters.nuke import groups
from safelight.host_adapters.nuke.nk.script import SELECTED, Node
from safelight.host_adapters.nuke.nk.write import clipboard
from safelight.host_adapters.nuke.plugin.safelight_names import REC709

RECORD = "safelight_installed.json"
CONFIG = "safelight_config.json"
NODES = "safelight_nodes.json"
SNIPPETS = "safelight_nodes"
_PLUGIN = Path(__file__).parent / "plugin"
_BEGIN = "# >>> safelight: made by 'safelight nuke install', taken out by 'safelight nuke uninstall'"
_END = "# <<< safelight"


@dataclass
class Done:
    """What was done, or would be."""

    folder: Path
    lines: list[str] = field(default_factory=list)
    """In words, one a line."""


def home() -> Path:
    """Return the folder that every Nuke of this user looks into."""
    return Path.home() / ".nuke"


def install(
    to: Path | None = None,
    *,
    dry_run: bool = False,
    cache: str = "",
    path_map: Sequence[tuple[str, str]] = (),
    registry: Registry | None = None,
) -> Done:
    """Put the plug-in into a folder; by default `~/.nuke/safelight`, with a line in `~/.nuke/init.py`.

    Running it again renews what it made; a file that somebody edited is kept beside as NAME.before. The cache folder
    and the path map stay as they are unless new ones are given.

    Raises GraphError where the folder holds somebody else's plug-in or cannot be written to.
    """
    folder = (to or home() / "safelight").expanduser().absolute()
    done = Done(folder)
    old = _record(folder)
    if not old and any((folder / name).exists() for name in ("init.py", "menu.py")):
        raise GraphError(
            "the folder has an init.py or menu.py of somebody else's",
            file=folder,
            remedy="Choose an empty folder with --to, and add it to NUKE_PATH.",
        )
    files = contents(registry if registry is not None else default_registry())
    files[CONFIG] = _config(folder, cache, path_map)
    try:
        for name, content in files.items():
            _put(folder, name, content, old.get(name, ""), done, dry_run)
        for name in sorted(set(old) - set(files)):
            _take(folder, name, old[name], done, dry_run)
        if not dry_run:
            record = {name: _hash(content) for name, content in files.items()}
            _write(folder / RECORD, json.dumps({"safelight": version("safelight"), "files": record}, indent=1) + "\n")
        if to is None:
            _hook(home() / "init.py", folder, done, dry_run, wanted=True)
        else:
            done.lines.append(f"Nuke finds it when NUKE_PATH holds {folder}")
    except OSError as error:
        raise GraphError(f"the plug-in cannot be written: {error.strerror}", file=error.filename or folder) from None
    return done


def uninstall(to: Path | None = None, *, dry_run: bool = False) -> Done:
    """Take away what `install` made: files that were edited since stay, and are named."""
    folder = (to or home() / "safelight").expanduser().absolute()
    done = Done(folder)
    old = _record(folder)
    if not old:
        raise GraphError("there is no plug-in that 'safelight nuke install' made", file=folder)
    try:
        for name in sorted(old):
            _take(folder, name, old[name], done, dry_run)
        if not dry_run:
            (folder / RECORD).unlink(missing_ok=True)
            _compiled(folder / "__pycache__")
            for empty in (folder / SNIPPETS, folder):
                if empty.is_dir() and not any(empty.iterdir()):
                    empty.rmdir()
        if to is None:
            _hook(home() / "init.py", folder, done, dry_run, wanted=False)
    except OSError as error:
        raise GraphError(f"the plug-in cannot be removed: {error.strerror}", file=error.filename or folder) from None
    return done


def contents(registry: Registry) -> dict[str, str]:
    """Return the files of the plug-in, but for its config: code, node types, a snippet of script for each node."""
    files = {path.name: path.read_text(encoding="utf-8") for path in sorted(_PLUGIN.glob("*.py"))}
    del files["__init__.py"]
    specs = groups.specs_of(registry)
    snippets = sorted(name for name in specs if name not in groups.FILES)
    for name in snippets:
        feed: list[Node | None] = [SELECTED] if specs[name]["inputs"] else []
        node = groups.group(specs[name], f"{name}1", {})
        node.inputs = feed
        files[f"{SNIPPETS}/{name}.nk"] = clipboard([node])
    files[f"{SNIPPETS}/Output.nk"] = clipboard([groups.output("grain", "Output1", SELECTED)])
    files[f"{SNIPPETS}/Settings.nk"] = clipboard([groups.settings({})])
    data = {"version": version("safelight"), "nodes": specs, "snippets": snippets}
    files[NODES] = json.dumps(data, ensure_ascii=False, default=str) + "\n"
    files[REC709] = _rec709()
    return files


def _rec709() -> str:
    """Return a config whose working space is linear Rec.709: that of Nuke's own colour management."""
    import PyOpenColorIO as OCIO

    from safelight.colour.source import STUDIO_CONFIGS

    known = {entry[0] for entry in OCIO.BuiltinConfigRegistry().getBuiltinConfigs()}
    config = OCIO.Config.CreateFromBuiltinConfig(next(name for name in STUDIO_CONFIGS if name in known))
    config.setRole("scene_linear", "Linear Rec.709 (sRGB)")
    config.setName("safelight_linear_rec709")
    rules = OCIO.FileRules()  # without the config's own: it takes every EXR for ACES2065-1
    rules.setDefaultRuleColorSpace("Linear Rec.709 (sRGB)")
    config.setFileRules(rules)
    return str(config.serialize())


def _config(folder: Path, cache: str, path_map: Sequence[tuple[str, str]]) -> str:
    kept: Mapping[str, Any] = {}
    try:
        kept = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        kept = {}
    data = {
        "engine": [sys.executable, "-m", "safelight.host_adapters.cli.main"],
        "version": version("safelight"),
        "cache": cache or kept.get("cache", ""),
        "path_map": [list(pair) for pair in path_map] or kept.get("path_map", []),
    }
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _record(folder: Path) -> dict[str, str]:
    try:
        data = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        return {str(name): str(value) for name, value in data["files"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode("utf-8")).hexdigest()


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None


def _put(folder: Path, name: str, content: str, was: str, done: Done, dry_run: bool) -> None:
    path = folder / name
    there = _read(path)
    if there == content:
        return
    if there is not None and name != CONFIG and was and _hash(there) != was:
        done.lines.append(f"keep your {name} as {name}.before")
        if not dry_run:
            path.replace(path.with_name(f"{path.name}.before"))
    done.lines.append(f"{'write' if there is None else 'renew'} {path}")
    if not dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, content)


def _write(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(content, encoding="utf-8")
    temporary.replace(path)


def _take(folder: Path, name: str, was: str, done: Done, dry_run: bool) -> None:
    path = folder / name
    if not path.resolve().is_relative_to(folder.resolve()):
        return  # a record that was tampered with names nothing outside
    there = _read(path)
    if there is None:
        return
    if _hash(there) != was and name != CONFIG:
        done.lines.append(f"leave {path}: it was edited")
        return
    done.lines.append(f"remove {path}")
    if not dry_run:
        path.unlink()


def _compiled(folder: Path) -> None:
    """Remove what Python made of our modules."""
    if folder.is_dir():
        for path in folder.glob("*.pyc"):
            if path.name.startswith(("safelight_", "init.", "menu.")):
                path.unlink()
        if not any(folder.iterdir()):
            folder.rmdir()


def _hook(path: Path, folder: Path, done: Done, dry_run: bool, *, wanted: bool) -> None:
    """Put our lines into the user's init.py, or take them out; the rest of it stays to the letter."""
    text = _read(path) or ""
    begin = text.find(_BEGIN)
    end = text.find(_END, begin) if begin >= 0 else -1
    if begin >= 0 and end < 0:
        raise GraphError(f"the line '{_END}' is missing", file=path, remedy="Mend or remove our lines by hand.")
    bare = text if begin < 0 else text[:begin] + text[end + len(_END) :].removeprefix("\n")
    made = bare
    if wanted:
        block = (
            f"{_BEGIN}\n"
            "try:\n"
            "    import nuke\n"
            f"    nuke.pluginAddPath({folder.as_posix()!r})\n"
            "except Exception as error:\n"
            "    print('Safelight was not loaded: %s' % error)\n"
            f"{_END}\n"
        )
        made = bare + ("\n" if bare and not bare.endswith("\n") else "") + block
        if begin >= 0:
            made = text[:begin] + block + text[end + len(_END) :].removeprefix("\n")
    if made == text:
        return
    done.lines.append(f"{'add' if wanted else 'take'} our lines {'to' if wanted else 'out of'} {path}")
    if not dry_run:
        path.parent.mkdir(parents=True, exist_ok=True)
        if made:
            _write(path, made)
        else:
            path.unlink()  # nobody but us had anything in it
