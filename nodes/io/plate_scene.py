"""What stands where in the Plate, frame by frame: all the numbers its kernel draws with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.region import Region
from safelight.nodes.io.plate_text import strokes

STEPS = 12
"""Patches in a row of the chart."""
GREY_STOPS = tuple(range(-7, 5))
"""Stops about 0.18 of the chart's upper row, left to right."""
COLOURS = (
    *((0.9, 0.001, 0.001), (0.001, 0.9, 0.001), (0.001, 0.001, 0.9), (0.001, 0.8, 0.8), (0.8, 0.001, 0.8)),
    *((0.8, 0.8, 0.001), (0.35, 0.19, 0.13), (0.62, 0.39, 0.3), (0.11, 0.19, 0.35), (0.08, 0.1, 0.03)),
    *((12.0, 12.0, 12.0), (0.0, 0.0, 0.0)),
)
"""The lower row: primaries, secondaries, two skins, sky, foliage, a light at 12, black."""

EMPTY = [(0.0, 0.0, 0.0)] * (2 * STEPS)

# Lattice width and height in pixels, turn in degrees, and the layer that carries it.
TEXTURES = (
    (420.0, 150.0, 0.0, "sky"),
    (130.0, 61.0, 0.0, "sky"),
    (88.0, 88.0, 0.0, "garden"),
    (97.0, 83.0, 17.0, "garden"),
    (29.0, 33.0, -31.0, "garden"),
    (9.7, 8.9, 12.0, "garden"),
    (4.3, 4.6, 38.0, "garden"),
    (2.5, 2.5, -21.0, "garden"),
    (210.0, 74.0, 62.0, "table"),
    (2.9, 2.9, 9.0, "table"),
    (2.7, 46.0, 7.0, "person"),
    (3.3, 3.3, 30.0, "person"),
    (3.1, 3.1, 0.0, "wheel"),
    (3.2, 21.0, 12.0, "pole"),
    (2.5, 2.5, 0.0, "still"),
)
# Period in pixels along the wave, its direction in degrees, layer.
WAVES = ((5.3, 3.0, "table"), (4.9, 93.0, "table"), (8.3, 20.0, "person"), (6.1, -65.0, "person"))

# Per scene: 16 tints; sky low and high, leaves dark and light, cloth twice, panel, title, line, hair, coat, skin in
# shadow and light, paint, metal, pole.
TINTS = (
    (
        *((0.95, 0.98, 1.05), (0.30, 0.52, 0.95), (0.016, 0.030, 0.007), (0.13, 0.17, 0.022), (0.16, 0.010, 0.018)),
        *((0.30, 0.045, 0.03), (0.012, 0.03, 0.055), (0.86, 0.86, 0.82), (0.95, 0.55, 0.02), (0.012, 0.0065, 0.004)),
        *((0.035, 0.075, 0.17), (0.20, 0.085, 0.05), (0.66, 0.42, 0.31), (0.75, 0.035, 0.012), (0.42, 0.43, 0.46)),
        (0.0012, 0.0010, 0.0009),
    ),
    (
        *((1.6, 1.05, 0.55), (0.32, 0.22, 0.42), (0.028, 0.016, 0.009), (0.22, 0.10, 0.02), (0.012, 0.035, 0.13)),
        *((0.03, 0.16, 0.30), (0.05, 0.006, 0.01), (0.92, 0.88, 0.70), (0.03, 0.75, 0.45), (0.30, 0.16, 0.055)),
        *((0.19, 0.16, 0.06), (0.055, 0.022, 0.012), (0.27, 0.145, 0.09), (0.02, 0.22, 0.70), (0.50, 0.36, 0.16)),
        (0.0005, 0.0006, 0.0008),
    ),
)
# Pixels a frame, of a picture 1080 high, and the wheel's degrees a frame.
SPEEDS = (
    {"sky": (0.11, 0.0), "garden": (0.73, 0.0), "table": (1.37, 0.0), "sign": (1.37, -0.06), "person": (-0.19, 0.31)},
    {"sky": (-0.07, 0.0), "garden": (-2.61, 0.17), "table": (-3.9, 0.0), "sign": (-3.9, 0.11), "person": (0.43, -0.17)},
)
REACH = {"sign": 240.0, "person": 110.0}
"""How far a layer goes from where it began, of a picture 1080 high."""
TURN = (3.1, -7.3)
POLE_SPEED = (11.3, -17.9)


def chart(width: int, height: int) -> list[tuple[Region, tuple[float, float, float]]]:
    """Return the flat patches of the still chart, each with its scene-linear value; grey row first.

    Patches are whole pixels and never move nor change. A picture under 12 pixels wide or 24 high has none.
    """
    x, y, w, h = _chart_corner(width, height)
    if w < 1 or h < 1:
        return []
    grey = [(0.18 * 2.0**stop,) * 3 for stop in GREY_STOPS]
    values: Sequence[tuple[float, float, float]] = [*grey, *COLOURS]
    return [(Region.sized(w, h, x + i % STEPS * w, y + i // STEPS * h), values[i]) for i in range(2 * STEPS)]


def _chart_corner(width: int, height: int) -> tuple[int, int, int, int]:
    w, h = int(width * 0.94) // STEPS, height // 18
    return (width - STEPS * w) // 2, height - 2 * h - max(1, height // 60), w, h


def motion(layer: str, scene: int, height: int, frames: float) -> tuple[float, float]:
    """Return how many pixels a layer (`sky`, `garden`, `table`, `sign`, `person`) has moved after so many frames.

    Evenly; but what would leave the picture in a long clip turns round at `REACH`.
    """
    x, y = SPEEDS[scene][layer]
    unit, reach = height / 1080, REACH.get(layer, math.inf)
    return _there_and_back(x * frames, reach) * unit, _there_and_back(y * frames, reach) * unit


def _there_and_back(way: float, reach: float) -> float:
    if abs(way) <= reach:
        return way
    at = (way + reach) % (4 * reach)
    return (at if at <= 2 * reach else 4 * reach - at) - reach


def scene_arguments(width: int, height: int, seed: int, scene: int, time: int, frame: int) -> dict[str, Any]:
    """Return all arguments of the kernel `plate` but its output.

    Parameters
    ----------
    width, height:
        Size of the picture; the composition scales with the height, textures keep their size in pixels.
    seed:
        Another number gives other textures.
    scene:
        0 before the cut, 1 after it (mirrored, other light, other speeds).
    time:
        Frames since the scene began: what moves goes by it.
    frame:
        Number written on the sign.
    """
    unit = height / 1080
    side = 1 if scene == 0 else -1

    def across(part: float) -> float:
        return width / 2 + side * (part - 0.5) * width

    moved = {layer: motion(layer, scene, height, time) for layer in SPEEDS[scene]}
    person = (across(0.30) + moved["person"][0], 0.46 * height + moved["person"][1])
    wheel = (across(0.845), 0.60 * height)
    span = width + 700 * unit
    pole_x = (0.30 * width + POLE_SPEED[scene] * unit * time) % span - 350 * unit
    sign_left = across(0.62) - 320 * unit
    lamp_x, lamp_y = moved["sign"]
    places = [
        (0.0, 0.36 * height + moved["garden"][1]),
        (moved["table"][0], 0.74 * height),
        (sign_left + moved["sign"][0], 0.13 * height + moved["sign"][1]),
        person,
        wheel,
        (across(0.66) + lamp_x, 0.435 * height + lamp_y),
        (across(0.90) + lamp_x, 0.075 * height + lamp_y),
        (across(0.075) + lamp_x, 0.52 * height + lamp_y),
        (pole_x, height / 2),
        *[(0.0, 0.0)] * 4,
    ]
    angle = math.radians(TURN[scene] * time)
    origins = {**moved, "person": person, "pole": (pole_x, 0.0), "wheel": wheel, "still": (0.0, 0.0)}
    lattice = [
        _lattice(wide, high, math.radians(turn * side) + (angle if layer == "wheel" else 0.0), origins[layer])
        for wide, high, turn, layer in TEXTURES
    ]
    x, y, w, h = _chart_corner(width, height)
    return {
        "strokes": (_sign(unit, frame), (0.0, 1.0)),
        "lattice": np.array(lattice, dtype=np.int32).ravel(),
        "seed": np.array([_mix(seed, scene, index) for index in range(len(TEXTURES))], dtype=np.uint32),
        "weave": np.array([_wave(p, d * side, origins[layer]) for p, d, layer in WAVES], dtype=np.uint32).ravel(),
        "corner": np.array([math.floor(value) for place in places for value in place], dtype=np.int32),
        "part": np.array([value - math.floor(value) for place in places for value in place], dtype=np.float32),
        "unit": unit,
        "tint": np.array(TINTS[scene], dtype=np.float32).ravel(),
        "lamps": np.array(
            [
                value
                for size, peak, halo in ((15, 140, 1.1), (21, 64, 0.8), (9, 90, 0.5))
                for value in (max(size * unit, 1.25), peak, halo)
            ],
            dtype=np.float32,
        ),
        "wheel": np.array([math.cos(angle), math.sin(angle)], dtype=np.float32),
        "slope": np.array([math.tan(math.radians(5)) * side, math.tan(math.radians(11)) * side], dtype=np.float32),
        "chart": np.array([x, y, w, h], dtype=np.int32),
        "patches": np.array([value for _, value in chart(width, height)] or EMPTY, dtype=np.float32).ravel(),
    }


@lru_cache(maxsize=64)
def _sign(unit: float, frame: int) -> npt.NDArray[np.float64]:
    title = strokes("SAFELIGHT", 62 * unit, 38 * unit, 66 * unit, 11 * unit)
    line = strokes(f"TEST PLATE FRAME {frame}", 38 * unit, 160 * unit, 27 * unit, 3.6 * unit)
    return np.concatenate([title, line], axis=1)


def _lattice(wide: float, high: float, turn: float, origin: tuple[float, float]) -> list[int]:
    """Return the affine map from whole pixels to 1/65536 cells that puts `origin` at (0, 0)."""
    cell = 65536.0
    a, b = round(math.cos(turn) * cell / wide), round(math.sin(turn) * cell / wide)
    c, d = round(-math.sin(turn) * cell / high), round(math.cos(turn) * cell / high)
    u, v = -(a * origin[0] + b * origin[1]), -(c * origin[0] + d * origin[1])
    return [a, b, c, d, _wrap(u), _wrap(v)]


def _wrap(value: float) -> int:
    """Fold into a signed 32-bit number, as the kernel's own arithmetic does."""
    return (round(value) + 2**31) % 2**32 - 2**31


def _wave(period: float, direction: float, origin: tuple[float, float]) -> list[int]:
    turns = 2.0**32 / period
    a, b = round(math.cos(math.radians(direction)) * turns), round(math.sin(math.radians(direction)) * turns)
    return [a % 2**32, b % 2**32, round(-(a * origin[0] + b * origin[1])) % 2**32]


def _mix(seed: int, scene: int, index: int) -> int:
    """Return a 32-bit hash of the three (SplitMix64's finaliser)."""
    value = (seed * 0x9E3779B97F4A7C15 + scene * 0xD1B54A32D192ED03 + (index + 1) * 0x8CB92BA72F3D8DD7) % 2**64
    value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    value = (value ^ (value >> 27)) * 0x94D049BB133111EB % 2**64
    return (value ^ (value >> 31)) % 2**32
