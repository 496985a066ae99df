"""Defects for a person to judge: the frame before, the plate, the same outlined, repaired, the frame after."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.graph import Graph
from safelight.graph.image import Image, colour_planes
from safelight.graph.progress import Progress, Stage
from safelight.graph.region import Region
from safelight.host_adapters.cli.defect_search import Found, Search, part, rendered
from safelight.host_adapters.cli.demo.pictures import FAINT, GREY, INK, Bytes, View, font, save_png, view_of
from safelight.nodes.damage.defects import Defect

CROP = (96, 72)
"""Width and height of a crop, pixels of the plate; several times as much where a defect is larger."""
ZOOM = 2
ROOM = 0.6
"""Part of a crop that a defect may take."""
GAP, CAPTION, MARGIN, HEAD = 4, 20, 10, 54
COLUMNS, ROWS = 2, 11
"""Defects beside and below each other on a page of the sheet."""
MARKS = {"": (255, 64, 48), "keep": (255, 64, 48), "add": (255, 190, 40), "reject": (90, 160, 255)}
BOX = (CROP[0] * ZOOM, CROP[1] * ZOOM)

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Strip:
    """A defect and its pictures, side by side."""

    defect: Defect
    picture: Pillow.Image
    zoom: float
    """Screen pixels for each of the plate's."""

    def caption(self) -> str:
        """Say what it is."""
        return caption(self.defect, self.zoom)


def caption(defect: Defect, zoom: float) -> str:
    """Say what a defect is, in one line."""
    x, y = (defect.box[0] + defect.box[2]) // 2, (defect.box[1] + defect.box[3]) // 2
    said = f"frame {defect.frame}   #{defect.id}   {defect.tone} {defect.kind}   {defect.score:.2f}   at {x}, {y}"
    said += f"   {100 * zoom:.0f} %" if zoom != ZOOM else ""
    return said + (f"   {defect.decision.upper()}" if defect.decision else "")


def columns(search: Search) -> list[str]:
    """Name the pictures of a strip."""
    return ["frame before", "plate", "outlined", *(["repaired"] if search.repair else []), "frame after"]


def strips(
    search: Search,
    worst: Sequence[Found],
    device: Device,
    *,
    memory: int = 0,
    progress: Progress,
    cancel: threading.Event | None = None,
) -> tuple[list[Strip], str]:
    """Render what the defects look like; return a strip for each, in the order given, and the view's name.

    Repaired as the document says now, with the lists that it obeys.
    """
    whole = Graph.from_document(search.document, untrusted=search.graph.settings.untrusted)
    graphs = {name: part(search.document, whole, [name]) for name in (search.plate, search.repair) if name}
    graph = graphs[search.plate]
    view, view_name = view_of(graph.settings)
    clip = graph.clip(search.plate)
    seen: dict[tuple[str, int], dict[int, Bytes]] = {}
    regions = [_region(one.defect, clip.display) for one in worst]
    asked: dict[int, set[tuple[int, str]]] = {}
    for i, one in enumerate(worst):
        for off, name in ((-1, "before"), (0, "plate"), (1, "after")):
            if one.defect.frame + off in clip:
                asked.setdefault(one.defect.frame + off, set()).add((i, name))
    stage = Stage("crops", len(asked) + len({one.defect.frame for one in worst}) * bool(search.repair), progress)
    for node, column in zip(graphs, ("", "repaired"), strict=False):
        frames = sorted(asked) if node == search.plate else sorted({one.defect.frame for one in worst})
        for frame, images in rendered(
            graphs[node], [(node, whole.output(node))], frames, device, memory=memory, progress=progress, cancel=cancel
        ):
            image = images[node]
            shown = (
                [(i, column) for i, one in enumerate(worst) if one.defect.frame == frame] if column else asked[frame]
            )
            for i, name in shown:
                seen.setdefault((name, i), {})[frame] = _crop(image, regions[i][0], regions[i][1], view)
            stage.advance(frame, image.nbytes)
    made = []
    for i, one in enumerate(worst):
        parts = {name: next(iter(seen.get((name, i), {}).values()), None) for name in ("before", "plate", "after")}
        pictures = [parts["before"], parts["plate"], _outlined(parts["plate"], one, *regions[i])]
        if search.repair:
            pictures.append(next(iter(seen.get(("repaired", i), {}).values()), None))
        made.append(Strip(one.defect, _strip([*pictures, parts["after"]]), ZOOM / regions[i][1]))
    return made, view_name


def _region(defect: Defect, display: Region) -> tuple[Region, int]:
    """Return the pixels around a defect, inside the picture where it is large enough, and how many times they are made
    smaller."""
    x0, y0, x1, y1 = defect.box
    less = max(1, int(np.ceil(max((x1 - x0) / CROP[0], (y1 - y0) / CROP[1]) / ROOM)))
    width, height = CROP[0] * less, CROP[1] * less
    left = _inside((x0 + x1 - width) // 2, width, display.x0, display.x1)
    return Region.sized(width, height, left, _inside((y0 + y1 - height) // 2, height, display.y0, display.y1)), less


def _inside(start: int, size: int, low: int, high: int) -> int:
    """Return where a window begins: inside low to high where it fits there, else in their middle."""
    return min(max(start, low), high - size) if size <= high - low else (low + high - size) // 2


def _crop(image: Image, region: Region, less: int, view: View) -> Bytes:
    """Return a part of a frame as bytes (h, w, 3), seen through the view; dark where there is no picture."""
    inside = image.region.intersect(region)
    out: Bytes = np.empty((region.height, region.width, 3), np.uint8)
    out[:] = 24
    if inside:
        part = image.crop(inside)
        planes = part.data[list(colour_planes(part.channels))]
        planes = np.ascontiguousarray(np.repeat(planes[:1], 3, 0) if len(planes) < 3 else planes[:3])
        y, x = inside.y0 - region.y0, inside.x0 - region.x0
        out[y : y + inside.height, x : x + inside.width] = view(planes)
    if less == 1:
        return out
    mean = out.reshape(CROP[1], less, CROP[0], less, 3).mean((1, 3))
    return np.asarray(np.rint(mean), np.uint8)


def _outlined(plate: Bytes | None, one: Found, region: Region, less: int) -> Bytes | None:
    """Draw the matte's outline, two pixels of the zoomed picture away from it: the picture, zoomed already."""
    if plate is None:
        return None
    mask = np.zeros((region.height, region.width), bool)
    x0, y0, x1, y1 = one.defect.box
    inside = region.intersect(Region(x0, y0, x1, y1))
    part = one.shape[inside.y0 - y0 : inside.y1 - y0, inside.x0 - x0 : inside.x1 - x0]
    y, x = inside.y0 - region.y0, inside.x0 - region.x0
    mask[y : y + inside.height, x : x + inside.width] = part
    small: Mask = np.asarray(mask.reshape(CROP[1], less, CROP[0], less).any((1, 3)))
    large = np.repeat(np.repeat(small, ZOOM, 0), ZOOM, 1)
    near = ndimage.binary_dilation(large, np.ones((3, 3)), 2)
    line = ndimage.binary_dilation(near, np.ones((3, 3))) & ~near
    out = np.repeat(np.repeat(plate, ZOOM, 0), ZOOM, 1)
    out[line] = MARKS[one.defect.decision]
    return out


def _strip(pictures: Sequence[Bytes | None]) -> Pillow.Image:
    whole = Pillow.new("RGB", (len(pictures) * (BOX[0] + GAP) - GAP, BOX[1]), (24, 24, 24))
    for index, pixels in enumerate(pictures):
        if pixels is not None:
            tile = Pillow.fromarray(np.ascontiguousarray(pixels)).resize(BOX, Pillow.Resampling.NEAREST)
            whole.paste(tile, (index * (BOX[0] + GAP), 0))
    return whole


def write_sheet(
    path: Path, made: Sequence[Strip], names: Sequence[str], title: str, flagged: Mapping[int, str]
) -> list[Path]:
    """Write the contact sheet; of several pages as NAME.1.png, NAME.2.png, …; return the files.

    Raises GraphError where one cannot be written.
    """
    per = COLUMNS * ROWS
    pages = [made[i : i + per] for i in range(0, len(made), per)] or [[]]
    files = [path if len(pages) == 1 else path.with_suffix(f".{i}{path.suffix}") for i in range(1, len(pages) + 1)]
    for number, (page, file) in enumerate(zip(pages, files, strict=True), 1):
        head = title if len(pages) == 1 else f"{title}, page {number} of {len(pages)}"
        save_png(_page(page, names, head, flagged), file)
    return files


def _page(made: Sequence[Strip], names: Sequence[str], title: str, flagged: Mapping[int, str]) -> Pillow.Image:
    wide = len(names) * (BOX[0] + GAP) - GAP
    count = min(COLUMNS, max(1, len(made)))
    rows = max(1, -(-len(made) // count))
    sheet = Pillow.new("RGB", (MARGIN + count * (wide + 2 * MARGIN), HEAD + rows * (BOX[1] + CAPTION + 8)), GREY)
    draw: Any = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 8), title, fill=INK, font=font(16))
    if not made:
        draw.text((MARGIN, HEAD), "no defect", fill=FAINT, font=font(13))
    for column in range(count):
        for index, name in enumerate(names):
            x = MARGIN + column * (wide + 2 * MARGIN) + index * (BOX[0] + GAP)
            draw.text((x, 34), name, fill=FAINT, font=font(12))
    for index, one in enumerate(made):
        column, row = divmod(index, rows)
        x, y = MARGIN + column * (wide + 2 * MARGIN), HEAD + row * (BOX[1] + CAPTION + 8)
        said = f"   frame is: {flagged[one.defect.frame]}" if one.defect.frame in flagged else ""
        draw.text((x, y), one.caption() + said, fill=INK, font=font(13))
        sheet.paste(one.picture, (x, y + CAPTION))
    return sheet
