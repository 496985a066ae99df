"""What GrainMatch tells a person: before the render, and of the match it measured."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from safelight.graph.errors import GraphError
from safelight.nodes.grain.likeness import Grain, Missing

UNIT = {"log": "stops", "linear": "plate values", "density": "density"}
"""What sigma is in, by domain."""
_HALF_STOP, _MUCH = 2**0.5, 0.1


def remarks(mine: Sequence[str], theirs: Sequence[str], width: int, their_width: int) -> Iterator[str]:
    """Refuse channels that cannot be matched; say what a person should think about."""
    absent = [name for name in mine if name not in theirs]
    if absent and list(theirs) == ["Y"]:
        yield "the reference has one channel: all channels get its grain, the same in each"
    elif absent == ["Y"] and "G" in theirs:
        yield "the input has one channel: it gets the grain of the reference's green"
    elif absent:
        raise GraphError(
            f"the reference has no channel {absent[0]}, only {', '.join(theirs)}",
            where="input 'reference', parameter 'profile'",
            remedy="Match a plate of the same channels.",
        )
    if width != their_width:
        yield (
            f"the reference is {their_width} pixels wide and the input {width}: grain is matched pixel for pixel, so "
            "it is of the reference's size only if both are at one scale (a crop or overscan)"
        )


class Reach:
    """Counts what of a picture lies beyond the exposures that the reference was measured at."""

    def __init__(self, wanted: Grain) -> None:
        self.wanted = wanted
        self.ends = [(one.level[0], one.level[-1]) if len(one.level) else None for one in wanted.readings.values()]
        self.seen = 0
        self.beyond = np.zeros((len(self.ends), 2))

    def watch(self, frames: Iterable[tuple[int, Any]]) -> Iterator[tuple[int, Any]]:
        """Hand on frames, counting every fourth pixel of every fourth row."""
        for frame, planes in frames:
            some = planes[:, ::4, ::4]
            self.seen += some[0].size
            for c, ends in enumerate(self.ends):
                if ends is not None:
                    # Half a stop is within the classes that sigma was measured in.
                    low, high = ends[0] / _HALF_STOP if ends[0] > 0 else ends[0], ends[1] * _HALF_STOP
                    self.beyond[c] += (some[c] < low).sum(), (some[c] > high).sum()
            yield frame, planes

    def remarks(self) -> Iterator[str]:
        """Say so where much of the picture does."""
        for c, (name, ends) in enumerate(zip(self.wanted.readings, self.ends, strict=True)):
            if ends is None:
                yield f"Careful: the reference has no grain in {name}"
                continue
            for share, end, side in zip(self.beyond[c] / max(1, self.seen), ends, ("under", "above"), strict=True):
                if share > _MUCH:
                    stops = f"{np.log2(end / 0.18):+.1f} stops" if end > 0 else "black"
                    yield (
                        f"Careful: {share:.0%} of the input's {name} lie {side} {stops}, where the reference could not "
                        "be measured: sigma stays there what it is at that level"
                    )


def note(
    wanted: Grain,
    own: Grain,
    after: Grain,
    match: Mapping[str, Any],
    lack: Missing,
    unit: str,
    *,
    subtract: bool,
) -> str:
    """Say in one line what was done, how well, and what to do about the rest."""
    grey = ", ".join(f"{name} {float(wanted.curve(name, 0.18)):.3g}" for name in wanted.readings)
    said = [f"grain of the reference at mid-grey: {grey} {unit}"]
    if after.silent:
        said.append("the match cannot be measured: the input has too few flat or still areas")
    else:
        said.append(f"off before: {short(match['before'])}; after: {short(match['after'])}")
    if own.silent:
        said.append("the input has no grain of its own" if subtract else "the input is taken for clean")
    for name, (ratio, light) in lack.more.items():
        stops = f"{np.log2(light / 0.18):+.1f} stops" if light > 0 else "black"
        said.append(f"Careful: the input has {ratio:.2f} times the reference's grain in {name} at {stops}")
    for name, (ratio, frequency) in lack.excess.items():
        if name not in lack.more:
            said.append(
                f"Careful: the input's grain has {ratio:.2f} times the reference's power in {name} at {frequency:.3g} "
                "cycles a pixel"
            )
    if lack.more or lack.excess:
        said.append("None is added where the input has more: put a Degrain before")
    return ". ".join(said)


def short(errors: Mapping[str, Any]) -> str:
    """Return the errors of `compare` in a few words: the worst channel's."""
    rows = list(errors["channels"].values())
    if not rows:
        return "nothing to compare"
    rms = max(row["sigma_rms"] for row in rows)
    worst = max(abs(row["sigma_worst"]) for row in rows)
    ring = max(abs(row["spectrum_worst"]) for row in rows)
    return f"sigma {rms:.1%} (at worst {worst:.0%}), spectrum {ring:.0%}, correlation {errors['correlation']:.2f}"
