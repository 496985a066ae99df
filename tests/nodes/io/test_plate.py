"""Plate: the truth that other tests lean on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device, choose_device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.graph.registry import Registry
from safelight.graph.render import pull
from safelight.nodes.io.plate import Plate, PlateParams, cut_frame
from safelight.nodes.io.plate_scene import GREY_STOPS, SPEEDS, chart, motion
from safelight.nodes.io.plate_text import GLYPHS, strokes
from safelight.nodes.kernels import cuda
from safelight.nodes.kernels.launch import isas
from tests.stand_ins import cupy_like


def frame(number: int, region: Region | None = None, **params: object) -> np.ndarray:
    made = PlateParams(**{"width": 480, "height": 270, "frames": 40, **params})  # type: ignore[arg-type]
    request = Request(number, region or Region.sized(made.width, made.height))
    image = Plate().compute(made, request, Inputs(request, {}, {}), Device("cpu", 2))
    assert image.region == request.region and image.channels == ("R", "G", "B")
    return image.data


def graph(text: str) -> Graph:
    registry = Registry()
    registry.add(Plate)
    return Graph.from_document(Document.parse(f"safelight = 1\n[nodes.plate]\ntype = 'Plate'\n{text}"), registry)


@pytest.mark.parametrize("number", [1001, 1020, 1021, 1040])
@pytest.mark.parametrize("size", [(480, 270), (64, 48)])
def test_values_are_those_of_a_scene(number: int, size: tuple[int, int]) -> None:
    pixels = frame(number, width=size[0], height=size[1])
    assert np.isfinite(pixels).all() and pixels.min() >= 0
    assert pixels.max() > 50
    assert pixels.min() < 0.001
    if size[0] > 64:
        assert np.quantile(pixels, 0.02) < 0.003
        high, low = pixels.max(axis=0), pixels.min(axis=0)
        assert ((high > 0.3) & (low < 0.01 * high)).mean() > 0.01  # saturated
        assert 0.1 < np.median(pixels) < 0.8


def test_same_parameters_same_bits_and_another_seed_another_texture() -> None:
    np.testing.assert_array_equal(frame(1007).view(np.int32), frame(1007).view(np.int32))
    assert (frame(1007) != frame(1007, seed=2)).any(axis=0).mean() > 0.5
    assert (frame(1007) != frame(1008)).any(axis=0).mean() > 0.5


def test_a_tile_equals_the_crop() -> None:
    region = Region(101, 33, 377, 260)
    np.testing.assert_array_equal(frame(1025, region), frame(1025)[:, 33:260, 101:377])


def test_tiles_threads_and_order_do_not_show_in_a_render() -> None:
    made = graph("width = 150\nheight = 90\nframes = 10")

    def pictures(**how: object) -> Iterator[bytes]:
        for _, image in pull(made, "plate", "", [1009, 1001], **how):  # type: ignore[arg-type]
            yield image.data.tobytes()

    whole = list(pictures(device=Device("cpu", 1)))
    assert whole == list(pictures(device=Device("cpu", 3), tile=17))


def test_the_cut_is_where_the_node_says() -> None:
    made = graph("width = 320\nheight = 180\nframes = 10\nfirst = 5")
    clip = made.clip("plate")
    cut = cut_frame(PlateParams(frames=10, first=5))
    assert cut == 10 == clip.metadata["safelight:cut"]
    assert list(clip.frames) == list(range(5, 15))
    changes = []
    before = None
    for number, image in pull(made, "plate"):
        assert image.metadata["safelight:cut"] == cut
        light = np.log2(image.data + 0.01)
        if before is not None:
            changes.append((float(np.abs(light - before).mean()), number))
        before = light
    changes.sort()
    assert changes[-1][1] == cut and changes[-1][0] > 3 * changes[-2][0]


@pytest.mark.parametrize("params", [{"frames": 7}, {"frames": 40, "cut": False}])
def test_no_cut_where_none_is_wanted(params: dict[str, object]) -> None:
    made = PlateParams(**params)  # type: ignore[arg-type]
    assert cut_frame(made) is None
    assert "safelight:cut" not in Plate().extent(made, {}).metadata


def test_chart_patches_are_flat_and_still() -> None:
    patches = chart(480, 270)
    assert len(patches) == 24
    for number in (1001, 1013, 1033):
        pixels = frame(number)
        for region, value in patches:
            part = pixels[:, region.y0 : region.y1, region.x0 : region.x1]
            assert part.size
            np.testing.assert_array_equal(part, np.broadcast_to(np.float32(value)[:, None, None], part.shape))
    np.testing.assert_allclose([v[0] for _, v in patches[:12]], 0.18 * 2.0 ** np.array(GREY_STOPS))
    assert chart(11, 300) == [] and chart(300, 17) == []


@pytest.mark.parametrize(("scene", "numbers"), [(0, (1001, 1004)), (1, (1021, 1024))])
def test_sub_pixel_motion_is_exact(scene: int, numbers: tuple[int, int]) -> None:
    """A layer moved by its speed, by Fourier interpolation, is the layer of the later frame: textures do not alias."""
    dx, dy = motion("garden", scene, 540, numbers[1] - numbers[0])
    assert dx % 1 > 0.05 and SPEEDS[scene]["garden"][0] != 0
    left, right = (frame(n, width=960, height=540).astype(np.float64) for n in numbers)
    box = (slice(None), slice(250, 346), slice(500, 628) if scene == 0 else slice(300, 428))
    a, b = np.log(left[box]), np.log(right[box])
    fy, fx = np.fft.fftfreq(96)[:, None], np.fft.fftfreq(128)[None, :]
    turn = np.exp(-2j * np.pi * (fx * dx + fy * dy))
    moved = np.fft.ifft2(np.fft.fft2(a) * turn).real
    # Away from the borders, where the window of one frame holds what the other does not.
    inner = (slice(None), slice(16, 80), slice(20, 108))
    error = (moved - b)[inner]
    assert error.std() < 0.03 * b[inner].std()
    assert (a - b)[inner].std() > 0.1 * b[inner].std()  # it did move


def test_text_can_be_read() -> None:
    """The frame number on the sign differs from frame to frame, in strokes of full contrast."""
    pixels = frame(1001, width=960, height=540)
    unit = 0.5
    x, y = 0.62 * 960 - 320 * unit, 0.13 * 540
    sign = pixels[:, round(y + 40 * unit) : round(y + 100 * unit), round(x + 60 * unit) : round(x + 560 * unit)]
    light = sign.mean(axis=0)
    assert light.max() > 0.8 and light.min() < 0.1
    share = (light > 0.7).mean()
    assert 0.05 < share < 0.4


@pytest.mark.skipif("scalar" not in isas(), reason="the stand-in runs the scalar build")
def test_on_a_device_it_is_the_same_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    monkeypatch.setattr(cuda, "run", cupy_like.run)
    cupy_like.LAUNCHED.clear()
    params = PlateParams(width=160, height=90, frames=10)
    request = Request(1003, Region(5, 6, 130, 90))
    made: Any = Plate().compute(params, request, Inputs(request, {}, {}), Device("cuda", 2))
    here = frame(1003, request.region, width=160, height=90, frames=10)
    assert cupy_like.LAUNCHED == ["plate"]
    np.testing.assert_array_equal(made.data.get(), here)


@pytest.mark.gpu
def test_a_gpu_draws_the_same_picture() -> None:
    if choose_device("auto").kind != "cuda":
        pytest.skip("needs a CUDA device")
    made = graph("width = 480\nheight = 270\nframes = 10")
    for number in (1003, 1008):
        (here,) = (image.data for _, image in pull(made, "plate", "", [number], device=Device("cpu")))
        (there,) = (image.data for _, image in pull(made, "plate", "", [number], device=Device("cuda")))
        np.testing.assert_allclose(there, here, rtol=1e-5, atol=1e-6)


def test_letters_stay_in_their_box_and_unknown_ones_are_refused() -> None:
    rows = strokes("".join(GLYPHS), 10, 20, 60, 4)
    assert rows.shape[0] == 5 and rows[:4].min() >= 10
    assert rows[[1, 3]].min() >= 20 and rows[[1, 3]].max() <= 80
    with pytest.raises(KeyError):
        strokes("é", 0, 0, 1, 1)


@pytest.mark.parametrize("number", [1900, 5777, 900_000])
def test_long_clips_keep_their_lamps_and_their_sign(number: int) -> None:
    pixels = frame(number, frames=1_000_000, cut=False)
    assert pixels.max() > 50 and np.isfinite(pixels).all()
    before = motion("sign", 0, 1080, number - 1001)
    after = motion("sign", 0, 1080, number - 1000)
    assert max(map(abs, before)) <= 240 and abs(after[0] - before[0]) == pytest.approx(1.37, abs=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 33), (40, 1)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    assert np.isfinite(frame(1001, width=size[0], height=size[1])).all()


@pytest.mark.parametrize("text", ["width = 0", "frames = 0", "seed = -1", "height = 40000", "witdh = 5"])
def test_wrong_parameters_are_refused(text: str) -> None:
    with pytest.raises(GraphError):
        graph(text)
