"""Line scratches found, and what stands in the scene left alone."""

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
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage.behaviour import Verdict
from safelight.nodes.damage.damage import Damage, DamageParams
from safelight.nodes.damage.defects import Defect, Defects
from safelight.nodes.damage.scratch import ScratchDetect, ScratchDetectParams
from safelight.nodes.damage.scratched import judged
from safelight.nodes.damage.tracks import Track
from safelight.nodes.damage.uprights import Line

Frames = Sequence[np.ndarray]
HIGH, WIDE = 240, 320


def scene(speed: float, count: int = 5, *, grain: float = 0.05, poles: bool = False) -> list[np.ndarray]:
    """Make soft shapes (and thin poles, not as high as the picture) that pass by, with grain in stops."""
    rng = np.random.default_rng(4)
    wide = WIDE + 200
    stops = sum(ndimage.gaussian_filter(rng.normal(size=(HIGH, wide)), s) * 2.5 * s for s in (3, 9)) * 0.6
    if poles:
        for at in range(60, wide, 70):
            stops[50:200, at : at + 2] -= 1.5
            stops[30:150, at + 31] += 1.2
    frames = []
    for frame in range(count):
        seen = ndimage.shift(stops, (0, -speed * frame), order=1, mode="nearest")[:, 60 : 60 + WIDE]
        light = 0.18 * np.exp2(np.clip(seen, -4, 2) + rng.normal(0, grain, (3, HIGH, WIDE)))
        frames.append(light.astype(np.float32))
    return frames


def clip_of(frames: Frames, channels: tuple[str, ...] = ("R", "G", "B")) -> Clip:
    window = Region.sized(frames[0].shape[2], frames[0].shape[1])
    return Clip(0, len(frames) - 1, window, window, channels=channels)


def scratched(frames: Frames, **params) -> tuple[list[np.ndarray], list[np.ndarray]]:
    clip = clip_of(frames)
    images, truth = [], []
    for frame, data in enumerate(frames):
        request = Request(frame, clip.extent)
        inputs = Inputs(request, {"input": {frame: Image(data, clip.extent)}}, {"input": clip})
        out = Damage().compute(DamageParams(dust=0, **params), request, inputs, Device("cpu", 1))
        images.append(out["image"].data)
        truth.append(out["matte"].data[0] > 0)
    return images, truth


def detect(
    frames: Frames, at: int = 2, *, threads: int = 1, part: Region | None = None,
    channels: tuple[str, ...] = ("R", "G", "B"), **params,
) -> np.ndarray:  # fmt: skip
    node, chosen, device = ScratchDetect(), ScratchDetectParams(**params), Device("cpu", threads)
    clip = clip_of(frames, channels)
    near = [f for f in range(len(frames)) if abs(f - at) <= chosen.radius]
    images = {f: Image(frames[f], clip.extent, channels) for f in near}
    inputs = Inputs(
        Request(at, part or clip.extent), {"input": images}, {"input": clip},
        prepared=lambda port, f: node.prepare(chosen, port, images[f], device),
    )  # fmt: skip
    out = node.compute(chosen, Request(at, part or clip.extent), inputs, device)
    assert out.channels == node.extent(chosen, {"input": clip}).channels
    return out.data[0]


def f1(matte: np.ndarray, truth: np.ndarray) -> float:
    """Return F1 with a tolerance of one pixel."""
    found, near = matte >= 0.5, np.ones((3, 3))
    right = (found & ndimage.binary_dilation(truth, near)).sum()
    had = (truth & ndimage.binary_dilation(found, near)).sum()
    precision, recall = right / max(1, found.sum()), had / max(1, truth.sum())
    return float(2 * precision * recall / max(1e-9, precision + recall))


@pytest.mark.parametrize("speed", [0.0, 3.0])
@pytest.mark.parametrize(
    "params",
    [
        {"scratches": 2, "scratch_tone": "dark"},
        {"scratches": 2, "scratch_tone": "bright", "scratch_opacity": 0.15},
        {"wandering": 2},
        {"scratches": 1, "wandering": 1, "scratch_tone": "coloured"},
        {"wandering": 2, "scratch_width": 3, "scratch_opacity": 0.2, "broken": 0.3},
    ],
    ids=["dark", "faint", "wandering", "coloured", "broken"],
)
def test_scratches_are_found(speed: float, params: dict) -> None:
    frames, truth = scratched(scene(speed), seed=6, **params)
    matte = detect(frames)
    assert f1(matte, truth[2]) > 0.8
    assert matte.min() >= 0 and matte.max() <= 1


def test_what_stands_in_a_moving_scene_is_kept() -> None:
    frames = scene(3.0, poles=True)
    assert not detect(frames).any()
    damaged, truth = scratched(frames, scratches=1, wandering=1, seed=5)
    assert f1(detect(damaged), truth[2]) > 0.75


def test_a_scratch_that_breaks_off_is_found_in_a_still_scene_and_its_ghost_is_not() -> None:
    frames, truth = scratched(scene(0.0), scratches=2, scratch_tone="dark", broken=0.4, seed=11)
    matte = detect(frames)
    assert f1(matte, truth[2]) > 0.7
    # Scratches of the frames before and after alone leave the frame between as it is.
    clean = scene(0.0)
    assert not detect([frames[0], frames[1], clean[2], frames[3], frames[4]]).any()


def test_what_stands_in_a_still_scene_is_kept() -> None:
    frames = scene(0.0, poles=True)
    assert not detect(frames).any()
    # Alone, without frames around, height is all there is to tell.
    assert not detect(frames, radius=0).any()


def test_what_goes_where_the_scene_moves_is_none_of_a_still_scene() -> None:
    rows = np.arange(120)
    track = Track(0, np.zeros(15, np.int64), np.zeros(15, np.int64), np.full(15, 3, np.float32))
    line = Line(track, rows, np.full(120, 50, np.float32), "dark", 0, 1, np.ones(120, np.float32), 0.6)
    # It flickers, and it stays for the most part, as the scene does there.
    still = Verdict(0.79, 0.9, 0.6, 0.0, 0.0, 0.5, 1.1, 0.4, 0.8, 2.2, 0.8, 0.0, 1.1, 0.0)
    assert judged(line, still, 0.5, 0.5, 0.95)[0] > 0
    assert judged(line, replace(still, passed=0.4, held=0.5), 0.5, 0.5, 0.95)[0] > 0
    assert judged(line, replace(still, passed=0.4, held=0.0), 0.5, 0.5, 0.95)[0] == 0


def test_what_sways_by_itself_is_none_of_a_still_scene() -> None:
    track = Track(0, np.zeros(15, np.int64), np.zeros(15, np.int64), np.full(15, 3, np.float32))
    line = Line(track, np.arange(120), np.full(120, 50, np.float32), "dark", 0, 1, np.ones(120, np.float32), 0.6)
    steady = Verdict(1.0, 1.0, 0.1, 0.0, 0.0, 0.5, 1.1, 0.4, 0.8, 0.5, 0.8, 0.0, 1.1, 0.9)
    assert judged(line, steady, 0.5, 0.5, 0.95)[0] == 0
    assert judged(line, replace(steady, sways=1.1), 0.5, 0.5, 0.95)[0] > 0
    for other in ({"passed": 0.3}, {"astray": 2.0}, {"stays": 0.1, "moves": 0.9}):
        assert judged(line, replace(steady, sways=1.1, **other), 0.5, 0.5, 0.95)[0] == 0


def scanned(frames: Sequence[np.ndarray], weave: Sequence[float]) -> list[np.ndarray]:
    """Shift whole frames sideways, and grain them afterwards."""
    rng = np.random.default_rng(8)
    moved = [
        ndimage.shift(frame, (0, 0, off), order=1, mode="nearest") for frame, off in zip(frames, weave, strict=True)
    ]
    return [(one * np.exp2(rng.normal(0, 0.05, one.shape))).astype(np.float32) for one in moved]


def test_what_frames_around_leave_behind_is_no_scratch() -> None:
    track = Track(0, np.zeros(15, np.int64), np.zeros(15, np.int64), np.full(15, 3, np.float32))
    line = Line(track, np.arange(120), np.full(120, 50, np.float32), "dark", 0, 1, np.ones(120, np.float32), 0.6, True)
    passing = Verdict(0.1, 0.1, 0.0, 0.6, 0.0, 0.0, 0.8, 0.2, 1.0, 2.0, 0.9, 0.0, 1.0, 0.0)
    sure, _, needs = judged(line, passing, 0.0, 0.5, 0.95)
    assert sure == 1 and track.score > needs
    # The ghost of a line of the other tone beside it, and an edge that the scene uncovers.
    for other in ({"seen": -0.5}, {"bare": 2.5}):
        assert judged(line, replace(passing, **other), 0.0, 0.5, 0.95)[0] == 0
        assert judged(line, replace(passing, sways=1.2, **other), 0.0, 0.5, 0.95)[0] > 0
    assert judged(line, replace(passing, bare=2.5, stays=0.5), 0.0, 0.5, 0.95)[0] > 0
    # A coloured scratch is on one record for the most part: else it needs more to be one.
    on_one = replace(line, plane=1)
    assert judged(on_one, replace(passing, alone=0.2), 0.0, 0.5, 0.95)[2] == needs
    assert judged(on_one, passing, 0.0, 0.5, 0.95)[2] > needs


def test_a_still_scene_that_weaves_in_the_gate_keeps_its_uprights() -> None:
    weave = (0.3, -0.5, 0.4, -0.2, 0.6)
    frames = scanned(scene(0.0, grain=0.0, poles=True), weave)
    assert not detect(frames).any()
    # What does not weave with it lies on the film.
    damaged, truth = scratched(frames, scratches=2, scratch_tone="dark", broken=0.4, seed=11)
    assert f1(detect(damaged), truth[2]) > 0.7


def test_edges_and_noise_are_no_lines() -> None:
    rng = np.random.default_rng(1)
    plain = [(0.18 * np.exp2(rng.normal(0, 0.2, (3, HIGH, WIDE)))).astype(np.float32) for _ in range(5)]
    assert not detect(plain).any()
    for frame in plain:
        frame[:, :, 150:] *= 4
        frame[:, :, 40:80] *= 0.2
    assert not detect(plain).any()
    assert not detect([np.full((3, HIGH, WIDE), 0.18, np.float32)] * 5).any()


def test_tone_and_sensitivity() -> None:
    frames = scene(3.0)
    damaged, truth = scratched(frames, scratches=2, scratch_tone="dark", seed=6)
    assert not detect(damaged, tone="bright").any()
    assert f1(detect(damaged, tone="dark"), truth[2]) > 0.8
    faint, _ = scratched(frames, scratches=2, scratch_tone="dark", scratch_opacity=0.05, seed=6)
    shares = [float((detect(faint, sensitivity=s) > 0).mean()) for s in (0.1, 0.5, 1.0, 2.0)]
    assert shares == sorted(shares) and shares[0] == 0 < shares[-1]
    grown = detect(damaged, tone="dark", grow=2)
    plain = detect(damaged, tone="dark")
    assert (grown > 0).sum() > 2 * (plain > 0).sum() and (grown[plain > 0] > 0).all()


def test_threads_and_parts_agree_and_every_frame_has_its_own() -> None:
    frames, truth = scratched(scene(3.0), scratches=1, wandering=1, seed=3)
    whole = detect(frames)
    np.testing.assert_array_equal(whole, detect(frames, threads=2))
    part = Region(37, 11, 201, 200)
    np.testing.assert_array_equal(whole[11:200, 37:201], detect(frames, part=part))
    for at in (0, 4):
        assert f1(detect(frames, at), truth[at]) > 0.7


def test_one_plane_and_other_channels() -> None:
    frames, truth = scratched(scene(3.0), scratches=2, scratch_tone="dark", seed=3)
    grey = [frame[1:2] for frame in frames]
    assert f1(detect(grey, channels=("Y",)), truth[2]) > 0.8
    more = [np.concatenate([np.full((1, HIGH, WIDE), np.nan, np.float32), frame[::-1]]) for frame in frames]
    np.testing.assert_array_equal(detect(more, channels=("Z", "B", "G", "R")), detect(frames))


def test_what_is_not_finite_is_never_in_the_matte_and_hurts_nothing() -> None:
    frames, truth = scratched(scene(3.0), scratches=2, scratch_tone="dark", seed=3)
    bad = [frame.copy() for frame in frames]
    holes = np.zeros((HIGH, WIDE), bool)
    holes[::17, ::13] = True
    holes[100:110, 200:260] = True
    for frame, value in zip(bad, (np.nan, np.inf, np.nan, -np.inf, np.nan), strict=True):
        frame[1, holes] = value
    matte = detect(bad)
    assert np.isfinite(matte).all() and not matte[holes].any()
    assert f1(matte, truth[2]) > 0.8
    assert not detect([np.full((3, HIGH, WIDE), np.nan, np.float32)] * 5).any()
    huge = [np.where(holes, np.float32(3e38), frame) for frame in frames]
    assert np.isfinite(detect(huge)).all()
    assert np.isfinite(detect([-frame for frame in frames])).all()


def test_an_edited_list_changes_exactly_its_places(tmp_path: Path) -> None:
    frames, _ = scratched(scene(3.0), scratches=2, scratch_tone="dark", seed=6)
    window = clip_of(frames).extent
    matte = detect(frames)
    found = Defects.of_matte(2, Image(matte[None], window, ("A",)), Image(frames[2], window))
    assert any(one.kind == "scratch" for one in found)
    rejected = replace(found[0], decision="reject")
    added = Defect(99, 2, (5, 7, 9, 30), decision="add")
    path = tmp_path / "defects.json"
    Defects("plate", (rejected, added)).save(path)
    edited = detect(frames, defects=path)
    x0, y0, x1, y1 = rejected.box
    want = matte.copy()
    want[y0:y1, x0:x1] = 0
    want[7:30, 5:9] = 1
    np.testing.assert_array_equal(edited, want)
    np.testing.assert_array_equal(detect(frames, 1, defects=path), detect(frames, 1))
    node, params = ScratchDetect(), ScratchDetectParams(defects=path)
    assert node.fingerprint(params, 2, Settings()) and not node.fingerprint(params, 1, Settings())
    path.write_text('{"safelight_defects": 1,\n"defects": [{"id": 1, "frame": 2}]}')
    with pytest.raises(GraphError, match="line 2"):
        list(node.check(params, {"input": clip_of(frames)}, Settings()))


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (40, 16), (33, 17), (47, 31)])
def test_small_pictures(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(2)
    frames = [rng.uniform(0, 1, (3, *size)).astype(np.float32) for _ in range(3)]
    assert detect(frames, 1).shape == size


def test_through_a_graph() -> None:
    text = """safelight = 1
    [nodes.plate]
    type = "Plate"
    width = 192
    height = 128
    frames = 3
    [nodes.found]
    type = "ScratchDetect"
    input = "plate"
    """
    graph = Graph.from_document(Document.parse(text))
    graph.check()
    assert graph.clip("found", "matte").channels == ("A",)
    matte = Clip(1, 5, Region.sized(9, 9), Region.sized(9, 9), channels=("A",))
    with pytest.raises(GraphError, match="A"):
        list(ScratchDetect().check(ScratchDetectParams(), {"input": matte}, Settings()))
    single = Clip(1, 1, Region.sized(9, 9), Region.sized(9, 9))
    assert list(ScratchDetect().check(ScratchDetectParams(), {"input": single}, Settings()))


@pytest.mark.parametrize("name", ["flower_handheld", "redtree_pan"])
def test_real_scenes_are_kept(data: Path, name: str) -> None:
    frames = []
    for number in range(1, 6):
        with Pillow.open(data / "images" / "seq" / name / f"frame.{number:04d}.png") as picture:
            shown = np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1) / 255
        frames.append(np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4).astype(np.float32))
    assert (detect(frames) > 0).mean() < 5e-5
