"""Patches drawn at random from pictures held in memory: what a step of training sees."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from safelight.nodes.resolution.learned.training.degrade import film, worn
from safelight.nodes.resolution.learned.training.pictures import (
    LEAST,
    LINEAR,
    Picture,
    Plane,
    binned_pair,
    colours,
    lumas,
    pair,
    phased,
    smaller,
)

if TYPE_CHECKING:
    import torch

HELD_OUT = 14
"""One picture in so many is not trained on: it tells how training goes."""
EXPOSURES = 3
"""Of a scene-linear picture; each is worn in its own way."""
REPAIRED = 2
"""How many times pictures were reduced that a net of scale 1 learns to repair at the size that they have."""
SIZES: Mapping[int, tuple[float, ...]] = {4: (1, 2 / 3)}
"""Sizes that each display-referred picture is learned from at: for 4 times little is left of it once it is reduced, and
what was a soft edge is a sharp one at a smaller size."""
MARGIN = 8
"""Pixels on every side that are worn with a patch and cut off, some here and some there: a codec's blocks begin at any
of them, and blur and reduction find what they need beyond its edges."""
KEPT = 4
"""Of the margin that stays on every side."""
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
    sizes: Sequence[float] = (1,),
    phases: bool = False,
) -> list[tuple[bool, Picture]]:
    """Read pictures: whether each is scene-linear, and its pair. Those too small for a patch are left out.

    Of film, scene-linear ones are worn in colour alone. Reduced only, display-referred ones come at all the `sizes`.
    For scale 1 what is to be found is the plain reduction of what was worn. With `phases`, those reduced only have
    theirs.
    """
    out = []
    reduction = reduced_by(scale)
    for number, file in enumerate(files):
        linear = file.suffix.casefold() in LINEAR
        read = lumas(file) if planes == 1 and degradation != "area" else colours(file)
        for at, (name, coded) in enumerate(read):
            if min(coded.shape[-2:]) < LEAST * reduction:
                continue
            if degradation == "film" and not (linear and planes == 1):
                made = [film(name, coded, reduction, seed + EXPOSURES * number + at, light=linear)]
            else:
                shown = [coded] if linear else [smaller(coded, size) if size < 1 else coded for size in sizes]
                made = [_plain(name, one, reduction, degradation, planes, not linear, phases) for one in shown]
            if scale == 1:
                made = [Picture(one.name, _found(one.full, reduction, linear), one.low) for one in made]
            out += [(linear, one) for one in made]
    return out


def _plain(name: str, coded: Plane, scale: int, degradation: str, planes: int, codes: bool, phases: bool) -> Picture:
    def reduced(shown: Plane) -> Picture:
        if degradation == "area":
            return binned_pair(name, shown, scale, planes=planes, codes=codes)
        return pair(name, shown, scale, codes=codes)

    return phased(coded, scale, reduced) if phases else reduced(coded)


def reduced_by(scale: int) -> int:
    """Return how many times smaller what a net is given is than the picture it came from."""
    return scale if scale > 1 else REPAIRED


def _found(full: Plane, scale: int, linear: bool) -> Plane:
    """Return what a net of scale 1 is to find."""
    return pair("", full, scale, codes=not linear).low


@dataclass(frozen=True, eq=False)
class Twice:
    """Places of pictures, each from two reductions: the second begins `shift` pixels (down, right) of the full picture
    further on. All are turned alike, and the second half belongs to the first."""

    low: Plane
    """(2 N, planes, side, side)."""
    full: Plane
    """(2 N, planes, …), what lies in their middles."""
    drawn: Plane
    """(2 N), 1 for drawings."""
    shift: tuple[int, int]
    turns: int

    def upright(self, planes: torch.Tensor) -> torch.Tensor:
        """Return planes as they lie in their pictures."""
        straight = planes.rot90(-(self.turns & 3), (-2, -1))
        return straight.transpose(-1, -2) if self.turns & 4 else straight


class Patches:
    """Draws batches from pairs. The state of its generator is all that a resumed training needs."""

    def __init__(self, pictures: Sequence[tuple[bool, Picture]], scale: int, side: int, halo: int, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self._scale, self._side, self._halo = scale, side, halo
        self._wide = side
        # Of phases that begin further on, the last pixels are missing.
        pictures = [one for one in pictures if not one[1].phases or min(one[1].low.shape[-2:]) > side]
        shown = [picture for picture in pictures if not picture[0]]
        lit = [picture for picture in pictures if picture[0]]
        areas = [[float(p.low.size) for _, p in kind] for kind in (shown, lit)]
        shares = (1.0, 0.0) if not lit else (0.0, 1.0) if not shown else (1 - LINEAR_SHARE, LINEAR_SHARE)
        self._pictures = [*shown, *lit]
        odds = [share * area / sum(kind) for share, kind in zip(shares, areas, strict=True) for area in kind]
        self._odds = np.array(odds) / sum(odds)

    def batch(self, count: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return (count, planes, side, side) inputs and what lies in their middles, scale (side - 2 halo) on a side.

        Of two places drawn the busier is taken: flat patches teach nothing. Turned and mirrored at random.
        """
        drawn = [max((self._place() for _ in range(2)), key=lambda place: place[0]) for _ in range(count)]
        low, full = zip(*(self._turned(*self._cut(*place[1:])) for place in drawn), strict=True)
        size = (count, -1, self._side, self._side)
        wide = self._scale * (self._side - 2 * self._halo)
        return np.stack(low).reshape(size), np.stack(full).reshape(count, -1, wide, wide)

    def twice(self, count: int) -> Twice:
        """Return `count` places twice: all as they are, then all from a reduction that begins some pixels further on.

        The pictures must have their `phases`.
        """
        scale, side, halo = self._scale, self._side, self._halo
        shift = divmod(int(self.random.integers(1, scale**2)), scale)
        turns = int(self.random.integers(8))
        low: list[list[Plane]] = [[], []]
        full: list[list[Plane]] = [[], []]
        drawn = []
        for _ in range(count):
            _, number, y, x = max((self._place(1) for _ in range(2)), key=lambda place: place[0])
            picture = self._pictures[number][1]
            drawn.append(picture.drawn)
            for at, (down, right) in enumerate(((0, 0), shift)):
                low[at].append(_part(picture.phases[down * scale + right], y, x, side))
                shown = picture.full[..., down:, right:]
                full[at].append(_part(shown, y + halo, x + halo, side - 2 * halo, scale))
        planes = [np.stack([*first, *second]) for first, second in (low, full)]
        turned = [_turned(one.reshape(2 * count, -1, *one.shape[-2:]), turns) for one in planes]
        return Twice(turned[0], turned[1], np.array(drawn * 2, np.float32), shift, turns)

    def _place(self, spare: int = 0) -> tuple[float, int, int, int]:
        """Return how busy a place is, its picture's number, and where it begins; `spare` pixels are left after it."""
        number = int(self.random.choice(len(self._pictures), p=self._odds))
        low, wide = self._pictures[number][1].low, self._wide
        y, x = (int(self.random.integers(size - wide - spare + 1)) for size in low.shape[-2:])
        return float(low[..., y : y + wide, x : x + wide].std()), number, y, x

    def _cut(self, number: int, y: int, x: int) -> tuple[Plane, Plane]:
        """Return a place's input and all that it comes from, the halo too."""
        _, picture = self._pictures[number]
        return _part(picture.low, y, x, self._side), _part(picture.full, y, x, self._side, self._scale)

    def _turned(self, low: Plane, full: Plane) -> tuple[Plane, Plane]:
        cut = self._scale * self._halo
        full = full[..., cut : full.shape[-2] - cut, cut : full.shape[-1] - cut]
        turns = int(self.random.integers(8))
        return _turned(low, turns), _turned(full, turns)


class FilmPatches(Patches):
    """Draws batches from plain pairs, each patch worn as it is drawn: a wear that never comes again cannot be learned
    by heart.

    Pictures are pairs reduced as often as the net's input is (`reduced_by`). Scene-linear luma stays as it is.
    """

    def __init__(self, pictures: Sequence[tuple[bool, Picture]], scale: int, side: int, halo: int, seed: int) -> None:
        super().__init__(pictures, scale, side, halo, seed)
        self._wide = side + 2 * MARGIN

    def _cut(self, number: int, y: int, x: int) -> tuple[Plane, Plane]:
        linear, picture = self._pictures[number]
        reduction = reduced_by(self._scale)
        full = _part(picture.full, y, x, self._wide, reduction)
        if linear and full.ndim == 2:
            low = _part(picture.low, y, x, self._wide)
        else:
            full, low = worn(self.random, full, reduction, light=linear)
        if self._scale == 1:
            full = _found(full, reduction, linear)
        top, left = (int(self.random.integers(KEPT, 2 * MARGIN - KEPT)) for _ in range(2))
        return _part(low, top, left, self._side), _part(full, top, left, self._side, self._scale)


def _turned(planes: Plane, turns: int) -> Plane:
    """Return planes (…, H, W) mirrored about their diagonal where `turns` has its 4, then turned by its quarters."""
    return np.rot90(planes.swapaxes(-1, -2) if turns & 4 else planes, turns & 3, (-2, -1))


def _part(plane: Plane, y: int, x: int, side: int, scale: int = 1) -> Plane:
    """Return a square of a plane (…, H, W), measured in pixels `scale` times as large."""
    return plane[..., scale * y : scale * (y + side), scale * x : scale * (x + side)]
