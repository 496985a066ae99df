"""Degrain beside ffmpeg's denoisers: white noise on 8-bit material, one run, the same number of threads.

Peers get 8-bit RGB and the settings that serve them best here (searched again in a full run, not in a quick one);
their time is that of the whole ffmpeg process less that of the same process with the filter `null`. Ours is the time
per frame in the middle of a shot: one `prepare`, one `compute`, float in and out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.merging import FULL, LEVELS, REDUCED
from safelight.nodes.grain.stock import load_stock

# Threads that spin while they wait would be counted as work, and slow the peers.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

Frames = npt.NDArray[np.uint8]

SIGMA = 12
THREADS = 2
RADIUS = 2

# Found by search on the three sequences; nlmeans gains most in Y'CbCr, dctdnoiz decorrelates by itself.
NLMEANS = "format=yuv444p,nlmeans=s={s}:p={p}:r={r}"
BEST_NLMEANS = {"s": 4.7, "p": 5, "r": 7}
OTHERS = ("dctdnoiz=s=12", "format=yuv444p,fftdnoiz=sigma=10", "format=yuv444p,hqdn3d=8")


def noisy(frames: Frames, sigma: float = SIGMA, seed: int = 1) -> Frames:
    """Add white Gaussian noise to 8-bit frames, rounded and clipped."""
    rng = np.random.default_rng(seed)
    return np.clip(np.rint(frames + rng.normal(0, sigma, frames.shape)), 0, 255).astype(np.uint8)


def psnr(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    """Return the peak signal-to-noise ratio on the 8-bit scale, in dB."""
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


def plate(frames: int, height: int, width: int, extra: str = "") -> dict[int, Image]:
    """Render the built-in Plate without its cut, or a node named `out` that `extra` (TOML) puts behind it."""
    text = f"""
        safelight = 1
        [nodes.plate]
        type = "Plate"
        width = {width}
        height = {height}
        frames = {frames}
        first = 0
        cut = false
        {extra}
    """
    graph = Graph.from_document(Document.parse(text, Path()))
    return dict(pull(graph, "out" if extra else "plate"))


def display(images: dict[int, Image]) -> Frames:
    """Return scene-linear frames as 8-bit sRGB (IEC 61966-2-1), (frames, height, width, 3)."""
    light = np.stack([np.clip(images[i].data, 0, 1) for i in sorted(images)]).transpose(0, 2, 3, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * np.maximum(light, 1e-6) ** (1 / 2.4) - 0.055)
    codes: Frames = np.rint(255 * curve).astype(np.uint8)
    return codes


def sequence(name: str, frames: int = 12) -> Frames | None:
    """Load a sequence of the development pictures; None where they are not."""
    folder = Path(os.environ.get("SAFELIGHT_TEST_DATA", "")) / "images" / "seq" / name
    files = sorted(folder.glob("*.png"))[:frames]
    if not os.environ.get("SAFELIGHT_TEST_DATA") or not files:
        return None
    return np.stack([np.asarray(Picture.open(file).convert("RGB")) for file in files])


@dataclass(frozen=True)
class Ours:
    """What Degrain made of a shot, and what it took."""

    made: dict[int, Image]
    seconds: float
    """A frame in the middle: one prepare, one compute."""
    processor: float
    """The same in processor seconds of all threads."""
    analysis: float
    """Seconds, once a shot."""

    def frames(self) -> dict[int, Frames]:
        """Return 8-bit frames (height, width, 3) of plate values from 0 to 1."""
        rounded = {i: np.clip(np.rint(image.data * 255), 0, 255) for i, image in self.made.items()}
        return {i: pixels.astype(np.uint8).transpose(1, 2, 0) for i, pixels in rounded.items()}


def as_images(frames: Frames) -> dict[int, Image]:
    """Return 8-bit frames as images of values from 0 to 1."""
    region = Region.sized(frames.shape[2], frames.shape[1])
    planes = (np.ascontiguousarray(frame.transpose(2, 0, 1), np.float32) / np.float32(255) for frame in frames)
    return {i: Image(data, region) for i, data in enumerate(planes)}


def ours(images: dict[int, Image], params: DegrainParams, device: Device) -> Ours:
    """Degrain a shot, stage by stage, with a clock beside each."""
    node = Degrain()
    region = images[0].region
    clips = {"input": Clip(0, len(images) - 1, region, region)}
    start = time.perf_counter()
    analysis = None
    if node.wants_analysis(params):
        asked = node.analysis_requests(params, clips)
        analysis = node.analyse(params, ((r.frame, images[r.frame]) for r in asked), clips, device)
    analysed = time.perf_counter() - start
    kept: dict[int, object] = {}
    made: dict[int, Image] = {}
    preparing: list[tuple[float, float]] = []
    computing: list[tuple[float, float]] = []

    def clock() -> tuple[float, float]:
        return time.perf_counter(), time.process_time()

    for number in range(len(images)):
        request = Request(number, region)
        needed = [r.frame for r in node.needs(params, request)["input"] if r.frame in images]
        for frame in needed:
            if frame not in kept:
                before = clock()
                kept[frame] = node.prepare(params, "input", images[frame], device)
                preparing.append((clock()[0] - before[0], clock()[1] - before[1]))
        for frame in [frame for frame in kept if frame < min(needed)]:
            del kept[frame]
        inputs = Inputs(
            request,
            {"input": {frame: images[frame] for frame in needed}},
            clips,
            prepared=lambda _port, frame: kept[frame],
            analysis=analysis,
        )
        before = clock()
        made[number] = node.compute(params, request, inputs, device)["image"]
        if len(needed) == 2 * params.radius + 1 or len(images) <= 2 * params.radius:
            computing.append((clock()[0] - before[0], clock()[1] - before[1]))
    wall, processor = np.median(preparing, axis=0) + np.median(computing, axis=0)
    return Ours(made, float(wall), float(processor), analysed)


def ffmpeg(frames: Frames, chain: str, threads: int = THREADS) -> tuple[Frames, npt.NDArray[np.float64]]:
    """Run frames through a chain of ffmpeg's filters; return them, and seconds by the clock and of the processor."""
    h, w = frames.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    limits = ["-threads", str(threads), "-filter_threads", str(threads)]
    command = ["ffmpeg", "-v", "error", *limits, *raw, "-s", f"{w}x{h}", "-i", "-", "-vf", chain, *raw, "-"]
    data = frames.tobytes()
    start, used = time.perf_counter(), _children()
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True, timeout=900)
    seconds = np.array([time.perf_counter() - start, _children() - used])
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, h, w, 3), seconds


def _children() -> float:
    """Return the processor seconds of finished child processes."""
    times = os.times()
    return times.children_user + times.children_system


def _score(made: dict[int, Frames] | Frames, clean: Frames, middle: Sequence[int]) -> float:
    return float(np.mean([psnr(made[i], clean[i]) for i in middle]))


def _search(given: Frames, clean: Frames, middle: Sequence[int]) -> dict[str, float]:
    """Look for the setting of nlmeans with the best PSNR: coordinate descent from the known one, on three frames."""
    few = slice(middle[0], middle[0] + 3)
    steps: dict[str, Sequence[float]] = {"s": (3.7, 4.2, 4.7, 5.2, 6.0), "p": (3, 5, 7), "r": (5, 7, 9, 11)}
    best: dict[str, float] = dict(BEST_NLMEANS)
    for key, values in steps.items():
        scores = {}
        for value in values:
            out, _ = ffmpeg(given[few], NLMEANS.format(**{**best, key: value}))
            scores[value] = _score(out, clean[few], range(len(out)))
        best[key] = max(scores, key=lambda value: scores[value])
    return best


def _rows(name: str, clean: Frames, quick: bool) -> Iterator[Row]:
    given = noisy(clean)
    h, w = clean.shape[1:3]
    margin = min(RADIUS, (len(clean) - 1) // 2)
    middle = range(margin, len(clean) - margin)
    size = f"{w}x{h}, {len(clean)} frames, {THREADS} threads"
    params, device = DegrainParams(domain="linear", radius=RADIUS), Device("cpu", THREADS)
    images = as_images(given)
    first = ours(images, params, device)
    quality = _score(first.frames(), clean, middle)
    yield Row(f"{name}: noisy", _score(given, clean, middle), "dB", note=f"white noise {SIGMA}/255, {size}")
    yield Row(f"{name}: Degrain", quality, "dB", note=f"radius {RADIUS}, noise auto")
    yield Row(f"{name}: Degrain, analysis", first.analysis * 1e3, "ms", note="once a shot")
    if shutil.which("ffmpeg") is None:
        yield Row(f"{name}: Degrain, time", first.seconds * 1e3, "ms", note="a frame, steady state")
        return
    best = BEST_NLMEANS if quick else _search(given, clean, middle)
    chain = NLMEANS.format(**best)
    turns = 1 if quick else 3  # in turn, so that other work on the machine meets both alike
    mine, theirs, empty = [], [], []
    for _ in range(turns):
        again = ours(images, params, device)
        mine.append((again.seconds, again.processor))
        out, seconds = ffmpeg(given, chain)
        theirs.append(seconds)
        empty.append(ffmpeg(given, "null")[1])
    nothing = np.median(empty, axis=0)
    peer = np.maximum((np.median(theirs, axis=0) - nothing) / len(clean), 1e-6)
    ratio = np.median(mine, axis=0) / peer
    yield Row(f"{name}: Degrain, time", np.median(mine, axis=0)[0] * 1e3, "ms", note="a frame, steady state")
    their = _score(out, clean, middle)
    yield Row(f"{name}: nlmeans", their, "dB", note=chain)
    yield Row(f"{name}: nlmeans, time", peer[0] * 1e3, "ms", note="a frame")
    yield Row(f"{name}: gain over nlmeans", quality - their, "dB", "≥ 1", "next goal: 2.5 over the best filter")
    yield Row(f"{name}: time against nlmeans", ratio[0], "×", "≤ 1", f"median of {turns} turns")
    yield Row(f"{name}: processor time against nlmeans", ratio[1], "×", "≤ 1", "what a busy machine tells more surely")
    for other in OTHERS[:1] if quick else OTHERS:
        out, seconds = ffmpeg(given, other)
        their = _score(out, clean, middle)
        spent = np.maximum((seconds - nothing) / len(clean), 1e-4)
        label = other.split(",")[-1].split("=")[0]
        yield Row(f"{name}: gain over {label}", quality - their, "dB", note=f"{other}: {their:.2f} dB")
        yield Row(f"{name}: processor time against {label}", np.median(mine, axis=0)[1] / spent[1], "×")


def _film(quick: bool) -> Iterator[Row]:
    """500T grain on the Plate at the pitch of a 2K and a 4K scan, judged in density."""
    size = (5, 96, 160) if quick else (5, 540, 960)
    clean = plate(*size)
    stock = load_stock("500T")
    film = coding("density", stock.curves)
    truth = film.encode(clean[2].data)

    def score(pixels: npt.NDArray[np.float32]) -> float:
        return float(10 * np.log10(3.0**2 / np.mean((film.encode(pixels) - truth) ** 2)))

    for pitch, label in ((12.15, "2K"), (6.08, "4K")):
        grained = plate(*size, f'[nodes.out]\ntype = "Regrain"\nstock = "500T"\npitch = {pitch}\ninput = "plate"')
        before = score(grained[2].data)
        note = f"500T, pitch {pitch} µm, peak 3 D, {size[2]}x{size[1]}"
        yield Row(f"500T at {label}: grained", before, "dB", note=note)
        for params in (DegrainParams(), DegrainParams(noise="stock", pitch=pitch)):
            after = score(ours(grained, params, Device("cpu", THREADS)).made[2].data)
            yield Row(f"500T at {label}: gain, noise {params.noise}", after - before, "dB", "≥ 6 (next)")


def operations(radius: int = RADIUS) -> tuple[float, float]:
    """Count what a pixel of an RGB frame costs at least: arithmetic operations on floats, and bytes of memory.

    Operations: transforms, comparisons, shrinkage, sums of the dense patches at full and reduced sizes (motion search
    adds about a tenth). Bytes: every plane of the stack read once by each stage, moved planes written, the pyramid read
    once a neighbour.
    """
    frames, dct = 2 * radius + 1, 36
    sizes = sum(0.25**level for level in range(1, LEVELS + 1))
    work = 0.0
    for stages, area in ((FULL, 1.0), (REDUCED, sizes)):
        for number, stage in enumerate(stages):
            known = frames + (number > 0)  # the pilot is one picture more
            columns = known * dct + dct + 16  # vertical transforms, each shared by the four patches over a column
            patch = known * 8 * dct + 2 * radius * (64 * 2 + 64 * 2) + 64 * 7 + 8 * dct + 64 + 72
            rows = 1 / stage.step + 2 / stage.colour_step
            work += area * rows * (columns + patch / 2)
    moved = 2 * radius * 3 * (12 + 2)
    planes = 3 * frames * (1 + sizes * (1 + len(REDUCED))) + 2 * 3 * 2 * radius + 1.33 * 2 * radius * 2 + 9
    return work + moved, 4.0 * planes


def run(*, quick: bool) -> list[Row]:
    """Measure; `quick` for a smoke test on a small scene."""
    rows: list[Row] = []
    size = (6, 96, 160) if quick else (12, 540, 960)
    scenes: list[tuple[str, Frames | None]] = [("Plate", display(plate(*size)))]
    if not quick:
        scenes += [(name, sequence(name)) for name in ("redtree_pan", "flower_handheld", "walker_lowbitrate")]
    for name, frames in scenes:
        if frames is not None:
            rows += _rows(name, frames, quick)
    rows += _film(quick)
    work, traffic = operations()
    first = next(row for row in rows if row.name.endswith("Degrain, time"))
    pixels = size[1] * size[2]
    rate = work * pixels / (first.value * 1e-3) / 1e9
    limit = f"{first.name}; {THREADS} cores × 32 operations × clock at most (AVX-512)"
    rows.append(Row("operations a pixel", work, "", note=f"counted for radius {RADIUS}"))
    rows.append(Row("operations reached", rate, "Gop/s", note=limit))
    rows.append(Row("bytes a pixel", traffic, "B", note="least traffic, counted"))
    rows.append(Row("bytes reached", traffic * pixels / (first.value * 1e-3) / 1e9, "GB/s"))
    return rows
