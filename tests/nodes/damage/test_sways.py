"""How far lines shift by parts of a pixel, and whether the scene does too."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from safelight.nodes.damage import sways

HIGH, WIDE = 200, 2 * sways.REACH + 1


def line(at: float, seed: int, deep: float = 0.3, grain: float = 0.1, soft: float = 1.5) -> np.ndarray:
    """Draw a soft dark line, with grain."""
    columns = np.arange(WIDE) - sways.REACH
    plane = np.random.default_rng(seed).normal(0, grain, (HIGH, WIDE))
    return (plane - deep * np.exp(-0.5 * ((columns - at) / soft) ** 2)).astype(np.float32)


@pytest.mark.parametrize("went", [-0.5, -0.2, 0.0, 0.3, 0.5])
def test_a_shift_is_measured_to_a_part_of_a_pixel(went: float) -> None:
    found = np.array([sways.shifted(line(0, 2 * i), line(went, 2 * i + 1), 3) for i in range(60)])
    assert found[:, 0].mean() == pytest.approx(went, abs=0.03 + 0.3 * abs(went))
    # Its error is what it says it is.
    assert found[:, 0].std() == pytest.approx(found[:, 1].mean(), rel=0.35)


def test_a_thin_line_shows_at_most_twice_its_shift() -> None:
    found = [sways.shifted(line(0, 2 * i, soft=0.5), line(0.4, 2 * i + 1, soft=0.5), 1) for i in range(40)]
    assert 0.4 < np.mean([one[0] for one in found if one is not None]) < 1.0


def test_what_is_not_there_or_not_finite_tells_nothing() -> None:
    assert sways.shifted(line(0, 1), line(0, 2, deep=0.0), 1) is None
    assert sways.shifted(line(0, 1)[:10], line(0, 2)[:10], 1) is None
    bad = line(0, 2)
    bad[20:] = np.nan
    assert sways.shifted(line(0, 1), bad[::1], 1) is not None
    bad[10:] = np.nan
    assert sways.shifted(line(0, 1), bad, 1) is None


def test_what_sways_alone_is_none_of_the_scene() -> None:
    away, errors = (-1, 1, -2, 2), (0.03,) * 4
    jitter = (0.5, -0.3, 0.2, 0.4)
    still = (0.0,) * 4
    assert sways.sways(away, jitter, errors, [still]) > 1.5
    # The scene shifts as well, steadily or not, a little more or less than was measured.
    assert sways.sways(away, jitter, errors, [still, tuple(0.8 * one for one in jitter)]) < 0.1
    assert sways.sways(away, (-0.5, 0.5, -1.0, 1.0), errors, [still]) < 0.1
    # What grain may do is no sway, nor what one other frame shows.
    assert sways.sways(away, jitter, (0.3,) * 4, [still]) < 1
    assert sways.sways((1,), (0.9,), (0.01,), [(0.0,)]) == 0


def test_the_scene_is_followed_by_its_slopes_and_what_passes_is_left_out() -> None:
    rng = np.random.default_rng(3)
    scene = ndimage.gaussian_filter(rng.normal(size=(120, 160)), 2.5) * 6
    for went in (0.4, -0.7):
        there = ndimage.shift(scene, (0.2, went), order=3, mode="nearest")
        there[30:60, 40:70] = rng.normal(size=(30, 30))
        grain = rng.normal(0, 0.1, (2, *scene.shape))
        changes = sways.slopes((scene + grain[0]).astype(np.float32), (there + grain[1]).astype(np.float32))
        assert sways.drift(changes) == pytest.approx(went, abs=0.06)
        changes[:, 5:9] = np.nan
        assert sways.drift(changes) == pytest.approx(went, abs=0.06)
    assert sways.drift(sways.slopes(np.zeros((1, 50), np.float32), np.ones((1, 50), np.float32))) == 0
    assert sways.drift(np.full((3, 9, 9), np.nan, np.float32)) == 0
