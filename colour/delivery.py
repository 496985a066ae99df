"""From scene light to a display's signal, by OpenColorIO's transforms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import PyOpenColorIO as OCIO

from safelight.colour.display import Display
from safelight.colour.primaries import CHROMATICITIES, from_xyz, to_xyz
from safelight.colour.transfer import hlg_gamma
from safelight.graph.errors import GraphError

if TYPE_CHECKING:
    from safelight.colour.config import ColourConfig
    from safelight.colour.processor import Processor

Light = npt.NDArray[np.float32]

UNIT = 100.0
"""cd/m² of linear display light 1.0."""
NEGLIGIBLE = 1e-3
"""Light this share over the peak, or this far below zero, is rounding and not counted as held."""

WHITE = (0.3127, 0.3290)
_TO_XYZ = "UTILITY - ACES-AP0_to_CIE-XYZ-D65_BFD"
# Rec. ITU-R BT.2100-2 table 5.
_A = 0.17883277
_B = 1 - 4 * _A
_C = 0.5 - _A * float(np.log(4 * _A))
# OpenColorIO's surround function holds luminance at 1e-4 and more: light is lifted over that and put back.
_LIFT = 1e6


def interchange(config: ColourConfig) -> str:
    """Return the role that says where a config's scene-linear space stands.

    Raises
    ------
    GraphError
        The config does not set it.
    """
    role = "aces_interchange"
    if not config.config.hasRole(role):
        raise GraphError(
            f"the role '{role}' of the colour config is missing: nobody knows which light its pixels are",
            file=config.source.path,
            remedy=f"Set '{role}' under 'roles' in the config to its ACES2065-1 space.",
        )
    return role


def light(config: ColourConfig, display: Display) -> Processor:
    """Return the transform from the working space to linear light in the display's limiting primaries.

    1.0 comes out as `UNIT` cd/m². Rendered `plain`, nothing is clamped. Rendered `aces2`, it is the ACES 2 output
    transform: the very steps of OpenColorIO's `ACES-OUTPUT - ACES2065-1_to_CIE-XYZ-D65 - HDR-1000nit-P3-D65_2.0` and
    their like up to CIE XYZ, for any peak and limit, with the white D65; all light then lies within them.

    Source: Academy Color Encoding System 2.0, output transforms (aces-output, 2025).
    """
    limit = display.limit or display.primaries
    steps: list[OCIO.Transform] = [
        OCIO.ColorSpaceTransform(src=config.working, dst=interchange(config), dataBypass=False)
    ]
    if display.rendering != "aces2":
        white = display.white if display.white is not None else UNIT
        steps += [OCIO.BuiltinTransform(_TO_XYZ), _matrix(from_xyz(limit) * (white / UNIT))]
        return config.assembled(f"plain {limit} {white!r}", steps)
    peak = _peak(display)
    # Where the tone scale reaches its highest light: r_hit of 128 at 100 cd/m² and 896 at 10,000, eight times that.
    highest = 8 * (128 + 768 * np.log10(peak / 100) / np.log10(10000 / 100))
    points = [*(value for pair in CHROMATICITIES[limit] for value in pair), *WHITE]
    steps += [
        _matrix(_AP0_TO_AP1),
        OCIO.RangeTransform(minInValue=0, maxInValue=highest, minOutValue=0, maxOutValue=highest),
        _matrix(np.linalg.inv(_AP0_TO_AP1)),
        OCIO.FixedFunctionTransform(OCIO.FIXED_FUNCTION_ACES_OUTPUT_TRANSFORM_20, [peak, *points]),
        OCIO.RangeTransform(minInValue=0, maxInValue=peak / UNIT, minOutValue=0, maxOutValue=peak / UNIT),
    ]
    return config.assembled(f"aces2 {limit} {peak!r}", steps)


def signal(config: ColourConfig, display: Display) -> Processor:
    """Return the transform from what `light` makes, held to the display's volume, to the signal.

    P3-D65 reaches out of Rec.2020 by 0.12 % of its red: in the signal's primaries light is held to 0 and the peak.
    """
    limit = display.limit or display.primaries
    top = _peak(display) / UNIT
    steps = [
        _matrix(from_xyz(display.primaries) @ to_xyz(limit)),
        OCIO.RangeTransform(minInValue=0, maxInValue=top, minOutValue=0, maxOutValue=top),
        *_encode(display),
    ]
    return config.assembled(f"signal {display.encoding} {display.primaries} {limit} {top!r}", steps)


def _peak(display: Display) -> float:
    return display.full if display.peak is None else display.peak


def _encode(display: Display) -> list[OCIO.Transform]:
    """Return the steps from linear light in the signal's primaries to the signal."""
    if display.encoding == "pq":
        return [OCIO.BuiltinTransform("CURVE - LINEAR_to_ST-2084")]
    relative = np.eye(3) * (UNIT / display.full)
    if display.encoding == "hlg":
        gamma = 1 / hlg_gamma(display.full)
        return [
            _matrix(relative * _LIFT),
            OCIO.FixedFunctionTransform(OCIO.FIXED_FUNCTION_REC2100_SURROUND, [gamma]),
            _matrix(np.eye(3) * _LIFT**-gamma),
            OCIO.FixedFunctionTransform(
                OCIO.FIXED_FUNCTION_LIN_TO_GAMMA_LOG, [0, 1 / 12, 0.5, 3**0.5, 0, float(np.e), _A, _C, 12, -_B]
            ),
            OCIO.RangeTransform(minInValue=0, maxInValue=1, minOutValue=0, maxOutValue=1),
        ]
    if display.encoding == "srgb":
        curve: OCIO.Transform = OCIO.ExponentWithLinearTransform(
            gamma=[2.4, 2.4, 2.4, 1], offset=[0.055, 0.055, 0.055, 0], direction=OCIO.TRANSFORM_DIR_INVERSE
        )
    else:
        power = 2.6 if display.encoding == "gamma26" else 2.4
        curve = OCIO.ExponentTransform(value=[power, power, power, 1], direction=OCIO.TRANSFORM_DIR_INVERSE)
    return [_matrix(relative), curve]


def _matrix(values: Any) -> OCIO.MatrixTransform:
    whole = np.eye(4)
    whole[:3, :3] = values
    return OCIO.MatrixTransform(matrix=whole.ravel().tolist())


# SMPTE ST 2065-1 and the primaries of ACEScg (S-2014-004), as OpenColorIO's transforms have it.
_AP0_TO_AP1 = np.array(
    [
        [1.451439316145665, -0.2365107468937402, -0.2149285692519252],
        [-0.07655377339602043, 1.176229699833573, -0.0996759264375522],
        [0.008316148425697719, -0.006032449791021028, 0.9977163013653233],
    ]
)


def hold(rgb: Light, display: Display) -> tuple[Light, int, int, float]:
    """Hold linear light within a display's volume, keeping hue.

    A colour outside the limiting gamut moves towards the grey of its own luminance until no channel is below zero;
    light without luminance is black. Then light over the peak becomes as bright as cutting each channel at the peak
    would leave it, so that more light is never shown as less, but of its own hue: it moves towards the grey of that
    luminance until its largest channel is at the peak. HLG's signal ends earlier where colours are saturated (its
    system gamma acts on luminance): there light is dimmed until the signal holds it. Pixels inside keep their bits.

    Parameters
    ----------
    rgb:
        (3, H, W) float32, linear in the limiting primaries, 1.0 = `UNIT` cd/m². Written to. Pixels that hold anything
        not finite are left alone.

    Returns
    -------
    The array; how many pixels lay outside the gamut; how many over the peak; the largest channel there was, in cd/m².
    """
    peak = np.float32(_peak(display) / UNIT)
    limit = display.limit or display.primaries
    weights = to_xyz(limit)[1].astype(np.float32)
    finite = np.isfinite(rgb).all(axis=0)
    highest = rgb.max(axis=0)
    brightest = float(np.max(np.where(finite, highest, 0))) * UNIT if rgb.size else 0.0
    low = rgb.min(axis=0)
    below = finite & (low < 0)
    outside = int(np.count_nonzero(below & (low < -np.float32(NEGLIGIBLE) * np.maximum(highest, 1))))
    if below.any():
        part = rgb[:, below]
        grey = np.maximum(weights[0] * part[0] + weights[1] * part[1] + weights[2] * part[2], 0)
        share = grey / (grey - part.min(axis=0))
        rgb[:, below] = np.maximum(grey + share * (part - grey), 0)
        highest = rgb.max(axis=0)
    above = finite & (highest > peak)
    over = above & (highest > peak * np.float32(1 + NEGLIGIBLE))
    if above.any():
        part = rgb[:, above]
        cut = np.minimum(part, peak)
        grey = weights[0] * cut[0] + weights[1] * cut[1] + weights[2] * cut[2]
        part *= grey / (weights[0] * part[0] + weights[1] * part[1] + weights[2] * part[2])
        room = np.maximum(part.max(axis=0) - grey, np.float32(1e-6) * peak)
        part = grey + np.clip((peak - grey) / room, 0, 1) * (part - grey)
        rgb[:, above] = np.clip(part, 0, peak)
    if display.encoding == "hlg":
        gamma = hlg_gamma(display.full)
        luminance = (weights[0] * rgb[0] + weights[1] * rgb[1] + weights[2] * rgb[2]) / peak
        widest = np.abs(from_xyz(display.primaries) @ to_xyz(limit)).astype(np.float32)
        largest = np.stack([w[0] * rgb[0] + w[1] * rgb[1] + w[2] * rgb[2] for w in widest]).max(axis=0) / peak
        scene = largest * np.maximum(luminance, 1e-12) ** np.float32((1 - gamma) / gamma)
        bright = finite & (scene > 1)
        if bright.any():
            gain = scene[bright] ** np.float32(-gamma)
            rgb[:, bright] *= gain
            over[bright] |= gain < np.float32(1 - NEGLIGIBLE)
    return rgb, outside, int(np.count_nonzero(over)), brightest
