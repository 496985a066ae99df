"""`safelight render`: the contract between us and any farm."""

from __future__ import annotations

from typing import Annotated

import typer

from safelight.host_adapters.cli.options import (
    DeviceName,
    Frames,
    GraphFile,
    Json,
    Memory,
    Sets,
    Threads,
    Untrusted,
    read_sets,
    read_size,
    size_text,
    time_text,
)


def render(
    graph: GraphFile,
    frames: Frames = None,
    sets: Sets = None,
    device: DeviceName = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", "-r", help="Leave frames that are already good: same graph, file untouched.")
    ] = False,
    threads: Threads = None,
    memory: Memory = None,
    tile: Annotated[
        int, typer.Option("--tile", min=0, metavar="N", help="Edge of tiles in pixels; 0 lets memory decide.")
    ] = 0,
    untrusted: Untrusted = False,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", help="When a frame fails, go on with the others; the exit status is still 1."),
    ] = False,
    progress: Annotated[
        str, typer.Option("--progress", metavar="auto|bar|lines|openjd|none", help="How progress is shown.")
    ] = "auto",
    as_json: Json = False,
) -> None:
    """Render a graph: every frame of every Write in it.

    A frame appears under its name only when it is complete; the picture depends on neither threads nor tiles.

    \b
    Examples
      safelight render shot.toml
      safelight render shot.toml --frames 1001-1100 --resume
      safelight render shot.toml --set degrain.strength=0.7
      safelight render shot.toml --set out.path=try/v2.####.exr
      safelight render shot.toml --memory 8GB --json > report.json
      safelight render shot.toml -f 1001-1010 --progress openjd
    """
    from safelight.graph.device import choose_device
    from safelight.graph.document import load_document
    from safelight.graph.errors import GraphError
    from safelight.graph.frames import format_frames, parse_frames
    from safelight.graph.graph import Graph
    from safelight.graph.render import render as render_graph
    from safelight.host_adapters.cli.console import FAILED, error_data, put_json, say
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.progress import progress_of

    if as_json and progress == "openjd":
        raise GraphError("--json and --progress openjd both want standard output", remedy="Choose one.")
    wanted = parse_frames(frames) if frames is not None else None
    place = choose_device(device, threads)
    budget = read_size(memory)
    built = Graph.from_document(load_document(graph, read_sets(sets)), untrusted=untrusted)
    with interruptible() as cancel, progress_of(progress) as shown:
        report = render_graph(
            built,
            wanted,
            device=place,
            memory=budget,
            tile=tile,
            resume=resume,
            keep_going=keep_going,
            progress=shown,
            cancel=cancel,
        )
    if as_json:
        put_json(
            {
                "ok": not report.failed,
                "graph": graph,
                "device": place.kind,
                "threads": place.threads,
                "frames": format_frames(wanted) if wanted is not None else None,
                "rendered": report.rendered,
                "skipped": report.skipped,
                "failed": [error_data(error) for error in report.failed],
                "warnings": report.warnings,
                "files": report.files,
                "seconds": round(report.seconds, 3),
                "peak_bytes": report.peak_bytes,
            }
        )
    else:
        parts = [f"{report.rendered} rendered"]
        parts += [f"{report.skipped} already good"] if report.skipped else []
        parts += [f"{len(report.failed)} failed"] if report.failed else []
        parts += [time_text(report.seconds), f"{size_text(report.peak_bytes)} of pixels at most"]
        say(", ".join(parts))
    if report.failed:
        raise typer.Exit(FAILED)
