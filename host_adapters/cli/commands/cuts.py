"""`safelight cuts`: where a shot list begins."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safelight.host_adapters.cli.options import (
    ColourSpace,
    DeviceName,
    Json,
    Memory,
    Target,
    Threads,
    Untrusted,
    read_size,
)

if TYPE_CHECKING:
    from safelight.graph.document import Document
    from safelight.nodes.measure.cuts import Cuts


def cuts(
    target: Target,
    write: Annotated[
        bool, typer.Option("--write", help=r"Put the cuts into \[shot] of the graph document; the rest stays as it is.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="With --write: replace a list that is there.")] = False,
    node: Annotated[
        str | None, typer.Option("--node", metavar="NAME", help="The node to look at; default: all that read pictures.")
    ] = None,
    colourspace: ColourSpace = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    memory: Memory = None,
    untrusted: Untrusted = False,
    as_json: Json = False,
) -> None:
    r"""Find the cuts, dissolves and fades of a clip, whatever flickers, flashes, is dirty or moves fast.

    A cut is given by the first frame of the new shot. Of a graph, every node that reads pictures is looked at. The
    list in \[shot] bounds what temporal nodes see; edit it where it is wrong. Dissolves are told, not written: across
    them motion can be followed.

    \b
    Examples
      safelight cuts shot.toml                  look
      safelight cuts shot.toml --write          and put cuts = [...] into \[shot]
      safelight cuts scan.####.dpx --json
    """
    from safelight.graph.document import load_document
    from safelight.graph.errors import GraphError
    from safelight.host_adapters.cli.console import put_json, say
    from safelight.host_adapters.cli.cut_list import write_cuts

    is_graph = target.suffix.casefold() == ".toml"
    if not is_graph and (write or node is not None):
        raise GraphError(
            f"{'--write' if write else '--node'} is for a graph document, and '{target}' is none",
            remedy="Name a .toml file.",
        )
    if force and not write:
        raise GraphError("--force does nothing without --write", remedy="Add --write.")
    document = load_document(target) if is_graph else reading(target, colourspace)
    if write:
        # Said before the pictures are read: they may take an hour.
        _refuse_overwriting(document, force, target)
    found = find_in(document, node, device=device, threads=threads, memory=read_size(memory), untrusted=untrusted)
    frames = sorted({cut.frame for one in found.values() for cut in one.cuts})
    changed = write and write_cuts(target, frames, force=force)
    if as_json:
        nodes = {name: one.as_data() for name, one in found.items()}
        listed = {"document": list(document.cuts), "written": changed} if is_graph else {}
        (every,) = nodes.values() if len(nodes) == 1 else (_united(nodes),)
        put_json(
            {"ok": True, "graph" if is_graph else "sequence": target, **every}
            | ({"nodes": nodes} if is_graph else {})
            | listed
        )
        return
    _print(found, document if is_graph else None)
    if write:
        say(f"wrote cuts = {frames} into {target}" if changed else f"{target} has this list already")


def _refuse_overwriting(document: Document, force: bool, path: Path) -> None:
    from safelight.graph.errors import GraphError

    if "cuts" in document.sections["shot"] and not force:
        raise GraphError(
            f"the document has a cut list already: {list(document.cuts)}",
            file=path,
            remedy="Add --force to replace it (it may have been edited by hand), or leave --write out to compare.",
        )


def _united(nodes: dict[str, dict[str, Any]]) -> dict[str, Any]:
    cuts: dict[int, dict[str, Any]] = {}
    for one in nodes.values():
        for cut in one["cuts"]:
            best = cuts.setdefault(cut["frame"], cut)
            cuts[cut["frame"]] = max(best, cut, key=lambda entry: float(entry["confidence"]))
    ordered = [cuts[frame] for frame in sorted(cuts)]
    return {"cuts": ordered, "dissolves": [gone for one in nodes.values() for gone in one["dissolves"]]}


def reading(sequence: Path, colourspace: str) -> Document:
    """Return a document that reads a sequence."""
    import json

    from safelight.graph.document import Document

    path = json.dumps(str(sequence.expanduser().absolute()))
    space = json.dumps(colourspace)
    return Document.parse(f'safelight = 1\n[nodes.plate]\ntype = "Read"\npath = {path}\ncolourspace = {space}')


def find_in(
    document: Document, node: str | None, *, device: str, threads: int | None, memory: int, untrusted: bool
) -> dict[str, Cuts]:
    """Return what was found in each source of the document, by node."""
    from dataclasses import replace

    from safelight.graph.device import choose_device
    from safelight.graph.errors import GraphError, did_you_mean
    from safelight.graph.graph import Graph
    from safelight.graph.image import colour_planes
    from safelight.graph.progress import Stage
    from safelight.graph.render import pull
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.progress import progress_of
    from safelight.nodes.measure.cuts import find_cuts, thumbnail

    whole = Graph.from_document(document, untrusted=untrusted)
    if node is not None and node not in whole.nodes:
        raise GraphError(f"there is no node '{node}'", remedy=did_you_mean(node, whole.nodes))
    names = [node] if node is not None else [name for name, one in whole.nodes.items() if not one.inputs]
    if node is None:
        # Nothing but the sources: no node after them needs its analysis made for this.
        entries = {name: entry for name, entry in document.entries.items() if name in names}
        whole = Graph.from_document(
            replace(document, entries=entries, overrides=[one for one in document.overrides if one[0] in names]),
            untrusted=untrusted,
        )
    place = choose_device(device, threads)
    found: dict[str, Cuts] = {}
    with interruptible() as cancel, progress_of("auto") as shown:
        for name in names:
            clip = whole.clip(name)
            planes = list(colour_planes(clip.channels))
            if not planes or (len(clip.frames) < 2 and len(names) > 1):
                continue
            stage = Stage(f"cuts {name}", len(clip.frames), shown)
            thumbnails = []
            for frame, image in pull(whole, name, device=place, memory=memory, cancel=cancel):
                # Outside its data window a picture is black.
                thumbnails.append(thumbnail(image.data[planes], image.region, clip.display))
                stage.advance(frame, image.nbytes)
            found[name] = find_cuts(thumbnails, clip.first)
    if not found:
        raise GraphError("no node of the graph reads a picture", remedy="Name a node with --node.")
    return found


def _print(found: dict[str, Cuts], document: Document | None) -> None:
    from rich.table import Table

    from safelight.host_adapters.cli.console import out

    console = out()
    for name, one in found.items():
        table = Table(title=f"cuts of {name}" if document is not None else "cuts", title_justify="left")
        for column in ("frame", "what", "confidence"):
            table.add_column(column, justify="left" if column == "what" else "right")
        rows = [(cut.frame, str(cut.frame), "cut", cut.confidence) for cut in one.cuts]
        rows += [(gone.first, f"{gone.first}-{gone.last}", "dissolve", gone.confidence) for gone in one.dissolves]
        for _, where, what, confidence in sorted(rows):
            table.add_row(where, what, f"{confidence:.2f}")
        if rows:
            console.print(table)
        else:
            console.print(f"{name}: no cut")
    if document is not None and "cuts" in document.sections["shot"]:
        console.print(f"[shot] of the document says cuts = {list(document.cuts)}", markup=False)
