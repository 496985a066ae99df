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

from safelight.nodes.damage.ridges import Floats

Rows = npt.NDArray[np.float64]

REACH = 7
"""Pixels to both sides of a line that its profile is taken over."""
LEAST = 16
"""Rows that a profile needs."""
GONE = -1.2
"""Change of strength, where -2 is gone altogether, below which a frame lacks the line: it says nothing."""
SWAYS, SURE = 0.12, 4.0
"""Pixels, and multiples of its standard error, from which it is no line of a still scene."""


def shifted(own: Floats, there: Floats, width: int) -> tuple[float, float] | None:
    """Return by how many pixels a line lies elsewhere in another frame, and the standard error; None where it cannot be
    told (Lucas and Kanade 1981, in one dimension, beside a change of strength and of the ground).

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
    """
    if len(away) < 2:
        return 0.0
    at = np.array([0, *away], np.float64)
    steady = np.stack([np.ones_like(at), at], 1)
    still = [0.0] * len(away)
    left = []
    for scene in (still, *scenes):
        path = np.array([0.0, *np.subtract(shifts, scene)])
        rest = path - steady @ np.linalg.lstsq(steady, path, rcond=None)[0]
        left.append(float(np.sqrt((rest**2).sum() / (len(at) - 2))))
    error = float(np.mean(errors))
    return min(left) / max(SWAYS, SURE * error)
