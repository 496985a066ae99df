"""Convert as a node: what it refuses, what it leaves alone, tiles, fingerprints."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.colour.convert import Convert, ConvertParams
from tests.colour.configs import CONFIG, tone_mapped_view, write_config, write_table

WINDOW = Region(-3, 2, 10, 9)
NODE = Convert()


def picture(channels: tuple[str, ...] = ("R", "G", "B", "A"), region: Region = WINDOW) -> Image:
    data = np.random.default_rng(5).normal(0.4, 2.0, (len(channels), region.height, region.width))
    return Image(data.astype(np.float32), region, channels, {"note": "kept", "chromaticities": (0.64, 0.33)})


def run(params: ConvertParams, image: Image, region: Region | None = None, settings: Settings | None = None) -> Image:
    request = Request(7, image.region if region is None else region)
    return NODE.compute(params, request, Inputs(request, {"input": {7: image}}, {}, settings), Device("cpu", 2))


def check(params: ConvertParams, channels: tuple[str, ...] = ("R", "G", "B"), settings: Settings | None = None) -> None:
    clip = Clip(1, 2, WINDOW, WINDOW, channels=channels)
    list(NODE.check(params, {"input": clip}, settings or Settings()))


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


@pytest.mark.parametrize(
    "channels",
    [("R", "G", "B"), ("R", "G", "B", "A"), ("A", "B", "G", "R"), ("Z", "R", "id", "G", "B"), ("r", "g", "b")],
)
def test_colour_is_converted_and_the_rest_keeps_its_bits(channels: tuple[str, ...]) -> None:
    image = picture(channels)
    before = image.data.copy()
    out = run(ConvertParams(target="ACEScct"), image)
    colour = [[name.upper() for name in channels].index(name) for name in "RGB"]
    want = config_for(Settings()).convert(image.data[colour], "ACEScg", "ACEScct", Device("cpu", 1))
    np.testing.assert_array_equal(out.data[colour], want)
    for plane, name in enumerate(channels):
        if name.upper() not in "RGB":
            np.testing.assert_array_equal(out.data[plane], image.data[plane])
    np.testing.assert_array_equal(image.data, before)
    assert out.channels == channels and out.metadata == {"note": "kept"} and out.region == image.region


def test_the_same_space_hands_on_the_picture() -> None:
    image = picture()
    assert run(ConvertParams(source="ACEScg", target="scene_linear"), image) is image
    assert run(ConvertParams(source="Raw", target="ACEScct"), image) is image


def test_there_and_back() -> None:
    image = picture()
    there = run(ConvertParams(target="Cineon"), image)
    back = run(ConvertParams(source="Cineon", target="scene_linear"), there)
    np.testing.assert_allclose(back.data, image.data, rtol=3e-6, atol=3e-7)


def test_a_tile_equals_the_crop() -> None:
    image = picture()
    params = ConvertParams(target=tone_mapped_view())
    whole = run(params, image)
    for tile in WINDOW.tiles(4):
        np.testing.assert_array_equal(run(params, image, tile).data, whole.crop(tile).data)
    assert run(params, image, Region(0, 5, 0, 5)).data.shape == (4, 0, 0)


@pytest.mark.parametrize("channels", [("Y",), ("Y", "A"), ("Z",), ("R", "G"), ("G",), (), ("R", "Y")])
def test_pictures_without_colour_are_refused(channels: tuple[str, ...]) -> None:
    with pytest.raises(GraphError, match="needs R, G and B"):
        check(ConvertParams(target="ACEScct"), channels)


@pytest.mark.parametrize(
    ("params", "where", "near"),
    [
        ({"target": "ACESct"}, "target", "'ACEScct'"),
        ({"source": "Cinoen", "target": "ACEScg"}, "source", "'Cineon'"),
        ({"target": "sRGB - Display/ACES"}, "target", ""),
    ],
)
def test_unknown_names_are_refused(params: dict[str, str], where: str, near: str) -> None:
    with pytest.raises(GraphError) as caught:
        check(ConvertParams(**params))
    assert str(caught.value).startswith(where) and near in str(caught.value)


def test_sound_ones_pass() -> None:
    check(ConvertParams(target="ACEScct"))
    check(ConvertParams(source="srgb_tx", target="Rec.2100-PQ - Display"), ("A", "B", "G", "R"))


def test_a_missing_table_is_found_before_rendering(tmp_path: Path) -> None:
    write_config(tmp_path)
    settings = Settings(tmp_path, {"colour": {"config": "show.ocio"}})
    with pytest.raises(GraphError, match=r"nowhere\.cube"):
        check(ConvertParams(target="lost"), settings=settings)


def test_the_fingerprint_follows_what_matters(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    settings = Settings(tmp_path, {"colour": {"config": "show.ocio"}})
    video, graded = ConvertParams(target="video"), ConvertParams(target="graded")
    before = NODE.fingerprint(video, None, settings), NODE.fingerprint(graded, None, settings)
    assert NODE.fingerprint(video, 3, settings) == ""
    os.utime(write_table(tmp_path / "luts/a/grade.spi1d", 5.0), ns=(1, 1))
    assert NODE.fingerprint(video, None, settings) == before[0]
    assert NODE.fingerprint(graded, None, settings) != before[1]
    path.write_text(CONFIG.replace("[2, 2, 2, 1]", "[3, 3, 3, 1]"))
    os.utime(path, ns=(1, 1))
    assert NODE.fingerprint(video, None, settings) != before[0]


def test_a_file_changed_while_rendering_does_not_mix_two_colours(tmp_path: Path) -> None:
    write_config(tmp_path)
    settings = Settings(tmp_path, {"colour": {"config": "show.ocio"}})
    params, image = ConvertParams(source="graded", target="aces"), picture()
    check(params, settings=settings)
    first = run(params, image, settings=settings)
    os.utime(write_table(tmp_path / "luts/a/grade.spi1d", 5.0), ns=(1, 1))
    np.testing.assert_array_equal(run(params, image, settings=settings).data, first.data)
