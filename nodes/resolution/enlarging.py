"""Planes at twice, four or eight times the size, edges followed, held to what the pixels say."""

from __future__ import annotations

from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch

TOE = 0.01
"""Scene-linear light under which the encoding turns linear: sign(x) log2(1 + |x| / TOE)."""
LARGEST = 1e34
"""Light beyond this is handed through like what is not a number."""
GUIDE = {1: (1.0, 0.0, 0.0), 2: (0.5, 0.5, 0.0), 3: (0.25, 0.5, 0.25)}
"""Shares of the planes in what says where edges run."""
STEPS = 4
"""How often what is missing is spread again."""
ROUNDS = 8
"""How often the mean of what a pixel becomes is brought right within its bounds at the end."""
ALONG = 2.9
"""Small pixels that the turned kernel reaches along an edge."""
NOISE = {"light": 9e-4, "coverage": 2.5e-5}
"""Squared gradient, in squared stops or plate values, that does not count as a direction."""

_FILL, _STEER, _SPREAD = 3, 3, 2
_REACH = _FILL + _STEER + _SPREAD * STEPS


def reach(doublings: int) -> int:
    """Return how many pixels of the small picture around a pixel its enlargement takes.

    >>> reach(1), reach(2), reach(3)
    (14, 21, 25)
    """
    pixels = 0
    for _ in range(doublings):
        pixels = _REACH + -(-pixels // 2)
    return pixels


def enlarged(planes: Any, region: Region, doublings: int, device: Device, *, coverage: bool = False) -> Any:
    """Return planes (n, H, W) at 2^doublings times their size.

    Every pixel becomes 2 × 2 whose mean light is its own, within 1/4096 of |light| + TOE, and none of which leaves the
    range of the 3 × 3 pixels about it, except at a crest or a trough by up to its height. Only the pixels in `region`
    are seen; beyond its edges the border pixels go on.

    Parameters
    ----------
    planes:
        float32, scene-linear, over `region`; at most three for light. What is not finite counts as missing and comes
        back as a value from around it: the caller puts it back.
    doublings:
        1 to 3.
    coverage:
        Planes are alphas or mattes: each by itself, as they are, never outside the range of the 3 × 3 pixels.
    """
    for _ in range(doublings):
        planes = _doubled(planes, region, device, coverage)
        region = scaled(region, 2)
    return planes


def scaled(region: Region, factor: int) -> Region:
    """Return a region of the picture enlarged by a whole number."""
    return Region(region.x0 * factor, region.y0 * factor, region.x1 * factor, region.y1 * factor)


def missing(planes: Any, xp: Any) -> Any:
    """Tell which values are handed through: not finite, or beyond LARGEST."""
    return ~(xp.abs(planes) <= np.float32(LARGEST))


def _doubled(planes: Any, region: Region, device: Device, coverage: bool) -> Any:
    xp = device.xp
    n, h, w = planes.shape
    bad = missing(planes, xp)
    good = xp.where(bad, np.float32(0), np.float32(1))
    source = filled(planes, bad, xp) if bool(bad.any()) else planes
    if coverage:
        parts = [_plane_pairs(source[c : c + 1], good[c : c + 1], region, device, True) for c in range(n)]
        four = xp.concatenate(parts) if parts else device.empty((0, h, w))
    else:
        four = _plane_pairs(source, good, region, device, False)
    out = device.empty((n, 2 * h, 2 * w))
    for p in range(4):
        out[:, p // 2 :: 2, p % 2 :: 2] = four[p::4]
    return out


def _plane_pairs(source: Any, good: Any, region: Region, device: Device, coverage: bool) -> Any:
    """Return four planes for each of the source's, see the kernel `upscale_spread`, in light again."""
    n, h, w = source.shape
    domain = 0 if coverage else 1
    small, guide, steer = device.empty((n, h, w)), device.empty((1, h, w)), device.empty((3, h, w))
    four, left = device.empty((4 * n, h, w)), device.empty((n, h, w))
    launch(
        device,
        "upscale_encode",
        region,
        source=(source, region),
        out=(small, region),
        guide=(guide, region),
        planes=n,
        domain=domain,
        per_toe=1 / TOE,
        weights=GUIDE[n],
    )
    noise = NOISE["coverage" if coverage else "light"]
    launch(device, "upscale_steer", region, reach=3, guide=(guide, region), out=(steer, region), noise=noise)
    for step in range(STEPS + 1):
        launch(
            device,
            "upscale_spread",
            region,
            reach=2,
            small=(left if step else small, region),
            steer=(steer, region),
            given=(four, region),
            large=(four, region),
            planes=n,
            add=step > 0,
            along=ALONG,
        )
        launch(
            device,
            "upscale_settle",
            region,
            reach=1,
            small=(small, region),
            good=(good, region),
            given=(four, region),
            large=(four, region),
            left=(left, region),
            planes=n,
            domain=domain,
            rounds=ROUNDS if step == STEPS else 0,
            crest=0.0 if coverage else 1.0,
            toe=TOE,
            per_toe=1 / TOE,
        )
    return four


def filled(planes: Any, bad: Any, xp: Any) -> Any:
    """Return the planes with missing values replaced by the mean of finite ones around, as far in as any kernel reads
    from outside; 0 further in."""
    known, values = ~bad, xp.where(bad, np.float32(0), planes)
    h, w = planes.shape[1:]
    for _ in range(_FILL):
        around, there = (xp.pad(a, ((0, 0), (1, 1), (1, 1))) for a in (values, known.astype(np.float32)))
        total, count = xp.zeros_like(values), xp.zeros_like(values)
        for j in range(3):
            for i in range(3):
                total += around[:, j : j + h, i : i + w]
                count += there[:, j : j + h, i : i + w]
        values = xp.where(known, values, xp.where(count > 0, total / xp.maximum(count, np.float32(1)), np.float32(0)))
        known = known | (count > 0)
    return values
