"""What a lift must know of the file that its picture came from: where its channels clip, and what its codes are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.colour.config import ColourConfig, default_space
from safelight.graph.device import Device
from safelight.nodes.colour.code_pieces import pieces_of
from safelight.nodes.io.files.header import ORIGIN

Floats = npt.NDArray[np.float64]

_ENTRIES = 4097
_FINE = 16385


@dataclass(frozen=True, eq=False)
class Source:
    """The channels of a source, which clip and are rounded one by one.

    Attributes
    ----------
    to_source:
        3 × 3, working space to the source's channels in linear light, white 1, 1, 1.
    white:
        Light of the highest code, SDR white = 1.
    table:
        (2, n) over the square root of light from 0 to 1: the code, and light a code there. None: no codes.
    pieces:
        The same as polynomials, less exact and without a search; see `code_pieces`.
    """

    to_source: Floats
    white: float = 1.0
    table: Floats | None = None
    pieces: Floats | None = None


WORKING = Source(np.eye(3))
"""A source whose channels are the working space's."""


@dataclass(frozen=True)
class File:
    """The file a picture came from: the space of its numbers, and the bits of its whole numbers (0: floating point)."""

    space: str
    bits: int


def file_of(metadata: Mapping[str, Any], config: ColourConfig) -> File | None:
    """Return the file that metadata speaks of, its space chosen as Read chooses it; None where there is none."""
    origin = metadata.get(ORIGIN)
    if not isinstance(origin, Mapping) or not origin.get("types"):
        return None
    types = origin["types"]
    kind = str(next((types[name] for name in ("R", "G", "B", "Y") if name in types), next(iter(types.values()))))
    bits = int(kind.removeprefix("uint")) if kind.startswith("uint") else 0
    space = str(origin["colourspace"])
    if space == "auto":
        space = default_space(config, Path(str(origin["path"])), floating=bits == 0, log=bool(origin.get("log")))
    return File(config.resolve(space), bits)


@lru_cache(maxsize=8)
def source_in(config: ColourConfig, space: str, bits: int = 0) -> Source | None:
    """Return the channels of a colour space.

    Parameters
    ----------
    bits:
        Of its codes; 0 for none.

    Returns
    -------
    None where the space is not one of three curves and a matrix, or light does not rise with the code.
    """
    fine = np.linspace(0, 1, _FINE)
    probes = np.zeros((3, 1, _FINE + 5), np.float32)
    probes[:, 0, :_FINE] = fine
    probes[:, 0, _FINE : _FINE + 3] = np.eye(3)
    probes[:, 0, _FINE + 3] = (0.3, 0.6, 0.9)
    made = np.asarray(config.convert(probes, space, config.working, Device("cpu", 1)), np.float64)[:, 0]
    dark = made[:, 0]
    columns = made[:, _FINE : _FINE + 3] - dark[:, None]
    scale = float(columns.sum(axis=1).mean())
    if not np.isfinite(made).all() or scale <= 0:
        return None
    to_source = np.asarray(np.linalg.inv(columns / scale), np.float64)
    light = to_source @ made[:, :_FINE]
    curve = light[1]
    white = float(curve[-1])
    mixed = [np.interp(value, fine, curve) for value in (0.3, 0.6, 0.9)]
    close = np.abs(to_source @ made[:, _FINE + 3] - mixed).max() < 1e-4 * white
    if not close or (np.diff(curve) <= 0).any() or np.ptp(light, axis=0).max() > 1e-4 * white:
        return None
    if not bits or abs(curve[0]) > 1e-4 or abs(white - 1) > 1e-3:
        return Source(to_source, white)
    codes = 2**bits - 1
    at = np.linspace(0, 1, _ENTRIES) ** 2
    code = np.interp(at, curve, fine) * codes
    table = np.stack([code, np.interp(at, curve, np.gradient(curve, fine)) / codes])
    return Source(to_source, white, table, pieces_of(curve, fine, codes))
