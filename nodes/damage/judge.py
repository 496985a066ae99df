"""Which of the pieces that depart from their neighbours are damage, and how sure that is.

The score of a piece is a logistic regression over what `blobs` measured, fitted on dust of 2 to 30 pixels laid over
real and drawn sequences with and without grain, each left out once; pieces on a trail, in a crowd, in falling streaks
or unseen by a neighbour are scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.nodes.damage.blobs import EIGHT, Pieces, none, pieces
from safelight.nodes.damage.departure import Departure
from safelight.nodes.damage.trails import REACH, Spots, falling, follow, twinkling

Floats = npt.NDArray[np.float64]

LOW, HIGH, SEEDED = 2.6, 4.0, 1.5
GROW = 1.8
GREY = {
    "one": -2.5,
    "peak": 0.37,
    "area": 1.2,
    "ring": -1.62,
    "apart": -2.38,
    "apart_to_z": -0.31,
    "ring_apart": -0.52,
    "before_after": -0.47,
    "long": -1.65,
    "sharp": -3.16,
}
COLOURED = {
    "one": -3.5,
    "peak": 2.44,
    "ring": -2.57,
    "apart": -0.28,
    "ring_apart": -1.78,
    "long": -0.26,
    "sharp": -2.5,
}
PURE = 0.5
LEAST = {"dark": 0.3, "bright": 0.3, "coloured": 0.2}  # of the feature, in stops
SMALLEST = 3
FEW, SHOWER = 3, 0.25
STEADY = 0.6  # of a piece's strength: what remains of it against neighbours moved without regard to small things


@dataclass(frozen=True)
class Rules:
    """What is looked for."""

    sensitivity: float = 0.5
    protection: float = 1.0
    tones: Sequence[str] = ("dark", "bright", "coloured")
    smallest: int = 2
    """Pixels of the longer side of a piece's box."""
    largest: int = 100


def purity(sums: Any) -> Floats:
    """Return how far the other two records depart, against the one that departs most."""
    record = sums["grey"] * 3**-0.5 + sums["colour"] * 1.5**0.5 * 2 / 3
    others = sums["grey"] * 3**-0.5 - sums["colour"] * 1.5**0.5 / 3
    return np.asarray(np.abs(others) / (np.abs(record) + 1e-6))


def score(found: Pieces, extra: float = 0.0) -> Floats:
    """Return each piece's probability of being damage, 0 to 1."""
    if not len(found):
        return np.zeros(0)
    s = found.sums
    weights = COLOURED if found.tone == "coloured" else GREY
    deep = np.abs(s["contrast"]) + 1e-6
    values = {
        "one": np.ones(len(found)),
        "peak": np.log(s["peak"]),
        "area": np.log(np.minimum(s["area"], 100)),
        "ring": np.log(np.maximum(s["ring_stops"] / deep, 0.01)),
        "apart": np.log(s["apart"] + 0.5),
        "apart_to_z": np.log(np.maximum(s["apart"] / (s["apart"] + s["z"]), 0.02)),
        "ring_apart": np.log(s["ring_apart"] + 0.5),
        "before_after": np.log(1 + s["before"] + s["after"]),
        "long": np.log(s["long"]),
        "sharp": s["sharp"],
    }
    logit = sum((weight * values[name] for name, weight in weights.items()), np.zeros(len(found))) + extra
    return np.asarray(1 / (1 + np.exp(-np.clip(logit, -40, 40))))


def matte(found: Departure, rules: Rules, plane: Any) -> npt.NDArray[np.float32]:
    """Return the confidence that each pixel is damaged, (H, W): 0 where nothing is.

    Parameters
    ----------
    plane:
        (H, W) float32, the frame's grey: asked where only one side in time is known.
    """
    shape = found.fields["grey"].shape
    out = np.zeros(shape, np.float32)
    ease = 2.0 ** (1 - 2 * rules.sensitivity)
    # One side alone cannot tell what comes from what goes.
    strict = 1.5 if found.one_sided else 1.0
    extra = 6 * (rules.sensitivity - 0.5) - (1.5 if found.one_sided else 0.0)
    low, high, seeded = (level * ease * strict for level in (LOW, HIGH, SEEDED))
    spots = {sign: (Spots(found.fields["before"], sign), Spots(found.fields["after"], sign)) for sign in (-1, 1)}
    # A piece in colour alone shows in grey too, by a third: it is one or the other.
    coloured = none("coloured", shape)
    if "colour" in found.fields and bool(np.any(found.fields["colour"])):
        coloured = pieces("coloured", found.fields, low, high, seeded, SMALLEST)
    pure = purity(coloured.sums) < PURE if len(coloured) else np.zeros(0, bool)
    of_colour = _picked(coloured, pure)
    for tone in ("dark", "bright", "coloured"):
        one = coloured if tone == "coloured" else pieces(tone, found.fields, low, high, seeded, SMALLEST)
        if not len(one):
            continue
        rating = score(one, extra)
        rating[np.abs(one.sums["contrast"]) < LEAST[tone]] = 0
        if tone == "coloured":
            rating[~pure] = 0
        else:
            share = ndimage.mean(of_colour, one.labels, np.arange(1, len(one) + 1))
            rating[np.asarray(share) > 0.5] = 0
        rating[found.beyond(one.boxes, shape[1], shape[0])] = 0
        if found.one_sided:
            rating[stands(one, plane) < 0.5] = 0
        if rules.protection > 0:
            sign = -1 if tone == "dark" else 1
            moving, crowded = follow(one.sums, *spots[sign], size=(shape[1], shape[0]), reach=REACH * rules.protection)
            if tone != "coloured":
                moving |= one.sums["steady"] < STEADY * one.sums["z"]
            if tone == "bright":
                moving |= twinkling(one.sums, *spots[sign])
            elif tone == "coloured":
                moving, crowded = np.zeros_like(moving), np.zeros_like(crowded)
            scene = moving | crowded | falling(one.sums, len(one))
            # Where much of what would count belongs to the scene, it is raining there, or snowing, or these are stars.
            likely = rating > 0.3
            if (scene & likely).sum() >= max(FEW, SHOWER * likely.sum()):
                scene[:] = True
            rating[scene] = 0
        longer = np.maximum(one.boxes[:, 2] - one.boxes[:, 0], one.boxes[:, 3] - one.boxes[:, 1])
        rating[(longer < rules.smallest) | (longer > rules.largest)] = 0
        if tone in rules.tones:
            table = np.concatenate([[0], np.where(rating > 0.02, rating, 0)]).astype(np.float32)
            _lay(out, table[one.labels], tone, found.fields)
    return out


def stands(found: Pieces, plane: Any) -> Floats:
    """Return how far each piece stands out from its surroundings in its own frame, against its departure in time."""
    index = np.arange(1, len(found) + 1)
    near = ndimage.maximum_filter(found.labels, 3)
    wide = ndimage.maximum_filter(found.labels, 9)
    ring = np.where(near == 0, wide, 0)
    inside = np.asarray(ndimage.mean(plane, found.labels, index))
    around = np.nan_to_num(np.asarray(ndimage.mean(plane, ring, index)), nan=0.0)
    deep = found.sums["grey"]
    return np.asarray((inside - around) / np.where(np.abs(deep) < 1e-6, 1e-6, deep))


def _picked(found: Pieces, keep: Any) -> npt.NDArray[np.bool_]:
    table = np.concatenate([[False], np.asarray(keep, bool)])
    return np.asarray(table[found.labels])


def _lay(out: npt.NDArray[np.float32], core: npt.NDArray[np.float32], tone: str, fields: Any) -> None:
    """Lay the scores of pieces into the matte, each with the faint pixels of its tone, within two, that touch it."""
    if not core.any():
        return
    faint = {
        "dark": lambda: fields["grey"] < -GROW,
        "bright": lambda: fields["grey"] > GROW,
        "coloured": lambda: np.abs(fields["colour"]) > GROW,
    }[tone]()
    wide = ndimage.maximum_filter(core, 5)
    whole, count = ndimage.label((faint & (wide > 0)) | (core > 0), EIGHT)
    holds = np.zeros(count + 1, bool)
    holds[whole[core > 0]] = True
    holds[0] = False
    np.maximum(out, np.where(holds[whole], np.where(core > 0, core, wide), 0), out=out)
