"""The light of frames as written: measured from the very code values, in cd/m².

MaxCLL is the brightest of max(R, G, B) over all pixels, a frame's average light the mean of max(R, G, B) over its
pixels, MaxFALL the largest of these averages (CTA-861.3, annex P). A pixel is decoded by the display's own curve in
float64.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.display import Display
from safelight.graph.image import Array
from safelight.nodes.io.files.pixels import BITS

PERCENTILES = (1.0, 5.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.98, 99.99)
"""Shares of a frame's pixels, in percent; the light of a share is that of the pixel at its end, by nearest rank."""
_CENTRED = 2
"""Rows or columns by which the black borders on two sides may differ and still be a letterbox."""

Values = npt.NDArray[np.float64]
Borders = tuple[int, int, int, int]


@dataclass(frozen=True)
class FrameLight:
    """The light of one frame, of max(R, G, B) of each pixel of the display window, cd/m²."""

    least: float
    mean: float
    """The frame's average light, black borders included."""
    most: float
    percentiles: tuple[float, ...]
    """Light that `PERCENTILES` of the pixels do not exceed."""
    highest: tuple[float, float, float]
    """Brightest red, green and blue."""
    dim: float
    """Share of the pixels at 100 cd/m² or less."""
    borders: Borders
    """Rows at the top and the bottom, columns at the left and the right that hold no light at all."""
    size: tuple[int, int]
    """Width and height of the display window."""

    def as_data(self) -> dict[str, Any]:
        """Return plain data, as a sidecar holds it."""
        return {
            "min": self.least,
            "mean": self.mean,
            "max": self.most,
            "percentiles": {f"{share:g}": light for share, light in zip(PERCENTILES, self.percentiles, strict=True)},
            "max_rgb": list(self.highest),
            "at_most_100": self.dim,
            "black_borders": list(self.borders),
            "size": list(self.size),
        }

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> FrameLight:
        """Rebuild; raises KeyError, TypeError or ValueError on anything else than `as_data` makes."""
        top, bottom, left, right = map(int, data["black_borders"])
        width, height = map(int, data["size"])
        red, green, blue = map(float, data["max_rgb"])
        return cls(
            float(data["min"]),
            float(data["mean"]),
            float(data["max"]),
            tuple(float(data["percentiles"][f"{share:g}"]) for share in PERCENTILES),
            (red, green, blue),
            float(data["at_most_100"]),
            (top, bottom, left, right),
            (width, height),
        )


def measure(signal: Array, kind: str, display: Display) -> FrameLight:
    """Measure one frame.

    Parameters
    ----------
    signal:
        (3, H, W) float32 red, green, blue of the display window, before they are rounded to the file's type. NaN
        counts as no light, as whole numbers hold it.
    kind:
        Type of the file's samples: `uint8` to `uint16`, `half`, `float`. The light is that of the rounded value.
    """
    height, width = signal.shape[1:]
    if display.encoding == "hlg":
        return _from_light(_hlg(signal, kind, display), (width, height))
    # Curve and rounding keep the order of values: the largest channel's code is the largest code.
    largest = np.fmax(np.fmax(signal[0], signal[1]), signal[2])
    tops = _quantised(np.fmax.reduce(signal.reshape(3, -1), axis=1), kind)
    highest = [float(light) for light in display.light(tops)]
    if kind == "float":
        held = _quantised(largest, kind)
        return _from_light(display.light(held)[None], (width, height), highest)
    codes = _codes(largest, kind)
    count = np.bincount(codes.ravel(), minlength=1)
    table = _table(display, kind)[: len(count)]
    total = int(codes.size)
    reached = np.cumsum(count)
    ranks = [max(1, math.ceil(total * share / 100)) for share in PERCENTILES]
    at = np.searchsorted(reached, ranks)
    seen = np.flatnonzero(count)
    dim = int(count[table <= 100.0].sum())
    return FrameLight(
        float(table[seen[0]]),
        math.fsum(count[seen] * table[seen]) / total,
        float(table[seen[-1]]),
        tuple(float(table[place]) for place in at),
        (highest[0], highest[1], highest[2]),
        dim / total,
        _borders(codes, int(np.searchsorted(table, 0.0, side="right"))),
        (width, height),
    )


def _quantised(values: Array, kind: str) -> Values:
    """Return the values that a file of a type holds, 0 to 1, float64."""
    if kind in ("half", "float"):
        with np.errstate(over="ignore"):
            rounded = values.astype(np.float16 if kind == "half" else np.float32).astype(np.float64)
        return np.clip(np.nan_to_num(rounded, nan=0.0, posinf=1.0, neginf=0.0), 0.0, 1.0)
    return _codes(values, kind) / (2.0 ** BITS[kind] - 1)


def _codes(values: Array, kind: str) -> npt.NDArray[np.uint16]:
    """Return code values; of halfs, their bits, which have the order of their values."""
    # fmax takes the number where the other is NaN.
    held = np.fmin(np.fmax(values, np.float32(0)), np.float32(1))
    if kind == "half":
        halves: npt.NDArray[np.uint16] = held.astype(np.float16).view(np.uint16)
        return halves
    held *= np.float32(2 ** BITS[kind] - 1)
    held += np.float32(0.5)
    return held.astype(np.uint16)  # whole numbers below: the same as the floor


@lru_cache(maxsize=8)
def _table(display: Display, kind: str) -> Values:
    """Return the light of each code."""
    if kind == "half":
        return display.light(np.arange(0x3C01, dtype=np.uint16).view(np.float16).astype(np.float64))
    most = 2 ** BITS[kind] - 1
    return display.light(np.arange(most + 1) / most)


def _hlg(signal: Array, kind: str, display: Display) -> Values:
    """Return the light of each channel. HLG's system gamma mixes the channels: no table can do it."""
    out = np.empty(signal.shape, np.float64)
    rows = max(1, (1 << 16) // max(1, signal.shape[2]))
    for start in range(0, signal.shape[1], rows):
        part = np.ascontiguousarray(signal[:, start : start + rows])
        out[:, start : start + rows] = display.light(_quantised(part, kind))
    return out


def _from_light(light: Values, size: tuple[int, int], highest: list[float] | None = None) -> FrameLight:
    """Measure light itself: (C, H, W) cd/m²."""
    largest = light.max(axis=0)
    tops = highest or [float(plane.max()) for plane in light]
    total = largest.size
    ranks = [max(1, math.ceil(total * share / 100)) - 1 for share in PERCENTILES]
    ordered = np.partition(largest.ravel(), sorted(set(ranks)))
    return FrameLight(
        float(largest.min()),
        math.fsum(largest.sum(axis=1)) / total,
        float(largest.max()),
        tuple(float(ordered[rank]) for rank in ranks),
        (tops[0], tops[1], tops[2]),
        float(np.count_nonzero(largest <= 100.0)) / total,
        _borders(largest > 0, 1),
        size,
    )


def _borders(codes: Any, lit: int) -> Borders:
    """Return the rows and columns without any code of at least `lit`, from each side; a black frame is all border."""
    rows = np.flatnonzero(codes.max(axis=1) >= lit)
    if not len(rows):
        return codes.shape[0], codes.shape[0], codes.shape[1], codes.shape[1]
    columns = np.flatnonzero(codes[rows[0] : rows[-1] + 1].max(axis=0) >= lit)
    return (
        int(rows[0]),
        int(codes.shape[0] - 1 - rows[-1]),
        int(columns[0]),
        int(codes.shape[1] - 1 - columns[-1]),
    )


@dataclass(frozen=True)
class ContentLight:
    """The light of a whole programme."""

    max_cll: float
    max_fall: float
    active: tuple[int, int, int, int]
    """x0, y0, x1, y1 of the picture inside the black borders, in the display window."""

    @property
    def levels(self) -> tuple[int, int]:
        """MaxCLL and MaxFALL as files hold them: rounded to whole cd/m², at least 1, since 0 says "unknown"."""
        return _whole(self.max_cll), _whole(self.max_fall)

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def _whole(light: float) -> int:
    return min(65535, max(1, round(light)))


def summary(frames: Iterable[FrameLight]) -> ContentLight | None:
    """Return the light of a programme; None of no frames.

    The average light is that of the picture without its borders (CTA-861.3 counts the active image alone). Rows at the
    top and bottom, or columns left and right, are borders where no frame has any light in them at all, they span the
    whole picture, and both sides are of one size within two. A frame of another size than the first counts whole.
    """
    every = list(frames)
    if not every:
        return None
    most = max(frame.most for frame in every)
    sizes = {frame.size for frame in every}
    width, height = every[0].size
    top, bottom, left, right = (min(frame.borders[side] for frame in every) for side in range(4))
    active = (0, 0, width, height)
    if len(sizes) == 1 and most > 0:
        if left == right == 0 and min(top, bottom) > 0 and abs(top - bottom) <= _CENTRED:
            active = (0, top, width, height - bottom)
        elif top == bottom == 0 and min(left, right) > 0 and abs(left - right) <= _CENTRED:
            active = (left, 0, width - right, height)
    area = (active[2] - active[0]) * (active[3] - active[1])
    return ContentLight(most, max(frame.mean for frame in every) * (width * height) / area, active)
