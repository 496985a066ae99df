"""Convert: from one colour space to another, by OpenColorIO."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from safelight.colour.claims import without_colour
from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import COLOUR_CHANNELS, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Request, Settings
from safelight.graph.params import Params, param


class ConvertParams(Params):
    """Parameters of Convert."""

    source: str = param(
        "scene_linear",
        "Colour space of the input: a name, alias or role of the config, or 'Display/View' to undo a view.",
        kind="colourspace",
    )
    target: str = param(
        help="Colour space to make: a name, alias or role of the config, or 'Display/View' for a picture as displayed.",
        kind="colourspace",
    )


class Convert(Node):
    """Convert red, green and blue from one colour space to another with the document's OpenColorIO config.

    Pixel by pixel, in float32, without any clamping beyond what the config's transforms do by definition: negative
    values and highlights survive wherever the target can hold them. Other channels (alpha, mattes, depth) keep their
    bits, and so does the whole picture when the two spaces are the same. What is not finite stays in its pixel.

    Between nodes pixels are scene-linear in the config's role `scene_linear`; after a Convert to anything else the
    nodes that follow see encoded values, so it belongs at the ends of a graph or around a node that wants a log.
    """

    id = "Convert"
    Params = ConvertParams
    pointwise = True
    scratch = 1.5

    def extent(self, params: ConvertParams, inputs: Mapping[str, Clip]) -> Clip:
        """The input's, less what its files claimed of their colour."""
        clip = inputs["input"]
        return replace(clip, metadata=without_colour(clip.metadata))

    def check(self, params: ConvertParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse unknown names, transforms that cannot be built, and pictures without red, green and blue."""
        channels = inputs["input"].channels
        if len(_rgb(channels)) != len(COLOUR_CHANNELS):
            raise GraphError(
                f"the picture has the channels {', '.join(channels) or '(none)'}; a colour space needs R, G and B",
                remedy="Take the Convert out, or give it a colour picture.",
            )
        config = config_for(settings)
        for name, value in (("source", params.source), ("target", params.target)):
            try:
                config.resolve(value)
            except GraphError as error:
                raise error.at(where=name) from None
        config.processor(params.source, params.target)
        return ()

    def fingerprint(self, params: ConvertParams, frame: int | None, settings: Settings) -> str:
        """Return the transform's hash: edits of the config that do not concern it leave the pictures valid."""
        return config_for(settings).fingerprint(params.source, params.target) if frame is None else ""

    def compute(self, params: ConvertParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Convert the planes R, G, B."""
        image = inputs["input"].crop(request.region)
        config = config_for(inputs.settings, fresh=False)
        if not image.region or config.is_noop(params.source, params.target):
            return image
        planes = list(_rgb(image.channels))
        together = planes == [0, 1, 2]
        made = config.convert(image.data[:3] if together else image.data[planes], params.source, params.target, device)
        if together and len(image.channels) == len(COLOUR_CHANNELS):
            data = made
        else:
            data = device.empty(image.data.shape)
            data[...] = image.data
            data[planes] = made
        # What the file claimed of its colour is no longer true of these numbers.
        return replace(image, data=data, metadata=without_colour(image.metadata))


def _rgb(channels: Iterable[str]) -> tuple[int, ...]:
    """Return where R, G and B are; fewer than three where one is missing."""
    names = list(channels)
    planes = colour_planes(names)
    return planes if all(names[plane].upper() in COLOUR_CHANNELS for plane in planes) else ()
