"""`safelight analyse`: what a plate's grain is, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from safelight.host_adapters.cli.options import ColourSpace, DeviceName, Json, Memory, Threads, Untrusted, read_size

if TYPE_CHECKING:
    from PIL.Image import Image

    from safelight.graph.device import Device
    from safelight.graph.graph import Graph
    from safelight.nodes.grain.profile import Profile
    from safelight.nodes.measure.cuts import Cuts


def analyse(
    sequence: Annotated[
        Path,
        typer.Argument(
            metavar="SEQUENCE",
            help="File, folder or sequence (shot.####.exr), or a saved grain profile (.json).",
            show_default=False,
        ),
    ],
    plot: Annotated[
        Path | None,
        typer.Option(
            "--plot", metavar="FILE", help="Draw sigma and spectrum: a picture (.png) or a page with tables (.html)."
        ),
    ] = None,
    profile: Annotated[
        Path | None, typer.Option("--profile", metavar="FILE", help="Save the grain profile (JSON).")
    ] = None,
    film_grain_table: Annotated[
        Path | None,
        typer.Option("--film-grain-table", metavar="FILE", help="Write the grain as a table for AV1 encoders (.tbl)."),
    ] = None,
    delivery: Annotated[
        str,
        typer.Option(
            "--delivery",
            metavar="SPACE",
            help="What the AV1 film is encoded in: a space, or Display/View. Default: sRGB.",
        ),
    ] = "",
    matrix: Annotated[
        str, typer.Option("--delivery-matrix", metavar="bt709|bt601|bt2020", help="Its matrix of Y'CbCr.")
    ] = "bt709",
    delivery_width: Annotated[
        int, typer.Option("--delivery-width", min=0, max=65536, help="Its width, pixels; 0: the plate's.")
    ] = 0,
    patch: Annotated[
        str | None, typer.Option("--patch", metavar="X0,Y0,X1,Y1", help="Measure this area alone, pixels.")
    ] = None,
    pitch: Annotated[
        float, typer.Option("--pitch", min=0, max=1000, help="Distance of pixels on the film, µm; 0: unknown.")
    ] = 0.0,
    stock: Annotated[
        str, typer.Option("--stock", help="Stock the plate was shot on: sigma is then given in density.")
    ] = "",
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="PICTURES", help="Match these to the plate's grain and say how well: see GrainMatch."
        ),
    ] = None,
    fade: Annotated[
        Path | None,
        typer.Option(
            "--fade", metavar="FILE", help="Say how the dyes have faded, and draw it: .png or .html. See FadeRepair."
        ),
    ] = None,
    medium: Annotated[
        str, typer.Option("--medium", metavar="print|negative|separations", help="What has faded, for --fade.")
    ] = "print",
    cuts: Annotated[
        bool,
        typer.Option("--cuts", help="Find cuts, dissolves and fades too, as 'safelight cuts': every frame is read."),
    ] = False,
    colourspace: ColourSpace = "auto",
    device: DeviceName = "auto",
    threads: Threads = None,
    memory: Memory = None,
    untrusted: Untrusted = False,
    as_json: Json = False,
) -> None:
    """Measure a plate's grain: sigma against light, spectrum, correlation of the channels, film or digital.

    Up to twelve frames, spread over the shot, are read into the scene-linear working space and measured where the
    picture stands still or is flat. See 'safelight nodes GrainAnalyse'.

    \b
    Examples
      safelight analyse scan.####.dpx
      safelight analyse scan.####.dpx --plot grain.html --profile grain.json
      safelight analyse scan.####.dpx --cuts
      safelight analyse scan.####.tif --fade fade.html --medium print
      safelight analyse scan.exr --stock 500T --pitch 6 --patch 200,100,600,400 --json
      safelight analyse scan.####.dpx --against render.####.exr --plot match.png
      safelight analyse scan.####.dpx --film-grain-table grain.tbl
      safelight analyse grain.json --film-grain-table grain.tbl --delivery "Rec.1886 Rec.709 - Display"

    A film-grain table lets a clip that was degrained be encoded small, its grain made anew by the decoder. Degrain,
    encode in the delivery's colours as 4:2:0, and hand the table to the encoder:

    \b
      aomenc --film-grain-table=grain.tbl -o film.webm clean.y4m
      SvtAv1EncApp --fgs-table grain.tbl -i clean.y4m -b film.ivf
      ffmpeg -i clean.mov -c:v libaom-av1 -aom-params film-grain-table=grain.tbl film.mkv

    From a sequence the table takes the plate's colours into account; from a saved profile greys stand in for them.
    """
    from safelight.graph.analysis import run_analyses
    from safelight.graph.device import choose_device
    from safelight.graph.errors import GraphError
    from safelight.graph.render import default_budget
    from safelight.host_adapters.cli.console import put_json, say
    from safelight.host_adapters.cli.film_grain_export import Export, colours_of
    from safelight.host_adapters.cli.grain_page import page
    from safelight.host_adapters.cli.grain_plot import draw
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.progress import progress_of
    from safelight.nodes.grain.profile import Profile, load_profile

    for path in (plot, profile, film_grain_table):
        if path is not None and not path.expanduser().absolute().parent.is_dir():
            raise GraphError("the folder is not there", file=path, remedy="Make the folder, or name another.")
    if plot is not None and plot.suffix.casefold() not in (".png", ".html"):
        raise GraphError(
            f"'{plot.name}' is no PNG and no HTML", remedy="Call the plot, for instance, grain.png or grain.html."
        )
    place, budget = choose_device(device, threads), read_size(memory) or default_budget()
    if fade is not None:
        if any((plot, profile, film_grain_table, patch, pitch, stock, against, cuts)):
            raise GraphError(
                "--fade looks at colours alone: it goes with --medium and --colourspace",
                remedy="Leave the other options out, or analyse twice.",
            )
        from safelight.host_adapters.cli.fade_report import report

        report(sequence, fade, medium, colourspace, place, budget, untrusted=untrusted, as_json=as_json)
        return
    if cuts and (against is not None or sequence.suffix.casefold() == ".json"):
        raise GraphError("--cuts looks at a sequence", remedy="Leave out --cuts, or analyse the sequence itself.")
    if against is not None:
        if profile is not None or patch is not None or pitch or film_grain_table is not None:
            raise GraphError(
                "--against compares two plates: it has no use for --profile, --patch, --pitch or --film-grain-table",
                remedy="Leave them out, or analyse the plate alone.",
            )
        if plot is not None and plot.suffix.casefold() != ".png":
            raise GraphError(f"'{plot.name}' is no PNG", remedy="Call the plot of a match, for instance, match.png.")
        pair = (sequence, against)
        _against(pair, plot, colourspace, stock, place, budget, untrusted=untrusted, as_json=as_json)
        return
    export = None
    if film_grain_table is not None:
        export = Export(film_grain_table.expanduser(), delivery, matrix, delivery_width, place)
    elif delivery or delivery_width or matrix != "bt709":
        raise GraphError("a delivery is that of a film-grain table", remedy="Name one: --film-grain-table grain.tbl.")
    if sequence.suffix.casefold() == ".json":
        if profile or patch or pitch or stock or colourspace != "auto":
            raise GraphError(
                "a saved profile is not measured again",
                file=sequence,
                remedy="Leave out --profile, --patch, --pitch, --stock and --colourspace, or name the plate itself.",
            )
        found, made = load_profile(sequence.expanduser()), None
        if export is not None:
            made = export.write(found)
    else:
        graph = _graph(sequence, colourspace, profile, patch, pitch, stock, untrusted=untrusted)
        for warning in graph.check():
            say(f"warning: {warning}")
        with interruptible() as cancel, progress_of("auto") as shown:
            results = run_analyses(graph, place, budget=budget, progress=shown, cancel=cancel)
            found, made = Profile.model_validate(results["grain"]["profile"]), None
            if export is not None:
                plate = _graph(sequence, colourspace, measured=False, untrusted=untrusted)
                made = export.write(found, colours_of(plate, "plate", found, place, budget, cancel))
    if plot is not None:
        try:
            if plot.suffix.casefold() == ".png":
                draw(found, sequence.name).save(plot.expanduser(), "PNG")
            else:
                plot.expanduser().write_text(page(found, sequence.name), encoding="utf-8")
        except OSError as error:
            raise GraphError(
                f"the plot cannot be written: {error.strerror}", file=plot, remedy="Name a file in another folder."
            ) from None
    joins = _cuts(sequence, colourspace, device, threads, budget, untrusted=untrusted) if cuts else None
    if as_json:
        put_json(
            {"ok": True, "sequence": sequence, "grain": found.as_data()}
            | ({"film_grain_table": made} if made else {})
            | (joins.as_data() if joins is not None else {})
        )
        return
    _print(found)
    if joins is not None:
        _print_cuts(joins)
    if made is not None:
        _print_table(made)
    for path in (plot, profile, film_grain_table):
        if path is not None:
            say(f"wrote {path}")


def _cuts(sequence: Path, colourspace: str, device: str, threads: int | None, memory: int, *, untrusted: bool) -> Cuts:
    from safelight.host_adapters.cli.commands.cuts import find_in, reading

    document = reading(sequence, colourspace)
    (found,) = find_in(document, None, device=device, threads=threads, memory=memory, untrusted=untrusted).values()
    return found


def _print_cuts(found: Cuts) -> None:
    from safelight.host_adapters.cli.console import out

    cuts = ", ".join(str(cut.frame) for cut in found.cuts) or "none"
    mixed = ", ".join(f"{one.first}-{one.last}" for one in found.dissolves) or "none"
    out().print(f"cuts, first frames of new shots: {cuts}   dissolves and fades: {mixed}", soft_wrap=True)


def _save(picture: Image, path: Path) -> None:
    from safelight.graph.errors import GraphError

    try:
        picture.save(path.expanduser(), "PNG")
    except OSError as error:
        raise GraphError(
            f"the plot cannot be written: {error.strerror}", file=path, remedy="Name a file in another folder."
        ) from None


def _against(
    pair: tuple[Path, Path],
    plot: Path | None,
    colourspace: str,
    stock: str,
    place: Device,
    budget: int,
    *,
    untrusted: bool,
    as_json: bool,
) -> None:
    """Match the second to the first and show the error of the match."""
    from safelight.graph.analysis import run_analyses
    from safelight.host_adapters.cli.console import out, put_json, say
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.match_report import draw_match, match_graph, match_table
    from safelight.host_adapters.cli.progress import progress_of

    plate, picture = (str(path.expanduser().absolute()) for path in pair)
    graph = match_graph(plate, picture, colourspace, stock, untrusted=untrusted)
    for warning in graph.check():
        say(f"warning: {warning}")
    with interruptible() as cancel, progress_of("auto") as shown:
        found = run_analyses(graph, place, budget=budget, progress=shown, cancel=cancel)["match"]
    if plot is not None:
        _save(draw_match(found, f"{pair[1].name} matched to {pair[0].name}"), plot)
    if as_json:
        put_json({"ok": True, "sequence": pair[0], "against": pair[1], "match": found})
        return
    console = out()
    console.print(found["note"], soft_wrap=True)
    if "match" in found:
        console.print(match_table(found["match"]))
    if plot is not None:
        say(f"wrote {plot}")


def _graph(
    sequence: Path,
    colourspace: str,
    profile: Path | None = None,
    patch: str | None = None,
    pitch: float = 0.0,
    stock: str = "",
    *,
    measured: bool = True,
    untrusted: bool,
) -> Graph:
    import json

    from safelight.graph.document import Document
    from safelight.graph.errors import GraphError
    from safelight.graph.graph import Graph

    corners: list[int] = []
    if patch is not None:
        try:
            corners = [int(part) for part in patch.split(",")]
        except ValueError:
            raise GraphError(
                f"--patch {patch} is no area", remedy="Write --patch X0,Y0,X1,Y1 in whole pixels."
            ) from None
    text = [
        "safelight = 1",
        "[nodes.plate]",
        'type = "Read"',
        f"path = {json.dumps(str(sequence.expanduser().absolute()))}",
        f"colourspace = {json.dumps(colourspace)}",
    ]
    if measured:
        text += [
            "[nodes.grain]",
            'type = "GrainAnalyse"',
            'input = "plate"',
            f"profile = {json.dumps(str(profile.expanduser().absolute()) if profile else '')}",
            f"patch = {json.dumps(corners)}",
            f"pitch = {pitch!r}",
            f"stock = {json.dumps(stock)}",
        ]
    return Graph.from_document(Document.parse("\n".join(text)), untrusted=untrusted)


def _print_table(made: dict[str, Any]) -> None:
    from rich.table import Table

    from safelight.host_adapters.cli.console import out

    console = out()
    table = Table(title=f"film-grain table for {made['delivery']}, {made['matrix']}", title_justify="left")
    table.add_column("luma code (8 bits)")
    picked = range(0, len(made["luma"]), max(1, len(made["luma"]) // 9))
    for index in picked:
        table.add_column(str(made["luma"][index]), justify="right")
    for name, row in made["sigma"].items():
        table.add_row(f"sigma {name}", *(f"{row[index]:.2f}" for index in picked))
    console.print(table)
    for remark in made["remarks"]:
        console.print(f"note: {remark}", soft_wrap=True)


def _print(found: Profile) -> None:
    from rich.table import Table

    from safelight.host_adapters.cli.console import out

    console = out()
    facts = found.plate
    frames = "frame" if len(facts.frames) == 1 else "frames"
    said = f"{found.note}   ({len(facts.frames)} {frames} of {facts.width} x {facts.height})"
    console.print(said, soft_wrap=True)
    if not found.grain:
        return
    unit = {"log": "stops", "linear": "plate values", "density": f"density of {found.stock}"}[found.domain]
    table = Table(title=f"sigma, {unit}", title_justify="left")
    for name in ("channel", "stops", "level", "sigma", "±", "sigma linear", "pixels", "from"):
        table.add_column(name, justify="left" if name in ("channel", "from") else "right")
    for name, channel in found.channels.items():
        for point in channel.curve:
            table.add_row(
                name,
                "-" if point.stops is None else f"{point.stops:+.2f}",
                f"{point.level:.4g}",
                f"{point.sigma:.4g}",
                f"{point.uncertainty:.1g}",
                f"{point.sigma_linear:.4g}",
                str(point.samples),
                point.method,
            )
        table.add_section()
    console.print(table)
    table = Table(title="power against white noise", title_justify="left")
    table.add_column("cycles/pixel")
    for frequency in found.frequencies:
        table.add_column(f"{frequency:.3f}", justify="right")
    if found.frequencies_per_mm:
        table.add_row("cycles/mm", *(f"{frequency:.3g}" for frequency in found.frequencies_per_mm))
        table.add_section()
    for name, channel in found.channels.items():
        if channel.spectrum:
            table.add_row(name, *(f"{power:.3f}" for power in channel.spectrum))
    console.print(table)
    names = list(found.channels)
    for i, first in enumerate(names):
        for j in range(i + 1, len(names)):
            console.print(f"correlation {first}-{names[j]}   {found.correlation[i][j]:+.3f}")
    for name, channel in found.channels.items():
        low, high = channel.film_share_range or (0.0, 1.0)
        share = "cannot be told" if channel.film_share is None else f"{channel.film_share:.0%}"
        console.print(f"film grain in {name}   {share} ({low:.0%} to {high:.0%} fit), the rest digital")
