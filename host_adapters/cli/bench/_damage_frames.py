"""Frames damaged at large, with known truth: how many are called what they are, and how much of their area is found.

Blotches of 100 to 400 pixels on a picture of 540 lines, splices, destroyed frames, repeated frames (as a codec repeats
them, with noise of its own), flashes and jumps of the framing, on the clips of `bench damage`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.host_adapters.cli.bench._clips import plate, scene_linear, sequence
from safelight.host_adapters.cli.bench.table import Row
from safelight.nodes.damage.frames import KIND

SEEDS = (300, 301)
"""None of these was looked at when the node was tuned."""
KINDS = ("splice", "blotch", "destroyed", "repeat", "flash", "jump")
SCENES = ("redtree_pan", "flower_handheld")
SEEN = 0.003
"""Share of a frame that a blotch must take to be asked for."""
MOST = 14
"""Frames of a clip that are used."""

Mask = npt.NDArray[np.bool_]
Images = dict[int, Image]
Render = Callable[[Mapping[str, Images], str, str], Images]
"""What renders a node of a few lines of TOML behind clips in memory; see `bench.damage.rendered`."""


@dataclass
class Spoiled:
    """A clip, what its frames are, and where their areas are damaged."""

    frames: Images
    kinds: dict[int, set[str]] = field(default_factory=dict)
    areas: dict[int, Mask] = field(default_factory=dict)
    undamaged: Images = field(default_factory=dict)


def spoiled(clean: Images, seed: int, render: Render, grain: str) -> Spoiled:
    """Spoil a clip of at least twelve frames: each of its frames may be several things."""
    rng = np.random.default_rng(seed)
    first = min(clean)
    clean = {n: clean[n] for n in sorted(clean)[:MOST]}
    display = clean[first].region
    scale = display.height / 540
    splice, repeat, flash, lost, jump = (first + at + int(rng.integers(2)) for at in (2, 4, 6, 9, 11))
    size = float(rng.uniform(120, 260)) * scale
    head = f'type = "Damage"\nseed = {seed}\ndust = 0.05\nbright = 0.05\n'
    blotched = f'[nodes.blotched]\n{head}input = "plate"\nblotches = 0.5\nblotch_size = {size}\nlargest = 20\n'
    laid = f'[nodes.laid]\n{head}input = "blotched"\nsplices = "{splice}"\ndestroyed = "{lost}"\n'
    held = {"plate": clean}
    where = {n: image.data[0] > 0 for n, image in render(held, blotched, "blotched.matte").items()}
    more = {n: image.data[0] > 0 for n, image in render(held, blotched + laid, "laid.matte").items()}
    made = render(held, blotched + laid, "laid")
    made = {n: image if n < jump else _jumped(image, round(0.05 * display.height)) for n, image in made.items()}
    lift = float(rng.choice([1, -1])) * float(rng.uniform(0.8, 2.5))
    made[flash] = made[flash].with_data(made[flash].data * np.float32(2**lift) + np.float32(0.01 * max(lift, 0)))
    grained = render({"plate": made}, grain.format("plate"), "grain")
    noise = 1 + 0.004 * rng.standard_normal(grained[repeat].data.shape)
    grained[repeat] = grained[repeat].with_data((grained[repeat - 1].data * noise).astype(np.float32))
    out = Spoiled(grained, undamaged=render(held, grain.format("plate"), "grain"))
    for n in grained:
        kinds = {"splice"} if n in (splice - 1, splice) else set()
        kinds |= {"flash"} if n == flash else set()
        kinds |= {"jump"} if n == jump else set()
        area = where[n] | more[n]
        if n == lost:
            kinds |= {"destroyed"}
        elif where[n].mean() >= SEEN:
            kinds |= {"blotch"}
        out.kinds[n] = {"repeat"} if n == repeat else kinds
        out.areas[n] = (
            area
            if n < jump
            else _jumped(Image(area[None].astype(np.float32), display, ("A",)), round(0.05 * display.height)).data[0]
            > 0
        )
    return out


def _jumped(image: Image, rows: int) -> Image:
    """Move a picture down; what was above it is what its edge shows."""
    data = np.concatenate([np.repeat(image.data[:, :1], rows, 1), image.data[:, :-rows]], 1)
    return image.with_data(np.ascontiguousarray(data))


@dataclass
class Score:
    """What was told, against what is true."""

    right: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    true: Counter[str] = field(default_factory=Counter)
    marked: int = 0
    damaged: int = 0
    both: int = 0

    def add(self, shot: Spoiled, mattes: Images) -> None:
        """Take in a clip."""
        for n, matte in mattes.items():
            kinds = {kind for kind in str(matte.metadata.get(KIND, "")).split(",") if kind}
            kinds = {"destroyed" if kind == "blank" else kind for kind in kinds}
            self.told.update(kinds)
            self.true.update(shot.kinds[n])
            self.right.update(kinds & shot.kinds[n])
            if shot.kinds[n] & {"splice", "blotch"} and not shot.kinds[n] & {"repeat", "destroyed"}:
                found = matte.data[0] >= 0.5
                self.marked += int(found.sum())
                self.damaged += int(shot.areas[n].sum())
                self.both += int((found & shot.areas[n]).sum())


def clips(quick: bool) -> dict[str, Images]:
    """Return the clean clips, scene-linear."""
    found = {"Plate": plate(MOST, 108, 192) if quick else plate(MOST, 540, 960)}
    for name in () if quick else SCENES:
        frames = sequence(name, MOST)
        if frames is not None:
            light = scene_linear(frames)
            region = Region.sized(light.shape[3], light.shape[2])
            found[name] = dict(enumerate(Image(one, region) for one in light))
    return found


def rows(render: Render, grain: str, *, quick: bool) -> Iterator[Row]:
    """Measure."""
    score, false, frames = Score(), 0, 0
    node = '[nodes.found]\ntype = "FrameDetect"\ninput = "plate"\n'
    for i, clean in enumerate(clips(quick).values()):
        for seed in SEEDS[: 1 if quick else None]:
            shot = spoiled(clean, seed + 10 * i, render, grain)
            score.add(shot, render({"plate": shot.frames}, node, "found.matte"))
        clear = render({"plate": shot.undamaged}, node, "found.matte")
        false += sum(KIND in matte.metadata for matte in clear.values())
        frames += len(clear)
    for kind in KINDS:
        if score.true[kind]:
            said = f"{score.right[kind]} of {score.true[kind]} found, {score.told[kind]} told"
            yield Row(f"frames: {kind}, precision", score.right[kind] / max(1, score.told[kind]), "", note=said)
            yield Row(f"frames: {kind}, recall", score.right[kind] / score.true[kind], "")
    yield Row("frames: area of blotches and splices, precision", score.both / max(1, score.marked), "", note="pixels")
    yield Row("frames: area of blotches and splices, recall", score.both / max(1, score.damaged), "")
    yield Row("frames: clean frames called anything", false, "", "0", f"of {frames}")
