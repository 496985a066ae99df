"""GrainMatch: the grain of one Plate measured and laid on another, judged by the survey and by the stock's tables."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.analysis import run_analyses
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.render import pull
from safelight.host_adapters.cli.bench._known import Known, percent, worst
from safelight.host_adapters.cli.bench._peers import THREADS
from safelight.host_adapters.cli.bench.table import Row

MEMORY = 2_000_000_000


def matched(name: str, scan: str, pitch: float, quick: bool) -> Iterator[Row]:
    """Match a clean Plate of one seed to a grained one of another.

    By the survey: what the node's analysis says of itself. By the tables: the grain that was laid in, against the
    stock that it was measured on, which nothing of the match has seen.
    """
    width, height = (480, 270) if quick else (960, 540)
    frames = 2 if quick else 4
    text = f"""safelight = 1
[nodes.a]
type = "Plate"
width = {width}
height = {height}
frames = {frames}
seed = 5
[nodes.film]
type = "Regrain"
input = "a"
stock = "{name}"
pitch = {pitch}
correlation = 1.0
[nodes.b]
type = "Plate"
width = {width}
height = {height}
frames = {frames}
first = 0
seed = 9
[nodes.match]
type = "GrainMatch"
inputs = {{ input = "b", reference = "film" }}
stock = "{name}"
"""
    graph = Graph.from_document(Document.parse(text, Path()))
    device = Device("cpu", THREADS)
    found: Any = run_analyses(graph, device, budget=MEMORY)["match"]["match"]
    label = f"match to {name} at {scan}"
    channels = found["after"]["channels"].values()
    note = f"{sum(one['levels'] for one in channels)} levels; rms {max(one['sigma_rms'] for one in channels):.1%}"
    sigma = max(abs(one["sigma_worst"]) for one in channels)
    yield Row(f"{label}: sigma curve, worst error", 100 * sigma, "%", "≤ 5", note)
    rings = np.array([one["spectrum"] for one in channels])
    yield Row(f"{label}: spectrum, worst ring", worst(rings), "%", "≤ 10", percent(rings.mean(0)))
    yield Row(f"{label}: correlation, error", float(found["after"]["correlation"]), "", "≤ 0.03")
    clean = np.stack([image.data for _, image in pull(graph, "b", device=device)])
    known = Known(clean, name, pitch)
    fields = [known.units(image.data, clean[i], i) for i, image in pull(graph, "match", device=device)]
    readings = known.readings(fields) - 1
    note = f"R, G, B: {percent(readings)}"
    yield Row(f"{label}: 48 µm reading, by the stock's table", worst(readings), "%", note=note)
    errors = known.ring_errors(fields)
    yield Row(f"{label}: spectrum, by the stock's model", worst(errors), "%", note=percent(errors.mean(0)))
