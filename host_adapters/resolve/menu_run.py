"""What the menu script runs inside Resolve's own Python, where the free edition answers nobody else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def run(resolve: Any, arguments: Sequence[str]) -> int:
    """Run a `safelight resolve …` command on the Resolve this Python runs in; return its exit status.

    Errors are printed as on the command line, for the console of the host.
    """
    from safelight.host_adapters.cli.main import main
    from safelight.host_adapters.resolve import connect

    with connect.given(resolve):
        try:
            main(arguments)
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else 1
    return 0
