"""Two clips side by side, frame by frame: memory does not grow with their length."""

from __future__ import annotations

import json
import math
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from safelight.colour.config import config_for
from safelight.colour.difference import PU21_WHITE, delta_e_2000, delta_e_itp, lab, pu21
from safelight.graph.device import Device
from safelight.graph.document import Document
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.graph import Graph
from safelight.graph.image import COLOUR_CHANNELS, Array, Clip, Image, colour_planes
from safelight.graph.progress import Progress, Stage
from safelight.graph.provenance import CHANNEL, KEPT, changed, codes, describe, has_record, tally
from safelight.graph.region import Region
from safelight.graph.render import pull
from safelight.nodes.io.files.formats import origin_types
from safelight.nodes.measure.metrics import (
    Figures,
    Spectrum,
    compare_frame,
    flicker,
    jitter,
    psnr,
    shift,
    spectrum,
)

DISPLAY_WHITE = 100.0
"""cd/m² that scene-linear 1.0 counts as for ΔE ITP and PU21, unless said otherwise."""
_CPU = Device("cpu", 1)


@dataclass(frozen=True)
class Colours:
    """Mean colour difference of a pair of frames."""

    e2000: float
    itp: float
    pu_square: float
    """Mean squared difference of luminance in PU21 units."""


@dataclass(frozen=True)
class Record:
    """What B's channel `provenance` says of its pixels, and whether it is true of those it calls kept."""

    pixels: Mapping[int, int]
    """How many pixels have each code."""
    broken: int
    """Pixels that are marked kept and whose bits differ from A's, or that A does not have."""

    def __add__(self, other: Record) -> Record:
        return Record(Counter(self.pixels) + Counter(other.pixels), self.broken + other.broken)

    def as_data(self) -> dict[str, Any]:
        """Return plain data, the commonest first."""
        ordered = sorted(self.pixels.items(), key=lambda item: -item[1])
        return {"pixels": {describe(code): count for code, count in ordered}, "kept_but_changed": self.broken}


def read_record(a: Image, b: Image, offset: tuple[int, int]) -> Record | None:
    """Hold B's record against A, `offset` being A's display window's corner less B's; None where B has none.

    Where B's file holds halfs, A counts as the nearest halfs: a kept pixel is kept as far as the file can hold it.
    """
    if not has_record(b):
        return None
    found = codes(b)
    if "half" in [origin_types(b.metadata).get(name) for name in (*COLOUR_CHANNELS, "Y")]:
        with np.errstate(over="ignore"):  # beyond 65520 a half is infinite
            a = a.with_data(a.data.astype(np.float16).astype(np.float32))
    at, (dx, dy) = a.region, offset
    aligned = replace(a, region=Region(at.x0 - dx, at.y0 - dy, at.x1 - dx, at.y1 - dy))
    touched = np.ones(found.shape, dtype=bool)
    both = b.region.intersect(aligned.region)
    if both:
        y, x = both.y0 - b.region.y0, both.x0 - b.region.x0
        touched[y : y + both.height, x : x + both.width] = changed(aligned, b.crop(both))
    return Record(tally(found), int(np.count_nonzero(touched & (found == KEPT))))


ColourMeter = Callable[[Array, Array], Colours | None]


@dataclass
class Measured:
    """One pair of frames."""

    frame_a: int
    frame_b: int
    figures: Figures
    colours: Colours | None
    shift_a: tuple[float, float] | None
    shift_b: tuple[float, float] | None
    record: Record | None = None

    @property
    def pu_psnr(self) -> float | None:
        """PSNR of luminance as evenly as it is seen, in dB."""
        return psnr(self.colours.pu_square, PU21_WHITE) if self.colours is not None else None

    def as_data(self) -> dict[str, Any]:
        """Return plain data; what is infinite or has no meaning is null."""
        found = self.figures
        return {
            "frame_a": self.frame_a,
            "frame_b": self.frame_b,
            "bit_identical": found.bit_identical,
            "changed_pixels": found.changed,
            "unmeasured_pixels": found.unmeasured,
            "psnr_db": _finite(found.psnr),
            "ssim": found.ssim,
            "delta_e_2000": self.colours.e2000 if self.colours is not None else None,
            "delta_e_itp": self.colours.itp if self.colours is not None else None,
            "pu_psnr_db": _finite(self.pu_psnr),
            "max_difference": found.max_difference,
            "level": found.level,
            "shift_a": self.shift_a,
            "shift_b": self.shift_b,
            "provenance": self.record.as_data() if self.record is not None else None,
        }


@dataclass
class Totals:
    """All pairs together; holds a few numbers a frame."""

    peak: float
    mean_squares: list[float] = field(default_factory=list)
    weights: list[int] = field(default_factory=list)
    levels: list[float] = field(default_factory=list)
    ssims: list[float] = field(default_factory=list)
    colours: list[Colours] = field(default_factory=list)
    shifts_a: list[tuple[float, float] | None] = field(default_factory=list)
    shifts_b: list[tuple[float, float] | None] = field(default_factory=list)
    largest: float | None = None
    changed: int = 0
    pixels: int = 0
    unmeasured: int = 0
    identical: bool = True
    frames: int = 0
    record: Record | None = None

    def add(self, pair: Measured) -> None:
        """Take in one pair."""
        found = pair.figures
        self.frames += 1
        self.changed += found.changed
        self.pixels += found.pixels
        self.unmeasured += found.unmeasured
        self.identical &= found.bit_identical
        if found.mean_square is not None:
            self.mean_squares.append(found.mean_square)
            self.weights.append(found.pixels - found.unmeasured)
        if found.level is not None:
            self.levels.append(found.level)
        if found.ssim is not None:
            self.ssims.append(found.ssim)
        if pair.colours is not None:
            self.colours.append(pair.colours)
        if found.max_difference is not None:
            self.largest = max(self.largest or 0.0, found.max_difference)
        if pair.record is not None:
            self.record = pair.record if self.record is None else self.record + pair.record
        self.shifts_a.append(pair.shift_a)
        self.shifts_b.append(pair.shift_b)

    @property
    def psnr(self) -> float | None:
        """PSNR of all frames as one: from the mean of their squared differences."""
        if not self.mean_squares:
            return None
        return psnr(float(np.average(self.mean_squares, weights=self.weights)), self.peak)

    @property
    def pu_psnr(self) -> float | None:
        """PU21-PSNR of all frames as one."""
        return psnr(float(np.mean([pair.pu_square for pair in self.colours])), PU21_WHITE) if self.colours else None

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "frames": self.frames,
            "bit_identical": self.identical,
            "changed_pixels": self.changed,
            "pixels": self.pixels,
            "unmeasured_pixels": self.unmeasured,
            "psnr_db": _finite(self.psnr),
            "ssim": float(np.mean(self.ssims)) if self.ssims else None,
            "delta_e_2000": float(np.mean([pair.e2000 for pair in self.colours])) if self.colours else None,
            "delta_e_itp": float(np.mean([pair.itp for pair in self.colours])) if self.colours else None,
            "pu_psnr_db": _finite(self.pu_psnr),
            "max_difference": self.largest,
            "flicker": flicker(self.levels),
            "jitter_a": jitter(self.shifts_a),
            "jitter_b": jitter(self.shifts_b),
            "provenance": self.record.as_data() if self.record is not None else None,
        }


def graph_of(a: Path, b: Path, colourspace: str = "auto", *, untrusted: bool = False) -> Graph:
    """Return a graph of two readers, `a` and `b`."""
    text = ["safelight = 1"]
    for name, path in (("a", a), ("b", b)):
        text += [
            f"[nodes.{name}]",
            'type = "Read"',
            f"path = {json.dumps(str(path.expanduser().absolute()))}",
            f"colourspace = {json.dumps(colourspace)}",
        ]
    return Graph.from_document(Document.parse("\n".join(text)), untrusted=untrusted)


def check_pair(
    graph: Graph, frames: Sequence[int] | None = None, *, a: str = "a", b: str = "b"
) -> tuple[list[int], list[int]]:
    """Refuse clips that cannot be compared; return the frames of both, paired by their order.

    With `frames`, those of both by number: their lengths may differ.
    """
    one, two = graph.clip(a), graph.clip(b)
    if (one.display.width, one.display.height) != (two.display.width, two.display.height):
        raise GraphError(
            f"A is {one.display.width} x {one.display.height} and B is {two.display.width} x {two.display.height}",
            remedy="Compare pictures of one size.",
        )
    if frames is None and len(one.frames) != len(two.frames):
        raise GraphError(
            f"A has {len(one.frames)} frames ({one.first} to {one.last}) and B has {len(two.frames)} "
            f"({two.first} to {two.last})",
            remedy="Compare clips of one length, or choose frames that both have with --frames.",
        )
    if len(colour_planes(one.channels)) != len(colour_planes(two.channels)) or not colour_planes(one.channels):
        raise GraphError(
            f"A has the channels {', '.join(one.channels)} and B has {', '.join(two.channels)}",
            remedy="Compare pictures with the same colour channels.",
        )
    if frames is not None:
        return list(frames), list(frames)
    return list(one.frames), list(two.frames)


def compare_clips(
    graph: Graph,
    frames_a: list[int],
    frames_b: list[int],
    *,
    a: str = "a",
    b: str = "b",
    peak: float = 1.0,
    device: Device,
    memory: int = 0,
    progress: Progress,
    cancel: threading.Event | None = None,
    meter: ColourMeter | None = None,
) -> Iterator[Measured]:
    """Yield the figures of each pair of frames, in order."""
    stage = Stage("compare", len(frames_a), progress)
    threads = max(1, device.threads)
    origin_a, origin_b = graph.clip(a).display, graph.clip(b).display
    before: tuple[Spectrum, Spectrum] | None = None
    pictures_a = pull(graph, a, "", frames_a, device=device, memory=memory // 2, cancel=cancel)
    pictures_b = pull(graph, b, "", frames_b, device=device, memory=memory // 2, cancel=cancel)
    # The figures of one pair run side by side: scipy's filters and transforms let go of the interpreter.
    with ThreadPoolExecutor(threads) as pool:
        for (frame_a, image_a), (frame_b, image_b) in zip(pictures_a, pictures_b, strict=True):
            x, y = _together(image_a, image_b, (origin_a.x0, origin_a.y0), (origin_b.x0, origin_b.y0))
            if x.shape[0] != y.shape[0]:
                raise RenderError("A and B have different channels in this frame", frame=frame_a)
            figures = pool.submit(compare_frame, frame_a, x, y, peak)
            colours = pool.submit(meter, x, y) if meter is not None and x.shape[0] == 3 else None
            now = (spectrum(x, threads), spectrum(y, threads)) if x.size else None
            moved: tuple[tuple[float, float] | None, tuple[float, float] | None] = (None, None)
            if before is not None and now is not None and before[0].shape == now[0].shape:
                moved = (shift(before[0], now[0], threads=threads), shift(before[1], now[1], threads=threads))
            before = now
            yield Measured(
                frame_a,
                frame_b,
                figures.result(),
                colours.result() if colours is not None else None,
                *moved,
                read_record(image_a, image_b, (origin_a.x0 - origin_b.x0, origin_a.y0 - origin_b.y0)),
            )
            stage.advance(frame_a, image_a.nbytes + image_b.nbytes)


def _together(a: Image, b: Image, origin_a: tuple[int, int], origin_b: tuple[int, int]) -> tuple[Array, Array]:
    """Return the colour planes over the smallest window that holds both; what one of them lacks is 0 there."""
    left_a, left_b = _colour(a), _colour(b)
    at_a = (a.region.x0 - origin_a[0], a.region.y0 - origin_a[1])
    at_b = (b.region.x0 - origin_b[0], b.region.y0 - origin_b[1])
    if at_a == at_b and left_a.shape[1:] == left_b.shape[1:]:
        return left_a, left_b
    x0, y0 = min(at_a[0], at_b[0]), min(at_a[1], at_b[1])
    x1 = max(at_a[0] + a.region.width, at_b[0] + b.region.width)
    y1 = max(at_a[1] + a.region.height, at_b[1] + b.region.height)
    made = []
    for pixels, (x, y) in ((left_a, at_a), (left_b, at_b)):
        whole = np.zeros((pixels.shape[0], y1 - y0, x1 - x0), dtype=np.float32)
        whole[:, y - y0 : y - y0 + pixels.shape[1], x - x0 : x - x0 + pixels.shape[2]] = pixels
        made.append(whole)
    return made[0], made[1]


def _colour(image: Image) -> Array:
    planes = colour_planes(image.channels)
    if planes == tuple(range(len(image.channels))):
        return image.data
    return np.ascontiguousarray(image.data[list(planes)])


def left_out(clip: Clip) -> list[str]:
    """Return the channels that are not compared."""
    planes = colour_planes(clip.channels)
    return [name for index, name in enumerate(clip.channels) if index not in planes and name != CHANNEL]


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def colour_difference(graph: Graph, device: Device, white: float = DISPLAY_WHITE) -> ColourMeter | None:
    """Return what measures colour differences of pictures in the working space; None when the config cannot say.

    `white` is the light of 1.0 in cd/m², for the measures of display light.
    """
    config = config_for(graph.settings)
    try:
        config.to_xyz(np.zeros((3, 1, 1), dtype=np.float32), config.working, _CPU)
    except GraphError:
        return None

    def measure(a: Array, b: Array) -> Colours | None:
        good = np.isfinite(a).all(axis=0) & np.isfinite(b).all(axis=0)
        count = int(np.count_nonzero(good))
        differs = good & (a != b).any(axis=0)
        if not count:
            return None
        if not differs.any():
            return Colours(0.0, 0.0, 0.0)
        first, second = (
            np.asarray(config.to_xyz(np.ascontiguousarray(p[:, differs])[:, None], config.working, _CPU), np.float64)
            for p in (a, b)
        )
        e2000 = delta_e_2000(lab(first), lab(second))
        itp = delta_e_itp(first * white, second * white)
        seen = np.square(pu21(first[1] * white) - pu21(second[1] * white))
        return Colours(*(float(np.nansum(part)) / count for part in (e2000, itp, seen)))

    return measure
