"""The kernel that puts a plate's own grain back, against a float64 reference."""

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.grain.laying import Original, film, lay_original
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.kernels.launch import isas

KERNEL = "regrain_original"
EXACT = tuple(isa for isa in isas() if isa != "v2")
SIZES = [(1, 1), (1, 19), (23, 1), (7, 33), (45, 70)]
ODD = [0.0, 0.25, 0.5, 0.99, 1.0, 1.5, -0.2, -0.0, np.nan, np.inf, -np.inf]


@pytest.fixture(scope="module")
def stock():
    return film(load_stock("500T"), 6.08, (0, 1, 2), 1.0)


def scene(height, width, seed=0):
    """Return (picture, with fresh grain, own grain, clean, changed, matte): all signs and sizes, some not finite."""
    rng = np.random.default_rng(seed)
    shape = (3, height, width)
    data = 0.18 * np.exp2(rng.uniform(-12, 10, shape)) * np.where(rng.random(shape) < 0.15, -1, 1)
    fresh = data * rng.uniform(0.7, 1.4, shape) + rng.normal(0, 1e-3, shape)
    own = 0.2 * data * rng.normal(0, 1, shape) + rng.normal(0, 1e-3, shape)
    own[rng.random(shape) < 0.1] = 0.0
    clean = np.where(rng.random(shape) < 0.5, data, data * np.exp2(rng.uniform(-3, 3, shape)))
    for part in (data, fresh, own, clean):
        part[rng.random(shape) < 0.03] = rng.choice([np.nan, np.inf, -np.inf])
    weights = (rng.choice(ODD, (1, height, width)) for _ in range(2))
    return [part.astype(np.float32) for part in (data, fresh, own, clean, *weights)]


def reference(stock, data, fresh, own, clean, changed, matte):
    c, w = (np.clip(np.nan_to_num(part[0].astype(np.float64), nan=0.0), 0, 1) for part in (changed, matte))
    result = []
    for i, curve in enumerate(stock.tables.curves):
        e, before = data[i].astype(np.float64), clean[i].astype(np.float64)
        fine = np.isfinite(own[i]) & np.isfinite(before)
        o, before = np.where(fine, own[i], 0).astype(np.float64), np.where(fine, before, 1)
        f = np.where(np.isfinite(fresh[i]), fresh[i], e).astype(np.float64)
        net = curve.net(e)
        here, there = (np.interp(light, stock.tables.light_samples, stock.sigma[i]) for light in (e, before))
        unmoved = data[i].view(np.uint32) == clean[i].view(np.uint32)
        taken = np.where(unmoved, 1, here / there) * (curve.net(before + o) - curve.net(before))
        made = curve.exposure_of_net(net + w * (np.sqrt(1 - c) * taken + np.sqrt(c) * (curve.net(f) - net)))
        result.append(np.where(np.isfinite(e), made, e))
    return np.stack(result)


def run(stock, data, fresh, own, clean, changed, matte=None, *, region=None, isa=None, threads=2):
    region = region or Region.sized(data.shape[2], data.shape[1], -3, 5)
    out = fresh.copy()
    original = Original(Image(own, region), Image(clean, region), Image(changed, region, ("A",)), (0, 1, 2), (0, 1, 2))
    weights = None if matte is None else Image(matte, region, ("A",))
    lay_original(Device("cpu", threads), Image(data, region), (0, 1, 2), out, stock, original, weights, isa=isa)
    return out


@pytest.mark.parametrize("isa", isas())
@pytest.mark.parametrize("size", SIZES)
def test_equals_the_reference(stock, isa, size):
    data, fresh, own, clean, changed, matte = scene(*size)
    with np.errstate(invalid="ignore"):
        want = reference(stock, data, fresh, own, clean, changed, matte)
    found = run(stock, data, fresh, own, clean, changed, matte, isa=isa)
    for c, curve in enumerate(stock.tables.curves):
        good = np.isfinite(data[c])
        scale = np.maximum(np.abs(want[c]), curve.e_toe)
        assert np.max(np.abs(found[c][good] - want[c][good]) / scale[good], initial=0) < 3e-5
        np.testing.assert_array_equal(found[c].view(np.uint32)[~good], data[c].view(np.uint32)[~good])
    if isa in EXACT:
        for threads in (1, 3):
            other = run(stock, data, fresh, own, clean, changed, matte, isa="scalar", threads=threads)
            np.testing.assert_array_equal(found, other)


@pytest.mark.parametrize("isa", isas())
def test_ends_are_to_the_bit(stock, isa):
    data, fresh, own, clean, changed, matte = scene(45, 70, 1)
    data[0, 0, :5], own[0, 0, :5] = -0.0, 0.0
    clean[0, 0, :5], changed[0, 0, :5] = -0.0, 0
    found = run(stock, data, fresh, own, clean, changed, isa=isa)
    fine = np.isfinite(data) & np.isfinite(own) & np.isfinite(fresh)
    same, new = fine & ~(changed > 0) & (data.view(np.uint32) == clean.view(np.uint32)), fine & (changed >= 1)
    assert same.any()
    assert new.any()
    plate = np.where(own == 0, data, data + own)
    np.testing.assert_array_equal(found[same].view(np.uint32), plate[same].view(np.uint32))
    np.testing.assert_array_equal(found[new].view(np.uint32), fresh[new].view(np.uint32))
    weighed = run(stock, data, fresh, own, clean, changed, matte, isa=isa)
    none = np.broadcast_to(~(matte > 0), data.shape)
    np.testing.assert_array_equal(weighed[none].view(np.uint32), data[none].view(np.uint32))
    full = np.broadcast_to(matte >= 1, data.shape)
    np.testing.assert_array_equal(weighed[full].view(np.uint32), found[full].view(np.uint32))


def test_a_tile_is_a_crop_of_the_whole(stock):
    parts = scene(45, 70, 2)
    whole = Region.sized(70, 45, -3, 5)
    want = run(stock, *parts)
    for tile in (Region(-3, 5, -2, 6), Region(11, 7, 60, 49), Region(50, 30, 67, 50)):
        y, x = tile.y0 - whole.y0, tile.x0 - whole.x0
        cut = [np.ascontiguousarray(part[:, y : y + tile.height, x : x + tile.width]) for part in parts]
        found = run(stock, *cut, region=tile)
        np.testing.assert_array_equal(found, want[:, y : y + tile.height, x : x + tile.width])
