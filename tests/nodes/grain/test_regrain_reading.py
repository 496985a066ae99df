"""What a 48 µm microdensitometer reads on Regrain's flat patches: every stock, layer and pitch, over ten stops."""

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.nodes.grain.regrain import Regrain, RegrainParams
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.measure.microdensitometer import Microdensitometer

STOPS = range(-4, 7)
PITCHES = {"2K": 12.15, "4K": 6.08, "6K": 4.05}
SIDE = 400
"""Places of the disc in a row and in a column, half a disc apart: a standard error of about 0.25 % of sigma."""


def grained(image, frame, **params):
    """Return the node's picture."""
    request = Request(frame, image.region)
    inputs = Inputs(request, {"input": {frame: image}}, {"input": Clip(1, 999, image.region, image.region)})
    return Regrain().compute(RegrainParams(**params), request, inputs, Device("cpu", 2))


def density(stock, pitch, stops, size, frame, *steps):
    """Return the density picture of a regrained flat patch, (3, size, size), from the node itself, run once a step."""
    image = Image(np.full((3, size, size), 0.18 * 2.0**stops, np.float32), Region.sized(size, size))
    for params in steps or ({},):
        image = grained(
            image, frame, **{"stock": stock.id, "pitch": pitch, "seed": int(stock.id), "skew": 0.0} | params
        )
    light = image.data
    for layer, curve in enumerate(stock.curves):
        # Flat light: the curve is needed at few places, and a fine table of it is exact to 1e-7.
        low, high = float(light[layer].min()), float(light[layer].max())
        at = np.linspace(low, high, 20001)
        light[layer] = np.interp(light[layer], at, curve.net(at))
    return light


@pytest.mark.parametrize("pitch", PITCHES.values(), ids=PITCHES.keys())
@pytest.mark.parametrize("name", ["50D", "250D", "200T", "500T"])
def test_48_um_reading_within_one_per_cent(name, pitch):
    """A long reading at normal exposure, and short ones at every stop on the same grain.

    A short reading alone has too few places for one per cent. Its ratio to a short one at normal exposure, on the very
    same pixels and noise, has no such error: the ratio times the long reading is a control-variate estimate of the long
    reading at that stop. Skewed grain has another error on those pixels, so that this is symmetric grain; what skewness
    does to the reading is derived in `test_regrain_skew`.
    """
    stock, meter = load_stock(name), Microdensitometer(pitch)
    size = meter.weights.shape[0]
    step = max(1, size // 2)
    frame = 100 + int(pitch)

    def readings(stops, places):
        picture = density(stock, pitch, stops, (places - 1) * step + size, frame)
        return [meter.sigma(picture[layer], stock.cloud_um[layer], step) for layer in range(3)]

    long, short = readings(0, SIDE), readings(0, 24)
    for stops in STOPS:
        here = readings(stops, 24)
        for layer in range(3):
            want = float(stock.sigma48_at(layer, 0.18 * 2.0**stops))
            estimate = long[layer] * here[layer] / short[layer]
            assert estimate == pytest.approx(want, rel=0.01), ("RGB"[layer], stops)


@pytest.mark.parametrize("left", [0.3, 0.8])
@pytest.mark.parametrize("stops", [-3, 0, 4])
def test_what_is_left_and_what_is_added_read_the_target(left, stops):
    """A plate with a known share of the target's grain, and the rest added: 48 µm reading within 2 %."""
    stock, meter = load_stock("500T"), Microdensitometer(6.08)
    size = meter.weights.shape[0]
    step = max(1, size // 2)
    side = 250 * step + size
    plate, both = {"strength": left, "seed": 77}, {"left": left}
    residual, whole = (density(stock, 6.08, stops, side, 7, *steps) for steps in ((plate,), (plate, both)))
    for layer in range(3):
        want = float(stock.sigma48_at(layer, 0.18 * 2.0**stops))
        assert meter.sigma(residual[layer], stock.cloud_um[layer], step) == pytest.approx(left * want, rel=0.02)
        assert meter.sigma(whole[layer], stock.cloud_um[layer], step) == pytest.approx(want, rel=0.02)
