"""What Repair does with what it should not be given, or is given at the worst place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import NOTES, Image
from safelight.graph.provenance import FILL, FRAME, ORIGIN, describe
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.damage.donors import to_stops
from tests.nodes.damage.repairing import assert_untouched, codes, errors, moving, pictures, resting, run, spot


def origins(out: Any, where: Any) -> set[str]:
    return {describe(int(code)).split(",")[0] for code in np.unique(codes(out)[where])}


def level(like: dict[int, Image], value: float) -> dict[int, Image]:
    """A matte of one value for each picture."""
    return {n: Image(np.full((1, *i.data.shape[1:]), value, np.float32), i.region, ("A",)) for n, i in like.items()}


@pytest.mark.parametrize(("frame", "signs"), [(0, "+"), (4, "-")])
def test_the_first_and_the_last_frame_take_from_the_side_there_is(frame: int, signs: str) -> None:
    clean, noisy = moving()
    shown, mattes = spot(pictures(noisy), (frame, 90, 60, 100, 72))
    out = run(shown, mattes, frame)
    bad = mattes[frame].data[0] > 0
    assert (errors(out["image"], clean[frame])[bad] <= 2).mean() > 0.95
    assert all(name.startswith(f"from frame t{signs}") for name in origins(out, bad))
    assert_untouched(out, shown[frame], mattes[frame])


CUT = """safelight = 1
[shot]
cuts = [2, 3]
[nodes.plate]
type = "Plate"
width = 120
height = 80
frames = 5
first = 0
cut = false
[nodes.damage]
type = "Damage"
input = "plate"
dust = 1
size = 5
[nodes.repair]
type = "Repair"
inputs = {source = "damage", matte = "damage.matte"}
"""


def test_a_shot_of_one_frame_between_two_cuts_is_filled_from_its_surroundings() -> None:
    graph = Graph.from_document(Document.parse(CUT))
    graph.check()
    mattes = dict(pull(graph, "damage", "matte"))
    whole = {"repair": dict(pull(graph, "repair")), "record": dict(pull(graph, "repair", "provenance"))}
    record = whole["record"][2].data[0].view(np.uint32)
    bad = mattes[2].data[0] > 0
    assert bad.any() and set(np.unique(record[bad]) & ORIGIN) == {FILL}
    damaged = dict(pull(graph, "damage"))[2]
    assert (whole["repair"][2].data != damaged.data).any(0)[bad].mean() > 0.9
    # A shot of two frames has one donor each.
    others = whole["record"][0].data[0].view(np.uint32)
    assert {describe(int(code)).split(",")[0] for code in np.unique(others)} <= {
        "kept",
        "from frame t+1",
        "filled from its surroundings",
    }


@pytest.mark.parametrize(("radius", "expected"), [(1, {"filled from its surroundings"}), (2, None)])
def test_damage_on_one_spot_in_neighbouring_frames(radius: int, expected: set[str] | None) -> None:
    clean, noisy = resting()
    shown, mattes = spot(pictures(noisy), *((t, 90, 60, 98, 70) for t in (1, 2, 3)))
    out = run(shown, mattes, 2, radius=radius)
    bad = mattes[2].data[0] > 0
    assert origins(out, bad) <= (expected or {"from frame t-2", "from frame t+2"})
    if expected is None:
        assert (errors(out["image"], clean[2])[bad] <= 2).mean() > 0.97


@pytest.mark.parametrize("rest", [60, 0])
def test_a_destroyed_frame_is_left_alone_and_forced_is_taken_from_the_frames_around(rest: int) -> None:
    clean, noisy = moving()
    shown, mattes = spot(pictures(noisy), (2, 0, 0, 200 - rest, 300))
    left = run(shown, mattes, 2)
    np.testing.assert_array_equal(left["image"].data.view(np.uint32), shown[2].data.view(np.uint32))
    (note,) = left["image"].metadata[NOTES]
    assert note.startswith(f"frame 2: {100 - rest // 2}% of it is damaged") and "force = true" in note
    forced = run(shown, mattes, 2, force=True)
    bad = mattes[2].data[0] > 0
    found = codes(forced)[bad]
    assert ((found & ORIGIN) == FRAME).mean() > 0.95 and NOTES not in forced["image"].metadata
    off = np.abs(to_stops(forced["image"].data) - to_stops(clean[2]))[:, bad]
    assert np.median(off) < (0.25 if rest else 0.5)


def test_a_matte_of_a_smaller_data_window_marks_nothing_outside_it() -> None:
    shown, mattes = spot(pictures(moving()[1]), (2, 40, 40, 48, 48), (2, 150, 200, 158, 208))
    region = shown[2].region
    part = Region(region.x0 + 20, region.y0 + 20, region.x0 + 100, region.y0 + 100)
    small = {n: matte.crop(part) for n, matte in mattes.items()}
    out = run(shown, small, 2)
    assert codes(out)[40:48, 40:48].all() and not codes(out)[140:170, 190:220].any()
    np.testing.assert_array_equal(out["image"].data[:, 100:], shown[2].data[:, 100:])
    nowhere = {n: matte.crop(Region(region.x0, region.y0, region.x0, region.y0)) for n, matte in mattes.items()}
    assert not codes(run(shown, nowhere, 2)).any()


def test_mattes_with_values_that_are_no_confidence() -> None:
    shown, mattes = spot(pictures(moving()[1]), (2, 40, 40, 48, 48), (2, 40, 90, 48, 98), (2, 120, 90, 128, 98))
    for n, value in enumerate((5.0, np.inf, -3.0)):
        y, x = ((40, 40), (40, 90), (120, 90))[n]
        mattes[2].data[0, y : y + 8, x : x + 8] = value
    mattes[2].data[0, 160:170, 20:30] = np.nan
    mattes[2].data[0, 160:170, 50:60] = -np.inf
    found = codes(run(shown, mattes, 2))
    assert found[40:48, 40:48].all() and found[40:48, 90:98].all()
    assert not found[110:, :].any()
    held = level(shown, 0)
    held[2].data[0] = np.nan
    np.testing.assert_array_equal(codes(run(shown, mattes, 2, others={"holdout": held})), found)
    held[2].data[0, 36:52, 36:52] = 1e9
    assert not codes(run(shown, mattes, 2, others={"holdout": held}))[36:52, 36:52].any()


def test_a_holdout_of_everything_keeps_everything() -> None:
    shown, mattes = spot(pictures(moving()[1]), (2, 40, 40, 48, 48))
    out = run(shown, mattes, 2, others={"holdout": level(shown, 1), "include": level(shown, 1)})
    np.testing.assert_array_equal(out["image"].data.view(np.uint32), shown[2].data.view(np.uint32))
    assert not codes(out).any() and NOTES not in out["image"].metadata


def test_alpha_and_other_channels_are_kept_bit_for_bit_and_order_does_not_matter() -> None:
    noisy = moving()[1]
    extra = np.random.default_rng(8).normal(size=(5, 2, 200, 300)).astype(np.float32)
    extra[:, 1, ::7] = np.nan
    plain, mattes = spot(pictures(noisy), (2, 60, 60, 72, 72))
    more = {
        n: Image(
            np.concatenate([extra[n, :1], i.data[2:], extra[n, 1:], i.data[:1], i.data[1:2]]),
            i.region,
            ("A", "B", "depth.Z", "R", "G"),
        )
        for n, i in plain.items()
    }
    out, wide = run(plain, mattes, 2), run(more, mattes, 2)
    np.testing.assert_array_equal(wide["image"].data[[0, 2]].view(np.uint32), extra[2].view(np.uint32))
    # Sums over channels are rounded by their order.
    np.testing.assert_allclose(wide["image"].data[[3, 4, 1]], out["image"].data, rtol=0.02, atol=1e-3)
    assert_untouched(wide, more[2], mattes[2])


def test_a_plate_with_holes_of_nan_everywhere() -> None:
    shown, mattes = spot(pictures(moving()[1]), (2, 60, 60, 72, 72))
    for n in (0, 1, 3, 4):
        shown[n].data[...] = np.nan
    out = run(shown, mattes, 2)
    assert origins(out, mattes[2].data[0] > 0) == {"filled from its surroundings"}
    shown[2].data[...] = np.nan
    assert np.isnan(run(shown, mattes, 2)["image"].data).all()


def test_no_pixels_at_all() -> None:
    nothing = Region(3, -2, 3, -2)
    images = {n: Image(np.zeros((3, 0, 0), np.float32), nothing, ("R", "G", "B")) for n in range(3)}
    mattes = {n: Image(np.zeros((1, 0, 0), np.float32), nothing, ("A",)) for n in range(3)}
    assert run(images, mattes, 1)["image"].data.shape == (3, 0, 0)


def test_a_matte_of_another_size_is_refused_and_named() -> None:
    text = (
        CUT.replace('matte = "damage.matte"', 'matte = "small"')
        + """
    [nodes.small]
    type = "Plate"
    width = 60
    height = 40
    frames = 5
    first = 0
    """
    )
    with pytest.raises(GraphError, match=r"node 'repair', input 'matte': the matte is 60x40.*120x80"):
        Graph.from_document(Document.parse(text)).check()


# --- what the frames around confirm ----------------------------------------------------------------------------------


@pytest.mark.parametrize("scene", [moving, resting])
def test_what_the_frames_around_confirm_keeps_its_bits(scene: Any) -> None:
    noisy = scene()[1]
    shown, mattes = spot(pictures(noisy), (2, 100, 30, 108, 38))
    for y, x in ((20, 40), (20, 200), (150, 100), (170, 230)):
        mattes[2].data[0, y : y + 6, x : x + 7] = 0.9
    found = codes(run(shown, mattes, 2))
    assert found[100:108, 30:38].all()
    others = np.ones(found.shape, bool)
    others[90:118, 20:48] = False
    marked = (mattes[2].data[0] > 0) & others
    assert (found[marked] == 0).mean() >= 0.75
    everything = codes(run(shown, mattes, 2, verify=False))
    assert everything[marked].all() and (everything != 0).sum() > (found != 0).sum()
    # A person's word counts for more.
    mattes[2].data[0, 20:26, 40:47] = 1
    asked = level(shown, 0)
    asked[2].data[0, 20:26, 200:207] = 0.5
    told = codes(run(shown, mattes, 2, others={"include": asked}))
    assert told[20:26, 40:47].all() and told[20:26, 200:207].all()


@pytest.mark.parametrize("depth", [-0.7, 0.7])
@pytest.mark.parametrize("size", [2, 4, 9])
def test_soft_edges_leave_no_rim(depth: float, size: int) -> None:
    noisy = resting()[1]
    shown, mattes = spot(pictures(noisy))
    mask = np.zeros((200, 300))
    for y in range(20, 190, 30):
        for x in range(20, 290, 30):
            mask[y : y + size, x : x + size] = 1
    soft = ndimage.gaussian_filter(mask, 0.8) * (1 / ndimage.gaussian_filter(mask, 0.8).max())
    shown[2].data[...] *= 2.0 ** (depth * 2 * soft)
    mattes[2].data[0] = np.where(soft > 0.5, 0.95, 0)
    out = run(shown, mattes, 2)
    rim = (soft > 0.05) & (soft <= 0.5)
    left = (to_stops(out["image"].data) - to_stops(noisy[2])).mean(0)
    # What stays of the soft edges is less than the grain, and a fraction of what was there.
    before = (to_stops(shown[2].data) - to_stops(noisy[2])).mean(0)
    assert abs(left[rim].mean()) < 0.2 * abs(before[rim].mean())
    assert abs(left[soft > 0.5].mean()) < 0.03


def test_verify_leaves_no_seam_where_brightness_differs() -> None:
    clean, noisy = resting()
    flicker = np.array([1.1, 0.9, 1.0, 1.1, 0.9], np.float32)[:, None, None, None]
    shown, mattes = spot(pictures(noisy * flicker), (2, 60, 100, 100, 140))
    out = run(shown, mattes, 2)
    off = (to_stops(out["image"].data) - to_stops(clean[2])).mean(0)
    inside, around = off[64:96, 104:136].mean(), off[50:110, 90:150].mean()
    assert abs(inside - around) < 0.03
