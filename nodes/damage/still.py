"""Damage that one frame alone shows: dust on one record of a colour separation, and what an infrared scan does not see.

A single frame has no neighbour to compare with. What is left is colour: dust that lay on one record changes that
record where the other two show nothing, as a small, closed spot.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage.blobs import EIGHT

Floats = npt.NDArray[np.float32]

SHRINK = 4
LOW, HIGH = 3.5, 6.0
PURE = 0.35
LEAST_STOPS = 0.15
SMALLEST = 4


def background(plane: Floats, radius: int) -> Floats:
    """Return the median of a plane over about (2 radius + 1)² pixels, taken on means of 4 × 4 pixels."""
    height, width = plane.shape
    pad = ((0, -height % SHRINK), (0, -width % SHRINK))
    wide = np.pad(plane, pad, mode="edge")
    small = wide.reshape(wide.shape[0] // SHRINK, SHRINK, wide.shape[1] // SHRINK, SHRINK).mean((1, 3))
    middle = ndimage.median_filter(small, 2 * max(1, radius // SHRINK) + 1, mode="nearest")
    grown = ndimage.zoom(middle, SHRINK, order=1, mode="nearest", grid_mode=True)
    return np.asarray(grown[:height, :width], np.float32)


def coloured(records: Floats, *, sensitivity: float, smallest: int, largest: int) -> Floats:
    """Find dust on one record of a single frame.

    Parameters
    ----------
    records:
        (3, H, W) float32, R, G, B in stops, finite.

    Returns
    -------
    (H, W) float32: confidence, 0 where nothing is.
    """
    out = np.zeros(records.shape[1:], np.float32)
    ease = 2.0 ** (1 - 2 * sensitivity)
    smooth = np.stack([ndimage.gaussian_filter(plane, 0.8, mode="nearest") for plane in records])
    radius = max(8, largest)
    own = np.stack([plane - background(plane, radius) for plane in smooth])
    for c in range(3):
        others = [own[i] for i in range(3) if i != c]
        apart = own[c] - (others[0] + others[1]) / 2
        apart -= background(apart, radius)
        # What colour varies by around here, texture and fringes included.
        noise = np.maximum(1.4826 * background(np.abs(apart), 3 * radius), 0.02)
        z = np.abs(apart) / noise
        for sign in (-1, 1):
            labels, count = ndimage.label((apart * sign > 0) & (z > LOW * ease), EIGHT)
            if not count:
                continue
            index = np.arange(1, count + 1)
            area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
            most = np.asarray(ndimage.maximum(z, labels, index))
            deep = np.asarray(ndimage.mean(own[c], labels, index))
            rest = np.maximum(*(np.abs(np.asarray(ndimage.mean(o, labels, index))) for o in others))
            sides = [(f[0].stop - f[0].start, f[1].stop - f[1].start) for f in ndimage.find_objects(labels)]
            longer, shorter = np.max(sides, axis=1), np.min(sides, axis=1)
            share = rest / np.maximum(np.abs(deep), 1e-6)
            fill = area / (longer * shorter)
            good = (most > HIGH * ease) & (area >= SMALLEST) & (longer >= smallest) & (longer <= largest)
            good &= (share < PURE) & (deep * sign > LEAST_STOPS) & (longer < 5 * shorter) & (fill > 0.3)
            if not good.any():
                continue
            # The ring: around dust no colour departs.
            kept = np.concatenate([[0], np.where(good, index, 0)]).astype(np.int32)[labels]
            wide = ndimage.maximum_filter(kept, 13)
            ring = np.where(ndimage.maximum_filter(kept, 5) == 0, wide, 0)
            calm = np.nan_to_num(np.asarray(ndimage.mean(np.abs(apart), ring, index)), nan=0.0)
            calm = calm / np.maximum(np.abs(np.asarray(ndimage.mean(apart, labels, index))), 1e-6)
            logit = 1.5 * np.log(most / (HIGH * ease)) + 6 * (PURE - share) / PURE - 8 * np.maximum(calm - 0.15, 0)
            rating = np.where(good, 1 / (1 + np.exp(-np.clip(logit - 1.5, -40, 40))), 0)
            table = np.concatenate([[0], rating]).astype(np.float32)
            np.maximum(out, table[labels], out=out)
    out[out < 0.02] = 0
    return out


def opaque(infrared: Floats, *, depth: float, smallest: int, largest: int) -> Floats:
    """Find what infrared light does not pass: (H, W) float32, confidence.

    Dyes let infrared through, dust does not. What falls `depth` or more below the median around it is opaque; half
    that depth counts where it hangs together with it.
    """
    finite = np.isfinite(infrared)
    plane = np.where(finite, infrared, np.float32(np.median(infrared[finite])) if finite.any() else np.float32(0))
    around = np.maximum(background(plane.astype(np.float32), max(8, largest)), 1e-6)
    fall = np.where(finite, 1 - plane / around, 0)
    labels, count = ndimage.label(fall > depth / 2, EIGHT)
    if not count:
        return np.zeros(infrared.shape, np.float32)
    index = np.arange(1, count + 1)
    most = np.asarray(ndimage.maximum(fall, labels, index))
    sides = np.array([max(f[0].stop - f[0].start, f[1].stop - f[1].start) for f in ndimage.find_objects(labels)])
    good = (most >= depth) & (sides >= smallest)
    rating = np.where(good, np.clip(0.5 + 0.5 * (most - depth) / max(1 - depth, 1e-3), 0.5, 1), 0)
    table = np.concatenate([[0], rating]).astype(np.float32)
    return np.asarray(table[labels], np.float32)
