"""A page for looking at two clips: whole frames under a slider, and crops at 200 % where it pays to look."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from scipy.ndimage import gaussian_filter, uniform_filter

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Array, Image, colour_planes
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.host_adapters.cli.demo.page import SCRIPT, STYLE, slider
from safelight.host_adapters.cli.demo.pictures import GAIN, Bytes, difference, view_of

CROP = (160, 120)
"""Width and height of a crop, pixels of the clip."""
ZOOM = 2
_GAP = 6
_STEEP = 8.0
"""Display codes a pixel beyond which steeper is not more texture: a few hard edges would win over leaves."""
NAMES = {"a": "before (A)", "b": "after (B)", "difference": f"difference, ×{GAIN:g}"}

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spot:
    """A part of a frame worth looking at."""

    name: str
    why: str
    region: Region


def write_page(
    folder: Path, graph: Graph, frames_a: Sequence[int], frames_b: Sequence[int], totals: Mapping[str, Any], title: str
) -> Path:
    """Write `index.html` and its pictures into a folder; return the page's path.

    Shown are up to three frames, a quarter, a half and three quarters into the clip, through the colour config's own
    view; the difference B - A in stops about mid-grey, `GAIN` times as large. `totals` is what `compare` says of all
    frames.

    Raises GraphError where the folder cannot be written.
    """
    view, view_name = view_of(graph.settings)
    pairs = [(frames_a[i], frames_b[i]) for i in sorted({len(frames_a) * part // 4 for part in (1, 2, 3)})]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, dict[str, str]] = {}
        figures: list[str] = []
        for frame, other in pairs:
            before, after = _planes(graph, "a", frame), _planes(graph, "b", other)
            last = frames_b[frames_b.index(other) - 1] if other != frames_b[0] else None
            seen = {"a": view(before), "b": view(after), "difference": difference(after, before)}
            named = {step: f"{frame}_{step}.jpg" for step in seen}
            for step, pixels in seen.items():
                _save(Pillow.fromarray(pixels), folder / named[step], format="JPEG", quality=94, subsampling=0)
            files[str(frame)] = named
            previous = view(_planes(graph, "b", last)) if last is not None else None
            for spot in spots(seen["a"], seen["b"], previous):
                name = f"{frame}_{spot.name}.webp"
                _save(strip(seen, spot.region), folder / name, format="WEBP", lossless=True, quality=100, method=4)
                at = f"frame {frame}, {spot.why}, from ({spot.region.x0}, {spot.region.y0})"
                figures.append(
                    f'<figure class="graph"><figcaption>{escape(at)}: {", ".join(NAMES.values())}</figcaption>'
                    f'<img src="{name}" alt="{escape(at)}"></figure>'
                )
        target = folder / "index.html"
        target.write_text(_page(title, files, figures, totals, view_name), encoding="utf-8")
    except OSError as error:
        raise GraphError(
            f"the page cannot be written: {error.strerror}", file=folder, remedy="Name a folder that can be made."
        ) from None
    return target


def spots(before: Bytes, after: Bytes, previous: Bytes | None) -> list[Spot]:
    """Choose parts of a frame, (H, W, 3) display bytes: none overlaps another where the frame is large enough.

    Detail: most texture, for smear. Motion: most change since the frame before (`previous`, of B), for ghosts. Flat:
    least texture in middle tones, for plastic skin and banding. Changed: where the difference has most of its power
    in coarse structure, which grain has not.
    """
    h, w = after.shape[:2]
    cw, ch = min(CROP[0], w), min(CROP[1], h)
    grey, was = (pixels.astype(np.float64).mean(2) for pixels in (after, before))
    calm = gaussian_filter(grey, 1.0)
    slope = np.hypot(*np.gradient(calm))
    coarse = np.abs(gaussian_filter(grey - was, 3.0))
    middle = np.exp(-(((gaussian_filter(grey, 8.0) - 128) / 70) ** 2))
    wanted: list[tuple[str, str, Floats]] = [("detail", "most texture", np.minimum(slope, _STEEP))]
    if previous is not None and previous.shape == after.shape:
        moved = np.abs(calm - gaussian_filter(previous.astype(np.float64).mean(2), 1.0))
        wanted.append(("motion", "most motion", moved))
    wanted.append(("flat", "flat middle tones", middle / (1 + slope)))
    wanted.append(("changed", "most coarse structure in the difference", coarse))
    taken = np.zeros((h, w), bool)
    found = []
    for name, why, score in wanted:
        mean = uniform_filter(score, (ch, cw), mode="nearest")
        inside = mean[ch // 2 : h - (ch - 1) // 2, cw // 2 : w - (cw - 1) // 2].copy()
        free = uniform_filter(taken.astype(np.float64), (ch, cw), mode="nearest")
        blocked = free[ch // 2 : h - (ch - 1) // 2, cw // 2 : w - (cw - 1) // 2] > 1e-9
        if not blocked.all():
            inside[blocked] = -np.inf
        y, x = (int(v) for v in np.unravel_index(int(np.argmax(inside)), inside.shape))
        found.append(Spot(name, why, Region(x, y, x + cw, y + ch)))
        taken[y : y + ch, x : x + cw] = True
    return found


def strip(seen: Mapping[str, Bytes], region: Region) -> Pillow.Image:
    """Lay the crops of `a`, `b` and `difference` side by side, each pixel `ZOOM` times as large."""
    w, h = region.width * ZOOM, region.height * ZOOM
    whole = Pillow.new("RGB", (len(seen) * (w + _GAP) - _GAP, h), (36, 36, 36))
    for index, pixels in enumerate(seen.values()):
        part = np.ascontiguousarray(pixels[region.y0 : region.y1, region.x0 : region.x1])
        whole.paste(Pillow.fromarray(part).resize((w, h), Pillow.Resampling.NEAREST), (index * (w + _GAP), 0))
    return whole


def _planes(graph: Graph, node: str, frame: int) -> Array:
    """Return three colour planes of a frame over its display window; a lone channel three times."""
    found: Image | None = None
    for _, image in pull(graph, node, "", [frame], device=Device("cpu")):
        found = image
    assert found is not None
    display = graph.clip(node).display
    picked = found.data[list(colour_planes(found.channels))]
    whole = np.zeros((picked.shape[0], display.height, display.width), np.float32)
    inside = found.region.intersect(display)
    y, x = inside.y0 - found.region.y0, inside.x0 - found.region.x0
    whole[:, inside.y0 - display.y0 : inside.y1 - display.y0, inside.x0 - display.x0 : inside.x1 - display.x0] = picked[
        :, y : y + inside.height, x : x + inside.width
    ]
    return np.ascontiguousarray(np.repeat(whole, 3, axis=0) if len(whole) == 1 else whole[:3])


def _save(picture: Pillow.Image, path: Path, **settings: Any) -> None:
    """Write a picture under its name only when it is complete."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        picture.save(temporary, **settings)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _page(
    title: str,
    files: Mapping[str, Mapping[str, str]],
    figures: Sequence[str],
    totals: Mapping[str, Any],
    view: str,
) -> str:
    steps = "".join(f'<option value="{step}">{escape(name)}</option>' for step, name in NAMES.items())
    right = steps.replace('value="b"', 'value="b" selected')
    frames = "".join(f"<option>{escape(frame)}</option>" for frame in files)
    data = json.dumps(files).replace("</", "<\\/")
    said = ", ".join(
        f"{name} {totals[key]:{form}}"
        for key, name, form in (("psnr_db", "PSNR dB", ".2f"), ("ssim", "SSIM", ".4f"), ("flicker", "flicker", ".2e"))
        if isinstance(totals.get(key), float)
    )
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head>
<body><main>
<h1>{escape(title)}</h1>
<p class="faint">{escape(said or "bit-identical")}; {totals.get("frames", 0)} frames, seen through {escape(view)}.</p>
{slider(steps, right, frames)}
<h2>At {ZOOM * 100} %</h2>
{"".join(figures)}
<p class="faint">The difference is B - A in stops about mid-grey, {GAIN:g} times as large. The slider's pictures are
JPEGs, the crops are lossless.</p>
</main><script type="application/json" id="pictures">{data}</script><script>{SCRIPT}</script></body></html>
"""
