"""The host: a script of nodes, a main thread, menus, and faults on demand.

It knows the interface of `manifest.py` and nothing else: an unlisted name is an AttributeError, a wrong number of
arguments a TypeError, a call on the wrong thread an assertion. What it does not know of Nuke it cannot test: see
`host_adapters/nuke/README.md` for what that leaves open.
"""

from __future__ import annotations

import queue
import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.stand_ins.nuke_like import manifest

NEVER = object()
"""Fault: the call does not come back. A person's only way out is Nuke's own Cancel, which raises RuntimeError."""


class Hung(AssertionError):
    """Nuke would hang here for ever."""


class Strict:
    """An object of Nuke's: only what the manifest lists is there."""

    _class = ""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        found = manifest.find(self._class, name)
        if found is None:
            raise AttributeError(f"'{self._class}' object has no attribute '{name}'")
        where, call = found
        return _Bound(self._host, f"{where}.{name}", call, getattr(self, f"_do_{name}"))

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_"):
            raise AttributeError(f"'{self._class}' object has no attribute '{name}' to set")
        super().__setattr__(name, value)


class _Bound:
    """A function or method about to be called."""

    def __init__(self, host: Host, name: str, call: manifest.Call, do: Callable[..., Any]) -> None:
        self._host, self._name, self._call, self._do = host, name, call, do

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        host, call = self._host, self._call
        count = len(args) + len(kwargs)
        if not call.least <= count <= call.most:
            raise TypeError(f"{self._name}() takes {call.least} to {call.most} arguments ({count} given)")
        on_main = threading.current_thread() is host.main
        if call.thread == "main":
            assert on_main, f"{self._name} was called on {threading.current_thread().name}, not on the main thread"
        elif on_main and (call.thread == "other" or self._name == "nuke.executeInMainThread"):
            raise Hung(f"{self._name} hangs on the main thread")
        if call.gui and not host.gui:
            raise RuntimeError(f"{self._name} needs a GUI")
        host.calls.append(self._name)
        if self._name in host.faults:
            fault = host.faults[self._name]
            if host.fault_at is None or host.calls.count(self._name) == host.fault_at:
                if fault is not NEVER:
                    return fault
                if self._name == "nuke.executeInMainThread":
                    return None  # taken, and never done
                raise RuntimeError("Cancelled")
        made = self._do(*args, **kwargs)
        kind = type(made).__name__
        known = [kind, getattr(made, "_class", ""), *manifest.BASES.get(getattr(made, "_class", ""), ())]
        assert "object" in call.kinds or set(known) & set(call.kinds), (
            f"{self._name} returned a {kind}: stand-in is wrong"
        )
        return made


class Menu(Strict):
    _class = "Menu"

    def __init__(self, host: Host, name: str) -> None:
        super().__init__(host)
        self._name = name
        self._items: dict[str, Any] = {}

    def _do_addCommand(self, name: str, command: object = "", *args: Any, **kwargs: Any) -> MenuItem:
        return self._items.setdefault(name, MenuItem(self._host, name, command))

    def _do_addMenu(self, name: str, **kwargs: Any) -> Menu:
        return self._items.setdefault(name, Menu(self._host, name))

    def _do_findItem(self, name: str) -> Any:
        return self._items.get(name)


class MenuItem(Strict):
    _class = "MenuItem"

    def __init__(self, host: Host, name: str, command: object) -> None:
        super().__init__(host)
        self._name, self._command = name, command


class ProgressTask(Strict):
    _class = "ProgressTask"

    def __init__(self, host: Host, title: str) -> None:
        super().__init__(host)
        self._title = title
        host.tasks_open += 1

    def _do_setProgress(self, value: int) -> None:
        assert isinstance(value, int) and 0 <= value <= 100
        self._host.progress.append(value)

    def _do_setMessage(self, text: str) -> None:
        assert isinstance(text, str)

    def _do_isCancelled(self) -> bool:
        return self._host.cancelled()

    def __del__(self) -> None:
        self._host.tasks_open -= 1


class Undo(Strict):
    _class = "Undo"

    def _do_disable(self) -> None:
        self._host.undo_off += 1

    def _do_enable(self) -> None:
        self._host.undo_off = max(0, self._host.undo_off - 1)


class _Creator:
    """`nuke.nodes`: one function for each class of node."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def __getattr__(self, kind: str) -> Callable[..., Any]:
        from tests.stand_ins.nuke_like.nodes import KNOBS

        if kind not in KNOBS:
            raise AttributeError(f"nuke.nodes has no '{kind}'")
        call = manifest.Call(0, 9, ("Node",))
        return _Bound(self._host, f"nuke.nodes.{kind}", call, lambda **knobs: self._host.make(kind, **knobs))


class _Module(types.ModuleType):
    """The module `nuke`."""

    def __init__(self, host: Host) -> None:
        super().__init__("nuke")
        self.__dict__["_host"] = host

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        host = self.__dict__["_host"]
        if name in manifest.CONSTANTS:
            return manifest.CONSTANTS[name]
        if name in manifest.VALUES:
            return host.value(name)
        call = manifest.CALLS["nuke"].get(name)
        if call is None:
            raise AttributeError(f"module 'nuke' has no attribute '{name}'")
        return _Bound(host, f"nuke.{name}", call, getattr(host, f"do_{name}"))


class Env:
    """`nuke.env`."""

    def __init__(self, **values: Any) -> None:
        self._values = values

    def __getitem__(self, name: str) -> Any:
        if name not in manifest.ENV:
            raise KeyError(name)
        return self._values.get(name)

    def get(self, name: str, otherwise: Any = None) -> Any:
        assert name in manifest.ENV, name
        return self._values.get(name, otherwise)


class Host:
    """A running Nuke. Made on the thread that is to be its main thread."""

    def __init__(self, folder: Path, *, gui: bool = True, nc: bool = False, indie: bool = False) -> None:
        from tests.stand_ins.nuke_like.nodes import StandNode

        self.folder = folder
        self.gui = gui
        self.main = threading.current_thread()
        self.env = Env(nc=nc, indie=indie, gui=gui)
        self.calls: list[str] = []
        self.faults: dict[str, object] = {}
        self.fault_at: int | None = None
        """Which call of that name the fault hits; None for every one."""
        self.messages: list[str] = []
        self.printed: list[str] = []
        self.progress: list[int] = []
        self.tasks_open = 0
        self.undo_off = 0
        self.cancelled: Callable[[], bool] = lambda: False
        self.answers: list[Any] = []
        """What a person answers to questions, first first."""
        self.callbacks: dict[str, list[Callable[..., Any]]] = {}
        self.filters: list[Callable[[str], str]] = []
        self.menus = {"Nodes": Menu(self, "Nodes"), "Nuke": Menu(self, "Nuke")}
        self.this_node: Any = None
        self.this_knob: Any = None
        self.view_names = ["main"]
        self.rendered: list[tuple[str, int]] = []
        self._queue: queue.Queue[tuple[Any, Any]] = queue.Queue()
        self.the_root = StandNode(self, "Root", "root")
        self.context = [self.the_root]
        self.module = _Module(self)

    # --- for tests ------------------------------------------------------------------------------------------------

    def make(self, kind: str, **knobs: Any) -> Any:
        """Make a node in the current group."""
        from tests.stand_ins.nuke_like.nodes import StandNode

        node = StandNode(self, kind, f"{kind}1", self.context[-1])
        for name, value in knobs.items():
            if name == "inputs":
                node._inputs = list(value)
            else:
                node._knobs[name]._do_setValue(value)
        return node

    def pump(self, seconds: float = 60.0, until: Callable[[], bool] = lambda: False) -> None:
        """Be the main thread's event loop."""
        limit = time.monotonic() + seconds
        while not until() and time.monotonic() < limit:
            try:
                call, args = self._queue.get(timeout=0.02)
            except queue.Empty:
                continue
            call(*args)

    def snapshot(self) -> Any:
        """Return all there is in the script, to be compared."""
        return self.the_root._snapshot()

    def value(self, name: str) -> Any:
        """Return a value of the module that is no function."""
        return {
            "GUI": self.gui,
            "EXE_PATH": str(self.folder / "Nuke" / "Nuke15.1"),
            "NUKE_VERSION_STRING": "15.1v3",
            "env": self.env,
            "nodes": _Creator(self),
        }[name]

    # --- the module's functions -----------------------------------------------------------------------------------

    def do_addBeforeRender(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.callbacks.setdefault("beforeRender", []).append(call)

    def do_addKnobChanged(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.callbacks.setdefault("knobChanged", []).append(call)

    def do_addOnScriptLoad(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        self.callbacks.setdefault("onScriptLoad", []).append(call)

    def do_addFilenameFilter(self, call: Callable[[str], str]) -> None:
        self.filters.append(call)

    def do_allNodes(self, filter: str = "", group: Any = None, recurseGroups: bool = False) -> list[Any]:
        found = []
        waiting = list((group or self.context[-1])._children)
        while waiting:
            node = waiting.pop(0)
            if not filter or node._kind == filter:
                found.append(node)
            if recurseGroups:
                waiting += node._children
        return found

    def do_choice(self, title: str, prompt: str, options: list[str], default: int = 0) -> int | None:
        return self.answers.pop(0)

    def do_delete(self, node: Any) -> None:
        node._parent._children.remove(node)

    def do_execute(
        self, node: Any, start: int = 1, end: int = 1, incr: int = 1, views: Any = None, continueOnError: bool = False
    ) -> None:
        from tests.stand_ins.nuke_like.pixels import write

        self.this_node = node
        for call in self.callbacks.get("beforeRender", []):
            call()
        self.this_node = None
        for frame in range(start, end + 1, incr):
            write(node, frame)
            self.rendered.append((node._do_input(0)._do_name(), frame))

    def do_executeInMainThread(self, call: Callable[..., Any], args: Any = (), kwargs: Any = None) -> None:
        self._queue.put((call, args if isinstance(args, tuple) else (args,)))

    def do_getFilename(self, title: str, pattern: str | None = None, *rest: Any) -> Any:
        return self.answers.pop(0)

    def do_getOcioColorSpaces(self) -> list[str]:
        return ["ACES2065-1", "ACEScg", "Linear Rec.709 (sRGB)"]

    def do_menu(self, name: str) -> Menu:
        return self.menus[name]

    def do_message(self, text: str) -> None:
        self.messages.append(text)

    def do_nodePaste(self, path: str) -> Any:
        from tests.stand_ins.nuke_like.nodes import paste

        return paste(self, Path(path).read_text(encoding="utf-8"))

    def do_pluginAddPath(self, path: str, addToSysPath: bool = True) -> None:
        pass

    def do_pluginPath(self) -> list[str]:
        return [str(self.folder / "Nuke" / "plugins")]

    def do_root(self) -> Any:
        return self.the_root

    def do_scriptOpen(self, path: str) -> None:
        from tests.stand_ins.nuke_like.nodes import paste

        paste(self, Path(path).read_text(encoding="utf-8"))

    def do_selectedNodes(self, filter: str = "") -> list[Any]:
        return [node for node in self.context[-1]._children if node._knobs["selected"]._value]

    def do_thisKnob(self) -> Any:
        return self.this_knob

    def do_thisNode(self) -> Any:
        return self.this_node

    def do_toNode(self, name: str) -> Any:
        node: Any = self.the_root
        for part in name.split("."):
            node = next((one for one in node._children if one._knobs["name"]._value == part), None)
            if node is None:
                return None
        return node

    def do_tprint(self, *words: Any) -> None:
        self.printed.append(" ".join(map(str, words)))

    def do_views(self) -> list[str]:
        return list(self.view_names)

    def do_ProgressTask(self, title: str) -> ProgressTask:
        return ProgressTask(self, title)

    def do_Undo(self) -> Undo:
        return Undo(self)
