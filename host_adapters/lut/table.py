"""A table of colours: its lattice, its shaper, its files, and how far it is from the exact colours."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PyOpenColorIO as OCIO

from safelight.colour.difference import delta_e_2000, delta_e_itp, lab
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.host_adapters.lut.chain import Chain, Colours

TOE = 0.005
"""Light around which the shaper goes over from straight to logarithmic, five stops under mid-grey."""
SHAPER_SIZE = 65536
"""Entries of the one-dimensional table in a .cube, the most that Resolve takes."""
WHITE = 100.0
"""Light of scene-linear 1.0 for the colour difference, cd/m²."""
CHECKED = 20000
"""Random colours the error is stated for."""


@dataclass(frozen=True)
class Shaper:
    """Spreads scene-linear light evenly over the lattice: s = log2(x / TOE + 1) / log2(highest / TOE + 1)."""

    highest: float

    @property
    def span(self) -> float:
        """Stops from the toe to the highest light."""
        return math.log2(self.highest / TOE + 1)

    def shape(self, light: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the place of light on the lattice, 0 … 1; what lies outside goes to the nearer end."""
        return np.clip(np.log2(np.maximum(light, 0) / TOE + 1) / self.span, 0, 1)

    def light(self, place: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the light at a place; the inverse of `shape`."""
        return TOE * (np.exp2(place * self.span) - 1)


@dataclass(frozen=True)
class Error:
    """How far the table is from the exact colours, over random colours off its lattice."""

    colours: int
    itp_mean: float
    itp_99: float
    itp_max: float
    lab_mean: float
    lab_max: float
    worst: tuple[float, float, float]
    """The colour coming in where ΔE ITP is largest."""

    def as_data(self) -> dict[str, object]:
        """Return the figures as plain data."""
        return {
            "colours": self.colours,
            "delta_e_itp": {"mean": self.itp_mean, "p99": self.itp_99, "max": self.itp_max},
            "delta_e_2000": {"mean": self.lab_mean, "max": self.lab_max},
            "worst": list(self.worst),
        }


def lattice(size: int) -> npt.NDArray[np.float64]:
    """Return the places of a table's colours, (3, size³), red fastest, as .cube files have them."""
    steps = np.linspace(0, 1, size)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    return np.stack([red.ravel(), green.ravel(), blue.ravel()])


def make_table(chain: Chain, size: int, shaper: Shaper | None) -> Colours:
    """Return the exact colours on the lattice, (3, size³).

    Raises GraphError where one of them is not finite: a table would spread it.
    """
    places = lattice(size)
    made = chain((shaper.light(places) if shaper else places).astype(np.float32))
    if not np.isfinite(made).all():
        where = places[:, int(np.argmin(np.isfinite(made).all(axis=0)))]
        raise GraphError(
            f"the chain makes a colour that is not finite of {np.array2string(where, precision=4)}",
            remedy="Choose another --output-space, or a smaller --highest.",
        )
    return made


def cube_text(table: Colours, size: int, shaper: Shaper | None, title: str) -> str:
    """Return a .cube: with a shaper, in Resolve's form of a one-dimensional table before the lattice."""
    if shaper is not None:  # this form knows no title
        lines = [f"# {title}", f"LUT_1D_SIZE {SHAPER_SIZE}", f"LUT_1D_INPUT_RANGE 0 {shaper.highest:.9g}"]
        lines += [f"LUT_3D_SIZE {size}", "LUT_3D_INPUT_RANGE 0 1"]
        places = shaper.shape(np.linspace(0, shaper.highest, SHAPER_SIZE))
        lines += [f"{place:.9g} {place:.9g} {place:.9g}" for place in places]
    else:
        lines = [f'TITLE "{title.replace(chr(34), "")}"', f"LUT_3D_SIZE {size}", "DOMAIN_MIN 0 0 0", "DOMAIN_MAX 1 1 1"]
    lines += [f"{red:.9g} {green:.9g} {blue:.9g}" for red, green, blue in table.T]
    return "\n".join(lines) + "\n"


def dctl_text(cube: str, shaper: Shaper | None, title: str) -> str:
    """Return a DCTL that puts colours through an exact shaper and then through the .cube beside it."""
    shape = "return _clampf(x, 0.0f, 1.0f);"
    if shaper is not None:
        shape = f"return _clampf(_log2f(_fmaxf(x, 0.0f) / {TOE:.9g}f + 1.0f) / {shaper.span:.9g}f, 0.0f, 1.0f);"
    return f"""// {title}
DEFINE_LUT(safelight_table, {cube})

__DEVICE__ float safelight_shape(float x)
{{
    {shape}
}}

__DEVICE__ float3 transform(int p_Width, int p_Height, int p_X, int p_Y, float p_R, float p_G, float p_B)
{{
    return APPLY_LUT(safelight_shape(p_R), safelight_shape(p_G), safelight_shape(p_B), safelight_table);
}}
"""


def apply_cube(path: Path, colours: Colours) -> Colours:
    """Put colours (3, n) through a .cube as OpenColorIO does, with tetrahedral interpolation."""
    OCIO.ClearAllCaches()  # it remembers a file by its name
    transform = OCIO.FileTransform(str(path), interpolation=OCIO.INTERP_TETRAHEDRAL)
    processor = OCIO.Config.CreateRaw().getProcessor(transform).getOptimizedCPUProcessor(OCIO.OPTIMIZATION_LOSSLESS)
    pixels = np.ascontiguousarray(colours.T, np.float32)
    processor.applyRGB(pixels)
    return np.ascontiguousarray(pixels.T)


def measure(
    chain: Chain, shaper: Shaper | None, through: Callable[[Colours], Colours], device: Device, seed: int = 1
) -> Error:
    """Hold a table against the exact colours, at random places spread evenly over its lattice.

    ΔE ITP (BT.2124) counts the light of displays as it is, and scene-linear 1.0 as 100 cd/m²; ΔE2000 is relative to
    white.
    """
    rng = np.random.default_rng(seed)
    places = rng.random((3, CHECKED))
    given = (shaper.light(places) if shaper else places).astype(np.float32)
    exact, table = chain(given), through(given)
    light = [
        np.asarray(chain.config.to_xyz(np.ascontiguousarray(colours[:, None, :]), chain.meant, device), np.float64)
        for colours in (exact, table)
    ]
    itp = delta_e_itp(light[0] * WHITE, light[1] * WHITE).ravel()
    difference = delta_e_2000(lab(light[0]), lab(light[1])).ravel()
    worst = given[:, int(np.nanargmax(itp))]
    return Error(
        CHECKED,
        float(np.nanmean(itp)),
        float(np.nanpercentile(itp, 99)),
        float(np.nanmax(itp)),
        float(np.nanmean(difference)),
        float(np.nanmax(difference)),
        (float(worst[0]), float(worst[1]), float(worst[2])),
    )
