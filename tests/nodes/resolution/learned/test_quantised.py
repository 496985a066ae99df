"""8-bit nets: near the net in single precision, and the graph without them equal to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned import quantised, storing
from safelight.nodes.resolution.learned.models import Plain

torch: Any = pytest.importorskip("torch")
pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")


@pytest.mark.parametrize(("scale", "planes"), [(2, 1), (4, 1), (2, 3)])
def test_near_single_precision(net_file: Callable[..., Path], scale: int, planes: int) -> None:
    from safelight.nodes.resolution.learned.training.loop import entering

    stored = storing.load(net_file(scale=scale, planes=planes))
    x = np.random.default_rng(0).uniform(0, 1, (planes, 40, 33)).astype(np.float32)
    weights = {name: torch.from_numpy(np.asarray(array)) for name, array in stored.arrays.items()}
    stored = replace(stored, ranges=tuple(entering(weights, [x])))
    want = Plain(stored).added(torch.from_numpy(x), "float32").numpy()
    same = quantised.session(quantised.model(stored, quantised=False)).run(None, {"x": x[None]})[0][0]
    np.testing.assert_allclose(same, want, atol=1e-5)
    got = quantised.Session(stored).added(x)
    assert got.shape == want.shape
    error = np.abs(got - want).max() / np.abs(want).max()
    assert 0 < error < 0.1


def test_without_ranges(net_file: Callable[..., Path]) -> None:
    with pytest.raises(GraphError, match="say no ranges"):
        quantised.Session(replace(storing.load(net_file()), ranges=()))


def test_what_comes_out_is_summed_from_parts_and_held_to_the_most(net_file: Callable[..., Path]) -> None:
    """A net that hands a ramp through, turned, stretched and moved: sums of parts must follow it, ends and all."""
    stored = storing.load(net_file())
    shape = stored.shape
    arrays = {name: np.zeros_like(value) for name, value in stored.arrays.items()}
    for k in range(shape.layers):
        arrays[f"{k}.weight"][:, 0, 1, 1] = 1.3 if k == shape.layers - 1 else 1
    arrays[f"{shape.layers - 1}.weight"][1] *= -1
    arrays[f"{shape.layers - 1}.bias"][:] = [-0.65, 0.65, 0, 0.02]
    net = quantised.Session(replace(stored, arrays=arrays, ranges=(1.0,) * shape.layers))
    x = np.tile(np.linspace(0, 1, 300, dtype=np.float32), (1, 2 * shape.layers + 1, 1))
    made = net.added(x)[0]
    inner = x[0, 0, shape.layers : -shape.layers]
    for place, want in (
        ((0, 0), 1.3 * inner - 0.65),
        ((0, 1), 0.65 - 1.3 * inner),
        ((1, 0), 1.3 * inner),
        ((1, 1), 1.3 * inner + 0.02),
    ):
        got = made[place[0] :: 2, place[1] :: 2][0]
        np.testing.assert_allclose(got, np.clip(want, -quantised.MOST, quantised.MOST), atol=1.3 / 255)
        assert (np.diff(got) >= 0).all() == (want[-1] > want[0])
