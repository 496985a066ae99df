"""Which of the pieces that depart from their neighbours are damage, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage.blobs import Ints, Pieces, means, none, pieces
from safelight.nodes.damage.departure import Departure
from safelight.nodes.damage.odds import COLOURED, COLOURED_AT_END, GREY, GREY_AT_END, log_odds
from safelight.nodes.damage.trails import REACH, Spots, company, falling, shared

Floats = npt.NDArray[np.float64]

LOW, HIGH, SEEDED = 2.4, 3.0, 1.0
GROW = 1.8
PURE = 0.6
SMALLEST = 3
SURE = 4.5
"""Departure of a piece, at its strongest, from which its company counts for others'."""
LEAST = 0.02
CHANCE, CLEAN = 3, 15.0
"""Pieces of a frame, and of a million pixels, that even a clean one may show."""
RESERVE, SLOPE, MOST = 1.7, 1.05, 2.8
"""Of the logarithm of the odds: what it falls by in a clean frame, rises by with that of the density, and at most."""
EDGY, DOUBT = 8, 3.0


@dataclass(frozen=True)
class Rules:
    """What is looked for."""

    sensitivity: float = 0.5
    protection: float = 1.0
    tones: Sequence[str] = ("dark", "bright", "coloured")
    smallest: int = 2
    """Pixels of the longer side of a piece's box."""
    largest: int = 100

    @property
    def ease(self) -> float:
        """By how much thresholds fall or rise."""
        return float(2.0 ** (1 - 2 * self.sensitivity))

    @property
    def low(self) -> float:
        """Departure, in standard deviations of the noise, from which a pixel belongs to a piece."""
        return LOW * self.ease


def purity(sums: Any) -> Floats:
    """Return how far the other two records depart, against the one that departs most."""
    return np.asarray(np.abs(sums["rest"]) / (np.abs(sums["record"]) + 1e-6))


def measurements(found: Pieces, departure: Departure, spots: Any, protection: float) -> dict[str, Floats]:
    """Return by name what the odds of each piece are told from: itself, its surroundings, and the company it keeps.

    Parameters
    ----------
    spots:
        Of each sign, what stands out in the frame before and after.
    protection:
        Part of REACH within which company is looked for; with 0 every piece is taken to have none.
    """
    s = found.sums
    height, width = found.shape
    deep = np.abs(s["contrast"]) + 1e-6
    unrest = departure.unrest(s["x"], s["y"])
    out = {
        "spread": np.log(unrest["spread"] + 0.1),
        "turn": np.log(unrest["turn"] + 0.25),
        "less": np.log(np.maximum(unrest["less"], 0.2)),
        "more": np.log(np.maximum(unrest["more"], 0.2)),
        "peak": np.log(s["peak"] + 0.3),
        "most": np.log(s["most"]),
        "z": np.log(s["z"]),
        "area": np.log(np.minimum(s["area"], 200)),
        "deep": np.log(deep),
        "ring": np.log(np.maximum(s["ring_stops"] / deep, 0.01)),
        "ringz": np.log(s["ring"] + 0.1),
        "apart": np.log(s["apart"] + 0.5),
        "apart_to_z": np.log(np.maximum(s["apart"] / (s["apart"] + s["z"]), 0.02)),
        "ring_apart": np.log(s["ring_apart"] + 0.5),
        "ba": np.log(1 + s["before"] + s["after"]),
        "long": np.log(s["long"]),
        "sharp": s["sharp"],
        "steady": np.clip(s["steady"] / s["z"], 0, 2),
        "beyond": departure.beyond(found.boxes, width, height).astype(np.float64),
        "stands": np.clip(s["raised"] / np.where(np.abs(s["contrast"]) < 1e-6, 1e-6, s["contrast"]), -1, 2),
        "pur": np.minimum(purity(s), 1.5),
        "grey": np.log(s["grey"] + 0.3),
        "bright": np.full(len(found), float(found.tone == "bright")),
    }
    names = ("line", "close", "single", "crowd")
    kept = {name: np.zeros(len(found)) for name in names}
    fall = np.zeros(len(found))
    if protection > 0:
        signs = {"dark": [-1], "bright": [1], "coloured": [-1, 1]}[found.tone]
        reach, aside = REACH * protection, departure.one_sided
        ways = [company(s, spots[sign][0], spots[sign][1], (width, height), reach, aside) for sign in signs]
        kept = {name: np.where(s["contrast"] < 0, ways[0][name], ways[-1][name]) for name in names}
        fall = falling(s)
    weight = 1 / (1 + np.exp(-2 * (s["most"] - SURE)))
    others = {"s_" + name: shared(s, kept[name], weight) for name in ("line", "close", "crowd")}
    return {**out, **kept, "fall": fall, **others, "s_fall": shared(s, fall, weight)}


def matte(found: Departure, rules: Rules, plane: Any) -> npt.NDArray[np.float32]:
    """Return the confidence that each pixel is damaged, (H, W): 0 where nothing is.

    Parameters
    ----------
    plane:
        (H, W) float32, the frame's grey.
    """
    fields = {**found.fields, "here": plane}
    out = np.zeros(plane.shape, np.float32)
    extra = 6 * (rules.sensitivity - 0.5)
    nets = (GREY_AT_END, COLOURED_AT_END) if found.one_sided else (GREY, COLOURED)
    spots = {sign: (Spots(fields["before"], sign), Spots(fields["after"], sign)) for sign in (-1, 1)}
    # What lies on one record shows in grey too, where nobody asked for it.
    of_colour = np.zeros(plane.shape, bool)
    judged: list[tuple[Pieces, Floats]] = []
    for tone in ("coloured", "dark", "bright"):
        one = candidates(tone, fields, rules)
        if not len(one):
            continue
        if tone == "coloured":
            pure = purity(one.sums) < PURE
        if tone not in rules.tones:
            if tone == "coloured":
                of_colour.ravel()[one.at[pure[one.index]]] = True
            continue
        odds = log_odds(nets[tone == "coloured"], measurements(one, found, spots, rules.protection))
        odds[~pure if tone == "coloured" else one.mean(of_colour) > 0.5] = -np.inf
        judged.append((one, odds))
    odds_of_edges(judged, plane)
    extra += prior(sum(int((odds > 0).sum()) for _, odds in judged), plane.size)
    for one, odds in judged:
        rating = 1 / (1 + np.exp(-np.clip(odds + extra, -40, 40)))
        longer = np.maximum(one.boxes[:, 2] - one.boxes[:, 0], one.boxes[:, 3] - one.boxes[:, 1])
        rating[(longer < rules.smallest) | (longer > rules.largest) | (rating < LEAST)] = 0
        _lay(out, one, rating, fields["colour" if one.tone == "coloured" else "grey"])
    return out


def odds_of_edges(judged: Sequence[tuple[Pieces, Floats]], plane: Any) -> None:
    """Lower the odds of pieces on the scene's edges as far as the frame's pieces prefer them.

    Dust falls anywhere; what is left where frames do not lie on each other, or one is softer than the other, lies along
    edges. Each piece has a rank, 0 to 1, by the slopes of the scene around it. Over the frame the ranks are a mixture
    of dust, even, and leftovers, (EDGY + 1) rank^EDGY; its share is found by expectation and maximisation (Dempster et
    al. 1977), held towards none by DOUBT pieces.

    Parameters
    ----------
    judged:
        Pieces and the logarithms of their odds, which are changed.
    plane:
        (H, W) stops: the frame's grey; its slopes are taken around the pieces, as they have edges of their own.
    """
    if not judged or min(plane.shape) < 2:
        return
    slope = slopes(plane)
    rows = _every(slope, 7, 5)
    usual = np.sort(ndimage.uniform_filter1d(rows, 11, 1)[:, ::7].ravel())
    ranks = []
    for one, _ in judged:
        at, index = one.beside
        ranks.append(np.searchsorted(usual, means(index, slope.ravel()[at], len(one))) / len(usual))
    held = np.concatenate([rank[odds > 0] for rank, (_, odds) in zip(ranks, judged, strict=True)])
    if not len(held):
        return
    share = 0.5
    for _ in range(30):
        of_edges = share * (EDGY + 1) * held**EDGY
        share = float((of_edges / (of_edges + 1 - share)).sum()) / (len(held) + DOUBT)
    for rank, (_, odds) in zip(ranks, judged, strict=True):
        odds += np.log((1 - share) / (1 - share + share * (EDGY + 1) * rank**EDGY))


def slopes(plane: Any) -> npt.NDArray[np.float32]:
    """Return the length of a plane's gradient, (H, W), of at least two rows and columns; as `numpy.gradient` and
    `hypot` find it, in a third of the time."""
    square = np.zeros(plane.shape, np.float32)
    part = np.empty(plane.shape, np.float32)
    for source, out in ((plane, part), (plane.T, part.T)):
        np.subtract(source[2:], source[:-2], out=out[1:-1])
        out[1:-1] *= np.float32(0.5)
        out[0], out[-1] = source[1] - source[0], source[-1] - source[-2]
        np.multiply(part, part, out=part)
        square += part
    return np.sqrt(square, out=square)


def _every(plane: Any, stride: int, reach: int) -> npt.NDArray[np.float32]:
    """Return every `stride`-th row of the mean over `reach` rows to either side, mirrored beyond the edges."""
    rows = np.pad(np.arange(len(plane)), reach, mode="symmetric")
    total = np.zeros_like(plane[::stride])
    for step in range(2 * reach + 1):
        total += plane[rows[step : step + len(plane) : stride]]
    return np.asarray(total / np.float32(2 * reach + 1), np.float32)


def prior(sure: int, pixels: int) -> float:
    """Return by how much the logarithm of the odds rises in a frame of so many pieces that are damage by themselves; it
    falls where there are next to none."""
    density = max(0, sure - CHANCE) * 1e6 / pixels
    return float(np.clip(SLOPE * np.log(max(density, 1e-6) / CLEAN), 0, MOST)) - RESERVE


def candidates(tone: str, fields: Mapping[str, Any], rules: Rules) -> Pieces:
    """Return all pieces of one tone that may be damage."""
    if tone == "coloured" and not np.any(fields["colour"]):
        return none(tone, fields["colour"].shape)
    return pieces(tone, fields, rules.low, HIGH * rules.ease, SEEDED * rules.ease, SMALLEST)


def _lay(out: npt.NDArray[np.float32], found: Pieces, rating: Floats, support: Any) -> None:
    """Lay the ratings of pieces into the matte, each with the faint pixels of its tone, within two, that touch it."""
    inside = rating[found.index] > 0
    at, values = found.at[inside], rating[found.index[inside]].astype(np.float32)
    sign = {"dark": -1, "bright": 1, "coloured": 0}[found.tone]
    flat, whole = support.ravel(), out.ravel()
    whole[at] = np.maximum(whole[at], values)
    for _ in range(2):
        at, values = _around(at, values, found.shape)
        strength = flat[at] * sign if sign else np.abs(flat[at])
        new = (strength > GROW) & (whole[at] < values)
        at, values = at[new], values[new]
        whole[at] = values


def _around(at: Ints, values: Any, shape: tuple[int, int]) -> tuple[Ints, Any]:
    """Return the neighbours of some pixels, each once, with the largest of the values beside it."""
    height, width = shape
    y, x = at // width, at % width
    places, held = [], []
    for j in (-1, 0, 1):
        for i in (-1, 0, 1):
            inside = (y + j >= 0) & (y + j < height) & (x + i >= 0) & (x + i < width)
            places.append(at[inside] + (j * width + i))
            held.append(values[inside])
    every, held_all = np.concatenate(places), np.concatenate(held)
    order = np.lexsort((-held_all, every))
    every, held_all = every[order], held_all[order]
    first = np.concatenate([np.ones(min(1, len(every)), bool), every[1:] != every[:-1]])
    return every[first], held_all[first]
