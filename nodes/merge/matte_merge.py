"""MatteMerge: several mattes made one: their union, what they share, or one less the others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import NOTES, Clip, Image
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.region import Region
from safelight.nodes.damage.defects import decided, outside
from safelight.nodes.damage.obeying import FOUND, as_found, matte_channels, obeyed
from safelight.nodes.grain.taking import coverage

PORTS = ("a", "b", "c", "d")


class MatteMergeParams(Params):
    """Parameters of MatteMerge."""

    operation: Literal["union", "intersect", "subtract"] = param(
        "union",
        "union: the greatest of all (max). intersect: the least (min). subtract: what of `a` is in none of the others, "
        "a × (1 − b).",
    )
    defects: Path | None = param(
        None,
        "List of defects (JSON) for what comes out: what is rejected there is left out, what is kept or added is "
        "damage. One list for several detectors belongs here, not into each of them.",
        kind="path",
    )


class MatteMerge(Node):
    """Merge mattes: union, intersect or subtract.

    Looks at the first channel of each, clipped to 0..1; outside its data window a matte is 0, as is what is not a
    number. Output: one channel, A, over the display window of `a`; where a list of defects is obeyed, here or by what
    made the mattes, a second one, found, holds what they were before. What the mattes say of the frame in their
    metadata travels along, `a`'s first.
    """

    id = "MatteMerge"
    inputs = (
        Port("a", "A matte, first channel."),
        Port("b", "Another."),
        Port("c", "Another.", optional=True),
        Port("d", "Another.", optional=True),
    )
    outputs = (Port("matte", "Channel A: the merged matte."),)
    Params = MatteMergeParams
    tileable = False  # a list of defects looks at whole blobs

    def extent(self, params: MatteMergeParams, inputs: Mapping[str, Clip]) -> Clip:
        """The frames of `a`, its display window, one channel."""
        clip = inputs["a"]
        return replace(clip, channels=matte_channels(params.defects, *inputs.values()), extent=clip.display, extents={})

    def check(self, params: MatteMergeParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse mattes of other sizes, and a broken list of defects."""
        first = inputs["a"]
        for port, clip in inputs.items():
            if clip.display != first.display:
                raise GraphError(
                    f"it is {clip.display} and 'a' is {first.display}",
                    where=f"input '{port}'",
                    remedy="Bring all mattes to one size.",
                )
        return outside(params.defects, first)

    def fingerprint(self, params: MatteMergeParams, frame: int | None, settings: Settings) -> str:
        """What the list of defects decides on the frame."""
        return decided(params.defects, frame)

    def needs(self, params: MatteMergeParams, request: Request) -> Mapping[str, list[Request]]:
        """Ask every matte for the region."""
        return {port: [request] for port in PORTS}

    def compute(self, params: MatteMergeParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Merge the region."""
        there = [one for port in PORTS if (one := inputs.get(port)) is not None]
        out = _merged(params, there, request.region, device)
        if any(FOUND in one.channels for one in there):
            found = _merged(params, [as_found(one) for one in there], request.region, device)
            out = device.xp.concatenate([out, found])
        metadata: dict[str, Any] = {}
        for one in reversed(there):
            metadata |= one.metadata
        notes = tuple(dict.fromkeys(note for one in there for note in one.metadata.get(NOTES, ())))
        if notes:
            metadata[NOTES] = notes
        matte = Image(out, request.region, ("A", FOUND)[: len(out)], metadata)
        if params.defects is None:
            return matte
        return device.upload(obeyed(params.defects, device.download(matte), request.frame))


def _merged(params: MatteMergeParams, mattes: Sequence[Image], region: Region, device: Device) -> Any:
    """Return the first channels of the mattes made one, (1, H, W)."""
    xp = device.xp
    out, *others = (_clean(coverage(one, region, device), xp) for one in mattes)
    for other in others:
        if params.operation == "union":
            out = xp.maximum(out, other)
        elif params.operation == "intersect":
            out = xp.minimum(out, other)
        else:
            out = out * (1 - other)
    return out


def _clean(matte: Any, xp: Any) -> Any:
    return xp.clip(xp.nan_to_num(matte, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
