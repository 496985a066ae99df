"""Lines that sway by themselves: where nothing moves, what tells a scratch from the scene's own uprights.

Film never runs quite straight past whatever scratches it, nor does it come to rest quite straight before a lens: from
frame to frame a scratch shifts by a part of a pixel against the picture. A line of a still scene shifts with the scene,
and what moves in a scene moves steadily over a few frames. So a line's shifts are measured to a part of a pixel, the
scene's are taken from them, and what is left beside steady motion is compared with what grain would leave.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage.ridges import Floats

Rows = npt.NDArray[np.float64]

REACH = 7
"""Pixels to both sides of a line that its profile is taken over."""
LEAST = 16
"""Rows that a profile needs."""
SOFT = 1.5
"""Standard deviation of the blur under which the scene's shift is measured, pixels."""
MARGIN = 6
"""Pixels that it reaches."""
TRUE = (0.6, 2.5)
"""How much more or less than its measure the scene may shift a line: grain hides some of a shift, and a line thinner
than two pixels shows up to twice of one, as its slopes are taken over two pixels."""
GONE = -1.2
"""Change of strength, where -2 is gone altogether, below which a frame lacks the line: it says nothing."""
SWAYS, SURE = 0.16, 3.5
"""Pixels, and multiples of its standard error, from which it is no line of a still scene."""


def shifted(own: Floats, there: Floats, width: int) -> tuple[float, float] | None:
    """Return by how many pixels a line lies elsewhere in another frame, and the standard error; None where it cannot be
    told (Lucas and Kanade 1981, in one dimension, beside a change of strength and of the ground). Of lines thinner than
    two pixels up to twice as many, in both: their slopes are taken over two pixels.

    Parameters
    ----------
    own, there:
        (rows, 2 REACH + 1), stops: the pixels around the line's path in both frames; rows not finite in both are left
        out.
    """
    good = np.isfinite(own).all(1) & np.isfinite(there).all(1)
    count = int(good.sum())
    if count < LEAST:
        return None
    first, second = (one[good].astype(np.float64) for one in (own, there))
    away = second - first
    mean = 0.5 * (first.mean(0) + second.mean(0))
    columns = np.arange(-REACH, REACH + 1)
    ground = np.interp(columns, (-REACH + 1, REACH - 1), (mean[:3].mean(), mean[-3:].mean()))
    near = np.abs(columns + (0.5 if width % 2 == 0 else 0)) <= width // 2 + 2
    model = np.stack([-np.gradient(mean), mean - ground, np.ones_like(mean), columns], 1)[near]
    inverse = np.linalg.pinv(model.T @ model)
    shift, change = (inverse @ (model.T @ away.mean(0)[near]))[:2]
    if change < GONE:
        return None
    noise = float(away.var(0).mean()) / count
    return float(shift), float(np.sqrt(max(0.0, inverse[0, 0]) * noise))


def sways(
    away: Sequence[int], shifts: Sequence[float], errors: Sequence[float], scenes: Sequence[Sequence[float]]
) -> float:
    """Return how far a line's shifts depart from steady motion with the scene: from 1 on it is none of the scene's.

    Parameters
    ----------
    away:
        Frames from the line's own to each of the others.
    shifts, errors:
        Pixels the line lies elsewhere in each.
    scenes:
        What is known of the scene's shift in each, by several ways: the one that explains most counts.

    A line that stays while nothing moves has no shift either, and two frames besides its own are the least that tell.
    """
    if len(away) < 2:
        return 0.0
    at = np.array([0, *away], np.float64)
    steady = np.stack([np.ones_like(at), at], 1)
    apart = np.eye(len(at)) - steady @ np.linalg.pinv(steady)
    own = apart @ np.array([0.0, *shifts])
    left = [float((own**2).sum())]
    for scene in scenes:
        with_it = apart @ np.array([0.0, *scene])
        power = float((with_it**2).sum())
        share = float(np.clip(own @ with_it / max(power, 1e-12), *TRUE))
        left.append(float(((own - share * with_it) ** 2).sum()))
    error = float(np.mean(errors))
    return float(np.sqrt(min(left) / (len(at) - 2))) / max(SWAYS, SURE * error)


def soft(plane: Floats) -> Floats:
    """Return a plane (H, W) a little softened."""
    return np.asarray(ndimage.gaussian_filter(plane, SOFT, mode="nearest"))


def changes(first: Floats, second: Floats) -> Floats:
    """Return how two softened planes (H, W) change across, down, and from one to the other; (3, H, W)."""
    if min(first.shape) < 2:
        return np.zeros((3, *first.shape), np.float32)
    down, across = np.gradient(0.5 * (first + second))
    return np.stack([across, down, second - first]).astype(np.float32)


def thirds(first: Floats, second: Floats) -> Floats:
    """Return `changes` at every third pixel, both ways."""
    if min(first.shape) < 2:
        return changes(first, second)[:, ::3, ::3]
    both = 0.5 * (first + second)
    across, down = np.gradient(both[::3], axis=1)[:, ::3], np.gradient(both[:, ::3], axis=0)[::3]
    return np.stack([across, down, second[::3, ::3] - first[::3, ::3]]).astype(np.float32)


def slopes(here: Floats, there: Floats) -> Floats:
    """Return how two planes (H, W) change across, down, and from one to the other, a little softened; (3, H, W)."""
    return changes(soft(here), soft(there))


def drift(changes: Floats) -> float:
    """Return by how many pixels sideways a part of the scene went, from its slopes, (3, …); NaN is left out."""
    across, down, away = changes.reshape(3, -1)[:, np.isfinite(changes[0]).ravel()].astype(np.float64)
    if len(away) < LEAST:
        return 0.0
    model = np.stack([across, down], 1)
    went = np.zeros(2)
    inside, gone = model, away
    for turn in range(3):
        went = -np.linalg.pinv(inside.T @ inside) @ (inside.T @ gone)
        if turn < 2:
            # What passes through is none of it.
            rest = np.abs(away + model @ went)
            good = rest <= 4 * np.median(rest)
            inside, gone = model[good], away[good]
    return float(went[0])
