"""Small nodes that stand for the kinds there are: a source, filters in space and time, two outputs, a sink."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import RenderError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.region import Region
from safelight.graph.registry import Registry

CALLS: Counter[tuple[str, int]] = Counter()
"""How often `compute` of each toy ran for each frame, by parameter `tag` (cleared by the tests)."""
LOCK = threading.Lock()


class ToyParams(Params):
    tag: str = param("", "Name in CALLS.", picture=False)


class NoiseParams(ToyParams):
    width: int = param(13, ge=1)
    height: int = param(9, ge=1)
    first: int = param(1)
    frames: int = param(8, ge=0)
    seed: int = param(0)
    x0: int = param(0)
    y0: int = param(0)
    broken: int = param(-1000, "Frame that cannot be read.")
    file: str = param("", kind="path")


def note(params: ToyParams, frame: int) -> None:
    with LOCK:
        CALLS[params.tag, frame] += 1


def noise_frame(params: NoiseParams, frame: int) -> np.ndarray:
    rng = np.random.default_rng([params.seed, frame + 1000])
    return rng.standard_normal((3, params.height, params.width)).astype(np.float32)


class Noise(Node):
    id = "Noise"
    inputs = ()
    Params = NoiseParams
    source = True

    def extent(self, params: NoiseParams, inputs: Mapping[str, Clip]) -> Clip:
        window = Region.sized(params.width, params.height, params.x0, params.y0)
        return Clip(params.first, params.first + params.frames - 1, Region.sized(params.width, params.height), window)

    def target(self, params: NoiseParams, frame: int) -> Path | None:
        return Path(params.file) if params.file else None

    def compute(self, params: NoiseParams, request: Request, inputs: Inputs, device: Device) -> Image:
        note(params, request.frame)
        if request.frame == params.broken:
            raise RenderError("the file is cut short", file=f"noise.{request.frame}.toy", remedy="Copy it again.")
        whole = Region.sized(params.width, params.height, params.x0, params.y0)
        image = Image(noise_frame(params, request.frame), whole, metadata={"frame": request.frame})
        return image.crop(request.region)


class BoxParams(ToyParams):
    window: int = param(1, ge=0, unit="frames")
    padding: int = param(1, ge=0, unit="pixels")
    gain: float = param(1.0, "Weight of the neighbours.")


class Box(Node):
    """Sum over a box in space and time, clamped at the data window; gain 0 hands on the input."""

    id = "Box"
    Params = BoxParams

    def reach(self, params: BoxParams) -> tuple[int, int]:
        return params.window, params.padding

    def identity(self, params: BoxParams, request: Request) -> str | None:
        return "input" if params.gain == 0 else None

    def compute(self, params: BoxParams, request: Request, inputs: Inputs, device: Device) -> Image:
        note(params, request.frame)
        if params.gain == 0:
            return inputs["input"].crop(request.region)
        total = np.zeros((3, request.region.height, request.region.width), np.float32)
        for frame in inputs.frames("input"):
            image = inputs.at("input", frame)
            assert image is not None
            total += params.gain * box_sum(image, request.region, params.padding)
        return inputs["input"].with_data(total, request.region)


def box_sum(image: Image, region: Region, padding: int) -> np.ndarray:
    """Sum over the box around each pixel of a region, reading clamped at the image's borders."""
    total = np.zeros((3, region.height, region.width), np.float32)
    for dy in range(-padding, padding + 1):
        for dx in range(-padding, padding + 1):
            y = np.clip(np.arange(region.y0, region.y1) + dy, image.region.y0, image.region.y1 - 1) - image.region.y0
            x = np.clip(np.arange(region.x0, region.x1) + dx, image.region.x0, image.region.x1 - 1) - image.region.x0
            total += image.data[:, y[:, None], x[None]]
    return total


class Add(Node):
    id = "Add"
    inputs = (Port("a"), Port("b"), Port("c", optional=True))
    Params = ToyParams

    def compute(self, params: ToyParams, request: Request, inputs: Inputs, device: Device) -> Image:
        note(params, request.frame)
        total = inputs["a"].data.copy()
        for port in ("b", "c"):
            image = inputs.get(port)
            if image is not None:
                inside = image.region.intersect(request.region)
                y, x = inside.y0 - request.region.y0, inside.x0 - request.region.x0
                total[:, y : y + inside.height, x : x + inside.width] += image.crop(inside).data
        return inputs["a"].with_data(total)


class Split(Node):
    """Two outputs: the rounded values and the rest; `whole` asks for the input's mean through a prepare stage."""

    id = "Split"
    outputs = (Port("image"), Port("rest"))
    Params = BoxParams
    tileable = False

    def reach(self, params: BoxParams) -> tuple[int, int]:
        return params.window, 0

    def prepare(self, params: BoxParams, port: str, image: Image, device: Device) -> Any:
        with LOCK:
            CALLS[f"{params.tag}.prepare", 0] += 1
        return np.asarray(image.data.mean(), np.float32)

    def identity(self, params: BoxParams, request: Request) -> str | None:
        return "input" if params.gain == 0 else None

    def compute(self, params: BoxParams, request: Request, inputs: Inputs, device: Device) -> Mapping[str, Image]:
        note(params, request.frame)
        means = [inputs.prepared("input", frame) for frame in inputs.frames("input")]
        image = inputs["input"]
        gain = np.float32(params.gain)
        rounded = np.rint(image.data) + np.float32(sum(means)) * gain if gain else image.data
        return {"image": image.with_data(rounded), "rest": image.with_data(image.data - rounded)}


class LevelParams(ToyParams):
    scale: float = param(1.0)
    colour: str = param("grey", "Does not matter for the analysis.")


class Level(Node):
    """Takes the mean of the whole shot off each frame."""

    id = "Level"
    Params = LevelParams

    def wants_analysis(self, params: LevelParams) -> bool:
        return True

    def analysis_params(self, params: LevelParams) -> Mapping[str, Any]:
        return {"scale": params.scale}

    def analyse(
        self, params: LevelParams, images: Iterable[tuple[int, Image]], clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        with LOCK:
            CALLS[f"{params.tag}.analyse", 0] += 1
        means = {str(frame): float(image.data.mean(dtype=np.float64)) for frame, image in images}
        return {
            "note": "the shot was looked at",
            "mean": params.scale * sum(means.values()) / len(means),
            "frames": means,
        }

    def compute(self, params: LevelParams, request: Request, inputs: Inputs, device: Device) -> Image:
        assert inputs.analysis is not None
        return inputs["input"].with_data(inputs["input"].data - np.float32(inputs.analysis["mean"]))


class StoreParams(ToyParams):
    path: str = param(..., "Where to, with %04d.", kind="path")


class Store(Node):
    """Writes numpy files by rename."""

    id = "Store"
    Params = StoreParams
    sink = True

    def identity(self, params: StoreParams, request: Request) -> str | None:
        return "input"

    def target(self, params: StoreParams, frame: int) -> Path | None:
        return Path(params.path % frame)

    def writer(self, params: StoreParams, clip: Clip, frames: Sequence[int], settings: Settings) -> StoreWriter:
        return StoreWriter(params)


class StoreWriter:
    def __init__(self, params: StoreParams) -> None:
        self.params = params

    def write(self, frame: int, image: Image) -> Sequence[Path]:
        path = Path(self.params.path % frame)
        temporary = path.with_name(f".{path.name}.tmp.npy")
        np.save(temporary, image.data)
        temporary.replace(path)
        return [path]

    def close(self) -> Sequence[Path]:
        return []

    def abort(self) -> None:
        return


def toys() -> Registry:
    registry = Registry()
    for node in (Noise, Box, Add, Split, Level, Store):
        registry.add(node)
    return registry
