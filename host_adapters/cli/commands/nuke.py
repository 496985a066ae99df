"""`safelight nuke`: the plug-in installed, documents and scripts turned into each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from safelight.host_adapters.cli.guard import guarded

if TYPE_CHECKING:
    from safelight.host_adapters.nuke.install import Done

nuke = typer.Typer(no_args_is_help=True, rich_markup_mode="rich", help="Safelight in Nuke: install, export, import.")

To = Annotated[
    Path | None,
    typer.Option("--to", metavar="FOLDER", help="A folder of NUKE_PATH, for a whole facility. Default: ~/.nuke."),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")]
Output = Annotated[Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.")]
Maps = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FROM=TO", help="Paths beginning with FROM are written TO; may be given many times."),
]


def install(
    to: To = None,
    dry_run: DryRun = False,
    cache: Annotated[
        str, typer.Option("--cache", metavar="FOLDER", help="Where results go. Default: beside each script.")
    ] = "",
    maps: Maps = None,
) -> None:
    """Put the plug-in where Nuke finds it. Run it again after an update; nothing of yours is touched.

    \b
    Examples
      safelight nuke install                            for you: ~/.nuke/safelight
      safelight nuke install --to /studio/nuke/safelight     for all: add that folder to NUKE_PATH
      safelight nuke install --map P:/=/mnt/projects    paths of the other machines, and what they are here
      safelight nuke install --dry-run
    """
    from safelight.host_adapters.nuke.install import install as put

    _say(put(to, dry_run=dry_run, cache=cache, path_map=_pairs(maps)), dry_run, "nothing to do: all is up to date")


def uninstall(to: To = None, dry_run: DryRun = False) -> None:
    """Take the plug-in away again; files that you edited stay, and are named.

    \b
    Examples
      safelight nuke uninstall
      safelight nuke uninstall --to /studio/nuke/safelight --dry-run
    """
    from safelight.host_adapters.nuke.install import uninstall as take

    _say(take(to, dry_run=dry_run), dry_run, "nothing to do")


def export(
    script: Annotated[Path, typer.Argument(metavar="SCRIPT", help="Nuke script, or copied nodes saved as text.")],
    output: Output = None,
    maps: Maps = None,
) -> None:
    """Write the Safelight nodes of a Nuke script as a graph document.

    Nothing in the script is run: expressions and animated parameters are refused by name and line.

    \b
    Examples
      safelight nuke export shot.nk -o shot.toml
      safelight nuke export shot.nk -o shot.toml --map P:/=/mnt/projects
    """
    from safelight.host_adapters.cli.console import say
    from safelight.host_adapters.nuke.from_nk import document_of
    from safelight.host_adapters.nuke.nk.parse import read

    folder = (output.parent if output is not None else Path()).absolute()
    try:
        text, _, found = document_of(read(script), folder=folder, path_map=_pairs(maps))
    except Exception as error:
        raise _in_file(error, script) from None
    if found.left:
        say(f"note: left out, as Safelight has no such node: {', '.join(found.left)}")
    _put(text, output)


def import_(
    graph: Annotated[Path, typer.Argument(metavar="GRAPH", help="Graph document (TOML).")],
    output: Output = None,
) -> None:
    """Write a graph document as Nuke nodes, to paste into Nuke or to open.

    \b
    Examples
      safelight nuke import shot.toml -o shot.nk
      safelight nuke import shot.toml | xclip -selection clipboard     then Ctrl-V in Nuke
    """
    from safelight.graph.document import load_document
    from safelight.host_adapters.nuke.to_nk import text_of

    _put(text_of(load_document(graph)), output)


for _command, _name in ((install, "install"), (uninstall, "uninstall"), (export, "export"), (import_, "import")):
    nuke.command(_name)(guarded(_command))


def _pairs(maps: list[str] | None) -> list[tuple[str, str]]:
    from safelight.graph.errors import GraphError

    pairs = []
    for text in maps or ():
        begin, equals, other = text.partition("=")
        if not equals or not begin:
            raise GraphError(f"'--map {text}' maps nothing", remedy="Write --map FROM=TO.")
        pairs.append((begin, other))
    return pairs


def _say(done: Done, dry_run: bool, nothing: str) -> None:
    from safelight.host_adapters.cli.console import say

    files = [line for line in done.lines if line.startswith(("write ", "renew ", "remove "))]
    if files and not dry_run:
        say(f"{len(files)} files in {done.folder}")
    for line in done.lines or [nothing]:
        if dry_run and done.lines and not line.startswith("Nuke finds"):
            say(f"would {line}")
        elif dry_run or line not in files:
            say(line)


def _put(text: str, output: Path | None) -> None:
    if output is None:
        print(text, end="")
        return
    temporary = output.with_name(f".{output.name}.tmp")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(output)


def _in_file(error: Exception, path: Path) -> Exception:
    from safelight.graph.errors import SafelightError

    return error.at(file=path) if isinstance(error, SafelightError) else error
