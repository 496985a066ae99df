"""Where a frame matches none of those around it, over large areas: measured on a small picture, in stops.

Frames are searched by their detail, so that flicker, flashes and stains move nothing; what differs is measured in light
and colour, with the difference of exposure between two frames (as a curve over tones, and as a slow change over the
picture) taken out. Damage and destroyed parts are outliers of that fit: it follows the densest cluster of differences,
not their mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.image import Image, colour_planes
from safelight.graph.region import Region
from safelight.nodes.grain.domain import TOE
from safelight.nodes.grain.working import filled
from safelight.nodes.measure.metrics import Spectrum, shift, spectrum
from safelight.nodes.motion.blocks import BLOCK, Pyramid, compensate, pyramid, quarter, search

Floats = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]

WIDEST = 640
"""Pixels of the longer side of the small picture, at most."""
FRAMED = 128
"""The same of the picture that the framing is measured on."""
LEAST = 32
"""Pixels of its shorter side below which nothing is measured."""
SCALE, SMOOTHNESS, DETAIL = 200.0, 0.04, 10.0
CALM = 1.5
"""Pixels by which differences are smoothed before they are compared."""
BINS = 12
WIDTH = 0.06
"""Stops by which the clusters of differences are smoothed."""


@dataclass(frozen=True)
class Small:
    """One frame, made small: luma and two colour differences in stops, (1 or 3, h, w), and what it is searched by."""

    planes: Floats
    good: Bools
    pyramid: Pyramid | None
    spectrum: Spectrum | None
    region: Region
    step: int
    """Pixels of the frame along the side of one of these."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        held = self.planes.nbytes + self.good.nbytes + (self.pyramid.nbytes if self.pyramid else 0)
        return int(held + (self.spectrum.values.nbytes if self.spectrum else 0))

    @property
    def level(self) -> float:
        """Median luma, stops above the toe."""
        return float(np.median(self.planes[0]))

    @property
    def texture(self) -> float:
        """Root mean square of its detail, in stops."""
        luma = ndimage.gaussian_filter(self.planes[0], 1)
        return float(np.sqrt(np.mean((luma - ndimage.gaussian_filter(luma, DETAIL)) ** 2)))


def small(image: Image, device: Device) -> Small:
    """Make one frame small: means of light over cells, then stops above a toe of 0.01."""
    found = colour_planes(image.channels)
    light = image.data[list(found if len(found) == 3 else found[:1])]
    height, width = light.shape[1:]
    step = max(1, -(-max(height, width) // WIDEST))
    good: Bools = np.asarray(np.isfinite(light).all(0))
    whole: Floats = np.asarray(filled(light, np), np.float32)
    cells = np.stack([_cells(whole[at : at + 1], step)[0] for at in range(len(whole))])
    stops = np.log2(1 + np.maximum(cells, 0) / np.float32(TOE))
    if len(stops) == 3:
        red, green, blue = stops
        stops = np.stack([(red + green + blue) / 3, red - blue, green - (red + blue) / 2])
    stops = np.asarray(stops, np.float32)
    known = _cells(good[None].astype(np.float32), step)[0] > 0.5
    if min(stops.shape[1:]) < LEAST:
        return Small(stops, known, None, None, image.region, step)
    detail = stops[:1] - ndimage.gaussian_filter(stops[:1], (0, DETAIL, DETAIL))
    luma = np.clip(np.rint(SCALE * detail), -8191, 8191).astype(np.float32)
    coarse = _cells(stops[:1], -(-max(stops.shape[1:]) // FRAMED))
    return Small(
        stops, known, pyramid(luma, device, reach=64), spectrum(np.exp2(coarse) * np.float32(0.18)), image.region, step
    )


def _cells(planes: Floats, step: int) -> Floats:
    """Return the means of step × step pixels, (n, h, w); the last row and column may be of fewer."""
    if step == 1:
        return planes
    rows, columns = (np.arange(0, size, step) for size in planes.shape[1:])
    sums: Any = np.add.reduceat(np.add.reduceat(planes, rows, 1, dtype=np.float64), columns, 2)
    size = np.outer(np.diff(np.append(rows, planes.shape[1])), np.diff(np.append(columns, planes.shape[2])))
    return np.asarray(sums / size, np.float32)


@dataclass(frozen=True)
class Against:
    """A frame held against another one."""

    error: Floats
    """What it has more than the other, moved and exposed alike: (planes, h, w), stops, unsmoothed."""
    moved: Floats
    """The other's luma, moved."""
    vectors: Floats
    """(2, rows, columns), quarter pixels."""
    outside: Bools
    """(h, w): the other does not show it, as the picture as a whole moves."""


def against(here: Small, other: Small, device: Device, hidden: Bools | None = None) -> Against:
    """Hold a frame against another.

    Parameters
    ----------
    hidden:
        (h, w): damage, whose blocks move as their surroundings do.
    """
    if here.pyramid is None or other.pyramid is None:
        raise ValueError(f"frames of fewer than {LEAST} pixels cannot be searched")
    steps = np.asarray(
        quarter(search(here.pyramid, other.pyramid, device, noise=0.1 * SCALE, smoothness=SMOOTHNESS), device)
    )
    if hidden is not None:
        steps = _around(steps, hidden)
    moved = np.asarray(compensate(np.ascontiguousarray(other.planes), steps, device))
    error = exposed(here.planes, moved)
    height, width = error.shape[1:]
    dx, dy = (float(np.median(one)) / 4 for one in steps)
    y, x = np.mgrid[0:height, 0:width]
    slack = 1.0 if abs(dx) + abs(dy) > 0.3 else 0.0
    outside = (
        (x + dx < (slack if dx < 0 else 0))
        | (x + dx > width - 1 - (slack if dx > 0 else 0))
        | (y + dy < (slack if dy < 0 else 0))
        | (y + dy > height - 1 - (slack if dy > 0 else 0))
    )
    return Against(error, moved[0], steps, outside)


def _around(vectors: Floats, hidden: Bools) -> Floats:
    """Give the blocks under damage the vectors of the blocks around them."""
    height, width = hidden.shape
    rows, columns = vectors.shape[1:]
    padded = np.zeros((rows * BLOCK, columns * BLOCK), bool)
    padded[:height, :width] = hidden
    bad = padded.reshape(rows, BLOCK, columns, BLOCK).mean((1, 3)) > 0.15
    bad = ndimage.binary_dilation(bad, np.ones((3, 3)))
    if bad.all() or not bad.any():
        return vectors
    out = vectors.copy()
    left = bad.copy()
    size = 1.5
    weight = (~bad).astype(np.float64)
    while left.any() and size < 4 * max(rows, columns):
        near = ndimage.gaussian_filter(weight, size, mode="constant")
        take = left & (near > 0.02)
        for axis in (0, 1):
            mean = ndimage.gaussian_filter(vectors[axis] * weight, size, mode="constant")
            out[axis][take] = np.rint(mean[take] / near[take])
        left &= ~take
        size *= 2
    return out


def exposed(here: Floats, moved: Floats) -> Floats:
    """Return here - moved with the difference of exposure taken out: a curve over tones, then a slow change over the
    picture, of each plane."""
    luma = moved[0]
    edges = np.quantile(luma[::2, ::2], np.linspace(0, 1, BINS + 1))
    centres = (edges[1:] + edges[:-1]) / 2
    which = np.clip(np.searchsorted(edges, luma, side="right") - 1, 0, BINS - 1)
    out = np.empty_like(here)
    for plane in range(len(here)):
        error = here[plane] - moved[plane]
        whole = _densest(error[::2, ::2].ravel())
        some, where = error[::2, ::2], which[::2, ::2]
        curve = np.array([_densest(some[where == at], whole) for at in range(BINS)])
        curve = ndimage.median_filter(curve, 3, mode="nearest")
        good = np.append(np.diff(centres) > 1e-6, True)
        error = error - np.interp(luma, centres[good], curve[good]).astype(np.float32)
        out[plane] = error - _slow(error)
    return out


def _densest(values: Floats, near: float | None = None) -> float:
    """Return where values lie densest: the peak of their smoothed histogram; `near`, where there are few."""
    if len(values) < 64:
        return near or 0.0
    low, high = (float(v) for v in np.quantile(values, (0.01, 0.99)))
    if high - low < 1e-4:
        return (low + high) / 2
    low, high = low - 4 * WIDTH, high + 4 * WIDTH
    count = int(min(4000, max(16, np.ceil((high - low) / (WIDTH / 4)))))
    histogram = np.histogram(values, count, (low, high))[0].astype(np.float64)
    width = (high - low) / count
    # As wide as grain and texture scatter them, so that one spike of a posterised picture does not win.
    scatter = float(np.subtract(*np.quantile(values, (0.75, 0.25)))) / 2
    smooth = ndimage.gaussian_filter1d(histogram, max(WIDTH, min(0.5 * scatter, 0.3)) / width)
    return low + (int(np.argmax(smooth)) + 0.5) * width


def _slow(error: Floats) -> Floats:
    """Fit a surface of the second degree to what is nearly even already (Tukey's biweight)."""
    height, width = error.shape
    calm = ndimage.uniform_filter(error, 5)[2::4, 2::4]
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    y, x = 2 * y / max(1, height - 1) - 1, 2 * x / max(1, width - 1) - 1
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y])
    base = terms[:, 2::4, 2::4].reshape(6, -1).T.astype(np.float64)
    wanted = calm.ravel().astype(np.float64)
    found = np.zeros(6)
    for turn in range(6):
        left = np.abs(wanted - base @ found)
        # Flicker over the picture is some tenths of a stop; what lies further off is damage.
        limit = max(0.12, min(0.6 if turn < 2 else 0.35, 6 * float(np.median(left))))
        weight = np.maximum(0, 1 - (left / limit) ** 2) ** 2
        if weight.sum() < 0.1 * len(weight):
            return np.zeros_like(error)
        scaled = base * weight[:, None]
        found = np.linalg.solve(scaled.T @ base + 1e-6 * np.eye(6) * len(weight), scaled.T @ wanted)
    return np.asarray(np.tensordot(found, terms, 1), np.float32)


def departure(errors: Sequence[Floats]) -> Floats:
    """Return how far a frame departs from all of the others, to one side: (h, w), stops.

    The least of the differences, plane by plane, where all have one sign; then the length over the planes. A mixture of
    its neighbours, as in a dissolve, lies between them and departs from neither.
    """
    calm = np.stack([ndimage.gaussian_filter(one, (0, CALM, CALM)) for one in errors])
    low = np.maximum(calm.min(0), 0) + np.minimum(calm.max(0), 0)
    return np.asarray(np.sqrt((low**2).sum(0)), np.float32)


def unsteady(errors: Sequence[Floats], moved: Sequence[Floats]) -> Floats:
    """Return what a difference must exceed to say anything: (h, w), stops: what the frames around differ among
    themselves, and what half a pixel of wrong motion would make of their edges."""
    among = np.zeros(errors[0].shape[1:], np.float32)
    calm = [ndimage.gaussian_filter(one[0], CALM) for one in errors]
    for first in range(len(calm)):
        for second in range(first):
            among = np.maximum(among, np.abs(calm[first] - calm[second]))
    luma = ndimage.gaussian_filter(np.mean(moved, 0), CALM)
    edge = np.hypot(ndimage.sobel(luma, 0), ndimage.sobel(luma, 1)) / 8
    return np.asarray(0.5 * among + ndimage.maximum_filter(edge, 3), np.float32)


def scatter(errors: Sequence[Floats]) -> float:
    """Return the scatter of smoothed differences where frames match, in stops: 1.48 times the median."""
    return float(max(1.4826 * np.median(np.abs(ndimage.gaussian_filter(one[0], CALM))) for one in errors))


def framing(frames: Mapping[int, Small]) -> dict[int, tuple[float, float]]:
    """Return how far the picture as a whole moved from each frame to the next that is there, (x, y) in pixels."""
    found = {}
    for at in sorted(frames):
        first, second = frames[at], frames.get(at + 1)
        if second is None or first.spectrum is None or second.spectrum is None:
            continue
        moved = shift(first.spectrum, second.spectrum)
        if moved is not None:
            size = first.planes.shape[1] / first.spectrum.shape[0] * first.step
            found[at + 1] = (moved[0] * size, moved[1] * size)
    return found


def unlikeness(first: Small, second: Small) -> float:
    """Return the root mean square difference of two frames as they lie, in stops of luma."""
    return float(np.sqrt(np.mean((first.planes[0] - second.planes[0]) ** 2)))
