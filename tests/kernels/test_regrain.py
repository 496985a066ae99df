"""The kernels behind Regrain against slow float64 references made from the same counters."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.grain.laying import Film, Grain, film, grain_passes, grain_tiles
from safelight.nodes.grain.spectrum import layer_weights
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.kernels.launch import isas, launch

EXACT = tuple(isa for isa in isas() if isa != "v2")
PLANES = (0, 1, 2)


def philox(c0, c1, c2, c3, k0, k1):
    """Philox-4x32-10 after Salmon et al. 2011, on arrays."""
    mask = np.uint64(0xFFFFFFFF)
    c = [np.asarray(v).astype(np.int64).astype(np.uint64) & mask for v in np.broadcast_arrays(c0, c1, c2, c3)]
    k0, k1 = int(k0), int(k1)
    for _ in range(10):
        first, second = np.uint64(0xD2511F53) * c[0], np.uint64(0xCD9E8D57) * c[2]
        c = [
            (second >> np.uint64(32)) ^ c[1] ^ np.uint64(k0),
            second & mask,
            (first >> np.uint64(32)) ^ c[3] ^ np.uint64(k1),
            first & mask,
        ]
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return c


def white_reference(region: Region, frame: int, layer: int, seed: int):
    """White noise, float64, (H, W)."""
    quads = np.arange(region.y0 >> 2, ((region.y1 - 1) >> 2) + 1)
    x = np.arange(region.x0, region.x1)
    w = philox(x[None, :], quads[:, None], frame, layer, seed, 0x67726169)
    rows = []
    for a, b in ((w[0], w[1]), (w[2], w[3])):
        radius = np.sqrt(-2 * np.log((a.astype(np.float64) + 0.5) / 2.0**32))
        angle = 2 * np.pi * b.astype(np.float64) / 2.0**32
        rows += [radius * np.cos(angle), radius * np.sin(angle)]
    every = np.stack(rows, 1).reshape(-1, x.size)
    top = region.y0 - 4 * int(quads[0])
    return every[top : top + region.height]


def regrain_reference(data, region, stock: Film, strength, seed, frame, correlation=0.0, matte=1.0):
    """The whole of Regrain in float64: (density before, density after, light)."""
    half, result = stock.half, []
    for c, layer in enumerate(stock.layers):
        white = sum(
            weight * white_reference(region.grow(half), frame, other, seed)
            for other, weight in enumerate(layer_weights(correlation)[layer])
        )
        both = np.concatenate([stock.taps[c][:0:-1], stock.taps[c]])
        along = np.stack([np.convolve(row, both, "valid") for row in white])
        field = np.stack([np.convolve(column, both, "valid") for column in along.T], 1)
        curve = stock.tables.curves[c]
        e = data[c].astype(np.float64)
        sigma = np.interp(e, stock.tables.light_samples, stock.sigma[c])
        net = curve.net(e)
        s = 0.0 if stock.bend is None else np.interp(e, stock.tables.light_samples, stock.bend[c])
        shape = np.sqrt(1 - s**2) * field + s / np.sqrt(2) * (field**2 - 1)
        made = net + strength * sigma * shape * np.clip(np.nan_to_num(np.asarray(matte, np.float64), nan=0.0), 0, 1)
        result.append((net, made, np.where(np.isfinite(e), curve.exposure_of_net(made), e)))
    return [np.stack(part) for part in zip(*result, strict=True)]


def picture(height, width, seed=0):
    rng = np.random.default_rng(seed)
    data = 0.18 * np.exp2(rng.uniform(-12, 10, (3, height, width)))
    data *= np.where(rng.random(data.shape) < 0.15, -1, 1)
    return data.astype(np.float32)


def run(data, region, stock, *, passes=False, isa=None, threads=2, strength=1.0, seed=5, frame=1001, **more):
    out = np.full_like(data, 7)
    go = grain_passes if passes else grain_tiles
    grain = Grain(stock, strength, seed, frame, **more)
    go(Device("cpu", threads), Image(data, region), PLANES, out, grain, isa=isa)
    return out


@pytest.fixture(scope="module", params=[0.0, 1.0], ids=["symmetric", "skewed"])
def stock(request):
    return film(load_stock("500T"), 6.08, (0, 1, 2), request.param)


def test_reference_random_numbers_are_philox():
    # Known answers published with Random123 (kat_vectors).
    known = [
        ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
        ((0xFFFFFFFF,) * 4, (0xFFFFFFFF,) * 2, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
        (
            (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
            (0xA4093822, 0x299F31D0),
            (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
        ),
    ]
    for counter, key, words in known:
        assert tuple(int(word) for word in philox(*counter, *key)) == words


def white(region, *, isa=None, frame=1, seed=1, layers=(0, 1, 2), threads=2):
    """White noise of the kernel, (layers, H, W); the region's rows are whole quads."""
    quads = Region(region.x0, region.y0 // 4, region.x1, region.y1 // 4)
    out = np.empty((4 * len(layers), quads.height, quads.width), np.float32)
    launch(
        Device("cpu", threads), "regrain_white", quads, isa=isa, out=(out, quads),
        mix=np.eye(3)[[*layers, *[0] * (3 - len(layers))]].ravel(), layers=len(layers), frame=frame, seed=seed,
    )  # fmt: skip
    return out.reshape(len(layers), 4, quads.height, quads.width).swapaxes(1, 2).reshape(len(layers), -1, quads.width)


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize(("frame", "seed"), [(0, 0), (1001, 1), (-3, 2**32 - 1)])
def test_white_noise_equals_the_reference(isa, frame, seed):
    region = Region(-37, -8, 94, 12)
    found = white(region, isa=isa, frame=frame, seed=seed)
    for layer in range(3):
        np.testing.assert_allclose(found[layer], white_reference(region, frame, layer, seed), rtol=2e-6, atol=4e-6)
    if isa in EXACT:
        np.testing.assert_array_equal(found, white(region, isa="scalar", frame=frame, seed=seed))


def test_white_noise_is_normal_to_beyond_five_sigma():
    z = np.concatenate([white(Region.sized(4096, 1024), frame=frame).ravel() for frame in range(2)])
    n = z.size  # 25 million
    z = z.astype(np.float64)
    assert abs(z.mean()) < 4 / np.sqrt(n)
    assert abs(z.var() - 1) < 4 * np.sqrt(2 / n)
    assert abs((z**3).mean()) < 4 * np.sqrt(15 / n)
    assert abs((z**4).mean() - 3) < 4 * np.sqrt(96 / n)
    edges = np.array([-np.inf, *np.arange(-5, 5.01, 0.25), np.inf])
    counts, _ = np.histogram(z, edges)
    expected = n * np.diff(stats.norm.cdf(edges))
    expected[: edges.size // 2] = expected[::-1][: edges.size // 2]  # the upper tail loses digits in the cdf
    expected *= n / expected.sum()
    assert stats.chisquare(counts, expected).pvalue > 1e-4
    assert counts[0] > 0
    assert counts[-1] > 0
    assert 5.2 < np.abs(z).max() < 6.77


def test_white_noise_is_independent_of_its_neighbours():
    a = white(Region.sized(1024, 512)).astype(np.float64)
    bound = 4.5 / np.sqrt(a[0].size)
    for layer in a:
        for dy, dx in [(0, 1), (0, 2), (1, 0), (2, 0), (3, 0), (4, 0), (1, 1), (1, -1), (0, 16), (5, 3)]:
            shifted = np.roll(layer, (dy, dx), (0, 1))
            assert abs((layer * shifted).mean()) < bound, (dy, dx)
            assert abs(((layer**2 - 1) * (shifted**2 - 1)).mean()) < 2 * bound, (dy, dx)
    others = [white(Region.sized(1024, 512), frame=2), white(Region.sized(1024, 512), seed=2), np.roll(a, 1, 0)]
    others += [white(Region.sized(1024, 512, 0, 512)), white(Region.sized(1024, 512, 1024, 0))]
    for other in others:
        for one, two in zip(a, other, strict=True):
            assert abs((one * two).mean()) < bound
            assert abs(((one**2 - 1) * (two**2 - 1)).mean()) < 2 * bound


SIZES = [(1, 1), (1, 19), (23, 1), (7, 33), (45, 70), (251, 530)]


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_reference(stock, isa, size):
    region = Region.sized(size[1], size[0], -3, 5)
    data = picture(*size)
    net, made, light = regrain_reference(data, region, stock, 1.0, 5, 1001)
    found = run(data, region, stock, isa=isa)
    # Grain moves a density by up to half a unit: what is left of rounding is a part in a hundred thousand of light.
    scale = np.stack([np.maximum(np.abs(light[c]), curve.e_toe) for c, curve in enumerate(stock.tables.curves)])
    assert np.max(np.abs(found - light) / scale) < 3e-5
    more = made - net > 1e-4
    assert np.all(found[more] >= data[more])
    assert np.all(found[made - net < -1e-4] <= data[made - net < -1e-4])


@pytest.mark.parametrize(
    ("name", "pitch"), [("5203", 12.15), ("5213", 6.08), ("5219", 4.05), ("5219", 1.41), ("5207", 600)]
)
def test_equals_the_reference_at_every_filter_width(name, pitch):
    stock = film(load_stock(name), pitch, (0, 1, 2))
    region = Region.sized(61, 50, 7, -9)
    data = picture(50, 61)
    light = regrain_reference(data, region, stock, 1.0, 5, 3)[2]
    scale = np.stack([np.maximum(np.abs(light[c]), curve.e_toe) for c, curve in enumerate(stock.tables.curves)])
    assert np.max(np.abs(run(data, region, stock, frame=3) - light) / scale) < 3e-5


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("correlation", [0.4, 1.0])
@pytest.mark.parametrize("size", SIZES[:5])
def test_layers_that_share_grain_equal_the_reference(stock, isa, correlation, size):
    region = Region.sized(size[1], size[0], -3, 5)
    data = picture(*size)
    light = regrain_reference(data, region, stock, 1.0, 5, 1001, correlation)[2]
    found = run(data, region, stock, isa=isa, correlation=correlation)
    scale = np.stack([np.maximum(np.abs(light[c]), curve.e_toe) for c, curve in enumerate(stock.tables.curves)])
    assert np.max(np.abs(found - light) / scale) < 3e-5
    apart = run(data, region, stock, isa=isa)
    np.testing.assert_array_equal(found[[0, 2]], apart[[0, 2]])
    assert np.any(found[1] != apart[1])
    if isa in EXACT:
        for passes in (False, True):
            other = run(data, region, stock, isa="scalar", threads=1, correlation=correlation, passes=passes)
            np.testing.assert_array_equal(found, other)


def matte_of(region, seed=0):
    """A matte with zeros, ones, values between and beyond, and some that are not numbers."""
    rng = np.random.default_rng(seed)
    data = rng.choice([0.0, 0.3, 0.99, 1.0, 1.5, -0.2, -0.0, np.nan, np.inf, -np.inf], (region.height, region.width))
    return Image(data[None].astype(np.float32), region, ("A",))


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("size", SIZES[:5])
def test_grain_under_a_matte_equals_the_reference(stock, isa, size):
    region = Region.sized(size[1], size[0], -3, 5)
    matte = matte_of(region.grow(2)).crop(region)
    data = picture(*size)
    light = regrain_reference(data, region, stock, 1.0, 5, 1001, matte=matte.data[0])[2]
    found = run(data, region, stock, isa=isa, matte=matte)
    scale = np.stack([np.maximum(np.abs(light[c]), curve.e_toe) for c, curve in enumerate(stock.tables.curves)])
    assert np.max(np.abs(found - light) / scale) < 3e-5
    full, one = run(data, region, stock, isa=isa), matte.data[0] >= 1
    np.testing.assert_array_equal(found[:, one], full[:, one])
    none = ~(matte.data[0] > 0)
    np.testing.assert_array_equal(found[:, none].view(np.uint32), data[:, none].view(np.uint32))
    if isa in EXACT:
        for passes in (False, True):
            for threads in (1, 3):
                other = run(data, region, stock, isa="scalar", threads=threads, matte=matte, passes=passes)
                np.testing.assert_array_equal(found, other)


@pytest.mark.parametrize("isa", EXACT)
def test_an_empty_matte_cannot_show(isa):
    """Tiles are narrowed to where the matte is above 0; the form in passes knows nothing of that."""
    stock = film(load_stock("500T"), 6.08, PLANES, 1.0)
    region, rng = Region.sized(1100, 300, -7, 11), np.random.default_rng(3)
    data = picture(300, 1100)
    data[0, 20, 600:640], data[1, 250, 3] = np.nan, -0.0
    for boxes in (
        [],
        [(0, 0, 1, 1)],
        [(239, 511, 242, 514)],
        [(299, 1099, 300, 1100)],
        [(10, 30, 200, 31), (230, 700, 260, 900)],
    ):
        matte = np.zeros((1, 300, 1100), np.float32)
        for y0, x0, y1, x1 in boxes:
            matte[0, y0:y1, x0:x1] = rng.uniform(0.1, 1, (y1 - y0, x1 - x0))
        matte[0, 150, 400] = rng.choice([np.nan, -1.0])
        weights = Image(matte, region, ("A",))
        want = run(data, region, stock, isa="scalar", matte=weights, passes=True)
        for threads in (1, 3):
            np.testing.assert_array_equal(run(data, region, stock, isa=isa, matte=weights, threads=threads), want)
        none = np.broadcast_to(~(matte > 0), data.shape)
        np.testing.assert_array_equal(want.view(np.uint32)[none], data.view(np.uint32)[none])


@pytest.mark.parametrize("half", [1, 2, 3, 4, 5, 6, 7, 8, 31, 64])
def test_filters_of_every_width(stock, half):
    rng = np.random.default_rng(half)
    wide = replace(stock, taps=rng.uniform(-0.3, 0.3, (3, half + 1)))
    region = Region.sized(37, 41, -5, 2)
    data = np.full((3, 41, 37), 0.18, np.float32)
    net, made, _ = regrain_reference(data, region, wide, 0.1, 5, 1)
    for passes in (False, True):
        found = run(data, region, wide, strength=0.1, frame=1, passes=passes)
        for c, curve in enumerate(wide.tables.curves):
            np.testing.assert_allclose(curve.net(found[c]) - net[c], made[c] - net[c], atol=3e-6)


@pytest.mark.parametrize("size", SIZES)
def test_every_build_thread_count_and_form_gives_the_same_bits(stock, size):
    region = Region.sized(size[1], size[0], 1000, -77)
    data = picture(*size)
    want = run(data, region, stock, isa="scalar", threads=1)
    for isa in EXACT:
        for threads in (1, 2, 3):
            np.testing.assert_array_equal(run(data, region, stock, isa=isa, threads=threads), want)
        np.testing.assert_array_equal(run(data, region, stock, isa=isa, passes=True), want)


@pytest.mark.parametrize("isa", EXACT)
@pytest.mark.parametrize("pitch", [1.41, 12.15])
def test_a_tile_is_a_crop_of_the_whole(isa, pitch):
    stock = film(load_stock("5203"), pitch, (0, 1, 2))
    whole = Region.sized(611, 263, 9, -4)
    data = picture(263, 611, 3)
    want = run(data, whole, stock, isa=isa)
    for tile in (Region(9, -4, 10, -3), Region(33, 6, 580, 250), Region(300, 100, 317, 101), Region(600, 0, 620, 259)):
        y, x = tile.y0 - whole.y0, tile.x0 - whole.x0
        part = data[:, y : y + tile.height, x : x + tile.width]
        found = run(part, tile, stock, isa=isa)
        np.testing.assert_array_equal(found, want[:, y : y + tile.height, x : x + tile.width])


@pytest.mark.parametrize("isa", isas())
def test_the_map_returns_where_it_came_from(stock, isa):
    # Grain too weak to move a density still takes a pixel through curve, density and inverse curve.
    stops = np.linspace(-16, 12, 3 * 4096, dtype=np.float64)
    e = np.concatenate([0.18 * np.exp2(stops), -0.18 * np.exp2(stops)]).astype(np.float32)
    data = np.broadcast_to(e.reshape(8, -1), (3, 8, e.size // 8)).copy()
    found = run(data, Region.sized(e.size // 8, 8), stock, isa=isa, strength=1e-12)
    assert np.max(np.abs(found / data - 1)) < 1e-5
    assert np.any(found != data)


@pytest.mark.parametrize("isa", isas())
def test_no_grain_keeps_the_bits(stock, isa):
    data = picture(9, 40)
    silent = replace(stock, sigma=np.zeros_like(stock.sigma))
    np.testing.assert_array_equal(run(data, Region.sized(40, 9), silent, isa=isa), data)


@pytest.mark.parametrize("isa", isas())
def test_what_is_not_finite_stays_and_harms_no_neighbour(stock, isa):
    region = Region.sized(53, 11)
    data = picture(11, 53)
    odd = data.copy()
    odd[:, 3, 5], odd[:, 4, 40], odd[:, 10, 52] = np.nan, np.inf, -np.inf
    odd[0, 7, 7] = np.array(0x7FC12345, np.uint32).view(np.float32)
    found, want = run(odd, region, stock, isa=isa), run(data, region, stock, isa=isa)
    bad = ~np.isfinite(odd)
    np.testing.assert_array_equal(found[~bad], want[~bad])
    np.testing.assert_array_equal(found[bad].view(np.uint32), odd[bad].view(np.uint32))


@pytest.mark.parametrize("isa", isas())
def test_light_of_every_size_stays_finite_and_near(stock, isa):
    values = np.array([0, -0.0, 1e-45, -1e-38, 1e-30, 1e3, 65504, 1e12, 1e30, 3.4e38, -1e3, -1e30], np.float32)
    data = np.broadcast_to(values, (3, 64, values.size)).copy()
    found = run(data, Region.sized(values.size, 64), stock, isa=isa)
    assert np.all(np.isfinite(found))
    for c, curve in enumerate(stock.tables.curves):
        bright = data[c] > curve.e_end
        assert np.all(np.abs(np.log2(found[c][bright] / data[c][bright])) < 6 * stock.sigma[c].max() * curve.end_stops)
        dark = np.abs(data[c]) < 1e-3
        reach = 6 * stock.sigma[c].max() * curve.e_toe / curve.n_toe
        assert np.all(np.abs(found[c] - data[c])[dark] < reach)
        assert np.all(found[c][data[c] < -1] < -0.9)
