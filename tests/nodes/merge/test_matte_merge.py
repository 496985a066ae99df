"""MatteMerge: union, intersection, difference; windows, lists and what the mattes say of the frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import NOTES, Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage.defects import Defect, Defects
from safelight.nodes.merge.matte_merge import MatteMerge, MatteMergeParams

WINDOW = Region(2, -3, 11, 4)


def matte(seed: int, region: Region = WINDOW, **metadata: Any) -> Image:
    data = np.random.default_rng(seed).uniform(0, 1, (1, region.height, region.width)).astype(np.float32)
    data[data < 0.4] = 0
    return Image(data, region, ("A",), metadata)


def run(params: MatteMergeParams, **images: Image) -> Image:
    request = Request(5, WINDOW)
    inputs = Inputs(request, {port: {5: image} for port, image in images.items()}, {})
    return MatteMerge().compute(params, request, inputs, Device("cpu", 2))


def test_union_intersection_and_difference() -> None:
    a, b, c, d = (matte(seed) for seed in range(4))
    union = run(MatteMergeParams(), a=a, b=b, c=c, d=d)
    np.testing.assert_array_equal(union.data, np.max([a.data, b.data, c.data, d.data], 0))
    assert union.channels == ("A",) and union.region == WINDOW
    least = run(MatteMergeParams(operation="intersect"), a=a, b=b, d=d)
    np.testing.assert_array_equal(least.data, np.min([a.data, b.data, d.data], 0))
    less = run(MatteMergeParams(operation="subtract"), a=a, b=b, c=c)
    np.testing.assert_array_equal(less.data, a.data * (1 - b.data) * (1 - c.data))
    assert (less.data[a.data == 0] == 0).all() and (less.data[b.data == 0] <= a.data[b.data == 0]).all()


def test_nothing_lies_outside_a_data_window() -> None:
    a, part = matte(1), Region(4, -1, 8, 2)
    b = matte(2, part)
    union = run(MatteMergeParams(), a=b, b=a).data[0]
    both = a.data[0].copy()
    both[2:5, 2:6] = np.maximum(both[2:5, 2:6], b.data[0])
    np.testing.assert_array_equal(union, both)
    least = run(MatteMergeParams(operation="intersect"), a=a, b=b).data[0]
    assert not least[:2].any() and not least[:, :2].any() and not least[5:].any()
    nowhere = matte(3, Region(50, 50, 52, 51))
    np.testing.assert_array_equal(run(MatteMergeParams(), a=a, b=nowhere).data, a.data)


def test_values_that_are_no_coverage() -> None:
    a, b = matte(1), matte(2)
    a.data[0, 0, :4] = (np.nan, np.inf, -np.inf, 7)
    b.data[0, 0, :4] = 0
    np.testing.assert_array_equal(run(MatteMergeParams(), a=a, b=b).data[0, 0, :4], (0, 1, 0, 1))


def test_what_is_said_of_the_frame_travels_along() -> None:
    a, b = matte(1, n=1, **{NOTES: ("first",)}), matte(2, n=2, kind="splice", **{NOTES: ("second", "first")})
    out = run(MatteMergeParams(), a=a, b=b)
    assert out.metadata == {"n": 1, "kind": "splice", NOTES: ("first", "second")}


def test_one_list_for_all(tmp_path: Path) -> None:
    a, b = (Image(np.zeros((1, 7, 9), np.float32), WINDOW, ("A",)) for _ in range(2))
    a.data[0, 1:3, 1:3], b.data[0, 5, 6:8] = 0.7, 0.6
    path = tmp_path / "list.json"
    found = (Defect(1, 5, (3, -2, 5, 0), decision="reject"), Defect(2, 5, (8, 2, 10, 3), decision="keep"))
    Defects("", found).save(path)
    params = MatteMergeParams(defects=path)
    wanted = np.zeros((7, 9), np.float32)
    wanted[5, 6:8] = 1
    np.testing.assert_array_equal(run(params, a=a, b=b).data[0], wanted)
    node = MatteMerge()
    assert node.fingerprint(params, 5, Settings()) and not node.fingerprint(params, 4, Settings())
    clip = Clip(1, 4, WINDOW, WINDOW, channels=("A",))
    assert "does not have: 5" in next(iter(node.check(params, {"a": clip, "b": clip}, Settings())))
    path.write_text('{"safelight_defects": 1, "defects": [\n{"id": 1, "frame": 2}]}')
    with pytest.raises(GraphError, match=r"line 2.*no 'box'"):
        node.check(params, {"a": clip, "b": clip}, Settings())


def test_other_sizes_are_refused() -> None:
    clip = Clip(1, 4, WINDOW, WINDOW, channels=("A",))
    other = Clip(1, 4, Region.sized(9, 8), WINDOW, channels=("A",))
    with pytest.raises(GraphError, match=r"'c'.*it is .* and 'a' is"):
        MatteMerge().check(MatteMergeParams(), {"a": clip, "b": clip, "c": other}, Settings())
    made = MatteMerge().extent(MatteMergeParams(), {"a": Clip(1, 4, WINDOW, Region.sized(1, 1)), "b": clip})
    assert made.channels == ("A",) and made.extent == WINDOW
