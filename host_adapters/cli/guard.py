"""Turns whatever a command raises into a line and an exit status, and Ctrl-C into a clean stop."""

from __future__ import annotations

import functools
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, TypeVar

import typer

from safelight.host_adapters.cli.console import debugging, error_data, error_line, exit_status, put_json, say

Command = TypeVar("Command", bound=Callable[..., Any])


def guarded(command: Command) -> Command:
    """Wrap a command: errors become one line on standard error (and, with `--json`, an object), never a traceback."""

    @functools.wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.BadParameter):
            raise
        except BrokenPipeError:
            # The reader of our output went away (`| head`): nobody is left to be told.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(1) from None
        except (Exception, KeyboardInterrupt) as error:
            status = report(error)
            if kwargs.get("as_json"):
                put_json({"ok": False, "exit": status, "error": error_data(error)})
            raise typer.Exit(status) from None

    return run  # type: ignore[return-value]


def report(error: BaseException) -> int:
    """Say an error on standard error; return the exit status."""
    if debugging():
        say("".join(traceback.format_exception(error)).rstrip())
    say(error_line(error))
    return exit_status(error)


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C (or a farm's SIGTERM) sets; a second Ctrl-C stops at once."""
    cancel = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield cancel
        return

    def stop(number: int, frame: FrameType | None) -> None:
        if cancel.is_set():
            raise KeyboardInterrupt
        cancel.set()
        say("stopping after what is under way; once more to stop at once")

    previous = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
