"""The fade of a shot, from all that is known of it: its frames, a patch, a reference; and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from safelight.colour.config import ColourConfig
from safelight.graph.device import Device
from safelight.graph.errors import RenderError
from safelight.graph.image import Image, colour_planes
from safelight.graph.node import Pictures
from safelight.graph.region import Region
from safelight.nodes.colour import fade_fit
from safelight.nodes.colour.fade_estimate import Estimate, Seen, blind, change, doubt
from safelight.nodes.colour.fade_statistics import Floats
from safelight.nodes.colour.fading import MEDIA, Fade
from safelight.nodes.colour.records import Records, matrix, rec709

FADED = {"print": 0.99, "negative": 0.75, "separations": 0.89}
"""How surely a shot must have faded to be touched: where crops of unseen training pictures that have not faded come out
changed by at most 0.85 (CIEDE2000) on average; for prints by 0.5, as other people's pictures turned out to be changed
more than these crops foretell. `fades/README.md` has the shares that pass.
"""
CHANGE = 4.0
"""The least colour difference that a repair makes."""
NEUTRAL = 0.05
"""Density by which the records of a repaired pixel that counts as grey may differ."""
_LOOSE = 4.0
"""A reference is believed over the guess from the picture, whose covariance is stretched by this."""
_WHY = {
    "black": "the picture is black",
    "one colour": "the picture is of one colour",
    "monochrome": "the picture has no colours, only one cast",
    "empty": "there is no finite pixel",
}


@dataclass(frozen=True)
class Known:
    """What the parameters of FadeRepair say."""

    medium: str
    estimate: str
    leave_unfaded: bool
    patch: tuple[int, ...]
    patch_frame: int
    patch_colour: tuple[float, ...]


def measured(known: Known, images: Pictures, seen: Records, config: ColourConfig, device: Device) -> dict[str, Any]:
    """Return the analysis of a shot as plain data: `vector` for the render, the rest for people.

    `confidence` is from 0 to 1: the share of the colour difference made that is no doubt (change² over change² and
    doubt²; from pictures alone, the doubt is the difference that the nets expect to be left), times how well frames
    agree; where nothing is done, how surely the shot has not faded.
    """
    medium = MEDIA[known.medium]
    shot: list[Seen] = []
    patches: list[Floats] = []
    for frame, image in images:
        light = seen.light(_colours(image, device))
        shot.append(Seen.of(frame, light, medium))
        if known.patch and frame == known.patch_frame and known.estimate in ("neutral", "skin", "patch"):
            patches = _patches(known, light, image.region)
    found = blind(shot, known.medium)
    why = _why(shot)
    told = [one for one in shot if not one.reason]
    vector, covariance, basis = found.vector, found.covariance, "pictures"
    if known.estimate == "reference" and told:
        vector, covariance, basis = _referred(known, found, told, images, seen, device)
        why = ""
    else:
        if (
            known.leave_unfaded
            and known.estimate != "patch"
            and not why
            and not _looks_faded(found, told, known.medium)
        ):
            why = "it does not look faded"
            vector = np.zeros_like(vector)
        if patches:
            vector, covariance, basis = _patched(known, vector, covariance, np.stack(patches, 1), seen, config)
            why = "" if why == "it does not look faded" else why
    if why or not told:
        vector = np.zeros_like(vector)
    return _result(known, found, vector, covariance, basis, why, shot, seen)


def _looks_faded(found: Estimate, told: Sequence[Seen], medium: str) -> bool:
    made = np.mean([change(Fade.of(found.vector), one.density, MEDIA[medium]) for one in told])
    return found.faded >= FADED[medium] and float(made) >= CHANGE


def _why(shot: Sequence[Seen]) -> str:
    """Return why nothing can be told; empty where one frame at least can."""
    reasons = [one.reason for one in shot]
    if not reasons:
        return "there are no frames"
    return "" if not all(reasons) else _WHY[max(set(reasons), key=reasons.count)]


def _colours(image: Image, device: Device) -> Floats:
    return np.asarray(device.download(image).data[list(colour_planes(image.channels))])


def _patches(known: Known, light: Floats, region: Region) -> list[Floats]:
    """Return the mean density of each area, by the median of its light."""
    made = []
    for i in range(0, len(known.patch), 4):
        x0, y0, x1, y1 = known.patch[i : i + 4]
        part = light[:, y0 - region.y0 : y1 - region.y0, x0 - region.x0 : x1 - region.x0].reshape(3, -1)
        part = part[:, np.isfinite(part).all(0)]
        if not part.size or np.median(part, axis=1).min() <= 0:
            raise RenderError(
                f"the area {x0}, {y0}, {x1}, {y1} holds no light to measure",
                frame=known.patch_frame,
                remedy="Draw 'patch' where the picture is neither black nor broken.",
            )
        made.append(MEDIA[known.medium].density(np.median(part, axis=1)))
    return made


def _patched(
    known: Known, vector: Floats, covariance: Floats, patches: Floats, seen: Records, config: ColourConfig
) -> tuple[Floats, Floats, str]:
    medium = MEDIA[known.medium]
    if known.estimate == "neutral":
        left = fade_fit.neutral(patches)
    elif known.estimate == "skin":
        linear = rec709(config)
        change_of = matrix(config, linear, seen.space) if linear else np.eye(3)
        left = fade_fit.skin(patches, medium.density(change_of @ fade_fit.SKIN.T))
    else:
        true = seen.light(np.reshape(known.patch_colour, (-1, 3)).T)
        left = fade_fit.known(patches, medium.density(true))
    moved, sure = fade_fit.believed(vector, covariance, left)
    areas = "patch" if patches.shape[1] == 1 else f"{patches.shape[1]} patches"
    kind = {"neutral": "grey", "skin": "skin", "patch": "known"}[known.estimate]
    return moved, sure, f"pictures and {kind} {areas}"


def _referred(
    known: Known, found: Estimate, told: Sequence[Seen], images: Pictures, seen: Records, device: Device
) -> tuple[Floats, Floats, str]:
    medium = MEDIA[known.medium]
    theirs = {
        frame: Seen.of(frame, seen.light(_colours(image, device)), medium) for frame, image in images.of("reference")
    }
    if all(one.reason for one in theirs.values()):
        raise RenderError("the reference shows no colours", remedy="Connect a picture with colours.")
    pairs = [
        (one.density, theirs[one.frame].density)
        for one in told
        if one.frame in theirs and fade_fit.registered(one.density, theirs[one.frame].density)
    ]
    wide = found.covariance * _LOOSE
    if pairs:
        vector, sure = fade_fit.believed(found.vector, wide, fade_fit.pixelwise(pairs), steps=30)
        return vector, sure, f"the reference, pixel on pixel in {len(pairs)} frame{'s' * (len(pairs) > 1)}"
    ours = np.concatenate([one.density.reshape(3, -1) for one in told], 1)
    other = np.concatenate([one.density.reshape(3, -1) for one in theirs.values() if not one.reason], 1)
    vector, sure = fade_fit.believed(found.vector, wide, fade_fit.alike(ours, other), steps=30)
    return vector, sure, "the reference's colours, as it shows the scene otherwise"


def _result(
    known: Known,
    found: Estimate,
    vector: Floats,
    covariance: Floats,
    basis: str,
    why: str,
    shot: Sequence[Seen],
    seen: Records,
) -> dict[str, Any]:
    medium, fade = MEDIA[known.medium], Fade.of(vector)
    told = [one for one in shot if not one.reason]
    made = float(np.mean([change(fade, one.density, medium) for one in told])) if told and not why else 0.0
    if basis == "pictures":
        unsure = found.left
    else:
        unsure = float(np.mean([doubt(vector, covariance, one.density, medium) for one in told])) if told else 0.0
    apart = found.agreement if basis == "pictures" else 0.0
    if why:
        confidence = (1 - found.faded) if why == "it does not look faded" else 0.0
    else:
        confidence = made**2 / (made**2 + unsure**2 + 1e-9) / (1 + (apart / 5) ** 2)
    grey, span = _grey(told, fade), _span(told)
    rests = {
        "basis": basis,
        "frames": [one.frame for one in told],
        "frames_untold": {str(one.frame): one.reason for one in shot if one.reason},
        "looks_faded": round(found.faded, 3),
        "change": round(made, 2),
        "doubt": round(unsure, 2),
        "frames_apart": round(apart, 2),
        "grey_pixels": round(grey, 3),
        "density_range": [round(one, 2) for one in span],
    }
    return {
        "note": _note(fade, why, confidence, rests),
        "medium": known.medium,
        "primaries": seen.space,
        "into": seen.into.tolist(),
        "vector": [float(one) for one in vector],
        "share": [round(one, 3) for one in fade.share],
        "bend": [round(one, 3) for one in fade.bend],
        "stain": [round(one, 3) for one in fade.stain],
        "leak": [round(one, 3) for one in fade.leak],
        "left_alone": why,
        "confidence": round(confidence, 3),
        "rests_on": rests,
    }


def _grey(told: Sequence[Seen], fade: Fade) -> float:
    """Return the share of the pixels that are near grey once repaired."""
    if not told:
        return 0.0
    d = [fade.repaired(one.density.reshape(3, -1)) for one in told]
    return float(np.mean([np.mean(np.ptp(one, axis=0) < NEUTRAL) for one in d]))


def _span(told: Sequence[Seen]) -> list[float]:
    """Return what densities each record holds, from its 1st to its 99th percentile."""
    if not told:
        return [0.0] * 3
    ends = [np.quantile(one.density.reshape(3, -1), (0.01, 0.99), axis=1) for one in told]
    return [float(one) for one in np.mean([high - low for low, high in ends], axis=0)]


def _note(fade: Fade, why: str, confidence: float, rests: Mapping[str, Any]) -> str:
    if why:
        return f"nothing is done: {why} (confidence {confidence:.2f})"
    share = ", ".join(f"{one:.0%}" for one in fade.share)
    stain = ", ".join(f"{one:+.2f}" for one in fade.stain)
    frames = len(rests["frames"])
    note = (
        f"dyes kept (red, green, blue record) {share}, stain {stain}; confidence {confidence:.2f}: the repair changes "
        f"colours by {rests['change']:.0f} and is in doubt by {rests['doubt']:.0f} (CIEDE2000), from {rests['basis']}, "
        f"{frames} frame{'s' * (frames != 1)}"
    )
    if frames > 1 and rests["basis"] == "pictures":
        note += f" that differ by {rests['frames_apart']:.0f}"
    if not math.isclose(rests["grey_pixels"], 0) and rests["grey_pixels"] < 0.02:
        note += ". Careful: hardly a pixel is grey"
    return note
