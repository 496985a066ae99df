"""Camera negative stocks and negative formats: the numbers behind Degrain and Regrain.

The files in `stocks/` hold third-party readings of published charts with, beside every curve, where it comes from and
how far it can be trusted. In short: density within about 0.015, the shape of sigma within 5-8 %, its absolute level
perhaps 25 % uncertain, the dye-cloud size a prior (40 %).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.density import MID_GREY, Curve
from safelight.graph.errors import GraphError, did_you_mean
from safelight.nodes.grain.spectrum import dye_cloud_skewness

LAYERS = ("R", "G", "B")
_SPEEDS = {"5203": "50D", "5207": "250D", "5213": "200T", "5219": "500T"}


@dataclass(frozen=True, eq=False)
class Stock:
    """One stock. Layers are R, G, B: the red, green and blue Status M density records."""

    id: str
    """Kodak's number of the 35 mm stock."""
    short: str
    """Speed and balance: "500T"."""
    name: str
    curves: tuple[Curve, Curve, Curve]
    log_exposure: npt.NDArray[np.float64]
    """(n,) log10 exposure relative to camera stop 0."""
    sigma_table: npt.NDArray[np.float64]
    """(3, n) sigma of density through a 48 µm disc."""
    cloud_um: tuple[float, float, float]
    """Sigma of the Gaussian dye cloud of each layer, µm."""
    data: dict[str, Any]
    """The whole file: curves, MTF, dye crosstalk, sources, uncertainties."""

    def sigma48(self, layer: int, log_exposure: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return sigma of density through a 48 µm disc at log10 exposure relative to camera stop 0.

        Linear between the tabled points, held beyond them. By exposure and not by density: near D-min the density is
        flat while sigma is not.
        """
        x = np.asarray(log_exposure, np.float64)
        return np.asarray(np.interp(x, self.log_exposure, self.sigma_table[layer]))

    def sigma48_at(self, layer: int, e: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the same at scene-linear exposure e; zero and negative values have that of the first tabled point."""
        first = MID_GREY * 10.0 ** self.log_exposure[0]
        return self.sigma48(layer, np.log10(np.maximum(np.asarray(e, np.float64), first) / MID_GREY))

    def skewness_at(self, layer: int, e: npt.ArrayLike, pitch_um: float) -> npt.NDArray[np.float64]:
        """Return the skewness of the density of pixels `pitch_um` apart at scene-linear exposure e.

        Not published: it is what the stock's sigma, net density and cloud size say of dye clouds strewn at random
        (`spectrum.dye_cloud_skewness`), as uncertain as these. 0.66 for the blue of 500T at -3.7 stops and 6 µm, under
        0.2 everywhere from mid-grey up. Below the exposure of the largest sigma it is held: fog, part of D-min, has
        grain there too, and the net density no longer tells how many clouds there are.
        """
        held = MID_GREY * 10.0 ** self.log_exposure[int(np.argmax(self.sigma_table[layer]))]
        e = np.maximum(np.asarray(e, np.float64), held)
        return dye_cloud_skewness(self.sigma48_at(layer, e), self.curves[layer].net(e), self.cloud_um[layer], pitch_um)


@dataclass(frozen=True)
class Format:
    """The exposed area of a negative, mm."""

    id: str
    name: str
    width_mm: float
    height_mm: float

    def pitch(self, pixels: int) -> float:
        """Return the distance of pixels on the film, µm, when the full width is scanned into that many."""
        return self.width_mm * 1000.0 / pixels


def _read(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(files("safelight.nodes.grain").joinpath("stocks", name).read_text("utf-8"))
    return loaded


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def stock_names() -> list[str]:
    """Return what each stock is called, slowest first: "50D (5203)", …"""
    return [f"{short} ({number})" for number, short in sorted(_SPEEDS.items(), key=lambda item: int(item[1][:-1]))]


def load_stock(name: str) -> Stock:
    """Return a stock by Kodak's number or its name: "5219", "7219", "500T", "Vision3 500T", "Kodak Vision3 500T 5219".

    Raises GraphError, with the nearest names, for one that is not there.
    """
    # The 16 mm form of an emulsion is numbered 72xx.
    known = {short.casefold(): number for number, short in _SPEEDS.items()}
    known |= {number: number for number in _SPEEDS} | {f"7{number[1:]}": number for number in _SPEEDS}
    rest = re.sub(r"kodak|vision\s*3?(?![0-9])", " ", name.casefold())
    words = re.findall(r"\d{4}|\d+[\s-]*[a-z]|[a-z0-9]+", rest)
    plain = [_plain(word) for word in words]
    found = {known.get(word) for word in plain}
    if len(found) == 1 and None not in found:
        return _load(str(found.pop()))
    near = did_you_mean(" ".join(plain), [*_SPEEDS.values(), *_SPEEDS])
    there_are = f"There are {', '.join(stock_names())}."
    raise GraphError(f"there is no film stock '{name}'", remedy=f"{near} {there_are}".strip())


@cache
def _load(number: str) -> Stock:
    data = _read(f"{number}.json")
    if data.get("schema") != "safelight-stock/1":
        raise GraphError(f"stock {number} is of the unknown kind '{data.get('schema')}'", remedy="Install again.")
    axis = data["log_exposure"]
    x = np.round(axis["first"] + axis["step"] * np.arange(axis["count"]), 9)
    density, sigma = data["density"], data["granularity"]
    red, green, blue = (Curve(x, density[layer], density["d_min"][layer]) for layer in LAYERS)
    cloud = data["cloud"]["cloud_sigma_um"]
    return Stock(
        number,
        _SPEEDS[number],
        data["name"],
        (red, green, blue),
        x,
        np.array([sigma[layer] for layer in LAYERS]),
        (float(cloud["R"]), float(cloud["G"]), float(cloud["B"])),
        data,
    )


@lru_cache(maxsize=32)
def pushed(stock: Stock, stops: float) -> Stock:
    """Return the stock as the scene meets it when it is exposed that many stops less: curves and sigma by scene light.

    A mid-grey then stands where, at normal exposure, a grey `stops` darker does. What a longer development does beside
    that, to the slope of the curves and to the grain, is not in it: no figures are published for these stocks.
    """
    if stops == 0:
        return stock
    x = stock.log_exposure + stops * np.log10(2.0)
    red, green, blue = (
        Curve(x, stock.data["density"][layer], curve.d_min) for layer, curve in zip(LAYERS, stock.curves, strict=True)
    )
    return replace(stock, curves=(red, green, blue), log_exposure=x)


@cache
def formats() -> dict[str, Format]:
    """Return the negative formats by id."""
    return {
        entry["id"]: Format(entry["id"], entry["name"], entry["width_mm"], entry["height_mm"])
        for entry in _read("formats.json")["formats"]
    }


def load_format(name: str) -> Format:
    """Return a format by its id, "super35_4perf", however it is spelt ("Super 35 4-perf").

    Raises GraphError, with the nearest names, for one that is not there.
    """
    by_plain = {_plain(key): entry for key, entry in formats().items()}
    found = by_plain.get(_plain(name))
    if found is None:
        remedy = did_you_mean(name, formats()) or f"There are {', '.join(formats())}."
        raise GraphError(f"there is no negative format '{name}'", remedy=remedy)
    return found
