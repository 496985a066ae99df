"""What is caught in the gate found, and what belongs to the scene left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Pillow
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import NOTES, Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage import standing
from safelight.nodes.damage.damage import Damage, DamageParams
from safelight.nodes.damage.defects import Defect, Defects
from safelight.nodes.damage.hair import HairDetect, HairDetectParams

Frames = Sequence[np.ndarray]
HIGH, WIDE = 160, 224


def scene(
    speed: tuple[float, float], count: int = 9, *, grain: float = 0.05, lines: str = "", seed: int = 4
) -> list[np.ndarray]:
    """Make soft shapes that pass by, in y and x, with grain in stops; with long dark lines, level or upright."""
    rng = np.random.default_rng(seed)
    pad = 60
    size = (HIGH + 2 * pad, WIDE + 2 * pad)
    stops = sum(ndimage.gaussian_filter(rng.normal(size=size), s) * 2.5 * s for s in (3, 9)) * 0.6
    if lines == "level":
        for y in range(20, size[0], 50):
            stops[y : y + 3] -= 2.0
    if lines == "upright":
        for x in range(20, size[1], 50):
            stops[:, x : x + 3] -= 2.0
    frames = []
    for frame in range(count):
        shift = [-v * (frame - count // 2) for v in speed]
        seen = ndimage.shift(stops, shift, order=1, mode="nearest")[pad : pad + HIGH, pad : pad + WIDE]
        light = 0.18 * np.exp2(np.clip(seen, -4, 2) + rng.normal(0, grain, (3, HIGH, WIDE)))
        frames.append(light.astype(np.float32))
    return frames


def clip_of(frames: Frames, channels: tuple[str, ...] = ("R", "G", "B")) -> Clip:
    window = Region.sized(frames[0].shape[2], frames[0].shape[1])
    return Clip(0, len(frames) - 1, window, window, channels=channels)


def haired(frames: Frames, count: int = 3, seed: int = 5) -> tuple[list[np.ndarray], list[np.ndarray]]:
    clip = clip_of(frames)
    images, truth = [], []
    for frame, data in enumerate(frames):
        request = Request(frame, clip.extent)
        inputs = Inputs(request, {"input": {frame: Image(data, clip.extent)}}, {"input": clip})
        params = DamageParams(dust=0, gate_hairs=count, seed=seed, visibility=0.2)
        out = Damage().compute(params, request, inputs, Device("cpu", 1))
        images.append(out["image"].data)
        truth.append(out["matte"].data[0] > 0)
    return images, truth


def rendered(
    frames: Frames,
    at: int = 4,
    *,
    threads: int = 1,
    channels: tuple[str, ...] = ("R", "G", "B"),
    part: Region | None = None,
    **params,
) -> Image:
    clip = clip_of(frames, channels)
    node, chosen = HairDetect(), HairDetectParams(**params)
    list(node.check(chosen, {"input": clip}, Settings()))
    request = Request(at, part or clip.extent)
    needed = [frame for frame in range(len(frames)) if abs(frame - at) <= chosen.radius]
    images = {frame: Image(frames[frame], clip.extent, channels) for frame in needed}
    device = Device("cpu", threads)

    def prepare(port: str, frame: int):
        return node.prepare(chosen, port, images[frame], device)

    inputs = Inputs(request, {"input": images}, {"input": clip}, prepared=prepare)
    return node.compute(chosen, request, inputs, device)


def detect(frames: Frames, at: int = 4, **more) -> np.ndarray:
    return rendered(frames, at, **more).data[0]


def f1(matte: np.ndarray, truth: np.ndarray) -> float:
    marked, square = matte >= 0.5, np.ones((3, 3), bool)
    right = (marked & ndimage.binary_dilation(truth, square)).sum() / max(1, marked.sum())
    found = (truth & ndimage.binary_dilation(marked, square)).sum() / max(1, truth.sum())
    return 2 * right * found / max(1e-9, right + found)


@pytest.fixture(scope="module")
def moving() -> tuple[list[np.ndarray], list[np.ndarray]]:
    return haired(scene((1.5, 2.5)))


def test_hairs_before_a_moving_scene_are_found(moving) -> None:
    frames, truth = moving
    assert f1(detect(frames), truth[4]) > 0.85
    for at in (0, 8):
        assert f1(detect(frames, at), truth[at]) > 0.75


@pytest.mark.parametrize("speed", [(1.5, 4.0), (3.0, 5.0)])
def test_before_next_to_nothing_a_hair_is_not_taken_for_the_scene_beside_it(speed: tuple[float, float]) -> None:
    # The faintest detail passes; a hair of another frame, moved as that does, is the strongest thing around.
    rng = np.random.default_rng(1)
    faint = [0.5 * (frame / 0.5) ** 0.1 * np.exp2(rng.normal(0, 0.05, frame.shape)) for frame in scene(speed, grain=0)]
    frames, truth = haired([frame.astype(np.float32) for frame in faint])
    assert f1(detect(frames), truth[4]) > 0.9


@pytest.mark.parametrize("speed", [(0.0, 3.0), (2.0, 1.0), (0.0, 0.4)])
def test_a_clean_scene_is_left_alone(speed: tuple[float, float]) -> None:
    assert not detect(scene(speed), tone="all").any()


@pytest.mark.parametrize(("lines", "speed"), [("level", (0.0, 3.0)), ("upright", (2.5, 0.0)), ("upright", (0.0, 2.5))])
def test_lines_of_the_scene_are_kept_even_where_they_slide_along_themselves(
    lines: str, speed: tuple[float, float]
) -> None:
    assert not detect(scene(speed, lines=lines), tone="all", margin=100).any()


def test_before_a_still_scene_nothing_is_told() -> None:
    found = rendered(haired(scene((0.0, 0.0)))[0])
    assert not found.data.any()
    assert any("does not move" in note for note in found.metadata[NOTES])
    assert NOTES not in rendered([np.full((3, HIGH, WIDE), 0.18, np.float32)] * 9).metadata


def test_dirt_away_from_the_edge_with_a_wide_margin_only() -> None:
    frames = scene((0.0, 3.0))
    y, x = np.mgrid[:HIGH, :WIDE]
    cover = np.clip(4.0 - np.hypot(y - 80.0, x - 100.0), 0, 1)
    dirty = [(frame * np.exp2(-2.5 * cover)).astype(np.float32) for frame in frames]
    assert not detect(dirty).any()
    assert f1(detect(dirty, margin=100), cover > 0.1) > 0.75


def test_tone_width_grow_and_sensitivity(moving) -> None:
    frames, truth = moving
    assert not (detect(frames, tone="bright") >= 0.5).any()
    bright = [(0.05 / frame).astype(np.float32) for frame in frames]
    assert f1(detect(bright, tone="bright"), truth[4]) > 0.75
    plain, grown = detect(frames), detect(frames, grow=2)
    assert (grown > 0).sum() > 1.5 * (plain > 0).sum() and (grown[plain > 0] > 0).all()
    assert (detect(frames, sensitivity=0.1) > 0).sum() < (plain > 0).sum()


def test_threads_and_parts_agree(moving) -> None:
    frames, _ = moving
    whole = detect(frames)
    np.testing.assert_array_equal(whole, detect(frames, threads=2))
    part = Region(7, 11, 201, 150)
    np.testing.assert_array_equal(whole[11:150, 7:201], detect(frames, part=part))


def test_one_plane_and_other_channels(moving) -> None:
    frames, truth = moving
    assert f1(detect([frame[1:2] for frame in frames], channels=("Y",)), truth[4]) > 0.8
    more = [np.concatenate([np.full((1, HIGH, WIDE), np.nan, np.float32), frame[::-1]]) for frame in frames]
    np.testing.assert_array_equal(detect(more, channels=("Z", "B", "G", "R")), detect(frames))


def test_what_is_not_finite_is_never_in_the_matte_and_hurts_nothing(moving) -> None:
    frames, truth = moving
    bad = [frame.copy() for frame in frames]
    holes = np.zeros((HIGH, WIDE), bool)
    holes[::17, ::13] = True
    for number, frame in enumerate(bad):
        frame[1, holes] = (np.nan, np.inf, -np.inf)[number % 3]
    matte = detect(bad)
    assert np.isfinite(matte).all() and not matte[holes].any()
    assert f1(matte, truth[4]) > 0.75
    assert not detect([np.full((3, HIGH, WIDE), np.nan, np.float32)] * 5).any()
    assert np.isfinite(detect([np.where(holes, np.float32(3e38), frame) for frame in frames])).all()
    assert np.isfinite(detect([-frame for frame in frames])).all()


def test_an_edited_list_changes_exactly_its_places(moving, tmp_path: Path) -> None:
    frames, _ = moving
    window = clip_of(frames).extent
    matte = detect(frames)
    found = Defects.of_matte(4, Image(matte[None], window, ("A",)), Image(frames[4], window))
    rejected = replace(found[0], decision="reject")
    added = Defect(99, 4, (105, 77, 109, 90), decision="add")
    path = tmp_path / "defects.json"
    Defects("plate", (rejected, added)).save(path)
    edited = detect(frames, defects=path)
    labels, _ = ndimage.label(matte > 0, np.ones((3, 3)))
    x0, y0, x1, y1 = rejected.box
    number = np.bincount(labels[y0:y1, x0:x1].ravel())[1:].argmax() + 1
    want = np.where(labels == number, np.float32(0), matte)
    want[77:90, 105:109] = 1
    np.testing.assert_array_equal(edited, want)
    node, params = HairDetect(), HairDetectParams(defects=path)
    assert node.fingerprint(params, 4, Settings()) and not node.fingerprint(params, 1, Settings())
    path.write_text('{"safelight_defects": 1,\n"defects": [{"id": 1, "frame": 2}]}')
    with pytest.raises(GraphError, match="line 2"):
        list(node.check(params, {"input": clip_of(frames)}, Settings()))


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (40, 1), (33, 35), (32, 47)])
def test_small_pictures(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    frames = [rng.uniform(0, 1, (3, *size)).astype(np.float32) for _ in range(5)]
    assert detect(frames, 1, tone="all", margin=100).shape == size


def test_few_frames_and_no_picture() -> None:
    window = Region.sized(9, 9)
    with pytest.raises(GraphError, match="A"):
        list(HairDetect().check(HairDetectParams(), {"input": Clip(1, 9, window, window, channels=("A",))}, Settings()))
    assert list(HairDetect().check(HairDetectParams(), {"input": Clip(1, 4, window, window)}, Settings()))
    assert not list(HairDetect().check(HairDetectParams(), {"input": Clip(1, 5, window, window)}, Settings()))
    frames = scene((0.0, 3.0), 2)
    assert not detect(frames, 0).any() and not detect(frames[:1], 0).any()


def test_what_stands_is_in_three_quarters_of_the_frames() -> None:
    line = np.zeros((20, 20), np.float32)
    line[:, 9:11] = 1
    none = np.zeros_like(line)
    assert (standing.stands(line, [line, line, none]) == line).all()
    assert not standing.stands(line, [line, none, none]).any()
    assert not standing.stands(none, [line, line, line])[:, :7].any()
    np.testing.assert_array_equal(standing.thin(line, 4), line)
    assert not standing.thin(np.ones((20, 20), np.float32), 4).any()


def test_the_motion_around_is_the_median_of_trusted_blocks() -> None:
    motion = np.zeros((2, 6, 8), np.float32)
    motion[0], motion[1] = 3, -1
    motion[:, 2:4, 2:4] = 0
    good = np.ones((6, 8), bool)
    good[2:4, 2:4] = False
    np.testing.assert_array_equal(standing.around(motion, good), np.array([3, -1])[:, None, None] * np.ones((2, 6, 8)))
    assert not standing.around(motion, np.zeros((6, 8), bool)).any()


def test_through_a_graph() -> None:
    text = """safelight = 1
    [nodes.plate]
    type = "Plate"
    width = 96
    height = 64
    frames = 5
    [nodes.found]
    type = "HairDetect"
    input = "plate"
    """
    graph = Graph.from_document(Document.parse(text))
    graph.check()
    assert graph.clip("found", "matte").channels == ("A",)


@pytest.mark.parametrize("name", ["flower_handheld", "redtree_pan"])
def test_real_scenes_are_kept(data: Path, name: str) -> None:
    frames = []
    for number in range(1, 10):
        with Pillow.open(data / "images" / "seq" / name / f"frame.{number:04d}.png") as picture:
            small = picture.convert("RGB").resize((480, 270), Pillow.Resampling.BOX)
            shown = np.asarray(small, np.float32).transpose(2, 0, 1) / 255
        frames.append(np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4).astype(np.float32))
    assert (detect(frames) >= 0.5).mean() < 5e-5
