"""What a long run tells the person who waits for it."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Step:
    """How far a stage is."""

    stage: str
    """`render`, or `analyse NODE`."""
    done: int
    total: int
    frame: int | None
    """Frame finished last."""
    live_bytes: int
    """Bytes of pixels held."""
    seconds: float
    """Since the stage began."""

    @property
    def seconds_left(self) -> float | None:
        """Estimate from the pace so far; None before the first frame."""
        return self.seconds / self.done * (self.total - self.done) if self.done else None


class Progress(Protocol):
    """Receives progress. Steps come from the writing threads, one at a time; they should return quickly."""

    def step(self, step: Step) -> None:
        """Take note of one more frame; also called once with done = 0 when a stage begins."""
        ...

    def note(self, text: str) -> None:
        """Show one line: a warning, a frame skipped."""
        ...


class Silent:
    """Progress for nobody."""

    def step(self, step: Step) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""


@dataclass
class Stage:
    """Counts one stage's frames and reports each."""

    name: str
    total: int
    progress: Progress
    done: int = 0
    began: float = field(default_factory=time.monotonic)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def __post_init__(self) -> None:
        self._report(None, 0)

    def advance(self, frame: int, live_bytes: int = 0) -> None:
        """Count one frame."""
        with self._lock:
            self.done += 1
            self._report(frame, live_bytes)

    def _report(self, frame: int | None, live_bytes: int) -> None:
        seconds = time.monotonic() - self.began
        self.progress.step(Step(self.name, self.done, self.total, frame, live_bytes, seconds))
