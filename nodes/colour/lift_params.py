"""Parameters of HDRLift."""

from __future__ import annotations

from typing import Literal

from safelight.graph.params import Params, param


class HDRLiftParams(Params):
    """Parameters of HDRLift."""

    peak: float = param(
        1000.0,
        "Most light of the lifted picture: the peak of the display it is made for.",
        unit="cd/m²",
        ge=100,
        le=10000,
    )
    diffuse_white: float = param(
        203.0,
        "Light of the source's 1.0 before expansion. 203 is the reference white of HDR (BT.2408): white walls and "
        "faces then sit where those of other HDR pictures do, and all below 100 cd/m² is the same for every peak. 100 "
        "keeps the light an SDR master was graded at. Above `peak` it counts as `peak`.",
        unit="cd/m²",
        ge=48,
        le=1000,
    )
    knee: float = param(
        0.5,
        "Light of the source, 1.0 = SDR white, at which expansion begins: up to there light is only scaled. 0.5 of 203 "
        "is 101 cd/m².",
        ge=0.05,
        le=0.9,
    )
    highlights: float = param(
        0.5,
        "How far SDR white is lifted: share of the stops from diffuse white to peak. 0.5 puts it at 450 cd/m² for a "
        "peak of 1,000. What lies above is for highlights that the source clips.",
        ge=0,
        le=0.95,
    )
    saturation: float = param(
        1.0,
        "Factor of Ct and Cp at the clip level, growing towards it from 1 at the knee. 1 keeps the colour differences "
        "as they are: hue and colourfulness of the source. It never turns a hue.",
        ge=0.25,
        le=2,
    )
    detail: float = param(
        1.0,
        "Texture of highlights: 1 leaves it the gain that the curve's slope gives it, 0 the contrast of the source, 2 "
        "twice the extra. Other than 1, the way back is no longer exact, but within what is seen.",
        ge=0,
        le=2,
    )
    clip: float = param(
        0.0,
        "Level at which the source clips, SDR white = 1. 0 finds it: the highest code of files of whole numbers, else "
        "the largest value of the whole shot, at least 1. Set it for film scans whose shots must match each other.",
        ge=0,
        le=65504,
    )
    recover: float = param(
        2.0,
        "The most light that is given, before it is lifted, to what clips in all channels: to small highlights as a "
        "dome that begins at nothing at the rim, to large blown areas none. 0: none.",
        unit="stops",
        ge=0,
        le=4,
    )
    recover_colour: bool = param(
        False,
        "Give light to channels that clip alone, too, led by the others and by the colour around. It turns hues, "
        "towards what they were before the clipping; without it every hue is the source's.",
    )
    deband: Literal["auto", "off", "8", "10"] = param(
        "auto",
        "Bits of the source whose rounding is smoothed away: smooth areas get the values between the codes, each "
        "within half a code of its own; texture, grain and edges stay. auto: 8 where the file was of 8 bits, else off. "
        "With direction back it rounds to codes again.",
    )
    source: str = param(
        "auto",
        "Colour space whose channels clip and are rounded. auto: that of the file the picture was read from; for "
        "others the working space, and on the way back the config's sRGB.",
        kind="colourspace",
    )
    dither: int = param(
        0,
        "Bits of the PQ signal that will be written: noise of a code to either side is laid in, so that its rounding "
        "makes no bands. 0: none, for files of half or float.",
        unit="bits",
        ge=0,
        le=16,
    )
    seed: int = param(1, "Number of the dither's pattern.", ge=0, le=2**32 - 1)
    direction: Literal["lift", "back"] = param(
        "lift",
        "lift: SDR or scene-linear to HDR. back: a picture lifted with these very parameters to what it was.",
    )
