"""Where lines may run: what a frame has that those around have not, and paths through it."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.nodes.damage import seeking
from safelight.nodes.damage.scratch import ScratchDetect, ScratchDetectParams
from safelight.nodes.damage.seeking import Prepared, Sought
from safelight.nodes.damage.uprights import Line
from tests.nodes.damage.test_scratch import Frames, clip_of, scene

DEVICE = Device("cpu", 1)
SOUGHT = Sought(3, 14.0, 48, 11.0)


def prepared(frames: Frames) -> dict[int, Prepared]:
    """Prepare five frames, by how far away each is from the middle one."""
    node, window = ScratchDetect(), clip_of(frames).extent
    made = [node.prepare(ScratchDetectParams(), "input", Image(f, window), DEVICE) for f in frames]
    return {at - 2: one for at, one in enumerate(made)}


def fresh(frames: dict[int, Prepared]) -> list[np.ndarray]:
    """Return what the middle frame has and each of the two beside it, moved to match, has not."""
    rough = float(np.median(frames[0].noise[0]))
    vectors = [seeking.scene(frames[0].pyramid, frames[at].pyramid, rough, 0, DEVICE)[0] for at in (-1, 1)]
    made = [seeking.moved(frames[at].planes, v, DEVICE) for at, v in zip((-1, 1), vectors, strict=True)]
    return [frames[0].planes - one for one in made]


def sought(frames: Frames) -> list[Line]:
    held = prepared(frames)
    return seeking.lines(SOUGHT, held[0], [(at, one) for at, one in held.items() if at], fresh(held), DEVICE)


def lined(frames: Frames, x: int, stops: float, only: int | None = None) -> list[np.ndarray]:
    """Draw an upright line of a pixel on all frames, or on one alone."""
    frames = [frame.copy() for frame in frames]
    for at, frame in enumerate(frames):
        if only in (None, at):
            frame[:, :, x] *= 2.0**stops
    return frames


def test_what_every_frame_has_by_itself_is_what_it_had_drawn_on_it() -> None:
    held = prepared(lined(scene(3.0, grain=0.01), 150, -0.5))
    found = seeking.lacking(held, fresh(held), DEVICE)
    # The outermost frames have another on one side alone: what that lacks may have been uncovered.
    assert sorted(found) == [-1, 0, 1]
    for planes in found.values():
        assert planes.shape == held[0].planes.shape
        assert planes[0, :, 150].mean() == pytest.approx(-0.5, abs=0.06)
        # The scene is gone, the frames' own lines, where they went, half as deep, are not.
        rest = np.delete(planes[0], np.s_[140:161], axis=1)
        assert np.median(np.abs(rest)) < 0.03
        assert planes[0, :, 147].mean() + planes[0, :, 153].mean() == pytest.approx(0.5, abs=0.1)


def test_a_faint_line_that_stays_is_found_by_all_frames_and_one_that_does_not_by_one() -> None:
    frames = scene(3.0, grain=0.12)

    def best(faint: Frames) -> float:
        near = [line for line in sought(faint) if line.tone == "dark" and abs(np.median(line.x) - 150) < 2]
        return max((line.track.score for line in near if line.fleeting), default=0.0)

    assert best(frames) == 0
    alone, stays = best(lined(frames, 150, -0.2, only=2)), best(lined(frames, 150, -0.2))
    assert 0 < alone < stays


def test_of_a_frame_alone_nothing_is_fleeting() -> None:
    held = prepared(lined(scene(3.0), 150, -0.7))
    found = seeking.lines(SOUGHT, held[0], [], [], DEVICE)
    assert any(abs(np.median(line.x) - 150) < 2 for line in found)
    assert not any(line.fleeting for line in found)


def test_without_pyramids_nothing_is_moved() -> None:
    assert seeking.scene(None, None, 0.1, 0, DEVICE)[0] is None
    assert seeking.moved(np.zeros((1, 8, 8), np.float32), None, DEVICE) is None
