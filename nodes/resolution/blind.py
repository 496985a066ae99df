"""A blur that nobody knows, read from the spectrum of the pictures it lies on.

The power of pictures falls with frequency by a power law, a little different from direction to direction (Field 1987);
a blur multiplies it by its own transfer, squared, and noise lies under all of it. Of a Gaussian, a disc and a straight
movement of every size, that blur is found which leaves least of the measured spectrum unexplained: a disc and a
movement by the rings and stripes where they let nothing through (Cannon 1976), a Gaussian by how it bends the fall.

The spectrum is a mean over tiles of the shot's frames (Welch 1967), each by its own mean light, so that what is
sharpest counts most: a background out of focus is no blur of the picture. The fit weighs what fits no model ever less
(Cauchy's weights; Holland and Welsch 1977): lines, patterns, a codec's grid.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Any

import numpy as np
from scipy.fft import rfft2
from scipy.optimize import minimize
from scipy.signal.windows import hann

from safelight.nodes.resolution import blur
from safelight.nodes.resolution.blur import Floats

TILES = (128, 64)
"""Sides of tiles, pixels: the first that fits."""
TOE = 0.01
"""Light added to a tile's mean before it is divided by that."""
NEAREST, FURTHEST = 0.03, 0.48
"""Frequencies looked at, cycles a pixel."""
FALL = -2.4
"""Power of frequency with which a picture's spectrum falls, as a rule."""
HELD = np.array([0, 3e-3, 2e-4, 2e-4, 2e-4, 2e-4, 3e-3])
"""How firmly the rule holds: level, fall, two waves round the circle (cosine, sine), and the noise as measured."""
EMPTY = -25.0
"""Natural logarithm of power under which a picture is even, but for rounding: leader, a card."""
SURE = 0.5
"""What is left unexplained, in natural logarithms of power, from which on it counts less and less."""
STEPS = 8
"""Steps of the fit: a dozen change no size by a hundredth."""
TURNED = 0.03
"""How much better a movement must explain it than what spreads evenly."""
SHARED = 0.005
"""How much worse than no blur at all it may explain any one frame."""
NATURAL = 0.4
"""Standard deviation, pixels, of the Gaussian that pixels and scalers leave in a sharp picture."""
SHARP = 0.6
"""That of any blur, on its axis, below which there is nothing to take back: sharp photographs came to 0.2 to 0.57."""
SPREAD: Mapping[str, float] = {"gaussian": 1.0, "disc": 0.5, "motion": 12**-0.5}
"""Standard deviation of a blur of size 1 along its axis."""
WIDEST: Mapping[str, float] = {"gaussian": 4.0, "disc": 12.0, "motion": 30.0}
"""Sizes in pixels beyond which tiles are too small to tell."""


@dataclass(frozen=True)
class Found:
    """A blur: its kind, its size in pixels (standard deviation, radius, length), its direction in degrees."""

    kernel: str
    size: float
    angle: float = 0.0

    def __str__(self) -> str:
        if self.kernel == "gaussian":
            return f"a Gaussian of {self.size:.2f} pixels (standard deviation)"
        if self.kernel == "disc":
            return f"out of focus by a disc of {self.size:.2f} pixels (radius)"
        return f"a movement of {self.size:.1f} pixels at {self.angle:.0f} degrees"


@dataclass
class Spectrum:
    """The power of a shot's frames, mean of their tiles."""

    side: int = 0
    frames: list[tuple[Floats, float]] = field(default_factory=list)
    """Power, (side, side // 2 + 1), and standard deviation of the noise in it."""

    def add(self, plane: Floats) -> None:
        """Add a plane of scene light, (H, W), finite. One smaller than the tiles tells nothing."""
        side = self.side or next((side for side in TILES if min(plane.shape) >= side), 0)
        if not side or min(plane.shape) < side:
            return
        window = np.outer(hann(side, sym=False), hann(side, sym=False))
        window /= np.sqrt((window**2).sum())
        self.side, powers = side, []
        starts = [np.unique(np.linspace(0, n - side, -(-2 * n // side) - 1).astype(int)) for n in plane.shape]
        for y in starts[0]:
            tiles = np.stack([plane[y : y + side, x : x + side] for x in starts[1]])
            mean = (tiles * window**2).sum((1, 2), keepdims=True)
            powers.append((np.abs(rfft2((tiles - mean) / (np.abs(mean) + TOE) * window)) ** 2).mean(0))
        # A difference of stops is one of light over the light, over the logarithm of 2.
        self.frames.append((np.mean(powers, 0), blur.noise_of(blur.STOPS.encode(plane)) * float(np.log(2))))

    def blur(self) -> Found | None:
        """Return the blur that explains the frames best; None where there is none to speak of, none to be told, or
        none that they share."""
        if not self.frames:
            return None
        powers, noises = zip(*self.frames, strict=True)
        fit = _Fit(self.side, np.mean(powers, 0), float(np.mean(noises)))
        if fit.seen.max() < EMPTY:
            return None
        found = {kernel: fit.best(kernel) for kernel in SPREAD}
        even = min(("gaussian", "disc"), key=lambda kernel: found[kernel][0])
        kernel = "motion" if found["motion"][0] < found[even][0] - TURNED else even
        _, size, angle = found[kernel]
        if size * SPREAD[kernel] < SHARP or size >= 0.98 * WIDEST[kernel]:
            return None
        for power, noise in self.frames:
            one = _Fit(self.side, power, noise)
            if one.left(kernel, size, angle) > one.left("gaussian", 0) + SHARED:
                return None
        if kernel == "gaussian":
            size = float(np.sqrt(size**2 - NATURAL**2))
        return Found(kernel, round(size, 3), round((angle + 90) % 180 - 90, 2))


@dataclass(frozen=True)
class _Plan:
    """What a fit needs of a tile's size: the flat indices of the frequencies looked at (N,), the model's terms (N, 6),
    and which frequencies are low (N,)."""

    looked: Any
    terms: Floats
    near: Any


@cache
def _plan(side: int, every: int = 1) -> _Plan:
    y, x = blur.frequencies((side, side))
    far, turn = np.hypot(y, x), np.arctan2(y + 0 * x, x + 0 * y)
    # Left of x = 0 the spectrum is the same again.
    looked = np.flatnonzero((far > NEAREST) & (far < FURTHEST) & (x + 0 * y > 0))[::every]
    far, turn = far.flat[looked], turn.flat[looked]
    waves = [wave(many * turn) for many in (2, 4) for wave in (np.cos, np.sin)]
    return _Plan(looked, np.stack([np.ones_like(far), np.log(far / 0.1), *waves], 1), far < 0.15)


@dataclass(frozen=True)
class _Fit:
    """The fit of one spectrum, (side, side // 2 + 1), with a measured standard deviation of noise."""

    side: int
    power: Floats
    noise: float
    every: int = 1
    """One in so many frequencies is looked at."""
    steps: int = STEPS

    @cached_property
    def seen(self) -> Floats:
        """Logarithm of the power, (N,)."""
        return np.asarray(np.log(self.power.flat[_plan(self.side, self.every).looked] + 1e-14))

    def best(self, kernel: str) -> tuple[float, float, float]:
        """Return what the best blur of a kind leaves unexplained, its size and angle: a grid, then downhill."""
        tries, rough = _grid(kernel), replace(self, every=4, steps=STEPS // 2)
        tries = sorted(tries, key=lambda one: rough.left(kernel, *one))[:4]
        start = np.array(min(tries, key=lambda one: self.left(kernel, *one)))
        near = np.vstack([start, start + np.diag([0.06 * start[0], 60 / start[0]][: len(start)])])
        options = {"initial_simplex": near, "maxfev": 60, "xatol": 0.005, "fatol": 1e-5}
        made = minimize(lambda at: self.left(kernel, *at), start, method="Nelder-Mead", options=options)
        size, angle = (*made.x, 0.0)[:2]
        return float(made.fun), float(np.clip(size, 0, WIDEST[kernel])), float(angle)

    def left(self, kernel: str, size: float, angle: float = 0.0) -> float:
        """Return what a blur leaves unexplained."""
        plan, held = _plan(self.side, self.every), HELD
        known = _passed(self.side, self.every, kernel, float(np.clip(size, 0, WIDEST[kernel])), angle)
        rule = np.array([0, FALL, 0, 0, 0, 0, np.log(self.noise**2 + 1e-12)])
        at = rule.copy()
        at[0] = np.median((self.seen - FALL * plan.terms[:, 1] - np.log(known))[plan.near])
        for _ in range(self.steps):
            made, grain = self._made(at, known)
            apart = self.seen - np.log(made + grain)
            slopes = np.concatenate(
                [(made / (made + grain))[:, None] * plan.terms, (grain / (made + grain))[:, None]], 1
            )
            weighed = slopes / (1 + (apart[:, None] / SURE) ** 2) / len(apart)
            # Not by BLAS, whose sums depend on the threads. The small number keeps a level where all is noise.
            square = np.einsum("ni,nj->ij", weighed, slopes) + np.diag(held + 1e-6)
            pull = np.einsum("ni,n->i", weighed, apart) - held * (at - rule)
            at = at + np.clip(np.linalg.solve(square, pull), -2, 2)
        made, grain = self._made(at, known)
        apart = (self.seen - np.log(made + grain)) / SURE
        return float(np.mean(np.log1p(apart**2)) + (held * (at - rule) ** 2).sum() / SURE**2)

    def _made(self, at: Floats, known: Floats) -> tuple[Floats, float]:
        terms = _plan(self.side, self.every).terms
        level = np.exp(np.clip(np.einsum("ni,i->n", terms, at[:-1]), -60, 60))
        return level * known, float(np.exp(np.clip(at[-1], -60, 60)))


@cache
def _grid(kernel: str) -> list[tuple[float, ...]]:
    """Return the sizes and angles to try: the stripes of a long movement are narrow."""
    least = 0.3 / SPREAD[kernel]
    sizes = np.geomspace(least, WIDEST[kernel], {"gaussian": 14, "disc": 28, "motion": 18}[kernel])
    if kernel != "motion":
        return [(float(size),) for size in sizes]
    turns = [(size, np.linspace(-90, 90, max(12, round(2 * size)), endpoint=False)) for size in sizes]
    return [(float(size), float(turn)) for size, angles in turns for turn in angles]


def _passed(side: int, every: int, kernel: str, size: float, angle: float) -> Floats:
    """Return the share of power that a blur lets through, as tiles see it: the window spreads each frequency."""
    ways: Mapping[str, Callable[[], Floats]] = {
        "gaussian": lambda: blur.gaussian((side, side), size),
        "disc": lambda: blur.disc((side, side), size),
        "motion": lambda: blur.motion((side, side), size, angle),
    }
    half = ways[kernel]() ** 2
    whole = np.concatenate([half, np.roll(half[::-1], 1, 0)[:, -2:0:-1]], 1)
    for axis in (0, 1):
        whole = whole * 2 / 3 + (np.roll(whole, 1, axis) + np.roll(whole, -1, axis)) / 6
    return np.asarray(np.maximum(whole[:, : side // 2 + 1].flat[_plan(side, every).looked], 1e-9))
