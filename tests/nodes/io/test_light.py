"""The light of frames: against slow float64 on the files read back, borders, programme figures, HDR10+."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from safelight.colour.display import Display
from safelight.colour.transfer import hlg_light, pq, pq_light
from safelight.nodes.io.files.light import PERCENTILES, FrameLight, measure, summary
from safelight.nodes.io.files.light_out import hdr10plus

PQ = Display("pq", "rec2020", "p3d65", 1000.0)
DISPLAYS = {
    "pq": PQ,
    "hlg": Display("hlg", "rec2020", "rec2020", 1000.0),
    "bt1886": Display("bt1886", "rec709", "rec709", 100.0),
    "srgb": Display("srgb", "rec709", "rec709", 100.0),
}


def held(values: np.ndarray, kind: str) -> np.ndarray:
    """What a file of a type holds, in float64: the slow, obvious way."""
    out = np.empty(values.shape, np.float64)
    for index in np.ndindex(values.shape):
        value = float(values[index])
        value = 0.0 if math.isnan(value) else min(1.0, max(0.0, value))
        if kind in ("half", "float"):
            out[index] = float(np.float16(value)) if kind == "half" else value
        else:
            most = 2 ** int(kind[4:]) - 1
            out[index] = math.floor(np.float32(value) * np.float32(most) + np.float32(0.5)) / most
    return out


def slow(values: np.ndarray, kind: str, encoding: str) -> dict[str, object]:
    """All figures of a frame by sorting every pixel."""
    codes = held(values, kind)
    if encoding == "pq":
        light = pq_light(codes)
    elif encoding == "hlg":
        light = hlg_light(codes, 1000.0)
    elif encoding == "bt1886":
        light = 100 * codes**2.4
    else:
        light = 100 * np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
    pixels = sorted(light.max(axis=0).ravel())
    ranks = [max(1, math.ceil(len(pixels) * share / 100)) for share in PERCENTILES]
    return {
        "min": pixels[0],
        "max": pixels[-1],
        "mean": math.fsum(pixels) / len(pixels),
        "percentiles": [pixels[rank - 1] for rank in ranks],
        "max_rgb": light.reshape(3, -1).max(axis=1),
        "dim": sum(value <= 100 for value in pixels) / len(pixels),
    }


@pytest.mark.parametrize("encoding", list(DISPLAYS))
@pytest.mark.parametrize("kind", ["uint8", "uint10", "uint12", "uint16", "half", "float"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (19, 31), (64, 5)])
def test_the_figures_are_those_of_every_pixel(encoding: str, kind: str, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(len(kind) + size[1])
    values = rng.uniform(-0.2, 1.2, (3, *size)).astype(np.float32)
    if size[0] * size[1] > 20:
        values[0, 0, 0], values[1, 0, 1], values[:, 0, 2] = np.nan, np.inf, -1e30
        values[2, 0, 3], values[:, 0, 4] = 1e30, np.nan
    light = measure(values, kind, DISPLAYS[encoding])
    want = slow(values, kind, encoding)
    assert light.least == want["min"] and light.most == want["max"]
    assert light.mean == pytest.approx(want["mean"], rel=1e-13)
    assert list(light.percentiles) == want["percentiles"]
    np.testing.assert_array_equal(light.highest, want["max_rgb"])
    assert light.dim == want["dim"] and light.size == size[::-1]
    assert FrameLight.from_data(light.as_data()) == light


@pytest.mark.parametrize("kind", ["uint10", "half", "float"])
@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_black_borders(kind: str, encoding: str) -> None:
    values = np.zeros((3, 20, 30), np.float32)
    values[1, 3:16, 5:28] = 0.5
    assert measure(values, kind, DISPLAYS[encoding]).borders == (3, 4, 5, 2)
    values[2, 0, 0] = 0.3
    assert measure(values, kind, DISPLAYS[encoding]).borders == (0, 4, 0, 2)
    black = measure(np.zeros((3, 4, 6), np.float32), kind, DISPLAYS[encoding])
    assert black.borders == (4, 4, 6, 6) and black.most == black.mean == 0


def lit(rows: slice, columns: slice, light: float = 100.0) -> FrameLight:
    values = np.zeros((3, 40, 60), np.float32)
    values[:, rows, columns] = pq(light)
    return measure(values, "float", PQ)


def test_maxfall_counts_the_picture_inside_borders_that_all_frames_share() -> None:
    wide = [lit(slice(5, 35), slice(None)), lit(slice(5, 35), slice(10, 50), 50)]
    found = summary(wide)
    assert found.active == (0, 5, 60, 35) and found.max_fall == pytest.approx(100)
    # one frame that reaches out: no border
    whole = summary([*wide, lit(slice(0, 1), slice(None))])
    assert whole.active == (0, 0, 60, 40) and whole.max_fall == pytest.approx(75)
    tall = summary([lit(slice(None), slice(8, 51))])
    assert tall.active == (8, 0, 51, 40) and tall.max_fall == pytest.approx(100)
    # a title on black is no letterbox, nor is a picture that lies low
    assert summary([lit(slice(10, 20), slice(20, 40))]).active == (0, 0, 60, 40)
    assert summary([lit(slice(10, 40), slice(None))]).active == (0, 0, 60, 40)
    black = summary([lit(slice(0, 0), slice(0, 0))])
    assert (black.max_cll, black.max_fall) == (0, 0) and black.levels == (1, 1)
    assert summary([]) is None


def test_levels_are_whole_numbers_and_never_unknown() -> None:
    found = summary([lit(slice(None), slice(None), 250.0)])
    assert found.levels == (250, 250)
    assert replace(found, max_cll=1000.06, max_fall=0.2).levels == (1000, 1)
    assert replace(found, max_cll=1000.6, max_fall=400.0).levels == (1001, 400)
    assert replace(found, max_cll=0.0, max_fall=0.0).levels == (1, 1)


def test_hdr10plus() -> None:
    values = np.random.default_rng(2).uniform(0, 0.75, (3, 100, 100)).astype(np.float32)
    lights = [measure(values * (0.8 + 0.02 * index), "uint10", PQ) for index in range(6)]
    data = hdr10plus(range(1001, 1007), lights, [1001, 1003, 1006, 1050])
    assert data["JSONInfo"] == {"HDR10plusProfile": "A", "Version": "1.0"}
    assert data["SceneInfoSummary"] == {"SceneFirstFrameIndex": [0, 2, 5], "SceneFrameNumbers": [2, 3, 1]}
    scenes = data["SceneInfo"]
    assert [scene["SequenceFrameIndex"] for scene in scenes] == list(range(6))
    assert [scene["SceneId"] for scene in scenes] == [0, 0, 1, 1, 1, 2]
    assert [scene["SceneFrameIndex"] for scene in scenes] == [0, 1, 0, 1, 2, 0]
    for scene, light in zip(scenes, lights, strict=True):
        said = scene["LuminanceParameters"]
        assert said["AverageRGB"] == round(10 * light.mean)
        assert said["MaxScl"] == [round(10 * value) for value in light.highest]
        distribution = said["LuminanceDistributions"]
        assert distribution["DistributionIndex"] == [1, 5, 10, 25, 50, 75, 90, 95, 99]
        figures = distribution["DistributionValues"]
        assert figures[2] == round(100 * light.dim) and figures[4] == round(10 * light.percentiles[4])
        assert figures[8] <= figures[1] <= max(said["MaxScl"]) and figures[0] <= figures[3] <= figures[7]
