"""Pixels on their way through the graph, and the cheap facts about a clip that need no pixels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import RenderError
from safelight.graph.region import Region

# numpy on the CPU; CuPy's arrays answer to the same operations, so one name serves both.
Array = npt.NDArray[np.float32]


NOTES = "safelight:notes"
"""Entry of a frame's metadata: what its nodes want the person who renders to know of it, a tuple of texts."""


@dataclass(frozen=True)
class Clip:
    """What is known of a node's output without rendering it."""

    first: int
    """First frame there is."""
    last: int
    """Last frame there is, inclusive; below `first` for an empty clip."""
    display: Region
    """Display window: the picture's frame."""
    extent: Region
    """Data window: pixels outside it do not exist."""
    extents: Mapping[int, Region] = field(default_factory=dict)
    """Frames whose data window differs from `extent`."""
    channels: tuple[str, ...] = ("R", "G", "B")
    """Channel names, in plane order."""
    pixel_aspect: float = 1.0
    """Width of a pixel over its height."""
    fps: Fraction | None = None
    """Frames a second, where the source says so."""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """Header of the first frame; a frame's own header travels with its Image."""

    def extent_at(self, frame: int) -> Region:
        """Return the data window of one frame."""
        return self.extents.get(frame, self.extent)

    def __contains__(self, frame: int) -> bool:
        return self.first <= frame <= self.last

    @property
    def frames(self) -> range:
        """All frames of the clip."""
        return range(self.first, self.last + 1)


@dataclass(frozen=True)
class Image:
    """One frame's pixels, or a part of them.

    `data` is float32, (channels, height, width), scene-linear and unclamped unless a node says otherwise; its pixel
    (c, 0, 0) lies at (region.x0, region.y0). Never written to once it is in an Image: nodes share it.
    """

    data: Array
    region: Region
    channels: tuple[str, ...] = ("R", "G", "B")
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        want = (len(self.channels), self.region.height, self.region.width)
        if tuple(self.data.shape) != want:
            raise ValueError(f"an image of shape {tuple(self.data.shape)} where region and channels say {want}")

    @property
    def nbytes(self) -> int:
        """Bytes of pixels."""
        return int(self.data.nbytes)

    def crop(self, region: Region) -> Image:
        """Return a view of the pixels in `region`, which must lie inside; of an empty one, an image without pixels."""
        if region == self.region:
            return self
        if not region:
            corner = Region(region.x0, region.y0, region.x0, region.y0)
            return replace(self, data=self.data[:, :0, :0], region=corner)
        if not self.region.contains(region):
            raise ValueError(f"region {region} is not inside {self.region}")
        y, x = region.y0 - self.region.y0, region.x0 - self.region.x0
        return replace(self, data=self.data[:, y : y + region.height, x : x + region.width], region=region)

    def with_data(self, data: Array, region: Region | None = None) -> Image:
        """Return the same frame with other pixels: channels and metadata travel along."""
        return replace(self, data=data, region=region or self.region)


COLOUR_CHANNELS = ("R", "G", "B")


def colour_planes(channels: Iterable[str]) -> tuple[int, ...]:
    """Return the indices of the planes that carry the picture: R, G, B in that order, else a lone Y, else all of R/G/B
    that are there. Mattes, depth and ids are not among them.

    >>> colour_planes(("A", "B", "G", "R"))
    (3, 2, 1)
    >>> colour_planes(("Y", "A"))
    (0,)
    """
    names = {name.upper(): index for index, name in reversed(list(enumerate(channels)))}
    found = tuple(names[name] for name in COLOUR_CHANNELS if name in names)
    if found:
        return found
    return (names["Y"],) if "Y" in names else ()


def require_same_display(a: Clip, b: Clip, what: str) -> None:
    """Refuse two inputs whose display windows differ."""
    if a.display != b.display:
        raise RenderError(
            f"{what} differ in size: {a.display} and {b.display}", remedy="Bring both to one size before they meet."
        )
