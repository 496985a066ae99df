"""ScratchDetect: line scratches along the film, found by their shape and by what the scene does behind them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.region import Region
from safelight.nodes.damage import ends, ridges, stretches, sways, tracks, uprights
from safelight.nodes.damage.defects import Defects, decided, outside
from safelight.nodes.damage.ridges import STRIP, Floats, Tone
from safelight.nodes.damage.scratched import ALONE, LEAST, judged
from safelight.nodes.damage.uprights import Line, Neighbour
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.motion.blocks import BLOCK, WINDOW, Pyramid, compensate, pyramid, quarter, search

SEARCH_SCALE = 200.0


class ScratchDetectParams(Params):
    """Parameters of ScratchDetect."""

    tone: Literal["all", "dark", "bright"] = param("all", "Which scratches are sought.")
    records: bool = param(
        True, "Seek coloured scratches too, which lie on one record alone. Takes several times as long."
    )
    sensitivity: float = param(
        1.0, "Above 1 fainter and shorter lines count, below 1 only stronger ones.", ge=0.1, le=4
    )
    width: int = param(3, "The widest scratch that is sought.", unit="pixels", ge=1, le=15)
    length: float = param(0.1, "The shortest, as a share of the picture's height.", ge=0.02, le=1)
    slant: float = param(14.0, "How far a scratch may lean from upright, at any place.", unit="degrees", ge=0, le=35)
    radius: int = param(
        2,
        "Frames before and after that are looked at to tell scratches from the scene's own uprights. With 0 nothing "
        "tells them apart but their length.",
        unit="frames",
        ge=0,
        le=4,
    )
    still: float = param(
        0.95,
        "Where the scene does not move a line that stays counts only if it spans this share of the picture's height; "
        "1.01 for never.",
        ge=0.02,
        le=1.01,
    )
    defects: Path | None = param(
        None,
        "List of defects (JSON): what is rejected there is left out, what is kept or added is damage.",
        kind="path",
    )
    grow: int = param(0, "Pixels that the matte is made wider on each side.", unit="pixels", ge=0, le=8)


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


class ScratchDetect(Node):
    """Find line scratches: thin, upright, static or wandering, dark, bright or coloured, whole or broken.

    Output `matte` has one channel, A: 0 where there is no scratch, else the confidence that the pixel is scratched.

    Each row is searched for what is darker (or brighter) than both its sides, against the noise and texture around;
    paths down the picture that gather more of it than noise and chance would are lines. A line is a scratch where the
    scene moves behind it while it stays, or where it is in no other frame at all; it is the scene's where it goes with
    the scene. Where nothing moves a line that stays counts only if it spans nearly the whole height, sways by a part of
    a pixel otherwise than the scene, comes and goes along its length from frame to frame, or lies on one record alone,
    with less confidence. What is a scratch is followed on beyond its ends, over gaps, by its own depth; pieces that
    frames around have too, or that are much deeper, are not taken. Frames beyond a cut are never looked at. Pixels that
    are not finite are never in the matte.

    References: Newson et al. 2013 (robust detection of line scratches: a contrario grouping, rejection by motion),
    Kokaram 1996 (scratches as ridges across a row), Sakoe and Chiba 1978 (dynamic programming along a path).
    """

    id = "ScratchDetect"
    version = 4
    inputs = (Port("input", "The plate."),)
    outputs = (Port("matte", "Channel A: confidence that a pixel is scratched, 0 where it is not."),)
    Params = ScratchDetectParams
    tileable = False
    devices = ("cpu",)
    scratch = 60.0

    def extent(self, params: ScratchDetectParams, inputs: Mapping[str, Clip]) -> Clip:
        """A matte of the input's windows."""
        return replace(inputs["input"], channels=("A",))

    def check(self, params: ScratchDetectParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse clips that hold no picture, and a broken list of defects."""
        clip = inputs["input"]
        require_picture(clip)
        warnings = []
        if len(clip.frames) == 1 and params.radius:
            warnings.append("a single frame: nothing tells scratches from the scene's uprights but their length")
        return warnings + outside(params.defects, clip)

    def fingerprint(self, params: ScratchDetectParams, frame: int | None, settings: Settings) -> str:
        """What the list of defects decides on the frame."""
        return decided(params.defects, frame)

    def reach(self, params: ScratchDetectParams) -> tuple[int, int]:
        """Ask for `radius` frames before and after."""
        return params.radius, 0

    def prepare(self, params: ScratchDetectParams, port: str, image: Image, device: Device) -> Prepared:
        """Take the logarithm of one frame, and build its search pyramid."""
        planes, good = ridges.stops(image.data[list(colour_planes(image.channels))])
        if len(planes) > 1:
            planes = np.tensordot(uprights.MIX if params.records else uprights.MIX[:1], planes, 1)
        built = None
        if params.radius and min(planes.shape[1:]) >= WINDOW:
            whole = np.rint(np.clip(planes[:1] * np.float32(SEARCH_SCALE), -8191, 8191))
            built = pyramid(np.ascontiguousarray(whole), device, reach=24 * max(1, params.radius))
        planes = np.ascontiguousarray(planes, np.float32)
        if len(planes) > 1 and np.abs(planes[1:]).max(initial=0) < GREY:
            planes = planes[:1]  # its records say nothing more
        noise = np.stack([ridges.noise(plane) for plane in planes])
        if min(planes.shape[1:]) < 16 or planes.shape[1] < 4 * STRIP:
            return Prepared(planes, good, built, noise, np.empty((0,), np.int8))
        evidence = ridges.evidence(planes, noise, _widths(params), device)
        sought = [[self._strips(params, one, good) for one in pair] for pair in evidence]
        return Prepared(planes, good, built, noise, np.rint(np.array(sought) * STEPS).astype(np.int8))

    def compute(self, params: ScratchDetectParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Find the lines of the frame, judge them by the frames around, draw those that are scratches."""
        plate = inputs["input"]
        region = plate.region
        matte = np.zeros((1, region.height, region.width), np.float32)
        if region and region.height >= 4 * STRIP and region.width >= 16:
            centre: Prepared = inputs.prepared("input", request.frame)
            for line, confidence in self.scratches(
                params, centre, self._others(params, request, inputs, region), device
            ):
                stretches.draw(matte[0], line, confidence, params.grow)
            matte[0][~centre.good] = 0
        found = Image(matte, region, ("A",), plate.metadata)
        if params.defects is not None:
            found = Defects.load(params.defects).apply(found, request.frame)
        return found.crop(request.region)

    def _others(
        self, params: ScratchDetectParams, request: Request, inputs: Inputs, region: Region
    ) -> list[tuple[int, Prepared]]:
        """Return the frames that a line is compared with (the outermost before and after, the nearest), each with how
        far away it is."""
        frames = [f for f in inputs.frames("input") if 0 < abs(f - request.frame) <= params.radius]
        # The nearest two first, then the outermost.
        near = sorted(frames, key=lambda f: (abs(f - request.frame), f))
        before, after = [f for f in near if f < request.frame], [f for f in near if f > request.frame]
        chosen = dict.fromkeys([*(before[:1] + after[:1] if before and after else near[:2]), *before[-1:], *after[-1:]])
        found = []
        for frame in chosen:
            image = inputs.at("input", frame)
            if image is not None and image.region == region:
                found.append((frame - request.frame, inputs.prepared("input", frame)))
        return found

    def scratches(
        self, params: ScratchDetectParams, centre: Prepared, around: Sequence[tuple[int, Prepared]], device: Device
    ) -> list[tuple[Line, float]]:
        """Return the lines of a frame that are scratches, each with its confidence.

        `around`: other frames, and how far away each is.
        """
        count = min(len(one.planes) for one in (centre, *(other for _, other in around)))
        centre = replace(centre, planes=centre.planes[:count])
        sigmas = centre.noise
        # Neighbours are subtracted, which takes fine motion; for those beyond, rough motion tells where the scene went.
        rough = float(np.median(sigmas[0]))
        neighbours = []
        for number, (away, other) in enumerate(around):
            where = _scene(centre.pyramid, other.pyramid, rough, 0 if number < 2 else 1, device)
            slopes = sways.slopes(centre.planes[0], other.planes[0])
            neighbours.append(Neighbour(other.planes[:count], *where, away, slopes, sways.drift(slopes[:, ::3, ::3])))
        others = [other for _, other in around]
        moved = [one for one in (_moved(other, device) for other in neighbours[:2]) if one is not None]
        lines = self._lines(params, centre, others, moved, device)
        quiet = [max(float(np.percentile(sigma, 20)), ridges.FLOOR) for sigma in sigmas]
        found: list[tuple[Line, float]] = []
        taken = np.zeros(centre.planes.shape[1:], bool)
        for line in sorted(lines, key=lambda one: -one.track.score):
            if stretches.free(line, taken).mean() < 0.1:
                continue
            index = line.plane
            planes = [centre.planes[index], *(n.planes[index] for n in neighbours)]
            judgements, refused = [], False
            for part in self._parts(line, centre.planes[index]):
                if stretches.free(part, taken).mean() < 0.3 or part.track.score * params.sensitivity < ALONE:
                    continue
                seen = None
                if neighbours:
                    seen = uprights.verdict(part, centre.planes, neighbours, sigmas[index], quiet[index])
                whole, spans = part, 0.0
                if part.wanders <= 2 + 0.015 * len(part.y):
                    whole, spans = uprights.extended(part, planes, sigmas[index])
                sure, follows, needs = judged(part, seen, spans, len(part.y) / centre.planes.shape[1], params.still)
                if sure > 0:
                    judgements.append((whole if follows else part, part.track.score, sure, needs))
                refused |= sure == 0
            # Parts of one line speak for one another.
            total = sum(score for _, score, _, _ in judgements) * params.sensitivity
            if judgements and not refused and not line.fleeting and total >= max(needs for *_, needs in judgements):
                # Between its parts it may be too faint to be judged.
                sure = max(sure for _, _, sure, _ in judgements)
                judgements = [*judgements, (line, 0.0, sure, 0.0)]
            for part, _, sure, needs in judgements:
                if total >= needs:
                    sure *= 1 - math.exp(-total / 20)
                    free = stretches.free(part, taken)
                    part = replace(part, y=part.y[free], x=part.x[free], strength=part.strength[free])
                    found.append((part, sure))
                    stretches.take(part, taken)
        # Beside a line of one tone its ghost of the other is no line: both are always sought.
        found = [(line, sure) for line, sure in found if params.tone in ("all", line.tone) and len(line.y)]
        if not moved:
            return [(stretches.drawn(line), sure) for line, sure in found]
        lacking = centre.planes - np.mean(moved, 0, dtype=np.float32)
        return [
            (part, sure)
            for line, sure in found
            for part in ends.whole(line, (centre.planes[line.plane], lacking[line.plane]), sigmas[line.plane])
        ]

    def _parts(self, line: Line, plane: Floats) -> list[Line]:
        """Cut a line to the stretches that are judged each by itself."""
        if not line.fleeting:
            return stretches.cut(line, line.strength, stretches.CLEAR)
        return stretches.joined(stretches.cut(line, uprights.bared(line, plane), 0.0))

    def _strips(self, params: ScratchDetectParams, evidence: Floats, good: Any) -> Floats:
        evidence[~good] = 0
        most = max(1, round(STRIP * math.tan(math.radians(params.slant)))) if params.slant else 0
        return ridges.strips(evidence, most)

    def _lines(
        self,
        params: ScratchDetectParams,
        centre: Prepared,
        others: Sequence[Prepared],
        moved: Sequence[Floats],
        device: Device,
    ) -> list[Line]:
        """Return the lines of a frame, whatever they are; of two at one place the better."""
        height = centre.planes.shape[1]
        shortest = min(params.length * height, height - 2 * STRIP)
        least = LEAST / params.sensitivity
        found: list[Line] = []
        for index, plane in enumerate(centre.planes):
            fresh = [plane - other[index] for other in moved] if len(moved) == 2 else []
            rough = [ridges.noise(one) for one in fresh]
            if len(fresh) == 2:
                # What either neighbour lacks may be a scratch of the other one.
                each = ridges.evidence(np.stack(fresh), np.stack(rough), _widths(params), device)
                lacking = np.minimum(each[0], each[1])
            for which, tone in enumerate(TONES):
                summed = [one.strips[index, which] * np.float32(1 / STEPS) for one in (centre, *others)]
                sought = [summed[0]]
                if len(summed) > 2:
                    # What stays in its place gathers more of it than noise does, and than a scene that moves.
                    sought.append(ridges.unit(np.sum(summed, 0, dtype=np.float32)))
                for strips in sought:
                    for track in tracks.find(strips, least):
                        if len(track.x) * STRIP >= shortest:
                            found.append(
                                uprights.measured(track, plane, centre.noise[index], tone, index, params.width)
                            )
                if len(fresh) < 2:
                    continue
                for track in tracks.find(self._strips(params, lacking[which], centre.good), least):
                    if len(track.x) * STRIP >= shortest:
                        both = np.asarray((fresh[0] + fresh[1]) / 2, np.float32)
                        noise = np.asarray((rough[0] + rough[1]) / 2, np.float32)
                        line = uprights.measured(track, both, noise, tone, index, params.width)
                        found.append(replace(line, fleeting=True))
        return found


def _widths(params: ScratchDetectParams) -> tuple[int, ...]:
    return tuple(dict.fromkeys(min(w, params.width) for w in (1, 2, 3, 5, 8, 12, 15)))


STEPS = 32
GREY = 1e-4
"""Stops that records may differ by in a grey picture."""
TONES: tuple[Tone, ...] = ("dark", "bright")


def _moved(other: Neighbour, device: Device) -> Floats | None:
    """Return another frame's planes moved to match."""
    if other.vectors is None:
        return None
    return np.asarray(compensate(other.planes, np.rint(4 * other.vectors), device))


def _scene(
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
