"""ColorVideoVDP (Mantiuk et al. 2024) of two clips, where `pycvvdp` is installed: how visible the difference is."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from safelight.colour.config import config_for
from safelight.colour.primaries import from_xyz
from safelight.colour.transfer import pq
from safelight.graph.device import Device
from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.graph import Graph
from safelight.graph.image import Image, colour_planes
from safelight.graph.progress import Progress, Stage
from safelight.graph.render import pull

DISPLAY = "standard_hdr_linear"
"""Display model that is looked at unless another is named: 30 inches, 4K, 1,500 cd/m², 10 lux."""
_CPU = Device("cpu", 1)


@dataclass(frozen=True)
class Verdict:
    """What ColorVideoVDP says of a pair of clips."""

    jod: float
    """Just-objectionable differences: 10 where B looks like A, 1 less where three of four people prefer A."""
    display: str

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {"jod": self.jod, "display": self.display}


def load() -> Any:
    """Return `pycvvdp`.

    Raises
    ------
    GraphError
        It is not installed.
    """
    try:
        import pycvvdp
        import pycvvdp.video_source
    except ImportError as error:
        raise GraphError(
            f"ColorVideoVDP is not installed ({error})",
            where="--vdp",
            remedy="Run pip install 'torch>=2.6,<2.14' cvvdp, or leave --vdp out.",
        ) from None
    return pycvvdp


def check(graph: Graph, display: str) -> str:
    """Refuse a display that is unknown or cannot be fed with light, and clips of two sizes; return how it is fed."""
    library = load()
    models = json.loads((Path(library.__file__).parent / "vvdp_data" / "display_models.json").read_text("utf-8"))
    fed = {name: _feed(str(model.get("colorspace", "sRGB"))) for name, model in models.items()}
    if not fed.get(display):
        usable = [name for name, way in fed.items() if way]
        raise GraphError(
            f"ColorVideoVDP has no display '{display}' that takes PQ, linear light or sRGB",
            where="--vdp",
            remedy=did_you_mean(display, usable) or f"It has {', '.join(usable[:8])} …",
        )
    one, two = graph.clip("a").display, graph.clip("b").display
    if (one.width, one.height) != (two.width, two.height):
        raise GraphError(f"ColorVideoVDP needs clips of one size: A is {one}, B is {two}", where="--vdp")
    if any(len(colour_planes(graph.clip(name).channels)) != 3 for name in "ab"):
        raise GraphError("ColorVideoVDP needs R, G and B", where="--vdp")
    return fed[display]


def _feed(colourspace: str) -> str:
    return {"BT.2020-PQ": "pq", "BT.709-linear": "linear", "sRGB": "srgb"}.get(colourspace, "")


def measure(
    graph: Graph,
    frames_a: list[int],
    frames_b: list[int],
    *,
    display: str,
    white: float,
    device: Device,
    memory: int = 0,
    progress: Progress,
    cancel: threading.Event | None = None,
) -> Verdict:
    """Return ColorVideoVDP's verdict on B against A, the reference.

    Frames are made, and handed over, one after the other. HDR displays get absolute light, scene-linear 1.0 as `white`
    cd/m²; of SDR displays 1.0 is the white. What is not finite counts as black.

    Raises
    ------
    GraphError
        `pycvvdp` is not installed, or the display is unknown.
    """
    import torch

    way, library = check(graph, display), load()
    fps = float(graph.clip("a").fps or graph.clip("b").fps or Fraction(24)) if len(frames_a) > 1 else 0.0
    stage = Stage("ColorVideoVDP", len(frames_a), progress)
    config = config_for(graph.settings)
    window = graph.clip("a").display

    def light(name: str, frames: list[int]) -> Iterator[Any]:
        matrix = from_xyz("rec2020" if way == "pq" else "rec709")
        corner = graph.clip(name).display
        for frame, image in pull(graph, name, "", frames, device=device, memory=memory // 2, cancel=cancel):
            planes = _whole(image, (corner.x0, corner.y0), (window.height, window.width))
            xyz = np.asarray(config.to_xyz(planes, config.working, _CPU), np.float64)
            linear = np.nan_to_num(np.tensordot(matrix, xyz, axes=1), nan=0.0, posinf=0.0, neginf=0.0)
            yield torch.from_numpy(np.ascontiguousarray(_encoded(linear, way, white), np.float32)[None, :, None])
            if name == "a":
                stage.advance(frame, image.nbytes)

    class Frames(library.video_source.video_source_dm):  # type: ignore[misc, name-defined]
        """Hands frames over in order, each as often as it is asked for."""

        def __init__(self) -> None:
            super().__init__(display_photometry=display)
            self._made = {"a": light("a", frames_a), "b": light("b", frames_b)}
            self._last: dict[str, tuple[int, Any]] = {"a": (-1, None), "b": (-1, None)}

        def get_video_size(self) -> tuple[int, int, int]:
            return window.height, window.width, len(frames_a)

        def get_frames_per_second(self) -> float:
            return fps

        def get_reference_frame(self, frame: int, device: Any, colorspace: str) -> Any:
            return self._frame("a", frame, device, colorspace)

        def get_test_frame(self, frame: int, device: Any, colorspace: str) -> Any:
            return self._frame("b", frame, device, colorspace)

        def _frame(self, name: str, index: int, place: Any, colourspace: str) -> Any:
            at, made = self._last[name]
            while at < index:
                at, made = at + 1, next(self._made[name])
            if at != index:
                raise RuntimeError(f"frame {index} was asked for after frame {at}")
            self._last[name] = at, made
            return self.apply_dm_and_color_transform(made.to(place), colourspace)

    torch.set_num_threads(max(1, device.threads))
    metric = library.cvvdp(display_name=display, quiet=True, device=torch.device("cpu"))
    found, _ = metric.predict_video_source(Frames())
    return Verdict(float(found), display)


def _encoded(linear: Any, way: str, white: float) -> Any:
    """Return what a display model takes: PQ or cd/m² of light, or the sRGB signal."""
    if way == "pq":
        return np.minimum(pq(linear * white), 1.0)
    if way == "linear":
        return linear * white
    held = np.clip(linear, 0.0, 1.0)
    return np.where(held <= 0.0031308, 12.92 * held, 1.055 * held ** (1 / 2.4) - 0.055)


def _whole(image: Image, corner: tuple[int, int], size: tuple[int, int]) -> Any:
    """Return R, G, B over the display window, black where there is no data."""
    out = np.zeros((3, *size), np.float32)
    y, x = image.region.y0 - corner[1], image.region.x0 - corner[0]
    top, left = max(0, y), max(0, x)
    bottom, right = min(size[0], y + image.region.height), min(size[1], x + image.region.width)
    if top < bottom and left < right:
        planes = image.data[list(colour_planes(image.channels))]
        out[:, top:bottom, left:right] = planes[:, top - y : bottom - y, left - x : right - x]
    return out
