"""Deliver: ACES 2 against OpenColorIO's own transforms, PQ and HLG against the formulas, what is held and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PyOpenColorIO as OCIO
import pytest

from safelight.colour.claims import DISPLAY, HELD
from safelight.colour.config import config_for
from safelight.colour.display import display_of
from safelight.colour.primaries import from_xyz, to_xyz
from safelight.colour.processor import Processor
from safelight.colour.transfer import hlg_gamma, hlg_light, pq, pq_light
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import NOTES, Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.colour.deliver import Deliver, DeliverParams
from tests.colour.configs import write_config

NODE = Deliver()
CPU = Device("cpu", 2)
RGB = ("R", "G", "B")


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def scene(seed: int = 0, size: tuple[int, int] = (23, 17), negative: bool = True) -> np.ndarray:
    """Scene light over twelve stops, with colours out of every gamut."""
    rng = np.random.default_rng(seed)
    light = np.exp2(rng.uniform(-8, 5, size)) * np.exp2(rng.normal(0, 1, (3, *size)))
    if negative:
        light[0] -= 0.1 * light[1]
    return light.astype(np.float32)


def image_of(data: np.ndarray, channels: tuple[str, ...] = RGB) -> Image:
    metadata = {"note": "kept", "chromaticities": (0.64, 0.33)}
    return Image(data, Region(-2, 3, data.shape[2] - 2, data.shape[1] + 3), channels, metadata)


def run(image: Image, settings: Settings | None = None, **params) -> Image:
    chosen = DeliverParams(**params)
    request = Request(7, image.region)
    return NODE.compute(chosen, request, Inputs(request, {"input": {7: image}}, {}, settings or Settings()), CPU)


def check(channels: tuple[str, ...] = RGB, settings: Settings | None = None, metadata=None, **params) -> list[str]:
    window = Region.sized(4, 4)
    clip = Clip(1, 2, window, window, channels=channels, metadata=metadata or {})
    return list(NODE.check(DeliverParams(**params), {"input": clip}, settings or Settings()))


def in_xyz(data: np.ndarray) -> np.ndarray:
    """Scene light as CIE XYZ, 1.0 = 100 cd/m²."""
    config = config_for(Settings())
    return np.asarray(config.to_xyz(data, config.working, CPU), np.float64)


@pytest.mark.parametrize(
    ("peak", "limit", "name"),
    [(100, "rec709", "SDR-100nit-REC709"), (100, "p3d65", "SDR-100nit-P3-D65"), (500, "p3d65", "HDR-500nit-P3-D65"),
     (500, "rec2020", "HDR-500nit-REC2020"), (1000, "p3d65", "HDR-1000nit-P3-D65"),
     (1000, "rec2020", "HDR-1000nit-REC2020"), (2000, "p3d65", "HDR-2000nit-P3-D65"),
     (2000, "rec2020", "HDR-2000nit-REC2020"), (4000, "p3d65", "HDR-4000nit-P3-D65"),
     (4000, "rec2020", "HDR-4000nit-REC2020")],
)  # fmt: skip
def test_aces_2_equals_the_transforms_of_opencolorio(peak: int, limit: str, name: str) -> None:
    data = scene()
    got = run(image_of(data), rendering="aces2", peak=peak, limit=limit).data
    steps = [
        OCIO.ColorSpaceTransform(src="ACEScg", dst="ACES2065-1"),
        OCIO.BuiltinTransform(f"ACES-OUTPUT - ACES2065-1_to_CIE-XYZ-D65 - {name}_2.0"),
        OCIO.BuiltinTransform("DISPLAY - CIE-XYZ-D65_to_REC.2100-PQ"),
    ]
    theirs = Processor(config_for(Settings()).config.getProcessor(OCIO.GroupTransform(steps))).apply(data, CPU)
    want = np.clip(theirs, 0, pq(peak))  # P3 lies outside Rec.2020 by a hair of its red
    assert np.abs(got - want).max() < 2e-5 and want.std() > 0.1


@pytest.mark.parametrize("peak", [100, 600, 1000, 4000, 10000])
def test_aces_2_makes_a_picture_for_any_peak(peak: int) -> None:
    """A grey of 18 % hardly changes, highlights do; nothing is over the peak."""
    grey = np.full((3, 1, 1), 0.18, np.float32)
    bright = np.full((3, 1, 1), 2000.0, np.float32)
    kind = {"rendering": "aces2", "peak": peak}
    middle = pq_light(run(image_of(grey), **kind).data)
    assert middle.min() > 9 and middle.max() < 20
    assert 0.98 * peak < pq_light(run(image_of(bright), **kind).data).min() < 1.001 * peak
    signal = run(image_of(scene()), **kind).data
    assert signal.min() >= 0 and pq_light(signal).max() <= peak * 1.0001
    assert HELD not in run(image_of(scene()), **kind).metadata


@pytest.mark.parametrize("primaries", ["rec2020", "p3d65"])
@pytest.mark.parametrize("white", [100.0, 203.0])
def test_plain_pq_is_the_formula(primaries: str, white: float) -> None:
    data = scene(negative=False)
    signal = run(image_of(data), primaries=primaries, limit=primaries, peak=10000, white=white).data
    light = np.tensordot(from_xyz(primaries), in_xyz(data), 1) * white
    inside = (light > 0).all(axis=0) & (light < 10000).all(axis=0)
    assert inside.mean() > 0.5
    assert np.abs(signal - pq(light))[:, inside].max() < 5e-6


@pytest.mark.parametrize("peak", [400, 1000, 2000, 10000])
def test_plain_hlg_shown_on_its_display_gives_the_light_back(peak: int) -> None:
    data = scene(negative=False)
    out = run(image_of(data), encoding="hlg", limit="rec2020", peak=peak)
    light = np.tensordot(from_xyz("rec2020"), in_xyz(data), 1) * 100
    shown = hlg_light(out.data, peak)
    luminance = np.tensordot([0.2627, 0.6780, 0.0593], light / peak, 1)
    scene_light = light / peak * np.maximum(luminance, 1e-9) ** (1 / hlg_gamma(peak) - 1)
    inside = (light > 0).all(axis=0) & (scene_light < 0.7).all(axis=0)
    assert inside.mean() > 0.3
    assert np.abs(shown / np.maximum(light, 1e-9) - 1)[:, inside].max() < 2e-4
    assert out.data.max() <= 1


@pytest.mark.parametrize(
    ("encoding", "peak", "curve"),
    [("bt1886", 100, lambda v: v**2.4), ("gamma26", 100, lambda v: v**2.6), ("bt1886", 200, lambda v: v**2.4),
     ("srgb", 100, lambda v: np.where(v <= 0.04045, v / 12.92, ((v + 0.055) / 1.055) ** 2.4))],
)  # fmt: skip
def test_encodings_without_absolute_light(encoding: str, peak: int, curve) -> None:
    data = scene(negative=False)
    out = run(image_of(data), encoding=encoding, peak=peak)
    display = display_of(out.metadata)
    light = np.tensordot(from_xyz(display.primaries), in_xyz(data), 1) * 100
    inside = (light > 0).all(axis=0) & (light < peak).all(axis=0)
    assert inside.mean() > 0.2
    # OpenColorIO joins sRGB's two pieces where their slopes meet, a hair beside the standard's rounded numbers.
    rtol, atol = (1e-4, 1e-3) if encoding == "srgb" else (2e-5, 0)
    np.testing.assert_allclose(curve(np.float64(out.data))[:, inside] * peak, light[:, inside], rtol, atol)
    np.testing.assert_allclose(display.light(out.data)[:, inside], light[:, inside], rtol, atol)


@pytest.mark.parametrize(
    ("encoding", "limit"), [("pq", "p3d65"), ("pq", "rec709"), ("hlg", "p3d65"), ("pq", "rec2020")]
)
def test_what_a_display_cannot_show_is_held_with_its_hue(encoding: str, limit: str) -> None:
    data = scene(3) * 40
    out = run(image_of(data), encoding=encoding, limit=limit, peak=1000)
    light = display_of(out.metadata).light(out.data)
    shown = np.tensordot(from_xyz(limit) @ to_xyz("rec2020"), light, 1)
    assert out.data.min() >= 0 and shown.min() > -1.5 and light.max() <= 1000.01
    raw = np.tensordot(from_xyz(limit), in_xyz(data), 1) * 100
    inside = (raw >= 0).all(axis=0)
    too_bright = inside & (raw.max(axis=0) > 1010)
    weights = to_xyz(limit)[1][:, None, None]
    off, was = shown - (weights * shown).sum(axis=0), raw - (weights * raw).sum(axis=0)
    # the same hue: what sets a colour apart from its grey points the same way
    angle = (off * was).sum(axis=0) / np.sqrt((off**2).sum(axis=0) * (was**2).sum(axis=0))
    clear = too_bright & (np.sqrt((off**2).sum(axis=0)) > 20)
    assert clear.sum() > 10 and angle[clear].min() > 0.9999
    if encoding == "pq":
        wanted = (weights * np.minimum(raw, 1000)).sum(axis=0)
        np.testing.assert_allclose((weights * shown).sum(axis=0)[too_bright], wanted[too_bright], rtol=2e-3)
    held = out.metadata[HELD]
    if encoding == "pq":
        assert held["over"] == np.count_nonzero(raw.max(axis=0) > 1000) or limit != "rec2020"
        assert held["brightest"] == pytest.approx(raw.max(), rel=1e-5)
    outside = ~inside & (raw.min(axis=0) < -1e-3 * np.maximum(raw.max(axis=0), 100))
    assert held["outside"] == np.count_nonzero(outside)
    (note,) = out.metadata[NOTES]
    assert "frame 7" in note and str(held["over"]) in note and str(held["outside"]) in note


@pytest.mark.parametrize("encoding", ["pq", "hlg"])
def test_more_light_is_never_shown_as_less(encoding: str) -> None:
    """Colours of every hue, brighter from row to row up to far beyond the peak."""
    hues = np.random.default_rng(9).uniform(0.02, 1, (3, 1, 40))
    data = (hues * np.geomspace(0.5, 500, 60)[None, :, None]).astype(np.float32)
    out = run(image_of(data), encoding=encoding, limit="rec2020", peak=1000)
    luminance = np.tensordot(to_xyz("rec2020")[1], display_of(out.metadata).light(out.data), 1)
    assert (np.diff(luminance, axis=0) > -1e-3 * luminance[1:]).all()
    assert luminance[-1].max() > 990


def test_what_fits_is_not_touched_and_not_spoken_of() -> None:
    data = np.full((3, 4, 5), 0.5, np.float32)
    out = run(image_of(data))
    assert NOTES not in out.metadata and HELD not in out.metadata
    assert out.metadata["note"] == "kept" and "chromaticities" not in out.metadata
    assert display_of(out.metadata).as_data() == {
        "encoding": "pq", "primaries": "rec2020", "limit": "p3d65", "peak": 1000.0, "rendering": "plain",
        "white": 100.0,
    }  # fmt: skip


def test_light_without_luminance_is_black_and_nothing_spreads() -> None:
    data = scene(5)
    data[:, 0, 0] = -3
    data[1, 2, 2] = np.nan
    data[0, 3, 3], data[2, 4, 4] = np.inf, -np.inf
    out = run(image_of(data))
    clean = scene(5)
    bad = np.zeros(data.shape[1:], bool)
    bad[[2, 3, 4], [2, 3, 4]] = bad[0, 0] = True
    np.testing.assert_array_equal(out.data[:, ~bad], run(image_of(clean)).data[:, ~bad])
    assert (out.data[:, 0, 0] == 0).all() or out.data[:, 0, 0].max() < 1e-6
    for y in (2, 3, 4):
        np.testing.assert_array_equal(out.data[:, y, y], data[:, y, y])
    assert any("3 pixels are not finite" in note for note in out.metadata[NOTES])


@pytest.mark.parametrize("channels", [("R", "G", "B", "A"), ("A", "B", "G", "R"), ("Z", "R", "G", "B", "id")])
def test_other_channels_keep_their_bits(channels: tuple[str, ...]) -> None:
    bits = np.random.default_rng(4).integers(0, 2**31, (len(channels), 5, 3), dtype=np.uint32).view(np.float32)
    data = bits.copy()
    colour = scene(6, (5, 3))
    places = [channels.index(name) for name in RGB]
    data[places] = colour
    before = data.copy()
    out = run(image_of(data, channels))
    np.testing.assert_array_equal(out.data[places], run(image_of(colour)).data)
    for plane in set(range(len(channels))) - set(places):
        assert out.data[plane].tobytes() == data[plane].tobytes()
    assert data.tobytes() == before.tobytes()


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (9, 1)])
def test_odd_sizes(size: tuple[int, int]) -> None:
    assert run(image_of(scene(8, size))).data.shape == (3, *size)


@pytest.mark.parametrize(
    ("params", "where", "remedy"),
    [
        ({"encoding": "hlg", "primaries": "rec709"}, "primaries", "rec2020"),
        ({"encoding": "srgb", "peak": 4000}, "peak", "pq"),
        ({"encoding": "bt1886", "peak": 100, "limit": "p3d65"}, "limit", "rec709"),
        ({"primaries": "p3d65", "limit": "rec2020"}, "limit", "p3d65"),
        ({"rendering": "aces2", "white": 203.0}, "white", "plain"),
        ({"peak": 150, "white": 203.0}, "white", "peak"),
    ],
)
def test_what_does_not_go_together_is_refused(params: dict, where: str, remedy: str) -> None:
    with pytest.raises(GraphError) as caught:
        check(**params)
    assert str(caught.value).startswith(where) and remedy in caught.value.remedy


@pytest.mark.parametrize("peak", [99.0, 10001.0, float("nan")])
def test_peaks_out_of_range_are_refused(peak: float) -> None:
    with pytest.raises(ValueError, match="peak"):
        DeliverParams(peak=peak)


@pytest.mark.parametrize("channels", [("Y",), ("R", "G"), (), ("Z",)])
def test_pictures_without_colour_are_refused(channels: tuple[str, ...]) -> None:
    with pytest.raises(GraphError, match="R, G and B"):
        check(channels)


def test_a_picture_is_encoded_once() -> None:
    with pytest.raises(GraphError, match="already"):
        check(metadata={DISPLAY: DeliverParams().display().as_data()})


def test_a_config_without_the_role_is_refused(tmp_path: Path) -> None:
    path = write_config(tmp_path)
    path.write_text("".join(line for line in path.read_text().splitlines(True) if "aces_interchange" not in line))
    with pytest.raises(GraphError, match="aces_interchange"):
        check(settings=Settings(tmp_path, {"colour": {"config": "show.ocio"}}))


def test_the_clip_says_which_display() -> None:
    window = Region.sized(4, 4)
    clip = NODE.extent(DeliverParams(peak=600), {"input": Clip(1, 2, window, window)})
    assert display_of(clip.metadata).peak == 600


def test_unusual_hlg_is_said() -> None:
    assert "BT.2390" in check(encoding="hlg", peak=4000)[0] and check(encoding="hlg") == []
