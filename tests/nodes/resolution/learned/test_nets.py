"""Plain nets against convolutions written out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.nodes.resolution.learned.nets import Shape, added, fresh, plain
from safelight.nodes.resolution.learned.sampling import enlarged

torch: Any = pytest.importorskip("torch")


def slow(arrays: dict[str, Any], x: Any, scale: int) -> Any:
    """Return what a net adds to (H, W) or (3, H, W), loop by loop, in double precision."""
    planes = np.asarray(x, np.float64).reshape(-1, *np.shape(x)[-2:])
    colours = len(planes)
    layers = len(arrays) // 2
    for k in range(layers):
        kernel, bias = np.float64(arrays[f"{k}.weight"]), np.float64(arrays[f"{k}.bias"])
        _, height, width = planes.shape
        out = np.zeros((len(kernel), height - 2, width - 2))
        for y in range(height - 2):
            for x_ in range(width - 2):
                out[:, y, x_] = bias + (kernel * planes[:, y : y + 3, x_ : x_ + 3]).sum((1, 2, 3))
        planes = np.maximum(out, 0) if k < layers - 1 else out
    _, height, width = planes.shape
    made = np.zeros((colours, height * scale, width * scale))
    for colour in range(colours):
        for p in range(scale * scale):
            made[colour, p // scale :: scale, p % scale :: scale] = planes[colour * scale**2 + p]
    return made if np.ndim(x) == 3 else made[0]


@pytest.mark.parametrize("scale", [2, 4])
def test_against_loops(scale: int) -> None:
    shape = Shape(5, 4, scale)
    weights = fresh(shape, 3)
    x = np.random.default_rng(0).standard_normal((13, 11)).astype(np.float32)
    got = added(weights, torch.from_numpy(x)[None, None], scale)[0, 0].numpy()
    want = slow({name: value.numpy() for name, value in weights.items()}, x, scale)
    assert got.shape == (scale * 5, scale * 3) and np.abs(want).max() > 1e-3
    np.testing.assert_allclose(got, want, atol=1e-6)


def test_colour_against_loops() -> None:
    shape = Shape(5, 4, 2, 3)
    weights = fresh(shape, 3)
    x = np.random.default_rng(0).standard_normal((3, 12, 11)).astype(np.float32)
    got = added(weights, torch.from_numpy(x)[None], 2)[0].numpy()
    want = slow({name: value.numpy() for name, value in weights.items()}, x, 2)
    assert got.shape == (3, 8, 6) and shape.parameters == sum(value.numel() for value in weights.values())
    np.testing.assert_allclose(got, want, atol=1e-5)
    each = plain(torch.from_numpy(x)[:, None], 2, 4)[:, 0]
    # Planes in one group each are summed in another order on some processors.
    np.testing.assert_allclose(plain(torch.from_numpy(x)[None], 2, 4)[0], each, atol=1e-6)


def test_light_laid_under_changes_nothing() -> None:
    weights = fresh(Shape(8, 4, 2), 1)
    x = torch.from_numpy(np.random.default_rng(1).uniform(0, 1, (1, 1, 20, 20)).astype(np.float32))
    assert (added(weights, x + 3, 2) - added(weights, x, 2)).abs().max() < 1e-5


def test_plain_is_lanczos() -> None:
    x = np.random.default_rng(2).standard_normal((20, 17)).astype(np.float32)
    for scale, trim in ((2, 3), (4, 6)):
        got = plain(torch.from_numpy(x)[None, None], scale, trim)[0, 0].numpy()
        np.testing.assert_allclose(
            got, enlarged(x, scale)[scale * trim : -scale * trim, scale * trim : -scale * trim], atol=1e-6
        )


def test_shape() -> None:
    assert Shape(32, 8, 2).parameters == 56964 and Shape(64, 10, 2).parameters == 298372
    assert sum(value.numel() for value in fresh(Shape(32, 8, 2), 0).values()) == 56964
    assert Shape(32, 8, 2).halo == 8 and Shape(4, 3, 2).halo == 3
