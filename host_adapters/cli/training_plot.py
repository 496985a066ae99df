"""The plot of a training: loss and held-out PSNR over the steps, on dark neutral grey."""

from __future__ import annotations

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from safelight.host_adapters.cli.grain_plot import ticks

SIZE = (1440, 640)
_GROUND, _FRAME, _LINE, _TEXT, _FAINT, _INK, _OTHER = (
    (38,) * 3, (30,) * 3, (62,) * 3, (214,) * 3, (150,) * 3, (104, 200, 112), (232, 192, 122)
)  # fmt: skip
Marks = Sequence[tuple[int, float]]
"""(step, value)."""


def draw(title: str, losses: Marks, scores: Marks, known: float | None, base: str = "Lanczos") -> Image.Image:
    """Return the plot, 8-bit RGB of `SIZE`.

    Parameters
    ----------
    title:
        One line.
    losses:
        Mean L1 loss since the step before.
    scores:
        PSNR in dB.
    known:
        PSNR of `base` on the same pictures: a line across.
    base:
        What the net adds to.
    """
    picture = Image.new("RGB", SIZE, _GROUND)
    pen = ImageDraw.Draw(picture)
    pen.text((40, 22), title, _TEXT, ImageFont.load_default(22))
    _panel(pen, (90, 110, 700, 570), losses, "loss: mean absolute error of coded values", None)
    across = "PSNR on held-out pictures, dB" + (f"  ({base}: {known:.2f})" if known is not None else "")
    _panel(pen, (800, 110, 1410, 570), scores, across, known)
    return picture


def _panel(
    pen: ImageDraw.ImageDraw, box: tuple[int, int, int, int], marks: Marks, up: str, known: float | None
) -> None:
    font = ImageFont.load_default(15)
    left, top, right, bottom = box
    values = [value for _, value in marks if math.isfinite(value)] + ([known] if known is not None else [])
    low, high = min(values, default=0.0), max(values, default=1.0)
    spare = 0.06 * (high - low) or 0.5
    low, high = low - spare, high + spare
    last = max((step for step, _ in marks), default=1) or 1

    def at(step: float, value: float) -> tuple[float, float]:
        return left + step / last * (right - left), bottom - (value - low) / (high - low) * (bottom - top)

    pen.rectangle(box, _FRAME)
    for value in ticks(low, high):
        height = at(0, value)[1]
        pen.line((left, height, right, height), _LINE)
        pen.text((left - 8, height), f"{value:g}", _FAINT, font, anchor="rm")
    for step in ticks(0, last):
        place = at(step, low)[0]
        pen.line((place, top, place, bottom), _LINE)
        pen.text((place, bottom + 8), f"{step:g}", _FAINT, font, anchor="ma")
    pen.text((left, top - 10), up, _TEXT, font, anchor="lb")
    pen.text(((left + right) / 2, bottom + 34), "steps", _TEXT, font, anchor="ma")
    if known is not None:
        pen.line((*at(0, known), *at(last, known)), _OTHER, 1)
    places = [at(step, value) for step, value in marks if math.isfinite(value)]
    if len(places) > 1:
        pen.line(places, _INK, 2, joint="curve")
    for x, y in places:
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), _INK)
