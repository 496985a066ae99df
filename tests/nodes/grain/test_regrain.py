import sys
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from safelight.graph.device import Device, choose_device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.grain.laying import TILE, film
from safelight.nodes.grain.regrain import Regrain, RegrainParams, film_layers, pitch_of
from safelight.nodes.grain.spectrum import pixel_correlation, pixel_ratio, spectrum_1d
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.kernels import cuda
from safelight.nodes.kernels.launch import isas
from tests.graph.toys import toys
from tests.stand_ins import cupy_like


def clip_of(image: Image, width: int = 0) -> Clip:
    display = Region.sized(width or image.region.width, image.region.height)
    return Clip(1, 100, display, image.region, channels=image.channels)


def regrain(
    data, *, frame=1, region=None, channels=("R", "G", "B"), part=None, threads=2, width=0, matte=None, **params
):
    """Run the node on planes (C, H, W); `part` asks for some pixels only."""
    data = np.asarray(data, np.float32)
    region = region or Region.sized(data.shape[2], data.shape[1])
    image = Image(data, region, channels, {"note": "kept"})
    chosen = RegrainParams(**params)
    request = Request(frame, part or region)
    clip = clip_of(image, width)
    images, clips = {"input": {frame: image}}, {"input": clip}
    if matte is not None:
        images["matte"] = {frame: matte}
        clips["matte"] = Clip(1, 100, clip.display, matte.region, channels=matte.channels)
    Regrain().check(chosen, clips, Settings())
    inputs = Inputs(request, images, clips)
    return Regrain().compute(chosen, request, inputs, Device("cpu", threads))


def flat(stops, height=128, width=128):
    return np.full((3, height, width), 0.18 * 2.0**stops, np.float32)


def grain_of(data, result, stock, layer):
    """Return what was added to the density of one layer."""
    curve = load_stock(stock).curves[layer]
    return curve.net(result.data[layer]) - curve.net(data[layer])


def test_strength_zero_hands_the_picture_on():
    data = flat(0)
    params = RegrainParams(strength=0)
    assert Regrain().identity(params, Request(1, Region.sized(8, 8))) == "input"
    assert Regrain().identity(RegrainParams(), Request(1, Region.sized(8, 8))) is None
    np.testing.assert_array_equal(regrain(data, strength=0).data, data)


def test_strength_scales_sigma():
    data = flat(-2)
    one, three = (grain_of(data, regrain(data, strength=s, pitch=6), "500T", 1) for s in (1, 3))
    np.testing.assert_allclose(three, 3 * one, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("stops", [-9, -4, 0, 6, 10])
def test_sigma_is_that_of_the_exposure_and_the_mean_density_is_kept(stops):
    data = flat(stops, 512, 512)
    result = regrain(data, pitch=12, stock="250D")
    stock = load_stock("250D")
    for layer in range(3):
        grain = grain_of(data, result, "250D", layer)
        want = stock.sigma48_at(layer, data[layer, 0, 0]) * pixel_ratio(stock.cloud_um[layer], 12)
        # Neighbours are correlated at this pitch only a little: about as many samples as pixels.
        assert grain.std() == pytest.approx(want, rel=4 * 1.3 / np.sqrt(2 * grain.size))
        assert abs(grain.mean()) < 4 * 2 * want / 512


def test_a_plate_with_all_its_grain_is_handed_on():
    params, request = RegrainParams(left=1), Request(1, Region.sized(8, 8))
    assert Regrain().identity(params, request) == "input"
    assert Regrain().identity(RegrainParams(left=0.99), request) is None
    np.testing.assert_array_equal(regrain(flat(0), left=1).data, flat(0))


def test_left_scales_what_is_added():
    data = flat(-1)
    full, part = (grain_of(data, regrain(data, left=left, pitch=6), "500T", 0) for left in (0, 0.6))
    np.testing.assert_allclose(part, 0.8 * full, atol=2e-5)


def test_dark_light_is_brightened_by_symmetric_density():
    # Convex inverse curve: known, stated in the help, and not compensated.
    data = flat(-2, 512, 512)
    result = regrain(data, pitch=6.08, stock="500T")
    assert 1.02 < result.data[2].mean() / data[2].mean() < 1.15
    assert "brighter" in str(RegrainParams.model_fields["strength"].description)


@pytest.mark.parametrize("pitch", [12.15, 6.08, 4.05])
def test_spectrum_is_the_models(pitch):
    stock, size, frames = load_stock("500T"), 256, 16
    data = flat(0, size, size)
    # Without a window the strong low frequencies leak into the weak high ones.
    window = np.outer(np.hanning(size), np.hanning(size))
    for layer in (1, 2):
        power = np.zeros((size, size))
        for frame in range(frames):
            grain = grain_of(data, regrain(data, pitch=pitch, frame=frame), "500T", layer)
            power += np.abs(np.fft.fft2(window * grain)) ** 2 / np.sum(window**2) / frames
        f = np.abs(np.fft.fftfreq(size))
        sigma = stock.sigma48(layer, 0) * pixel_ratio(stock.cloud_um[layer], pitch)
        one = spectrum_1d(stock.cloud_um[layer], pitch, f)
        want = sigma**2 * np.outer(one, one)
        radius = np.hypot(f[:, None], f[None, :])
        bins = np.clip((radius / 0.5 * 10).astype(int), 0, 10)
        for i in range(10):
            inside = bins == i
            # Half of the bins are mirror images, and the window makes neighbours alike (1.94 times in each direction).
            bound = 4.5 * np.sqrt(2 * 1.94**2 / (frames * inside.sum())) + 3e-3
            assert power[inside].mean() == pytest.approx(want[inside].mean(), rel=bound), i


def test_frames_layers_and_seeds_are_independent():
    data = flat(0, 512, 512)

    def fields(**kwargs):
        result = regrain(data, pitch=6.08, **kwargs)
        return [field / field.std() for field in (grain_of(data, result, "500T", layer) for layer in range(3))]

    first = fields(frame=10)
    # Correlated pixels are fewer independent samples, by the sum of their squared correlations (under 2²).
    bound = 5 * 2.0 / 512
    for other in (fields(frame=11), fields(frame=9), fields(frame=10, seed=2), [first[1], first[2], first[0]]):
        for one, two in zip(first, other, strict=True):
            assert abs((one * two).mean()) < bound
    again = fields(frame=10)
    np.testing.assert_array_equal(first[0], again[0])


@pytest.mark.parametrize("pitch", [12.15, 4.05])
def test_layers_share_grain_as_asked_and_keep_their_sigma(pitch):
    data, frames, stock = flat(0, 512, 512), range(4), load_stock("500T")

    def moments(correlation):
        pixels = []
        for frame in frames:
            result = regrain(data, pitch=pitch, correlation=correlation, frame=frame)
            pixels.append(np.stack([grain_of(data, result, "500T", layer).ravel() for layer in range(3)]))
        grain = np.concatenate(pixels, 1)
        return grain.std(1), np.corrcoef(grain)

    for correlation in (0, 0.5, 1):
        sigma, found = moments(correlation)
        for layer in range(3):
            want = stock.sigma48(layer, 0) * pixel_ratio(stock.cloud_um[layer], pitch)
            assert sigma[layer] == pytest.approx(want, rel=0.01)
        # Blue clouds are larger than green ones: their pixels correlate by a known factor less.
        green_blue = pixel_correlation(0.30 * correlation, stock.cloud_um[1], stock.cloud_um[2], pitch)
        assert 0.9 * 0.30 * correlation <= green_blue <= 0.30 * correlation
        assert found[0, 1] == pytest.approx(0.18 * correlation, abs=0.01)
        assert found[1, 2] == pytest.approx(green_blue, abs=0.01)
        assert found[1, 2] == pytest.approx(0.30 * correlation, abs=0.03)
        assert found[0, 2] == pytest.approx(0, abs=0.01)


def test_shared_grain_does_not_hang_on_the_channels_at_hand():
    data = flat(0)
    whole = regrain(data, pitch=6, correlation=1).data
    np.testing.assert_array_equal(regrain(data[:1], channels=("Y",), pitch=6, correlation=1).data[0], whole[1])
    two = regrain(data[:2], channels=("B", "G"), pitch=6, correlation=1).data
    np.testing.assert_array_equal(two, whole[[2, 1]])


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_tiles_and_threads_cannot_show(threads):
    rng = np.random.default_rng(4)
    data = (0.18 * np.exp2(rng.normal(0, 3, (3, 301, 571)))).astype(np.float32)
    region = Region(-20, -31, 551, 270)
    want = regrain(data, region=region, threads=2, width=2048).data
    for size in (64, 97, 200):
        made = np.empty_like(want)
        for tile in region.tiles(size):
            part = regrain(data, region=region, part=tile, threads=threads, width=2048)
            assert part.region == tile
            y, x = tile.y0 - region.y0, tile.x0 - region.x0
            made[:, y : y + tile.height, x : x + tile.width] = part.data
        np.testing.assert_array_equal(made, want)


def test_tile_size_is_the_kernels():
    from safelight.nodes.kernels.source import find

    text = find("regrain").path.read_text()
    assert f"WIDTH = {TILE[0]}, HEIGHT = {TILE[1]}" in text


def test_other_channels_and_metadata_stay():
    rng = np.random.default_rng(1)
    data = rng.random((6, 33, 40), dtype=np.float32)
    channels = ("A", "B", "G", "R", "depth.Z", "matte")
    result = regrain(data, channels=channels, pitch=6)
    for plane in (0, 4, 5):
        np.testing.assert_array_equal(result.data[plane], data[plane])
    plain = regrain(data[[3, 2, 1]], pitch=6)
    np.testing.assert_array_equal(result.data[[3, 2, 1]], plain.data)
    assert result.channels == channels
    assert result.metadata == {"note": "kept"}


def test_a_lone_luminance_is_the_green_layer():
    data = flat(0)
    alone = regrain(data[:1], channels=("Y",), pitch=6)
    np.testing.assert_array_equal(alone.data[0], regrain(data, pitch=6).data[1])
    assert film_layers(("Y", "A")) == ((0,), (1,))
    assert film_layers(("G", "Z")) == ((0,), (1,))


def test_the_input_is_not_written_to():
    data = flat(0)
    keep = data.copy()
    regrain(data, pitch=6)
    np.testing.assert_array_equal(data, keep)


def test_the_pitch_is_the_formats_width_over_the_display_window():
    clip = Clip(1, 1, Region.sized(4096, 2160), Region(100, 100, 200, 200))
    assert pitch_of(RegrainParams(), clip) == pytest.approx(24890 / 4096)
    assert pitch_of(RegrainParams(format="super16"), clip) == pytest.approx(12520 / 4096)
    assert pitch_of(RegrainParams(pitch=6), clip) == 6


@pytest.mark.parametrize("tile", [16, 33])
def test_in_a_graph_tile_by_tile(tile):
    registry = toys()
    registry.add(Regrain)
    text = """
safelight = 1
[nodes.plate]
type = "Noise"
width = 70
height = 50
frames = 3
x0 = -4
[nodes.grained]
type = "Regrain"
stock = "250D"
input = "plate"
"""
    graph = Graph.from_document(Document.parse(text, Path()), registry)
    whole, cut = (
        dict(pull(graph, "grained", "image", [1, 2, 3], device=Device("cpu", 2), tile=size)) for size in (0, tile)
    )
    for frame in (1, 2, 3):
        np.testing.assert_array_equal(cut[frame].data, whole[frame].data)
    assert np.abs(whole[1].data - whole[2].data).max() > 0


@pytest.mark.skipif("scalar" not in isas(), reason="the stand-in runs the scalar build")
def test_a_device_makes_the_same_picture(monkeypatch):
    rng = np.random.default_rng(6)
    data = (0.18 * np.exp2(rng.normal(0, 3, (4, 37, 91)))).astype(np.float32)
    region, channels = Region.sized(91, 37, 3, -6), ("R", "G", "B", "A")
    matte = ramp(Region.sized(70, 37, 9, -6))
    want = regrain(data, region=region, channels=channels, pitch=6, matte=matte, correlation=1).data
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    monkeypatch.setattr(cuda, "run", cupy_like.run)
    cupy_like.LAUNCHED.clear()
    device = Device("cuda", 1)
    image = device.upload(Image(data, region, channels))
    clip, request = clip_of(image), Request(1, region)
    images = {"input": {1: image}, "matte": {1: device.upload(matte)}}
    inputs = Inputs(request, images, {"input": clip, "matte": clip})
    made = Regrain().compute(RegrainParams(pitch=6, correlation=1), request, inputs, device)
    assert cupy_like.LAUNCHED == ["regrain_white", "regrain_rows", "regrain_apply"]
    np.testing.assert_array_equal(device.download(made).data, want)


@pytest.mark.gpu
def test_a_gpu_agrees_with_the_cpu():
    if choose_device("auto").kind != "cuda":
        pytest.skip("needs a CUDA device")
    data, matte = flat(0, 123, 321), ramp(Region(10, 0, 300, 120))
    device = Device("cuda")
    image = device.upload(Image(data, Region.sized(321, 123)))
    for params, under in (({"pitch": 6}, None), ({"pitch": 6, "correlation": 1}, matte)):
        want = regrain(data, matte=under, **params).data
        images = {"input": {1: image}} | ({"matte": {1: device.upload(under)}} if under else {})
        inputs = Inputs(Request(1, image.region), images, {port: clip_of(image) for port in images})
        made = Regrain().compute(RegrainParams(**params), Request(1, image.region), inputs, device)
        np.testing.assert_allclose(device.download(made).data, want, rtol=1e-5)


def ramp(region, low=0.0, high=1.0):
    """A matte that rises from column to column."""
    row = np.linspace(low, high, region.width, dtype=np.float32)
    return Image(np.broadcast_to(row, (1, region.height, region.width)).copy(), region, ("A",))


def test_a_matte_scales_the_sigma_in_density():
    data, region = flat(-2), Region.sized(128, 128)
    full = grain_of(data, regrain(data, pitch=6), "500T", 2)
    matte = ramp(region)
    found = grain_of(data, regrain(data, pitch=6, matte=matte), "500T", 2)
    np.testing.assert_allclose(found, full * matte.data[0], atol=2e-5)
    assert np.abs(full).max() > 0.05


def test_where_the_matte_is_zero_or_absent_the_plate_keeps_its_bits():
    rng = np.random.default_rng(8)
    data = (0.18 * np.exp2(rng.normal(0, 3, (4, 90, 120)))).astype(np.float32)
    data[0, 0, :9], data[1, 5, 30:90] = np.nan, -0.0
    region, channels = Region.sized(120, 90, -7, 4), ("R", "G", "B", "A")
    window = Region(13, 20, 77, 61)
    matte = ramp(window, -0.5, 1.5)
    full = regrain(data, region=region, channels=channels, pitch=6).data
    made = regrain(data, region=region, channels=channels, pitch=6, matte=matte).data
    weight = np.zeros((90, 120), np.float32)
    weight[16:57, 20:84] = matte.data[0]
    np.testing.assert_array_equal(made[:, weight <= 0].view(np.uint32), data[:, weight <= 0].view(np.uint32))
    np.testing.assert_array_equal(made[:, weight >= 1], full[:, weight >= 1])
    assert np.all(made[:3, (weight > 0.1) & (weight < 1)] != data[:3, (weight > 0.1) & (weight < 1)])
    np.testing.assert_array_equal(made[3], data[3])
    for tile in region.tiles(37):
        part = regrain(data, region=region, channels=channels, pitch=6, matte=matte, part=tile).data
        y, x = tile.y0 - region.y0, tile.x0 - region.x0
        np.testing.assert_array_equal(part, made[:, y : y + tile.height, x : x + tile.width])
    away = ramp(Region(200, 200, 210, 210))
    np.testing.assert_array_equal(regrain(data, region=region, channels=channels, pitch=6, matte=away).data, data)


def test_a_matte_of_another_size_is_refused():
    region = Region.sized(64, 64)
    clips = {"input": Clip(1, 1, region, region), "matte": Clip(1, 1, Region.sized(64, 63), region, channels=("A",))}
    with pytest.raises(GraphError, match="'matte' is 64x63") as error:
        Regrain().check(RegrainParams(), clips, Settings())
    assert "one size" in str(error.value)


@pytest.mark.parametrize("tile", [16, 33])
def test_a_matte_in_a_graph_tile_by_tile(tile):
    registry = toys()
    registry.add(Regrain)
    text = """
safelight = 1
[nodes.plate]
type = "Noise"
width = 70
height = 50
[nodes.matte]
type = "Noise"
width = 70
height = 50
x0 = 9
[nodes.grained]
type = "Regrain"
correlation = 1.0
inputs = {input = "plate", matte = "matte"}
"""
    graph = Graph.from_document(Document.parse(text, Path()), registry)
    whole, cut, plate = (
        dict(pull(graph, name, "image", [1], device=Device("cpu", 2), tile=size))[1]
        for name, size in (("grained", 0), ("grained", tile), ("plate", 0))
    )
    np.testing.assert_array_equal(cut.data, whole.data)
    np.testing.assert_array_equal(whole.data[:, :, :9], plate.data[:, :, :9])
    assert np.any(whole.data[:, :, 9:] != plate.data[:, :, 9:])


def test_one_pixel_and_tiny_pictures():
    for size in [(1, 1), (1, 7), (7, 1)]:
        result = regrain(flat(0, *size), pitch=6)
        assert np.all(np.isfinite(result.data))
        assert np.all(result.data != flat(0, *size))
    # One pixel as wide as the film: its grain averages out, and is not refused.
    wide = regrain(flat(0, 1, 1))
    assert abs(wide.data / 0.18 - 1).max() < 0.01


@pytest.mark.parametrize(
    ("params", "channels", "words"),
    [
        ({"stock": "500D"}, ("R", "G", "B"), ["500D", "500T (5219)"]),
        ({"format": "super35_4prf"}, ("R", "G", "B"), ["super35_4prf", "super35_4perf"]),
        ({}, ("A", "Z", "N"), ["no R, G, B or Y", "A, Z, N"]),
        ({"pitch": 0.1}, ("R", "G", "B"), ["too fine", "coarser pitch"]),
    ],
)
def test_bad_input_is_refused_before_rendering(params, channels, words):
    clip = Clip(1, 1, Region.sized(64, 64), Region.sized(64, 64), channels=channels)
    with pytest.raises(GraphError) as error:
        Regrain().check(RegrainParams(**params), {"input": clip}, Settings())
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "params",
    [
        {"pitch": -1},
        {"strength": -0.1},
        {"strength": float("nan")},
        {"correlation": 1.1},
        {"left": -0.1},
        {"left": 1.01},
        {"seed": -1},
        {"seed": 2**32},
        {"size": 1},
    ],
)
def test_parameters_out_of_range_are_refused(params):
    with pytest.raises(ValidationError):
        RegrainParams(**params)


def test_the_film_is_prepared_once():
    stock = load_stock("200T")
    assert film(stock, 6.0, (0, 1, 2)) is film(load_stock("5213"), 6.0, (0, 1, 2))
