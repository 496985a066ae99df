"""Film and digital noise told apart, on mixtures that are made by another road than Regrain's kernels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.render import pull
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.profile import Profile
from safelight.nodes.grain.residual import REACH
from safelight.nodes.grain.shares import film_share
from safelight.nodes.grain.spectrum import pixel_overlaps, pixel_ratio
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.grain.survey import Reading

from .test_analyse import analysed, grained

STEPS = np.broadcast_to(0.18 * 2.0 ** np.repeat(np.linspace(-3.5, 2.5, 12), 32), (3, 192, 384))
"""Steps of half a stop."""


def film_variance(light: np.ndarray, stock: str, pitch: float) -> np.ndarray:
    """Variance of light (3, H, W), positive, by a stock's grain."""
    film = load_stock(stock)
    code = coding("density", film.curves)
    net = code.encode(light)
    slope = (code.decode(net + 1e-3) - code.decode(net - 1e-3)) / 2e-3
    sigma = [film.sigma48_at(c, light[c]) * pixel_ratio(film.cloud_um[c], pitch) for c in range(3)]
    return np.asarray((sigma * slope) ** 2)


def sensor_variance(light: np.ndarray, stock: str, pitch: float) -> np.ndarray:
    """Photon and read noise that are as strong as the stock's grain in green at mid-grey, nearly."""
    grey = film_variance(np.full((3, 1, 1), 0.18), stock, pitch)[1, 0, 0]
    return np.asarray(grey * 0.9 * (light / 0.18 + 0.02))


def mixed(light: np.ndarray, stock: str, pitch: float, part: float, frames: int = 4) -> tuple[np.ndarray, np.ndarray]:
    """Light with `part` of the stock's grain variance, 1 - part of the sensor's; film's true share at each pixel."""
    rng = np.random.default_rng(1)
    film = load_stock(stock)
    code = coding("density", film.curves)
    net = code.encode(light)
    sigma = np.stack(
        [film.sigma48_at(c, light[c]) * pixel_ratio(film.cloud_um[c], pitch) * part**0.5 for c in range(3)]
    )
    sensor = (1 - part) * sensor_variance(light, stock, pitch)
    made = []
    for _ in range(frames):
        grain = np.stack([grained(rng, light.shape[1:], film.cloud_um[c], pitch) for c in range(3)])
        made.append(code.decode(net + sigma * grain) + np.sqrt(sensor) * rng.standard_normal(light.shape))
    true = part * film_variance(light, stock, pitch)
    return np.array(made), true / (true + sensor)


def shares(profile: Profile) -> list[float]:
    """Film's share by channel."""
    found = [channel.film_share for channel in profile.channels.values()]
    assert None not in found, [channel.film_share_range for channel in profile.channels.values()]
    return [share for share in found if share is not None]


def measured_truth(profile: Profile, stock: str, pitch: float, part: float) -> list[float]:
    """Film's true share by channel, mean over the levels that were measured."""
    at = np.repeat(0.18 * 2.0 ** np.linspace(-4, 4, 200)[None], 3, axis=0)[:, None]
    grain = part * film_variance(at, stock, pitch)
    true = (grain / (grain + (1 - part) * sensor_variance(at, stock, pitch)))[:, 0]
    found = []
    for c, channel in enumerate(profile.channels.values()):
        rows = [point for point in channel.curve if point.stops is not None and abs(point.stops) < 4]
        wanted = np.interp([point.level for point in rows], at[c, 0], true[c])
        found.append(float(np.average(wanted, weights=[point.samples for point in rows])))
    return found


@pytest.mark.parametrize(
    ("stock", "pitch", "part"),
    [
        ("500T", 6.0, 0.4),
        ("500T", 12.0, 0.3),
        ("500T", 12.0, 0.6),
        ("250D", 8.0, 0.5),
        ("200T", 12.0, 0.0),
        ("50D", 12.0, 0.4),
        ("50D", 4.0, 0.7),
        ("50D", 12.0, 1.0),
    ],
)
def test_mixtures_within_fifteen_hundredths(stock: str, pitch: float, part: float) -> None:
    frames, true = mixed(STEPS, stock, pitch, part)
    profile = analysed(frames)
    np.testing.assert_allclose(shares(profile), true.mean((1, 2)), atol=0.12)
    for channel, truth in zip(profile.channels.values(), true.mean((1, 2)), strict=True):
        assert channel.film_share_range is not None
        assert channel.film_share_range[0] - 0.05 <= truth <= channel.film_share_range[1] + 0.05
    assert "by light" in profile.told_apart


@pytest.mark.parametrize("stops", [-1, 1])
def test_a_plate_that_was_graded_brighter_or_darker(stops: int) -> None:
    frames, true = mixed(STEPS, "500T", 12.0, 0.5)
    np.testing.assert_allclose(shares(analysed(frames * 2.0**stops)), true.mean((1, 2)), atol=0.12)


def test_a_moving_picture_with_texture() -> None:
    text = """safelight = 1
[nodes.plate]
type = "Plate"
width = 960
height = 540
frames = 4
first = 1
[nodes.film]
type = "Regrain"
pitch = 10
stock = "250D"
strength = 0.7071
input = "plate"
"""
    graph, two = Graph.from_document(Document.parse(text, Path())), Device("cpu", 2)
    clean = np.stack([image.data for _, image in pull(graph, "plate", device=two)]).astype(np.float64)
    film = np.stack([image.data for _, image in pull(graph, "film", device=two)]).astype(np.float64)
    light = np.maximum(clean, 1e-4)
    sensor = np.stack([0.5 * sensor_variance(one, "250D", 10.0) for one in light])
    profile = analysed(film + np.sqrt(sensor) * np.random.default_rng(1).standard_normal(film.shape))
    np.testing.assert_allclose(shares(profile), measured_truth(profile, "250D", 10.0, 0.5), atol=0.15)


def test_photographs() -> None:
    folder = Path(os.environ.get("SAFELIGHT_TEST_DATA", "")) / "images"
    files = sorted((folder / "stills").rglob("*.png"))[:2]
    if not os.environ.get("SAFELIGHT_TEST_DATA") or not files:
        pytest.skip("no development pictures")
    for file in files:
        code = np.asarray(Picture.open(file).convert("RGB").resize((576, 384)), np.float64).transpose(2, 0, 1) / 255
        light = 0.01 + 1.2 * code**2.2
        profile = analysed(mixed(light, "500T", 10.0, 0.5)[0])
        np.testing.assert_allclose(shares(profile), measured_truth(profile, "500T", 10.0, 0.5), atol=0.15)


def test_coloured_noise_of_a_sensor_is_not_called_film() -> None:
    rng = np.random.default_rng(2)
    frames = [STEPS + np.sqrt(2e-4 * STEPS) * grained(rng, STEPS.shape, 3.0, 6.0) for _ in range(4)]
    for channel in analysed(np.array(frames)).channels.values():
        assert channel.film_share is None and channel.film_share_range is not None
        assert channel.film_share_range[0] < 0.1 and channel.film_share_range[1] > 0.9


def test_white_noise_is_digital_however_it_goes_with_light() -> None:
    rng = np.random.default_rng(3)
    frames = [STEPS * np.exp(0.05 * rng.standard_normal(STEPS.shape)) for _ in range(4)]
    assert max(shares(analysed(np.array(frames)))) < 0.1


def test_the_spectrum_alone() -> None:
    line = pixel_overlaps(0.5, 1.0, REACH)
    film = np.outer(line, line) / line[0] ** 2
    white = np.zeros_like(film)
    white[0, 0] = 1
    for part in (0.0, 0.3, 0.7, 1.0):
        share, low, high = film_share(part * film + (1 - part) * white, 1e4, 6.0)
        assert low <= share <= high and share == pytest.approx(part, abs=0.05)
    few = [Reading(0.18 * 2.0**n, 1e-4, 1e-4, 1e-6, 50, True) for n in range(4)]
    assert film_share(0.5 * (film + white), 1e4, 6.0, few) == film_share(0.5 * (film + white), 1e4, 6.0)
