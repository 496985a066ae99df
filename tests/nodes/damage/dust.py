"""Dust for tests: laid over frames, with the truth about where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy import ndimage

EIGHT = np.ones((3, 3), bool)


def dusty(
    frames: npt.NDArray[np.float32], coverage: float, seed: int, *, tone: str = "dark"
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
    """Lay dust of 2 to 20 pixels with soft edges over frames (n, C, H, W); return them and the truth (n, H, W)."""
    rng = np.random.default_rng(seed)
    out, truth = frames.copy(), np.zeros((len(frames), *frames.shape[2:]), bool)
    height, width = truth.shape[1:]
    y, x = np.mgrid[:height, :width]
    for n in range(len(frames)):
        while truth[n].mean() < coverage:
            cy, cx = rng.uniform(0, height), rng.uniform(0, width)
            size, squeeze, turn = (
                np.exp(rng.uniform(np.log(1.2), np.log(8))),
                rng.uniform(0.5, 1),
                rng.uniform(0, np.pi),
            )
            u = (x - cx) * np.cos(turn) + (y - cy) * np.sin(turn)
            v = ((y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)) / squeeze
            wave = 1 + 0.25 * np.sin(3 * np.arctan2(v, u) + turn)
            cover = np.clip((size * wave - np.hypot(u, v)) / 1.4 + 0.5, 0, 1)
            stops = rng.uniform(1.5, 3.5) * (1 if tone == "bright" else -1)
            planes = [int(rng.integers(0, 3))] if tone == "coloured" else range(frames.shape[1])
            for plane in planes:
                out[n, plane] *= (2.0 ** (stops * cover)).astype(np.float32)
            truth[n] |= cover * abs(stops) > 0.1
    return out, truth


def measures(
    found: Sequence[npt.NDArray[np.bool_]], truth: Sequence[npt.NDArray[np.bool_]]
) -> tuple[float, float, float]:
    """Return precision, recall and F1 over all frames, in pixels; one pixel off at the border is forgiven."""
    right = sum((f & ndimage.binary_dilation(t, EIGHT)).sum() for f, t in zip(found, truth, strict=True))
    reached = sum((t & ndimage.binary_dilation(f, EIGHT)).sum() for f, t in zip(found, truth, strict=True))
    precision = right / max(1, sum(f.sum() for f in found))
    recall = reached / max(1, sum(t.sum() for t in truth))
    return float(precision), float(recall), float(2 * precision * recall / max(precision + recall, 1e-9))
