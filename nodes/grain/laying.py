"""Laying grain on pixels: a stock made ready for the kernels, and the kernels' callers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.density import CurveTables
from safelight.graph.device import Device
from safelight.graph.image import Array, Image
from safelight.graph.region import Region
from safelight.nodes.grain.spectrum import bend, kernel, layer_weights, pixel_ratio
from safelight.nodes.grain.stock import Stock
from safelight.nodes.kernels.launch import launch

TILE = (512, 240)
"""Width and height of the kernel's tiles, pixels (regrain.kernel.h)."""


@dataclass(frozen=True, eq=False)
class Film:
    """A stock on pixels of one size, as the kernels take it; layers in the order of `layers`."""

    layers: tuple[int, ...]
    taps: npt.NDArray[np.float64]
    """(layers, half + 1) filter weights at distance 0, 1, …"""
    sigma: npt.NDArray[np.float64]
    """(layers, n) sigma of a pixel's density, at the places of `tables.forward`."""
    tables: CurveTables
    bend: npt.NDArray[np.float64] | None = None
    """(layers, n) how skewed the density is there (`spectrum.bend`); None: not at all."""

    @property
    def half(self) -> int:
        """Half-width of the filter, pixels."""
        return int(self.taps.shape[1]) - 1

    def curve_arguments(self) -> dict[str, Any]:
        """Return the kernels' arguments that describe the characteristic curves."""
        curves = self.tables.curves
        forward, inverse = _curves(self)
        return {
            "forward": (forward, self.tables.light),
            "inverse": (inverse, self.tables.nets),
            "e_toe": _three([curve.e_toe for curve in curves]),
            "n_toe": _three([curve.n_toe for curve in curves]),
            "toe_slope": _three([curve.n_toe / curve.e_toe for curve in curves]),
            "toe_back": _three([curve.e_toe / curve.n_toe for curve in curves]),
            "x_end": _three([np.log2(curve.e_end) for curve in curves]),
            "n_end": _three([curve.n_end for curve in curves]),
            "end_stops": _three([curve.end_stops for curve in curves]),
        }

    def arguments(self, strength: float) -> dict[str, Any]:
        """Return the kernels' arguments that describe the film, curves and grain."""
        straight, square = _weights(self, strength)
        return {
            **self.curve_arguments(),
            "sigma": (straight, self.tables.light),
            "quadratic": (square, self.tables.light),
            "skewed": self.bend is not None,
        }


# A table is as long as a small tile's work: it is made once, not once a tile.
@lru_cache(maxsize=32)
def _weights(film: Film, strength: float) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return what multiplies the noise and its square less 1, (layers, n) each."""
    sigma = strength * film.sigma
    straight, square = sigma, sigma
    if film.bend is not None:
        straight, square = sigma * np.sqrt(1.0 - film.bend**2), sigma * film.bend / np.sqrt(2.0)
    return straight.astype(np.float32), square.astype(np.float32)


@lru_cache(maxsize=32)
def _curves(film: Film) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the forward and inverse tables as the kernels take them."""
    return film.tables.forward.astype(np.float32), film.tables.inverse.astype(np.float32)


@lru_cache(maxsize=32)
def film(stock: Stock, pitch: float, layers: tuple[int, ...], skew: float = 0.0) -> Film:
    """Prepare a stock for pixels `pitch` µm apart, with `skew` times the skewness of its dye clouds.

    Raises ValueError where the pitch is too fine for the filter.
    """
    kernels = [kernel(stock.cloud_um[layer], pitch) for layer in layers]
    taps = np.zeros((len(layers), 1 + max(one.half for one in kernels)))
    for row, one in zip(taps, kernels, strict=True):
        row[: one.half + 1] = one.taps
    tables = CurveTables(tuple(stock.curves[layer] for layer in layers))
    light = tables.light_samples
    sigma = np.stack([stock.sigma48_at(layer, light) * pixel_ratio(stock.cloud_um[layer], pitch) for layer in layers])
    if skew == 0:
        return Film(layers, taps, sigma, tables)
    bends = np.stack([bend(skew * stock.skewness_at(layer, light, pitch)) for layer in layers])
    return Film(layers, taps, sigma, tables, bends)


@dataclass(frozen=True, eq=False)
class Grain:
    """Grain to be laid in: whose, how much, which, and where."""

    film: Film
    strength: float
    """Sigma over the film's."""
    seed: int
    frame: int
    correlation: float = 0.0
    """How much grain the layers share, 0 to 1 (`spectrum.layer_weights`)."""
    matte: Image | None = None
    """Weight of sigma, first channel, over all of the picture; None: 1 everywhere."""

    def mix(self) -> npt.NDArray[np.float64]:
        """Return the kernels' 9 noise weights, a row for each plane."""
        mix = np.zeros((3, 3))
        mix[: len(self.film.layers)] = layer_weights(self.correlation)[list(self.film.layers)]
        return mix.ravel()


def _three(values: Sequence[float]) -> list[float]:
    return [*values, *[values[-1]] * (3 - len(values))]


def _stride(count: int) -> int:
    """Return a step that is prime to `count` and far from a divisor: steps of it visit neighbours late."""
    step = max(1, round(0.618 * count))
    while gcd(step, count) != 1:
        step += 1
    return step


def lay(device: Device, image: Image, planes: tuple[int, ...], out: Array, grain: Grain) -> None:
    """Lay grain on `planes` of the image, into `out`: in one pass on the CPU, in three launches elsewhere."""
    (grain_tiles if device.kind == "cpu" else grain_passes)(device, image, planes, out, grain)


def grain_tiles(
    device: Device, image: Image, planes: tuple[int, ...], out: Array, grain: Grain, *, isa: str | None = None
) -> None:
    """Grain `planes` of the image into `out` in one pass, tile by tile (CPU).

    No noise is made where the matte is empty.
    """
    region = image.region
    columns = -(-region.width // TILE[0])
    tiles = columns * -(-region.height // TILE[1])
    items = tiles * len(planes)
    launch(
        device,
        "regrain",
        Region.sized(1, items),
        isa=isa,
        image=image,
        matte=grain.matte or image,
        use_matte=grain.matte is not None,
        out=(out, region),
        taps=(grain.film.taps, (0, grain.film.half)),
        **grain.film.arguments(grain.strength),
        plane=_three(planes),
        mix=grain.mix(),
        x0=region.x0,
        y0=region.y0,
        x1=region.x1,
        y1=region.y1,
        columns=columns,
        tiles=tiles,
        stride=1 if grain.matte is None else _stride(items),
        frame=grain.frame,
        seed=grain.seed,
    )


def grain_passes(
    device: Device, image: Image, planes: tuple[int, ...], out: Array, grain: Grain, *, isa: str | None = None
) -> None:
    """Grain `planes` of the image into `out` in three launches, a pixel a thread (CUDA; the same bits as one pass)."""
    region, half, count = image.region, grain.film.half, len(planes)
    tall = Region(region.x0, region.y0 - half, region.x1, region.y1 + half)
    quads = Region(region.x0 - half, tall.y0 >> 2, region.x1 + half, ((tall.y1 - 1) >> 2) + 1)
    white = device.empty((4 * count, quads.height, quads.width))
    rows = device.empty((count, tall.height, tall.width))
    taps = (grain.film.taps, (0, half))
    launch(
        device, "regrain_white", quads, isa=isa,
        out=(white, quads), mix=grain.mix(), layers=count, frame=grain.frame, seed=grain.seed,
    )  # fmt: skip
    launch(
        device, "regrain_rows", tall, isa=isa, reach=half,
        white=(white, quads), out=(rows, tall), taps=taps, layers=count,
    )  # fmt: skip
    launch(
        device, "regrain_apply", region, isa=isa,
        image=image, matte=grain.matte or image, use_matte=grain.matte is not None, rows=(rows, tall),
        out=(out, region), taps=taps, **grain.film.arguments(grain.strength), plane=_three(planes), layers=count,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Original:
    """A plate's own grain, and how far the picture is still the plate's."""

    grain: Image
    """In light: plate - clean. Not finite, or 0: none."""
    clean: Image
    """The light it was taken from."""
    changed: Image
    """First channel, over all of the picture: 0 unchanged … 1 changed. Not a number counts as 0."""
    grain_planes: tuple[int, ...]
    clean_planes: tuple[int, ...]


def lay_original(
    device: Device,
    image: Image,
    planes: tuple[int, ...],
    out: Array,
    film: Film,
    original: Original,
    matte: Image | None = None,
    *,
    isa: str | None = None,
) -> None:
    """Put a plate's own grain back where its picture was not changed.

    With c how far a pixel is changed: at 0 image + grain where the image still is the clean picture, to the bit; at 1
    the fresh picture's bits. Elsewhere density changes by sqrt(1 - c) times what the grain made of the clean picture's,
    and by sqrt(c) times what the fresh grain makes: independent grains of one variance keep it. On light that is not
    the clean picture's the plate's grain is as much stronger or weaker as the film's sigma is there.

    Parameters
    ----------
    image:
        The picture without grain, scene-linear.
    planes:
        Its planes to work on, and those of `out`.
    out:
        The picture with fresh grain of full weight; what is made is written over it.
    matte:
        Weight of the density's change, as a Regrain's.
    """
    launch(
        device, "regrain_original", image.region, isa=isa,
        image=image, fresh=(out, image.region), grain=original.grain, clean=original.clean, changed=original.changed,
        matte=matte or original.changed, use_matte=matte is not None, out=(out, image.region),
        **film.curve_arguments(), sigma=(film.sigma, film.tables.light), plane=_three(planes),
        grain_plane=_three(original.grain_planes), clean_plane=_three(original.clean_planes), layers=len(planes),
    )  # fmt: skip
