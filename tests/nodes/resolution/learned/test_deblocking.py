"""The net for blocks: exact tiles, what it depends on, what is bounded, what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned import deblocking, models
from safelight.nodes.resolution.learned.deblocking import (
    BLOCK,
    CELL,
    LIGHT,
    LOST,
    MOST,
    TILE,
    Shape,
    Stored,
    added,
    corrected,
    fresh,
    load,
    save,
    told,
)

torch: Any = pytest.importorskip("torch")
pytest.importorskip("safetensors")
SMALL = Shape(6, 2)
SIZE = 6.0


def net(shape: Shape = SMALL, seed: int = 1) -> Stored:
    """A net of random weights, strong enough to be seen."""
    arrays = {name: value.numpy() for name, value in fresh(shape, seed).items()}
    arrays["tail.weight"] += np.random.default_rng(seed).normal(0, 0.03, arrays["tail.weight"].shape).astype(np.float32)
    return Stored(shape, arrays)


def planes(height: int, width: int, seed: int = 0) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    smooth = random.uniform(0, 255, (height, width)).astype(np.float32)
    return smooth + random.normal(0, 4, smooth.shape).astype(np.float32), smooth


def slow(held: Stored, coded: Any, smooth: Any, size: float, corner: tuple[int, int]) -> Any:
    """The whole plane at once, in double precision, edges mirrored: convolutions summed tap by tap."""
    halo = held.shape.halo
    before = [halo + (BLOCK - at % BLOCK) % BLOCK for at in corner]
    after = [-(n + at) % BLOCK + halo for n, at in zip(smooth.shape, before, strict=True)]
    pads = list(zip(before, after, strict=True))
    a, b = (np.pad(plane.astype(np.float64), pads, mode="symmetric") for plane in (coded, smooth))
    cells = [
        plane[y::CELL, x::CELL]
        for plane in (b / (LIGHT * size), (a - b) / (LOST * size))
        for y in range(CELL)
        for x in range(CELL)
    ]
    turns = [2 * np.pi * (at * CELL % BLOCK + CELL / 2) / BLOCK for at in np.indices(cells[0].shape)]
    x = np.stack([*cells, *(way(turn) for turn in turns for way in (np.sin, np.cos))])

    def layer(name: str, values: Any) -> Any:
        kernel, bias = held.arrays[f"{name}.weight"].astype(np.float64), held.arrays[f"{name}.bias"]
        h, w = values.shape[1] - 2, values.shape[2] - 2
        out = np.zeros((len(kernel), h, w)) + bias[:, None, None]
        for v in range(3):
            for u in range(3):
                out += np.tensordot(kernel[:, :, v, u], values[:, v : v + h, u : u + w], 1)
        return out

    x = layer("head", x)
    for k in range(held.shape.blocks):
        x = x[:, 2:-2, 2:-2] + layer(f"{k}b", np.maximum(layer(f"{k}a", np.maximum(x, 0)), 0))
    x = np.clip(layer("tail", np.maximum(x, 0)), -MOST, MOST)
    more = np.zeros((x.shape[1] * CELL, x.shape[2] * CELL))
    for k in range(CELL * CELL):
        more[k // CELL :: CELL, k % CELL :: CELL] = x[k]
    lost = CELL * len(held.shape.sizes)
    top, left = before[0] - lost, before[1] - lost
    return smooth + size * more[top : top + smooth.shape[0], left : left + smooth.shape[1]]


@pytest.mark.parametrize("corner", [(0, 0), (3, 5), (-11, 70)])
@pytest.mark.parametrize("size", [(TILE + 30, 51), (1, 1), (1, 40), (7, 9), (64, 72)])
def test_it_is_what_the_slow_way_gives(size: tuple[int, int], corner: tuple[int, int]) -> None:
    coded, smooth = planes(*size)
    made = corrected(net(), coded, smooth, SIZE, corner, Device("cpu", 1))
    assert made.dtype == np.float32 and made.shape == size
    np.testing.assert_allclose(made, slow(net(), coded, smooth, SIZE, corner), atol=2e-3)
    assert np.abs(made - smooth).max() > 0.01


def test_the_same_bits_whatever_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same picture in tiles of another size, if not the same bits everywhere: processors without AVX-512 sum in
    another order in tiles of another shape. Those of a processor are always of one shape."""
    coded, smooth = planes(200, 330)
    monkeypatch.setattr(deblocking, "TILE", 96)
    first = corrected(net(), coded, smooth, SIZE, (2, 7), Device("cpu", 1))
    np.testing.assert_array_equal(corrected(net(), coded, smooth, SIZE, (2, 7), Device("cpu", 3)), first)
    monkeypatch.setattr(deblocking, "TILE", 160)
    np.testing.assert_allclose(corrected(net(), coded, smooth, SIZE, (2, 7), Device("cpu", 2)), first, atol=1e-3)


def test_it_begins_at_adding_nothing() -> None:
    coded, smooth = (torch.rand(2, 1, 48, 64) * 255 for _ in range(2))
    weights = {name: value.requires_grad_() for name, value in fresh(SMALL, 1).items()}
    made = added(weights, told(coded, smooth, SIZE), padding=1)
    assert made.shape == coded.shape and not made.any()
    made.sub(1).square().sum().backward()
    assert weights["tail.weight"].grad.abs().max() > 0


def test_brightness_changes_nothing_and_the_step_is_the_unit() -> None:
    coded, smooth = planes(60, 70)
    held = net()
    more = corrected(held, coded, smooth, SIZE, (0, 0)) - smooth
    np.testing.assert_allclose(corrected(held, coded + 90, smooth + 90, SIZE, (0, 0)) - smooth - 90, more, atol=2e-3)
    np.testing.assert_allclose(
        corrected(held, 3 * coded, 3 * smooth, 3 * SIZE, (0, 0)) - 3 * smooth, 3 * more, atol=2e-3
    )


def test_the_place_in_the_block_counts() -> None:
    coded, smooth = planes(64, 64)
    held = net()
    made = [corrected(held, coded, smooth, SIZE, corner) for corner in ((0, 0), (8, -16), (0, 4))]
    np.testing.assert_array_equal(made[0], made[1])
    assert np.abs(made[0] - made[2]).max() > 0.01


def test_a_result_depends_on_no_more_than_the_halo() -> None:
    """Differences that are not cut off by a unit that is shut: all weights positive."""
    arrays = {name: np.abs(a) if "weight" in name else a for name, a in net().arrays.items()}
    arrays["tail.weight"] = arrays["tail.weight"] / 1e4
    held = Stored(SMALL, arrays)
    coded, smooth = planes(220, 220)
    other = coded.copy()
    other[110, 111] += 20
    moved = np.argwhere(
        corrected(held, coded, smooth, SIZE, (0, 0)) != corrected(held, other, smooth, SIZE, (0, 0))
    ) - [110, 111]
    assert 10 <= np.abs(moved).max() <= SMALL.halo + CELL - 1


def test_huge_light_stays_bounded_and_near() -> None:
    coded, smooth = planes(120, 120)
    first = corrected(net(), coded, smooth, SIZE, (0, 0))
    coded[60, 60] = smooth[60, 60] = 1e30
    made = corrected(net(), coded, smooth, SIZE, (0, 0))
    assert np.isfinite(made).all() and made[60, 60] == np.float32(1e30)
    far = np.ones_like(made, bool)
    reach = SMALL.halo + CELL - 1
    far[60 - reach : 61 + reach, 60 - reach : 61 + reach] = False
    np.testing.assert_array_equal(made[far], first[far])
    assert np.abs(made - smooth).max() <= MOST * SIZE * 1.001


def test_there_and_back_in_half_the_bits(tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    held = replace(net(), notes={"steps": 3})
    save(path, held)
    again = load(path)
    assert again.shape == SMALL and again.notes == {"steps": 3}
    for name, array in held.arrays.items():
        assert again.arrays[name].dtype == np.float32
        np.testing.assert_allclose(again.arrays[name], array, rtol=1e-3, atol=1e-6)


def test_the_shipped_net_is_whole_and_small() -> None:
    path = deblocking.shipped()
    held = deblocking.find()
    assert held.shape.parameters == sum(a.size for a in held.arrays.values())
    assert path.stat().st_size < 500_000 and held.notes["pictures"] and held.notes["held out"]
    assert not set(held.notes["pictures"]) & set(held.notes["held out"])


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-40])


def _nan(path: Path) -> None:
    held = load(path)
    held.arrays["0a.weight"][0, 0, 1, 1] = np.nan
    save(path, held)


def _other_shape(path: Path) -> None:
    held = load(path)
    save(path, Stored(Shape(6, 3), held.arrays))


def _foreign(path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"a": np.zeros(3, np.float32)}, str(path))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_cut, "no whole safetensors file"),
        (_nan, "'0a.weight' are not all numbers"),
        (_other_shape, "not those that its header tells of"),
        (_foreign, "without a header of Safelight"),
        (Path.unlink, "no such weights"),
    ],
)
def test_spoiled_weights_are_refused(spoil: Callable[[Path], Any], words: str, tmp_path: Path) -> None:
    path = tmp_path / "net.safetensors"
    save(path, net())
    assert load(path).shape == SMALL
    spoil(path)
    with pytest.raises(GraphError, match=words) as caught:
        deblocking.find(path)
    assert caught.value.file == path and caught.value.remedy


def test_other_nets_and_pickles_are_refused(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="take out no blocks"):
        deblocking.find(models.FOLDER / "fill.safetensors")
    with pytest.raises(GraphError, match="is a pickle"):
        deblocking.find(tmp_path / "net.pth")
    with pytest.raises(GraphError, match=r"unknown kind '\.bin'"):
        deblocking.find(tmp_path / "net.bin")
