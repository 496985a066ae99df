"""Which rows of a path show the scratch that runs along it: broken ones have gaps, and paths run on past ends.

A small net reads each group of rows: what they show at the scratch's own depth, near and wide, in the picture, in what
it has that the frames around, moved to match it, have not, and at the same place in those frames.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage import contrast, stretches
from safelight.nodes.damage.odds import log_odds
from safelight.nodes.damage.presence_odds import PRESENT
from safelight.nodes.damage.ridges import Floats
from safelight.nodes.damage.uprights import Line

Rows = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Measured = Sequence[tuple[Rows, Rows]]

CHANGE = 3.0
"""Price of a beginning or an end, in units of log likelihood."""
BIAS = 0.5
"""Added to the log odds: what is lost wholly is not on any path, so that on them a little doubt is worth a mark."""
NEAR, WIDE = 4, 16
"""Groups of rows that are averaged over."""
SHALLOW = 1e-3
"""Stops: the least depth that contrasts are compared with."""
SIGMAS, LOW, HIGH = 4.0, -3.0, 4.0
"""Clips: of contrast in its own noise, and as a multiple of the scratch's depth."""


@dataclass(frozen=True)
class Seen:
    """What shows a scratch: planes (H, W), in stops."""

    picture: Floats
    lacking: Floats
    """What the picture has that the mean of the frames beside it, moved to match it, has not."""
    each: Sequence[Floats] = ()
    """The same of each of the two frames by itself."""
    beside: Sequence[Floats] = ()
    """The frames just before and after as they are, for what stays in its place; fewer at a shot's end."""

    @property
    def planes(self) -> tuple[Floats, Floats]:
        """The two that a scratch's depth is measured in."""
        return self.picture, self.lacking


def told(line: Line, there: Flags, deep: Sequence[float], seen: Seen, measured: Measured | None = None) -> Flags:
    """Tell which rows of a path, which has some, show its scratch; (rows,).

    Parameters
    ----------
    there:
        (rows,): those that show it for certain.
    deep:
        How deep it is in each of `seen.planes`, in stops; 0 where that is not known.
    measured:
        `contrast.rows` of the path in each of them, where it is known.
    """
    gain = log_odds(PRESENT, measurements(line, there, deep, seen, measured)) + BIAS
    rows = np.repeat(gain / stretches.GROUP, stretches.GROUP)[: len(line.y)]
    return stretches.likeliest(rows.astype(np.float32), CHANGE)


def measurements(
    line: Line, there: Flags, deep: Sequence[float], seen: Seen, measured: Measured | None = None
) -> dict[str, Rows]:
    """Return what the net reads of each group of rows, (groups,) each, of a path that has some.

    Contrasts are in sigmas of what is beside the path, from -4 to 4; shares in the scratch's depth, from -3 to 4;
    depths are logarithms of stops, `away` of 1 plus rows, `width` is in pixels. Parameters as in `told`.
    """
    found: dict[str, Rows] = {}
    deep = [max(depth, SHALLOW) for depth in deep]
    measured = measured or [contrast.rows(line, plane) for plane in seen.planes]
    for name, (own, spread), depth in zip(("picture", "lacking"), measured, deep, strict=True):
        noisy, share = _groups(np.clip(own / spread, -SIGMAS, SIGMAS)), _share(own, depth)
        found |= {name: noisy, f"{name} near": _mean(noisy, NEAR), f"{name} wide": _mean(noisy, WIDE)}
        for scale, groups in (("close", NEAR // 2), ("near", NEAR), ("wide", WIDE)):
            found[f"{name} share {scale}"] = _mean(share, groups)
    none = np.zeros(len(found["picture"]))
    each = [_share(contrast.own(line, plane), deep[1]) for plane in seen.each] or [none]
    near, wide = ([_mean(one, groups) for one in each] for groups in (NEAR, WIDE))
    found |= {"least near": np.min(near, 0), "most near": np.max(near, 0), "least wide": np.min(wide, 0)}
    beside = [_share(contrast.own(line, plane), deep[0]) for plane in seen.beside] or [none]
    found |= {"beside near": _mean(np.mean(beside, 0), NEAR), "beside wide": _mean(np.mean(beside, 0), WIDE)}
    away = ndimage.distance_transform_edt(~there) if there.any() else np.full(len(there), 999.0)
    found["away"] = np.log1p(_groups(away))
    of_all = {
        "depth": np.log(deep[0]),
        "depth lacking": np.log(deep[1]),
        "known": there.mean(),
        "width": line.width,
        "record": line.plane > 0,
        "fleeting": line.fleeting,
        "bright": line.tone == "bright",
        "score": np.log(max(line.track.score, 1.0)),
    }
    return found | {name: none + float(value) for name, value in of_all.items()}


def _groups(rows: Rows) -> Rows:
    count = -(-len(rows) // stretches.GROUP)
    padded = np.pad(rows, (0, count * stretches.GROUP - len(rows)), mode="edge")
    return np.asarray(padded.reshape(count, stretches.GROUP).mean(1), np.float64)


def _share(own: Rows, depth: float) -> Rows:
    return _groups(np.clip(own / depth, LOW, HIGH))


def _mean(groups: Rows, count: int) -> Rows:
    return np.asarray(ndimage.uniform_filter1d(groups, count, mode="nearest"), np.float64)
