"""`bench io`: Read -> Write of EXR frames beside `oiiotool` copying the same ones."""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import RenderError
from safelight.graph.graph import Graph
from safelight.graph.render import render
from safelight.host_adapters.cli.bench.table import Row

COMPRESSIONS = ("none", "zip", "piz", "dwaa")
THREADS = 2


def run(*, quick: bool) -> list[Row]:
    """Copy the same frames with both, turn about, at each compression; report the ratio of the times.

    The frames hold smooth shapes with noise of 1 %, half float. Ours forces every frame to disk before it gets its
    name, which `oiiotool` does not; `oiiotool`'s start is measured and taken off its time.

    Raises
    ------
    RenderError
        `oiiotool` (it comes with OpenImageIO) is not there, or failed.
    """
    width, height, frames, rounds = (512, 270, 3, 1) if quick else (4096, 2160, 6, 3)
    tool = _tool()
    rows = []
    with tempfile.TemporaryDirectory(prefix="safelight-bench-io-") as name:
        folder = Path(name)
        for compression in COMPRESSIONS:
            source = _frames(folder / compression, compression, width, height, frames)
            graph = _graph(source, folder / "ours", compression)
            ours, theirs, cpu = [], [], []
            for _ in range(rounds):
                used, began = os.times(), time.perf_counter()
                render(graph, device=Device("cpu", THREADS))
                ours.append((time.perf_counter() - began) / frames)
                between = os.times()
                theirs.append(_copy(tool, source, folder / "theirs", frames) / frames)
                cpu.append(_ratio(used, between, os.times()))
            mine, peer = statistics.median(ours), statistics.median(theirs)
            size = f"{width}x{height} RGB half, {frames} frames, {THREADS} threads, median of {rounds}"
            rows.append(Row(f"{compression}: Read -> Write", 1000 * mine, "ms", note=size))
            rows.append(Row(f"{compression}: oiiotool", 1000 * peer, "ms", note=f"{_version()}, {size}"))
            rows.append(Row(f"{compression}: ratio", mine / peer, "×", "≤ 1.2"))
            note = "processor seconds, ours over oiiotool's: what a machine busy with other work does not blur"
            rows.append(Row(f"{compression}: processor ratio", statistics.median(cpu), "×", note=note))
            for done in (folder / "ours", folder / "theirs", folder / compression):
                shutil.rmtree(done)
    return rows


def _ratio(start: os.times_result, between: os.times_result, end: os.times_result) -> float:
    """Return this process's processor time up to `between` over its children's from there on."""
    mine = between.user + between.system - start.user - start.system
    theirs = end.children_user + end.children_system - between.children_user - between.children_system
    return mine / max(theirs, 1e-3)


def _tool() -> str:
    beside = Path(sys.executable).with_name("oiiotool")
    found = str(beside) if beside.exists() else shutil.which("oiiotool")
    if found is None:
        raise RenderError("oiiotool is not there", remedy="It comes with OpenImageIO: pip install OpenImageIO.")
    return found


def _version() -> str:
    import OpenImageIO

    return f"OpenImageIO {OpenImageIO.VERSION_STRING}"


def _frames(folder: Path, compression: str, width: int, height: int, frames: int) -> Path:
    """Make the frames, with OpenImageIO alone."""
    import OpenImageIO

    folder.mkdir()
    rng = np.random.default_rng(1)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    shapes = np.stack([0.5 + 0.4 * np.sin(x / 97 + k) + 0.3 * np.cos(y / 53 - k) for k in range(3)], axis=2) ** 2
    for frame in range(1, frames + 1):
        noise = rng.standard_normal(shapes.shape, np.float32) * np.float32(0.01)
        spec = OpenImageIO.ImageSpec(width, height, 3, "half")
        spec["compression"] = compression
        output: Any = OpenImageIO.ImageOutput.create("openexr")
        path = folder / f"frame.{frame:04d}.exr"
        good = output.open(str(path), spec) and output.write_image(
            (np.roll(shapes, 7 * frame, 1) + noise).astype(np.float16)
        )
        if not (output.close() and good):
            raise RenderError("the benchmark's frames cannot be written", file=path)
    return folder


def _graph(source: Path, target: Path, compression: str) -> Graph:
    text = f"""
        safelight = 1
        [nodes.read]
        type = "Read"
        path = {str(source / "frame.####.exr")!r}
        [nodes.write]
        type = "Write"
        input = "read"
        path = {str(target / "frame.####.exr")!r}
        datatype = "half"
        compression = {compression!r}
    """
    return Graph.from_document(Document.parse(text, source))


def _copy(tool: str, source: Path, target: Path, frames: int) -> float:
    """Copy with oiiotool; return the seconds, less those of its start."""
    target.mkdir(exist_ok=True)
    environment = {**os.environ, "OPENIMAGEIO_THREADS": str(THREADS)}
    began = time.perf_counter()
    subprocess.run([tool, "--version"], check=True, capture_output=True, env=environment)
    start = time.perf_counter() - began
    command = [tool, "--threads", str(THREADS), "--frames", f"1-{frames}"]
    began = time.perf_counter()
    done = subprocess.run(
        [*command, str(source / "frame.%04d.exr"), "-o", str(target / "frame.%04d.exr")],
        capture_output=True,
        text=True,
        env=environment,
    )
    seconds = time.perf_counter() - began
    if done.returncode or len(list(target.iterdir())) != frames:
        raise RenderError(f"oiiotool failed: {done.stderr.strip()[:200]}")
    return max(seconds - start, 1e-4)
