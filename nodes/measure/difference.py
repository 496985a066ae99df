"""Difference: what one picture has that another has not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.region import Region


class DifferenceParams(Params):
    """Parameters of Difference."""

    gain: float = param(1.0, "The difference is multiplied by this.", ge=-1e6, le=1e6)
    absolute: bool = param(False, "Give |a - b|, for looking at; otherwise a - b with its sign, for adding back.")


class Difference(Node):
    """Subtract two pictures: (a - b) * gain, scene-linear, unclamped.

    With gain 1, b plus the difference gives back a, to rounding. Both pictures must have one display window and one
    set of channels; the frames are those that both have. The data window is the smallest that holds both, and a pixel
    that one of them lacks counts as 0 there. NaN and infinity stay in their pixel.
    """

    id = "Difference"
    inputs = (
        Port("a", "Picture to subtract from."),
        Port("b", "Picture that is subtracted."),
    )
    Params = DifferenceParams

    def extent(self, params: DifferenceParams, inputs: Mapping[str, Clip]) -> Clip:
        """The frames that both have; the data window that holds both."""
        a, b = inputs["a"], inputs["b"]
        first, last = max(a.first, b.first), min(a.last, b.last)
        special = {frame: a.extent_at(frame).union(b.extent_at(frame)) for frame in {*a.extents, *b.extents}}
        extents = {frame: window for frame, window in special.items() if first <= frame <= last}
        return replace(a, first=first, last=last, extent=a.extent.union(b.extent), extents=extents)

    def check(self, params: DifferenceParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse pictures that cannot be laid over each other; warn of frames that only one has."""
        a, b = inputs["a"], inputs["b"]
        if a.display != b.display:
            raise GraphError(
                f"'a' is {a.display} and 'b' is {b.display}", remedy="Bring both to one size before the Difference."
            )
        if a.channels != b.channels:
            raise GraphError(
                f"'a' has the channels {', '.join(a.channels)} and 'b' has {', '.join(b.channels)}",
                remedy="Give both the same channels.",
            )
        if max(a.first, b.first) > min(a.last, b.last):
            raise GraphError(
                f"'a' runs from {a.first} to {a.last} and 'b' from {b.first} to {b.last}: they share no frame",
                remedy="Give both the same frame numbers.",
            )
        if (a.first, a.last) != (b.first, b.last):
            return [
                f"'a' runs from {a.first} to {a.last} and 'b' from {b.first} to {b.last}: only what both have is made"
            ]
        return ()

    def compute(self, params: DifferenceParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Subtract where both are; elsewhere the other counts as 0."""
        a, b = inputs["a"], inputs["b"]
        out = _placed(a, request.region, device)
        inside = request.region.intersect(b.region)
        if inside:
            y, x = inside.y0 - request.region.y0, inside.x0 - request.region.x0
            place = (slice(None), slice(y, y + inside.height), slice(x, x + inside.width))
            out[place] = out[place] - b.crop(inside).data
        if params.gain != 1:
            out = out * device.xp.float32(params.gain)
        if params.absolute:
            out = device.xp.abs(out)
        return Image(out, request.region, a.channels, a.metadata)


def _placed(image: Image, region: Region, device: Device) -> Any:
    """Return a writable copy of the picture's pixels in `region`, 0 where it has none."""
    inside = region.intersect(image.region)
    if inside == region:
        return device.xp.array(image.crop(region).data)
    out = device.xp.zeros((len(image.channels), region.height, region.width), dtype="float32")
    if inside:
        y, x = inside.y0 - region.y0, inside.x0 - region.x0
        out[:, y : y + inside.height, x : x + inside.width] = image.crop(inside).data
    return out
