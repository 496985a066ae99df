"""Difference through its node and through a graph."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.measure.difference import Difference, DifferenceParams
from tests.stand_ins import cupy_like

WINDOW = Region(0, 0, 9, 7)


def picture(seed: int, region: Region = WINDOW, channels: tuple[str, ...] = ("R", "G", "B", "A")) -> Image:
    data = np.random.default_rng(seed).standard_normal((len(channels), region.height, region.width)) * 100
    return Image(data.astype(np.float32), region, channels, {"seed": seed})


def run(params: DifferenceParams, region: Region = WINDOW, **images: Image) -> Image:
    inputs = Inputs(Request(5, region), {name: {5: image} for name, image in images.items()}, {})
    return Difference().compute(params, Request(5, region), inputs, Device("cpu", 2))


def test_a_minus_b_with_its_sign() -> None:
    a, b = picture(1), picture(2)
    kept = a.data.copy(), b.data.copy()
    out = run(DifferenceParams(), a=a, b=b)
    np.testing.assert_array_equal(out.data, a.data - b.data)
    assert out.channels == a.channels and out.metadata == {"seed": 1} and (out.data < 0).any()
    np.testing.assert_array_equal(a.data, kept[0])
    np.testing.assert_array_equal(b.data, kept[1])


def test_gain_and_absolute() -> None:
    a, b = picture(1), picture(2)
    out = run(DifferenceParams(gain=-2.5, absolute=True), a=a, b=b)
    np.testing.assert_array_equal(out.data, np.abs((a.data - b.data) * np.float32(-2.5)))


def test_a_picture_less_itself_is_zero_and_nan_stays_where_it_is() -> None:
    a = picture(1)
    a.data[1, 2, 3] = np.nan
    out = run(DifferenceParams(gain=1e6), a=a, b=a)
    assert np.isnan(out.data[1, 2, 3])
    out.data[1, 2, 3] = 0
    assert not out.data.any()


def test_what_one_lacks_counts_as_zero() -> None:
    a, b = picture(1, Region(-2, 0, 5, 7)), picture(2, Region(3, 2, 12, 9))
    whole = Region(-2, 0, 12, 9)
    out = run(DifferenceParams(), whole, a=a, b=b)
    expected = np.zeros((4, 9, 14), np.float32)
    expected[:, 0:7, 0:7] += a.data
    expected[:, 2:9, 5:14] -= b.data
    np.testing.assert_array_equal(out.data, expected)
    part = Region(2, 1, 9, 8)
    tile = run(DifferenceParams(), part, a=a.crop(part.intersect(a.region)), b=b.crop(part.intersect(b.region)))
    np.testing.assert_array_equal(tile.data, out.crop(part).data)


def test_extent_holds_both_windows_and_the_frames_of_both() -> None:
    a = Clip(1, 10, WINDOW, WINDOW, extents={2: Region(0, 0, 2, 2), 9: WINDOW.grow(1)})
    b = Clip(4, 12, WINDOW, Region(3, 3, 20, 5))
    made = Difference().extent(DifferenceParams(), {"a": a, "b": b})
    assert (made.first, made.last) == (4, 10)
    assert made.extent == Region(0, 0, 20, 7)
    assert dict(made.extents) == {9: Region(-1, -1, 20, 8)}
    (warning,) = Difference().check(DifferenceParams(), {"a": a, "b": b}, Settings())
    assert "from 1 to 10" in warning


def test_on_a_device_nothing_comes_back_on_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = cupy_like.module()
    monkeypatch.setitem(sys.modules, "cupy", fake)
    a, b = picture(1, Region(-2, 0, 5, 7)), picture(2, Region(3, 2, 12, 9))
    whole, params = Region(-2, 0, 12, 9), DifferenceParams(gain=3, absolute=True)
    images = {name: {5: image.with_data(fake.asarray(image.data))} for name, image in (("a", a), ("b", b))}
    request = Request(5, whole)
    made = Difference().compute(params, request, Inputs(request, images, {}), Device("cuda", 2))
    data: Any = made.data
    np.testing.assert_array_equal(data.get(), run(params, whole, a=a, b=b).data)


def test_pictures_that_do_not_fit_are_refused_before_rendering() -> None:
    clip = Clip(1, 2, WINDOW, WINDOW)
    wrong = {
        "'b' is 3x3": Clip(1, 2, Region(0, 0, 3, 3), WINDOW),
        "Give both the same channels": Clip(1, 2, WINDOW, WINDOW, channels=("R", "G", "B", "A")),
        "share no frame": Clip(3, 9, WINDOW, WINDOW),
    }
    for message, other in wrong.items():
        with pytest.raises(GraphError, match=message):
            Difference().check(DifferenceParams(), {"a": clip, "b": other}, Settings())
    assert not list(Difference().check(DifferenceParams(), {"a": clip, "b": clip}, Settings()))
