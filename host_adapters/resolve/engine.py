"""The engine as a process of its own: progress while it runs, a clean stop, its error in one line."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from safelight.graph.errors import Cancelled, RenderError

GRACE = 20.0
"""Seconds that a stopped render has to finish the frame under way."""
PYTHON = "SAFELIGHT_PYTHON"
"""Environment variable: the Python that Safelight is installed under. A host's own `sys.executable` is the host."""


def python() -> str:
    """Return the Python that runs the engine."""
    return os.environ.get(PYTHON) or sys.executable


def run_engine(
    document: Path, report: Callable[[float, str], None], cancel: threading.Event, options: tuple[str, ...] = ()
) -> None:
    """Render a document; what an earlier run finished is left.

    Parameters
    ----------
    report:
        Called with the share done (0 to 1) and a word on what is being done.
    cancel:
        Set it to stop: frames that are finished stay.
    options:
        More arguments of `safelight render`.

    Raises
    ------
    Cancelled
        `cancel` was set.
    RenderError
        The render failed: the engine's own line, without its "error:".
    """
    command = [python(), "-m", "safelight.host_adapters.cli.main", "render", str(document), "--resume"]
    try:
        process = subprocess.Popen(
            [*command, "--progress", "openjd", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise RenderError(
            f"the engine cannot be started: {error.strerror}",
            file=command[0],
            remedy=f"Set {PYTHON} to the Python that Safelight is installed under.",
        ) from None
    said: list[str] = []
    assert process.stdout is not None and process.stderr is not None
    errors = process.stderr
    reader = threading.Thread(target=lambda: said.extend(line.rstrip() for line in errors), daemon=True)
    reader.start()
    stopper = threading.Thread(target=_stop_when, args=(process, cancel), daemon=True)
    stopper.start()
    stage, share = "render", 0.0
    for line in process.stdout:
        name, _, value = line.strip().partition(": ")
        if name == "openjd_status":
            stage = value
        elif name == "openjd_progress":
            share = float(value) / 100
            report(share, stage)
    status = process.wait()
    reader.join(5)
    if cancel.is_set() and status:
        raise Cancelled
    if status:
        told = next((line for line in reversed(said) if line.startswith("error: ")), said[-1] if said else "")
        raise RenderError(told.removeprefix("error: ") or f"the engine ended with status {status}")


def _stop_when(process: subprocess.Popen[str], cancel: threading.Event) -> None:
    while process.poll() is None:
        if cancel.wait(0.2):
            # SIGTERM lets the frame under way be finished; Windows knows no gentler way than to end it.
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
            return
