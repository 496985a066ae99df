"""DirtDetect: where dust and dirt lie, found by what is there in one frame only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import NOTES, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.nodes.damage import judge, still
from safelight.nodes.damage.defects import decided, outside
from safelight.nodes.damage.departure import Departure, Frame, chosen, measure, prepare
from safelight.nodes.damage.obeying import matte_channels, obeyed
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.noise import Noise, estimate
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.grain.working import BORDER, filled

NOTE = "safelight:dirt"
"""Metadata entry of a matte that says why a frame was left alone."""
DESTROYED = 0.5


class DirtDetectParams(Params):
    """Parameters of DirtDetect."""

    sensitivity: float = param(
        0.5,
        "How little it takes to be called dirt. 0.5 finds what is plainly dirt; higher finds fainter pieces, and more "
        "that is none.",
        ge=0,
        le=1,
    )
    dark: bool = param(True, "Look for what is darker than the picture.")
    bright: bool = param(True, "Look for what is brighter than the picture.")
    coloured: bool = param(
        True,
        "Look for what lies on one record alone: red, green or blue. On a single frame, without any neighbour, this is "
        "all that is looked for.",
    )
    min_size: int = param(2, "Nothing smaller is dirt, by the longer side of its box.", unit="pixels", ge=1, le=1000)
    max_size: int = param(100, "Nothing larger is dirt, by the longer side of its box.", unit="pixels", ge=1, le=4000)
    protection: float = param(
        1.0,
        "How far small moving things, glints, rain and snow are looked for among the frames around, against 48 pixels "
        "a frame; what moves, flickers or falls in company is no dirt. 0 protects none of them.",
        ge=0,
        le=4,
    )
    force: bool = param(
        False,
        "Work on frames, too, of which more than half matches neither neighbour: destroyed, or too fast to follow.",
    )
    infrared_depth: float = param(
        0.3,
        "With an infrared scan: what is darker there by this part, against its surroundings, is dust.",
        gt=0,
        lt=1,
    )
    defects: Path | None = param(
        None,
        "List of defects (JSON): what is rejected there is left out, what is kept or added is damage.",
        kind="path",
    )


class DirtDetect(Node):
    """Find dust and dirt: a matte of what is in one frame only.

    Output `matte` has one channel, A: 0 where nothing is, else the confidence, up to 1, that the pixel is damaged. 0.5
    is the line between more and less likely.

    Each frame is compared with the one before and the one after, moved to match by block motion, in stops and against
    the noise measured on the shot; in grey each record counts by how little noise it has. What motion and light leave
    lies on all records, so of a single one only what the other two do not foretell counts, and against the mean of two
    frames on each side where they agree. What departs from both sides, with one sign, in grey or in one record alone,
    is gathered into pieces. Each is judged by its strength, size, shape and edge, by its surroundings, by how well
    motion is known there, and by its company: things that were elsewhere in the frames around (lamps, stars, birds,
    snow), glints among glints and streaks in one direction lower the odds as far as chance does not explain them, and
    in a frame that is surely dirty the rest is likelier. Where a neighbour is itself damaged on the spot, the frame
    beyond it stands in. At the clip's ends and at cuts the two nearest frames of the other side are asked, with odds of
    their own, as what comes into view looks alike. A frame of which more than half matches neither neighbour is left
    alone and says so in its metadata (`safelight:dirt`). A clip of one frame shows dust on one record alone.

    Dust is opaque in infrared: with an infrared scan, first channel, what is dark there is dust as well.

    Pixels that are not finite are 0 in the matte and influence no other. The pieces are gathered and judged on the
    host; the work on pixels runs on the device.

    References: Kokaram 1998 (SDIp); Nadenau and Mitra 1997 (ROD); Wechtitsch et al. 2012 (damping by motion);
    Desolneux, Moisan and Morel 2000 (what chance explains).
    """

    id = "DirtDetect"
    version = 4
    inputs = (
        Port("input", "The plate, scene-linear."),
        Port("infrared", "Infrared scan of the same frames, first channel.", optional=True),
    )
    outputs = (
        Port(
            "matte", "Channel A: confidence that a pixel is damaged. With a list of defects, found: the same before it."
        ),
    )
    Params = DirtDetectParams
    window = 2
    tileable = False
    scratch = 30.0

    def extent(self, params: DirtDetectParams, inputs: Mapping[str, Clip]) -> Clip:
        """The input's windows and frames, one channel."""
        return replace(inputs["input"], channels=matte_channels(params.defects))

    def check(self, params: DirtDetectParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips that hold no picture, an infrared scan of another size, a broken list of defects."""
        clip = inputs["input"]
        require_picture(clip)
        infrared = inputs.get("infrared")
        if infrared is not None and infrared.display != clip.display:
            raise GraphError(
                f"the infrared scan is {infrared.display} and the plate is {clip.display}",
                where="input 'infrared'",
                remedy="Bring the scan to the plate's size.",
            )
        if params.min_size > params.max_size:
            raise GraphError(
                f"min_size {params.min_size} is above max_size {params.max_size}",
                where="parameter 'min_size'",
                remedy="Exchange them.",
            )
        warnings = []
        warnings += outside(params.defects, clip)
        if len(clip.frames) == 1 and len(colour_planes(clip.channels)) < 3 and infrared is None:
            warnings.append("a single frame of one channel shows no dirt that could be told from the picture")
        return warnings

    def fingerprint(self, params: DirtDetectParams, frame: int | None, settings: Settings) -> str:
        """What the list of defects decides on the frame."""
        return decided(params.defects, frame)

    def needs(self, params: DirtDetectParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the frames around, and for the infrared scan of this one."""
        return {**super().needs(params, request), "infrared": (request,)}

    def prepare(self, params: DirtDetectParams, port: str, image: Image, device: Device) -> Frame | None:
        """Encode one frame and build its search pyramid."""
        return prepare(image, device) if port == "input" and image.region else None

    def compute(self, params: DirtDetectParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Measure, gather, judge; then what infrared shows, and what the list decides."""
        plate = inputs["input"]
        region = plate.region
        found = np.zeros((region.height, region.width), np.float32)
        metadata = dict(plate.metadata)
        if region:
            note = self._in_time(params, request, inputs, device, found)
            if note:
                metadata[NOTE] = note
                metadata[NOTES] = (*metadata.get(NOTES, ()), f"frame {request.frame}: {note}")
            if "infrared" in inputs:
                self._infrared(params, device.download(inputs["infrared"]), region, found)
            host = device.download(plate)
            found[~np.isfinite(host.data[list(colour_planes(plate.channels))]).all(0)] = 0
        matte = Image(found[None], region, ("A",), metadata)
        return device.upload(obeyed(params.defects, matte, request.frame))

    def _in_time(self, params: DirtDetectParams, request: Request, inputs: Inputs, device: Device, found: Any) -> str:
        """Lay what the frames around show into `found`; return why not, if so."""
        tones = tuple(tone for tone in ("dark", "bright", "coloured") if getattr(params, tone))
        plate = inputs["input"]
        there = {
            frame - request.frame: frame
            for frame in inputs.frames("input")
            if frame != request.frame and inputs.at("input", frame).region == plate.region  # type: ignore[union-attr]
        }
        offsets = chosen(there)
        if not tones:
            return ""
        if not offsets:
            if there and "coloured" not in tones:
                return "too few frames around to tell dirt from the picture"
            if params.coloured and len(colour_planes(plate.channels)) == 3:
                host = device.download(plate).data[list(colour_planes(plate.channels))]
                records = coding("log").encode(filled(host, np)).astype(np.float32)
                found[...] = still.coloured(
                    records,
                    sensitivity=params.sensitivity,
                    smallest=params.min_size,
                    largest=params.max_size,
                )
            return ""
        if inputs.analysis is None:
            raise RuntimeError("DirtDetect was given no analysis")
        here: Frame = inputs.prepared("input", request.frame)
        others = {offset: inputs.prepared("input", there[offset]) for offset in offsets}
        noise = Noise.from_data(inputs.analysis["noise"])
        rules = judge.Rules(params.sensitivity, params.protection, tones, params.min_size, params.max_size)
        departure: Departure = measure(here, others, noise, device, force=params.force, least=rules.low)
        if departure.lost > DESTROYED and not params.force:
            return f"{departure.lost:.0%} of the frame matches neither neighbour: left alone"
        region = plate.region
        grey = here.planes[0, BORDER : BORDER + region.height, BORDER : BORDER + region.width]
        found[...] = judge.matte(departure, rules, grey if isinstance(grey, np.ndarray) else grey.get())
        return ""

    @staticmethod
    def _infrared(params: DirtDetectParams, scan: Image, region: Any, found: Any) -> None:
        both = scan.region.intersect(region)
        if not both:
            return
        opaque = still.opaque(
            scan.crop(both).data[0],
            depth=params.infrared_depth,
            smallest=params.min_size,
            largest=params.max_size,
        )
        y, x = both.y0 - region.y0, both.x0 - region.x0
        part = found[y : y + both.height, x : x + both.width]
        np.maximum(part, opaque, out=part)

    # --- the shot's noise ------------------------------------------------------------------------------------------

    def wants_analysis(self, params: DirtDetectParams) -> bool:
        """Measure the noise wherever anything is looked for."""
        return params.dark or params.bright or params.coloured

    def analysis_requests(self, params: DirtDetectParams, clips: Mapping[str, Clip]) -> Sequence[Request]:
        """Look at up to eight frames, spread over the shot; at none where there is one frame alone."""
        clip = clips["input"]
        count = len(clip.frames)
        chosen_frames = sorted({clip.first + round(i * (count - 1) / 7) for i in range(8)}) if count > 1 else []
        return [Request(frame, clip.extent_at(frame)) for frame in chosen_frames]

    def analyse(
        self, params: DirtDetectParams, images: Iterable[tuple[int, Image]], clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Measure sigma against level, and spectrum, for each channel, in stops."""
        frames: list[int] = []

        def planes() -> Iterable[Any]:
            for number, image in images:
                frames.append(number)
                found = colour_planes(image.channels)
                yield device.download(image).data[list(found if len(found) == 3 else found[:1])]

        noise = estimate(planes(), coding("log"))
        count = 3 if len(colour_planes(clips["input"].channels)) == 3 else 1
        if noise.sigma.shape[0] != count:
            noise = Noise.white([0.0] * count)
        middle = noise.sigma[:, noise.sigma.shape[1] // 2]
        note = "sigma at the middle level: " + ", ".join(f"{value:.4g}" for value in middle) + " stops"
        return {"note": note if frames else "", "frames": frames, "noise": noise.as_data()}
