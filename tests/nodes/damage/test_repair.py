"""Repair through its contract, on a moving scene with known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR
import pytest

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import NOTES, Clip
from safelight.graph.node import Settings
from safelight.graph.provenance import FILL, GRAINED, ORIGIN, SYNTHESISED, describe
from safelight.graph.region import Region
from safelight.graph.render import pull, render
from safelight.nodes.damage.donors import to_stops
from safelight.nodes.damage.repair import Repair, RepairParams
from tests.nodes.damage.repairing import (
    TWO,
    assert_untouched,
    codes,
    errors,
    grained,
    lay,
    moving,
    pictures,
    resting,
    run,
    spot,
)


@pytest.fixture
def shot() -> Any:
    return moving()


@pytest.fixture
def still() -> Any:
    return resting()


@pytest.mark.parametrize(
    ("damage", "frame", "least"),
    [
        ({"dust": 0.5}, 2, 0.99),
        ({"dust": 0.5}, 0, 0.99),
        ({"dust": 10, "size": 20, "largest": 50}, 2, 0.92),
        ({"dust": 10, "size": 20, "largest": 50}, 4, 0.92),
        ({"dust": 0, "scratches": 4, "scratch_opacity": 1.2, "scratch_width": 2}, 2, 0.95),
    ],
)
def test_a_moving_shot(shot: Any, damage: dict[str, Any], frame: int, least: float) -> None:
    clean, noisy = shot
    shown, mattes = lay(pictures(noisy), **damage)
    out = run(shown, mattes, frame)
    bad = mattes[frame].data[0] > 0
    assert bad.mean() > 0.003
    assert (errors(shown[frame], clean[frame])[bad] <= 2).mean() < 0.6
    assert (errors(out["image"], clean[frame])[bad] <= 2).mean() >= least
    assert_untouched(out, shown[frame], mattes[frame])
    assert (codes(out)[bad] != 0).all()


def test_scratches_that_stay_over_a_still_picture(still: Any) -> None:
    clean, noisy = still
    shown, mattes = lay(pictures(noisy), dust=0, scratches=5, scratch_width=1.5, scratch_opacity=0.8)
    shown, mattes = dict.fromkeys(range(5), shown[2]), dict.fromkeys(range(5), mattes[2])
    out = run(shown, mattes, 2)
    bad = mattes[2].data[0] > 0
    assert (errors(out["image"], clean[2])[bad] <= 2).mean() >= 0.95
    assert set(np.unique(codes(out)[bad])) == {FILL | GRAINED}
    assert_untouched(out, shown[2], mattes[2])


@pytest.mark.parametrize("moving", [True, False])
def test_grain_is_as_strong_and_as_coarse_as_around(shot: Any, still: Any, moving: bool) -> None:
    clean, noisy = shot if moving else still
    shown, mattes = lay(pictures(noisy), dust=12, size=16, largest=40, seed=4)
    bad = mattes[2].data[0] > 0
    bad[:, :190] = False  # where the disc moves, errors are not grain
    assert bad.sum() > 1000
    grain = to_stops(run(shown, mattes, 2)["image"].data) - to_stops(clean[2])
    truth = to_stops(noisy[2]) - to_stops(clean[2])
    assert abs(grain[:, bad].var() / truth[:, bad].var() - 1) < 0.1
    inner = bad & np.roll(bad, 1, 0) & np.roll(bad, 1, 1)
    for axis in (1, 2):
        steps = [np.diff(g, axis=axis, prepend=0)[:, inner].var() for g in (grain, truth)]
        assert abs(steps[0] / steps[1] - 1) < 0.15


def test_grain_does_not_stand_still(still: Any) -> None:
    _, noisy = still
    shown, mattes = spot(pictures(noisy), (2, 60, 60, 90, 90))
    out = run(shown, mattes, 2)
    box = (slice(None), slice(64, 86), slice(64, 86))
    mine = (to_stops(out["image"].data) - to_stops(still[0][2]))[box].ravel()
    for other in (0, 1, 3, 4):
        theirs = (to_stops(noisy[other]) - to_stops(still[0][2]))[box].ravel()
        assert abs(np.corrcoef(mine, theirs)[0, 1]) < 0.6
    assert "grain laid in" in describe(int(codes(out)[70, 70])) and "from frame" in describe(int(codes(out)[70, 70]))


def test_no_donor_is_damaged_itself(shot: Any) -> None:
    clean, noisy = shot
    # Damage on one place of the scene in three frames: what is left gives.
    boxes = [(t, round(80 + 0.7 * t), round(220 + 3.3 * t)) for t in (1, 2, 3)]
    shown, mattes = spot(pictures(noisy), *((t, y, x, y + 14, x + 14) for t, y, x in boxes))
    out = run(shown, mattes, 2)
    bad = mattes[2].data[0] > 0
    assert (errors(out["image"], clean[2])[bad] <= 2).mean() > 0.97
    origins = {describe(int(code)).split(",")[0] for code in np.unique(codes(out)[bad])}
    assert origins <= {"from frame t-2", "from frame t+2", "filled from its surroundings"} and len(origins) >= 1


def test_damage_that_nobody_marked_is_not_taken_over(shot: Any) -> None:
    clean, noisy = shot
    shown, mattes = spot(pictures(noisy), (2, 80, 120, 92, 132), (1, 79, 117, 91, 129))
    mattes[1].data[...] = 0
    out = run(shown, mattes, 2)
    bad = mattes[2].data[0] > 0
    assert (errors(out["image"], clean[2])[bad] <= 2).mean() > 0.97


def test_a_single_frame_is_filled_from_both_sides(shot: Any) -> None:
    clean, noisy = shot
    shown, mattes = lay({2: pictures(noisy)[2]}, dust=0.5)
    out = run(shown, mattes, 2)
    bad = mattes[2].data[0] > 0
    assert (errors(out["image"], clean[2])[bad] <= 2).mean() > 0.85
    assert set(np.unique(codes(out)[bad] & ORIGIN)) == {FILL}


def test_frames_of_another_brightness_fit(shot: Any) -> None:
    clean, noisy = shot
    flicker = np.array([1.2, 0.85, 1.0, 1.2, 0.8], np.float32)[:, None, None, None]
    shown, mattes = lay(pictures(noisy * flicker), dust=0.5)
    out = run(shown, mattes, 2)
    bad = mattes[2].data[0] > 0
    assert (errors(out["image"], clean[2])[bad] <= 2).mean() > 0.97
    assert any("graded" in describe(int(code)) for code in np.unique(codes(out)[bad]))


def test_holdout_and_include(shot: Any) -> None:
    images = pictures(shot[1])
    shown, mattes = spot(images, (2, 40, 40, 48, 48), (2, 100, 40, 108, 48), (2, 100, 200, 108, 208))
    mattes[2].data[0, 100:108, 200:208] = 0.3
    held = {n: matte.with_data(np.zeros_like(matte.data)) for n, matte in mattes.items()}
    asked = {n: matte.with_data(np.zeros_like(matte.data)) for n, matte in mattes.items()}
    held[2].data[0, 30:60, 30:45] = 0.01
    asked[2].data[0, 100:108, 200:208] = 1
    plain = run(shown, mattes, 2)
    out = run(shown, mattes, 2, others={"holdout": held, "include": asked})
    assert not codes(plain)[100:108, 200:208].any() and codes(out)[100:108, 200:208].all()
    assert not codes(out)[30:60, 30:45].any() and codes(out)[40:48, 45:48].all()
    np.testing.assert_array_equal(out["image"].data[:, 30:60, 30:45], shown[2].data[:, 30:60, 30:45])


def test_what_is_not_finite_negative_or_bright(shot: Any) -> None:
    images = pictures(shot[1] * 40 - 0.5)
    shown, mattes = spot(images, (2, 60, 60, 70, 70), (2, 10, 10, 13, 13))
    for image in shown.values():
        image.data[:, 58:60, 50:80] = np.nan
        image.data[1, 150, 5:200] = np.inf
    shown[2].data[0, 64, 64] = np.nan
    out = run(shown, mattes, 2)
    assert np.isfinite(out["image"].data[:, 60:70, 60:70]).all()
    assert_untouched(out, shown[2], mattes[2])
    clean = shot[0][2] * 40 - 0.5
    off = np.abs(to_stops(out["image"].data) - to_stops(clean))[:, 60:70, 60:70]
    assert np.median(off) < 0.5 and out["image"].data[:, 60:70, 60:70].max() > 1


def test_a_frame_more_than_half_destroyed(shot: Any) -> None:
    clean, noisy = shot
    shown, mattes = spot(pictures(noisy), (2, 0, 0, 130, 300))
    left = run(shown, mattes, 2)
    np.testing.assert_array_equal(left["image"].data.view(np.uint32), shown[2].data.view(np.uint32))
    told = {n: replace(m, metadata={NOTES: (f"frame {n}: destroyed",)}) for n, m in mattes.items()}
    assert "frame 2: destroyed" in run(shown, told, 2)["image"].metadata[NOTES]
    assert "66%" in left["image"].metadata[NOTES][0] and "frame 2" in left["image"].metadata[NOTES][0]
    assert not codes(left).any()
    forced = run(shown, mattes, 2, force=True)
    assert NOTES not in forced["image"].metadata
    assert (errors(forced["image"], clean[2])[:120] <= 2).mean() > 0.6


def test_a_forensic_graph_invents_nothing(shot: Any) -> None:
    _, noisy = shot
    box = (60, 90, 74, 104)
    shown, mattes = spot(pictures(noisy), *((t, *box) for t in range(5)), (2, 120, 200, 126, 206))
    # The scene stands still here, so that no frame shows what lies behind the box.
    shown = dict.fromkeys(range(5), shown[2])
    out = run(shown, mattes, 2, forensic=True)
    found = codes(out)
    np.testing.assert_array_equal(out["image"].data[:, 60:74, 90:104], shown[2].data[:, 60:74, 90:104])
    assert not found[60:74, 90:104].any()
    (note,) = out["image"].metadata[NOTES]
    assert "left 1 hole (" in note and "[92, 57, 108, 73]" in note
    assert found[120:126, 200:206].size and not (found & GRAINED).any() and not ((found & ORIGIN) > 1).any()


def test_threads_and_runs_agree(shot: Any) -> None:
    shown, mattes = lay(pictures(shot[1]), dust=2, scratches=2)
    first, second = (run(shown, mattes, 2, Device("cpu", threads)) for threads in (1, 3))
    for port in ("image", "provenance"):
        np.testing.assert_array_equal(first[port].data.view(np.uint32), second[port].data.view(np.uint32))
    other = run(shown, mattes, 2, seed=2)
    assert_untouched(other, shown[2], mattes[2])


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (15, 40)])
def test_small_pictures(size: tuple[int, int]) -> None:
    data = np.random.default_rng(2).uniform(0.1, 0.3, (3, 1, *size)).astype(np.float32)
    images = pictures(data, ("Y",))
    shown, mattes = spot(images, (1, 0, 0, 1, 1))
    out = run(shown, mattes, 1)
    assert out["image"].data.shape == (1, *size) and np.isfinite(out["image"].data).all()


def test_other_channels_stay(shot: Any) -> None:
    data = np.concatenate([shot[1][:, :1] * 0 + 7, shot[1][:, ::-1]], axis=1)
    shown, mattes = spot(pictures(data, ("Z", "B", "G", "R")), (2, 60, 60, 66, 66))
    shown[2].data[0] = 7
    out = run(shown, mattes, 2)["image"]
    assert (out.data[0] == 7).all() and (out.data[1:, 60:66, 60:66] != 0.001).all()


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """Weights of a small net for holes, random, strong enough to be seen."""
    pytest.importorskip("torch")
    pytest.importorskip("safetensors")
    from safelight.nodes.resolution.learned import filling

    shape = filling.FillShape(4, 6, 6)
    arrays = {name: value.numpy() for name, value in filling.fresh(shape, 1).items()}
    arrays["a3.weight"] += np.random.default_rng(1).normal(0, 0.2, arrays["a3.weight"].shape).astype(np.float32)
    path = tmp_path / "fill.safetensors"
    filling.save(path, filling.StoredFill(shape, arrays))
    return path


def test_a_net_works_over_what_no_frame_shows_and_nothing_else(shot: Any, weights: Path) -> None:
    shown, mattes = spot(pictures(shot[1]), *((t, 60, 90, 74, 104) for t in range(5)), (2, 120, 200, 126, 206))
    shown = dict.fromkeys(range(5), shown[2])
    told = {"last_resort": "net", "weights": weights, "grain": 0.0}
    plain, made = run(shown, mattes, 2, grain=0.0), run(shown, mattes, 2, Device("cpu", 1), **told)
    again = run(shown, mattes, 2, Device("cpu", 3), **told)
    before, after = codes(plain), codes(made)
    filled = before == FILL
    assert filled[60:74, 90:104].all() and (after[filled] == SYNTHESISED).all()
    np.testing.assert_array_equal(after[~filled], before[~filled])
    a, b, c = (one["image"].data.view(np.uint32) for one in (plain, made, again))
    np.testing.assert_array_equal(a[:, ~filled], b[:, ~filled])
    np.testing.assert_array_equal(b, c)
    assert (a[:, filled] != b[:, filled]).mean() > 0.9
    assert_untouched(made, shown[2], mattes[2])
    # Grain comes on top as it does without the net.
    grain = codes(run(shown, mattes, 2, last_resort="net", weights=weights))
    assert (grain[filled] == SYNTHESISED | GRAINED).all()


def test_a_net_and_what_is_not_finite_negative_or_bright(shot: Any, weights: Path) -> None:
    shown, mattes = spot(pictures(shot[1][:1]), (0, 60, 90, 74, 104))
    data = shown[0].data
    data[:, 58, 90:100], data[0, 80, 95], data[:, 50:58, 106:112] = np.nan, np.inf, 400.0
    data[:, 76:79, 90:104] = -0.02
    before = data.copy()
    out = run(shown, mattes, 0, last_resort="net", weights=weights)
    assert np.isfinite(out["image"].data[:, 60:74, 90:104]).all()
    np.testing.assert_array_equal(out["image"].data[:, codes(out) == 0], before[:, codes(out) == 0])


def test_a_net_is_checked_signed_and_refused_in_forensic_graphs(weights: Path, tmp_path: Path) -> None:
    clips = {"source": Clip(1, 5, WINDOW, WINDOW), "matte": Clip(1, 5, WINDOW, WINDOW, channels=("A",))}
    node, params = Repair(), RepairParams(last_resort="net", weights=weights)
    assert not list(node.check(params, clips, Settings())) and "net" in node.invents(params)
    assert not node.invents(RepairParams())
    (told,) = node.check(RepairParams(weights=weights), clips, Settings())
    assert "not used" in told
    first = node.fingerprint(params, None, Settings())
    assert first and not node.fingerprint(RepairParams(weights=weights), None, Settings())
    weights.write_bytes(weights.read_bytes()[:-8])
    assert node.fingerprint(params, None, Settings()) != first
    with pytest.raises(GraphError, match="no whole safetensors"):
        node.check(params, clips, Settings())
    with pytest.raises(GraphError, match="no such weights"):
        node.check(RepairParams(last_resort="net", weights=tmp_path / "x.safetensors"), clips, Settings())
    text = """safelight = 1
    [graph]
    forensic = true
    [nodes.plate]
    type = "Plate"
    [nodes.found]
    type = "DirtDetect"
    input = "plate"
    [nodes.repair]
    type = "Repair"
    inputs = {source = "plate", matte = "found.matte"}
    last_resort = "net"
    """
    with pytest.raises(GraphError, match="lays in what a net has learned"):
        Graph.from_document(Document.parse(text, tmp_path)).check()


WINDOW = Region.sized(40, 30)


@pytest.mark.parametrize(
    ("clips", "words"),
    [
        ({"source": Clip(1, 5, WINDOW, WINDOW, channels=("A",))}, "no R, G, B or Y"),
        ({"matte": Clip(1, 5, Region.sized(41, 30), WINDOW, channels=("A",))}, "41x30"),
        ({"matte": Clip(2, 5, WINDOW, WINDOW, channels=("A",))}, "frames 2-5 and the plate 1-5"),
        ({"holdout": Clip(1, 4, WINDOW, WINDOW, channels=("A",))}, "holdout has frames 1-4"),
    ],
)
def test_what_is_refused(clips: dict[str, Clip], words: str) -> None:
    given = {"source": Clip(1, 5, WINDOW, WINDOW), "matte": Clip(1, 5, WINDOW, WINDOW, channels=("A",)), **clips}
    with pytest.raises(GraphError, match=words):
        list(Repair().check(RepairParams(), given, Settings()))


def test_a_graph_keeps_the_record() -> None:
    text = """safelight = 1
    [graph]
    provenance = true
    [nodes.plate]
    type = "Plate"
    width = 96
    height = 64
    frames = 4
    [nodes.damage]
    type = "Damage"
    input = "plate"
    dust = 1
    [nodes.repair]
    type = "Repair"
    inputs = {source = "damage", matte = "damage.matte"}
    """
    graph = Graph.from_document(Document.parse(text))
    graph.check()
    images = dict(pull(graph, "repair"))
    records = dict(pull(graph, "repair", "provenance"))
    for frame, image in images.items():
        own, made = (i.data[-1].view(np.uint32) for i in (image, records[frame]))
        np.testing.assert_array_equal(own[made != 0], made[made != 0])
    assert any(record.data.any() for record in records.values())


FORENSIC = """safelight = 1
[graph]
forensic = true
[nodes.plate]
type = "Read"
path = "in.####.exr"
[nodes.matte]
type = "Read"
path = "matte.####.exr"
[nodes.repair]
type = "Repair"
inputs = {source = "plate", matte = "matte"}
[nodes.out]
type = "Write"
input = "repair"
path = "out.####.exr"
"""


def test_a_forensic_render_names_what_it_left(still: Any, tmp_path: Path) -> None:
    boxes = [(t, 60, 90, 70, 100) for t in range(3)]
    shown, mattes = spot({t: image for t, image in pictures(still[1]).items() if t < 3}, *boxes, (1, 20, 20, 26, 26))
    for name, images in (("in", shown), ("matte", mattes)):
        for frame, image in images.items():
            pixels = {channel: np.ascontiguousarray(p) for channel, p in zip(image.channels, image.data, strict=True)}
            header = {"type": OpenEXR.scanlineimage}
            OpenEXR.File(header, pixels).write(str(tmp_path / f"{name}.{frame:04d}.exr"))
    report = render(Graph.from_document(Document.parse(FORENSIC, tmp_path)), [1], device=TWO)
    (warning,) = [warning for warning in report.warnings if "no frame can fill" in warning]
    assert "frame 1: Repair left 1 hole (" in warning and "[89, 59, 101, 71]" in warning


def test_tiles_threads_and_chunks_do_not_show() -> None:
    text = """safelight = 1
    [nodes.plate]
    type = "Plate"
    width = 120
    height = 70
    frames = 5
    [nodes.damage]
    type = "Damage"
    input = "plate"
    dust = 2
    scratches = 1
    [nodes.repair]
    type = "Repair"
    inputs = {source = "damage", matte = "damage.matte"}
    """
    graph = Graph.from_document(Document.parse(text))
    whole = dict(pull(graph, "repair", device=Device("cpu", 1)))
    tiled = dict(pull(graph, "repair", device=TWO, tile=32))
    for frame, image in whole.items():
        np.testing.assert_array_equal(image.data.view(np.uint32), tiled[frame].data.view(np.uint32))
        alone = dict(pull(graph, "repair", frames=[frame], device=TWO))
        np.testing.assert_array_equal(image.data.view(np.uint32), alone[frame].data.view(np.uint32))


@pytest.mark.parametrize("colours", [((0.02, 0.9, 0.02), (0.02, 0.02, 0.9)), ((0.9, 0.02, 0.02), (0.02, 0.9, 0.02))])
def test_an_edge_between_pure_colours_hidden_along_its_length_stays_where_it_is(colours: Any) -> None:
    clean = np.empty((5, 3, 120, 160), np.float32)
    clean[..., :80], clean[..., 80:] = (np.float32(colour)[:, None, None] for colour in colours)
    shown, mattes = spot(pictures(grained(clean, 5)), (2, 40, 77, 70, 83))
    out = run(shown, mattes, 2)
    off = np.abs(to_stops(out["image"].data) - to_stops(clean[2])).mean(0)
    assert off[40:70, 77:83].max() < 1.5
