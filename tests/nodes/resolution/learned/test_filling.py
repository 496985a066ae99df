"""The net for holes: exact cells, what stays, what is bounded, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned import filling
from safelight.nodes.resolution.learned.filling import CELL, GRID, MARGIN, FillShape, StoredFill, added, filled, fresh

torch: Any = pytest.importorskip("torch")
pytest.importorskip("safetensors")
SMALL = FillShape(6, 8, 10)


def net(shape: FillShape = SMALL, seed: int = 1) -> StoredFill:
    """A net of random weights, strong enough to be seen."""
    arrays = {name: value.numpy() for name, value in fresh(shape, seed).items()}
    arrays["a3.weight"] += np.random.default_rng(seed).normal(0, 0.1, arrays["a3.weight"].shape).astype(np.float32)
    return StoredFill(shape, arrays)


def scene(height: int = 230, width: int = 310, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    code = random.uniform(0, 1, (3, height, width)).astype(np.float32)
    hole = np.zeros((height, width), bool)
    for _ in range(12):
        y, x = random.integers(0, height - 20), random.integers(0, width - 20)
        hole[y : y + 14, x : x + 9] = True
    hole[:, 150:153] = hole[:5, :5] = hole[-1, -1] = True
    return code, hole


def test_it_begins_at_adding_nothing_with_no_unit_shut() -> None:
    weights = {name: value.requires_grad_() for name, value in fresh(SMALL, 1).items()}
    x = torch.rand(2, 4, 64, 64)
    made = added(weights, x)
    assert not made.any()
    made.square().sub(made).sum().backward()
    assert weights["a3.weight"].grad.abs().min() > 0


def test_only_holes_change_and_they_do() -> None:
    code, hole = scene()
    made = filled(net(), code, hole)
    np.testing.assert_array_equal(made[:, ~hole], code[:, ~hole])
    assert (made[:, hole] != code[:, hole]).mean() > 0.9 and np.isfinite(made).all()
    np.testing.assert_array_equal(filled(net(), code, np.zeros_like(hole)), code)


def test_a_result_depends_on_less_than_the_margin() -> None:
    """A linear net (no unit is ever shut off) shows all that a pixel can depend on."""
    weights = {name: value.abs() if "weight" in name else value for name, value in fresh(SMALL, 3).items()}
    weights["a3.weight"] += 0.1
    side = 2 * MARGIN + 4 * GRID
    first = torch.rand(1, 4, side, side)
    for at in (side // 2, side // 2 + GRID - 1):
        second = first.clone()
        second[..., at, at] += 1000
        with torch.no_grad():
            moved = ((added(weights, second) - added(weights, first)).abs().amax((0, 1)) > 1e-4).nonzero()
        assert 16 < int((moved - at).abs().max()) < MARGIN


@pytest.mark.parametrize("corner", [(0, 0), (-37, 1000), (CELL, -CELL)])
def test_a_part_is_as_the_whole(corner: tuple[int, int]) -> None:
    code, hole = scene(seed=2)
    hole[:60] = hole[-60:] = hole[:, :60] = hole[:, -60:] = False
    whole = filled(net(), code, hole, corner=corner, device=Device("cpu", 1))
    # All holes lie further from the part's edges than the net sees.
    part = filled(
        net(), code[:, 8:-3, 5:], hole[8:-3, 5:], corner=(corner[0] + 8, corner[1] + 5), device=Device("cpu", 3)
    )
    np.testing.assert_array_equal(part.view(np.uint32), whole[:, 8:-3, 5:].view(np.uint32))
    # Another hole far away changes nothing here.
    alone = hole.copy()
    alone[:, :200] = False
    assert alone.any()
    np.testing.assert_array_equal(filled(net(), code, alone, corner=corner)[:, alone], whole[:, alone])


def test_values_stay_near_those_around() -> None:
    code, hole = scene(seed=4)
    wild = net()
    wild = replace(wild, arrays={**wild.arrays, "a3.weight": wild.arrays["a3.weight"] * 1000})
    made = filled(wild, code, hole)
    assert made.min() >= -filling.SWING - 1e-5 and made.max() <= 1 + filling.SWING + 1e-5
    flat = np.full_like(code, 0.4)
    np.testing.assert_allclose(filled(wild, flat, hole), 0.4, atol=1e-6)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (97, 5)])
@pytest.mark.parametrize("planes", [1, 2, 3])
def test_small_pictures_of_any_planes(size: tuple[int, int], planes: int) -> None:
    code = np.random.default_rng(1).uniform(-1, 3, (planes, *size)).astype(np.float32)
    hole = np.zeros(size, bool)
    hole[0, 0] = True
    made = filled(net(), code, hole)
    assert made.shape == code.shape and np.isfinite(made).all()
    np.testing.assert_array_equal(made[:, ~hole], code[:, ~hole])


def test_there_and_back(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    filling.save(path, replace(net(), notes={"steps": 3}))
    held = filling.find(path)
    assert held.shape == SMALL and held.notes == {"steps": 3} and not list(tmp_path.glob(".*.part"))
    again = tmp_path / "again.safetensors"
    filling.save(again, held)
    assert again.read_bytes() == path.read_bytes()


def _cut(path: Path) -> None:
    filling.save(path, net())
    path.write_bytes(path.read_bytes()[:-40])


def _pickled(path: Path) -> None:
    torch.save({"a": torch.zeros(3)}, path)


def _nan(path: Path) -> None:
    held = net()
    held.arrays["b1.bias"][2] = np.nan
    filling.save(path, held)


def _other(path: Path) -> None:
    from safelight.nodes.resolution.learned import nets, storing

    shape = nets.Shape(4, 3, 2)
    storing.save(path, storing.Stored(shape, {k: v.numpy() for k, v in nets.fresh(shape, 1).items()}))


def _foreign(path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3)}, str(path))


def _reshaped(path: Path) -> None:
    filling.save(path, replace(net(), shape=FillShape(6, 8, 12)))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut, "no whole safetensors"),
        (lambda path: path.write_bytes(b""), "no whole safetensors"),
        (_pickled, "pickle"),
        (_nan, "not all numbers"),
        (_other, "of the kind 'plain luma 1': they fill no holes"),
        (_foreign, "without a header"),
        (_reshaped, "not those that its header"),
    ],
)
def test_what_is_no_net_for_holes_is_refused(spoil: Callable[[Path], None], words: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    spoil(path)
    with pytest.raises(GraphError, match=words) as caught:
        filling.find(path)
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("name", "words"), [("a.pth", "pickle"), ("a.onnx", "unknown kind"), ("a.safetensors", "no such")]
)
def test_wrong_names(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=words):
        filling.find(tmp_path / name)


def test_the_shipped_net_is_small_and_whole() -> None:
    held = filling.find()
    assert held.shape == FillShape() and filling.shipped().stat().st_size < 1_500_000
