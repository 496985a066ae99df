"""Damage that knows the film's path: scratches along it, hairs in the gate, splices, frames destroyed."""

from __future__ import annotations

import math

import numpy as np

from safelight.nodes.damage.draws import Draws, Floats, wave
from safelight.nodes.damage.shapes import Stamp, along, cloud, stamp

GAP = 1.12
"""Frames lie this many picture heights apart on the film: a scratch runs on between them."""


def scratch(
    seed: int,
    number: int,
    frame: int,
    width: int,
    height: int,
    *,
    wanders: bool,
    thickness: float,
    density: float,
    broken: float,
) -> Stamp:
    """Draw one line scratch on one frame.

    Its place is a smooth function of the place along the film, so that it goes on from frame to frame. A static one
    stays within about a pixel; a wandering one sways by several per cent of the width. `broken` is the share of its
    length that is missing; runs are between a tenth of a frame and a few frames long.
    """
    draws = Draws(seed, 11 + wanders, number)
    x: Floats = np.full(height, width * draws.between(0.02, 0.98))
    runs, rough = draws.between(0.15, 0.8), draws.between(7, 17)
    film = (frame * GAP + np.arange(height) / height) * height
    turns = film / height
    if wanders:
        sway = draws.between(0.012, 0.035) * width
        x = x + sway * (wave(turns / 1.7, seed, number, 1) + 0.35 * wave(turns / 0.45, seed, number, 2))
    else:
        weave = Draws(seed, 13, frame).normal(1)[0]
        x = x + 0.3 * weave + 0.5 * wave(turns / 6, seed, number, 1)
    strength = 0.75 + 0.25 * wave(film / rough, seed, number, 3)
    strength *= 0.8 + 0.2 * wave(turns / 0.3, seed, number, 4)
    wide = thickness * (1 + 0.25 * wave(turns / 0.25, seed, number, 5))
    if broken > 0:
        # The wave's values spread evenly enough for its rank to be the share.
        there = wave(turns / runs, seed, number, 6) + 0.25 * wave(turns * 9, seed, number, 7)
        strength = strength * np.clip((there - (2 * broken - 1)) * 12 + 0.5, 0, 1)
    left = math.floor(float(x.min()) - thickness - 2)
    columns = left + 0.5 + np.arange(math.ceil(float(x.max()) + thickness + 2) - left)
    far = np.abs(columns[None, :] - x[:, None])
    cover = np.clip(wide[:, None] / 2 + 0.5 - far, 0, 1) * np.minimum(1, wide[:, None]) * strength[:, None]
    return stamp("scratch", left, 0, cover, density)


def gate_hair(seed: int, number: int, frame: int, width: int, height: int) -> Stamp:
    """Draw one hair held in the gate: it reaches in from an edge and stays for the shot; its free end trembles."""
    draws = Draws(seed, 17, number)
    side, place = draws.below(4), draws.between(0.1, 0.9)
    length = height * draws.between(0.05, 0.22)
    inward = (math.pi / 2, -math.pi / 2, 0.0, math.pi)[side]
    root = (
        (place * width, -2.0), (place * width, height + 2.0), (-2.0, place * height), (width + 2.0, place * height)
    )[side]  # fmt: skip
    knots = 7
    headings = inward + draws.between(-0.7, 0.7) + 0.45 * np.cumsum(draws.normal(knots))
    step = length / knots
    path = np.stack([np.cumsum(np.cos(headings)), np.cumsum(np.sin(headings))], 1) * step
    tremble = Draws(seed, 19, number, frame).normal(2)
    slow = np.array([wave(np.array([frame / 9.0]), seed, number, axis)[0] for axis in (8, 9)])
    free = (np.arange(1, knots + 1) / knots) ** 2
    path = path + free[:, None] * (0.35 * tremble + 3.0 * slow) * height / 1080
    points = np.concatenate([[root], path + np.array(root)])
    x0, y0, cover = along(points, draws.between(2.0, 4.0) * max(0.5, height / 1080), taper=0.15)
    return stamp("gate", x0, y0, cover, draws.between(0.9, 1.6))


def splice(seed: int, frame: int, width: int, height: int, *, after: bool) -> list[tuple[Stamp, bool]]:
    """Draw a cement splice: a ragged band at the top of the frame after it, or at the bottom of the one before.

    Returns stamps, each with whether it lets light through (the scraped edge) instead of blocking it.
    """
    draws = Draws(seed, 23, frame, after)
    band = max(3.0, height * draws.between(0.015, 0.035))
    columns = np.arange(width, dtype=np.float64)
    edge = band + 0.12 * band * wave(columns / 23, seed, frame, after, 1) + 0.8 * wave(columns / 3, seed, frame, 2)
    high = min(height, math.ceil(band * 1.5) + 4)
    rows = np.arange(high, dtype=np.float64)[:, None]
    glue = np.clip(edge[None, :] - rows + 0.5, 0, 1) * (0.6 + 0.4 * cloud(draws, (high, width), 9.0))
    line = np.clip(draws.between(0.8, 1.6) + 0.5 - np.abs(rows - edge[None, :] - 1.5), 0, 1)
    if not after:
        glue, line = glue[::-1], line[::-1]
    y0 = 0 if after else height - high
    return [(stamp("splice", 0, y0, glue, 0.9), False), (stamp("splice", 0, y0, line, 0.9), True)]


def destroyed(seed: int, frame: int, width: int, height: int) -> Stamp:
    """Draw what rot or fire left of a frame: more than half of it is gone."""
    draws = Draws(seed, 29, frame)
    size = max(4.0, height / 4)
    field: Floats = cloud(draws, (height, width), size) + 0.4 * cloud(draws, (height, width), max(4.0, size / 5))
    field += 0.15 * cloud(draws, (height, width), max(3.0, size / 24))
    limit = float(np.quantile(field, 1 - draws.between(0.6, 0.8)))
    depth = (field - limit) * 60
    body = 0.5 + 0.5 * cloud(draws, (height, width), max(3.0, size / 10))
    cover = np.clip(depth + 0.5, 0, 1) * body + 0.5 * np.exp(-((depth - 1) ** 2))
    return stamp("destroyed", 0, 0, np.clip(cover, 0, 1.5), 1.3)
