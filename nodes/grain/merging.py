"""Encoded frames, moved into place, merged into one clean picture: fine detail at full size, low frequencies at reduced
sizes.

An 8 × 8 patch cannot tell grain from picture below a sixteenth of a cycle a pixel: its mean is averaged over time and
never shrunk. At half the size and less the same patch spans 16 pixels and more, and its means lie lower. So the reduced
stack is cleaned too, and the difference of its result from the reduced fine one is added, interpolated.

References: Pierazzo, Morel and Facciolo 2017 (multi-scale DCT denoising); Burger and Harmeling 2011 (low-frequency
noise, multi-scale meta-procedure); Dabov et al. 2007 (two stages).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.grain.domain import Floats
from safelight.nodes.grain.noise import Noise
from safelight.nodes.grain.working import BORDER, TILE, mirror, work_area
from safelight.nodes.kernels.launch import launch

ROWS = {"cpu": 128, "cuda": 32}  # of an item: more do less twice, fewer make more items; no pixel depends on it
SCRATCH = 160 * (8 * (3 + 1 + 8 + 1 + 6) + 4)  # floats an item needs on a CUDA device
LEAST = 16
"""Shortest side of a picture that is worked on at reduced size."""
LEVELS = 3
"""Reduced sizes: half, a quarter, an eighth."""


@dataclass(frozen=True)
class Tuning:
    """How a stage works; found on pans, parallax and still shots with white noise and film grain."""

    step: int
    """Rows between patches of grey; two columns lie between them."""
    colour_step: int
    """The same for colour."""
    grey: float
    """Squared threshold in variances."""
    colour: float
    expected: float
    """Square difference in variances between two noisy patches, or between a noisy one and the pilot."""
    slack: tuple[float, float, float, float]
    """Each band: by how many standard deviations of that a neighbour may differ more at no cost."""
    doubt: float = 3.0
    """How fast a neighbour that differs more loses weight."""

    @property
    def agree(self) -> tuple[float, ...]:
        """Return the square difference that costs nothing, by band: a mean over n coefficients spreads by √(2 / n)."""
        return tuple(self.expected * (1 + s * (2 / n) ** 0.5) for s, n in zip(self.slack, (4, 12, 20, 28), strict=True))


FULL = (Tuning(2, 4, 4.6, 6.6, 2.0, (1.0, 0.5, 0.25, 0.0)),)
"""The one stage at full size."""
REDUCED = (
    Tuning(4, 8, 8.0, 10.0, 2.0, (3.0, 2.0, 1.5, 1.5)),
    Tuning(2, 4, 2.5, 2.5, 1.2, (3.0, 2.0, 1.5, 1.5)),
)
"""Both stages at reduced size: they cost little there, and what they leave is seen as blotches."""


@dataclass(frozen=True)
class Stack:
    """A frame and its neighbours, moved into place, encoded, opponent; each over `work_area(region)`."""

    region: Region
    centre: Any
    """(planes, H, W)."""
    moved: Any
    """(planes · count, H, W); at least one plane, which nothing reads where `count` is 0."""
    count: int

    @property
    def planes(self) -> int:
        """Planes of a frame."""
        return int(self.centre.shape[0])


def halved(spectrum: Floats) -> Floats:
    """Return the spectrum of noise at half the size, (n, 8, 8), from that before, both relative to the same sigma.

    Coefficient k stands for k / 16 cycles a pixel. Reducing filters by cos³(π f) in either direction and folds the
    upper half of all frequencies onto the lower. (What a cosine of eight pixels also sees of other frequencies is not
    counted: it would be counted again at every size.)

    >>> halved(np.ones((1, 8, 8)))[0, 0, [0, 4]].round(3).tolist()
    [0.25, 0.156]
    """
    axis = np.zeros((8, 8))
    for full in (np.arange(8) / 32, 0.5 - np.arange(8) / 32):
        at = np.minimum(16 * full, 7)
        low = np.minimum(at.astype(int), 6)
        passed = np.cos(np.pi * full) ** 6
        np.add.at(axis, (np.arange(8), low), passed * (1 - (at - low)))
        np.add.at(axis, (np.arange(8), low + 1), passed * (at - low))
    return np.asarray(np.einsum("vj,njk,uk->nvu", axis, np.asarray(spectrum, np.float64), axis) / 4)


def merged(stack: Stack, noise: Noise, device: Device, *, scale: float = 1.0, levels: int = LEVELS) -> Any:
    """Return the clean picture, encoded, opponent: (planes, H, W) over `stack.region`.

    Parameters
    ----------
    noise:
        What the noise is thought to be; its `sigma` at full size, its `spectrum` at this one.
    scale:
        On the noise's variance.
    levels:
        Reduced sizes that correct the low frequencies.
    """
    out = _merged(stack, noise, noise.spectrum, device, scale, levels, FULL)
    return _inside(out, stack.region)


def _merged(
    stack: Stack,
    noise: Noise,
    spectrum: Floats,
    device: Device,
    scale: float,
    levels: int,
    stages: tuple[Tuning, ...],
) -> Any:
    """Return the same over the work area; its border is of no use."""
    region, half = stack.region, None
    if levels > 0 and min(region.width, region.height) >= 2 * LEAST:
        small = _reduced(stack, device)
        half = _inside(_merged(small, noise, halved(spectrum), device, scale, levels - 1, REDUCED), small.region)
    clean = None
    for stage in stages:
        out = device.empty(stack.centre.shape)
        _stage(stack, noise, spectrum, device, scale, stage, clean, out)
        clean = out
        mirror(clean, region.width, region.height, device.xp, least=True)
        if half is not None:
            _mend(clean, half, region, device)
            if stage is not stages[-1]:
                mirror(clean, region.width, region.height, device.xp, least=True)
    return clean


def _inside(planes: Any, region: Region) -> Any:
    """Return the picture without its border."""
    return planes[:, BORDER : BORDER + region.height, BORDER : BORDER + region.width]


def _stage(
    stack: Stack, noise: Noise, spectrum: Floats, device: Device, scale: float, tuning: Tuning, pilot: Any, out: Any
) -> None:
    """Write a stage's clean picture into `out`: the first where `pilot` is None. See the kernel `degrain`."""
    region, work = stack.region, work_area(stack.region)
    rows, tiles = ROWS[device.kind], -(-region.width // TILE)
    items = tiles * -(-region.height // rows)
    scratch = device.xp.empty((1, items, SCRATCH) if device.kind == "cuda" else (1, 1, 1), dtype=np.float32)
    launch(
        device,
        "degrain",
        Region.sized(1, items),
        centre=(stack.centre, work),
        others=(stack.moved, work),
        pilot=(stack.centre if pilot is None else pilot, work),
        image=(_inside(out, region), region),
        scratch=(scratch, Region.sized(scratch.shape[2], scratch.shape[1])),
        variance=(noise.sigma**2, (noise.low, noise.high)),
        spectrum=(spectrum.reshape(-1, 64), (0, 1)),
        planes=stack.planes,
        count=stack.count,
        tiles_x=tiles,
        rows=rows,
        step=tuning.step,
        colour_step=tuning.colour_step,
        width=region.width,
        height=region.height,
        second=pilot is not None,
        scale=scale,
        agree=tuning.agree,
        doubt=tuning.doubt,
        band=_band_means(spectrum.reshape(-1, 64)),
        keep=(tuning.grey, tuning.colour, tuning.colour),
    )


def _reduced(stack: Stack, device: Device) -> Stack:
    """Return the stack at half the size."""
    region = Region.sized(-(-stack.region.width // 2), -(-stack.region.height // 2))
    made = []
    for planes in (stack.centre, stack.moved):
        work = work_area(region)
        out = device.empty((planes.shape[0], work.height, work.width))
        _reduce(planes, stack.region, _inside(out, region), region, device)
        mirror(out, region.width, region.height, device.xp, least=True)
        made.append(out)
    return Stack(region, made[0], made[1], stack.count)


def _reduce(source: Any, region: Region, out: Any, half: Region, device: Device, base: Any = None) -> None:
    """Halve a picture with a border; with `base`, return how that differs from it."""
    work = work_area(region)
    launch(
        device,
        "degrain_reduce",
        Region.sized(-(-half.width // 32), half.height),
        source=(source, work),
        base=(out if base is None else base, half),
        out=(out, half),
        planes=source.shape[0],
        differ=base is not None,
        left=BORDER,
        top=BORDER,
    )


def _mend(planes: Any, half: Any, region: Region, device: Device) -> None:
    """Correct the low frequencies of a picture with a border by its clean half."""
    small = Region.sized(half.shape[2], half.shape[1])
    apart = device.empty(half.shape)
    _reduce(planes, region, apart, small, device, base=half)
    launch(
        device,
        "degrain_mend",
        Region.sized(-(-region.width // 64), region.height),
        half=(apart, small),
        image=(_inside(planes, region), region),
        planes=planes.shape[0],
    )


def _band_means(spectrum: Any) -> Any:
    """Return the mean of each channel's spectrum in the kernel's four bands, (12,)."""
    u, v = np.meshgrid(np.arange(8), np.arange(8))
    band = np.maximum(u, v).ravel() // 2
    means = np.ones((3, 4))
    means[: len(spectrum)] = [[row[band == b].mean() for b in range(4)] for row in spectrum]
    return means.ravel()
