"""A grain profile as one HTML file that opens from disk and asks nobody for anything: plot, words, tables."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from safelight.host_adapters.cli.grain_plot import draw
from safelight.nodes.grain.profile import Channel, Profile

_STYLE = """
:root { color-scheme: dark; }
body { margin: 0; padding: 28px 32px 48px; background: #1d1d1d; color: #c8c8c8;
  font: 14px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1440px; margin: 0 auto; }
h1 { font-size: 21px; font-weight: 600; color: #e2e2e2; margin: 0 0 2px; }
h2 { font-size: 15px; font-weight: 600; color: #e2e2e2; margin: 30px 0 8px; }
p, li { max-width: 90ch; margin: 6px 0; }
.faint { color: #8c8c8c; }
.careful { color: #e8c07a; }
img { display: block; max-width: 100%; height: auto; margin: 18px 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; }
th, td { text-align: right; padding: 3px 16px 3px 0; border-bottom: 1px solid #333; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
th { color: #9a9a9a; font-weight: 500; } th:first-child, td:first-child { text-align: left; }
tr.first td { border-top: 1px solid #666; }
"""
_UNIT = {"log": "stops", "linear": "plate values", "density": "density"}


def page(profile: Profile, title: str) -> str:
    """Return the page: `title` names the plate."""
    picture = io.BytesIO()
    draw(profile, title).save(picture, "PNG")
    facts = profile.plate
    frames = f"{len(facts.frames)} frames" if len(facts.frames) != 1 else "one frame"
    area = f", in the patch {', '.join(map(str, facts.patch))} alone" if facts.patch else ""
    pitch = f", pixels {facts.pitch_um:g} µm apart on the film" if facts.pitch_um else ""
    said, *doubts = profile.note.split(". Careful: ")
    parts = [
        f"<h1>Grain of {escape(title)}</h1>",
        f'<p class="faint">{frames} of {facts.width} × {facts.height} pixels{area}{pitch}</p>',
        f"<p>{escape(said)}</p>",
        *(f'<p class="careful">Careful: {escape(doubt)}.</p>' for doubt in doubts),
        f'<img alt="Sigma against stops, and power against frequency" src="data:image/png;base64,'
        f'{base64.b64encode(picture.getvalue()).decode()}">',
    ]
    if profile.grain:
        parts += _words(profile)
        parts += _tables(profile)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Grain of {escape(title)}</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n" + "\n".join(parts) + "\n</main>\n</body>\n</html>\n"
    )


def _words(profile: Profile) -> list[str]:
    unit = _unit(profile)
    lines = [f"<li>{escape(name)}: {escape(_share(channel))}</li>" for name, channel in profile.channels.items()]
    return [
        "<h2>Film or digital</h2>",
        f"<ul>{''.join(lines)}</ul>",
        f'<p class="faint">Told apart {escape(profile.told_apart)}</p>',
        "<h2>How to read it</h2>",
        f"<p>Sigma is the standard deviation of a pixel, in {escape(unit)}; the bars in the plot are two standard "
        "errors long to either side. Power is against white noise of the same sigma: a line at 1 is white, one that "
        "falls to the right is coarse. Correlation says how much of the noise two channels share.</p>",
    ]


def _share(channel: Channel) -> str:
    if channel.film_share_range is None:
        return "no noise"
    low, high = channel.film_share_range
    fit = f"{low:.0%} to {high:.0%} fit"
    if channel.film_share is None:
        return f"cannot be told ({fit})"
    return f"{channel.film_share:.0%} of the noise is film grain, {1 - channel.film_share:.0%} digital ({fit})"


def _tables(profile: Profile) -> list[str]:
    sigma: list[tuple[bool, Sequence[str]]] = []
    for name, channel in profile.channels.items():
        for index, point in enumerate(channel.curve):
            stops = "–" if point.stops is None else f"{point.stops:+.2f}"
            row = (name, stops, f"{point.level:.4g}", f"{point.sigma:.4g}", f"{point.uncertainty:.1g}")
            sigma.append((index == 0, (*row, f"{point.sigma_linear:.4g}", str(point.samples), point.method)))
    power = [
        (False, (name, *(f"{value:.3f}" for value in channel.spectrum)))
        for name, channel in profile.channels.items()
        if channel.spectrum
    ]
    if profile.frequencies_per_mm:
        power.insert(0, (False, ("cycles/mm", *(f"{frequency:.3g}" for frequency in profile.frequencies_per_mm))))
    names = list(profile.channels)
    shared = [
        (False, (name, *(f"{value:+.3f}" for value in row)))
        for name, row in zip(names, profile.correlation, strict=True)
    ]
    parts = [
        f"<h2>Sigma, {escape(_unit(profile))}</h2>",
        _table(("channel", "stops", "level", "sigma", "±", "sigma linear", "pixels", "from"), sigma),
        "<h2>Power against white noise</h2>",
        _table(("cycles/pixel", *(f"{frequency:.3f}" for frequency in profile.frequencies)), power),
    ]
    if len(names) > 1:
        parts += ["<h2>Correlation of the channels</h2>", _table(("", *names), shared)]
    return parts


def _table(head: Sequence[str], rows: Iterable[tuple[bool, Sequence[str]]]) -> str:
    """Return a table; a row marked true begins a group."""
    body = "".join(
        f"<tr{' class=first' if first else ''}>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n"
        for first, row in rows
    )
    cells = "".join(f"<th>{escape(name)}</th>" for name in head)
    return f'<div class="wide"><table>\n<tr>{cells}</tr>\n{body}</table></div>'


def _unit(profile: Profile) -> str:
    return _UNIT[profile.domain] + (f" of {profile.stock}" if profile.stock else "")
