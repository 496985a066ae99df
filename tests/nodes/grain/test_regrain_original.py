"""Regrain's original-grain mode: degrained, painted on, and the plate's own grain where nothing was painted."""

import sys
from pathlib import Path

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.graph.registry import Registry
from safelight.graph.render import pull
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.grain.regrain import Regrain, RegrainParams
from safelight.nodes.grain.spectrum import pixel_ratio
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.io.plate import Plate
from safelight.nodes.kernels import cuda
from safelight.nodes.kernels.launch import isas
from safelight.nodes.merge.mix import Mix
from tests.stand_ins import cupy_like

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
        back = regrain({"input": clean, "grain": grain, "clean": clean, **more})
        np.testing.assert_array_equal(back.data.view(np.uint32), plate.data.view(np.uint32))


def test_paint_gets_fresh_grain_and_the_rest_the_plates_bits(taken):
    plate, clean, grain = taken
    mask = soft_mask()
    paint = painted(clean, mask)
    made = regrain({"input": paint, "grain": grain, "clean": clean, "changed": mask})
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
        made = go({"input": flat, "grain": own, "clean": flat, "changed": changed})
        for layer, curve in enumerate(STOCK.curves):
            sigma = curve.net(made[layer]).std()
            assert sigma == pytest.approx(curve.net(plate.data[layer]).std(), rel=0.03), share


def test_grain_of_bright_light_does_no_harm_on_dark_paint(taken):
    """At a soft edge the plate's grain comes on other light: carried over in density it is that light's grain."""
    _, clean, grain = taken
    half = image(np.full((1, WHOLE.height, WHOLE.width), 0.5), channels=("A",))
    bright = clean.data[1] > 0.8
    assert bright.sum() > 500
    dark = clean.with_data(np.full_like(clean.data, 0.02))
    made = regrain({"input": dark, "grain": grain, "clean": clean, "changed": half})
    for layer, curve in enumerate(STOCK.curves):
        wild = curve.net(0.02 + grain.data[layer][bright]) - curve.net(0.02)
        sigma = (curve.net(made.data[layer]) - curve.net(0.02))[bright].std()
        target = float(STOCK.sigma48_at(layer, 0.02)) * pixel_ratio(STOCK.cloud_um[layer], 6.08)
        assert sigma == pytest.approx(target, rel=0.25)
        assert wild.std() > 2 * target


def test_a_grade_carries_the_grain_over(taken):
    """Two stops down, nothing painted: density changes as on the plate, by the ratio of sigma there."""
    _, clean, grain = taken
    graded = clean.with_data(clean.data * np.float32(0.25))
    made = regrain({"input": graded, "grain": grain, "clean": clean})
    for layer, curve in enumerate(STOCK.curves):
        before = curve.net(clean.data[layer] + grain.data[layer]) - curve.net(clean.data[layer])
        ratio = STOCK.sigma48_at(layer, graded.data[layer]) / STOCK.sigma48_at(layer, clean.data[layer])
        found = curve.net(made.data[layer]) - curve.net(graded.data[layer])
        np.testing.assert_allclose(found, ratio * before, atol=2e-4)


def test_tiles_cannot_show_whatever_the_windows(taken):
    _, clean, grain = taken
    grain = grain.crop(Region(2, 7, 150, 110))
    mask = soft_mask(Region(20, 20, 140, 100))
    matte = image(np.linspace(-0.2, 1.3, 100 * 130).reshape(1, 100, 130), Region(10, 12, 140, 112), ("A",))
    ports = {"input": clean, "grain": grain, "clean": clean, "changed": mask, "matte": matte}
    want = regrain(ports).data
    for tile in WHOLE.tiles(53):
        part = regrain(ports, tile).data
        y, x = tile.y0 - WHOLE.y0, tile.x0 - WHOLE.x0
        np.testing.assert_array_equal(part, want[:, y : y + tile.height, x : x + tile.width])
    # Outside the matte nothing happens; outside the grain's data window the plate's grain is not known: fresh.
    np.testing.assert_array_equal(want[:, :, :14], clean.data[:, :, :14])
    edge = Region(145, 20, 150, 30)
    known = regrain({"input": clean, "grain": grain, "clean": clean}, Region(150, 20, 156, 30)).data
    np.testing.assert_array_equal(known, regrain({"input": clean}, Region(150, 20, 156, 30)).data)
    assert np.any(
        regrain({"input": clean, "grain": grain, "clean": clean}, edge).data != regrain({"input": clean}, edge).data
    )


def test_a_changed_pixel_takes_the_fresh_picture_that_is_given(taken):
    plate, clean, grain = taken
    mask = soft_mask()
    fresh = clean.with_data(clean.data * np.float32(1.25))
    made = regrain({"input": clean, "grain": grain, "clean": clean, "changed": mask, "fresh": fresh})
    new = np.broadcast_to(mask.data, made.data.shape) == 1
    np.testing.assert_array_equal(made.data[new], fresh.data[new])
    kept = np.broadcast_to(mask.data, made.data.shape) == 0
    np.testing.assert_array_equal(made.data[kept], plate.data[kept])


def test_planes_are_found_by_name(taken):
    _, clean, grain = taken
    mask = soft_mask()
    want = regrain({"input": clean, "grain": grain, "clean": clean, "changed": mask}).data
    alpha = np.full((1, *clean.data.shape[1:]), 0.7, np.float32)
    turned = image(np.concatenate([alpha, grain.data[::-1]]), channels=("A", "b", "G", "R"))
    five = image(np.concatenate([clean.data[::-1], alpha]), channels=("B", "G", "R", "A"))
    found = regrain({"input": five, "grain": turned, "clean": clean, "changed": mask}).data
    np.testing.assert_array_equal(found[[2, 1, 0]], want)
    np.testing.assert_array_equal(found[3], alpha[0])


@pytest.mark.parametrize("tile", [0, 37])
def test_in_a_graph_the_plate_comes_back(tile):
    registry = Registry()
    for node in (Plate, Regrain, Degrain, Mix):
        registry.add(node)
    text = """
safelight = 1
[nodes.scene]
type = "Plate"
width = 96
height = 70
frames = 2
[nodes.other]
type = "Plate"
width = 96
height = 70
frames = 2
seed = 5
[nodes.film]
type = "Regrain"
input = "scene"
pitch = 12.0
[nodes.degrain]
type = "Degrain"
input = "film"
noise = "stock"
pitch = 12.0
[nodes.hole]
type = "Regrain"
inputs = {input = "degrain", grain = "degrain.grain", clean = "degrain"}
[nodes.comp]
type = "Mix"
inputs = {a = "degrain", b = "other", matte = "other"}
[nodes.again]
type = "Regrain"
pitch = 12.0
inputs = {input = "comp", grain = "degrain.grain", clean = "degrain", changed = "other"}
"""
    graph = Graph.from_document(Document.parse(text, Path()), registry)

    def get(name, output="image"):
        return dict(pull(graph, name, output, [1001], device=Device("cpu", 2), tile=tile))[1001].data

    clean, grain = get("degrain"), get("degrain", "grain")
    assert np.mean(grain != 0) > 0.9
    np.testing.assert_array_equal(get("hole"), clean + grain)
    made, whole = get("again"), dict(pull(graph, "again", "image", [1001], device=Device("cpu", 1)))[1001].data
    np.testing.assert_array_equal(made, whole)
    assert np.mean(made != get("comp")) > 0.9


@pytest.mark.skipif("scalar" not in isas(), reason="the stand-in runs the scalar build")
def test_a_device_makes_the_same_picture(taken, monkeypatch):
    _, clean, grain = taken
    ports = {"input": painted(clean, soft_mask()), "grain": grain, "clean": clean, "changed": soft_mask()}
    want = regrain(ports).data
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    monkeypatch.setattr(cuda, "run", cupy_like.run)
    cupy_like.LAUNCHED.clear()
    device, request = Device("cuda", 1), Request(1, WHOLE)
    images = {port: {1: device.upload(given)} for port, given in ports.items()}
    inputs = Inputs(request, images, {port: Clip(1, 1, WHOLE, WHOLE) for port in ports})
    made = Regrain().compute(RegrainParams(pitch=6.08), request, inputs, device)
    assert cupy_like.LAUNCHED == ["regrain_white", "regrain_rows", "regrain_apply", "regrain_original"]
    np.testing.assert_array_equal(device.download(made).data, want)


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
        ({"grain": PICTURE}, {}, ["'grain' is connected and 'clean' is not", "output 'image'"]),
        ({"grain": PICTURE, "clean": MASK}, {}, ["'clean' has no channel R, G, B"]),
        ({"fresh": PICTURE}, {}, ["'fresh' is connected"]),
        ({"grain": OTHER}, {}, ["'grain' is", "one size"]),
        ({"grain": PICTURE, "clean": PICTURE, "changed": OTHER}, {}, ["'changed' is", "one size"]),
        ({"grain": (WHOLE, WHOLE, ("R", "B")), "clean": PICTURE}, {}, ["'grain' has no channel G", "R, B"]),
        ({"grain": PICTURE, "clean": PICTURE, "fresh": MASK}, {}, ["'fresh' has no channel R, G, B"]),
        ({"grain": PICTURE, "clean": PICTURE}, {"strength": 0}, ["strength 0", "above 0"]),
        ({"grain": PICTURE, "clean": PICTURE}, {"left": 1}, ["left 1"]),
    ],
)
def test_what_would_go_wrong_is_refused_before_rendering(ports, params, words):
    with pytest.raises(GraphError) as error:
        refusal({"input": PICTURE, **ports}, **params)
    for word in words:
        assert word in str(error.value)


def test_grain_without_a_matte_of_changes_is_remarked():
    (remark,) = refusal({"input": PICTURE, "grain": PICTURE, "clean": PICTURE})
    assert "'changed' is not connected" in remark
    assert not refusal({"input": PICTURE, "grain": PICTURE, "clean": PICTURE, "changed": MASK})
