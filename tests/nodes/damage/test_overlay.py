"""DefectOverlay on small pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage.overlay import COLOURS, DefectOverlay, DefectOverlayParams

WINDOW = Region.sized(40, 30, 2, -3)
RGB = ("R", "G", "B")


def plate(channels: tuple[str, ...] = RGB, seed: int = 1) -> Image:
    data = np.random.default_rng(seed).uniform(-0.1, 3, (len(channels), 30, 40)).astype(np.float32)
    return Image(data, WINDOW, channels)


def matte(value: float = 1.0) -> Image:
    data = np.zeros((1, 30, 40), np.float32)
    data[0, 10:14, 20:25] = value
    return Image(data, WINDOW, ("A",))


def run(image: Image, mask: Image, repaired: Image | None = None, part: Region = WINDOW, **params: Any) -> Image:
    node, made = DefectOverlay(), DefectOverlayParams(**params)
    request = Request(7, part)
    images = {"input": image, "matte": mask} | ({} if repaired is None else {"repaired": repaired})
    given = {}
    for port, requests in node.needs(made, request).items():
        if port in images:
            given[port] = {7: images[port].crop(requests[0].region.intersect(images[port].region))}
    return node.compute(made, request, Inputs(request, given, {}), Device("cpu", 1))


def test_damage_is_tinted_outlined_and_the_rest_is_the_picture() -> None:
    image = plate()
    out = run(image, matte(), mode="input", outline=2, tint=0.5).data
    red = np.float32(COLOURS["red"])[:, None, None]
    np.testing.assert_allclose(out[:, 10:14, 20:25], (image.data[:, 10:14, 20:25] + red) / 2, rtol=1e-6, atol=1e-6)
    marked = np.zeros((30, 40), bool)
    marked[7:17, 17:28] = True
    marked[9:15, 19:26] = False
    np.testing.assert_array_equal(out[:, marked], np.broadcast_to(red, out.shape)[:, marked])
    marked[10:14, 20:25] = True
    np.testing.assert_array_equal(out[:, ~marked], image.data[:, ~marked])


def test_luma_takes_the_colour_away() -> None:
    image = plate()
    out = run(image, matte(), mode="luma").data
    np.testing.assert_array_equal(out[0, 0], out[2, 0])
    np.testing.assert_allclose(out[0, 0], image.data[:, 0].mean(0), rtol=1e-6)


def test_difference_lies_around_grey() -> None:
    image = plate()
    repaired = image.with_data(image.data.copy())
    repaired.data[:, 11, 21] += 0.25
    out = run(image, matte(0), repaired, mode="difference", gain=2).data
    want = np.full_like(out, 0.18)
    want[:, 11, 21] = 0.18 - 0.5
    np.testing.assert_allclose(out, want, atol=1e-6)


def test_tint_follows_the_confidence_and_the_threshold_holds() -> None:
    image = plate()
    strong, weak = (run(image, matte(v), mode="input", outline=0, tint=1).data for v in (1.0, 0.6))
    np.testing.assert_array_equal(run(image, matte(0.49), mode="input").data, image.data)
    assert np.abs(weak - image.data).sum() < np.abs(strong - image.data).sum() * 0.61
    bad = matte(np.nan)
    np.testing.assert_array_equal(run(image, bad, mode="input").data, image.data)


@pytest.mark.parametrize("part", [Region(2, -3, 3, -2), Region(18, 3, 42, 9), Region(17, -3, 20, 27)])
def test_a_tile_equals_the_crop(part: Region) -> None:
    image, repaired = plate(("Z", "B", "G", "R")), plate(("Z", "B", "G", "R"), 2)
    for mode in ("luma", "input", "difference"):
        whole = run(image, matte(), repaired, mode=mode)
        np.testing.assert_array_equal(run(image, matte(), repaired, part, mode=mode).data, whole.crop(part).data)
        np.testing.assert_array_equal(whole.data[0], image.data[0])


def test_one_channel_and_what_is_not_finite() -> None:
    image = plate(("Y",))
    image.data[0, 3, 4], image.data[0, 11, 22] = np.nan, np.inf
    out = run(image, matte(), mode="luma", tint=1).data
    assert np.isnan(out[0, 3, 4]) and out[0, 11, 22] == 1
    good = np.isfinite(image.data)
    assert np.isfinite(out[good]).all()


@pytest.mark.parametrize(
    ("changes", "params", "words"),
    [
        ({"input": Clip(1, 5, WINDOW, WINDOW, channels=("A",))}, {}, "no R, G, B or Y"),
        ({"matte": Clip(1, 5, Region.sized(41, 30), WINDOW, channels=("A",))}, {}, "41x30"),
        ({}, {"mode": "difference"}, "needs the repaired plate"),
        ({"repaired": Clip(1, 5, WINDOW, WINDOW, channels=("Y",))}, {}, "the channels Y"),
    ],
)
def test_what_is_refused(changes: dict[str, Clip], params: dict[str, str], words: str) -> None:
    clips = {"input": Clip(1, 5, WINDOW, WINDOW), "matte": Clip(1, 5, WINDOW, WINDOW, channels=("A",)), **changes}
    with pytest.raises(GraphError, match=words):
        list(DefectOverlay().check(DefectOverlayParams(**params), clips, Settings()))
