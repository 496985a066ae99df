"""GenerativeUpscale: one picture whatever is asked for, light and coverage kept, memory, refusals; tiny random nets."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.provenance import GRAINED, MOVED, SYNTHESISED, with_codes
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.resolution import generative
from safelight.nodes.resolution.diffusion import folder, memory, running
from safelight.nodes.resolution.diffusion import frame as frame_module
from safelight.nodes.resolution.diffusion.frame import CALM
from safelight.nodes.resolution.diffusion.tiles import Grid, mirrored
from safelight.nodes.resolution.generative import GenerativeUpscale, GenerativeUpscaleParams
from safelight.nodes.resolution.learned.coding import encode
from safelight.nodes.resolution.learned.sampling import reduced, spread
from safelight.nodes.resolution.upscale import Upscale, UpscaleParams
from tests.nodes.resolution.test_upscale import scene
from tests.stand_ins import cupy_like

WINDOW = Region(-7, 3, 24, 23)
NODE, PLAIN = GenerativeUpscale(), Upscale()
Folders = dict[str, Path]


def clip_of(image: Image, extent: Region | None = None) -> Clip:
    return Clip(1, 9, image.region, extent or image.region, channels=image.channels)


def asked(pipeline: Path, **others: Any) -> GenerativeUpscaleParams:
    return GenerativeUpscaleParams(pipeline=pipeline, **{"steps": 1, **others})


def made(
    image: Image, pipeline: Path, *, region: Region | None = None, threads: int = 1, frame: int = 1, **others: Any
) -> Image:
    params, clip = asked(pipeline, **others), clip_of(image)
    assert NODE.check(params, {"input": clip}, Settings()) == []
    request = Request(frame, region or NODE.extent(params, {"input": clip}).extent)
    [need] = NODE.needs(params, request)["input"]
    seen = image.crop(need.region.intersect(image.region))
    inputs = Inputs(request, {"input": {frame: seen}}, {"input": clip})
    return NODE.compute(params, request, inputs, Device("cpu", threads))


def faithful(image: Image) -> Image:
    params = UpscaleParams(scale=4)
    request = Request(1, PLAIN.extent(params, {"input": clip_of(image)}).extent)
    return PLAIN.compute(params, request, Inputs(request, {"input": {1: image}}, {}), Device("cpu", 1))


def same(a: Image, b: Image) -> None:
    np.testing.assert_array_equal(a.data.view(np.uint32), b.data.view(np.uint32))


# --- tiles -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("side", "shared"), [(16, 4), (16, 8), (8, 0), (24, 6), (128, 32)])
@pytest.mark.parametrize("data", [(0, 1), (-7, 40), (3, 200), (-500, -130), (11, 13)])
def test_the_shares_of_all_tiles_sum_to_one(side: int, shared: int, data: tuple[int, int]) -> None:
    grid, scale = Grid(side, shared), 4
    total = np.zeros((data[1] - data[0]) * scale)
    for k in grid.along(*data, data):
        window = grid.window(k, data, scale)
        assert window.min() >= 0 and np.abs(np.diff(window)).max() <= 4.0 / max(shared * scale, 1)
        first = grid.first(k) * scale
        low, high = max(first, data[0] * scale), min(first + side * scale, data[1] * scale)
        total[low - data[0] * scale : high - data[0] * scale] += window[low - first : high - first]
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_part_takes_the_tiles_that_reach_it() -> None:
    rng = np.random.default_rng(3)
    for _ in range(200):
        side = int(rng.integers(2, 20)) * 2
        grid = Grid(side, 2 * int(rng.integers(0, side // 4 + 1)))
        first = int(rng.integers(-60, 60))
        data = (first, first + int(rng.integers(1, 90)))
        low, high = sorted(int(v) for v in rng.integers(*data, 2))
        want = [
            k
            for k in range(-99, 99)
            if k * grid.step < data[1] and (k + 1) * grid.step > data[0]
            and grid.first(k) <= high and grid.first(k) + side > low
        ]  # fmt: skip
        assert list(grid.along(low, high + 1, data)) == want


def test_beyond_the_edges_lies_the_mirror() -> None:
    for size in (1, 2, 5, 40):
        want = np.pad(np.arange(7, 7 + size), 30, "symmetric")
        np.testing.assert_array_equal(mirrored(7 - 30, size + 60, (7, 7 + size)), want)


@pytest.mark.parametrize("kind", ["upscale", "latent"])
def test_a_region_is_the_whole_bit_for_bit(pipelines: Folders, kind: str) -> None:
    image = scene(WINDOW, ("R", "G", "B", "A"))
    image.data[3] = np.clip(image.data[3], 0, 1)
    image.data[1, 5:7, 9:12] = np.nan
    whole = made(image, pipelines[kind], prompt="a cat" if kind == "upscale" else "")
    assert whole.region == Region(-28, 12, 96, 92)
    for part in (Region(-28, 12, -27, 13), Region(5, 31, 66, 92), Region(40, 12, 96, 47)):
        other = made(image, pipelines[kind], prompt="a cat" if kind == "upscale" else "", region=part, threads=3)
        same(other, whole.crop(part))


def test_strips_do_not_show(pipelines: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    image = scene(WINDOW)
    whole = made(image, pipelines["latent"])
    monkeypatch.setattr(frame_module, "STRIP", 9)
    same(made(image, pipelines["latent"]), whole)


DOCUMENT = """
safelight = 1
[nodes.plate]
type = "Plate"
width = 37
height = 21
frames = 3
[nodes.large]
type = "GenerativeUpscale"
input = "plate"
pipeline = "PIPELINE"
steps = 1
"""


def document(pipeline: Path, more: str = "") -> Graph:
    text = DOCUMENT.replace("PIPELINE", pipeline.as_posix())
    return Graph.from_document(Document.parse(text + more, pipeline.parent))


def test_tiles_threads_and_order_do_not_show_in_a_render(pipelines: Folders) -> None:
    graph = document(pipelines["latent"])
    assert graph.check() == []
    frames = [graph.clips["plate"]["image"].first + n for n in (2, 0)]

    def pictures(order: list[int], **how: Any) -> dict[int, bytes]:
        return {frame: image.data.tobytes() for frame, image in pull(graph, "large", "", order, **how)}

    whole = pictures(frames, device=Device("cpu", 1))
    assert len(whole) == 2 and whole == pictures(frames[::-1], device=Device("cpu", 3), tile=100)


# --- noise -----------------------------------------------------------------------------------------------------------


def test_the_noise_belongs_to_the_place_in_the_plane(pipelines: Folders) -> None:
    """A wider picture changes nothing far from where it grew; the same picture elsewhere begins with other noise."""
    path, flat = pipelines["latent"], np.full((3, 12, 60), 0.2, np.float32)
    narrow, wide = (made(Image(flat[:, :, :w], Region.sized(w, 12, 5, 2)), path, fidelity=0.5) for w in (36, 60))
    # Tiles that the edge is mirrored into begin 16 pixels before it; what is brought back looks 22 further.
    same(narrow.crop(Region(20, 8, 32, 56)), wide.crop(Region(20, 8, 32, 56)))
    moved = made(Image(flat[:, :, :36], Region.sized(36, 12, 5 + 12, 2)), path, fidelity=0.5)
    assert np.abs(moved.data - narrow.data).max() > 1e-3


def test_seeds_over_frames(pipelines: Folders) -> None:
    image, path = scene(Region.sized(9, 7)), pipelines["latent"]
    first = made(image, path, frame=1)
    same(made(image, path, frame=2), first)
    same(made(image, path, frame=1, seed_over_time="moving"), made(image, path, frame=1, seed_over_time="moving"))
    for others in ({"seed": 2}, {"frame": 2, "seed_over_time": "moving"}):
        assert np.abs(made(image, path, **others).data - first.data).max() > 1e-4
    moving = made(image, path, frame=2, seed_over_time="moving")
    assert np.abs(made(image, path, frame=3, seed_over_time="moving").data - moving.data).max() > 1e-4


def test_parameters_reach_the_pipeline(pipelines: Folders) -> None:
    image, path = scene(Region.sized(9, 7)), pipelines["upscale"]
    plain = made(image, path)
    for others in ({"prompt": "a cat"}, {"noise_level": 300}, {"steps": 2}, {"tile": 8}, {"negative": "cat"}):
        assert np.abs(made(image, path, **others).data - plain.data).max() > 1e-5, others
    words = [made(image, path, prompt="a cat", guidance=g).data for g in (2, 9)]
    assert np.abs(words[0] - words[1]).max() > 1e-5
    same(made(image, path, guidance=3), plain)  # without words there is nothing to weigh


# --- light -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["upscale", "latent"])
def test_reducing_gives_back_what_the_picture_says(pipelines: Folders, kind: str) -> None:
    image = scene(WINDOW)
    out, plain = (encode(x.data) for x in (made(image, pipelines[kind]), faithful(image)))
    assert np.abs(reduced(out, 4) - reduced(plain, 4)).max() < 1e-3
    assert np.abs(out - plain).max() > 0.1  # and yet something was laid in


def test_without_fidelity_colour_stays_and_detail_is_the_nets(pipelines: Folders) -> None:
    import torch

    image = Image(np.full((3, 32, 32), 0.18, np.float32) * np.float32([[[1]], [[0.5]], [[2]]]), Region.sized(32, 32))
    out, plain = (encode(x.data) for x in (made(image, pipelines["upscale"], fidelity=0), faithful(image)))
    apart = reduced(out, 4) - reduced(plain, 4)
    taps = np.exp(-0.5 * (np.arange(-12, 13) / CALM) ** 2)
    assert np.abs(spread(apart, (taps / taps.sum())[None])).max() < 0.02 < 0.03 < np.abs(apart).max()
    loaded = running.load(folder.look(pipelines["upscale"]), "float32", torch.device("cpu"))
    alone = loaded.made(encode(image.data[:, :16, :16]), 1, running.Wish(steps=1))
    assert np.abs(alone.mean((1, 2)) - encode(image.data)[:, 0, 0]).max() > 0.1  # what it would be by itself


def test_light_over_white_and_under_black_survives(pipelines: Folders) -> None:
    image = scene(WINDOW)
    image.data[:, 8:12, 9:13] = np.float32([[[30]], [[3e5]], [[2]]])
    image.data[:, 2:5, 20:24] = -0.3
    out, plain = made(image, pipelines["latent"]).data, faithful(image).data
    assert np.isfinite(out).all()
    bright = encode(out) - encode(plain)
    assert np.abs(bright).max() < 1.3  # what a net may say, and its return; not the 5 that light is over white here
    lamp = (slice(None), slice(36, 44), slice(40, 48))
    means = np.log2(out[lamp].mean((1, 2)) / image.data[:, 9, 10])
    assert np.abs(means).max() < 0.5
    assert out[:, 10:18, 82:94].mean() < -0.2


def test_a_lone_y_is_enlarged_too(pipelines: Folders) -> None:
    image = scene(WINDOW, ("Y", "A"))
    image.data[1] = np.clip(image.data[1], 0, 1)
    out = made(image, pipelines["latent"])
    assert out.channels == ("Y", "A") and out.data.shape == (2, 80, 124)
    assert np.abs(reduced(encode(out.data[:1]), 4) - reduced(encode(faithful(image).data[:1]), 4)).max() < 1e-3


def test_coverage_and_data_are_never_invented(pipelines: Folders) -> None:
    image = scene(WINDOW, ("B", "A", "R", "sky", "G", "Z"))
    image.data[[1, 3]] = np.clip(image.data[[1, 3]], 0, 1)
    out, plain = made(image, pipelines["latent"]), faithful(image)
    for at in (1, 3, 5):
        np.testing.assert_array_equal(out.data[at], plain.data[at])
    colour = replace(image, data=image.data[[2, 4, 0]], channels=("R", "G", "B"))
    np.testing.assert_array_equal(out.data[[2, 4, 0]], made(colour, pipelines["latent"]).data)


def test_what_is_no_number_stays_and_does_not_spread(pipelines: Folders) -> None:
    image = scene(WINDOW)
    image.data[0, 6, 5], image.data[2, 6, 5] = np.inf, -np.inf
    image.data[:, 12:18, 20:29] = np.frombuffer(np.uint32(0x7FC01234).tobytes(), np.float32)
    out = made(image, pipelines["latent"]).data
    large = image.data.repeat(4, 1).repeat(4, 2)
    bad = ~np.isfinite(large)
    np.testing.assert_array_equal(~np.isfinite(out), bad)
    np.testing.assert_array_equal(out[bad].view(np.uint32), large[bad].view(np.uint32))
    assert np.abs(encode(out[~bad])).max() < 6


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (11, 1), (2, 35)])
def test_odd_sizes(pipelines: Folders, size: tuple[int, int]) -> None:
    image = scene(Region.sized(*size, -3, 50))
    out = made(image, pipelines["upscale"])
    assert out.region == Region.sized(4 * size[0], 4 * size[1], -12, 200) and np.isfinite(out.data).all()
    assert np.abs(reduced(encode(out.data), 4) - reduced(encode(faithful(image).data), 4)).max() < 1e-3


def test_halves_are_near(pipelines: Folders) -> None:
    image = scene(Region.sized(9, 7))
    wide = encode(made(image, pipelines["upscale"]).data)
    assert np.abs(encode(made(image, pipelines["upscale"], precision="bfloat16").data) - wide).max() < 0.1


def test_the_record_says_synthesised(pipelines: Folders) -> None:
    image = scene(WINDOW)
    image.data[:, 4, 4] = np.nan
    record = np.zeros((WINDOW.height, WINDOW.width), np.uint32)
    record[2:6] = GRAINED
    params, region = asked(pipelines["latent"]), Region(-28, 12, 96, 92)
    request = Request(1, region)
    inputs = Inputs(request, {"input": {1: with_codes(image, record)}}, {})
    out = {"image": Image(np.zeros((3, 80, 124), np.float32), region)}
    found = NODE.record(params, request, inputs, out, Device("cpu", 1))
    want = np.where(record > 0, SYNTHESISED | MOVED | GRAINED, SYNTHESISED | MOVED)
    want[4, 4] = MOVED | GRAINED
    np.testing.assert_array_equal(found, want.repeat(4, 0).repeat(4, 1))


# --- loading ---------------------------------------------------------------------------------------------------------


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


def test_pickles_only_when_allowed(pipelines: Folders) -> None:
    image = scene(Region.sized(9, 7))
    with pytest.raises(GraphError, match="is a pickle: such files can hold programs"):
        folder.look(pipelines["pickled"])
    same(made(image, pipelines["pickled"], pickled=True), made(image, pipelines["upscale"]))


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


def test_pixels_may_lie_on_a_gpu(pipelines: Folders, monkeypatch: pytest.MonkeyPatch) -> None:
    """They come here for the work and go back; where torch has no CUDA, so do the nets, and it is said once."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    image = scene(Region.sized(9, 7), ("R", "G", "B", "A"))
    whole, gpu = made(image, pipelines["latent"]), Device("cuda", 1)
    params, clip = asked(pipelines["latent"]), clip_of(image)
    request = Request(1, whole.region)
    inputs = Inputs(request, {"input": {1: gpu.upload(image)}}, {"input": clip})
    with pytest.warns(RuntimeWarning, match="this torch has no CUDA") as said:
        out = NODE.compute(params, request, inputs, gpu)
    assert len(said) == 1 and not isinstance(out.data, np.ndarray)
    same(gpu.download(out), whole)


def test_nothing_heavy_is_imported_before_it_is_needed() -> None:
    code = (
        "import sys, safelight.graph.registry as r; assert 'GenerativeUpscale' in r.default_registry();"
        "sys.exit(bool({'torch', 'diffusers', 'transformers', 'huggingface_hub'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_fingerprint_is_that_of_the_weights(pipelines: Folders, tmp_path: Path) -> None:
    params, settings = asked(pipelines["latent"]), Settings()
    first = NODE.fingerprint(params, None, settings)
    path = copied(pipelines["latent"], tmp_path)
    assert NODE.fingerprint(asked(path), None, settings) == first and NODE.fingerprint(params, 3, settings) == ""
    change(path / "unet" / WEIGHTS, "conv_out.bias", 0.25)
    assert NODE.fingerprint(asked(path), None, settings) != first


# --- memory ----------------------------------------------------------------------------------------------------------

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


# --- refusals --------------------------------------------------------------------------------------------------------

WEIGHTS = "diffusion_pytorch_model.safetensors"


def copied(path: Path, to: Path) -> Path:
    return Path(shutil.copytree(path, to / path.name))


def edit(file: Path, **changes: Any) -> None:
    held = json.loads(file.read_text())
    for name, value in changes.items():
        held.pop(name, None) if value is None else held.update({name: value})
    file.write_text(json.dumps(held))


def change(file: Path, name: str, value: float) -> None:
    from safetensors.torch import load_file, save_file

    held = load_file(str(file))
    held[name].reshape(-1)[0] = value
    save_file(held, str(file))


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


def test_numbers_that_are_none_in_large_tensors_are_refused_when_loaded(
    pipelines: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(pipelines["latent"], tmp_path)
    change(path / "unet" / WEIGHTS, "conv_in.weight", float("inf"))
    monkeypatch.setattr(folder, "SMALL", 99)
    with pytest.raises(GraphError, match=r"'conv_in\.weight' are not all numbers"):
        made(scene(Region.sized(9, 7)), path)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"tile": 13}, "tile = 13, and the pipeline takes multiples of 4"),
        ({"scale": 2}, "enlarges 4 times, and 2 times is asked for"),
        ({"memory": 0.1}, "tiles of 4 pixels take about 1.00 GB, and memory = 0.1 GB"),
        ({"memory": 1.01, "tile": 400}, r"tiles of 400 pixels take about \d+\.\d+ GB"),
    ],
)
def test_parameters_that_do_not_fit(pipelines: Folders, others: dict[str, Any], words: str) -> None:
    clip = {"input": clip_of(scene(WINDOW))}
    with pytest.raises(GraphError, match=words) as caught:
        NODE.check(asked(pipelines["upscale"], **others), clip, Settings())
    assert "tile =" in caught.value.remedy or "Use" in caught.value.remedy


def test_channels_and_words_that_do_not_fit(pipelines: Folders) -> None:
    clip = clip_of(scene(WINDOW, ("R", "G")))
    with pytest.raises(GraphError, match="channels R, G, and the pipeline takes R, G, B or a lone Y"):
        NODE.check(asked(pipelines["latent"]), {"input": clip}, Settings())
    found = NODE.check(asked(pipelines["latent"], prompt="a cat"), {"input": clip_of(scene(WINDOW))}, Settings())
    assert list(found) == ["prompt has no effect: this pipeline takes no words"]


def test_the_extra_is_named_where_it_is_missing(
    pipelines: Folders, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = copied(pipelines["upscale"], tmp_path)
    have = folder.importlib.util.find_spec
    monkeypatch.setattr(folder.importlib.util, "find_spec", lambda name: None if "former" in name else have(name))
    with pytest.raises(GraphError, match="need transformers, not installed here") as caught:
        folder.look(path)
    assert caught.value.remedy == "pip install 'safelight[diffusion]'"


def test_forensic_graphs_refuse(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="makes up, and the graph is forensic"):
        document(tmp_path / "none", "[graph]\nforensic = true\n").check()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="there is no such folder") as caught:
        document(tmp_path / "none").check()
    assert caught.value.file == tmp_path / "none"
