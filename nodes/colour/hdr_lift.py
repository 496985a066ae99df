"""HDRLift: SDR pictures and film scans lifted to HDR, and brought back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from safelight.colour.claims import without_colour
from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Pictures, Request, Settings
from safelight.nodes.colour.lift_knowledge import (
    LIFTED,
    SHAPING,
    Knowledge,
    knowledge,
    lift_of,
    parameters_of,
    text_of,
    whole_numbers,
)
from safelight.nodes.colour.lift_params import HDRLiftParams
from safelight.nodes.colour.lifting import OUT_WHITE, lift_planes, working_to_lms


class HDRLift(Node):
    """Lift SDR pictures and film scans to HDR, with their colours; or bring them back.

    Takes scene-linear pixels, 1.0 = SDR white: an SDR file as Read brings it in, or a film scan. Gives scene-linear
    pixels in the working space, unclamped, 1.0 = 100 cd/m²: a plain PQ encode of them is absolute light.

    Up to the knee light is the source's times diffuse white. Above it expands along a smooth, strictly rising curve:
    to a share of the way to the peak where the source clips, and from there on towards the peak, which no grey passes.
    The curve acts on I of ICtCp; Ct and Cp are scaled together, so that hues stay. A lone Y is taken as luminance.

    What clips is told from what is bright by its level, channel by channel in the file's own space. Where all channels
    clip it is given light that begins at nothing at the rim: more in the middle of small highlights, none on large
    areas. With `recover_colour` channels that clip alone get theirs too. On the way back light over the clip level is
    cut off there, so that the source comes back whatever was given.

    8-bit sources are debanded: the signal under the rounding is estimated from coarse to fine, at each size within half
    a code of what is there. Busy areas, where noise or texture dithers anyway, are left alone, and so are pixels that
    are no longer on a code.

    Every frame is lifted by itself, by the same curve: a clip level that must be found is that of the whole shot.
    Channels other than R, G, B or a lone Y keep their bits; pixels that are not finite are handed through. Negative
    light is scaled and kept. The parameters travel with the picture as the attribute `safelight:HDRLift`.

    References: Rec. ITU-R BT.2100-2 (PQ, ICtCp), BT.2408 (reference white).
    """

    id = "HDRLift"
    version = 2  # 2: codes and PQ in pieces; the last bits
    Params = HDRLiftParams
    tileable = False
    scratch = 3.0

    def check(self, params: HDRLiftParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse pictures without colour, or half of one, and a working space that nobody knows the place of.

        Warns where nothing expands, where codes were read as if they were light, and where a picture is brought back
        with other parameters than it was lifted with.
        """
        clip = inputs["input"]
        planes = colour_planes(clip.channels)
        if len(planes) not in (1, 3) or (len(planes) == 1 and clip.channels[planes[0]].upper() != "Y"):
            raise GraphError(
                f"the picture has the channels {', '.join(clip.channels) or '(none)'}; a lift needs R, G and B, or Y",
                where="input 'input'",
                remedy="Feed the picture itself.",
            )
        if 0 < params.clip <= params.knee:
            raise GraphError(
                f"the source clips at {params.clip:g}, below the knee at {params.knee:g}",
                where="parameter 'clip'",
                remedy="Lower the knee, or leave 'clip' at 0.",
            )
        config = config_for(settings)
        working_to_lms(config)
        try:
            known = knowledge(params, clip, config)
        except GraphError as error:
            raise error.at(where="parameter 'source'") from None
        if params.deband in ("8", "10") and known.source.table is None:
            raise GraphError(
                f"deband = {params.deband} needs to know what the codes mean, and "
                + (f"'{known.space}' does not say it" if known.space else "the picture comes from no file"),
                where="parameter 'deband'",
                remedy="Name the display space the source was in as 'source' (such as sRGB), or leave deband at auto.",
            )
        return list(self._warnings(params, clip, known))

    def _warnings(self, params: HDRLiftParams, clip: Clip, known: Knowledge) -> Iterable[str]:
        if params.diffuse_white >= params.peak:
            yield f"diffuse white {params.diffuse_white:g} cd/m² is no lower than the peak: nothing expands"
        if params.direction == "lift" and known.file is not None and known.file.bits == 8 and known.linear:
            yield (
                f"the file's 8-bit codes are taken for light, as it is read as {known.file.space}: if they are a "
                "display signal, set the Read's colourspace"
            )
        if params.direction == "lift" and LIFTED in clip.metadata:
            yield "the picture says that it is lifted already"
        if params.direction == "back":
            said = parameters_of(clip.metadata)
            unlike = [name for name, value in said.items() if name in SHAPING and value != getattr(params, name)]
            if unlike:
                was = ", ".join(f"{name} {said[name]:g}" for name in unlike)
                yield f"the picture was lifted with other parameters ({was}): what comes back is not the original"

    def fingerprint(self, params: HDRLiftParams, frame: int | None, settings: Settings) -> str:
        """Add where the working space stands, and the source where it is named."""
        if frame is not None:
            return ""
        config = config_for(settings)
        place = " ".join(f"{value:.9g}" for value in working_to_lms(config).ravel())
        return place if params.source == "auto" else f"{place} {config.fingerprint(params.source, config.working)}"

    def identity(self, params: HDRLiftParams, request: Request) -> str | None:
        """Hand the input on where nothing expands and diffuse white is 100 cd/m²."""
        return "input" if params.diffuse_white >= params.peak == OUT_WHITE else None

    def wants_analysis(self, params: HDRLiftParams) -> bool:
        """Find the clip level, unless it is said."""
        return params.clip == 0 and params.direction == "lift" and params.diffuse_white < params.peak

    def analysis_requests(self, params: HDRLiftParams, clips: Mapping[str, Clip]) -> Sequence[Request]:
        """Look at every frame, but at none of a file of whole numbers, which clips at its highest code."""
        clip = clips["input"]
        return [] if whole_numbers(clip.metadata) else [Request(frame, clip.extent_at(frame)) for frame in clip.frames]

    def analyse(
        self, params: HDRLiftParams, images: Pictures, clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Find the largest value of the shot; 0 says that it is the file's highest code."""
        if whole_numbers(clips["input"].metadata):
            return {"clip": 0.0}
        most = 1.0
        for _frame, image in images:
            for plane in colour_planes(image.channels):
                values = device.xp.asarray(image.data[plane])
                finite = device.xp.isfinite(values)
                if bool(finite.any()):
                    most = max(most, float(values.max(where=finite, initial=0)))
        return {"clip": most}

    def compute(self, params: HDRLiftParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Lift the colour planes; see the kernel `hdr_lift`."""
        image = inputs["input"].crop(request.region)
        planes = colour_planes(image.channels)
        if not image.region or not planes:
            return image
        config = config_for(inputs.settings, fresh=False)
        clip = inputs.clips.get("input")
        lift = lift_of(params, request.frame, image, clip, inputs.analysis, config)
        out = device.empty(image.data.shape)
        for plane in set(range(len(image.channels))) - set(planes):
            out[plane] = image.data[plane]
        width = clip.display.width if clip is not None else image.region.width
        lift_planes(device, lift, image, planes, out, width=width)
        metadata = {name: value for name, value in without_colour(image.metadata).items() if name != LIFTED}
        if not lift.back:
            metadata[LIFTED] = text_of(params, lift)
        return Image(out, image.region, image.channels, metadata)
