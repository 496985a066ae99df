"""Deliver: scene light to the signal of a display, HDR or SDR."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Literal

import numpy as np

from safelight.colour import delivery
from safelight.colour.claims import DISPLAY, HELD, without_colour
from safelight.colour.config import ColourConfig, config_for
from safelight.colour.display import (
    CONTAINERS,
    ENCODING_NAMES,
    HIGHEST_PEAK,
    HIGHEST_SDR,
    LOWEST_PEAK,
    PRIMARIES_NAMES,
    Display,
    contains,
    display_of,
)
from safelight.colour.processor import Processor
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import COLOUR_CHANNELS, NOTES, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Request, Settings
from safelight.graph.params import Params, param


class DeliverParams(Params):
    """Parameters of Deliver."""

    rendering: Literal["plain", "aces2"] = param(
        "plain",
        "How scene light becomes display light. 'plain' shows it as it is, 1.0 as 'white', for pictures that were "
        "lifted or graded to a display's light; 'aces2' is the ACES 2 output transform, for scene light of a camera.",
    )
    encoding: Literal["pq", "hlg", "bt1886", "srgb", "gamma26"] = param(
        "pq", "The signal: PQ (ST 2084), HLG (BT.2100), BT.1886 video, sRGB, gamma 2.6 cinema."
    )
    peak: float = param(
        1000.0,
        "Brightest light of the mastering display. PQ codes absolute light up to it; HLG takes its system gamma from "
        "it; of the other encodings, signal 1 is this light, at most 300.",
        unit="cd/m²",
        ge=LOWEST_PEAK,
        le=HIGHEST_PEAK,
    )
    limit: Literal["auto", "rec709", "p3d65", "rec2020"] = param(
        "auto",
        "Gamut that the colours are held in. 'auto' is P3-D65 for PQ and HLG, as most mastering displays have it, else "
        "the signal's own.",
    )
    primaries: Literal["auto", "rec709", "p3d65", "rec2020"] = param(
        "auto",
        "What red, green and blue of the signal are; may be wider than the limit. 'auto' is Rec.2020 for PQ and HLG, "
        "Rec.709 for BT.1886 and sRGB, P3-D65 for gamma 2.6.",
    )
    white: float = param(
        100.0,
        "Light of scene-linear 1.0 with 'plain'; 203 puts diffuse white where BT.2408 has it.",
        unit="cd/m²",
        ge=1.0,
        le=HIGHEST_PEAK,
    )

    def display(self) -> Display:
        """Return the display.

        Raises
        ------
        GraphError
            The parameters do not go together.
        """
        containers = CONTAINERS[self.encoding]
        primaries = containers[0] if self.primaries == "auto" else self.primaries
        name = ENCODING_NAMES[self.encoding]
        if primaries not in containers:
            raise GraphError(
                f"{name} has no signal with the primaries {PRIMARIES_NAMES[primaries]}",
                where="primaries",
                remedy=f"Use {' or '.join(containers)}; 'limit' holds colours in a smaller gamut inside it.",
            )
        usual = "p3d65" if self.encoding in ("pq", "hlg") else primaries
        limit = usual if self.limit == "auto" else self.limit
        if not contains(primaries, limit):
            raise GraphError(
                f"a signal with the primaries {PRIMARIES_NAMES[primaries]} cannot hold all of {PRIMARIES_NAMES[limit]}",
                where="limit",
                remedy=f"Limit to {primaries}, or take wider primaries.",
            )
        if self.encoding not in ("pq", "hlg") and self.peak > HIGHEST_SDR:
            raise GraphError(
                f"{name} says nothing of absolute light: no display shows its signal at {self.peak:g} cd/m²",
                where="peak",
                remedy=f"Use pq or hlg, or a peak of {LOWEST_PEAK:g} to {HIGHEST_SDR:g}.",
            )
        if self.rendering == "aces2":
            if self.white != 100.0:
                raise GraphError(
                    "the ACES 2 output transform decides itself how bright 1.0 is",
                    where="white",
                    remedy="Leave white out, or set rendering = 'plain'.",
                )
            return Display(self.encoding, primaries, limit, self.peak, self.rendering)
        if self.white > self.peak:
            raise GraphError(
                f"white at {self.white:g} cd/m² is brighter than the peak of {self.peak:g}",
                where="white",
                remedy="Lower white, or raise the peak.",
            )
        return Display(self.encoding, primaries, limit, self.peak, self.rendering, self.white)


class Deliver(Node):
    """Encode scene-linear pictures for a display, HDR or SDR: the last node before Write.

    Red, green and blue become the display's signal, 0 to 1, by OpenColorIO's transforms; other channels keep their
    bits. One master is rendered for any display: `--set NODE.peak=600`.

    With `plain`, light that the display cannot show is held, hue kept: a colour outside the limit moves towards the
    grey of its luminance until it is inside; light over the peak gets the luminance that cutting its channels at the
    peak would leave, and moves towards that grey until it fits. How many pixels that was is said of each frame.
    `aces2` maps all light into the display's volume by itself. Pixels that hold anything not finite are handed through
    unchanged, and counted.

    The signal says in its metadata which display it is for. Write then needs no colour space, tags the files, and
    measures the light of what it writes (MaxCLL, MaxFALL).
    """

    id = "Deliver"
    Params = DeliverParams
    # The counts are of whole frames.
    tileable = False
    # What is written is measured: the signal has the same bits with a GPU and without.
    devices = ("cpu",)
    scratch = 3.0

    def extent(self, params: DeliverParams, inputs: Mapping[str, Clip]) -> Clip:
        """The input's, with the display in its metadata."""
        clip = inputs["input"]
        return replace(clip, metadata={**without_colour(clip.metadata), DISPLAY: params.display().as_data()})

    def check(self, params: DeliverParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse parameters that do not go together, pictures without red, green and blue, configs without a role."""
        clip = inputs["input"]
        _require_rgb(clip.channels)
        said = display_of(clip.metadata)
        if said is not None:
            raise GraphError(
                f"the picture is encoded for a display already ({said})",
                remedy="Take one Deliver out: it wants scene-linear light.",
            )
        display = params.display()
        _processors(config_for(settings), display)
        if display.encoding == "hlg" and not 400 <= params.peak <= 2000:
            yield (
                f"HLG's system gamma for {params.peak:g} cd/m² lies outside the range of BT.2100 (400 to 2000): it "
                "follows BT.2390"
            )

    def fingerprint(self, params: DeliverParams, frame: int | None, settings: Settings) -> str:
        """Return the hash of the transforms that make the signal."""
        if frame is not None:
            return ""
        return " ".join(one.fingerprint for one in _processors(config_for(settings), params.display()))

    def compute(self, params: DeliverParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Encode the planes R, G, B."""
        image = inputs["input"].crop(request.region)
        display = params.display()
        metadata = {**without_colour(image.metadata), DISPLAY: display.as_data()}
        if not image.region:
            return replace(image, metadata=metadata)
        planes = list(_require_rgb(image.channels))
        source = image.data[planes]
        lost = ~np.isfinite(source).all(axis=0)
        to_light, to_signal = _processors(config_for(inputs.settings, fresh=False), display)
        linear = to_light.apply(source, device)
        if linear is source:
            linear = source.copy()
        linear, outside, over, brightest = delivery.hold(linear, display)
        made = to_signal.apply(linear, device)
        held = {"outside": outside, "over": over, "brightest": round(brightest, 3)} if outside or over else {}
        told = _notes(request.frame, display, held, image.region.area)
        count = int(np.count_nonzero(lost))
        if count:
            made[:, lost] = source[:, lost]
            told = (*told, f"frame {request.frame}: {count} pixels are not finite and were handed through")
        if held:
            metadata[HELD] = held
        if told:
            metadata[NOTES] = (*metadata.get(NOTES, ()), *told)
        if planes == [0, 1, 2] and len(image.channels) == len(COLOUR_CHANNELS):
            return replace(image, data=made, metadata=metadata)
        data = image.data.copy()
        data[planes] = made
        return replace(image, data=data, metadata=metadata)


def _processors(config: ColourConfig, display: Display) -> tuple[Processor, Processor]:
    """Return the transforms from the working space to light, and from light that was held to the signal."""
    return delivery.light(config, display), delivery.signal(config, display)


def _notes(frame: int, display: Display, held: Mapping[str, float], pixels: int) -> tuple[str, ...]:
    told = []
    if held.get("over"):
        told.append(
            f"{held['over']} pixels ({held['over'] / pixels:.2%}) over what {display} can show were held to it, the "
            f"brightest channel from {held['brightest']:.0f} cd/m²"
        )
    if held.get("outside"):
        gamut = PRIMARIES_NAMES[display.limit or display.primaries]
        told.append(f"{held['outside']} pixels ({held['outside'] / pixels:.2%}) outside {gamut} were drawn into it")
    return (f"frame {frame}: {'; '.join(told)}",) if told else ()


def _require_rgb(channels: tuple[str, ...]) -> tuple[int, ...]:
    planes = colour_planes(channels)
    if len(planes) != len(COLOUR_CHANNELS):
        raise GraphError(
            f"the picture has the channels {', '.join(channels) or '(none)'}; a display's signal needs R, G and B",
            remedy="Give Deliver a colour picture.",
        )
    return planes
