"""Holes that no frame around shows, filled from their surroundings; a net may work that over; grain laid in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.provenance import FILL, GRAINED, SYNTHESISED
from safelight.nodes.damage import fresh, rays
from safelight.nodes.damage.choosing import FITS_AT_ALL, Made
from safelight.nodes.damage.donors import Frame, to_light, to_stops
from safelight.nodes.damage.fresh import Laid
from safelight.nodes.damage.holes import Bools, Holes, Ints, places
from safelight.nodes.resolution.learned.coding import decode, encode
from safelight.nodes.resolution.learned.filling import CELL, MARGIN, StoredFill, filled

Floats = npt.NDArray[np.float32]


def from_surroundings(
    here: Frame, holes: Holes, lost: Bools, made: Made, laid: Laid, net: StoredFill | None, device: Device
) -> None:
    """Fill the listed pixels that are lost, worked over by a net where one is given, and lay grain in; in `made`."""
    planes, known = here.planes.copy(), here.good.copy()
    done = holes.inside & ~lost
    planes[:, holes.y[done], holes.x[done]] = made.value[:, done]
    known[holes.y[done], holes.x[done]] = True
    y, x = holes.y[lost], holes.x[lost]
    noise = laid.noise
    loudest = max(float(np.median(noise.sigma)), FITS_AT_ALL)
    value, reached = rays.fill(planes, known, y, x, loudest)
    if net is not None and reached.any():
        planes[:, y, x] = value
        corner = here.region.y0, here.region.x0
        value[:, reached] = worked(planes, known, y[reached], x[reached], corner, loudest, net, device)
    made.low[:, lost] = value
    code = np.where(reached, FILL if net is None else SYNTHESISED, 0).astype(np.uint32)
    if not noise.silent and laid.strength > 0:
        field = fresh.field(noise, laid.frame, laid.seed)
        value = value + np.float32(laid.strength) * fresh.grain(noise, field, value, y, x)
        code |= np.where(reached, GRAINED, 0).astype(np.uint32)
    made.value[:, lost] = value
    made.code[lost] = code


def worked(
    planes: Floats,
    known: Bools,
    y: Ints,
    x: Ints,
    corner: tuple[int, int],
    sigma: float,
    net: StoredFill,
    device: Device,
) -> Floats:
    """Return what a net makes of the pixels listed, (C, N), in stops.

    Parameters
    ----------
    planes:
        (C, H, W) in stops, filled where listed.
    known:
        (H, W): what is picture. Pixels that are neither that nor listed are filled for the net to see, and stay.
    corner:
        y and x of the first pixel in the frame.
    sigma:
        The grain, stops.
    """
    height, width = known.shape
    reach = CELL + MARGIN
    rows, columns = (
        slice(max(0, int(at.min()) - reach), min(size, int(at.max()) + reach + 1))
        for at, size in ((y, height), (x, width))
    )
    # What lies further away than a cell and its margin is seen by none of them.
    seen, there = planes[:, rows, columns].copy(), known[rows, columns].copy()
    v, u = y - rows.start, x - columns.start
    there[v, u] = True
    rest = places(~there)
    if len(rest[0]):
        seen[:, rest[0], rest[1]], _ = rays.fill(seen, there, *rest, sigma)
    hole = np.zeros(there.shape, bool)
    hole[v, u] = True
    code = encode(to_light(seen))
    made = filled(net, code, hole, corner=(corner[0] + rows.start, corner[1] + columns.start), device=device)
    return to_stops(decode(made[:, v, u]))
