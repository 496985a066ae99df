"""`safelight nodes`: what there is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from safelight.host_adapters.cli.options import Json

if TYPE_CHECKING:
    from safelight.graph.registry import Registry


def nodes(
    node: Annotated[str | None, typer.Argument(metavar="[ID]", help="A node type, for all about it.")] = None,
    as_json: Json = False,
) -> None:
    """List the node types, or show everything about one: ports, parameters, ranges, units.

    \b
    Examples
      safelight nodes
      safelight nodes Degrain
      safelight nodes --json          every type with every parameter
    """
    from safelight.graph.registry import default_registry
    from safelight.host_adapters.cli.console import put_json
    from safelight.host_adapters.cli.describe import describe

    registry = default_registry()
    if node is None:
        if as_json:
            put_json({"nodes": [describe(known) for known in registry.values()]})
        else:
            _list(registry)
        return
    found = describe(registry[node])
    if as_json:
        put_json(found)
    else:
        _show(found)


def _list(registry: Registry) -> None:
    from rich.table import Table

    from safelight.host_adapters.cli.console import out
    from safelight.host_adapters.cli.describe import room, summary

    table = Table(box=None, pad_edge=False)
    for name in ("room", "node", "inputs", "outputs", ""):
        table.add_column(name, overflow="fold", no_wrap=name in ("room", "node"))
    last = ""
    for known in sorted(registry.values(), key=lambda known: (room(known), known.id)):
        inputs = ", ".join(port.name + ("?" if port.optional else "") for port in known.inputs)
        outputs = "a file" if known.sink else ", ".join(port.name for port in known.outputs)
        table.add_row(room(known) if room(known) != last else "", known.id, inputs, outputs, summary(known))
        last = room(known)
    out().print(table)


def _show(found: dict[str, Any]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from safelight.host_adapters.cli.console import out
    from safelight.host_adapters.cli.describe import range_text

    console = out()
    console.print(f"[bold]{found['id']}[/] (nodes/{found['room']}, version {found['version']})\n")
    console.print(escape(found["help"]))
    for title in ("inputs", "outputs"):
        for port in found[title]:
            optional = " (optional)" if port["optional"] else ""
            console.print(f"\n{title[:-1]} [bold]{port['name']}[/]{optional}  {escape(port['help'])}", end="")
    console.print("\n")
    table = Table()
    for name in ("parameter", "type", "default", "range", "unit", "help"):
        table.add_column(name, overflow="fold")
    for item in found["parameters"]:
        default = "must be given" if item["required"] else _value(item["default"])
        span = " | ".join(map(str, item["choices"])) or range_text(item["range"])
        kind = item["kind"] or item["type"]
        table.add_row(item["name"], kind, *map(escape, (default, span, item["unit"], item["help"])))
    console.print(table if found["parameters"] else "no parameters")


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else f'"{value}"' if isinstance(value, str) else str(value)
