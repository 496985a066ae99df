import json
import os
from pathlib import Path

import numpy as np
import pytest

from safelight.graph.errors import GraphError
from safelight.nodes.grain.stock import formats, load_format, load_stock, stock_names


@pytest.mark.parametrize(
    "name", ["5219", "7219", "500T", "500t", "500 T", "Vision3 500T", "Kodak Vision3 500T 5219/7219", "VISION 3 500-T"]
)
def test_a_stock_by_any_of_its_names(name):
    stock = load_stock(name)
    assert (stock.id, stock.short) == ("5219", "500T")
    assert stock is load_stock("5219")


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("500D", "500T (5219)"),
        ("5218", "'5219'"),
        ("Vision3 50T", "50D (5203)"),
        ("521", "'5219'"),
        ("portra", "500T (5219)"),
        ("", "500T (5219)"),
        ("500T 5203", "500T"),
    ],
)
def test_an_unknown_stock_is_answered_with_the_nearest(name, remedy):
    with pytest.raises(GraphError) as error:
        load_stock(name)
    assert remedy in str(error.value)


def test_names_are_in_order_of_speed():
    assert stock_names() == ["50D (5203)", "200T (5213)", "250D (5207)", "500T (5219)"]


def test_formats():
    assert load_format("super35_4perf").width_mm == 24.89
    assert load_format("Super35 4-perf") is load_format("super35_4perf")
    assert load_format("super35_4perf").pitch(4096) == pytest.approx(6.077, abs=1e-3)
    assert {"super16", "65mm_5perf", "vistavision", "super8"} <= set(formats())
    with pytest.raises(GraphError, match="super16"):
        load_format("super61")


@pytest.mark.parametrize("name", ["50D", "250D", "200T", "500T"])
def test_tables_are_whole_and_sigma_is_by_exposure(name):
    stock = load_stock(name)
    assert stock.log_exposure.size == 97
    assert stock.sigma_table.shape == (3, 97)
    assert np.all((stock.sigma_table > 0.001) & (stock.sigma_table < 0.05))
    for layer in range(3):
        np.testing.assert_allclose(stock.sigma48(layer, stock.log_exposure), stock.sigma_table[layer])
        assert stock.sigma48(layer, 9.0) == stock.sigma_table[layer][-1]
        black = stock.sigma48_at(layer, [-1.0, 0.0, 1e-9])
        assert np.all(black == stock.sigma_table[layer][0])
    assert stock.cloud_um[2] == pytest.approx(1.2 * stock.cloud_um[1])
    for part in ("density", "granularity", "cloud", "mtf", "dye_crosstalk"):
        assert stock.data[part]["status"], f"{part} must say where it comes from"
        assert stock.data[part]["source"]


def test_sigma_peaks_under_mid_grey():
    # Not as the square root of density: published curves have their peak four to five stops under mid-grey.
    stock = load_stock("500T")
    for layer in range(3):
        peak = stock.log_exposure[int(np.argmax(stock.sigma_table[layer]))] / np.log10(2)
        assert -5 < peak < -3.5


@pytest.mark.skipif("SAFELIGHT_TEST_DATA" not in os.environ, reason="needs SAFELIGHT_TEST_DATA")
@pytest.mark.parametrize("name", ["5203", "5207", "5213", "5219"])
def test_the_shipped_numbers_are_the_calibration_data(name):
    path = Path(os.environ["SAFELIGHT_TEST_DATA"]) / "vision3" / f"{name}.json"
    if not path.exists():
        pytest.skip("no vision3 data")
    source = json.loads(path.read_text())
    stock = load_stock(name)
    np.testing.assert_allclose(stock.log_exposure, source["characteristic_curve"]["log_exposure_rel"], atol=1e-9)
    for layer, letter in enumerate("RGB"):
        assert stock.data["density"][letter] == source["characteristic_curve"][letter]
        assert list(stock.sigma_table[layer]) == source["granularity"]["by_exposure"]["sigma_D"][letter]
        assert stock.curves[layer].d_min == source["characteristic_curve"]["d_min"][letter]
        assert stock.cloud_um[layer] == source["grain_spectrum_prior"]["cloud_sigma_um"][letter]
