"""Connects to a running DaVinci Resolve, or says why it cannot."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safelight.graph.errors import GraphError, RenderError
from safelight.host_adapters.resolve.remote import DEADLINE, Caller, Hung, Remote

LEAST = (18, 5)
"""Oldest release whose calls are all there (marker data, unique ids, tracks of items)."""
PYTHON_IS_STUDIO = (21, 1)
"""From this release on the free edition runs no Python."""
_API = {
    "darwin": (
        "/Library/Application Support/Blackmagic Design/DaVinci Resolve/Developer/Scripting",
        "/Applications/DaVinci Resolve/DaVinci Resolve.app/Contents/Libraries/Fusion/fusionscript.so",
    ),
    "win32": (
        r"%PROGRAMDATA%\Blackmagic Design\DaVinci Resolve\Support\Developer\Scripting",
        r"%PROGRAMFILES%\Blackmagic Design\DaVinci Resolve\fusionscript.dll",
    ),
    "linux": ("/opt/resolve/Developer/Scripting", "/opt/resolve/libs/Fusion/fusionscript.so"),
}
_PROBE = "import DaVinciResolveScript as r\nprint('up' if r.scriptapp('Resolve') is not None else 'none')"
_PREFERENCE = "Preferences > System > General > External scripting using: Local"


@dataclass(frozen=True)
class Session:
    """A Resolve that answers."""

    resolve: Remote
    version: tuple[int, int, int]
    product: str
    studio: bool

    @property
    def told(self) -> str:
        """Product and version for a person."""
        return f"{self.product} {'.'.join(map(str, self.version))}"

    def project(self) -> Remote:
        """Return the project that is open."""
        manager = self.resolve.one("ProjectManager", "GetProjectManager")
        found = manager.maybe("Project", "GetCurrentProject")
        if found is None:
            raise GraphError("no project is open in Resolve", remedy="Open one, and run again.")
        return found

    def timeline(self) -> Remote:
        """Return the timeline that is open."""
        found = self.project().maybe("Timeline", "GetCurrentTimeline")
        if found is None:
            raise GraphError("no timeline is open in Resolve", remedy="Open one on the Edit page, and run again.")
        return found

    def close(self) -> None:
        """Stop making calls."""
        self.resolve.caller.close()


_given: list[Any] = []


@contextmanager
def given(resolve: Any) -> Iterator[None]:
    """Let `connect` return this Resolve: a menu script has it, and no other way in may be open."""
    _given.append(resolve)
    try:
        yield
    finally:
        _given.pop()


def deadline() -> float:
    """Return the seconds a call may take: SAFELIGHT_RESOLVE_DEADLINE, or the usual; 0 makes calls without a thread."""
    text = os.environ.get("SAFELIGHT_RESOLVE_DEADLINE", "")
    try:
        return max(0.0, float(text)) if text else DEADLINE
    except ValueError:
        raise GraphError(
            f"SAFELIGHT_RESOLVE_DEADLINE = {text} is no number of seconds", remedy="Set it to 60, for instance."
        ) from None


def connect(
    *, platform: str = sys.platform, scriptapp: Callable[[str], Any] | None = None, wait: float | None = None
) -> Session:
    """Connect from outside Resolve.

    Parameters
    ----------
    platform:
        As `sys.platform`; on Windows the connection is first tried in a process of its own, since the library there
        binds whatever Python is registered last and can take the process down.
    scriptapp:
        Resolve's own way in, where somebody has it; by default it is looked for.
    wait:
        Seconds any call may take; default as `deadline` says.

    Raises
    ------
    GraphError
        The scripting modules are not there; Resolve does not answer (with every reason it may have); it is too old.
    """
    caller = Caller(deadline() if wait is None else wait)
    if scriptapp is None and _given:
        return session_of(_given[-1], caller)
    if scriptapp is None:
        scriptapp = _find(platform)
    try:
        found = caller("scriptapp", scriptapp, ("Resolve",))
    except Hung:
        raise GraphError(
            "Resolve did not let itself be connected to in time", remedy="Is it still starting, or showing a dialog?"
        ) from None
    except RenderError as error:
        raise GraphError(f"Resolve cannot be connected to: {error.what}") from None
    if found is None:
        raise GraphError(
            "DaVinci Resolve does not answer",
            remedy=f"Start it; in the Studio edition set {_PREFERENCE}. The free edition does not answer scripts from "
            "outside: up to 21.0 use the menu Workspace > Scripts ('safelight resolve install'), from 21.1 on the "
            "Lua script there.",
        )
    return session_of(found, caller)


def session_of(resolve: Any, caller: Caller | None = None) -> Session:
    """Return the session of an object that is Resolve: in its menu scripts it is called `resolve`.

    Raises GraphError for a release that is too old, and for an edition that cannot do this.
    """
    caller = caller or Caller(deadline())
    remote = Remote("Resolve", resolve, caller)
    try:
        numbers = remote.call("GetVersion")
        product = remote.text("GetProductName")
        version = _version(numbers)
        if version is None:
            raise remote.refused("GetVersion", numbers)
        studio = "studio" in product.casefold()
        if version[:2] >= PYTHON_IS_STUDIO and remote.has("IsStudio"):
            answer = remote.call("IsStudio")
            if not isinstance(answer, bool):
                raise remote.refused("IsStudio", answer)
            studio = answer
    except RenderError as error:
        raise GraphError(f"Resolve does not say what it is: {error.what}", remedy=error.remedy) from None
    told = ".".join(map(str, version))
    if version[:2] < LEAST:
        raise GraphError(
            f"{product} {told} is too old", remedy=f"Safelight needs {'.'.join(map(str, LEAST))} or newer."
        )
    if version[:2] >= PYTHON_IS_STUDIO and not studio:
        raise GraphError(
            f"{product} {told} runs no Python: from 21.1 on only the Studio edition does",
            remedy="Use the Lua script of 'safelight resolve install', or Studio.",
        )
    return Session(remote, version, product, studio)


def _version(numbers: Any) -> tuple[int, int, int] | None:
    if not isinstance(numbers, list | tuple) or len(numbers) < 3:
        return None
    try:
        major, minor, patch = (int(number) for number in numbers[:3])
    except (TypeError, ValueError):
        return None
    return major, minor, patch


def _find(platform: str) -> Callable[[str], Any]:
    api, library = (os.path.expandvars(text) for text in _API.get(platform, _API["linux"]))
    api = os.environ.get("RESOLVE_SCRIPT_API", api)
    modules = Path(api) / "Modules"
    if not (modules / "DaVinciResolveScript.py").is_file():
        raise GraphError(
            "Resolve's scripting module is not there",
            file=modules / "DaVinciResolveScript.py",
            remedy="Install DaVinci Resolve, or set RESOLVE_SCRIPT_API to its folder Developer/Scripting.",
        )
    os.environ.setdefault("RESOLVE_SCRIPT_API", api)
    os.environ.setdefault("RESOLVE_SCRIPT_LIB", library)
    if str(modules) not in sys.path:
        sys.path.append(str(modules))
    if platform == "win32":
        _probe(modules)
    try:
        module = importlib.import_module("DaVinciResolveScript")
    except Exception as error:
        raise GraphError(
            f"Resolve's scripting module cannot be loaded: {' '.join(str(error).split()) or type(error).__name__}",
            file=modules / "DaVinciResolveScript.py",
            remedy="Set RESOLVE_SCRIPT_LIB to Resolve's fusionscript library; it must suit this Python "
            f"({sys.version_info.major}.{sys.version_info.minor}).",
        ) from None
    return module.scriptapp  # type: ignore[no-any-return]


def _probe(modules: Path) -> None:
    """Load the library in another process first: there it may crash without taking this one along."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(modules), os.environ.get("PYTHONPATH", ""))))}
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROBE], env=env, capture_output=True, text=True, timeout=60, check=False
        )
    except subprocess.TimeoutExpired:
        raise GraphError(
            "Resolve did not let itself be connected to in time", remedy="Is it still starting, or showing a dialog?"
        ) from None
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise GraphError(
            f"Resolve's scripting library crashes under this Python: {last[0]}",
            remedy="It takes the Python that was registered last: install Safelight under that one, or set "
            "RESOLVE_SCRIPT_LIB.",
        )
