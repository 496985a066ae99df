"""Loading and running pipelines: nothing fetched, weights in pieces, a full GPU."""

from __future__ import annotations

import shutil
import socket
from pathlib import Path
from typing import Any

import pytest

from safelight.graph.errors import GraphError, RenderError
from safelight.graph.region import Region
from safelight.nodes.resolution import generative
from safelight.nodes.resolution.diffusion import folder, running
from tests.nodes.resolution.generating import (
    WEIGHTS,
    Folders,
    change,
    copied,
    edit,
    made,
    same,
)
from tests.nodes.resolution.test_upscale import scene


def test_nothing_is_fetched_and_no_filter_blackens(
    pipelines: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(pipelines["upscale"], tmp_path)
    edit(path / folder.INDEX, safety_checker=["stable_diffusion", "StableDiffusionSafetyChecker"])

    def refuse(*arguments: Any, **options: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    image = scene(Region.sized(9, 7))
    same(made(image, path), made(image, pipelines["upscale"]))


def test_weights_in_halves_and_in_pieces(pipelines: Folders, tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    image = scene(Region.sized(9, 7))
    whole = made(image, pipelines["latent"])
    pieces, halves = copied(pipelines["latent"], tmp_path), copied(pipelines["upscale"], tmp_path)
    net = UNet2DModel.from_pretrained(pieces / "unet", low_cpu_mem_usage=False)
    shutil.rmtree(pieces / "unet")
    net.save_pretrained(pieces / "unet", max_shard_size="40KB")
    assert len(list((pieces / "unet").glob("*.safetensors"))) > 1
    same(made(image, pieces), whole)
    next((pieces / "unet").glob("*-00002-of-*")).unlink()
    with pytest.raises(GraphError, match="one of several files of weights, and missing"):
        folder.look(pieces)
    for file in halves.rglob("*.safetensors"):
        file.rename(file.with_name(f"{file.stem}.fp16.safetensors"))
    same(made(image, halves), made(image, pipelines["upscale"]))


def test_numbers_that_are_none_in_large_tensors_are_refused_when_loaded(
    pipelines: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(pipelines["latent"], tmp_path)
    change(path / "unet" / WEIGHTS, "conv_in.weight", float("inf"))
    monkeypatch.setattr(folder, "SMALL", 99)
    with pytest.raises(GraphError, match=r"'conv_in\.weight' are not all numbers"):
        made(scene(Region.sized(9, 7)), path)


def test_a_full_gpu_is_an_error_that_names_the_tile(pipelines: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller tiles would be another picture: nothing goes on by itself."""
    import torch

    class Full:
        def made(self, *arguments: Any) -> Any:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(generative, "placed", lambda device: torch.device("cuda"))
    monkeypatch.setattr(running, "load", lambda *arguments: Full())
    for free, words in ((2 * 10**9, "set tile = 12 for every frame"), (1000, "Free it, or use --device cpu")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda free=free: (free, 10**10))
        with pytest.raises(RenderError, match=r"the GPU has no memory for tiles of 16 pixels") as caught:
            made(scene(Region.sized(9, 7)), pipelines["latent"], tile=16)
        assert words in caught.value.remedy
