"""`safelight`: the entry point. Heavy modules are imported by the commands that need them: help comes at once."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from safelight.graph.errors import did_you_mean
from safelight.host_adapters.cli.commands.analyse import analyse
from safelight.host_adapters.cli.commands.bench import bench
from safelight.host_adapters.cli.commands.check import check
from safelight.host_adapters.cli.commands.compare import compare
from safelight.host_adapters.cli.commands.conform import conform
from safelight.host_adapters.cli.commands.cuts import cuts
from safelight.host_adapters.cli.commands.defects import defects
from safelight.host_adapters.cli.commands.demo import demo
from safelight.host_adapters.cli.commands.lut import lut
from safelight.host_adapters.cli.commands.nodes import nodes
from safelight.host_adapters.cli.commands.nuke import nuke
from safelight.host_adapters.cli.commands.render import render
from safelight.host_adapters.cli.commands.resolve import app as resolve
from safelight.host_adapters.cli.commands.train import train
from safelight.host_adapters.cli.console import INTERRUPTED, WRONG_USE, say
from safelight.host_adapters.cli.guard import guarded, report

COMMANDS = (render, check, nodes, compare, analyse, cuts, defects, conform, lut, train, demo, bench)

app = typer.Typer(
    name="safelight",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit status: 0 done, 1 a render failed, 2 wrong use or an invalid graph, 130 interrupted.",
)
for _command in COMMANDS:
    app.command(no_args_is_help=False)(guarded(_command))
app.add_typer(nuke, name="nuke")
app.add_typer(resolve)


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"safelight {version('safelight')}")
        raise typer.Exit


@app.callback()
def safelight(
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks (also: SAFELIGHT_DEBUG=1).")] = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Film and video restoration as a node graph, in scene-linear light.

    \b
    Begin with
      safelight demo out/            a plate grained, degrained, measured
      safelight nodes                what there is
      safelight check graph.toml     what a render would do
      safelight render graph.toml    do it
    """
    if debug:
        os.environ["SAFELIGHT_DEBUG"] = "1"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process with its exit status."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if "--debug" in arguments:
        os.environ["SAFELIGHT_DEBUG"] = "1"
    try:
        status = app(arguments, prog_name="safelight", standalone_mode=False)
        sys.stdout.flush()
    except (typer.Abort, KeyboardInterrupt):
        say("stopped on request")
        status = INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except Exception as error:
        status = _usage(error) if hasattr(error, "format_message") else report(error)
    sys.exit(status if isinstance(status, int) else 0)


def _usage(error: Exception) -> int:
    """Say what is wrong with the command line, in one line. (Typer and click each have a family of these.)"""
    text = " ".join(error.format_message().split())  # type: ignore[attr-defined]
    if not text or type(error).__name__ == "NoArgsIsHelpError":
        return WRONG_USE
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "safelight"
    hint = ""
    if text.startswith("No such command") and "Did you mean" not in text:
        names = [*(command.__name__ for command in COMMANDS), "nuke", "resolve"]
        hint = did_you_mean(text.split("'")[1], names) + " "
    text = text[:1].lower() + text[1:].rstrip(".")
    say(f"error: {text}. {hint}'{path} --help' shows how it is used.".replace("?.", "?"))
    return WRONG_USE


if __name__ == "__main__":
    main()
