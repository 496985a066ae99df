"""Deblock: what a codec's blocks left in a picture, found and taken out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Pictures, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import FILTERED, altered
from safelight.graph.region import Region
from safelight.nodes.grain.merging import Stack, merged
from safelight.nodes.grain.noise import Noise
from safelight.nodes.grain.working import BORDER, filled, mirror, work_area
from safelight.nodes.kernels.launch import launch
from safelight.nodes.resolution.blocks import Axis, Blocks, Search
from safelight.nodes.resolution.learned import deblocking
from safelight.nodes.resolution.learned.storing import digest
from safelight.nodes.resolution.placing import synthesised

LOOKED_AT = 8
"""Frames spread over a shot that its grid is sought in; every second of them says how far edges are evened."""
RUN = 16
"""First frames of a shot, looked at one by one: a movie's key frame, which shows the quantiser, is seldom further."""
NOISE = 0.8
"""Standard deviation that is smoothed away, over a fifth of the quantiser's step."""
COLOUR = 0.6
"""The same of colour differences, over that of luma."""
FINE = (0.25, 0.175)
"""Share of the correction for a quantiser of no step at all, and what each fifth of a step adds, up to all: the finer,
the more of what looks like its noise is grain. All made grainy movies at MPEG-2's quantiser 3 worse by 0.5 dB."""
PREDICTED = 0.8
"""Share for frames predicted from others, which the codec has corrected since."""
KNOWN = 1.5
"""Fifth of a step from which on nets are trained: under it they give a share, too."""
BUSY = (0.0625, 0.25, 1.0, 4.0)
"""Variances of 5 × 5 pixels, over the square of a fifth of the step, between which a picture is more or less busy."""
SURE = 0.45
LIMIT = 2.5
"""Steps at an edge that are blocks, over a fifth of the quantiser's step: rounding is off by half of that at most."""
SHARES: Mapping[str, Mapping[str, Any]] = {"709": {"red": 0.2126, "blue": 0.0722}, "601": {"red": 0.299, "blue": 0.114}}
"""Of luma."""
FILTERS = Path(__file__).with_name("deblock_filters.npy")


class DeblockParams(Params):
    """Parameters of Deblock."""

    strength: float = param(
        1.0,
        "How strong the blocks are thought to be, against what they are measured to be; 0 leaves the picture alone.",
        ge=0,
        le=4,
    )
    amount: float = param(1.0, "How much of the correction is applied.", ge=0, le=1)
    values: Literal["scene", "coded"] = param(
        "scene",
        "scene: scene-linear, taken to have been coded on the sRGB curve. coded: as the codec saw them, 0 to 1.",
    )
    matrix: Literal["709", "601"] = param(
        "709",
        "Luma that was coded: 709 of high definition, 601 of standard definition and JPEG. Blocks show most in luma.",
    )
    block: float = param(
        0.0, "Size of the blocks; 0 finds size, phase and strength in the shot.", unit="pixels", ge=0, le=40
    )
    method: Literal["classical", "net"] = param(
        "classical",
        "classical: transforms and filters. net: a trained net corrects what those make of luma, on blocks of 8 × 8 as "
        "coded (elsewhere classical, as the analysis says); marked in the record, refused in forensic graphs.",
    )
    weights: Path | None = param(
        None,
        "Your own weights for method = net: a .safetensors file as python -m "
        "safelight.nodes.resolution.learned.training.deblocking writes it.",
        kind="path",
    )


class Deblock(Node):
    """Take out blocks, mosquito noise and ringing of MPEG-2, MPEG-4, H.264 and Motion JPEG.

    The whole shot is looked at first: steps between neighbouring pixels that exceed those beside them, summed along
    columns and rows, show a codec's grid as a comb. Its period (also after scaling: 12 pixels, 5.33), its phase and its
    height are found by Fourier transform; where no comb stands out of chance along both axes the picture keeps every
    bit. How coarse the quantiser was is read off the coefficients of the frames that show it, key frames of movies,
    and holds for those predicted from them too; else the comb's height tells.

    Then, on luma and colour differences of the coded values: all 8 × 8 patches in steps of two are transformed, what is
    no larger than the quantiser's noise is dropped, low frequencies at reduced size too, and all patches over a pixel
    averaged. On blocks of 8 × 8 as coded, a second, linear filter of 73 taps puts back what that cost: one of 250, by
    the place in the block, by how busy the picture is and which way it runs; made by least squares on photographs
    (`nodes/resolution/README.md`). Of what a fine quantiser is thought to have done only a share is undone: most of it
    is grain. What steps are left at the grid's edges are then evened, as far as some frames of the shot say it takes.
    Chunks and tasks of a shot share one measurement, so nothing pumps.

    With `method` net, a trained net sees luma as coded and as cleaned, over the quantiser's step, and says what comes
    onto the cleaned luma, on blocks of 8 × 8 as coded (`nodes/resolution/learned/deblocking.py`). Colour differences
    stay classical, and so do other grids. The record calls synthesised what the net moves by more than an eighth of a
    stop; a forensic graph refuses it.

    R, G, B or Y; negative values and values above 1 survive. Other channels keep their bits. What is not finite is
    handed through and counts as missing. Works on whole frames: patches lie on a grid of the frame.

    References: Nosratinia 2001 (averaged shifted transforms), Yaroslavsky 1996, Shao et al. 2008 (classified
    least-squares filters for coding artefacts).
    """

    id = "Deblock"
    inputs = (Port("input", "The picture."),)
    Params = DeblockParams
    tileable = False
    mark = FILTERED
    scratch = 10.0
    version = 2  # 2: a movie's quantiser is that of its key frames

    def check(self, params: DeblockParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips that hold no picture, and block sizes that are none."""
        if len(colour_planes(inputs["input"].channels)) not in (1, 3):
            raise GraphError(
                f"neither R, G and B nor Y are among the channels {', '.join(inputs['input'].channels)}",
                where="input 'input'",
                remedy="Feed a picture; mattes and depth have no blocks.",
            )
        if 0 < params.block < 4:
            raise GraphError(
                f"block is {params.block:g} pixels", remedy="Say 4 to 40, or 0 to have it found.", where="block"
            )
        if params.method == "net":
            deblocking.find(params.weights)
            if params.block not in (0, deblocking.BLOCK):
                return (f"blocks of {params.block:g} pixels are taken out without the net: it knows those of 8",)
        elif params.weights is not None:
            return ("weights are given and not used: they are for method = net",)
        return ()

    def fingerprint(self, params: DeblockParams, frame: int | None, settings: Settings) -> str:
        """Return the hash of the weights."""
        return _weights(params) if frame is None else ""

    def invents(self, params: DeblockParams) -> str:
        """Say that a net lays in what it has learned; the classical way does not."""
        works = params.method == "net" and params.strength * params.amount > 0
        return "with method net lays in what a net has learned" if works else ""

    def identity(self, params: DeblockParams, request: Request) -> str | None:
        """Strength or amount 0 hands on the picture."""
        return "input" if params.strength * params.amount == 0 else None

    # --- the shot's grid -------------------------------------------------------------------------------------------

    def wants_analysis(self, params: DeblockParams) -> bool:
        """Always: even of a given size, phase and strength are found."""
        return params.strength * params.amount > 0

    def analysis_params(self, params: DeblockParams) -> Mapping[str, Any]:
        """Look again when the values are taken for others, or the size, or another net leaves other edges."""
        common = {"values": params.values, "matrix": params.matrix, "block": params.block}
        return common if params.method == "classical" else {**common, "net": _weights(params)}

    def analysis_requests(self, params: DeblockParams, clips: Mapping[str, Clip]) -> Sequence[Request]:
        """Look at up to eight frames, spread over the shot, and at its first ones."""
        clip = clips["input"]
        at = {*_spread(clip), *clip.frames[:RUN]}
        return [Request(frame, clip.extent_at(frame)) for frame in sorted(at)]

    def analyse(
        self, params: DeblockParams, images: Pictures, clips: Mapping[str, Clip], device: Device
    ) -> Mapping[str, Any]:
        """Find the grid, and how coarse the quantiser was."""
        search, spread = Search(params.block or None), _spread(clips["input"])
        kept = spread[1::2] or spread
        judged: list[Any] = []
        first: Any = None
        region: Region | None = None
        for frame, image in images:
            if not image.region or (region is not None and image.region != region):
                continue
            region = image.region
            luma = _coded(params, image, device)[0]
            luma = luma if isinstance(luma, np.ndarray) else luma.get()
            search.look(frame, luma, region.x0, region.y0)
            first = (frame, luma) if first is None else first
            if frame in kept:
                judged.append((frame, luma))
        if region is None:
            nothing = Axis(8.0, 0.0, 0.0, 0.0)
            return {**Blocks(nothing, nothing).as_data(), "edges": 0.0, "note": "no pictures: nothing is done"}
        found = search.found()
        edges = 0.0
        if found.found:
            edges = _edges(params, judged or [first], region, found, device)
        note = (
            f"blocks of {found.x.period:g} x {found.y.period:g} pixels, steps at their edges {found.excess:.2f} codes, "
            f"quantiser about {5 * found.step:.0f}"
            if found.found
            else "no blocks found: the picture is left as it is"
        )
        if found.found and params.method == "net" and not _known(found):
            note += "; not 8 x 8 as coded, so they are taken out without the net"
        return {**found.as_data(), "edges": edges, "note": note}

    # --- the picture -------------------------------------------------------------------------------------------------

    def compute(self, params: DeblockParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Transform, drop, average, refine; see the kernels `degrain` and `deblock_refine`."""
        plate = inputs["input"]
        if not plate.region or inputs.analysis is None or not inputs.analysis["found"]:
            return plate
        blocks = Blocks.from_data(inputs.analysis).at(request.frame)
        colour = list(colour_planes(plate.channels))
        region = plate.region
        coded = _coded(params, plate, device)
        size, edges = blocks.step * params.strength, inputs.analysis["edges"]
        cleaned = device.empty(coded.shape)
        cleaned[0] = evened(_luma(params, coded[0], region, blocks, size, device), region, blocks, size, edges, device)
        for plane in range(1, len(colour)):
            cleaned[plane] = smoothed(coded[plane], region, NOISE * COLOUR * size, device)
        source = plate.data[colour]
        made = device.empty(source.shape)
        launch(
            device,
            "deblock_encode",
            region,
            plate=(source, region),
            coded=(coded, region),
            cleaned=(cleaned, region),
            out=(made, region),
            planes=len(colour),
            curve=params.values == "scene",
            back=1,
            amount=params.amount,
            **SHARES[params.matrix],
        )
        xp = device.xp
        bad = ~xp.isfinite(source).all(axis=0)
        made[:, bad] = source[:, bad]
        out = device.empty(plate.data.shape)
        out[...] = plate.data
        out[colour] = made
        return plate.with_data(out)

    def record(
        self, params: DeblockParams, request: Request, inputs: Inputs, outputs: Mapping[str, Image], device: Device
    ) -> Any:
        """Call filtered what has changed, and synthesised where a net goes far from the classical result."""
        plate, made = inputs["input"], outputs["image"]
        found = altered(plate, made, self.mark, device.xp)
        blocks = inputs.analysis or {}
        if params.method == "classical" or not blocks.get("found") or not _known(Blocks.from_data(blocks)):
            return found
        colour = list(colour_planes(plate.channels))
        plain = self.compute(params.model_copy(update={"method": "classical"}), request, inputs, device)
        return synthesised(found, made.data[colour], plain.data[colour], device.xp)


def _coded(params: DeblockParams, image: Image, device: Device) -> Any:
    """Return luma and colour differences, or luma alone, in 8-bit codes; what is not finite filled from around."""
    source = filled(image.data[list(colour_planes(image.channels))], device.xp)
    out = device.empty(source.shape)
    planes = (source, image.region)
    launch(
        device,
        "deblock_encode",
        image.region,
        plate=planes,
        coded=planes,
        cleaned=planes,
        out=(out, image.region),
        planes=source.shape[0],
        curve=params.values == "scene",
        back=0,
        amount=1.0,
        **SHARES[params.matrix],
    )
    return out


def _spread(clip: Clip) -> list[int]:
    count = min(LOOKED_AT, len(clip.frames))
    return [int(frame) for frame in np.linspace(clip.first, clip.last, count).round()]


def _known(blocks: Blocks) -> bool:
    """Tell whether the blocks are those that nets are trained on."""
    return blocks.plain and blocks.x.period == blocks.y.period == deblocking.BLOCK


def _weights(params: DeblockParams) -> str:
    return "" if params.method == "classical" else digest(params.weights or deblocking.shipped())


def _luma(params: DeblockParams, coded: Any, region: Region, blocks: Blocks, size: float, device: Device) -> Any:
    """Return luma (H, W) in 8-bit codes, cleaned as the parameters say, its edges not evened yet."""
    cleaned = luma_cleaned(coded, region, blocks, size, device)
    if params.method == "classical" or not _known(blocks):
        share = min(1.0, FINE[0] + FINE[1] * size) * (PREDICTED if blocks.predicted else 1)
    else:
        corner = round(blocks.y.phase) - region.y0, round(blocks.x.phase) - region.x0
        cleaned = deblocking.corrected(deblocking.find(params.weights), coded, cleaned, size, corner, device)
        share = size / KNOWN
    return cleaned if share >= 1 else coded + device.xp.float32(share) * (cleaned - coded)


def _edges(params: DeblockParams, frames: Sequence[Any], region: Region, shot: Blocks, device: Device) -> float:
    """Return how far the edges must be evened for the excess of some (frame, luma), together, to be gone."""
    seen = [(shot.at(frame), device.xp.asarray(luma)) for frame, luma in frames]
    cleaned = [(blocks, _luma(params, plane, region, blocks, blocks.step, device)) for blocks, plane in seen]
    for amount in (0.0, 0.2, 0.4, 0.6, 0.8):
        made = (evened(plane, region, blocks, blocks.step, amount, device) for blocks, plane in cleaned)
        left = (excess(plane if isinstance(plane, np.ndarray) else plane.get(), region, shot) for plane in made)
        if sum(left) <= 0:
            return amount
    return 1.0


def smoothed(plane: Any, region: Region, sigma: float, device: Device) -> Any:
    """Return a plane (H, W) without white noise of standard deviation `sigma`, patch by patch."""
    work = work_area(region)
    centre = device.empty((1, work.height, work.width))
    centre[0, BORDER : BORDER + region.height, BORDER : BORDER + region.width] = plane
    mirror(centre, region.width, region.height, device.xp)
    noise = Noise(0.0, 1.0, np.full((1, 2), sigma), np.ones((1, 8, 8)))
    return merged(Stack(region, centre, device.empty((1, work.height, work.width)), 0), noise, device)[0]


def refined(coded: Any, smooth: Any, region: Region, blocks: Blocks, size: float, device: Device) -> Any:
    """Return the smoothed plane with what smoothing cost put back; see the kernel `deblock_refine`."""
    planes = device.xp.ascontiguousarray(smooth)[None]
    steer, out = device.empty((3, *smooth.shape)), device.empty((1, *smooth.shape))
    launch(device, "upscale_steer", region, reach=3, guide=(planes, region), out=(steer, region), noise=0.02 * size**2)
    launch(
        device,
        "deblock_refine",
        region,
        reach=2,
        coded=(coded, region),
        smooth=(planes, region),
        steer=(steer, region),
        out=(out, region),
        filters=(_filters(), (0.0, 1.0)),
        x0=round(blocks.x.phase),
        y0=round(blocks.y.phase),
        busy=[limit * size**2 for limit in BUSY],
        sure=SURE,
    )
    return out[0]


def luma_cleaned(coded: Any, region: Region, blocks: Blocks, size: float, device: Device) -> Any:
    """Return luma (H, W) in 8-bit codes, smoothed, and refined where the grid is as coded."""
    smooth = smoothed(coded, region, NOISE * size, device)
    return refined(coded, smooth, region, blocks, size, device) if blocks.plain else smooth


def evened(plane: Any, region: Region, blocks: Blocks, size: float, amount: float, device: Device) -> Any:
    """Return the plane with what is left of the steps at the grid's edges taken down; see `deblock_edges`."""
    source = device.xp.ascontiguousarray(plane)[None]
    for axis, down in ((blocks.x, 0), (blocks.y, 1)):
        out = device.empty(source.shape)
        launch(
            device,
            "deblock_edges",
            region,
            reach=2,
            source=(source, region),
            out=(out, region),
            down=down,
            period=axis.period,
            phase=axis.phase,
            amount=amount,
            limit=LIMIT * size,
        )
        source = out
    return source[0]


def excess(plane: Any, region: Region, blocks: Blocks) -> float:
    """Return by how much the mean step over the grid's edges exceeds that elsewhere, summed over both axes."""
    total = 0.0
    for axis, (grid_axis, first) in enumerate(((blocks.y, region.y0), (blocks.x, region.x0))):
        size = np.abs(np.diff(plane, axis=axis)).mean(axis=1 - axis, dtype=np.float64)
        place = np.arange(len(size)) + 1.0 + first
        n = np.floor((place - grid_axis.phase) / grid_axis.period + 0.5)
        on = np.floor(grid_axis.phase + n * grid_axis.period + 0.5) == place
        if on.any() and not on.all():
            total += float(size[on].mean() - size[~on].mean())
    return total


@lru_cache(maxsize=1)
def _filters() -> Any:
    return np.load(FILTERS).astype(np.float32)
