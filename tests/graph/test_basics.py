"""Regions, images, frame ranges, errors, the registry."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.graph import errors, frames, image
from safelight.graph.device import Device, choose_device
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.frames import format_frames, parse_frames
from safelight.graph.image import Clip, Image
from safelight.graph.node import Node
from safelight.graph.region import Region, union_all
from safelight.graph.registry import Registry, default_registry

regions = st.builds(Region, *[st.integers(-9, 9)] * 4)


@pytest.mark.parametrize("module", [errors, frames, image])
def test_docstrings_tell_the_truth(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted and not result.failed


@given(st.lists(st.integers(-50, 50), min_size=1))
def test_frame_ranges_round_trip(numbers: list[int]) -> None:
    assert parse_frames(format_frames(numbers)) == sorted(set(numbers))


@pytest.mark.parametrize(
    ("text", "expected"),
    [("5", [5]), ("1-3", [1, 2, 3]), ("-8--5", [-8, -7, -6, -5]), ("1-10:4 3,1", [1, 5, 9, 3]), ("-2-0x2", [-2, 0])],
)
def test_frame_ranges(text: str, expected: list[int]) -> None:
    assert parse_frames(text) == expected


@pytest.mark.parametrize("text", ["", "5-1", "1-5x0", "a", "1..5", "1-", "#"])
def test_wrong_frame_ranges(text: str) -> None:
    with pytest.raises(GraphError):
        parse_frames(text)


@given(regions, regions)
def test_region_algebra(a: Region, b: Region) -> None:
    def pixels(region: Region) -> set[tuple[int, int]]:
        return {(x, y) for x in range(region.x0, region.x1) for y in range(region.y0, region.y1)}

    assert pixels(a.intersect(b)) == pixels(a) & pixels(b)
    assert a.union(b).contains(a) and a.union(b).contains(b)
    assert a.area == len(pixels(a)) and bool(a) == bool(pixels(a))
    assert a.contains(b) == (pixels(b) <= pixels(a))
    assert not a or a.grow(2).grow(-2) == a
    assert union_all([a, b]) == Region(0, 0, 0, 0).union(a).union(b)


@given(regions, st.integers(0, 7))
def test_tiles_cover_once(region: Region, size: int) -> None:
    covered = [(x, y) for t in region.tiles(size) for y in range(t.y0, t.y1) for x in range(t.x0, t.x1)]
    assert len(covered) == len(set(covered)) == region.area


def test_images_check_their_shape_and_crop_without_copying() -> None:
    with pytest.raises(ValueError, match=r"where region and channels say"):
        Image(np.zeros((3, 2, 2), np.float32), Region(0, 0, 3, 2))
    whole = Image(np.arange(24, dtype=np.float32).reshape(3, 2, 4), Region(-1, 5, 3, 7), metadata={"a": 1})
    part = whole.crop(Region(1, 6, 3, 7))
    np.testing.assert_array_equal(part.data, whole.data[:, 1:, 2:])
    assert part.data.base is not None and part.metadata == {"a": 1}
    assert whole.crop(Region(9, 9, 2, 2)).data.shape == (3, 0, 0)
    with pytest.raises(ValueError, match=r"is not inside"):
        whole.crop(Region(0, 0, 1, 1))


def test_clips_know_frames_whose_window_differs() -> None:
    clip = Clip(3, 5, Region(0, 0, 4, 4), Region(0, 0, 4, 4), {4: Region(1, 1, 2, 2)})
    assert list(clip.frames) == [3, 4, 5] and 4 in clip and 6 not in clip
    assert clip.extent_at(4) == Region(1, 1, 2, 2) and clip.extent_at(5) == Region(0, 0, 4, 4)


def test_errors_are_one_line_that_names_everything() -> None:
    error = RenderError("cut short\nat byte 3.", where="node 'a'", frame=7, file="x.exr", remedy="Copy it again.")
    assert str(error) == "node 'a', frame 7, x.exr: cut short at byte 3. Copy it again."
    assert str(error.at(where="node 'b'", frame=8)) == str(error), "what the thrower knew stays"
    port = GraphError("too small", where="input 'matte'")
    assert str(port.of_node("fix")) == "node 'fix', input 'matte': too small"
    assert str(port.of_node("fix")) == "node 'fix', input 'matte': too small", "once is enough"
    assert str(GraphError("too small").of_node("fix")) == "node 'fix': too small"


def test_devices() -> None:
    assert choose_device("cpu", 3) == Device("cpu", 3)
    assert choose_device("auto").kind in ("cpu", "cuda")
    with pytest.raises(GraphError, match=r"Use auto, cpu or cuda"):
        choose_device("gpu")
    if choose_device("auto").kind == "cpu":
        with pytest.raises(GraphError, match=r"no CUDA device: .*--device cpu"):
            choose_device("cuda")


def test_registry_refuses_clashes_and_keeps_what_it_had() -> None:
    registry = Registry()

    class One(Node):
        id = "One"

    class Other(Node):
        id = "One"

    registry.add(One)
    with pytest.raises(GraphError, match=r"two nodes call themselves 'One'"):
        registry.add(Other)
    assert isinstance(registry["One"], One)
    with pytest.raises(GraphError, match=r"Did you mean 'One'"):
        registry["Onne"]


def test_every_installed_node_says_what_it_is() -> None:
    registry = default_registry()
    assert "Mix" in registry
    for name in registry:
        node = type(registry[name])
        assert node.__doc__, f"{name} has no docstring"
        for field_name, field in node.Params.model_fields.items():
            assert field.description, f"{name}.{field_name} has no help"
        assert node.Params.model_json_schema()
