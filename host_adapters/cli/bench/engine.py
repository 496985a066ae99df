"""`bench engine`: how fast a render is planned, and whether it keeps to its memory."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from typing import Any

from safelight.graph.errors import RenderError
from safelight.graph.plan import plan, sink_targets
from safelight.host_adapters.cli.bench._chain import chain
from safelight.host_adapters.cli.bench.table import Row

MEMORY = 4_000_000_000


def run(*, quick: bool) -> list[Row]:
    """Measure planning time and peak resident memory."""
    frames = 100 if quick else 500
    graph = chain(frames, 2048, 1152)
    wanted = list(range(1, frames + 1))
    times = []
    for _ in range(3 if quick else 9):
        began = time.perf_counter()
        made = plan(graph, sink_targets(graph, wanted))
        times.append(time.perf_counter() - began)
    width, height = (512, 288) if quick else (2048, 1152)
    short, long = (20, 40) if quick else (50, 200)
    few, many = (_child(count, MEMORY, width, height) for count in (short, long))
    size = f"{width} x {height}, total radius 10, --memory 4GB"
    return [
        Row(
            f"planning {frames} frames",
            statistics.median(times) * 1000,
            "ms",
            "< 100",
            f"total radius 10, {len(made.tasks)} tasks; median of {len(times)}",
        ),
        Row(f"peak resident, {long} frames", many["peak_resident"] / 1e9, "GB", "< 5", size),
        Row(f"pixels held at most, {long} frames", many["pixels"] / 1e9, "GB", "≤ 4", size),
        Row(
            f"peak resident, {long} frames over {short}",
            many["peak_resident"] / few["peak_resident"],
            "×",
            "≤ 1.15",
            "memory does not grow with the clip",
        ),
        Row(f"engine, {long} frames", many["frames"] / many["seconds"], "fps", "", f"{size}; filters do nothing much"),
    ]


def _child(frames: int, memory: int, width: int, height: int) -> dict[str, Any]:
    """Render in a process of its own, whose memory is nobody else's."""
    command = [sys.executable, "-m", "safelight.host_adapters.cli.bench._chain"]
    numbers = [str(number) for number in (frames, memory, width, height)]
    done = subprocess.run([*command, *numbers], capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RenderError(f"the measured render failed with status {done.returncode}: {last}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found
