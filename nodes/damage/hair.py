"""HairDetect: hairs, lint and dirt in the gate, found by what stands still in the frame while the scene moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.image import NOTES, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.nodes.damage import ridges, uprights
from safelight.nodes.damage.blobs import EIGHT
from safelight.nodes.damage.defects import decided, outside
from safelight.nodes.damage.obeying import matte_channels, obeyed
from safelight.nodes.damage.ridges import Floats
from safelight.nodes.damage.standing import SEARCH_SCALE, Standing, high_pass, standing, vectors
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.motion.blocks import WINDOW, Pyramid, pyramid

Mask = npt.NDArray[np.bool_]

SMALLEST = 8
"""Pixels of the smallest shape."""
PROVEN, GONE = 0.4, 0.25
"""Share of a shape that must be proven, and that may go with the scene."""
OUTLINE = 1
"""Pixels from the standing shape to the outline in the frame: a hair's free end trembles."""
SOFT, EDGE = 0.15, 0.4
"""Stops from which a pixel is of the shape, or twice the noise, or this share of the shape's strength."""


class HairDetectParams(Params):
    """Parameters of HairDetect."""

    tone: Literal["all", "dark", "bright"] = param(
        "dark", "Which shapes are sought: dark is what blocks light in a camera's or a printer's gate."
    )
    sensitivity: float = param(1.0, "Above 1 fainter shapes count, below 1 only stronger ones.", ge=0.1, le=4)
    radius: int = param(
        4,
        "Frames before and after that a shape must stand in. More tell more where the scene moves slowly.",
        unit="frames",
        ge=1,
        le=12,
    )
    margin: float = param(
        3.0,
        "A shape reaches to within this share of the picture's height of an edge; 100 for anywhere (dirt on a sensor).",
        unit="%",
        ge=0.1,
        le=100,
    )
    width: int = param(8, "The widest shape that is sought.", unit="pixels", ge=2, le=60)
    defects: Path | None = param(
        None,
        "List of defects (JSON): what is rejected there is left out, what is kept or added is damage.",
        kind="path",
    )
    grow: int = param(0, "Pixels that the matte is made wider on each side.", unit="pixels", ge=0, le=8)


@dataclass(frozen=True)
class Prepared:
    """One frame: luma in stops, the same without what is wide, what is finite, the search pyramid."""

    luma: Floats
    fine: Floats
    good: Mask
    noise: float
    pyramid: Pyramid

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return int(self.luma.nbytes + self.fine.nbytes + self.good.nbytes + self.pyramid.nbytes)


class HairDetect(Node):
    """Find hairs, lint and dirt in the gate: thin shapes at the frame's edge that stand still while the scene moves.

    Output `matte` has one channel, A: 0 where there is nothing, else the confidence, above 0.5 and up to 1, that the
    pixel is covered.

    In each frame what is narrower than `width` is taken from its surroundings, in stops of luma. What is at one place
    of the frame, give or take a pixel, in three quarters of the frames looked at, and reaches to the margin, is a
    candidate. Block motion around it tells how far the scene went in each of the frames. A pixel of a candidate is
    proven where the scene went across it, what is around it is found where the scene went, and the candidate is found
    in its place instead; a kerb that slides along itself never is. Shapes proven for 40 % of their pixels are marked,
    in the outline that they have in the frame. Where the scene does not move nothing can be told: nothing is marked,
    and the metadata (`safelight:notes`) says so; a larger `radius` helps where it moves slowly. Frames beyond a cut are
    never looked at. Pixels that are not finite are never in the matte.

    References: Serra 1982 (top-hat transform); Bigün and Granlund 1987 (structure tensor); Newson et al. 2013 (the
    scene's motion tells defects that stay from the scene).
    """

    id = "HairDetect"
    version = 2
    inputs = (Port("input", "The plate."),)
    outputs = (
        Port(
            "matte",
            "Channel A: confidence that something in the gate covers a pixel, 0 where nothing does."
            " With a list of defects, found: the same before it.",
        ),
    )
    Params = HairDetectParams
    tileable = False
    devices = ("cpu",)
    scratch = 60.0

    def extent(self, params: HairDetectParams, inputs: Mapping[str, Clip]) -> Clip:
        """A matte of the input's windows."""
        return replace(inputs["input"], channels=matte_channels(params.defects))

    def check(self, params: HairDetectParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips that hold no picture, and a broken list of defects."""
        clip = inputs["input"]
        require_picture(clip)
        warnings = []
        if len(clip.frames) < 5:
            warnings.append("fewer than five frames: little tells what is in the gate from the scene")
        return warnings + outside(params.defects, clip)

    def fingerprint(self, params: HairDetectParams, frame: int | None, settings: Settings) -> str:
        """What the list of defects decides on the frame."""
        return decided(params.defects, frame)

    def reach(self, params: HairDetectParams) -> tuple[int, int]:
        """Ask for `radius` frames before and after."""
        return params.radius, 0

    def prepare(self, params: HairDetectParams, port: str, image: Image, device: Device) -> Prepared | None:
        """Take the logarithm of one frame, what is thin in it, and its search pyramid."""
        if min(image.region.height, image.region.width) < 2 * WINDOW:
            return None
        planes, good = ridges.stops(image.data[list(colour_planes(image.channels))])
        luma = np.tensordot(uprights.MIX[0], planes, 1) if len(planes) == 3 else planes[0]
        luma = np.ascontiguousarray(luma, np.float32)
        whole = np.rint(np.clip(luma * np.float32(SEARCH_SCALE), -8191, 8191))[None]
        built = pyramid(np.ascontiguousarray(whole), device, reach=24 * params.radius)
        # The quieter half: texture is no grain.
        noise = max(float(np.percentile(ridges.noise(luma), 30)), ridges.FLOOR)
        return Prepared(luma, high_pass(luma, params.width), good, noise, built)

    def compute(self, params: HairDetectParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Find what stands, keep what is proven, draw its outline."""
        plate = inputs["input"]
        region = plate.region
        matte, untold = np.zeros((region.height, region.width), np.float32), 0
        others = []
        for frame in inputs.frames("input"):
            image = inputs.at("input", frame)
            if 0 < abs(frame - request.frame) <= params.radius and image is not None and image.region == region:
                others.append(frame)
        if min(matte.shape, default=0) >= 2 * WINDOW and len(others) >= 2:
            centre: Prepared = inputs.prepared("input", request.frame)
            around: list[Prepared] = [inputs.prepared("input", frame) for frame in others]
            motions = [vectors(centre.pyramid, one.pyramid, centre.noise, device) for one in around]
            for tone, sign in (("dark", np.float32(-1)), ("bright", np.float32(1))):
                if params.tone in ("all", tone):
                    own = sign * centre.fine
                    found = standing(
                        own,
                        [sign * one.fine for one in around],
                        centre.luma,
                        motions,
                        centre.noise,
                        params.width,
                        params.sensitivity,
                    )
                    untold += mark(matte, params, own, centre.noise, found)
            matte[~centre.good] = 0
        metadata = dict(plate.metadata)
        if untold:
            told = f"frame {request.frame}: {untold} thin shapes at the edge left alone: the scene does not move there"
            metadata[NOTES] = (*metadata.get(NOTES, ()), told)
        out = Image(matte[None], region, ("A",), metadata)
        return obeyed(params.defects, out, request.frame).crop(request.region)


def mark(matte: Floats, params: HairDetectParams, own: Floats, noise: float, found: Standing) -> int:
    """Lay the shapes that are proven into a matte; return how many could not be told from the scene's."""
    labels, count = ndimage.label((found.strength > found.low) & ~found.scene, EIGHT)
    if not count:
        return 0
    index = np.arange(1, count + 1)
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    clear, proven = (
        np.asarray(ndimage.sum_labels(plane, labels, index)) for plane in (found.strength > found.high, found.proven)
    )
    touches = np.zeros(count + 1, bool)
    margin = min(max(1, round(params.margin / 100 * matte.shape[0])), (min(matte.shape) + 1) // 2)
    edge = np.ones(matte.shape, bool)
    edge[margin:-margin, margin:-margin] = False
    touches[np.unique(labels[edge])] = True
    untold = 0
    soft = max(SOFT, 2 * noise) / params.sensitivity
    boxes: Sequence[tuple[slice, ...]] = ndimage.find_objects(labels)
    for i in map(int, np.flatnonzero((area >= SMALLEST) & (clear >= SMALLEST / 2) & touches[1:])):
        reach = OUTLINE + params.grow + 1
        box = tuple(slice(max(0, p.start - reach), p.stop + reach) for p in boxes[i])
        shape = labels[box] == i + 1
        if 2 * ndimage.distance_transform_cdt(np.pad(shape, 1), "chessboard").max() - 1 > params.width:
            continue
        gone = found.scene[box] & ndimage.binary_dilation(shape, EIGHT, 2)
        if gone.sum() > GONE * area[i]:
            continue
        share = proven[i] / area[i]
        if share < PROVEN:
            untold += 1
            continue
        # What of it is undecided continues what is proven, for half its length.
        known = found.proven[box] & shape
        steps = max(4, int(proven[i]) // 6)
        shape = ndimage.binary_dilation(known, EIGHT, steps, mask=shape)
        level = max(soft, EDGE * float(np.median(own[box][known])))
        part = ndimage.binary_dilation(shape, EIGHT, OUTLINE) & (own[box] > level)
        if params.grow:
            part = ndimage.binary_dilation(part, EIGHT, params.grow)
        sure = np.float32(1 - 0.45 * np.exp(-3 * (share - PROVEN) - clear[i] / 40))
        np.maximum(matte[box], np.where(part, sure, np.float32(0)), out=matte[box])
    return untold
