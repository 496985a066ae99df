"""GenerativeUpscale: a picture enlarged by a diffusion pipeline, tile by tile, colour and light kept from the data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import MOVED, ORIGIN, SYNTHESISED
from safelight.nodes.resolution.diffusion import folder, memory
from safelight.nodes.resolution.diffusion.folder import Facts
from safelight.nodes.resolution.diffusion.frame import Frame, around, faithful, small
from safelight.nodes.resolution.diffusion.running import Wish
from safelight.nodes.resolution.diffusion.tiles import Grid
from safelight.nodes.resolution.enlarging import missing
from safelight.nodes.resolution.learned.enlarge import placed
from safelight.nodes.resolution.placing import grown, handed, kinds, marked, nearest, repeat


class GenerativeUpscaleParams(Params):
    """Parameters of GenerativeUpscale."""

    pipeline: Path = param(
        help="Folder of a pipeline of diffusers, as save_pretrained writes it: a StableDiffusionUpscalePipeline or an "
        "LDMSuperResolutionPipeline. Nothing is ever downloaded, and no code in it is run.",
        kind="path",
    )
    scale: Literal[2, 4, 8] = param(4, "How many pixels for one, along each axis: what the pipeline is made for.")
    prompt: str = param("", "What the picture shows, for pipelines that take words. Without any, they run once a step.")
    negative: str = param("", "What it does not show.")
    steps: int = param(50, "Steps of the diffusion; time goes with them.", ge=1, le=1000)
    guidance: float = param(7.5, "How much the words weigh; 1 is not at all.", ge=1, le=30)
    noise_level: int = param(
        20,
        "Noise laid over the input before a StableDiffusionUpscalePipeline sees it: more lets it invent more.",
        ge=0,
        le=999,
    )
    fidelity: float = param(
        1.0,
        "How far the result is brought back to its data. 1: reducing it gives what reducing Upscale's fidelity gives, "
        "and what is invented lies between the samples only. 0: colour and brightness over 4 pixels and more are the "
        "data's, all else is the pipeline's, so that grain and blocks of the input may go.",
        ge=0,
        le=1,
    )
    seed: int = param(1, "Number of the noise. The same seed gives the same picture.", ge=0, le=2**32 - 1)
    seed_over_time: Literal["fixed", "moving"] = param(
        "fixed", "fixed: every frame begins with the same noise, so that it does not boil. moving: with one of its own."
    )
    tile: int = param(
        0,
        "Side of the squares that the pipeline is given. 0: what it was trained on, or the largest below that memory "
        "allows. Another side is another picture.",
        unit="pixels",
        ge=0,
        le=4096,
    )
    overlap: float = param(0.25, "Share of its side that a tile has in common with the next.", ge=0, le=0.5)
    memory: float = param(
        12.0,
        "GPU memory to keep to, weights and all, by an estimate that errs upwards. The tile follows from it alone, not "
        "from the machine.",
        unit="GB",
        gt=0,
    )
    precision: Literal["auto", "float32", "float16", "bfloat16"] = param(
        "auto", "Of the nets alone. auto is float32, on a GPU float16."
    )
    pickled: bool = param(False, "Take weights from .bin files too. Such files can hold programs: of weights, only.")


class GenerativeUpscale(Node):
    """Enlarge a picture with a diffusion pipeline of yours: detail is invented.

    Needs `pip install 'safelight[diffusion]'` and a folder with a pipeline; refused in forensic graphs. A node of its
    own, as none of its parameters but the scale are Upscale's.

    Windows, coverage, data and what is not finite are treated as by Upscale: alphas, mattes and depth are resampled,
    never invented; a pixel with values missing stays missing, in all pixels it becomes (the net is shown the mean of
    its surroundings). Every other pixel is recorded as synthesised.

    The picture is coded as a display shows it and clipped to what such nets know, 0 to 1. Each tile lies on a grid that
    belongs to the plane, is made whole whatever part is asked for, from noise that depends on `seed` and its row and
    column (and the frame, if `seed_over_time` says so), drawn on the processor; across what tiles share, one fades into
    the other; beyond the picture's edges lies its mirror. So any region, frame by frame, in any order and number of
    threads is the same picture; between processor and GPU, and between precisions, it is alike but not the same.
    Then the result is brought back to the `fidelity` mode of Upscale, all of it or its low frequencies (`fidelity`):
    the shift of colour from tile to tile that such nets are known for goes. Light over 1 and below 0 is that mode's.

    Over time: fixed noise keeps still what does not move. Where the picture moves, it moves through the noise, and what
    is invented changes: this is not stable over time, and no figure is claimed, as none was measured with real weights.

    Memory: tiles are chosen by an estimate from the pipeline's own numbers (weights, skips, the widest block, attention
    tables). With the published numbers of the 4 times upscaler of Stable Diffusion: 5.4 GB in float32 at its 128
    pixels, whatever the size of the frame. A GPU that is full all the same is an error that names the tile to set:
    smaller tiles are another picture. On a processor tiles run side by side, one thread each, within the same budget.
    Where a render is cut up (--tile), tiles of the pipeline that lie in two parts are made twice.

    References: Rombach et al. 2022 (latent diffusion), Irani and Peleg 1991 (back-projection), Jiménez 2023 (tiles).
    """

    id = "GenerativeUpscale"
    inputs = (Port("input", "The picture: R, G, B or a lone Y."),)
    Params = GenerativeUpscaleParams
    mark = MOVED
    scratch = 6.0

    def extent(self, params: GenerativeUpscaleParams, inputs: Mapping[str, Clip]) -> Clip:
        """Grow the windows."""
        return grown(inputs["input"], params.scale)

    def check(self, params: GenerativeUpscaleParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse a pipeline that is not whole or does not fit, and tiles that do not fit it or the memory."""
        facts = _facts(params)
        if facts.scale != params.scale:
            raise GraphError(
                f"the pipeline enlarges {facts.scale} times, and {params.scale} times is asked for",
                file=facts.path,
                remedy=f"Use scale = {facts.scale}, or a pipeline for {params.scale} times.",
            )
        channels = inputs["input"].channels
        if len(colour_planes(channels)) not in (1, 3):
            raise GraphError(
                f"the picture has the channels {', '.join(channels)}, and the pipeline takes R, G, B or a lone Y",
                remedy="Give it a picture with these.",
            )
        if facts.told and params.noise_level > facts.noisiest:
            raise GraphError(
                f"noise_level = {params.noise_level}, and the pipeline knows levels to {facts.noisiest}",
                file=facts.path,
                remedy=f"Use at most {facts.noisiest}.",
            )
        _grid(params, facts)
        words = [name for name in ("prompt", "negative") if getattr(params, name)]
        return [f"{name} has no effect: this pipeline takes no words" for name in words if not facts.told]

    def fingerprint(self, params: GenerativeUpscaleParams, frame: int | None, settings: Settings) -> str:
        """Return a hash of the pipeline."""
        return "" if frame is not None else _facts(params).digest

    def invents(self, params: GenerativeUpscaleParams) -> str:
        """All of it."""
        return "lays in what a diffusion pipeline makes up"

    def needs(self, params: GenerativeUpscaleParams, request: Request) -> Mapping[str, Sequence[Request]]:
        """Ask for the pixels of all tiles that the region takes, and for those that stand mirrored beyond the edges."""
        if not request.region:
            return {"input": (request,)}
        grid = _grid(params, _facts(params))
        seen = small(request.region, params.scale).grow(around(grid, params.scale))
        return {"input": (Request(request.frame, seen),)}

    def compute(self, params: GenerativeUpscaleParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Enlarge colour by the pipeline; coverage and data as Upscale does."""
        here = Device("cpu", device.threads)
        source, scale, region = here.download(inputs["input"]), params.scale, request.region
        colour, cover, other = kinds(source)
        out = here.empty((len(source.channels), region.height, region.width))
        if colour:
            planes = np.ascontiguousarray(source.data[list(colour)])
            facts, place = _facts(params), placed(device)
            moving = (request.frame,) if params.seed_over_time == "moving" else ()
            frame = Frame(
                planes,
                source.region,
                inputs.clips["input"].extent_at(request.frame),
                facts,
                _grid(params, facts),
                _wish(params, facts, _precision(params, place.type)),
                (params.seed, *moving),
                params.fidelity,
                place,
                device.threads,
                int(params.memory * 1e9),
            )
            for strip, made in frame.strips(region):
                handed(made, planes, source.region, strip, scale, here)
                y = strip.y0 - region.y0
                for at, plane in enumerate(colour):
                    out[plane, y : y + strip.height] = made[at]
        if cover:
            planes = np.ascontiguousarray(source.data[list(cover)])
            made = faithful(planes, source.region, region, scale, here, coverage=True)
            handed(made, planes, source.region, region, scale, here)
            for at, plane in enumerate(cover):
                out[plane] = made[at]
        repeat(source, region, scale, other, out, here)
        return device.upload(Image(out, region, source.channels, source.metadata))

    def record(
        self,
        params: GenerativeUpscaleParams,
        request: Request,
        inputs: Inputs,
        outputs: Mapping[str, Image],
        device: Device,
    ) -> Any:
        """Each pixel has the record of the one it lies in, and is moved and synthesised, unless it was handed on."""
        xp, source, made = device.xp, inputs["input"], outputs["image"]
        found = marked(source, made.region, params.scale, MOVED, device)
        rows, columns = nearest(source.region, made.region, params.scale, device)
        lost = missing(source.data[list(kinds(source)[0])], xp).all(axis=0)[rows[:, None], columns[None]]
        return xp.where(lost, found, found & np.uint32(~ORIGIN & 0xFF) | np.uint32(SYNTHESISED))


# --- what follows from the parameters --------------------------------------------------------------------------------


def _facts(params: GenerativeUpscaleParams) -> Facts:
    return folder.look(params.pipeline, pickled=params.pickled)


def _precision(params: GenerativeUpscaleParams, place: str) -> str:
    if params.precision != "auto":
        return params.precision
    return "float32" if place == "cpu" else "float16"


def _wish(params: GenerativeUpscaleParams, facts: Facts, precision: str) -> Wish:
    words = (params.prompt, params.negative) if facts.told else ("", "")
    return Wish(*words, params.steps, params.guidance, params.noise_level, precision)


def _grid(params: GenerativeUpscaleParams, facts: Facts) -> Grid:
    """Return where tiles lie: the same on every machine, so auto counts as the larger of its precisions."""
    sizes, budget = facts.sizes, int(params.memory * 1e9)
    precision = "float32" if params.precision == "auto" else params.precision
    guided = _wish(params, facts, precision).guided
    side, step = params.tile, sizes.multiple
    if side % step:
        low = max(side // step, 1) * step
        raise GraphError(
            f"tile = {side}, and the pipeline takes multiples of {step}",
            file=facts.path,
            remedy=f"Use {low} or {low + step}, or 0 for {sizes.trained}, which it was trained on.",
        )
    fits = memory.largest(sizes, budget, precision=precision, guided=guided, most=side)
    if not fits or (side and fits < side):
        takes = memory.needed(sizes, side or step, precision=precision, guided=guided) / 1e9
        other = f"tile = {fits}, or " if fits else ""
        raise GraphError(
            f"tiles of {side or step} pixels take about {takes:.2f} GB, and memory = {params.memory:g} GB",
            file=facts.path,
            remedy=f"Use {other}more memory{'' if params.precision != 'auto' else ', or precision = float16'}.",
        )
    return Grid(fits, 2 * round(fits * params.overlap / 2))
