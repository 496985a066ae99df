"""A patch that a person draws on an evenly lit part of a plate: whether it will do, and the noise in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import GraphError
from safelight.graph.region import Region
from safelight.nodes.grain.domain import Coding
from safelight.nodes.grain.residual import SIDE, autocovariance, cut, measure, piled_up, spread, usable

Floats = npt.NDArray[np.float64]

FEWEST = 6
"""Blocks of SIDE × SIDE pixels that a figure must rest on."""

_MANY = 64  # blocks from which lags that hardly hold anything are trusted
_NEAR = 4  # lags taken from fewer, from 0 on
_FAR = 3.0  # standard deviations by which a block's energy may exceed the usual
_QUARTILE = 0.6745  # standard deviations from the median down to the lower quartile
_UNEVEN = 1 / 3  # share of blocks that hold more than noise from which the patch is called uneven


@dataclass(frozen=True)
class Measured:
    """Noise in a patch."""

    level: Floats
    """(C,) mean plate value."""
    sigma: Floats
    """(C,) in the domain."""
    correlation: Floats
    """(C, lags, lags) autocorrelation over |dy|, |dx|."""
    channels: Floats
    """(C, C) correlation of the channels."""
    blocks: int
    """Blocks measured."""
    busy: int
    """Blocks left out, as they hold more than noise."""
    unusable: int
    """Blocks left out, as they are clipped or not finite."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What speaks against the measurement, for a person."""
        if self.busy <= _UNEVEN * (self.blocks + self.busy):
            return ()
        return (
            f"the patch is not even: {self.busy} of its {self.blocks + self.busy} areas hold more than noise; draw it "
            "where nothing but light changes",
        )


def area_of(patch: Sequence[int]) -> Region | None:
    """Return the area of a patch; None for an empty list, which is all of the picture."""
    return Region(patch[0], patch[1], patch[2], patch[3]) if len(patch) == 4 else None


def check_patch(patch: Sequence[int], display: Region, extent: Region) -> None:
    """Refuse a patch that is none, lies outside the picture, or is too small: raises GraphError.

    `extent` is the data window of the frame it is drawn on.
    """
    where = "parameter 'patch'"
    if len(patch) != 4:
        raise GraphError(f"a patch is x0, y0, x1, y1, not {len(patch)} numbers", where=where, remedy="Give four.")
    x0, y0, x1, y1 = patch
    if x0 < display.x0 or y0 < display.y0 or x1 > display.x1 or y1 > display.y1 or x1 - x0 < 1 or y1 - y0 < 1:
        raise GraphError(
            f"the patch {x0}, {y0}, {x1}, {y1} does not lie in the picture ({display})",
            where=where,
            remedy="Give x0, y0 of its upper left corner and x1, y1 just outside its lower right one.",
        )
    whole = Region(x0, y0, x1, y1)
    inside = whole.intersect(extent)
    if inside.width // SIDE * (inside.height // SIDE) < FEWEST:
        pixels = "" if inside == whole else f", of which {inside.width} x {inside.height} hold pixels,"
        raise GraphError(
            f"the patch of {x1 - x0} x {y1 - y0} pixels{pixels} is too small",
            where=where,
            remedy=f"It must hold {FEWEST} blocks of {SIDE} x {SIDE} pixels, such as 48 x 32.",
        )


def measure_patch(planes: npt.NDArray[Any], coding: Coding) -> Measured:
    """Measure the noise in a patch (C, H, W), plate values.

    A plane is fitted to each block; what is left is noise, but in blocks with far more energy than is usual. With fewer
    than `FEWEST` usable blocks the figures are zero.
    """
    ends, blocks = piled_up(planes), cut(planes)
    good, raw, code = usable(blocks, ends, coding)
    count, channels = int(good.sum()), len(planes)
    if count < FEWEST:
        none = np.zeros((channels, _NEAR, _NEAR))
        return Measured(np.zeros(channels), np.zeros(channels), none, np.eye(channels), 0, 0, len(blocks))
    found = measure(code[good], raw[good], raw[good].mean((2, 3), dtype=np.float64))
    taken = np.ones(count, bool)
    for _ in range(3):
        covariance = autocovariance(found.sums[taken].mean(0))
        variance = np.maximum(covariance[:, :1, :1], 1e-30)
        facts = [spread(one) for one in covariance / variance]
        energy = np.diagonal(found.cross, axis1=1, axis2=2)
        wide = np.array([fact.relative for fact in facts])
        # From the lower quartile, as more than half of a badly drawn patch may hold edges.
        usual = np.quantile(energy[taken], 0.25, axis=0) / np.maximum(1 - _QUARTILE * wide, 0.3)
        closer = np.asarray((energy <= usual * (1 + _FAR * wide)).all(1))
        if closer.sum() < FEWEST or (closer == taken).all():
            break
        taken = closer
    covariance = autocovariance(found.sums[taken].mean(0))
    variance = np.maximum(covariance[:, 0, 0], 0)
    lags = covariance.shape[-1] if taken.sum() >= _MANY else _NEAR
    cross = found.cross[taken].mean(0)
    strength = np.sqrt(np.maximum(np.diagonal(cross), 1e-30))
    return Measured(
        found.level[taken].mean(0),
        np.sqrt(variance),
        covariance[:, :lags, :lags] / np.maximum(variance, 1e-30)[:, None, None],
        np.clip(cross / np.outer(strength, strength), -1, 1),
        int(taken.sum()),
        int((~taken).sum()),
        len(blocks) - count,
    )
