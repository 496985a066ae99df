"""The demo's figures: every step against the truth, and the grain against the data sheet."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.density import MID_GREY
from safelight.graph.device import Device
from safelight.graph.graph import Graph
from safelight.graph.image import Array
from safelight.graph.progress import Progress, Stage
from safelight.graph.render import pull
from safelight.host_adapters.cli.demo.documents import PITCH, STEPS, Shot
from safelight.nodes.grain.stock import Stock, load_stock
from safelight.nodes.io.plate_scene import GREY_STOPS, chart
from safelight.nodes.io.plate_scene import STEPS as PATCHES
from safelight.nodes.measure.metrics import flicker, psnr, ssim
from safelight.nodes.measure.microdensitometer import Microdensitometer

DENSITY_PEAK = 2.0
"""Full scale of density PSNR and SSIM: about the range of a camera negative, in D."""
READ_STOPS = (-4, 2)
"""Patches of the chart that the microdensitometer reads: stops about 0.18, first and last."""
STOCKS = {"grained": "500T", "regrained": "50D"}


@dataclass
class StepFigures:
    """One step against the truth, all frames as one."""

    name: str
    density_psnr: float
    linear_psnr: float
    density_ssim: float | None
    flicker: float
    """RMS change from frame to frame of the mean difference, linear."""


@dataclass
class Reading:
    """What a 48 µm microdensitometer reads on the flat patches of a grained step, against the stock's table."""

    step: str
    stock: str
    layers: list[float]
    """Reading over target of R, G, B, mean over patches and frames."""
    samples: int
    """Places read for each layer."""


@dataclass
class Measured:
    """All figures of the demo."""

    steps: list[StepFigures] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "steps": [
                {
                    "step": step.name,
                    "density_psnr_db": round(step.density_psnr, 3),
                    "linear_psnr_db": round(step.linear_psnr, 3),
                    "density_ssim": step.density_ssim,
                    "flicker": step.flicker,
                }
                for step in self.steps
            ],
            "density_peak": DENSITY_PEAK,
            "microdensitometer": [
                {"step": r.step, "stock": r.stock, "reading_over_target": r.layers, "samples": r.samples}
                for r in self.readings
            ],
        }


class _Sums:
    def __init__(self) -> None:
        self.density: list[float] = []
        self.linear: list[float] = []
        self.ssim: list[float] = []
        self.levels: list[float] = []


def measure(
    graph: Graph, shot: Shot, device: Device, progress: Progress, cancel: threading.Event | None = None
) -> Measured:
    """Measure all steps. `graph` has one reader for each of STEPS, under its name."""
    scale = load_stock(STOCKS["grained"])
    sums = {step: _Sums() for step in STEPS[1:]}
    readers = {step: _Reader(load_stock(stock), shot) for step, stock in STOCKS.items()}
    frames = range(shot.first, shot.first + shot.frames)
    stage = Stage("measure", len(frames), progress)
    for frame, pictures in _pictures(graph, frames, device, cancel):
        truth = pictures["truth"]
        truth_density = density(scale, truth)
        for step in STEPS[1:]:
            picture, made = pictures[step], sums[step]
            apart = picture.astype(np.float64) - truth
            made.linear.append(float(np.mean(apart**2)))
            made.levels.append(float(apart.mean()))
            picture_density = density(scale, picture)
            made.density.append(float(np.mean((picture_density - truth_density) ** 2)))
            similar = ssim(picture_density, truth_density, DENSITY_PEAK)
            made.ssim += [similar] if similar is not None else []
            if step in readers:
                readers[step].add(picture)
        stage.advance(frame, sum(picture.nbytes for picture in pictures.values()))
    found = Measured()
    for step, made in sums.items():
        found.steps.append(
            StepFigures(
                step,
                psnr(float(np.mean(made.density)), DENSITY_PEAK),
                psnr(float(np.mean(made.linear))),
                float(np.mean(made.ssim)) if made.ssim else None,
                flicker(made.levels),
            )
        )
    found.readings = [
        Reading(step, STOCKS[step], layers, reader.samples)
        for step, reader in readers.items()
        if (layers := reader.over_target()) is not None
    ]
    return found


def density(stock: Stock, pixels: Array) -> npt.NDArray[np.float64]:
    """Return the negative's densities at scene-linear pixels (3, H, W)."""
    return np.stack([stock.curves[layer].density(pixels[layer]) for layer in range(3)])


def _pictures(
    graph: Graph, frames: Sequence[int], device: Device, cancel: threading.Event | None
) -> Iterator[tuple[int, dict[str, Array]]]:
    streams = {step: pull(graph, step, "", list(frames), device=device, cancel=cancel) for step in STEPS}
    for frame in frames:
        yield frame, {step: next(stream)[1].data[:3] for step, stream in streams.items()}


class _Reader:
    """A microdensitometer on the grey patches, over all frames."""

    def __init__(self, stock: Stock, shot: Shot) -> None:
        self._stock = stock
        self._meter = Microdensitometer(PITCH)
        self._readings: dict[tuple[int, int], list[npt.NDArray[np.float64]]] = {}
        size = self._meter.weights.shape[0]
        patches = chart(shot.width, shot.height)[:PATCHES]
        wanted = [stop for stop in GREY_STOPS if READ_STOPS[0] <= stop <= READ_STOPS[1]]
        self._patches = {
            index: patches[index]
            for index, stop in enumerate(GREY_STOPS)
            if stop in wanted and patches and min(patches[index][0].width, patches[index][0].height) >= size
        }
        self.samples = 0

    def add(self, picture: Array) -> None:
        for index, (region, _) in self._patches.items():
            flat = picture[:, region.y0 : region.y1, region.x0 : region.x1]
            for layer in range(3):
                read = self._meter.readings(self._stock.curves[layer].density(flat[layer]), step=3)
                self._readings.setdefault((layer, index), []).append(read.ravel())
                self.samples += read.size if layer == 0 else 0

    def over_target(self) -> list[float] | None:
        """Return reading over table, by layer."""
        if not self._readings:
            return None
        ratios = []
        for layer in range(3):
            kappa = self._meter.kappa(self._stock.cloud_um[layer])
            parts = [
                # About the mean of all frames: the discs of one small patch share some of its grain.
                float(np.std(np.concatenate(self._readings[layer, index]), ddof=1))
                / kappa
                / float(self._stock.sigma48(layer, np.log10(value[layer] / MID_GREY)))
                for index, (_, value) in self._patches.items()
            ]
            ratios.append(float(np.mean(parts)))
        return ratios
