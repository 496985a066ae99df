"""HDRLift: the way back, peaks, hues, bands, steadiness and time, beside curves that anybody would write down.

The peer is BT.2446 method A's inverse (Rep. ITU-R BT.2446-1, 4.1), in numpy, in float64, on Rec.2020 light: tone curve
on luma, colour differences scaled with it. For time and bands also the plain curve: the same as ours, without more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.config import config_for
from safelight.colour.difference import delta_e_itp
from safelight.colour.ictcp import ictcp
from safelight.colour.primaries import from_xyz, to_xyz
from safelight.graph.device import Device, cpu_count
from safelight.graph.image import Array, Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._barten import least_step
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.colour.hdr_lift import HDRLift
from safelight.nodes.colour.lift_params import HDRLiftParams
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.io.plate import Plate, PlateParams
from safelight.nodes.io.read import Read, ReadParams

Floats = npt.NDArray[np.float64]

SIZE, QUICK = (4096, 2160), (512, 270)
SRGB = "srgb_tx"
PICTURES = "images/stills/kodak/*.png"
EVERY = 5
"""Pixels of a picture that are measured: one in so many, along and across."""
BRIGHT, CHROMA = 120.0, 0.02
"""Light in cd/m², and chroma in Ct and Cp, from which on a hue is measured."""
BYTES = 24
"""Bytes a pixel that must move: three floats in, three out."""


def rows(quick: bool) -> list[Row]:
    """Measure."""
    return [*_quality(quick), *_bands(), *_steady(quick), *_time(quick)]


def _quality(quick: bool) -> Iterator[Row]:
    device = Device("cpu", cpu_count())
    errors, theirs, peaks, turns, their_turns, count = [], [], [], [], [], 0
    for image, clip in _pictures(quick):
        count += 1
        given = _light(image, 100.0)
        one, other = (_lifted(image, clip, device, peak=peak) for peak in (1000, 10000))
        back = _lifted(one, clip, device, peak=1000, direction="back", deband="off")
        errors.append(delta_e_itp(given, _light(back, 100.0)).ravel())
        low, high = _light(one, 100.0), _light(other, 100.0)
        peaks.append(delta_e_itp(low, high)[low[1] < 100].ravel())
        before = _light(image, 203.0)
        turns.append(_turns(before, high))
        rec2020 = np.tensordot(from_xyz("rec2020"), given, axes=1) / 100
        up = method_a(rec2020)
        theirs.append(delta_e_itp(given, 100 * np.tensordot(to_xyz("rec2020"), method_a_back(up), axes=1)).ravel())
        their_turns.append(_turns(given, np.tensordot(to_xyz("rec2020"), up, axes=1), BRIGHT / 2.03))
    ours, peer = np.concatenate(errors), np.concatenate(theirs)
    turned, peer_turned = np.concatenate(turns), np.concatenate(their_turns)
    note = f"{count} pictures of 8 bits, one pixel in {EVERY**2} or all of small ones; unrounded floats"
    yield Row("lift to 1,000 and back: mean ΔE ITP", float(ours.mean()), "", "< 0.5", note)
    yield Row("lift and back: 99th percentile", float(np.percentile(ours, 99)), "", "< 1")
    yield Row("BT.2446 A and back: mean ΔE ITP", float(peer.mean()), "", note="its own two directions, in float64")
    yield Row("BT.2446 A and back: 99th percentile", float(np.percentile(peer, 99)), "")
    dark = np.concatenate(peaks)
    yield Row("under 100 cd/m², 1,000 against 10,000: worst ΔE ITP", float(dark.max()), "", "< 0.5")
    if turned.size:
        said = f"colours over {BRIGHT:g} cd/m² with chroma over {CHROMA:g}; lifted to 10,000"
        yield Row("hue drift in highlights: mean", float(turned.mean()), "°", "< 1", said)
        yield Row("hue drift in highlights: 99th percentile", float(np.percentile(turned, 99)), "°", "< 1")
    if peer_turned.size:
        yield Row("BT.2446 A, hue drift: mean", float(peer_turned.mean()), "°", note="to 1,000; same measure")


def _bands() -> Iterator[Row]:
    device = Device("cpu", cpu_count())
    y, x = np.mgrid[:360, :2048]
    for name, codes in {
        "ramp of 38 pixels a code": np.repeat((200 + 54 * x / 2048)[None], 3, axis=0),
        "slanted ramp": np.repeat((200 + 40 * x / 2048 + 8 * y / 360)[None], 3, axis=0),
        "sky": np.array([150, 190, 225.0])[:, None, None]
        + np.array([60, 40, 18.0])[:, None, None] * x / 2048
        + y / 100,
    }.items():
        image, clip = _sdr(np.rint(codes))
        ours, plain = (
            _steps(_light(_lifted(image, clip, device, peak=4000, deband=how), 100.0)[1]) for how in ("auto", "off")
        )
        yield Row(f"{name} at 4,000: largest step over Barten's threshold", ours, "×", "< 1", "between neighbours")
        yield Row(f"{name}, the plain curve", plain, "×")


def _steps(luminance: Floats) -> float:
    """Return the largest step between neighbours over the least that is seen."""
    found = np.abs(np.diff(luminance, axis=1)) / luminance[:, 1:] / least_step(luminance[:, 1:])
    return float(found[:, 24:-24].max())


def _steady(quick: bool) -> Iterator[Row]:
    """Compare how the mean changes from frame to frame with what the curve alone, pixel by pixel, makes of it."""
    device = Device("cpu", cpu_count())
    given, plain, made = [], [], []
    frames = list(_frames(4 if quick else 12))
    for number, codes in enumerate(frames):
        image, clip = _sdr(np.rint(codes * (1 - 0.01 * number)))
        given.append(_light(image, 203.0)[1].mean())
        plain.append(_light(_lifted(image, clip, device, deband="off", recover=0.0), 100.0)[1].mean())
        made.append(_light(_lifted(image, clip, device), 100.0)[1].mean())
    changes = [100 * np.diff(np.log(one)) for one in (given, plain, made)]
    note = f"{len(frames)} frames of the Plate, which moves, fading by 1 % of the code a frame"
    yield Row("change of the input's mean a frame, rms", float(np.sqrt(np.mean(changes[0] ** 2))), "%", "", note)
    yield Row("change of the lifted mean, rms", float(np.sqrt(np.mean(changes[2] ** 2))), "%")
    worst = float(np.abs(changes[2] - changes[1]).max())
    yield Row("of it not the curve's, worst frame", worst, "%", note="flicker of what looks at surroundings")


def _time(quick: bool) -> Iterator[Row]:
    width, height = QUICK if quick else SIZE
    device = Device("cpu", cpu_count())
    rng = np.random.default_rng(1)
    patches = rng.uniform(0.02, 1, (3, -(-height // 8), -(-width // 8)))
    patches = 0.7 * patches.mean(axis=0, keepdims=True) + 0.3 * patches
    codes = np.rint(255 * np.kron(patches, np.ones((1, 8, 8)))[:, :height, :width])
    codes[:, : height // 10, : width // 10] = 255
    image, clip = _sdr(codes)
    copied = np.empty_like(image.data)
    scan = Clip(1, 1, image.region, image.region)
    floats = Image(image.data, image.region)
    small = np.ascontiguousarray(_rec2020(image)[:, :: 4 if not quick else 1, :: 4 if not quick else 1])
    jobs: dict[str, Callable[[], object]] = {
        "copy": lambda: np.copyto(copied, image.data),
        "curve": lambda: _lifted(image, clip, device, deband="off", recover=0.0),
        "scan": lambda: _lifted(floats, scan, device),
        "all": lambda: _lifted(image, clip, device),
        "back": lambda: _lifted(image, clip, device, direction="back"),
        "peer": lambda: method_a(small),
    }
    wall, spent = _medians(jobs, 2 if quick else 5)
    where = f"{width}x{height} RGB float32, {device.threads} threads, a tenth of the pixels above the knee"
    yield Row("plain copy", 1e3 * wall["copy"], "ms", note=f"np.copyto, processor {1e3 * spent['copy']:.0f} ms")
    for name, label in (
        ("curve", "the curve alone"),
        ("scan", "floats, clipped light given"),
        ("all", "8 bits, debanded, clipped light given"),
        ("back", "back to 8 bits"),
    ):
        note = f"{where}; processor {spent[name] / spent['copy']:.1f} × the copy's"
        target = "≤ 10" if name != "back" else ""
        yield Row(f"HDRLift, {label}, over the copy", wall[name] / wall["copy"], "×", target, note)
    scale = image.data[0].size / small[0].size
    yield Row("BT.2446 A in numpy over the copy", wall["peer"] * scale / wall["copy"], "×", note="one thread, float64")
    yield Row(
        "bytes a pixel that must move",
        BYTES,
        "",
        note="one read and one write; the surroundings add a read, and halves of it",
    )


def _medians(jobs: dict[str, Callable[[], object]], times: int) -> tuple[dict[str, float], dict[str, float]]:
    """Return median seconds by the clock and of the processor; jobs take turns."""
    wall: dict[str, list[float]] = {name: [] for name in jobs}
    spent: dict[str, list[float]] = {name: [] for name in jobs}
    for turn in range(times + 1):
        for name, job in jobs.items():
            start, used = time.perf_counter(), time.process_time()
            job()
            if turn:
                wall[name].append(time.perf_counter() - start)
                spent[name].append(time.process_time() - used)
    return tuple({name: float(np.median(one)) for name, one in all_.items()} for all_ in (wall, spent))  # type: ignore[return-value]


# --- the peer ---------------------------------------------------------------------------------------------------------


def method_a(rec2020: Floats, peak: float = 1000.0) -> Floats:
    """Return light in cd/m² of SDR light (3, …), 0 to 1, by the inverse of BT.2446 method A, SDR white 100 cd/m²."""
    prime = np.clip(rec2020, 0, 1) ** (1 / 2.4)
    luma, blue, red = _differences(prime)
    luma = luma + np.maximum(0.1 * red, 0)  # taken off on the way down
    up = _inverse_tone(luma, peak)
    # Method A shrinks colour differences by Y'sdr / (1.1 Y'hdr).
    factor = 1.1 * up / np.maximum(luma, 1e-9)
    return np.asarray(peak * np.maximum(_colours(up, blue * factor, red * factor), 0) ** 2.4)


def method_a_back(light: Floats, peak: float = 1000.0) -> Floats:
    """Return SDR light, 0 to 1, of light in cd/m² by BT.2446 method A."""
    prime = np.clip(light / peak, 0, 1) ** (1 / 2.4)
    luma, blue, red = _differences(prime)
    down = _tone(luma, peak)
    factor = down / np.maximum(1.1 * luma, 1e-9)
    blue, red = blue * factor, red * factor
    return np.asarray(np.clip(_colours(down - np.maximum(0.1 * red, 0), blue, red), 0, 1) ** 2.4)


def _differences(prime: Floats) -> tuple[Floats, Floats, Floats]:
    luma = np.tensordot((0.2627, 0.6780, 0.0593), prime, axes=1)
    return luma, (prime[2] - luma) / 1.8814, (prime[0] - luma) / 1.4746


def _colours(luma: Floats, blue: Floats, red: Floats) -> Floats:
    r, b = luma + 1.4746 * red, luma + 1.8814 * blue
    return np.stack([r, (luma - 0.2627 * r - 0.0593 * b) / 0.6780, b])


def _tone(luma: Floats, peak: float) -> Floats:
    hdr, sdr = 1 + 32 * (peak / 10000) ** (1 / 2.4), 1 + 32 * (100 / 10000) ** (1 / 2.4)
    p = np.log(1 + (hdr - 1) * luma) / np.log(hdr)
    c = np.where(p <= 0.7399, 1.0770 * p, np.where(p < 0.9909, -1.1510 * p**2 + 2.7811 * p - 0.6302, 0.5 * p + 0.5))
    return np.asarray((sdr**c - 1) / (sdr - 1))


def _inverse_tone(luma: Floats, peak: float) -> Floats:
    at = np.linspace(0, 1, 4097)
    return np.asarray(np.interp(luma, _tone(at, peak), at))


# --- pictures ---------------------------------------------------------------------------------------------------------


def _pictures(quick: bool) -> Iterator[tuple[Image, Clip]]:
    """Yield the test pictures, thinned; without any the Plate, as an 8-bit file would hold it."""
    folder = os.environ.get("SAFELIGHT_TEST_DATA", "")
    found = sorted(Path(folder).glob(PICTURES)) if folder else []
    for path in found[:2] if quick else found:
        params = ReadParams(path=path)
        clip = Read().extent(params, {})
        request = Request(clip.first, clip.extent)
        yield Read().compute(params, request, Inputs(request, {}, {}), Device("cpu", 1)), clip
    if not found:
        yield _sdr(next(_frames(1)))


def _frames(count: int) -> Iterator[Floats]:
    """Yield 8-bit codes of the Plate's frames."""
    params = PlateParams(width=640, height=360, frames=count)
    clip: Any = Plate().extent(params, {})
    config = config_for(Settings())
    for frame in range(clip.first, clip.first + count):
        request = Request(frame, clip.extent)
        image: Any = Plate().compute(params, request, Inputs(request, {}, {}), Device("cpu", 1))
        image = image if isinstance(image, Image) else next(iter(image.values()))
        shown = config.convert(np.clip(image.data[:3], 0, 1), config.working, SRGB, Device("cpu", 1))
        yield np.rint(255 * np.clip(np.asarray(shown, np.float64), 0, 1))


def _sdr(codes: Floats) -> tuple[Image, Clip]:
    """Make of 8-bit sRGB codes what Read makes of such a file."""
    config = config_for(Settings())
    pixels = config.convert(np.asarray(codes / 255, np.float32), SRGB, config.working, Device("cpu", 1))
    region = Region.sized(codes.shape[2], codes.shape[1])
    metadata = {ORIGIN: {"path": "picture.png", "types": dict.fromkeys("RGB", "uint8"), "colourspace": SRGB}}
    return Image(pixels, region, ("R", "G", "B"), metadata), Clip(1, 1, region, region, metadata=metadata)


def _lifted(image: Image, clip: Clip, device: Device, **params: Any) -> Image:
    request = Request(1, image.region)
    inputs = Inputs(request, {"input": {1: image}}, {"input": clip})
    return HDRLift().compute(HDRLiftParams(**params), request, inputs, device)


def _light(image: Image, white: float) -> Floats:
    config = config_for(Settings())
    step = EVERY if image.region.area > 100000 and image.region.height != 360 else 1
    pixels: Array = np.ascontiguousarray(image.data[:3, ::step, ::step])
    return np.asarray(white * np.asarray(config.to_xyz(pixels, config.working, Device("cpu", 1)), np.float64))


def _rec2020(image: Image) -> Floats:
    config = config_for(Settings())
    xyz = np.asarray(config.to_xyz(image.data[:3], config.working, Device("cpu", 1)), np.float64)
    return np.asarray(np.tensordot(from_xyz("rec2020"), xyz, axes=1))


def _turns(before: Floats, after: Floats, bright: float = BRIGHT) -> Floats:
    """Return by how many degrees hues turn in the plane of Ct and Cp, of bright colours that have one."""
    (_, t, p), (_, t2, p2) = ictcp(before), ictcp(after)
    turn = np.abs(np.degrees(np.arctan2(t * p2 - p * t2, t * t2 + p * p2)))
    return np.asarray(turn[(before[1] > bright) & (np.hypot(t, p) > CHROMA)])
