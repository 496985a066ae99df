"""Drawings: polygons, discs and strokes, with edges that photographs seldom have.

A net that only ever saw photographs makes titles and graphics ring: an edge between two even areas is rare in them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from safelight.nodes.resolution.learned.training.pictures import Picture, Plane, binned_pair, pair, phased

FINE = 4
"""Drawn so many times as large and averaged: what a pixel holds is the mean over it."""
SHAPES = 60
SIDE = 384
SHARE = 0.08
"""Beside an area of 1 of photographs."""


def drawings(
    pictures: Sequence[tuple[bool, Picture]],
    scale: int,
    planes: int,
    seed: int,
    *,
    share: float = SHARE,
    area: bool = False,
    phases: bool = False,
) -> list[tuple[bool, Picture]]:
    """Return as many drawings as make up a share beside these display-referred pictures, with their reductions.

    Those are means of light with `area`, else bicubic. For 4 times, drawings of large things take turns with small
    ones, most of whose edges leave nothing to know. With `phases` they have those, without steps of 8 bits: what
    rings by less than a step counts too.
    """
    sizes = {4: (1, 2, 4)}.get(scale, (1,))
    drawn = sum(picture.full.shape[-1] * picture.full.shape[-2] for linear, picture in pictures if not linear)
    made = []
    for number in range(round(share * drawn / SIDE**2)):
        shown = drawing(SIDE, planes, seed + number, sizes[number % len(sizes)])
        reduce = partial(binned_pair if area else pair, f"drawing {number}", scale=scale, codes=not phases)
        one = phased(shown, scale, reduce) if phases else reduce(shown)
        made.append((False, replace(one, drawn=True)))
    return made


def drawing(side: int, planes: int, seed: int, large: int = 1) -> Plane:
    """Return a drawing of coded values 0 to 1: (side, side) for one plane, (3, side, side) for three.

    Its things are `large` times as large, and as many fewer.
    """
    from PIL import Image, ImageDraw

    rng, wide = np.random.default_rng(seed), side * FINE
    canvas = Image.new("RGB", (wide, wide), _ink(rng, planes))
    pen = ImageDraw.Draw(canvas)
    for _ in range(-(-SHAPES // large**2)):
        x, y = rng.uniform(0, wide, 2)
        reach = large * wide * float(np.exp(rng.uniform(np.log(0.01), np.log(0.25))))
        kind = rng.random()
        if kind < 0.25:
            pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=_ink(rng, planes))
        elif kind < 0.5:
            turn = rng.uniform(0, 2 * np.pi)
            ends = [x, y, x + 3 * reach * np.cos(turn), y + 3 * reach * np.sin(turn)]
            pen.line([float(one) for one in ends], fill=_ink(rng, planes), width=int(large * FINE * rng.uniform(1, 6)))
        else:
            turns = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 7))))
            corners = np.stack([x + reach * np.cos(turns), y + reach * np.sin(turns)], 1)
            pen.polygon([(float(a), float(b)) for a, b in corners], fill=_ink(rng, planes))
    codes = np.asarray(canvas, np.float32).reshape(side, FINE, side, FINE, 3).mean((1, 3)) / np.float32(255)
    return np.ascontiguousarray(codes[..., 0] if planes == 1 else np.moveaxis(codes, -1, 0))


def _ink(rng: np.random.Generator, planes: int) -> tuple[int, int, int]:
    codes = [int(one) for one in rng.integers(0, 256, 3)]
    return (codes[0],) * 3 if planes == 1 else (codes[0], codes[1], codes[2])
