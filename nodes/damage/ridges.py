"""Evidence for thin upright lines: how much darker or brighter a pixel is than both its sides, against the noise."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.grain.working import filled
from safelight.nodes.kernels.launch import launch

Floats = npt.NDArray[np.float32]
Tone = Literal["dark", "bright"]

STRIP = 8
"""Rows that evidence is summed over before lines are sought."""
TOE = 0.01
FLANK = 3
"""Pixels on each side that a line is compared with."""
GAP = 1
"""Pixels between a line and them: a line's soft edge lies there."""
BLOCK = 16
CLIP = 2.5
"""No single pixel says more than this many sigmas: a speck is no line."""
MOST = 3.5
FLOOR = 0.008
"""Stops: what is smoother counts as noisy as this (steps of eight bits in the midtones)."""


def stops(planes: Any) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return light in stops above a toe, (C, H, W), and where it is finite in all planes, (H, W).

    Values that are not finite are replaced by their neighbours'.
    """
    light = np.asarray(planes, np.float32)
    good = np.asarray(np.isfinite(light).all(0))
    if not good.all():
        light = filled(light, np)
        light = np.where(np.isfinite(light), light, np.float32(0))
    # Values beyond any exposure would overflow the sums.
    return np.asarray(np.log2(np.clip(light, 0, 1e6) + np.float32(TOE)), np.float32), good


def noise(plane: Floats, device: Device | None = None, isa: str | None = None) -> Floats:
    """Return the local standard deviation of a pixel against the ones two to its sides, (H, W): of grain or texture."""
    h, w = plane.shape
    rows, columns = -(-h // BLOCK), -(-w // BLOCK)
    down = np.pad(np.arange(h, dtype=np.int32), (0, rows * BLOCK - h), mode="reflect" if h > 16 else "edge")
    inner, margin = np.arange(w - 4, dtype=np.int32), (2, columns * BLOCK - w + 2)
    across = np.pad(inner, margin, mode="reflect" if h > 16 else "edge")
    blocks = Region.sized(columns, rows)
    means = np.empty((rows, columns), np.float32)
    launch(
        device or Device("cpu", 1),
        "scratch_noise",
        blocks,
        isa=isa,
        plane=(plane, Region.sized(w, h)),
        out=(means, blocks),
        rows=down[None],
        columns=across[None],
    )
    means = ndimage.uniform_filter(means, 3, mode="nearest") * np.float32(1.2533 / np.sqrt(1.5))
    # Rows are repeated last: whole ones are copied.
    full = np.maximum(means, FLOOR).repeat(BLOCK, 1)[:, :w].repeat(BLOCK, 0)[:h]
    return np.asarray(full, np.float32)


def unit_of(width: int) -> float:
    """Return what brings the difference of the means of a line and a flank to the noise of a pixel."""
    return float(np.float32(1) / np.sqrt(np.float32(1 / width) + np.float32(1 / FLANK)))


def evidence(
    planes: Floats,
    sigma: Floats,
    widths: tuple[int, ...],
    device: Device,
    isa: str | None = None,
    out: Floats | None = None,
) -> Floats:
    """Return for each pixel how much it looks like a dark and like a bright line, in sigmas, at most 2.5 either way.

    The lesser difference to the two sides counts: an edge has none to one of them.

    Parameters
    ----------
    planes, sigma:
        (C, H, W): finite light in stops, its local noise.
    widths:
        Widths in pixels, eight at most.
    out:
        Where to; new if None.

    Returns
    -------
    (C, 2, H, W): dark, bright.
    """
    count, h, w = planes.shape
    out = np.empty((2 * count, h, w), np.float32) if out is None else out.reshape(2 * count, h, w)
    region = Region.sized(w, h)
    units = [unit_of(width) for width in widths]
    launch(
        device,
        "scratch_ridge",
        region,
        reach=max(widths) // 2 + 1 + GAP + FLANK,
        isa=isa,
        plane=(planes, region),
        noise=(sigma, region),
        out=(out, region),
        widths=(*widths, *[0] * (8 - len(widths))),
        units=(*units, *[0] * (8 - len(widths))),
        gap=GAP,
        flank=FLANK,
        clip=CLIP,
    )
    return out.reshape(count, 2, h, w)


def strips(found: Floats, most: int, isa: str | None = None) -> Floats:
    """Sum evidence over strips of eight rows along slants of -most to most pixels a strip, 6 at most.

    Returns (⌈H/8⌉, 2 most + 1, W), in units of its own noise, from -3 to 3.5; the column is that of the strip's top.
    """
    h, w = found.shape
    count, slants = -(-h // STRIP), range(-most, most + 1)
    shifts = [round(slant * (row + 0.5) / STRIP) for slant in slants for row in range(STRIP)]
    out = np.empty((count, len(slants), w), np.float32)
    region = Region.sized(w, count)
    launch(
        Device("cpu", 1),  # less work than it takes to wake other threads
        "scratch_strips",
        region,
        isa=isa,
        found=(found, Region.sized(w, h)),
        out=(out.transpose(1, 0, 2), region),
        shifts=(*shifts, *[0] * (104 - len(shifts))),
        most=max(map(abs, shifts)),
    )
    return unit(out)


def unit(out: Floats) -> Floats:
    """Bring sums of evidence, (strips, slants, W), to units of their own noise, from -3 to 3.5, in place."""
    upright = out[:: max(1, len(out) // 40), out.shape[1] // 2]
    middle = np.median(upright)
    spread = max(1.4826 * float(np.median(np.abs(upright - middle))), 1.5)
    out -= middle
    out /= np.float32(spread)
    return np.clip(out, -3, MOST, out=out)
