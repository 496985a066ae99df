"""A profile as AV1 film grain: what a decoder written from the standard makes of it, and what is said and refused."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.node import Settings
from safelight.nodes.grain.delivered import Delivery
from safelight.nodes.grain.film_grain import Made, film_grain, palette
from safelight.nodes.grain.profile import Channel, PlateFacts, Point, Profile
from safelight.nodes.grain.spectrum import pixel_overlaps
from safelight.nodes.grain.stock import load_stock
from tests.nodes.grain.av1_synthesis import add_grain

CORRELATED = [[1.0, 0.3, 0.1], [0.3, 1.0, 0.4], [0.1, 0.4, 1.0]]


def srgb(pixels: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, without a change of primaries: the working space's own red, green and blue."""
    v = np.clip(pixels, 0, None)
    return np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)


def profile(sigma: float = 0.15, pitch: float = 6.0, names: str = "RGB", **other: Any) -> Profile:
    """Grain of one sigma in stops from -4 to 2 stops, with 3 µm clouds; none for sigma 0."""
    line = pixel_overlaps(3.0, pitch, 3)
    points = [
        Point(level=0.18 * 2.0**stop, stops=stop, sigma=sigma, sigma_linear=0.01, uncertainty=0, samples=9,
              method="temporal")
        for stop in range(-4, 3)
    ]  # fmt: skip
    channel = Channel(
        curve=points if sigma else [],
        spectrum=[1.0] * 10 if sigma else [],
        autocorrelation=(np.outer(line, line) / line[0] ** 2).tolist() if sigma else [],
        film_share=None,
        film_share_range=None,
    )
    fields: dict[str, Any] = {
        "note": "",
        "domain": "log",
        "stock": "",
        "plate": PlateFacts(source="", width=352, height=288, frames=[1], patch=None, pitch_um=None),
        "channels": dict.fromkeys(names, channel),
        "frequencies": [0.1] * 10,
        "frequencies_per_mm": None,
        "correlation": CORRELATED if len(names) == 3 else np.eye(len(names)).tolist(),
        "told_apart": "",
    }
    return Profile(**(fields | other))


@cache
def plain() -> Made:
    """Make the film grain of the profile as it is."""
    return film_grain(profile(), Delivery("sRGB", srgb))


def truth(sigma: float, light: np.ndarray, correlation: list[list[float]]) -> np.ndarray:
    """Variances of Y, Cb, Cr in 8-bit codes at one colour, chroma 4:2:0, by Monte Carlo."""
    rng = np.random.default_rng(4)
    line = pixel_overlaps(3.0, 6.0, 32)
    lag = np.abs(np.fft.fftfreq(64, 1 / 64)).astype(int)
    root = np.sqrt(np.maximum(np.fft.fft(line[lag] / line[0]).real, 0))
    white = np.einsum("cd,ndyx->ncyx", np.linalg.cholesky(np.array(correlation)), rng.standard_normal((60, 3, 64, 64)))
    grain = sigma * np.fft.ifft2(np.fft.fft2(white) * np.outer(root, root)).real
    lit = (2 ** (np.log2(1 + light / 0.01)[:, None, None] + grain) - 1) * 0.01
    red, green, blue = np.moveaxis(np.clip(srgb(lit), 0, 1), 1, 0)
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    planes = [219 * y, 224 * (blue - y) / 1.8556, 224 * (red - y) / 1.5748]
    half = [p.reshape(60, 32, 2, 32, 2).mean((2, 4)) for p in planes[1:]]
    return np.array([planes[0].var(), *(p.var() for p in half)])


@pytest.mark.parametrize("stops", [-3.0, 0.0, 1.5])
def test_sigma_in_the_delivery_is_that_of_the_encoded_grain(stops: float) -> None:
    made = plain()
    light = np.full(3, 0.18 * 2.0**stops)
    code = 16 + 219 * float(srgb(light)[0])
    found = np.array([np.interp(code, made.codes, row) for row in made.sigma]) ** 2
    np.testing.assert_allclose(found, truth(0.15, light, CORRELATED), rtol=0.05)


def test_with_the_plates_colours_sigma_is_theirs() -> None:
    orange = np.array([0.4, 0.15, 0.03])
    plate = np.broadcast_to(orange[:, None, None], (3, 64, 64)).astype(np.float32).copy()
    plate[:, 0, :4] = [[0.0], [0.0], [0.0]]
    plate[:, 0, 4:8] = [[9.0], [9.0], [9.0]]
    made = film_grain(profile(), Delivery("sRGB", srgb), palette([plate]))
    code = 16 + 219 * float(np.array([0.2126, 0.7152, 0.0722]) @ srgb(orange))
    found = np.array([np.interp(code, made.codes, row) for row in made.sigma]) ** 2
    wanted = truth(0.15, orange, CORRELATED)
    np.testing.assert_allclose(found, wanted, rtol=0.08)
    grey = plain()
    assert abs(np.interp(code, grey.codes, grey.sigma[1]) ** 2 / wanted[1] - 1) > 0.2


@pytest.mark.parametrize(("pitch", "depth"), [(12.0, 8), (6.0, 10)])
def test_a_decoder_makes_the_grain_that_was_asked_for(pitch: float, depth: int) -> None:
    made = film_grain(profile(pitch=pitch), Delivery("sRGB", srgb))
    k = 1 << (depth - 8)
    luma = np.broadcast_to(np.rint(np.linspace(40 * k, 200 * k, 320)), (288, 320)).astype(int)
    clean = [luma, np.full((144, 160), 128 * k), np.full((144, 160), 128 * k)]
    frames = [add_grain(clean, made.grain, seed, depth) for seed in (1000, 22222, 60001)]
    filters = (made.filters.y, made.filters.cb, made.filters.cr)
    unit = []
    for plane, found in enumerate(filters):
        assert found is not None
        level = luma[:: 2 if plane else 1, :: 2 if plane else 1] / k
        noise = np.stack([(frame[plane] - clean[plane]) / k for frame in frames])
        noise = noise / np.interp(level, made.codes, made.sigma[plane])
        unit.append(noise)
        for part in np.array_split(np.arange(level.shape[1]), 4):
            assert noise[..., part].var() == pytest.approx(1, rel=0.15)
        for dy, dx in ((0, 1), (1, 0), (1, 1), (2, 0)):
            beside = (noise[:, dy:, dx:] * noise[:, : noise.shape[1] - dy, : noise.shape[2] - dx]).mean()
            assert beside / noise.var() == pytest.approx(found.autocorrelation[dy, dx + 3], abs=0.06)
    mean = unit[0].reshape(3, 144, 2, 160, 2).mean((2, 4))
    for noise, found in zip(unit[1:], filters[1:], strict=True):
        assert found is not None
        together = (mean * noise).mean() / np.sqrt(np.square(mean).mean() * np.square(noise).mean())
        assert together == pytest.approx(found.correlation, abs=0.06)


def test_a_smaller_delivery_has_less_and_finer_grain() -> None:
    full, half = plain(), film_grain(profile(), Delivery("sRGB", srgb, ratio=2.0))
    native = film_grain(profile(pitch=12.0), Delivery("sRGB", srgb))
    line = pixel_overlaps(3.0, 6.0, 1)
    kept = ((line[0] + line[1]) / (2 * line[0])) ** 2
    middle = full.codes.size // 2
    assert half.sigma[0][middle] ** 2 / full.sigma[0][middle] ** 2 == pytest.approx(kept, rel=0.03)
    np.testing.assert_allclose(half.filters.y.autocorrelation, native.filters.y.autocorrelation, atol=0.04)


def test_one_channel_has_no_chroma() -> None:
    made = film_grain(profile(names="Y"), Delivery("sRGB", srgb))
    assert made.grain.scaling_y and not made.grain.scaling_cb and not made.grain.scaling_cr
    colour = film_grain(profile(correlation=[[1.0] * 3] * 3), Delivery("sRGB", srgb))
    np.testing.assert_allclose(made.sigma[0], colour.sigma[0], rtol=0.02)


def test_channels_in_any_order_are_the_same() -> None:
    order = [2, 0, 1]
    shuffled = profile(names="BRG", correlation=np.array(CORRELATED)[np.ix_(order, order)].tolist())
    assert film_grain(shuffled, Delivery("sRGB", srgb)).grain == plain().grain


def test_a_view_of_the_config_is_a_delivery() -> None:
    config, device = config_for(Settings()), Device("cpu", 1)
    name = config.resolve("Rec.1886 Rec.709 - Display")
    made = film_grain(
        profile(), Delivery(name, lambda pixels: np.asarray(config.convert(pixels, config.working, name, device)))
    )
    assert made.codes[0] == 16 and made.codes[-1] == 235 and np.isfinite(made.sigma).all()


@pytest.mark.parametrize(
    ("sigma", "pitch", "says"),
    [
        (0.15, 6.0, "measured from luma 40 to 205"),
        (0.15, 1.5, "the size of the grain in Y is not met: autocorrelation off by 0"),
        (0.004, 6.0, "rounding swallows most of it"),
        (3.0, 6.0, "of its strength: no table holds more"),
    ],
)
def test_what_the_table_cannot_hold_is_remarked(sigma: float, pitch: float, says: str) -> None:
    made = film_grain(profile(sigma, pitch), Delivery("sRGB", srgb))
    assert any(says in remark for remark in made.remarks), made.remarks


def test_correlation_of_cb_with_cr_is_remarked_where_it_is_lost() -> None:
    made = plain()
    assert any("correlation of Cb with Cr is about" in remark for remark in made.remarks)


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (profile(0.0), "holds no grain"),
        (profile(names="RGZ"), "R, G and B or a single channel, not R, G, Z"),
        (profile(1e-6), "weaker than a film-grain table can hold"),
    ],
)
def test_a_profile_without_grain_or_colours_is_refused(made: Profile, says: str) -> None:
    with pytest.raises(GraphError, match=says):
        film_grain(made, Delivery("sRGB", srgb))


def test_the_palette_leaves_out_what_is_clipped_or_not_finite() -> None:
    rng = np.random.default_rng(1)
    plate = rng.uniform(0.1, 0.9, (3, 33, 41)).astype(np.float32)
    plate[:, :8, :8] = 0.1
    plate[0, 20, 20] = np.nan
    found = palette([plate, np.full((3, 9, 9), np.nan, np.float32)])
    assert found.shape == (3, 8 * 10 - 4 - 1) and np.isfinite(found).all()
    assert palette([]).shape == (3, 0)
    assert palette([rng.uniform(0, 1, (3, 800, 800)).astype(np.float32)]).shape == (3, 4096)


def test_grain_measured_in_density_goes_through_the_stocks_curves() -> None:
    made = film_grain(
        profile(0.01, domain="density", stock="500T", correlation=np.eye(3).tolist()), Delivery("sRGB", srgb)
    )
    luma = np.array([0.2126, 0.7152, 0.0722])
    slopes = []
    for curve in load_stock("500T").curves:
        density = float(curve.net(np.array(0.18)))
        low, high = (srgb(curve.exposure_of_net(np.array([density + d])))[0] for d in (-1e-4, 1e-4))
        slopes.append(219 * (high - low) / 2e-4)
    code = 16 + 219 * float(srgb(np.array(0.18)))
    wanted = 0.01 * float(np.sqrt(np.square(luma * slopes).sum()))
    assert np.interp(code, made.codes, made.sigma[0]) == pytest.approx(wanted, rel=0.03)
