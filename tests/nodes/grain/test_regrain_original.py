"""Regrain's original-grain mode: degrained, painted on, and the plate's own grain where nothing was painted."""

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.grain.regrain import Regrain, RegrainParams
from safelight.nodes.grain.stock import load_stock

STOCK = load_stock("500T")
WHOLE = Region.sized(160, 120, -4, 7)


def image(data, region=WHOLE, channels=("R", "G", "B")):
    return Image(np.asarray(data, np.float32), region, channels)


def run(node, params, ports, region=WHOLE):
    request = Request(1, region)
    clips = {port: Clip(1, 1, WHOLE, given.region, channels=given.channels) for port, given in ports.items()}
    node.check(params, clips, Settings())
    cut = {port: {1: given.crop(given.region.intersect(region))} for port, given in ports.items()}
    return node.compute(params, request, Inputs(request, cut, clips), Device("cpu", 2))


def regrain(ports, region=WHOLE, **params):
    return run(Regrain(), RegrainParams(**{"pitch": 6.08} | params), ports, region)


@pytest.fixture(scope="module")
def taken():
    """Return (plate, clean, grain) of a half-float 500T plate, by the Degrain itself."""
    y, x = np.mgrid[: WHOLE.height, : WHOLE.width]
    clean = 0.18 * np.exp2(4 * np.sin(x / 40) * np.cos(y / 31) - 1)
    plate = regrain({"input": image(np.stack([clean, 0.8 * clean, 0.6 * clean]))}, seed=50)
    plate = image(plate.data.astype(np.float16))
    node, params = Degrain(), DegrainParams(noise="stock", pitch=6.08, radius=0)
    request = Request(1, WHOLE)
    clips = {"input": Clip(1, 1, WHOLE, WHOLE)}
    ready = node.prepare(params, "input", plate, Device("cpu", 2))
    inputs = Inputs(request, {"input": {1: plate}}, clips, prepared=lambda port, frame: ready)
    made = node.compute(params, request, inputs, Device("cpu", 2))
    return plate, made["image"], made["grain"]


def painted(clean, mask):
    """Paint a flat grey over the clean picture where the matte says so."""
    return image(np.where(mask.data > 0, mask.data * 0.3 + (1 - mask.data) * clean.data, clean.data))


def soft_mask(region=WHOLE):
    y, x = np.mgrid[region.y0 : region.y1, region.x0 : region.x1]
    distance = np.hypot(x - 70, y - 60)
    return image(np.clip((45 - distance) / 12, 0, 1)[None], region, ("A",))


def test_an_unchanged_picture_is_the_plate_to_the_bit(taken):
    plate, clean, grain = taken
    assert np.abs(grain.data).max() > 0.01
    nothing = image(np.zeros((1, WHOLE.height, WHOLE.width)), channels=("A",))
    for more in ({}, {"changed": nothing}):
        back = regrain({"input": clean, "grain": grain, **more})
        np.testing.assert_array_equal(back.data.view(np.uint32), plate.data.view(np.uint32))


def test_paint_gets_fresh_grain_and_the_rest_the_plates_bits(taken):
    plate, clean, grain = taken
    mask = soft_mask()
    paint = painted(clean, mask)
    made = regrain({"input": paint, "grain": grain, "changed": mask})
    fresh = regrain({"input": paint})
    kept, new = np.broadcast_to(mask.data, made.data.shape) == 0, np.broadcast_to(mask.data, made.data.shape) == 1
    np.testing.assert_array_equal(made.data.view(np.uint32)[kept], plate.data.view(np.uint32)[kept])
    np.testing.assert_array_equal(made.data.view(np.uint32)[new], fresh.data.view(np.uint32)[new])
    assert np.mean(made.data[new] != paint.data[new]) > 0.99


def test_where_they_mix_the_variance_stays():
    """Weights sqrt(1 - c) and sqrt(c): linear ones would lose 29 % of sigma half way."""
    region = Region.sized(320, 320)
    flat = Image(np.full((3, 320, 320), 0.09, np.float32), region)

    def go(ports):
        request = Request(1, region)
        clips = {port: Clip(1, 1, region, region, channels=given.channels) for port, given in ports.items()}
        inputs = Inputs(request, {port: {1: given} for port, given in ports.items()}, clips)
        return Regrain().compute(RegrainParams(pitch=6.08), request, inputs, Device("cpu", 2)).data

    request = Request(1, region)
    inputs = Inputs(request, {"input": {1: flat}}, {"input": Clip(1, 1, region, region)})
    plate = Regrain().compute(RegrainParams(pitch=6.08, seed=77), request, inputs, Device("cpu", 2))
    own = flat.with_data(plate.data - flat.data)
    for share in (0.0, 0.1, 0.5, 0.9, 1.0):
        changed = Image(np.full((1, 320, 320), share, np.float32), region, ("A",))
        made = go({"input": flat, "grain": own, "changed": changed})
        for layer, curve in enumerate(STOCK.curves):
            sigma = curve.net(made[layer]).std()
            assert sigma == pytest.approx(curve.net(plate.data[layer]).std(), rel=0.03), share


def test_tiles_cannot_show_whatever_the_windows(taken):
    _, clean, grain = taken
    grain = grain.crop(Region(2, 7, 150, 110))
    mask = soft_mask(Region(20, 20, 140, 100))
    matte = image(np.linspace(-0.2, 1.3, 100 * 130).reshape(1, 100, 130), Region(10, 12, 140, 112), ("A",))
    ports = {"input": clean, "grain": grain, "changed": mask, "matte": matte}
    want = regrain(ports).data
    for tile in WHOLE.tiles(53):
        part = regrain(ports, tile).data
        y, x = tile.y0 - WHOLE.y0, tile.x0 - WHOLE.x0
        np.testing.assert_array_equal(part, want[:, y : y + tile.height, x : x + tile.width])
    # Outside the matte nothing happens; outside the grain's data window the plate's grain is not known: fresh.
    np.testing.assert_array_equal(want[:, :, :14], clean.data[:, :, :14])
    edge = Region(145, 20, 150, 30)
    known = regrain({"input": clean, "grain": grain}, Region(150, 20, 156, 30)).data
    np.testing.assert_array_equal(known, regrain({"input": clean}, Region(150, 20, 156, 30)).data)
    assert np.any(regrain({"input": clean, "grain": grain}, edge).data != regrain({"input": clean}, edge).data)


def test_a_changed_pixel_takes_the_fresh_picture_that_is_given(taken):
    plate, clean, grain = taken
    mask = soft_mask()
    fresh = clean.with_data(clean.data * np.float32(1.25))
    made = regrain({"input": clean, "grain": grain, "changed": mask, "fresh": fresh})
    new = np.broadcast_to(mask.data, made.data.shape) == 1
    np.testing.assert_array_equal(made.data[new], fresh.data[new])
    kept = np.broadcast_to(mask.data, made.data.shape) == 0
    np.testing.assert_array_equal(made.data[kept], plate.data[kept])


def test_planes_are_found_by_name(taken):
    _, clean, grain = taken
    mask = soft_mask()
    want = regrain({"input": clean, "grain": grain, "changed": mask}).data
    alpha = np.full((1, *clean.data.shape[1:]), 0.7, np.float32)
    turned = image(np.concatenate([alpha, grain.data[::-1]]), channels=("A", "b", "G", "R"))
    five = image(np.concatenate([clean.data[::-1], alpha]), channels=("B", "G", "R", "A"))
    found = regrain({"input": five, "grain": turned, "changed": mask}).data
    np.testing.assert_array_equal(found[[2, 1, 0]], want)
    np.testing.assert_array_equal(found[3], alpha[0])


def refusal(ports, **params):
    clips = {port: Clip(1, 1, *windows, channels=channels) for port, (*windows, channels) in ports.items()}
    return Regrain().check(RegrainParams(**params), clips, Settings())


PICTURE = (WHOLE, WHOLE, ("R", "G", "B"))
MASK = (WHOLE, WHOLE, ("A",))
OTHER = (Region.sized(80, 60), Region.sized(80, 60), ("R", "G", "B"))


@pytest.mark.parametrize(
    ("ports", "params", "words"),
    [
        ({"changed": MASK}, {}, ["'changed' is connected and 'grain' is not", "output 'grain'"]),
        ({"fresh": PICTURE}, {}, ["'fresh' is connected"]),
        ({"grain": OTHER}, {}, ["'grain' is", "one size"]),
        ({"grain": PICTURE, "changed": OTHER}, {}, ["'changed' is", "one size"]),
        ({"grain": (WHOLE, WHOLE, ("R", "B"))}, {}, ["'grain' has no channel G", "R, B"]),
        ({"grain": PICTURE, "fresh": MASK}, {}, ["'fresh' has no channel R, G, B"]),
        ({"grain": PICTURE}, {"strength": 0}, ["strength 0", "above 0"]),
        ({"grain": PICTURE}, {"left": 1}, ["left 1"]),
    ],
)
def test_what_would_go_wrong_is_refused_before_rendering(ports, params, words):
    with pytest.raises(GraphError) as error:
        refusal({"input": PICTURE, **ports}, **params)
    for word in words:
        assert word in str(error.value)


def test_grain_without_a_matte_of_changes_is_remarked():
    (remark,) = refusal({"input": PICTURE, "grain": PICTURE})
    assert "'changed' is not connected" in remark
    assert not refusal({"input": PICTURE, "grain": PICTURE, "changed": MASK})
