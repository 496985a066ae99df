"""What a hole's neighbouring frames have to give: vectors found past the damage, and donors that fit around it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.damage import rays
from safelight.nodes.damage.holes import Bools, Holes, Ints, places
from safelight.nodes.grain.domain import TOE
from safelight.nodes.kernels.launch import launch
from safelight.nodes.motion.blocks import WINDOW, Pyramid, pyramid, search

Floats = npt.NDArray[np.float32]

SEARCH_SCALE = 200.0
"""Steps of the search's luma for each stop."""
WEIGHTS = (0.3, 0.5, 0.2)
"""Of red, green and blue in the luma: not alike, so that edges between pure colours show."""
SIZES = ((12, 2), (20, 3), (36, 5), (68, 8), (132, 16))
"""Windows around a piece: pixels to each side, pixels between samples."""
FINE = ((7, 1), *SIZES)
"""The same where motions meet."""
_FEWEST = 40
"""Undamaged pixels that must be compared around a piece before a vector counts as tested."""
_GAIN = 0.1
"""Part of its cost by which another vector must be better: less is the grain's doing."""
_UNTOLD = 1e38
"""Cost of a vector that could not be tested, or more."""
_ROW = 256
"""Places that `sampled` reads in one row."""


@dataclass(frozen=True)
class Frame:
    """One frame in stops above the toe, with what in it can be used."""

    region: Region
    planes: Floats
    """(C, H, W) colour planes, finite."""
    luma: Floats
    """(H, W) their weighted mean, 3 × 3 blurred."""
    finite: Bools
    good: Bools
    """Finite and undamaged."""
    search: Floats
    """(1, h, w): the luma in whole steps, at half the size where the picture has one: vectors only propose what `offer`
    tests and refines."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return int(self.planes.nbytes + self.luma.nbytes + self.finite.nbytes + self.search.nbytes)

    @property
    def step(self) -> int:
        """Pixels to one of `search`."""
        return 1 if self.search.shape[1:] == self.luma.shape else 2


def encoded(planes: Floats, region: Region, device: Device) -> Frame:
    """Encode colour planes, (C, H, W): see the kernels `repair_encode` and `repair_luma`."""
    whole = Region.sized(planes.shape[2], planes.shape[1])
    stops, grey, luma, search = (device.empty((n, *planes.shape[1:])) for n in (len(planes), 1, 1, 1))
    launch(
        device,
        "repair_encode",
        whole,
        plate=(planes, whole),
        out=(stops, whole),
        grey=(grey, whole),
        planes=len(planes),
        per_toe=1 / TOE,
        weights=(*(WEIGHTS if len(planes) == 3 else (1 / len(planes),) * len(planes)), 0, 0, 0)[:4],
    )
    launch(
        device,
        "repair_luma",
        whole,
        reach=1,
        grey=(grey, whole),
        luma=(luma, whole),
        search=(search, whole),
        search_scale=SEARCH_SCALE,
    )
    finite: Bools = np.isfinite(grey[0])
    return Frame(region, stops, luma[0], finite, finite, pyramid(search, device, reach=16).levels[-1])


def to_stops(light: Floats) -> Floats:
    """Return stops above the toe; odd, so that negative light survives."""
    return np.asarray(np.copysign(np.log2(1 + np.abs(light) * np.float32(1 / TOE)), light), np.float32)


def to_light(stops: npt.NDArray[np.floating]) -> Floats:
    """Invert `to_stops`."""
    wide = np.asarray(stops, np.float64)
    return np.asarray(np.copysign(np.expm1(np.abs(wide) * np.log(2)) * TOE, wide), np.float32)


def without(frame: Frame, hole: Bools) -> Frame:
    """Return the frame with its damage known."""
    return replace(frame, good=frame.finite & ~hole)


def guessed(frame: Frame) -> Frame:
    """Return the frame with its luma guessed where it is damaged."""
    y, x = places(~frame.good)
    if not len(y):
        return frame
    luma = frame.luma.copy()
    luma[y, x] = rays.bridged(luma, y, x)
    return replace(frame, luma=luma)


@dataclass(frozen=True)
class Offer:
    """What one donor frame offers for each piece."""

    vectors: npt.NDArray[np.float64]
    """(pieces, 2): dy, dx, in quarter pixels' precision."""
    cost: npt.NDArray[np.float64]
    """(pieces): mean difference around the piece, stops; infinite where nothing could be compared."""
    rough: npt.NDArray[np.float64]
    """(pieces): what a fill from the surroundings misses there, in the mean, stops; infinite where nobody can tell."""
    shift: npt.NDArray[np.float64]
    """(pieces, C): by how much the donor must be lifted, stops; 0 where that cannot be told from nothing."""


def searchable(frame: Frame, device: Device) -> Pyramid | None:
    """Return a frame's search pyramid, its damage guessed over so that it steers no vector; None for a picture too
    small to be searched."""
    if min(frame.luma.shape) < WINDOW:
        return None
    search = frame.search
    y, x = places(~frame.good)
    if len(y):
        bad: Bools = np.zeros(search.shape[1:], bool)
        h, w = bad.shape
        # A pixel of the smaller picture holds four by four of the larger one.
        sides = (0,) if frame.step == 1 else (-1, 1)
        for j in sides:
            for i in sides:
                bad[np.clip((y + j) // frame.step, 0, h - 1), np.clip((x + i) // frame.step, 0, w - 1)] = True
        y, x = places(bad)
        search = search.copy()
        search[0, y, x] = np.rint(rays.bridged(search[0], y, x))
    return pyramid(search, device, reach=48 // frame.step)


def blocks(
    here: Pyramid | None, there: Pyramid | None, step: int, noise: float, device: Device
) -> npt.NDArray[np.float64]:
    """Return dy, dx, whole pixels, of every block that the search looked at, in pictures whose pixels are `step` wide;
    of pictures too small, one that rests."""
    if here is None or there is None:
        return np.zeros((2, 1, 1))
    found = search(here, there, device, noise=max(1.0, noise * SEARCH_SCALE / step))
    return np.asarray(found[[1, 0]], np.float64) * step


def offer(
    here: Frame, there: Frame, field: npt.NDArray[np.float64], holes: Holes, windows: Windows, device: Device
) -> Offer:
    """Test, for every piece, the vectors of the blocks around it on the undamaged pixels around it; refine the best."""
    count = len(holes.boxes)
    vectors, cost = np.zeros((count, 2)), np.full(count, np.inf)
    across = holes.across
    rough, shift = np.zeros(count), np.zeros((count, len(here.planes)))
    for number, (half, every) in enumerate(windows.sizes):
        chosen = np.nonzero(windows.size == number)[0]
        if len(chosen):
            ring = _Ring.around(here, there, holes.boxes[chosen], half, every)
            vectors[chosen], cost[chosen] = _best(ring, field, every, device)
            rough[chosen] = ring.rough(across[chosen])
            shift[chosen] = ring.shift(vectors[chosen])
    return Offer(vectors, cost, rough, shift)


@dataclass(frozen=True)
class Windows:
    """Which of some sizes of window, (pixels to each side, pixels between samples), each piece is compared in."""

    sizes: Sequence[tuple[int, int]]
    size: Ints
    """(pieces): index into `sizes`."""


def counted(good: Bools) -> npt.NDArray[np.int32]:
    """Return how many good pixels lie above and left of each corner, (H + 1, W + 1)."""
    h, w = good.shape
    total = np.zeros((h + 1, w + 1), np.int32)
    np.cumsum(good, 1, np.int32, total[1:, 1:])
    np.cumsum(total, 0, np.int32, total)
    return total


def windows(total: npt.NDArray[np.int32], boxes: Ints, sizes: Sequence[tuple[int, int]] = SIZES) -> Windows:
    """Choose for each piece the smallest window that holds the piece and enough undamaged pixels (`counted`) around
    it."""
    h, w = total.shape[0] - 1, total.shape[1] - 1
    cy, cx = (boxes[:, 0] + boxes[:, 2]) // 2, (boxes[:, 1] + boxes[:, 3]) // 2
    extent = np.maximum(boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1])
    size = np.full(len(boxes), len(sizes) - 1, np.intp)
    for number in range(len(sizes) - 2, -1, -1):
        half, every = sizes[number]
        y0, y1 = np.clip(cy - half, 0, h), np.clip(cy + half + 1, 0, h)
        x0, x1 = np.clip(cx - half, 0, w), np.clip(cx + half + 1, 0, w)
        inside = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
        fits = (inside >= 2 * _FEWEST * every * every) & (extent + 8 <= 2 * half)
        size[fits] = number
    return Windows(sizes, size)


@dataclass(frozen=True)
class _Ring:
    """The undamaged pixels around some pieces, sampled: (pieces, samples)."""

    here: Frame
    there: Frame
    middle: Ints
    """(pieces, 2): y, x of each middle."""
    y: Ints
    x: Ints
    at: Ints
    use: Bools
    luma: Floats
    weight: Floats
    """(samples): pixels near the piece count more, so that a motion beside it does not decide."""
    half: int

    @classmethod
    def around(cls, here: Frame, there: Frame, boxes: Ints, half: int, every: int) -> _Ring:
        h, w = here.luma.shape
        at = np.arange(-half, half + 1, every)
        dy, dx = (a.ravel() for a in np.meshgrid(at, at, indexing="ij"))
        middle = np.stack([(boxes[:, 0] + boxes[:, 2]) // 2, (boxes[:, 1] + boxes[:, 3]) // 2], 1)
        y, x = middle[:, :1] + dy, middle[:, 1:] + dx
        inside = (y >= 0) & (y < h) & (x >= 0) & (x < w)
        y, x = np.clip(y, 0, h - 1), np.clip(x, 0, w - 1)
        weight = np.exp(-2 * (dy**2 + dx**2) / half**2).astype(np.float32)
        at = y * w + x
        return cls(here, there, middle, y, x, at, inside & here.good[y, x], here.luma[y, x], weight, half)

    def rough(self, across: Ints) -> npt.NDArray[np.float64]:
        """Return how badly each sample is foretold by the mean of two that lie `across` (pieces) pixels to either
        side of it, over rows or columns, whichever does better: what a fill from the surroundings would miss."""
        found = []
        for step in (np.array([1, 0]), np.array([0, 1])):
            (use, low), (other, high) = (self._at(self.here, sign * across[:, None] * step) for sign in (-1, 1))
            luma = self.here.luma.ravel()
            weight = np.where(use & other, self.weight, np.float32(0))
            away = np.abs(self.luma - (luma.take(low) + luma.take(high)) * np.float32(0.5)) * weight
            total = weight.sum(1)
            found.append(np.where(total > 0, away.sum(1) / np.maximum(total, np.float32(1e-6)), np.inf))
        return np.asarray(np.minimum(*found), np.float64)

    def shift(self, vectors: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return by how much the donor is darker, for each channel, where that is beyond doubt."""
        use, at = self._at(self.there, np.rint(vectors).astype(np.intp))
        n = np.maximum(use.sum(1), 1)
        out = np.zeros((len(use), len(self.here.planes)))
        for c, (mine, other) in enumerate(zip(self.here.planes, self.there.planes, strict=True)):
            d = np.where(use, mine.ravel().take(self.at) - other.ravel().take(at), np.float32(0)).astype(np.float64)
            mean = d.sum(1) / n
            spread = np.sqrt(np.where(use, (d - mean[:, None]) ** 2, 0).sum(1) / n)
            sure = (n >= _FEWEST) & (np.abs(mean) > 4 * spread / np.sqrt(n)) & (np.abs(mean) < 1)
            out[:, c] = np.where(sure, mean, 0)
        return out

    def _at(self, frame: Frame, vectors: npt.NDArray[np.intp]) -> tuple[Bools, Ints]:
        """Return which samples can be compared, and where in that frame they lie, counted row by row."""
        h, w = frame.luma.shape
        at = self.at + (vectors[:, :1] * w + vectors[:, 1:])
        middle = self.middle + vectors
        outside = (middle < self.half).any(1) | (middle[:, 0] >= h - self.half) | (middle[:, 1] >= w - self.half)
        use = self.use
        if outside.any():
            v, u = self.y[outside] + vectors[outside, :1], self.x[outside] + vectors[outside, 1:]
            use = use.copy()
            use[outside] &= (v >= 0) & (v < h) & (u >= 0) & (u < w)
            at[outside] = np.clip(v, 0, h - 1) * w + np.clip(u, 0, w - 1)
        return use & frame.good.ravel().take(at), at


def _best(
    ring: _Ring, field: npt.NDArray[np.float64], every: int, device: Device
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return each piece's best vector, to a quarter pixel, and its cost: see the kernel `repair_vectors`."""
    count, half = len(ring.middle), ring.half
    out = device.empty((3, 1, count))
    listed = Region.sized(count, 1)
    whole = Region.sized(ring.here.luma.shape[1], ring.here.luma.shape[0])
    side = len(range(-half, half + 1, every))
    launch(
        device,
        "repair_vectors",
        listed,
        middle=(np.ascontiguousarray(ring.middle.T[:, None], np.float32), listed),
        here=(ring.here.luma, whole),
        there=(ring.there.luma, whole),
        good=ring.here.good.view(np.uint8),
        giving=ring.there.good.view(np.uint8),
        field=(field.astype(np.float32), Region.sized(field.shape[2], field.shape[1])),
        weight=(ring.weight.reshape(side, side), Region.sized(side, side)),
        out=(out, listed),
        half=half,
        every=every,
        fewest=_FEWEST,
        gain=_GAIN,
    )
    cost = out[2, 0].astype(np.float64)
    return out[:2, 0].T.astype(np.float64), np.where(cost < _UNTOLD, cost, np.inf)


def sampled(
    frame: Frame, y: npt.NDArray[np.float64], x: npt.NDArray[np.float64], device: Device
) -> tuple[Floats, Floats, Bools]:
    """Read a frame between its pixels without taking from its grain: see the kernel `repair_sample`.

    Returns
    -------
    The values, their low part (Gaussian, sigma 1), each (C, N), and where both come from undamaged pixels.
    """
    channels, h, w = frame.planes.shape
    count, rows = len(y), -(-len(y) // _ROW)
    places = np.zeros((2, rows * _ROW), np.float32)
    places[0, :count], places[1, :count] = y, x
    out = device.empty((2 * channels + 1, rows, _ROW))
    listed = Region.sized(_ROW, rows)
    launch(
        device,
        "repair_sample",
        listed,
        places=(places.reshape(2, rows, _ROW), listed),
        picture=(frame.planes, Region.sized(w, h)),
        good=frame.good.view(np.uint8),
        out=(out, listed),
        planes=channels,
    )
    flat = out.reshape(len(out), -1)[:, :count]
    return flat[0:-1:2], flat[1:-1:2], flat[-1] > 0
