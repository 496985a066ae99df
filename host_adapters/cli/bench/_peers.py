"""Peers of Degrain: what they have in common, and a search for the setting that serves each best on a clip."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import RenderError
from safelight.host_adapters.cli.bench._clips import Codes, psnr

# Threads that spin while they wait would be counted as work, and slow the peers.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

THREADS = 2
Setting = Mapping[str, str | int | float]
"""`s`, the strength, and a value for each option."""


@dataclass(frozen=True)
class Peer(ABC):
    """A denoiser of somebody else's."""

    name: str
    chain: str
    """How it is called, as text with places for the setting."""
    strength: float
    """The strength a search begins with, over the noise's sigma in 8-bit codes."""
    options: Mapping[str, Sequence[str | int | float]] = field(default_factory=dict)
    """Values to try; the first of each is what a search begins with."""
    reach: int = 0
    """Frames before and after that it looks at."""
    area: tuple[int, int] = (270, 480)
    """Height and width of the part that is searched on: smaller for slow ones."""
    deep: bool = True
    """Whether it takes 16-bit samples."""

    def start(self, sigma: float) -> dict[str, str | int | float]:
        """Return the setting a search begins with; `sigma` of the noise in 8-bit codes."""
        return {"s": self.strength * sigma, **{key: values[0] for key, values in self.options.items()}}

    def text(self, setting: Setting, deep: bool = False) -> str:
        """Return how it is called with this setting."""
        return self.chain.format(**{**setting, "s": f"{float(setting['s']):.4g}"})

    @abstractmethod
    def run(self, frames: Codes, setting: Setting) -> tuple[Codes, npt.NDArray[np.float64]]:
        """Denoise frames; return them, and seconds by the clock and of the processor for all of them.

        Raises RenderError where the setting is beyond what it takes.
        """

    def middle(self, frames: Codes, at: int, setting: Setting) -> Codes:
        """Return frame `at` of a clip, denoised."""
        made: Codes = self.run(frames[at - self.reach : at + self.reach + 1], setting)[0][self.reach]
        return made


def search(peer: Peer, given: Codes, clean: Codes, sigma: float) -> dict[str, str | int | float]:
    """Return the setting with the best PSNR on the middle of a clip's middle frame: a climb in strength, then for each
    option in turn its values, each with a climb of its own, then a finer climb. Deterministic; nothing is kept.

    Parameters
    ----------
    given, clean:
        Frames of a clip, with noise and without.
    sigma:
        Of the noise, in 8-bit codes.
    """
    h, w = (min(a, b) for a, b in zip(peer.area, given.shape[1:3], strict=True))
    y, x = (given.shape[1] - h) // 2, (given.shape[2] - w) // 2
    at = len(given) // 2
    part, truth = (np.ascontiguousarray(frames[:, y : y + h, x : x + w]) for frames in (given, clean))
    peak = float(np.iinfo(given.dtype).max)
    known: dict[str, float] = {}

    def score(setting: Setting) -> float:
        text = peer.text(setting, given.dtype != np.uint8)
        if text not in known:
            try:
                known[text] = psnr(peer.middle(part, at, setting), truth[at], peak)
            except RenderError:  # a strength beyond what the peer takes
                known[text] = -np.inf
        return known[text]

    def climb(setting: dict[str, str | int | float], factor: float) -> dict[str, str | int | float]:
        best = setting
        for step in (factor, 1 / factor):
            while score(further := {**best, "s": float(best["s"]) * step}) > score(best):
                best = further
            if best is not setting:
                break
        return best

    best = climb(peer.start(sigma), 1.5)
    for key, values in peer.options.items():
        best = max((climb({**best, key: value}, 1.25) for value in values), key=score)
    best = climb(best, 1.1)
    if score(best) == -np.inf:
        peer.middle(part, at, best)  # says what is wrong
    return best


class Clock:
    """Seconds by the clock and of the processor, this process's own and those of its finished children."""

    def __init__(self) -> None:
        self._start = self._now()

    def _now(self) -> npt.NDArray[np.float64]:
        times = os.times()
        now = (time.perf_counter(), time.process_time() + times.children_user + times.children_system)
        return np.asarray(now, dtype=np.float64)

    def seconds(self) -> npt.NDArray[np.float64]:
        """Return what has passed since it was made."""
        return np.asarray(self._now() - self._start, dtype=np.float64)
