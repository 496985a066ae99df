"""Where lines may run on a frame: paths through what it shows, and through what only it shows of the scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.nodes.damage import ridges, sways, tracks, uprights
from safelight.nodes.damage.ridges import STRIP, Floats, Tone
from safelight.nodes.damage.uprights import Line
from safelight.nodes.motion.blocks import BLOCK, Pyramid, compensate, quarter, search

SEARCH_SCALE = 200.0
STEPS = 32
"""Steps that summed evidence is kept in, to its noise."""
GREY = 1e-4
"""Stops that records may differ by in a grey picture."""
TONES: tuple[Tone, ...] = ("dark", "bright")


@dataclass(frozen=True)
class Prepared:
    """One frame: light in stops (luma, then records), what is finite, its luma's pyramid."""

    planes: Floats
    """(planes, H, W), stops."""
    good: Any
    pyramid: Pyramid | None
    noise: Floats
    """Local noise of every plane."""
    strips: Any
    """Evidence summed over strips, (planes, tones, strips, slants, W), int8, in thirty-seconds of its noise."""

    @cached_property
    def soft(self) -> Floats:
        """Luma softened, (H, W): made when a line is first asked how it sways."""
        return sways.soft(self.planes[0])

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        own = self.planes.nbytes + self.good.nbytes + self.noise.nbytes + self.strips.nbytes + self.planes[0].nbytes
        return int(own) + (self.pyramid.nbytes if self.pyramid else 0)


@dataclass(frozen=True)
class Sought:
    """What lines are sought."""

    widest: int
    """Pixels."""
    slant: float
    """Degrees from upright, at most."""
    shortest: float
    """Rows."""
    least: float
    """Score."""

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths in pixels that evidence is taken for."""
        return tuple(dict.fromkeys(min(w, self.widest) for w in (1, 2, 3, 5, 8, 12, 15)))

    def strips(self, evidence: Floats, good: Any) -> Floats:
        """Sum a tone's evidence over strips along every slant."""
        if not good.all():
            evidence[~good] = 0
        most = max(1, round(STRIP * math.tan(math.radians(self.slant)))) if self.slant else 0
        return ridges.strips(evidence, most)


def scene(
    here: Pyramid | None, there: Pyramid | None, sigma: float, level: int, device: Device
) -> tuple[Floats | None, int]:
    """Return where the scene goes, in pixels of the whole picture, and the size of a block; from a level of the
    pyramids, where there is one."""
    if here is None or there is None:
        return None, BLOCK
    level = min(level, len(here.levels) - 1)
    first, second = Pyramid(here.levels[level:]), Pyramid(there.levels[level:])
    vectors = search(first, second, device, noise=sigma * SEARCH_SCALE / 2**level, smoothness=0.02)
    return np.asarray(quarter(vectors, device) * np.float32(2**level / 4), np.float32), BLOCK << level


def moved(planes: Floats, vectors: Floats | None, device: Device) -> Floats | None:
    """Return another frame's planes, (planes, H, W), moved to match by where the scene goes, (2, blocks down, across)
    in pixels; None where that is not known."""
    if vectors is None:
        return None
    return np.asarray(compensate(planes, np.rint(4 * vectors), device))


def lacking(frames: Mapping[int, Prepared], fresh: Sequence[Floats], device: Device) -> dict[int, Floats]:
    """Return what frames have that the mean of both frames beside them, moved to match, has not: for each that has
    both, (planes, H, W), in stops.

    Parameters
    ----------
    frames:
        By how far away each is from the one in question, which is 0.
    fresh:
        What that one has and each of the two beside it has not, (planes, H, W), in stops.
    """
    found = {0: mean(fresh)}
    count = len(found[0])
    for away, one in frames.items():
        beside = [frames[at] for at in (away - 1, away + 1) if at in frames]
        if away == 0 or len(beside) < 2:
            continue  # what one frame alone lacks may be uncovered by something
        rough = float(np.median(one.noise[0]))
        wheres = (scene(one.pyramid, other.pyramid, rough, 0, device)[0] for other in beside)
        made = [moved(other.planes[:count], where, device) for other, where in zip(beside, wheres, strict=True)]
        both = [planes for planes in made if planes is not None]
        if len(both) == 2:
            behind = mean(both, out=both[0])
            found[away] = np.subtract(one.planes[:count], behind, out=behind)
    return found


def lines(
    sought: Sought, centre: Prepared, around: Sequence[tuple[int, Prepared]], fresh: Sequence[Floats], device: Device
) -> list[Line]:
    """Return the lines of a frame, whatever they are, the same one perhaps several times.

    Parameters
    ----------
    around:
        Other frames, and how far away each is.
    fresh:
        What the frame has and each of the two beside it has not, (planes, H, W), in stops; fewer where they are not
        there: then lines are sought in the picture alone.
    """
    found: list[Line] = []

    def follow(strips: Floats, plane: Floats, noise: Floats, tone: Tone, index: int, fleeting: bool) -> None:
        for track in tracks.find(strips, sought.least):
            if len(track.x) * STRIP >= sought.shortest:
                line = uprights.measured(track, plane, noise, tone, index, sought.widest)
                found.append(replace(line, fleeting=fleeting))

    for index, plane in enumerate(centre.planes):
        for which, tone in enumerate(TONES):
            summed = [one.strips[index, which] for one in (centre, *(o for _, o in around))]
            follow(summed[0] * np.float32(1 / STEPS), plane, centre.noise[index], tone, index, False)
            if len(summed) > 2:
                # What stays in its place gathers more of it than noise does, and than a scene that moves.
                strips = ridges.unit(_sum(summed, np.int16) * np.float32(1 / STEPS))
                follow(strips, plane, centre.noise[index], tone, index, False)
    if len(fresh) < 2:
        return found
    alone = lacking({0: centre, **dict(around)}, fresh, device)
    own = alone[0]
    # Plane by plane, in the same room: evidence takes twice as much as what it is of.
    room = [np.empty((2, *own.shape[1:]), np.float32) for _ in range(len(alone) + len(fresh))]
    for index in range(len(own)):
        noise = ridges.noise(own[index], device)
        evidence: list[Floats] = []
        either: list[Floats] = []
        for number, planes in enumerate((*alone.values(), *fresh)):
            spread = noise if number == 0 else ridges.noise(planes[index], device)
            one = ridges.evidence(planes[index][None], spread[None], sought.widths, device, out=room[number])[0]
            (evidence if number < len(alone) else either).append(one)
        for which, tone in enumerate(TONES):
            # What either frame beside lacks may be a scratch of the other one.
            seen = [np.minimum(either[0][which], either[1][which])]
            if len(evidence) > 1:
                # A scratch that stays is at the same place in what every frame has by itself.
                seen.append(_sum([one[which] for one in evidence], np.float32))
            seen.append(evidence[0][which])
            for one in seen:
                follow(sought.strips(one, centre.good), own[index], noise, tone, index, True)
    return found


def _sum(arrays: Sequence[Any], kind: Any) -> Any:
    """Return the sum of arrays of one shape, without a copy of them all."""
    total = arrays[0].astype(kind)
    for one in arrays[1:]:
        total += one
    return total


def mean(arrays: Sequence[Floats], out: Floats | None = None) -> Floats:
    """Return the mean of one or two arrays of one shape, without a copy of both; in `out`, if given (two)."""
    if len(arrays) == 1:
        return arrays[0].copy()
    first, second = arrays
    total: Floats = np.asarray(np.add(first, second, out=out))
    total *= np.float32(0.5)
    return total
