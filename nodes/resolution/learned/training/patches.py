"""Patches drawn at random from pictures held in memory: what a step of training sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from safelight.nodes.resolution.learned.training.degrade import film
from safelight.nodes.resolution.learned.training.pictures import (
    LEAST,
    LINEAR,
    Picture,
    Plane,
    colours,
    lumas,
    pair,
    smaller,
)

HELD_OUT = 14
"""One picture in so many is not trained on: it tells how training goes."""
VARIANTS = 4
REPAIRED = 2
"""How many times pictures were reduced that a net of scale 1 learns to repair at the size that they have."""
SIZES: Mapping[int, tuple[float, ...]] = {4: (1, 2 / 3)}
"""Sizes that each display-referred picture is learned from at: for 4 times little is left of it once it is reduced, and
what was a soft edge is a sharp one at a smaller size."""
LINEAR_SHARE = 0.1
"""Patches from scene-linear pictures, where there are both kinds: they bring values over white."""


def split(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Return the pictures to train on and those held out (display-referred ones, where there are any), always the same
    for the same names."""
    shown = [file for file in files if file.suffix.casefold() not in LINEAR] or list(files)
    held = shown[HELD_OUT - 1 :: HELD_OUT] or shown[-1:]
    return [file for file in files if file not in held] or list(files), held


def pairs(
    files: Iterable[Path],
    scale: int,
    *,
    degradation: str = "bicubic",
    planes: int = 1,
    seed: int = 0,
    variants: int = VARIANTS,
    sizes: Sequence[float] = (1,),
) -> list[tuple[bool, Picture]]:
    """Read pictures: whether each is scene-linear, and its pair. Those too small for a patch are left out.

    Of film, each display-referred picture comes `variants` times, differently worn; scene-linear ones are worn in
    colour alone. Reduced only, display-referred ones come at all the `sizes`. For scale 1 what is to be found is the
    plain reduction of what was worn.
    """
    out = []
    reduction = scale if scale > 1 else REPAIRED
    for number, file in enumerate(files):
        linear = file.suffix.casefold() in LINEAR
        for at, (name, coded) in enumerate(lumas(file) if planes == 1 else colours(file)):
            if min(coded.shape[-2:]) < LEAST * reduction:
                continue
            if degradation == "bicubic" or (linear and planes == 1):
                shown = [coded] if linear else [smaller(coded, size) if size < 1 else coded for size in sizes]
                made = [pair(name, one, reduction, codes=not linear) for one in shown]
            else:
                seeds = [at] if linear else range(variants)
                made = [film(name, coded, reduction, seed + VARIANTS * number + k, light=linear) for k in seeds]
            if scale == 1:
                made = [Picture(one.name, _reduced(one, reduction, linear), one.low) for one in made]
            out += [(linear, one) for one in made]
    return out


def _reduced(worn: Picture, scale: int, linear: bool) -> Plane:
    return pair(worn.name, worn.full, scale, codes=not linear).low


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
        """Return (count, planes, side, side) inputs and what lies in their middles, scale (side - 2 halo) on a side.

        Of two places drawn the busier is taken: flat patches teach nothing. Turned and mirrored at random.
        """
        drawn = [max((self._place() for _ in range(2)), key=lambda place: place[0]) for _ in range(count)]
        low, full = zip(*(self._turned(*place[1:]) for place in drawn), strict=True)
        size = (count, -1, self._side, self._side)
        wide = self._scale * (self._side - 2 * self._halo)
        return np.stack(low).reshape(size), np.stack(full).reshape(count, -1, wide, wide)

    def _place(self) -> tuple[float, Picture, int, int]:
        picture = self._pictures[int(self.random.choice(len(self._pictures), p=self._odds))]
        y, x = (int(self.random.integers(size - self._side + 1)) for size in picture.low.shape[-2:])
        return float(picture.low[..., y : y + self._side, x : x + self._side].std()), picture, y, x

    def _turned(self, picture: Picture, y: int, x: int) -> tuple[Plane, Plane]:
        s, a, h = self._scale, self._side, self._halo
        low = picture.low[..., y : y + a, x : x + a]
        full = picture.full[..., s * (y + h) : s * (y + a - h), s * (x + h) : s * (x + a - h)]
        turns = int(self.random.integers(8))
        if turns & 4:
            low, full = low.swapaxes(-1, -2), full.swapaxes(-1, -2)
        return np.rot90(low, turns & 3, (-2, -1)), np.rot90(full, turns & 3, (-2, -1))
