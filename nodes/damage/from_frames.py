"""Holes filled from the frames around: each asked what it has, the best taken, what stands still averaged."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.provenance import FILTERED, GRAINED
from safelight.nodes.damage import choosing, donors, fresh
from safelight.nodes.damage.choosing import Around, Given, Made
from safelight.nodes.damage.donors import Frame
from safelight.nodes.damage.fresh import Laid
from safelight.nodes.damage.holes import Bools, Holes, in_cells, subset

STILL = 0.3
"""Pixels of motion below which grain taken over would stand still."""


@dataclass(frozen=True)
class Other:
    """A frame around the one that is repaired, `offset` frames later."""

    offset: int
    frame: Frame
    """Without what was found in it: it is compared with."""
    giving: Frame
    """Without what a person added either: it is taken from."""


def from_frames(
    here: Frame,
    others: Sequence[Other],
    holes: Holes,
    laid: Laid,
    device: Device,
    *,
    force: bool = False,
    average: bool = True,
) -> Made:
    """Return what the frames around can give for the listed pixels.

    Parameters
    ----------
    here:
        The frame that is repaired, without what is damaged, its luma guessed there.
    force:
        Take from the frames whether they fit or not.
    average:
        Take the mean of frames that agree where the picture stands still, with fresh grain for what that takes away.
    """
    channels, count = len(here.planes), len(holes.y)
    made = Made(
        np.zeros((channels, count), np.float32), np.zeros((channels, count), np.float32), np.zeros(count, np.uint32)
    )
    if not others:
        return made
    noise = laid.noise
    sigma = fresh.sigma_around(noise, here, holes)
    loudest = float(np.median(noise.sigma)) / channels**0.5
    mine = donors.searchable(here, device)
    total = donors.counted(here.good)
    windows = donors.windows(total, holes.boxes)

    def look(other: Other) -> tuple[Around, Given]:
        field = donors.blocks(mine, donors.searchable(other.frame, device), here.step, loudest, device)
        one = Around(other.offset, other.frame, other.giving, field)
        return one, choosing.asked(here, one, holes, sigma, force, windows, device)

    # Each frame answers for itself: the order of the answers is that of the questions, whoever is first.
    with ThreadPoolExecutor(max(1, min(device.threads, len(others)))) as pool:
        around, given = zip(*pool.map(look, others), strict=True)
    choosing.choose(holes, given, sigma, made)
    torn = in_cells(holes, choosing.torn(given, sigma[holes.piece]))
    if torn.any():
        part = subset(holes, torn)
        near = fresh.sigma_around(noise, here, part)
        windows = donors.windows(total, part.boxes, donors.FINE)
        finer = [choosing.asked(here, one, part, near, force, windows, device, alike=True) for one in around]
        again = Made(made.value[:, torn], made.low[:, torn], made.code[torn])
        choosing.choose(part, finer, near, again)
        made.value[:, torn], made.low[:, torn], made.code[torn] = again.value, again.low, again.code
    if average and not noise.silent:
        _averaged(holes, given, sigma, laid, made, ~torn)
    return made


def _averaged(
    holes: Holes, given: Sequence[Given], sigma: npt.NDArray[np.float64], laid: Laid, made: Made, sure: Bools
) -> None:
    """Where the picture stands still, average what agrees and lay in the grain that this takes away."""
    limit = (2 * sigma[holes.piece] + choosing.FITS_AT_ALL).astype(np.float32)
    agree = [
        one.good & (np.abs(one.offer.vectors).max(1) < STILL)[holes.piece] & (np.abs(one.low - made.low).max(0) < limit)
        for one in given
    ]
    number = np.sum(agree, axis=0)
    chosen = sure & (made.code != 0) & (number >= 2)
    if not chosen.any():
        return
    n = number[chosen].astype(np.float32)
    for mean, parts in ((made.value, [one.value for one in given]), (made.low, [one.low for one in given])):
        total = np.zeros((len(mean), len(n)), np.float32)
        for use, part in zip(agree, parts, strict=True):
            total += np.where(use[chosen], part[:, chosen], np.float32(0))
        mean[:, chosen] = total / n
    field = fresh.field(laid.noise, laid.frame, laid.seed)
    values = made.low[:, chosen]
    grain = fresh.grain(laid.noise, field, values, holes.y[chosen], holes.x[chosen])
    made.value[:, chosen] += np.float32(laid.strength) * np.sqrt(1 - 1 / n) * grain
    made.code[chosen] |= FILTERED | (GRAINED if laid.strength > 0 else 0)
