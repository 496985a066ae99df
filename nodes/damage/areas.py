"""Which parts of a frame are damaged over a large area, and what kind of frame that makes it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from safelight.graph.device import Device
from safelight.nodes.damage.unmatched import (
    CALM,
    Against,
    Bools,
    Floats,
    Small,
    against,
    departure,
    framing,
    scatter,
    unlikeness,
    unsteady,
)

KINDS = ("destroyed", "blank", "splice", "blotch", "flash", "jump", "repeat")
"""What a frame can be, the worst first; it may be several at once."""

STEP = 0.25
"""Stops, beside the scatter, that an area must differ by."""
SIGMAS = 4.0
ASTRAY = 0.3
"""Stops of scatter from which another frame is no measure: it is destroyed itself, or of another shot."""
FAR = 0.3
"""Stops of exposure beyond which it takes more, by twice as much."""
CRUDE = 0.1
"""Stops more that it takes in a frame whose exposure cannot be told."""
ALONE = 1.6
"""How much more it takes where the frames around lie on one side in time."""
LOST = 0.5
"""Share of a frame beyond which it is destroyed."""
BAND, BAND_DEEP, BAND_WIDE = 0.005, 0.2, 0.6
"""A splice: a bar at the top or bottom at least and at most so high, over so much of the width."""
FLAT = 0.25
"""Part of the usual texture below which a frame is blank."""
SAME, DIFFER, EXACT = 0.2, 0.02, 1e-6
"""A repeated frame differs from the one before by less than this part of what frames differ by, which is at least so
many stops."""


@dataclass(frozen=True)
class Rules:
    """What the node's parameters ask for."""

    sensitivity: float
    area: float
    """Least area, as a share of the frame."""
    flash: float
    """Stops."""
    jump: float
    """Share of the frame's height."""
    splices: bool = True
    blotches: bool = True
    frames: bool = True
    """Whether whole frames are judged: flashes, repeats, jumps."""

    @property
    def step(self) -> float:
        """Stops by which an area must differ, beside the scatter."""
        return STEP * float(4 ** (0.5 - self.sensitivity))


@dataclass(frozen=True)
class Found:
    """What a frame is, and where."""

    kinds: tuple[str, ...]
    matte: Floats
    """(h, w) of the small picture: 0, or the confidence that the area is damaged."""
    note: str = ""


def judge(at: int, frames: Mapping[int, Small], rules: Rules, device: Device) -> Found:
    """Judge one frame by up to two before and two after it."""
    here = frames[at]
    nothing = np.zeros(here.planes.shape[1:], np.float32)
    if here.pyramid is None or len(frames) < 3:
        return Found((), nothing)
    kinds: dict[str, str] = {}
    if rules.frames:
        kinds |= _as_a_whole(at, frames, rules)
    mask, strength = _Areas(at, frames, rules, device).found()
    lost = float(mask.mean())
    if _blank(at, frames):
        kinds = {"blank": "nothing is left of the picture"}
        mask = np.ones_like(mask)
        strength = np.ones_like(strength)
    elif lost > LOST:
        kinds = {"destroyed": f"{lost:.0%} of it matches neither neighbour"}
    else:
        bands, where = _bands(mask)
        if bands.any() and rules.splices:
            kinds["splice"] = where
        elif not rules.splices:
            mask = mask & ~bands
        rest = mask & ~bands
        if rest.any() and rules.blotches:
            kinds["blotch"] = f"{float(rest.mean()):.1%} of it matches neither neighbour"
        elif not rules.blotches:
            mask = mask & bands
    matte = np.where(mask, strength, np.float32(0)).astype(np.float32)
    if "repeat" in kinds:
        matte[:] = 0
        kinds = {"repeat": kinds["repeat"]}
    ordered = tuple(kind for kind in KINDS if kind in kinds)
    return Found(ordered, matte, "; ".join(f"{kind}: {kinds[kind]}" for kind in ordered))


def _as_a_whole(at: int, frames: Mapping[int, Small], rules: Rules) -> dict[str, str]:
    kinds = {}
    here = frames[at]
    steps = {n: unlikeness(frames[n - 1], frames[n]) for n in sorted(frames) if n - 1 in frames}
    if at in steps:
        usual = _usual(size for n, size in steps.items() if n != at)
        if usual > DIFFER and steps[at] < SAME * usual:
            exact = np.array_equal(here.planes, frames[at - 1].planes)
            kinds["repeat"] = f"frame {at - 1} again" + ("" if exact else ", but for the noise of a codec")
    sides = [[frames[n].level for n in frames if (n < at) == before and n != at] for before in (True, False)]
    if all(sides):
        usual = float(np.median(sides[0] + sides[1]))
        more = here.level - usual
        near = [min(abs(level - usual) for level in side) for side in sides]
        if abs(more) >= rules.flash and max(near) < 0.5 * abs(more):
            kinds["flash"] = f"{abs(more):.1f} stops {'brighter' if more > 0 else 'darker'} than the frames around"
    moves = framing(frames)
    if at in moves and len(moves) > 2:
        usual = float(np.median([y for n, (_, y) in moves.items() if n != at]))
        spread = max(abs(y - usual) for n, (_, y) in moves.items() if n not in (at, at + 1))
        jumped = moves[at][1] - usual
        # The jump back belongs to the frame that jumped.
        back = at - 1 in moves and abs(moves[at - 1][1] - usual + jumped) < 0.5 * abs(jumped)
        if abs(jumped) > rules.jump * here.region.height and spread < 0.5 * abs(jumped) and not back:
            kinds["jump"] = f"the picture jumps {abs(jumped):.0f} pixels {'down' if jumped > 0 else 'up'}"
    return kinds


def _usual(steps: Iterable[float]) -> float:
    """Return by what frames that follow each other differ, 0 where none do: the least, as a destroyed frame differs
    more."""
    return min((size for size in steps if size > EXACT), default=0.0)


def _blank(at: int, frames: Mapping[int, Small]) -> bool:
    around = [frames[n].texture for n in frames if n != at]
    usual = float(np.median(around))
    return usual > 0.1 and frames[at].texture < FLAT * usual


class _Areas:
    """Looks for the areas of a frame that match neither neighbour: once as it is, then with what was found hidden from
    the search for motion."""

    def __init__(self, at: int, frames: Mapping[int, Small], rules: Rules, device: Device) -> None:
        self.at, self.frames, self.rules, self.device = at, frames, rules, device
        self.here = frames[at]
        steps = [unlikeness(frames[n - 1], frames[n]) for n in frames if n - 1 in frames]
        # Beside a destroyed frame all steps are large.
        rest = sorted(size for size in steps if size > EXACT)
        self._same = max(EXACT, SAME * (rest[1] if len(rest) > 1 else 0))

    def _again(self, other: Small) -> bool:
        """Tell whether another frame is this one again, and says nothing of its damage."""
        return unlikeness(self.here, other) < self._same

    def found(self) -> tuple[Bools, Floats]:
        nothing = np.zeros(self.here.planes.shape[1:], bool), np.zeros(self.here.planes.shape[1:], np.float32)
        first = self._chosen()
        if len(first) < 2:
            return nothing
        alone = min(first) > self.at or max(first) < self.at
        # Exposed far apart, in shadows and clipped lights no curve brings two frames together.
        apart = abs(self.here.level - float(np.median([self.frames[n].level for n in first])))
        limit = self.rules.step * (ALONE if alone else 1) * (1 + 2 * max(0.0, apart - FAR))
        held = list(first.values())
        if min(scatter([one.error]) for one in held) >= ASTRAY:
            return self._destroyed(first) or nothing
        seeds = self._beyond(held, limit, 0.5)
        hidden = _solid(seeds, 0.25 * self.rules.area) | _bands(seeds)[0]
        if not hidden.any():
            return nothing
        hidden = ndimage.binary_fill_holes(ndimage.binary_closing(hidden, _disc(4), border_value=0) | hidden)
        again = {
            n: against(self.here, other, self.device, hidden)
            for n, other in self.frames.items()
            if n != self.at and not self._again(other)
        }
        used = {n: again[n] for n in first}
        # What the frames beyond show as it is here was hidden in those next to it.
        beyond = [one for n, one in again.items() if n not in used and scatter([one.error]) < ASTRAY]
        held = list(used.values())
        errors = [one.error for one in (*held, *beyond)]
        size = departure(errors)
        limit += SIGMAS * scatter([one.error for one in held])
        needed = limit + unsteady([one.error for one in held], [one.moved for one in held])
        hidden_from = np.logical_and.reduce([one.outside for one in held])
        core = (size > needed) & ~hidden_from
        reach = (size > 0.6 * needed) & ~hidden_from & ndimage.binary_dilation(hidden, _disc(6))
        bands, _ = _bands(core)
        core = ndimage.binary_opening(core, _disc(2)) | bands
        mask = ndimage.binary_propagation(core, mask=reach | core)
        mask = ndimage.binary_fill_holes(ndimage.binary_closing(mask, _disc(2)) | mask)
        bands, _ = _bands(mask)
        mask = _solid(mask & ~bands, self.rules.area * (2 if alone else 1), inside=alone) | bands
        labels, count = ndimage.label(mask, np.ones((3, 3)))
        if not count:
            return nothing
        index = np.arange(1, count + 1)
        over = np.asarray(ndimage.mean(size / needed, labels, index))
        sure = np.clip(1 - np.exp(-over), 0.5, 1).astype(np.float32)
        return mask, np.append(np.float32(0), sure)[labels]

    def _destroyed(self, held: Mapping[int, Against]) -> tuple[Bools, Floats] | None:
        """Return where a frame that is like nothing around it differs, whatever the exposure; None where the frames
        around are as unlike each other: a cut that nobody named, or motion too fast to follow."""
        first, second = (self.frames[n] for n in held)
        if scatter([against(first, second, self.device).error]) >= ASTRAY:
            return None
        luma = self.here.planes[0]
        apart = [np.abs(ndimage.gaussian_filter(luma - one.moved, CALM)) for one in held.values()]
        size = np.minimum(*apart) / (self.rules.step + CRUDE)
        sure = np.clip(1 - np.exp(-size), 0.5, 1).astype(np.float32)
        return ndimage.binary_closing(size > 1, _disc(2)) | (size > 1), sure

    def _chosen(self) -> dict[int, Against]:
        """Hold the frame against the nearest on each side that is of any use: not the same frame again, not destroyed;
        against two of one side where the other has none."""
        sides: list[list[tuple[int, Against]]] = []
        for side in (-1, 1):
            kept: list[tuple[int, Against]] = []
            poor: list[tuple[int, Against]] = []
            for off in (1, 2):
                other = self.frames.get(self.at + side * off)
                if other is None or other.pyramid is None or self._again(other):
                    continue
                one = against(self.here, other, self.device)
                (kept if scatter([one.error]) < ASTRAY else poor).append((self.at + side * off, one))
                if kept:
                    break
            sides.append(kept or poor[:1])
        return self._both(sides)

    def _both(self, sides: Sequence[list[tuple[int, Against]]]) -> dict[int, Against]:
        chosen = dict(sides[0][:1] + sides[1][:1])
        if len(chosen) == 1:
            (near,) = chosen
            side = 1 if near > self.at else -1
            for other in (near + side, near - side):
                if other != self.at and (small := self.frames.get(other)) is not None and small.pyramid is not None:
                    chosen[other] = against(self.here, small, self.device)
                    break
        return chosen

    def _beyond(self, held: Sequence[Against], limit: float, part: float) -> Bools:
        """Tell where the frame departs from all of them by more than `limit`, the scatter, and `part` of what is
        unsteady."""
        errors = [one.error for one in held]
        outside = np.logical_and.reduce([one.outside for one in held])
        needed = limit + SIGMAS * min(scatter(errors), ASTRAY) + part * unsteady(errors, [one.moved for one in held])
        return np.asarray((departure(errors) > needed) & ~outside)


def _disc(radius: int) -> Bools:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.asarray(x * x + y * y <= radius * radius + 0.5)


def _solid(mask: Bools, share: float, inside: bool = False) -> Bools:
    """Keep the parts that are large enough and no thin lines; `inside`: and that do not touch the frame's edge."""
    labels, count = ndimage.label(mask, np.ones((3, 3)))
    if not count:
        return mask
    body = ndimage.binary_opening(mask, _disc(3))
    size = np.bincount(labels.ravel(), minlength=count + 1)
    solid = np.bincount(labels[body], minlength=count + 1)
    keep = (size >= max(16, share * mask.size)) & (solid >= 0.4 * size)
    if inside:
        keep[np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))] = False
    keep[0] = False
    return np.asarray(keep[labels])


def _bands(mask: Bools) -> tuple[Bools, str]:
    """Return the bars at the top and bottom, and where they are."""
    height = len(mask)
    out = np.zeros_like(mask)
    where = []
    full = mask.mean(1)
    for name, rows in (("top", full), ("bottom", full[::-1])):
        start = int(np.argmax(rows > BAND_WIDE)) if (rows > BAND_WIDE).any() else height
        if start > 0.02 * height:
            continue
        under = np.flatnonzero(rows[start:] < 0.4)
        deep = start + (int(under[0]) if len(under) else height)
        if not max(1.5, BAND * height) <= deep - start <= BAND_DEEP * height:
            continue
        deep = min(height, deep + max(1, round(0.15 * deep)))
        part = slice(0, deep) if name == "top" else slice(height - deep, height)
        out[part] = mask[part]
        where.append(name)
    return out, f"a bar at the {' and the '.join(where)}" if where else ""
