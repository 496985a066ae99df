"""What a person or a script hears from us: results on standard output, everything else on standard error."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safelight.graph.errors import Cancelled, GraphError, SafelightError

if TYPE_CHECKING:
    from rich.console import Console

DONE, FAILED, WRONG_USE, INTERRUPTED = 0, 1, 2, 130
"""Exit statuses: the contract with farms."""


def debugging() -> bool:
    """Tell whether tracebacks are wanted (`--debug`, or SAFELIGHT_DEBUG set to anything but 0)."""
    return os.environ.get("SAFELIGHT_DEBUG", "0") not in ("", "0")


def err() -> Console:
    """Return the console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def out() -> Console:
    """Return the console on standard output, wide when nobody looks, so that a pipe sees whole lines."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else 160)


def say(text: str) -> None:
    """Print a line on standard error."""
    print(text, file=sys.stderr, flush=True)


def put_json(data: Mapping[str, Any]) -> None:
    """Print the one object of a `--json` run."""
    print(json.dumps(data, indent=1, ensure_ascii=False, default=_plain, allow_nan=False), flush=True)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if hasattr(value, "item"):
        return value.item()
    return str(value)


def exit_status(error: BaseException) -> int:
    """Return the exit status an error ends the program with."""
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return INTERRUPTED
    return WRONG_USE if isinstance(error, GraphError) else FAILED


def error_data(error: BaseException) -> dict[str, Any]:
    """Return an error as plain data, for `--json`."""
    if isinstance(error, SafelightError):
        return {
            "message": str(error),
            "what": error.what,
            "where": error.where,
            "frame": error.frame,
            "file": str(error.file) if error.file is not None else None,
            "remedy": error.remedy,
        }
    return {"message": _unexpected(error)}


def error_line(error: BaseException) -> str:
    """Return the one line that a person sees of an error."""
    if isinstance(error, Cancelled | KeyboardInterrupt):
        return "stopped on request"
    if isinstance(error, SafelightError):
        return f"error: {error}"
    return f"error: {_unexpected(error)}"


def _unexpected(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        place = f"{error.filename}: " if error.filename else ""
        return f"{place}{error.strerror}"
    if isinstance(error, MemoryError):
        return "out of memory. Allow less with --memory, or use a machine with more."
    kind = type(error).__name__
    return f"unexpected {kind}{': ' + text if text else ''}. This is a fault of Safelight; --debug shows where."
