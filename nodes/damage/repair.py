"""Repair: damaged places filled from the frames around, else from their surroundings, with grain that matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import NOTES, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import CHANNEL, codes
from safelight.graph.region import Region
from safelight.nodes.damage import donors, fresh
from safelight.nodes.damage.blending import blended, unfilled
from safelight.nodes.damage.confirming import confirmed
from safelight.nodes.damage.donors import Frame
from safelight.nodes.damage.fresh import Laid
from safelight.nodes.damage.from_frames import Other, from_frames
from safelight.nodes.damage.holes import Bools, holed, listed
from safelight.nodes.damage.marks import HALF, Marks, plane_over
from safelight.nodes.damage.surroundings import from_surroundings
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.noise import Noise, estimate
from safelight.nodes.resolution.learned import filling
from safelight.nodes.resolution.learned.storing import digest

Floats = npt.NDArray[np.float32]


class RepairParams(Params):
    """Parameters of Repair."""

    threshold: float = param(0.5, "Pixels whose matte is at least this are repaired.", gt=0, le=1)
    radius: int = param(2, "Frames before and after that may give pixels.", unit="frames", ge=0, le=4)
    grow: int = param(
        1, "Pixels by which damage is thought to be larger than the matte: its soft edge.", unit="pixels", ge=0, le=16
    )
    feather: int = param(
        2,
        "Width of the band beyond `grow` in which the repair is blended into the plate, in density; at most a fourth "
        "of what the damage is across. Further out the plate keeps its bits.",
        unit="pixels",
        ge=0,
        le=32,
    )
    grain: float = param(
        1.0, "Strength of the grain laid into what has none of its own; 1 matches the plate's.", ge=0, le=4
    )
    verify: bool = param(
        True,
        "Keep what the frames around confirm: a blob that they show alike, as far as grain lets anyone tell, was not "
        "damaged and keeps its bits, and so do the pixels of `grow` and `feather` around one that was, where they "
        "agree. Where the matte is exactly 1 (drawn or kept by a person) or `include` asks, what is marked is repaired "
        "whatever the frames show.",
    )
    force: bool = param(
        False, "Repair also frames of which more than half is damaged. Otherwise they are left as they are, and named."
    )
    seed: int = param(1, "Another number lays other grain.", ge=0, le=2**32 - 1)
    last_resort: Literal["structure", "net"] = param(
        "structure",
        "How a hole is filled that no frame around shows. structure: its surroundings run on into it. net: a trained "
        "net adds to that what usually stands in such a place; marked synthesised, refused in forensic graphs.",
    )
    weights: Path | None = param(
        None,
        "Your own weights for last_resort = net: a .safetensors file as safelight train --net fill writes it.",
        kind="path",
    )


class Repair(Node):
    """Repair what a matte calls damaged; everything else keeps its bits.

    Damaged places are filled from up to `radius` frames before and after, moved along the motion. Vectors are found
    with the damage of both frames masked, and tested on the undamaged pixels around each place; no pixel is taken that
    is damaged where it comes from. Of several frames that fit, the one is taken whose picture the others confirm, with
    its own grain; where the picture stands still, so that this grain would too, the mean of them with fresh grain for
    what averaging took away. Where no frame fits (scratches that stay, ends of a shot) the place is filled from both
    sides along the direction in which they agree, and grain of the plate's strength and spectrum laid in; with
    `last_resort` net, a trained net works that fill over before the grain.

    A pixel is repaired where its matte is at least `threshold` or `include` at least 0.5, grown by `grow` pixels;
    around it lies a band of up to `feather` pixels in which the repair fades out, in stops above a toe of 0.01. No
    other pixel changes, nor any whose `holdout` is above 0, nor, with `verify`, what the frames around confirm as it
    is. The mattes of the frames around must be there too: they tell which of their pixels can be given.

    A matte that obeys a list of defects has a channel `found`: what it was before. Frames are compared by that, so
    that a list changes its own places alone. A rejected place keeps its bits, and every other one is repaired as it was
    before; an added one is repaired by itself, and other frames take nothing from it. Places whose repairs touch are
    one place.

    Output `provenance` holds the codes of `safelight.graph.provenance`: 0 kept, from frame t±k (with the marks graded
    where its brightness was fitted, filtered where several were averaged), filled from its surroundings, synthesised by
    a net; each with the mark for grain where that was laid in. A forensic graph lays in no grain and fills nothing from
    surroundings: such holes stay as they were, and each frame names them in its notes; it refuses the net. Channels
    other than R, G, B or Y are kept.

    References: Kokaram 1998 (missing data in film, from motion-compensated neighbours); Zeng and Liu 1999
    (directional interpolation).
    """

    id = "Repair"
    version = 3
    inputs = (
        Port("source", "The damaged plate."),
        Port("matte", "Where it is damaged, first channel, 0 to 1; nowhere outside its data window."),
        Port("holdout", "What is never touched: wherever it is above 0.", optional=True),
        Port("include", "What is repaired whatever the matte says: where it is at least 0.5.", optional=True),
    )
    outputs = (
        Port("image", "The repaired plate."),
        Port("provenance", "Where each pixel came from: whole numbers, see the table of codes."),
    )
    Params = RepairParams
    tileable = False
    devices = ("cpu",)
    scratch = 8.0

    def extent(self, params: RepairParams, inputs: Mapping[str, Clip]) -> Mapping[str, Clip]:
        """The source's, and a record of the same windows."""
        clip = inputs["source"]
        return {"image": clip, "provenance": replace(clip, channels=(CHANNEL,))}

    def check(self, params: RepairParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse a source without a picture, and mattes of another size or with frames missing."""
        clip = inputs["source"]
        if not colour_planes(clip.channels):
            raise GraphError(
                f"there is no R, G, B or Y among the channels {', '.join(clip.channels)}",
                where="input 'source'",
                remedy="Feed a picture.",
            )
        for port in ("matte", "holdout", "include"):
            other = inputs.get(port)
            if other is None:
                continue
            if other.display != clip.display:
                raise GraphError(
                    f"the {port} is {other.display} and the plate is {clip.display}",
                    where=f"input '{port}'",
                    remedy="Bring it to the plate's size.",
                )
            if other.first > clip.first or other.last < clip.last:
                raise GraphError(
                    f"the {port} has frames {other.first}-{other.last} and the plate {clip.first}-{clip.last}",
                    where=f"input '{port}'",
                    remedy="Give it every frame of the plate: one that is missing cannot be told from one without "
                    "damage.",
                )
        if params.last_resort == "net":
            filling.find(params.weights)
        elif params.weights is not None:
            return ("weights are given and not used: they are for last_resort = net",)
        return ()

    def fingerprint(self, params: RepairParams, frame: int | None, settings: Settings) -> str:
        """Return the hash of the weights."""
        if frame is not None or params.last_resort != "net":
            return ""
        return digest(params.weights or filling.shipped())

    def invents(self, params: RepairParams) -> str:
        """What a net lays in is invented; a fill from the surroundings is left out of forensic graphs by itself."""
        return "with last_resort net lays in what a net has learned" if params.last_resort == "net" else ""

    def reach(self, params: RepairParams) -> tuple[int, int]:
        """Ask for `radius` frames before and after."""
        return params.radius, 0

    def prepare(self, params: RepairParams, port: str, image: Image, device: Device) -> Frame:
        """Encode one frame of the source."""
        planes = colour_planes(image.channels)
        # One view where the planes lie in order, as they nearly always do.
        ordered = planes == tuple(range(planes[0], planes[0] + len(planes)))
        light = image.data[planes[0] : planes[0] + len(planes)] if ordered else image.data[list(planes)]
        return donors.encoded(light, image.region, device)

    def compute(self, params: RepairParams, request: Request, inputs: Inputs, device: Device) -> Mapping[str, Image]:
        """Find the holes, ask the frames around, fill what is left, blend."""
        source = inputs["source"]
        region, frame = source.region, request.frame
        record = np.zeros((1, region.height, region.width), np.uint32)
        marks = self._marks(params, inputs, frame, source)
        holdout = _plane(inputs, "holdout", frame, region)
        hole = holed(marks.edited, params.grow, holdout)
        # What the matte says of the frame would be lost where it is not written itself.
        matte = inputs.at("matte", frame)
        notes = [] if matte is None else list(matte.metadata.get(NOTES, ()))
        if not hole.any():
            return _outputs(source, source.data, record, notes)
        share = np.count_nonzero(hole) / hole.size
        if share > HALF and not params.force:
            notes.append(
                f"frame {frame}: {share:.0%} of it is damaged, so it was left as it is (force = true repairs it)"
            )
            return _outputs(source, source.data, record, notes)
        others = self._others(params, inputs, request, source)
        whole, image, forensic = inputs.prepared("source", frame), source, inputs.settings.forensic
        laid = Laid(self._noise(inputs), frame, params.seed, params.grain)
        for layer in marks.layers():
            # Whatever is rejected in the end is repaired with the rest, so that the rest is as if it had not been.
            holes = listed(layer.marked, params.grow, params.feather, holdout)
            known = hole if layer.known is marks.edited else holed(layer.known, params.grow, holdout)
            here = donors.guessed(donors.without(whole, known))
            made = from_frames(here, others, holes, laid, device, force=params.force, average=not forensic)
            kept = np.zeros(len(holes.y), bool)
            if params.verify:
                own, own_low, _ = donors.sampled(whole, holes.y.astype(np.float64), holes.x.astype(np.float64), device)
                certain = self._certain(inputs, frame, source)[holes.y, holes.x]
                kept = confirmed(holes, own, own_low, made, fresh.sigma_at(laid.noise, made.low), certain)
                made.code[kept] = 0
            lost = holes.inside & (made.code == 0) & ~kept
            if lost.any() and not forensic:
                net = filling.find(params.weights) if params.last_resort == "net" else None
                from_surroundings(here, holes, lost, made, laid, net, device)
            if layer.shown is not layer.marked:
                holes = holes.less(listed(layer.shown, params.grow, params.feather, holdout))
            if forensic and (lost & holes.inside).any():
                notes.append(unfilled(frame, holes, lost & holes.inside, source))
            image = image.with_data(blended(image, here, holes, made, device))
            done = made.code != 0
            record[0, holes.y[done], holes.x[done]] = made.code[done]
        return _outputs(source, image.data, record, notes)

    def record(
        self, params: RepairParams, request: Request, inputs: Inputs, outputs: Mapping[str, Image], device: Device
    ) -> Any:
        """The output `provenance`; where it says kept, the source's own record."""
        own = codes(inputs["source"].crop(request.region))
        made = codes(outputs["provenance"])
        return np.where(made == 0, own, made)

    # --- where -----------------------------------------------------------------------------------------------------

    def _marks(self, params: RepairParams, inputs: Inputs, frame: int, plate: Image) -> Marks:
        return Marks.of(inputs.at("matte", frame), inputs.at("include", frame), plate, params.threshold)

    def _others(self, params: RepairParams, inputs: Inputs, request: Request, source: Image) -> list[Other]:
        """Return the frames around that can give anything, the nearest first."""
        found = []
        for number in sorted(inputs.frames("source"), key=lambda n: (abs(n - request.frame), n)):
            plate = inputs.at("source", number)
            if number == request.frame or plate is None or plate.region != source.region:
                continue
            marks = self._marks(params, inputs, number, plate)
            holdout = _plane(inputs, "holdout", number, plate.region)
            holes = [holed(marks.found, params.grow, holdout)]
            if marks.edited is not marks.found:
                holes.append(holed(marks.edited | marks.found, params.grow, holdout))
            if np.count_nonzero(holes[-1]) <= HALF * holes[-1].size:
                frame = inputs.prepared("source", number)
                compared, giving = (donors.without(frame, hole) for hole in (holes[0], holes[-1]))
                found.append(Other(number - request.frame, compared, giving))
        return found

    @staticmethod
    def _certain(inputs: Inputs, frame: int, plate: Image) -> Bools:
        """Return what is damaged whatever the frames around show."""
        found = np.zeros((plate.region.height, plate.region.width), bool)
        with np.errstate(invalid="ignore"):
            for port, least in (("matte", 1), ("include", 0.5)):
                plane = _plane(inputs, port, frame, plate.region)
                if plane is not None:
                    found |= plane >= least
        return found

    # --- the shot's noise ------------------------------------------------------------------------------------------

    def _noise(self, inputs: Inputs) -> Noise:
        if inputs.analysis is None:
            raise RuntimeError("Repair was given no analysis")
        return Noise.from_data(inputs.analysis["noise"])

    def wants_analysis(self, params: RepairParams) -> bool:
        """Measure the grain: donors are judged by it, and fresh grain is laid in like it."""
        return True

    def analysis_requests(self, params: RepairParams, clips: Mapping[str, Clip]) -> Sequence[Request]:
        """Look at up to eight frames, spread over the shot."""
        clip = clips["source"]
        count = len(clip.frames)
        chosen = sorted({clip.first + round(i * (count - 1) / 7) for i in range(8)}) if count else []
        return [Request(frame, clip.extent_at(frame)) for frame in chosen]

    def analyse(
        self, params: RepairParams, images: Iterable[tuple[int, Image]], clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Measure sigma against level, and spectrum, for each channel, in stops above the toe."""
        planes = (device.download(image).data[list(colour_planes(image.channels))] for _, image in images)
        noise = estimate(planes, coding("log"))
        count = len(colour_planes(clips["source"].channels))
        if len(noise.sigma) != count:
            noise = Noise.white([0.0] * count)
        middle = noise.sigma[:, noise.sigma.shape[1] // 2]
        note = (
            "no grain found: none will be laid in"
            if noise.silent
            else f"grain at the middle level: {', '.join(f'{value:.4g}' for value in middle)} stops"
        )
        return {"note": note, "noise": noise.as_data()}


def _plane(inputs: Inputs, port: str, frame: int, region: Region) -> Any:
    """Return a matte's first channel over a region, (H, W); None where there is no matte."""
    image = inputs.at(port, frame)
    return None if image is None else plane_over(image, region)


def _outputs(source: Image, data: Any, record: npt.NDArray[np.uint32], notes: Sequence[str]) -> Mapping[str, Image]:
    """Return both outputs, with the frame's notes, each once."""
    every = tuple(dict.fromkeys((*source.metadata.get(NOTES, ()), *notes)))
    metadata = {**source.metadata, NOTES: every} if every else source.metadata
    image = replace(source, data=data, metadata=metadata)
    return {"image": image, "provenance": Image(record.view(np.float32), source.region, (CHANNEL,), metadata)}
