"""A chain that costs memory and hardly any time, for measuring the engine itself.

Run as a module, with FRAMES MEMORY WIDTH HEIGHT, it renders the chain and prints its peak resident memory.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from safelight.graph.device import Device, choose_device
from safelight.graph.document import Document
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Request, Settings, Writer
from safelight.graph.params import Params, param
from safelight.graph.region import Region
from safelight.graph.registry import Registry
from safelight.graph.render import render


class RollParams(Params):
    """Parameters of Roll."""

    width: int = param(2048, "Width.", ge=1)
    height: int = param(1152, "Height.", ge=1)
    frames: int = param(100, "Frames.", ge=1)


class Roll(Node):
    """Stands for a reader: frames arrive in the reading threads."""

    id = "BenchRoll"
    inputs = ()
    Params = RollParams
    source = True

    def extent(self, params: RollParams, inputs: Mapping[str, Clip]) -> Clip:
        """Say size and frames."""
        window = Region.sized(params.width, params.height)
        return Clip(1, params.frames, window, window)

    def compute(self, params: RollParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Fill the frame with its number."""
        region = request.region
        return Image(device.xp.full((3, region.height, region.width), request.frame, dtype="float32"), region)


class SpanParams(Params):
    """Parameters of Span."""

    radius: int = param(5, "Frames before and after.", ge=0)


class Span(Node):
    """Stands for a temporal filter: it holds all frames of its window."""

    id = "BenchSpan"
    Params = SpanParams

    def reach(self, params: SpanParams) -> tuple[int, int]:
        """Frames before and after."""
        return params.radius, 0

    def compute(self, params: SpanParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Give the mean of the first and the last frame of the window."""
        frames = inputs.frames("input")
        first, last = inputs.at("input", frames[0]), inputs.at("input", frames[-1])
        assert first is not None and last is not None
        return first.with_data((first.data + last.data) * device.xp.float32(0.5))


class Drain(Node):
    """Stands for a writer: takes frames and keeps none."""

    id = "BenchDrain"
    sink = True

    def identity(self, params: Params, request: Request) -> str | None:
        """Hand on the input."""
        return "input"

    def writer(self, params: Params, clip: Clip, frames: Sequence[int], settings: Settings) -> Writer:
        """Open nothing."""
        return _Nowhere()


class _Nowhere:
    def write(self, frame: int, image: Image) -> Sequence[Path]:
        return []

    def close(self) -> Sequence[Path]:
        return []

    def abort(self) -> None:
        return


def chain(frames: int, width: int, height: int, *, radius: int = 5, spans: int = 2) -> Graph:
    """Return roll -> span -> … -> drain."""
    registry = Registry()
    for node in (Roll, Span, Drain):
        registry.add(node)
    text = [
        "safelight = 1",
        f"[nodes.n0]\ntype = 'BenchRoll'\nframes = {frames}\nwidth = {width}\nheight = {height}",
        *(f"[nodes.n{i + 1}]\ntype = 'BenchSpan'\ninput = 'n{i}'\nradius = {radius}" for i in range(spans)),
        f"[nodes.out]\ntype = 'BenchDrain'\ninput = 'n{spans}'",
    ]
    return Graph.from_document(Document.parse("\n".join(text)), registry)


def peak_resident() -> int:
    """Return the most bytes this process ever had in memory."""
    try:
        # Not getrusage: its figure is inherited from whoever started the process.
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    import resource

    scale = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale


def _main() -> None:
    frames, memory, width, height = map(int, sys.argv[1:5])
    began = time.perf_counter()
    report = render(chain(frames, width, height), device=choose_device("cpu"), memory=memory)
    print(
        json.dumps(
            {
                "peak_resident": peak_resident(),
                "pixels": report.peak_bytes,
                "frames": report.rendered,
                "seconds": time.perf_counter() - began,
            }
        )
    )


if __name__ == "__main__":
    _main()
