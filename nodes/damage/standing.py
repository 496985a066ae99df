"""What stands still in the frame while the scene moves: thin shapes of many frames, and proof that they are no scene's.

The scene's own lines stay in place only where it does not move across them. So each pixel of a thin shape that stands
is asked how far the scene around it went, across the shape's direction, and whether the shape went with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.device import Device
from safelight.nodes.damage.blobs import EIGHT
from safelight.nodes.damage.ridges import Floats
from safelight.nodes.damage.still import background
from safelight.nodes.motion.blocks import BLOCK, Pyramid, quarter, search

Mask = npt.NDArray[np.bool_]

SEARCH_SCALE = 200.0
STANDS = 0.25
"""Share of the frames that may lack a shape: something dark may be behind it, or something may pass."""
FAINT, CLEAR = 0.5, 0.9
"""Stops that a shape differs from its surroundings at its edge, and along its middle."""
ROUGH, ROUGHER = 3.0, 5.0
"""The same in multiples of what thin things come to around it."""
ACROSS = 0.7
"""Pixels that the scene must go across a shape to be told from it."""
SLIDES = 0.35
"""Share of its way that the scene must go across: what slides along itself says nothing (sine of 20 degrees)."""
NEAR, RING = 7, 41
"""Sides of the squares in which a shape, and what is around it, are compared with other frames."""
STAYS = 1.4
"""How much more unlike a shape must be where the scene went than at its own place."""
MOVES = 0.85
"""How much less unlike what is around must be where it went: else the motion may be none."""
BARE = 0.02
"""Share of its surroundings with detail of their own below which a shape stands before nothing."""
EMPTY = 0.05
"""Share of a block that shapes may cover before its motion is theirs."""


@dataclass(frozen=True)
class Standing:
    """Thin shapes of one tone, pixel by pixel of a flat frame."""

    strength: Floats
    """(H, W): stops by which a thin shape stands out in most frames, 0 or more."""
    low: Floats
    high: Floats
    """(H, W): stops of its edge, and of its middle."""
    proven: Mask
    """(H, W): the scene went across it and it did not go along."""
    scene: Mask
    """(H, W): it went along."""


def high_pass(luma: Floats, width: int) -> Floats:
    """Return luma in stops, softened a little, less the median around; (H, W)."""
    smooth = ndimage.gaussian_filter(luma, 0.7, mode="nearest")
    return np.asarray(smooth - background(smooth, max(10, 2 * width)), np.float32)


def thin(strength: Floats, width: int) -> Floats:
    """Return what of a plane is narrower than `width` (white top-hat, Serra 1982), 0 or more."""
    return np.asarray(strength - ndimage.grey_opening(strength, (width + 3,) * 2, mode="nearest"), np.float32)


def stands(own: Floats, others: Sequence[Floats]) -> Floats:
    """Return how strong what is in all but `STANDS` of the frames is, give or take a pixel of tremble; (H, W)."""
    each = np.stack([own, *(ndimage.maximum_filter(one, 3, mode="nearest") for one in others)])
    rank = int(STANDS * len(each))
    return np.asarray(np.partition(each, rank, axis=0)[rank], np.float32)


def vectors(here: Pyramid, there: Pyramid, noise: float, device: Device) -> tuple[Floats, int]:
    """Return where the scene's blocks went, (2, rows, columns) in pixels, and the side of a block."""
    level = min(1, len(here.levels) - 1)
    first, second = Pyramid(here.levels[level:]), Pyramid(there.levels[level:])
    found = search(first, second, device, noise=noise * SEARCH_SCALE / 2**level, smoothness=0.05)
    return np.asarray(quarter(found, device) * np.float32(2**level / 4), np.float32), BLOCK << level


def trusted(luma: Floats, shapes: Mask, noise: float, side: int) -> Mask:
    """Tell which blocks show the scene's motion: those with detail of their own, and without a shape."""
    h, w = luma.shape
    rows, columns = -(-h // side), -(-w // side)

    def blocks(plane: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        padded = np.pad(plane, ((0, rows * side - h), (0, columns * side - w)), mode="edge")
        return padded.reshape(rows, side, columns, side).transpose(0, 2, 1, 3).reshape(rows, columns, -1)

    detail = blocks(ndimage.gaussian_filter(luma, 1.5, mode="nearest")).std(2)
    return np.asarray((detail > noise) & (blocks(shapes).mean(2) < EMPTY))


def around(motion: Floats, good: Mask) -> Floats:
    """Return the median motion of the trusted blocks around each, looking further where there are few; (2, …)."""
    asked = np.where(good, motion, np.float32(np.nan))
    out = np.full_like(motion, np.nan)
    for reach in (1, 2, 4, 8, 16):
        missing = np.isnan(out[0])
        if not missing.any():
            break
        padded = np.pad(asked, ((0, 0), (reach, reach), (reach, reach)), constant_values=np.nan)
        for y, x in zip(*np.nonzero(missing), strict=True):
            window = padded[:, y : y + 2 * reach + 1, x : x + 2 * reach + 1].reshape(2, -1)
            window = window[:, ~np.isnan(window[0])]
            if window.shape[1] >= 4:
                out[:, y, x] = np.median(window, axis=1)
    return np.nan_to_num(out, copy=False)


def normals(strength: Floats) -> tuple[Floats, Floats]:
    """Return the direction across a ridge at each pixel, x and y: that of most change (structure tensor)."""
    soft = ndimage.gaussian_filter(strength, 1.0, mode="nearest")
    gy, gx = (ndimage.sobel(soft, axis, mode="nearest") for axis in (0, 1))
    xx, yy, xy = (ndimage.gaussian_filter(part, 2.0, mode="nearest") for part in (gx * gx, gy * gy, gx * gy))
    angle = 0.5 * np.arctan2(2 * xy, xx - yy)
    return np.asarray(np.cos(angle), np.float32), np.asarray(np.sin(angle), np.float32)


def standing(
    own: Floats,
    others: Sequence[Floats],
    luma: Floats,
    motions: Sequence[tuple[Floats, int]],
    noise: float,
    width: int,
    sensitivity: float,
) -> Standing:
    """Find the thin shapes that stand, and judge each of their pixels.

    Parameters
    ----------
    own, others:
        (H, W) float32: stops by which each pixel stands out in this frame and in those around.
    luma:
        (H, W): stops, finite.
    motions:
        For each of the others where the scene went.
    noise:
        Standard deviation of the grain, in stops.
    """
    strength = thin(np.maximum(stands(own, others), 0), width)
    rough = ndimage.uniform_filter(np.minimum(strength, 1), 8 * width + 1, mode="nearest")
    low = np.maximum(max(FAINT, noise), ROUGH * rough) / np.float32(sensitivity)
    high = np.maximum(max(CLEAR, 2 * noise), ROUGHER * rough) / np.float32(sensitivity)
    shapes = strength > low
    proven, scene = np.zeros_like(shapes), np.zeros_like(shapes)
    if not shapes.any() or not others:
        return Standing(strength, low, high, proven, scene)
    h, w = own.shape
    nx, ny = normals(strength)
    rim = ndimage.binary_dilation(shapes, EIGHT)
    clear = ~ndimage.binary_dilation(shapes, EIGHT, 2)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    asked = np.zeros((h, w), np.int32)
    # How unlike the other frames are: the shape and what is around, at the same place and where the scene went.
    shape, ring = np.zeros((2, h, w), np.float32), np.zeros((2, h, w), np.float32)
    good: Mask | None = None
    for other, (motion, side) in zip(others, motions, strict=True):
        if good is None or good.shape != motion.shape[1:]:
            good = trusted(luma, shapes, noise, side)
        dx, dy = around(motion, good).repeat(side, 1).repeat(side, 2)[:, :h, :w]
        there = (y + dy, x + dx)
        inside = (there[0] >= 0) & (there[0] <= h - 1) & (there[1] >= 0) & (there[1] <= w - 1)
        across = np.abs(dx * nx + dy * ny) >= np.maximum(ACROSS, SLIDES * np.hypot(dx, dy))
        asked += across
        moved = ndimage.map_coordinates(other, there, order=1, mode="nearest")
        # A shape that stands lies in the other frame too: where it would be seen beside itself nothing is compared.
        rows, columns = (
            np.rint(np.clip(at, 0, size - 1)).astype(np.intp) for at, size in zip(there, (h, w), strict=True)
        )
        beside = inside & clear & clear[rows, columns]
        for i, one in enumerate((other, moved)):
            # What came from beyond the frame's edge was nothing there.
            off = np.abs(own - (one if i == 0 else np.where(inside, one, 0)))
            shape[i] += np.where(across & rim, off, 0)
            ring[i] += np.where(beside, off, 0)
    shape = np.stack([ndimage.uniform_filter(one, NEAR, mode="constant") for one in shape])
    nearby = np.stack([ndimage.uniform_filter(one, RING, mode="constant") for one in ring])
    known = (asked >= max(2, len(others) / 4)) & shapes
    passes = nearby[1] < MOVES * nearby[0]
    if good is not None:
        # Before a bare sky only the rest of the frame shows that the scene moves.
        detail = good.repeat(side, 0).repeat(side, 1)[:h, :w]
        bare = ndimage.uniform_filter(detail.astype(np.float32), RING, mode="constant") < BARE
        whole = ring[:, detail].sum(1)
        passes |= bare & (whole[1] < MOVES * whole[0])
    proven = known & passes & (shape[1] > STAYS * shape[0])
    scene = known & (shape[1] < shape[0])
    return Standing(strength, low, high, proven, scene)
