"""Where pixels are worked on: this machine's processor, or a CUDA device."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal

import numpy as np

from safelight.graph.errors import GraphError
from safelight.graph.image import Image
from safelight.graph.pool import shared


def cpu_count() -> int:
    """Return the processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


@dataclass(frozen=True)
class Device:
    """A place to compute. Pixels do not depend on `threads`."""

    kind: Literal["cpu", "cuda"] = "cpu"
    threads: int = field(default_factory=cpu_count)

    @property
    def xp(self) -> ModuleType:
        """The array module: numpy, or cupy."""
        if self.kind == "cpu":
            return np
        import cupy

        module: ModuleType = cupy
        return module

    def empty(self, shape: tuple[int, ...]) -> Any:
        """Return a float32 array on this device, with arbitrary content, from memory that goes round."""
        if self.kind == "cpu":
            return shared.empty(shape)
        return self.xp.empty(shape, dtype=np.float32)

    def upload(self, image: Image) -> Image:
        """Return the image with its pixels on this device."""
        if self.kind == "cpu" or not isinstance(image.data, np.ndarray):
            return image
        return image.with_data(self.xp.asarray(image.data))

    def download(self, image: Image) -> Image:
        """Return the image with its pixels in numpy."""
        if isinstance(image.data, np.ndarray):
            return image
        data: Any = image.data
        return image.with_data(data.get())


def choose_device(name: str = "auto", threads: int | None = None) -> Device:
    """Turn `auto`, `cpu` or `cuda` into a device; `auto` takes CUDA where CuPy finds one."""
    count = cpu_count() if threads is None else threads
    if name not in ("auto", "cpu", "cuda"):
        raise GraphError(f"unknown device '{name}'", remedy="Use auto, cpu or cuda.")
    if name == "cpu":
        return Device("cpu", count)
    try:
        import cupy

        found = cupy.cuda.runtime.getDeviceCount() > 0
        reason = "CuPy sees no CUDA device"
    except ImportError:
        found, reason = False, "CuPy is not installed (pip install 'safelight[gpu]', or 'safelight[gpu13]' for CUDA 13)"
    except Exception as error:  # CuPy raises its own family when the driver is missing
        found, reason = False, f"CuPy finds no usable CUDA driver ({str(error).splitlines()[0]})"
    if found:
        return Device("cuda", count)
    if name == "cuda":
        raise GraphError(f"no CUDA device: {reason}", remedy="Use --device cpu, or mend the CUDA installation.")
    return Device("cpu", count)
