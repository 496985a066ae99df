"""Provenance: a record for every pixel of where it came from and what was done to it on the way.

Held in a channel `provenance` beside the picture: one unsigned whole number a pixel, 0 for a pixel as it was read. The
plane carries the numbers' 32 bits, as every channel of whole numbers does (an EXR gets it as UINT).

| bits | meaning |
|---|---|
| 0–1 | whose value it is: 0 its own, 1 another frame's, 2 filled from its surroundings, 3 synthesised |
| 2 (4) | moved: stabilised, warped or resized, by parts of a pixel too |
| 3 (8) | graded: its own value, changed by itself (colour, density, brightness) |
| 4 (16) | filtered: its own value, corrected by its neighbours in space or time (degrain) |
| 5 (32) | grain laid in that was never on the film |
| 8–15 | with 1 in bits 0–1: from how many frames later, plus 128 (127: the frame before) |

Bits add up along the graph: 9 in a pixel's lowest byte is another frame's value, graded since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from safelight.graph.image import Array, Clip, Image, colour_planes

CHANNEL = "provenance"
KEPT, FRAME, FILL, SYNTHESISED = 0, 1, 2, 3
"""Whose value a pixel has: bits 0 and 1."""
MOVED, GRADED, FILTERED, GRAINED = 4, 8, 16, 32
ORIGIN = 3
FARTHEST = 127
"""Frames a donor may lie away."""

_ORIGINS = ("its own value", "from frame", "filled from its surroundings", "synthesised")
_MARKS = ((MOVED, "moved"), (GRADED, "graded"), (FILTERED, "filtered"), (GRAINED, "grain laid in"))


def from_frame(offset: int) -> int:
    """Return the code of a pixel taken from the frame `offset` later (negative: earlier).

    >>> from_frame(-1), from_frame(2)
    (32513, 33281)
    """
    if not -FARTHEST - 1 <= offset <= FARTHEST:
        raise ValueError(f"a donor {offset} frames away cannot be recorded")
    return FRAME | (offset + 128) << 8


def describe(code: int) -> str:
    """Say in words what a code means.

    >>> describe(0), describe(from_frame(-1) | GRAINED), describe(8)
    ('kept', 'from frame t-1, grain laid in', 'graded')
    """
    origin = code & ORIGIN
    marks = [name for bit, name in _MARKS if code & bit]
    if origin == FRAME:
        marks.insert(0, f"from frame t{(code >> 8 & 255) - 128:+d}")
    elif origin:
        marks.insert(0, _ORIGINS[origin])
    return ", ".join(marks) or "kept"


def has_record(picture: Clip | Image) -> bool:
    """Tell whether a picture carries its provenance. A record alone, without a picture, is a picture of its own."""
    return CHANNEL in picture.channels and bool(colour_planes(picture.channels))


def bare_clip(clip: Clip) -> Clip:
    """Return what a node is told of a clip: without the record, which the engine keeps for it."""
    return replace(clip, channels=_without(clip.channels)) if has_record(clip) else clip


def bare(image: Image) -> Image:
    """Return what a node is given of an image: without the record. A view where that lies last, as it mostly does."""
    if not has_record(image):
        return image
    names, at = image.channels, image.channels.index(CHANNEL)
    last = at == len(names) - 1
    return replace(
        image,
        data=image.data[:at] if last else image.data[[i for i in range(len(names)) if i != at]],
        channels=_without(names),
    )


def recorded_clip(clip: Clip) -> Clip:
    """Return a clip with the channel for a record, if it holds a picture."""
    if CHANNEL in clip.channels or not colour_planes(clip.channels):
        return clip
    return replace(clip, channels=(*clip.channels, CHANNEL))


def codes(image: Image) -> Any:
    """Return an image's codes, uint32 (H, W), a view."""
    return image.data[image.channels.index(CHANNEL)].view(np.uint32)


def with_codes(image: Image, found: Any, xp: Any = np) -> Image:
    """Return the image, which has no record, with these codes, uint32 (H, W), as its last channel."""
    plane = xp.ascontiguousarray(found, dtype=np.uint32).view(np.float32)
    return replace(image, data=xp.concatenate([image.data, plane[None]]), channels=(*image.channels, CHANNEL))


def changed(before: Image, after: Image, xp: Any = np) -> Any:
    """Tell for each pixel of `after` whether any bit of its colour differs from `before`, which must hold it."""
    source = before.crop(after.region)
    pairs = zip(colour_planes(source.channels), colour_planes(after.channels), strict=False)
    found = xp.zeros(after.data.shape[1:], dtype=bool)
    for old, new in pairs:
        found |= _bits(source.data[old], xp) != _bits(after.data[new], xp)
    return found


def altered(before: Image, after: Image, mark: int, xp: Any = np) -> Any:
    """Return the codes of `after`: those of `before`, with `mark` where the colour changed.

    Pixels that `before` does not have are synthesised.
    """
    if before.region.contains(after.region):
        return codes(before.crop(after.region)) | xp.where(changed(before, after, xp), mark, 0).astype(np.uint32)
    out = xp.full(after.data.shape[1:], SYNTHESISED, dtype=np.uint32)
    both = before.region.intersect(after.region)
    if both:
        y, x = both.y0 - after.region.y0, both.x0 - after.region.x0
        out[y : y + both.height, x : x + both.width] = altered(before, after.crop(both), mark, xp)
    return out


def blended(first: Any, second: Any, xp: Any = np) -> Any:
    """Return the codes of a blend of two pixels: the origin further from the film's own, the marks of both.

    >>> [int(code) for code in blended(np.uint32([0, 8]), np.uint32([3, 4]))]
    [3, 12]
    """
    origin = xp.where(second & ORIGIN > first & ORIGIN, second, first) & (255 << 8 | ORIGIN)
    return origin | (first | second) & (MOVED | GRADED | FILTERED | GRAINED)


def tally(found: Any) -> dict[int, int]:
    """Count the pixels of each code, by code."""
    values, counts = np.unique(np.asarray(found), return_counts=True)
    return {int(value): int(count) for value, count in zip(values, counts, strict=True)}


def _without(channels: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in channels if name != CHANNEL)


def _bits(plane: Array, xp: Any) -> Any:
    return xp.ascontiguousarray(plane).view(np.uint32)
