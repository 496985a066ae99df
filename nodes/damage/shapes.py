"""The shapes that damage has: specks, fibres, blotches, drawn as optical density on a small raster.

Every shape is drawn whole, at its place to a part of a pixel, whatever of it is asked for; its density is rounded to
1/4096, so that sums do not depend on their order.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from scipy.interpolate import BSpline
from scipy.spatial import cKDTree

from safelight.nodes.damage.draws import Draws, Floats

UNIT = 4096
"""Steps of a stamp's density in one unit of optical density."""

Kind = Literal["dust", "hair", "blotch", "scratch", "gate", "splice", "destroyed"]


@dataclass(frozen=True, eq=False)
class Stamp:
    """One piece of damage on one frame."""

    kind: Kind
    x0: int
    y0: int
    density: npt.NDArray[np.int32]
    """(H, W), in 1/4096 of optical density."""
    bright: bool = False
    """Whether it brightens the picture; otherwise it darkens it."""
    channel: int = -1
    """The one record it lies on: 0 red, 1 green, 2 blue; -1 for all of them."""

    def shown(self, *, bright: bool, channel: int = -1) -> Stamp:
        """Return the same piece in another tone."""
        return replace(self, bright=bright, channel=channel)


def stamp(kind: Kind, x0: int, y0: int, cover: Floats, density: float) -> Stamp:
    """Make a stamp of a cover from 0 to 1 and the density of what covers wholly."""
    return Stamp(kind, x0, y0, np.rint(cover * (density * UNIT)).astype(np.int32))


def area(cover: Floats) -> int:
    """Return how many pixels a cover visibly takes: a tenth of a stop at density 0.6."""
    return int(np.count_nonzero(cover >= 0.05))


def speck(draws: Draws, x: float, y: float, diameter: float) -> tuple[int, int, Floats]:
    """Draw a grain of dust: (left, top, cover). An uneven outline, a thinner or thicker inside, the scanner's blur."""
    waves, turns = draws.uniform(6), draws.uniform(6)
    stretch, angle = 1 + 1.1 * float(waves[5]) ** 2, 2 * math.pi * float(turns[5])
    edge = draws.between(0.9, 1.7)
    radius = diameter / 2
    half = math.ceil(radius * 1.9 * math.sqrt(stretch) + 2)
    x0, y0 = math.floor(x) - half, math.floor(y) - half
    u, v = np.meshgrid(x0 + 0.5 + np.arange(2 * half + 1) - x, y0 + 0.5 + np.arange(2 * half + 1) - y)
    along = (math.cos(angle) * u + math.sin(angle) * v) / math.sqrt(stretch)
    across = (math.cos(angle) * v - math.sin(angle) * u) * math.sqrt(stretch)
    around = np.arctan2(across, along)
    rough = min(1.0, radius / 3)
    outline = np.ones_like(u)
    for k in range(5):
        outline += rough * 0.5 / (k + 1.5) * waves[k] * np.cos((k + 1) * around + 2 * np.pi * turns[k])
    cover = np.clip((radius * outline - np.hypot(along, across)) / edge + 0.5, 0, 1)
    if radius > 3:
        cover *= 1 - 0.45 * cloud(draws, cover.shape, max(3.0, radius / 2))
    return x0, y0, _scanned(cover)


def fibre(
    draws: Draws, x: float, y: float, length: float, width: float, *, heading: float | None = None, curl: float = 0.75
) -> tuple[int, int, Floats]:
    """Draw a hair from (x, y) on: (left, top, cover). A cubic B-spline whose heading wanders; its ends are thinner."""
    knots = max(5, min(16, round(length / 12) + 4))
    turn = 2 * math.pi * draws.between(0, 1) if heading is None else heading
    headings = turn + curl * draws.between(0.3, 1.0) * np.cumsum(draws.normal(knots))
    step = length / (knots - 1)
    path = np.stack([x + step * np.cumsum(np.cos(headings)), y + step * np.cumsum(np.sin(headings))], 1)
    return along(np.concatenate([[[x, y]], path]), width * draws.between(0.7, 1.3), taper=0.25)


def along(points: Floats, width: float, taper: float = 0.0) -> tuple[int, int, Floats]:
    """Draw a line of some width along the cubic B-spline with these control points, (n, 2) x and y."""
    n = len(points)
    inner = np.linspace(0, 1, n - 2)
    spline = BSpline(np.concatenate([[0.0] * 3, inner, [1.0] * 3]), points, 3)
    reach = float(np.sum(np.hypot(*np.diff(points, axis=0).T)))
    t = np.linspace(0, 1, max(8, math.ceil(4 * reach)))
    fine = spline(t)
    margin = math.ceil(width / 2 + 3)
    x0, y0 = (int(v) - margin for v in np.floor(fine.min(0)))
    x1, y1 = (int(v) + margin + 1 for v in np.ceil(fine.max(0)))
    near = np.zeros((y1 - y0, x1 - x0), dtype=bool)
    near[np.floor(fine[:, 1]).astype(int) - y0, np.floor(fine[:, 0]).astype(int) - x0] = True
    near = ndimage.binary_dilation(near, iterations=margin - 1)
    rows, columns = np.nonzero(near)
    far, which = cKDTree(fine).query(np.stack([columns + x0 + 0.5, rows + y0 + 0.5], 1))
    end = np.minimum(t, 1 - t)[which] if taper else np.ones(which.size)
    thick = width * (1 - 0.6 * np.clip(1 - end / taper, 0, 1) ** 2) if taper else width
    cover = np.zeros(near.shape)
    cover[rows, columns] = np.clip(thick / 2 + 0.5 - far, 0, 1) * np.minimum(1, thick)
    return x0, y0, _scanned(cover)


def blotch(draws: Draws, x: float, y: float, diameter: float) -> tuple[int, int, Floats]:
    """Draw a blotch: (left, top, cover). Either dirt with a torn edge, or the stain of a dried drop with its rim."""
    radius = diameter / 2
    half = math.ceil(radius * 1.6) + 3
    x0, y0 = math.floor(x) - half, math.floor(y) - half
    u, v = np.meshgrid(x0 + 0.5 + np.arange(2 * half + 1) - x, y0 + 0.5 + np.arange(2 * half + 1) - y)
    stretch = draws.between(0.75, 1.3)
    far = np.hypot(u * stretch, v / stretch) / radius
    shape = u.shape
    rough = cloud(draws, shape, max(4.0, radius / 2.2)) + 0.5 * cloud(draws, shape, max(3.0, radius / 6)) - 0.75
    field = 1 - far + 0.9 * rough
    if draws.chance(0.4):
        inside = np.clip(field * radius / 3 + 0.5, 0, 1)
        rim = np.exp(-((field * radius / max(2.0, radius / 9)) ** 2))
        cover = np.clip(0.25 * inside + 0.5 * rim * (0.6 + 0.8 * cloud(draws, shape, 9.0)), 0, 1)
    else:
        inside = np.clip(field * radius / 2 + 0.5, 0, 1)
        cover = inside * (0.55 + 0.45 * cloud(draws, shape, max(3.0, radius / 5)))
    return x0, y0, _scanned(cover)


def cloud(draws: Draws, shape: tuple[int, ...], cell: float) -> Floats:
    """Return smooth noise from 0 to 1, its hills about `cell` pixels wide."""
    high, wide = (math.ceil(size / cell) + 4 for size in shape)
    lattice = draws.uniform(high * wide).reshape(high, wide)
    rows = np.arange(shape[0])[:, None] / cell + 1.5
    columns = np.arange(shape[1])[None, :] / cell + 1.5
    at = np.broadcast_arrays(rows, columns)
    return np.asarray(np.clip(ndimage.map_coordinates(lattice, at, order=3, mode="nearest"), 0, 1), np.float64)


def _scanned(cover: Floats) -> Floats:
    """Blur a little, as the scanner's lens does, and drop what is too thin to matter."""
    cover = ndimage.gaussian_filter(cover, 0.45, mode="constant")
    return np.where(cover < 1 / 64, 0.0, cover)
