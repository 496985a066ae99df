"""What is measured of a frame against its neighbours: what the records share, and what lies on one alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.damage.departure import LEFT, RIDGE, _shared, measure, prepare
from safelight.nodes.grain.noise import Noise

TWO = Device("cpu", 2)
GRAIN = 0.1


def test_what_records_tell_of_each_other_is_least_squares() -> None:
    rng = np.random.default_rng(1)
    mixed = np.array([[1.0, 0.8, 0.3], [0.0, 1.5, -0.4], [0.0, 0.0, 2.0]]) @ rng.normal(0, 1, (3, 9 * 64)) + 0.7
    some = mixed.reshape(3, 3, 3, 64)
    pairs = ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    products = np.stack([(some[r] * some[q]).sum(-1) for r, q in pairs])
    left, told = _shared(some.sum(-1), products, np.full((3, 3, 3), 0.7))
    about = mixed - 0.7
    for r in range(3):
        a, b = (q for q in range(3) if q != r)
        tall = np.concatenate([about[[a, b]].T, np.sqrt(RIDGE * about.shape[1]) * np.eye(2)])
        wanted = np.linalg.lstsq(tall, np.concatenate([about[r], np.zeros(2)]), rcond=None)[0]
        np.testing.assert_allclose(told[r, [a, b], 1, 1], wanted, rtol=1e-9)
        error = ((np.concatenate([about[r], [0, 0]]) - tall @ wanted) ** 2).sum() / about.shape[1] + RIDGE
        np.testing.assert_allclose(left[r, 1, 1], max(error - LEFT, 0), rtol=1e-9)


def test_records_that_are_alike_foretell_each_other_without_end() -> None:
    left, told = _shared(np.zeros((3, 4, 5)), np.full((6, 4, 5), 64.0), np.zeros((3, 4, 5)))
    assert (left == 0).all() and np.isfinite(told).all() and np.abs(told[0, 1] - 0.5).max() < 0.03
    left, told = _shared(np.zeros((3, 4, 5)), np.zeros((6, 4, 5)), np.zeros((3, 4, 5)))
    assert (left == 0).all() and (told[0, 1] == 0).all()


def unsteady(shared: float, spot: float, *, neighbour: float = 0.0, frames: int = 5) -> dict[int, Image]:
    """Frames, in stops about mid-grey, of which something else lies on all records in each, and a spot on red in the
    middle one at (90, 60), as in the frame before it at (40, 60)."""
    rng = np.random.default_rng(3)
    scene = ndimage.gaussian_filter(rng.normal(0, 30, (120, 160)), 6)
    found = {}
    for n in range(frames):
        boil = ndimage.gaussian_filter(rng.normal(0, 1, scene.shape), 1.2)
        stops = np.repeat((scene + shared * boil / boil.std())[None], 3, 0) + rng.normal(0, GRAIN, (3, *scene.shape))
        for at, x, much in ((frames // 2, 90, spot), (frames // 2 - 1, 40, neighbour)):
            if n == at:
                stops[0, 58:63, x - 2 : x + 3] += much
        found[n] = Image((0.18 * 2.0**stops).astype(np.float32), Region.sized(160, 120))
    return found


def fields(images: Mapping[int, Image], others: tuple[int, ...] = (-2, -1, 1, 2)) -> Mapping[str, Any]:
    ready = {n: prepare(image, TWO) for n, image in images.items()}
    middle = len(images) // 2
    noise = Noise.white([GRAIN] * 3)
    return measure(ready[middle], {step: ready[middle + step] for step in others}, noise, TWO).fields


@pytest.mark.parametrize("others", [(-2, -1, 1, 2), (-1, 1), (1, 2)])
def test_a_spot_on_one_record_shows_through_what_all_records_share(others: tuple[int, ...]) -> None:
    seen = fields(unsteady(0.5, -0.6), others)["colour"]
    elsewhere = np.ones(seen.shape, bool)
    elsewhere[54:67, 84:97] = False
    assert np.median(seen[58:63, 88:93]) < -4
    # Grain alone reaches 3 in a few of 19,000 pixels; half a stop of what moves on all records adds next to nothing.
    assert (np.abs(seen[elsewhere]) > 3).mean() < 0.0015


def test_two_frames_on_each_side_say_more_than_one() -> None:
    images = unsteady(0.0, -0.45)
    four, two = (fields(images, others)["colour"][58:63, 88:93] for others in ((-2, -1, 1, 2), (-1, 1)))
    assert four.mean() < 1.1 * two.mean() < 0


def test_a_neighbour_that_is_damaged_leaves_no_ghost() -> None:
    seen = fields(unsteady(0.0, 0.0, neighbour=-2.0))["colour"]
    assert np.abs(seen[58:63, 38:43]).max() < 3


def test_black_and_white_on_three_records_departs_on_none() -> None:
    images = {n: image.with_data(np.repeat(image.data[:1], 3, 0)) for n, image in unsteady(0.3, -1.5).items()}
    seen = fields(images)
    assert np.abs(seen["colour"]).max() < 2.4 and np.median(seen["grey"][58:63, 88:93]) < -4
