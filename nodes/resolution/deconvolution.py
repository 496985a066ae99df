"""A known blur taken back from a plane of scene light, as far as the noise allows.

Of all pictures that the blur would turn into the plate, give or take its grain, the one whose light changes least from
pixel to pixel in all, steps counting by their height and not by its square, so that edges stay edges (total variation;
Rudin, Osher and Fatemi 1992). It is come by in rounds of three simple ones, coupled ever more loosely: an inverse
filter, a threshold on differences (Goldstein and Osher 2009) and a mean of the plate and what the blur makes of the
result (Almeida and Figueiredo 2013).

- **Grain.** How strong it is sets how much the plate is believed, at each pixel by its own light: grain is even in
  stops. What the blur cannot have made of the result is taken for grain and laid back as it was.
- **Borders.** What lay beyond the picture is unknown and was blurred into it. It begins as the picture's mirror, and
  nothing holds it to that: guessed wrong and held to, it rings through the frame.
- **Trust.** A blur is never known to the last digit. TRUST is added to the grain.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter, maximum_filter, minimum_filter

from safelight.nodes.resolution.blur import STOPS, Floats, frequencies

TRUST = 0.015
"""How well a blur is known at best, over the light: what it leaves unexplained in a plate without grain."""
ROUNDS = 16
WEIGHT = 3.0
"""Of the differences, over light, beside half the squared misfit over grain's variance. Less sharpens more, even grain
with it: that of 2 % comes out 1.5 to 1.9 times as strong around an eighth of a cycle a pixel, of 5 % 1.3 to 1.4."""
STEP = 0.05
"""A difference over light as it is common in pictures: the measure of thresholds."""
LOOSE = (0.3, 3.0)
"""How loosely differences are coupled to the picture in the first round and in the last."""
TOE = 0.01
"""Light added to a pixel's own where that is divided by."""
BORDER = (4, 256)
"""Pixels beyond the picture that are guessed at: as many times the blur's reach, and at most."""
SINGLE = 1000.0
"""Brightest pixel over the middling light up to which single precision does: its rounding, 4e-7 of a lamp, reaches
every pixel."""


def deconvolved(
    plane: Floats,
    transfer: Callable[[tuple[int, int]], Floats],
    noise: float,
    reach: int,
    *,
    margin: float = 0.2,
    grain: float = 1.0,
    threads: int = 1,
) -> Floats:
    """Return a plane without a blur, bounded.

    Parameters
    ----------
    plane:
        (H, W), scene light, finite.
    transfer:
        A function from a shape to the blur's transfer function at the frequencies of `rfft2`, real.
    noise:
        Standard deviation of the plane's noise, the root of its mean power over the picture.
    reach:
        Pixels that the blur reaches.
    margin:
        No value leaves the range of the pixels within `reach` by more than this share of it, neither in light nor in
        stops.
    grain:
        Share of what the blur cannot have made that is laid back.
    threads:
        For the transforms; the bits do not depend on them.
    """
    made, left = _fitted(plane, transfer, noise, reach, threads)
    return _bounded(made + grain * left, plane, reach, margin)


def _fitted(
    plane: Floats, transfer: Callable[[tuple[int, int]], Floats], noise: float, reach: int, threads: int
) -> tuple[Floats, Floats]:
    """Return the result, and what its blur leaves of the plane: two of (H, W)."""
    h, w = plane.shape
    around = min(BORDER[0] * reach, BORDER[1])
    shape = (next_fast_len(h + 2 * around, real=True), next_fast_len(w + 2 * around, real=True))
    inner = (slice(around, around + h), slice(around, around + w))
    pads = [(around, total - n - around) for n, total in zip((h, w), shape, strict=True)]
    wide: Any = np.pad(plane, pads, mode="symmetric")
    light = gaussian_filter(np.abs(wide), reach) + TOE
    power = float(np.mean(light[inner] ** 2))
    kind: Any = np.float32 if np.abs(plane).max() < SINGLE * np.median(light[inner]) else np.float64
    doubt = noise**2 / power + TRUST**2

    def there(a: Any) -> Any:
        return rfft2(a, workers=threads)

    def back(a: Any) -> Any:
        return irfft2(a, s=shape, workers=threads)

    y, x = frequencies(shape)
    rough: npt.NDArray[Any] = (4 * np.sin(np.pi * y) ** 2 + 4 * np.sin(np.pi * x) ** 2).astype(kind)
    # Beside light of the plate's own power all weighs 1.
    believed = np.zeros(shape, kind)
    believed[inner] = power / light[inner] ** 2
    known, wide, scale = transfer(shape).astype(kind), wide.astype(kind), (power / light).astype(kind)
    made, blurred, astray = wide, wide, np.zeros_like(wide)
    missed, coupled = [astray, astray], 0.0
    for loose in np.geomspace(*LOOSE, ROUNDS):
        before, coupled = coupled, WEIGHT * doubt / (STEP * float(loose))
        # The differences that the picture should have, and what they were missed by so far.
        steps = [_step(made, axis) + kind(before / coupled) * missed[axis] for axis in (0, 1)]
        kept = _kept(steps, scale * kind(STEP * loose))
        missed = [step - step * kept for step in steps]
        pull = sum(
            _step_back(step - 2 * miss, axis) for axis, (step, miss) in enumerate(zip(steps, missed, strict=True))
        )
        # The plate without grain, and what the blurred result missed it by so far.
        blurred = blurred + astray
        clean = (believed * wide + blurred) / (believed + 1)
        astray = blurred - clean
        held = known * there(clean - astray) + kind(coupled) * there(pull)
        result = held / (known**2 + kind(coupled) * rough)
        made, blurred = back(result), back(result * known)
    return np.asarray(made[inner], np.float64), np.asarray((wide - blurred)[inner], np.float64)


def _step(a: Any, axis: int) -> Any:
    """Return each pixel's next one less itself, round the edges."""
    return np.roll(a, -1, axis) - a


def _step_back(a: Any, axis: int) -> Any:
    """Return what `_step` is turned over: the sum of products with either is the same."""
    return np.roll(a, 1, axis) - a


def _kept(steps: Any, threshold: Any) -> Any:
    """Return the share of a difference, down and right together, that is left when a threshold over 0 is taken off."""
    height = np.sqrt(steps[0] * steps[0] + steps[1] * steps[1])
    return 1 - threshold / np.maximum(height, threshold)


def _bounded(made: Floats, plane: Floats, reach: int, margin: float) -> Floats:
    size = 2 * reach + 1
    low, high = minimum_filter(plane, size, mode="nearest"), maximum_filter(plane, size, mode="nearest")
    slack = margin * (high - low)
    # A tenth of the range under a dark edge beside a lamp would be black: in stops it is a shade.
    dark, bright = STOPS.encode(low), STOPS.encode(high)
    shade = margin * (bright - dark)
    least = np.maximum(low - slack, STOPS.decode(dark - shade))
    return np.asarray(np.clip(made, least, np.minimum(high + slack, STOPS.decode(bright + shade))), np.float64)
