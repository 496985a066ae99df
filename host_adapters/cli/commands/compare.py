"""`safelight compare`: how two clips differ, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safelight.graph.errors import RenderError
from safelight.host_adapters.cli.options import DeviceName, Frames, Json, Memory, Threads, Untrusted, read_size

if TYPE_CHECKING:
    from safelight.host_adapters.cli.comparison import Measured, Record, Totals


def compare(
    a: Annotated[
        Path, typer.Argument(metavar="A", help="File, folder or sequence (shot.####.exr).", show_default=False)
    ],
    b: Annotated[Path, typer.Argument(metavar="B", help="What it is compared with.", show_default=False)],
    frames: Frames = None,
    peak: Annotated[float, typer.Option("--peak", help="Value that counts as full scale for PSNR and SSIM.")] = 1.0,
    white: Annotated[
        float, typer.Option("--white", help="Light of scene-linear 1.0 on the display, in cd/m², for ΔE ITP and PU21.")
    ] = 100.0,
    colourspace: Annotated[
        str, typer.Option("--colourspace", help="Colour space of both, where the files do not say it.")
    ] = "auto",
    page: Annotated[
        Path | None,
        typer.Option("--page", metavar="FOLDER", help="Also write a page for looking at both: FOLDER/index.html."),
    ] = None,
    vdp: Annotated[
        str | None,
        typer.Option(
            "--vdp",
            metavar="DISPLAY",
            help="Also ask ColorVideoVDP (cvvdp, installed apart) how visible the difference is on a display of its: "
            "standard_hdr_linear, standard_4k, 65inch_hdr_pq_1Knit …",
        ),
    ] = None,
    device: DeviceName = "auto",
    threads: Threads = None,
    memory: Memory = None,
    untrusted: Untrusted = False,
    as_json: Json = False,
) -> None:
    """Compare two clips: PSNR, SSIM, colour difference, flicker, jitter; frame by frame and in all.

    Both are read into the scene-linear working space and compared there, unclamped. Frames are paired in order. Movies
    and PNGs that are tagged PQ or HLG become light again, 1.0 for 100 cd/m²; other files of such a signal need
    --colourspace.

    \b
    PSNR      dB against --peak; of all frames as one in the last line
    SSIM      Wang et al. 2004, by channel
    ΔE        mean colour difference: CIEDE2000 with white at 1.0, ITP (BT.2124) with 1.0 as --white cd/m²
    PU        PSNR of luminance as evenly as it is seen from 0.005 to 10,000 cd/m² (PU21, 256 as full scale)
    JOD       with --vdp: 10 is no visible difference; at 9 three of four viewers prefer A (A is the reference)
    level     mean of A - B; flicker is how much it changes from frame to frame (RMS)
    provenance  of B, where it carries that channel: pixels by origin; those marked kept must have A's bits
    shift     pixels the whole picture moved since the frame before; jitter is how much that changes (RMS)
    \b
    Examples
      safelight compare truth.####.exr degrained.####.exr
      safelight compare scan/ restored/ --frames 1001-1024 --json
      safelight compare before.exr after.exr --peak 10 --white 203
      safelight compare master.####.exr hdr1000.mp4 --vdp standard_hdr_linear
      safelight compare scan/ degrained/ --page look      crops at 200 %, a slider, the difference
    """
    import math

    from safelight.graph.device import choose_device
    from safelight.graph.errors import GraphError
    from safelight.graph.frames import parse_frames
    from safelight.host_adapters.cli.comparison import (
        Totals,
        check_pair,
        colour_difference,
        compare_clips,
        graph_of,
        left_out,
    )
    from safelight.host_adapters.cli.console import error_data, put_json, say
    from safelight.host_adapters.cli.console import out as console
    from safelight.host_adapters.cli.guard import interruptible, report
    from safelight.host_adapters.cli.progress import progress_of

    if not (peak > 0 and math.isfinite(peak)):
        raise GraphError(f"--peak {peak} is no full scale", remedy="Give a number above 0.")
    if not 1 <= white <= 10000:
        raise GraphError(f"--white {white:g} is no light of a display", remedy="Give cd/m², 1 to 10000; 100 for SDR.")
    place, budget = choose_device(device, threads), read_size(memory)
    graph = graph_of(a, b, colourspace, untrusted=untrusted)
    frames_a, frames_b = check_pair(graph, parse_frames(frames) if frames is not None else None)
    if vdp is not None:
        from safelight.host_adapters.cli.vdp import check, measure

        check(graph, vdp)
    notes = [f"{name}: not compared: {', '.join(out)}" for name in "ab" if (out := left_out(graph.clip(name)))]
    if frames_a != frames_b:
        notes.append(f"frames are paired by order: {frames_a[0]} of A with {frames_b[0]} of B")
    for note in notes:
        say(f"note: {note}")
    totals = Totals(peak)
    rows: list[dict[str, Any]] = []
    table = None if as_json else _Table()
    with interruptible() as cancel, progress_of("auto") as shown:
        for pair in compare_clips(
            graph,
            frames_a,
            frames_b,
            peak=peak,
            device=place,
            memory=budget,
            progress=shown,
            cancel=cancel,
            meter=colour_difference(graph, place, white),
        ):
            totals.add(pair)
            if table is None:
                rows.append(pair.as_data())
            else:
                table.add(pair)
    verdict = None
    if vdp is not None:
        with interruptible() as cancel, progress_of("auto") as shown:
            verdict = measure(
                graph,
                frames_a,
                frames_b,
                display=vdp,
                white=white,
                device=place,
                memory=budget,
                progress=shown,
                cancel=cancel,
            )
    shown_on = None
    if page is not None:
        from safelight.host_adapters.cli.look import write_page

        shown_on = write_page(page, graph, frames_a, frames_b, totals.as_data(), f"{a.name} and {b.name}")
    false = _false_record(totals, b)
    if table is None:
        found = {"a": a, "b": b, "peak": peak, "white": white, "notes": notes, "all": totals.as_data(), "frames": rows}
        if verdict is not None:
            found["vdp"] = verdict.as_data()
        failed = {} if false is None else {"exit": 1, "error": error_data(false)}
        put_json({"ok": false is None, **failed, **found} | ({"page": shown_on} if shown_on is not None else {}))
    else:
        table.show(totals)
        if verdict is not None:
            console().print(f"ColorVideoVDP {verdict.jod:.3f} JOD on {verdict.display}")
    if shown_on is not None:
        say(f"look at {shown_on}")
    if false is not None:
        raise typer.Exit(report(false))


def _false_record(totals: Totals, b: Path) -> RenderError | None:
    if totals.record is None or not totals.record.broken:
        return None
    return RenderError(
        f"pixels marked kept that differ from A: {totals.record.broken}",
        file=b,
        remedy="The record is false, or A is not the clip that B was made from.",
    )


class _Table:
    def __init__(self) -> None:
        from rich.table import Table

        self._table = Table()
        for name in (
            "frame",
            "PSNR dB",
            "SSIM",
            "ΔE 2000",
            "ΔE ITP",
            "PU dB",
            "max",
            "level",
            "changed",
            "shift A",
            "shift B",
        ):
            self._table.add_column(name, justify="right")

    def add(self, pair: Measured) -> None:
        found = pair.figures
        frame = str(pair.frame_a) if pair.frame_a == pair.frame_b else f"{pair.frame_a}/{pair.frame_b}"
        self._table.add_row(
            frame,
            _text(found.psnr, ".2f"),
            _text(found.ssim, ".5f"),
            _text(pair.colours.e2000 if pair.colours else None, ".3f"),
            _text(pair.colours.itp if pair.colours else None, ".3f"),
            _text(pair.pu_psnr, ".2f"),
            _text(found.max_difference, ".4g"),
            _text(found.level, "+.2e"),
            "identical" if found.bit_identical else f"{found.changed / found.pixels:.2%}",
            _pair(pair.shift_a),
            _pair(pair.shift_b),
        )

    def show(self, totals: Totals) -> None:
        from safelight.host_adapters.cli.console import out

        data = totals.as_data()
        self._table.add_section()
        self._table.add_row(
            f"all {totals.frames}",
            _text(totals.psnr, ".2f"),
            _text(data["ssim"], ".5f"),
            _text(data["delta_e_2000"], ".3f"),
            _text(data["delta_e_itp"], ".3f"),
            _text(totals.pu_psnr, ".2f"),
            _text(totals.largest, ".4g"),
            "",
            "identical" if totals.identical else f"{totals.changed / max(1, totals.pixels):.2%}",
        )
        console = out()
        console.print(self._table)
        console.print(f"peak {totals.peak:g}   flicker {data['flicker']:.3g}", end="   ")
        console.print(f"jitter {data['jitter_a']:.3g} px in A, {data['jitter_b']:.3g} px in B")
        if totals.unmeasured:
            console.print(f"{totals.unmeasured} pixels hold NaN or infinity and are in no figure")
        if totals.record is not None:
            console.print(_record_of(totals.record))
        console.print("bit-identical: " + ("yes" if totals.identical else "no"))


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else "∞" if value == float("inf") else format(value, form)


def _pair(value: tuple[float, float] | None) -> str:
    return "-" if value is None else f"{value[0]:+.2f} {value[1]:+.2f}"


def _record_of(record: Record) -> str:
    data = record.as_data()
    total = max(1, sum(data["pixels"].values()))
    shares = "   ".join(f"{name} {count / total:.3%}" for name, count in data["pixels"].items())
    verdict = f"[red]{record.broken} marked kept differ[/red]" if record.broken else "all marked kept are bit-identical"
    return f"provenance of B: {shares}; {verdict}"
