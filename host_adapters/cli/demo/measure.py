"""The demo's figures: every step against the truth, and the grain against the data sheet."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
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


@dataclass
class StepFigures:
    """One step against the truth, all frames as one."""

    name: str
    density_psnr: float
    linear_psnr: float
    """Over pixels where the truth is at most 1: lamps of 140 would outweigh everything else."""
    density_ssim: float | None
    flicker: float
    """RMS change from frame to frame of the mean difference in density, D."""


@dataclass
class Reading:
    """What a 48 µm microdensitometer reads on the flat patches, over what the stock's table says."""

    label: str
    layers: list[float]
    """Of R, G, B: mean over patches and frames."""
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
                    "flicker_density": step.flicker,
                }
                for step in self.steps
            ],
            "density_peak": DENSITY_PEAK,
            "microdensitometer": [
                {"what": reading.label, "reading_over_table": reading.layers, "samples": reading.samples}
                for reading in self.readings
            ],
        }


class _Step:
    """One step's sums over the frames."""

    def __init__(self, name: str, scale: Stock) -> None:
        self.name = name
        self._scale = scale
        self._density: list[float] = []
        self._linear: list[float] = []
        self._ssim: list[float] = []
        self._levels: list[float] = []

    def add(self, picture: Array, truth: Array, truth_density: npt.NDArray[np.float64]) -> None:
        usual = (truth <= 1).all(axis=0)
        if usual.any():
            self._linear.append(float(np.mean((picture[:, usual].astype(np.float64) - truth[:, usual]) ** 2)))
        made = density(self._scale, picture)
        apart = made - truth_density
        self._density.append(float(np.mean(apart**2)))
        self._levels.append(float(apart.mean()))
        similar = ssim(made, truth_density, DENSITY_PEAK)
        self._ssim += [similar] if similar is not None else []

    def figures(self) -> StepFigures:
        return StepFigures(
            self.name,
            psnr(float(np.mean(self._density)), DENSITY_PEAK),
            psnr(float(np.mean(self._linear))) if self._linear else float("nan"),
            float(np.mean(self._ssim)) if self._ssim else None,
            flicker(self._levels),
        )


def measure(
    graph: Graph, shot: Shot, device: Device, progress: Progress, cancel: threading.Event | None = None
) -> Measured:
    """Measure all steps. `graph` has one reader for each of STEPS, under its name."""
    coarse, fine = load_stock("500T"), load_stock("50D")
    steps = [_Step(name, coarse) for name in STEPS[1:]]
    meters = [
        ("grained", _Meter(coarse, shot)),
        ("degrained", _Meter(coarse, shot)),
        ("degrained", _Meter(fine, shot)),
        ("regrained", _Meter(fine, shot)),
    ]
    frames = range(shot.first, shot.first + shot.frames)
    stage = Stage("measure", len(frames), progress)
    with ThreadPoolExecutor(max(1, device.threads)) as pool:
        for frame, pictures in _pictures(graph, frames, device, cancel):
            truth = pictures["truth"]
            truth_density = density(coarse, truth)
            work = [pool.submit(step.add, pictures[step.name], truth, truth_density) for step in steps]
            work += [pool.submit(meter.add, pictures[name]) for name, meter in meters]
            for done in work:
                done.result()
            stage.advance(frame, sum(picture.nbytes for picture in pictures.values()))
    found = Measured([step.figures() for step in steps])
    grained, left, left_fine, regrained = (meter for _, meter in meters)
    if grained.samples:
        found.readings = [
            Reading("grained as 500T, over 500T's table", grained.over_table(), grained.samples),
            Reading("degrained, over 500T's table: what is left", left.over_table(), left.samples),
            Reading("regrained as 50D, over 50D's table", regrained.over_table(), regrained.samples),
            Reading("the same, less what was left", regrained.over_table(left_fine), regrained.samples),
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


class _Meter:
    """A microdensitometer on the grey patches, over all frames."""

    def __init__(self, stock: Stock, shot: Shot) -> None:
        self._stock = stock
        self._meter = Microdensitometer(PITCH)
        self._readings: dict[tuple[int, int], list[npt.NDArray[np.float64]]] = {}
        size = self._meter.weights.shape[0]
        self._patches = {
            index: patch
            for index, (stop, patch) in enumerate(
                zip(GREY_STOPS, chart(shot.width, shot.height)[:PATCHES], strict=False)
            )
            if READ_STOPS[0] <= stop <= READ_STOPS[1] and min(patch[0].width, patch[0].height) >= size
        }
        self.samples = 0

    def add(self, picture: Array) -> None:
        for index, (region, _) in self._patches.items():
            flat = picture[:, region.y0 : region.y1, region.x0 : region.x1]
            for layer in range(3):
                read = self._meter.readings(self._stock.curves[layer].density(flat[layer]), step=3)
                self._readings.setdefault((layer, index), []).append(read.ravel())
                self.samples += read.size if layer == 0 else 0

    def variance(self, layer: int, index: int) -> float:
        """Return the variance of one patch, about the mean of all frames: one frame's few discs share some grain."""
        return float(np.var(np.concatenate(self._readings[layer, index]), ddof=1))

    def over_table(self, left: _Meter | None = None) -> list[float]:
        """Return reading over table, by layer; with `left`, of the grain that came on top of what was there."""
        ratios = []
        for layer in range(3):
            kappa = self._meter.kappa(self._stock.cloud_um[layer])
            parts = []
            for index, (_, value) in self._patches.items():
                variance = self.variance(layer, index) - (left.variance(layer, index) if left is not None else 0.0)
                target = float(self._stock.sigma48(layer, np.log10(value[layer] / MID_GREY)))
                parts.append(np.sqrt(max(variance, 0.0)) / kappa / target)
            ratios.append(float(np.mean(parts)))
        return ratios
