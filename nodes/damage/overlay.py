"""DefectOverlay: what a matte calls damaged, outlined and tinted over the picture, for review."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import SYNTHESISED
from safelight.nodes.damage.holes import widened
from safelight.nodes.grain.taking import coverage

COLOURS = {"red": (1.0, 0.02, 0.02), "green": (0.02, 1.0, 0.02), "cyan": (0.02, 0.8, 1.0), "yellow": (1.0, 0.8, 0.02)}
GREY = 0.18


class DefectOverlayParams(Params):
    """Parameters of DefectOverlay."""

    mode: Literal["luma", "input", "difference"] = param(
        "luma",
        "luma: over the picture without its colour. input: over the picture. difference: over what `repaired` changed, "
        "around mid-grey.",
    )
    colour: Literal["red", "green", "cyan", "yellow"] = param("red", "Colour of outline and tint.")
    threshold: float = param(0.5, "Pixels whose matte is at least this are marked.", gt=0, le=1)
    tint: float = param(
        0.35,
        "How much of the colour lies over the damage itself, times the matte; 0 leaves the outline alone.",
        ge=0,
        le=1,
    )
    outline: int = param(
        2, "Width of the line around the damage, one pixel away from it; 0 for none.", unit="pixels", ge=0, le=32
    )
    gain: float = param(4.0, "Times the difference is shown, in `difference`.", gt=0, le=1000)


class DefectOverlay(Node):
    """Mark what a matte calls damaged over the picture, for a person to judge.

    Damage is tinted by its confidence and outlined; between both a line of one pixel stays as it is, so that the edge
    of the damage can be seen. Mode `difference` shows input − repaired, times `gain`, around mid-grey (0.18). Other
    channels than R, G, B or Y are kept. Scene-linear; values that are not finite are handed through where nothing is
    drawn.
    """

    id = "DefectOverlay"
    inputs = (
        Port("input", "The plate."),
        Port("matte", "Where it is damaged, first channel, 0 to 1; nowhere outside its data window."),
        Port("repaired", "The plate after repair, for `difference`.", optional=True),
    )
    Params = DefectOverlayParams
    devices = ("cpu",)
    mark = SYNTHESISED

    def check(self, params: DefectOverlayParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse a clip without a picture, inputs of other sizes, a difference from nothing."""
        clip = inputs["input"]
        if not colour_planes(clip.channels):
            raise GraphError(
                f"there is no R, G, B or Y among the channels {', '.join(clip.channels)}",
                where="input 'input'",
                remedy="Feed a picture.",
            )
        for port in ("matte", "repaired"):
            other = inputs.get(port)
            if other is not None and other.display != clip.display:
                raise GraphError(
                    f"it is {other.display} and the plate is {clip.display}",
                    where=f"input '{port}'",
                    remedy="Bring it to the plate's size.",
                )
        repaired = inputs.get("repaired")
        if params.mode == "difference" and repaired is None:
            raise GraphError(
                "mode 'difference' needs the repaired plate",
                where="input 'repaired'",
                remedy="Connect it, or choose another mode.",
            )
        if repaired is not None and repaired.channels != clip.channels:
            raise GraphError(
                f"it has the channels {', '.join(repaired.channels)} and the plate {', '.join(clip.channels)}",
                where="input 'repaired'",
                remedy="Give both the same channels.",
            )
        return ()

    def invents(self, params: DefectOverlayParams) -> str:
        """It draws over the picture."""
        return "draws over the picture, for review"

    def reach(self, params: DefectOverlayParams) -> tuple[int, int]:
        """Ask for the pixels that an outline comes from."""
        return 0, params.outline + 1 if params.outline else 0

    def needs(self, params: DefectOverlayParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the matte around the region, and for the region of the others."""
        return {"input": (request,), "matte": super().needs(params, request)["matte"], "repaired": (request,)}

    def compute(self, params: DefectOverlayParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Draw the marks over the region."""
        source = inputs["input"].crop(request.region)
        region = source.region
        _, margin = self.reach(params)
        matte: Any = np.nan_to_num(coverage(inputs["matte"], region.grow(margin), device)[0], nan=0, posinf=1, neginf=0)
        found = matte >= params.threshold
        near = widened(found, 1)
        line = widened(near, params.outline) & ~near if params.outline else np.zeros_like(found)
        inner = (slice(margin, margin + region.height), slice(margin, margin + region.width))
        found, line = found[inner], line[inner]
        share = np.where(line, np.float32(1), np.where(found, params.tint * np.clip(matte[inner], 0, 1), 0))
        planes = list(colour_planes(source.channels))
        base = source.data[planes]
        if params.mode == "luma":
            base = np.repeat(base.mean(0, keepdims=True), len(planes), axis=0)
        elif params.mode == "difference":
            repaired = inputs["repaired"]
            both = region.intersect(repaired.region)
            other = base.copy()
            y, x = both.y0 - region.y0, both.x0 - region.x0
            other[:, y : y + both.height, x : x + both.width] = repaired.crop(both).data[planes]
            with np.errstate(invalid="ignore"):
                base = GREY + np.float32(params.gain) * (base - other)
        out = source.data.copy()
        colour = COLOURS[params.colour]
        for plane, picture in zip(planes, base, strict=True):
            name = source.channels[plane].upper()
            light = np.float32(colour["RGB".index(name)] if name in "RGB" else 1.0)
            with np.errstate(invalid="ignore"):
                mixed = picture + (light - picture) * share
            out[plane] = np.where(share == 0, picture, np.where(share == 1, light, mixed))
        return source.with_data(out)
