"""What a lift must find out before it begins: the file behind the picture, where it clips, and how it was lifted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from safelight.colour.config import ColourConfig
from safelight.colour.spaces import SRGB_NAMES
from safelight.graph.image import Clip, Image
from safelight.nodes.colour.lift_params import HDRLiftParams
from safelight.nodes.colour.lifting import Curve, Lift, working_to_lms
from safelight.nodes.colour.source import WORKING, File, Source, file_of, source_in
from safelight.nodes.io.files.header import ORIGIN

LIFTED = "safelight:HDRLift"
"""Attribute of a lifted picture: the parameters it was lifted with."""
SHAPING = ("peak", "diffuse_white", "knee", "highlights", "saturation", "detail")
"""Parameters that the way back must share."""


@dataclass(frozen=True)
class Knowledge:
    """What is known of the picture's source."""

    file: File | None
    space: str
    """Space whose channels clip and are rounded; empty for the working space of a picture from no file."""
    source: Source
    linear: bool
    """The file's numbers are taken for light."""
    deband: bool


def knowledge(params: HDRLiftParams, clip: Clip | None, config: ColourConfig) -> Knowledge:
    """Find out about the source.

    Raises
    ------
    GraphError
        The space named as source is unknown.
    """
    file = file_of(clip.metadata, config) if clip is not None else None
    back = params.direction == "back"
    if params.source != "auto":
        space = config.resolve(params.source)
    elif file is not None and file.bits:
        space = file.space
    else:
        space = _srgb(config) if back else ""
    bits = int(params.deband) if params.deband in ("8", "10") else 0
    if params.deband == "auto" and file is not None and file.bits == 8 and space:
        bits = 8
    found = source_in(config, space, bits) if space else WORKING
    linear = file is not None and config.is_noop(file.space, config.working)
    source = found or WORKING
    return Knowledge(file, space, source, linear, source.table is not None and not linear)


def whole_numbers(metadata: Mapping[str, Any]) -> bool:
    """Tell whether the picture came from a file of whole numbers, which has a highest code."""
    origin = metadata.get(ORIGIN)
    types = origin.get("types") if isinstance(origin, Mapping) else None
    colours = [kind for name, kind in types.items() if name in ("R", "G", "B", "Y")] if types else []
    return bool(colours) and all(str(kind).startswith("uint") for kind in colours)


def lift_of(
    params: HDRLiftParams,
    frame: int,
    image: Image,
    clip: Clip | None,
    analysis: Mapping[str, Any] | None,
    config: ColourConfig,
) -> Lift:
    """Return the numbers of a lift, or of the way back."""
    known = knowledge(params, clip, config)
    back = params.direction == "back"
    peak, white = params.peak, min(params.diffuse_white, params.peak)
    said = parameters_of(image.metadata).get("clip", 0.0) if back else float((analysis or {}).get("clip", 0.0))
    highest = known.source.white if known.file is not None and known.file.bits else 1.0
    level = params.clip or said or max(1.0, highest)
    expands = peak > white
    curve = Curve.of(
        peak=peak,
        diffuse_white=white,
        knee=params.knee,
        highlights=params.highlights,
        clip=max(level, 1.02 * params.knee),
    )
    return Lift(
        curve if expands else None,
        white,
        params.saturation,
        back,
        working_to_lms(config),
        known.source,
        level,
        params.recover if expands else 0.0,
        known.deband,
        params.recover_colour,
        params.detail,
        0 if back else params.dither,
        params.seed,
        frame,
    )


def text_of(params: HDRLiftParams, lift: Lift) -> str:
    """Write down the parameters of a lift.

    Read again by `parameters_of`.
    """
    values = {name: getattr(params, name) for name in SHAPING} | {"clip": lift.level}
    return " ".join(f"{name}={value:.9g}" for name, value in values.items())


def parameters_of(metadata: Mapping[str, Any]) -> dict[str, float]:
    """Return the parameters a picture says it was lifted with; none where it says nothing.

    >>> parameters_of({"safelight:HDRLift": "peak=1000 knee=0.5"})
    {'peak': 1000.0, 'knee': 0.5}
    """
    pairs = (word.split("=", 1) for word in str(metadata.get(LIFTED, "")).split() if "=" in word)
    found = {}
    for name, value in pairs:
        try:
            found[name] = float(value)
        except ValueError:
            continue
    return found


def _srgb(config: ColourConfig) -> str:
    return next((str(space.getName()) for name in SRGB_NAMES if (space := config.config.getColorSpace(name))), "")
