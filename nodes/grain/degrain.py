"""Degrain: grain and noise taken out of a plate, along the motion, by what the noise is known or measured to be."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import FILTERED
from safelight.graph.region import Region
from safelight.nodes.grain.domain import CODE, TOE, Coding, coding
from safelight.nodes.grain.knowledge import Knowledge, Source
from safelight.nodes.grain.merging import Stack, merged
from safelight.nodes.grain.noise import Noise
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.grain.taking import Taking, coverage
from safelight.nodes.grain.working import encoded, work_area
from safelight.nodes.kernels.launch import launch
from safelight.nodes.motion.blocks import Pyramid, compensate, pyramid, quarter, search

SEARCH_SCALE = {
    "log": 200.0,
    "linear": 2048.0,
    "density": 1200.0,
}  # steps of the search luma for each unit of the domain


class DegrainParams(Params):
    """Parameters of Degrain."""

    strength: float = param(
        1.0,
        "How much of the grain is taken: 1 is what the noise is measured to be; below 1 some of it is left as it is, "
        "above 1 the noise is thought to be that much stronger.",
        ge=0,
        le=4,
    )
    red: float = param(1.0, "Strength in red, times `strength`. On a plate of Y alone it does nothing.", ge=0, le=2)
    green: float = param(1.0, "Strength in green, times `strength`.", ge=0, le=2)
    blue: float = param(1.0, "Strength in blue, times `strength`.", ge=0, le=2)
    shadows: float = param(
        1.0,
        "Strength, times the others, where a channel's clean value lies 3 stops and more below 0.18; smoothly over to "
        "that of the midtones until 1 stop below.",
        ge=0,
        le=2,
    )
    midtones: float = param(
        1.0, "Strength, times the others, within 1 stop of 0.18, by each channel's clean value.", ge=0, le=2
    )
    highlights: float = param(
        1.0,
        "Strength, times the others, where a channel's clean value lies 3 stops and more above 0.18; smoothly from "
        "that of the midtones from 1 stop above.",
        ge=0,
        le=2,
    )
    detail: float = param(
        0.0,
        "Detail protection: less is taken where the clean picture varies within 7 × 7 pixels, against the noise. At 1 "
        "half of the grain stays where texture and edges are as strong as it, nearly all where they are far stronger.",
        ge=0,
        le=1,
    )
    radius: int = param(2, "Frames before and after that help. 0 works on each frame alone.", unit="frames", ge=0, le=4)
    noise: Source = param(
        "auto",
        "auto: sigma and spectrum are measured on the whole shot. patch: in `patch` alone. profile: as saved in "
        "`profile`. stock: the grain of `stock` as published. manual: white noise of `sigma`.",
    )
    patch: list[int] = param(
        [],
        "For noise = patch: x0, y0, x1, y1 of an evenly lit area, as in the display window, the lower right corner "
        "outside. It has one level of light: sigma is taken to be the same at all others in stops (log) or plate "
        "values (linear), or to follow the granularity of `stock` (density).",
        unit="pixels",
    )
    patch_frame: int | None = param(None, "Frame that `patch` is drawn on; by default the clip's first.")
    profile: str = param(
        "", "For noise = profile: a file saved by GrainAnalyse or 'safelight analyse' (JSON).", kind="path"
    )
    sigma: float = param(
        0.1,
        "Standard deviation of the noise for `manual`, in units of the domain: stops (log), plate values (linear) or "
        "density.",
        ge=0,
    )
    domain: Literal["auto", "log", "linear", "density"] = param(
        "auto",
        "Where grain is taken. log: for scene-linear plates, stops above a toe of 0.01. density: for scene-linear "
        "plates from `stock`. linear: plate values as they are, for material that is already log or display-referred. "
        "auto: density for noise = stock, a profile's own for noise = profile, otherwise log.",
    )
    stock: str = param(
        "500T", "Camera negative, for density: Kodak Vision3 50D, 250D, 200T or 500T, or its number (5203, …, 5219)."
    )
    format: str = param("super35_4perf", "Negative format: with the picture's width, the size of a pixel on the film.")
    pitch: float = param(
        0.0,
        "Distance of pixels on the film; 0 takes the format's width over the picture's.",
        unit="µm",
        ge=0,
        le=1000,
    )
    smoothness: float = param(
        0.01, "Price of a motion vector that differs from its neighbours', against the noise.", ge=0, le=1
    )


@dataclass(frozen=True)
class Prepared:
    """One frame, ready: for each group of planes that is worked on together, the encoded planes and their pyramid."""

    region: Region
    planes: tuple[Any, ...]
    pyramids: tuple[Pyramid, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(int(p.nbytes) for p in self.planes) + sum(p.nbytes for p in self.pyramids)


def _idle(params: DegrainParams) -> bool:
    """Tell whether nothing is taken whatever the plate."""
    return params.strength * max(params.shadows, params.midtones, params.highlights) == 0


def _knowledge(params: DegrainParams) -> Knowledge:
    return Knowledge(
        params.noise,
        params.domain,
        params.sigma,
        params.stock,
        params.format,
        params.pitch,
        tuple(params.patch),
        params.patch_frame,
        params.profile,
    )


def _coding(params: DegrainParams, channels: Sequence[str]) -> Coding:
    """Return how the colour planes are encoded, in the order of `colour_planes`."""
    return _knowledge(params).coding(channels)


def _part(whole: Coding, first: int, count: int) -> Coding:
    return coding(whole.domain, whole.curves[first : first + count])


def _groups(channels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Return the planes that are worked on together: R, G, B; otherwise each colour plane by itself."""
    found = colour_planes(channels)
    return (found,) if len(found) == 3 else tuple((plane,) for plane in found)


class Degrain(Node):
    """Take the grain out of a plate.

    Output `image` is the plate without its grain, `grain` what was taken, in the plate's own light: image + grain, as
    floats, is the plate bit for bit. Half-float plates know no exception. Float plates have one, mostly noise around
    black: where image and grain both reach the next power of two above the plate's value, floats of that size are
    spaced wider than the plate's last bits, so no two add up to it; there the sum is within half a unit in the last
    place of the grain, one part in 16 million.

    Every 8 × 8 patch of the picture is compared with the same patch, moved by block motion, in up to `radius` frames
    before and after; each counts as far as it agrees with the centre, given the noise, in each of four frequency
    bands; DCT coefficients of the weighted mean that do not rise above the noise left in it are dropped; all patches
    over a pixel are averaged. The same at half, a quarter and an eighth of the size, twice, says what the lowest
    frequencies are: patches of 8 × 8 cannot. Frames beyond a cut are never used. Values may be negative and have no
    upper limit.
    Pixels that are not finite are handed through and influence no other. Channels other than R, G, B or Y are kept,
    and zero in `grain`. Where a matte is 0 the plate keeps its bits; between 0 and 1 that share of the grain is taken.

    References: Hasinoff et al. 2016 (burst photography: robust merge in frequency), Dabov et al. 2007 (sparse 3-D
    collaborative filtering: aggregation, two stages), Pierazzo et al. 2017 (multi-scale DCT denoising), Orchard and
    Sullivan 1994 (overlapped motion compensation).
    """

    id = "Degrain"
    version = 2
    inputs = (
        Port("input", "The plate."),
        Port(
            "matte",
            "Where grain is taken, first channel: 1 all of it, 0 none; none outside its data window.",
            optional=True,
        ),
    )
    outputs = (
        Port("image", "The plate without its grain."),
        Port("grain", "What was taken: image + grain is the plate."),
    )
    Params = DegrainParams
    tileable = False
    mark = FILTERED
    scratch = 16.0

    def check(self, params: DegrainParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips that hold no picture."""
        clip = inputs["input"]
        require_picture(clip)
        matte = inputs.get("matte")
        if matte is not None and matte.display != clip.display:
            raise GraphError(
                f"the matte is {matte.display} and the plate is {clip.display}",
                where="input 'matte'",
                remedy="Bring the matte to the plate's size.",
            )
        warnings = [] if _idle(params) else _knowledge(params).check(clip)
        if 0 < len(clip.frames) <= params.radius and not _idle(params):
            warnings.append(f"frames in the clip: {len(clip.frames)}, fewer than radius {params.radius} asks for")
        return warnings

    def fingerprint(self, params: DegrainParams, frame: int | None, settings: Settings) -> str:
        """Add the content of the profile that the noise is read from."""
        return _knowledge(params).fingerprint() if frame is None and not _idle(params) else ""

    def identity(self, params: DegrainParams, request: Request) -> str | None:
        """Strength 0, of all or of every tone, hands on the plate."""
        return "input" if _idle(params) else None

    def reach(self, params: DegrainParams) -> tuple[int, int]:
        """Ask for `radius` frames before and after; none at strength 0."""
        return (0 if _idle(params) else params.radius), 0

    def needs(self, params: DegrainParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the plate's frames around the one requested, and for the matte of that frame."""
        return {**super().needs(params, request), "matte": (request,)}

    def prepare(self, params: DegrainParams, port: str, image: Image, device: Device) -> Prepared:
        """Encode one frame and build its search pyramid."""
        region = image.region
        planes, pyramids = [], []
        whole, first = _coding(params, image.channels), 0
        for group in _groups(image.channels):
            part = _part(whole, first, len(group))
            first += len(group)
            # One view where the planes lie in order, as they nearly always do.
            ordered = group == tuple(range(group[0], group[0] + len(group)))
            source = image.data[group[0] : group[0] + len(group)] if ordered else image.data[list(group)]
            coded, luma = encoded(source, region, part, SEARCH_SCALE[part.domain], device)
            planes.append(coded)
            pyramids.append(pyramid(luma, device, reach=24 * max(1, params.radius)))
        return Prepared(region, tuple(planes), tuple(pyramids))

    def compute(self, params: DegrainParams, request: Request, inputs: Inputs, device: Device) -> Mapping[str, Image]:
        """Find, move, compare, shrink, add up: see the kernels `motion_search`, `motion_compensate`, `degrain`."""
        plate = inputs["input"]
        xp = device.xp
        groups = _groups(plate.channels)
        if _idle(params) or not plate.region:
            return {"image": plate, "grain": plate.with_data(xp.zeros_like(plate.data))}
        whole = _coding(params, plate.channels)
        noise = self._noise(params, inputs, plate.channels, whole)
        matte = coverage(inputs["matte"], plate.region, device) if "matte" in inputs else None
        if noise.silent or (matte is not None and not bool((matte > 0).any())):
            return {"image": plate, "grain": plate.with_data(xp.zeros_like(plate.data))}
        by_name = {"R": params.red, "G": params.green, "B": params.blue}
        taking = Taking(
            params.strength,
            tuple(by_name.get(plate.channels[plane].upper(), 1.0) for plane in colour_planes(plate.channels)),
            (params.shadows, params.midtones, params.highlights),
            params.detail,
            matte,
        )
        centre: Prepared = inputs.prepared("input", request.frame)
        others = [
            inputs.prepared("input", frame)
            for frame in inputs.frames("input")
            if frame != request.frame and abs(frame - request.frame) <= params.radius
        ]
        others = [other for other in others if other.region == plate.region]
        image, grain = device.empty(plate.data.shape), device.empty(plate.data.shape)
        if sum(len(group) for group in groups) < len(plate.channels):
            image[...], grain[...] = plate.data, 0
        first = 0
        for index, group in enumerate(groups):
            part = Noise(
                noise.low,
                noise.high,
                noise.sigma[first : first + len(group)],
                noise.spectrum[first : first + len(group)],
            )
            code, share = _part(whole, first, len(group)), taking.part(first, len(group))
            first += len(group)
            self._group(params, part, code, share, plate, group, index, centre, others, image, grain, device)
        return {"image": plate.with_data(image), "grain": plate.with_data(grain)}

    def _group(
        self,
        params: DegrainParams,
        noise: Noise,
        code: Coding,
        taking: Taking,
        plate: Image,
        group: tuple[int, ...],
        index: int,
        centre: Prepared,
        others: Sequence[Prepared],
        image: Any,
        grain: Any,
        device: Device,
    ) -> None:
        """Work on planes that belong together."""
        n = len(group)
        region, work = plate.region, work_area(plate.region)
        moved = device.empty((max(1, n * len(others)), work.height, work.width))
        grey = float(np.sqrt(np.mean(noise.sigma**2))) * SEARCH_SCALE[code.domain]
        for i, other in enumerate(others):
            vectors = search(
                centre.pyramids[index], other.pyramids[index], device, noise=grey, smoothness=params.smoothness
            )
            compensate(other.planes[index], quarter(vectors, device), device, out=moved[n * i : n * (i + 1)])
        ordered = group == tuple(range(group[0], group[0] + n))
        start = group[0]
        source = plate.data[start : start + n] if ordered else plate.data[list(group)]
        clean = image[start : start + n] if ordered else device.empty(source.shape)
        taken = grain[start : start + n] if ordered else device.empty(source.shape)
        stack = Stack(region, centre.planes[index], moved, len(others))
        coded = merged(stack, taking.noise(noise, code), device, scale=max(1.0, params.strength) ** 2)
        launch(
            device,
            "degrain_finish",
            region,
            plate=(source, region),
            coded=(coded, region),
            image=(clean, region),
            grain=(taken, region),
            uncurve=code.inverse,
            planes=n,
            domain=CODE[code.domain],
            toe=TOE,
            amount=[taking.amount] * 3,
        )
        taking.apply(device, region, noise, code, source, clean, taken)
        if not ordered:
            image[list(group)], grain[list(group)] = clean, taken

    def _noise(self, params: DegrainParams, inputs: Inputs, channels: Sequence[str], code: Coding) -> Noise:
        return _knowledge(params).noise(inputs.clips["input"], channels, code, inputs.analysis)

    # --- the shot's noise ------------------------------------------------------------------------------------------

    def wants_analysis(self, params: DegrainParams) -> bool:
        """Measure the noise unless it is given."""
        return _knowledge(params).measured and not _idle(params)

    def analysis_params(self, params: DegrainParams) -> Mapping[str, Any]:
        """Measure again only when the domain changes, the stock that defines it, or the patch."""
        return _knowledge(params).measures_by

    def analysis_requests(self, params: DegrainParams, clips: Mapping[str, Clip]) -> Sequence[Request]:
        """Look at up to eight frames, spread over the shot, or at the patch."""
        return _knowledge(params).requests(clips["input"])

    def analyse(
        self, params: DegrainParams, images: Iterable[tuple[int, Image]], clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Measure sigma against level, and spectrum, for each channel."""
        return _knowledge(params).analyse(images, clips["input"], device)
