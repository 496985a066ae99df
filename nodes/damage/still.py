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
CELLS = 6
LOW, HIGH = 3.5, 6.0
PURE = 0.35
LEAST_STOPS = 0.15
SMALLEST = 4
SHIFT = 16
ALIKE, BY_CHANCE, FRINGE = 0.4, 5.0, 0.3


def background(plane: Floats, radius: int) -> Floats:
    """Return the median of a plane over about (2 radius + 1)² pixels, taken on means of 4 × 4 pixels.

    Wide medians are taken in two steps, of blocks and then of 13 × 13 blocks at most: its cost is that of the pixels.
    """
    height, width = plane.shape
    group = max(1, radius // (CELLS * SHRINK))
    side = SHRINK * group
    wide = np.pad(plane, ((0, -height % side), (0, -width % side)), mode="edge")
    small = wide.reshape(wide.shape[0] // SHRINK, SHRINK, wide.shape[1] // SHRINK, SHRINK).mean((1, 3))
    rows, columns = (n // group for n in small.shape)
    small = np.median(small.reshape(rows, group, columns, group).transpose(0, 2, 1, 3).reshape(rows, columns, -1), 2)
    middle = ndimage.median_filter(small, 2 * max(1, round(radius / side)) + 1, mode="nearest")
    return np.asarray(_stretched(_stretched(middle, side, height).T, side, width).T, np.float32)


def _stretched(small: Floats, side: int, length: int) -> Floats:
    """Return (length, w): rows laid linearly between those of `small`, each the middle of `side` rows."""
    at = np.clip((np.arange(length, dtype=np.float32) + 0.5) / side - 0.5, 0, len(small) - 1)
    first = np.minimum(at.astype(np.intp), max(0, len(small) - 2))
    share = (at - first)[:, None].astype(np.float32)
    return np.asarray(small[first] * (1 - share) + small[np.minimum(first + 1, len(small) - 1)] * share, np.float32)


def coloured(records: Floats, *, sensitivity: float, smallest: int, largest: int) -> Floats:
    """Find dust on one record of a single frame.

    What both other records show as well, up to SHIFT pixels away, is a fringe: records that do not lie on each other.

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
        first, second = (own[i] for i in range(3) if i != c)
        apart = own[c] - (first + second) / 2
        apart -= background(apart, radius)
        # What colour varies by around here, texture and fringes included.
        noise = np.maximum(1.4826 * background(np.abs(apart), 3 * radius), 0.02)
        z = apart / noise
        for sign in (-1, 1):
            found = _Spots(z * sign, LOW * ease, HIGH * ease)
            if not len(found):
                continue
            deep = found.mean(own[c])
            rest = np.maximum(np.abs(found.mean(first)), np.abs(found.mean(second)))
            longer, shorter = found.sides.max(1), found.sides.min(1)
            share = rest / np.maximum(np.abs(deep), 1e-6)
            fill = found.area / (longer * shorter)
            good = (found.area >= SMALLEST) & (longer >= smallest) & (longer <= largest) & (share < PURE)
            good &= (deep * sign > LEAST_STOPS) & (longer < 5 * shorter) & (fill > 0.3)
            strength = np.abs(found.mean(apart))
            for i in map(int, np.flatnonzero(good)):
                if _fringe(own[c], (first, second), found.boxes[i]):
                    continue
                calm = found.around(i, apart) / max(strength[i], 1e-6)
                logit = 1.5 * np.log(found.most[i] / (HIGH * ease)) + 6 * (PURE - share[i]) / PURE
                logit -= (
                    8 * max(calm - 0.15, 0) + 6 * max(_busy(own[c], (first, second), found.boxes[i]) - 0.6, 0) + 1.5
                )
                found.lay(i, out, 1 / (1 + np.exp(-np.clip(logit, -40, 40))))
    out[out < 0.02] = 0
    return out


class _Spots:
    """Connected pixels above `low` of which one is above `high`: labels, and what is measured of each spot."""

    def __init__(self, z: Floats, low: float, high: float) -> None:
        labels, count = ndimage.label(z > low, EIGHT)
        tall = np.zeros(count + 1, bool)
        tall[labels[z > high]] = True
        tall[0] = False
        number = np.zeros(count + 1, np.int32)
        number[tall] = np.arange(1, tall.sum() + 1)
        self.labels: npt.NDArray[np.int32] = number[labels]
        self.at = np.flatnonzero(self.labels)
        self.index = self.labels.ravel()[self.at] - 1
        self.area = np.bincount(self.index, minlength=int(tall.sum()))
        self.most = np.zeros(len(self.area))
        np.maximum.at(self.most, self.index, z.ravel()[self.at])
        self.boxes = ndimage.find_objects(self.labels)
        self.sides = np.array([[b.stop - b.start for b in box] for box in self.boxes]).reshape(-1, 2)

    def __len__(self) -> int:
        return len(self.area)

    def mean(self, plane: Floats) -> npt.NDArray[np.float64]:
        """Return each spot's mean of a plane."""
        return np.asarray(np.bincount(self.index, plane.ravel()[self.at], len(self)) / self.area)

    def around(self, i: int, plane: Floats) -> float:
        """Return the mean size of a plane's values from 3 to 6 pixels off a spot, 0 where nothing is."""
        window = _grown(self.boxes[i], 6, plane.shape)
        far = ndimage.distance_transform_cdt(self.labels[window] != i + 1, "chessboard")
        ring = (far > 2) & (self.labels[window] == 0) & (far <= 6)
        return float(np.abs(plane[window][ring]).mean()) if ring.any() else 0.0

    def lay(self, i: int, out: Floats, value: float) -> None:
        """Lay a confidence over a spot."""
        part = out[self.boxes[i]]
        np.maximum(part, np.float32(value), out=part, where=self.labels[self.boxes[i]] == i + 1)


def _grown(box: tuple[slice, ...], by: int, shape: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(max(0, b.start - by), min(n, b.stop + by)) for b, n in zip(box, shape, strict=True))


def _busy(own: Floats, others: tuple[Floats, Floats], box: tuple[slice, ...]) -> float:
    """Return the range of the other records on and 8 pixels around a spot, against its depth."""
    wide = _grown(box, 8, own.shape)
    return max(float(np.ptp(other[wide])) for other in others) / max(float(np.abs(own[box]).max()), 1e-6)


def _fringe(own: Floats, others: tuple[Floats, Floats], box: tuple[slice, ...]) -> bool:
    """Tell whether both other records show what this one does, up to SHIFT pixels away and FRINGE of its strength."""
    inner = _grown(box, 4, own.shape)
    one = own[inner].astype(np.float64)
    one -= one.mean()
    power = (one**2).sum()
    from scipy.signal import fftconvolve  # a second to import, which the command line's help need not wait for

    wide = _grown(inner, SHIFT, own.shape)
    ones = np.ones_like(one)
    # The smaller a piece is, the better something or other looks like it by chance.
    alike = ALIKE + BY_CHANCE / max(b.stop - b.start for b in box)
    for other in others:
        window = other[wide].astype(np.float64)
        both = fftconvolve(window, one[::-1, ::-1], "valid")
        sums, squares = (fftconvolve(part, ones, "valid") for part in (window, window**2))
        spread = np.maximum(squares - sums**2 / one.size, 1e-9)
        if not np.any((both > alike * np.sqrt(power * spread)) & (both > FRINGE * power)):
            return False
    return True


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
