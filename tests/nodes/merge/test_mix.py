"""Mix through a graph."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.merge.mix import Mix, MixParams

WINDOW = Region(0, 0, 9, 7)


def picture(seed: int, region: Region = WINDOW, channels: tuple[str, ...] = ("R", "G", "B", "A")) -> Image:
    data = np.random.default_rng(seed).standard_normal((len(channels), region.height, region.width))
    return Image(data.astype(np.float32), region, channels, {"seed": seed})


def run(params: MixParams, region: Region = WINDOW, **images: Image) -> Image:
    return Mix().compute(
        params,
        Request(5, region),
        Inputs(Request(5, region), {k: {5: v} for k, v in images.items()}, {}),
        Device("cpu", 2),
    )


def test_without_a_matte_amount_holds_everywhere() -> None:
    a, b = picture(1), picture(2)
    out = run(MixParams(amount=0.25), a=a, b=b)
    np.testing.assert_allclose(out.data, a.data * 0.75 + b.data * 0.25, rtol=1e-5, atol=1e-6)
    assert out.metadata == {"seed": 1} and out.channels == a.channels


def test_matte_of_zero_and_one_keep_the_bits() -> None:
    a, b = picture(1), picture(2)
    a.data[0, 0, 0] = np.nan
    b.data[0, 6, 8] = np.inf
    matte = Image((np.arange(63).reshape(1, 7, 9) % 2).astype(np.float32), WINDOW, ("A",))
    out = run(MixParams(), a=a, b=b, matte=matte)
    np.testing.assert_array_equal(out.data, np.where(matte.data == 1, b.data, a.data))


def test_outside_b_and_matte_a_shows() -> None:
    a = picture(1)
    b = picture(2, Region(2, -3, 7, 5))
    out = run(MixParams(), a=a, b=b)
    np.testing.assert_array_equal(out.data[:, :5, 2:7], b.data[:, 3:])
    np.testing.assert_array_equal(out.data[:, 5:], a.data[:, 5:])
    nowhere = picture(2, Region(50, 50, 52, 53))
    np.testing.assert_array_equal(run(MixParams(), a=a, b=nowhere).data, a.data)


def test_a_tile_equals_the_crop() -> None:
    a, b, matte = picture(1), picture(2), picture(3, channels=("A",))
    part = Region(3, 2, 8, 6)
    whole = run(MixParams(amount=0.5), a=a, b=b, matte=matte)
    tile = run(MixParams(amount=0.5), part, a=a.crop(part), b=b.crop(part), matte=matte.crop(part))
    np.testing.assert_array_equal(tile.data, whole.crop(part).data)


def test_amount_zero_hands_on_a() -> None:
    assert Mix().identity(MixParams(amount=0), Request(1, WINDOW)) == "a"
    assert Mix().identity(MixParams(amount=0.5), Request(1, WINDOW)) is None


def test_pictures_that_do_not_fit_are_refused_before_rendering() -> None:
    clip = Clip(1, 2, WINDOW, WINDOW)
    small = Clip(1, 2, Region(0, 0, 3, 3), WINDOW)
    alpha = Clip(1, 2, WINDOW, WINDOW, channels=("R", "G", "B", "A"))
    with pytest.raises(GraphError, match="'matte' is 3x3"):
        Mix().check(MixParams(), {"a": clip, "b": clip, "matte": small}, Settings())
    with pytest.raises(GraphError, match="Give both the same channels"):
        Mix().check(MixParams(), {"a": clip, "b": alpha}, Settings())
    assert not list(Mix().check(MixParams(), {"a": clip, "b": clip, "matte": clip}, Settings()))
