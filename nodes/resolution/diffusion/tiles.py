"""Tiles on a grid that belongs to the plane of the picture, not to the part of it that is asked for.

Along each axis tile k has the core [k step, (k + 1) step) and reaches half of what tiles share beyond it on both sides.
Across what two tiles share, one fades into the other by a raised cosine. Only tiles with a pixel of the data window in
their core are made; at the window's edges the first and last of them do not fade.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from safelight.graph.region import Region

Indices = npt.NDArray[np.intp]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Where tiles lie, in pixels of the small picture."""

    side: int
    shared: int
    """Pixels that neighbours share: even, at most half a side."""

    @property
    def step(self) -> int:
        """Pixels from one tile to the next."""
        return self.side - self.shared

    def first(self, k: int) -> int:
        """Return where tile k begins."""
        return k * self.step - self.shared // 2

    def along(self, low: int, high: int, data: tuple[int, int]) -> range:
        """Return the tiles that pixels low <= x < high take, inside the data window data[0] <= x < data[1].

        >>> Grid(8, 2).along(6, 7, (0, 100)), Grid(8, 2).along(0, 1, (0, 100)), Grid(8, 2).along(0, 1, (-3, 100))
        (range(0, 2), range(0, 1), range(-1, 1))
        """
        ends = data[0] // self.step, (data[1] - 1) // self.step
        half = self.shared // 2
        return range(max(ends[0], (low - half) // self.step), min(ends[1], (high - 1 + half) // self.step) + 1)

    def covers(self, region: Region, data: Region) -> tuple[range, range]:
        """Return rows and columns of the tiles that a region inside the data window takes."""
        return (
            self.along(region.y0, region.y1, (data.y0, data.y1)),
            self.along(region.x0, region.x1, (data.x0, data.x1)),
        )

    def window(self, k: int, data: tuple[int, int], scale: int) -> Floats:
        """Return the share that tile k has in each enlarged pixel it reaches; the shares of all tiles sum to 1."""
        n = self.shared * scale
        rise = (0.5 - 0.5 * np.cos(np.pi * (np.arange(n) + 0.5) / max(n, 1))).astype(np.float32)
        out = np.ones(self.side * scale, np.float32)
        if n and k > data[0] // self.step:
            out[:n] = rise
        if n and k < (data[1] - 1) // self.step:
            out[-n:] = np.float32(1) - rise
        return out


def mirrored(first: int, side: int, data: tuple[int, int]) -> Indices:
    """Return which pixels stand at first … first + side - 1, the data window going on as its mirror.

    >>> mirrored(-3, 8, (0, 3)).tolist()
    [2, 1, 0, 0, 1, 2, 2, 1]
    """
    size = data[1] - data[0]
    at = (np.arange(first, first + side) - data[0]) % (2 * size)
    return np.where(at < size, at, 2 * size - 1 - at).astype(np.intp) + data[0]
