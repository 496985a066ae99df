"""Tiny diffusion pipelines with random weights, saved as a user would have downloaded them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def saved(root: Path) -> dict[str, Path]:
    """Return folders: `upscale`, `latent`, and `pickled`, the first with its weights as pickles."""
    import torch

    from safelight.nodes.resolution.diffusion.running import pass_torchvision

    pass_torchvision()
    torch.manual_seed(1)
    large, small = _upscale(root), _latent()
    large.save_pretrained(root / "upscale", safe_serialization=True)
    small.save_pretrained(root / "latent", safe_serialization=True)
    large.save_pretrained(root / "pickled", safe_serialization=True)
    for name in ("unet", "vae", "text_encoder"):
        [file] = (root / "pickled" / name).glob("*.safetensors")
        stem = "pytorch_model" if name == "text_encoder" else file.stem
        torch.save(getattr(large, name).state_dict(), file.with_name(f"{stem}.bin"))
        file.unlink()
    return {name: root / name for name in ("upscale", "latent", "pickled")}


def _upscale(root: Path) -> Any:
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        DDPMScheduler,
        StableDiffusionUpscalePipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer

    letters = "abcdefghijklmnopqrstuvwxyz"
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (root / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (root / "merges.txt").write_text("#version: 0.2\n")
    config = CLIPTextConfig(
        vocab_size=len(words), hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, pad_token_id=1,
    )  # fmt: skip
    return StableDiffusionUpscalePipeline(
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 16), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=4, norm_num_groups=4, scaling_factor=0.08333,
        ),
        text_encoder=CLIPTextModel(config),
        tokenizer=CLIPTokenizer(str(root / "vocab.json"), str(root / "merges.txt"), model_max_length=77),
        unet=UNet2DConditionModel(
            sample_size=16, in_channels=7, out_channels=4, down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"), block_out_channels=(8, 16), layers_per_block=1,
            norm_num_groups=4, cross_attention_dim=8, attention_head_dim=2, num_class_embeds=1000,
            only_cross_attention=(True, False),
        ),
        low_res_scheduler=DDPMScheduler(),
        scheduler=DDIMScheduler(prediction_type="v_prediction"),
    )  # fmt: skip


def _latent() -> Any:
    from diffusers import DDIMScheduler, LDMSuperResolutionPipeline, UNet2DModel, VQModel

    return LDMSuperResolutionPipeline(
        vqvae=VQModel(
            block_out_channels=(8, 8, 16), down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3, latent_channels=3, norm_num_groups=4, num_vq_embeddings=16,
        ),
        unet=UNet2DModel(
            sample_size=16, in_channels=6, out_channels=3, block_out_channels=(8, 16), layers_per_block=1,
            down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
            norm_num_groups=4, attention_head_dim=4,
        ),
        scheduler=DDIMScheduler(),
    )  # fmt: skip
