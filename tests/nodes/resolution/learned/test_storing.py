"""Weights on disk: what is whole comes back, what is not is refused with a reason."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned import storing

torch: Any = pytest.importorskip("torch")
Make = Callable[..., Path]


def test_there_and_back(net_file: Make) -> None:
    path = net_file(repairs=True, notes={"steps": 3})
    held = storing.load(path)
    assert held.shape.channels == 8 and held.repairs and held.ranges == (2.0,) * 4 and held.notes == {"steps": 3}
    again = path.with_name("again.safetensors")
    storing.save(again, held)
    assert again.read_bytes() == path.read_bytes() and storing.digest(again) == storing.digest(path)
    assert not list(path.parent.glob("*.part"))
    assert held.reduction == "bicubic" and storing.load(net_file(reduction="area")).reduction == "area"


def test_colour_and_half_the_bits(net_file: Make) -> None:
    path = net_file(planes=3)
    held = storing.load(path)
    assert held.shape.planes == 3 and held.arrays["0.weight"].shape == (8, 3, 3, 3)
    small = path.with_name("small.safetensors")
    storing.save(small, held, half=True)
    again = storing.load(small)
    assert small.stat().st_size < 0.6 * path.stat().st_size and again.shape == held.shape
    for name, array in held.arrays.items():
        assert again.arrays[name].dtype == np.float32
        np.testing.assert_allclose(again.arrays[name], array, rtol=1e-3, atol=1e-6)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _pickle(path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, path)


def _nan(path: Path) -> None:
    held = storing.load(path)
    held.arrays["1.weight"][0, 0, 1, 1] = np.nan  # type: ignore[index]
    storing.save(path, held)


def _other_shape(path: Path) -> None:
    held = storing.load(path)
    storing.save(path, storing.Stored(held.shape, {**held.arrays, "1.bias": np.zeros(5, np.float32)}))


def _otherwise_reduced(path: Path) -> None:
    storing.save(path, replace(storing.load(path), reduction="hexagons"))


def _later(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"plain luma 1", b"plain luma 2"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut, "no whole safetensors file"),
        (_empty, "no whole safetensors file"),
        (_pickle, "pickle with the name of a safetensors file"),
        (_nan, "'1.weight' are not all numbers"),
        (_other_shape, "not those that its header tells of"),
        (_otherwise_reduced, "for a reduction 'hexagons'"),
        (_later, "of the kind 'plain luma 2'"),
    ],
)
def test_spoilt(net_file: Make, spoil: Callable[[Path], None], words: str) -> None:
    path = net_file()
    spoil(path)
    with pytest.raises(GraphError, match=words) as caught:
        storing.load(path)
    assert caught.value.file == path and caught.value.remedy


def test_not_there(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="no such weights"):
        storing.load(tmp_path / "none.safetensors")
