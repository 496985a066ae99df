"""Restore: grain and a codec's blocks taken off and the picture enlarged, in one pass of one net trained for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import FILTERED, MOVED
from safelight.graph.region import Region
from safelight.nodes.resolution.enlarging import enlarged, reach
from safelight.nodes.resolution.learned import models
from safelight.nodes.resolution.learned.enlarge import enlarge
from safelight.nodes.resolution.learned.models import RESTORE, Net, SameSize
from safelight.nodes.resolution.placing import (
    INT8,
    PICKLED,
    PRECISION,
    Precision,
    around,
    assembled,
    cut,
    grown,
    handed,
    kinds,
    marked,
    synthesised,
)


class RestoreParams(Params):
    """Parameters of Restore."""

    scale: int = param(
        2,
        "How many pixels for one, along each axis. At 1 the picture keeps its size: each pixel is the mean light of "
        "the four that it would become.",
        ge=1,
        le=2,
    )
    strength: float = param(
        1.0,
        "How much of what the net says is taken: 0 is the picture merely enlarged (Lanczos, three lobes), with its "
        "grain and its blocks; between, a mix even to the eye.",
        ge=0,
        le=1,
    )
    weights: Path | None = param(
        None,
        "Your own weights: a .safetensors file as safelight train --net restore writes it, or of any architecture "
        "that spandrel knows, made to repair and to enlarge twice.",
        kind="path",
    )
    pickled: bool = param(False, PICKLED)
    precision: Precision = param("auto", PRECISION)


class Restore(Node):
    """Take grain and a codec's blocks off a picture and enlarge it twice, in one pass.

    One net sees R, G and B at once, coded as a display's curve goes on without an end (light above 1 and below 0
    survives), and says what comes onto the picture enlarged by Lanczos. It was trained on photographs made softer,
    smaller, grainy and compressed, to give the photograph back; how much of each there is it sees for itself. Nothing
    holds the result to the pixels it is made from, as Upscale's is held: they are what is wrong with it. What the net
    takes for grain it takes off, be it sand; what it lays in is what usually stands in such a place.

    Each frame is worked on by itself. Degrain has the frames around it too, and invents nothing: Restore is for
    pictures that stand alone, and for what Degrain leaves. Light is scene-linear with 1 as diffuse white.

    Windows, alphas, mattes and data go as in Upscale with scale 2; at scale 1 they stay, bit for bit. What is not
    finite stays, in all pixels that it becomes, and touches no other. The record of a pixel is that of the pixel it
    lies in, moved (at scale 2) and filtered; where the net goes more than an eighth of a stop from the picture merely
    enlarged, it is synthesised. In grainy pictures that is most of them.

    References: Zhang et al. 2017 (residual learning of noise), Shi et al. 2016 (sub-pixel convolution).
    """

    id = "Restore"
    inputs = (Port("input", "The picture."),)
    Params = RestoreParams
    mark = FILTERED
    scratch = 8.0

    def extent(self, params: RestoreParams, inputs: Mapping[str, Clip]) -> Clip:
        """Grow the windows."""
        return grown(inputs["input"], params.scale)

    def check(self, params: RestoreParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse what no net can run on, and weights that do not fit."""
        count = len(colour_planes(inputs["input"].channels))
        if count == 2:
            raise GraphError("a picture of two colour channels", remedy="Give R, G and B, or one channel.")
        net = _net(params)
        if net.consistent:
            raise GraphError(
                "the weights enlarge and do not repair",
                file=params.weights,
                remedy="Use Upscale with mode detail for them, or weights from safelight train --net restore.",
            )
        if net.planes == 1 and count == 3:
            yield "the weights are for luma: grain and blocks stay in the colour differences"
        if params.precision == "int8":
            yield INT8

    def fingerprint(self, params: RestoreParams, frame: int | None, settings: Settings) -> str:
        """Return the hash of the weights."""
        return models.fingerprint(params.weights or RESTORE, 2) if frame is None else ""

    def invents(self, params: RestoreParams) -> str:
        """All that it does a net has learned."""
        return "lays in what a net has learned" if params.strength else ""

    def identity(self, params: RestoreParams, request: Request) -> str | None:
        """Nothing taken at the same size is the picture."""
        return "input" if params.scale == 1 and params.strength == 0 else None

    def needs(self, params: RestoreParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the pixels that the region covers, and those around that decide what they become."""
        region, scale = request.region, params.scale
        if not region:
            return {"input": (request,)}
        covered = Region(region.x0 // scale, region.y0 // scale, -(-region.x1 // scale), -(-region.y1 // scale))
        wide = max(reach(1), around(_sized(params), scale))
        return {"input": (Request(request.frame, covered.grow(wide)),)}

    def compute(self, params: RestoreParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Restore colour; coverage and data each go their way."""
        source, region = inputs["input"], request.region

        def coverage(planes: Any) -> Any:
            if params.scale == 1:
                return cut(planes, source.region, 1, region)
            fine = enlarged(planes, source.region, 1, device, coverage=True)
            return handed(cut(fine, source.region, 2, region), planes, source.region, region, 2, device)

        def picture(planes: Any) -> Any:
            return _restored(params, planes, source.region, region, device)

        return assembled(source, region, params.scale, device, picture=picture, coverage=coverage)

    def record(
        self, params: RestoreParams, request: Request, inputs: Inputs, outputs: Mapping[str, Image], device: Device
    ) -> Any:
        """Each pixel has the record of the one it lies in, filtered, and synthesised where the net says much."""
        source, made = inputs["input"], outputs["image"]
        found = marked(source, made.region, params.scale, FILTERED | (MOVED if params.scale > 1 else 0), device)
        colour = list(kinds(source)[0])
        if not colour:
            return found
        bare = params.model_copy(update={"strength": 0.0})
        plain = _restored(bare, source.data[colour], source.region, made.region, device)
        return synthesised(found, made.data[colour], plain, device.xp)


def _restored(params: RestoreParams, planes: Any, source: Region, region: Region, device: Device) -> Any:
    net = _sized(params)
    # A picture of one channel goes through a net for colour as a grey one.
    seen = planes.repeat(net.planes, 0) if len(planes) == 1 else planes
    fine = enlarge(
        seen, params.scale, model=net, precision=params.precision, strength=params.strength, device=device
    )  # fmt: skip
    if len(planes) == 1:
        fine = fine.mean(axis=0, keepdims=True)
    return handed(cut(fine, source, params.scale, region), planes, source, region, params.scale, device)


def _net(params: RestoreParams) -> Net:
    return models.find(params.weights or RESTORE, 2, pickled=params.pickled)


def _sized(params: RestoreParams) -> Net:
    return SameSize(_net(params)) if params.scale == 1 else _net(params)
