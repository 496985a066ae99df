"""How far a frame departs from its neighbours, moved to match: the measurements that damage is found by.

Frames are searched with `motion.blocks`; the kernels `dirt_blocks` and `dirt_depart` say what is measured of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.image import Image, colour_planes
from safelight.graph.region import Region
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.noise import Noise
from safelight.nodes.grain.working import BORDER, encoded, work_area
from safelight.nodes.kernels.launch import launch
from safelight.nodes.motion.blocks import Pyramid, compensate, pyramid, quarter, search

SEARCH_SCALE = 200.0
BLOCK = 16
LEAST_SIGMA = 0.03
"""Stops: what differs by less than this is never called different."""
SUSPECT = 5.0
LOST = 1.25  # of the noise: power of a difference beyond which it is what motion left
LEFT = 1.1  # the same of one record once the others are known, over nine blocks
RIDGE = 0.05  # of the noise: what keeps records that are alike from foretelling each other wholly
ALIKE = 12.0  # variances by which the square of a difference between two frames of one side may differ
RUINED = 6.0  # the same in both neighbours: more than a third of the block departs
SMOOTH = 0.04

TURN = np.array([[3**-0.5, 2**-0.5, 6**-0.5], [3**-0.5, 0, -2 * 6**-0.5], [3**-0.5, -(2**-0.5), 6**-0.5]])
"""The records, from grey and the two colour differences."""

PLANES = (
    "grey_seed",
    "grey",
    "colour_seed",
    "colour",
    "rest",
    "before",
    "after",
    "apart",
    "grey_stops",
    "colour_stops",
    "steady",
)


@dataclass(frozen=True)
class Frame:
    """One frame, ready: planes in stops (grey and two colour differences, orthonormal, or Y alone) and a pyramid."""

    region: Region
    planes: Any
    pyramid: Pyramid
    _greys: dict[bytes, Any] = field(default_factory=dict, repr=False)

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays, and of the grey that is made of them."""
        return int(self.planes.nbytes) * 4 // 3 + self.pyramid.nbytes

    def grey(self, turned: np.ndarray, device: Device) -> Any:
        """Return the weighted sum of the planes, (1, H, W); made once for all the frames that are compared with this
        one."""
        if len(turned) == 1 or np.abs(turned[1:]).max() < 1e-6:
            return self.planes[:1]
        key = turned.tobytes()
        if key not in self._greys:
            out = device.empty((1, *self.planes.shape[1:]))
            out[0] = self.planes[0] * np.float32(turned[0])
            for plane, part in zip(self.planes[1:], turned[1:], strict=True):
                out[0] += plane * np.float32(part)
            self._greys[key] = out
        return self._greys[key]


def prepare(image: Image, device: Device) -> Frame:
    """Encode one frame: stops above a toe of 0.01, without holes, mirrored beyond its edges."""
    found = colour_planes(image.channels)
    use = found if len(found) == 3 else found[:1]
    region = image.region
    planes, luma = encoded(image.data[list(use)], region, coding("log"), SEARCH_SCALE, device)
    return Frame(region, planes, pyramid(luma, device, reach=48))


def gains(noise: Noise) -> tuple[np.ndarray, np.ndarray]:
    """Return each plane's variance, pixel by pixel and after 3 × 3 binomial smoothing, against white noise."""
    pass_ = ((1 + np.cos(np.pi * np.arange(8) / 8)) / 2) ** 2
    smooth = (noise.spectrum * np.outer(pass_, pass_)).mean((1, 2))
    return noise.spectrum.mean((1, 2)), smooth


def weights(sigma: np.ndarray) -> np.ndarray:
    """Return the records' weights in grey, of unit length: dust lies on all of them, the noise of each is its own."""
    power = 1 / np.median(sigma, axis=1) ** 2
    return np.asarray(power / np.sqrt((power**2).sum()))


def _of_features(gain: np.ndarray, turned: np.ndarray) -> tuple[float, ...]:
    """Return a gain of the planes for grey and each record, as if the planes' noise were independent."""
    if len(gain) == 1:
        return tuple(np.resize(gain, 4))
    return tuple(float(v) for v in np.concatenate([turned[None] ** 2, TURN**2]) @ gain)


@dataclass(frozen=True)
class Departure:
    """What `measure` found, on the host."""

    fields: Mapping[str, Any]
    """One plane (H, W) for each of `PLANES`, over the frame's region."""
    vectors: Any
    """(2, 2, rows, columns): of the two neighbours' 8 × 8 blocks, dx and dy in pixels."""
    power: Any
    """(2, rows, columns): of the two neighbours' 16 × 16 blocks, mean square difference in variances of the noise."""
    lost: float
    """Share of the frame that matches neither neighbour."""
    one_sided: bool
    """Whether both neighbours lie on one side in time."""

    def beyond(self, boxes: Any, width: int, height: int) -> Any:
        """Tell which boxes (n, 4) a neighbour does not show: by their own motion or the frame's they lie outside it."""
        found = np.zeros(len(boxes), bool)
        x = np.clip(((boxes[:, 0] + boxes[:, 2]) // 2 + BORDER) // 8, 0, self.vectors.shape[3] - 1)
        y = np.clip(((boxes[:, 1] + boxes[:, 3]) // 2 + BORDER) // 8, 0, self.vectors.shape[2] - 1)
        local = list(self.vectors[:, :, y, x])
        for dx, dy in [*local, *np.percentile(self.vectors, (25, 75), axis=(2, 3)).reshape(-1, 2)]:
            found |= (boxes[:, 0] + dx < -0.5) | (boxes[:, 2] + dx > width + 0.5)
            found |= (boxes[:, 1] + dy < -0.5) | (boxes[:, 3] + dy > height + 0.5)
        return found

    def unrest(self, x: Any, y: Any) -> dict[str, Any]:
        """Tell how ill motion is known around places (x, y): of the vectors around the larger of both neighbours'
        spread, and how far they are from even motion, in pixels; the power of both differences, less and more."""
        steps = self.vectors
        smooth = steps.copy()
        for axis in (2, 3):
            smooth = middle(smooth, 5, axis)
        spread = ndimage.uniform_filter(np.hypot(*(steps - smooth).swapaxes(0, 1)), (0, 3, 3), mode="nearest").max(0)
        turn = np.hypot(*(smooth[1] - 2 * smooth[0] if self.one_sided else smooth[0] + smooth[1]))
        at = tuple(
            np.clip((v.astype(np.intp) + BORDER) // 8, 0, size - 1)
            for v, size in zip((y, x), spread.shape, strict=True)
        )
        block = tuple(
            np.clip(v.astype(np.intp) // BLOCK, 0, size - 1)
            for v, size in zip((y, x), self.power.shape[1:], strict=True)
        )
        power = self.power[(slice(None), *block)]
        return {"spread": spread[at], "turn": turn[at], "less": power.min(0), "more": power.max(0)}


def middle(planes: Any, size: int, axis: int) -> Any:
    """Return the median of an odd number of values along one axis, edges repeated: by exchanging neighbours."""
    pad = [(0, 0)] * planes.ndim
    pad[axis] = (size // 2, size // 2)
    wide = np.moveaxis(np.pad(planes, pad, mode="edge"), axis, 0)
    length = planes.shape[axis]
    rows = [wide[i : i + length] for i in range(size)]
    for turn in range(size):
        for i in range(turn % 2, size - 1, 2):
            rows[i], rows[i + 1] = np.minimum(rows[i], rows[i + 1]), np.maximum(rows[i], rows[i + 1])
    return np.moveaxis(rows[size // 2], 0, axis)


def chosen(others: Iterable[int]) -> list[int]:
    """Return the neighbours that are used, by distance in frames: both sides, two on each where there are; else the
    two nearest of one side.

    >>> chosen([-2, -1, 1, 2]), chosen([-1, 1, 2]), chosen([1, 2]), chosen([-1])
    ([-1, 1, -2, 2], [-1, 1], [1, 2], [])
    """
    there = set(others)
    if {-1, 1} <= there:
        return [-1, 1, -2, 2] if {-2, 2} <= there else [-1, 1]
    return next(([side, 2 * side] for side in (1, -1) if {side, 2 * side} <= there), [])


def measure(
    here: Frame,
    others: Mapping[int, Frame],
    noise: Noise,
    device: Device,
    *,
    force: bool = False,
    least: float = 0.0,
    isa: str | None = None,
) -> Departure:
    """Measure one frame against those around it.

    Parameters
    ----------
    others:
        By distance in frames, as `chosen` names them.
    noise:
        In stops, for each channel.
    force:
        Damp nothing where the frame matches neither neighbour.
    least:
        Support from which a seed is looked for.
    """
    xp = device.xp
    offsets = chosen(others)
    n = here.planes.shape[0]
    work = work_area(here.region)
    sigma = np.maximum(noise.sigma, LEAST_SIGMA)
    whole, smooth = gains(noise)
    weight = weights(sigma)
    turned = TURN.T @ weight if n == 3 else np.ones(1)
    typical = float(np.sqrt(np.median(sigma**2)))
    steps = []
    steady = device.empty((len(offsets), work.height, work.width))
    moved = device.empty((n * len(offsets), work.height, work.width))
    for i, offset in enumerate(offsets):
        other = others[offset]
        vectors = quarter(
            search(here.pyramid, other.pyramid, device, noise=typical * SEARCH_SCALE, smoothness=SMOOTH, isa=isa),
            device,
        )
        compensate(other.planes, vectors, device, out=moved[n * i : n * (i + 1)], isa=isa)
        steps.append(_host(vectors))
        smooth_vectors = np.rint(middle(middle(steps[-1], 5, 1), 5, 2))
        compensate(other.grey(turned, device), xp.asarray(smooth_vectors), device, out=steady[i : i + 1], isa=isa)
    inner = here.region
    per = 1 / (typical * np.sqrt(2 * np.maximum(whole, 0.05)))
    of_records = np.sqrt(2 * np.asarray(_of_features(smooth, turned))[1:]) * np.median(sigma, axis=1)
    blocks = Region.sized(-(-inner.width // BLOCK), -(-inner.height // BLOCK))
    each = 13 if n == 3 else 2
    sums = xp.empty((each * len(offsets), blocks.height, blocks.width), dtype=np.float32)
    launch(
        device,
        "dirt_blocks",
        blocks,
        isa=isa,
        centre=(here.planes, work),
        others=(moved, work),
        out=(sums, blocks),
        planes=n,
        count=len(offsets),
        left=inner.x0,
        top=inner.y0,
        width=inner.width,
        height=inner.height,
        per_sigma=tuple(float(v) for v in np.pad(per, (0, 3 - n), constant_values=1.0)),
        per_record=tuple(float(v) for v in 1 / np.resize(of_records, 3)),
    )
    found = _host(sums).reshape(len(offsets), each, blocks.height, blocks.width).astype(np.float64)
    match = _match(found, per, of_records, force)
    power = found[:2, n] / (256 * BLOCK * BLOCK)
    out = device.empty((len(PLANES), inner.height, inner.width))
    launch(
        device,
        "dirt_depart",
        inner,
        reach=1,
        isa=isa,
        centre=(here.planes, work),
        others=(moved, work),
        steady=(steady, work),
        match=(xp.asarray(match), blocks),
        out=(out, inner),
        variance=(sigma**2, (noise.low, noise.high)),
        planes=n,
        beyond=len(offsets) == 4,
        grey=tuple(np.resize(turned, 3)),
        weight=tuple(np.resize(weight, 3)),
        whole=_of_features(whole, turned),
        smooth=_of_features(smooth, turned),
        floor=LEAST_SIGMA**2,
        suspect=SUSPECT,
        alike=ALIKE,
        least=least,
        left=inner.x0,
        top=inner.y0,
    )
    return Departure(
        dict(zip(PLANES, _host(out), strict=True)),
        np.stack(steps[:2]) / 4,
        power,
        float((power.min(0) > RUINED).mean()),
        offsets[0] != -offsets[1],
    )


def _host(array: Any) -> Any:
    return array if isinstance(array, np.ndarray) else array.get()


def _match(sums: Any, per: np.ndarray, of_records: np.ndarray, force: bool) -> Any:
    """Return for each neighbour what `dirt_depart` takes of it: the bias of each plane, a median of rows, then of
    columns, over 7 blocks; the variance that motion left in grey, over 5; and of three records what `_shared` says."""
    count, n = BLOCK * BLOCK, len(per)
    rows = []
    for one in sums:
        bias = [middle(middle(plane, 7, 0), 7, 1) for plane in one[:n] / (16 * count) / per[:, None, None]]
        left = np.maximum(one[n] / (256 * count) - LOST, 0) * (not force) / per[0] ** 2
        rows += [*bias, middle(middle(left, 5, 0), 5, 1)]
        if n == 3:
            level = np.tensordot(TURN, np.asarray(bias), 1) / of_records[:, None, None]
            left, told = _shared(one[n + 1 : n + 4] / 8, one[n + 4 :] / 64, level)
            rows += [*left * (not force) * of_records[:, None, None] ** 2]
            rows += [
                told[r, q] * (of_records[r] / of_records[q])
                for r, q in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
            ]
    return np.asarray(rows, np.float32)


def _shared(sums: Any, products: Any, level: Any) -> tuple[Any, Any]:
    """Return what records tell of each other where two frames differ: for each record the variance that is left of it
    once the others are known, less the noise, (3, rows, columns), and the coefficients, (3, 3, rows, columns), of
    record q in the estimate of record r: the least squares of the differences over 3 × 3 blocks.

    Parameters
    ----------
    sums, products:
        Of each block, in standard deviations of the noise: R, G, B; RR, RG, RB, GG, GB, BB.
    level:
        (3, rows, columns): bias, likewise.
    """
    count = BLOCK * BLOCK // 4
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    mean = sums / count
    shared = np.empty((3, 3, *mean.shape[1:]))
    for (r, q), product in zip(pairs, products / count, strict=True):
        about = product - mean[r] * level[q] - level[r] * mean[q] + level[r] * level[q]
        shared[r, q] = shared[q, r] = ndimage.uniform_filter(about, 3, mode="nearest") + RIDGE * (r == q)
    # The inverse but for its determinant, by cofactors.
    other = np.empty_like(shared)
    for r, q in pairs:
        (a, b), (c, d) = ([i for i in range(3) if i != out] for out in (r, q))
        minor = shared[a, c] * shared[b, d] - shared[a, d] * shared[b, c]
        other[r, q] = other[q, r] = minor * (-1) ** (r + q)
    whole = (shared[0] * other[0]).sum(0)
    own = np.stack([other[r, r] for r in range(3)])
    return np.maximum(whole / own - LEFT, 0), -other / own[:, None]
