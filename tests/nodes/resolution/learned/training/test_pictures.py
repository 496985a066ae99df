"""What nets are trained on: pairs, held-out pictures, patches, wear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.coding import LUMA, decode, encode
from safelight.nodes.resolution.learned.sampling import reduced
from safelight.nodes.resolution.learned.training.degrade import film
from safelight.nodes.resolution.learned.training.drawn import SHARE, SIDE, drawings
from safelight.nodes.resolution.learned.training.patches import LINEAR_SHARE, FilmPatches, Patches, pairs, split
from safelight.nodes.resolution.learned.training.pictures import Picture, colours, found, lumas, pair, psnr


def folder_of(path: Path, count: int, size: tuple[int, int] = (200, 220)) -> Path:
    random = np.random.default_rng(0)
    for k in range(count):
        small = random.integers(0, 255, (size[0] // 8, size[1] // 8, 3), np.uint8)
        Image.fromarray(small).resize(size[::-1], Image.Resampling.BICUBIC).save(path / f"{k:02}.png")
    return path


def test_display_pictures(tmp_path: Path) -> None:
    (file,) = found(folder_of(tmp_path, 1))
    ((name, luma),) = lumas(file)
    rgb = np.asarray(Image.open(file), np.float64) / 255
    np.testing.assert_allclose(luma, rgb @ LUMA.astype(np.float64), atol=1e-6)
    made = pair(name, luma[:, :199], 2)
    assert made.full.shape == (200, 198) and made.low.shape == (100, 99)
    assert np.abs(made.low * 255 - np.rint(made.low * 255)).max() < 1e-3
    np.testing.assert_allclose(made.low, reduced(made.full, 2), atol=0.51 / 255)


def test_linear_pictures_come_at_three_exposures(tmp_path: Path) -> None:
    import OpenImageIO as oiio

    light = np.random.default_rng(0).uniform(0, 4, (200, 210, 3)).astype(np.float32)
    light[3, 4] = np.nan
    path = tmp_path / "lit.exr"
    out = oiio.ImageOutput.create(str(path))
    out.open(str(path), oiio.ImageSpec(210, 200, 3, "float"))
    out.write_image(light)
    out.close()
    planes = [luma for _, luma in lumas(path)]
    assert len(planes) == 3 and all(np.isfinite(plane).all() for plane in planes)
    assert planes[2].max() > 1.05 and planes[0].mean() < planes[1].mean() < planes[2].mean()
    grey = np.median(np.nan_to_num(light) @ LUMA)
    np.testing.assert_allclose(planes[1][9, 9], encode(light[9, 9] * np.float32(0.18 / grey)) @ LUMA, rtol=1e-5)
    kinds = [linear for linear, _ in pairs([path], 2)]
    assert kinds == [True] * 3


def test_split_holds_out_the_same(tmp_path: Path) -> None:
    files = found(folder_of(tmp_path, 30, (16, 16)))
    shown, held = split(files)
    assert [file.name for file in held] == ["13.png", "27.png"] and len(shown) == 28 and not set(shown) & set(held)
    assert split(files[:1]) == (files[:1], files[:1])


def test_patches_are_parts_of_their_pictures(tmp_path: Path) -> None:
    pictures = pairs(found(folder_of(tmp_path, 2)), 2)
    low, full = Patches(pictures, 2, 24, 4, seed=1).batch(6)
    assert low.shape == (6, 1, 24, 24) and full.shape == (6, 1, 32, 32)
    for k in range(6):
        # The middle of the input is what the result reduces to, near enough for a turn to show.
        inner = reduced(np.ascontiguousarray(full[k, 0]), 2)[3:-3, 3:-3]
        here = np.abs(inner - low[k, 0, 7:-7, 7:-7]).mean()
        assert here < 0.5 * np.abs(inner - np.rot90(low[k, 0, 7:-7, 7:-7])).mean()
    again = Patches(pictures, 2, 24, 4, seed=1).batch(6)
    np.testing.assert_array_equal(low, again[0])
    assert not np.array_equal(low, Patches(pictures, 2, 24, 4, seed=2).batch(6)[0])


@pytest.mark.parametrize("scale", [1, 2])
def test_film_patches_are_worn_afresh(tmp_path: Path, scale: int) -> None:
    """The clean middle is that of a plain pair; what is given of it never comes twice; a seed tells all."""
    pictures = pairs(found(folder_of(tmp_path, 1)), 2, planes=3)
    drawn = FilmPatches(pictures, scale, 40, 4, seed=1)
    low, full = drawn.batch(8)
    assert low.shape == (8, 3, 40, 40) and full.shape == (8, 3, 32 * scale, 32 * scale)
    for k in range(8):
        seen = full[k] if scale == 1 else reduced(np.ascontiguousarray(full[k]), 2)
        inner = np.s_[:, 3:-3, 3:-3]
        off = np.abs(seen[inner] - low[k, :, 4:-4, 4:-4][inner]).mean()
        assert 0.001 < off < 0.5 * np.abs(seen[inner] - np.rot90(low[k, :, 4:-4, 4:-4], 1, (1, 2))[inner]).mean()
    other = FilmPatches(pictures, scale, 40, 4, seed=1)
    np.testing.assert_array_equal(low, other.batch(8)[0])
    next_low, next_full = drawn.batch(8)
    assert not any(np.array_equal(a, b) for a in low for b in next_low)
    want = pictures[0][1].full if scale == 2 else pictures[0][1].low
    grey = [bool((one[0] == one[2]).all()) for one in (*full, *next_full)]
    assert sum(grey) < 8, "few are black and white"
    turned = [np.rot90(a, k, (1, 2)) for a in (want, want[:, :, ::-1]) for k in range(4)]
    for one in (one for one, is_grey in zip(full, grey, strict=False) if not is_grey):
        # Somewhere in the picture the very patch lies.
        places = (np.lib.stride_tricks.sliding_window_view(way[1], one[1].shape) for way in turned)
        assert any((place[..., 0, :] == one[1, 0]).all(-1).any() for place in places)


def test_codecs_blocks_begin_anywhere_in_film_patches() -> None:
    flat = [(False, pair("flat", np.full((3, 400, 400), 0.5, np.float32), 2))]
    drawn = FilmPatches(flat, 2, 64, 4, seed=0)
    edges = np.zeros(8)
    for _ in range(12):
        low, _ = drawn.batch(8)
        steps = np.abs(np.diff(low[:, 1], axis=-1)).mean(1)
        for one in steps:
            by_phase = np.array([one[phase::8].mean() for phase in range(8)])
            edges[int(by_phase.argmax())] += 1
    assert edges.min() > 0 and edges.max() < 40


def test_pixels_are_means_of_light(tmp_path: Path) -> None:
    files = found(folder_of(tmp_path, 1))
    ((_, coded),) = colours(files[0])
    light = decode(coded.astype(np.float64)).reshape(3, 100, 2, 110, 2).mean((2, 4))
    ((_, in_colour),) = pairs(files, 2, degradation="area", planes=3)
    np.testing.assert_allclose(in_colour.low, encode(light), atol=0.51 / 255)
    np.testing.assert_array_equal(in_colour.full, coded)
    ((_, luma),) = pairs(files, 2, degradation="area")
    np.testing.assert_allclose(luma.low, np.einsum("chw,c->hw", encode(light), LUMA), atol=0.51 / 255)
    np.testing.assert_allclose(luma.low * 255, np.rint(luma.low * 255), atol=1e-3)
    np.testing.assert_allclose(luma.full, np.einsum("chw,c->hw", coded, LUMA), atol=1e-6)
    one = drawings([(False, Picture("one", np.zeros((2000, 2000), np.float32), np.zeros(1)))], 2, 1, 5, area=True)[0][1]
    np.testing.assert_allclose(decode(one.low), decode(one.full).reshape(192, 2, 192, 2).mean((1, 3)), atol=0.005)
    plain = drawings([(False, Picture("one", np.zeros((2000, 2000), np.float32), np.zeros(1)))], 2, 1, 5)[0][1]
    np.testing.assert_allclose(plain.low, reduced(plain.full, 2), atol=0.51 / 255)


def test_share_of_linear_patches() -> None:
    flat = [pair("a", np.zeros((200, 200), np.float32), 2), pair("b", np.ones((400, 400), np.float32), 2)]
    patches = Patches([(False, flat[0]), (True, flat[1])], 2, 24, 4, seed=0)
    drawn = np.concatenate([patches.batch(50)[0][:, 0, 0, 0] for _ in range(20)])
    assert drawn.mean() == pytest.approx(LINEAR_SHARE, abs=0.04)


def test_film_is_worn_and_repeats(tmp_path: Path) -> None:
    (file,) = found(folder_of(tmp_path, 1))
    ((name, luma),) = lumas(file)
    first, again, other = (film(name, luma, 2, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.low, again.low)
    assert not np.array_equal(first.low, other.low)
    clean = pair(name, luma, 2)
    assert 0.004 < np.std(first.low - clean.low) < 0.1 and first.full.shape == clean.full.shape
    ((_, read),) = pairs([file], 2, degradation="film", seed=1)
    np.testing.assert_array_equal(read.low, first.low)


def test_film_in_colour(tmp_path: Path) -> None:
    """Grain of its own in each layer, one grain in black and white; light is not clipped; the same for a seed."""
    (file,) = found(folder_of(tmp_path, 1))
    ((name, coded),) = colours(file)
    worn = [film(name, coded, 2, seed, light=True) for seed in range(24)]
    np.testing.assert_array_equal(worn[3].low, film(name, coded, 2, 3, light=True).low)
    grey = [bool((one.full[0] == one.full[2]).all()) for one in worn]
    assert 0 < sum(grey) < 12
    for one, is_grey in zip(worn, grey, strict=True):
        assert one.full.shape == (3, 200, 220) and one.low.shape == (3, 100, 110)
        noise = one.low - reduced(one.full, 2)
        apart = np.std(noise[0] - noise[2]) / np.std(noise[1])
        assert apart < 1e-3 if is_grey else apart > 0.2
    codes = film(name, coded, 2, 3).low * 255
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-3)
    bright = film(name, np.full((3, 200, 200), 1.7, np.float32), 2, 1, light=True)
    assert bright.low.min() > 1.3


def test_scale_1_repairs_at_the_size_of_what_was_worn(tmp_path: Path) -> None:
    files = found(folder_of(tmp_path, 1))
    larger = pairs(files, 2, degradation="film", planes=3, seed=5)
    same = pairs(files, 1, degradation="film", planes=3, seed=5)
    assert len(larger) == len(same) == 1
    for (_, two), (_, one) in zip(larger, same, strict=True):
        np.testing.assert_array_equal(one.low, two.low)
        np.testing.assert_array_equal(one.full, pair("x", two.full, 2).low)
    low, full = Patches(same, 1, 24, 4, seed=1).batch(3)
    assert low.shape == (3, 3, 24, 24) and full.shape == (3, 3, 16, 16)
    error = np.abs(low[:, :, 4:-4, 4:-4] - full).mean()
    assert error < 0.5 * np.abs(np.rot90(low, 1, (2, 3))[:, :, 4:-4, 4:-4] - full).mean()


def test_psnr() -> None:
    want = np.full((20, 20), 0.5, np.float32)
    assert psnr(want + np.float32(0.1), want, 2) == pytest.approx(20, abs=1e-4)
    got = want.copy()
    got[0] = 9
    assert psnr(got, want, 1) > 100


def test_bad_folders(tmp_path: Path) -> None:
    with pytest.raises(GraphError, match="is no folder"):
        found(tmp_path / "none")
    with pytest.raises(GraphError, match="no pictures in"):
        found(tmp_path)
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no picture")
    with pytest.raises(GraphError, match="cannot be read") as caught:
        list(lumas(bad))
    assert caught.value.file == bad
    lit = tmp_path / "bad.exr"
    lit.write_bytes(b"none")
    with pytest.raises(GraphError, match="cannot be read"):
        list(lumas(lit))


def test_pictures_are_learned_from_at_smaller_sizes_too(tmp_path: Path) -> None:
    files = found(folder_of(tmp_path, 1, (480, 420)))
    (_, whole), (_, small) = pairs(files, 4, sizes=(1, 2 / 3))
    assert len(pairs(files, 4)) == 1
    for side, less in zip(whole.full.shape, small.full.shape, strict=True):
        assert 2 / 3 * side - 4 < less <= 2 / 3 * side + 1 and less % 4 == 0
    assert small.full.mean() == pytest.approx(whole.full.mean(), abs=0.02)
    assert small.full.min() >= 0 and small.full.max() <= 1


@pytest.mark.parametrize("planes", [1, 3])
def test_drawings_have_even_areas_and_make_up_their_share(planes: int) -> None:
    shape = (1000, 1200) if planes == 1 else (3, 1000, 1200)
    shown = [(linear, Picture("one", np.zeros(shape, np.float32), np.zeros(1, np.float32))) for linear in (False, True)]
    made = drawings(shown * 3, 2, planes, 5)
    assert len(made) == round(SHARE * 3 * 1.2e6 / SIDE**2) == 2
    linear, one = made[0]
    assert not linear and one.full.shape == (*shape[:-2], SIDE, SIDE) and one.low.shape[-2:] == (SIDE // 2, SIDE // 2)
    assert one.full.min() >= 0 and one.full.max() <= 1 and one.full.std() > 0.05
    assert np.mean(np.diff(one.full, axis=-1) == 0) > 0.7
    again = drawings(shown * 3, 2, planes, 5)[0][1]
    np.testing.assert_array_equal(one.full, again.full)
    assert not np.array_equal(one.full, drawings(shown * 3, 2, planes, 6)[0][1].full)


def test_drawings_for_four_times_take_turns_with_larger_ones() -> None:
    shown = [(False, Picture("one", np.zeros((2000, 2000), np.float32), np.zeros(1, np.float32)))]
    made = [picture.full for _, picture in drawings(shown, 4, 1, 5, share=0.5)]
    assert len(made) == round(0.5 * 2000**2 / SIDE**2) == 14
    edges = [float(np.mean(np.diff(one, axis=-1) != 0)) for one in made]
    small, large, largest = (float(np.mean(edges[start::3])) for start in range(3))
    assert small > 1.5 * large > 2 * largest > 0
