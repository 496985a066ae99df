"""How fast Regrain is beside a plain copy of the frame, and how far from what memory and arithmetic units allow."""

from __future__ import annotations

import itertools
import re
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from safelight.graph.device import Device, cpu_count
from safelight.graph.image import Array, Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.grain.laying import TILE, Film, Grain, film, grain_tiles
from safelight.nodes.grain.regrain import Regrain, RegrainParams, pitch_of
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.kernels.launch import best_isa

SIZE = (4096, 2160)
QUICK = (512, 270)
LAYERS = (0, 1, 2)

# Arithmetic operations a sample, counted in the sources (regrain_noise.h, regrain_film.h); a fused one counts as two,
# loads, shuffles and the halves of wide products as none.
NOISE = 60 / 4 + 75 / 2
"""Philox-4x32-10 for four samples, Box and Muller for two."""
MAP = 84
"""Light to density, grain, and back."""
GATHERED = 8
"""Table entries that are gathered."""
UNITS, LANES = 2, {"v2": 4, "v3": 8, "v4": 16, "neon": 4}
"""Arithmetic units of a core, and floats in one; each does a fused multiply-add a clock: the peak."""


def run(*, quick: bool) -> list[Row]:
    """Time Regrain as 500T on one RGB float32 frame; medians of runs that take turns with the copy's."""
    width, height = QUICK if quick else SIZE
    region = Region.sized(width, height)
    rng = np.random.default_rng(1)
    # Light over sixteen stops, patch by patch, so that the whole of the curve is read.
    patches = 0.18 * np.exp2(rng.uniform(-9, 7, (3, -(-height // 8), -(-width // 8))))
    data = np.ascontiguousarray(np.kron(patches, np.ones((1, 8, 8)))[:, :height, :width], dtype=np.float32)
    image, copied, grained = Image(data, region), np.ones_like(data), np.ones_like(data)
    device = Device("cpu", cpu_count())
    params = RegrainParams()
    clip = Clip(1, 1, region, region)
    prepared = film(load_stock(params.stock), pitch_of(params, clip), LAYERS, params.skew)
    inputs = Inputs(Request(1, region), {"input": {1: image}}, {"input": clip})

    def kernel() -> None:
        grain_tiles(device, image, LAYERS, grained, Grain(prepared, 1.0, 1, 1))

    part = np.zeros((1, height, width), np.float32)
    part[:, : height // 8, : width // 8] = 1
    matte = Image(part, region, ("A",))

    def under_matte() -> None:
        grain_tiles(device, image, LAYERS, grained, Grain(prepared, 1.0, 1, 1, matte=matte))

    own = image.with_data(np.float32(0.01) * data)
    ports = {"input": {1: image}, "grain": {1: own}, "clean": {1: image}, "changed": {1: matte}}
    originals = Inputs(Request(1, region), ports, dict.fromkeys(ports, clip))

    def original() -> None:
        Regrain().compute(params, Request(1, region), originals, device)

    def node() -> None:
        Regrain().compute(params, Request(1, region), inputs, device)

    with ThreadPoolExecutor(device.threads) as pool:

        def parallel_copy() -> None:
            list(pool.map(np.copyto, _strips(copied, device.threads), _strips(data, device.threads)))

        jobs = (lambda: np.copyto(copied, data), parallel_copy, kernel, node, under_matte, original)
        copy, fastest_copy, ours, whole, masked, restored = _medians(jobs, 3 if quick else 9)

    moved = 2 * data.nbytes
    bandwidth = moved / min(fastest_copy, copy)
    limit = moved / bandwidth
    operations = _operations(prepared)
    rate = operations * data.size / ours / device.threads
    where = f"{width}x{height} RGB float32, 500T, {device.threads} threads, {best_isa()}"
    return [
        Row("plain copy, np.copyto", 1e3 * copy, "ms", note=f"{width}x{height} RGB float32, one thread"),
        Row("Regrain", 1e3 * ours, "ms", note=f"{where}; into a frame that is there"),
        Row("Regrain over the copy", ours / copy, "×", "≤ 8"),
        Row("Regrain, node with a new frame", 1e3 * whole, "ms", note="with the system's time for fresh memory"),
        Row("Regrain, matte full on 1/64", 1e3 * masked, "ms", note="where a matte is empty no noise is made"),
        Row(
            "Regrain, original grain, changed on 1/64",
            1e3 * restored,
            "ms",
            note="the node with a new frame: the plate's own grain back, fresh grain where the picture was changed",
        ),
        Row("nanoseconds a sample and core", 1e9 * ours * device.threads / data.size, "ns"),
        Row(
            "bytes moved", moved / 1e6, "MB", note="one read and one write of each sample, no other frame-sized buffer"
        ),
        Row(
            "memory bandwidth",
            bandwidth / 1e9,
            "GB/s",
            note=f"measured: the better copy, 1 or {device.threads} threads",
        ),
        Row("Regrain over the memory's limit", ours / limit, "×", note=f"limit {1e3 * limit:.1f} ms"),
        Row("operations a sample", operations, "", note=f"counted; beside {GATHERED} gathered table entries"),
        Row("operations a second and core", rate / 1e9, "G", note="integer and float"),
        *_share(rate),
    ]


def _operations(prepared: Film) -> float:
    """Return arithmetic operations a sample: noise and rows also for the seams of tiles."""
    along, down = ((side + 2 * prepared.half) / side for side in TILE)
    filtered = 1 + 3 * prepared.half
    return NOISE * along * down + filtered * (1 + down) + MAP


def _share(rate: float) -> list[Row]:
    """Return how much of a core's peak that is, where the system says the clock."""
    found = re.search(r"cpu MHz\s*:\s*([0-9.]+)", _cpu_facts())
    if found is None or best_isa() not in LANES:
        return []
    clock = 1e6 * float(found[1])
    peak = 2 * UNITS * LANES[best_isa()] * clock
    note = f"{UNITS} units of {LANES[best_isa()]} lanes, a fused multiply-add each at {clock / 1e9:.2f} GHz"
    return [Row("share of the core's peak", 100 * rate / peak, "%", note=note)]


def _cpu_facts() -> str:
    path = Path("/proc/cpuinfo")
    return path.read_text() if path.exists() else ""


def _strips(array: Array, count: int) -> list[Array]:
    flat = array.reshape(-1)
    edges = np.linspace(0, flat.size, count + 1).astype(int)
    return [flat[a:b] for a, b in itertools.pairwise(edges)]


def _medians(jobs: tuple[Callable[[], object], ...], times: int) -> list[float]:
    """Return the median seconds of each job; they take turns, so that a busy machine is busy for all."""
    taken: list[list[float]] = [[] for _ in jobs]
    for turn in range(times + 1):
        for job, seconds in zip(jobs, taken, strict=True):
            start = time.perf_counter()
            job()
            if turn:  # the first turn touches memory and loads code
                seconds.append(time.perf_counter() - start)
    return [statistics.median(seconds) for seconds in taken]
