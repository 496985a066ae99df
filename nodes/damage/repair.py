"""Repair: damaged places filled from the frames around, else from their surroundings, with grain that matches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
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
from safelight.graph.provenance import CHANNEL, FILTERED, GRAINED, codes
from safelight.graph.region import Region
from safelight.nodes.damage import choosing, donors, fresh
from safelight.nodes.damage.blending import blended, unfilled
from safelight.nodes.damage.choosing import Around, Given, Made
from safelight.nodes.damage.confirming import confirmed
from safelight.nodes.damage.donors import Frame
from safelight.nodes.damage.holes import Bools, Holes, damaged, holed, in_cells, listed, subset
from safelight.nodes.damage.surroundings import Laid, from_surroundings
from safelight.nodes.grain.domain import coding
from safelight.nodes.grain.noise import Noise, estimate
from safelight.nodes.grain.taking import coverage
from safelight.nodes.resolution.learned import filling
from safelight.nodes.resolution.learned.storing import digest

STILL = 0.3
"""Pixels of motion below which grain taken over would stand still."""

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

    Output `provenance` holds the codes of `safelight.graph.provenance`: 0 kept, from frame t±k (with the marks graded
    where its brightness was fitted, filtered where several were averaged), filled from its surroundings, synthesised by
    a net; each with the mark for grain where that was laid in. A forensic graph lays in no grain and fills nothing from
    surroundings: such holes stay as they were, and each frame names them in its notes; it refuses the net. Channels
    other than R, G, B or Y are kept.

    References: Kokaram 1998 (missing data in film, from motion-compensated neighbours); Zeng and Liu 1999
    (directional interpolation).
    """

    id = "Repair"
    version = 2
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
        marked = self._marked(params, inputs, frame, source)
        holdout = _plane(inputs, "holdout", frame, region)
        hole = holed(marked, params.grow, holdout)
        # What the matte says of the frame would be lost where it is not written itself.
        matte = inputs.at("matte", frame)
        told = () if matte is None else tuple(matte.metadata.get(NOTES, ()))
        if not hole.any():
            return _outputs(source, source.data, record, told)
        share = np.count_nonzero(hole) / hole.size
        if share > 0.5 and not params.force:
            note = f"frame {frame}: {share:.0%} of it is damaged, so it was left as it is (force = true repairs it)"
            return _outputs(source, source.data, record, (*told, note))
        holes = listed(marked, params.grow, params.feather, holdout)
        whole = inputs.prepared("source", frame)
        here = donors.guessed(donors.without(whole, hole))
        noise = self._noise(inputs)
        made = self._from_frames(params, inputs, request, source, here, holes, noise, device)
        own, own_low, _ = donors.sampled(whole, holes.y.astype(np.float64), holes.x.astype(np.float64), device)
        kept = np.zeros(len(holes.y), bool)
        if params.verify:
            certain = self._certain(inputs, frame, source)[holes.y, holes.x]
            kept = confirmed(holes, own, own_low, made, fresh.sigma_at(noise, made.low), certain)
            made.code[kept] = 0
        forensic = inputs.settings.forensic
        notes: list[str] = []
        lost = holes.inside & (made.code == 0) & ~kept
        if forensic and lost.any():
            notes.append(unfilled(frame, holes, lost, source))
        elif lost.any():
            net = filling.find(params.weights) if params.last_resort == "net" else None
            laid = Laid(noise, frame, params.seed, params.grain)
            from_surroundings(here, holes, lost, made, laid, net, device)
        data = blended(source, here, holes, made, device)
        done = made.code != 0
        record[0, holes.y[done], holes.x[done]] = made.code[done]
        return _outputs(source, data, record, (*told, *notes))

    def record(
        self, params: RepairParams, request: Request, inputs: Inputs, outputs: Mapping[str, Image], device: Device
    ) -> Any:
        """The output `provenance`; where it says kept, the source's own record."""
        own = codes(inputs["source"].crop(request.region))
        made = codes(outputs["provenance"])
        return np.where(made == 0, own, made)

    # --- where -----------------------------------------------------------------------------------------------------

    def _marked(self, params: RepairParams, inputs: Inputs, frame: int, plate: Image) -> Bools:
        """Return what is marked as damaged in one frame, over its data window."""
        matte = _plane(inputs, "matte", frame, plate.region)
        if matte is None:
            matte = np.zeros((plate.region.height, plate.region.width), np.float32)
        return damaged(matte, params.threshold, _plane(inputs, "include", frame, plate.region))

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

    # --- from the frames around ------------------------------------------------------------------------------------

    def _from_frames(
        self,
        params: RepairParams,
        inputs: Inputs,
        request: Request,
        source: Image,
        here: Frame,
        holes: Holes,
        noise: Noise,
        device: Device,
    ) -> Made:
        """Fill what the frames around can give."""
        channels, count = len(here.planes), len(holes.y)
        made = Made(
            np.zeros((channels, count), np.float32),
            np.zeros((channels, count), np.float32),
            np.zeros(count, np.uint32),
        )
        sigma = fresh.sigma_around(noise, here, holes)
        loudest = float(np.median(noise.sigma)) / channels**0.5
        asked: list[tuple[int, Frame, Bools]] = []
        for number in sorted(inputs.frames("source"), key=lambda n: (abs(n - request.frame), n)):
            plate = inputs.at("source", number)
            if number == request.frame or plate is None or plate.region != source.region:
                continue
            hole = holed(
                self._marked(params, inputs, number, plate),
                params.grow,
                _plane(inputs, "holdout", number, plate.region),
            )
            if 2 * np.count_nonzero(hole) <= hole.size:
                asked.append((number - request.frame, inputs.prepared("source", number), hole))
        if not asked:
            return made
        mine = donors.searchable(here, device)
        total = donors.counted(here.good)
        windows = donors.windows(total, holes.boxes)

        def look(offset: int, frame: Frame, hole: Bools) -> tuple[Around, Given]:
            there = donors.without(frame, hole)
            field = donors.blocks(mine, donors.searchable(there, device), here.step, loudest, device)
            one = Around(offset, there, field)
            return one, choosing.asked(here, one, holes, sigma, params.force, windows, device)

        # Each frame answers for itself: the order of the answers is that of the questions, whoever is first.
        with ThreadPoolExecutor(max(1, min(device.threads, len(asked)))) as pool:
            around, given = zip(*pool.map(look, *zip(*asked, strict=True)), strict=True)
        choosing.choose(holes, given, sigma, made)
        torn = in_cells(holes, choosing.torn(given, sigma[holes.piece]))
        if torn.any():
            part = subset(holes, torn)
            near = fresh.sigma_around(noise, here, part)
            windows = donors.windows(total, part.boxes, donors.FINE)
            finer = [choosing.asked(here, one, part, near, params.force, windows, device, alike=True) for one in around]
            again = Made(made.value[:, torn], made.low[:, torn], made.code[torn])
            choosing.choose(part, finer, near, again)
            made.value[:, torn], made.low[:, torn], made.code[torn] = again.value, again.low, again.code
        self._static(params, inputs, request.frame, holes, given, sigma, noise, made, ~torn)
        return made

    def _static(
        self,
        params: RepairParams,
        inputs: Inputs,
        frame: int,
        holes: Holes,
        given: Sequence[Given],
        sigma: npt.NDArray[np.float64],
        noise: Noise,
        made: Made,
        sure: Bools,
    ) -> None:
        """Where the picture stands still, average what agrees and lay in the grain that this takes away."""
        if inputs.settings.forensic or noise.silent:
            return
        limit = (2 * sigma[holes.piece] + choosing.FITS_AT_ALL).astype(np.float32)
        agree = [
            one.good
            & (np.abs(one.offer.vectors).max(1) < STILL)[holes.piece]
            & (np.abs(one.low - made.low).max(0) < limit)
            for one in given
        ]
        number = np.sum(agree, axis=0)
        chosen = sure & (made.code != 0) & (number >= 2)
        if not chosen.any():
            return
        n = number[chosen].astype(np.float32)
        for mean, parts in ((made.value, [one.value for one in given]), (made.low, [one.low for one in given])):
            total = np.zeros((len(mean), len(n)), np.float32)
            for use, part in zip(agree, parts, strict=True):
                total += np.where(use[chosen], part[:, chosen], np.float32(0))
            mean[:, chosen] = total / n
        field = fresh.field(noise, frame, params.seed)
        values = made.low[:, chosen]
        laid = fresh.grain(noise, field, values, holes.y[chosen], holes.x[chosen])
        made.value[:, chosen] += np.float32(params.grain) * np.sqrt(1 - 1 / n) * laid
        made.code[chosen] |= FILTERED | (GRAINED if params.grain > 0 else 0)

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
    return None if image is None else coverage(image, region, Device("cpu", 1))[0]


def _outputs(source: Image, data: Any, record: npt.NDArray[np.uint32], notes: Sequence[str]) -> Mapping[str, Image]:
    """Return both outputs, with the frame's notes, each once."""
    every = tuple(dict.fromkeys((*source.metadata.get(NOTES, ()), *notes)))
    metadata = {**source.metadata, NOTES: every} if every else source.metadata
    image = replace(source, data=data, metadata=metadata)
    return {"image": image, "provenance": Image(record.view(np.float32), source.region, (CHANNEL,), metadata)}
