"""Damage: dust, hairs, blotches and scratches laid over a clean picture, with the truth about where they lie."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import SYNTHESISED
from safelight.nodes.damage import laying, templates


class DamageParams(Params):
    """Parameters of Damage."""

    film: Literal["positive", "negative"] = param(
        "positive",
        "What the dirt lies on. positive: a print, where what blocks light looks dark. negative: a scanned negative "
        "turned positive, where it looks bright; all tones below but those of scratches and gate hairs are exchanged.",
    )
    dust: float = param(0.1, "Part of the picture that dust covers, in the mean of the frames.", unit="%", ge=0, le=30)
    bright: float = param(
        0.0, "The same of bright dust: dirt that lay on the film this one was copied from.", unit="%", ge=0, le=30
    )
    coloured: float = param(
        0.0, "The same of dust on one record alone: R, G or B, dark or bright.", unit="%", ge=0, le=30
    )
    size: float = param(
        4.0, "Median diameter of a grain of dust; one in six is 1.6 times as large.", unit="pixels", ge=1, le=500
    )
    largest: float = param(60.0, "No grain of dust is larger.", unit="pixels", ge=1, le=2000)
    opacity: float = param(
        1.0,
        "Optical density of dust, hairs and blotches; each piece has between half and 1.3 times as much, and is "
        "thinner in places.",
        ge=0.02,
        le=3,
    )
    repeat: float = param(
        0.0, "Share of the dust, hairs and blotches that lie on the same spot in the next frame too.", ge=0, le=1
    )
    hairs: float = param(0.0, "Hairs a frame, in the mean.", ge=0, le=1000)
    hair_length: float = param(90.0, "Median length of a hair.", unit="pixels", ge=4, le=4000)
    hair_width: float = param(1.8, "Width of a hair.", unit="pixels", ge=0.5, le=50)
    blotches: float = param(0.0, "Blotches a frame, in the mean.", ge=0, le=1000)
    blotch_size: float = param(70.0, "Median diameter of a blotch.", unit="pixels", ge=8, le=4000)
    scratches: int = param(0, "Line scratches that stay in one place, over the whole clip.", ge=0, le=500)
    wandering: int = param(0, "Line scratches that wander from side to side.", ge=0, le=500)
    scratch_width: float = param(1.0, "Width of a scratch.", unit="pixels", ge=0.3, le=30)
    scratch_opacity: float = param(0.3, "Optical density of a scratch; 0.05 is hard to see, 1 is deep.", ge=0.02, le=3)
    scratch_tone: Literal["dark", "bright", "coloured", "mixed"] = param(
        "mixed", "How scratches look in the picture; mixed: each one of the three."
    )
    broken: float = param(0.0, "Share of a scratch's length that is missing.", ge=0, le=0.95)
    gate_hairs: int = param(0, "Hairs caught in the gate: dark, at the edge, there in every frame.", ge=0, le=50)
    splices: str = param("", "First frames after a splice (1011, 1050): they and those before them show its edges.")
    destroyed: str = param("", "Frames of which more than half is gone (1020-1021).")
    white: float = param(1.0, "Scene-linear light of the clearest film: nothing bright gets brighter.", gt=0, le=1000)
    visibility: float = param(
        0.1, "Least change of light, in any channel, that the matte calls damage.", unit="stops", ge=1 / 64, le=8
    )
    templates: Path | None = param(
        None,
        "Folder of shapes to use in place of drawn ones: pictures with alpha (dirt-…, dots-…, spots-…, hair-…, lint-…, "
        "stain-…), label maps of scanned dust (…_labels.png). A kind that it lacks is drawn.",
        kind="path",
    )
    seed: int = param(1, "Another number gives other damage.", ge=0, le=2**32 - 1)


class Damage(Node):
    """Damage a clean picture as film is damaged, and say exactly where.

    For measuring what finds and repairs damage, and for trying a graph before the real scan is there. Damage acts as
    optical density: what blocks light multiplies it by its transmission, what is missing or was printed through
    brightens it towards `white`. Grain goes where the graph puts it: a Regrain after this node grains picture and
    damage alike, one before it leaves the damage smooth.

    Output `matte` has one channel, A: 1 where the light of any channel changed by `visibility` or more, else 0. The
    soft edges of damage change the picture less than that; everywhere else pixels keep their bits, as do channels
    other than R, G, B or a lone Y, and values that are not finite.

    Everything depends on seed and frame alone. Scratches run on along the film from frame to frame, gate hairs stay,
    dust comes and goes. Shapes: outlines of low harmonics, B-splines for hairs, thresholded noise for blotches.
    """

    id = "Damage"
    inputs = (Port("input", "Clean picture, scene-linear."),)
    outputs = (
        Port("image", "The damaged picture."),
        Port("matte", "Channel A: 1 where it is visibly damaged, else 0."),
    )
    Params = DamageParams
    devices = ("cpu",)
    mark = SYNTHESISED
    scratch = 4.0

    def invents(self, params: DamageParams) -> str:
        """It lays in damage that is not on the film."""
        return "lays in damage that was never on the film"

    def extent(self, params: DamageParams, inputs: Mapping[str, Clip]) -> Mapping[str, Clip]:
        """The input's, and a matte of the same windows."""
        clip = inputs["input"]
        return {"image": clip, "matte": replace(clip, channels=("A",))}

    def check(self, params: DamageParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse a clip without a picture, frame lists that are none, a folder without shapes."""
        clip = inputs["input"]
        planes = colour_planes(clip.channels)
        if not planes:
            raise GraphError(
                f"there is no R, G, B or Y among the channels {', '.join(clip.channels)}",
                where="input 'input'",
                remedy="Feed a picture.",
            )
        if params.coloured > 0 and len(planes) < 3:
            raise GraphError(
                "damage on one record needs R, G and B",
                where="parameter 'coloured'",
                remedy="Set coloured to 0 for a picture of one channel.",
            )
        for name in ("splices", "destroyed"):
            try:
                laying.listed_frames(getattr(params, name))
            except GraphError as error:
                raise error.at(where=f"parameter '{name}'") from None
        if params.templates is not None:
            templates.load(params.templates, templates.listing(params.templates))
        return ()

    def fingerprint(self, params: DamageParams, frame: int | None, settings: Settings) -> str:
        """Hash the names, sizes and times of the templates."""
        return "" if params.templates is None or frame is not None else templates.listing(params.templates)

    def compute(self, params: DamageParams, request: Request, inputs: Inputs, device: Device) -> Mapping[str, Image]:
        """Lay the frame's damage over the region."""
        source = inputs["input"].crop(request.region)
        region = source.region
        display = inputs.clips["input"].display
        planes = list(colour_planes(source.channels))
        # Damage lies on the display window, wherever that begins.
        here = type(region).sized(region.width, region.height, region.x0 - display.x0, region.y0 - display.y0)
        stamps = laying.laid(params, display.width, display.height, request.frame)
        dark, bright = laying.densities(stamps, here, len(planes))
        rows, columns = np.nonzero((dark | bright).any(0))
        out = np.array(source.data)
        matte = np.zeros((1, region.height, region.width), dtype=np.float32)
        before = source.data[planes][:, rows, columns]
        after = laying.expose(before, dark[:, rows, columns], bright[:, rows, columns], params.white)
        change = laying.factor(before, after).max(0, initial=1.0)
        seen = change >= laying.LEAST
        after32 = after.astype(np.float32)
        for plane, made in zip(planes, after32, strict=True):
            out[plane, rows[seen], columns[seen]] = made[seen]
        matte[0, rows, columns] = change >= 2**params.visibility
        return {"image": source.with_data(out), "matte": Image(matte, region, ("A",), source.metadata)}
