"""Shipped nets for super-resolution beside Lanczos, bicubic and other people's scalers: quality, speed, exactness.

Luma of Kodak's 24 pictures (`images/stills/kodak` of SAFELIGHT_TEST_DATA), reduced by the antialiased bicubic kernel
or by means of light to 8-bit steps; else of frames of the built-in Plate. No net was trained on either.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.host_adapters.cli.bench._clips import display, plate, sequence
from safelight.host_adapters.cli.bench._resolution_classical import overshoot
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.motion.blocks import compensate, pyramid, quarter, search
from safelight.nodes.resolution.learned.coding import LUMA, decode, encode
from safelight.nodes.resolution.learned.enlarge import departure, enlarge, halo
from safelight.nodes.resolution.learned.models import AREA, SHIPPED, find
from safelight.nodes.resolution.learned.sampling import enlarged, reduced
from safelight.nodes.resolution.learned.training.pictures import (
    Picture,
    binned_pair,
    colours,
    found,
    luma_of,
    lumas,
    pair,
    psnr,
)

GOALS = {("main", 2): 32.0, ("fast", 2): 31.8}
"""dB on Kodak's pictures."""
OVER_BICUBIC = 1.5
"""dB, for 4 times."""
ONE = Device("cpu", 1)
Scaler = Callable[[npt.NDArray[np.float32], int], npt.NDArray[np.float32]]


def pictures(quick: bool, *, colour: bool = False) -> tuple[str, list[tuple[str, npt.NDArray[np.float32]]]]:
    """Return what they are, and their luma (H, W) or R, G, B (3, H, W), coded, 0 to 1."""
    read = colours if colour else lumas
    root = os.environ.get("SAFELIGHT_TEST_DATA")
    folder = Path(root, "images/stills/kodak") if root else Path()
    if root and folder.is_dir():
        files = found(folder)[:: 12 if quick else 1]
        return f"Kodak, {len(files)} pictures", [item for file in files for item in read(file)]
    size = (128, 192) if quick else (540, 960)
    frames = display(plate(1 if quick else 3, *size)).astype(np.float32) / 255
    planes = [np.ascontiguousarray(np.moveaxis(frame, -1, 0)) for frame in frames]
    shown = [(f"frame {k}", one if colour else luma_of(one)) for k, one in enumerate(planes)]
    return f"Plate {size[1]}x{size[0]}", shown


def rows(quick: bool) -> list[Row]:
    """Measure."""
    return [*_quality(quick), *_overshoot(), *_speed(quick), *_exactness(quick), *_flicker(quick)]


def _net(model: str, precision: str = "float32") -> Scaler:
    def run(low: npt.NDArray[np.float32], scale: int) -> npt.NDArray[np.float32]:
        light = decode(low if low.ndim == 3 else low[None])
        made: npt.NDArray[np.float32] = encode(enlarge(light, scale, model=model, precision=precision, device=ONE))
        return made.reshape(*low.shape[:-2], *made.shape[-2:])

    return run


def _codes(low: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    return np.rint(low * 255).astype(np.uint8)


def _opencv(kernel: str) -> Scaler:
    library: Any = importlib.import_module("cv2")

    def run(low: npt.NDArray[np.float32], scale: int) -> npt.NDArray[np.float32]:
        made = library.resize(low, None, fx=scale, fy=scale, interpolation=getattr(library, kernel))
        return np.asarray(made, np.float32)

    return run


def _ffmpeg(flags: str) -> Scaler:
    def run(low: npt.NDArray[np.float32], scale: int) -> npt.NDArray[np.float32]:
        height, width = low.shape
        chain = f"scale={width * scale}:{height * scale}:flags={flags}+accurate_rnd+full_chroma_int"
        command = ["ffmpeg", "-v", "error", "-f", "rawvideo", "-pix_fmt", "gray", "-s", f"{width}x{height}", "-i", "-"]
        command += ["-vf", chain, "-threads", "1", "-f", "rawvideo", "-pix_fmt", "gray", "-"]
        made = subprocess.run(command, input=_codes(low).tobytes(), capture_output=True, check=True).stdout
        codes = np.frombuffer(made, np.uint8).reshape(height * scale, width * scale)
        return codes.astype(np.float32) / np.float32(255)

    return run


def scalers() -> dict[str, Scaler]:
    """Return ours and others', by name."""
    known: dict[str, Scaler] = {
        "bicubic": lambda low, scale: enlarged(low, scale, "cubic"),
        "Lanczos": lambda low, scale: enlarged(low, scale),
        **{name: _net(name) for name in SHIPPED},
    }
    if importlib.util.find_spec("cv2") is not None:
        known |= {f"OpenCV {name}": _opencv(f"INTER_{name}") for name in ("CUBIC", "LANCZOS4")}
    if shutil.which("ffmpeg"):
        known |= {f"ffmpeg {name}": _ffmpeg(name) for name in ("bicubic", "lanczos", "spline")}
    return known


def _quality(quick: bool) -> Iterator[Row]:
    label, shown = pictures(quick)
    for scale in (2, 4):
        judged = [pair(name, luma, scale) for name, luma in shown]
        figures = {name: _mean(run, judged, scale) for name, run in scalers().items()}
        for name, figure in figures.items():
            wanted = GOALS.get((name, scale)) if label.startswith("Kodak") else None
            target = f"≥ {wanted:g}" if wanted else ""
            if scale == 4 and name in SHIPPED:
                target = f"≥ bicubic + {OVER_BICUBIC:g}"
            note = f"over bicubic {figure - figures['bicubic']:+.2f}, over Lanczos {figure - figures['Lanczos']:+.2f}"
            conditions = (
                f"; luma of {label}, bicubic-reduced, 8 bits, border of {2 * scale}" if name == "bicubic" else ""
            )
            yield Row(f"x{scale}: {name}", figure, "dB", target, note + conditions)
    yield from _means_of_light(quick)


def _means_of_light(quick: bool) -> Iterator[Row]:
    """Judge what sensors and scanners make: the nets made for it, and those that are not."""
    label, shown = pictures(quick, colour=True)
    known = {name: run for name, run in scalers().items() if name in ("bicubic", "Lanczos", *SHIPPED)}
    known |= {f"{name}, reduction area": _net(area) for name, area in AREA.items()}
    for scale in (2, 4):
        judged = [binned_pair(name, coded, scale) for name, coded in shown]
        figures = {name: _mean(run, judged, scale) for name, run in known.items()}
        for name, figure in figures.items():
            note = f"over bicubic {figure - figures['bicubic']:+.2f}"
            note += f"; luma of {label}, each pixel the mean light of {scale}x{scale}, 8 bits" * (name == "bicubic")
            yield Row(f"x{scale} of means of light: {name}", figure, "dB", note=note)


def _overshoot() -> Iterator[Row]:
    for scale, (kind, models, note) in product(
        (2, 4),
        (
            ("", SHIPPED, "edges of coded values, reduced by the antialiased bicubic kernel"),
            (" of means of light", tuple(AREA.values()), "edges reduced by means of areas, in light"),
        ),
    ):
        lanczos = _beyond(None, scale, coded=not kind)
        for model in models:
            ratio = _beyond(model, scale, coded=not kind) / lanczos
            yield Row(f"{model}: overshoot at edges over Lanczos'{kind}, x{scale}", ratio, "×", "≤ 0.25", note)


def _beyond(model: str | None, scale: int, *, coded: bool) -> float:
    """Return the overshoot of a net, or of Lanczos on coded values, of light or of coded values."""

    def large(small: Any) -> Any:
        light = decode(small) if coded else small
        if model is None:
            made = enlarged(encode(light), scale)
            return made if coded else decode(made)
        out = enlarge(light[None], scale, model=model, device=ONE)[0]
        return encode(out) if coded else out

    return overshoot(large, (lambda one: np.asarray(reduced(one, scale), np.float32)) if coded else None, scale)


def _mean(run: Scaler, judged: Sequence[Picture], scale: int) -> float:
    """Return the PSNR of luma, dB, of pictures (H, W) or (3, H, W)."""
    made = ((run(one.low, scale), one.full) for one in judged)
    shown = (both if both[0].ndim == 2 else (luma_of(both[0]), luma_of(both[1])) for both in made)
    return float(np.mean([psnr(*both, 2 * scale) for both in shown]))


def _speed(quick: bool) -> Iterator[Row]:
    side, repeats = (96, 1) if quick else (576, 4)
    light = decode(np.random.default_rng(0).uniform(0.2, 0.8, (1, side, side)).astype(np.float32))
    for model in SHIPPED:
        spent: dict[str, float] = {}
        for precision in _precisions():
            _seconds(light[:, :8, :8], model, precision)  # what is imported and compiled once does not count
            spent[precision] = min(_seconds(light, model, precision) for _ in range(repeats)) / (side * side / 1e6)
        note = f"processor time on one thread, {side}x{side} luma, x2, the way back to the data included"
        yield Row(f"{model}: float32, an input megapixel", spent["float32"], "s", note=note)
        for half in ("float16", "bfloat16"):
            ratio = spent["float32"] / spent[half]
            yield Row(f"{model}: {half} over float32, speed", ratio, "×", note="under 1 on processors that lack it")
        if "int8" in spent:
            one = _int8_gain(model, 96 if quick else 230, repeats)
            yield Row(f"{model}: int8 over float32, speed", spent["float32"] / spent["int8"], "×", note="whole")
            yield Row(f"{model}: int8 over float32, the net alone", one, "×", "≥ 3", "both in ONNX Runtime, one thread")


def _precisions() -> list[str]:
    able = all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))
    return ["float32", "float16", "bfloat16", *(["int8"] if able else [])]


def _seconds(light: npt.NDArray[np.float32], model: str, precision: str) -> float:
    start = time.process_time()
    enlarge(light, 2, model=model, precision=precision, device=ONE)
    return time.process_time() - start


def _int8_gain(model: str, side: int, repeats: int) -> float:
    from safelight.nodes.resolution.learned import quantised
    from safelight.nodes.resolution.learned.models import file_of
    from safelight.nodes.resolution.learned.storing import load

    stored = load(file_of(model, 2))
    x = np.random.default_rng(0).uniform(0.2, 0.8, (1, 1, side, side)).astype(np.float32)
    spent = []
    for kind in (False, True):
        session = quantised.session(quantised.model(stored, quantised=kind))
        session.run(None, {"x": x})
        every = []
        for _ in range(2 * repeats + 1):
            start = time.process_time()
            session.run(None, {"x": x})
            every.append(time.process_time() - start)
        spent.append(float(np.median(every)))
    return spent[0] / spent[1]


def _exactness(quick: bool) -> Iterator[Row]:
    label, shown = pictures(quick)
    luma = shown[0][1][: 128 if quick else 512, : 192 if quick else 640]
    low = pair("first", luma, 2).low
    light = decode(low[None])
    for model in SHIPPED:
        whole = enlarge(light, 2, model=model, device=ONE)
        yield Row(
            f"{model}: pixels of tiles unlike the whole", _unlike(light, whole, model), "", "0", f"bits; {label}"
        )  # fmt: skip
        error = float(np.abs(reduced(encode(whole), 2) - encode(light)).max())
        yield Row(f"{model}: reduced again, off the input", error, "", "≤ 1/4096", "largest, of coded values")
        for half, goal in (("float16", "≤ 0.1"), ("bfloat16", "")):
            near = enlarge(light, 2, model=model, precision=half, device=ONE)
            apart = 255 * np.abs(encode(near) - encode(whole))
            note = f"largest; 99.9 % within {np.percentile(apart, 99.9):.3f}"
            yield Row(f"{model}: {half} off float32", float(apart.max()), "8-bit codes", goal, note)
        beyond = departure(light, whole, 2)
        yield Row(
            f"{model}: pixels that go beyond the data", 100 * float(np.mean(beyond > 0.1)), "%",
            note=f"by over 0.1 stops; 99 % within {np.percentile(beyond, 99):.2f}",
        )  # fmt: skip


def _flicker(quick: bool) -> Iterator[Row]:
    """Enlarge the frames of a moving shot one by one; move each onto the one before and see what differs."""
    count, height, width = (2, 128, 192) if quick else (6, 536, 960)
    clip = None if quick else sequence("redtree_pan", count)
    frames = display(plate(count, height, width)) if clip is None else clip
    full = [
        np.ascontiguousarray((frame[: height // 8 * 8, : width // 8 * 8] / np.float32(255)) @ LUMA) for frame in frames
    ]
    ways = _ways(full)
    true = _warped(full, ways)
    note = f"{count} frames of {'the Plate' if clip is None else 'redtree_pan'}; the full-size frames' own vectors"
    yield Row("warping error of the full-size frames", 255 * true, "8-bit codes", note=note)
    known: dict[str, Scaler] = {"Lanczos": enlarged, **{name: _net(name) for name in SHIPPED}}
    for scale in (2, 4):
        low = [np.asarray(reduced(frame, scale), np.float32) for frame in full]
        given = _warped(low, _ways(low))
        note = "reduced frames, their own vectors"
        yield Row(f"warping error of the input, x{scale}", 255 * given, "8-bit codes", note=note)
        for name, run in known.items():
            made = [run(frame, scale) for frame in low]
            target = "≤ 1" if name in SHIPPED else ""
            over = _warped(made, ways) / true
            yield Row(f"warping error over the full-size frames': {name}, x{scale}", over, "×", target)
            own = _warped(made, _ways(made)) / given
            yield Row(f"warping error over the input's: {name}, x{scale}", own, "×", target, "each by its own vectors")


def _ways(shown: Sequence[npt.NDArray[np.float32]]) -> list[Any]:
    heights = [pyramid(np.rint(255 * frame)[None], ONE) for frame in shown]
    return [quarter(search(a, b, ONE, noise=2.0), ONE) for a, b in pairwise(heights)]


def _warped(shown: Sequence[npt.NDArray[np.float32]], ways: Sequence[Any]) -> float:
    """Return how far each frame is from the next, moved onto it: root mean square."""
    moved = [compensate(b[None], way, ONE)[0] for b, way in zip(shown[1:], ways, strict=True)]
    return float(np.sqrt(np.mean([np.square(a - b) for a, b in zip(shown, moved, strict=False)])))


def _unlike(light: npt.NDArray[np.float32], whole: npt.NDArray[np.float32], model: str) -> int:
    """Count pixels that differ when the picture comes in four parts, each with its halo."""
    edge, unlike = halo(find(model, 2, channels=1)), 0
    height, width = light.shape[1:]
    for y in (0, height // 3):
        for x in (0, width // 3 + 1):
            y1, x1 = (height // 3 if y == 0 else height), (width // 3 + 1 if x == 0 else width)
            top, left = max(0, y - edge), max(0, x - edge)
            made = enlarge(light[:, top : y1 + edge, left : x1 + edge], 2, model=model, device=ONE)
            made = made[:, 2 * (y - top) :, 2 * (x - left) :][:, : 2 * (y1 - y), : 2 * (x1 - x)]
            want = whole[:, 2 * y : 2 * y1, 2 * x : 2 * x1]
            unlike += int(np.count_nonzero(made.view(np.uint32) != want.view(np.uint32)))
    return unlike
