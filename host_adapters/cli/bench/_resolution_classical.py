"""Upscale's fidelity and Deblock, with its net too, beside what others do, on Kodak's pictures or else on the Plate."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.io.plate import Plate, PlateParams
from safelight.nodes.resolution.blocks import Blocks
from safelight.nodes.resolution.deblock import Deblock, DeblockParams, excess
from safelight.nodes.resolution.deblock_training import quantised
from safelight.nodes.resolution.enlarging import TOE, enlarged

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

KODAK_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Rec.601 luma of video range, as the field's tables of Kodak ×2 have it; errors are given for a peak of 219."""
SCALES = {"fine": 8, "middling": 16, "coarse": 28}
SEARCH = {
    "fspp": [f"fspp=quality=5:qp={qp}:strength={s}" for qp in (4, 8, 14, 20, 28) for s in (-8, 0, 8)],
    "pp7": [f"pp7=qp={qp}:mode={mode}" for qp in (4, 8, 14, 20, 28) for mode in ("hard", "medium", "soft")],
    "deblock": [
        f"deblock=filter={kind}:block=8:alpha={a}:beta={a / 2}:gamma={a / 2}:delta={a / 2}"
        for kind in ("weak", "strong")
        for a in (0.05, 0.1, 0.2)
    ],
}
DEVICE = Device("cpu", 2)


def rows(quick: bool) -> list[Row]:
    """Measure."""
    made = pictures(quick)
    return [*_upscale(made, quick), *_deblock(made, quick)]


def pictures(quick: bool) -> list[Codes]:
    """Return RGB pictures, 8 bits: Kodak's 24, or frames of the Plate."""
    root = os.environ.get("SAFELIGHT_TEST_DATA")
    files = sorted((Path(root) / "images" / "stills" / "kodak").glob("*.png")) if root else []
    if files:
        return [np.asarray(Picture.open(file).convert("RGB")) for file in (files[:2] if quick else files)]
    size = (240, 160) if quick else (768, 512)
    params = PlateParams(width=size[0], height=size[1], frames=4)
    request = Request(params.first, Region.sized(*size))
    found = []
    for frame in range(params.first, params.first + (1 if quick else 4)):
        request = Request(frame, Region.sized(*size))
        image = Plate().compute(params, request, Inputs(request, {}, {}), DEVICE)
        found.append((255 * _codes(image.data)).clip(0, 255).round().astype(np.uint8).transpose(1, 2, 0))
    return found


def _codes(light: Any) -> Floats:
    a = np.abs(np.asarray(light, np.float64))
    return np.asarray(np.sign(light) * np.where(a <= 0.0031308, 12.92 * a, 1.055 * a ** (1 / 2.4) - 0.055))


def _light(codes: Any) -> npt.NDArray[np.float32]:
    a = np.abs(np.asarray(codes, np.float64))
    return np.asarray(np.sign(codes) * np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4), np.float32)


# --- Upscale ---------------------------------------------------------------------------------------------------------


def _cubic(t: Floats) -> Floats:
    d = np.abs(t)
    near = 1.5 * d**3 - 2.5 * d**2 + 1
    return np.asarray(np.where(d < 1, near, np.where(d < 2, -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2, 0)))


def _lanczos(t: Floats) -> Floats:
    return np.asarray(np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0))


def resized(plane: Floats, factor: float, kernel: Callable[[Floats], Floats]) -> Floats:
    """Return a plane at another size, antialiased where it gets smaller, edges mirrored: the field's `imresize`."""

    def along(a: Floats) -> Floats:
        n, m, narrow = len(a), round(len(a) * factor), min(factor, 1.0)
        middle = (np.arange(m) + 0.5) / factor - 0.5
        first = np.floor(middle - 4 / narrow).astype(int)
        taken = first[:, None] + np.arange(int(8 / narrow) + 2)
        weights = kernel((middle[:, None] - taken) * narrow)
        weights /= weights.sum(1, keepdims=True)
        mirrored = np.abs(taken + 0.5) - 0.5
        mirrored = np.where(mirrored > n - 1, 2 * n - 1 - mirrored, mirrored).clip(0, n - 1).astype(int)
        return np.asarray(np.einsum("mk,mkx->mx", weights, a[mirrored]))

    return along(along(plane).T).T


def _ours(codes: Floats, doublings: int = 1) -> Floats:
    light = _light(codes)[None]
    return _codes(enlarged(light, Region.sized(codes.shape[1], codes.shape[0]), doublings, DEVICE)[0])


def _upscale(made: Sequence[Codes], quick: bool) -> Iterator[Row]:
    ways: dict[str, Callable[[Floats, int], Floats]] = {
        "fidelity": lambda a, n: _ours(a, n),
        "bicubic": lambda a, n: resized(a, 2**n, _cubic),
        "Lanczos": lambda a, n: resized(a, 2**n, _lanczos),
    }
    for doublings in (1, 2):
        factor = 2**doublings
        scores: dict[str, list[float]] = {name: [] for name in ways}
        kept = 0.0
        for picture in made:
            h, w = (n // factor * factor for n in picture.shape[:2])
            luma = (picture[:h, :w] / 255) @ np.asarray(KODAK_LUMA) + 16 / 255
            small = resized(luma, 1 / factor, _cubic)
            for name, way in ways.items():
                edge = slice(2 * factor, -2 * factor)
                error = np.mean((way(small, doublings).clip(0, 1) - luma)[edge, edge] ** 2)
                scores[name].append(float(10 * np.log10((219 / 255) ** 2 / error)))
            light = _light(small)
            large = enlarged(light[None], Region.sized(*light.shape[::-1]), doublings, DEVICE)[0].astype(np.float64)
            mean = large.reshape(light.shape[0], factor, light.shape[1], factor).mean((1, 3))
            kept = max(kept, float((np.abs(mean - light) / (np.abs(light) + TOE)).max()))
        note = f"{len(made)} pictures, luma, antialiased bicubic reduction of codes"
        for name, values in scores.items():
            goal = "≥ 30.3 dB on Kodak" if name == "fidelity" and factor == 2 else ""
            yield Row(f"×{factor}: {name}", float(np.mean(values)), "dB", goal, note)
        gain = np.subtract(scores["fidelity"], scores["Lanczos"])
        yield Row(f"×{factor}: least gain over Lanczos", float(gain.min()), "dB")
        yield Row(f"×{factor}: light not kept", kept * 4096, "/4096", "≤ 1", "of |light| + 0.01, worst pixel")
    ours = overshoot(lambda small: enlarged(small[None], Region.sized(48, 48), 1, DEVICE)[0])
    theirs = overshoot(lambda small: resized(small, 2, _lanczos))
    yield Row("overshoot at edges: fidelity", 100 * ours, "%", note="of the step, mean of 18 edges of ideal steps")
    yield Row("overshoot at edges: Lanczos", 100 * theirs, "%")
    yield Row("overshoot over Lanczos'", ours / theirs, "×", "≤ 0.25")
    yield from _speed(quick)


def overshoot(double: Callable[[Any], Any], halve: Callable[[Any], Any] | None = None) -> float:
    """Return how far a way to double pictures goes beyond edges of ideal steps: in parts of the step, mean over six
    directions and three phases.

    The small picture's pixels are the mean light over them, or what `halve` makes of the large one's.
    """
    side, part = (48, 8) if halve is None else (96, 4)
    grid = (np.arange(48 * 8) + 0.5) / 8 - 24
    found = []
    for degrees in (0, 7, 22.5, 45, 70, 90):
        for phase in (0, 0.3, 0.6):
            turn = np.radians(degrees)
            edge = np.cos(turn) * grid[None] + np.sin(turn) * grid[:, None] > phase
            seen = edge.reshape(side, part, side, part).mean((1, 3)).astype(np.float32) * np.float32(0.5)
            seen += np.float32(0.2)
            inside = double(seen if halve is None else halve(seen))[16:-16, 16:-16]
            found.append(max(float(inside.max()) - 0.7, 0.2 - float(inside.min())) / 0.5)
    return float(np.mean(found))


def _seconds(work: Callable[[], object], times: int) -> float:
    spent = []
    for _ in range(times):
        start = time.process_time()
        work()
        spent.append(time.process_time() - start)
    return float(np.median(spent))


def _speed(quick: bool) -> Iterator[Row]:
    h, w = (90, 160) if quick else (540, 960)
    light = np.random.default_rng(1).random((3, h, w)).astype(np.float32)
    ours = _seconds(lambda: enlarged(light, Region.sized(w, h), 1, DEVICE), 3)
    large = np.empty((3, 2 * h, 2 * w), np.float32)
    copy = _seconds(lambda: [large[::-1].copy() for _ in range(10)], 3) / 10
    note = f"processor time, {w}×{h} RGB ×2: {ours * 1e9 / (4 * h * w):.0f} ns a new pixel"
    yield Row("fidelity over a plain copy of the result", ours / max(copy, 1e-6), "×", note=note)
    if importlib.util.find_spec("cv2") is not None:
        cv2: Any = importlib.import_module("cv2")
        inter = np.ascontiguousarray(light.transpose(1, 2, 0))
        theirs = _seconds(lambda: cv2.resize(inter, (2 * w, 2 * h), interpolation=cv2.INTER_LANCZOS4), 3)
        yield Row("fidelity over OpenCV's Lanczos", ours / max(theirs, 1e-6), "×", note=f"OpenCV {cv2.__version__}")


# --- Deblock ---------------------------------------------------------------------------------------------------------


def _coded(luma: Codes, codec: str, scale: int) -> Codes:
    """Return luma through a codec of ffmpeg's as key frames; without ffmpeg, through the same arithmetic."""
    if shutil.which("ffmpeg") is None:
        return quantised(luma.astype(np.float32), scale).astype(np.uint8)
    h, w = luma.shape
    form = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    raw = luma.tobytes() + bytes([128]) * (h * w // 2)
    packed = _ffmpeg(raw, f"-f rawvideo -pix_fmt {form} -s {w}x{h} -i - -c:v {codec} -g 1 -q:v {scale} -f nut -")
    done = _ffmpeg(packed, f"-f nut -i - -pix_fmt {form} -f rawvideo -")
    return np.frombuffer(done[: h * w], np.uint8).reshape(h, w)


def _ffmpeg(data: bytes, arguments: str) -> bytes:
    command = ["ffmpeg", "-v", "error", "-threads", "1", *arguments.split()]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


def _deblocked(codes: Codes, method: str) -> tuple[Floats, Mapping[str, Any]]:
    image, params = _still(codes, method)
    clip = Clip(1, 1, image.region, image.region, channels=("Y",))
    found = Deblock().analyse(params, Still(image), {"input": clip}, DEVICE)
    return np.asarray(_once(image, params, found).data[0] * 255.0, np.float64), found


def _still(codes: Codes, method: str) -> tuple[Image, DeblockParams]:
    data = codes[None].astype(np.float32) / np.float32(255)
    image = Image(data, Region.sized(data.shape[2], data.shape[1]), ("Y",))
    return image, DeblockParams.model_validate({"values": "coded", "method": method})


def _once(image: Image, params: DeblockParams, found: Mapping[str, Any]) -> Image:
    request = Request(1, image.region)
    return Deblock().compute(params, request, Inputs(request, {"input": {1: image}}, {}, analysis=found), DEVICE)


class Still:
    """A shot of one frame, as an analysis is handed it."""

    settings = Settings()

    def __init__(self, image: Image) -> None:
        self._image = image

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        yield 1, self._image

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        return iter(self)


def _psnr(codes: Any, truth: Codes) -> float:
    return float(10 * np.log10(255**2 / np.mean((np.asarray(codes, np.float64) - truth) ** 2)))


def _filtered(codes: Codes, chain: str) -> Codes:
    h, w = codes.shape
    raw = codes.tobytes() + bytes([128]) * (h * w // 2)
    done = _ffmpeg(raw, f"-f rawvideo -pix_fmt yuv420p -s {w}x{h} -i - -vf {chain} -f rawvideo -")
    return np.frombuffer(done[: h * w], np.uint8).reshape(h, w)


def _deblock(made: Sequence[Codes], quick: bool) -> Iterator[Row]:
    chosen = [np.asarray(Picture.fromarray(picture).convert("L")) for picture in made[:: 1 if quick else 4]]
    chosen = [plane[: min(320, plane.shape[0]) // 16 * 16, : min(512, plane.shape[1]) // 16 * 16] for plane in chosen]
    for codec in ("mjpeg",) if quick else ("mjpeg", "mpeg2video"):
        for name, scale in SCALES.items():
            yield from _compared(chosen, codec, f"{codec} {name}", scale, quick)
    yield from _deblock_speed(chosen, quick)


def _compared(chosen: Sequence[Codes], codec: str, name: str, scale: int, quick: bool) -> Iterator[Row]:
    given = [_coded(plane, codec, scale) for plane in chosen]
    was = [_psnr(codes, truth) for codes, truth in zip(given, chosen, strict=True)]
    note = f"{len(chosen)} pictures, luma, key frames at scale {scale}, coded {np.mean(was):.2f} dB"
    gains: dict[str, float] = {}
    for way, method in _ways().items():
        ours, cut = [], []
        for codes, truth in zip(given, chosen, strict=True):
            out, found = _deblocked(codes, method)
            ours.append(_psnr(out, truth))
            blocks, region = Blocks.from_data(found), Region.sized(codes.shape[1], codes.shape[0])
            left, before, none = (excess(np.asarray(a, np.float64), region, blocks) for a in (out, codes, truth))
            cut.append(1 - abs(left - none) / max(before - none, 1e-9))
        each = np.subtract(ours, was)
        gains[way] = float(np.mean(each))
        yield Row(f"{way}, {name}: gain", gains[way], "dB", note=f"{note}; least {each.min():+.2f} dB")
        yield Row(f"{way}, {name}: excess at block edges cut", 100 * float(np.mean(cut)), "%", "≥ 90 %")
    if shutil.which("ffmpeg") is None:
        return
    best: list[tuple[float, str]] = []
    for family, chains in SEARCH.items():
        for chain in chains[:2] if quick else chains:
            try:
                scores = [_psnr(_filtered(c, chain), t) for c, t in zip(given, chosen, strict=True)]
            except subprocess.CalledProcessError:  # a build without that filter
                break
            best.append((float(np.mean(np.subtract(scores, was))), f"{family}: {chain}"))
    if best:
        gain, which = max(best)
        yield Row(f"ffmpeg's best, {name}: gain", gain, "dB", note=which)
        for way, own in gains.items():
            yield Row(f"{way} over it, {name}", own - gain, "dB", "≥ 0.5 dB")


def _ways() -> Mapping[str, str]:
    """Return Deblock's methods by the name of their rows: the net where it can run."""
    learned = all(importlib.util.find_spec(name) is not None for name in ("torch", "safetensors"))
    return {"Deblock": "classical", "Deblock's net": "net"} if learned else {"Deblock": "classical"}


def _deblock_speed(chosen: Sequence[Codes], quick: bool) -> Iterator[Row]:
    h, w = (160, 240) if quick else (1080, 1920)
    plane = chosen[0]
    tiled = np.tile(plane, (-(-h // plane.shape[0]), -(-w // plane.shape[1])))[:h, :w]
    codes = quantised(tiled[: h // 8 * 8].astype(np.float32), 16).astype(np.uint8)
    spent: dict[str, float] = {}
    for way, method in _ways().items():
        image, params = _still(codes, method)
        found = _deblocked(codes[:320, :512], "classical")[1]
        _once(image, params, found)
        spent[way] = _seconds(partial(_once, image, params, found), 3)
        note = f"processor time of a frame of luma, {w}×{h}, grid known"
        yield Row(f"{way}: a frame", spent[way], "s", note=note)
    if len(spent) > 1:
        first, second = spent.values()
        yield Row("Deblock's net over Deblock: time", second / first, "×")
