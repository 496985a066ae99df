"""Makes the demo: documents, renders, figures, contact sheet, page."""

from __future__ import annotations

import json
import platform
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safelight.graph.device import Device
from safelight.graph.document import Document, load_document
from safelight.graph.errors import GraphError
from safelight.graph.frames import format_frames
from safelight.graph.graph import Graph
from safelight.graph.image import Array
from safelight.graph.progress import Progress
from safelight.graph.render import pull, render
from safelight.host_adapters.cli.demo.diagram import svg
from safelight.host_adapters.cli.demo.documents import PITCH, STEPS, Shot, documents, sequence
from safelight.host_adapters.cli.demo.measure import Measured, measure
from safelight.host_adapters.cli.demo.page import page
from safelight.host_adapters.cli.demo.pictures import contact_sheet, data_uri, save_png, view_of
from safelight.host_adapters.cli.landed import write_text

REPORT = "figures.json"


@dataclass
class Demo:
    """What the demo made."""

    folder: Path
    page: Path
    sheet: Path
    files: int
    seconds: float
    measured: Measured

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "folder": str(self.folder),
            "page": str(self.page),
            "contact_sheet": str(self.sheet),
            "files": self.files,
            "seconds": round(self.seconds, 2),
            **self.measured.as_data(),
        }


def make_demo(
    folder: Path,
    shot: Shot,
    device: Device,
    *,
    memory: int = 0,
    progress: Progress,
    cancel: threading.Event | None = None,
) -> Demo:
    """Make everything in `folder`; pictures of an earlier demo there are replaced.

    Raises GraphError when the folder cannot be made, RenderError when a frame fails.
    """
    began = time.monotonic()
    _make(folder)
    graphs: dict[str, Graph] = {}
    files = 0
    for name, text in documents(shot).items():
        write_text(folder / name, text)
        graph = Graph.from_document(load_document(folder / name))
        graphs[name] = graph
        progress.note(f"{name}")
        files += len(render(graph, device=device, memory=memory, progress=progress, cancel=cancel).files)
    readers = _readers(folder)
    measured = measure(readers, shot, device, progress, cancel)
    view, view_name = view_of(readers.settings)
    chosen = _frames(shot)
    pictures = {frame: _pictures(readers, frame, device, cancel) for frame in chosen}
    sheet = folder / "contact_sheet.png"
    title = f"Safelight {version('safelight')}: Plate, 500T on, grain off, 50D on (frame {chosen[0]}, {view_name})"
    save_png(contact_sheet(pictures[chosen[0]], view, title), sheet)
    seconds = time.monotonic() - began
    text = page(
        title="Safelight demo: grain on, grain off, another grain on",
        lead=(
            f"A procedural plate of {shot.width} x {shot.height}, frames "
            f"{format_frames(range(shot.first, shot.first + shot.frames))}"
            + (f", cut at {shot.cut}" if shot.cut is not None else "")
            + f"; seen as a window of a 4K scan, {PITCH:g} µm a pixel."
            + " The truth is known, so every step can be measured."
        ),
        pictures={
            str(frame): {step: data_uri(view(pixels)) for step, pixels in steps.items()}
            for frame, steps in pictures.items()
        },
        measured=measured,
        graphs={name: svg(graph) for name, graph in graphs.items()},
        commands=[
            *(f"safelight render {name}" for name in graphs),
            "safelight compare truth/truth.####.exr degrained/degrained.####.exr",
            "safelight render 2_degrain.toml --set degrain.strength=0.5",
        ],
        view=view_name,
        foot=f"Made in {seconds:.0f} s on {device.threads} threads ({device.kind}), {platform.machine()}.",
    )
    target = folder / "index.html"
    write_text(target, text)
    made = Demo(folder, target, sheet, files, time.monotonic() - began, measured)
    write_text(folder / REPORT, json.dumps(made.as_data(), indent=1) + "\n")
    return made


def _frames(shot: Shot) -> list[int]:
    """Return the frames to show: one in the middle of each scene."""
    last = shot.first + shot.frames
    if shot.cut is None:
        return [shot.first + shot.frames // 2]
    return [(shot.first + shot.cut) // 2, (shot.cut + last) // 2]


def _readers(folder: Path) -> Graph:
    text = ["safelight = 1"]
    for step in STEPS:
        text += [f"[nodes.{step}]", 'type = "Read"', f"path = {json.dumps(str(sequence(folder, step).absolute()))}"]
    return Graph.from_document(Document.parse("\n".join(text), folder))


def _pictures(graph: Graph, frame: int, device: Device, cancel: threading.Event | None) -> Mapping[str, Array]:
    found = {}
    for step in STEPS:
        for _, image in pull(graph, step, "", [frame], device=device, cancel=cancel):
            found[step] = image.data[:3]
    return found


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise GraphError("this is a file, not a folder", file=folder, remedy="Name another folder.") from None
    except OSError as error:
        raise GraphError(f"the folder cannot be made: {error.strerror}", file=folder) from None
