"""Colour spaces that Safelight offers in every config: film-scan logs and the sRGB of ordinary pictures.

A config's own space of the same name or alias always comes first; see `add_missing`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import PyOpenColorIO as OCIO

SRGB = "sRGB - Texture"
CINEON = "Cineon"
ADX10, ADX16 = "ADX10", "ADX16"
# What configs in use call the sRGB of picture files, best first; looked up as names, aliases and roles.
SRGB_NAMES = (SRGB, "srgb_tx", "srgb_texture", "Utility - sRGB - Texture", "sRGB", "texture_paint", "matte_paint")


@dataclass(frozen=True, slots=True)
class Cineon:
    """The scan log of Kodak's Cineon system: printing density in equal steps of code value.

    linear = (10^((code - white) * density / gamma) - b) / (1 - b), b = 10^((black - white) * density / gamma),
    so that code `black` is 0 and code `white` is 1. Source: Kodak, Conversion of 10-bit Log Film Data to 8-bit Linear
    or Video Data, 1995.
    """

    black: float = 95.0
    """10-bit code value of scene 0."""
    white: float = 685.0
    """10-bit code value of scene 1 (a 90 % reflecting white)."""
    gamma: float = 0.6
    """Slope of the negative: density for each factor of ten of exposure."""
    density: float = 0.002
    """Density of one code value."""

    @property
    def floor(self) -> float:
        """Return b: what the log would reach at code `black` if it were not taken off."""
        return float(10.0 ** ((self.black - self.white) * self.density / self.gamma))

    def linear(self, code: float) -> float:
        """Return the scene-linear value of a 10-bit code value, by the formula above."""
        exposure = 10.0 ** ((code - self.white) * self.density / self.gamma)
        return float((exposure - self.floor) / (1.0 - self.floor))

    def transform(self) -> OCIO.Transform:
        """Return code value / 1023 → linear.

        Below code 0 the curve goes on along its tangent, in both directions, so that negative light of any size
        survives a round trip in floating point (the bare formula cannot go below -b / (1 - b)).
        """
        slope = self.gamma / self.density / 1023.0
        return OCIO.LogCameraTransform(
            base=10.0,
            logSideSlope=[slope] * 3,
            logSideOffset=[self.white / 1023.0] * 3,
            linSideSlope=[1.0 - self.floor] * 3,
            linSideOffset=[self.floor] * 3,
            linSideBreak=[self.linear(0.0)] * 3,
            direction=OCIO.TRANSFORM_DIR_INVERSE,
        )


def add_missing(config: OCIO.Config, working: str, cineon: Cineon) -> OCIO.Config:
    """Return an editable copy of a config that holds Cineon, ADX10, ADX16 and sRGB as well.

    Cineon has no primaries of its own: film dyes are taken as the working space's red, green and blue, as in other
    compositors. ADX and sRGB need to know where the config's reference stands: they are left out of a config without
    the role `aces_interchange`.
    """
    config = copy.deepcopy(config)
    from_working = _to_reference(config, working)
    if config.getColorSpace(CINEON) is None:
        _add(
            config,
            CINEON,
            f"Film scan, printing density: black {cineon.black:g}, white {cineon.white:g}, gamma {cineon.gamma:g}, "
            f"{cineon.density:g} density a code",
            "log",
            [cineon.transform(), from_working],
        )
    if config.hasRole("aces_interchange"):
        from_aces = _to_reference(config, config.getRoleColorSpace("aces_interchange"))
        for name in (ADX10, ADX16):
            if config.getColorSpace(name) is None:
                text = "Academy Density Exchange: film scan, academy printing density (SMPTE ST 2065-3)"
                _add(config, name, text, "log", [OCIO.BuiltinTransform(f"{name}_to_ACES2065-1"), from_aces])
        if not any(config.getColorSpace(name) for name in SRGB_NAMES):
            curve = OCIO.ExponentWithLinearTransform([2.4, 2.4, 2.4, 1.0], [0.055, 0.055, 0.055, 0.0])
            primaries = OCIO.BuiltinTransform(
                "UTILITY - ACES-AP1_to_LINEAR-REC709_BFD", direction=OCIO.TRANSFORM_DIR_INVERSE
            )
            to_aces = OCIO.BuiltinTransform("ACEScg_to_ACES2065-1")
            _add(config, SRGB, "sRGB, IEC 61966-2-1", "sdr-video", [curve, primaries, to_aces, from_aces])
    return config


def _to_reference(config: OCIO.Config, name: str) -> OCIO.Transform | None:
    """Return what takes a space to its config's scene reference; None where it is the reference."""
    space = config.getColorSpace(name)
    forward = space.getTransform(OCIO.COLORSPACE_DIR_TO_REFERENCE)
    if forward is not None:
        return forward
    backward = space.getTransform(OCIO.COLORSPACE_DIR_FROM_REFERENCE)
    if backward is None:
        return None
    return OCIO.GroupTransform([backward], direction=OCIO.TRANSFORM_DIR_INVERSE)


def _add(config: OCIO.Config, name: str, description: str, encoding: str, steps: list[OCIO.Transform | None]) -> None:
    transform = OCIO.GroupTransform([step for step in steps if step is not None])
    config.addColorSpace(
        OCIO.ColorSpace(
            referenceSpace=OCIO.REFERENCE_SPACE_SCENE,
            name=name,
            description=description,
            encoding=encoding,
            toReference=transform,
        )
    )
