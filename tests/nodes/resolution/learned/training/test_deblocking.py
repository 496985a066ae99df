"""Deblock's net, trained by one command: what it is shown, that it learns, that it goes on where it was."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.nodes.resolution.blocks import quantiser
from safelight.nodes.resolution.deblock_training import quantised
from safelight.nodes.resolution.learned.deblocking import Shape, corrected, load

pytest.importorskip("torch")

from safelight.nodes.resolution.learned.training import deblocking
from safelight.nodes.resolution.learned.training.loop import State

SMALL = deblocking.Recipe(Shape(8, 1), steps=60, batch=2, side=48, codings=2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    folder = tmp_path / "photos"
    folder.mkdir()
    for k in range(12):
        small = random.integers(0, 255, (24, 30, 3), np.uint8)
        Image.fromarray(small).resize((160, 128), Image.Resampling.BICUBIC).save(folder / f"{k:02d}.png")
    return folder


def luma(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "00.png").convert("L"))


def test_pairs_are_what_the_node_sees(photos: Path) -> None:
    files = sorted(photos.iterdir())
    read, again = ([*deblocking.pairs(files[:3], 2, seed, Device("cpu", 1))] for seed in (4, 4))
    assert len(read) == 6
    for one, other in zip(read, again, strict=True):
        np.testing.assert_array_equal(one.smooth, other.smooth)
        assert one.truth.shape == one.coded.shape == one.smooth.shape and not one.truth.shape[0] % 8
        # Cut to whole blocks of the grid, whatever was cut off before.
        held = quantiser(one.coded, 0, 0)
        assert held == 0 or held / 5 == pytest.approx(one.size, rel=0.6)
        for plane in (one.coded, one.smooth):
            assert 0 < np.mean((plane - one.truth.astype(float)) ** 2) < 900


def test_codecs_give_the_step_they_say(photos: Path) -> None:
    plane = luma(photos)
    for codec in deblocking.CODECS:
        made, step = deblocking.through(plane, codec, 16.0, 40)
        assert made.shape == plane.shape and made.dtype == np.uint8
        assert 0 < np.mean((made - plane.astype(float)) ** 2) < 200 and 10 < step < 80
    if shutil.which("ffmpeg"):
        real = deblocking.through(plane, "mpeg2video", 16.0, 40)[0]
        same = quantised(plane.astype(np.float32), 16)
        assert np.mean(np.abs(real - same)) < 0.2 * np.mean(np.abs(real - plane.astype(float)))


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_predicted_frames_show_no_step_and_come_with_their_key_frame_s(photos: Path) -> None:
    plane, steps = np.kron(luma(photos), np.ones((2, 2), np.uint8)), set()
    for seed in range(6):
        truth, coded, step = deblocking.predicted(plane, 10.0, np.random.default_rng(seed))
        assert truth.shape == coded.shape and not any(size % 16 for size in truth.shape)
        assert 0 < np.mean((coded - truth.astype(float)) ** 2) < 200
        assert step in (pytest.approx(10 * 22 / 8), 20.0)
        steps.add(step)
    assert len(steps) == 2
    shown = [*deblocking.pairs(sorted(photos.iterdir())[:6], 6, 2, Device("cpu", 1))]
    movies = [pair for pair in shown if pair.sure]
    assert 0 < len(movies) < len(shown) and all(pair.typical or pair.size < deblocking.FINEST for pair in movies)


def test_it_learns_and_writes(photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "net.safetensors"
    score = deblocking.train(photos, out, SMALL)
    net = load(out)
    assert score is not None and net.shape == SMALL.shape and net.notes["steps"] == 60
    assert net.notes["held out"] == ["09.png"] and not out.with_name("net.safetensors.checkpoint").exists()
    assert "held out" in capsys.readouterr().err
    plane = luma(photos).astype(np.float32)
    assert np.abs(corrected(net, plane, plane, 5.0, (0, 0)) - plane).max() > 0
    with pytest.raises(GraphError, match="no pictures"):
        (tmp_path / "none").mkdir()
        deblocking.train(tmp_path / "none", out, SMALL)


def test_turns_keep_the_grid(photos: Path) -> None:
    pairs = list(deblocking.pairs(sorted(photos.iterdir())[:2], 2, 1, Device("cpu", 1)))
    course = deblocking.Deblocking(replace(SMALL, batch=24), pairs, [])
    planes, sizes, errors = course.batch()
    assert planes.shape == (24, 3, 48, 48) and set(sizes.ravel()) <= {np.float32(pair.size) for pair in pairs}
    assert {round(float(error), 4) for error in errors.ravel()} <= {round(pair.error, 4) for pair in pairs}
    # Every step over an edge of blocks is one in some pair, turned or mirrored: on the grid, edges at 8, 16, ….
    over = np.abs(np.diff(planes[:, 0] - planes[:, 2], axis=2)).mean((0, 1))
    on = np.arange(1, 48) % 8 == 0
    assert over[on].mean() > 1.1 * over[~on].mean()
    assert course.score() is None


def test_a_stopped_training_goes_on_where_it_was(photos: Path, tmp_path: Path) -> None:
    pairs = list(deblocking.pairs(sorted(photos.iterdir())[:2], 2, 1, Device("cpu", 1)))
    recipe = replace(SMALL, steps=6)
    whole = deblocking.Deblocking(recipe, pairs, [])
    whole.run()
    first, second = (deblocking.Deblocking(recipe, pairs, []) for _ in range(2))
    first.run(checkpoint=tmp_path / "at", every=3, tell=stop)
    second.load(tmp_path / "at")
    assert second.state.step == 3
    second.run()
    for name, value in whole.mean.items():
        np.testing.assert_array_equal(second.mean[name].numpy(), value.numpy())


def stop(state: State) -> None:
    """End a run after its first look: the steps that are left are taken for done."""
    state.step = 6
