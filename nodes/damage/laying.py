"""Which pieces of damage lie on a frame, and what they do to its light."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from safelight.graph.frames import parse_frames
from safelight.graph.region import Region
from safelight.nodes.damage import lines, shapes, templates
from safelight.nodes.damage.draws import Draws, Floats
from safelight.nodes.damage.shapes import UNIT, Stamp, area, stamp

if TYPE_CHECKING:
    from safelight.nodes.damage.damage import DamageParams

TOE = 0.01
"""Scene-linear light that clear film adds where the scene is black: what bright damage lifts."""
LEAST = 2 ** (1 / 64)
"""A pixel whose light would change by a smaller factor keeps its bits."""
DENSEST = 4.0
_TRANSMISSION = np.power(10.0, -np.arange(int(DENSEST * UNIT) + 1) / UNIT)
_FIBRES = 0.12
"""Share of the specks that are short fibres."""

DUST, BRIGHT, COLOURED, HAIRS, BLOTCHES = 1, 2, 3, 4, 5


def laid(params: DamageParams, width: int, height: int, frame: int) -> tuple[Stamp, ...]:
    """Return everything that lies on one frame of a picture of this size."""
    listed = "" if params.templates is None else templates.listing(params.templates)
    return _laid(params, params.templates, listed, width, height, frame)


@lru_cache(maxsize=4)
def _laid(
    params: DamageParams, folder: Path | None, listed: str, width: int, height: int, frame: int
) -> tuple[Stamp, ...]:
    pieces = templates.load(folder, listed) if folder is not None else templates.Templates()
    negative = params.film == "negative"
    found: list[Stamp] = []
    for at, clinging in ((frame, False), (frame - 1, True)):
        fresh = _fresh(params, pieces, width, height, at)
        if not clinging:
            found += fresh
        elif params.repeat > 0:
            sticks = Draws(params.seed, 31, at).uniform(len(fresh)) < params.repeat
            found += [one for one, stays in zip(fresh, sticks, strict=True) if stays]
    found += _scratches(params, width, height, frame)
    found += [
        lines.gate_hair(params.seed, number, frame, width, height).shown(bright=False)
        for number in range(params.gate_hairs)
    ]
    for where, after in ((frame, True), (frame + 1, False)):
        if where in listed_frames(params.splices):
            for one, clear in lines.splice(params.seed, where, width, height, after=after):
                found.append(one.shown(bright=clear != negative))
    if frame in listed_frames(params.destroyed):
        found.append(lines.destroyed(params.seed, frame, width, height).shown(bright=negative))
    return tuple(found)


@lru_cache(maxsize=16)
def listed_frames(text: str) -> frozenset[int]:
    """Return the frames that a parameter lists; raises GraphError for what is no range."""
    return frozenset(parse_frames(text)) if text.strip() else frozenset()


def _fresh(params: DamageParams, pieces: templates.Templates, width: int, height: int, frame: int) -> list[Stamp]:
    """Return the dust, hairs and blotches that come with one frame; with `repeat` some are there in the next too."""
    negative = params.film == "negative"
    found: list[Stamp] = []
    size: float
    for kind, share in ((DUST, params.dust), (BRIGHT, params.bright), (COLOURED, params.coloured)):
        draws = Draws(params.seed, kind, frame)
        wanted = share / 100 / (1 + params.repeat) * width * height * draws.between(0.8, 1.2)
        taken = 0.0
        while taken < wanted:
            one, size = _speck(params, pieces, draws, width, height)
            taken += size
            if kind == COLOURED:
                found.append(one.shown(bright=draws.chance(0.5), channel=draws.below(3)))
            else:
                found.append(one.shown(bright=(kind == BRIGHT) != negative))
    draws = Draws(params.seed, HAIRS, frame)
    for _ in range(draws.poisson(params.hairs / (1 + params.repeat))):
        x, y = draws.between(0, width), draws.between(0, height)
        length = min(params.hair_length * math.exp(0.5 * float(draws.normal(1)[0])), 2 * params.hair_length)
        cut = pieces.pick("fibre", draws, length)
        x0, y0, cover = (
            _placed(cut, x, y) if cut is not None else shapes.fibre(draws, x, y, length, params.hair_width, curl=0.55)
        )
        found.append(stamp("hair", x0, y0, cover, _density(params, draws)).shown(bright=negative))
    draws = Draws(params.seed, BLOTCHES, frame)
    for _ in range(draws.poisson(params.blotches / (1 + params.repeat))):
        x, y = draws.between(0, width), draws.between(0, height)
        size = params.blotch_size * math.exp(0.35 * float(draws.normal(1)[0]))
        cut = pieces.pick("blotch", draws, size)
        x0, y0, cover = _placed(cut, x, y) if cut is not None else shapes.blotch(draws, x, y, size)
        found.append(stamp("blotch", x0, y0, cover, _density(params, draws)).shown(bright=negative))
    return found


def _speck(
    params: DamageParams, pieces: templates.Templates, draws: Draws, width: int, height: int
) -> tuple[Stamp, int]:
    """Return a grain of dust or a short fibre somewhere on the frame, and the pixels it takes."""
    x, y = draws.between(0, width), draws.between(0, height)
    size = min(params.size * math.exp(0.5 * float(draws.normal(1)[0])), params.largest)
    long = draws.chance(_FIBRES) and size >= 2
    cut = pieces.pick("fibre" if long else "speck", draws, 2.5 * size if long else size)
    if cut is not None:
        x0, y0, cover = _placed(cut, x, y)
    elif long:
        x0, y0, cover = shapes.fibre(draws, x, y, 2.8 * size, min(1.6, 0.35 * size))
    else:
        x0, y0, cover = shapes.speck(draws, x, y, size)
    return stamp("dust", x0, y0, cover, _density(params, draws)), max(1, area(cover))


def _density(params: DamageParams, draws: Draws) -> float:
    return params.opacity * draws.between(0.5, 1.3)


def _placed(cover: Floats, x: float, y: float) -> tuple[int, int, Floats]:
    high, wide = cover.shape
    return math.floor(x) - wide // 2, math.floor(y) - high // 2, cover


def _scratches(params: DamageParams, width: int, height: int, frame: int) -> list[Stamp]:
    found = []
    for wanders, count in ((False, params.scratches), (True, params.wandering)):
        for number in range(count):
            one = lines.scratch(
                params.seed,
                number + 1000 * wanders,
                frame,
                width,
                height,
                wanders=wanders,
                thickness=params.scratch_width,
                density=params.scratch_opacity,
                broken=params.broken,
            )
            draws = Draws(params.seed, 37, number, wanders)
            tone = params.scratch_tone
            if tone == "mixed":
                tone = ("dark", "bright", "coloured")[draws.below(3)]
            channel = draws.below(3) if tone == "coloured" else -1
            bright = tone == "bright" or (tone == "coloured" and draws.chance(0.5))
            found.append(one.shown(bright=bright, channel=channel))
    return found


# --- what it does to the light ---------------------------------------------------------------------------------------


def densities(stamps: Sequence[Stamp], region: Region, records: int) -> tuple[Any, Any]:
    """Add up (darkening, brightening) densities of a region, int32 (records, H, W) each, in 1/4096.

    On a picture of one record coloured damage lies on that one.
    """
    dark = np.zeros((records, region.height, region.width), dtype=np.int32)
    bright = np.zeros_like(dark)
    for one in stamps:
        high, wide = one.density.shape
        inside = region.intersect(Region.sized(wide, high, one.x0, one.y0))
        if not inside:
            continue
        y, x = inside.y0 - region.y0, inside.x0 - region.x0
        v, u = inside.y0 - one.y0, inside.x0 - one.x0
        part = one.density[v : v + inside.height, u : u + inside.width]
        which = slice(None) if one.channel < 0 or records == 1 else slice(one.channel, one.channel + 1)
        onto = bright if one.bright else dark
        onto[which, y : y + inside.height, x : x + inside.width] += part
    most = int(DENSEST * UNIT)
    return np.minimum(dark, most, out=dark), np.minimum(bright, most, out=bright)


def expose(light: Any, dark: Any, bright: Any, white: float) -> Floats:
    """Return scene-linear light through damage of these densities (whole numbers, in 1/4096).

    What darkens multiplies the light by its transmission. What brightens multiplies it by as much the other way, above
    a toe, and levels off towards `white`, the clearest the film gets; light above that is not brightened. NaN and
    infinity stay.
    """
    before = np.asarray(light, np.float64)
    after = before * _TRANSMISSION[dark]
    lifted = np.maximum(after, 0.0) + TOE
    through = _TRANSMISSION[bright]
    ratio = lifted / (white + TOE)
    # gain g = 1/through: m g / (1 + m (g - 1) / white), with both sides times through.
    with np.errstate(invalid="ignore"):  # infinity over infinity, replaced below
        levelled = lifted / (through + ratio * (1 - through)) - TOE
    after = np.where((bright > 0) & (after < white), levelled, after)
    return np.where(np.isfinite(before), after, before)


def factor(before: Any, after: Any) -> npt.NDArray[np.float64]:
    """Return by what factor light above the toe changed, at least 1; 1 where it is not finite."""
    first = np.maximum(np.asarray(before, np.float64), 0.0) + TOE
    second = np.maximum(np.asarray(after, np.float64), 0.0) + TOE
    with np.errstate(invalid="ignore"):
        found = np.maximum(first / second, second / first)
    return np.where(np.isfinite(found), found, 1.0)
