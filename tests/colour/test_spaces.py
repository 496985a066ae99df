"""Curves and matrices against their published formulas in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from safelight.colour.config import ColourConfig, config_for
from safelight.colour.spaces import Cineon
from safelight.graph.device import Device
from safelight.graph.node import Settings
from tests.colour.configs import CONFIG, write_config

CPU = Device("cpu", 1)


@pytest.fixture(scope="module")
def config() -> ColourConfig:
    return config_for(Settings())


def grey(values: np.ndarray) -> np.ndarray:
    return np.broadcast_to(np.asarray(values, np.float32), (3, 1, len(values))).copy()


def primaries(xy: list[tuple[float, float]], white: tuple[float, float]) -> np.ndarray:
    columns = np.array([[x / y, 1, (1 - x - y) / y] for x, y in xy]).T
    x, y = white
    return columns * np.linalg.solve(columns, [x / y, 1, (1 - x - y) / y])


AP0 = primaries([(0.7347, 0.2653), (0.0, 1.0), (0.0001, -0.077)], (0.32168, 0.33767))
AP1 = primaries([(0.713, 0.293), (0.165, 0.83), (0.128, 0.044)], (0.32168, 0.33767))
BT709 = primaries([(0.64, 0.33), (0.30, 0.60), (0.15, 0.06)], (0.3127, 0.3290))
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
TO_D65 = np.linalg.inv(BRADFORD) @ np.diag((BRADFORD @ BT709.sum(1)) / (BRADFORD @ AP1.sum(1))) @ BRADFORD

RANDOM = np.random.default_rng(7).normal(0.3, 1.0, (3, 9, 11)).astype(np.float32)


def srgb(v: np.ndarray) -> np.ndarray:
    # The straight part as a tangent of the curve: IEC 61966-2-1 rounds its slope of 12.9232 to 12.92.
    start = 0.055 / 1.4
    slope = start / ((start + 0.055) / 1.055) ** 2.4
    curve = 1.055 * np.maximum(np.abs(v), 1e-9) ** (1 / 2.4) - 0.055
    return np.where(v * slope > start, curve, slope * v)


def acescct(v: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        log = (np.log2(v) + 9.72) / 17.52
    return np.where(v > 0.0078125, log, 10.5402377416545 * v + 0.0729055341958355)


def test_srgb_of_the_working_space(config: ColourConfig) -> None:
    linear = np.tensordot(np.linalg.inv(BT709) @ TO_D65 @ AP1, RANDOM.astype(np.float64), 1)
    ours = config.convert(RANDOM, "scene_linear", "srgb_tx", CPU)
    np.testing.assert_allclose(ours, srgb(linear), rtol=2e-6, atol=5e-6)
    back = config.convert(ours, "srgb_tx", "scene_linear", CPU)
    np.testing.assert_allclose(back, RANDOM, rtol=1e-5, atol=5e-6)


def test_acescct(config: ColourConfig) -> None:
    values = np.concatenate([np.linspace(-1, 0.01, 50), np.geomspace(1e-6, 60000, 200)])
    ours = config.convert(grey(values), "scene_linear", "ACEScct", CPU)
    np.testing.assert_allclose(ours, grey(acescct(values)), rtol=3e-7, atol=3e-7)
    back = config.convert(ours, "ACEScct", "scene_linear", CPU)
    np.testing.assert_allclose(back, grey(values), rtol=2e-5, atol=1e-7)


def test_aces2065(config: ColourConfig) -> None:
    ours = config.convert(RANDOM, "scene_linear", "ACES2065-1", CPU)
    want = np.tensordot(np.linalg.inv(AP0) @ AP1, RANDOM.astype(np.float64), 1)
    np.testing.assert_allclose(ours, want, rtol=1e-6, atol=2e-6)


# --- Cineon --------------------------------------------------------------------------------------------------------


def cineon(code: np.ndarray, black: float, white: float, gamma: float, density: float) -> np.ndarray:
    offset = 10 ** ((black - white) * density / gamma)
    return (10 ** ((code - white) * density / gamma) - offset) / (1 - offset)


@pytest.mark.parametrize("values", [{}, {"black": 64, "white": 700, "gamma": 0.55, "density": 0.0021}])
def test_cineon(values: dict[str, float]) -> None:
    whole = {"black": 95.0, "white": 685.0, "gamma": 0.6, "density": 0.002} | values
    config = config_for(Settings(sections={"colour": {"cineon": values}}))
    codes = np.arange(1024)
    ours = config.convert(grey(codes / 1023), "Cineon", "scene_linear", CPU)
    np.testing.assert_allclose(ours, grey(cineon(codes, **whole)), rtol=3e-6, atol=3e-8)
    back = config.convert(ours, "scene_linear", "Cineon", CPU) * 1023
    np.testing.assert_allclose(back, grey(codes), atol=1e-3)
    curve = Cineon(**whole)
    assert curve.linear(whole["black"]) == 0 and curve.linear(whole["white"]) == pytest.approx(1.0)


def test_cineon_settings_change_the_fingerprint() -> None:
    configs = [config_for(Settings(sections={"colour": {"cineon": {"black": black}}})) for black in (95, 96)]
    assert configs[0].fingerprint("Cineon", "scene_linear") != configs[1].fingerprint("Cineon", "scene_linear")
    assert configs[0].fingerprint("ADX10", "scene_linear") == configs[1].fingerprint("ADX10", "scene_linear")


def test_cineon_keeps_light_below_black_and_far_above_white(config: ColourConfig) -> None:
    values = np.concatenate([-np.geomspace(1e-4, 1e4, 60), np.geomspace(1e-4, 1e5, 60)])
    code = config.convert(grey(values), "scene_linear", "Cineon", CPU)
    assert (np.diff(code[0, 0, np.argsort(values)]) > 0).all()
    back = config.convert(code, "Cineon", "scene_linear", CPU)
    np.testing.assert_allclose(back, grey(values), rtol=3e-5, atol=3e-8)
    # Below code 0 the curve is a straight line that meets the formula's value and slope there.
    low = config.convert(grey(np.array([-1.0, -0.5, 0.0, 1e-3])), "Cineon", "scene_linear", CPU)[0, 0].astype(float)
    assert low[1] - low[0] == pytest.approx(low[2] - low[1], rel=1e-5)
    assert (low[2] - low[1]) / 0.5 == pytest.approx((low[3] - low[2]) / 1e-3, rel=1e-2)


def test_a_real_cineon_log_scan_gives_back_its_scene(data: Path, config: ColourConfig) -> None:
    oiio = pytest.importorskip("OpenImageIO")
    scene = oiio.ImageInput.open(str(data / "images/exr/ilm_desk.exr")).read_image(0, 3, "float")
    scan = oiio.ImageInput.open(str(data / "images/dpx/desk_cineonlog_10bit.dpx")).read_image("uint16")
    scene = scene[100:640].transpose(2, 0, 1).astype(np.float64)
    scene *= 0.18 / np.median(scene.max(0))
    code = np.ascontiguousarray(scan.transpose(2, 0, 1)).astype(np.float32) / 65535
    light = config.convert(code, "Cineon", "scene_linear", CPU)
    inside = (code * 1023 > 96) & (code * 1023 < 1022)
    assert inside.mean() > 0.9
    # Its maker took negative light for black and went by 16 bits, cut off at 10: at most one code either way.
    offset = Cineon().floor
    ratio = (light * (1 - offset) + offset) / (scene * (1 - offset) + offset)
    steps = np.log10(ratio[inside]) * 300
    assert steps.min() > -1.05 and steps.max() < 1.05 and np.abs(steps).mean() < 0.5
    bright = inside & (scene > 0.05)
    assert np.median(light[bright] / scene[bright]) == pytest.approx(1.0, abs=0.004)
    assert np.corrcoef(light[bright], scene[bright])[0, 1] > 0.9999


# --- ADX -----------------------------------------------------------------------------------------------------------

# SMPTE ST 2065-3 / ACES TB-2014-005: channel-dependent to channel-independent density, density to relative log
# exposure below 0.6, relative exposure to ACES.
TO_CID = np.array([[0.75573, 0.22197, 0.02230], [0.05901, 0.96928, -0.02829], [0.16134, 0.07406, 0.76460]])
TO_ACES = np.array([[0.72286, 0.12630, 0.15084], [0.11923, 0.76418, 0.11659], [0.01427, 0.08213, 0.90359]])
CID = [-0.19, 0.01, 0.028, 0.054, 0.095, 0.145, 0.22, 0.3, 0.4, 0.5, 0.6]
LOG_EXPOSURE = [-6.0, *(-2.721718645 + 0.2 * np.arange(9)), -0.926545676714876]


def adx(code: np.ndarray, black: float, scale: float) -> np.ndarray:
    density = np.tensordot(TO_CID, (code - black) / scale, 1)
    straight = density * 100 / 55 - (7120 - 1520) / 8000 * 100 / 55 + np.log10(0.18)
    exposure = 10 ** np.where(density <= 0.6, np.interp(density, CID, LOG_EXPOSURE), straight)
    return np.tensordot(TO_ACES, exposure, 1)


@pytest.mark.parametrize(("name", "black", "scale", "top"), [("ADX10", 95, 500, 1023), ("ADX16", 1520, 8000, 65535)])
def test_adx(config: ColourConfig, tmp_path: Path, name: str, black: float, scale: float, top: float) -> None:
    codes = np.random.default_rng(2).uniform(0.15, 0.75, (3, 20, 20)) * (top if top == 1023 else 16368)
    want = adx(codes, black, scale)
    write_config(tmp_path)
    lacking = config_for(Settings(tmp_path, {"colour": {"config": "show.ocio"}}))
    assert name not in CONFIG
    for found, aces in ((config, "ACES2065-1"), (lacking, "aces")):
        ours = found.convert((codes / top).astype(np.float32), name, aces, CPU)
        np.testing.assert_allclose(ours, want, rtol=2e-3, atol=2e-5)


def test_srgb_added_to_a_config_that_lacks_it(config: ColourConfig, tmp_path: Path) -> None:
    write_config(tmp_path)
    lacking = config_for(Settings(tmp_path, {"colour": {"config": "show.ocio"}}))
    ours = lacking.convert(RANDOM, "sRGB - Texture", "aces", CPU)
    np.testing.assert_allclose(ours, config.convert(RANDOM, "srgb_tx", "ACES2065-1", CPU), rtol=1e-5, atol=1e-6)
