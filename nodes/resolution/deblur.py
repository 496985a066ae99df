"""Deblur: a blur that is known, or estimated from the shot, taken back as far as the noise allows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from math import ceil
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Pictures, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import FILTERED
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.grain.stock import load_format, load_stock
from safelight.nodes.grain.working import filled
from safelight.nodes.resolution import blur
from safelight.nodes.resolution.blind import Spectrum
from safelight.nodes.resolution.deconvolution import deconvolved

LOOKED_AT = 6
"""Frames of a shot that blur and noise are measured on."""
FILM_REACH = 4
"""Pixels that a stock's blur is taken to reach."""


class DeblurParams(Params):
    """Parameters of Deblur."""

    kernel: Literal["auto", "gaussian", "disc", "motion", "stock"] = param(
        "auto",
        "auto: a Gaussian, disc or straight movement, whichever and however large the shot says; none if it is sharp. "
        "gaussian: of `size`. disc: a lens out of focus, radius `size`. motion: straight, of `size` and `angle`. "
        "stock: the published modulation transfer of `stock`.",
    )
    size: float = param(
        1.0, "Standard deviation (gaussian), radius (disc) or length (motion) of the blur.", unit="pixels", gt=0, le=64
    )
    angle: float = param(0.0, "Direction of the motion, from right towards down.", unit="degrees", ge=-180, le=180)
    stock: str = param("500T", "Camera negative, for kernel = stock: 50D, 250D, 200T, 500T or its number.")
    format: str = param("super35_4perf", "Negative format, for the size of a pixel on the film.")
    pitch: float = param(
        0.0, "Distance of pixels on the film; 0 takes the format's width over the picture's.", unit="µm", ge=0, le=1000
    )
    noise: float = param(
        0.0,
        "Standard deviation of the noise, scene-linear, as GrainAnalyse gives it at the shot's level; 0 measures it. "
        "More noise takes back less.",
        ge=0,
    )
    grain: float = param(
        1.0,
        "How much of the plate's grain, as it was, lies on the result; 0 leaves it smooth, for Regrain.",
        ge=0,
        le=1,
    )
    strength: float = param(1.0, "How much of the correction is applied.", ge=0, le=1)
    ringing: float = param(
        0.2,
        "How far a value may leave the range of the pixels that the blur reaches, over that range, in light and in "
        "stops.",
        ge=0,
        le=1,
    )


class Deblur(Node):
    """Take back a blur.

    For each of R, G, B or Y, in scene light, since that is what lenses and film blur: the picture with the least
    variation that the blur turns into the plate, give or take its grain, and the grain as it was over that
    (`deconvolution`). What lay beyond the borders is found with it. No value leaves the range of the pixels within the
    blur's reach by more than `ringing` times that range, in light or in stops, whichever is less. Blur (kernel = auto;
    see `blind`) and noise are measured on up to six frames of the shot, once, so that nothing pumps; what is sharp
    already stays, every bit. A blur that is another in every frame, as of a shaken camera, is none of the shot: cut it,
    or give the blur.

    Works on whole frames: the inverse of a blur has no end. Other channels keep their bits. What is not finite is
    handed through and counts as missing.

    References: Rudin, Osher and Fatemi 1992, Goldstein and Osher 2009, Almeida and Figueiredo 2013; Field 1987 and
    Cannon 1976 (estimated blurs), Donoho 1995 (noise).
    """

    id = "Deblur"
    version = 3
    inputs = (Port("input", "The picture."),)
    Params = DeblurParams
    tileable = False
    devices = ("cpu",)
    mark = FILTERED
    scratch = 36.0

    def check(self, params: DeblurParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips that hold no picture, and stocks that nobody knows."""
        clip = inputs["input"]
        require_picture(clip)
        if params.kernel == "stock":
            load_stock(params.stock)
            load_format(params.format)
            if not {clip.channels[plane].upper() for plane in colour_planes(clip.channels)} <= {"R", "G", "B"}:
                raise GraphError(
                    "a stock's transfer is known for R, G and B, and the picture is of Y",
                    remedy="Say kernel = gaussian, or feed R, G and B.",
                )
        return ()

    def identity(self, params: DeblurParams, request: Request) -> str | None:
        """Strength 0 hands on the picture."""
        return "input" if params.strength == 0 else None

    def wants_analysis(self, params: DeblurParams) -> bool:
        """Measure what is not given."""
        return params.strength > 0 and (params.kernel == "auto" or params.noise == 0)

    def analysis_requests(self, params: DeblurParams, clips: Mapping[str, Clip]) -> Sequence[Request]:
        """Look at up to six frames, spread over the shot."""
        clip = clips["input"]
        at = np.linspace(clip.first, clip.last, min(LOOKED_AT, len(clip.frames))).round().astype(int)
        return [Request(int(frame), clip.extent_at(int(frame))) for frame in at]

    def analyse(
        self, params: DeblurParams, images: Pictures, clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Measure the noise of each plane and, with kernel = auto, the blur of their mean."""
        noises, seen = [], Spectrum()
        for _, image in images:
            if not image.region:
                continue
            planes = _planes(image, device)
            noises.append([blur.noise_of(plane) for plane in planes])
            if params.kernel == "auto":
                seen.add(planes.mean(axis=0))
        if not noises:
            return {"noise": [], "note": "no pictures: nothing is done"}
        noise = {"noise": [float(f"{value:.5g}") for value in np.median(noises, axis=0)]}
        if params.kernel != "auto":
            return noise
        found = seen.blur()
        return {**noise, **(asdict(found) if found else {}), "note": str(found or "no blur that could be taken back")}

    def compute(self, params: DeblurParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Take the blur back as far as the noise allows."""
        plate = inputs["input"]
        colour = list(colour_planes(plate.channels))
        known = inputs.analysis or {}
        if params.kernel == "auto":
            if "kernel" not in known:
                return plate
            params = params.model_copy(update={name: known[name] for name in ("kernel", "size", "angle")})
        if not plate.region:
            return plate
        measured = list(known.get("noise", []))
        out = plate.data.copy()
        source = plate.data[colour]
        many = max(1, min(len(colour), device.threads))

        def work(at: int, plane: int, values: blur.Floats) -> None:
            transfer, reach = self.transfer(params, at, inputs.clips["input"])
            made = deconvolved(
                values, transfer, params.noise or measured[at], reach,
                margin=params.ringing, grain=params.grain, threads=max(1, device.threads // many),
            )  # fmt: skip
            out[plane] = (values + params.strength * (made - values)).astype(np.float32)

        with ThreadPoolExecutor(many) as pool:
            for _ in pool.map(work, range(len(colour)), colour, _planes(plate, device)):
                pass
        bad = ~np.isfinite(source).all(axis=0)
        out[:, bad] = plate.data[:, bad]
        return plate.with_data(out)

    def transfer(
        self, params: DeblurParams, layer: int, clip: Clip
    ) -> tuple[Callable[[tuple[int, int]], blur.Floats], int]:
        """Return the blur's transfer function, given a shape, and how many pixels it reaches."""
        size = params.size
        if params.kernel == "disc":
            return (lambda shape: blur.disc(shape, size)), ceil(size) + 1
        if params.kernel == "motion":
            return (lambda shape: blur.motion(shape, size, params.angle)), ceil(size / 2) + 1
        if params.kernel == "stock":
            pitch = params.pitch or load_format(params.format).pitch(max(1, clip.display.width))
            stock = load_stock(params.stock)
            return (lambda shape: blur.film(shape, stock, layer, pitch)), FILM_REACH
        return (lambda shape: blur.gaussian(shape, size)), ceil(3 * size)


def _planes(image: Image, device: Device) -> blur.Floats:
    return np.asarray(filled(image.data[list(colour_planes(image.channels))], device.xp), np.float64)
