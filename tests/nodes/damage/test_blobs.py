"""Pieces as lists of pixels, against the whole planes of scipy.ndimage."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from safelight.nodes.damage.blobs import BESIDE, DENSE, EIGHT, RING, components, means, most, surroundings
from safelight.nodes.damage.departure import middle


@pytest.mark.parametrize("share", [0.0, 0.01, 0.6])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (61, 83)])
def test_components_are_those_of_label(size: tuple[int, int], share: float) -> None:
    hot = ndimage.binary_dilation(np.random.default_rng(1).random(size) < share / 3, EIGHT)
    at, index, count = components(hot)
    labels, wanted = ndimage.label(hot, EIGHT)
    assert count == wanted
    np.testing.assert_array_equal(at, np.flatnonzero(hot))
    pairs = {(int(i), int(k)) for i, k in zip(index, labels.ravel()[at], strict=True)}
    assert len(pairs) == count  # one name for each piece, whatever it is


def test_both_ways_of_finding_components_agree() -> None:
    hot = np.zeros((200, 200), bool)
    hot[10:14, 196:] = hot[14, 0:3] = hot[50:60, 50:52] = hot[60, 52] = True
    assert hot.mean() < DENSE and components(hot)[2] == 3
    hot[100:150] = True
    assert hot.mean() > DENSE and components(hot)[2] == 4


@pytest.mark.parametrize("size", [(70, 45), (1, 60), (60, 1), (3, 3)])
def test_surroundings_are_those_of_maximum_filter(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    labels, count = ndimage.label(rng.random(size) < 0.01 * 3150 / np.prod(size) ** 0.97, EIGHT)
    at = np.flatnonzero(labels)
    rings = (RING, BESIDE, (1, 1), (2, 6))
    for (found, owner), (nearest, farthest) in zip(
        surroundings(at, labels.ravel()[at] - 1, labels.shape, rings), rings, strict=True
    ):
        near, wide = (
            ndimage.maximum_filter(labels, 2 * reach + 1, mode="constant") for reach in (nearest - 1, farthest)
        )
        ring = np.where(near == 0, wide, 0)
        order = np.argsort(found)
        np.testing.assert_array_equal(found[order], np.flatnonzero(ring))
        np.testing.assert_array_equal(owner[order], ring.ravel()[found[order]] - 1)
    assert count > 0


def test_groups() -> None:
    index, values = np.array([2, 0, 2, 2]), np.array([1.0, -4.0, 5.0, 3.0])
    np.testing.assert_array_equal(means(index, values, 4), [-4, 0, 3, 0])
    np.testing.assert_array_equal(most(index, values, 4), [0, 0, 5, 0])


@pytest.mark.parametrize("size", [5, 7])
def test_median_along_an_axis(size: int) -> None:
    planes = np.random.default_rng(3).normal(size=(2, 9, 6))
    for axis in (1, 2):
        shape = [1, 1, 1]
        shape[axis] = size
        np.testing.assert_array_equal(
            middle(planes, size, axis), ndimage.median_filter(planes, tuple(shape), mode="nearest")
        )
