"""Holes filled from their own frame: structure runs on, and where there is none nothing is made up."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from safelight.nodes.damage import rays

SIGMA = 0.05


def filled(planes: npt.NDArray[np.float32], hole: npt.NDArray[np.bool_]) -> tuple[Any, Any]:
    """The planes with their hole filled, and which of its pixels could be reached."""
    y, x = np.nonzero(hole)
    value, reached = rays.fill(np.where(hole, np.float32(99), planes), ~hole, y, x, SIGMA)
    out = planes.copy()
    out[:, y, x] = value
    return out, reached


def disc(size: int, radius: float) -> npt.NDArray[np.bool_]:
    y, x = np.mgrid[:size, :size] - size // 2
    return np.asarray(np.hypot(y, x) <= radius)


@pytest.mark.parametrize("angle", [0.0, 0.3, 0.8, 1.2, 1.57, 2.4])
def test_an_edge_runs_on(angle: float) -> None:
    y, x = np.mgrid[:61, :61] - 30.0
    edge = np.clip(y * np.cos(angle) - x * np.sin(angle), -0.5, 0.5).astype(np.float32)
    planes = np.stack([edge, 2 * edge, 0 * edge])
    hole = disc(61, 5)
    out, reached = filled(planes, hole)
    assert reached.all()
    # Half a pixel of the edge's place, over the hole.
    assert np.abs(out - planes)[0, hole].mean() < 0.1


def test_even_light_is_continued_as_it_is() -> None:
    y, x = np.mgrid[:40, :50]
    planes = (0.01 * y + 0.02 * x)[None].astype(np.float32)
    out, _ = filled(planes, np.pad(disc(40, 6), ((0, 0), (0, 10))))
    np.testing.assert_allclose(out, planes, atol=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_texture_that_does_not_run_on_leaves_no_speckle(seed: int) -> None:
    texture = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(3, 60, 60)), (0, 2, 2))
    planes = (texture / texture.std()).astype(np.float32)
    hole = disc(60, 7)
    out, _ = filled(planes, hole)
    inner = ndimage.binary_erosion(hole, np.ones((3, 3)))
    finest = np.abs(ndimage.convolve(out, np.outer([1, -2, 1], [1, -2, 1])[None]))
    around = ~ndimage.binary_dilation(hole, np.ones((3, 3)))
    assert finest[:, inner].mean() < 3 * finest[:, around].mean()


def test_what_no_ray_reaches_is_told() -> None:
    planes = np.zeros((1, 5, 5), np.float32)
    _, reached = filled(planes, np.ones((5, 5), bool))
    assert not reached.any()


def test_one_side_alone_is_enough() -> None:
    planes = np.full((2, 6, 30), 0.7, np.float32)
    hole = np.zeros((6, 30), bool)
    hole[:, 5:] = True
    out, reached = filled(planes, hole)
    assert reached.any() and np.abs(out[:, :, 5:][:, reached.reshape(6, 25)] - 0.7).max() < 1e-6
