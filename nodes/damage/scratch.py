"""ScratchDetect: line scratches along the film, found by their shape and by what the scene does behind them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Clip, Image, colour_planes
from safelight.graph.node import Inputs, Node, Port, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.region import Region
from safelight.nodes.damage import ends, ridges, seeking, stretches, uprights
from safelight.nodes.damage.behaviour import Behaviour, Neighbour
from safelight.nodes.damage.defects import decided, outside
from safelight.nodes.damage.obeying import matte_channels, obeyed
from safelight.nodes.damage.presence import Seen
from safelight.nodes.damage.ridges import STRIP, Floats
from safelight.nodes.damage.scratched import ALONE, LEAST, judged
from safelight.nodes.damage.seeking import GREY, SEARCH_SCALE, STEPS, Prepared, Sought
from safelight.nodes.damage.uprights import Line
from safelight.nodes.grain.picture import require_picture
from safelight.nodes.motion.blocks import WINDOW, pyramid

COVERED = 0.05
"""Share of a line whose parts are scratches, from which it is one between them too."""


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


class ScratchDetect(Node):
    """Find line scratches: thin, upright, static or wandering, dark, bright or coloured, whole or broken.

    Output `matte` has one channel, A: 0 where there is no scratch, else the confidence that the pixel is scratched.

    Each row is searched for what is darker (or brighter) than both its sides, against the noise and texture around;
    paths down the picture that gather more of it than noise and chance would are lines. That is done in the picture, in
    what it has that the frames beside it, moved to match it, have not, and in the sums of either over the frames around
    in one place, where faint scratches that stay come out of a scene that moves. A line is a scratch where the
    scene moves behind it while it stays, or where it is in no other frame at all; it is the scene's where it goes with
    the scene. Where nothing moves a line that stays counts only if it spans nearly the whole height, sways by a part of
    a pixel otherwise than the scene, comes and goes along its length from frame to frame, or lies on one record alone,
    with less confidence. What is a scratch is followed on beyond its ends, over gaps, by its own depth; which rows
    of the path show it a small net tells (`presence`). Pieces that frames around have too, or that are much deeper, are
    not taken. Frames beyond a cut are never looked at. Pixels that are not finite are never in the matte.

    References: Newson et al. 2013 (robust detection of line scratches: a contrario grouping, rejection by motion),
    Kokaram 1996 (scratches as ridges across a row), Sakoe and Chiba 1978 (dynamic programming along a path).
    """

    id = "ScratchDetect"
    version = 7
    inputs = (Port("input", "The plate."),)
    outputs = (
        Port(
            "matte",
            "Channel A: confidence that a pixel is scratched, 0 where it is not."
            " With a list of defects, found: the same before it.",
        ),
    )
    Params = ScratchDetectParams
    tileable = False
    devices = ("cpu",)
    scratch = 60.0

    def extent(self, params: ScratchDetectParams, inputs: Mapping[str, Clip]) -> Clip:
        """A matte of the input's windows."""
        return replace(inputs["input"], channels=matte_channels(params.defects))

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
        noise = np.stack([ridges.noise(plane, device) for plane in planes])
        if min(planes.shape[1:]) < 16 or planes.shape[1] < 4 * STRIP:
            return Prepared(planes, good, built, noise, np.empty((0,), np.int8))
        sought = _sought(params, planes.shape[1])
        room, strips = np.empty((2, *good.shape), np.float32), []
        for plane, spread in zip(planes, noise, strict=True):
            evidence = ridges.evidence(plane[None], spread[None], sought.widths, device, out=room)[0]
            for one in evidence:
                summed = sought.strips(one, good)
                summed *= np.float32(STEPS)
                strips.append(np.rint(summed, out=summed).astype(np.int8))
        return Prepared(planes, good, built, noise, np.array(strips).reshape(len(planes), 2, *strips[0].shape))

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
        return obeyed(params.defects, found, request.frame).crop(request.region)

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
        own, centre = centre, replace(centre, planes=centre.planes[:count])
        sigmas = centre.noise
        # Neighbours are subtracted, which takes fine motion; for those beyond, rough motion tells where the scene went.
        rough = float(np.median(sigmas[0]))
        neighbours = []
        for number, (away, other) in enumerate(around):
            where = seeking.scene(centre.pyramid, other.pyramid, rough, 0 if number < 2 else 1, device)
            neighbours.append(Neighbour(other.planes[:count], *where, away, (own, other)))
        beside = (seeking.moved(other.planes, other.vectors, device) for other in neighbours[:2])
        fresh = [np.subtract(centre.planes, one, out=one) for one in beside if one is not None]
        lines = seeking.lines(_sought(params, centre.planes.shape[1]), centre, around, fresh, device)
        quiet = [max(float(np.percentile(sigma, 20)), ridges.FLOOR) for sigma in sigmas]
        found: list[tuple[Line, float]] = []
        taken = np.zeros(centre.planes.shape[1:], bool)
        for line in sorted(lines, key=_weight, reverse=True):
            if stretches.free(line, taken).mean() < 0.1:
                continue
            index = line.plane
            planes = [centre.planes[index], *(n.planes[index] for n in neighbours)]
            judgements, refused = [], False
            for part in _parts(line, [centre.planes[index], *(one[index] for one in fresh)]):
                if stretches.free(part, taken).mean() < 0.3 or part.track.score * params.sensitivity < ALONE:
                    continue
                seen = None
                if neighbours:
                    seen = Behaviour(part, centre.planes, neighbours, sigmas[index], quiet[index])
                whole, spans = part, 0.0
                if part.wanders <= 2 + 0.015 * len(part.y):
                    whole, spans = uprights.extended(part, planes, sigmas[index])
                sure, follows, needs = judged(part, seen, spans, len(part.y) / centre.planes.shape[1], params.still)
                if sure > 0:
                    judgements.append((whole if follows else part, part.track.score, sure, needs))
                refused |= sure == 0
            # Parts of one line speak for one another.
            total = sum(score for _, score, _, _ in judgements) * params.sensitivity
            rows = sum(len(part.y) for part, *_ in judgements)
            if rows >= COVERED * len(line.y) and not refused and total >= max(needs for *_, needs in judgements):
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
        if not fresh:
            return [(stretches.drawn(line), sure) for line, sure in found]
        adjacent = [one.planes for one in neighbours if abs(one.away) == 1]
        views = {}
        for index in {line.plane for line, _ in found}:
            each = [one[index] for one in fresh]
            views[index] = Seen(centre.planes[index], seeking.mean(each), each, [one[index] for one in adjacent])
        return [
            (part, sure) for line, sure in found for part in ends.whole(line, views[line.plane], sigmas[line.plane])
        ]


def _sought(params: ScratchDetectParams, height: int) -> Sought:
    shortest = min(params.length * height, height - 2 * STRIP)
    return Sought(params.width, params.slant, shortest, LEAST / params.sensitivity)


def _weight(line: Line) -> float:
    """Return what lines are taken in the order of: scores of deep ones are all alike, and so are those of the ghosts
    that they leave in frames around."""
    return line.track.score * max(0.0, line.mean)


def _parts(line: Line, planes: Sequence[Floats]) -> list[Line]:
    """Cut a line to the stretches that are judged each by itself: where the picture shows it, and, if it was found in
    what only this frame shows, where each of the two frames beside it lacks it."""
    if not line.fleeting:
        return stretches.cut(line, line.strength, stretches.CLEAR)
    return stretches.joined(stretches.cut(line, uprights.bared(line, planes), 0.0))
