"""Which donor each pixel is taken from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy import spatial

from safelight.graph.device import Device
from safelight.graph.provenance import GRADED, from_frame
from safelight.nodes.damage import donors
from safelight.nodes.damage.donors import Frame, Offer, Windows
from safelight.nodes.damage.holes import FINE, Bools, Holes

Floats = npt.NDArray[np.float32]

# A donor is taken whose difference around the hole is that of the grain, or smaller than
# what a fill from the surroundings would miss.
FITS_GRAIN, FITS_AT_ALL, FITS_BETTER = 1.0, 0.02, 1.2
BLOB = 1.5
"""Weight of a donor's fit to the whole blob beside that to the piece: seams between donors show in the grain."""
UNTESTED = 100.0
"""Cost, stops, of what is taken by force where nothing undamaged is near."""
CONTRADICT, CONTRADICT_AT_ALL = 3.0, 0.06
"""Sigmas between the low parts of two donors that cannot both be right."""


@dataclass
class Made:
    """What is laid in, for each listed pixel: (C, N) in stops, its low part, and its code (0: nothing)."""

    value: Floats
    low: Floats
    code: npt.NDArray[np.uint32]


@dataclass(frozen=True)
class Around:
    """A frame around the one that is repaired."""

    offset: int
    frame: Frame
    """What it is compared by."""
    giving: Frame
    """What it gives."""
    field: npt.NDArray[np.float64]


@dataclass(frozen=True)
class Given:
    """What a frame has for each listed pixel: (C, N) in stops, its low part, and where it may be taken."""

    offset: int
    offer: Offer
    value: Floats
    low: Floats
    good: Bools


def asked(
    here: Frame,
    around: Around,
    holes: Holes,
    sigma: npt.NDArray[np.float64],
    force: bool,
    windows: Windows,
    device: Device,
    alike: bool = False,
) -> Given:
    """Return what a frame has for the listed pixels; `alike`: neighbouring pieces had better move alike."""
    offer = donors.offer(here, around.frame, around.field, holes, windows, device)
    if alike:
        offer = replace(offer, vectors=_middling(offer, holes))
    fits = offer.cost <= np.maximum(FITS_GRAIN * sigma + FITS_AT_ALL, FITS_BETTER * offer.rough)
    if force:
        offer, fits = _forced(offer, holes), np.ones(len(fits), bool)
    vector = offer.vectors[holes.piece]
    value, low, good = donors.sampled(around.giving, holes.y + vector[:, 0], holes.x + vector[:, 1], device)
    lift = offer.shift[holes.piece].T.astype(np.float32)
    return Given(around.offset, offer, value + lift, low + lift, good & fits[holes.piece])


def _middling(offer: Offer, holes: Holes) -> npt.NDArray[np.float64]:
    """Return for each piece the vector that is nearest to all those of the pieces around it (vector median; Astola et
    al. 1990): pieces in a large hole see little to find their own by."""
    middle = (holes.boxes[:, :2] + holes.boxes[:, 2:]) / 2
    count = len(middle)
    _, near = spatial.KDTree(middle).query(middle, k=9, distance_upper_bound=1.8 * FINE)
    there = (near < count) & np.append(np.isfinite(offer.cost), False)[near]
    vectors = offer.vectors[np.minimum(near, count - 1)]
    apart = np.abs(vectors[:, :, None] - vectors[:, None]).sum(3)
    total = np.where(there[:, None], apart, 0).sum(2)
    chosen = np.where(there, total, np.inf).argmin(1)
    return np.asarray(vectors[np.arange(count), chosen])


def _forced(offer: Offer, holes: Holes) -> Offer:
    """Return an offer for every piece: those that could not be tested move as the nearest that could, or rest."""
    tested = np.isfinite(offer.cost)
    if tested.all():
        return offer
    vectors, cost = offer.vectors.copy(), np.where(tested, offer.cost, UNTESTED)
    if tested.any():
        middle = (holes.boxes[:, :2] + holes.boxes[:, 2:]) / 2
        _, nearest = spatial.KDTree(middle[tested]).query(middle[~tested])
        vectors[~tested] = vectors[tested][nearest]
    return replace(offer, vectors=vectors, cost=cost)


def choose(holes: Holes, given: Sequence[Given], sigma: npt.NDArray[np.float64], made: Made) -> None:
    """Take each pixel from the frame that fits best for its piece and blob and can give it."""
    usable = np.stack([one.good for one in given])
    # The middle of what is offered: a donor with damage that nobody marked stands out from it.
    middle = _middle(np.stack([one.low for one in given]), usable)
    price = np.full(usable.shape, np.inf)
    for n, one in enumerate(given):
        away = np.abs(one.low - middle).mean(0) + one.offer.cost[holes.piece]
        # Its piece says how well it fits, its blob that neighbouring pieces had better agree.
        price[n] = _mean_within(holes.piece, away, one.good) + BLOB * _mean_within(holes.blob, away, one.good)
        price[n] += 0.05 * (abs(one.offset) - 1) * np.median(sigma)
    priced = np.where(usable, price, np.inf)
    best = priced.argmin(0)
    found = usable.any(0)
    for n, one in enumerate(given):
        mine = found & (best == n)
        made.value[:, mine], made.low[:, mine] = one.value[:, mine], one.low[:, mine]
        fitted = (one.offer.shift != 0).any(1)[holes.piece]
        made.code[mine] = from_frame(one.offset)
        made.code[mine & fitted] |= GRADED


def torn(given: Sequence[Given], sigma: npt.NDArray[np.float64]) -> Bools:
    """Tell where donors contradict each other: where two motions meet, and one vector cannot serve a whole piece."""
    usable = np.stack([one.good for one in given])[:, None]
    lows = np.stack([one.low for one in given])
    least = np.where(usable, lows, np.float32(np.inf)).min(0)
    most = np.where(usable, lows, np.float32(-np.inf)).max(0)
    spread = np.where(usable.any(0), most, 0) - np.where(usable.any(0), least, 0)
    return np.asarray(spread.mean(0) > np.maximum(CONTRADICT * sigma, CONTRADICT_AT_ALL))


def _middle(lows: Floats, usable: Bools) -> Floats:
    """Return the median of the usable offers, (C, N); of two, their mean."""
    ordered = np.sort(np.where(usable[:, None], lows, np.float32(np.inf)), axis=0)
    count = usable.sum(0)
    low, high = np.maximum(count - 1, 0) // 2, np.minimum(count // 2, len(lows) - 1)
    pair = [np.take_along_axis(ordered, at[None, None], 0)[0] for at in (low, high)]
    return np.asarray(np.where(count > 0, (pair[0] + pair[1]) * np.float32(0.5), lows[0]), np.float32)


def _mean_within(index: npt.NDArray[np.intp], values: npt.NDArray[np.floating], use: Bools) -> npt.NDArray[np.float64]:
    """Return for each pixel the mean over the used pixels of its group."""
    count = int(index.max()) + 1
    total = np.bincount(index[use], values[use].astype(np.float64), count)
    number = np.bincount(index[use], minlength=count)
    return np.asarray((total / np.maximum(number, 1))[index])
