"""Numbers from counters."""

import numpy as np
from scipy import stats

from safelight.nodes.damage.draws import Draws, mixed, wave


def test_the_same_words_give_the_same_numbers_and_others_do_not() -> None:
    first = Draws(3, 7).uniform(1000)
    np.testing.assert_array_equal(first, Draws(3, 7).uniform(1000))
    assert not np.any(first == Draws(7, 3).uniform(1000))
    assert mixed(-1) != mixed(1) and mixed(0) != mixed(0, 0)
    # Pinned: a picture made today is made again in ten years.
    assert Draws(1, 2, 3).uniform(3).tolist() == [0.20261995663170151, 0.885396709181709, 0.5571562660678333]


def test_distributions() -> None:
    assert stats.kstest(Draws(1).uniform(20_000), "uniform").pvalue > 1e-3
    assert stats.kstest(Draws(2).normal(20_000), "norm").pvalue > 1e-3
    for mean in (0.7, 6.0, 50.0):
        draws = Draws(5, int(mean))
        counts = np.array([draws.poisson(mean) for _ in range(3000)])
        assert abs(counts.mean() / mean - 1) < 0.08 and abs(counts.var() / mean - 1) < 0.15
    draws = Draws(4)
    assert {draws.below(3) for _ in range(100)} == {0, 1, 2}
    assert abs(np.mean([draws.chance(0.3) for _ in range(3000)]) - 0.3) < 0.03


def test_a_wave_is_smooth_bounded_and_known_anywhere() -> None:
    at = np.linspace(-40, 40, 8001)
    whole = wave(at, 1, 2)
    np.testing.assert_array_equal(whole[100:200], wave(at[100:200], 1, 2))
    assert np.abs(whole).max() <= 1 and whole.std() > 0.3
    assert np.abs(np.diff(whole)).max() < 0.04
