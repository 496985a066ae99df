"""HDRLift as a node: the way back, peaks, hues, bands, clipped areas, and what it refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from colour import contrast
from safelight.colour.config import config_for
from safelight.colour.difference import delta_e_itp
from safelight.colour.ictcp import ictcp
from safelight.colour.transfer import pq
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._barten import least_step, sensitivity
from safelight.nodes.colour.hdr_lift import HDRLift
from safelight.nodes.colour.lift_knowledge import LIFTED
from safelight.nodes.colour.lift_params import HDRLiftParams
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.io.read import Read, ReadParams
from tests.colour.configs import write_config

NODE = HDRLift()
DEVICE = Device("cpu", 2)


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OCIO", raising=False)


def origin(kind: str = "uint8", space: str = "srgb_tx", channels: str = "RGB") -> dict[str, Any]:
    types = dict.fromkeys(channels, kind)
    return {ORIGIN: {"path": "plate.png", "types": types, "colourspace": space, "log": False}}


def sdr(codes: np.ndarray) -> tuple[Image, Clip]:
    """Make of 8-bit sRGB codes (3, H, W) what Read makes of such a file."""
    config = config_for(Settings())
    pixels = config.convert(np.asarray(codes, np.float32) / np.float32(255), "srgb_tx", config.working, DEVICE)
    region = Region.sized(codes.shape[2], codes.shape[1])
    return Image(pixels, region, ("R", "G", "B"), origin()), Clip(1, 1, region, region, metadata=origin())


def run(image: Image, clip: Clip, analysis: dict[str, Any] | None = None, **params: Any) -> Image:
    request = Request(1, image.region)
    inputs = Inputs(request, {"input": {1: image}}, {"input": clip}, analysis=analysis)
    made = NODE.compute(HDRLiftParams(**params), request, inputs, DEVICE)
    assert isinstance(made, Image)
    return made


def light(image: Image, white: float = 100.0) -> np.ndarray:
    config = config_for(Settings())
    return white * np.asarray(config.to_xyz(np.ascontiguousarray(image.data[:3]), config.working, DEVICE), np.float64)


def colours(seed: int = 1) -> np.ndarray:
    """Return 8-bit colours of all kinds, patch by patch, some clipped."""
    rng = np.random.default_rng(seed)
    patches = rng.integers(0, 256, (3, 12, 16))
    patches[:, :2] = 255
    patches[0, 2:4] = 255
    return np.kron(patches, np.ones((1, 9, 9)))


def ramp(start: float, end: float, down: float = 0.0) -> np.ndarray:
    y, x = np.mgrid[:360, :1200]
    return np.repeat((start + (end - start) * x / 1200 + down * y / 360)[None], 3, axis=0)


@pytest.mark.parametrize("peak", [100, 250, 1000, 4000, 10000])
@pytest.mark.parametrize("deband", ["auto", "off"])
def test_there_and_back(peak: float, deband: str) -> None:
    image, clip = sdr(colours())
    lifted = run(image, clip, peak=peak)
    back = run(lifted, clip, peak=peak, direction="back", deband=deband)
    error = delta_e_itp(light(image), light(back))
    assert error.mean() < 0.1 and np.percentile(error, 99) < 0.6 and np.isfinite(lifted.data).all()
    assert LIFTED in lifted.metadata and LIFTED not in back.metadata


def test_light_under_100_is_the_same_for_every_peak() -> None:
    image, clip = sdr(colours())
    one, other = (light(run(image, clip, peak=peak)) for peak in (1000, 10000))
    dark = one[1] < 100
    assert 0.2 < dark.mean() < 0.9
    assert delta_e_itp(one, other)[dark].max() < 0.5
    assert other[1].max() > 1.5 * one[1].max()


@pytest.mark.parametrize("saturation", [0.5, 1.0, 1.5])
def test_hues_stay(saturation: float) -> None:
    image, clip = sdr(colours(2))
    lifted = run(image, clip, peak=4000, saturation=saturation, deband="off")
    before, after = ictcp(light(image, 203)), ictcp(light(lifted))
    chroma = np.hypot(*before[1:])
    turn = np.degrees(
        np.arctan2(before[1] * after[2] - before[2] * after[1], before[1] * after[1] + before[2] * after[2])
    )
    bright = (light(image, 203)[1] > 120) & (chroma > 0.01)
    assert bright.sum() > 1000 and np.abs(turn[bright]).max() < 0.05
    more = np.hypot(*after[1:])[bright] / chroma[bright]
    assert (more >= 1 - 1e-3).all() if saturation >= 1 else (more <= 1 + 1e-3).all()


def test_barten_as_published() -> None:
    for level in (0.5, 20.0, 1000.0):
        pupil = contrast.pupil_diameter_Barten1999(level, 60)
        published = [
            contrast.contrast_sensitivity_function_Barten1999(
                u,
                sigma=contrast.sigma_Barten1999(0.5 / 60, 0.08 / 60, pupil),
                E=contrast.retinal_illuminance_Barten1999(level, pupil),
            )
            for u in (0.5, 2, 4, 8, 20)
        ]
        np.testing.assert_allclose(sensitivity([0.5, 2, 4, 8, 20], level), published, rtol=1e-9)


@pytest.mark.parametrize("codes", [ramp(215.1, 230), ramp(30.1, 45), ramp(220.1, 235, 6.0)])
def test_no_step_of_a_ramp_is_seen(codes: np.ndarray) -> None:
    image, clip = sdr(np.rint(codes))

    def steps(made: Image) -> float:
        luminance = light(made)[1]
        found = np.abs(np.diff(luminance, axis=1)) / luminance[:, 1:] / least_step(luminance[:, 1:])
        return float(found[:, 24:-24].max())

    assert steps(run(image, clip, peak=4000, deband="off")) > 5
    lifted = run(image, clip, peak=4000)
    assert steps(lifted) < 1
    back = run(lifted, clip, peak=4000, direction="back")
    np.testing.assert_allclose(back.data, image.data, atol=2e-5)


def test_texture_and_grain_are_kept() -> None:
    rng = np.random.default_rng(3)
    image, clip = sdr(np.rint(110 + rng.normal(0, 2, (3, 200, 200))))
    lifted = run(image, clip)
    np.testing.assert_allclose(lifted.data.var(axis=(1, 2)), 2.03**2 * image.data.var(axis=(1, 2)), rtol=0.02)


@pytest.mark.parametrize("detail", [0.0, 0.5, 2.0])
def test_texture_of_highlights_gains_what_is_asked_for(detail: float) -> None:
    rng = np.random.default_rng(3)
    image, clip = sdr(np.rint(np.clip(228 + rng.normal(0, 1.5, (1, 200, 200)), 0, 255)) * np.ones((3, 1, 1)))

    def contrast_of(made: Image) -> float:
        return float(np.log(light(made)[1]).std())

    source, curve = contrast_of(image), contrast_of(run(image, clip, peak=4000))
    assert curve > 2 * source
    lifted = run(image, clip, peak=4000, detail=detail)
    assert contrast_of(lifted) == pytest.approx(source + detail * (curve - source), rel=0.06)
    assert np.log(light(lifted)[1]).mean() == pytest.approx(
        np.log(light(run(image, clip, peak=4000))[1]).mean(), abs=5e-3
    )
    many, clip = sdr(colours(6))
    back = run(
        run(many, clip, peak=4000, detail=detail), clip, peak=4000, detail=detail, direction="back", deband="off"
    )
    error = delta_e_itp(light(many), light(back))
    assert error.mean() < 0.5 and np.percentile(error, 99) < 1.5


def test_dither_is_a_triangle_of_a_code_and_of_seed_frame_and_pixel_alone() -> None:
    region = Region.sized(300, 200, -7, 4)
    image = Image(np.full((3, 200, 300), 0.4, np.float32), region)
    clip = Clip(1, 1, region, region)
    made = run(image, clip, dither=10)
    off = (pq(light(made)[1]) - pq(light(run(image, clip))[1])) * 1023
    assert abs(off.mean()) < 0.01 and off.std() == pytest.approx(6**-0.5, rel=0.02) and np.abs(off).max() <= 1.001
    np.testing.assert_array_equal(run(image, clip, dither=10).data, made.data)
    assert (run(image, clip, dither=10, seed=2).data != made.data).mean() > 0.9


def test_pixels_that_are_on_no_code_are_left_alone() -> None:
    image, clip = sdr(ramp(60, 90))  # not rounded
    lifted = run(image, clip)
    np.testing.assert_allclose(lifted.data, image.data * np.float32(2.03), rtol=2e-2)
    off = np.abs(lifted.data / (image.data * np.float32(2.03)) - 1) > 1e-6
    assert off.mean() < 0.1


def test_small_highlights_outshine_large_blown_areas_and_begin_at_nothing() -> None:
    codes = np.full((3, 320, 768), 120.0)
    y, x = np.mgrid[:320, :768]
    glint, sky = np.hypot(y - 60, x - 100) < 8, x > 400
    codes[:, glint | sky] = 255
    image, clip = sdr(codes)
    made = light(run(image, clip))[1]
    assert made[60, 100] > 700 and made.max() < 1000
    assert made[160, 600] == pytest.approx(450.6, rel=0.01)
    assert np.ptp(made[:, 402:]) < 10
    rim = sky & (x == 401)
    assert made[rim].max() < 470


def test_a_channel_that_clips_alone_follows_the_others() -> None:
    y, x = np.mgrid[:240, :768]
    true = np.array([1.0, 0.7, 0.4])[:, None, None] * (0.4 + 1.3 * np.exp(-((x - 300) ** 2 + (y - 120) ** 2) / 900))
    encoded = np.where(true <= 0.0031308, 12.92 * true, 1.055 * true ** (1 / 2.4) - 0.055)
    image, clip = sdr(np.rint(255 * np.clip(encoded, 0, 1)))
    assert ((encoded[0] > 1) & (encoded[1] < 1)).sum() > 300
    config = config_for(Settings())

    def hue(recover: bool) -> float:
        made = ictcp(light(run(image, clip, recover_colour=recover))[:, 120, 310])
        return float(np.degrees(np.arctan2(made[2], made[1])))

    linear = np.stack([true[:, 120, 310]] * 1, axis=1)[:, None].astype(np.float32)
    working = config.convert(linear, "lin_rec709_srgb", config.working, DEVICE)
    wanted = ictcp(203 * np.asarray(config.to_xyz(working, config.working, DEVICE), np.float64)[:, 0, 0])
    want = float(np.degrees(np.arctan2(wanted[2], wanted[1])))
    assert abs(hue(True) - want) < 0.6 * abs(hue(False) - want)


def test_steady_over_a_fade() -> None:
    changes = []
    for step in range(8):
        image, clip = sdr(np.rint(colours(5) * (1 - 0.02 * step)))
        changes.append((image.data.mean(), run(image, clip).data.mean()))
    given, made = np.array(changes).T
    ratio = np.diff(made) / np.diff(given)
    assert (np.diff(made) < 0).all() and ratio.max() / np.median(ratio) < 2


def test_film_scans_take_the_clip_level_of_the_shot() -> None:
    region = Region.sized(64, 48)
    data = np.random.default_rng(7).gamma(1.0, 1.0, (3, 48, 64)).astype(np.float32)
    data[0, 0, :3] = (np.nan, np.inf, 6.0)
    frames = [(1, Image(data, region)), (2, Image(data / np.float32(4), region))]
    clip = Clip(1, 2, region, region, metadata=origin("half", "ACEScg"))
    found = NODE.analyse(HDRLiftParams(), frames, {"input": clip}, DEVICE)  # type: ignore[arg-type]
    assert found["clip"] == pytest.approx(np.nanmax(np.where(np.isfinite(data), data, 0)))
    lifted = run(frames[1][1], clip, dict(found))
    grey = light(lifted)[1]
    assert np.nanmax(grey[np.isfinite(grey)]) < 1000
    back = run(lifted, clip, direction="back")
    np.testing.assert_allclose(back.data, data / 4, rtol=2e-3, atol=1e-4)
    assert not NODE.wants_analysis(HDRLiftParams(clip=4.0))
    assert list(NODE.analysis_requests(HDRLiftParams(), {"input": sdr(colours())[1]})) == []


def test_values_of_all_kinds() -> None:
    region = Region.sized(40, 30, -3, 5)
    rng = np.random.default_rng(1)
    data = rng.normal(0.3, 1.0, (5, 30, 40)).astype(np.float32)
    data[1, 3, 4], data[0, 5] = np.nan, 4000
    image = Image(data, region, ("A", "B", "G", "R", "Z"))
    made = run(image, Clip(1, 1, region, region, channels=image.channels))
    np.testing.assert_array_equal(made.data[[0, 4]].view(np.int32), data[[0, 4]].view(np.int32))
    np.testing.assert_array_equal(made.data[:, 3, 4].view(np.int32), data[:, 3, 4].view(np.int32))
    assert np.isfinite(made.data[[1, 2, 3]]).sum() == 3 * 30 * 40 - 1
    dark = (np.abs(data[1:4]) < 0.1).all(axis=0)
    np.testing.assert_allclose(made.data[1:4][:, dark], data[1:4][:, dark] * np.float32(2.03), rtol=1e-6)
    black = Image(np.zeros((3, 30, 40), np.float32), region)
    assert not run(black, Clip(1, 1, region, region)).data.any()


def test_a_lone_y_is_luminance() -> None:
    image, clip = sdr(np.repeat(colours()[:1], 3, axis=0))
    grey = Image(image.data[1:2], image.region, ("Y",), origin(channels="Y"))
    one = run(grey, Clip(1, 1, image.region, image.region, channels=("Y",), metadata=origin(channels="Y")))
    np.testing.assert_allclose(one.data[0], run(image, clip).data[1], rtol=1e-3)


def test_nothing_expands_where_there_is_no_room() -> None:
    image, clip = sdr(colours())
    white = HDRLiftParams(peak=100)
    assert NODE.identity(white, Request(1, image.region)) == "input"
    assert "nothing expands" in next(iter(NODE.check(white, {"input": clip}, Settings())))
    np.testing.assert_array_equal(run(image, clip, peak=203).data, image.data * np.float32(2.03))


@pytest.mark.parametrize("peak", [99.0, 10001.0, -1.0, float("nan")])
def test_peaks_outside_the_range_are_refused(peak: float) -> None:
    with pytest.raises(ValidationError):
        HDRLiftParams(peak=peak)


@pytest.mark.parametrize(
    ("params", "channels", "metadata", "message"),
    [
        ({}, ("A",), {}, "needs R, G and B, or Y"),
        ({}, ("R", "G"), {}, "needs R, G and B, or Y"),
        ({"clip": 0.4}, ("R", "G", "B"), {}, "below the knee"),
        ({"deband": "8"}, ("R", "G", "B"), {}, "what the codes mean"),
        ({"source": "sRBG"}, ("R", "G", "B"), {}, "no colour space 'sRBG'"),
    ],
)
def test_what_is_refused(
    params: dict[str, Any], channels: tuple[str, ...], metadata: dict[str, Any], message: str
) -> None:
    region = Region.sized(4, 4)
    clip = Clip(1, 1, region, region, channels=channels, metadata=metadata)
    with pytest.raises(GraphError, match=message):
        list(NODE.check(HDRLiftParams(**params), {"input": clip}, Settings()))


def test_warnings() -> None:
    region = Region.sized(4, 4)

    def warned(metadata: dict[str, Any], **params: Any) -> list[str]:
        return list(
            NODE.check(HDRLiftParams(**params), {"input": Clip(1, 1, region, region, metadata=metadata)}, Settings())
        )

    assert "taken for light" in warned(origin("uint8", "ACEScg"))[0]
    assert "lifted already" in warned({LIFTED: "peak=1000"})[0]
    assert "peak 600" in warned({LIFTED: "peak=600 knee=0.5"}, direction="back")[0]
    assert not warned({LIFTED: "peak=1000 knee=0.5"}, direction="back") and not warned(origin())


def test_a_working_space_that_nobody_knows_is_refused(tmp_path: Path) -> None:
    text = write_config(tmp_path).read_text()
    (tmp_path / "show.ocio").write_text("\n".join(line for line in text.splitlines() if "aces_interchange" not in line))
    settings = Settings(tmp_path, {"colour": {"config": "show.ocio"}})
    region = Region.sized(4, 4)
    with pytest.raises(GraphError, match="aces_interchange"):
        list(NODE.check(HDRLiftParams(), {"input": Clip(1, 1, region, region)}, settings))


def test_real_pictures_there_and_back(data: Path) -> None:
    for name in ("03", "13", "20"):
        params = ReadParams(path=data / f"images/stills/kodak/{name}.png")
        clip = Read().extent(params, {})
        request = Request(1, clip.extent)
        image = Read().compute(params, request, Inputs(request, {}, {}), DEVICE)
        back = run(run(image, clip, peak=4000), clip, peak=4000, direction="back")
        error = delta_e_itp(light(image), light(back))
        assert error.mean() < 0.1 and np.percentile(error, 99) < 0.5
