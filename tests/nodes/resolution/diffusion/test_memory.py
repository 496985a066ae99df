"""The memory that tiles are chosen by, against the real shapes."""

from __future__ import annotations

import weakref
from itertools import pairwise
from typing import Any

import pytest

from safelight.nodes.resolution.diffusion import memory
from tests.nodes.resolution.generating import Folders

# stabilityai/stable-diffusion-x4-upscaler, unet/config.json and vae/config.json as published, and their parameters.
UNET: dict[str, Any] = {
    "attention_head_dim": 8, "block_out_channels": [256, 512, 512, 1024], "cross_attention_dim": 1024,
    "down_block_types": ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
    "in_channels": 7, "layers_per_block": 2, "num_class_embeds": 1000,
    "only_cross_attention": [True, True, True, False], "out_channels": 4, "sample_size": 128,
    "up_block_types": ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
    "use_linear_projection": True,
}  # fmt: skip
VAE: dict[str, Any] = {
    "block_out_channels": [128, 256, 512], "down_block_types": ["DownEncoderBlock2D"] * 3, "latent_channels": 4,
    "layers_per_block": 2, "up_block_types": ["UpDecoderBlock2D"] * 3, "scaling_factor": 0.08333,
}  # fmt: skip
REAL = memory.Sizes(UNET, VAE, {"unet": 473_398_020, "decoder": 55_325_927})


def test_4k_takes_less_than_12_gb() -> None:
    """The size of the frame does not enter: tiles do, at what the pipeline was trained on, in float32 with a prompt."""
    assert REAL.scale == 4 and REAL.multiple == 8 and REAL.trained == 128
    assert memory.largest(REAL, 12 * 10**9) == 128
    assert 4e9 < memory.needed(REAL, 128) < 6e9
    assert memory.needed(REAL, 128, precision="float16", guided=False) < memory.needed(REAL, 128) - 9e8
    sides = [memory.largest(REAL, int(gb * 1e9)) for gb in (1, 3.2, 4, 5, 12)]
    assert sides[0] == 0 and all(0 < a < b for a, b in pairwise(sides[1:]))
    assert all(memory.needed(REAL, a) < memory.needed(REAL, a + 8) for a in range(16, 256, 8))


@pytest.mark.parametrize("tile", [64, 128])
def test_the_estimate_holds_what_the_real_shapes_take(pipelines: Folders, tile: int) -> None:
    """Live tensors of the published nets, counted on the device that computes nothing (attention without its table)."""
    import torch
    from diffusers import AutoencoderKL, UNet2DConditionModel

    with torch.device("meta"), torch.inference_mode():
        unet, vae = UNet2DConditionModel(**UNET), AutoencoderKL(**VAE)
        many = [sum(part.numel() for part in net.parameters()) for net in (unet, vae)]
        with live() as first:
            words, levels = torch.empty(2, 77, 1024), torch.zeros(2, dtype=torch.long)
            unet(torch.empty(2, 7, tile, tile), torch.zeros(()), encoder_hidden_states=words, class_labels=levels)
        with live() as second:
            vae.decode(torch.empty(1, 4, tile, tile))
    assert many == list(REAL.parameters.values())
    assert 0.6 < first.peak / (2 * 4 * memory.unet_values(UNET, tile)) < 1
    assert 0.3 < second.peak / (4 * memory.decoder_values(VAE, tile)) < 1


def live() -> Any:
    """Count bytes of tensors that are alive, at their most."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Live(TorchDispatchMode):
        def __init__(self) -> None:
            super().__init__()
            self.now = self.peak = 0
            self.known: set[int] = set()

        def gone(self, key: int, size: int) -> None:
            self.now -= size
            self.known.discard(key)

        def __torch_dispatch__(self, call: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = call(*args, **(kwargs or {}))
            for part in torch.utils._pytree.tree_leaves(out):
                if isinstance(part, torch.Tensor):
                    held = part.untyped_storage()
                    key, size = held._cdata, held.nbytes()
                    if key not in self.known:
                        self.known.add(key)
                        self.now += size
                        self.peak = max(self.peak, self.now)
                        weakref.finalize(held, self.gone, key, size)
            return out

    return Live()
