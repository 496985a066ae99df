"""Damage on pictures and through a graph."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage import laying
from safelight.nodes.damage.damage import Damage, DamageParams

WINDOW = Region.sized(240, 160)
EVERYTHING = {
    "dust": 0.5, "bright": 0.3, "coloured": 0.3, "hairs": 3, "blotches": 2, "scratches": 2, "wandering": 2,
    "gate_hairs": 2, "splices": "7", "broken": 0.3, "repeat": 0.3,
}  # fmt: skip


def grey(value: float = 0.18, window: Region = WINDOW, channels: tuple[str, ...] = ("R", "G", "B")) -> Image:
    return Image(np.full((len(channels), window.height, window.width), value, np.float32), window, channels)


def noise(seed: int = 1, window: Region = WINDOW) -> Image:
    rng = np.random.default_rng(seed)
    data = 0.18 * np.exp2(rng.uniform(-8, 6, (3, window.height, window.width))) * rng.choice([1, 1, 1, -1])
    return Image(data.astype(np.float32), window)


def run(image: Image, frame: int = 7, part: Region | None = None, display: Region = WINDOW, **params):
    request = Request(frame, part or image.region)
    clip = Clip(1, 24, display, image.region, channels=image.channels)
    inputs = Inputs(request, {"input": {frame: image}}, {"input": clip})
    out = Damage().compute(DamageParams(**params), request, inputs, Device("cpu", 1))
    return out["image"], out["matte"]


def test_the_matte_is_where_light_changed_and_nothing_else_did() -> None:
    plate = noise()
    image, matte = run(plate, **EVERYTHING)
    assert matte.channels == ("A",) and matte.data.shape == (1, 160, 240)
    assert set(np.unique(matte.data)) == {0.0, 1.0}
    before, after = (np.maximum(p.data.astype(np.float64), 0) + laying.TOE for p in (plate, image))
    stops = np.abs(np.log2(after / before)).max(0)
    np.testing.assert_array_equal(matte.data[0] == 1, stops >= 0.1)
    # What is changed below visibility are the soft edges of what is above it.
    changed = (plate.data != image.data).any(0)
    assert not (changed & ~ndimage.binary_dilation(matte.data[0] > 0, np.ones((3, 3)), iterations=4)).any()
    assert stops[changed].min() > 1 / 64 - 1e-6


@pytest.mark.parametrize("part", [Region(0, 0, 1, 1), Region(3, 5, 240, 6), Region(77, 0, 139, 160)])
def test_a_tile_equals_the_crop(part: Region) -> None:
    plate = noise()
    whole = run(plate, **EVERYTHING)
    for one, all_ in zip(run(plate, part=part, **EVERYTHING), whole, strict=True):
        np.testing.assert_array_equal(one.data, all_.crop(part).data)


def test_frames_in_any_order_and_thread_agree() -> None:
    plate = grey()
    frames = [5, 6, 7, 8, 9, 10]
    alone = {frame: run(plate, frame, **EVERYTHING)[0].data for frame in frames}
    laying._laid.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda frame: run(plate, frame, **EVERYTHING)[0].data, reversed(frames)))
    for frame, data in zip(reversed(frames), made, strict=True):
        np.testing.assert_array_equal(data, alone[frame])
    assert not np.array_equal(alone[5], alone[6])
    assert not np.array_equal(alone[5], run(plate, 5, **EVERYTHING, seed=2)[0].data)


def test_damage_lies_on_the_display_window_wherever_it_begins() -> None:
    there = Region.sized(240, 160, -31, 1000)
    image, matte = run(grey(), **EVERYTHING)
    moved, moved_matte = run(grey(window=there), display=there, **EVERYTHING)
    np.testing.assert_array_equal(image.data, moved.data)
    np.testing.assert_array_equal(matte.data, moved_matte.data)


@pytest.mark.parametrize("kind", ["dust", "bright", "coloured"])
def test_coverage_is_what_was_asked_for(kind: str) -> None:
    window = Region.sized(640, 480)
    shares = []
    for frame in range(8):
        _, matte = run(grey(window=window), frame, display=window, **{"dust": 0.0, kind: 0.5}, opacity=0.8)
        shares.append(100 * float(matte.data.mean()))
    assert abs(np.mean(shares) - 0.5) < 0.1, shares


def test_tones() -> None:
    plate = grey()
    dark = run(plate, dust=1)[0].data
    assert (dark <= plate.data).all() and (dark < 0.1).any() and (dark >= 0).all()
    bright = run(plate, dust=0, bright=1)[0].data
    assert (bright >= plate.data).all() and (bright > 0.5).any() and (bright <= 1).all()
    for kind, other in (("dust", "bright"), ("bright", "dust")):
        turned = run(plate, film="negative", **{"dust": 0, kind: 1})[0].data
        assert ((turned >= plate.data) if kind == "dust" else (turned <= plate.data)).all(), other
    one_record = (run(plate, dust=0, coloured=1)[0].data != plate.data).sum(0)
    assert one_record.max() >= 1 and np.mean(one_record[one_record > 0] == 1) > 0.95
    coloured = run(plate, dust=0, scratches=1, scratch_tone="coloured")[0].data
    assert ((coloured != plate.data).sum(0) <= 1).all()


def test_bright_damage_never_darkens_and_lifts_black() -> None:
    lamp = run(grey(64.0), dust=0, bright=2)[0].data
    np.testing.assert_array_equal(lamp, grey(64.0).data)
    black = run(grey(0.0), dust=0, bright=2, opacity=2)[0].data
    assert black.max() > 0.2
    np.testing.assert_array_equal(run(grey(-0.5), dust=2)[0].data.min(), np.float32(-0.5))


def test_light_against_float64() -> None:
    rng = np.random.default_rng(3)
    light = np.concatenate([rng.uniform(-0.1, 2, 500), 10 ** rng.uniform(-6, 4, 500)])
    dark, bright = rng.integers(0, 8000, (2, 1000))
    bright[::3] = 0
    want = light * 10 ** (-dark / 4096)
    gain = 10 ** (bright / 4096)
    m = np.maximum(want, 0) + 0.01
    lifted = m * gain / (1 + m * (gain - 1) / 1.01) - 0.01
    want = np.where((bright > 0) & (want < 1), lifted, want)
    np.testing.assert_allclose(laying.expose(light, dark, bright, 1.0), want, rtol=1e-9, atol=1e-12)


def test_what_is_not_finite_and_other_channels_stay() -> None:
    plate = grey(channels=("Z", "B", "G", "R", "A"))
    plate.data[1:4, ::7, ::5] = np.nan
    plate.data[2, ::11, ::3] = np.inf
    image, matte = run(plate, dust=10)
    for plane in (0, 4):
        np.testing.assert_array_equal(image.data[plane], plate.data[plane])
    bad = ~np.isfinite(plate.data)
    np.testing.assert_array_equal(image.data.view(np.uint32)[bad], plate.data.view(np.uint32)[bad])
    assert not matte.data[0][bad[1:4].all(0)].any() and matte.data.any()


def test_dust_comes_back_where_it_sticks() -> None:
    plate = grey()
    overlap = {}
    for repeat in (0.0, 1.0):
        mattes = [run(plate, frame, dust=1, repeat=repeat)[1].data[0] > 0 for frame in (3, 4)]
        overlap[repeat] = (mattes[0] & mattes[1]).sum() / mattes[1].sum()
    assert overlap[0.0] < 0.1 and overlap[1.0] > 0.35


def test_scratches_run_on_along_the_film() -> None:
    window = Region.sized(200, 300)
    for wanders in (False, True):
        params = {"dust": 0, "wandering" if wanders else "scratches": 1, "scratch_tone": "dark"}
        mattes = [run(grey(window=window), f, display=window, **params)[1].data[0] for f in (4, 5)]
        for matte in mattes:
            rows = np.nonzero(matte)[0]
            assert set(rows) == set(range(300)) and matte.sum(1).max() <= 3
        first, last = (np.nonzero(m)[1].mean() for m in (mattes[0][-5:], mattes[1][:5]))
        assert abs(first - last) < 3
        ends = [np.nonzero(m)[1] for m in (mattes[0][:5], mattes[0][-5:])]
        if not wanders:
            assert abs(ends[0].mean() - ends[1].mean()) < 2
    there = [run(grey(window=window), f, display=window, dust=0, scratches=1, broken=0.5)[1].data for f in range(16)]
    rows_with = np.mean([(matte[0].sum(1) > 0).mean() for matte in there])
    assert 0.25 < rows_with < 0.75


def test_gate_hairs_stay_at_the_edge_and_are_dark_on_any_film() -> None:
    for film in ("positive", "negative"):
        made = [run(grey(), frame, dust=0, gate_hairs=1, film=film) for frame in (2, 12)]
        first, second = (matte.data[0] > 0 for _, matte in made)
        assert (first & second).sum() > 0.4 * first.sum() > 0
        assert (made[0][0].data <= grey().data).all()
        assert first[0].any() or first[-1].any() or first[:, 0].any() or first[:, -1].any()


def test_splices_and_destroyed_frames_are_where_they_were_asked_for() -> None:
    shares = {f: run(grey(), f, dust=0, splices="7", destroyed="9-10")[1].data[0] for f in range(5, 12)}
    assert not shares[5].any() and not shares[8].any() and not shares[11].any()
    assert shares[6][-2:].mean() > 0.9 and not shares[6][:100].any()
    assert shares[7][:2].mean() > 0.9 and not shares[7][60:].any()
    assert shares[9].mean() > 0.5 and shares[10].mean() > 0.5
    assert not np.array_equal(shares[9], shares[10])


def test_a_picture_of_one_channel() -> None:
    image, matte = run(grey(channels=("Y",)), **{**EVERYTHING, "coloured": 0, "scratch_tone": "coloured"})
    np.testing.assert_array_equal(matte.data > 0, np.abs(np.log2((image.data + 0.01) / 0.19)) >= 0.1)


def templates(folder: Path) -> Path:
    spot = np.zeros((60, 60, 4), np.uint8)
    spot[20:40, 20:40, 3] = 255
    Pillow.fromarray(spot).save(folder / "spots-001.png")
    labels = np.zeros((80, 80), np.uint8)
    labels[10:12, 5:70] = 200
    labels[30:44, 30:40] = 50
    Pillow.fromarray(labels).save(folder / "scan_labels.png")
    return folder


def test_shapes_from_a_folder(tmp_path: Path) -> None:
    folder = templates(tmp_path)
    _, matte = run(grey(), dust=1.0, size=12, hairs=2, templates=folder)
    _, drawn = run(grey(), dust=1.0, size=12, hairs=2)
    assert 0.004 < matte.data.mean() < 0.06 and not np.array_equal(matte.data, drawn.data)
    # Squares stay square: most blobs fill their box, as drawn dust does not.
    marks, _ = ndimage.label(matte.data[0])
    boxes = ndimage.find_objects(marks)
    fill = [np.mean(marks[box] == i) for i, box in enumerate(boxes, 1) if min(marks[box].shape) > 6]
    assert np.median(fill) > 0.85
    node, settings = Damage(), Settings()
    params = DamageParams(templates=folder)
    before = node.fingerprint(params, None, settings)
    Pillow.fromarray(np.full((30, 30, 4), 255, np.uint8)).save(folder / "dirt-7.png")
    assert before and node.fingerprint(params, None, settings) != before


def test_real_shapes(data: Path) -> None:
    _, matte = run(grey(), dust=1.0, hairs=2, blotches=1, templates=data / "images" / "damage" / "templates")
    assert 0.005 < matte.data.mean() < 0.2


@pytest.mark.parametrize(
    ("params", "channels", "words"),
    [
        ({}, ("Z",), "no R, G, B or Y"),
        ({"coloured": 1}, ("Y",), "needs R, G and B"),
        ({"splices": "7-"}, ("R", "G", "B"), "'splices'.*'7-' is not a frame range"),
        ({"destroyed": "9-3"}, ("R", "G", "B"), "'destroyed'.*empty"),
        ({"templates": Path("/nowhere/at/all")}, ("R", "G", "B"), "no such folder"),
    ],
)
def test_what_is_refused(params, channels, words) -> None:
    clip = Clip(1, 24, WINDOW, WINDOW, channels=channels)
    with pytest.raises(GraphError) as caught:
        list(Damage().check(DamageParams(**params), {"input": clip}, Settings()))
    assert re.search(words, str(caught.value)), str(caught.value)


def test_templates_that_are_none_are_refused(tmp_path: Path) -> None:
    clip = Clip(1, 24, WINDOW, WINDOW)
    params = DamageParams(templates=tmp_path)
    with pytest.raises(GraphError, match="no templates of damage here"):
        list(Damage().check(params, {"input": clip}, Settings()))
    (tmp_path / "dirt-1.png").write_bytes(b"no picture")
    with pytest.raises(GraphError, match="cannot be read") as caught:
        list(Damage().check(params, {"input": clip}, Settings()))
    assert "dirt-1.png" in str(caught.value)


def test_a_graph_renders_both_outputs_and_a_forensic_one_refuses() -> None:
    text = """safelight = 1
    [graph]
    forensic = {forensic}
    [nodes.plate]
    type = "Plate"
    width = 64
    height = 48
    frames = 3
    [nodes.damage]
    type = "Damage"
    input = "plate"
    [nodes.both]
    type = "Difference"
    inputs = {{a = "damage", b = "plate"}}
    """
    graph = Graph.from_document(Document.parse(text.format(forensic="false")))
    assert graph.clip("damage", "matte").channels == ("A",)
    graph.check()
    with pytest.raises(GraphError, match="never on the film"):
        Graph.from_document(Document.parse(text.format(forensic="true"))).check()
