"""Degrain beside other people's denoisers in one run: quality, time, memory, distance to the machine's limits.

Peers get what they take (8-bit RGB, or a 16-bit log encode) and, on every clip, the setting that serves them best
there, searched in the same run (`_peers.search`; a quick run takes the search's beginning). A peer's time is that of
its whole process less that of the same process with a filter that does nothing. Ours is the time of a frame in the
middle of a shot: one `prepare`, one `compute`, float in and out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.host_adapters.cli.bench._clips import (
    SEQUENCES,
    Codes,
    as_codes,
    as_images,
    display,
    from_log_codes,
    log_codes,
    noisy,
    plate,
    psnr,
    scene_linear,
    sequence,
)
from safelight.host_adapters.cli.bench._ffmpeg import Filter, ffmpeg, filters
from safelight.host_adapters.cli.bench._others import packages
from safelight.host_adapters.cli.bench._peers import THREADS, Peer, search
from safelight.host_adapters.cli.bench._shot import degrain, machine_limits, peak_of, regrained
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.grain.degrain import Degrain, DegrainParams
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.merging import FULL, LEVELS, REDUCED
from safelight.nodes.grain.stock import load_stock

SIGMA = 12
RADIUS, WIDER = 2, 3
GAIN, FILM_GAIN = "≥ 2.5", "≥ 6"
STRONG = ("nlmeans", "dctdnoiz", "bm3d", "fftdnoiz")
"""Filters that are tried on film grain: the others stay 1 to 8 dB behind these on white noise."""
DENSITY_PEAK = 3.0


def run(*, quick: bool) -> list[Row]:
    """Measure; `quick` for a smoke test on a small scene."""
    there, missing = filters()
    more, absent = packages()
    rows = [Row("peers", len(there) + len(more), "", note="; ".join(filter(None, (missing, absent))))]
    rows += _white_noise((*there, *more), quick)
    rows += _film([one for one in there if one.name in STRONG], quick)
    rows += _speed(any(one.name == "nlmeans" for one in there), quick)
    rows += _memory(quick)
    return rows


# --- white noise on 8-bit material -------------------------------------------------------------------------------


@dataclass
class _Tally:
    """What the clips said, for the rows over all of them."""

    noisy: list[float] = field(default_factory=list)
    ours: list[float] = field(default_factory=list)
    gains: dict[str, list[float]] = field(default_factory=dict)
    times: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def gain(self, name: str, value: float) -> float:
        self.gains.setdefault(name, []).append(value)
        return value

    def rows(self, name: str, target: str = "") -> Iterator[Row]:
        count = f"median over {len(self.ours)} clip{'s' * (len(self.ours) > 1)}"
        yield Row(f"{name}: noisy", float(np.median(self.noisy)), "dB", note=count)
        yield Row(f"{name}: Degrain", float(np.median(self.ours)), "dB", note=count)
        yield Row(f"{name}: gain over the plate", float(np.median(np.subtract(self.ours, self.noisy))), "dB", target)
        for peer, gains in self.gains.items():
            worst = f"{count}; least {min(gains):+.2f}"
            yield Row(f"{name}: gain over {peer}", float(np.median(gains)), "dB", GAIN if "best" in peer else "", worst)
        if self.times:
            wall, processor = np.median(self.times, axis=0)
            yield Row(f"{name}: time over nlmeans'", wall, "×", "≤ 1", count)
            yield Row(f"{name}: processor time over nlmeans'", processor, "×", "≤ 1", count)


def _white_noise(peers: Sequence[Peer], quick: bool) -> Iterator[Row]:
    size = (6, 96, 160) if quick else (12, 540, 960)
    scenes: list[tuple[str, Codes | None]] = [("Plate", display(plate(*size)))]
    if not quick:
        scenes += [(name, sequence(name)) for name in SEQUENCES]
    tally = _Tally()
    for name, frames in scenes:
        if frames is None:
            yield Row(f"{name}: left out", 0, "", note="set SAFELIGHT_TEST_DATA to the development pictures")
        else:
            yield from _clip(name, frames, peers, tally, quick)
    yield from tally.rows("white noise, all clips")


def _clip(name: str, clean: Codes, peers: Sequence[Peer], tally: _Tally, quick: bool) -> Iterator[Row]:
    given = noisy(clean, SIGMA)
    images = as_images(given)
    at = len(clean) // 2
    params = DegrainParams(domain="linear", radius=RADIUS)
    first = degrain(images, params)
    middle = range(min(RADIUS, at), max(len(clean) - RADIUS, at + 1))
    made = {i: as_codes(first.made[i]) for i in middle}
    ours = float(np.mean([psnr(made[i], clean[i]) for i in middle]))
    wider = degrain(images, params.model_copy(update={"radius": WIDER}))
    plain = float(np.mean([psnr(given[i], clean[i]) for i in middle]))
    tally.noisy.append(plain)
    tally.ours.append(ours)
    size = f"{clean.shape[2]}x{clean.shape[1]}, {len(clean)} frames, {THREADS} threads"
    yield Row(f"{name}: noisy", plain, "dB", note=f"white noise {SIGMA}/255, {size}")
    yield Row(f"{name}: Degrain", ours, "dB", note=f"radius {RADIUS}, noise auto")
    yield Row(f"{name}: Degrain, analysis", first.analysis * 1e3, "ms", note="once a shot")
    gains: dict[str, float] = {}
    texts: dict[str, str] = {}
    for peer in peers:
        setting = peer.start(SIGMA) if quick else search(peer, given, clean, SIGMA)
        if peer.name == "bm3d package":  # minutes a frame: a part of it, ours judged on the same part
            part = (slice(None), slice(0, 192), slice(0, 256))
            theirs = psnr(peer.middle(given[part], at, setting), clean[part][at])
            gain = psnr(made[at][part[1:]], clean[part][at]) - theirs
        else:
            theirs = psnr(peer.middle(given, at, setting), clean[at])
            gain = psnr(made[at], clean[at]) - theirs
        gains[peer.name] = tally.gain(peer.name, gain)
        texts[peer.name] = peer.text(setting)
        yield Row(f"{name}: {peer.name}", theirs, "dB", note=f"{peer.text(setting)}; Degrain gains {gain:+.2f} dB")
    ffmpegs = [peer for peer in peers if isinstance(peer, Filter)]
    if not ffmpegs:
        return
    best = min(ffmpegs, key=lambda peer: gains[peer.name])
    tally.gain("the best filter", gains[best.name])
    yield Row(f"{name}: gain over the best filter", gains[best.name], "dB", GAIN, f"of ffmpeg's: {best.name}")
    mine, theirs_time = first.seconds, _cost(texts[best.name], given[at - best.reach : at + best.reach + 1])
    note = f"{best.name}'s: {theirs_time[1] * 1e3:.0f} ms a frame"
    yield Row(f"{name}: processor time over the best filter's", mine[1] / theirs_time[1], "×", note=note)
    more = gains[best.name] + psnr(as_codes(wider.made[at]), clean[at]) - psnr(made[at], clean[at])
    tally.gain(f"the best filter, radius {WIDER}", more)
    note = f"{wider.seconds[1] / first.seconds[1]:.2f} × the processor time of radius {RADIUS}"
    yield Row(f"{name}: gain over the best filter, radius {WIDER}", more, "dB", GAIN, note)
    if "nlmeans" in texts:
        wall, processor = _against(texts["nlmeans"], given, images, params, 1 if quick else 3)
        tally.times.append(np.array([wall, processor]))
        yield Row(f"{name}: time over nlmeans'", wall, "×", "≤ 1", "both at that setting, in turn; medians")
        yield Row(
            f"{name}: processor time over nlmeans'", processor, "×", "≤ 1", "what a busy machine tells more surely"
        )


def _cost(chain: str, frames: Codes) -> npt.NDArray[np.float64]:
    """Return seconds a frame that the filters take, without ffmpeg's start and the pipes."""
    spent = ffmpeg(frames, chain)[1] - ffmpeg(frames, "null")[1]
    return np.asarray(np.maximum(spent / len(frames), 1e-4))


def _against(
    chain: str, given: Codes, images: Mapping[int, Image], params: DegrainParams, turns: int
) -> tuple[float, float]:
    """Return Degrain's time over a chain of ffmpeg's, by the clock and of the processor: medians of runs in turn."""
    analysis = _analysis(images, params)
    wanted = range(params.radius, min(params.radius + 4, len(images) - params.radius))
    mine, theirs = [], []
    for _ in range(turns):
        mine.append(degrain(images, params, wanted, analysis).seconds)
        theirs.append(_cost(chain, given))
    wall, processor = np.median(mine, axis=0) / np.median(theirs, axis=0)
    return float(wall), float(processor)


def _analysis(images: Mapping[int, Image], params: DegrainParams) -> Mapping[str, object]:
    region = images[0].region
    clips = {"input": Clip(0, len(images) - 1, region, region)}
    asked = Degrain().analysis_requests(params, clips)
    pictures = ((request.frame, images[request.frame]) for request in asked)
    return Degrain().analyse(params, pictures, clips, Device("cpu", THREADS))


# --- film grain, judged in density -------------------------------------------------------------------------------


def _film(peers: Sequence[Peer], quick: bool) -> Iterator[Row]:
    """Grain of 5219 and 5207 at the pitch of a 2K and a 4K scan, on clips that stand still and that move."""
    h, w = (96, 160) if quick else (288, 512)
    moving = plate(5, h, w)
    clips: list[tuple[str, npt.NDArray[np.float32] | None]] = [
        ("Plate", np.stack([moving[i].data for i in range(5)])),
        ("Plate, standing still", np.repeat(moving[2].data[None], 5, axis=0)),
    ]
    if not quick:
        found = [(name, sequence(name, 5)) for name in SEQUENCES]
        clips += [(name, None if f is None else scene_linear(f[:, :h, :w])) for name, f in found]
    kinds = [("5219", 12.15), ("5219", 6.08), ("5207", 12.15), ("5207", 6.08)]
    for number, pitch in kinds[1:2] if quick else kinds:
        tally, scan = _Tally(), "4K" if pitch < 7 else "2K"
        for name, clean in clips:
            if clean is not None:
                yield from _grained(f"{number} at {scan}, {name}", clean, number, pitch, peers, tally, quick)
        yield from tally.rows(f"{number} at {scan}, all clips", FILM_GAIN)


def _grained(
    name: str,
    clean: npt.NDArray[np.float32],
    number: str,
    pitch: float,
    peers: Sequence[Peer],
    tally: _Tally,
    quick: bool,
) -> Iterator[Row]:
    images = regrained(clean, number, pitch)
    at = len(clean) // 2
    film = coding("density", load_stock(number).curves)
    truth = film.encode(clean[at])

    def score(pixels: npt.NDArray[np.float32]) -> float:
        return psnr(film.encode(pixels), truth, DENSITY_PEAK)

    plain = score(images[at].data)
    ours = score(degrain(images, DegrainParams(), range(at, at + 1)).made[at].data)
    known = score(
        degrain(images, DegrainParams(noise="stock", stock=number, pitch=pitch), range(at, at + 1)).made[at].data
    )
    tally.noisy.append(plain)
    tally.ours.append(ours)
    size = f"pitch {pitch} µm, {clean.shape[3]}x{clean.shape[2]}, density PSNR, peak {DENSITY_PEAK:g} D"
    yield Row(f"{name}: grained", plain, "dB", note=size)
    yield Row(f"{name}: Degrain's gain", ours - plain, "dB", FILM_GAIN, "measured noise")
    yield Row(f"{name}: Degrain's gain, stock known", known - plain, "dB", FILM_GAIN, "noise = stock")
    tally.gain("the plate, stock known", known - plain)
    gains: dict[str, float] = {}
    pictures = [images[i].data for i in range(len(clean))]
    for peer in peers:
        given, wanted = (log_codes(planes, peer.deep) for planes in (pictures, clean))
        sigma = float(np.sqrt(np.mean((given[at].astype(np.float64) - wanted[at]) ** 2))) / (257 if peer.deep else 1)
        setting = peer.start(sigma) if quick else search(peer, given, wanted, sigma)
        gains[peer.name] = ours - score(from_log_codes(peer.middle(given, at, setting)))
        note = f"{peer.text(setting, peer.deep)}; log encode, {16 if peer.deep else 8} bits"
        yield Row(f"{name}: gain over {peer.name}", tally.gain(peer.name, gains[peer.name]), "dB", note=note)
    if gains:
        best = min(gains, key=lambda key: gains[key])
        tally.gain("the best filter", gains[best])
        yield Row(f"{name}: gain over the best filter", gains[best], "dB", GAIN, f"of ffmpeg's: {best}")


# --- time, memory, limits ----------------------------------------------------------------------------------------


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


def _speed(beside: bool, quick: bool) -> Iterator[Row]:
    """Time a frame of scene-linear float RGB with 500T grain at three sizes, the middle one beside nlmeans' time."""
    sizes = [(64, 112), (96, 160)] if quick else [(540, 960), (1080, 1920), (2160, 3840)]
    params = DegrainParams(radius=RADIUS)
    nanoseconds: dict[tuple[int, int], npt.NDArray[np.float64]] = {}
    for h, w in sizes:
        clean = plate(2 * RADIUS + 1, h, w)
        images = regrained(np.stack([clean[i].data for i in sorted(clean)]), "5219", 6.08)
        analysis = _analysis({0: images[0]}, params)
        turns = 1 if quick else 2 if h > 1080 else 3  # the first pays for fresh memory
        mine, theirs = [], []
        wanted = range(RADIUS, RADIUS + 1)
        for _ in range(turns):
            mine.append(degrain(images, params, wanted, analysis).seconds)
            if beside and (h, w) == sizes[1]:
                theirs.append(_cost("format=yuv444p,nlmeans=s=4:p=5:r=7", display(images)[:3]))
        seconds = np.median(mine, axis=0)
        nanoseconds[h, w] = np.min(mine, axis=0) / (h * w) * 1e9
        yield Row(f"{w}x{h}: Degrain ±{RADIUS}", seconds[0] * 1e3, "ms", note="float RGB, 500T at 4K; a frame")
        yield Row(f"{w}x{h}: processor time a pixel", nanoseconds[h, w][1], "ns", note=f"{THREADS} threads together")
        if theirs:
            ratio = seconds / np.median(theirs, axis=0)
            note = f"nlmeans=s=4:p=5:r=7 on the same frames in 8 bits, {np.median(theirs, axis=0)[0] * 1e3:.0f} ms"
            yield Row(f"{w}x{h}: time over nlmeans'", ratio[0], "×", "≤ 1", note)
            yield Row(f"{w}x{h}: processor time over nlmeans'", ratio[1], "×", "≤ 1")
    least, most = min(nanoseconds.values(), key=lambda v: v[1]), max(nanoseconds.values(), key=lambda v: v[1])
    note = "the dearest pixel over the cheapest of these sizes: 1 is linear"
    yield Row("time a pixel over sizes", most[1] / least[1], "×", "≤ 1.25", note)
    work, traffic = operations()
    peak, bandwidth = machine_limits(quick)
    per_pixel = nanoseconds[sizes[1]][0] * 1e-9  # of the run that was disturbed least
    yield Row("operations a pixel", work, "", note=f"on floats, counted for radius {RADIUS}")
    yield Row("bytes a pixel", traffic, "B", note="least traffic to memory, counted")
    yield Row("operations reached", work / per_pixel / 1e9, "Gop/s", note=f"at {sizes[1][1]}x{sizes[1][0]}")
    yield Row("operations, the machine's", peak / 1e9, "Gop/s", note="measured: product of matrices, multiply and add")
    yield Row("bytes reached", traffic / per_pixel / 1e9, "GB/s")
    yield Row("bytes, the machine's", bandwidth / 1e9, "GB/s", note=f"measured: a copy by {THREADS} threads")
    limit = max(work / peak, traffic / bandwidth)
    bound = "operations" if work / peak > traffic / bandwidth else "memory"
    yield Row("time over the limit", per_pixel / limit, "×", note=f"the limit: {bound}, {limit * 1e9:.1f} ns a pixel")


def _memory(quick: bool) -> Iterator[Row]:
    """Peak memory of whole renders of a short and a long clip, each in a process of its own."""
    (w, h), counts = ((160, 96), (8, 16)) if quick else ((960, 540), (12, 48))
    short, long = (peak_of(count, w, h) for count in counts)
    note = f"Plate, Regrain, Degrain through the engine, {w}x{h}, {counts[1]} frames"
    yield Row("peak resident memory", long / 1e6, "MB", note=note)
    note = f"{counts[1]} frames over {counts[0]}: memory does not grow with the clip"
    yield Row("memory over clip length", long / short, "×", "≤ 1.1", note)
