"""Where lines may run on a frame: paths through what it shows, and through what only it shows of the scene."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.nodes.damage import ridges, tracks, uprights
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
    good: Any
    pyramid: Pyramid | None
    noise: Floats
    """Local noise of every plane."""
    strips: Any
    """Evidence summed over strips, (planes, tones, strips, slants, W), int8, in thirty-seconds of its noise."""

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        own = self.planes.nbytes + self.good.nbytes + self.noise.nbytes + self.strips.nbytes
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
    """Return another frame's planes moved to match."""
    if vectors is None:
        return None
    return np.asarray(compensate(planes, np.rint(4 * vectors), device))


def lacking(frames: Mapping[int, Prepared], own: Sequence[Floats], count: int, device: Device) -> dict[int, Floats]:
    """Return what each frame has that the mean of the frames beside it, moved to match it, has not; (planes, H, W).

    Parameters
    ----------
    frames:
        By how far away each is from the one in question, which is 0.
    own:
        The frames beside that one, moved.
    count:
        How many planes.
    """
    found = {0: np.asarray(frames[0].planes[:count] - np.mean(own, 0, dtype=np.float32))}
    for away, one in frames.items():
        beside = [frames[at] for at in (away - 1, away + 1) if at in frames]
        if away == 0 or len(beside) < 2:
            continue  # what one frame alone lacks may be uncovered by something
        rough = float(np.median(one.noise[0]))
        made = [
            moved(other.planes[:count], scene(one.pyramid, other.pyramid, rough, 0, device)[0], device)
            for other in beside
        ]
        found[away] = np.asarray(one.planes[:count] - np.mean([m for m in made if m is not None], 0, dtype=np.float32))
    return found


def lines(
    sought: Sought, centre: Prepared, around: Sequence[tuple[int, Prepared]], own: Sequence[Floats], device: Device
) -> list[Line]:
    """Return the lines of a frame, whatever they are; of two at one place the better.

    Parameters
    ----------
    around:
        Other frames, and how far away each is.
    own:
        The two frames beside it, moved to match it; fewer where there are none.
    """
    found: list[Line] = []

    def follow(strips: Floats, plane: Floats, noise: Floats, tone: Tone, index: int, fleeting: bool) -> None:
        for track in tracks.find(strips, sought.least):
            if len(track.x) * STRIP >= sought.shortest:
                line = uprights.measured(track, plane, noise, tone, index, sought.widest)
                found.append(replace(line, fleeting=fleeting))

    for index, plane in enumerate(centre.planes):
        for which, tone in enumerate(TONES):
            summed = [one.strips[index, which] * np.float32(1 / STEPS) for one in (centre, *(o for _, o in around))]
            follow(summed[0], plane, centre.noise[index], tone, index, False)
            if len(summed) > 2:
                # What stays in its place gathers more of it than noise does, and than a scene that moves.
                strips = ridges.unit(np.sum(summed, 0, dtype=np.float32))
                follow(strips, plane, centre.noise[index], tone, index, False)
    if len(own) < 2:
        return found
    fresh = lacking({0: centre, **dict(around)}, own, len(centre.planes), device)
    noise = {away: np.stack([ridges.noise(one) for one in planes]) for away, planes in fresh.items()}
    either = [centre.planes - one for one in own]
    rough = [np.stack([ridges.noise(one) for one in planes]) for planes in either]
    for index in range(len(centre.planes)):
        evidence = {
            away: ridges.evidence(planes[index : index + 1], noise[away][index : index + 1], sought.widths, device)[0]
            for away, planes in fresh.items()
        }
        both = [
            ridges.evidence(planes[index : index + 1], spread[index : index + 1], sought.widths, device)[0]
            for planes, spread in zip(either, rough, strict=True)
        ]
        for which, tone in enumerate(TONES):
            # What either frame beside lacks may be a scratch of the other one.
            strips = sought.strips(np.minimum(both[0][which], both[1][which]), centre.good)
            follow(strips, fresh[0][index], noise[0][index], tone, index, True)
            each = {away: one[which] for away, one in evidence.items()}
            # A scratch that stays is at the same place in what every frame has by itself.
            total = np.asarray(np.sum(list(each.values()), 0, dtype=np.float32))
            follow(sought.strips(total, centre.good), fresh[0][index], noise[0][index], tone, index, True)
            strips = sought.strips(each[0], centre.good)
            follow(strips, fresh[0][index], noise[0][index], tone, index, True)
    return found
