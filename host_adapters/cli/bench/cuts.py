"""Cuts and dissolves found in joined clips with known truth, beside PySceneDetect where that is installed.

Clips of ten shots each (parts of the Plate, pans over procedural landscapes from still to a sixth of the width a frame,
colour and grey), joined by cuts and dissolves, with brightness flicker, flashes of one to three frames, dust, hairs,
blotches, scratches, destroyed frames and grain.
"""

from __future__ import annotations

import importlib
import importlib.util
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from safelight.host_adapters.cli.bench._joined import Frame, Joined, many, spoiled
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.measure.cuts import find_cuts, thumbnail

SEEDS = range(200, 212)
"""None of these was looked at when the detector's weights were fitted."""
PEERS = {"ContentDetector": (27.0, 35.0, 45.0, 60.0), "AdaptiveDetector": (2.0, 3.0, 5.0)}
"""PySceneDetect's detectors, and the thresholds tried: its best counts."""


def clips(quick: bool) -> list[Joined]:
    """Make the set."""
    if quick:
        return [spoiled(many(200, 3, length=(8, 10)), 200, flicker=0.1, flashes=1, dirt=0.2)]
    return [
        spoiled(
            many(seed, grey=seed % 4 == 3),
            seed,
            flicker=(0.0, 0.15, 0.3)[seed % 3],
            flashes=(1, 3, 5)[seed % 3],
            dirt=(0.2, 0.6, 1.0)[seed // 2 % 3],
            lost=seed % 3,
        )
        for seed in SEEDS
    ]


def score(found: Sequence[set[int]], made: Sequence[Joined]) -> tuple[float, float, float]:
    """Return (precision, recall, F1) of cuts, to the frame."""
    right = sum(len(got & set(clip.cuts)) for got, clip in zip(found, made, strict=True))
    told, true = sum(map(len, found)), sum(len(clip.cuts) for clip in made)
    return right / max(1, told), right / max(1, true), 2 * right / max(1, told + true)


def overlap(a: tuple[int, int], b: tuple[int, int]) -> float:
    """Return how much of two ranges of frames both hold, over what either holds.

    >>> overlap((1, 4), (3, 6)), overlap((1, 2), (3, 4))
    (0.3333333333333333, 0.0)
    """
    shared = min(a[1], b[1]) - max(a[0], b[0]) + 1
    return max(0, shared) / (max(a[1], b[1]) - min(a[0], b[0]) + 1)


def run(*, quick: bool) -> list[Row]:
    """Measure."""
    made = clips(quick)
    frames = sum(len(clip.frames) for clip in made)
    start = time.process_time()
    found = [find_cuts([thumbnail(frame) for frame in clip.frames]) for clip in made]
    spent = (time.process_time() - start) / frames
    precision, recall, both = score([{cut.frame for cut in one.cuts} for one in found], made)
    cuts, mixed = sum(len(clip.cuts) for clip in made), sum(len(clip.dissolves) for clip in made)
    note = f"{len(made)} clips, {frames} frames of 256x144, {cuts} cuts, {mixed} dissolves"
    ranges = [[(one.first, one.last) for one in got.dissolves] for got in found]
    pairs = list(zip(ranges, (clip.dissolves for clip in made), strict=True))
    hits = sum(any(overlap(true, one) > 0.4 for one in got) for got, every in pairs for true in every)
    stray = sum(not any(overlap(true, one) > 0.2 for true in every) for got, every in pairs for one in got)
    rows = [
        Row("cuts: precision", precision, "", note=f"to the frame; {note}"),
        Row("cuts: recall", recall, ""),
        Row("cuts: F1", both, "", "≥ 0.97"),
        Row(
            "cuts: a frame", 1e3 * spent, "ms", note="processor time, small frames: a large one is read to a thumbnail"
        ),
        Row("dissolves reported", hits, "", note=f"of {mixed}, at least 40 % of the frames right"),
        Row("dissolves reported where there is none", stray, ""),
    ]
    return rows + list(_peers(made))


def _peers(made: Sequence[Joined]) -> Iterator[Row]:
    if importlib.util.find_spec("scenedetect") is None:
        return
    library: Any = importlib.import_module("scenedetect")
    shown = [[_codes(frame) for frame in clip.frames] for clip in made]
    for name, thresholds in PEERS.items():
        tried = {}
        for threshold in thresholds:
            found = [_detected(library, getattr(library, name)(threshold, min_scene_len=3), clip) for clip in shown]
            tried[threshold] = score(found, made)[2]
        best = max(tried, key=lambda one: tried[one])
        note = f"{library.__version__}, threshold {best:g}, the best of {', '.join(f'{one:g}' for one in thresholds)}"
        yield Row(f"PySceneDetect {name}: F1", tried[best], "", note=note)


def _codes(frame: Frame) -> Any:
    """Return 8-bit B, G, R (H, W, 3), as OpenCV reads files."""
    codes = np.rint(255 * np.clip(frame[::-1], 0, 1) ** (1 / 2.2)).astype(np.uint8)
    return np.ascontiguousarray(codes.transpose(1, 2, 0))


def _detected(library: Any, detector: Any, frames: Sequence[Any]) -> set[int]:
    cuts: set[int] = set()
    for i, frame in enumerate(frames):
        told = detector.process_frame(library.FrameTimecode(i, 24.0), frame)
        cuts |= {int(getattr(at, "frame_num", at)) for at in told}
    return cuts - {0}
