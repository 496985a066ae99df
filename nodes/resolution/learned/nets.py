"""The nets: plain stacks of 3×3 convolutions, as functions of their weights.

A net of c channels and n layers takes one plane (luma) or three (R, G, B), (N, planes, H, W), through n convolutions
with ReLU between, without padding, and shuffles the last one's planes, `scale`² for each, into pixels. What comes out
is what is *added* to the planes enlarged by Lanczos: nothing at all is an honest answer. Each convolution takes a pixel
off every side. The first one's kernels sum to 0: a brighter picture gets the same additions, highlights are treated as
mid-tones are, and half precision has contrasts to hold instead of light.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from safelight.nodes.resolution.learned.sampling import phases

if TYPE_CHECKING:
    import torch

Weights = Mapping[str, Any]
"""Tensors by name: `0.weight` (out, in, 3, 3), `0.bias` (out), `1.weight`, …"""


@dataclass(frozen=True)
class Shape:
    """What a net is, apart from its weights."""

    channels: int
    layers: int
    scale: int
    planes: int = 1
    """1: luma; 3: R, G, B at once."""

    @property
    def halo(self) -> int:
        """Input pixels that an output pixel depends on, on every side: one a layer, three for Lanczos."""
        return max(self.layers, 3)

    @property
    def parameters(self) -> int:
        """Count the weights."""
        return sum(9 * i * o + o for i, o in self.sizes)

    @property
    def sizes(self) -> list[tuple[int, int]]:
        """Planes in and out of each layer."""
        c = self.channels
        return [(self.planes, c), *[(c, c)] * (self.layers - 2), (c, self.planes * self.scale**2)]


def fresh(shape: Shape, seed: int) -> dict[str, torch.Tensor]:
    """Return weights to begin from: He's for ReLU, the last layer nearly nothing, so that training starts at Lanczos.

    Source: He et al., Delving Deep into Rectifiers, ICCV 2015.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for k, (i, o) in enumerate(shape.sizes):
        spread = (2 / (9 * i)) ** 0.5 * (0.1 if k == shape.layers - 1 else 1)
        weights[f"{k}.weight"] = torch.randn(o, i, 3, 3, generator=generator) * spread
        weights[f"{k}.bias"] = torch.zeros(o)
    centre(weights)
    return weights


def centre(weights: Weights) -> None:
    """Make the first layer's kernels sum to 0, in place."""
    first = weights["0.weight"]
    first -= first.mean((2, 3), keepdim=True)


def added(weights: Weights, x: torch.Tensor, scale: int) -> torch.Tensor:
    """Return what the net adds: (N, planes, H, W) → (N, planes, scale (H - 2 n), scale (W - 2 n)) for n layers.

    Each layer works in the precision of its weights.
    """
    import torch.nn.functional as nn

    count = len(weights) // 2
    for k in range(count):
        kernel = weights[f"{k}.weight"]
        x = nn.conv2d(x.to(kernel.dtype), kernel, weights[f"{k}.bias"])
        if k < count - 1:
            x = nn.relu_(x)
    return nn.pixel_shuffle(x, scale)


def plain(x: torch.Tensor, scale: int, trim: int) -> torch.Tensor:
    """Return (N, planes, H, W) enlarged by Lanczos, without `trim` pixels of the input on every side (at least 3)."""
    import torch
    import torch.nn.functional as nn

    taps = phases("lanczos", scale)
    grid = np.einsum("pi,qj->pqij", taps, taps).reshape(scale * scale, 1, taps.shape[1], taps.shape[1])
    planes = x.shape[1]
    kernel = torch.as_tensor(grid, dtype=torch.float32, device=x.device).repeat(planes, 1, 1, 1)
    cut = trim - taps.shape[1] // 2
    x = x[..., cut : x.shape[-2] - cut, cut : x.shape[-1] - cut]
    return nn.pixel_shuffle(nn.conv2d(x, kernel, groups=planes), scale)
