"""Every call to Resolve: checked for its name, bounded in time, its answer held to what it should be.

On Resolve's objects `hasattr` is always true and an unknown name reads as None; calls answer False, None or [None]
where others raise; some never return. Here each of these becomes one RenderError that names the call.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from safelight.graph.errors import RenderError

T = TypeVar("T")
DEADLINE = 60.0
"""Seconds a call may take unless somebody says otherwise."""
_BUSY = "Look for an open dialog in Resolve, close it, and run again."


class Hung(RenderError):  # noqa: N818 (what happened, as Cancelled)
    """A call did not return in time."""


class Caller:
    """Makes calls in one thread of its own, so that one which never returns can be given up.

    With a deadline of 0 calls are made where they are asked for, for hosts that mind threads.
    """

    def __init__(self, deadline: float = DEADLINE) -> None:
        self.deadline = deadline
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] | None = None
        self._names: dict[str, frozenset[str]] = {}

    def names(self, kind: str, raw: Any) -> frozenset[str]:
        """Return what objects of a kind offer, by `dir`; asked for once, as it goes to Resolve and back."""
        if kind not in self._names:
            found = frozenset(dir(raw))
            if not found:
                return found
            self._names[kind] = found
        return self._names[kind]

    def __call__(self, what: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Return what the function answers.

        Raises
        ------
        Hung
            It did not return within the deadline. Its thread is left to itself; the next call gets a new one.
        RenderError
            It raised.
        """
        if not self.deadline:
            return _answer(what, function, arguments)
        if self._jobs is None:
            self._jobs = queue.SimpleQueue()
            threading.Thread(target=_work, args=(self._jobs,), name="resolve", daemon=True).start()
        done = threading.Event()
        box: list[Any] = []

        def job() -> None:
            try:
                box.append((True, function(*arguments)))
            except BaseException as error:  # handed to the caller's thread
                box.append((False, error))
            done.set()

        self._jobs.put(job)
        if not done.wait(self.deadline):
            self._jobs.put(None)
            self._jobs = None
            raise Hung(f"Resolve did not return from {what} within {self.deadline:g} s", remedy=_BUSY)
        good, value = box[0]
        if not good:
            raise _raised(what, value)
        return value

    def close(self) -> None:
        """Let the thread end."""
        if self._jobs is not None:
            self._jobs.put(None)
            self._jobs = None


def _work(jobs: queue.SimpleQueue[Callable[[], None] | None]) -> None:
    while (job := jobs.get()) is not None:
        job()


def _answer(what: str, function: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    try:
        return function(*arguments)
    except Exception as error:
        raise _raised(what, error) from None


def _raised(what: str, error: BaseException) -> BaseException:
    if not isinstance(error, Exception):
        return error
    text = " ".join(str(error).split()) or type(error).__name__
    return RenderError(f"Resolve failed in {what}: {text}")


@dataclass(frozen=True)
class Remote:
    """An object of Resolve's, and what it is by the name of its class in the published interface."""

    kind: str
    raw: Any
    caller: Caller

    def __repr__(self) -> str:
        return f"Remote({self.kind})"

    def has(self, method: str) -> bool:
        """Tell whether this Resolve offers a method: by `dir`, as `hasattr` is always true."""
        return method in self.caller(f"dir of {self.kind}", self.caller.names, (self.kind, self.raw))

    def call(self, method: str, *arguments: Any) -> Any:
        """Make a call; return whatever Resolve answers."""
        what = f"{self.kind}.{method}"

        def make(*plain: Any) -> Any:
            offered = self.caller.names(self.kind, self.raw)
            function = getattr(self.raw, method, None) if method in offered else None
            if not callable(function):
                raise _Missing
            return function(*plain)

        try:
            return self.caller(what, make, tuple(_bare(argument) for argument in arguments))
        except _Missing:
            raise RenderError(
                f"this Resolve has no {what}", remedy="Update DaVinci Resolve; see the README of the adapter."
            ) from None

    def do(self, method: str, *arguments: Any) -> None:
        """Make a call that answers True when it has done what it says."""
        answer = self.call(method, *arguments)
        if answer is not True:
            raise self.refused(method, answer)

    def text(self, method: str, *arguments: Any) -> str:
        """Ask for text."""
        answer = self.call(method, *arguments)
        if not isinstance(answer, str):
            raise self.refused(method, answer)
        return answer

    def whole(self, method: str, *arguments: Any) -> int:
        """Ask for a whole number; Lua's and some builds' whole floats are taken, too."""
        answer = self.call(method, *arguments)
        if isinstance(answer, bool) or not isinstance(answer, int | float) or answer != int(answer):
            raise self.refused(method, answer)
        return int(answer)

    def table(self, method: str, *arguments: Any) -> dict[Any, Any]:
        """Ask for a table."""
        answer = self.call(method, *arguments)
        if not isinstance(answer, dict):
            raise self.refused(method, answer)
        return answer

    def rows(self, kind: type[T], method: str, *arguments: Any) -> list[T]:
        """Ask for a list of text (`str`) or of tables (`dict`)."""
        answer = self.call(method, *arguments)
        if not isinstance(answer, list) or not all(isinstance(row, kind) for row in answer):
            raise self.refused(method, answer)
        return answer

    def one(self, kind: str, method: str, *arguments: Any) -> Remote:
        """Ask for an object that must be there."""
        answer = self.call(method, *arguments)
        if not _is_object(answer):
            raise self.refused(method, answer)
        return Remote(kind, answer, self.caller)

    def maybe(self, kind: str, method: str, *arguments: Any) -> Remote | None:
        """Ask for an object that need not be there."""
        answer = self.call(method, *arguments)
        if answer is None:
            return None
        if not _is_object(answer):
            raise self.refused(method, answer)
        return Remote(kind, answer, self.caller)

    def many(self, kind: str, method: str, *arguments: Any) -> list[Remote]:
        """Ask for objects, none of which may be missing; a list, or a table as older builds answer."""
        answer = self.call(method, *arguments)
        if isinstance(answer, dict):
            answer = [answer[key] for key in sorted(answer)]
        if not isinstance(answer, list | tuple) or not all(_is_object(item) for item in answer):
            raise self.refused(method, answer)
        return [Remote(kind, item, self.caller) for item in answer]

    def refused(self, method: str, answer: Any) -> RenderError:
        """Return the error for an answer that is none."""
        told = repr(answer) if not _is_object(answer) else f"a {type(answer).__name__}"
        return RenderError(
            f"Resolve answered {told[:80]} to {self.kind}.{method}",
            remedy="Is the project open, unlocked, and on a page where that can be done?",
        )

    @property
    def id(self) -> str:
        """Its unique id."""
        return self.text("GetUniqueId")


class _Missing(BaseException):
    """The name is not there. No Exception, so that it is told from what the call itself raises."""


def _bare(value: Any) -> Any:
    if isinstance(value, Remote):
        return value.raw
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_bare(item) for item in value]
    return value


def _is_object(answer: Any) -> bool:
    return answer is not None and not isinstance(answer, bool | int | float | str | bytes | list | tuple | dict)
