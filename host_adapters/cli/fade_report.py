"""How a shot's dyes have faded, as a plot and as one page: curves, figures, before and after."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.image import colour_planes
from safelight.host_adapters.cli.lettering import wrapped
from safelight.nodes.colour.fading import Fade
from safelight.nodes.colour.records import rec709

if TYPE_CHECKING:
    from rich.table import Table

    from safelight.graph.graph import Graph
    from safelight.graph.image import Image as Frame

SIZE = (1440, 980)
_GROUND, _FRAME, _LINE, _TEXT, _FAINT = (38,) * 3, (30,) * 3, (62,) * 3, (214,) * 3, (150,) * 3
_INK = ((232, 96, 84), (104, 200, 112), (104, 150, 250))
_NAMES = ("red", "green", "blue")
_DYES = ("cyan dye", "magenta dye", "yellow dye")
_DENSITY = (0.0, 3.0)
_THUMB = (650, 366)
_STYLE = """
:root { color-scheme: dark; }
body { margin: 0; padding: 28px 32px 48px; background: #1d1d1d; color: #c8c8c8;
  font: 14px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1440px; margin: 0 auto; }
h1 { font-size: 21px; font-weight: 600; color: #e2e2e2; margin: 0 0 2px; }
h2 { font-size: 15px; font-weight: 600; color: #e2e2e2; margin: 30px 0 8px; }
p { max-width: 90ch; margin: 6px 0; }
.faint { color: #8c8c8c; } .careful { color: #e8c07a; }
img { display: block; max-width: 100%; height: auto; margin: 18px 0; }
table { border-collapse: collapse; }
th, td { text-align: right; padding: 3px 16px 3px 0; border-bottom: 1px solid #333; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th { color: #9a9a9a; font-weight: 500; } th:first-child, td:first-child { text-align: left; }
"""


def fade_graph(sequence: str, colourspace: str, medium: str, *, untrusted: bool) -> Graph:
    """Return the graph that reads a sequence (`plate`) and repairs it (`fade`)."""
    from safelight.graph.document import Document
    from safelight.graph.graph import Graph

    text = f"""safelight = 1
[nodes.plate]
type = "Read"
path = {json.dumps(sequence)}
colourspace = {json.dumps(colourspace)}
[nodes.fade]
type = "FadeRepair"
input = "plate"
medium = {json.dumps(medium)}
"""
    return Graph.from_document(Document.parse(text), untrusted=untrusted)


def shown(graph: Graph, frame: Frame) -> Image.Image:
    """Return a frame as sRGB shows it, small; highlights are clipped."""
    planes = list(colour_planes(frame.channels))
    planes = planes if len(planes) == 3 else planes[:1] * 3
    step = max(1, frame.region.width // (2 * _THUMB[0]))
    light = np.ascontiguousarray(frame.data[planes][:, ::step, ::step], np.float32)
    config = config_for(graph.settings, fresh=False)
    space = rec709(config)
    if space is not None:
        light = config.convert(light, config.working, space, Device("cpu", 1))
    v = np.clip(np.nan_to_num(light), 0, 1)
    code = np.where(v <= 0.0031308, 12.92 * v, 1.055 * v ** (1 / 2.4) - 0.055)
    made = Image.fromarray(np.rint(255 * code).astype(np.uint8).transpose(1, 2, 0), "RGB")
    made.thumbnail(_THUMB)
    return made


def fade_table(found: Mapping[str, Any]) -> Table:
    """Return what each dye has kept."""
    from rich.table import Table

    table = Table(title="fading", title_justify="left")
    for name in ("record", "kept at density 1", "bend", "stain"):
        table.add_column(name, justify="left" if name == "record" else "right")
    for row in _rows(found):
        table.add_row(*row)
    return table


def _rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    if "share" not in found:
        return []
    dyes = _DYES if found["medium"] != "separations" else ("", "", "")
    return [
        (f"{name}{f' ({dye})' if dye else ''}", f"{share:.1%}", f"{bend:+.2f}", f"{stain:+.3f}")
        for name, dye, share, bend, stain in zip(
            _NAMES, dyes, found["share"], found["bend"], found["stain"], strict=True
        )
    ]


def draw_fade(found: Mapping[str, Any], title: str, before: Image.Image, after: Image.Image) -> Image.Image:
    """Return the plot of a FadeRepair analysis, 8-bit RGB of `SIZE`.

    Above: what has become of each dye's density, and what repair makes of the density that a neutral has now; the
    grey line is no change. Below: one frame before and after.
    """
    picture = Image.new("RGB", SIZE, _GROUND)
    pen = ImageDraw.Draw(picture)
    big, font = ImageFont.load_default(22), ImageFont.load_default(14)
    pen.text((40, 18), title, _TEXT, big)
    for number, line in enumerate(wrapped(str(found["note"]), pen, font, SIZE[0] - 80)[:2]):
        pen.text((40, 50 + 19 * number), line, _FAINT, font)
    fade = Fade.of(found["vector"])
    d = np.linspace(*_DENSITY, 121)
    grey = np.stack([d] * 3)
    panels = (
        ("fading: density now of a grey's three records, leaks and stain in it", "density as it was", fade.faded(grey)),
        ("repair: density as it was of a record, where all three are alike now", "density now", fade.repaired(grey)),
    )
    for number, (up, across, values) in enumerate(panels):
        left = 90 + 700 * number
        _panel(pen, font, (left, 130, left + 610, 490), up, across, d, values)
    for number, (name, one) in enumerate((("before", before), ("after", after))):
        left = 90 + 700 * number
        pen.text((left, 552), name, _FAINT, font)
        one = one.copy()
        one.thumbnail((_THUMB[0], SIZE[1] - 600))
        picture.paste(one, (left, 576))
    return picture


def _panel(
    pen: ImageDraw.ImageDraw,
    font: Any,
    box: tuple[int, int, int, int],
    up: str,
    across: str,
    x: Sequence[float] | np.ndarray[Any, Any],
    values: np.ndarray[Any, Any],
) -> None:
    left, top, right, bottom = box

    def at(a: float, b: float) -> tuple[float, float]:
        low, high = _DENSITY
        down = bottom - (b - low) / (high - low) * (bottom - top)
        return left + (a - low) / (high - low) * (right - left), min(max(down, top), bottom)

    pen.rectangle(box, _FRAME)
    for tick in np.arange(0, 3.01, 0.5):
        px, py = at(tick, tick)
        pen.line((left, py, right, py), _LINE)
        pen.line((px, top, px, bottom), _LINE)
        pen.text((left - 8, py), f"{tick:g}", _FAINT, font, anchor="rm")
        pen.text((px, bottom + 6), f"{tick:g}", _FAINT, font, anchor="ma")
    pen.line((*at(0, 0), *at(3, 3)), _FAINT)
    pen.text((left, top - 8), up, _TEXT, font, anchor="lb")
    pen.text(((left + right) / 2, bottom + 26), across, _TEXT, font, anchor="ma")
    for row, ink in zip(values, _INK, strict=True):
        inside = [(float(a), float(b)) for a, b in zip(x, row, strict=True) if _DENSITY[0] <= b <= _DENSITY[1]]
        if len(inside) > 1:
            pen.line([at(a, b) for a, b in inside], ink, 3, joint="curve")


def page(found: Mapping[str, Any], title: str, plot: Image.Image) -> str:
    """Return the page: one HTML file that opens from disk and asks nobody for anything."""
    picture = io.BytesIO()
    plot.save(picture, "PNG")
    said, *doubts = str(found["note"]).split(". Careful: ")
    parts = [
        f"<h1>Fading of {escape(title)}</h1>",
        f"<p>{escape(said)}</p>",
        *(f'<p class="careful">Careful: {escape(doubt)}.</p>' for doubt in doubts),
        '<img alt="Curves of fading and repair, before and after" src="data:image/png;base64,'
        f'{base64.b64encode(picture.getvalue()).decode()}">',
    ]
    if "share" in found:
        parts += [
            "<h2>Dyes</h2>",
            _table(("record", "kept at density 1", "bend", "stain"), _rows(found)),
            '<p class="faint">Kept: what is left of a density of 1. Bend: above 0, dense parts have kept more than '
            "thin ones. Stain: density added.</p>",
            "<h2>Leaks</h2>",
            _table(("record sees", "red", "green", "blue"), _leaks(found["leak"])),
            "<h2>What the confidence rests on</h2>",
            _table(("", "value"), _rests(found)),
        ]
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Fading of {escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def _leaks(leak: Sequence[float]) -> list[tuple[str, ...]]:
    matrix = Fade(leak=tuple(leak)).leaks  # type: ignore[arg-type]
    return [(name, *(f"{one:+.3f}" for one in row)) for name, row in zip(_NAMES, matrix, strict=True)]


def _rests(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    rests = found["rests_on"]
    return [
        ("confidence", f"{found['confidence']:.2f}"),
        ("from", str(rests["basis"])),
        ("frames", ", ".join(map(str, rests["frames"])) or "none"),
        ("how surely the shot looks faded, 0 to 1", f"{rests['looks_faded']:.2f}"),
        ("colour difference that the repair makes", f"{rests['change']:.1f}"),
        ("colour difference that is in doubt", f"{rests['doubt']:.1f}"),
        ("colour difference between the frames' own estimates", f"{rests['frames_apart']:.1f}"),
        ("pixels near grey once repaired", f"{rests['grey_pixels']:.1%}"),
        ("densities held by red, green, blue", ", ".join(f"{one:.2f}" for one in rests["density_range"])),
    ]


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table>\n<tr>{''.join(f'<th>{escape(cell)}</th>' for cell in head)}</tr>\n{body}</table>"


def report(
    sequence: Path,
    target: Path,
    medium: str,
    colourspace: str,
    place: Device,
    budget: int,
    *,
    untrusted: bool,
    as_json: bool,
) -> None:
    """Estimate the fading of a shot and report it."""
    from safelight.graph.analysis import run_analyses
    from safelight.graph.errors import GraphError
    from safelight.graph.render import pull
    from safelight.host_adapters.cli.console import out, put_json, say
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.progress import progress_of

    if target.suffix.casefold() not in (".png", ".html"):
        raise GraphError(
            f"'{target.name}' is no PNG and no HTML", remedy="Call the report, for instance, fade.png or fade.html."
        )
    if not target.expanduser().absolute().parent.is_dir():
        raise GraphError("the folder is not there", file=target, remedy="Make the folder, or name another.")
    graph = fade_graph(str(sequence.expanduser().absolute()), colourspace, medium, untrusted=untrusted)
    for warning in graph.check():
        say(f"warning: {warning}")
    clip = graph.clips["plate"][graph.output("plate", "")]
    middle = clip.frames[len(clip.frames) // 2]
    with interruptible() as cancel, progress_of("auto") as seen:
        found = run_analyses(graph, place, budget=budget, progress=seen, cancel=cancel)["fade"]
        both = [
            shown(graph, next(iter(pull(graph, node, frames=[middle], device=place, memory=budget, cancel=cancel)))[1])
            for node in ("plate", "fade")
        ]
    plot = draw_fade(found, f"Fading of {sequence.name}, frame {middle}", both[0], both[1])
    try:
        if target.suffix.casefold() == ".png":
            plot.save(target.expanduser(), "PNG")
        else:
            target.expanduser().write_text(page(found, sequence.name, plot), encoding="utf-8")
    except OSError as error:
        raise GraphError(
            f"the report cannot be written: {error.strerror}", file=target, remedy="Name a file in another folder."
        ) from None
    if as_json:
        put_json({"ok": True, "sequence": sequence, "fade": found})
        return
    console = out()
    console.print(found["note"], soft_wrap=True)
    if "share" in found:
        console.print(fade_table(found))
    say(f"wrote {target}")
