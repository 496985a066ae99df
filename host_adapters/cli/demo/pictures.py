"""Pictures of the demo for a person: tone-mapped by the colour config's own view, labelled, side by side."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Array
from safelight.graph.node import Settings
from safelight.graph.region import Region

GREY, INK, FAINT = (36, 36, 36), (214, 214, 214), (140, 140, 140)
GAIN = 8.0
"""Differences are shown this many times as large as they are, in stops, about mid grey."""

Bytes = npt.NDArray[np.uint8]
View = Callable[[Array], Bytes]

CAPTIONS = {
    "truth": "truth",
    "grained": "as 500T",
    "degrained": "degrained",
    "difference": f"degrained - truth, x{GAIN:g}",
    "regrained": "as 50D",
}


def view_of(settings: Settings) -> tuple[View, str]:
    """Return the function that makes display bytes (H, W, 3) of scene-linear planes, and the view's name."""
    config = config_for(settings)
    display = config.config.getDefaultDisplay()
    name = f"{display}/{config.config.getDefaultView(display)}"

    def show(pixels: Array) -> Bytes:
        seen = config.convert(np.ascontiguousarray(pixels[:3]), config.working, name, Device("cpu"))
        return to_bytes(seen)

    return show, name


def to_bytes(planes: Array) -> Bytes:
    """Return display-referred planes 0..1 as bytes (H, W, 3)."""
    return np.asarray((np.clip(np.nan_to_num(planes), 0, 1) * 255 + 0.5).astype(np.uint8).transpose(1, 2, 0))


def difference(picture: Array, truth: Array) -> Bytes:
    """Return how far a picture is from the truth, for looking at: mid grey where it is right."""
    stops = np.log2(np.maximum(picture, 0) + 0.01) - np.log2(np.maximum(truth, 0) + 0.01)
    return to_bytes((0.5 + stops * np.float32(GAIN / 16)).astype(np.float32))


@dataclass(frozen=True)
class Crop:
    """A part of the picture worth looking at."""

    label: str
    x: float
    """Centre, as part of the width."""
    y: float
    """Centre, as part of the height."""


CROPS = (
    Crop("hair, skin", 0.25, 0.36),
    Crop("text, sky, leaves", 0.52, 0.27),
    Crop("spokes, lamp", 0.86, 0.55),
    Crop("cloth, chart", 0.62, 0.90),
)


def contact_sheet(pictures: Mapping[str, Array], view: View, title: str) -> Pillow.Image:
    """Lay out crops of one frame at 100 % and 200 %: one column for each step, one row for each crop.

    `pictures` holds scene-linear planes by step: truth, grained, degrained, regrained.
    """
    truth = pictures["truth"]
    height, width = truth.shape[1:]
    columns = ["truth", "grained", "degrained", "difference", "regrained"]
    seen = {step: view(pixels) for step, pixels in pictures.items()}
    seen["difference"] = difference(pictures["degrained"], truth)
    box_w, box_h = min(232, width), min(156, height)
    gap, head, side = 8, 64, 26
    rows = [(crop, zoom) for crop in CROPS for zoom in (1, 2)]
    sheet = Pillow.new("RGB", (side + len(columns) * (box_w + gap) + gap, head + len(rows) * (box_h + gap) + gap), GREY)
    draw = ImageDraw.Draw(sheet)
    draw.text((side, 10), title, fill=INK, font=font(16))
    for index, step in enumerate(columns):
        draw.text((side + index * (box_w + gap), head - 22), CAPTIONS[step], fill=INK, font=font(14))
    for row, (crop, zoom) in enumerate(rows):
        y = head + row * (box_h + gap)
        region = region_of(crop, width, height, box_w // zoom, box_h // zoom)
        for index, step in enumerate(columns):
            part = seen[step][region.y0 : region.y1, region.x0 : region.x1]
            tile = Pillow.fromarray(np.ascontiguousarray(part))
            if zoom > 1:
                tile = tile.resize((part.shape[1] * zoom, part.shape[0] * zoom), Pillow.Resampling.NEAREST)
            sheet.paste(tile, (side + index * (box_w + gap), y))
        sheet.paste(_upright(f"{crop.label}, {zoom * 100} %", box_h), (4, y))
    return sheet


def region_of(crop: Crop, width: int, height: int, w: int, h: int) -> Region:
    """Return the pixels of a crop, moved inside the picture where it sticks out."""
    x = min(max(round(crop.x * width - w / 2), 0), max(width - w, 0))
    y = min(max(round(crop.y * height - h / 2), 0), max(height - h, 0))
    return Region(x, y, min(x + w, width), min(y + h, height))


def font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    """Return Pillow's own font."""
    return ImageFont.load_default(size)


def _upright(text: str, length: int) -> Pillow.Image:
    strip = Pillow.new("RGB", (length, 18), GREY)
    ImageDraw.Draw(strip).text((0, 1), text, fill=FAINT, font=font(12))
    return strip.rotate(90, expand=True)


def save_png(picture: Pillow.Image, path: Path) -> None:
    """Write a picture under its name only when it is complete."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        picture.save(temporary, format="PNG")
        temporary.replace(path)
    except OSError as error:
        raise GraphError(f"the file cannot be written: {error.strerror}", file=path) from None
    finally:
        temporary.unlink(missing_ok=True)


def data_uri(pixels: Bytes) -> str:
    """Return a picture as a data URI: JPEG of high quality, colour at full resolution."""
    buffer = io.BytesIO()
    Pillow.fromarray(pixels).save(buffer, format="JPEG", quality=94, subsampling=0)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


__all__: Sequence[str] = ["CAPTIONS", "CROPS", "contact_sheet", "data_uri", "difference", "save_png", "view_of"]
