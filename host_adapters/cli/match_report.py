"""What a match of two plates' grain is worth: the errors before and after as a table, the curves as a plot."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image, ImageDraw, ImageFont

from safelight.host_adapters.cli.grain_plot import ticks
from safelight.host_adapters.cli.lettering import wrapped

if TYPE_CHECKING:
    from rich.table import Table

    from safelight.graph.graph import Graph

SIZE = (1440, 900)
_GROUND, _FRAME, _LINE, _TEXT, _FAINT = (38,) * 3, (30,) * 3, (62,) * 3, (214,) * 3, (150,) * 3
_INK = {"R": (232, 96, 84), "G": (104, 200, 112), "B": (104, 150, 250), "Y": (220, 220, 220)}
_UNIT = {"log": "stops", "linear": "plate values", "density": "density"}
_GREY = 0.18
_DARKEST = 2.0**-12  # times mid-grey: below it stops say nothing

_WHEN = ("reference", "before", "after")

Marks = Sequence[tuple[float, float]]


def match_graph(plate: str, picture: str, colourspace: str, stock: str, *, untrusted: bool) -> Graph:
    """Return the graph that matches a picture to a plate; its node is called `match`."""
    import json

    from safelight.graph.document import Document
    from safelight.graph.graph import Graph

    lines = ["safelight = 1"]
    for name, path in (("plate", plate), ("picture", picture)):
        lines += [f"[nodes.{name}]", 'type = "Read"', f"path = {json.dumps(path)}"]
        lines += [f"colourspace = {json.dumps(colourspace)}"]
    lines += ["[nodes.match]", 'type = "GrainMatch"', 'inputs = {input = "picture", reference = "plate"}']
    lines += [f"stock = {json.dumps(stock)}"]
    return Graph.from_document(Document.parse("\n".join(lines)), untrusted=untrusted)


def match_table(match: Mapping[str, Any]) -> Table:
    """Return the errors, channel by channel, before and after."""
    from rich.table import Table

    table = Table(title="error of the match", title_justify="left")
    table.add_column("channel")
    for name in ("sigma, rms", "at worst", "levels", "spectrum, rms", "worst ring", "correlation"):
        table.add_column(name, justify="right")
    for when in ("before", "after"):
        for name, row in match[when]["channels"].items():
            table.add_row(
                f"{name} {when}",
                f"{row['sigma_rms']:.1%}",
                f"{row['sigma_worst']:+.1%}",
                str(row["levels"]),
                f"{row['spectrum_rms']:.1%}",
                f"{row['spectrum_worst']:+.1%}",
                f"{match[when]['correlation']:.3f}",
            )
        table.add_section()
    return table


def draw_match(result: Mapping[str, Any], title: str) -> Image.Image:
    """Return the plot of a GrainMatch analysis, 8-bit RGB of `SIZE`.

    A column for each channel: sigma against stops above, the spectrum below; the reference as a line, the picture
    before as open circles and after as filled ones.
    """
    picture = Image.new("RGB", SIZE, _GROUND)
    pen = ImageDraw.Draw(picture)
    big, font = ImageFont.load_default(22), ImageFont.load_default(14)
    pen.text((40, 18), title, _TEXT, big)
    note, last = str(result["note"]), 50
    for line in wrapped(note, pen, font, SIZE[0] - 80)[:2]:
        pen.text((40, last), line, _FAINT, font)
        last += 19
    names = list(result.get("reference", {}).get("channels", {}))
    if not names:
        return picture
    legend = "line: reference    ring: before    dot: after"
    pen.text((SIZE[0] - 40, 22), legend, _FAINT, font, anchor="ra")
    unit = _UNIT[result["domain"]] + (f" of {result['stock']}" if result["stock"] else "")
    width = (SIZE[0] - 40) // len(names)
    curves = {when: {n: _curve(result[when]["channels"][n]) for n in names} for when in _WHEN}
    rings = {when: {n: _rings(result[when]["channels"][n]) for n in names} for when in _WHEN}
    stops = [x for by_name in curves.values() for marks in by_name.values() for x, _ in marks] or [-4.0, 4.0]
    wide = (math.floor(min(stops)) - 0.5, math.ceil(max(stops)) + 0.5)
    for index, name in enumerate(names):
        left = 40 + index * width
        top = {when: by_name[name] for when, by_name in curves.items()}
        low = {when: by_name[name] for when, by_name in rings.items()}
        ink = _INK.get(name, _INK["Y"])
        _panel(pen, font, (left + 50, 130, left + width - 20, 460), wide, top, ink, f"{name}   sigma, {unit}", "stops")
        _panel(
            pen, font, (left + 50, 540, left + width - 20, 840), (0.0, 0.5), low, ink,
            f"{name}   power, white noise = 1", "cycles a pixel",
        )  # fmt: skip
    return picture


def _curve(one: Mapping[str, Any]) -> Marks:
    rows = zip(one["level"], one["sigma"], strict=True)
    return [(math.log2(level / _GREY), sigma) for level, sigma in rows if level > _GREY * _DARKEST]


def _rings(one: Mapping[str, Any]) -> Marks:
    count = max(1, len(one["spectrum"]))
    return [((index + 0.5) * 0.5 / count, power) for index, power in enumerate(one["spectrum"])]


def _panel(
    pen: ImageDraw.ImageDraw,
    font: Any,
    box: tuple[int, int, int, int],
    x: tuple[float, float],
    marks: Mapping[str, Marks],
    ink: tuple[int, ...],
    up: str,
    across: str,
) -> None:
    left, top, right, bottom = box
    highest = 1.08 * max((value for rows in marks.values() for _, value in rows), default=1.0) or 1.0

    def at(place: float, value: float) -> tuple[float, float]:
        return left + (place - x[0]) / (x[1] - x[0]) * (right - left), bottom - value / highest * (bottom - top)

    pen.rectangle(box, _FRAME)
    for value in ticks(0.0, highest):
        height = at(x[0], value)[1]
        pen.line((left, height, right, height), _LINE)
        pen.text((left - 6, height), f"{value:g}", _FAINT, font, anchor="rm")
    for value in ticks(*x):
        place = at(value, 0)[0]
        pen.line((place, top, place, bottom), _LINE)
        pen.text((place, bottom + 6), f"{value:g}", _FAINT, font, anchor="ma")
    pen.text((left, top - 8), up, _TEXT, font, anchor="lb")
    pen.text(((left + right) / 2, bottom + 26), across, _TEXT, font, anchor="ma")
    for when, rows in marks.items():
        spots = [at(*row) for row in rows]
        if when == "reference" and len(spots) > 1:
            pen.line(spots, _TEXT, 2, joint="curve")
        for px, py in spots if when != "reference" else ():
            if when == "before":
                pen.ellipse((px - 4, py - 4, px + 4, py + 4), outline=_FAINT)
            else:
                pen.ellipse((px - 3, py - 3, px + 3, py + 3), ink)
