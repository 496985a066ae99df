"""Draws how an adapter's work flows, as SVG without any script: `python -m safelight.host_adapters.workflow`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

WIDTH, HEIGHT, ACROSS, DOWN = 176, 46, 44, 14
COLOURS = {"host": "#3b5b85", "us": "#2f6f4f", "file": "#6b5b3a"}
"""Whose step it is: the host's, Safelight's, a file on disk."""

Box = tuple[str, str, str]
"""Whose, what, and a second line."""
TIMELINE: Sequence[Mapping[str, Box]] = (
    {"edit": ("file", "edit", ".otio .edl .xml .aaf")},
    {"read": ("us", "every clip's frames", "transitions, retimes, gaps")},
    {"media": ("us", "media found", "path, reel + timecode, name"), "folders": ("file", "media folders", "--media")},
    {
        "shots": ("us", "shots", "shared frames once, handles, cuts"),
        "template": ("file", "template.toml", "its Read and Write are set"),
    },
    {
        "new": ("file", "edit_restored.otio", "same edit"),
        "documents": ("file", "a document a shot", "0010_A001.toml …"),
    },
    {"render": ("us", "safelight render", "--resume")},
    {"restored": ("file", "restored/", "media's numbers and timecode")},
)
TIMELINE_LINKS = (
    ("edit", "read"), ("read", "media"), ("folders", "shots"), ("media", "shots"), ("template", "documents"),
    ("shots", "documents"), ("shots", "new"), ("documents", "render"), ("render", "restored"), ("new", "restored"),
)  # fmt: skip
RESOLVE: Sequence[Mapping[str, Box]] = (
    {"shot": ("host", "shot on the timeline", "item with media")},
    {
        "direct": ("us", "camera file itself", "EXR, DPX, movies"),
        "temporary": ("host", "temporary timeline", "handles, EXR, put back"),
    },
    {"graph": ("us", "graph.toml", "colour and HDR of the project")},
    {"engine": ("us", "engine", "a process: progress, cancel")},
    {"restored": ("file", "restored/*.exr", "in the pull's colour space")},
    {
        "take": ("host", "a take", "read back"),
        "track": ("host", "a track above", "grade copied"),
        "replace": ("host", "replacement", "only when asked"),
    },
    {"marker": ("host", "marker", "hidden: the job's hash"), "journal": ("file", "journal.json", "for undo")},
)
RESOLVE_LINKS = (
    ("shot", "direct"), ("shot", "temporary"), ("direct", "graph"), ("temporary", "graph"), ("graph", "engine"),
    ("engine", "restored"), ("restored", "take"), ("restored", "track"), ("restored", "replace"), ("take", "marker"),
    ("track", "marker"), ("replace", "marker"), ("track", "journal"),
)  # fmt: skip


def svg(columns: Sequence[Mapping[str, Box]], links: Sequence[tuple[str, str]]) -> str:
    """Draw boxes in columns from left to right, and the links between them."""
    tallest = max(len(column) for column in columns)
    height = tallest * (HEIGHT + DOWN) - DOWN + 2
    place: dict[str, tuple[int, int]] = {}
    for x, column in enumerate(columns):
        top = (height - (len(column) * (HEIGHT + DOWN) - DOWN)) // 2
        for y, name in enumerate(column):
            place[name] = (x * (WIDTH + ACROSS) + 1, top + y * (HEIGHT + DOWN))
    width = len(columns) * (WIDTH + ACROSS) - ACROSS + 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12" text-anchor="middle">'
    ]
    for start, end in links:
        x0, y0, x1, y1 = (
            place[start][0] + WIDTH,
            place[start][1] + HEIGHT // 2,
            place[end][0],
            place[end][1] + HEIGHT // 2,
        )
        middle = (x0 + x1) // 2
        parts.append(f'<path d="M{x0} {y0}C{middle} {y0} {middle} {y1} {x1} {y1}" fill="none" stroke="#888"/>')
    for column in columns:
        for name, (whose, what, more) in column.items():
            x, y = place[name]
            parts.append(
                f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{HEIGHT}" rx="5" fill="{COLOURS[whose]}"/>'
                f'<text x="{x + WIDTH // 2}" y="{y + 19}" fill="#fff">{escape(what)}</text>'
                f'<text x="{x + WIDTH // 2}" y="{y + 36}" fill="#ddd" font-size="10">{escape(more)}</text>'
            )
    return "\n".join(parts) + "\n</svg>\n"


def pictures() -> dict[Path, str]:
    """Return the pictures of the documentation, by the file they are kept in."""
    here = Path(__file__).parent
    return {
        here / "timeline" / "workflow.svg": svg(TIMELINE, TIMELINE_LINKS),
        here / "resolve" / "workflow.svg": svg(RESOLVE, RESOLVE_LINKS),
    }


if __name__ == "__main__":
    for path, text in pictures().items():
        path.write_text(text, encoding="utf-8")
