"""Regrain: the grain of a film stock, measured, on any picture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.density import CurveTables
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Array, Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.provenance import GRAINED
from safelight.graph.region import Region
from safelight.nodes.grain.spectrum import kernel, layer_weights, pixel_ratio
from safelight.nodes.grain.stock import Stock, load_format, load_stock
from safelight.nodes.kernels.launch import launch

TILE = (512, 240)
"""Width and height of the kernel's tiles, pixels (regrain.kernel.h)."""
GREEN = 1
"""Layer that a picture of one channel is exposed on."""


class RegrainParams(Params):
    """Parameters of Regrain."""

    stock: str = param(
        "500T", "Camera negative: Kodak Vision3 50D, 250D, 200T or 500T, or its number (5203, 5207, 5213, 5219)."
    )
    format: str = param(
        "super35_4perf", "Negative format: with the picture's width it gives the size of a pixel on the film."
    )
    pitch: float = param(
        0.0,
        "Distance of pixels on the film; 0 takes the format's width over the picture's. Scanners that cover 24.576 mm "
        "give 12 at 2K and 6 at 4K.",
        unit="µm",
        ge=0,
        le=1000,
    )
    strength: float = param(
        1.0,
        "Sigma of the grain in density over the stock's: 1 is calibrated, 0 hands the picture on untouched. The mean "
        "density is kept, as on film; noise being symmetric there, the mean linear light of dark, coarse-grained areas "
        "becomes brighter, by up to about a tenth.",
        ge=0,
        le=10,
    )
    left: float = param(
        0.0,
        "For a plate that still has grain, as after a Degrain: its sigma in density over the one asked for. What is "
        "missing is added, sigma² (1 - left²), so that both together have the sigma asked for. 1 adds nothing.",
        ge=0,
        le=1,
    )
    correlation: float = param(
        0.0,
        "How much grain the layers share: 0 none, 1 the amount that overlapping dyes suggest (0.18 between red and "
        "green, 0.30 between green and blue; a prior, not published). Sigma and spectrum of every layer stay as they "
        "are.",
        ge=0,
        le=1,
    )
    seed: int = param(
        1, "Number of the grain pattern. The same seed gives the same grain, frame by frame.", ge=0, le=2**32 - 1
    )


@dataclass(frozen=True, eq=False)
class Film:
    """A stock on pixels of one size, as the kernels take it; layers in the order of `layers`."""

    layers: tuple[int, ...]
    taps: npt.NDArray[np.float64]
    """(layers, half + 1) filter weights at distance 0, 1, …"""
    sigma: npt.NDArray[np.float64]
    """(layers, n) sigma of a pixel's density, at the places of `tables.forward`."""
    tables: CurveTables

    @property
    def half(self) -> int:
        """Half-width of the filter, pixels."""
        return int(self.taps.shape[1]) - 1

    def arguments(self, strength: float) -> dict[str, Any]:
        """Return the kernels' arguments that describe the film."""
        curves = self.tables.curves
        return {
            "taps": (self.taps, (0, self.half)),
            "forward": (self.tables.forward, self.tables.light),
            "sigma": (strength * self.sigma, self.tables.light),
            "inverse": (self.tables.inverse, self.tables.nets),
            "e_toe": _three([curve.e_toe for curve in curves]),
            "n_toe": _three([curve.n_toe for curve in curves]),
            "toe_slope": _three([curve.n_toe / curve.e_toe for curve in curves]),
            "toe_back": _three([curve.e_toe / curve.n_toe for curve in curves]),
            "x_end": _three([np.log2(curve.e_end) for curve in curves]),
            "n_end": _three([curve.n_end for curve in curves]),
            "end_stops": _three([curve.end_stops for curve in curves]),
        }


def _mix(stock: Film, correlation: float) -> npt.NDArray[np.float64]:
    """Return the kernels' 9 noise weights, a row for each plane."""
    mix = np.zeros((3, 3))
    mix[: len(stock.layers)] = layer_weights(correlation)[list(stock.layers)]
    return mix.ravel()


def _three(values: Sequence[float]) -> list[float]:
    return [*values, *[values[-1]] * (3 - len(values))]


@lru_cache(maxsize=32)
def film(stock: Stock, pitch: float, layers: tuple[int, ...]) -> Film:
    """Prepare a stock for pixels `pitch` µm apart.

    Raises ValueError where the pitch is too fine for the filter.
    """
    kernels = [kernel(stock.cloud_um[layer], pitch) for layer in layers]
    taps = np.zeros((len(layers), 1 + max(one.half for one in kernels)))
    for row, one in zip(taps, kernels, strict=True):
        row[: one.half + 1] = one.taps
    tables = CurveTables(tuple(stock.curves[layer] for layer in layers))
    light = tables.light_samples
    sigma = np.stack([stock.sigma48_at(layer, light) * pixel_ratio(stock.cloud_um[layer], pitch) for layer in layers])
    return Film(layers, taps, sigma, tables)


def film_layers(channels: Sequence[str]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return (planes of the picture, film layers they are exposed on): R, G, B on theirs, a lone Y on the green one.

    >>> film_layers(("B", "G", "R", "A"))
    ((2, 1, 0), (0, 1, 2))
    """
    planes = colour_planes(channels)
    return planes, tuple({"R": 0, "G": 1, "B": 2}.get(channels[plane].upper(), GREEN) for plane in planes)


class Regrain(Node):
    """Expose a picture on a camera negative: its grain, at its size, as strong as the stock's at each exposure.

    The picture is taken as scene-linear camera exposure, 0.18 a mid-grey at normal exposure. Each colour is turned into
    the density of its layer by the stock's characteristic curve, grain is added there, and the same curve leads back:
    only grain is added, no look. Its sigma follows the exposure (strongest four to five stops under mid-grey), its
    spectrum the layer's dye clouds and the size of a pixel on the film. A 48 µm microdensitometer reads what the
    stock's data sheet says.

    The mean density is kept, as on film. Mean linear light is not: noise symmetric in density brightens dark,
    coarse-grained areas (4K 500T blue by up to a tenth).

    `correlation` makes the layers share grain: pixels of two layers with dye clouds of one size then correlate by what
    it says, those of unequal clouds by a known factor less (`spectrum.pixel_correlation`).

    `left` is for a plate whose grain was not taken out altogether: its own grain and the added one, which knows nothing
    of it, together have the sigma asked for, at every exposure where `left` is true. The spectrum is completed only as
    far as what is left has the stock's: a denoiser leaves mostly the low frequencies.

    A matte weighs the grain's sigma: 1 grains as without a matte, a half adds half the sigma in density. Where it is 0,
    and outside its data window, pixels keep their bits. Values beyond 0 and 1 count as these, NaN as 0.

    Black, negative and very bright values have grain too and are not clamped. Pixels that are not finite, and channels
    other than R, G, B or a lone Y, stay as they are. The grain depends on seed, frame and pixel alone.

    Sources: the data files in `stocks/` (third-party readings of Kodak's charts: the absolute level perhaps 25 %
    uncertain, the dye-cloud size a prior); `safelight.nodes.grain.spectrum`.
    """

    id = "Regrain"
    inputs = (
        Port("input", "Picture without grain, scene-linear."),
        Port("matte", "Where the grain goes, first channel, 0 to 1; without it, everywhere.", optional=True),
    )
    outputs = (Port("image", "The picture with grain."),)
    Params = RegrainParams
    mark = GRAINED
    scratch = 2.1  # on a CUDA device: white noise and filtered rows; on the CPU none

    def invents(self, params: RegrainParams) -> str:
        """It lays in grain of its own."""
        return "lays in grain that was never on the film"

    def check(self, params: RegrainParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse an unknown stock or format, no colour, a matte of another size, and pixels too fine for the filter."""
        clip = inputs["input"]
        matte = inputs.get("matte", clip)
        if matte.display != clip.display:
            raise GraphError(
                f"'matte' is {matte.display} and 'input' is {clip.display}",
                remedy="Bring both to one size before the Regrain.",
            )
        stock = load_stock(params.stock)
        planes, layers = film_layers(clip.channels)
        if not planes:
            raise GraphError(
                f"the picture has no R, G, B or Y channel, only {', '.join(clip.channels) or 'none'}",
                remedy="Give Regrain the picture itself.",
            )
        pitch = pitch_of(params, clip)
        try:
            film(stock, pitch, layers)
        except ValueError as error:
            raise GraphError(str(error), remedy="Set a coarser pitch, or the format that was really scanned.") from None
        return ()

    def identity(self, params: RegrainParams, request: Request) -> str | None:
        """Strength 0, or a plate that has all its grain, hands on the input."""
        return None if added_strength(params) else "input"

    def compute(self, params: RegrainParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Grain the colour planes; see the kernel `regrain`."""
        image = inputs["input"].crop(request.region)
        planes, layers = film_layers(image.channels)
        strength = added_strength(params)
        if strength == 0 or not planes or not request.region:
            return image
        stock = film(load_stock(params.stock), pitch_of(params, inputs.clips["input"]), layers)
        matte = inputs.get("matte")
        inside = image.region if matte is None else image.region.intersect(matte.region)
        if not inside:
            return image
        out = device.empty(image.data.shape)
        made = set(planes) if inside == image.region else set()
        for plane in set(range(len(image.channels))) - made:
            out[plane] = image.data[plane]
        y, x = inside.y0 - image.region.y0, inside.x0 - image.region.x0
        part = out[:, y : y + inside.height, x : x + inside.width]
        run = grain_tiles if device.kind == "cpu" else grain_passes
        run(
            device, image.crop(inside), planes, part, stock, strength, params.seed, request.frame,
            correlation=params.correlation, matte=matte,
        )  # fmt: skip
        return image.with_data(out)


def added_strength(params: RegrainParams) -> float:
    """Return sigma to add over the stock's: independent noises add by their squares, sigma_target² - sigma_left²."""
    return params.strength * float(np.sqrt(1.0 - params.left**2))


def pitch_of(params: RegrainParams, clip: Clip) -> float:
    """Return the distance of pixels on the film, µm. Pixels are square on the negative, whatever they are on screen."""
    fmt = load_format(params.format)
    return params.pitch or fmt.pitch(max(1, clip.display.width))


def grain_tiles(
    device: Device,
    image: Image,
    planes: tuple[int, ...],
    out: Array,
    stock: Film,
    strength: float,
    seed: int,
    frame: int,
    *,
    correlation: float = 0.0,
    matte: Image | None = None,
    isa: str | None = None,
) -> None:
    """Grain `planes` of the image into `out` in one pass, tile by tile (CPU)."""
    region = image.region
    columns = -(-region.width // TILE[0])
    tiles = columns * -(-region.height // TILE[1])
    launch(
        device,
        "regrain",
        Region.sized(1, tiles * len(planes)),
        isa=isa,
        image=image,
        matte=matte or image,
        use_matte=matte is not None,
        out=(out, region),
        **stock.arguments(strength),
        plane=_three(planes),
        mix=_mix(stock, correlation),
        x0=region.x0,
        y0=region.y0,
        x1=region.x1,
        y1=region.y1,
        columns=columns,
        tiles=tiles,
        frame=frame,
        seed=seed,
    )


def grain_passes(
    device: Device,
    image: Image,
    planes: tuple[int, ...],
    out: Array,
    stock: Film,
    strength: float,
    seed: int,
    frame: int,
    *,
    correlation: float = 0.0,
    matte: Image | None = None,
    isa: str | None = None,
) -> None:
    """Grain `planes` of the image into `out` in three launches, a pixel a thread (CUDA; the same bits as one pass)."""
    region, half, count = image.region, stock.half, len(planes)
    tall = Region(region.x0, region.y0 - half, region.x1, region.y1 + half)
    quads = Region(region.x0 - half, tall.y0 >> 2, region.x1 + half, ((tall.y1 - 1) >> 2) + 1)
    white = device.empty((4 * count, quads.height, quads.width))
    rows = device.empty((count, tall.height, tall.width))
    arguments = stock.arguments(strength)
    launch(
        device, "regrain_white", quads, isa=isa,
        out=(white, quads), mix=_mix(stock, correlation), layers=count, frame=frame, seed=seed,
    )  # fmt: skip
    launch(
        device, "regrain_rows", tall, isa=isa, reach=half,
        white=(white, quads), out=(rows, tall), taps=arguments["taps"], layers=count,
    )  # fmt: skip
    launch(
        device, "regrain_apply", region, isa=isa,
        image=image, matte=matte or image, use_matte=matte is not None, rows=(rows, tall), out=(out, region),
        **arguments, plane=_three(planes), layers=count,
    )  # fmt: skip
