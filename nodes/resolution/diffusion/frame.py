"""A frame through a diffusion pipeline: tiles made, laid over each other, and brought back to the data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.damage.draws import mixed
from safelight.nodes.resolution.diffusion import memory, running
from safelight.nodes.resolution.diffusion.folder import Facts
from safelight.nodes.resolution.diffusion.running import Wish
from safelight.nodes.resolution.diffusion.tiles import Grid, mirrored
from safelight.nodes.resolution.enlarging import enlarged, filled, missing, reach, scaled
from safelight.nodes.resolution.learned.coding import LUMA, decode, encode
from safelight.nodes.resolution.learned.sampling import REACH, reduced, returning, spread

if TYPE_CHECKING:
    import torch

Planes = npt.NDArray[np.float32]

CALM = 4.0
"""Input pixels, standard deviation of the blur under which colour is always the data's."""
HOLD = REACH + 2 + round(3 * CALM)
"""Input pixels around that bringing a pixel back to the data takes: the way back, the reduction, the blur."""
STRIP = 512
"""Rows that are brought back at a time."""
FILL = 4
"""Input pixels around a missing one that stand in for it, and one."""


def doublings(scale: int) -> int:
    """Return how often a picture is doubled to be enlarged so many times."""
    return scale.bit_length() - 1


def small(region: Region, scale: int) -> Region:
    """Return the input pixels that a region of the result lies in."""
    return Region(region.x0 // scale, region.y0 // scale, -(-region.x1 // scale), -(-region.y1 // scale))


def around(grid: Grid, scale: int) -> int:
    """Return the input pixels on every side that a region takes: its tiles whole, and their mirror."""
    # A tile that reaches over the data window's edge sees at most its own side more of the mirror.
    return HOLD + max(2 * grid.side + grid.shared + FILL, reach(doublings(scale)))


@dataclass(frozen=True, eq=False)
class Frame:
    """One frame on its way through a pipeline."""

    planes: Planes
    """float32, (1 or 3, H, W), scene-linear; what is not finite is shown to the pipeline as the mean of its
    surroundings, and the caller puts it back."""
    source: Region
    """Where `planes` lie."""
    data: Region
    """The whole data window, of which `source` may be a part."""
    facts: Facts
    grid: Grid
    wish: Wish
    seeds: tuple[int, ...]
    """What the noise depends on beside a tile's row and column."""
    fidelity: float
    place: torch.device
    """Where the pipeline runs."""
    threads: int
    budget: int
    """Bytes to keep to."""

    @property
    def scale(self) -> int:
        """Output pixels for an input pixel, on a side."""
        return self.facts.scale

    def strips(self, region: Region) -> Iterator[tuple[Region, Planes]]:
        """Yield the enlarged picture, scene-linear, a strip at a time."""
        scale, all_seen = self.scale, small(region, self.scale).grow(HOLD).intersect(self.data)
        net = self._net(all_seen)
        for y in range(region.y0, region.y1, STRIP):
            strip = Region(region.x0, y, region.x1, min(y + STRIP, region.y1))
            part = small(strip, scale).grow(HOLD).intersect(self.data)
            wide = scaled(part, scale)
            top = (part.y0 - all_seen.y0) * scale
            made = self._held(net[:, top : top + wide.height], part)
            at, left = strip.y0 - wide.y0, strip.x0 - wide.x0
            yield strip, decode(np.ascontiguousarray(made[:, at : at + strip.height, left : left + strip.width]))

    def _held(self, net: Planes, part: Region) -> Planes:
        """Return what the net made, over `part`, brought back to the faithful enlargement, in code.

        Both are compared where the net can follow, in 0 to 1; what lies outside is laid on at the end.
        """
        scale, here = self.scale, Device("cpu", self.threads)
        near = part.grow(reach(doublings(scale))).intersect(self.source)
        y, x = near.y0 - self.source.y0, near.x0 - self.source.x0
        given = np.ascontiguousarray(self.planes[:, y : y + near.height, x : x + near.width])
        code = encode(faithful(given, near, scaled(part, scale), scale, here))
        inside = np.clip(code, np.float32(0), np.float32(1))
        apart = reduced(inside, scale) - reduced(net, scale)
        calm = spread(apart, _blur())
        apart = calm + np.float32(self.fidelity) * (apart - calm)
        held: Planes = net + spread(apart, returning("cubic", scale)) + (code - inside)
        return held

    def _net(self, region: Region) -> Planes:
        """Return what the pipeline makes over input pixels, its tiles laid over each other; code 0 to 1."""
        scale, grid, data = self.scale, self.grid, self.data
        total = np.zeros((len(self.planes), region.height * scale, region.width * scale), np.float32)
        rows, columns = grid.covers(region, data)
        corners = [(row, column) for row in rows for column in columns]
        high, wide = (data.y0, data.y1), (data.x0, data.x1)
        for (row, column), made in zip(corners, self._tiles(corners), strict=True):
            tile = Region.sized(grid.side, grid.side, grid.first(column), grid.first(row))
            both = tile.intersect(region)
            taken, laid = _part(both, tile, scale), _part(both, region, scale)
            share = grid.window(row, high, scale)[:, None] * grid.window(column, wide, scale)[None]
            total[:, *laid] += made[:, *taken] * share[taken]
        return total

    def _code(self) -> Planes:
        """Return what the pipeline is shown: code from 0 to 1, without gaps."""
        bad = missing(self.planes, np)
        whole = filled(self.planes, bad, np) if bool(bad.any()) else self.planes
        code: Planes = encode(whole)
        return np.clip(code, np.float32(0), np.float32(1))

    def _tile(self, loaded: running.Loaded, code: Planes, corner: tuple[int, int]) -> Planes:
        (row, column), grid = corner, self.grid
        rows = mirrored(grid.first(row), grid.side, (self.data.y0, self.data.y1)) - self.source.y0
        columns = mirrored(grid.first(column), grid.side, (self.data.x0, self.data.x1)) - self.source.x0
        seen = code[:, rows[:, None], columns[None]]
        seed = mixed(*self.seeds, row, column) >> 1
        made = loaded.made(np.repeat(seen, 3, axis=0) if len(seen) == 1 else seen, seed, self.wish)
        if len(seen) == 1:
            r, g, b = (made[c] * LUMA[c] for c in range(3))
            made = (r + g + b)[None]
        return made

    def _tiles(self, corners: Sequence[tuple[int, int]]) -> Iterator[Planes]:
        """Yield the tiles of those rows and columns, in their order."""
        import torch

        place, code = self.place, self._code()
        if place.type != "cpu":
            try:
                loaded = running.load(self.facts, self.wish.precision, place)
                with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
                    for corner in corners:
                        yield self._tile(loaded, code, corner)
            except torch.cuda.OutOfMemoryError:
                torch.cuda.empty_cache()
                free = torch.cuda.mem_get_info()[0] + torch.cuda.memory_allocated()
                raise running.short_of_memory(self.facts, self.grid.side, self.wish, free) from None
            return
        loaded = running.load(self.facts, self.wish.precision, place)
        # One thread each, so that no sum is ever shared out.
        sizes, wish = self.facts.sizes, self.wish
        spare = self.budget - memory.weights(sizes, wish.precision)
        # Convolutions on a processor hold copies of their own: 1.8 times the estimate was measured.
        each = 2 * memory.working(sizes, self.grid.side, precision=wish.precision, guided=wish.guided)
        many = max(1, min(self.threads, spare // each))
        with ThreadPoolExecutor(many, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield from pool.map(lambda corner: self._tile(loaded, code, corner), corners)


def faithful(
    planes: Planes, source: Region, region: Region, scale: int, device: Device, *, coverage: bool = False
) -> Planes:
    """Return planes enlarged as by the fidelity mode of Upscale."""
    whole = scaled(source, scale)
    y, x = region.y0 - whole.y0, region.x0 - whole.x0
    fine: Planes = enlarged(planes, source, doublings(scale), device, coverage=coverage)
    return np.ascontiguousarray(fine[:, y : y + region.height, x : x + region.width])


def _part(region: Region, whole: Region, scale: int) -> tuple[slice, slice]:
    """Return rows and columns of `region` in an enlarged array over `whole`."""
    y, x = (region.y0 - whole.y0) * scale, (region.x0 - whole.x0) * scale
    return slice(y, y + region.height * scale), slice(x, x + region.width * scale)


@lru_cache(maxsize=1)
def _blur() -> npt.NDArray[np.float64]:
    """Return the taps of a Gaussian, as one row: a spreading that enlarges by 1."""
    at = np.arange(-round(3 * CALM), round(3 * CALM) + 1)
    taps = np.exp(-0.5 * (at / CALM) ** 2)
    return np.asarray((taps / taps.sum())[None])
