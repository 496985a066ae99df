"""How much memory a pipeline takes for a tile, told from its configuration alone.

What is counted, in values of the arithmetic's size:

- weights: every parameter of the U-Net and of the decoder (always 4 bytes each there). The text encoder runs once,
  on the processor, and is not counted.
- U-Net, for each picture of the batch (2 when a prompt guides): the skips, which are all alive at the turning point
  (one after the first layer, one for each block of each level, one for each halving); beside them the hungriest place:
  a block of the way up (its two inputs joined, that normalised, and five maps of its own), or a transformer
  (16 times its channels inside the gated layer and 2 around it).
- decoder: the block at each level (its input, normalised and activated, and its output), or the attention in its
  middle, whichever is more.
- attention: its table of scores twice, although most GPUs never write it down.
- beside that, `CONTEXT` for CUDA itself and the workspace of convolutions.

It errs upwards: live tensors of the real shapes, counted without computing, come to 35 to 90 % of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CONTEXT = 10**9
"""Bytes for CUDA's own context, cuDNN's and cuBLAS' workspaces."""
TOKENS = 77
"""Words that a text encoder hands on."""
_WIDTH = {"float16": 2, "bfloat16": 2}


@dataclass(frozen=True, eq=False)
class Sizes:
    """What is known of a pipeline's nets: their configurations and how many parameters they have."""

    unet: Mapping[str, Any]
    decoder: Mapping[str, Any]
    parameters: Mapping[str, int] = field(default_factory=dict)
    """By `unet` and `decoder`."""

    @property
    def scale(self) -> int:
        """Enlarged pixels for a pixel, on a side: the decoder doubles from level to level."""
        return 1 << (len(self.decoder["block_out_channels"]) - 1)

    @property
    def multiple(self) -> int:
        """What a tile's side must be a multiple of: the U-Net halves from level to level."""
        return max(1 << (len(self.unet["block_out_channels"]) - 1), self.scale, 2)

    @property
    def trained(self) -> int:
        """Side of the tiles that the U-Net was trained on."""
        size = self.unet.get("sample_size") or 64
        size = min(size) if isinstance(size, Sequence) else int(size)
        return max(size // self.multiple, 1) * self.multiple


def needed(sizes: Sizes, tile: int, *, precision: str = "float32", guided: bool = True) -> int:
    """Return the bytes of GPU memory that a pipeline takes while it works on a tile of that side, weights and all."""
    return CONTEXT + weights(sizes, precision) + working(sizes, tile, precision=precision, guided=guided)


def weights(sizes: Sizes, precision: str) -> int:
    """Return the bytes of the parameters."""
    return _WIDTH.get(precision, 4) * sizes.parameters.get("unet", 0) + 4 * sizes.parameters.get("decoder", 0)


def working(sizes: Sizes, tile: int, *, precision: str = "float32", guided: bool = True) -> int:
    """Return the bytes that come and go while a tile is made."""
    unet = unet_values(sizes.unet, tile) * (2 if guided else 1) * _WIDTH.get(precision, 4)
    return max(unet, 4 * decoder_values(sizes.decoder, tile))


def largest(sizes: Sizes, budget: int, *, precision: str = "float32", guided: bool = True, most: int = 0) -> int:
    """Return the side of the largest tile within a budget, at most `most` (0: what it was trained on); 0 if none is."""
    for tile in range((most or sizes.trained) // sizes.multiple * sizes.multiple, 0, -sizes.multiple):
        if needed(sizes, tile, precision=precision, guided=guided) <= budget:
            return tile
    return 0


def unet_values(config: Mapping[str, Any], tile: int) -> int:
    """Return how many values of one picture are alive in a U-Net, at most."""
    channels = [int(c) for c in config["block_out_channels"]]
    levels = len(channels)
    layers = _each(config.get("layers_per_block", 2), levels)
    down = [str(name) for name in config.get("down_block_types", ())]
    area = [max(tile >> level, 1) ** 2 for level in range(levels)]
    skips = channels[0] * area[0] + sum(layers[i] * channels[i] * area[i] for i in range(levels))
    skips += sum(channels[i] * area[i + 1] for i in range(levels - 1))
    most = 0
    for i, c in enumerate(channels):
        joined = channels[min(i + 1, levels - 1)] + c
        block = (2 * joined + 5 * c) * area[i]
        attends = (i < len(down) and "Attn" in down[i]) or i == levels - 1
        most = max(most, block, _attention(config, i, c, area[i]) if attends else 0)
    return skips + most


def _attention(config: Mapping[str, Any], level: int, channels: int, area: int) -> int:
    levels = len(config["block_out_channels"])
    crossed = bool(config.get("cross_attention_dim"))
    told = config.get("num_attention_heads") or config.get("attention_head_dim") or (8 if crossed else channels)
    told = _each(told, levels)[level]
    # What the conditional U-Net calls the heads' size is their number.
    heads = told if crossed else max(channels // told, 1)
    only = _each(config.get("only_cross_attention", False), levels)[level]
    seen = TOKENS if crossed and only else area
    return (18 if crossed else 5) * channels * area + 2 * heads * area * seen


def decoder_values(config: Mapping[str, Any], tile: int) -> int:
    """Return how many values are alive in a decoder, at most."""
    channels = [int(c) for c in config["block_out_channels"]]
    middle = tile**2
    most = 2 * middle**2 + 5 * channels[-1] * middle if config.get("mid_block_add_attention", True) else 0
    for level, c in enumerate(reversed(channels)):
        # The first block of a level still has the channels of the coarser one.
        wide = channels[min(len(channels) - level, len(channels) - 1)]
        most = max(most, (3 * wide + 2 * c) * (tile << level) ** 2)
    return most


def _each(value: Any, levels: int) -> list[int]:
    """Return one number for each level: configurations give one for all, or a list."""
    many = list(value) if isinstance(value, Sequence) else [value] * levels
    return [int(v) for v in (many + many[-1:] * levels)[:levels]]
