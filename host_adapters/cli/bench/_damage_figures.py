"""Figures of merit for what finds and repairs damage: plain arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.grain.domain import coding

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

TOLERANCE = 1
"""Pixels by which an outline may be off."""
LEVELS = np.concatenate([np.linspace(0.01, 0.99, 50), [1.0]])
_SQUARE = np.ones((2 * TOLERANCE + 1,) * 2, dtype=bool)
_LOG = coding("log")


def stops(light: Any) -> Floats:
    """Return scene-linear light in stops above a toe of 0.01, as grain is measured in."""
    return _LOG.encode(np.asarray(light, np.float64))


@dataclass
class Detection:
    """Counts over many frames, at each level of a matte's confidence.

    A marked pixel is right if damage lies within `TOLERANCE` of it; a damaged one is found if a mark does. Marks on
    pixels that damage changed below visibility count neither way.
    """

    marked: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))
    right: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))
    found: Floats = field(default_factory=lambda: np.zeros(len(LEVELS)))
    damaged: float = 0.0

    def add(self, matte: Floats, truth: Mask, changed: Mask | None = None) -> None:
        """Count one frame: confidence, visible damage, and all pixels that damage changed at all, each (H, W)."""
        wide = ndimage.binary_dilation(truth, _SQUARE)
        counted = wide | ~changed if changed is not None else np.ones_like(truth)
        reach = ndimage.maximum_filter(matte, size=2 * TOLERANCE + 1)
        self.marked += _above(matte[counted])
        self.right += _above(matte[wide])
        self.found += _above(reach[truth])
        self.damaged += float(truth.sum())

    def at(self, level: float) -> tuple[float, float, float]:
        """Return (precision, recall, F1) of all pixels at least that confident; 0 where nothing is marked or there."""
        return self._at(int(np.argmin(np.abs(LEVELS - level))))

    def _at(self, i: int) -> tuple[float, float, float]:
        precision = float(self.right[i] / self.marked[i]) if self.marked[i] else 0.0
        recall = float(self.found[i] / self.damaged) if self.damaged else 0.0
        return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0

    def best(self) -> float:
        """Return the best F1 of all levels."""
        return max(self._at(i)[2] for i in range(len(LEVELS)))

    def precision_at(self, recall: float) -> float:
        """Return the best precision of the levels that find at least this share; 0 where none does."""
        return max((p for p, r, _ in (self._at(i) for i in range(len(LEVELS))) if r >= recall), default=0.0)


def _above(values: Floats) -> Floats:
    ordered = np.sort(values)
    return (ordered.size - np.searchsorted(ordered, LEVELS - 1e-6)).astype(np.float64)


def sdip(before: Floats, frame: Floats, after: Floats, scale: float) -> Floats:
    """Detect by the spike detection index with polarity (Kokaram 2004), without motion compensation.

    Planes (C, H, W) in stops; what differs by `scale` from both neighbours, the same way, in any channel, gets 0.5.
    """
    first, last = frame - before, frame - after
    spike = np.where(first * last > 0, np.minimum(np.abs(first), np.abs(last)), 0.0).max(0)
    return np.asarray(spike / (spike + scale))


@dataclass
class Fill:
    """How well holes were filled, over many frames."""

    regions: int = 0
    good: int = 0
    squares: float = 0.0
    samples: int = 0
    rough: list[tuple[float, float, float]] = field(default_factory=list)
    """(weight, high-frequency power made, and as it would be undamaged) of each region."""
    spectra: list[tuple[Floats, Floats]] = field(default_factory=list)

    def add(self, made: Any, undamaged: Any, clean: Any, truth: Mask) -> None:
        """Measure one frame: scene-linear (C, H, W) as repaired, with its grain but undamaged, without grain."""
        got, grained, bare = (stops(v) for v in (made, undamaged, clean))
        error = np.abs(ndimage.uniform_filter(got - bare, size=(1, 3, 3))).mean(0)
        sigma = np.sqrt(ndimage.uniform_filter((grained - bare) ** 2, size=(1, 15, 15)).mean(0))
        fine, true_fine = (v - ndimage.gaussian_filter(v, (0, 1, 1)) for v in (got, grained))
        marks, _ = ndimage.label(truth, np.ones((3, 3)))
        for number, box in enumerate(ndimage.find_objects(marks), 1):
            own = marks[box] == number
            self.regions += 1
            self.good += bool(error[box][own].mean() <= 2 * sigma[box][own].mean())
            inside = own.sum()
            rough, true = (float((v[(slice(None), *box)] ** 2).mean(0)[own].mean()) for v in (fine, true_fine))
            self.rough.append((float(inside), rough, true))
            self._spectrum(got, grained, truth, box)
        shown = [np.clip(np.asarray(v, np.float64), 0, 1) ** (1 / 2.4) for v in (made, undamaged)]
        self.squares += float(((shown[0] - shown[1])[:, truth] ** 2).sum())
        self.samples += int(truth.sum()) * len(got)

    def _spectrum(self, got: Floats, grained: Floats, truth: Mask, box: tuple[slice, slice]) -> None:
        y, x = ((part.start + part.stop) // 2 - 4 for part in box)
        if y < 0 or x < 0 or y + 8 > truth.shape[0] or x + 8 > truth.shape[1] or truth[y : y + 8, x : x + 8].sum() < 24:
            return
        window = np.hanning(10)[1:-1]
        window = window[:, None] * window
        pair = []
        for planes in (got, grained):
            cut = planes[:, y : y + 8, x : x + 8]
            cut = (cut - cut.mean((1, 2), keepdims=True)) * window
            pair.append((np.abs(np.fft.fft2(cut)) ** 2).mean(0))
        self.spectra.append((pair[0], pair[1]))

    @property
    def reconstructed(self) -> float:
        """Share of regions whose mean error after a 3 x 3 blur is at most 2 sigma of the grain there."""
        return self.good / self.regions if self.regions else float("nan")

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio of the damaged pixels, of values between 0 and 1 raised to 1/2.4, dB."""
        return float(10 * np.log10(self.samples / self.squares)) if self.squares else float("inf")

    @property
    def variance_ratio(self) -> float:
        """High-frequency variance of repaired regions over what it is there undamaged, all regions together."""
        weight, made, true = np.array(self.rough).T if self.rough else np.ones((3, 1))
        return float((weight * made).sum() / (weight * true).sum())

    @property
    def spectrum_error(self) -> float:
        """Mean relative error of the power in rings of frequency, of 8 x 8 windows mostly filled; NaN without any."""
        if not self.spectra:
            return float("nan")
        made, true = (np.mean([pair[i] for pair in self.spectra], axis=0) for i in (0, 1))
        f = np.fft.fftfreq(8)
        ring = np.rint(8 * np.hypot(f[:, None], f)).astype(int)
        rings = range(1, 5)
        return float(np.mean([abs(made[ring == k].sum() / true[ring == k].sum() - 1) for k in rings]))


def touched(before: Any, after: Any) -> Mask:
    """Tell for each pixel whether any bit of (C, H, W) differs."""
    pair: Sequence[Any] = [np.ascontiguousarray(v, np.float32).view(np.uint32) for v in (before, after)]
    return np.asarray((pair[0] != pair[1]).any(0))
