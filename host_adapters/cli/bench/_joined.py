"""Joined clips with known cuts and dissolves: flicker, flashes, dirt, fast motion, destroyed frames."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Request
from safelight.graph.region import Region
from safelight.nodes.damage.damage import Damage, DamageParams
from safelight.nodes.io.plate import Plate, PlateParams

Frame = npt.NDArray[np.float32]

SIZE = Region.sized(256, 144)
_CPU = Device("cpu", 1)


@dataclass
class Joined:
    """A clip, numbered from 0, and what is true of it."""

    frames: list[Frame] = field(default_factory=list)
    cuts: list[int] = field(default_factory=list)
    dissolves: list[tuple[int, int]] = field(default_factory=list)

    def add(self, shot: list[Frame], dissolve: int = 0) -> None:
        """Join a shot on by a cut, or by a dissolve of so many mixed frames."""
        if not self.frames:
            self.frames = list(shot)
        elif dissolve == 0:
            self.cuts.append(len(self.frames))
            self.frames += shot
        else:
            tail, head = self.frames[-dissolve:], shot[:dissolve]
            first = len(self.frames) - dissolve
            self.frames[-dissolve:] = [
                old + (new - old) * np.float32((i + 1) / (dissolve + 1))
                for i, (old, new) in enumerate(zip(tail, head, strict=True))
            ]
            self.dissolves.append((first, first + dissolve - 1))
            self.frames += shot[dissolve:]


def plate(seed: int, scene: int, start: int, length: int, corner: tuple[int, int], scale: int = 2) -> list[Frame]:
    """Return a part of the Plate, as seen by a nearer camera."""
    whole = Region.sized(SIZE.width * scale, SIZE.height * scale)
    params = PlateParams(width=whole.width, height=whole.height, frames=2000, seed=seed)
    part = Region.sized(SIZE.width, SIZE.height, *corner)
    out: list[Frame] = []
    for i in range(length):
        request = Request(params.first + 1000 * scene + start + i, part)
        out.append(Plate().compute(params, request, Inputs(request, {}, {}), _CPU).data)
    return out


def world(seed: int, length: int, speed: float, *, blur: bool = False, grey: bool = False) -> list[Frame]:
    """Return a pan over a landscape of noise and blocks, `speed` pixels a frame, and a figure that crosses."""
    rng = np.random.default_rng(seed)
    wide, high = SIZE.width + int(abs(speed) * length) + 40, SIZE.height + 20
    stops = np.zeros((3, high, wide))
    for cell, much in ((70, 1.4), (24, 0.8), (8, 0.6), (3, 0.4)):
        shape = (high // cell + 4, wide // cell + 4)
        luma = ndimage.zoom(rng.standard_normal(shape), cell, order=1)[:high, :wide]
        stops += much * luma
        if not grey:
            for plane in range(3):
                stops[plane] += 0.3 * much * ndimage.zoom(rng.standard_normal(shape), cell, order=1)[:high, :wide]
    for _ in range(wide // 30):
        x, y = int(rng.integers(0, wide - 8)), int(rng.integers(0, high - 8))
        box = np.s_[:, y : y + int(rng.integers(8, 80)), x : x + int(rng.integers(4, 60))]
        stops[box] += rng.normal(0, 1.5, 3 if not grey else 1)[:, None, None]
    stops += rng.normal(0, 1.0) + (0 if grey else rng.normal(0, 0.5, 3)[:, None, None])
    figure = rng.normal(0, 1.5, (3, 60, 30)) * 0.3 + rng.normal(0, 2, 3 if not grey else 1)[:, None, None]
    y0, v = int(rng.integers(10, SIZE.height - 70)), rng.uniform(-6, 6)
    light = 0.18 * np.exp2(stops)
    out = []
    for i in range(length):
        x = int(speed * i) if speed >= 0 else wide - SIZE.width + int(speed * i) - 1
        y = int(10 + 8 * np.sin(i / 5))
        frame = light[:, y : y + SIZE.height, x : x + SIZE.width].copy()
        if blur:
            frame = ndimage.uniform_filter1d(frame, max(1, int(abs(speed))), axis=2)
        at = int((SIZE.width / 2 + v * i) % (SIZE.width - 30))
        frame[:, y0 : y0 + 60, at : at + 30] = 0.18 * np.exp2(figure)
        out.append(frame.astype(np.float32))
    return out


def spoiled(clip: Joined, seed: int, *, flicker: float, flashes: int, dirt: float, lost: int = 0) -> Joined:
    """Return the clip with brightness flicker (stops), flashes of one to three frames, damage, grain."""
    rng = np.random.default_rng(seed)
    count = len(clip.frames)
    gain = np.exp2(flicker * rng.standard_normal(count))
    bright = np.zeros(count)
    for at in rng.choice(count, flashes, replace=False):
        bright[at : at + int(rng.integers(1, 4))] = rng.uniform(2, 20)
    gone = ",".join(str(1 + i) for i in rng.choice(count, lost, replace=False))
    params = DamageParams(
        seed=seed, dust=dirt, bright=dirt / 2, hairs=2 * dirt, hair_length=40, blotches=2 * dirt, blotch_size=30,
        scratches=2, destroyed=gone,
    )  # fmt: skip
    node, facts = Damage(), Clip(1, count, SIZE, SIZE)
    frames = []
    for i, frame in enumerate(clip.frames):
        ramp = np.linspace(1 - flicker / 2, 1 + flicker / 2, SIZE.width) if rng.random() < 0.5 else 1.0
        lit = frame * gain[i] * ramp * (1 + bright[i]) + 0.02 * bright[i]
        request = Request(1 + i, SIZE)
        inputs = Inputs(request, {"input": {1 + i: Image(lit.astype(np.float32), SIZE)}}, {"input": facts})
        made = node.compute(params, request, inputs, _CPU)["image"].data
        frames.append((made * np.exp2(0.1 * rng.standard_normal(made.shape))).astype(np.float32))
    return Joined(frames, clip.cuts, clip.dissolves)


def many(seed: int, shots: int = 10, *, grey: bool = False, length: tuple[int, int] = (10, 24)) -> Joined:
    """Make shots of all kinds, joined by cuts and, one time in five, by a dissolve."""
    rng = np.random.default_rng(seed)
    clip, following = Joined(), 0
    for number in range(shots):
        n = int(rng.integers(*length))
        kind = rng.random()
        dissolve, following = following, int(rng.integers(6, 20)) if rng.random() < 0.2 else 0
        n += dissolve + following  # so that no two joins meet
        if kind < 0.35:
            corner = (int(rng.integers(0, SIZE.width)), int(rng.integers(0, SIZE.height)))
            shot = plate(int(rng.integers(99)), number % 2, int(rng.integers(200)), n, corner)
            shot = [frame.mean(0, keepdims=True).repeat(3, 0) for frame in shot] if grey else shot
        else:
            speed = (
                float(rng.choice([0, 1.5, -4, 12, -25, 45]))
                if dissolve == following == 0
                else float(rng.choice([0, 1.5, -3]))
            )
            shot = world(int(rng.integers(1 << 30)), n, speed, blur=abs(speed) > 20, grey=grey)
        clip.add(shot, dissolve)
    return clip
