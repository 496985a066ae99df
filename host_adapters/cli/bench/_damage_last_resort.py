"""Holes that no frame around shows, for `safelight bench damage`: stills, damaged, filled from themselves alone.

Every fourth of Kodak's pictures (`images/stills/kodak` of SAFELIGHT_TEST_DATA; no net was trained on them, nothing
chosen by them), else a frame of the Plate, each a shot of one frame under the true matte. Two ways to count: regions
reconstructed with grain laid in, as elsewhere in this bench; and, without it, how far the fill is from the clean
picture.

Peers: OpenCV's Telea and Navier-Stokes on 8-bit codes, scikit-image's biharmonic, each where it is installed.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image as Picture

from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._clips import plate
from safelight.host_adapters.cli.bench._damage_figures import Fill, Mask
from safelight.host_adapters.cli.bench._damage_hair import Damaged, Shot
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.resolution.learned.coding import decode

SEED = 700
KINDS: Mapping[str, Mapping[str, float]] = {
    "dust": {"dust": 0.5, "bright": 0.5, "size": 6.0},
    "scratches": {"dust": 0.0, "scratches": 4, "wandering": 4, "broken": 0.3, "scratch_opacity": 0.6,
                  "scratch_width": 2.0},
    "large": {"dust": 0.0, "blotches": 12.0, "blotch_size": 40.0},
}  # fmt: skip
AREA = 768 * 512
"""Pixels of a picture for which the number of blotches stands."""
EVERY = 4
"""One in so many of Kodak's pictures is taken."""
Images = dict[int, Image]
Inpaint = Callable[[Image, Mask], Iterator[tuple[str, Any]]]
Render = Callable[[Mapping[str, Images], str, str], Images]


def stills(quick: bool, every: int = EVERY) -> tuple[str, list[Images]]:
    """Return what they are, and each as a clip of one frame, scene-linear."""
    root = os.environ.get("SAFELIGHT_TEST_DATA")
    files = sorted(Path(root, "images/stills/kodak").glob("*.png")) if root else []
    if files and not quick:
        found = []
        for file in files[::every]:
            with Picture.open(file) as picture:
                codes = np.asarray(picture.convert("RGB"), np.float32).transpose(2, 0, 1) / np.float32(255)
            light = np.ascontiguousarray(decode(codes))
            found.append({0: Image(light, Region.sized(light.shape[2], light.shape[1]))})
        return f"Kodak, {len(found)} pictures", found
    frames = plate(1, *((192, 320) if quick else (540, 960)))
    return "the Plate", [{0: next(iter(frames.values()))}]


def ways() -> dict[str, str]:
    """Return the ways that can be run here, by name: what Repair is told."""
    known = {"Repair, structure": ""}
    if all(importlib.util.find_spec(name) for name in ("torch", "safetensors")):
        known["Repair, net"] = 'last_resort = "net"\n'
    return known


def rows(visible: float, damaged: Damaged, rendered: Render, inpainted: Inpaint, *, quick: bool) -> Iterator[Row]:
    """Measure."""
    label, clips = stills(quick)
    for at, (kind, params) in enumerate(KINDS.items()):
        graded: dict[str, Fill] = {}
        plain: dict[str, Fill] = {}
        share = []
        for number, clean in enumerate(clips):
            told = {**params, "visibility": visible}
            if "blotches" in told:
                told["blotches"] *= clean[0].region.area / AREA
            shot: Shot = damaged("still", clean, SEED + 40 * at + number, told)
            share.append(float(shot.mask(0).mean()))
            for name, way in ways().items():
                _add(graded, name, shot, _repaired(shot, way, rendered))
                _add(plain, name, shot, _repaired(shot, way + "grain = 0.0\n", rendered), clean=True)
            for name, data in (*inpainted(shot.damaged[0], shot.mask(0)), *_biharmonic(shot.damaged[0], shot.mask(0))):
                _add(graded, name, shot, data)
                _add(plain, name, shot, data, clean=True)
        note = f"{label}, {100 * np.mean(share):.1f} % damaged, 500T grain of 2K; mean error after 3 × 3 blur ≤ 2σ"
        for name, fill in graded.items():
            title = f"no donor, {kind}: {name}"
            yield Row(f"{title}, regions reconstructed", 100 * fill.reconstructed, "%", note=note)
            yield Row(f"{title}, PSNR to the clean picture", plain[name].psnr, "dB", note="without grain laid in")
            yield Row(f"{title}, variance over surroundings'", fill.variance_ratio, "")


def _add(fills: dict[str, Fill], name: str, shot: Shot, data: Any, *, clean: bool = False) -> None:
    wanted = (shot.clean if clean else shot.undamaged)[0].data
    fills.setdefault(name, Fill()).add(data, wanted, shot.clean[0].data, shot.mask(0))


def _repaired(shot: Shot, told: str, rendered: Render) -> Any:
    text = f'[nodes.made]\ntype = "Repair"\ninputs = {{source = "plate", matte = "matte"}}\n{told}'
    return rendered({"plate": shot.damaged, "matte": shot.truth}, text, "made")[0].data


def _biharmonic(image: Image, mask: Mask) -> Sequence[tuple[str, Any]]:
    """Return what scikit-image makes of a frame; nothing where it is not there."""
    if importlib.util.find_spec("skimage") is None:
        return ()
    from scipy.ndimage import binary_dilation

    module: Any = importlib.import_module("skimage.restoration")
    shown = np.clip(image.data, 0, 1) ** np.float32(1 / 2.4)
    wide = binary_dilation(mask, np.ones((3, 3)))
    made = module.inpaint_biharmonic(shown.transpose(1, 2, 0), wide, channel_axis=-1).transpose(2, 0, 1)
    return (("scikit-image biharmonic", np.where(wide, np.clip(made, 0, 1) ** 2.4, image.data)),)
