"""FadeRepair: faded dyes brought back, in density."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from safelight.colour.config import config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Pictures, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.nodes.colour.fade_shot import Known, measured
from safelight.nodes.colour.fading import DENSEST, EASE, FAINTEST, MEDIA, Curve, Fade, MediumName
from safelight.nodes.colour.records import Records, records
from safelight.nodes.kernels.launch import launch

LOOKS = 8
"""Frames of a shot that are looked at."""
PATCHES = ("neutral", "skin", "patch")


class FadeRepairParams(Params):
    """Parameters of FadeRepair."""

    medium: MediumName = param(
        "print",
        "print: density is what light the base no longer lets through; fading is lightest in the highlights. negative: "
        "the picture was printed from a negative that has faded, and the shadows have suffered least. separations: "
        "three black-and-white records, each with a base and a gamma of its own, without leaks.",
    )
    estimate: Literal["auto", "manual", "neutral", "skin", "patch", "reference"] = param(
        "auto",
        "auto: from the pictures of the shot. neutral, skin: the same, held to `patch` being grey or skin. patch: held "
        "to `patch` being of `patch_colour`. reference: from the input `reference`, an unfaded print of the shot or a "
        "picture like it. manual: the shares, bends, stains and leaks below.",
    )
    strength: float = param(1.0, "How much of the fading is undone: 0 none, 1 all.", ge=0, le=1.5)
    leave_unfaded: bool = param(
        True,
        "Leave a shot as it is that does not look faded. Switch off where you know that it is. For estimate = auto, "
        "neutral and skin.",
    )
    patch: list[int] = param(
        [],
        "x0, y0, x1, y1 of an area as in the display window, the lower right corner outside; more areas by four more "
        "numbers each.",
        unit="pixels",
    )
    patch_frame: int | None = param(None, "Frame that `patch` is drawn on; by default the clip's first.")
    patch_colour: list[float] = param(
        [], "Red, green, blue that the patch had, scene-linear in the working space; three numbers for each area."
    )
    share_red: float = param(1.0, "For manual: what is left of a density of 1 in red (cyan dye).", ge=0.05, le=4)
    share_green: float = param(1.0, "The same in green (magenta dye).", ge=0.05, le=4)
    share_blue: float = param(1.0, "The same in blue (yellow dye).", ge=0.05, le=4)
    bend_red: float = param(
        0.0, "For manual: how much better the dense parts of red have kept; 0: all alike.", ge=-0.15, le=0.5
    )
    bend_green: float = param(0.0, "The same of green.", ge=-0.15, le=0.5)
    bend_blue: float = param(0.0, "The same of blue.", ge=-0.15, le=0.5)
    stain_red: float = param(0.0, "For manual: density added to red.", ge=-2, le=2)
    stain_green: float = param(0.0, "The same of green.", ge=-2, le=2)
    stain_blue: float = param(0.0, "The same of blue: above 0 a yellow stain.", ge=-2, le=2)
    leak: list[float] = param(
        [],
        "For manual: the share of another dye that a record sees: red of green, red of blue, green of red, green of "
        "blue, blue of red, blue of green. Six numbers from -0.3 to 0.3, or none.",
    )
    primaries: str = param(
        "auto",
        "Linear space whose red, green and blue the scanner saw: densities are taken in it. auto: linear Rec.709 for "
        "print and separations, as sRGB scans are; the working space for negative, as film logs are read.",
        kind="colourspace",
    )


class FadeRepair(Node):
    """Bring faded dyes back: shares of density lost, stain added, leaks between the records undone.

    The model is one of density: D' = leaks · f(D) + stain, where a dye keeps a share of its density, dense parts more
    or less of it than thin ones. It is turned round exactly. Beyond the film's range, densities 0 to 3, the correction
    is a constant gain of light: zero, negative and very bright values survive.

    One set of numbers for the whole shot, from up to eight frames spread over it, is kept beside the document and shown
    in the note: what each dye has kept, stain, and how sure it is, from 0 to 1, and of what. The estimate was learned
    from pictures that were faded by numbers; it knows what density statistics of unfaded pictures are like. It can be
    wrong where a picture is of one colour by nature, such as a sunset: give it a patch or a reference, or the numbers.
    A shot that does not look faded, has no colours, or is black or even, is left alone, bit for bit, and the note says
    why.

    Channels other than R, G, B keep their bits, as does a pixel that is not finite. A plate of Y alone has no dyes.

    References: Gschwind and Frey 1994 (model of fading in density); Trumpy et al. 2023 (digital unfading);
    Xiong and De la Torre 2013 (cascaded regression); Barron 2015 (histograms of colour).
    """

    id = "FadeRepair"
    inputs = (
        Port("input", "The faded picture, scene-linear."),
        Port("reference", "For estimate = reference: an unfaded picture of the same. Only looked at.", optional=True),
    )
    Params = FadeRepairParams
    scratch = 1.2

    def check(self, params: FadeRepairParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse what cannot be estimated as asked; warn of numbers that do nothing."""
        clip, reference = inputs["input"], inputs.get("reference")
        planes = colour_planes(clip.channels)
        if not planes:
            raise GraphError(
                f"there is no R, G, B or Y among the channels {', '.join(clip.channels)}",
                where="input 'input'",
                remedy="Feed a picture.",
            )
        records(config_for(settings), params.primaries, params.medium)
        warnings = []
        if len(planes) < 3:
            warnings.append("the picture has no three records: there are no dyes to bring back, it is handed on")
        if len(params.leak) not in (0, 6) or any(abs(one) > 0.3 for one in params.leak):
            raise GraphError(
                "leaks are six numbers from -0.3 to 0.3", where="parameter 'leak'", remedy="Give six, or none."
            )
        if params.estimate in PATCHES:
            _check_patches(params, clip)
        elif params.patch:
            warnings.append(f"'patch' is not looked at for estimate = {params.estimate}")
        if params.estimate == "reference":
            if reference is None or not len(reference.frames):
                raise GraphError(
                    "there is nothing to refer to", where="input 'reference'", remedy="Connect an unfaded picture."
                )
            if len(colour_planes(reference.channels)) < 3:
                raise GraphError(
                    "the reference has no R, G and B", where="input 'reference'", remedy="Connect a colour picture."
                )
        elif reference is not None:
            warnings.append(f"'reference' is not looked at for estimate = {params.estimate}")
        if params.estimate != "manual" and not _manual(params).nothing:
            warnings.append(f"shares, bends, stains and leaks do nothing for estimate = {params.estimate}")
        return warnings

    def fingerprint(self, params: FadeRepairParams, frame: int | None, settings: Settings) -> str:
        """Return what the primaries are in this config."""
        if frame is not None:
            return ""
        config = config_for(settings)
        return config.fingerprint(config.working, records(config, params.primaries, params.medium).space)

    def identity(self, params: FadeRepairParams, request: Request) -> str | None:
        """Strength 0, or numbers that say that nothing has faded, hand on the input."""
        return "input" if _idle(params) else None

    def needs(self, params: FadeRepairParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the picture; the reference is looked at by the analysis alone."""
        return {"input": (request,)}

    def compute(self, params: FadeRepairParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Repair; see the kernel `fade_repair`."""
        image = inputs["input"].crop(request.region)
        planes = colour_planes(image.channels)
        if len(planes) < 3 or not image.region or _idle(params):
            return image
        config = config_for(inputs.settings, fresh=False)
        seen = records(config, params.primaries, params.medium)
        if params.estimate == "manual":
            fade = _manual(params)
        else:
            if inputs.analysis is None:
                raise RuntimeError("FadeRepair was given no analysis")
            if not np.allclose(inputs.analysis["into"], seen.into, atol=1e-5):
                raise RenderError(
                    "the shot was analysed in other primaries: the colour config has changed",
                    remedy="Delete the node's analysis beside the document, and the shot is analysed again.",
                )
            fade = Fade.of(inputs.analysis["vector"])
        fade = fade.scaled(params.strength)
        if fade.nothing:
            return image
        out = device.empty(image.data.shape)
        out[...] = image.data
        repair(device, image, planes, out, fade, params.medium, seen)
        return image.with_data(out)

    # --- the shot ----------------------------------------------------------------------------------------------------

    def wants_analysis(self, params: FadeRepairParams) -> bool:
        """Look at the shot unless the numbers are given."""
        return params.estimate != "manual" and params.strength > 0

    def analysis_params(self, params: FadeRepairParams) -> Mapping[str, Any]:
        """Look again when the medium changes, what is known, or the primaries; not for the strength."""
        return params.model_dump(
            include={
                "medium", "estimate", "leave_unfaded", "patch", "patch_frame", "patch_colour", "primaries",
            }
        )  # fmt: skip

    def analysis_requests(self, params: FadeRepairParams, clips: Mapping[str, Clip]) -> Mapping[str, Sequence[Request]]:
        """Look at up to eight frames, spread over the shot, and at that of the patch; at the reference's likewise."""
        frames = {port: spread(clip.frames) for port, clip in clips.items()}
        clip = clips["input"]
        if params.estimate in PATCHES:
            frames["input"] = sorted({*frames["input"], _patch_frame(params, clip)})
        if params.estimate != "reference":
            frames.pop("reference", None)
        elif "reference" in frames and set(frames["input"]) & set(clips["reference"].frames):
            # The same frames of both prints, where they are numbered alike.
            shared = [frame for frame in clip.frames if frame in clips["reference"]]
            frames = {port: spread(shared) for port in frames}
        return {
            port: [Request(frame, clips[port].extent_at(frame)) for frame in chosen] for port, chosen in frames.items()
        }

    def analyse(
        self, params: FadeRepairParams, images: Pictures, clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Estimate the fade of the shot; see `fade_shot`."""
        config = config_for(images.settings, fresh=False)
        seen = records(config, params.primaries, params.medium)
        clip = clips["input"]
        if len(colour_planes(clip.channels)) < 3:
            return {
                "note": "there are no three records: nothing is done",
                "into": seen.into.tolist(),
                "vector": [0.0] * 15,
                "confidence": 0.0,
            }
        known = Known(
            params.medium,
            params.estimate,
            params.leave_unfaded,
            tuple(params.patch),
            _patch_frame(params, clip),
            tuple(params.patch_colour),
        )
        return measured(known, images, seen, config, device)


def spread(frames: Sequence[int], most: int = LOOKS) -> list[int]:
    """Return up to `most` frames, evenly spread from the first to the last."""
    if len(frames) <= most:
        return list(frames)
    return [frames[round(i * (len(frames) - 1) / (most - 1))] for i in range(most)]


def _patch_frame(params: FadeRepairParams, clip: Clip) -> int:
    return clip.first if params.patch_frame is None else params.patch_frame


def _check_patches(params: FadeRepairParams, clip: Clip) -> None:
    corners = params.patch
    if not corners or len(corners) % 4:
        raise GraphError(
            f"estimate = {params.estimate} needs a patch, and 'patch' has {len(corners)} numbers",
            where="parameter 'patch'",
            remedy="Give x0, y0, x1, y1, four numbers for each area.",
        )
    frame = _patch_frame(params, clip)
    if frame not in clip:
        raise GraphError(
            f"frame {frame} is not in the clip ({clip.first} to {clip.last})",
            where="parameter 'patch_frame'",
            remedy="Name a frame of the clip.",
        )
    for i in range(0, len(corners), 4):
        x0, y0, x1, y1 = corners[i : i + 4]
        extent = clip.extent_at(frame)
        if not (extent.x0 <= x0 < x1 <= extent.x1 and extent.y0 <= y0 < y1 <= extent.y1):
            raise GraphError(
                f"the area {x0}, {y0}, {x1}, {y1} does not lie in the picture, {extent}",
                where="parameter 'patch'",
                remedy="Give the corners in pixels, upper left first.",
            )
    if params.estimate == "patch" and (
        len(params.patch_colour) * 4 != len(corners) * 3 or min(params.patch_colour, default=0.0) <= 0
    ):
        raise GraphError(
            f"{len(corners) // 4} areas need as many colours; 'patch_colour' has {len(params.patch_colour)} numbers",
            where="parameter 'patch_colour'",
            remedy="Give red, green, blue for each area, scene-linear, above 0.",
        )


def _manual(params: FadeRepairParams) -> Fade:
    leak = tuple(params.leak) or (0.0,) * 6
    return Fade(
        (params.share_red, params.share_green, params.share_blue),
        (params.bend_red, params.bend_green, params.bend_blue),
        (params.stain_red, params.stain_green, params.stain_blue),
        leak if params.medium != "separations" else (0.0,) * 6,  # type: ignore[arg-type]
    )


def _idle(params: FadeRepairParams) -> bool:
    return params.strength == 0 or (params.estimate == "manual" and _manual(params).nothing)


def repair(
    device: Device, image: Image, planes: Sequence[int], out: Any, fade: Fade, medium: str, seen: Records
) -> None:
    """Write the repaired colour planes of an image into `out`, an array of its shape."""
    how = MEDIA[medium]
    curve = fade.curve()
    ordered = tuple(planes) == (0, 1, 2)
    source = image.data[:3] if ordered else image.data[list(planes)]
    made = out[:3] if ordered else device.empty(source.shape)
    launch(
        device,
        "fade_repair",
        image.region,
        plate=(source, image.region),
        out=(made, image.region),
        into=seen.into.ravel(),
        back=seen.back.ravel(),
        zero=how.zero,
        per_decade=how.per_decade,
        faintest=FAINTEST,
        stain=fade.stain,
        unmix=(np.linalg.inv(fade.leaks) - np.eye(3)).ravel(),
        low=-EASE,
        high=DENSEST,
        knots=Curve.KNOTS,
        slopes=curve.slopes.T.ravel(),
        after=curve.after.T.ravel(),
    )
    if not ordered:
        out[list(planes)] = made
