"""HDRLift: SDR pictures and film scans lifted to HDR, and brought back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal

import numpy as np

from safelight.colour.claims import without_colour
from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Pictures, Request, Settings
from safelight.graph.params import Params, param
from safelight.nodes.colour.lifting import OUT_WHITE, Curve, Lift, lift_planes, working_to_lms


class HDRLiftParams(Params):
    """Parameters of HDRLift."""

    peak: float = param(
        1000.0,
        "Most light of the lifted picture: the peak of the display it is made for.",
        unit="cd/m²",
        ge=100,
        le=10000,
    )
    diffuse_white: float = param(
        203.0,
        "Light of the source's 1.0 before expansion. 203 is the reference white of HDR (BT.2408): white walls and faces "
        "then sit where those of other HDR pictures do, and all below 100 cd/m² is the same for every peak. 100 keeps "
        "the light an SDR master was graded at. Above `peak` it counts as `peak`.",
        unit="cd/m²",
        ge=48,
        le=1000,
    )
    knee: float = param(
        0.5,
        "Light of the source, 1.0 = SDR white, at which expansion begins: up to there light is only scaled. 0.5 of 203 "
        "is 101 cd/m².",
        ge=0.05,
        le=0.9,
    )
    highlights: float = param(
        0.5,
        "How far SDR white is lifted: share of the stops from diffuse white to peak. 0.5 puts it at 450 cd/m² for a peak "
        "of 1,000. What lies above is for highlights that the source clips.",
        ge=0,
        le=0.95,
    )
    saturation: float = param(
        1.0,
        "Factor of Ct and Cp at the clip level, growing towards it from 1 at the knee. 1 keeps the colour differences "
        "as they are: hue and colourfulness of the source. It never turns a hue.",
        ge=0.25,
        le=2,
    )
    clip: float = param(
        0.0,
        "Level at which the source clips, SDR white = 1. 0 finds it: 1 for files of whole numbers, else the largest value "
        "of the whole shot, at least 1. Set it for a film scan whose shots must match each other.",
        ge=0,
        le=65504,
    )
    direction: Literal["lift", "back"] = param(
        "lift",
        "lift: SDR or scene-linear to HDR. back: a picture lifted with these very parameters to what it was.",
    )


class HDRLift(Node):
    """Lift SDR pictures and film scans to HDR, with their colours; or bring them back.

    Takes scene-linear pixels, 1.0 = SDR white: an SDR file as Read brings it in, or a film scan. Gives scene-linear
    pixels in the working space, unclamped, 1.0 = 100 cd/m²: a plain PQ encode of them is absolute light.

    Up to the knee light is the source's times diffuse white. Above it expands along a smooth, strictly rising curve:
    to a share of the way to the peak where the source clips, and from there on towards the peak, which nothing passes.
    The curve acts on I of ICtCp; Ct and Cp are scaled together, so that hues stay. A lone Y is taken as luminance.

    Channels other than R, G, B or a lone Y keep their bits; pixels that are not finite are handed through. Negative
    light is scaled and kept.

    References: Rec. ITU-R BT.2100-2 (PQ, ICtCp), BT.2408 (reference white).
    """

    id = "HDRLift"
    Params = HDRLiftParams
    scratch = 1.0

    def check(self, params: HDRLiftParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse pictures without colour, half of one, and a working space that nobody knows the place of."""
        channels = inputs["input"].channels
        planes = colour_planes(channels)
        if len(planes) not in (1, 3) or (len(planes) == 1 and channels[planes[0]].upper() != "Y"):
            raise GraphError(
                f"the picture has the channels {', '.join(channels) or '(none)'}; a lift needs R, G and B, or Y",
                where="input 'input'",
                remedy="Feed the picture itself.",
            )
        if 0 < params.clip <= params.knee:
            raise GraphError(
                f"the source clips at {params.clip:g}, below the knee at {params.knee:g}",
                where="parameter 'clip'",
                remedy="Lower the knee, or leave 'clip' at 0.",
            )
        working_to_lms(config_for(settings))
        if params.diffuse_white >= params.peak:
            return (f"diffuse white {params.diffuse_white:g} cd/m² is no lower than the peak: nothing expands",)
        return ()

    def fingerprint(self, params: HDRLiftParams, frame: int | None, settings: Settings) -> str:
        """Add where the working space stands."""
        if frame is not None:
            return ""
        return " ".join(f"{value:.9g}" for value in working_to_lms(config_for(settings)).ravel())

    def identity(self, params: HDRLiftParams, request: Request) -> str | None:
        """Hand the input on where nothing expands and diffuse white is 100 cd/m²."""
        white = min(params.diffuse_white, params.peak)
        return "input" if white == OUT_WHITE and white >= params.peak else None

    def wants_analysis(self, params: HDRLiftParams) -> bool:
        """Find the clip level, unless it is said."""
        return params.clip == 0 and params.direction == "lift"

    def analyse(
        self, params: HDRLiftParams, images: Pictures, clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Find the largest value of the shot."""
        most = 1.0
        for _frame, image in images:
            for plane in colour_planes(image.channels):
                values = image.data[plane]
                finite = values[device.xp.isfinite(values)]
                most = max(most, float(finite.max())) if finite.size else most
        return {"clip": most}

    def compute(self, params: HDRLiftParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Lift the colour planes; see the kernel `hdr_lift`."""
        image = inputs["input"].crop(request.region)
        planes = colour_planes(image.channels)
        if not image.region or not planes:
            return image
        lift = lift_of(params, inputs)
        out = device.empty(image.data.shape)
        for plane in set(range(len(image.channels))) - set(planes):
            out[plane] = image.data[plane]
        lift_planes(device, lift, image, planes, out)
        return Image(out, image.region, image.channels, without_colour(image.metadata))


def lift_of(params: HDRLiftParams, inputs: Inputs) -> Lift:
    """Return the numbers of a lift."""
    white = min(params.diffuse_white, params.peak)
    found = inputs.analysis["clip"] if inputs.analysis else 1.0
    clip = max(params.clip or float(found), params.knee * 1.01)
    curve = Curve.of(peak=params.peak, diffuse_white=white, knee=params.knee, highlights=params.highlights, clip=clip)
    config = config_for(inputs.settings, fresh=False)
    return Lift(curve, white, params.saturation, params.direction == "back", working_to_lms(config))
