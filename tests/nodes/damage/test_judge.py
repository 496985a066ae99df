"""The odds of pieces, judged by where in the frame they lie."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.nodes.damage.blobs import BESIDE, Pieces, surroundings
from safelight.nodes.damage.judge import odds_of_edges


def squares(places: np.ndarray, shape: tuple[int, int]) -> Pieces:
    """Pieces of 3 x 3 pixels at (x, y)."""
    step = np.array([(y, x) for y in range(3) for x in range(3)])
    at = np.concatenate([(y + step[:, 0]) * shape[1] + x + step[:, 1] for x, y in places])
    boxes = np.array([(x, y, x + 3, y + 3) for x, y in places])
    return of_pixels(at, np.repeat(np.arange(len(places)), 9), boxes, shape)


def of_pixels(at: np.ndarray, index: np.ndarray, boxes: np.ndarray, shape: tuple[int, int]) -> Pieces:
    return Pieces("dark", shape, at, index, boxes, {}, surroundings(at, index, shape, [BESIDE])[0])


@pytest.fixture
def scene() -> np.ndarray:
    """Stops: calm but for an edge every 80 pixels."""
    plane = np.repeat(np.where(np.arange(400) // 80 % 2, 1.0, 0.0)[None], 300, 0)
    return (plane + np.random.default_rng(1).normal(0, 0.02, plane.shape)).astype(np.float32)


def lowered(scene: np.ndarray, places: np.ndarray) -> np.ndarray:
    odds = np.full(len(places), 2.0)
    odds_of_edges([(squares(places, scene.shape), odds)], scene)
    return 2.0 - odds


def test_pieces_that_lie_along_edges_lose(scene: np.ndarray) -> None:
    rng = np.random.default_rng(2)
    along = np.stack([rng.choice([77, 157, 237, 317], 12), 20 + 20 * np.arange(12)], 1)
    assert (lowered(scene, along) > 1.5).all()
    # Among them, one that lies apart keeps its odds or gains.
    both = np.concatenate([along, [[40, 150], [120, 90]]])
    assert (lowered(scene, both)[-2:] < 0.1).all() and (lowered(scene, both)[:-2] > 1.0).all()


def test_dust_that_falls_anywhere_keeps_its_odds(scene: np.ndarray) -> None:
    grid = np.array([(x, y) for x in range(15, 380, 25) for y in range(15, 280, 25)])
    on_edges = np.isin((grid[:, 0] + 5) // 10, [8, 16, 24, 32])
    assert np.abs(lowered(scene, grid[~on_edges])).max() < 0.5
    assert lowered(scene, grid).mean() < 0.3


def test_two_pieces_alone_tell_little(scene: np.ndarray) -> None:
    assert lowered(scene, np.array([(77, 50), (157, 150)])).max() < 1.5


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (2, 2)])
def test_next_to_nothing(size: tuple[int, int]) -> None:
    odds_of_edges([], np.zeros(size, np.float32))
    odds = np.array([1.0])
    odds_of_edges(
        [(of_pixels(np.array([0]), np.array([0]), np.array([[0, 0, 1, 1]]), size), odds)],
        np.zeros(size, np.float32),
    )
    assert np.isfinite(odds).all()
