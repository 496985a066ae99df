"""`safelight bench`: ours beside peers, in one run."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated, Any

import typer

from safelight.host_adapters.cli.options import Json

PACKAGE = "safelight.host_adapters.cli.bench"


def benches() -> list[str]:
    """Return the names of the benchmarks there are."""
    package = importlib.import_module(PACKAGE)
    found = (info.name for info in pkgutil.iter_modules(package.__path__))
    return sorted(name for name in found if name != "table" and not name.startswith("_"))


def bench(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="A benchmark; without one they are listed.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Small pictures, few repeats: does it run, not how fast.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Measure speed and quality, beside a peer in the same run where there is one.

    \b
    Examples
      safelight bench                list them
      safelight bench engine
      safelight bench degrain --json
    """
    from safelight.graph.errors import GraphError, did_you_mean
    from safelight.host_adapters.cli.bench.table import as_data, as_table
    from safelight.host_adapters.cli.console import out, put_json, say

    known = benches()
    if name is None:
        if as_json:
            put_json({"benches": known})
        else:
            print("\n".join(known))
        return
    if name not in known:
        listed = ", ".join(known) or "none"
        raise GraphError(f"there is no benchmark '{name}'", remedy=did_you_mean(name, known) or f"There are: {listed}.")
    say(f"measuring {name}{' (quick)' if quick else ''}")
    rows = importlib.import_module(f"{PACKAGE}.{name}").run(quick=quick)
    if as_json:
        put_json({"ok": True, "bench": name, "quick": quick, "machine": machine(), "rows": as_data(rows)})
    else:
        out().print(as_table(name, rows))


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    import platform

    from safelight.graph.device import cpu_count
    from safelight.nodes.kernels.launch import best_isa

    return {"cores": cpu_count(), "isa": best_isa(), "python": platform.python_version(), "system": platform.platform()}
