"""Pipelines looked at before they are used: every fault is one clear error."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.graph.errors import GraphError
from safelight.graph.node import Settings
from safelight.graph.region import Region
from safelight.nodes.resolution.diffusion import folder
from tests.nodes.resolution.generating import (
    NODE,
    WEIGHTS,
    Folders,
    asked,
    change,
    clip_of,
    copied,
    edit,
    made,
    same,
)
from tests.nodes.resolution.test_upscale import scene


def _file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("x")


def _cut(path: Path) -> None:
    file = path / "vae" / WEIGHTS
    file.write_bytes(file.read_bytes()[:-9])


def _renamed_pickle(path: Path) -> None:
    import torch

    torch.save({}, path / "unet" / WEIGHTS)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "gone": (shutil.rmtree, "there is no such folder"),
    "a file": (_file, "is a file, and a pipeline is a folder"),
    "no index": (lambda path: (path / folder.INDEX).unlink(), "has no model_index.json"),
    "no JSON": (lambda path: (path / folder.INDEX).write_text("{"), "cannot be read as JSON"),
    "no table": (lambda path: (path / folder.INDEX).write_text("[]"), "holds no table"),
    "unknown kind": (lambda p: edit(p / folder.INDEX, _class_name="StableDiffusionPipeline"), "of the kind Stable"),
    "own pipeline": (lambda p: edit(p / folder.INDEX, _class_name=["mine", "Mine"]), "code of its own"),
    "own part": (lambda p: edit(p / folder.INDEX, unet=["mine", "UNet"]), "its unet, mine.UNet, comes with code"),
    "own code": (lambda p: edit(p / "text_encoder/config.json", auto_map={"a": "b"}), "its text_encoder comes with"),
    "other part": (lambda p: edit(p / folder.INDEX, vae=["diffusers", "VQModel"]), "its vae is a VQModel"),
    "no part": (lambda p: edit(p / folder.INDEX, scheduler=None), "names no scheduler"),
    "no folder": (lambda p: shutil.rmtree(p / "tokenizer"), "its tokenizer is missing"),
    "no config": (lambda p: (p / "unet/config.json").unlink(), "is missing"),
    "half a config": (lambda p: edit(p / "unet/config.json", in_channels=None), "configuration is not whole"),
    "words for numbers": (lambda p: edit(p / "vae/config.json", block_out_channels=["a", 8, 16]), "is not whole"),
    "no weights": (lambda p: (p / "unet" / WEIGHTS).unlink(), "holds no weights"),
    "cut off": (_cut, "is no whole safetensors file"),
    "a pickle renamed": (_renamed_pickle, "is a pickle with the name of a safetensors file"),
    "other weights": (lambda p: shutil.copy(p / "vae" / WEIGHTS, p / "unet"), "first layer|hold"),
    "channels": (lambda p: edit(p / "unet/config.json", in_channels=9), "takes 9 channels and gives 4"),
    "noise": (lambda p: edit(p / folder.INDEX, max_noise_level=10), "noise_level = 20, and the pipeline knows"),
    "scale": (
        lambda p: edit(p / "vae/config.json", block_out_channels=[8, 8, 8, 16]),
        "enlarges 8 times, and 4 times is asked for",
    ),
    "no number": (lambda p: change(p / "unet" / WEIGHTS, "conv_out.bias", float("nan")), "'conv_out.bias' are not all"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_pipelines_are_refused_before_anything_renders(pipelines: Folders, tmp_path: Path, what: str) -> None:
    path = copied(pipelines["upscale"], tmp_path)
    spoil, words = BAD[what]
    spoil(path)
    with pytest.raises(GraphError, match=words) as caught:
        clip = clip_of(scene(Region.sized(9, 7)))
        if what == "other weights":
            # Its layers fit by chance: the count of values says it when it is loaded.
            made(scene(Region.sized(9, 7)), path)
        NODE.check(asked(path), {"input": clip}, Settings())
    assert caught.value.file is not None and path in (caught.value.file, *caught.value.file.parents)
    assert caught.value.remedy


def test_pickles_only_when_allowed(pipelines: Folders) -> None:
    image = scene(Region.sized(9, 7))
    with pytest.raises(GraphError, match="is a pickle: such files can hold programs"):
        folder.look(pipelines["pickled"])
    same(made(image, pipelines["pickled"], pickled=True), made(image, pipelines["upscale"]))


def test_the_extra_is_named_where_it_is_missing(
    pipelines: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(pipelines["upscale"], tmp_path)
    have = folder.importlib.util.find_spec
    monkeypatch.setattr(folder.importlib.util, "find_spec", lambda name: None if "former" in name else have(name))
    with pytest.raises(GraphError, match="need transformers, not installed here") as caught:
        folder.look(path)
    assert caught.value.remedy == "pip install 'safelight[diffusion]'"
