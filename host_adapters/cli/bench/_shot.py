"""Degrain on a shot in memory, with a clock beside each step, and what the machine allows."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import RenderError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.host_adapters.cli.bench._peers import THREADS, Clock
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.grain.regrain import Regrain, RegrainParams


@dataclass(frozen=True)
class Shot:
    """What Degrain made of a shot, and what it took."""

    made: dict[int, Image]
    taken: dict[int, Image]
    seconds: npt.NDArray[np.float64]
    """By the clock and of the processor, a frame in the middle: one prepare, one compute; medians."""
    analysis: float
    """Seconds, once a shot."""


def degrain(
    images: Mapping[int, Image], params: DegrainParams, wanted: range | None = None, analysis: Any = None
) -> Shot:
    """Degrain the frames `wanted` (all) of a shot that begins at 0, on `THREADS` threads.

    `analysis` is that of an earlier run, to save its time.
    """
    node, device = Degrain(), Device("cpu", THREADS)
    region = images[0].region
    clips = {"input": Clip(0, len(images) - 1, region, region)}
    start = time.perf_counter()
    if analysis is None and node.wants_analysis(params):
        asked = node.analysis_requests(params, clips)
        analysis = node.analyse(params, ((r.frame, images[r.frame]) for r in asked), clips, device)
    analysed = time.perf_counter() - start
    kept: dict[int, object] = {}
    made, taken = {}, {}
    preparing, computing = [], []
    for number in wanted or range(len(images)):
        request = Request(number, region)
        needed = [r.frame for r in node.needs(params, request)["input"] if r.frame in images]
        for frame in needed:
            if frame not in kept:
                clock = Clock()
                kept[frame] = node.prepare(params, "input", images[frame], device)
                preparing.append(clock.seconds())
        for frame in [frame for frame in kept if frame < min(needed)]:
            del kept[frame]
        inputs = Inputs(
            request,
            {"input": {frame: images[frame] for frame in needed}},
            clips,
            prepared=lambda _port, frame: kept[frame],
            analysis=analysis,
        )
        clock = Clock()
        found = node.compute(params, request, inputs, device)
        if len(needed) == 2 * params.radius + 1 or len(images) <= 2 * params.radius:
            computing.append(clock.seconds())
        made[number], taken[number] = found["image"], found["grain"]
    return Shot(made, taken, np.median(preparing, axis=0) + np.median(computing, axis=0), analysed)


def regrained(clean: npt.NDArray[np.float32], number: str, pitch: float, seed: int = 1) -> dict[int, Image]:
    """Return clean scene-linear frames (n, 3, H, W) with a stock's grain, another one in each frame."""
    region = Region.sized(clean.shape[3], clean.shape[2])
    params, clip = RegrainParams(stock=number, pitch=pitch, seed=seed), Clip(0, len(clean) - 1, region, region)
    made = {}
    for frame, planes in enumerate(clean):
        inputs = Inputs(Request(frame, region), {"input": {frame: Image(planes, region)}}, {"input": clip})
        made[frame] = Regrain().compute(params, Request(frame, region), inputs, Device("cpu", THREADS))
    return made


def machine_limits(quick: bool) -> tuple[float, float]:
    """Return what this machine does at best on `THREADS` threads: float operations a second, and bytes a second.

    Operations: a product of two matrices that stay in the cache (numpy's BLAS, with the threads it has). Bytes: one
    large copy, read and write.
    """
    n = 256 if quick else 1536
    a, b = np.random.default_rng(1).random((2, n, n), dtype=np.float32)
    source = np.ones((THREADS, (1 << 22) if quick else (1 << 25)), np.float32)
    target = np.zeros_like(source)

    def copy() -> None:
        list(pool.map(np.copyto, target, source))

    best = []
    with ThreadPoolExecutor(THREADS) as pool:
        for job in (lambda: a @ b, copy):
            taken = []
            for _ in range(6):
                start = time.perf_counter()
                job()
                taken.append(time.perf_counter() - start)
            best.append(min(taken[1:]))
    return 2.0 * n**3 / best[0], 2 * source.nbytes / best[1]


def peak_of(frames: int, width: int, height: int) -> float:
    """Return the peak resident bytes of a process that degrains a clip, analysis and all, through the engine."""
    command = [sys.executable, "-m", "safelight.host_adapters.cli.bench._shot", *map(str, (frames, width, height))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RenderError(f"the measured render failed with status {done.returncode}: {last}")
    return float(json.loads(done.stdout))


def _main() -> None:
    from safelight.host_adapters.cli.bench._chain import peak_resident

    frames, width, height = map(int, sys.argv[1:4])
    text = f"""safelight = 1
[nodes.plate]
type = "Plate"
width = {width}
height = {height}
frames = {frames}
cut = false
[nodes.film]
type = "Regrain"
input = "plate"
[nodes.out]
type = "Degrain"
input = "film"
"""
    graph = Graph.from_document(Document.parse(text, Path()))
    for _ in pull(graph, "out", device=Device("cpu", THREADS)):
        pass
    print(json.dumps(peak_resident()))


if __name__ == "__main__":
    _main()
