"""`safelight analyse`: what a plate's grain is, in figures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.host_adapters.cli.options import DeviceName, Json, Memory, Threads, Untrusted, read_size

if TYPE_CHECKING:
    from safelight.graph.graph import Graph
    from safelight.nodes.grain.profile import Profile


def analyse(
    sequence: Annotated[
        Path, typer.Argument(metavar="SEQUENCE", help="File, folder or sequence (shot.####.exr).", show_default=False)
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
    patch: Annotated[
        str | None, typer.Option("--patch", metavar="X0,Y0,X1,Y1", help="Measure this area alone, pixels.")
    ] = None,
    pitch: Annotated[
        float, typer.Option("--pitch", min=0, max=1000, help="Distance of pixels on the film, µm; 0: unknown.")
    ] = 0.0,
    stock: Annotated[
        str, typer.Option("--stock", help="Stock the plate was shot on: sigma is then given in density.")
    ] = "",
    colourspace: Annotated[
        str, typer.Option("--colourspace", help="Colour space of the plate, where the files do not say it.")
    ] = "auto",
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
      safelight analyse scan.exr --stock 500T --pitch 6 --patch 200,100,600,400 --json
    """
    from safelight.graph.analysis import run_analyses
    from safelight.graph.device import choose_device
    from safelight.graph.errors import GraphError
    from safelight.graph.render import default_budget
    from safelight.host_adapters.cli.console import put_json, say
    from safelight.host_adapters.cli.grain_page import page
    from safelight.host_adapters.cli.grain_plot import draw
    from safelight.host_adapters.cli.guard import interruptible
    from safelight.host_adapters.cli.progress import progress_of
    from safelight.nodes.grain.profile import Profile

    for path in (plot, profile):
        if path is not None and not path.expanduser().absolute().parent.is_dir():
            raise GraphError("the folder is not there", file=path, remedy="Make the folder, or name another.")
    if plot is not None and plot.suffix.casefold() not in (".png", ".html"):
        raise GraphError(
            f"'{plot.name}' is no PNG and no HTML", remedy="Call the plot, for instance, grain.png or grain.html."
        )
    place, budget = choose_device(device, threads), read_size(memory)
    graph = _graph(sequence, colourspace, profile, patch, pitch, stock, untrusted=untrusted)
    for warning in graph.check():
        say(f"warning: {warning}")
    with interruptible() as cancel, progress_of("auto") as shown:
        results = run_analyses(graph, place, budget=budget or default_budget(), progress=shown, cancel=cancel)
    found = Profile.model_validate(results["grain"]["profile"])
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
    if as_json:
        put_json({"ok": True, "sequence": sequence, "grain": found.as_data()})
        return
    _print(found)
    for path in (plot, profile):
        if path is not None:
            say(f"wrote {path}")


def _graph(
    sequence: Path,
    colourspace: str,
    profile: Path | None,
    patch: str | None,
    pitch: float,
    stock: str,
    *,
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
        "[nodes.grain]",
        'type = "GrainAnalyse"',
        'input = "plate"',
        f"profile = {json.dumps(str(profile.expanduser().absolute()) if profile else '')}",
        f"patch = {json.dumps(corners)}",
        f"pitch = {pitch!r}",
        f"stock = {json.dumps(stock)}",
    ]
    return Graph.from_document(Document.parse("\n".join(text)), untrusted=untrusted)


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
