"""Cuts and dissolves of joined clips, and what they are found by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow

from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._joined import SIZE, Joined, many, plate, spoiled, world
from safelight.nodes.measure.cuts import HIGH, WIDE, Cuts, features, find_cuts, thumbnail, unlike


def found(clip: Joined, first: int = 0) -> Cuts:
    return find_cuts([thumbnail(frame) for frame in clip.frames], first)


def numbers(cuts: Cuts) -> list[int]:
    return [cut.frame for cut in cuts.cuts]


def test_a_thumbnail_is_the_means_of_cells_without_dirt() -> None:
    rng = np.random.default_rng(1)
    base = rng.uniform(0.05, 1, (3, HIGH, WIDE)).astype(np.float32)
    big = np.kron(base, np.ones((1, 16, 16), np.float32))
    clean = thumbnail(big)
    stops = np.log2(base.astype(np.float64) + 0.01)
    luma = (stops[0] + 2 * stops[1] + stops[2]) / 4
    np.testing.assert_allclose(clean, [luma, stops[0] - stops[1], stops[2] - stops[1]], atol=1e-5)
    big[:, 3::16, 5::16] = 50.0
    big[:, 9::64, 1::64] = np.nan
    np.testing.assert_allclose(thumbnail(big), clean, atol=1e-5)
    assert thumbnail(np.ones((1, 5, 7))).shape == (3, HIGH, WIDE)
    part = thumbnail(big[:, 100:], Region(0, 100, 1024, 576), Region.sized(1024, 576))
    np.testing.assert_allclose(part[:, 10:], clean[:, 10:], atol=1e-5)
    assert part[0, 2, 2] == pytest.approx(np.log2(0.01), abs=1e-5)


def test_brightness_and_motion_are_no_difference_and_another_picture_is() -> None:
    shot, other = world(5, 3, 24.0), world(6, 1, 0.0)
    first, second = thumbnail(shot[0]), thumbnail(shot[1])
    assert features(first, first) == pytest.approx((0, 0, 0), abs=0.03)
    brighter = thumbnail(shot[0] * 1.7)
    assert unlike(first, brighter) < -6 and unlike(first, second) < -4
    assert unlike(first, thumbnail(other[0])) > 1


def test_joined_clips_with_flicker_flashes_dirt_and_fast_motion() -> None:
    right = wrong = missed = 0
    for seed in (31, 32):
        clip = many(seed, 6, grey=seed == 32, length=(9, 13))
        clip = spoiled(clip, seed, flicker=0.2, flashes=2, dirt=0.4, lost=1)
        got, true = set(numbers(found(clip))), set(clip.cuts)
        right, wrong, missed = right + len(got & true), wrong + len(got - true), missed + len(true - got)
    assert 2 * right / (2 * right + wrong + missed) >= 0.97, (right, wrong, missed)


def test_flashes_are_no_cuts_and_cuts_beside_them_are() -> None:
    calm = world(7, 24, 1.5)
    for at, length in ((8, 1), (14, 3)):
        for i in range(at, at + length):
            calm[i] = calm[i] * 12 + 0.4
    assert numbers(found(Joined(calm))) == []
    clip = Joined()
    clip.add(world(7, 12, 1.5))
    clip.add(world(8, 12, -2.0))
    for at in (11, 13):
        flashed = Joined(list(clip.frames))
        flashed.frames[at] = flashed.frames[at] * 9 + 0.3
        assert numbers(found(flashed, first=1001)) == [1013]


def test_a_whip_pan_is_no_cut() -> None:
    assert numbers(found(Joined(world(9, 16, 48.0, blur=True)))) == []


def test_a_dissolve_is_a_dissolve_and_no_cut() -> None:
    clip = Joined()
    clip.add(plate(3, 0, 10, 26, (0, 0)))
    clip.add(world(12, 30, 0.0), dissolve=12)
    clip.add(world(13, 12, 0.0))
    got = found(clip, first=101)
    assert numbers(got) == [101 + clip.cuts[0]] and len(got.dissolves) == 1
    (first, last), one = clip.dissolves[0], got.dissolves[0]
    assert abs(one.first - 101 - first) <= 3 and abs(one.last - 101 - last) <= 3
    assert got.as_data()["dissolves"][0]["first"] == one.first
    # Fast motion has no dissolve, however unlike its ends.
    assert found(Joined(world(14, 30, 20.0))).dissolves == ()


def test_clips_too_short_to_cut() -> None:
    assert find_cuts([]) == Cuts()
    one = thumbnail(world(1, 1, 0.0)[0])
    assert find_cuts([one]) == Cuts()
    assert numbers(find_cuts([one, thumbnail(world(2, 1, 0.0)[0])], 5)) == [6]
    black = thumbnail(np.zeros((3, SIZE.height, SIZE.width)))
    assert find_cuts([black] * 5) == Cuts()


@pytest.mark.parametrize(
    ("folder", "cuts"),
    [
        ("seq/bbb_cut", [7]), ("film/abomb_cut_1950s", [11]), ("film/market_street_1906", []),
        ("film/train_robbery_1903", []), ("seq/redtree_pan", []), ("seq/walker_lowbitrate", []),
    ],
)  # fmt: skip
def test_real_film(data: Path, folder: str, cuts: list[int]) -> None:
    files = sorted((data / "images" / folder).glob("*.png"))
    pictures = (np.asarray(Pillow.open(file).convert("RGB"), np.float32).transpose(2, 0, 1) / 255 for file in files)
    got = find_cuts([thumbnail(picture**2.2) for picture in pictures], 1)
    assert numbers(got) == cuts and got.dissolves == ()


def test_fades_are_told_and_are_no_cuts() -> None:
    first, second = world(11, 26, 1.0), world(12, 26, -1.0)
    rising = np.linspace(0, 1, 12, dtype=np.float32)
    out = [frame * (1 - share) for frame, share in zip(first[14:], rising, strict=True)]
    into = [frame * share for frame, share in zip(second[:12], rising, strict=True)]
    black = [np.zeros_like(first[0])] * 4
    clip = spoiled(Joined([*first[:14], *out, *black, *into, *second[12:]]), 5, flicker=0.1, flashes=0, dirt=0.2)
    got = found(clip, first=101)
    assert numbers(got) == [] and len(got.dissolves) == 2
    for one, (start, stop) in zip(got.dissolves, ((116, 125), (132, 141)), strict=True):
        assert abs(one.first - start) <= 4 and abs(one.last - stop) <= 4 and one.confidence > 0.5
    # Black and then another shot at once is a cut; so is a shot and then black.
    assert numbers(found(Joined([*first[:14], *out, *black, *second[:14]]))) == [30]
    assert numbers(found(Joined([*first[:14], *black, *black]))) == [14]
    assert found(Joined([*black, *black, *black])) == Cuts()


def test_a_dissolve_between_pictures_that_are_much_alike_is_told() -> None:
    clip = spoiled(many(44, 7), 44, flicker=0.3, flashes=5, dirt=0.6, lost=2)
    got = found(clip)
    assert set(numbers(got)) == set(clip.cuts)  # the end of a dissolve is none
    assert len(got.dissolves) == len(clip.dissolves) == 1
