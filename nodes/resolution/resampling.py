"""Planes at any ratio: a windowed sinc with the exact place of every output pixel, without ringing."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch

LOBES = 3
"""Of the Lanczos window."""
_SAMPLES = 6145


def lanczos(distance: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the Lanczos kernel of LOBES lobes.

    >>> [round(float(v), 6) for v in lanczos(np.array([0.0, 0.5, 1.0, 3.0]))]
    [1.0, 0.607927, 0.0, 0.0]
    """
    return np.asarray(np.where(np.abs(distance) < LOBES, np.sinc(distance) * np.sinc(distance / LOBES), 0.0))


def taps(ratio: float) -> int:
    """Return how many input pixels to each side an output pixel takes; ratio: input pixels for each output pixel."""
    return ceil(LOBES * max(ratio, 1.0) + 0.5)


def place(x: float, ratio: float) -> float:
    """Return where the middle of output pixel x lies among the input pixels, pixel i reaching from i - 1/2 to i + 1/2.

    Both pictures begin at the edge of pixel 0, not at its middle.
    """
    return (x + 0.5) * ratio - 0.5


def seen(region: Region, ratio: float) -> Region:
    """Return the input pixels that a region of output pixels takes."""
    n = taps(ratio)
    low = [floor(place(v, ratio) + 0.5) - n for v in (region.x0, region.y0)]
    high = [floor(place(v - 1, ratio) + 0.5) + n + 1 for v in (region.x1, region.y1)]
    return Region(low[0], low[1], high[0], high[1])


def resampled(planes: Any, source: Region, region: Region, ratio: float, device: Device) -> Any:
    """Return planes (n, …) over `region` from planes over `source`, `ratio` input pixels for each output pixel.

    Each axis stays within the range of the input pixels nearest to the output pixel. Beyond
    `source` its border goes on.
    """
    between = Region(region.x0, source.y0, region.x1, source.y1)
    across = _along(planes, source, between, ratio, device, down=False)
    return _along(across, between, region, ratio, device, down=True)


def _along(planes: Any, source: Region, region: Region, ratio: float, device: Device, *, down: bool) -> Any:
    first, end = (region.y0, region.y1) if down else (region.x0, region.x1)
    middle = place(np.arange(first, end), ratio)  # type: ignore[arg-type]
    nearest = np.floor(middle + 0.5)
    where = device.xp.asarray(np.stack([nearest, middle - nearest])[:, None].astype(np.float32))
    out = device.empty((planes.shape[0], region.height, region.width))
    launch(
        device,
        "upscale_resample",
        region,
        source=(planes, source),
        place=(where, Region(first, 0, end, 1)),
        out=(out, region),
        window=(_window(), (0.0, float(LOBES))),
        planes=planes.shape[0],
        down=int(down),
        taps=taps(ratio),
        narrow=1 / max(ratio, 1.0),
    )
    return out


@lru_cache(maxsize=1)
def _window() -> npt.NDArray[np.float64]:
    return lanczos(np.linspace(0, LOBES, _SAMPLES))
