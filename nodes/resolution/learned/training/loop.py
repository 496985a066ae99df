"""Training, step by step: seeded, resumable, never leaving half a file."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.nets import Shape, added, centre, fresh, plain
from safelight.nodes.resolution.learned.sampling import mirrored
from safelight.nodes.resolution.learned.training.drawn import SHARE
from safelight.nodes.resolution.learned.training.finishing import Finish, back, finishing
from safelight.nodes.resolution.learned.training.muon import orthogonal
from safelight.nodes.resolution.learned.training.patches import Patches
from safelight.nodes.resolution.learned.training.pictures import Picture, psnr

if TYPE_CHECKING:
    import torch

KEEP = 0.998
"""Of the running mean of the weights that is kept at each step: what is shipped is that mean."""
WARM = 0.05
"""Share of the steps in which the rate rises; it falls by a half cosine in the others."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what comes out, apart from the pictures."""

    shape: Shape
    steps: int
    batch: int = 8
    side: int = 64
    """Input pixels of a patch's side, the halo counted."""
    rate: float = 2e-3
    """Highest learning rate."""
    muon: bool = False
    """Learn by momentum brought near to orthogonal (`muon`), instead of Adam."""
    squares: float = 0.3
    """Share of the steps, the last ones, that count squared errors, as PSNR does, instead of absolute ones, which lead
    faster to where those matter."""
    drawings: float = SHARE
    """Area of drawings beside an area of 1 of photographs."""
    finish: Finish | None = None
    """What else counts in those last steps; the pictures must have their `phases`."""
    seed: int = 0


@dataclass
class State:
    """Where a training stands."""

    step: int = 0
    seconds: float = 0.0
    """Spent so far, over all its runs."""
    losses: list[tuple[int, float]] = field(default_factory=list)
    """(step, mean absolute error since the one before)."""
    scores: list[tuple[int, float]] = field(default_factory=list)
    """(step, PSNR of the running mean on the held-out pictures, dB)."""


class Plan(Protocol):
    """What every recipe says."""

    @property
    def steps(self) -> int:
        """How many."""
        ...

    @property
    def rate(self) -> float:
        """Highest learning rate of Adam."""
        ...

    @property
    def squares(self) -> float:
        """Share of the steps, the last ones, that count squared errors."""
        ...


class Course(ABC):
    """A training of any net: the rate, the running mean of the weights, checkpoints.

    Parameters
    ----------
    recipe:
        What to do.
    weights:
        What to begin from.
    random:
        Draws what the steps see: its state is all of them that a resumed training needs.
    device:
        `cpu` or `cuda`.
    """

    def __init__(self, recipe: Plan, weights: Mapping[str, Any], random: np.random.Generator, device: str) -> None:
        import torch

        self.recipe, self.state, self._random, self._device = recipe, State(), random, device
        self.weights = {name: value.detach().clone().to(device).requires_grad_() for name, value in weights.items()}
        self.mean = {name: value.detach().clone() for name, value in self.weights.items()}
        adam = torch.optim.Adam(self.weights.values(), lr=recipe.rate, betas=(0.9, 0.99))
        self._optimiser: torch.optim.Optimizer = adam
        self._since: list[float] = []

    @abstractmethod
    def loss(self, squared: bool) -> tuple[torch.Tensor, float]:
        """Return the loss of a fresh batch, by squared errors or absolute ones, and the mean absolute error."""

    @abstractmethod
    def score(self) -> float | None:
        """Return the PSNR of the running mean of the weights on pictures held out, dB; None without any."""

    @abstractmethod
    def hold(self) -> None:
        """Bring the weights back to what they must be, after a step."""

    def rate(self, progress: float) -> float:
        """Return the learning rate when that much (0 to 1) is done."""
        if progress < WARM:
            return self.recipe.rate * progress / WARM
        return self.recipe.rate * 0.5 * (1 + math.cos(math.pi * (progress - WARM) / (1 - WARM)))

    def run(
        self,
        *,
        minutes: float | None = None,
        checkpoint: Path | None = None,
        every: int = 250,
        tell: Callable[[State], None] = lambda state: None,
    ) -> State:
        """Train to the end, or as far as `minutes` reach: then the rate falls with the clock instead of the steps.

        Every `every` steps the held-out pictures are scored, the checkpoint written and `tell` called.
        """
        state, recipe = self.state, self.recipe
        began = time.monotonic() - state.seconds
        while state.step < recipe.steps:
            progress = state.step / recipe.steps
            if minutes is not None:
                progress = max(progress, (time.monotonic() - began) / (60 * minutes))
                if progress >= 1:
                    break
            self._step(self.rate(progress), progress >= 1 - recipe.squares)
            state.step += 1
            state.seconds = time.monotonic() - began
            if state.step % every == 0 or state.step == recipe.steps:
                self._look(checkpoint, tell)
        if self._since:
            self._look(checkpoint, tell)
        return state

    def _step(self, rate: float, squared: bool) -> None:
        import torch

        loss, error = self.loss(squared)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        with torch.no_grad():
            self.hold()
            keep = min(KEEP, (1 + self.state.step) / (10 + self.state.step))
            for name, value in self.weights.items():
                self.mean[name].lerp_(value, 1 - keep)
        self._since.append(error)

    def _look(self, checkpoint: Path | None, tell: Callable[[State], None]) -> None:
        state = self.state
        state.losses.append((state.step, float(np.mean(self._since))))
        self._since.clear()
        score = self.score()
        if score is not None:
            state.scores.append((state.step, score))
        if checkpoint is not None:
            self.save(checkpoint)
        tell(state)

    def save(self, path: Path) -> None:
        """Write everything that `load` needs to go on, by a file beside it that takes its place at the end."""
        import torch

        beside = path.with_name(f".{path.name}.part")
        held = {
            "recipe": repr(self.recipe),
            "state": vars(self.state),
            "weights": {name: value.detach().cpu() for name, value in self.weights.items()},
            "mean": {name: value.cpu() for name, value in self.mean.items()},
            "optimiser": self._optimiser.state_dict(),
            "random": repr(self._random.bit_generator.state),
        }
        torch.save(held, beside)
        beside.replace(path)

    def load(self, path: Path) -> None:
        """Go on from a checkpoint of the same recipe."""
        import ast

        import torch

        try:
            held = torch.load(path, map_location="cpu", weights_only=True)
            if held["recipe"] != repr(self.recipe):
                raise GraphError(
                    "is the checkpoint of another recipe", file=path, remedy="Remove it, or train what it was made for."
                )
        except GraphError:
            raise
        except Exception as error:
            raise GraphError(
                f"is no whole checkpoint ({type(error).__name__})", file=path, remedy="Remove it to begin again."
            ) from None
        self.state = State(**held["state"])
        with torch.no_grad():
            for name, value in self.weights.items():
                value.copy_(held["weights"][name])
                self.mean[name].copy_(held["mean"][name])
        self._optimiser.load_state_dict(held["optimiser"])
        self._random.bit_generator.state = ast.literal_eval(held["random"])


class Training(Course):
    """One net for super-resolution in training.

    Parameters
    ----------
    recipe:
        What to do.
    pictures:
        (scene-linear, picture) as `patches.pairs` reads them.
    held:
        Pictures that are only looked at.
    patches:
        How they are drawn.
    device:
        `cpu` or `cuda`.
    start:
        Weights to go on from, else fresh ones.
    """

    def __init__(
        self,
        recipe: Recipe,
        pictures: Sequence[tuple[bool, Picture]],
        held: Sequence[Picture],
        *,
        patches: type[Patches] = Patches,
        device: str = "cpu",
        start: dict[str, Any] | None = None,
    ) -> None:
        self._shape, self._batch, self._finish, self._held = recipe.shape, recipe.batch, recipe.finish, list(held)
        self._patches = patches(pictures, recipe.shape.scale, recipe.side, recipe.shape.halo, recipe.seed)
        super().__init__(recipe, start or fresh(recipe.shape, recipe.seed), self._patches.random, device)
        if recipe.muon:
            self._optimiser = orthogonal(self.weights.values(), recipe.rate)

    def loss(self, squared: bool) -> tuple[torch.Tensor, float]:
        """Return the error of a batch enlarged."""
        import torch

        shape, finish = self._shape, self._finish
        if squared and finish is not None:
            return finishing(self.weights, shape, self._patches, (self._batch + 1) // 2, finish, self._device)
        low, full = (torch.from_numpy(np.ascontiguousarray(a)) for a in self._patches.batch(self._batch))
        x = low.to(self._device, memory_format=torch.channels_last)
        base = plain(x, shape.scale, shape.layers)
        with torch.autocast("cuda", torch.bfloat16, enabled=self._device == "cuda"):
            more = added(self.weights, x, shape.scale)
        error = base + more.float() - full.to(self._device)
        loss = error.square().mean() if squared else error.abs().mean()
        return loss, float(error.detach().abs().mean())

    def score(self) -> float | None:
        """Return the PSNR on the held-out pictures."""
        scale, way = self._shape.scale, None if self._finish is None else self._finish.reduction
        got = [psnr(enlarge(self.mean, p.low, scale, way), p.full, 2 * scale) for p in self._held]
        return float(np.mean(got)) if got else None

    def hold(self) -> None:
        """Keep the first kernels' sums at 0."""
        centre(self.weights)


def enlarge(weights: Mapping[str, Any], low: Any, scale: int, reduction: str | None = None) -> Any:
    """Return coded luma (H, W), or R, G, B (3, H, W), enlarged by a net, whole; edges go on as their mirror.

    With a `reduction` (one of `storing.REDUCTIONS`) it is brought back to its data."""
    import torch

    layers = len(weights) // 2
    trim = max(layers, 3)
    wide = mirrored(mirrored(np.asarray(low, np.float32), trim, trim, -2), trim, trim, -1)
    device = next(iter(weights.values())).device
    with torch.no_grad():
        x = _batch(wide).to(device)
        large = plain(x, scale, trim) + added(weights, x, scale)
        if reduction is not None:
            large = back(large, x[..., trim:-trim, trim:-trim], scale, reduction)
        made = large[0].cpu().numpy()
    return made if np.ndim(low) == 3 else made[0]


def _batch(planes: Any) -> Any:
    """Return (H, W) or (planes, H, W) as torch has it, (1, planes, H, W)."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(planes, np.float32).reshape(1, -1, *np.shape(planes)[-2:]))


def entering(weights: Mapping[str, Any], planes: Sequence[Any]) -> list[float]:
    """Return the largest value that enters each layer over some coded pictures, as `enlarge` takes."""
    import torch
    import torch.nn.functional as nn

    layers = len(weights) // 2
    most = [0.0] * layers
    device = next(iter(weights.values())).device
    with torch.no_grad():
        for plane in planes:
            x = _batch(plane).to(device)
            for k in range(layers):
                most[k] = max(most[k], float(x.abs().max()))
                x = nn.conv2d(x, weights[f"{k}.weight"], weights[f"{k}.bias"])
                if k < layers - 1:
                    x = nn.relu_(x)
    return most
