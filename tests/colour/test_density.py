import numpy as np
import pytest

from safelight.colour.density import Curve, CurveTables, octave_samples
from safelight.nodes.grain.stock import load_stock

STOCKS = ("5203", "5207", "5213", "5219")
LAYERS = [(number, layer) for number in STOCKS for layer in range(3)]


def light() -> np.ndarray:
    stops = np.linspace(-20, 40, 6001)
    return np.concatenate([-0.18 * np.exp2(stops[:3000]), [0.0], 0.18 * np.exp2(stops)])


@pytest.mark.parametrize(("number", "layer"), LAYERS)
def test_goes_through_the_tabled_points(number, layer):
    stock = load_stock(number)
    curve = stock.curves[layer]
    x = stock.log_exposure
    above = 0.18 * 10.0**x > curve.e_toe
    tabled = np.array(stock.data["density"]["RGB"[layer]])
    np.testing.assert_allclose(curve.density(0.18 * 10.0 ** x[above]), tabled[above], rtol=0, atol=1e-9)


@pytest.mark.parametrize(("number", "layer"), LAYERS)
def test_round_trip_of_every_light(number, layer):
    curve = load_stock(number).curves[layer]
    e = light()
    np.testing.assert_allclose(curve.exposure_of_net(curve.net(e)), e, rtol=1e-11, atol=0)
    some = np.abs(e) > 1e-4
    np.testing.assert_allclose(curve.exposure(curve.density(e))[some], e[some], rtol=1e-6, atol=0)


@pytest.mark.parametrize(("number", "layer"), LAYERS)
def test_rises_everywhere_and_smoothly_at_the_joints(number, layer):
    curve = load_stock(number).curves[layer]
    e = np.sort(light())
    assert np.all(np.diff(curve.net(e)) > 0)
    for joint in (curve.e_toe, curve.e_end):
        step = 1e-5 * joint
        value, before, after = curve.net([joint, joint - step, joint + step])
        assert (after - value) / (value - before) == pytest.approx(1, abs=1e-3)
    # The toe begins where the log-log slope is 1, and the next points are flatter.
    slope = np.log(curve.net(curve.e_toe * 1.2) / curve.net(curve.e_toe * 1.1)) / np.log(1.2 / 1.1)
    assert 0.5 < slope < 1


def test_zero_is_d_min_and_negatives_are_below():
    curve = load_stock("500T").curves[2]
    assert curve.density(0.0) == curve.d_min
    assert curve.density(-0.01) == pytest.approx(curve.d_min - 0.01 * curve.n_toe / curve.e_toe)


def test_not_a_number_stays():
    curve = load_stock("500T").curves[0]
    assert np.isnan(curve.density(np.nan))
    assert np.isnan(curve.exposure(np.nan))


@pytest.mark.parametrize(
    ("x", "d", "d_min", "words"),
    [
        ([0, 1], [0, 1], 0.0, "at least three"),
        ([0, 1, 1], [0, 1, 2], 0.0, "must rise"),
        ([0, 1, 2], [0, 2, 1], 0.0, "must not fall"),
        ([0, 1, 2], [0.1, 1, 1], 0.05, "last point"),
        ([0, 1, 2], [1.0, 1.1, 1.2], 0.0, "log-log slope 1"),
        ([0, 0.1, 0.2], [1e-9, 1e-3, 1.0], 0.0, "log-log slope 1"),
    ],
)
def test_refuses_what_cannot_be_a_curve(x, d, d_min, words):
    with pytest.raises(ValueError, match=words):
        Curve(x, d, d_min)


def test_octave_samples_are_a_floats_own_steps():
    at = octave_samples(0.25, 4.0, 256)
    assert at.size == 4 * 256 + 1
    as_bits = at.astype(np.float32).view(np.int32)
    assert set(np.diff(as_bits)) == {1 << 15}
    np.testing.assert_array_equal(at, at.astype(np.float32))


@pytest.mark.parametrize("number", STOCKS)
def test_interpolated_tables_are_as_good_as_stated(number):
    stock = load_stock(number)
    tables = CurveTables(stock.curves)
    for layer, curve in enumerate(stock.curves):
        e = np.exp2(np.linspace(np.log2(curve.e_toe), 30, 40001))
        net = np.interp(e, tables.light_samples, tables.forward[layer])
        np.testing.assert_allclose(curve.exposure_of_net(net), e, rtol=5e-6)
        n = np.linspace(curve.n_toe, curve.n_end, 40001)
        made = np.exp2(np.interp(n, tables.net_samples, tables.inverse[layer]))
        np.testing.assert_allclose(made, curve.exposure_of_net(n), rtol=5e-6)
