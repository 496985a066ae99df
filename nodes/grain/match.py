"""GrainMatch: the grain of one plate, measured, on another picture."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Pictures, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import GRAINED
from safelight.nodes.grain.analyse import GrainAnalyse, GrainAnalyseParams
from safelight.nodes.grain.domain import Coding, Domain, coding
from safelight.nodes.grain.laid import FEWEST, laid_grain
from safelight.nodes.grain.likeness import Grain, compare, missing
from safelight.nodes.grain.match_notes import UNIT, Reach, remarks
from safelight.nodes.grain.match_notes import note as note_of
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.grain.profile import Profile, load_profile
from safelight.nodes.grain.regrain import film_layers
from safelight.nodes.grain.residual import SIDE
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.grain.survey import survey
from safelight.nodes.grain.synthesis import Laying


class GrainMatchParams(Params):
    """Parameters of GrainMatch."""

    profile: str = param(
        "",
        "Grain profile of the plate to match, as GrainAnalyse or `safelight analyse --profile` save it; in place of "
        "the input `reference`.",
        kind="path",
    )
    strength: float = param(
        1.0, "Sigma of the grain added over what is missing: 1 is the match, 0 hands the picture on.", ge=0, le=10
    )
    red: float = param(1.0, "The same for red alone, times `strength`.", ge=0, le=10)
    green: float = param(1.0, "The same for green alone, and for a lone Y.", ge=0, le=10)
    blue: float = param(1.0, "The same for blue alone.", ge=0, le=10)
    subtract: bool = param(
        True,
        "Measure the grain that the input already has and add only what is missing. Switch off for pictures that are "
        "known to be clean and whose fine texture is taken for grain.",
    )
    domain: Literal["auto", "log", "linear", "density"] = param(
        "auto",
        "What the reference is measured in and the grain laid in. log: stops above a toe of 0.01, for scene-linear "
        "plates. density: of the layers of `stock`. linear: plate values, for material that is already log or "
        "display-referred. auto: density where a stock is named, otherwise log. A profile brings its own.",
    )
    stock: str = param(
        "", "Camera negative of the reference, for density: Kodak Vision3 50D, 250D, 200T or 500T. Empty: unknown."
    )
    seed: int = param(
        1, "Number of the grain pattern. The same seed gives the same grain, frame by frame.", ge=0, le=2**32 - 1
    )


def _profile(params: GrainMatchParams) -> Profile:
    return load_profile(Path(params.profile))


def _where(params: GrainMatchParams) -> tuple[Domain, str]:
    """Return the domain and the stock whose density it is."""
    if params.profile:
        profile = _profile(params)
        return profile.domain, profile.stock
    if params.domain == "auto":
        return ("density", params.stock) if params.stock else ("log", "")
    return params.domain, params.stock if params.domain == "density" else ""


def _coding(domain: Domain, stock: str, channels: Sequence[str]) -> Coding:
    if domain != "density":
        return coding(domain)
    curves = load_stock(stock).curves
    return coding(domain, [curves[layer] for layer in film_layers(channels)[1]])


def _names(channels: Sequence[str]) -> list[str]:
    return [channels[plane].upper() for plane in colour_planes(channels)]


class GrainMatch(Node):
    """Give a picture the grain of another plate: measured there, laid in here, and the error of the match measured.

    The reference (`reference`, a plate, or `profile`, what GrainAnalyse saved of one) says sigma against exposure for
    each channel, the power spectrum, along and across, and the correlation of the channels. Grain with these is laid
    in at each pixel's own exposure, in the domain it was measured in. Beyond the exposures that were measured sigma
    stays what it is at the last. The mean light of every tone is kept.

    A picture that has grain of its own gets what is missing: sigma² − own², at every exposure, with the difference of
    the two spectra where that is positive. Where it has more than the reference, at an exposure or at a frequency,
    nothing is added, and the note says so: a Degrain before the match makes room.

    The analysis measures the input, lays the grain into the very frames it measured, and measures them again (where
    the input was clean, by what they have become over what they were, so that texture does not count): its entry
    `match` holds the errors before and after, of sigma, spectrum and correlation, as the note does in short.
    `safelight analyse A --against B --plot match.png` draws them. They are of the match itself, at strength 1.

    Grain is matched pixel for pixel: bring the input to the reference's resolution before. A matte weighs sigma; where
    it is 0, and outside its data window, pixels keep their bits. Output `grain` is what was added: input + grain is the
    image bit for bit. Black, negative and very bright values are not clamped; pixels that are not finite, and channels
    other than R, G, B or a lone Y, stay as they are. The pattern depends on seed, frame and pixel alone, and is
    independent of Regrain's.

    References: `safelight.nodes.grain.survey` for the measurement; Oppenheim and Schafer, Discrete-Time Signal
    Processing (noise of a given spectrum); Salmon et al. 2011 (counter-based random numbers).
    """

    id = "GrainMatch"
    inputs = (
        Port("input", "Picture that gets the grain, scene-linear."),
        Port("reference", "Plate whose grain it gets. Only looked at; may be of other length and size.", optional=True),
        Port("matte", "Where the grain goes, first channel, 0 to 1; without it, everywhere.", optional=True),
    )
    outputs = (
        Port("image", "The picture with the reference's grain."),
        Port("grain", "What was added: input + grain is the image."),
    )
    Params = GrainMatchParams
    mark = GRAINED
    scratch = 1.2  # white noise

    def invents(self, params: GrainMatchParams) -> str:
        """It lays in grain of its own."""
        return "lays in grain that was never on the film"

    def check(self, params: GrainMatchParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse no reference, two of them, pictures without colour, mattes of another size, channels unlike."""
        clip, reference = inputs["input"], inputs.get("reference")
        require_picture(clip)
        if (reference is None) == (not params.profile):
            raise GraphError(
                "there is nothing to match" if reference is None else "there are two things to match",
                where="input 'reference', parameter 'profile'",
                remedy="Connect the plate to 'reference', or name its 'profile': one of the two.",
            )
        matte = inputs.get("matte")
        if matte is not None and matte.display != clip.display:
            raise GraphError(
                f"the matte is {matte.display} and the picture is {clip.display}",
                where="input 'matte'",
                remedy="Bring the matte to the picture's size.",
            )
        if reference is not None:
            if not colour_planes(reference.channels):
                raise GraphError(
                    f"there is no R, G, B or Y among the channels {', '.join(reference.channels)}",
                    where="input 'reference'",
                    remedy="Feed the plate itself.",
                )
            if not len(reference.frames):
                raise GraphError("the reference has no frames", where="input 'reference'", remedy="Feed the plate.")
            channels, width = _names(reference.channels), reference.display.width
        else:
            if params.domain != "auto" or params.stock:
                raise GraphError(
                    "a profile brings the domain and the stock it was measured in",
                    where="parameter 'stock'" if params.stock else "parameter 'domain'",
                    remedy="Leave 'domain' at \"auto\" and 'stock' empty.",
                )
            profile = _profile(params)
            channels, width = [name.upper() for name in profile.channels], profile.plate.width
        domain, stock = _where(params)
        if domain == "density" and not stock:
            raise GraphError(
                "density is that of a stock, and none is named", where="parameter 'stock'", remedy="Name it: 500T."
            )
        if stock:
            load_stock(stock)
        return list(remarks(_names(clip.channels), channels, clip.display.width, width))

    def fingerprint(self, params: GrainMatchParams, frame: int | None, settings: Settings) -> str:
        """Return the profile's content."""
        return _content(params) if frame is None else ""

    def identity(self, params: GrainMatchParams, request: Request) -> str | None:
        """Strength 0, of all or of every channel, hands on the input."""
        return "input" if _idle(params) else None

    def needs(self, params: GrainMatchParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the picture and its matte; the reference is looked at by the analysis alone."""
        return {"input": (request,), "matte": (request,)}

    def compute(
        self, params: GrainMatchParams, request: Request, inputs: Inputs, device: Device
    ) -> Mapping[str, Image]:
        """Lay the grain in; see the kernels `match_white` and `match_apply`."""
        image = inputs["input"].crop(request.region)
        if inputs.analysis is None and not _idle(params):
            raise RuntimeError("GrainMatch was given no analysis")
        added = None if _idle(params) or inputs.analysis is None else inputs.analysis["added"]
        return _lay(params, added, image, inputs.get("matte"), request.frame, device)

    # --- the shot ----------------------------------------------------------------------------------------------------

    def wants_analysis(self, params: GrainMatchParams) -> bool:
        """Measure unless nothing is added."""
        return not _idle(params)

    def analysis_params(self, params: GrainMatchParams) -> Mapping[str, Any]:
        """Measure again when the reference, the domain or the pattern change; strength is no part of the match."""
        domain, stock = _where(params)
        return {
            "profile": _content(params),
            "domain": domain,
            "stock": stock,
            "subtract": params.subtract,
            "seed": params.seed,
        }

    def analysis_requests(self, params: GrainMatchParams, clips: Mapping[str, Clip]) -> Mapping[str, Sequence[Request]]:
        """Look at up to six pairs of neighbouring frames of the input, and of the reference."""
        ports = [port for port in ("input", "reference") if port in clips]
        look = GrainAnalyse().analysis_requests
        return {port: look(GrainAnalyseParams(), {"input": clips[port]}) for port in ports}

    def analyse(
        self, params: GrainMatchParams, images: Pictures, clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Measure reference and input, lay the grain into the input's frames, and measure these.

        Raises RenderError where too little of the reference can be measured.
        """
        domain, stock = _where(params)
        channels = clips["input"].channels
        names = _names(channels)
        code = _coding(domain, stock, channels)
        if params.profile:
            profile = Grain.of_profile(_profile(params))
            readings = {name.upper(): one for name, one in profile.readings.items()}
            wanted = Grain(readings, profile.correlation, profile.channels)
        else:
            theirs = clips["reference"].channels
            found = survey(_planes(images.of("reference"), device), _coding(domain, stock, theirs))
            if found.usable < FEWEST:
                raise RenderError(
                    f"only {found.usable} areas of {SIDE} x {SIDE} pixels of the reference are neither clipped nor "
                    f"empty: grain is not measured on fewer than {FEWEST}",
                    remedy="Give a larger or less clipped reference.",
                )
            wanted = Grain.of_survey(found, _names(theirs))
        wanted = Grain(
            {name.upper(): one for name, one in wanted.readings.items()}, wanted.correlation, wanted.channels
        )
        facts: dict[str, Any] = {"domain": domain, "stock": stock, "channels": names}
        if wanted.silent:
            return {"note": "the reference has no grain: nothing is added", **facts, "added": None}
        wanted = wanted.like(names)
        reach = Reach(wanted)
        before = survey(reach.watch(_planes(images.of("input"), device)), code)
        own = Grain.of_survey(before, names) if params.subtract else laid_grain((), code, names)
        lack = missing(wanted, own)
        added = {**facts, **lack.as_data()} if lack.sigma.any() else None
        plain = GrainMatchParams(seed=params.seed)

        def rendered() -> Iterator[tuple[int, Any, Any]]:
            for frame, image in images.of("input"):
                made = _lay(plain, added, device.upload(image), None, frame, device)["image"]
                yield frame, _colours(image, device), _colours(made, device)

        if own.silent:  # all that is there was laid in: what texture hides from a survey, a difference shows
            after = laid_grain(((given, made) for _, given, made in rendered()), code, names)
        else:
            after = Grain.of_survey(survey(((frame, made) for frame, _, made in rendered()), code), names)
        match = {"before": compare(wanted, own), "after": compare(wanted, after)}
        note = ". ".join(
            [note_of(wanted, own, after, match, lack, UNIT[domain], subtract=params.subtract), *reach.remarks()]
        )
        if before.usable < FEWEST:
            note += f". Careful: only {before.usable} areas of the input could be measured"
        data = {"reference": wanted.as_data(), "before": own.as_data(), "after": after.as_data()}
        return {"note": note, **facts, "match": match, "added": added, **data}


def _idle(params: GrainMatchParams) -> bool:
    return params.strength == 0 or (params.red, params.green, params.blue) == (0, 0, 0)


def _content(params: GrainMatchParams) -> str:
    """Return a hash of the profile's file; empty without one."""
    if not params.profile:
        return ""
    try:
        return hashlib.sha256(Path(params.profile).read_bytes()).hexdigest()
    except OSError as error:
        raise GraphError(
            f"the grain profile cannot be read: {error.strerror}", file=params.profile, remedy="Check the path."
        ) from None


def _planes(images: Iterable[tuple[int, Image]], device: Device) -> Iterator[tuple[int, Any]]:
    for frame, image in images:
        yield frame, _colours(image, device)


def _colours(image: Image, device: Device) -> Any:
    return device.download(image).data[list(colour_planes(image.channels))]


def _lay(
    params: GrainMatchParams,
    added: Mapping[str, Any] | None,
    image: Image,
    matte: Image | None,
    frame: int,
    device: Device,
) -> Mapping[str, Image]:
    """Return picture and grain."""
    xp = device.xp
    planes = colour_planes(image.channels)
    inside = image.region if matte is None else image.region.intersect(matte.region)
    grain = xp.zeros_like(image.data)
    if added is None or not planes or not inside:
        return {"image": image, "grain": image.with_data(grain)}
    by_name = {"R": params.red, "B": params.blue}
    gains = tuple(params.strength * by_name.get(name, params.green) for name in _names(image.channels))
    laying = _laying(json.dumps(added, sort_keys=True), gains, tuple(image.channels))
    out = image.data.copy()
    y, x = inside.y0 - image.region.y0, inside.x0 - image.region.x0
    part = (slice(None), slice(y, y + inside.height), slice(x, x + inside.width))
    laying.lay(device, image.crop(inside), planes, out[part], grain[part], seed=params.seed, frame=frame, matte=matte)
    return {"image": image.with_data(out), "grain": image.with_data(grain)}


@lru_cache(maxsize=8)
def _laying(added: str, gains: tuple[float, ...], channels: tuple[str, ...]) -> Laying:
    """Prepare what an analysis says is to be added; once for all frames."""
    data = json.loads(added)
    sigma = np.asarray(data["sigma"], np.float64) * np.asarray(gains)[:, None]
    return Laying.of(
        _coding(data["domain"], data["stock"], channels),
        np.asarray(data["light"], np.float64),
        sigma,
        np.asarray(data["autocorrelation"], np.float64),
        np.asarray(data["correlation"], np.float64),
    )
