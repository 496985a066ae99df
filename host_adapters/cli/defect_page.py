"""Defects as one HTML file that opens from disk: looked at, kept or rejected by a click, saved as the list."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from html import escape

from safelight.host_adapters.cli.defect_crops import Strip
from safelight.host_adapters.cli.demo.page import STYLE
from safelight.nodes.damage.defects import FORMAT, Defects

_STYLE = """
main { max-width: none; }
.bar { position: sticky; top: 0; background: #1d1d1d; padding: 10px 0; z-index: 1; border-bottom: 1px solid #333; }
.defect { display: inline-block; vertical-align: top; margin: 0 18px 16px 0; padding: 6px; border: 2px solid #2b2b2b;
  border-radius: 4px; }
.defect.at { border-color: #8c8c8c; } .defect.keep { background: #243424; } .defect.reject { background: #3a2626; }
.defect.add { background: #38321f; }
.defect img { display: block; filter: brightness(var(--light, 1)); image-rendering: pixelated; max-width: 100%;
  height: auto; }
.defect .names { display: flex; max-width: 100%; color: #8c8c8c; font-size: 12px; }
.defect .names span { flex: 1; }
.defect .line { display: flex; flex-wrap: wrap; gap: 8px 12px; align-items: center; margin-bottom: 4px;
  font-variant-numeric: tabular-nums; white-space: pre-wrap; }
.defect.hidden { display: none; }
button { cursor: pointer; }
kbd { background: #2b2b2b; border: 1px solid #444; border-radius: 3px; padding: 0 5px; font: inherit; }
"""

SCRIPT = """
const list = JSON.parse(document.getElementById("list").textContent);
const name = document.body.dataset.name;
const byId = new Map(list.defects.map(one => [one.id, one]));
const cards = [...document.querySelectorAll(".defect")];
const $ = id => document.getElementById(id);
let at = -1, changed = false;
function paint(card) {
  const decision = byId.get(+card.dataset.id).decision;
  for (const word of ["keep", "reject", "add"]) card.classList.toggle(word, decision === word);
  for (const button of card.querySelectorAll("button"))
    button.setAttribute("aria-pressed", button.dataset.decision === decision);
}
function count() {
  const said = { keep: 0, reject: 0, add: 0 };
  for (const one of list.defects) if (one.decision) said[one.decision]++;
  $("count").textContent = `${list.defects.length} defects: ${said.keep} kept, ${said.reject} rejected` +
    (said.add ? `, ${said.add} added` : "") + (changed ? "; not saved yet" : "");
}
function decide(card, decision) {
  const one = byId.get(+card.dataset.id);
  if (one.decision === "add" && decision !== "add") {
    if (!confirm("This one was drawn by hand. Change it?")) return;
  }
  one.decision = one.decision === decision ? "" : decision;
  changed = true;
  paint(card); count();
}
function select(index, scroll) {
  if (at >= 0) cards[at].classList.remove("at");
  at = index;
  cards[at].classList.add("at");
  if (scroll) cards[at].scrollIntoView({ block: "center" });
}
function step(by) {
  for (let i = at + by; i >= 0 && i < cards.length; i += by)
    if (!cards[i].classList.contains("hidden")) return select(i, true);
}
function filter() {
  const kind = $("kind").value, frame = $("frame").value, open = $("open").checked;
  for (const card of cards) {
    const one = byId.get(+card.dataset.id);
    card.classList.toggle("hidden", !!(kind && one.kind !== kind || frame && one.frame != frame ||
      open && one.decision));
  }
}
function text() {
  const head = JSON.stringify({ safelight_defects: list.safelight_defects, plate: list.plate }).slice(0, -1);
  const lines = list.defects.map(one => JSON.stringify(one));
  return head + ', "defects": [' + (lines.length ? "\\n" + lines.join(",\\n") + "\\n" : "") + "]}\\n";
}
function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text()], { type: "application/json" }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  changed = false; count();
}
for (const [index, card] of cards.entries()) {
  paint(card);
  card.addEventListener("click", event => {
    select(index, false);
    const decision = event.target.dataset.decision;
    if (decision) decide(card, decision);
  });
}
for (const id of ["kind", "frame", "open"]) $(id).addEventListener("change", filter);
$("light").addEventListener("input", () => {
  document.documentElement.style.setProperty("--light", 2 ** $("light").value);
});
$("save").addEventListener("click", save);
$("rest").addEventListener("click", () => {
  for (const card of cards) {
    const one = byId.get(+card.dataset.id);
    if (!card.classList.contains("hidden") && !one.decision) { one.decision = "reject"; paint(card); changed = true; }
  }
  count();
});
document.addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
  const key = event.key;
  if (key === "ArrowRight" || key === "ArrowDown") step(1);
  else if (key === "ArrowLeft" || key === "ArrowUp") step(-1);
  else if (at >= 0 && (key === "k" || key === "r")) { decide(cards[at], key === "k" ? "keep" : "reject"); step(1); }
  else return;
  event.preventDefault();
});
window.addEventListener("beforeunload", event => { if (changed) event.preventDefault(); });
count();
"""


def page(
    made: Sequence[Strip],
    names: Sequence[str],
    listed: Defects,
    *,
    title: str,
    view: str,
    file: str,
    flagged: Mapping[int, str],
) -> str:
    """Return the page as text.

    Parameters
    ----------
    made:
        The defects shown; the others of `listed` are saved as they are.
    names:
        Of a strip's pictures.
    file:
        Name that the list is saved under.
    """
    data = {
        "safelight_defects": FORMAT,
        "plate": listed.plate,
        "defects": [
            {**asdict(d), "box": list(d.box), "score": round(d.score, 4)}
            for d in sorted(listed.defects, key=lambda d: (d.frame, d.id))
        ],
    }
    kinds = sorted({one.defect.kind for one in made})
    frames = sorted({one.defect.frame for one in made})
    left = len(listed.defects) - len(made)
    shown = f"{len(made)} of {len(listed.defects)} shown, the worst; the others are saved as they are. " if left else ""
    flags = "".join(f"<li>frame {frame}: {escape(text)}</li>" for frame, text in sorted(flagged.items()))
    text = json.dumps(data).replace("</", "<\\/")
    cards = "\n".join(_card(one, names, flagged.get(one.defect.frame, "")) for one in made)
    return f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title><style>{STYLE}{_STYLE}</style></head>
<body data-name="{escape(file)}"><main>
<h1>{escape(title)}</h1>
<p class="faint">{escape(shown)}Seen through {escape(view)}. <kbd>→</kbd> <kbd>←</kbd> next and last, <kbd>k</kbd> keep:
it is damage whatever the settings say; <kbd>r</kbd> reject: it is none. Saving downloads {escape(file)}: put it where
the document's <code>defects</code> points to, and the next render obeys it.</p>
{f'<ul class="faint">{flags}</ul>' if flags else ""}
<div class="bar"><button id="save">save {escape(file)}</button>
<label>kind <select id="kind"><option value="">all</option>{"".join(f"<option>{kind}</option>" for kind in kinds)}
</select></label>
<label>frame <select id="frame"><option value="">all</option>{"".join(f"<option>{f}</option>" for f in frames)}
</select></label>
<label><input type="checkbox" id="open"> undecided only</label>
<button id="rest" title="Everything that is shown and undecided">reject the rest</button>
<label>brighter <input type="range" id="light" min="0" max="5" step="0.5" value="0"></label>
<span class="faint" id="count"></span></div>
{cards or '<p class="faint">No defect.</p>'}
</main><script type="application/json" id="list">{text}</script>
<script>{SCRIPT}</script></body></html>
"""


def _card(one: Strip, names: Sequence[str], flag: str) -> str:
    buffer = io.BytesIO()
    one.picture.save(buffer, "JPEG", quality=92, subsampling=0)
    picture = base64.b64encode(buffer.getvalue()).decode("ascii")
    titles = "".join(f"<span>{escape(name)}</span>" for name in names)
    said = one.caption() + (f"   frame is: {flag}" if flag else "")
    return (
        f'<div class="defect" data-id="{one.defect.id}"><div class="line"><span>{escape(said)}</span>'
        '<button data-decision="keep">keep</button><button data-decision="reject">reject</button></div>'
        f'<div class="names" style="width: {one.picture.width}px">{titles}</div>'
        f'<img alt="{escape(said)}" src="data:image/jpeg;base64,{picture}"></div>'
    )
