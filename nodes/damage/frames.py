"""FrameDetect: splices, large blotches, destroyed, repeated, blank and flash frames, found by the frames around."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import NOTES, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.nodes.damage.areas import KINDS, Found, Rules, judge
from safelight.nodes.damage.defects import decided, outside
from safelight.nodes.damage.obeying import matte_channels, obeyed
from safelight.nodes.damage.unmatched import Small, small
from safelight.nodes.grain.picture import require_picture

KIND = "safelight:frame"
"""Metadata entry of a matte that says what kind of frame it is: one or more of `KINDS`, joined by commas."""


class FrameDetectParams(Params):
    """Parameters of FrameDetect."""

    sensitivity: float = param(
        0.5,
        "How little an area must differ to count. 0.5: a quarter of a stop; 1: an eighth; 0: half a stop.",
        ge=0,
        le=1,
    )
    area: float = param(
        0.3,
        "Least area that counts as a blotch; smaller ones are DirtDetect's. Twice as much at the ends of a shot.",
        unit="% of the frame",
        ge=0.02,
        le=50,
    )
    blotches: bool = param(True, "Look for blotches: glue, mould, water, burns.")
    splices: bool = param(True, "Look for the bars of splices at the top and bottom.")
    frames: bool = param(True, "Judge frames as a whole: flashes, repeated frames, jumps of the framing.")
    flash: float = param(
        0.5, "A frame this much brighter or darker than those on both sides is a flash.", unit="stops", ge=0.1, le=10
    )
    jump: float = param(
        2.0, "A picture that moves up or down by this at once has jumped.", unit="% of the height", ge=0.2, le=50
    )
    defects: Path | None = param(
        None,
        "List of defects (JSON): what is rejected there is left out, what is kept or added is damage.",
        kind="path",
    )


class FrameDetect(Node):
    """Find what is wrong with frames at large: splices, blotches, destroyed, blank, flash and repeated frames, jumps.

    Output `matte` has one channel, A: 0 where the frame matches a neighbour, else the confidence, 0.5 to 1, that the
    area is damaged, for Repair to fill. Each frame says what it is in its metadata (`safelight:frame`):

    splice: a bar over most of the width at the top or bottom. blotch: areas of at least `area` that match no frame
    around. destroyed: more than half does so; Repair leaves it alone unless forced, and takes nothing from it. blank:
    nothing of the picture is left; the matte covers it. flash: the whole frame is brighter or darker than those on both
    sides. jump: the framing moves up or down at once. repeat: the frame before again, bit for bit or but for a codec's
    noise; its matte is empty. A frame may be several.

    Frames are compared on a picture of at most 640 pixels, moved by block motion, with flicker (a curve over tones and
    a slow change over the picture) taken out: what differs to one side from the frames before and after, by more than
    these differ among themselves and than edges moved by half a pixel would, is damage. Vectors under it are taken from
    around it, and the frames beyond must not show the same. Dissolves and fades lie between their neighbours and are
    left alone. At the clip's ends and at cuts two frames of one side are asked, more strictly, and areas at the frame's
    edges are left out. What comes into view at the edges of a moving picture is never damage. A clip needs three
    frames. Pixels that are not finite are 0 in the matte and count as their surroundings.

    References: Kokaram 1998 (blotches as departures from both neighbours of one sign).
    """

    id = "FrameDetect"
    inputs = (Port("input", "The plate, scene-linear."),)
    outputs = (
        Port(
            "matte",
            "Channel A: confidence that an area is damaged, 0 where it is not."
            " With a list of defects, found: the same before it.",
        ),
    )
    Params = FrameDetectParams
    window = 2
    tileable = False
    devices = ("cpu",)
    scratch = 8.0

    def extent(self, params: FrameDetectParams, inputs: Mapping[str, Clip]) -> Clip:
        """A matte of the input's windows."""
        return replace(inputs["input"], channels=matte_channels(params.defects))

    def check(self, params: FrameDetectParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips that hold no picture, and a broken list of defects."""
        clip = inputs["input"]
        require_picture(clip)
        warnings = []
        if len(clip.frames) < 3:
            warnings.append("a clip of one or two frames: no frame can be told from those around it")
        return warnings + outside(params.defects, clip)

    def fingerprint(self, params: FrameDetectParams, frame: int | None, settings: Settings) -> str:
        """What the list of defects decides on the frame."""
        return decided(params.defects, frame)

    def prepare(self, params: FrameDetectParams, port: str, image: Image, device: Device) -> Small | None:
        """Make one frame small."""
        return small(image, device) if image.region else None

    def compute(self, params: FrameDetectParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Judge the frame; lay its areas out at full size; obey the list."""
        plate = inputs["input"]
        region = plate.region
        metadata = dict(plate.metadata)
        data = np.zeros((1, region.height, region.width), np.float32)
        if region:
            there = {
                frame: inputs.prepared("input", frame)
                for frame in inputs.frames("input")
                if inputs.at("input", frame).region == region  # type: ignore[union-attr]
            }
            rules = Rules(
                params.sensitivity,
                params.area / 100,
                params.flash,
                params.jump / 100,
                splices=params.splices,
                blotches=params.blotches,
                frames=params.frames,
            )
            found: Found = judge(request.frame, there, rules, device)
            if found.kinds:
                metadata[KIND] = ",".join(found.kinds)
                metadata[NOTES] = (*metadata.get(NOTES, ()), f"frame {request.frame}: {found.note}")
            step = there[request.frame].step
            data[0] = np.repeat(np.repeat(found.matte, step, 0), step, 1)[: region.height, : region.width]
            data[0][~np.isfinite(plate.data[list(colour_planes(plate.channels))]).all(0)] = 0
        matte = Image(data, region, ("A",), metadata)
        return obeyed(params.defects, matte, request.frame)


__all__ = ["KIND", "KINDS", "FrameDetect", "FrameDetectParams"]
