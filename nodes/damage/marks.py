"""What is marked as damaged in a frame: as it was found, and as a person has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.damage.defects import EIGHT
from safelight.nodes.damage.holes import Bools, damaged
from safelight.nodes.damage.obeying import as_found
from safelight.nodes.grain.taking import coverage

HALF = 0.5
"""Share of a frame beyond which it is destroyed."""


@dataclass(frozen=True)
class Layer:
    """Places of a frame that are repaired together, (H, W) each."""

    marked: Bools
    """What is repaired."""
    known: Bools
    """What is taken for damaged meanwhile."""
    shown: Bools
    """What of `marked` is to be repaired in the end; the rest was rejected."""


@dataclass(frozen=True)
class Marks:
    """The pixels marked in one frame, (H, W) each: what a list of defects made of them, and what was found before.

    What was found says which pixels the motion is sought by, and which a place is compared by; so what a person decides
    of one place decides nothing of another. Where there was no list both are the same array.
    """

    edited: Bools
    found: Bools

    @classmethod
    def of(cls, matte: Image | None, include: Image | None, plate: Image, threshold: float) -> Marks:
        """Read a frame's matte and include matte over the plate's data window; None marks nothing."""
        region = plate.region
        asked = None if include is None else plane_over(include, region)
        if matte is None:
            edited = found = damaged(np.zeros((region.height, region.width), np.float32), threshold, asked)
            return cls(edited, found)
        edited = damaged(plane_over(matte, region), threshold, asked)
        before = as_found(matte)
        if before is matte:
            return cls(edited, edited)
        found = damaged(plane_over(before, region), threshold, asked)
        # Whoever says that a frame is not destroyed after all wants it to count.
        if np.count_nonzero(found) > HALF * found.size or np.array_equal(found, edited):
            found = edited
        return cls(edited, found)

    def layers(self) -> Iterator[Layer]:
        """Yield what was found, rejected places with it, and then what a person added, with all that it touches."""
        if self.edited is self.found:
            yield Layer(self.edited, self.edited, self.edited)
            return
        added = self.edited & ~self.found
        if added.any():
            labels, count = ndimage.label(self.edited, EIGHT)
            touched = np.zeros(count + 1, bool)
            touched[labels[added]] = True
            added = touched[labels]
        shown = self.edited & ~added
        if shown.any():
            yield Layer(self.found, self.found, shown)
        if added.any():
            yield Layer(added, self.edited | self.found, added)


def plane_over(matte: Image, region: Region) -> Any:
    """Return a matte's first channel over a region, (H, W); 0 outside its data window."""
    return coverage(matte, region, Device("cpu", 1))[0]
