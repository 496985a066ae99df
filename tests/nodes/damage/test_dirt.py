"""DirtDetect through its contract: what is dirt, what is none, and what is said of bad input."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import NOTES, Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage.defects import Defect, Defects
from safelight.nodes.damage.dirt import NOTE, DirtDetect, DirtDetectParams
from safelight.nodes.kernels import cuda
from tests.nodes.grain.scene import moving_scene
from tests.stand_ins import cupy_like

from .dust import dusty, measures

RGB = ("R", "G", "B")
TWO = Device("cpu", 2)
LEVEL = 0.5


def linear(display: np.ndarray) -> np.ndarray:
    """Decode sRGB (IEC 61966-2-1), odd about zero."""
    size = np.abs(display)
    return (np.sign(display) * np.where(size <= 0.04045, size / 12.92, ((size + 0.055) / 1.055) ** 2.4)).astype(
        np.float32
    )


def grained(frames: np.ndarray, seed: int = 3, sigma: float = 0.02) -> np.ndarray:
    """Add white noise of `sigma` on the display scale to scene-linear frames."""
    light = np.maximum(frames, 0)
    display = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-6) ** (1 / 2.4) - 0.055)
    return linear(display + np.random.default_rng(seed).normal(0, sigma, frames.shape))


def pictures(frames: np.ndarray, channels: Sequence[str] = RGB) -> dict[int, Image]:
    """Frames (n, C, H, W) as images whose data window starts at (3, -2)."""
    region = Region.sized(frames.shape[3], frames.shape[2], 3, -2)
    return {
        i: Image(np.ascontiguousarray(f, np.float32), region, tuple(channels), {"n": i}) for i, f in enumerate(frames)
    }


def detect(
    images: Mapping[int, Image], frame: int, device: Device = TWO, infrared: Image | None = None, **settings: Any
) -> Image:
    """Run the node on one frame as the engine does, with what frames there are."""
    node, params = DirtDetect(), DirtDetectParams(**settings)
    first = images[frame]
    clips = {"input": Clip(min(images), max(images), first.region, first.region, channels=first.channels)}
    analysis = None
    if node.wants_analysis(params):
        asked = [r.frame for r in node.analysis_requests(params, clips)]
        analysis = node.analyse(params, [(n, images[n]) for n in asked if n in images], clips, device)
    request = Request(frame, first.region)
    needed = {r.frame: images[r.frame] for r in node.needs(params, request)["input"] if r.frame in images}
    inputs = Inputs(
        request,
        {"input": needed} if infrared is None else {"input": needed, "infrared": {frame: infrared}},
        clips,
        prepared=lambda port, n: node.prepare(params, port, needed[n], device),
        analysis=analysis,
    )
    return node.compute(params, request, inputs, device)


def mattes(images: Mapping[int, Image], frames: Sequence[int], **settings: Any) -> list[np.ndarray]:
    return [detect(images, n, **settings).data[0] >= LEVEL for n in frames]


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return linear(moving_scene(7, 200, 288).transpose(0, 3, 1, 2) / np.float32(255))


# --- what is dirt ---


@pytest.mark.parametrize("tone", ["dark", "bright", "coloured"])
def test_dust_is_found(scene: np.ndarray, tone: str) -> None:
    damaged, truth = dusty(scene, 0.005, 4, tone=tone)
    images, middle = pictures(grained(damaged)), (2, 3, 4)
    precision, _, f1 = measures(mattes(images, middle), truth[list(middle)])
    assert f1 >= 0.9 and precision >= 0.95
    without = measures(mattes(images, (3,), **{tone: False}), truth[[3]])
    assert without[1] < 0.1


def test_dust_on_one_channel_of_black_and_white(scene: np.ndarray) -> None:
    damaged, truth = dusty(scene[:, 1:2], 0.005, 5)
    images = pictures(grained(damaged), ("Y",))
    assert measures(mattes(images, (3,)), truth[[3]])[2] > 0.9


def test_the_matte_is_a_clip_of_its_own(scene: np.ndarray) -> None:
    images = pictures(grained(dusty(scene, 0.005, 4)[0]))
    matte = detect(images, 3)
    assert matte.channels == ("A",) and matte.region == images[3].region and matte.metadata == {"n": 3}
    assert matte.data.dtype == np.float32 and (matte.data >= 0).all() and (matte.data <= 1).all()
    assert (matte.data == 0).mean() > 0.98
    extent = DirtDetect().extent(DirtDetectParams(), {"input": Clip(1, 5, images[3].region, images[3].region)})
    assert extent.channels == ("A",)


def test_the_ends_are_found_more_strictly(scene: np.ndarray) -> None:
    damaged, truth = dusty(scene, 0.005, 6)
    images = pictures(grained(damaged))
    precision, recall, _ = measures(mattes(images, (0, 6)), truth[[0, 6]])
    assert precision > 0.95 and recall > 0.5
    clean = pictures(grained(scene))
    assert sum(found.sum() for found in mattes(clean, (0, 6))) == 0


def test_the_same_spot_in_two_frames(scene: np.ndarray) -> None:
    damaged = scene.copy()
    damaged[3:5, :, 60:66, 80:87] *= 0.2
    damaged[2:4, :, 140:145, 200:206] *= 4
    images = pictures(grained(damaged))
    found = {n: detect(images, n).data[0] for n in (2, 3, 4)}
    for n in (3, 4):
        assert (found[n][61:65, 81:86] >= LEVEL).mean() > 0.9
    for n in (2, 3):
        assert (found[n][141:144, 201:205] >= LEVEL).mean() > 0.9
    assert sum((plane >= LEVEL).sum() for plane in found.values()) < 3 * (8 * 9 + 7 * 8)


def test_sizes_and_sensitivity(scene: np.ndarray) -> None:
    damaged = scene.copy()
    damaged[3, :, 60:63, 80:83] *= 0.2
    damaged[3, :, 100:114, 150:164] *= 0.2
    images = pictures(grained(damaged))
    both = detect(images, 3).data[0] >= LEVEL
    assert both[61, 81] and both[107, 157]
    small, large = detect(images, 3, max_size=10).data[0], detect(images, 3, min_size=10).data[0]
    assert small[61, 81] >= LEVEL and small[90:120, 140:170].max() < LEVEL
    assert large[107, 157] >= LEVEL and large[50:70, 70:90].max() < LEVEL
    faint = scene.copy()
    faint[3, :, 60:65, 80:85] *= 0.75
    images = pictures(grained(faint))
    assert detect(images, 3, sensitivity=0.2).data[0, 50:75, 70:95].max() < LEVEL
    assert detect(images, 3, sensitivity=0.8).data[0, 50:75, 70:95].max() >= LEVEL


# --- what is none ---


def test_a_clean_shot_has_none(scene: np.ndarray) -> None:
    for images in (pictures(grained(scene)), pictures(scene)):
        assert sum(found.sum() for found in mattes(images, (2, 3, 4))) == 0


def sky(frames: int, height: int = 200, width: int = 288) -> np.ndarray:
    y, x = np.mgrid[:height, :width]
    one = 0.02 + 0.03 * y / height + 0.002 * np.sin(x / 30)
    return np.repeat(np.repeat(one[None, None], 3, 1), frames, 0).astype(np.float32)


def test_stars_are_left_alone() -> None:
    """A pan over stars of one to three pixels, which twinkle."""
    rng = np.random.default_rng(1)
    frames = sky(7)
    height, width = frames.shape[2:]
    y, x = np.mgrid[:height, :width]
    for _ in range(70):
        cx, cy, size, light = (
            rng.uniform(-40, width),
            rng.uniform(0, height),
            rng.uniform(0.6, 1.6),
            rng.uniform(0.2, 3),
        )
        for n in range(len(frames)):
            spot = np.exp(-((x - cx - 5.4 * n) ** 2 + (y - cy - 1.3 * n) ** 2) / (2 * size**2))
            frames[n] += light * rng.uniform(0.4, 1) * spot
    protected(frames)


def protected(frames: np.ndarray) -> int:
    """Next to nothing is found with protection; return how much is without."""
    without = 0
    for clean in (frames, grained(frames)):
        images = pictures(clean)
        assert sum(found.sum() for found in mattes(images, (2, 3, 4))) <= 0.00005 * 3 * clean[0, 0].size
        without += sum(int(found.sum()) for found in mattes(images, (2, 3, 4), protection=0))
    return without


@pytest.mark.parametrize("slant", [0.0, 0.3])
def test_rain_is_left_alone(scene: np.ndarray, slant: float) -> None:
    """Streaks that fall 30 pixels and more a frame, each alike only to itself."""
    rng = np.random.default_rng(2)
    frames = scene.copy()
    height, width = frames.shape[2:]
    y, x = np.mgrid[:height, :width]
    for _ in range(60):
        cx, cy, fall, length = rng.uniform(0, width), rng.uniform(-200, 200), rng.uniform(28, 45), rng.uniform(9, 16)
        for n in range(len(frames)):
            along = (y - cy - fall * n) + slant * (x - cx - slant * fall * n)
            across = (x - cx - slant * fall * n) - slant * (y - cy - fall * n)
            streak = np.clip(length / 2 - np.abs(along), 0, 1) * np.exp(-(across**2) / 1.2)
            frames[n] += 0.35 * streak.astype(np.float32)
    assert protected(frames) > 500


def test_a_small_thing_that_flies_past_is_none(scene: np.ndarray) -> None:
    frames = scene.copy()
    for n in range(7):
        frames[n, :, 100 - 4 * n : 107 - 4 * n, 60 + 19 * n : 68 + 19 * n] = 1.5
    images = pictures(grained(frames))
    assert sum(found.sum() for found in mattes(images, (2, 3, 4))) == 0
    assert detect(images, 3, protection=0).data[0, 85:100, 112:132].max() >= LEVEL


def test_lamps_wheel_and_pole_of_the_plate_are_none() -> None:
    from safelight.nodes.io.plate import Plate, PlateParams

    params = PlateParams(width=640, height=360, frames=7, cut=False)
    region = Region.sized(640, 360)
    requests = [Request(1001 + n, region) for n in range(7)]
    frames = np.stack([Plate().compute(params, r, Inputs(r, {}, {}), TWO).data for r in requests])
    for clean in (frames, grained(frames)):
        assert sum(found.sum() for found in mattes(pictures(clean), (3,))) <= 0.00005 * clean[0, 0].size


@pytest.mark.parametrize("name", ["redtree_pan", "flower_handheld", "walker_lowbitrate"])
def test_clean_footage_has_next_to_none(name: str) -> None:
    data = os.environ.get("SAFELIGHT_TEST_DATA")
    if not data:
        pytest.skip("needs SAFELIGHT_TEST_DATA")
    files = sorted((Path(data) / "images" / "seq" / name).glob("*.png"))[3:8]
    display = np.stack([np.asarray(Picture.open(f).convert("RGB"), np.float32) / 255 for f in files])
    clean = linear(display.transpose(0, 3, 1, 2))
    found = mattes(pictures(grained(clean)), (2,))[0]
    assert found.mean() <= 0.00005


# --- a single frame, and infrared ---


def test_one_frame_shows_dust_on_one_record(scene: np.ndarray) -> None:
    damaged, truth = dusty(scene[:1], 0.005, 7, tone="coloured")
    images = pictures(grained(damaged))
    precision, recall, _ = measures(mattes(images, (0,)), truth)
    assert precision > 0.9 and recall > 0.5
    assert not mattes(pictures(grained(scene[:1])), (0,))[0].any()
    grey, _ = dusty(scene[:1], 0.005, 7)
    assert mattes(pictures(grained(grey)), (0,))[0].mean() < 0.0005
    assert not detect(pictures(grained(damaged)[:, :1], ("Y",)), 0).data.any()


def test_infrared_shows_what_is_opaque(scene: np.ndarray) -> None:
    images = pictures(grained(scene))
    scan = np.full((1, 200, 288), 0.8, np.float32) + np.linspace(0, 0.1, 288, dtype=np.float32)
    scan[0, 20:24, 30:36] = 0.1
    scan[0, 22, 36] = 0.55  # its soft edge
    scan[0, 100, 100] = np.nan
    found = detect(images, 3, infrared=Image(scan, images[3].region, ("A",))).data[0]
    wanted = np.zeros((200, 288), bool)
    wanted[20:24, 30:36] = wanted[22, 36] = True
    np.testing.assert_array_equal(found >= LEVEL, wanted)
    assert found[wanted].min() >= LEVEL
    part = Image(scan[:, 22:], Region.sized(288, 178, 3, 20), ("A",))
    found = detect(images, 3, infrared=part).data[0]
    assert not found[:22].any() and found[22, 30:37].all()


# --- bad input ---


def test_a_destroyed_frame_is_left_alone_unless_forced(scene: np.ndarray) -> None:
    damaged = scene.copy()
    rng = np.random.default_rng(8)
    damaged[3] = ndimage.gaussian_filter(rng.normal(0, 1, scene[3].shape), (0, 2, 2)) ** 2
    damaged[3, :, 150:, :] = scene[3, :, 150:, :]
    images = pictures(grained(damaged))
    matte = detect(images, 3)
    assert not matte.data.any() and "neither neighbour" in matte.metadata[NOTE]
    assert matte.metadata[NOTES][0].startswith("frame 3: ")
    assert NOTE not in detect(images, 3, force=True).metadata
    after = detect(images, 2)
    assert NOTE not in after.metadata and (after.data >= LEVEL).mean() < 0.001


def test_pixels_that_are_no_numbers(scene: np.ndarray) -> None:
    damaged = scene.copy()
    damaged[3, :, 60:65, 80:85] *= 0.2
    broken = grained(damaged)
    broken[3, 0, 62, 82] = np.nan
    broken[2, :, 20:24, 20:24] = np.inf
    matte = detect(pictures(broken), 3).data[0]
    assert np.isfinite(matte).all() and matte[62, 82] == 0 and matte[61, 81] >= LEVEL
    assert matte[10:34, 10:34].max() < LEVEL
    whole = np.full((3, 3, 40, 60), np.nan, np.float32)
    assert not detect(pictures(whole), 1).data.any()


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (5, 3), (17, 16)])
def test_tiny_pictures(size: tuple[int, int]) -> None:
    frames = np.random.default_rng(1).uniform(0.1, 0.4, (5, 3, *size)).astype(np.float32)
    for n in (0, 2):
        assert detect(pictures(frames), n).data.shape == (1, *size)
    assert detect(pictures(frames[:1]), 0).data.shape == (1, *size)


def test_few_frames_and_frames_of_another_size(scene: np.ndarray) -> None:
    images = pictures(grained(scene))
    assert detect({2: images[2], 3: images[3]}, 2).data.max() < LEVEL
    small = images[1].crop(Region(3, -2, 60, 60))
    assert detect({0: images[0], 1: small, 2: images[2], 3: images[3]}, 2).data.shape == (1, 200, 288)


def test_refused_before_a_render(tmp_path: Path) -> None:
    window = Region.sized(50, 40)
    clip = Clip(1001, 1010, window, window)
    node = DirtDetect()

    def check(infrared: Clip | None = None, clip: Clip = clip, **settings: Any) -> list[str]:
        inputs = {"input": clip} if infrared is None else {"input": clip, "infrared": infrared}
        return list(node.check(DirtDetectParams(**settings), inputs, Settings()))

    assert check() == []
    with pytest.raises(GraphError, match="no R, G, B or Y"):
        check(clip=Clip(1, 5, window, window, channels=("A",)))
    with pytest.raises(GraphError, match="infrared scan is"):
        check(Clip(1001, 1010, Region.sized(49, 40), window))
    with pytest.raises(GraphError, match="min_size 9 is above"):
        check(min_size=9, max_size=5)
    with pytest.raises(GraphError, match="cannot be read"):
        check(defects=tmp_path / "none.json")
    path = tmp_path / "list.json"
    path.write_text('{"safelight_defects": 1, "defects": [\n{"id": 1, "frame": 3}]}')
    with pytest.raises(GraphError, match=r"line 2.*no 'box'"):
        check(defects=path)
    Defects("", (Defect(1, 900, (1, 1, 2, 2), decision="add"),)).save(path)
    assert "900" in check(defects=path)[0]
    assert "single frame" in check(clip=Clip(1, 1, window, window, channels=("Y",)))[0]


# --- the list of defects ---


def test_an_edited_list_changes_exactly_those_places(scene: np.ndarray, tmp_path: Path) -> None:
    images = pictures(grained(dusty(scene, 0.005, 4)[0]))
    before = detect(images, 3)
    found = Defects.of_matte(3, before, images[3])
    assert len(found) >= 4
    edited = [Defect(d.id, d.frame, d.box, d.kind, d.tone, d.score, "reject" if d.id == 2 else "") for d in found]
    edited.append(Defect(99, 3, (40, 50, 47, 55), decision="add"))
    path = tmp_path / "list.json"
    Defects("", tuple(edited)).save(path)
    after = detect(images, 3, defects=path)
    changed = after.data[0] != before.data[0]
    x0, y0, x1, y1 = found[1].box
    allowed = np.zeros_like(changed)
    allowed[y0 + 2 : y1 + 2, x0 - 3 : x1 - 3] = True
    assert changed.any() and not (changed & ~allowed)[:52].any()
    assert not after.data[0, y0 + 2 : y1 + 2, x0 - 3 : x1 - 3].all()
    assert (after.data[0, 52:57, 37:44] == 1).all()
    allowed[52:57, 37:44] = True
    assert not (changed & ~allowed).any()
    np.testing.assert_array_equal(after.data[1], before.data[0])
    other = detect(images, 2, defects=path)
    assert other.channels == after.channels == ("A", "found")
    np.testing.assert_array_equal(other.data, np.repeat(detect(images, 2).data, 2, 0))
    node, params = DirtDetect(), DirtDetectParams(defects=path)
    assert node.fingerprint(params, 2, Settings()) == ""
    first = node.fingerprint(params, 3, Settings())
    Defects("", tuple(edited[:-1])).save(path)
    assert first and node.fingerprint(params, 3, Settings()) not in ("", first)


# --- bits ---


def test_bits_do_not_depend_on_threads(scene: np.ndarray) -> None:
    images = pictures(grained(dusty(scene, 0.005, 4)[0]))
    np.testing.assert_array_equal(detect(images, 3, Device("cpu", 1)).data, detect(images, 3, Device("cpu", 3)).data)


def test_runs_on_arrays_of_a_device(scene: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    images = pictures(grained(dusty(scene[:, :, :96, :128], 0.005, 4)[0]))
    want = detect(images, 3)
    monkeypatch.setitem(sys.modules, "cupy", cupy_like.module())
    monkeypatch.setattr(cuda, "run", cupy_like.run)
    cupy_like.LAUNCHED.clear()
    device = Device("cuda", 1)
    made = detect({n: device.upload(image) for n, image in images.items()}, 3, device)
    assert {"dirt_blocks", "dirt_depart", "motion_search", "degrain_encode"} <= set(cupy_like.LAUNCHED)
    np.testing.assert_array_equal(device.download(made).data, want.data)
