"""The plot of a grain profile: sigma against stops, and the spectrum, on dark neutral grey."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from safelight.nodes.grain.profile import Profile

SIZE = (1440, 640)
_GROUND, _FRAME, _LINE, _TEXT, _FAINT = (38,) * 3, (30,) * 3, (62,) * 3, (214,) * 3, (150,) * 3
_WARN = (232, 192, 122)
_INK = {"R": (232, 96, 84), "G": (104, 200, 112), "B": (104, 150, 250), "Y": (220, 220, 220)}
_UNIT = {"log": "stops", "linear": "plate values", "density": "density"}
Mark = tuple[float, float, float]
"""x, y, half the length of its error bar."""


@dataclass(frozen=True)
class _Axes:
    box: tuple[int, int, int, int]
    x: tuple[float, float]
    y: tuple[float, float]

    def at(self, x: float, y: float) -> tuple[float, float]:
        left, top, right, bottom = self.box
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        return left + across * (right - left), bottom - up * (bottom - top)


def draw(profile: Profile, title: str) -> Image.Image:
    """Return the plot, 8-bit RGB of `SIZE`."""
    picture = Image.new("RGB", SIZE, _GROUND)
    pen = ImageDraw.Draw(picture)
    big, font = ImageFont.load_default(22), ImageFont.load_default(15)
    pen.text((40, 22), title, _TEXT, big)
    said, *doubts = profile.note.split(". Careful: ")
    pen.text((40, 47), said, _FAINT, font)
    if doubts:
        pen.text((40, 66), _cut(f"Careful: {'; '.join(doubts)}", pen, font), _WARN, font)
    curves: dict[str, Sequence[Mark]] = {
        name: [(p.stops, p.sigma, 2 * p.uncertainty) for p in channel.curve if p.stops is not None]
        for name, channel in profile.channels.items()
    }
    spectra: dict[str, Sequence[Mark]] = {
        name: [(f, power, 0.0) for f, power in zip(profile.frequencies, channel.spectrum, strict=False)]
        for name, channel in profile.channels.items()
    }
    unit = _UNIT[profile.domain] + (f" of {profile.stock}" if profile.stock else "")
    stops = [x for marks in curves.values() for x, _, _ in marks] or [-4.0, 4.0]
    wide = (math.floor(min(stops)) - 0.5, math.ceil(max(stops)) + 0.5)
    _panel(pen, font, (90, 110, 700, 570), wide, curves, f"sigma of a pixel, {unit}", "stops above mid-grey (0.18)")
    per_mm = profile.frequencies_per_mm
    note = "" if per_mm is None else f"  (0.5 is {0.5 * per_mm[0] / profile.frequencies[0]:.3g} cycles/mm)"
    _panel(
        pen, font, (800, 110, 1410, 570), (0.0, 0.5), spectra, "power, white noise = 1", f"cycles a pixel{note}"
    )  # fmt: skip
    left = 1410
    for name in reversed(list(profile.channels)):
        left -= 34
        pen.text((left, 24), name, _ink(name), big)
    return picture


def _cut(text: str, pen: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """Return as much of a line as fits the picture."""
    room = SIZE[0] - 80
    if pen.textlength(text, font) <= room:
        return text
    while pen.textlength(f"{text}…", font) > room:
        text = text[:-1]
    return f"{text}…"


def _ink(name: str) -> tuple[int, ...]:
    return _INK.get(name.upper(), _INK["Y"])


def _panel(
    pen: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    box: tuple[int, int, int, int],
    x: tuple[float, float],
    lines: dict[str, Sequence[Mark]],
    up: str,
    across: str,
) -> None:
    tops = [value + error for marks in lines.values() for _, value, error in marks]
    axes = _Axes(box, x, (0.0, 1.08 * max(tops, default=1.0) or 1.0))
    pen.rectangle(box, _FRAME)
    for value in ticks(*axes.y):
        height = axes.at(x[0], value)[1]
        pen.line((box[0], height, box[2], height), _LINE)
        pen.text((box[0] - 8, height), f"{value:g}", _FAINT, font, anchor="rm")
    for value in ticks(*x):
        place = axes.at(value, 0)[0]
        pen.line((place, box[1], place, box[3]), _LINE)
        pen.text((place, box[3] + 8), f"{value:g}", _FAINT, font, anchor="ma")
    pen.text((box[0], box[1] - 10), up, _TEXT, font, anchor="lb")
    pen.text(((box[0] + box[2]) / 2, box[3] + 34), across, _TEXT, font, anchor="ma")
    for name, marks in lines.items():
        ink = _ink(name)
        places = [axes.at(at, value) for at, value, _ in marks]
        if len(places) > 1:
            pen.line(places, ink, 2, joint="curve")
        for (px, py), (at, value, error) in zip(places, marks, strict=True):
            if error:
                pen.line((px, axes.at(at, max(0.0, value - error))[1], px, axes.at(at, value + error)[1]), ink, 1)
            pen.ellipse((px - 3, py - 3, px + 3, py + 3), ink)
    if not tops:
        pen.text(((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), "no grain found", _FAINT, font, anchor="mm")


def ticks(low: float, high: float) -> list[float]:
    """Return round numbers from low to high, four to ten of them.

    >>> ticks(0, 0.5)
    [0.0, 0.1, 0.2, 0.3, 0.4, 0.5]
    """
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.99)
    first = math.ceil(low / step - 1e-9)
    return [round(index * step, 12) for index in range(first, math.floor(high / step + 1e-9) + 1)]
