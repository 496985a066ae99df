"""Rectangles of pixels, half open, y down, in the absolute coordinates of the display window."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Region:
    """Pixels x0 <= x < x1, y0 <= y < y1. Coordinates may be negative; an empty region has no pixel."""

    x0: int
    y0: int
    x1: int
    y1: int

    @classmethod
    def sized(cls, width: int, height: int, x0: int = 0, y0: int = 0) -> Region:
        """Build from a size and a corner."""
        return cls(x0, y0, x0 + width, y0 + height)

    @property
    def width(self) -> int:
        """Columns, at least 0."""
        return max(0, self.x1 - self.x0)

    @property
    def height(self) -> int:
        """Rows, at least 0."""
        return max(0, self.y1 - self.y0)

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def __bool__(self) -> bool:
        return self.x1 > self.x0 and self.y1 > self.y0

    def __str__(self) -> str:
        return f"{self.width}x{self.height}{self.x0:+d}{self.y0:+d}"

    def intersect(self, other: Region) -> Region:
        """Return the pixels in both (maybe empty)."""
        return Region(max(self.x0, other.x0), max(self.y0, other.y0), min(self.x1, other.x1), min(self.y1, other.y1))

    def union(self, other: Region) -> Region:
        """Return the smallest region that holds both; an empty one adds nothing."""
        if not self:
            return other
        if not other:
            return self
        return Region(min(self.x0, other.x0), min(self.y0, other.y0), max(self.x1, other.x1), max(self.y1, other.y1))

    def grow(self, pixels: int) -> Region:
        """Return the region with a margin on every side."""
        return Region(self.x0 - pixels, self.y0 - pixels, self.x1 + pixels, self.y1 + pixels)

    def contains(self, other: Region) -> bool:
        """Tell whether every pixel of other is in self."""
        return not other or (
            self.x0 <= other.x0 and self.y0 <= other.y0 and self.x1 >= other.x1 and self.y1 >= other.y1
        )

    def tiles(self, size: int) -> Iterator[Region]:
        """Cut into tiles on a grid anchored at (0, 0), in reading order; size 0 means one tile."""
        if not self:
            return
        if size <= 0:
            yield self
            return
        for y in range(self.y0 // size * size, self.y1, size):
            for x in range(self.x0 // size * size, self.x1, size):
                yield self.intersect(Region.sized(size, size, x, y))


def union_all(regions: Iterable[Region]) -> Region:
    """Return the smallest region that holds all of them."""
    total = Region(0, 0, 0, 0)
    for region in regions:
        total = total.union(region)
    return total
