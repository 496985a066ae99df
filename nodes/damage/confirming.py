"""What the frames around confirm: marked pixels that they show alike were not damaged, and keep their bits."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from safelight.graph.provenance import FRAME, ORIGIN
from safelight.nodes.damage.choosing import Made
from safelight.nodes.damage.holes import Bools, Holes, Ints

Floats = npt.NDArray[np.floating]

ERRORS = 2.5
"""Standard errors by which a mean may differ and still be the same."""
COARSE = 2.25
"""Pixels of grain that count as one: it is wider than a pixel."""
ALIKE, SEAM, RIM, ROUGH = 1.25, 0.75, 0.5, 2.0
"""Sigmas: mean difference of the low parts of a blob that is no damage; of a ring that is none the mean difference,
that in the direction in which the blob itself departs (its soft edge), and the root of the mean square."""
AT_ALL = 0.02
"""Stops that are no difference, grain or not."""


def confirmed(holes: Holes, own: Floats, own_low: Floats, made: Made, sigma: Floats, certain: Bools) -> Bools:
    """Tell which listed pixels keep what they have.

    A blob does as a whole where the frames around show the same: neither does its mean, in any channel, differ by more
    than grain lets a mean differ, nor its low part from place to place by more than `ALIKE` sigma. Of a blob that is
    damaged, what lies around the matte's own pixels does, ring by ring from the first that agrees so outwards: beyond
    that there is no soft edge to be taken out, and no seam to be blended.

    Parameters
    ----------
    own, own_low:
        (C, N) stops: what the listed pixels hold, and its low part.
    made:
        What the frames around give; what they do not give confirms nothing.
    sigma:
        (C, N) stops: the plate's around each listed pixel.
    certain:
        (N): pixels that are damaged whatever the frames around show.
    """
    core = holes.ring == 0
    given = (made.code & ORIGIN) == FRAME
    blobs = int(holes.blob.max(initial=-1)) + 1
    told = np.bincount(holes.blob[core & ~given], minlength=blobs) == 0
    open_to = told & (np.bincount(holes.blob[core & certain], minlength=blobs) == 0)
    step = np.asarray(made.value - own, np.float64)
    low = np.abs(np.asarray(made.low - own_low, np.float64)).mean(0)
    mean, _, level, error = _groups(holes.blob, blobs, core, step, sigma)
    same = (np.abs(mean) <= error * level + AT_ALL).all(0)
    rough = _mean(holes.blob, blobs, core, low)
    same &= rough <= ALIKE * level.mean(0) + AT_ALL
    kept = (same & open_to)[holes.blob]
    way = np.sign(mean)
    pieces = len(holes.boxes)
    done = np.zeros(blobs, bool)
    for ring in range(1, holes.grow + 2):
        here = holes.ring == ring
        if not here.any():
            break
        use = here & given
        mean, power, level, error = _groups(holes.blob, blobs, use, step, sigma)
        fits = (np.abs(mean) <= np.minimum(error, SEAM) * level + AT_ALL).all(0)
        fits &= (mean * way <= RIM * level + AT_ALL).all(0)
        fits &= (np.sqrt(power) <= ROUGH * level + AT_ALL).all(0)
        # A seam along one side of a large blob is lost in the mean of the whole.
        mean, _, level, error = _groups(holes.piece, pieces, use, step, sigma)
        apart: Bools = np.asarray((np.abs(mean) > np.minimum(error, SEAM) * level + AT_ALL).any(0))
        fits &= np.bincount(holes.blob[here & (~given | apart[holes.piece])], minlength=blobs) == 0
        done |= fits & told
        kept |= done[holes.blob] & (holes.ring >= ring)
    return np.asarray(kept)


def _groups(index: Ints, count: int, use: Bools, step: Floats, sigma: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Return for each channel and group of the used pixels the mean step, the mean of its square and sigma, each
    (C, groups), and by how many sigmas grain lets such a mean differ, (groups)."""
    number = np.maximum(np.bincount(index[use], minlength=count), 1)
    mean, power, level = (
        np.stack([_mean(index, count, use, plane) for plane in planes]) for planes in (step, step**2, sigma)
    )
    return mean, power, level, ERRORS * np.sqrt(2 * COARSE / number)


def _mean(index: Ints, count: int, use: Bools, values: Floats) -> npt.NDArray[np.float64]:
    """Return the mean over each group's used pixels; 0 where there are none."""
    number = np.bincount(index[use], minlength=count)
    total = np.bincount(index[use], np.asarray(values, np.float64)[use], count)
    return np.asarray(total / np.maximum(number, 1), np.float64)
