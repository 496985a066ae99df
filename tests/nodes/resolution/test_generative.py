"""GenerativeUpscale: one picture whatever is asked for, light and coverage kept, memory, refusals; tiny random nets."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.provenance import GRAINED, MOVED, SYNTHESISED, with_codes
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.resolution.diffusion import folder, running
from safelight.nodes.resolution.diffusion import frame as frame_module
from safelight.nodes.resolution.diffusion.frame import CALM
from safelight.nodes.resolution.learned.coding import encode
from safelight.nodes.resolution.learned.sampling import reduced, spread
from safelight.nodes.resolution.upscale import Upscale, UpscaleParams
from tests.nodes.resolution.generating import (
    NODE,
    WEIGHTS,
    WINDOW,
    Folders,
    asked,
    change,
    clip_of,
    copied,
    made,
    same,
)
from tests.nodes.resolution.test_upscale import scene
from tests.stand_ins import cupy_like

PLAIN = Upscale()


def faithful(image: Image) -> Image:
    params = UpscaleParams(scale=4)
    request = Request(1, PLAIN.extent(params, {"input": clip_of(image)}).extent)
    return PLAIN.compute(params, request, Inputs(request, {"input": {1: image}}, {}), Device("cpu", 1))


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


# --- refusals --------------------------------------------------------------------------------------------------------


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


def test_forensic_graphs_refuse(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="makes up, and the graph is forensic"):
        document(tmp_path / "none", "[graph]\nforensic = true\n").check()


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="there is no such folder") as caught:
        document(tmp_path / "none").check()
    assert caught.value.file == tmp_path / "none"
