"""The net for holes, trained: pictures damaged as film is, filled from their surroundings, and what was there."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

from safelight.graph.errors import GraphError
from safelight.nodes.damage import rays, shapes
from safelight.nodes.damage.donors import to_light, to_stops
from safelight.nodes.damage.draws import Draws
from safelight.nodes.damage.holes import widened
from safelight.nodes.resolution.learned.coding import LUMA, decode, encode
from safelight.nodes.resolution.learned.filling import (
    GRID,
    FillShape,
    StoredFill,
    added,
    centre,
    filled,
    fresh,
    load,
    save,
)
from safelight.nodes.resolution.learned.training.loop import Course, State
from safelight.nodes.resolution.learned.training.make import Job, Made, ready, trained
from safelight.nodes.resolution.learned.training.patches import split
from safelight.nodes.resolution.learned.training.pictures import DISPLAY, display, found

if TYPE_CHECKING:
    import torch

Bools = npt.NDArray[np.bool_]
Planes = npt.NDArray[np.float32]
Halves = npt.NDArray[np.float16]

KINDS = ("dust", "scratches", "blobs")
SHARE = 0.03
"""Part of a picture that each kind of damage takes."""
NOISE = 0.03
"""Most grain, standard deviation in coded values, that the pixels around holes have; what is aimed at has none."""
BORDER = 12
"""Pixels along a patch's edges whose holes do not count: they are half seen."""
GREY = 0.2
"""Share of patches without colour."""


@dataclass(frozen=True)
class FillRecipe:
    """Everything that decides what comes out, apart from the pictures."""

    shape: FillShape
    steps: int = 3000
    batch: int = 8
    side: int = 96
    rate: float = 2e-3
    squares: float = 1.0
    """Most of what the surroundings foretell is right already: absolute errors have their least at adding nothing."""
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Damaged:
    """A picture with holes, coded: filled from their surroundings, and as it was."""

    name: str
    base: Halves
    full: Halves
    hole: Bools
    at: npt.NDArray[np.int32]
    """Places of the holes' pixels, counted in reading order."""


def damage(shape: tuple[int, int], draws: Draws, kinds: Sequence[str] = KINDS, share: float = SHARE) -> Bools:
    """Return where a picture is damaged, (H, W): specks and fibres of 3 to 12 pixels, scratches of 1 to 6 from top to
    bottom, blobs of 15 to 60; each kind takes about `share` of it. Grown by a pixel, as Repair does."""
    height, width = shape
    out = np.zeros(shape, bool)
    for kind in kinds:
        own, wanted = np.zeros(shape, bool), share * height * width
        # A picture of a few pixels may have no room for what is wanted.
        for _ in range(10_000):
            if np.count_nonzero(own) >= wanted:
                break
            x, y = draws.between(0, width), draws.between(0, height)
            if kind == "blobs":
                made = shapes.blotch(draws, x, y, draws.between(15, 60))
            elif kind == "scratches":
                made = _scratch(draws, x, height)
            elif draws.chance(0.25):
                made = shapes.fibre(draws, x, y, draws.between(10, 40), draws.between(1, 2.5))
            else:
                made = shapes.speck(draws, x, y, draws.between(3, 12))
            _laid(own, *made)
        out |= own
    return widened(out, 1)


def _scratch(draws: Draws, x: float, height: int) -> tuple[int, int, npt.NDArray[np.float64]]:
    many = max(4, height // 60)
    top, bottom = sorted((draws.between(-0.5, 0.7) * height, draws.between(0.3, 1.5) * height))
    y = np.linspace(max(-8.0, top), min(height + 8.0, max(bottom, top + 30)), many)
    sway = np.cumsum(draws.normal(many)) * 0.6
    return shapes.along(np.stack([x + sway, y], 1), draws.between(0.8, 5.0))


def _laid(out: Bools, x0: int, y0: int, cover: npt.NDArray[np.float64]) -> None:
    top, left = max(0, -y0), max(0, -x0)
    part = out[max(0, y0) : max(0, y0 + cover.shape[0]), max(0, x0) : max(0, x0 + cover.shape[1])]
    part |= cover[top : top + part.shape[0], left : left + part.shape[1]] >= 0.05


def spoiled(
    name: str,
    code: Planes,
    seed: int,
    *,
    noise: float | None = None,
    kinds: Sequence[str] = KINDS,
    share: float = SHARE,
) -> Damaged:
    """Damage a coded picture (3, H, W) and fill it from its surroundings as Repair does; the same for the same seed.

    `noise`: standard deviation of the grain around the holes, coded; drawn where it is not given.
    """
    random = np.random.default_rng(seed)
    hole = damage((code.shape[1], code.shape[2]), Draws(seed, 53), kinds, share)
    sigma = random.uniform(0, NOISE) if noise is None else noise
    grain = gaussian_filter(random.standard_normal(code.shape), (0, *(2 * [random.uniform(0.3, 0.9)])))
    grained = code + (sigma / grain.std() * grain).astype(np.float32)
    stops = to_stops(decode(grained))
    y, x = np.nonzero(hole)
    if len(y):
        # Near mid-grey a coded step is about seven stops above the toe.
        value, _ = rays.fill(stops, ~hole, y, x, max(0.02, 7 * sigma))
        grained[:, y, x] = encode(to_light(value))
    at = np.flatnonzero(hole).astype(np.int32)
    return Damaged(name, grained.astype(np.float16), code.astype(np.float16), hole, at)


def pictures(files: Sequence[Path], seed: int, side: int, *, halved: bool = True) -> list[Damaged]:
    """Read display-referred pictures and damage them; those smaller than a patch are left out.

    `halved`: at half their size, where that is large enough: camera files have little detail as fine as a pixel.
    """
    out = []
    for number, file in enumerate(files):
        code = np.ascontiguousarray(display(file))
        if halved and min(code.shape[1:]) >= 2 * side:
            code = _halved(code)
        if min(code.shape[1:]) >= side:
            out.append(spoiled(file.name, code, seed + 101 * number))
    return out


def _halved(code: Planes) -> Planes:
    height, width = (n // 2 for n in code.shape[1:])
    return np.asarray(code[:, : 2 * height, : 2 * width].reshape(3, height, 2, width, 2).mean((2, 4)), np.float32)


def psnr(made: Planes, full: Any, hole: Bools) -> float:
    """Return the peak signal-to-noise ratio of the holes' pixels in dB, for a peak of 1."""
    error = np.clip(made[:, hole], 0, 1).astype(np.float64) - np.asarray(full[:, hole], np.float64)
    return float(-10 * np.log10(max(float(np.mean(error**2)), 1e-12)))


class FillTraining(Course):
    """The net for holes in training, on pictures as `pictures` reads them; `held` are only looked at."""

    def __init__(
        self,
        recipe: FillRecipe,
        shown: Sequence[Damaged],
        held: Sequence[Damaged],
        *,
        device: str = "cpu",
        start: Mapping[str, Any] | None = None,
    ) -> None:
        self._plan, self._shown, self._held = recipe, list(shown), list(held)
        counts = np.array([len(one.at) for one in shown], np.float64)
        self._odds = counts / counts.sum()
        super().__init__(recipe, start or fresh(recipe.shape, recipe.seed), np.random.default_rng(recipe.seed), device)

    def batch(self) -> tuple[Planes, Planes]:
        """Return (batch, 4, side, side), the filled picture and its holes, and (batch, 3, side, side), as it was.

        A hole's pixel is drawn, and a patch that has it somewhere in its middle; turned, mirrored, lightened or
        darkened, some without colour.
        """
        random, side = self._random, self._plan.side
        given, wanted = [], []
        for _ in range(self._plan.batch):
            one = self._shown[int(random.choice(len(self._shown), p=self._odds))]
            height, width = one.hole.shape
            y, x = divmod(int(one.at[int(random.integers(len(one.at)))]), width)
            y, x = (
                int(np.clip(v - side // 2 + random.integers(-side // 4, side // 4 + 1), 0, size - side))
                for v, size in ((y, height), (x, width))
            )
            cut = (slice(None), slice(y, y + side), slice(x, x + side))
            base, full = (a[cut].astype(np.float32) for a in (one.base, one.full))
            if random.random() < 0.5:
                gain = np.float32(2 ** random.uniform(-1.5, 0.5))
                base, full = base * gain, full * gain
            if random.random() < GREY:
                base, full = (np.repeat(np.tensordot(LUMA, a, 1)[None], 3, 0) for a in (base, full))
            stacked = np.concatenate([base, one.hole[cut[1:]][None].astype(np.float32), full])
            turns = int(random.integers(8))
            if turns & 4:
                stacked = stacked.transpose(0, 2, 1)
            stacked = np.rot90(stacked, turns & 3, (1, 2))
            given.append(stacked[:4])
            wanted.append(stacked[4:])
        return np.stack(given), np.stack(wanted)

    def loss(self, squared: bool) -> tuple[torch.Tensor, float]:
        """Return the error in the holes."""
        import torch

        given, full = (torch.from_numpy(np.ascontiguousarray(a)).to(self._device) for a in self.batch())
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device == "cuda"):
            more = added(self.weights, given.contiguous(memory_format=torch.channels_last))
        hole = given[:, 3:].clone()
        for edge in (hole[..., :BORDER, :], hole[..., -BORDER:, :], hole[..., :BORDER], hole[..., -BORDER:]):
            edge.zero_()
        error = (given[:, :3] + more.float() - full) * hole
        count = 3 * hole.sum().clamp(min=1)
        loss = error.square().sum() if squared else error.abs().sum()
        return loss / count, float(error.detach().abs().sum() / count)

    def score(self) -> float | None:
        """Return the PSNR of holes on the held-out pictures."""
        import torch

        found = []
        with torch.no_grad():
            for one in self._held:
                height, width = (n // GRID * GRID for n in one.hole.shape)
                base, hole = one.base[:, :height, :width].astype(np.float32), one.hole[:height, :width]
                x = torch.from_numpy(np.concatenate([base, hole[None].astype(np.float32)]))[None].to(self._device)
                found.append(
                    psnr(base + added(self.mean, x)[0].float().cpu().numpy(), one.full[:, :height, :width], hole)
                )
        return float(np.mean(found)) if found else None

    def hold(self) -> None:
        """Keep the first kernels' sums at 0."""
        centre(self.weights)


def make(job: Job, tell: Callable[[State, int], None]) -> Made:
    """Train the net for holes, or go on; write the weights. As `make.make` does for the others."""
    ready(job)
    plan = FillRecipe(FillShape(), seed=job.seed, **({} if job.steps is None else {"steps": job.steps}))
    files = [file for file in found(job.folder) if file.suffix.casefold() in DISPLAY]
    if not files:
        raise GraphError("no display-referred picture in it", file=job.folder, remedy=f"Use {', '.join(DISPLAY)}.")
    shown, held = split(files)
    read = pictures(shown, job.seed, plan.side)
    if not read:
        raise GraphError(
            "no picture is large enough to train on", file=job.folder, remedy="Use pictures of 500 pixels or more."
        )
    judges = pictures(held, 7919 + job.seed, GRID)
    start = None
    if job.start is not None:
        import torch

        stored = load(job.start)
        if stored.shape != plan.shape:
            raise GraphError("a net of another shape", file=job.start, remedy="Leave --start out.")
        start = {name: torch.from_numpy(array.copy()) for name, array in stored.arrays.items()}
    training = FillTraining(plan, read, judges, device=job.device, start=start)
    state = trained(training, job, tell, plan.steps)
    stored = StoredFill(
        plan.shape,
        {name: value.detach().cpu().numpy() for name, value in training.mean.items()},
        {
            "net": job.net,
            "steps": state.step,
            "seed": job.seed,
            "pictures": [file.name for file in shown],
            "held out": [file.name for file in held],
        },
    )
    save(job.out, stored)
    job.checkpoint.unlink(missing_ok=True)
    tests = [] if job.test is None else pictures(found(job.test), 104729, GRID, halved=False)
    return Made(
        state,
        True,
        plan.shape.parameters,
        len(read),
        _score(stored, judges),
        _score(None, judges),
        _score(stored, tests) if tests else None,
        _score(None, tests) if tests else None,
        base="structure",
    )


def _score(net: StoredFill | None, judged: Sequence[Damaged]) -> float:
    """Return the mean PSNR of holes, dB, of a net or (None) of the fill that it begins from."""
    found = []
    for one in judged:
        base = one.base.astype(np.float32)
        found.append(psnr(base if net is None else filled(net, base, one.hole), one.full, one.hole))
    return float(np.mean(found)) if found else float("nan")
