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
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.grain.degrain import Degrain, DegrainParams

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


def moving_scene(frames: int, height: int, width: int) -> Frames:
    """Draw a pan over texture, edges and shading with a disc that moves against it: (frames, height, width, 3)."""
    rng = np.random.default_rng(5)
    fy, fx = np.meshgrid(np.fft.fftfreq(height), np.fft.rfftfreq(width), indexing="ij")
    radius = np.hypot(fy, fx) + 1e-3
    texture = []
    for amount in (1.0, 0.5, 0.4):
        phase = np.fft.rfft2(rng.normal(size=(height, width)))
        texture.append((phase, amount, phase / radius**1.1 * np.exp(-((radius / 0.25) ** 2))))
    y, x = np.mgrid[:height, :width]
    out = np.empty((frames, height, width, 3), np.uint8)
    for t in range(frames):
        dx, dy = 3.3 * t, 0.7 * t
        shift = np.exp(-2j * np.pi * (fx * dx + fy * dy))
        grey = np.fft.irfft2(texture[0][2] * shift, (height, width))
        side = [np.fft.irfft2(spectrum * shift, (height, width)) * amount for _, amount, spectrum in texture[1:]]
        base = grey / grey.std() * 18
        bars = 15 * np.tanh(6 * np.sin(2 * np.pi * (x - dx) / (width / 5)))
        colour = [s / s.std() * 8 for s in side]
        planes = np.stack([base + bars + colour[0], base + bars, base + bars + colour[1]], axis=-1) + 120
        cx, cy = width * 0.3 + 5.4 * t, height * 0.5 - 1.9 * t
        inside = np.clip(height * 0.18 - np.hypot(x - cx, y - cy), 0, 1)[..., None]
        disc = np.stack([200 - 0.2 * (x - cx), 90 + 0.3 * (y - cy), 60 + 20 * np.sin((x - cx) / 4)], axis=-1)
        out[t] = np.clip(np.rint(planes * (1 - inside) + disc * inside), 0, 255)
    return out


def sequence(name: str, frames: int = 12) -> Frames | None:
    """Load a sequence of the development pictures; None where they are not."""
    folder = Path(os.environ.get("SAFELIGHT_TEST_DATA", "")) / "images" / "seq" / name
    files = sorted(folder.glob("*.png"))[:frames]
    if not os.environ.get("SAFELIGHT_TEST_DATA") or not files:
        return None
    return np.stack([np.asarray(Picture.open(file).convert("RGB")) for file in files])


def ours(frames: Frames, params: DegrainParams, device: Device) -> tuple[dict[int, Frames], float, float]:
    """Degrain a sequence; return frames by number, seconds per frame in the middle, seconds of the analysis."""
    node = Degrain()
    h, w = frames.shape[1:3]
    region = Region.sized(w, h)
    images = {
        i: Image(np.ascontiguousarray(frame.transpose(2, 0, 1), np.float32) / np.float32(255), region)
        for i, frame in enumerate(frames)
    }
    clips = {"input": Clip(0, len(frames) - 1, region, region)}
    start = time.perf_counter()
    analysis = None
    if node.wants_analysis(params):
        asked = node.analysis_requests(params, clips)
        analysis = node.analyse(params, ((r.frame, images[r.frame]) for r in asked), clips, device)
    analysed = time.perf_counter() - start
    kept: dict[int, object] = {}
    made: dict[int, Frames] = {}
    preparing: list[float] = []
    computing: list[float] = []
    for number in range(len(frames)):
        request = Request(number, region)
        needed = [r.frame for r in node.needs(params, request)["input"] if r.frame in images]
        for frame in needed:
            if frame not in kept:
                start = time.perf_counter()
                kept[frame] = node.prepare(params, "input", images[frame], device)
                preparing.append(time.perf_counter() - start)
        for frame in [frame for frame in kept if frame < min(needed)]:
            del kept[frame]
        inputs = Inputs(
            request,
            {"input": {frame: images[frame] for frame in needed}},
            clips,
            prepared=lambda _port, frame: kept[frame],
            analysis=analysis,
        )
        start = time.perf_counter()
        out = node.compute(params, request, inputs, device)
        if len(needed) == 2 * params.radius + 1 or len(frames) <= 2 * params.radius:
            computing.append(time.perf_counter() - start)
        pixels = np.clip(np.rint(out["image"].data * 255), 0, 255).astype(np.uint8)
        made[number] = pixels.transpose(1, 2, 0)
    return made, float(np.median(preparing) + np.median(computing)), analysed


def ffmpeg(frames: Frames, chain: str, threads: int = THREADS) -> tuple[Frames, float]:
    """Run frames through a chain of ffmpeg's filters; return them and the process's seconds."""
    h, w = frames.shape[1:3]
    raw = ["-f", "rawvideo", "-pix_fmt", "rgb24"]
    limits = ["-threads", str(threads), "-filter_threads", str(threads)]
    command = ["ffmpeg", "-v", "error", *limits, *raw, "-s", f"{w}x{h}", "-i", "-", "-vf", chain, *raw, "-"]
    data = frames.tobytes()
    start = time.perf_counter()
    done = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True, timeout=900)
    seconds = time.perf_counter() - start
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, h, w, 3), seconds


def _score(made: dict[int, Frames] | Frames, clean: Frames, middle: Sequence[int]) -> float:
    return float(np.mean([psnr(made[i], clean[i]) for i in middle]))


def _search(plate: Frames, clean: Frames, middle: Sequence[int]) -> dict[str, float]:
    """Look for the setting of nlmeans with the best PSNR: coordinate descent from the known one, on three frames."""
    few = slice(middle[0], middle[0] + 3)
    steps: dict[str, Sequence[float]] = {"s": (3.7, 4.2, 4.7, 5.2, 6.0), "p": (3, 5, 7), "r": (5, 7, 9, 11)}
    best: dict[str, float] = dict(BEST_NLMEANS)
    for key, values in steps.items():
        scores = {}
        for value in values:
            out, _ = ffmpeg(plate[few], NLMEANS.format(**{**best, key: value}))
            scores[value] = _score(out, clean[few], range(len(out)))
        best[key] = max(scores, key=lambda value: scores[value])
    return best


def _rows(name: str, clean: Frames, quick: bool) -> Iterator[Row]:
    plate = noisy(clean)
    h, w = clean.shape[1:3]
    margin = min(RADIUS, (len(clean) - 1) // 2)
    middle = range(margin, len(clean) - margin)
    size = f"{w}x{h}, {len(clean)} frames, {THREADS} threads"
    params = DegrainParams(domain="linear", radius=RADIUS)
    made, seconds, analysed = ours(plate, params, Device("cpu", THREADS))
    quality = _score(made, clean, middle)
    yield Row(f"{name}: noisy", _score(plate, clean, middle), "dB", note=f"white noise {SIGMA}/255, {size}")
    yield Row(f"{name}: Degrain", quality, "dB", note=f"radius {RADIUS}, noise auto")
    yield Row(f"{name}: Degrain, time", seconds * 1e3, "ms", note="a frame, steady state")
    yield Row(f"{name}: Degrain, analysis", analysed * 1e3, "ms", note="once a shot")
    if shutil.which("ffmpeg") is None:
        return
    best = BEST_NLMEANS if quick else _search(plate, clean, middle)
    chain = NLMEANS.format(**best)
    nothing = min(ffmpeg(plate, "null")[1] for _ in range(1 if quick else 3))
    out, whole = ffmpeg(plate, chain)
    if not quick:  # beside each other, twice: other work on the machine meets both
        again, _ = ours(plate, params, Device("cpu", THREADS))[1:]
        whole, seconds = min(whole, ffmpeg(plate, chain)[1]), min(seconds, again)
    peer, peer_seconds = _score(out, clean, middle), max((whole - nothing) / len(clean), 1e-6)
    yield Row(f"{name}: nlmeans", peer, "dB", note=chain)
    yield Row(f"{name}: nlmeans, time", peer_seconds * 1e3, "ms", note="a frame")
    yield Row(f"{name}: gain over nlmeans", quality - peer, "dB", "≥ 1", "next goal: 2.5 over the best filter")
    yield Row(f"{name}: time against nlmeans", seconds / peer_seconds, "×", "≤ 1")
    for other in OTHERS[:1] if quick else OTHERS:
        out, whole = ffmpeg(plate, other)
        their = _score(out, clean, middle)
        time_ratio = seconds / max((whole - nothing) / len(clean), 1e-6)
        label = other.split(",")[-1].split("=")[0]
        yield Row(f"{name}: gain over {label}", quality - their, "dB", note=f"{other}: {their:.2f} dB")
        yield Row(f"{name}: time against {label}", time_ratio, "×")


def operations(radius: int = RADIUS, step: int = 2) -> tuple[float, float]:
    """Count what a pixel of an RGB frame costs at least: arithmetic operations on floats, and bytes of memory.

    Operations: transforms, comparisons, shrinkage, sums of the dense patches (motion search and compensation add about
    a tenth). Bytes: every plane of the stack read once, moved planes written, the pyramid read once a neighbour.
    """
    frames, dct = 2 * radius + 1, 36
    columns = frames * dct + dct + 16  # vertical transforms, each shared by the eight patches over a column
    patch = frames * 8 * dct + 2 * radius * (64 * 2 + 64 * 2) + 64 * 7 + 8 * dct + 64 + 72
    moved = 2 * radius * 3 * (12 + 2)
    return 3 * (columns + patch) / step + moved, 4.0 * (3 * frames + 2 * 3 * 2 * radius + 1.33 * 2 * radius * 2 + 6 + 3)


def run(*, quick: bool) -> list[Row]:
    """Measure; `quick` for a smoke test on a small scene."""
    rows: list[Row] = []
    size = (6, 96, 160) if quick else (12, 540, 960)
    scenes: list[tuple[str, Frames | None]] = [("moving scene", moving_scene(*size))]
    if not quick:
        scenes += [(name, sequence(name)) for name in ("redtree_pan", "flower_handheld", "walker_lowbitrate")]
    for name, frames in scenes:
        if frames is not None:
            rows += _rows(name, frames, quick)
    work, traffic = operations()
    first = next(row for row in rows if row.name.endswith("Degrain, time"))
    pixels = size[1] * size[2]
    rate = work * pixels / (first.value * 1e-3) / 1e9
    rows.append(Row("operations a pixel", work, "", note=f"counted for radius {RADIUS}"))
    rows.append(
        Row("operations reached", rate, "Gop/s", note=f"{first.name}, {THREADS} threads; 2 × 32 lanes × clock at most")
    )
    rows.append(Row("bytes a pixel", traffic, "B", note="least traffic, counted"))
    rows.append(Row("bytes reached", traffic * pixels / (first.value * 1e-3) / 1e9, "GB/s"))
    return rows
