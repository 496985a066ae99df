"""Read: pictures from files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import COLOUR_CHANNELS, Array, Clip, Image
from safelight.graph.node import Inputs, Node, Request, Settings
from safelight.graph.params import Params, param
from safelight.graph.region import Region
from safelight.nodes.io.files import survey
from safelight.nodes.io.files.decode import Block, select, select_header, set_threads
from safelight.nodes.io.files.header import Header, frame_rate
from safelight.nodes.io.files.local import opener
from safelight.nodes.io.files.pixels import unpack
from safelight.nodes.io.files.sequence import Files

if TYPE_CHECKING:
    from safelight.colour.config import ColourConfig

_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}  # ITU-T H.273
_REC709 = (0.64, 0.33, 0.3, 0.6, 0.15, 0.06, 0.3127, 0.329)


class ReadParams(Params):
    """Parameters of Read."""

    path: Path = param(
        help="Files to read: a sequence (plate.####.exr, plate.%04d.exr), a folder that holds one, a picture, a movie.",
        kind="path",
    )
    colourspace: str = param(
        "auto",
        "Colour space of the numbers in the files: a name, alias or role of the config. 'auto' asks the config's file "
        "rules, then leaves floating-point files as they are, takes Cineon and log DPX as film log, movies and PNGs "
        "tagged PQ or HLG as that, the rest as sRGB.",
        kind="colourspace",
    )
    missing: Literal["error", "hold", "black"] = param(
        "error", "What stands in for frames that are missing: nothing, the nearest frame before, or black."
    )
    first: int | None = param(None, "First frame; by default the first file's. A still's or movie's first frame is 1.")
    last: int | None = param(None, "Last frame; by default the last file's. A still is held up to it.")
    fps: float = param(0.0, "Frames a second; 0 takes what the files say.", unit="frames/s", ge=0, le=10000)
    part: str = param("", "Part of a multipart EXR, by name or number; by default the first with a picture.")
    channels: str = param("", "Channels to read, separated by commas (R,G,B,Z); by default all.")

    @property
    def wanted(self) -> tuple[str, ...]:
        """The channels asked for; empty for all."""
        return tuple(name.strip() for name in self.channels.split(",") if name.strip())


@dataclass(frozen=True)
class _Source:
    """Where one frame's pixels come from: a file (and a place in it, for a movie); no file for a black frame."""

    path: Path | None
    index: int = 0


class Read(Node):
    """Read pictures: EXR, DPX, Cineon, TIFF, PNG, JPEG and others; movies with the extra `movie`.

    The pixels leave scene-linear in the config's working space, unclamped. R, G and B alone (or a lone Y) are
    converted, as stored: colour premultiplied by alpha in the file is converted premultiplied, and neither alpha nor
    any other channel is touched. Where no conversion takes place, floats and halfs come out with every bit they had,
    NaN payloads included. Whole-number samples of n bits become code / (2^n - 1); unsigned 32-bit EXR channels (ids)
    travel as their bits, which float32 can carry and Write puts back, and not as numbers. Windows, pixel aspect,
    timecode and every other header attribute travel along.

    A still's and a movie's frames are numbered from 1. A luminance/chroma EXR comes out as R, G, B; a deep one is
    refused. With `untrusted` in the settings all decoding is done in a child process with limited memory and time.
    """

    id = "Read"
    inputs = ()
    Params = ReadParams
    source = True
    tileable = False
    devices = ("cpu",)
    scratch = 2.0

    def extent(self, params: ReadParams, inputs: Mapping[str, Clip]) -> Clip:
        """Look at the names and headers. Raises GraphError or RenderError; see `offer`."""
        return self.offer(params, Settings())

    def offer(self, params: ReadParams, settings: Settings) -> Clip:
        """Look at the names of all frames and at their headers.

        Raises
        ------
        GraphError
            Nothing is there; frames are missing and the policy is "error"; the range is empty.
        RenderError
            A header cannot be read, or the frames differ in size, channels or pixel aspect.
        """
        found = survey.files_of(params.path)
        header = _first_header(params, found, settings.untrusted)
        first, last = _range(params, found, header)
        extents: dict[int, Region] = {}
        if found.frames:
            sources = {frame: _source(params, found, frame) for frame in range(first, last + 1)}
            paths = {source.path for source in sources.values()}
            used = {frame: path for frame, path in found.frames.items() if path in paths}
            facts = {used[frame]: fact for frame, fact in survey.survey(used, params.part, settings.untrusted).items()}
            for frame, source in sources.items():
                if source.path is not None and facts[source.path].data != header.data:
                    extents[frame] = facts[source.path].data
        path = found.single or next(iter(found.frames.values()))
        return Clip(
            first=first,
            last=last,
            display=header.display,
            extent=header.data,
            extents=extents,
            channels=header.channels,
            pixel_aspect=header.pixel_aspect,
            fps=frame_rate(params.fps) if params.fps else header.fps,
            metadata=header.metadata(str(path), params.colourspace, False),
        )

    def check(self, params: ReadParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse unknown colour spaces; warn of headers that speak of another space than the pixels are taken for."""
        found = survey.files_of(params.path)
        header = _first_header(params, found, settings.untrusted)
        config = _config(settings)
        space = _space(params, header, config, _first_path(found))
        converts = not config.is_noop(space, config.working)
        colour = [name for name in COLOUR_CHANNELS if name in header.channels]
        if converts and 0 < len(colour) < 3:
            raise GraphError(
                f"only {', '.join(colour)} of R, G, B are read, which cannot be converted from {space}",
                file=_first_path(found),
                remedy=f"Read all three, or set colourspace to {config.working}.",
            )
        return list(_warnings(params, header, config, space))

    def fingerprint(self, params: ReadParams, frame: int | None, settings: Settings) -> str:
        """Name the frame's file with size and time; of all frames, the colour transform where there is one."""
        found = survey.files_of(params.path)
        if frame is not None:
            source = _source(params, found, frame)
            if source.path is None:
                return "black"
            size, changed = survey.stamp(source.path)
            return f"{source.path} {size} {changed} {source.index}"
        header = _first_header(params, found, settings.untrusted)
        config = _config(settings)
        space = _space(params, header, config, _first_path(found))
        return "" if config.is_noop(space, config.working) else f"{space} {config.fingerprint(space, config.working)}"

    def target(self, params: ReadParams, frame: int) -> Path | None:
        """Return the file a frame is read from; None for a movie."""
        found = survey.files_of(params.path)
        return None if found.movie else _source(params, found, frame).path

    def compute(self, params: ReadParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Decode, turn into planes, convert colour.

        Raises
        ------
        RenderError
            The file is missing, damaged, or no longer what it was when the graph was opened.
        """
        settings = inputs.settings
        found = survey.files_of(params.path)
        source = _source(params, found, request.frame)
        config = _config(settings, fresh=False)
        if source.path is None:
            header = _first_header(params, found, settings.untrusted)
            planes = np.zeros((len(header.channels), request.region.height, request.region.width), np.float32)
            where = str(_first_path(found))
            return Image(planes, request.region, header.channels, header.metadata(where, config.working, False))
        set_threads(device.threads)
        try:
            header, blocks = _load(params, found, source, settings.untrusted)
            if not header.data.contains(request.region):
                raise RenderError(
                    f"its data window is {header.data} where it was larger when the render began",
                    remedy="Do not replace files while they are being rendered from.",
                )
            data = _planes(header, blocks, device)
        except (RenderError, GraphError) as error:
            raise RenderError(
                error.what, frame=request.frame, file=error.file or source.path, remedy=error.remedy
            ) from None
        space = _space(params, header, config, source.path)
        converts = not config.is_noop(space, config.working)
        if converts:
            _convert(data, header.channels, config, space, device)
        metadata = header.metadata(str(source.path), space, converts)
        return Image(data, header.data, header.channels, metadata).crop(request.region)


def _config(settings: Settings, *, fresh: bool = True) -> ColourConfig:
    from safelight.colour.config import config_for

    return config_for(settings, fresh=fresh)


def _first_path(found: Files) -> Path:
    return found.single or next(iter(found.frames.values()))


def _first_header(params: ReadParams, found: Files, untrusted: bool) -> Header:
    if found.movie:
        header = survey.movie_header_of(_first_path(found), untrusted)
    else:
        inside = [path for frame, path in found.frames.items() if params.first is None or frame >= params.first]
        header = survey.header_of(inside[0] if inside else _first_path(found), params.part, untrusted)
    if params.wanted:
        select(header, [], params.wanted, _first_path(found))
        header = select_header(header, params.wanted)
    return header


def _range(params: ReadParams, found: Files, header: Header) -> tuple[int, int]:
    """Return the clip's first and last frame, with every frame between them accounted for."""
    if found.single is not None:
        begin, end = 1, header.frames
        first = begin if params.first is None else params.first
        last = (end if found.movie else first) if params.last is None else params.last
    else:
        begin, end = min(found.frames), max(found.frames)
        first = begin if params.first is None else params.first
        last = end if params.last is None else params.last
    if last < first:
        raise GraphError(
            f"there is no frame from {first} to {last}: the files have {begin} to {end}",
            file=params.path,
            remedy="Mend 'first' and 'last'.",
        )
    if found.movie or (params.missing == "error" and found.frames):
        have = found.frames if found.frames else range(begin, end + 1)
        gaps = [frame for frame in range(first, last + 1) if frame not in have]
        if gaps:
            raise GraphError(
                f"{'frame' if len(gaps) == 1 else 'frames'} {_spans(gaps)} of {first}-{last} "
                f"{'is' if len(gaps) == 1 else 'are'} missing",
                file=params.path,
                remedy="Bring them, set 'missing' to hold or black, or leave them out with 'first' and 'last'.",
            )
    return first, last


def _spans(frames: list[int]) -> str:
    """Write frame numbers short: 7, 9-12."""
    spans: list[list[int]] = []
    for frame in frames:
        if spans and frame == spans[-1][1] + 1:
            spans[-1][1] = frame
        else:
            spans.append([frame, frame])
    shown = [str(a) if a == b else f"{a}-{b}" for a, b in spans[:8]]
    return ", ".join(shown) + (", …" if len(spans) > 8 else "")


def _source(params: ReadParams, found: Files, frame: int) -> _Source:
    """Say which file a frame comes from, under the policy for missing ones."""
    if found.single is not None:
        return _Source(found.single, frame - 1 if found.movie else 0)
    if frame in found.frames:
        return _Source(found.frames[frame])
    if params.missing == "black":
        return _Source(None)
    if params.missing == "hold":
        before = [number for number in found.frames if number < frame]
        return _Source(found.frames[before[-1]] if before else next(iter(found.frames.values())))
    raise RenderError(
        "the frame's file is missing",
        frame=frame,
        file=found.pattern.path(frame) if found.pattern else params.path,
        remedy="Bring it, or set 'missing' to hold or black.",
    )


def _load(params: ReadParams, found: Files, source: _Source, untrusted: bool) -> tuple[Header, list[Block]]:
    assert source.path is not None
    if not found.movie:
        return opener(untrusted).samples(source.path, params.part, params.wanted)
    header, blocks = opener(untrusted).movie_frame(source.path, source.index)
    return select(header, blocks, params.wanted, source.path)


def _planes(header: Header, blocks: list[Block], device: Device) -> Array:
    """Bring all channels into one array (C, H, W)."""
    if len(blocks) == 1:
        return unpack(blocks[0].samples, blocks[0].type, device)
    data = np.empty((len(header.channels), header.data.height, header.data.width), np.float32)
    at = 0
    for block in blocks:
        count = block.samples.shape[2]
        unpack(block.samples, block.type, device, out=data[at : at + count])
        at += count
    return data


def _space(params: ReadParams, header: Header, config: ColourConfig, path: Path) -> str:
    from safelight.colour.config import default_space

    if params.colourspace == "auto":
        points = header.attributes.get("movie:CICP", header.attributes.get("CICP"))
        if not header.floating and isinstance(points, tuple) and len(points) == 4 and points[1] in _HDR_TRANSFERS:
            return _tagged_space(points, config, path)
        return default_space(config, path, floating=header.floating, log=header.log)
    return config.resolve(params.colourspace)


def _tagged_space(points: tuple[int, ...], config: ColourConfig, path: Path) -> str:
    """Return the config's space for a file that is tagged as HDR: taking it for sRGB would be a wrong picture."""
    from safelight.colour.display import display_tagged

    display = display_tagged(points)
    space = config.space_of(display) if display is not None else None
    if space is None:
        raise GraphError(
            f"the file is tagged {_HDR_TRANSFERS[points[1]]} with primaries {points[0]} (ITU-T H.273), and the colour "
            "config has no space that goes by such a name",
            file=path,
            remedy="Name its colourspace.",
        )
    return space


def _convert(data: Array, channels: tuple[str, ...], config: ColourConfig, space: str, device: Device) -> None:
    """Convert R, G, B (or a lone Y, as a neutral) in place; the array is ours alone until it is in an Image."""
    cpu = Device("cpu", device.threads)
    names = {name: index for index, name in enumerate(channels)}
    colour = [names[name] for name in COLOUR_CHANNELS if name in names]
    if len(colour) == 3:
        start = colour[0]
        if colour == [start, start + 1, start + 2]:
            data[start : start + 3] = config.convert(data[start : start + 3], space, config.working, cpu)
        else:
            data[colour] = config.convert(data[colour], space, config.working, cpu)
    elif not colour and "Y" in names:
        plane = data[names["Y"]]
        data[names["Y"]] = config.convert(np.stack([plane, plane, plane]), space, config.working, cpu)[1]


def _warnings(params: ReadParams, header: Header, config: ColourConfig, space: str) -> Iterable[str]:
    path = params.path.name
    if params.colourspace != "auto":
        return
    named = header.attributes.get("colorInteropID")
    if header.floating and isinstance(named, str) and named.endswith("_display"):
        space_named = config.config.getColorSpace(named)
        yield (
            f"the header of {path} says that it holds {named}, a display's signal; the numbers are kept as they are "
            f"and taken for {config.working}. To undo it, set colourspace to "
            f"{space_named.getName() if space_named is not None else 'the space it is in'}."
        )
        return
    said = header.attributes.get("chromaticities")
    if header.floating and isinstance(said, tuple) and len(said) == 8 and not _same(said, config):
        yield (
            f"the header of {path} names primaries of its own (red {said[0]:.4g}, {said[1]:.4g}); the numbers are kept "
            f"as they are and taken for {config.working}. To convert them, set colourspace to the space they are in."
        )
    if "A" in header.channels and header.format == "png" and not config.is_noop(space, config.working):
        yield f"{path} holds colour that is not multiplied by its alpha; it is converted and kept so."


def _same(said: tuple[float, ...], config: ColourConfig) -> bool:
    known = {"ACEScg": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
             "ACES2065-1": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767)}  # fmt: skip
    known |= dict.fromkeys(("Linear Rec.709 (sRGB)", "lin_rec709", "Utility - Linear - sRGB"), _REC709)
    working = known.get(config.working)
    return working is not None and max(abs(a - b) for a, b in zip(said, working, strict=True)) < 2e-3
