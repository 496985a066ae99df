"""What is marked in a frame, as found and as edited: a list of defects changes its own places alone."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import ndimage

from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.image import Image
from safelight.graph.render import pull
from safelight.nodes.damage.defects import EIGHT, Decision, Defect, Defects
from safelight.nodes.damage.marks import Marks
from safelight.nodes.damage.obeying import FOUND
from tests.nodes.damage.repairing import Pictures, codes, lay, moving, pictures, run

REACH = 3
"""Pixels that a repair reaches beyond the matte, as the parameters stand: grow and feather."""
MOVED = 24
"""Pixels that the scene moves by in two frames, at most."""
Bools = npt.NDArray[np.bool_]


@cache
def dusty() -> tuple[Pictures, Pictures]:
    return lay(pictures(moving()[1]), dust=1.5, size=5)


def edited(matte: Image, change: npt.NDArray[np.float32]) -> Image:
    """A matte that obeys a list, as the detectors give it: where `change` is a number, that."""
    after = np.where(np.isnan(change), matte.data[0], change).astype(np.float32)
    return replace(matte, data=np.stack([after, matte.data[0]]), channels=("A", FOUND))


def blobs(matte: Image) -> tuple[npt.NDArray[np.int32], int]:
    return ndimage.label(matte.data[0] > 0, EIGHT)  # type: ignore[no-any-return]


def places(matte: Image, change: npt.NDArray[np.float32]) -> Bools:
    """Where a change may show: the touching repairs that hold any of it."""
    touched = ~np.isnan(change)
    labels = labelled(matte, touched)
    return np.asarray(np.isin(labels, labels[touched]) & (labels > 0))


def labelled(matte: Image, more: Any = False) -> npt.NDArray[np.int32]:
    """Number the touching repairs."""
    reached = ndimage.maximum_filter((matte.data[0] > 0) | more, 2 * REACH + 1, mode="constant")
    return ndimage.label(reached, EIGHT)[0]  # type: ignore[no-any-return]


def differs(one: Any, other: Any) -> Bools:
    pixels = (one["image"].data.view(np.uint32) != other["image"].data.view(np.uint32)).any(0)
    return np.asarray(pixels | (codes(one) != codes(other)))


@pytest.mark.parametrize("seed", range(3))
def test_what_is_rejected_keeps_its_bits_and_nothing_else_changes(seed: int) -> None:
    shown, mattes = dusty()
    labels, count = blobs(mattes[2])
    chosen = np.random.default_rng(seed).choice(np.arange(1, count + 1), 1 + 5 * seed, replace=False)
    change = np.where(np.isin(labels, chosen), np.float32(0), np.float32(np.nan))
    after = mattes | {2: edited(mattes[2], change)}
    base, out = run(shown, mattes, 2), run(shown, after, 2)
    moved = differs(out, base)
    assert moved.any() and not (moved & ~places(mattes[2], change)).any()
    # What is left of the matte says where anything may still change.
    still = ndimage.maximum_filter(after[2].data[0] > 0, 2 * REACH + 1, mode="constant")
    same = (out["image"].data.view(np.uint32) == shown[2].data.view(np.uint32)).all(0)
    assert same[~still].all() and not codes(out)[~still].any()
    for frame in (1, 3):
        assert not differs(run(shown, after, frame), run(shown, mattes, frame)).any()


def test_what_is_added_is_repaired_and_taken_from_by_nobody() -> None:
    shown, mattes = dusty()
    change = np.full(mattes[2].data.shape[1:], np.nan, np.float32)
    change[40:52, 60:75] = change[150:158, 200:206] = 1
    after = mattes | {2: edited(mattes[2], change)}
    base, out = run(shown, mattes, 2), run(shown, after, 2)
    moved = differs(out, base)
    assert (codes(out)[~np.isnan(change)] != 0).all()
    assert not (moved & ~places(mattes[2], change)).any()
    near = np.where(ndimage.maximum_filter(~np.isnan(change), 2 * MOVED + 1, mode="constant"), np.float32(1), np.nan)
    for frame in (0, 1, 3, 4):
        changed = differs(run(shown, after, frame), run(shown, mattes, frame))
        # Only places that the motion brings there can have been taken from what is added.
        labels = labelled(mattes[frame])
        marked = np.isin(labels, labels[near == 1]) & (labels > 0)
        assert not (changed & ~marked).any()


def test_what_is_kept_is_certain_and_nothing_else_changes() -> None:
    shown, mattes = dusty()
    soft = mattes | {2: mattes[2].with_data(np.float32(0.7) * mattes[2].data)}
    labels, _ = blobs(soft[2])
    change = np.where(labels == 5, np.float32(1), np.float32(np.nan))
    base, out = run(shown, soft, 2), run(shown, soft | {2: edited(soft[2], change)}, 2)
    assert (codes(out)[labels == 5] != 0).all()
    assert not (differs(out, base) & ~places(soft[2], change)).any()


def test_a_forensic_graph_names_no_hole_that_was_rejected() -> None:
    shown, mattes = dusty()
    alone = {2: shown[2]}
    change = np.zeros(mattes[2].data.shape[1:], np.float32)
    labels, _ = blobs(mattes[2])
    change[labels == 7] = np.nan
    out = run(alone, {2: edited(mattes[2], change)}, 2, forensic=True)
    (note,) = [text for notes in out["image"].metadata.values() if isinstance(notes, tuple) for text in notes]
    assert "left 1 hole" in note
    assert not codes(out).any()


def test_a_frame_that_is_not_destroyed_after_all_counts() -> None:
    plate = dusty()[0][2]
    whole = Image(np.ones((1, *plate.data.shape[1:]), np.float32), plate.region, ("A",))
    nothing = np.zeros(plate.data.shape[1:], np.float32)
    marks = Marks.of(edited(whole, nothing), None, plate, 0.5)
    assert marks.found is marks.edited and not marks.found.any()
    assert next(iter(marks.layers())).marked is marks.edited


def test_layers_share_nothing_that_is_shown() -> None:
    plate = dusty()[0][2]
    found, now = (np.zeros(plate.data.shape[1:], np.float32) for _ in range(2))
    found[10:14, 10:14] = found[40:44, 40:44] = found[80:84, 80:84] = 1
    now[10:14, 10:14] = now[40:44, 40:50] = now[120:124, 100:104] = 1
    matte = Image(np.stack([now, found]), plate.region, ("A", FOUND))
    first, second = Marks.of(matte, None, plate, 0.5).layers()
    assert np.array_equal(first.marked, found > 0) and np.array_equal(first.known, found > 0)
    only = np.zeros_like(now)
    only[10:14, 10:14] = 1
    assert np.array_equal(first.shown, only > 0)
    assert np.array_equal(second.marked, (now > 0) & (only == 0)) and np.array_equal(second.known, (now + found) > 0)


GRAPH = """safelight = 1
[nodes.plate]
type = "Plate"
width = 160
height = 96
frames = 5
[nodes.damage]
type = "Damage"
input = "plate"
dust = 0.6
size = 6
[nodes.dirt]
type = "DirtDetect"
input = "damage"
{one}
[nodes.more]
type = "DirtDetect"
input = "damage"
dark = false
[nodes.both]
type = "MatteMerge"
inputs = {{a = "dirt", b = "more"}}
{all}
[nodes.repair]
type = "Repair"
inputs = {{source = "damage", matte = "both"}}
"""


@pytest.mark.parametrize("where", ["one", "all"])
def test_a_list_through_a_graph(tmp_path: Path, where: str) -> None:
    def rendered(name: str, line: str, node: str = "repair") -> dict[int, Image]:
        text = GRAPH.format(**{"one": "", "all": "", where: line})
        graph = Graph.from_document(Document.parse(text, tmp_path))
        graph.check()
        return dict(pull(graph, node))

    mattes, plates = rendered("base", "", "both"), rendered("base", "", "damage")
    listed: list[Defect] = []
    for frame, matte in mattes.items():
        listed += Defects.of_matte(frame, matte, plates[frame], len(listed) + 1)
    assert len(listed) >= 8
    target = listed[len(listed) // 2]
    decision: Decision = "reject"
    listed[target.id - 1] = replace(target, decision=decision)
    Defects("", tuple(listed)).save(tmp_path / "list.json")
    base, after = rendered("base", ""), rendered("edited", 'defects = "list.json"')
    x0, y0, x1, y1 = target.box
    for frame in base:
        moved = (base[frame].data.view(np.uint32) != after[frame].data.view(np.uint32)).any(0)
        if frame != target.frame:
            assert not moved.any()
            continue
        assert moved.any()
        y, x = np.nonzero(moved)
        region = base[frame].region
        assert x.min() + region.x0 >= x0 - REACH and x.max() + region.x0 < x1 + REACH
        assert y.min() + region.y0 >= y0 - REACH and y.max() + region.y0 < y1 + REACH
        np.testing.assert_array_equal(
            after[frame].crop(region).data[:, moved], plates[frame].crop(region).data[:, moved]
        )
