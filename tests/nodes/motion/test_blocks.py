"""Block motion on moving pictures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from safelight.graph.device import Device
from safelight.nodes.motion.blocks import compensate, pyramid, quarter, search

DEVICE = Device("cpu", 2)


def scene(height: int, width: int, seed: int = 3) -> np.ndarray:
    """Texture at many scales, as photographs have."""
    rng = np.random.default_rng(seed)
    out = np.zeros((height, width))
    for size in (1.2, 3, 8, 20):
        layer = gaussian_filter(rng.standard_normal((height, width)), size)
        out += layer / layer.std()
    return out


def luma(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture * 100)[None].clip(-8191, 8191).astype(np.float32)


@pytest.mark.parametrize("move", [(0, 0), (7, -3), (18, 11), (-40, 6)])
def test_large_motion_is_found_under_noise(move: tuple[int, int]) -> None:
    dx, dy = move
    big = scene(288, 416)
    rng = np.random.default_rng(1)
    a, b = big[60:220, 60:340], big[60 - dy : 220 - dy, 60 - dx : 340 - dx]
    noisy = [luma(p + rng.normal(0, 0.5, p.shape)) for p in (a, b)]
    here, there = (pyramid(p, DEVICE) for p in noisy)
    vectors = search(here, there, DEVICE, noise=50)
    inner = vectors[:, 3:-3, 6:-6]
    found = (np.abs(inner[0] - dx) <= 1) & (np.abs(inner[1] - dy) <= 1)
    assert found.mean() > 0.97


def test_quarter_pixels_come_closer() -> None:
    big = scene(400, 800)
    fine = gaussian_filter(big, 4)
    a, b = fine[::4, ::4], fine[1::4, 2::4]  # half a pixel to the left, a quarter up
    here, there = luma(a * 4), luma(b * 4)
    vectors = search(pyramid(here, DEVICE), pyramid(there, DEVICE), DEVICE, noise=1)
    q = quarter(vectors, DEVICE)
    inner = (slice(None), slice(2, -2), slice(2, -2))
    assert np.median(q[0][2:-2, 2:-2]) == -2 and np.median(q[1][2:-2, 2:-2]) == -1
    whole = compensate(there, vectors[:2] * 4, DEVICE)
    fraction = compensate(there, q, DEVICE)
    error = [np.sqrt(((p - here)[inner] ** 2).mean()) for p in (whole, fraction)]
    assert error[1] < 0.4 * error[0]


def test_a_still_picture_stays_where_it_is() -> None:
    p = luma(scene(64, 96))
    vectors = search(pyramid(p, DEVICE), pyramid(p, DEVICE), DEVICE, noise=30)
    assert not vectors[:2].any()
    np.testing.assert_allclose(compensate(p, quarter(vectors, DEVICE), DEVICE), p, rtol=1e-6, atol=1e-4)


def test_flat_grain_moves_nothing_far() -> None:
    rng = np.random.default_rng(4)
    a, b = (luma(rng.standard_normal((128, 192))) for _ in range(2))
    vectors = search(pyramid(a, DEVICE), pyramid(b, DEVICE), DEVICE, noise=100, smoothness=0.05)
    assert np.abs(vectors[:2]).mean() < 6
