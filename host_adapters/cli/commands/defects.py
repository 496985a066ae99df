"""`safelight defects`: what is damaged where, as a list that an artist edits and a render obeys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.host_adapters.cli.options import (
    ColourSpace,
    DeviceName,
    Frames,
    Json,
    Memory,
    Sets,
    Target,
    Threads,
    Untrusted,
    read_sets,
    read_size,
)

if TYPE_CHECKING:
    from safelight.host_adapters.cli.defect_search import Listed

WORST = 10
"""Frames in the table."""


def defects(
    target: Target,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the list (.json); one that is there keeps its edits."
        ),
    ] = None,
    node: Annotated[
        str | None,
        typer.Option("--node", metavar="NAME", help="The node whose matte is listed. Default: every detector."),
    ] = None,
    frames: Frames = None,
    sheet: Annotated[
        Path | None, typer.Option("--sheet", metavar="FILE", help="Draw the worst as a contact sheet (.png).")
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FILE", help="Write a page for keeping and rejecting by a click (.html)."),
    ] = None,
    worst: Annotated[
        int, typer.Option("--worst", min=1, max=2000, metavar="N", help="How many are drawn, the worst ones.")
    ] = 120,
    order: Annotated[str, typer.Option("--order", metavar="frame|score", help="How they are ordered.")] = "frame",
    least: Annotated[
        float, typer.Option("--least", min=0, max=1, metavar="SCORE", help="Leave out what scores less.")
    ] = 0.5,
    sets: Sets = None,
    colourspace: ColourSpace = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    memory: Memory = None,
    untrusted: Untrusted = False,
    as_json: Json = False,
) -> None:
    """List the defects of a clip: frame, box, kind, tone, score.

    Of a graph, every DirtDetect, ScratchDetect, HairDetect and FrameDetect is rendered, or the node named; of a
    sequence all that there are, at their defaults. Edit the list (keep, reject, add), let `defects` of the detector, or
    of the MatteMerge behind several, name it, and the render obeys. Running again keeps every edit: what was decided
    stays in the list, found again or not.

    \b
    Examples
      safelight defects shot.toml -o shot.json
      safelight defects shot.toml -o shot.json --page shot.html      keep and reject by a click
      safelight defects scan.####.dpx --sheet worst.png --worst 60 --order score
      safelight defects shot.toml --node damage --frames 1001-1024 --json
    """
    from safelight.graph.device import choose_device
    from safelight.graph.document import load_document
    from safelight.graph.errors import GraphError
    from safelight.graph.frames import parse_frames
    from safelight.host_adapters.cli import defect_crops
    from safelight.host_adapters.cli.console import put_json, say
    from safelight.host_adapters.cli.defect_page import page as page_of
    from safelight.host_adapters.cli.defect_search import find, frames_of, of_sequence, search_of, striking
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.landed import write_text
    from safelight.host_adapters.cli.progress import progress_of
    from safelight.nodes.damage.defects import Defects

    if order not in ("frame", "score"):
        raise GraphError(f"--order {order} is no order", remedy="Write frame or score.")
    for path, ending in ((output, ".json"), (sheet, ".png"), (page, ".html")):
        if path is not None and path.suffix.casefold() != ending:
            raise GraphError(f"'{path.name}' is no {ending} file", remedy=f"Call it {path.stem}{ending}.")
        if path is not None and not path.expanduser().absolute().parent.is_dir():
            raise GraphError("the folder is not there", file=path, remedy="Make the folder, or name another.")
    is_graph = target.suffix.casefold() == ".toml"
    if not is_graph and (node is not None or sets):
        raise GraphError(
            f"{'--node' if node is not None else '--set'} is for a graph document, and '{target}' is none",
            remedy="Name a .toml file.",
        )
    output, sheet, page = (path.expanduser() if path is not None else None for path in (output, sheet, page))
    place, budget = choose_device(device, threads), read_size(memory)
    document = load_document(target, read_sets(sets)) if is_graph else of_sequence(target, colourspace)
    search = search_of(document, node, untrusted=untrusted)
    numbers = frames_of(search, parse_frames(frames) if frames is not None else None)
    # Read before anything is rendered: an error in it must not cost an hour.
    there = [path for path in (output, *search.obeyed) if path is not None and path.exists()]
    old = Defects.load(there[0]) if there else None
    for warning in search.graph.check():
        say(f"warning: {warning}")
    drawn = worst if sheet is not None or page is not None else 0
    files: list[Path] = []
    with interruptible() as cancel, progress_of("auto") as shown:
        found = find(
            search, numbers, old, place, least=least, worst=drawn, memory=budget, progress=shown, cancel=cancel
        )
        if output is not None:
            found.listed.save(output)
            files.append(output)
        if drawn:
            picked = sorted(found.worst, key=striking, reverse=True)
            if order == "frame":
                picked.sort(key=lambda one: (one.defect.frame, one.defect.id))
            made, view = defect_crops.strips(search, picked, place, memory=budget, progress=shown, cancel=cancel)
            names = defect_crops.columns(search)
            title = f"Defects of {target.name}"
            if sheet is not None:
                head = f"{title}: {len(made)} of {len(found.listed.defects)}, seen through {view}"
                files += defect_crops.write_sheet(sheet, made, names, head, found.flagged)
            if page is not None:
                saved = (output or (there[0] if there else target.with_suffix(".json"))).name
                text = page_of(made, names, found.listed, title=title, view=view, file=saved, flagged=found.flagged)
                write_text(page, text, "the page")
                files.append(page)
    if as_json:
        listed = found.listed.defects
        put_json(
            {
                "ok": True,
                "graph" if is_graph else "sequence": target,
                "nodes": [name for name, _ in search.mattes],
                "defects": len(listed),
                "kinds": found.kinds(),
                "frames": {str(frame): found.kinds(frame) for frame in found.frames()},
                "flagged": {str(frame): text for frame, text in sorted(found.flagged.items())},
                "decided": sum(bool(d.decision) for d in listed),
                "files": files,
            }
        )
        return
    _print(found, len(numbers))
    for path in files:
        say(f"wrote {path}")
    if output is None:
        say("nothing was listed in a file: -o FILE.json does")


def _print(found: Listed, frames: int) -> None:
    from rich.table import Table

    from safelight.host_adapters.cli.console import out

    console = out()
    listed = found.listed.defects
    kinds = found.kinds()
    if kinds:
        table = Table(title="defects", title_justify="left")
        for name in ("frame", *kinds, "all"):
            table.add_column(name, justify="right")
        for frame in found.frames()[:WORST]:
            there = found.kinds(frame)
            table.add_row(str(frame), *(str(there.get(kind, "")) for kind in kinds), str(sum(there.values())))
        table.add_section()
        more = len(found.frames()) - WORST
        name = "all" if more <= 0 else f"all {len(found.frames())}"
        table.add_row(name, *(str(count) for count in kinds.values()), str(sum(kinds.values())))
        console.print(table)
        if more > 0:
            console.print(f"the {WORST} frames with most of {len(found.frames())} with any; {frames} looked at")
    else:
        console.print(f"no defect in {frames} frame{'s' if frames != 1 else ''}")
    decided = [sum(d.decision == word for d in listed) for word in ("keep", "reject", "add")]
    if any(decided):
        console.print(f"decided: {decided[0]} kept, {decided[1]} rejected, {decided[2]} added")
    for frame, text in sorted(found.flagged.items()):
        console.print(f"frame {frame}: {text}", markup=False)
