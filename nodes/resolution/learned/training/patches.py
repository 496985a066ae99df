"""Patches drawn at random from pictures held in memory: what a step of training sees."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from safelight.nodes.resolution.learned.training.degrade import film
from safelight.nodes.resolution.learned.training.pictures import LEAST, LINEAR, Picture, Plane, lumas, pair

HELD_OUT = 14
"""One picture in so many is not trained on: it tells how training goes."""
VARIANTS = 4
LINEAR_SHARE = 0.1
"""Patches from scene-linear pictures, where there are both kinds: they bring values over white."""


def split(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the pictures to train on and those held out (display-referred ones, where there are any), always the same
    for the same names."""
    shown = [file for file in files if file.suffix.casefold() not in LINEAR] or list(files)
    held = shown[HELD_OUT - 1 :: HELD_OUT] or shown[-1:]
    return [file for file in files if file not in held] or list(files), held


def pairs(
    files: Iterable[Path], scale: int, *, degradation: str = "bicubic", seed: int = 0
) -> list[tuple[bool, Picture]]:
    """Read pictures: whether each is scene-linear, and its pair. Those too small for a patch are left out.

    Of film, each display-referred picture comes `VARIANTS` times, differently worn.
    """
    out = []
    for number, file in enumerate(files):
        linear = file.suffix.casefold() in LINEAR
        for name, luma in lumas(file):
            if min(luma.shape) < LEAST * scale:
                continue
            if degradation == "bicubic" or linear:
                out.append((linear, pair(name, luma, scale, codes=not linear)))
            else:
                out += [(False, film(name, luma, scale, seed + VARIANTS * number + k)) for k in range(VARIANTS)]
    return out


class Patches:
    """Draws batches. The state of its generator is all that a resumed training needs."""

    def __init__(self, pictures: Sequence[tuple[bool, Picture]], scale: int, side: int, halo: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._scale, self._side, self._halo = scale, side, halo
        shown = [picture for linear, picture in pictures if not linear]
        lit = [picture for linear, picture in pictures if linear]
        areas = [[float(p.low.size) for p in kind] for kind in (shown, lit)]
        shares = (1.0, 0.0) if not lit else (0.0, 1.0) if not shown else (1 - LINEAR_SHARE, LINEAR_SHARE)
        self._pictures = [*shown, *lit]
        odds = [share * area / sum(kind) for share, kind in zip(shares, areas, strict=True) for area in kind]
        self._odds = np.array(odds) / sum(odds)

    def batch(self, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return (count, 1, side, side) inputs and what lies in their middles, scale (side - 2 halo) on a side.

        Of two places drawn the busier is taken: flat patches teach nothing. Turned and mirrored at random.
        """
        drawn = [max((self._place() for _ in range(2)), key=lambda place: place[0]) for _ in range(count)]
        low, full = zip(*(self._turned(*place[1:]) for place in drawn), strict=True)
        return np.stack(low)[:, None], np.stack(full)[:, None]

    def _place(self) -> tuple[float, Picture, int, int]:
        picture = self._pictures[int(self.random.choice(len(self._pictures), p=self._odds))]
        y, x = (int(self.random.integers(size - self._side + 1)) for size in picture.low.shape)
        return float(picture.low[y : y + self._side, x : x + self._side].std()), picture, y, x

    def _turned(self, picture: Picture, y: int, x: int) -> tuple[Plane, Plane]:
        s, a, h = self._scale, self._side, self._halo
        low = picture.low[y : y + a, x : x + a]
        full = picture.full[s * (y + h) : s * (y + a - h), s * (x + h) : s * (x + a - h)]
        turns = int(self.random.integers(8))
        if turns & 4:
            low, full = low.T, full.T
        return np.rot90(low, turns & 3), np.rot90(full, turns & 3)
