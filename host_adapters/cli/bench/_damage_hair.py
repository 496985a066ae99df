"""Hairs in the gate, for `safelight bench damage`: how much of them is found, and how well they are repaired."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from safelight.graph.image import Image
from safelight.host_adapters.cli.bench._damage_figures import Detection, Fill, Mask, touched
from safelight.host_adapters.cli.bench.table import Row

PARAMS = {"dust": 0.0, "gate_hairs": 4}
SEEDS = 140, 1140, 2140
"""Four hairs each: where they lie decides much, as nothing tells those before what stands still."""
TARGET = 0.8


class Shot(Protocol):
    """One damaged clip: see `damage.Shot`."""

    name: str
    clean: dict[int, Image]
    undamaged: dict[int, Image]
    damaged: dict[int, Image]
    truth: dict[int, Image]

    @property
    def middle(self) -> list[int]:
        """Frames that are measured."""
        ...

    def mask(self, frame: int) -> Mask:
        """Return where damage is visible."""
        ...


Detect = Callable[[Any, dict[int, Image], str], dict[int, Image]]
Repaired = Callable[[Any, dict[int, Image], dict[int, Image]], tuple[dict[int, Image], dict[int, Any]]]
Damaged = Callable[[str, dict[int, Image], int, Mapping[str, Any]], Any]


def rows(
    scenes: Mapping[str, dict[int, Image]],
    visible: float,
    have: frozenset[str],
    damaged: Damaged,
    detect: Detect,
    repaired: Repaired,
    *,
    quick: bool = False,
) -> Iterator[Row]:
    """Measure HairDetect, scene by scene as it needs motion, and Repair under the true matte."""
    all_found, false, fill = Detection(), [], Fill()
    each: list[tuple[str, float]] = []
    seeds = SEEDS[:1] if quick else SEEDS
    for number, (name, frames) in enumerate(scenes.items()):
        own = Detection()
        for seed in seeds:
            shot: Shot = damaged(name, frames, seed + number, {**PARAMS, "visibility": visible})
            if "HairDetect" in have:
                mattes = detect(shot, shot.damaged, "HairDetect")
                for frame in shot.middle:
                    changed = touched(shot.undamaged[frame].data, shot.damaged[frame].data)
                    for one in (own, all_found):
                        one.add(mattes[frame].data[0].astype(np.float64), shot.mask(frame), changed)
            if "Repair" in have:
                made, _ = repaired(shot, shot.damaged, shot.truth)
                for frame, image in made.items():
                    fill.add(image.data, shot.undamaged[frame].data, shot.clean[frame].data, shot.mask(frame))
        if "HairDetect" in have:
            clear = detect(shot, shot.undamaged, "HairDetect")
            false += [float((clear[frame].data[0] >= 0.5).mean()) for frame in shot.middle]
            each.append((name, own.at(0.5)[2]))
    if "HairDetect" in have:
        precision, recall, both = all_found.at(0.5)
        length = len(next(iter(scenes.values())))
        hairs = PARAMS["gate_hairs"] * len(seeds)
        note = f"matte ≥ 0.5; {len(scenes)} shots of {length} frames, {hairs:g} hairs on each, outlines within 1 pixel"
        yield Row("gate hairs: HairDetect, precision", precision, "", note=note)
        yield Row("gate hairs: HairDetect, recall", recall, "", note="only where the scene moves can it tell")
        yield Row("gate hairs: HairDetect, F1", both, "", f"≥ {TARGET} where the scene moves")
        for name, value in each:
            yield Row(f"gate hairs: HairDetect, F1 on {name}", value, "")
        yield Row("gate hairs: HairDetect, clean pixels marked", 100 * float(np.mean(false)), "%", "< 0.005")
    if fill.regions:
        note = "under the true matte; mean error after 3 × 3 blur ≤ 2σ of the grain"
        yield Row("gate hairs: Repair, regions reconstructed", 100 * fill.reconstructed, "%", note=note)
        yield Row("gate hairs: Repair, PSNR of damaged pixels", fill.psnr, "dB")
