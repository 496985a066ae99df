"""Progress of a render as a bar for a terminal, as lines for a log, or in the words of Open Job Description."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from safelight.graph.errors import GraphError, did_you_mean
from safelight.host_adapters.cli.console import err, say
from safelight.host_adapters.cli.options import size_text, time_text

if TYPE_CHECKING:
    from safelight.graph.progress import Progress, Step

KINDS = ("auto", "bar", "lines", "openjd", "none")
EVERY = 5.0
"""Seconds between two lines of a log."""


@contextmanager
def progress_of(kind: str) -> Iterator[Progress]:
    """Give a receiver of progress of one of `KINDS`; `auto` draws a bar only where standard error is a terminal."""
    if kind not in KINDS:
        raise GraphError(f"unknown progress '{kind}'", remedy=did_you_mean(kind, KINDS) or f"Use {', '.join(KINDS)}.")
    if kind == "auto":
        kind = "bar" if sys.stderr.isatty() else "lines"
    if kind == "bar":
        with _Bar() as bar:
            yield bar
    elif kind == "openjd":
        yield _OpenJD()
    else:
        yield _Lines(EVERY if kind == "lines" else float("inf"))


def pace(step: Step) -> str:
    """Return how fast and how long still, in words; empty before the first frame."""
    left = step.seconds_left
    if not step.done or left is None or step.seconds <= 0:
        return ""
    text = f"{step.done / step.seconds:.3g} fps"
    return f"{text}, {time_text(left)} left" if step.done < step.total else f"{text}, {time_text(step.seconds)}"


class _Lines:
    def __init__(self, every: float) -> None:
        self._every = every
        self._said = time.monotonic()
        self._stage = ""

    def step(self, step: Step) -> None:
        if self._every == float("inf"):
            return
        now = time.monotonic()
        first = step.stage != self._stage
        if first:
            self._stage = step.stage
        if step.done == step.total or now - self._said >= self._every:
            self._said = now
            at = f" (frame {step.frame})" if step.frame is not None else ""
            rest = ", ".join(
                filter(None, (pace(step), f"{size_text(step.live_bytes)} held" if step.live_bytes else ""))
            )
            say(f"{step.stage}: {step.done}/{step.total}{at}{', ' + rest if rest else ''}")

    def note(self, text: str) -> None:
        say(text if text.startswith("error: ") else f"note: {text}")


class _OpenJD(_Lines):
    """The worker agent reads these lines on standard output (Open Job Description 2023-09, "Messages")."""

    def __init__(self) -> None:
        super().__init__(EVERY)
        self._percent = -1.0

    def step(self, step: Step) -> None:
        percent = round(100 * step.done / step.total, 1) if step.total else 100.0
        if percent != self._percent:
            self._percent = percent
            print(f"openjd_progress: {percent}", flush=True)
        if step.stage != self._stage:
            print(f"openjd_status: {step.stage}", flush=True)
        super().step(step)


class _Bar:
    """A bar with frames done, pace, time left and memory."""

    def __enter__(self) -> _Bar:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[pace]}"),
            TextColumn("{task.fields[held]}", style="dim"),
            console=err(),
        )
        self._progress.__enter__()
        self._stage = ""
        self._task: Any = None
        return self

    def __exit__(self, *error: Any) -> None:
        self._progress.__exit__(*error)

    def step(self, step: Step) -> None:
        if step.stage != self._stage:
            self._stage = step.stage
            self._task = self._progress.add_task(step.stage, total=step.total, pace="", held="")
        held = size_text(step.live_bytes) if step.live_bytes else ""
        self._progress.update(self._task, completed=step.done, pace=pace(step), held=held)

    def note(self, text: str) -> None:
        self._progress.console.print(text if text.startswith("error: ") else f"note: {text}", markup=False)
