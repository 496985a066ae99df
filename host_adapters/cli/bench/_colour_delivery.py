"""HDR delivery: figures of light against an independent computation, transforms against their oracles, the cost."""

from __future__ import annotations

import json
import math
import tempfile
import time
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as OCIO

from safelight.colour.config import config_for
from safelight.colour.display import display_of
from safelight.colour.primaries import from_xyz
from safelight.colour.processor import Processor
from safelight.colour.transfer import hlg_light, pq, pq_light
from safelight.graph.device import Device
from safelight.graph.image import Array, Clip, Image
from safelight.graph.node import Inputs, Request, Settings
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.colour.deliver import Deliver, DeliverParams
from safelight.nodes.io.files.decode import oiio
from safelight.nodes.io.write import Write

PEAKS = (100, 600, 1000, 4000, 10000)
ACES = {
    (100, "rec709"): "SDR-100nit-REC709",
    (500, "p3d65"): "HDR-500nit-P3-D65",
    (1000, "p3d65"): "HDR-1000nit-P3-D65",
    (1000, "rec2020"): "HDR-1000nit-REC2020",
    (2000, "rec2020"): "HDR-2000nit-REC2020",
    (4000, "p3d65"): "HDR-4000nit-P3-D65",
    (4000, "rec2020"): "HDR-4000nit-REC2020",
}
_CPU = Device("cpu", 1)


def scene(frame: int, width: int, height: int) -> Image:
    """Light over fourteen stops with colours, glints and texture, another in every frame."""
    rng = np.random.default_rng(frame)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    base = np.exp2(-9 + 13 * x / width + np.sin(y / 37 + frame / 5)).astype(np.float32)
    tint = np.exp2(0.6 * np.sin(y / 61 + np.arange(3)[:, None, None] * 2.1)).astype(np.float32)
    texture = rng.normal(1, 0.05, (3, height, width)).astype(np.float32)
    return Image(base * tint * texture, Region.sized(width, height))


def deliver(image: Image, frame: int = 1, **params: Any) -> Image:
    """Run Deliver on one frame."""
    request = Request(frame, image.region)
    inputs = Inputs(request, {"input": {frame: image}}, {})
    return Deliver().compute(DeliverParams(**params), request, inputs, _CPU)


def write(path: Path, images: Sequence[Image], params: DeliverParams, **more: Any) -> dict[str, Any]:
    """Write delivered frames; return the sidecar (empty where none was asked for)."""
    window = images[0].region
    source = Clip(1, len(images), window, window, fps=Fraction(24))
    clip = Deliver().extent(params, {"input": source})
    chosen = Write.Params(path=path, **more)
    writer = Write().writer(chosen, clip, range(1, len(images) + 1), Settings(threads=1))
    files: list[Path] = []
    for index, image in enumerate(images):
        files += writer.write(index + 1, image)
    files += writer.close()
    sidecars = [file for file in files if file.name.endswith(".light.json")]
    return dict(json.loads(sidecars[0].read_text())) if sidecars else {}


def independent(signals: Iterator[Array]) -> tuple[float, float]:
    """Return MaxCLL and MaxFALL of PQ signals, pixel by pixel in float64."""
    most, averages = 0.0, []
    for signal in signals:
        light = pq_light(np.asarray(signal, np.float64)).max(axis=0)
        most = max(most, float(light.max()))
        averages.append(math.fsum(light.ravel()) / light.size)
    return most, max(averages)


def _still(path: Path, kind: str, scale: float) -> Any:
    reader = oiio().ImageInput.open(str(path))
    return np.moveaxis(reader.read_image(0, 0, 0, 3, kind).astype(np.float64) / scale, 2, 0)


def _movie(path: Path) -> Iterator[Any]:
    import av

    with av.open(str(path)) as movie:
        for frame in movie.decode(video=0):
            planes = [
                np.frombuffer(bytes(plane), np.uint16).reshape(plane.height, -1)[:, : plane.width]
                for plane in frame.planes
            ]
            yield np.stack([planes[2], planes[0], planes[1]]) / 1023


def _light(folder: Path, size: tuple[int, int], count: int) -> list[Row]:
    """Hold MaxCLL and MaxFALL against the files read back."""
    rows = []
    cases = [("png", "uint16", 65535.0), ("exr", "half", 1.0)]
    for peak in PEAKS:
        params = DeliverParams(peak=peak)
        images = [deliver(scene(n, *size), n, peak=peak) for n in range(1, count + 1)]
        worst_cll = worst_fall = 0.0
        for suffix, kind, scale in cases:
            said = write(folder / f"a.####.{suffix}", images, params)
            files = [folder / f"a.{n:04d}.{suffix}" for n in range(1, count + 1)]
            cll, fall = independent(_still(file, kind, scale) for file in files)
            worst_cll = max(worst_cll, abs(said["max_cll"] - cll))
            worst_fall = max(worst_fall, abs(said["max_fall"] - fall) / fall)
        said = write(folder / "a.mkv", images, params)
        cll, fall = independent(_movie(folder / "a.mkv"))
        worst_cll = max(worst_cll, abs(said["max_cll"] - cll))
        worst_fall = max(worst_fall, abs(said["max_fall"] - fall) / fall)
        note = f"PNG, EXR, FFV1 read back, {count} frames of {size[0]}x{size[1]}; MaxCLL {said['max_cll']:.1f}"
        rows.append(Row(f"light: MaxCLL off the files', peak {peak}", worst_cll, "cd/m²", "0", note))
        rows.append(Row(f"light: MaxFALL off the files', peak {peak}", worst_fall, "of it", "≤ 1e-12"))
    return rows


def _transforms(size: tuple[int, int]) -> list[Row]:
    """Hold the signals against OpenColorIO's own transforms and the formulas."""
    config = config_for(Settings())
    image = scene(1, *size)
    worst = 0.0
    for (peak, limit), name in ACES.items():
        made = deliver(image, rendering="aces2", peak=peak, limit=limit).data
        steps = [
            OCIO.ColorSpaceTransform(src=config.working, dst="aces_interchange"),
            OCIO.BuiltinTransform(f"ACES-OUTPUT - ACES2065-1_to_CIE-XYZ-D65 - {name}_2.0"),
            OCIO.BuiltinTransform("DISPLAY - CIE-XYZ-D65_to_REC.2100-PQ"),
        ]
        theirs = Processor(config.config.getProcessor(OCIO.GroupTransform(steps))).apply(image.data, _CPU)
        worst = max(worst, float(np.abs(made - np.clip(theirs, 0, pq(peak))).max()))
    rows = [
        Row(
            "ACES 2 against OpenColorIO's transforms", worst * 4095, "codes of 12 bits", "≤ 0.5", f"{len(ACES)} of them"
        )
    ]
    xyz = np.asarray(config.to_xyz(image.data, config.working, _CPU), np.float64)
    light = np.tensordot(from_xyz("rec2020"), xyz, 1) * 100
    inside = (light > 0).all(axis=0) & (light < 10000).all(axis=0)
    made = deliver(image, limit="rec2020", peak=10000).data
    off = float(np.abs(made - pq(light))[:, inside].max())
    rows.append(Row("plain PQ against the formula", off * 4095, "codes of 12 bits", "≤ 0.5", "SMPTE ST 2084, float64"))
    out = deliver(image, encoding="hlg", limit="rec2020", peak=1000)
    dim = inside & (light < 400).all(axis=0)
    off = float(np.abs(hlg_light(out.data) / light - 1)[:, dim].max())
    rows.append(Row("plain HLG shown at 1000 cd/m²: light off", off, "of it", "≤ 1e-3", "Rec. ITU-R BT.2100"))
    display = display_of(out.metadata)
    assert display is not None
    return rows


def _cost(folder: Path, size: tuple[int, int], count: int) -> list[Row]:
    """Time writing with and without figures."""
    params = DeliverParams()
    images = [deliver(scene(n, *size), n) for n in range(1, count + 1)]
    rows = []
    for name, more in (("a.####.exr", {}), ("a.####.exr", {"compression": "none"}), ("a.mov", {})):
        spent: dict[str, float] = {}
        for light in ("off", "auto", "off", "auto"):
            start = time.process_time()
            write(folder / name, images, params, light=light, **more)
            spent[light] = min(spent.get(light, math.inf), time.process_time() - start)
        label = f"{name[-3:]} {more.get('compression', '')}".strip()
        note = f"{1000 * (spent['auto'] - spent['off']) / count:.1f} ms a frame of {size[0]}x{size[1]}, processor time"
        rows.append(
            Row(f"figures: time of writing {label} over that without", spent["auto"] / spent["off"], "×", "", note)
        )
    return rows


def rows(quick: bool) -> list[Row]:
    """Measure."""
    small = (96, 64) if quick else (960, 540)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = _light(folder, small, 2 if quick else 6)
        found += _transforms((96, 64) if quick else (480, 270))
        found += _cost(folder, (96, 64) if quick else (1920, 1080), 2 if quick else 4)
    return found
