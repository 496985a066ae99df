"""The last part of training a net for super-resolution: judged by what `enlarge` gives, and by more than its error.

What a net alone makes is not what one sees: the way back to the data comes after it, and made edges ring that did not
before. So the loss is that of the picture brought back. Two more things count:

- **Flicker.** A picture that moves is sampled at other places in every frame. Each patch is enlarged twice, the second
  time from a reduction that begins some pixels further on; where the two differ, the result would flicker.
- **Ringing.** Photographs have noise and texture at every edge; drawings (`drawn`) are even beside theirs. There, what
  leaves the range of the true pixels around is ringing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from safelight.nodes.resolution.learned.binning import returned
from safelight.nodes.resolution.learned.coding import encode
from safelight.nodes.resolution.learned.nets import Shape, added, plain
from safelight.nodes.resolution.learned.sampling import reduced, returning, spread
from safelight.nodes.resolution.learned.training.patches import Patches

if TYPE_CHECKING:
    import torch

EDGE = 4
"""Input pixels cut off the sides of what is brought back: what lies beyond is unknown there. The way back reaches
further, and falls to a third from pixel to pixel."""


@dataclass(frozen=True)
class Finish:
    """What counts beside squared error, which has weight 1."""

    steady: float
    """Weight of the squared difference of two results from the same picture."""
    even: float
    """Weight of the square of what leaves the range of the true 3×3 pixels around, in drawings."""
    reduction: str = "bicubic"
    """One of `storing.REDUCTIONS`: what the results are brought back to."""


def finishing(
    weights: Mapping[str, Any], shape: Shape, patches: Patches, places: int, finish: Finish, device: str
) -> tuple[torch.Tensor, float]:
    """Return the loss of some `places` of pictures with phases, each enlarged twice, and the mean absolute error, both
    of coded values 0 to 1, brought back to their data.

    The loss is the mean squared error, more the two terms of `finish` by their weights.
    """
    import torch
    import torch.nn.functional as nn

    twice, cut = patches.twice(places), EDGE * shape.scale
    held = (twice.low, twice.full, twice.drawn)
    low, full, drawn = (torch.from_numpy(np.ascontiguousarray(one)).to(device) for one in held)
    made = _made(weights, low.contiguous(memory_format=torch.channels_last), shape, finish.reduction, device)
    made, full = made[..., cut:-cut, cut:-cut], full[..., cut:-cut, cut:-cut]
    error = made - full
    loss = error.square().mean()

    # The truth is the same in both: where their errors differ, they do.
    first, second = (twice.upright(half) for half in error.chunk(2))
    down, right = twice.shift
    apart = first[..., down:, right:] - second[..., : first.shape[-2] - down, : first.shape[-1] - right]
    loss = loss + finish.steady * apart.square().mean()

    inner = made[..., 1:-1, 1:-1]
    over = nn.relu(inner - nn.max_pool2d(full, 3, 1)) + nn.relu(-nn.max_pool2d(-full, 3, 1) - inner)
    loss = loss + finish.even * (over.square() * drawn[:, None, None, None]).mean()
    return loss, float(error.detach().abs().mean())


def _made(weights: Mapping[str, Any], x: torch.Tensor, shape: Shape, reduction: str, device: str) -> torch.Tensor:
    """Return patches enlarged and brought back: (N, planes, side, side) → without the net's halo on every side."""
    import torch

    scale, halo = shape.scale, shape.layers
    with torch.autocast("cuda", torch.bfloat16, enabled=device == "cuda"):
        more = added(weights, x, scale)
    return back(plain(x, scale, halo) + more.float(), x[..., halo:-halo, halo:-halo], scale, reduction)


def back(made: torch.Tensor, code: torch.Tensor, scale: int, reduction: str) -> torch.Tensor:
    """Return enlarged coded planes brought to their data, as `enlarge` does it: (…, scale H, scale W), (…, H, W)."""
    if reduction == "area":
        moved: torch.Tensor = encode(returned(made, code, scale))
        return moved
    near: torch.Tensor = made + spread(code - reduced(made, scale), returning("cubic", scale))
    return near
