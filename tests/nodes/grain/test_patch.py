"""A drawn patch: what is measured in it, and which patches are refused."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.errors import GraphError
from safelight.graph.region import Region
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.patch import check_patch, measure_patch
from safelight.nodes.grain.residual import piled_up
from safelight.nodes.grain.spectrum import spectrum_1d

from .test_analyse import grained

LINEAR = coding("linear")


def shaded(noise: np.ndarray, sigma: float = 0.02) -> np.ndarray:
    """Put noise on an evenly shaded grey."""
    y, x = np.mgrid[: noise.shape[1], : noise.shape[2]]
    return (0.3 + 0.001 * x - 0.0005 * y + sigma * noise).astype(np.float32)


@pytest.mark.parametrize(("size", "within"), [((32, 48), 0.16), ((96, 96), 0.06), ((160, 200), 0.03)])
def test_sigma_and_colour_of_grain(size: tuple[int, int], within: float) -> None:
    found = measure_patch(shaded(grained(np.random.default_rng(1), (3, *size), 3.0, 6.0)), LINEAR)
    assert found.sigma == pytest.approx([0.02] * 3, rel=within) and not found.remarks
    line = np.fft.irfft(spectrum_1d(3.0, 6.0, np.fft.rfftfreq(64)), 64)[: found.correlation.shape[1]]
    assert np.abs(found.correlation - np.outer(line, line)).max() < 1.5 * within
    assert found.level == pytest.approx([0.3 + 0.0005 * size[1] - 0.00025 * size[0]] * 3, rel=0.02)
    assert found.channels == pytest.approx(np.eye(3), abs=1.5 * within)


def test_an_edge_in_a_corner_is_left_out_and_one_through_all_is_told() -> None:
    noise = np.random.default_rng(2).standard_normal((1, 64, 96))
    corner, stripes = shaded(noise), shaded(noise)
    corner[:, 50:60, 70:90] += 0.3
    found = measure_patch(corner, LINEAR)
    assert found.sigma == pytest.approx([0.02], rel=0.06) and 0 < found.busy <= 6 and not found.remarks
    stripes[:, ::16, :64] += 0.3
    (said,) = measure_patch(stripes, LINEAR).remarks
    assert "the patch is not even: 16 of its 24 areas hold more than noise" in said


def test_whole_codes_are_no_clipping() -> None:
    noise = np.random.default_rng(3).standard_normal((1, 48, 64))
    for codes in (0.8, 3.0):
        plate = np.rint(100 + codes * noise) / 255
        found = measure_patch(plate.astype(np.float32), LINEAR)
        assert found.unusable == 0 and found.sigma == pytest.approx([(codes**2 + 1 / 12) ** 0.5 / 255], rel=0.06)
    clipped = np.maximum(np.rint(1 + 2 * noise), 0) / 255
    assert piled_up(clipped)[0] == [0] and np.isnan(piled_up(clipped)[1]).all()
    assert measure_patch(clipped.astype(np.float32), LINEAR).unusable == 12


def test_broken_values_are_left_out() -> None:
    plate = shaded(np.random.default_rng(4).standard_normal((3, 64, 64)))
    plate[1, 3, 3], plate[0, 20, 40], plate[2, 60, 60] = np.nan, np.inf, -np.inf
    found = measure_patch(plate, LINEAR)
    assert found.unusable == 3 and found.sigma == pytest.approx([0.02] * 3, rel=0.08)
    plate[:] = np.nan
    assert measure_patch(plate, LINEAR).blocks == 0 and np.isnan(piled_up(plate)).all()


def test_a_patch_without_noise_has_none() -> None:
    assert measure_patch(shaded(np.zeros((2, 64, 64))), LINEAR).sigma.max() < 1e-6


@pytest.mark.parametrize(
    ("patch", "says"),
    [
        ([0, 0, 64], "a patch is x0, y0, x1, y1, not 3 numbers"),
        ([0, 0, 64, 400], "the patch 0, 0, 64, 400 does not lie in the picture (200x100+0+0)"),
        ([64, 0, 0, 64], "does not lie in the picture"),
        ([-1, 0, 64, 64], "does not lie in the picture"),
        ([60, 0, 100, 40], "the patch of 40 x 40 pixels is too small"),
        ([0, 0, 64, 64], "the patch of 64 x 64 pixels, of which 14 x 64 hold pixels, is too small"),
    ],
)
def test_bad_patches_are_refused(patch: list[int], says: str) -> None:
    with pytest.raises(GraphError) as caught:
        check_patch(patch, Region.sized(200, 100), Region(50, 0, 200, 100))
    assert says in str(caught.value) and "parameter 'patch'" in str(caught.value) and caught.value.remedy


def test_good_patches_are_taken() -> None:
    for patch in ([0, 0, 48, 32], [152, 68, 200, 100], [0, 0, 200, 100]):
        check_patch(patch, Region.sized(200, 100), Region.sized(200, 100))
