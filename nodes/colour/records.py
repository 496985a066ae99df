"""The primaries in which a scan's three records are taken apart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from safelight.colour.config import ColourConfig
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.nodes.colour.fade_statistics import Floats

REC709 = ("Linear Rec.709 (sRGB)", "lin_rec709_srgb", "lin_rec709", "lin_rec709_scene", "Utility - Linear - Rec.709")
"""What configs in use call linear light of sRGB's primaries, best first."""


@dataclass(frozen=True)
class Records:
    """Light of the working space to that of the records, and back: (3, 3) each."""

    space: str
    into: Floats
    back: Floats

    def light(self, planes: Floats) -> Floats:
        """Return the records' light of R, G, B (3, …) in the working space."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(np.tensordot(self.into, planes.astype(np.float64), 1))


def rec709(config: ColourConfig) -> str | None:
    """Return the config's linear Rec.709."""
    for name in REC709:
        try:
            return config.resolve(name)
        except GraphError:
            continue
    return None


def records(config: ColourConfig, primaries: str, medium: str) -> Records:
    """Return the matrices of `primaries`, a space of linear light, or "auto".

    Auto: a scan of a print or of separations comes as sRGB, whose red, green and blue the scanner's filters are taken
    to be; a film log holds a negative channel by channel in the working space (`safelight.colour.spaces`).

    Raises
    ------
    GraphError
        The space is unknown, or is no linear light: its curve would come on top of density's logarithm.
    """
    if primaries == "auto":
        space = (rec709(config) if medium != "negative" else None) or config.working
    else:
        space = config.resolve(primaries)
    into = matrix(config, config.working, space)
    return Records(space, into, np.asarray(np.linalg.inv(into), np.float64))


def matrix(config: ColourConfig, source: str, target: str) -> Floats:
    """Return the (3, 3) matrix between two linear spaces; GraphError where it takes more than a matrix."""
    colours = np.concatenate([np.eye(3), 3 * np.eye(3), -np.eye(3), [[0.2, 0.5, 0.1]]]).T.astype(np.float32)
    made = np.asarray(config.convert(colours[:, None].copy(), source, target, Device("cpu", 1)), np.float64)[:, 0]
    found = made[:, :3]
    if not np.allclose(found @ colours, made, rtol=1e-4, atol=1e-5):
        raise GraphError(
            f"'{target}' is no linear light",
            where="parameter 'primaries'",
            remedy='Name a linear space, such as "Linear Rec.709 (sRGB)", or leave it at "auto".',
        )
    return np.asarray(found)
