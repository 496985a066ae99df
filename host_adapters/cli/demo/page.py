"""The demo's page: one HTML file that opens from disk and asks nobody for anything."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape

from safelight.host_adapters.cli.demo.measure import DENSITY_PEAK, READ_STOPS, Measured

STYLE = """
:root { color-scheme: dark; }
* { box-sizing: border-box; }
body { margin: 0; padding: 28px 32px 48px; background: #1d1d1d; color: #c8c8c8;
  font: 14px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; }
h1 { font-size: 21px; font-weight: 600; color: #e2e2e2; margin: 0 0 2px; }
h2 { font-size: 15px; font-weight: 600; color: #e2e2e2; margin: 34px 0 10px; }
p { margin: 8px 0 10px; max-width: 78ch; }
h1 + p { margin-top: 0; }
.faint { color: #8c8c8c; }
.bar { display: flex; flex-wrap: wrap; gap: 6px 18px; align-items: center; margin-bottom: 8px; }
select, button { background: #2b2b2b; color: #d6d6d6; border: 1px solid #444; border-radius: 3px; padding: 3px 8px;
  font: inherit; }
button[aria-pressed="true"] { background: #4a4a4a; color: #fff; }
.stage { position: relative; overflow: auto; background: #2a2a2a; border: 1px solid #333; max-height: 86vh;
  width: fit-content; max-width: 100%; }
.pair { position: relative; width: max-content; cursor: col-resize; touch-action: none; user-select: none; }
.pair img { display: block; image-rendering: pixelated; }
.pair img.over { position: absolute; inset: 0; }
.pair .line { position: absolute; top: 0; bottom: 0; width: 1px; background: #e8e8e8; box-shadow: 0 0 0 1px #0008; }
.pair .tag { position: absolute; top: 8px; background: #000a; padding: 1px 7px; border-radius: 3px; font-size: 12px; }
.pair .tag.a { left: 8px; } .pair .tag.b { right: 8px; }
table { border-collapse: collapse; }
th, td { text-align: right; padding: 4px 14px 4px 0; border-bottom: 1px solid #333;
  font-variant-numeric: tabular-nums; }
th { color: #9a9a9a; font-weight: 500; } th:first-child, td:first-child { text-align: left; }
code, pre { font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; color: #d6d6d6; }
pre { background: #242424; border: 1px solid #333; padding: 10px 14px; overflow: auto; max-width: 78ch; }
.graph { margin: 0 0 14px; } .graph figcaption { color: #8c8c8c; margin-bottom: 4px; }
svg { max-width: 100%; height: auto; }
svg rect { fill: #2d2d2d; stroke: #5a5a5a; } svg .file rect { fill: #242424; stroke-dasharray: 3 2; }
svg text { fill: #dcdcdc; font-size: 13px; text-anchor: middle; } svg text.name { fill: #929292; font-size: 10.5px; }
svg .edge { fill: none; stroke: #7a7a7a; }
"""

SCRIPT = """
const pictures = JSON.parse(document.getElementById("pictures").textContent);
const $ = id => document.getElementById(id);
const pair = $("pair"), under = $("under"), over = $("over"), line = $("line");
let part = 0.5, zoom = 1;
function place() {
  over.style.clipPath = `inset(0 ${(1 - part) * 100}% 0 0)`;
  line.style.left = part * 100 + "%";
}
function show() {
  const frame = $("frame").value;
  over.src = pictures[frame][$("left").value];
  under.src = pictures[frame][$("right").value];
  $("tag-a").textContent = $("left").selectedOptions[0].text;
  $("tag-b").textContent = $("right").selectedOptions[0].text;
}
function size() {
  for (const image of [under, over]) image.style.width = under.naturalWidth * zoom + "px";
  for (const button of document.querySelectorAll("[data-zoom]"))
    button.setAttribute("aria-pressed", button.dataset.zoom == zoom);
}
pair.addEventListener("pointermove", event => {
  if (event.pointerType != "mouse" && !event.buttons) return;
  const box = pair.getBoundingClientRect();
  part = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
  place();
});
document.addEventListener("keydown", event => {
  if (event.target.tagName == "SELECT") return;
  const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
  if (step) { part = Math.min(1, Math.max(0, part + step)); place(); event.preventDefault(); }
});
for (const id of ["frame", "left", "right"]) $(id).addEventListener("change", show);
for (const button of document.querySelectorAll("[data-zoom]"))
  button.addEventListener("click", () => { zoom = +button.dataset.zoom; size(); });
under.addEventListener("load", size);
place(); show();
"""

STEP_NAMES = {
    "truth": "truth",
    "grained": "grained as 500T",
    "degrained": "degrained",
    "regrained": "regrained as 50D",
}


def page(
    *,
    title: str,
    lead: str,
    pictures: Mapping[str, Mapping[str, str]],
    measured: Measured,
    graphs: Mapping[str, str],
    commands: Sequence[str],
    view: str,
    foot: str,
) -> str:
    """Return the page as text.

    Parameters
    ----------
    pictures:
        Data URIs by frame and step (`STEP_NAMES`).
    graphs:
        SVG by document name.
    commands:
        What to type to do it again.
    """
    steps = "".join(f'<option value="{step}">{escape(name)}</option>' for step, name in STEP_NAMES.items())
    frames = "".join(f"<option>{escape(frame)}</option>" for frame in pictures)
    left = steps.replace('value="grained"', 'value="grained" selected')
    right = steps.replace('value="degrained"', 'value="degrained" selected')
    figures = "".join(
        f'<figure class="graph"><figcaption>{escape(name)}</figcaption>{drawing}</figure>'
        for name, drawing in graphs.items()
    )
    data = json.dumps(pictures).replace("</", "<\\/")
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}</style></head>
<body><main>
<h1>{escape(title)}</h1>
<p class="faint">{escape(lead)}</p>
<h2>Before and after</h2>
{slider(left, right, frames)}
<p class="faint">Seen through {escape(view)}. The page holds JPEGs; the pictures themselves are the EXRs beside it.</p>
<h2>Against the truth</h2>
{_table(measured)}
{_readings(measured)}
<h2>The graphs</h2>
{figures}
<h2>Do it again</h2>
<pre>{escape(chr(10).join(commands))}</pre>
<p class="faint">{escape(foot)}</p>
</main><script type="application/json" id="pictures">{data}</script><script>{SCRIPT}</script></body></html>
"""


def _table(measured: Measured) -> str:
    rows = "".join(
        f"<tr><td>{escape(STEP_NAMES[step.name])}</td><td>{step.density_psnr:.2f}</td>"
        f"<td>{'-' if step.density_ssim is None else format(step.density_ssim, '.4f')}</td>"
        f"<td>{step.linear_psnr:.2f}</td><td>{step.flicker:.2e}</td></tr>"
        for step in measured.steps
    )
    return f"""<table><tr><th>step</th><th>PSNR of density, dB</th><th>SSIM of density</th><th>PSNR linear, dB</th>
<th>flicker, D</th></tr>{rows}</table>
<p class="faint">All frames as one. Density: of 500T's characteristic curves, full scale {DENSITY_PEAK:g} D. Linear:
full scale 1, where the truth is at most 1. Flicker: how much the mean difference changes from frame to frame. Regrained
is meant to differ from the truth: by 50D's grain.</p>"""


def _readings(measured: Measured) -> str:
    if not measured.readings:
        return ""
    rows = "".join(
        f"<tr><td>{escape(reading.label)}</td>"
        + "".join(f"<td>{ratio:.3f}</td>" for ratio in reading.layers)
        + f"<td>{reading.samples}</td></tr>"
        for reading in measured.readings
    )
    return f"""<table><tr><th>48 µm reading</th><th>R</th><th>G</th><th>B</th><th>discs</th></tr>
{rows}</table>
<p class="faint">A virtual microdensitometer on the chart's grey patches from {READ_STOPS[0]:+d} to {READ_STOPS[1]:+d}
stops, corrected for the pixel grid: sigma of density over the stock's data sheet. A few per cent are chance: these are
small patches of few frames.</p>"""


def slider(left: str, right: str, frames: str) -> str:
    """Return two pictures under a slider, with their choices as options of HTML; `SCRIPT` moves it."""
    return f"""<div class="bar">
<label>left <select id="left">{left}</select></label>
<label>right <select id="right">{right}</select></label>
<label>frame <select id="frame">{frames}</select></label>
<span><button data-zoom="1" aria-pressed="true">100 %</button> <button data-zoom="2">200 %</button></span>
<span class="faint">move over the picture, or use the arrow keys</span>
</div>
<div class="stage"><div class="pair" id="pair"><img id="under" alt="right picture"><img id="over" class="over"
alt="left picture"><div class="line" id="line"></div><span class="tag a" id="tag-a"></span><span class="tag b"
id="tag-b"></span></div></div>"""
