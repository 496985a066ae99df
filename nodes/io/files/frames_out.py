"""What Write does with its frames: one file for each, or one movie for all."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from safelight.colour.claims import HELD
from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError, SafelightError
from safelight.graph.image import COLOUR_CHANNELS, Array, Clip, Image
from safelight.graph.region import Region
from safelight.nodes.io.files.encode import Still, write_still
from safelight.nodes.io.files.formats import Format, channel_types, choose_compression, pick_channels
from safelight.nodes.io.files.header import ORIGIN, frame_rate
from safelight.nodes.io.files.landing import sync_folder
from safelight.nodes.io.files.light import measure
from safelight.nodes.io.files.light_out import MovieLight, SequenceLight
from safelight.nodes.io.files.movie_out import MovieWriter
from safelight.nodes.io.files.signal import Signal

if TYPE_CHECKING:
    from safelight.colour.config import ColourConfig
    from safelight.nodes.io.write import Write, WriteParams

USUAL_RATE = Fraction(24)
"""Frames a second of a movie when nobody says."""


class Stills:
    """Writes one file for each frame."""

    def __init__(
        self,
        node: Write,
        params: WriteParams,
        clip: Clip,
        config: ColourConfig,
        space: str,
        target: Format,
        threads: int,
        signal: Signal,
        frames: Sequence[int],
    ) -> None:
        self._node, self._params, self._clip = node, params, clip
        self._config, self._space, self._target = config, space, target
        self._device = Device("cpu", threads)
        self._signal = signal
        self._light = SequenceLight(params.path, signal.light, frames) if signal.light is not None else None

    def write(self, frame: int, image: Image) -> Sequence[Path]:
        """Write one file; it lands whole or not at all."""
        params, target, clip = self._params, self._target, self._clip
        path = self._node.target(params, frame)
        assert path is not None
        channels = channels_to_write(params, clip, target)
        region = image.region if target.windows and image.region else clip.display
        if target.windows and not image.region:
            # The format has no empty data window: one black pixel stands for it.
            region = Region.sized(1, 1, clip.display.x0, clip.display.y0)
        planes = _frame(image, region, channels)
        types = channel_types(target, channels, self._signal.datatype(params, target), image.metadata)
        planes = _encode(planes, channels, self._config, self._space, self._device)
        light = None
        if self._light is not None and self._signal.light is not None:
            kind = types[_colour_of(channels)[0]]
            light = measure(_shown(planes, channels, region, clip.display), kind, self._signal.light.display)
        origin = image.metadata.get(ORIGIN)
        was = origin.get("colourspace") if isinstance(origin, Mapping) else None
        still = Still(
            planes=planes,
            region=region,
            display=clip.display,
            channels=channels,
            types=types,
            metadata=image.metadata,
            keep_colour=was == self._space and self._signal.tagged is None,
            space="" if params.colourspace == "auto" or was == self._space else self._space,
            log=_is_log(self._space),
            pixel_aspect=clip.pixel_aspect,
            fps=frame_rate(params.fps) if params.fps else clip.fps,
            compression=choose_compression(target, params.compression, types, image.metadata),
            dwa_level=params.dwa_level,
            jpeg_quality=params.quality,
            shown=self._signal.shown(light),
        )
        try:
            made = [write_still(still, target, path, self._device)]
            if self._light is not None and light is not None:
                made += self._light.add(frame, path, light, image.metadata.get(HELD, {}))
            return made
        except SafelightError as error:
            raise error.at(frame=frame, file=path) from None

    def close(self) -> Sequence[Path]:
        """Force the names to disk; put the sidecar of light together where that has not been done."""
        made = self._light.close() if self._light is not None else []
        sync_folder(self._params.path.parent)
        return made

    def abort(self) -> None:
        """Nothing is left: every frame lands or is removed by itself. Those that landed are in the sidecar."""
        if self._light is not None:
            with contextlib.suppress(Exception):
                self._light.close()


class MovieFrames:
    """Writes all frames into one file."""

    def __init__(
        self, params: WriteParams, clip: Clip, config: ColourConfig, space: str, threads: int, signal: Signal
    ) -> None:
        self._clip, self._config, self._space = clip, config, space
        self._device = Device("cpu", threads)
        self._signal = signal
        self._form = signal.movie_format(params)
        self._light = MovieLight(params.path, signal.light) if signal.light is not None else None
        notes = {
            name.removeprefix("movie:"): str(clip.metadata[name])
            for name in ("movie:timecode",)
            if name in clip.metadata
        }
        self._movie = MovieWriter(
            params.path,
            self._form,
            (clip.display.width, clip.display.height),
            rate_of(params, clip) or USUAL_RATE,
            clip.pixel_aspect,
            params.rate_factor,
            signal.code_points,
            notes,
            self._device,
            hdr=signal.static,
        )

    def write(self, frame: int, image: Image) -> Sequence[Path]:
        """Add one frame; the movie has its name only after `close`."""
        colour = pick_channels(None, image.channels, Path())
        planes = _encode(_frame(image, self._clip.display, colour), colour, self._config, self._space, self._device)
        if len(colour) == 1:
            planes = np.repeat(planes, 3, axis=0)
        if self._light is not None and self._signal.light is not None:
            light = measure(planes, f"uint{self._form.bits}", self._signal.light.display)
            self._light.add(frame, light, image.metadata.get(HELD, {}))
        try:
            self._movie.add(planes)
        except RenderError as error:
            raise error.at(frame=frame) from None
        return []

    def close(self) -> Sequence[Path]:
        """Finish the movie, tell it how bright it is, and give it its name; write its sidecar."""
        if not self._signal.static:
            movie = self._movie.close()
        else:
            content = self._light.content if self._light is not None else None
            movie = self._movie.close(self._signal.mastering, content.levels if content is not None else None)
        return [movie, *(self._light.close(movie) if self._light is not None else [])]

    def abort(self) -> None:
        """Take the unfinished movie away."""
        self._movie.abort()


def channels_to_write(params: WriteParams, clip: Clip, target: Format | None) -> tuple[str, ...]:
    """Return the channels that go into a file; refuse names that the picture does not have."""
    wanted = params.wanted
    absent = [name for name in wanted if name not in clip.channels]
    if absent:
        raise GraphError(
            f"the picture has no channel '{absent[0]}'", where="channels", remedy=f"It has {', '.join(clip.channels)}."
        )
    chosen = tuple(name for name in clip.channels if not wanted or name in wanted)
    return pick_channels(target, chosen, params.path)


def rate_of(params: WriteParams, clip: Clip) -> Fraction | None:
    """Return the frames a second, where anybody says."""
    return frame_rate(params.fps) if params.fps else clip.fps


def _frame(image: Image, region: Region, channels: tuple[str, ...]) -> Array:
    """Cut or fill an image to a region and choose its channels; beyond its data there is black."""
    data = Device().download(image).data
    names = {name: index for index, name in enumerate(image.channels)}
    if channels != image.channels:
        data = data[[names[name] for name in channels]]
    if region == image.region:
        return data
    out = np.zeros((len(channels), region.height, region.width), np.float32)
    part = region.intersect(image.region)
    if part:
        to = out[:, part.y0 - region.y0 : part.y1 - region.y0, part.x0 - region.x0 : part.x1 - region.x0]
        y, x = part.y0 - image.region.y0, part.x0 - image.region.x0
        to[...] = data[:, y : y + part.height, x : x + part.width]
    return out


def _encode(planes: Array, channels: tuple[str, ...], config: ColourConfig, space: str, device: Device) -> Array:
    """Convert R, G, B (or a lone Y, as a neutral) from the working space; everything else keeps its bits."""
    if config.is_noop(config.working, space):
        return planes
    names = {name: index for index, name in enumerate(channels)}
    colour = [names[name] for name in COLOUR_CHANNELS if name in names]
    if len(colour) == 3:
        made: Array = config.convert(planes[colour], config.working, space, device)
        if len(channels) == 3 and colour == [0, 1, 2]:
            return made
        planes = planes.copy()
        planes[colour] = made
    elif not colour and "Y" in names:
        grey = planes[names["Y"]]
        planes = planes.copy()
        planes[names["Y"]] = config.convert(np.stack([grey, grey, grey]), config.working, space, device)[1]
    else:
        raise RenderError(f"{', '.join(channels)} cannot be converted to {space}: that takes R, G and B")
    return planes


def _is_log(space: str) -> bool:
    name = space.casefold()
    return any(word in name for word in ("log", "cineon", "adx", "density"))


def _colour_of(channels: tuple[str, ...]) -> list[int]:
    """Return where R, G, B are, or a lone Y."""
    found = [channels.index(name) for name in COLOUR_CHANNELS if name in channels]
    return found if len(found) == 3 else [channels.index("Y")]


def _shown(planes: Array, channels: tuple[str, ...], region: Region, display: Region) -> Array:
    """Return the signal over the display window, (3, H, W), black where there is no data."""
    at = _colour_of(channels)
    colour = planes[at[0] : at[0] + 3] if at[1:] == [at[0] + 1, at[0] + 2] else planes[at]
    if region != display:
        out = np.zeros((len(colour), display.height, display.width), np.float32)
        part = display.intersect(region)
        if part:
            y, x = part.y0 - region.y0, part.x0 - region.x0
            to = out[:, part.y0 - display.y0 : part.y1 - display.y0, part.x0 - display.x0 : part.x1 - display.x0]
            to[...] = colour[:, y : y + part.height, x : x + part.width]
        colour = out
    return colour if len(colour) == 3 else np.repeat(colour, 3, axis=0)
