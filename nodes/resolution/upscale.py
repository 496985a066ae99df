"""Upscale: a picture at more pixels, with nothing in it that the pixels do not say; or with detail from a net."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import MOVED
from safelight.graph.region import Region
from safelight.nodes.resolution.enlarging import enlarged, reach, scaled
from safelight.nodes.resolution.learned import models
from safelight.nodes.resolution.learned.enlarge import TWICE, enlarge
from safelight.nodes.resolution.learned.models import Net
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
from safelight.nodes.resolution.resampling import resampled, seen

MOST = 8

Chosen = str | Net
"""A shipped net's name, or a net that was read from a file."""


class UpscaleParams(Params):
    """Parameters of Upscale."""

    scale: float = param(
        2.0,
        "How many pixels for one, along each axis. 2, 4 and 8 keep the light of every pixel; others are resampled from "
        "the next of them.",
        ge=1,
        le=MOST,
    )
    mode: Literal["fidelity", "detail"] = param(
        "fidelity",
        "fidelity: edges are followed, nothing is added, the mean light of the new pixels is that of the old one. "
        "detail: a trained net adds what usually stands in such a place; marked in the record, refused in forensic "
        "graphs.",
    )
    model: Literal["main", "fast"] = param("main", "Net for detail: the better one, or the quicker one.")
    reduction: Literal["bicubic", "area"] = param(
        "bicubic",
        "How the picture came to have so few pixels, for detail by a shipped net. bicubic: by a scaler's kernel, as "
        "proxies and downloads. area: each pixel is the mean light of what it covers, as a sensor, a scanner and a box "
        "filter make it; of the two the safer where nobody knows.",
    )
    weights: Path | None = param(
        None,
        "Your own weights for detail, in place of `model`: a .safetensors file, as safelight train writes it or of any "
        "architecture that spandrel knows, made for this scale (or for the next of 2, 4).",
        kind="path",
    )
    pickled: bool = param(False, PICKLED)
    precision: Precision = param("auto", PRECISION)


class Upscale(Node):
    """Enlarge a picture.

    Pixel x of the result covers x/scale to (x + 1)/scale of the picture: both begin at the edge of pixel 0, so overscan
    and negative windows grow with the rest. A window whose new edge falls inside a pixel is rounded: the display window
    to the nearest, the data window outwards. Pixel aspect, frame rate and metadata stay.

    `fidelity`: each pixel becomes 2 × 2 (again for 4 and 8), interpolated with a kernel that is turned and stretched
    along the edges that the structure tensor shows, and corrected four times by what is missing. Worked on in stops,
    sign(x) log2(1 + |x|/0.01), so edges are even to the eye and light above 1 and below 0 survives. The mean light of
    the 2 × 2 (4 × 4, 8 × 8) is that of the pixel, within 1/4096 of |light| + 0.01. No value leaves the range of the
    3 × 3 pixels around, except at a crest or trough, and there by no more than its height: edges do not ring. Other
    ratios are resampled from the next power of two by a Lanczos kernel of three lobes held to the range of its nearest
    pixels.

    `detail` adds what a net says to the picture enlarged by Lanczos, held to the 3 × 3 pixels around and half of their
    range more, and is brought back to its data by the `reduction`: reduced the same way, in coded values by the kernel
    or in light by means, the result gives the picture back.

    Alphas and mattes are enlarged each by itself, never outside the range of the 3 × 3 pixels around. Depth, ids and
    whole numbers are repeated. What is not finite (or beyond 1e34) stays, in all pixels that it becomes, and touches
    no other. The record of a pixel is that of the pixel it lies in, and moved; with `detail` it is synthesised where
    the net goes more than an eighth of a stop beyond `fidelity`.

    References: Takeda et al. 2007 (steering kernels), Irani and Peleg 1991 (back-projection), Keys 1981, Duchon 1979.
    """

    id = "Upscale"
    inputs = (Port("input", "The picture."),)
    Params = UpscaleParams
    mark = MOVED
    scratch = 6.0

    def extent(self, params: UpscaleParams, inputs: Mapping[str, Clip]) -> Clip:
        """Grow the windows."""
        return grown(inputs["input"], params.scale)

    def check(self, params: UpscaleParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse detail where its nets cannot run, and weights that do not fit."""
        if params.mode == "fidelity":
            return ()
        if params.weights is None:
            for scale in _scales(params):
                models.find(_named(params), scale)
        else:
            _net(params, len(colour_planes(inputs["input"].channels)))
        return (INT8,) if params.precision == "int8" else ()

    def fingerprint(self, params: UpscaleParams, frame: int | None, settings: Settings) -> str:
        """Return the hash of the weights."""
        if frame is not None or params.mode == "fidelity":
            return ""
        return " ".join(models.fingerprint(params.weights or _named(params), scale) for scale in _scales(params))

    def invents(self, params: UpscaleParams) -> str:
        """Detail is invented; fidelity is not."""
        return "with mode detail lays in what a net has learned" if params.mode == "detail" else ""

    def identity(self, params: UpscaleParams, request: Request) -> str | None:
        """Scale 1 hands on the picture."""
        return "input" if params.scale == 1 else None

    def needs(self, params: UpscaleParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the pixels that the region covers, and those around that decide what they become."""
        if not request.region or params.scale == 1:
            return {"input": (request,)}
        return {"input": (Request(request.frame, _seen(params, request.region)),)}

    def compute(self, params: UpscaleParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Enlarge colour, coverage and data each in its way."""
        source, region = inputs["input"], request.region

        def picture(planes: Any) -> Any:
            if params.mode == "detail":
                return _detailed(params, planes, source.region, region, device)
            return _faithful(params, planes, source.region, region, device, False)

        def coverage(planes: Any) -> Any:
            return _faithful(params, planes, source.region, region, device, True)

        return assembled(source, region, params.scale, device, picture=picture, coverage=coverage)

    def record(
        self, params: UpscaleParams, request: Request, inputs: Inputs, outputs: Mapping[str, Image], device: Device
    ) -> Any:
        """Each pixel has the record of the one it lies in, and is moved."""
        source, made = inputs["input"], outputs["image"]
        found = marked(source, made.region, params.scale, MOVED, device)
        if params.mode == "detail":
            colour = list(kinds(source)[0])
            plain = _faithful(params, source.data[colour], source.region, made.region, device, False)
            found = synthesised(found, made.data[colour], plain, device.xp)
        return found


# --- geometry --------------------------------------------------------------------------------------------------------


def _doublings(scale: float) -> int:
    """Return how often the picture is doubled before it is brought to the scale.

    >>> [_doublings(scale) for scale in (1.5, 2, 2.1, 4, 8)]
    [1, 1, 2, 2, 3]
    """
    return next(n for n in range(1, 9) if 2**n >= scale)


def _fine(params: UpscaleParams, region: Region) -> Region:
    """Return the pixels of the doubled picture that a region takes."""
    ratio = 2 ** _doublings(params.scale) / params.scale
    return region if ratio == 1 else seen(region, ratio)


def _seen(params: UpscaleParams, region: Region) -> Region:
    fine, n = _fine(params, region), _doublings(params.scale)
    wide = reach(n)
    if params.mode == "detail":
        wide = max(wide, around(_net(params), 2**n))
    return Region(fine.x0 >> n, fine.y0 >> n, -(-fine.x1 >> n), -(-fine.y1 >> n)).grow(wide)


# --- pixels ----------------------------------------------------------------------------------------------------------


def _faithful(
    params: UpscaleParams, planes: Any, source: Region, region: Region, device: Device, coverage: bool
) -> Any:
    n = _doublings(params.scale)
    return _placed(params, enlarged(planes, source, n, device, coverage=coverage), planes, source, region, device)


def _detailed(params: UpscaleParams, planes: Any, source: Region, region: Region, device: Device) -> Any:
    whole = 2 ** _doublings(params.scale)
    fine = enlarge(planes, whole, model=_net(params, len(planes)), precision=params.precision, device=device)
    return _placed(params, fine, planes, source, region, device)


def _placed(params: UpscaleParams, fine: Any, planes: Any, source: Region, region: Region, device: Device) -> Any:
    """Return the doubled planes at the scale asked for, over `region`, with what was not finite put back."""
    whole = 2 ** _doublings(params.scale)
    if whole == params.scale:
        made = cut(fine, source, whole, region)
    else:
        made = resampled(fine, scaled(source, whole), region, whole / params.scale, device)
    return handed(made, planes, source, region, params.scale, device)


def _scales(params: UpscaleParams) -> tuple[int, ...]:
    """Return the scales of the nets that a picture goes through."""
    whole = 2 ** _doublings(params.scale)
    return (4, 2) if whole == TWICE and params.weights is None else (whole,)


def _named(params: UpscaleParams) -> str:
    """Return the name of the shipped net that is asked for."""
    return models.AREA[params.model] if params.reduction == "area" else params.model


def _net(params: UpscaleParams, channels: int = 3) -> Chosen:
    if params.weights is None:
        return _named(params)
    return models.find(params.weights, 2 ** _doublings(params.scale), channels=channels, pickled=params.pickled)
