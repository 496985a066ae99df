"""Upscale's fidelity beside what others do, on Kodak's pictures or else on the Plate."""

from __future__ import annotations

import importlib
import importlib.util
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture

from safelight.graph.device import Device
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.io.plate import Plate, PlateParams
from safelight.nodes.resolution.enlarging import TOE, enlarged

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.uint8]

KODAK_LUMA = (65.481 / 255, 128.553 / 255, 24.966 / 255)
"""Rec.601 luma of video range, as the field's tables of Kodak ×2 have it; errors are given for a peak of 219."""
DEVICE = Device("cpu", 2)


def rows(quick: bool) -> list[Row]:
    """Measure."""
    return list(_upscale(pictures(quick), quick))


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


def overshoot(enlarge: Callable[[Any], Any], reduce: Callable[[Any], Any] | None = None, scale: int = 2) -> float:
    """Return how far a way to enlarge pictures goes beyond edges of ideal steps: in parts of the step, mean over six
    directions and three phases.

    The small picture's pixels are the mean light over them, or what `reduce` makes of the large one's.
    """
    side, part = (48, 8) if reduce is None else (48 * scale, 8 // scale)
    cut = 8 * scale
    grid = (np.arange(48 * 8) + 0.5) / 8 - 24
    found = []
    for degrees in (0, 7, 22.5, 45, 70, 90):
        for phase in (0, 0.3, 0.6):
            turn = np.radians(degrees)
            edge = np.cos(turn) * grid[None] + np.sin(turn) * grid[:, None] > phase
            seen = edge.reshape(side, part, side, part).mean((1, 3)).astype(np.float32) * np.float32(0.5)
            seen += np.float32(0.2)
            inside = enlarge(seen if reduce is None else reduce(seen))[cut:-cut, cut:-cut]
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
