"""`bench nuke`: how long Nuke's start waits for the plug-in, and documents turned into nodes and back."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from safelight.graph.document import Document
from safelight.host_adapters.cli.bench.table import Row

_START = """
import sys, time, types
class Nuke(types.ModuleType):
    GUI = True
    def __getattr__(self, name):
        return lambda *args, **kwargs: self
sys.modules["nuke"] = Nuke("nuke")
sys.path.insert(0, sys.argv[1])
import json, os  # Nuke has these already
began = time.perf_counter(), time.process_time()
import init, menu
print(time.perf_counter() - began[0], time.process_time() - began[1])
"""


def run(*, quick: bool) -> list[Row]:
    """Install the plug-in into a folder, start it in fresh processes beside a Nuke that takes no time, convert a chain.

    What Nuke itself takes to make a menu entry is not in it.
    """
    from safelight.host_adapters.nuke.from_nk import document_of
    from safelight.host_adapters.nuke.install import install
    from safelight.host_adapters.nuke.nk.parse import parse
    from safelight.host_adapters.nuke.to_nk import text_of

    starts, length = (2, 20) if quick else (15, 200)
    with tempfile.TemporaryDirectory(prefix="safelight-bench-nuke-") as name:
        folder = install(Path(name)).folder
        times = [_start(folder) for _ in range(starts)]
    note = f"init.py and menu.py, median of {starts} fresh processes, Python {sys.version.split()[0]}"
    rows = [
        Row("menu: clock", 1000 * statistics.median(clock for clock, _ in times), "ms", "≤ 100", note),
        Row("menu: processor", 1000 * statistics.median(used for _, used in times), "ms", note=note),
    ]
    chain = ['safelight = 1\n[nodes.n0]\ntype = "Plate"\n']
    chain += [f'[nodes.n{index}]\ntype = "Degrain"\ninput = "n{index - 1}"\n' for index in range(1, length)]
    document = Document.parse("".join(chain))
    began = time.process_time()
    text = text_of(document)
    between = time.process_time()
    document_of(parse(text))
    ended = time.process_time()
    size = f"a chain of {length} nodes, {len(text) / 1e6:.2f} MB of script"
    rows.append(Row("document to nodes", 1000 * (between - began) / length, "ms a node", note=size))
    rows.append(Row("nodes to document", 1000 * (ended - between) / length, "ms a node", note=size))
    return rows


def _start(folder: Path) -> tuple[float, float]:
    done = subprocess.run(
        [sys.executable, "-c", _START, str(folder)], capture_output=True, text=True, check=True, timeout=120
    )
    clock, used = map(float, done.stdout.split())
    return clock, used
