"""`safelight check`: what a render would do, without a pixel."""

from __future__ import annotations

from typing import Any

from safelight.host_adapters.cli.options import Frames, GraphFile, Json, Sets, Untrusted, read_sets, size_text


def check(
    graph: GraphFile, frames: Frames = None, sets: Sets = None, untrusted: Untrusted = False, as_json: Json = False
) -> None:
    """Validate a graph and print its plan: frames and handles per node, memory, cost, files.

    Reads headers only and writes nothing. Exit status 2 when the graph is wrong.

    \b
    Examples
      safelight check shot.toml
      safelight check shot.toml -f 1001-1010     what ten frames on a farm cost
      safelight check shot.toml --json
    """
    from safelight.graph.document import load_document
    from safelight.graph.frames import parse_frames
    from safelight.graph.graph import Graph
    from safelight.host_adapters.cli.console import put_json
    from safelight.host_adapters.cli.forecast import forecast

    wanted = parse_frames(frames) if frames is not None else None
    built = Graph.from_document(load_document(graph, read_sets(sets)), untrusted=untrusted)
    found = forecast(built, wanted)
    if as_json:
        put_json({"ok": True, "graph": graph, **found})
    else:
        _print(found)


def _print(found: dict[str, Any]) -> None:
    from rich.table import Table

    from safelight.host_adapters.cli.console import out, say

    for warning in found["warnings"]:
        say(f"warning: {warning}")
    table = Table(title="plan", title_justify="left")
    for name, right in (
        ("node", False),
        ("type", False),
        ("picture", False),
        ("channels", False),
        ("frames made", False),
        ("handles", True),
        ("Mpixel", True),
    ):
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in found["nodes"]:
        before, after = row["handles"]
        table.add_row(
            row["name"],
            row["type"],
            row["picture"],
            ", ".join(row["channels"]),
            row["frames"] or "none",
            f"-{before} +{after}" if before or after else "0",
            f"{row['megapixels']:.4g}",
        )
    console = out()
    console.print(table)
    before, after = found["handles"]
    console.print(f"frames    {found['frames']} ({found['count']})")
    console.print(f"memory    about {size_text(found['peak_bytes'])} of pixels at once, without reading ahead")
    console.print(f"cost      {found['megapixels']:.4g} Mpixel made, {found['cost']:.3g} for each one delivered")
    if before or after:
        console.print(f"handles   {before} frames before and {after} after each range; redone by each farm task:")
        for size, overhead in found["chunks"].items():
            console.print(f"          tasks of {size} frames: {overhead:.0%} more")
    if found["analyses"]:
        console.print(f"analysis  whole shot, once, before the first frame: {', '.join(found['analyses'])}")
    for title, files in (("reads", found["reads"]), ("writes", found["writes"])):
        for line in files:
            console.print(f"{title:<9} {line['node']}: {line['files']}", soft_wrap=True)
