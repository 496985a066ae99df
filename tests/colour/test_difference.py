"""Lab, CIEDE2000 and ΔE ITP against published numbers and plain formulas."""

from __future__ import annotations

import math

import numpy as np
import pytest

from safelight.colour.config import config_for
from safelight.colour.difference import delta_e_2000, delta_e_itp, lab, pu21
from safelight.colour.ictcp import ictcp
from safelight.colour.primaries import D65
from safelight.colour.transfer import pq
from safelight.graph.device import Device
from safelight.graph.node import Settings

# Sharma, Wu, Dalal 2005, table 1: L1 a1 b1 L2 a2 b2 ΔE00.
PAIRS = """
50.0000 2.6772 -79.7751 50.0000 0.0000 -82.7485 2.0425
50.0000 3.1571 -77.2803 50.0000 0.0000 -82.7485 2.8615
50.0000 2.8361 -74.0200 50.0000 0.0000 -82.7485 3.4412
50.0000 -1.3802 -84.2814 50.0000 0.0000 -82.7485 1.0000
50.0000 -1.1848 -84.8006 50.0000 0.0000 -82.7485 1.0000
50.0000 -0.9009 -85.5211 50.0000 0.0000 -82.7485 1.0000
50.0000 0.0000 0.0000 50.0000 -1.0000 2.0000 2.3669
50.0000 -1.0000 2.0000 50.0000 0.0000 0.0000 2.3669
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0009 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0010 7.1792
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0011 7.2195
50.0000 2.4900 -0.0010 50.0000 -2.4900 0.0012 7.2195
50.0000 -0.0010 2.4900 50.0000 0.0009 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0010 -2.4900 4.8045
50.0000 -0.0010 2.4900 50.0000 0.0011 -2.4900 4.7461
50.0000 2.5000 0.0000 50.0000 0.0000 -2.5000 4.3065
50.0000 2.5000 0.0000 73.0000 25.0000 -18.0000 27.1492
50.0000 2.5000 0.0000 61.0000 -5.0000 29.0000 22.8977
50.0000 2.5000 0.0000 56.0000 -27.0000 -3.0000 31.9030
50.0000 2.5000 0.0000 58.0000 24.0000 15.0000 19.4535
50.0000 2.5000 0.0000 50.0000 3.1736 0.5854 1.0000
50.0000 2.5000 0.0000 50.0000 3.2972 0.0000 1.0000
50.0000 2.5000 0.0000 50.0000 1.8634 0.5757 1.0000
50.0000 2.5000 0.0000 50.0000 3.2592 0.3350 1.0000
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.2630
61.2901 3.7196 -5.3901 61.4292 2.2480 -4.9620 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.6940 23.0331 14.9730 -42.5619 2.0373
36.4612 47.8580 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.4410 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.1350 0.9033 -0.0636 -0.5514 0.9082
"""
TABLE = np.array([line.split() for line in PAIRS.split("\n") if line], float)


def test_sharmas_pairs() -> None:
    assert len(TABLE) == 34
    first, second, want = TABLE[:, :3].T, TABLE[:, 3:6].T, TABLE[:, 6]
    np.testing.assert_allclose(delta_e_2000(first, second), want, atol=5.1e-5)
    np.testing.assert_allclose(delta_e_2000(second, first), want, atol=5.1e-5)
    assert delta_e_2000(first.reshape(3, 2, 17), second.reshape(3, 2, 17)).shape == (2, 17)
    assert delta_e_2000(first[:, 0], second[:, 0]) == pytest.approx(2.0425, abs=5e-5)


def test_equal_colours_do_not_differ() -> None:
    colours = np.random.default_rng(0).normal(0, 50, (3, 1000))
    assert not delta_e_2000(colours, colours).any()
    assert not delta_e_itp(np.abs(colours), np.abs(colours)).any()


def test_chunks_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(1)
    first, second = random.normal(30, 40, (2, 3, 61))
    whole = delta_e_2000(first, second), delta_e_itp(first, second)
    monkeypatch.setattr("safelight.colour.difference._CHUNK", 7)
    np.testing.assert_array_equal(delta_e_2000(first, second), whole[0])
    np.testing.assert_array_equal(delta_e_itp(first, second), whole[1])


def test_a_nan_stays_in_its_pixel_and_components_are_three() -> None:
    colours = np.ones((3, 4))
    colours[1, 2] = np.nan
    found = delta_e_2000(colours, np.zeros((3, 4)))
    assert np.isnan(found[2]) and np.isfinite(found[[0, 1, 3]]).all()
    with pytest.raises(ValueError, match="three components"):
        delta_e_2000(np.zeros((4, 3)), np.zeros((4, 3)))


def test_lab() -> None:
    np.testing.assert_allclose(lab(D65), [100, 0, 0], atol=1e-12)
    np.testing.assert_allclose(lab(D65 * 0.18418651851244416), [50, 0, 0], atol=1e-6)
    np.testing.assert_allclose(lab(np.zeros(3)), 0, atol=1e-12)
    np.testing.assert_allclose(lab(-0.001 * D65), [-0.9033, 0, 0], atol=1e-4)
    assert lab(D65 * 50)[0] > 400


def test_lab_of_srgb_red_through_the_config() -> None:
    # Widely published for sRGB (1, 0, 0) under D65: L* 53.24, a* 80.09, b* 67.20.
    red = np.float32([1, 0, 0]).reshape(3, 1, 1)
    xyz = config_for(Settings()).to_xyz(red, "srgb_tx", Device("cpu", 1))
    np.testing.assert_allclose(lab(xyz).ravel(), [53.24, 80.09, 67.20], atol=0.02)


@pytest.mark.parametrize(
    ("space", "scale"),
    [("scene_linear", 1.0), ("ACES2065-1", 1.0), ("sRGB - Display", 1.0), ("sRGB - Display/Un-tone-mapped", 1.0)],
)
def test_white_is_white_in_every_space(space: str, scale: float) -> None:
    white = np.ones((3, 1, 1), np.float32)
    xyz = config_for(Settings()).to_xyz(white, space, Device("cpu", 1))
    np.testing.assert_allclose(xyz.ravel(), D65 * scale, rtol=2e-5)


def test_pq() -> None:
    # Rec. ITU-R BT.2100: 10000 cd/m² is 1; BT.2408: 100 cd/m² is 51 % and 203 cd/m² is 58 %.
    np.testing.assert_allclose(pq([0.0, 100.0, 203.0, 10000.0]), [7.31e-7, 0.508, 0.581, 1.0], atol=5e-4)
    assert pq(-5.0) == pq(0.0)


def test_pu21() -> None:
    """Its ends and 100 cd/m² as its authors publish them; steps grow with light, and less than light does."""
    np.testing.assert_allclose(pu21([0.005, 100.0, 10000.0]), [0.0, 256.0, 595.4], atol=0.5)
    assert pu21(-1.0) == pu21(0.005) and pu21(2e4) == pu21(1e4)
    light = np.geomspace(0.005, 10000, 500)
    seen = pu21(light)
    assert (np.diff(seen) > 0).all() and (np.diff(np.diff(seen) / np.diff(light)) < 0).all()


def itp_of_rgb(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """Return I, T, P of linear BT.2020 light in cd/m², step by step as BT.2124 writes it."""
    r, g, b = rgb
    lms = (
        (1688 * r + 2146 * g + 262 * b) / 4096,
        (683 * r + 2951 * g + 462 * b) / 4096,
        (99 * r + 309 * g + 3688 * b) / 4096,
    )

    def signal(y: float) -> float:
        p = (y / 10000) ** 0.1593017578125
        return ((0.8359375 + 18.8515625 * p) / (1 + 18.6875 * p)) ** 78.84375

    left, middle, short = (signal(y) for y in lms)
    i = 0.5 * left + 0.5 * middle
    ct = (6610 * left - 13613 * middle + 7003 * short) / 4096
    cp = (17933 * left - 17390 * middle - 543 * short) / 4096
    return i, 0.5 * ct, cp


def test_delta_e_itp() -> None:
    # BT.2020 to XYZ as Rec. ITU-R BT.2407 prints it.
    to_xyz = np.array([[0.636958, 0.144617, 0.168881], [0.262700, 0.677998, 0.059302], [0.0, 0.028073, 1.060985]])
    random = np.random.default_rng(3)
    for _ in range(20):
        first, second = (tuple(random.uniform(0.01, 1000, 3)) for _ in range(2))
        want = 720 * math.dist(itp_of_rgb(first), itp_of_rgb(second))
        assert delta_e_itp(to_xyz @ first, to_xyz @ second) == pytest.approx(want, rel=1e-4)


def test_greys_have_no_chroma() -> None:
    for level in (0.1, 100.0, 4000.0):
        i, ct, cp = ictcp(D65 * level)
        assert i == pytest.approx(float(pq(level))) and abs(ct) < 1e-9 and abs(cp) < 1e-9
