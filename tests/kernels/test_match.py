"""The kernels behind GrainMatch, "match_white" and "match_apply", against slow float64 references."""

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.grain.domain import TOE, Coding, coding
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.grain.synthesis import Laying
from safelight.nodes.kernels.launch import isas, launch
from tests.kernels.test_regrain import philox

EXACT = tuple(isa for isa in isas() if isa != "v2")
LIGHT = np.geomspace(1e-3, 20, 64)
SIGMA = np.stack([0.3 / (1 + LIGHT), 0.1 + 0 * LIGHT, 0.05 * np.sqrt(LIGHT)])
SHARED = np.array([[1, 0.3, 0], [0.3, 1, -0.4], [0, -0.4, 1]])


def shapes(count: int) -> np.ndarray:
    """Autocorrelations that no separable filter gives: wider across than along, white noise on top."""
    y, x = np.mgrid[:8, :8]
    out = np.stack([np.exp(-(y**2) / (1 + c) - np.hypot(y, x) ** 2 / 3) for c in range(count)]) * 0.8
    out[:, 0, 0] = 1
    return out


def laying(domain: str, count: int = 3) -> Laying:
    code = coding(domain, load_stock("500T").curves[:count])  # type: ignore[arg-type]
    return Laying.of(code, LIGHT, SIGMA[:count], shapes(count), SHARED[:count, :count])


def white(region: Region, frame: int, layer: int, seed: int) -> np.ndarray:
    """White noise of GrainMatch, float64, (H, W)."""
    quads = np.arange(region.y0 >> 2, ((region.y1 - 1) >> 2) + 1)
    w = philox(np.arange(region.x0, region.x1)[None], quads[:, None], frame, layer, seed, 0x6D617463)
    rows = []
    for a, b in ((w[0], w[1]), (w[2], w[3])):
        radius = np.sqrt(-2 * np.log((a.astype(np.float64) + 0.5) / 2.0**32))
        angle = 2 * np.pi * b.astype(np.float64) / 2.0**32
        rows += [radius * np.cos(angle), radius * np.sin(angle)]
    every = np.stack(rows, 1).reshape(-1, region.width)
    return every[region.y0 - 4 * int(quads[0]) :][: region.height]


def reference(
    made: Laying, data: np.ndarray, region: Region, frame: int, seed: int, matte: np.ndarray | None
) -> np.ndarray:
    """The whole of it in float64."""
    half, count = made.half, len(made.taps)
    wide = [white(region.grow(half), frame, j, seed) for j in range(count)]
    weight = np.ones(data.shape[1:]) if matte is None else np.clip(np.nan_to_num(matte, nan=0.0), 0, 1)
    out = []
    for c in range(count):
        noise = sum(made.mix[c, j] * wide[j] for j in range(count))
        field = np.zeros(data.shape[1:])
        for dy in range(-half, half + 1):
            for dx in range(-half, half + 1):
                there = noise[half + dy : half + dy + region.height, half + dx : half + dx + region.width]
                field += made.taps[c, abs(dy), abs(dx)] * there
        x = np.nan_to_num(data[c].astype(np.float64), nan=0, posinf=0, neginf=0)
        if made.coding.domain == "density":  # linear below its foot, to negative light too
            curve = made.coding.curves[c]
            encode, decode = curve.net, curve.exposure_of_net
        else:
            encode, decode = made.coding.encode, made.coding.decode
        level = encode(x)
        log = Coding("log")
        # Sigma and bias as the kernel reads them, from its own tables; how these are right is another test's business.
        sigma, (low, high) = made.tables["sigma"]
        bias, (from_, to) = made.tables["bias"]
        if made.coding.domain == "density":
            place = np.maximum(x, low)
            octave = np.clip(np.floor(np.log2(place / low)), 0, 50)
            at = 256 * octave + 256 * (place / (low * 2.0**octave) - 1)
            s = np.interp(at, np.arange(sigma.shape[1]), sigma[c])
        else:
            s = np.interp(level, np.linspace(low, high, sigma.shape[1]), sigma[c])
        b = np.interp(log.encode(x) if made.coding.domain == "density" else level, np.linspace(from_, to, 512), bias[c])
        step = s * weight * (field - weight * b)
        out.append(np.where(step != 0, decode(level + step), x))
    return np.stack(out)


def lay(made: Laying, data: np.ndarray, region: Region, **settings) -> tuple[np.ndarray, np.ndarray]:
    out, grain = np.full_like(data, 9), np.full_like(data, 9)
    device = Device("cpu", settings.pop("threads", 2))
    names = ("R", "G", "B")[: len(data)]
    planes = range(len(data))
    made.lay(device, Image(data, region, names), list(planes), out, grain, seed=5, frame=1001, **settings)
    return out, grain


@pytest.mark.parametrize("region", [Region(0, 0, 1, 1), Region(-3, 5, 14, 6), Region(4, -9, 41, 20)])
def test_white_noise_of_its_own(region):
    mix = np.linalg.cholesky(SHARED)
    quads = Region(region.x0, region.y0 >> 2, region.x1, ((region.y1 - 1) >> 2) + 1)
    tall = Region(region.x0, 4 * quads.y0, region.x1, 4 * quads.y1)
    noises = np.stack([white(tall, 7, j, 3) for j in range(3)])
    want = np.einsum("cj,jyx->cyx", mix, noises).reshape(3, quads.height, 4, region.width).swapaxes(1, 2)
    for isa in isas():
        out = np.empty((12, quads.height, quads.width), np.float32)
        launch(
            Device("cpu", 2), "match_white", quads, isa=isa,
            out=(out, quads), mix=mix.ravel(), layers=3, frame=7, seed=3,
        )  # fmt: skip
        np.testing.assert_allclose(out, want.reshape(out.shape), atol=4e-6)


@pytest.mark.parametrize("domain", ["log", "linear", "density"])
@pytest.mark.parametrize("size", [(1, 1), (1, 23), (29, 3), (40, 67)])
def test_apply_against_float64(domain, size):
    rng = np.random.default_rng([*size, len(domain)])
    count = 3 if size != (29, 3) else 1
    data = rng.standard_normal((count, *size)) * 10.0 ** rng.integers(-3, 2, (count, *size))
    data = data.astype(np.float32)
    matte = rng.uniform(-0.5, 1.5, size).astype(np.float32)
    matte.flat[0] = np.nan
    region, made = Region.sized(size[1], size[0], -5, 3), laying(domain, count)
    for mask in (None, Image(matte[None], region, ("A",))):
        want = reference(made, data, region, 1001, 5, None if mask is None else matte)
        for isa in isas():
            out, grain = lay(made, data, region, isa=isa, matte=mask)
            # Tables and their reading in float32 are about 1e-5 of a level of some stops.
            np.testing.assert_allclose(out, want, rtol=2e-4, atol=3e-6)
            np.testing.assert_array_equal(out, data + grain)


@pytest.mark.parametrize("domain", ["log", "linear", "density"])
def test_all_builds_threads_and_tiles_give_the_same_bits(domain):
    rng = np.random.default_rng(1)
    data = (rng.standard_normal((3, 45, 83)) * 2.0 ** rng.integers(-12, 20, (3, 45, 83))).astype(np.float32)
    region, made = Region.sized(83, 45, -11, -7), laying(domain)
    whole, grain = lay(made, data, region, isa=EXACT[-1])
    for isa in EXACT:
        for threads in (1, 3):
            again = lay(made, data, region, isa=isa, threads=threads)
            np.testing.assert_array_equal(np.stack(again), np.stack([whole, grain]))
    for part in (Region(-11, -7, -10, -6), Region(3, 2, 50, 9), Region(60, -7, 72, 38)):
        y, x = part.y0 - region.y0, part.x0 - region.x0
        cut = (slice(None), slice(y, y + part.height), slice(x, x + part.width))
        out, added = lay(made, np.ascontiguousarray(data[cut]), part)
        np.testing.assert_array_equal(out, whole[cut])
        np.testing.assert_array_equal(added, grain[cut])


@pytest.mark.parametrize("domain", ["log", "linear", "density"])
def test_extreme_values_and_missing_pixels(domain):
    special = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e30, 0.0, -0.0, 1e-40, -1e-3, 65504.0], np.float32)
    data = np.full((3, 9, 64), 0.2, np.float32)
    data[:, 4, : len(special)] = special
    region, made = Region.sized(64, 9), laying(domain)
    plain, _ = lay(made, np.full_like(data, 0.2), region)
    for isa in isas():
        out, grain = lay(made, data, region, isa=isa)
        np.testing.assert_array_equal(out[:, 4, :3].view(np.int32), data[:, 4, :3].view(np.int32))
        assert (grain[:, 4, :3] == 0).all() and np.isfinite(grain).all() and np.isfinite(out[:, 4, 3:]).all()
        if isa == isas()[-1]:
            np.testing.assert_array_equal(out[:, :4], plain[:, :4])
        bright = np.abs(out[:, 4, 3:6] / data[:, 4, 3:6] - 1)
        assert bright.max() < 15, "a few stops of grain at most"


@pytest.mark.parametrize("domain", ["log", "density"])
def test_where_there_is_no_grain_bits_stay(domain):
    rng = np.random.default_rng(4)
    data = rng.standard_normal((3, 16, 40)).astype(np.float32)
    data[0, 0, 0] = -0.0
    made = Laying.of(laying(domain).coding, LIGHT, 0 * SIGMA, shapes(3), SHARED)
    out, grain = lay(made, data, Region.sized(40, 16))
    np.testing.assert_array_equal(out.view(np.int32), data.view(np.int32))
    assert not grain.any()


def test_a_step_through_zero_is_the_domains():
    made = laying("log", 1)
    data = np.full((1, 64, 64), 0.1 * TOE, np.float32)
    out, _ = lay(made, data, Region.sized(64, 64))
    want = reference(made, data, Region.sized(64, 64), 1001, 5, None)
    assert (want < 0).mean() > 0.1
    np.testing.assert_allclose(out, want, atol=2e-8)
