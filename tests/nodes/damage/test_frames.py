"""FrameDetect on a small moving scene: what frames are, where they are damaged, and what is none of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import NOTES, Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.nodes.damage.defects import Defect, Defects
from safelight.nodes.damage.frames import KIND, FrameDetect, FrameDetectParams
from tests.nodes.damage.test_dirt import grained, linear, pictures
from tests.nodes.grain.scene import moving_scene

HEIGHT, WIDTH = 144, 224
MIDDLE = 3
PREPARED: dict[int, Any] = {}


@pytest.fixture(scope="module")
def scene() -> np.ndarray:
    return linear(moving_scene(7, HEIGHT, WIDTH).transpose(0, 3, 1, 2) / np.float32(255))


def blotch(size: int = 34, seed: int = 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH]
    edge = ndimage.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 4) * 40
    return np.asarray(np.hypot(y - 70, x - 90) + edge < size / 2)


def detect(images: Mapping[int, Image], frame: int, **settings: Any) -> Image:
    node, params, device = FrameDetect(), FrameDetectParams(**settings), Device("cpu", 2)
    request = Request(frame, images[frame].region)
    needed = {r.frame: images[r.frame] for r in node.needs(params, request)["input"] if r.frame in images}

    def prepared(port: str, n: int) -> Any:
        # Kept as the engine keeps it, with the image: its id stays its own.
        if id(needed[n]) not in PREPARED:
            PREPARED[id(needed[n])] = (needed[n], node.prepare(params, port, needed[n], device))
        return PREPARED[id(needed[n])][1]

    inputs = Inputs(request, {"input": needed}, {}, prepared=prepared)
    return node.compute(params, request, inputs, device)


def kinds(images: Mapping[int, Image], frame: int, **settings: Any) -> str:
    return str(detect(images, frame, **settings).metadata.get(KIND, ""))


def spoilt(scene: np.ndarray, frame: int, mask: Any, light: float, seed: int = 3) -> dict[int, Image]:
    frames = scene.copy()
    frames[frame] = np.where(mask, frames[frame] * np.float32(light), frames[frame])
    return pictures(grained(frames, seed))


def test_clean_frames_are_nothing(scene: np.ndarray) -> None:
    images = pictures(grained(scene))
    for frame in images:
        matte = detect(images, frame)
        assert not matte.data.any() and KIND not in matte.metadata and NOTES not in matte.metadata
        assert matte.channels == ("A",) and matte.region == images[frame].region and matte.metadata["n"] == frame


@pytest.mark.parametrize("light", [0.3, 2.5])
def test_a_blotch_is_found_where_it_is(scene: np.ndarray, light: float) -> None:
    truth = blotch()
    images = spoilt(scene, MIDDLE, truth, light)
    matte = detect(images, MIDDLE)
    found = matte.data[0] >= 0.5
    assert matte.metadata[KIND] == "blotch" and "frame 3: blotch" in matte.metadata[NOTES][-1]
    assert (found & truth).sum() > 0.85 * truth.sum() and (found & truth).sum() > 0.8 * found.sum()
    assert kinds(images, MIDDLE - 1) == kinds(images, MIDDLE + 1) == ""
    assert not detect(images, MIDDLE, blotches=False).data.any()
    assert not detect(images, MIDDLE, area=20).data.any()


def test_the_same_spot_in_the_frames_around_is_not_this_frames(scene: np.ndarray) -> None:
    frames = scene.copy()
    for frame in (MIDDLE - 1, MIDDLE + 1):
        frames[frame][:, blotch()] *= np.float32(0.3)
    assert kinds(pictures(grained(frames)), MIDDLE) == ""


def test_two_blotches_on_one_spot_in_frames_that_follow(scene: np.ndarray) -> None:
    frames = scene.copy()
    frames[3][:, blotch()] *= np.float32(0.3)
    frames[4][:, blotch(seed=7)] *= np.float32(3)
    images = pictures(grained(frames))
    assert kinds(images, 3) == kinds(images, 4) == "blotch" and kinds(images, 2) == kinds(images, 5) == ""


@pytest.mark.parametrize(("rows", "light"), [(np.s_[:5], 0.2), (np.s_[-6:], 4.0)])
def test_the_bar_of_a_splice(scene: np.ndarray, rows: slice, light: float) -> None:
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[rows] = True
    images = spoilt(scene, MIDDLE, truth, light)
    matte = detect(images, MIDDLE)
    found = matte.data[0] >= 0.5
    assert matte.metadata[KIND] == "splice" and ("top" if rows.start is None else "bottom") in matte.metadata[NOTES][-1]
    assert (found & truth).sum() > 0.85 * truth.sum() and (found & truth).sum() > 0.7 * found.sum()
    assert not detect(images, MIDDLE, splices=False).data.any()


def test_a_destroyed_frame(scene: np.ndarray) -> None:
    rng = np.random.default_rng(5)
    cloud = ndimage.gaussian_filter(rng.standard_normal((HEIGHT, WIDTH)), 14)
    truth = cloud > np.quantile(cloud, 0.3)
    frames = scene.copy()
    frames[MIDDLE] = np.where(truth, frames[MIDDLE] * np.exp2(-2.5 + 60 * (cloud - cloud.max())), frames[MIDDLE])
    images = pictures(grained(frames))
    matte = detect(images, MIDDLE)
    found = matte.data[0] >= 0.5
    assert matte.metadata[KIND] == "destroyed" and (found & truth).sum() > 0.85 * truth.sum()
    assert kinds(images, MIDDLE - 1) == kinds(images, MIDDLE + 1) == ""


def test_a_blank_frame_and_a_flash(scene: np.ndarray) -> None:
    frames = scene.copy()
    frames[2] = 0.9
    frames[4] = frames[4] * np.float32(3) + np.float32(0.02)
    images = pictures(grained(frames))
    blank, flash = detect(images, 2), detect(images, 4)
    assert blank.metadata[KIND] == "blank" and (blank.data == 1).all()
    assert flash.metadata[KIND] == "flash" and "brighter" in flash.metadata[NOTES][-1] and flash.data.mean() < 0.02
    assert kinds(images, 4, flash=3) == "" == kinds(images, 4, frames=False)
    assert kinds(images, 3) == ""


@pytest.mark.parametrize("noise", [0.0, 0.003])
def test_a_repeated_frame(scene: np.ndarray, noise: float) -> None:
    images = pictures(grained(scene))
    again = images[2].data * (1 + noise * np.random.default_rng(1).standard_normal(images[2].data.shape))
    images[3] = images[3].with_data(again.astype(np.float32))
    matte = detect(images, 3)
    assert matte.metadata[KIND] == "repeat" and "frame 2 again" in matte.metadata[NOTES][-1]
    assert ("codec" in matte.metadata[NOTES][-1]) == bool(noise) and not matte.data.any()
    assert [kinds(images, n) for n in (1, 2, 4)] == ["", "", ""]
    # A picture that never moves is no repetition.
    still = dict.fromkeys(range(7), images[2])
    assert kinds(still, 3) == ""


def test_a_blotch_beside_its_repetition(scene: np.ndarray) -> None:
    images = spoilt(scene, MIDDLE, blotch(), 0.3)
    images[4] = images[3]
    assert kinds(images, 3) == "blotch" and kinds(images, 4) == "repeat"


def test_a_jump_of_the_framing(scene: np.ndarray) -> None:
    frames = scene.copy()
    frames[4:] = np.concatenate([np.repeat(frames[4:, :, :1], 8, 2), frames[4:, :, :-8]], 2)
    images = pictures(grained(frames))
    matte = detect(images, 4)
    assert matte.metadata[KIND] == "jump" and "down" in matte.metadata[NOTES][-1] and not matte.data.any()
    assert kinds(images, 3) == "" and kinds(images, 5) == "" and kinds(images, 4, jump=20) == ""


def test_flicker_fades_and_dissolves_are_none(scene: np.ndarray) -> None:
    rng = np.random.default_rng(8)
    y, x = np.mgrid[-1 : 1 : HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
    lit = np.stack([f * np.exp2(rng.normal(0, 0.15) + rng.normal(0, 0.1) * x + rng.normal(0, 0.1) * y) for f in scene])
    other = np.roll(scene[::-1, :, ::-1, ::-1], 50, 3)
    share = np.linspace(0, 1, 7)[:, None, None, None]
    faded = scene * np.linspace(1, 0.05, 7)[:, None, None, None] + np.float32(0.001)
    for made in (lit, scene * (1 - share) + other * share, faded):
        images = pictures(grained(made.astype(np.float32)))
        assert [kinds(images, n) for n in (1, 3, 4)] == [""] * 3
    cut = pictures(grained(np.concatenate([scene[:3], other[3:]])))  # that nobody named
    assert [kinds(cut, n) for n in range(1, 6)] == [""] * 5


def test_ends_of_a_shot(scene: np.ndarray) -> None:
    for frame in (0, 6):
        images = spoilt(scene, frame, blotch(), 0.2)
        assert kinds(images, frame) == "blotch"
    two = {n: images[n] for n in (5, 6)}
    assert kinds(two, 6) == "" and not detect(two, 6).data.any()


def test_what_is_not_finite_stays_out(scene: np.ndarray) -> None:
    images = spoilt(scene, MIDDLE, blotch(), 0.3)
    data = images[MIDDLE].data.copy()
    data[0, 66:72, 86:92], data[1, 4, 4] = np.nan, np.inf
    matte = detect(images | {MIDDLE: images[MIDDLE].with_data(data)}, MIDDLE)
    bad = ~np.isfinite(data).all(0)
    assert matte.metadata[KIND] == "blotch" and not matte.data[0][bad].any()
    assert (matte.data[0][~bad] > 0).mean() == pytest.approx((detect(images, MIDDLE).data[0] > 0).mean(), rel=0.1)


def test_one_channel_odd_and_small_pictures(scene: np.ndarray) -> None:
    frames = scene[:, 1:2, : HEIGHT - 1, : WIDTH - 3].copy()
    frames[MIDDLE][:, blotch()[: HEIGHT - 1, : WIDTH - 3]] *= np.float32(0.3)
    assert kinds(pictures(grained(frames), ("Y",)), MIDDLE) == "blotch"
    for size in ((1, 1), (1, 40), (30, 70)):
        tiny = pictures(grained(scene[:, :, : size[0], : size[1]]))
        assert detect(tiny, MIDDLE).data.shape == (1, *size) and not detect(tiny, MIDDLE).data.any()


def test_large_pictures_are_judged_small(scene: np.ndarray) -> None:
    images = spoilt(scene, MIDDLE, blotch(), 0.3)
    large = {
        n: Image(np.repeat(np.repeat(one.data, 4, 1), 4, 2), Region.sized(4 * WIDTH, 4 * HEIGHT))
        for n, one in images.items()
    }
    matte = detect(large, MIDDLE)
    truth = np.repeat(np.repeat(blotch(), 4, 0), 4, 1)
    found = matte.data[0] >= 0.5
    assert matte.metadata[KIND] == "blotch" and (found & truth).sum() > 0.85 * max(truth.sum(), found.sum())


def test_the_list_is_obeyed(scene: np.ndarray, tmp_path: Path) -> None:
    images = spoilt(scene, MIDDLE, blotch(), 0.3)
    at = images[MIDDLE].region
    box = (at.x0 + 60, at.y0 + 40, at.x0 + 130, at.y0 + 100)
    path = tmp_path / "list.json"
    Defects("", (Defect(1, MIDDLE, box, decision="reject"), Defect(2, 2, (10, 10, 14, 13), decision="add"))).save(path)
    obeyed = detect(images, MIDDLE, defects=path)
    assert obeyed.channels == ("A", "found") and not obeyed.data[0].any()
    np.testing.assert_array_equal(obeyed.data[1], detect(images, MIDDLE).data[0])
    assert detect(images, 2, defects=path).data[0].sum() == 12
    node, params = FrameDetect(), FrameDetectParams(defects=path)
    assert node.fingerprint(params, 2, Settings()) and not node.fingerprint(params, 1, Settings())
    clip = Clip(0, 2, at, at)
    assert "frames that the clip does not have: 3" in next(iter(node.check(params, {"input": clip}, Settings())))
    path.write_text("{}")
    with pytest.raises(GraphError, match=r"list\.json.*no list of defects"):
        node.check(params, {"input": clip}, Settings())


def test_what_is_refused_and_warned_of() -> None:
    node, window = FrameDetect(), Region.sized(8, 8)
    with pytest.raises(GraphError, match="R, G, B or Y"):
        node.check(FrameDetectParams(), {"input": Clip(1, 9, window, window, channels=("Z",))}, Settings())
    assert "one or two frames" in next(
        iter(node.check(FrameDetectParams(), {"input": Clip(1, 2, window, window)}, Settings()))
    )


def test_real_film(data: Path) -> None:
    from PIL import Image as Picture

    files = sorted((data / "images" / "film" / "abomb_cut_1950s").glob("*.png"))[12:21]
    frames = np.stack([np.asarray(Picture.open(file).convert("RGB")) for file in files])
    images = pictures(linear(frames.transpose(0, 3, 1, 2) / np.float32(255)))
    # Of a truck filmed at 24 frames and shown at 30, every fifth is the one before; dust is none of this node's.
    assert {n + 13: kinds(images, n) for n in images if kinds(images, n)} == {15: "repeat", 20: "repeat"}
