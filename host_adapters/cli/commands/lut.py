"""`safelight lut`: the colour of a graph as a table for Resolve, Nuke and others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from safelight.host_adapters.cli.options import GraphFile, Json, Sets, Threads, read_sets


def lut(
    graph: GraphFile,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The table: look.cube, or look.dctl (with a .cube).")
    ],
    size: Annotated[int, typer.Option("--size", min=2, max=129, help="Colours along an edge of the lattice.")] = 65,
    shaper: Annotated[
        bool | None,
        typer.Option(
            "--shaper/--no-shaper", help="Spread light logarithmically. Default: where scene-linear colours come in."
        ),
    ] = None,
    highest: Annotated[
        float, typer.Option("--highest", min=0.1, max=65504, help="Brightest light that the shaper reaches.")
    ] = 16.0,
    input_space: Annotated[
        str,
        typer.Option("--input-space", metavar="SPACE", help="Of colours coming in. Default: the Read's, or linear."),
    ] = "",
    output_space: Annotated[
        str,
        typer.Option("--output-space", metavar="SPACE", help="Of those going out. Default: the Write's, or linear."),
    ] = "",
    write: Annotated[str, typer.Option("--write", metavar="NODE", help="The Write that ends the chain.")] = "",
    sets: Sets = None,
    threads: Threads = None,
    as_json: Json = False,
) -> None:
    """Export the colour of a graph as a table, and say how far the table is from the exact colours.

    Between Read and Write there may be only nodes that work pixel by pixel, without frame or place: Convert, Mix. A
    .cube without shaper holds 0 to 1; with one, 0 to --highest, in the form that Resolve writes. A .dctl computes the
    shaper exactly and reads the .cube beside it: put both into Resolve's LUT folder. Colours outside go to the nearer
    end.

    \b
    Examples
      safelight lut look.toml -o look.cube --input-space ACEScct --output-space ACEScct
      safelight lut look.toml -o look.dctl --highest 64
      safelight lut look.toml -o look.cube --size 33 --json

    The error is that of 20000 random colours spread evenly over the lattice, read back from the file by OpenColorIO
    with tetrahedral interpolation: ΔE ITP (1 is just visible to a critical eye) and ΔE2000.
    """
    from safelight.graph.device import Device, choose_device
    from safelight.graph.document import load_document
    from safelight.graph.errors import GraphError
    from safelight.graph.graph import Graph
    from safelight.host_adapters.cli.console import out, put_json, say
    from safelight.host_adapters.cli.landed import write_text
    from safelight.host_adapters.lut.chain import Chain
    from safelight.host_adapters.lut.table import Shaper, apply_cube, cube_text, dctl_text, make_table, measure

    suffix = output.suffix.casefold()
    if suffix not in (".cube", ".dctl"):
        raise GraphError(
            f"'{output.name}' is no kind of table written here", remedy="Call it, for instance, look.cube or look.dctl."
        )
    if not output.expanduser().absolute().parent.is_dir():
        raise GraphError("the folder is not there", file=output, remedy="Make the folder, or name another.")
    device = Device("cpu", choose_device("cpu", threads).threads)
    built = Graph.from_document(load_document(graph, read_sets(sets)))
    chain = Chain(built, device, write, input_space, output_space)
    shaped = chain.linear if shaper is None else shaper
    by = Shaper(highest) if shaped else None
    table = make_table(chain, size, by)
    title = f"{graph.stem}: {chain.source} to {chain.meant}"
    cube = output.expanduser().with_suffix(".cube")
    texts = {cube: cube_text(table, size, by if suffix == ".cube" else None, title)}
    if suffix == ".dctl":
        texts[output.expanduser()] = dctl_text(cube.name, by, title)
    for path, text in texts.items():
        write_text(path, text, "the table")

    def through(colours):  # type: ignore[no-untyped-def]
        if suffix == ".dctl" and by is not None:
            return apply_cube(cube, by.shape(colours.astype("float64")).astype("float32"))
        return apply_cube(cube, colours)

    error = measure(chain, by, through, device)
    if as_json:
        put_json(
            {
                "ok": True,
                "files": list(texts),
                "nodes": chain.nodes,
                "input_space": chain.source,
                "output_space": chain.meant,
                "size": size,
                "range": [0.0, by.highest if by else 1.0],
                "shaper": by is not None,
                "error": error.as_data(),
            }
        )
        return
    console = out()
    console.print(f"{title}: {', '.join(chain.nodes) or 'nothing between'}", soft_wrap=True, markup=False)
    console.print(f"{size}³ colours, light from 0 to {by.highest if by else 1:g}{' through a shaper' if by else ''}")
    console.print(
        f"error over {error.colours} colours: ΔE ITP mean {error.itp_mean:.3g}, 99 % {error.itp_99:.3g}, most "
        f"{error.itp_max:.3g} (at {', '.join(f'{value:.4g}' for value in error.worst)}); "
        f"ΔE2000 mean {error.lab_mean:.3g}, most {error.lab_max:.3g}",
        soft_wrap=True,
    )
    for path in texts:
        say(f"wrote {path}")
