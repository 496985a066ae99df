"""GrainAnalyse: the grain of a plate, measured and kept as a profile."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.nodes.grain.domain import Coding, Domain, coding
from safelight.nodes.grain.patch import FEWEST, area_of, check_patch
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.grain.profile import BINS, LAGS, Channel, PlateFacts, Point, Profile, save_profile
from safelight.nodes.grain.regrain import film_layers
from safelight.nodes.grain.residual import SIDE, radial
from safelight.nodes.grain.shares import film_share
from safelight.nodes.grain.stock import load_stock
from safelight.nodes.grain.survey import Survey, survey
from safelight.nodes.io.files.header import ORIGIN

PAIRS = 6
"""Pairs of neighbouring frames that are looked at, spread over the shot."""
_WIDE = 0.5  # range of film shares beyond which the plate does not tell
_UNIT = {"log": "stops", "linear": "plate values", "density": "density"}


class GrainAnalyseParams(Params):
    """Parameters of GrainAnalyse."""

    profile: str = param(
        "",
        "File the profile is saved to when the shot is analysed (JSON); empty keeps it with the analysis alone.",
        kind="path",
        picture=False,
    )
    patch: list[int] = param(
        [],
        "x0, y0, x1, y1 of the area to measure, as in the display window, the lower right corner outside; empty takes "
        "the whole picture.",
        unit="pixels",
        picture=False,
    )
    pitch: float = param(
        0.0,
        "Distance of pixels on the film: frequencies are then also given in cycles/mm. 0: unknown.",
        unit="µm",
        ge=0,
        le=1000,
        picture=False,
    )
    domain: Literal["auto", "log", "linear", "density"] = param(
        "auto",
        "What sigma is measured in. log: stops above a toe of 0.01, for scene-linear plates. density: of the layers of "
        "`stock`. linear: plate values, for material that is already log or display-referred. auto: density where a "
        "stock is named, otherwise log.",
        picture=False,
    )
    stock: str = param(
        "",
        "Camera negative the plate was shot on, for density: Kodak Vision3 50D, 250D, 200T or 500T. Empty: unknown.",
        picture=False,
    )


def _domain(params: GrainAnalyseParams) -> Domain:
    if params.domain == "auto":
        return "density" if params.stock else "log"
    return params.domain


def _coding(params: GrainAnalyseParams, channels: Sequence[str]) -> Coding:
    domain = _domain(params)
    if domain != "density":
        return coding(domain)
    curves = load_stock(params.stock).curves
    return coding(domain, [curves[layer] for layer in film_layers(channels)[1]])


class GrainAnalyse(Node):
    """Measure the grain of a plate; the picture is handed on unchanged.

    Up to six pairs of neighbouring frames are looked at. Where the picture stands still or is flat, noise is what is
    left of the difference of the two; elsewhere, flat areas of single frames are measured. Blocks of 16 × 16 pixels
    that hold anything but noise are left out by their energy. The analysis holds a profile: for each channel sigma
    against light, with samples and uncertainty; the power spectrum in ten rings; the autocorrelation; the correlation
    of the channels; and the share of the noise that is coloured as film grain is. `safelight analyse` shows it.

    References: Pyatykh et al. 2013 and Ponomarenko et al. 2007 (flat blocks by rank, see `noise`); Dainty and Shaw,
    Image Science, 1974 (Wiener spectrum of grain).
    """

    id = "GrainAnalyse"
    inputs = (Port("input", "The plate."),)
    outputs = (Port("image", "The plate, unchanged."),)
    Params = GrainAnalyseParams
    scratch = 0.0

    def check(self, params: GrainAnalyseParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips without a picture, a patch that is none, and density without a stock."""
        clip = inputs["input"]
        require_picture(clip)
        if _domain(params) == "density" and not params.stock:
            raise GraphError(
                "density is that of a stock, and none is named", where="parameter 'stock'", remedy="Name it: 500T."
            )
        if params.stock:
            load_stock(params.stock)
        if params.patch:
            check_patch(params.patch, clip.display, clip.extent)
        if params.profile and not Path(params.profile).parent.is_dir():
            raise GraphError(
                "the folder of the profile is not there",
                where="parameter 'profile'",
                file=params.profile,
                remedy="Make the folder, or name another.",
            )
        return ()

    def identity(self, params: GrainAnalyseParams, request: Request) -> str | None:
        """Hand on the plate."""
        return "input"

    def compute(self, params: GrainAnalyseParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Hand on the plate."""
        return inputs["input"].crop(request.region)

    def wants_analysis(self, params: GrainAnalyseParams) -> bool:
        """Measure always: that is all it does."""
        return True

    def analysis_params(self, params: GrainAnalyseParams) -> Mapping[str, Any]:
        """Measure again when anything changes."""
        return params.model_dump()

    def analysis_stands(self, params: GrainAnalyseParams, result: Mapping[str, Any]) -> bool:
        """Measure again when the profile's file has gone."""
        return not params.profile or Path(params.profile).is_file()

    def analysis_requests(self, params: GrainAnalyseParams, clips: Mapping[str, Clip]) -> Sequence[Request]:
        """Look at up to six pairs of neighbouring frames, spread over the shot."""
        clip = clips["input"]
        starts = max(0, len(clip.frames) - 2)
        firsts = {clip.first + round(i * starts / (PAIRS - 1)) for i in range(PAIRS)} if clip.frames else set()
        frames = sorted({frame for first in firsts for frame in (first, first + 1) if frame in clip})
        area = area_of(params.patch)
        wanted = [(frame, clip.extent_at(frame)) for frame in frames]
        return [Request(frame, extent.intersect(area) if area else extent) for frame, extent in wanted]

    def analyse(
        self, params: GrainAnalyseParams, images: Iterable[tuple[int, Image]], clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Measure, and save the profile.

        Raises RenderError where too little of the plate can be measured.
        """
        clip = clips["input"]
        names: list[str] = [clip.channels[plane] for plane in colour_planes(clip.channels)]
        frames: list[int] = []
        area = area_of(params.patch)

        def planes() -> Iterable[tuple[int, Any]]:
            for number, image in images:
                frames.append(number)
                found = list(colour_planes(image.channels))
                cropped = image.crop(image.region.intersect(area)) if area else image
                yield number, device.download(cropped).data[found]

        found = survey(planes(), _coding(params, clip.channels))
        if found.usable < FEWEST:
            raise RenderError(
                f"only {found.usable} areas of {SIDE} x {SIDE} pixels are neither clipped nor empty: grain is not "
                f"measured on fewer than {FEWEST}",
                remedy="Draw a larger patch on an evenly lit part." if area else "Give a larger or less clipped plate.",
            )
        profile = _profile(params, found, names, clip, frames)
        if params.profile:
            save_profile(profile, Path(params.profile))
        return {"note": profile.note, "profile": profile.as_data()}


def _profile(
    params: GrainAnalyseParams, found: Survey, names: Sequence[str], clip: Clip, frames: Sequence[int]
) -> Profile:
    domain, pitch = _domain(params), params.pitch or None
    channels: dict[str, Channel] = {}
    layers = film_layers(clip.channels)[1]
    told = []
    for c, name in enumerate(names):
        rows = found.readings[c]
        light = () if domain == "linear" else rows  # other codings do not say what light is
        share = (
            film_share(found.correlation[c], float(found.blocks[c]), pitch, light, layers[c], params.stock)
            if rows
            else None
        )
        known = share is not None and share[2] - share[1] <= _WIDE
        if share is not None:
            told.append(f"{name} {share[1]:.0%} to {share[2]:.0%}")
        channels[name] = Channel(
            curve=[
                Point(
                    level=_short(row.level),
                    stops=round(float(np.log2(row.level / 0.18)), 3) if row.level > 0.18 * 2**-12 else None,
                    sigma=_short(row.variance**0.5),
                    sigma_linear=_short(row.linear**0.5),
                    uncertainty=_short(0.5 * row.error / row.variance**0.5),
                    samples=row.blocks * SIDE * SIDE,
                    method="temporal" if row.temporal else "spatial",
                )
                for row in rows
            ],
            spectrum=[_short(v) for v in radial(found.correlation[c], BINS)] if rows else [],
            autocorrelation=[[_short(v) for v in line[:LAGS]] for line in found.correlation[c][:LAGS]] if rows else [],
            film_share=_short(share[0]) if share is not None and known else None,
            film_share_range=(_short(share[1]), _short(share[2])) if share is not None else None,
        )
    centres = [(index + 0.5) * 0.5 / BINS for index in range(BINS)]
    return Profile(
        note=". ".join([_note(channels, domain), *(f"Careful: {remark}" for remark in found.remarks)]),
        domain=domain,
        stock=load_stock(params.stock).short if params.stock and domain == "density" else "",
        plate=PlateFacts(
            source=_source(clip),
            width=clip.display.width,
            height=clip.display.height,
            frames=list(frames),
            patch=(params.patch[0], params.patch[1], params.patch[2], params.patch[3]) if params.patch else None,
            pitch_um=pitch,
        ),
        channels=channels,
        frequencies=[_short(f) for f in centres],
        frequencies_per_mm=[_short(f * 1000 / pitch) for f in centres] if pitch else None,
        correlation=[[round(float(v), 4) for v in row] for row in found.channels],
        told_apart=(
            "by the autocorrelation: white noise adds to lag 0 alone, Gaussian dye clouds on square pixels to the "
            "others too; and by light: a sensor's variance is a line in it, film's that of a stock's density; film "
            f"shares that fit: {', '.join(told)}. Noise coloured by a debayer, a resize or a codec looks like film; "
            "where it goes with light as a sensor's does, nothing is said."
            if told
            else "not: there is no noise"
        ),
    )


def _note(channels: Mapping[str, Channel], domain: Domain) -> str:
    said = []
    for name, channel in channels.items():
        if channel.curve:
            middle = min(channel.curve, key=lambda point: abs(point.stops if point.stops is not None else 99.0))
            said.append(f"{name} {middle.sigma:.3g}")
    if not said:
        return "no grain found"
    return f"grain: sigma nearest mid-grey {', '.join(said)} {_UNIT[domain]}"


def _source(clip: Clip) -> str:
    file = clip.metadata.get(ORIGIN)
    if isinstance(file, Mapping):
        return str(file.get("path", ""))
    return str(clip.metadata.get("safelight:plate", ""))


def _short(value: float) -> float:
    return float(f"{float(value):.5g}")
