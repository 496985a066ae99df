"""Write: pictures to files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from safelight.colour.display import display_of
from safelight.graph.device import Device
from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Request, Settings, Writer
from safelight.graph.params import Params, param
from safelight.nodes.io.files.formats import Format, channel_types, format_of
from safelight.nodes.io.files.frames_out import USUAL_RATE, MovieFrames, Stills, channels_to_write, rate_of
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.io.files.landing import check_folder, free_bytes, make_folder, remove_stale
from safelight.nodes.io.files.movie_out import MovieFormat
from safelight.nodes.io.files.pixels import dtype_of
from safelight.nodes.io.files.sequence import parse_pattern
from safelight.nodes.io.files.signal import Signal, check_depth, signal_of

if TYPE_CHECKING:
    from safelight.colour.config import ColourConfig


class WriteParams(Params):
    """Parameters of Write."""

    path: Path = param(
        help="Files to write: plate.####.exr or plate.%04d.exr, one picture's name, or a movie's. The extension says "
        "the format: exr, dpx, tif, png, jpg; mov, mp4, mkv, avi.",
        kind="path",
    )
    colourspace: str = param(
        "auto",
        "Colour space of the numbers in the files. 'auto' asks the config's file rules, then leaves floating-point "
        "files scene-linear in the working space, gives DPX the encoding of the DPX it was read from, else film log, "
        "and the rest sRGB; what a Deliver has encoded for a display is written as it is.",
        kind="colourspace",
    )
    datatype: Literal["auto", "half", "float", "uint8", "uint10", "uint16"] = param(
        "auto",
        "Type of the samples of the picture; other channels of an EXR keep the type they were read with. 'auto' keeps "
        "the source's where the format can hold it, else half (EXR), uint10 (DPX), uint16 (TIFF, PNG), uint8 (JPEG).",
    )
    compression: Literal[
        "auto", "none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "lzw", "packbits"
    ] = param("auto", "Compression of EXR or TIFF; 'auto' keeps the source's if it loses nothing, else takes zip.")
    dwa_level: float = param(45.0, "How much dwaa and dwab may lose; 45 is visually lossless.", ge=0, le=10000)
    quality: int = param(95, "Quality of JPEG files.", unit="%", ge=1, le=100)
    channels: str = param("", "Channels to write, separated by commas; by default all that the format holds.")
    codec: Literal["auto", "prores_ks", "ffv1", "libx264", "libx265", "libsvtav1", "mjpeg"] = param(
        "auto",
        "Encoder of movies; 'auto' takes prores_ks (mov), libx264 (mp4; libx265 for HDR), ffv1 (mkv), mjpeg (avi). "
        "libsvtav1 is AV1.",
    )
    pixel_format: str = param("auto", "Pixel format of movies, by FFmpeg's name (yuv422p10le, gbrp10le).")
    rate_factor: int = param(14, "Constant rate factor of libx264, libx265 and libsvtav1; 0 loses least.", ge=0, le=51)
    fps: float = param(0.0, "Frames a second; 0 takes the clip's, or 24.", unit="frames/s", ge=0, le=10000)

    light: Literal["auto", "off", "on"] = param(
        "auto",
        "Measure the light of each frame as written (MaxCLL, MaxFALL, percentiles) into NAME.light.json beside it, "
        "into headers and movies: 'auto' for HDR signals, 'on' for any display's.",
    )
    hdr10plus: bool = param(
        False,
        "Also write NAME.hdr10plus.json: HDR10+ metadata (profile A) of every frame, for x265 and hdr10plus_tool; "
        "scenes are the shots between the document's cuts.",
    )
    mastering_primaries: Literal["auto", "rec709", "p3d65", "rec2020"] = param(
        "auto",
        "Primaries of the mastering display (ST 2086) of a PQ signal; 'auto' takes the gamut of Deliver's limit.",
    )
    mastering_max: float = param(
        0.0, "Brightest light of the mastering display; 0 takes Deliver's peak.", unit="cd/m²", ge=0, le=10000
    )
    mastering_min: float = param(
        0.0001, "Darkest light of the mastering display (OLED 0.0001, LCD 0.005).", unit="cd/m²", ge=0.0001, le=5
    )

    @property
    def wanted(self) -> tuple[str, ...]:
        """The channels asked for; empty for all."""
        return tuple(name.strip() for name in self.channels.split(",") if name.strip())


class Write(Node):
    """Write pictures: EXR, DPX, TIFF, PNG, JPEG; movies with the extra `movie`. Hands its input on unchanged.

    R, G and B alone (or a lone Y) are converted from the working space to the files' colour space, as they are:
    colour multiplied by alpha is converted so. Floats are never clamped (a half beyond 65520 becomes infinite, by
    IEEE 754); whole numbers are clamped to 0..1 times the largest code and rounded to the nearest, without dither;
    NaN becomes 0. EXR keeps data and display window; other formats get the display window, black where there is no
    data. Metadata goes into the header, less what speaks of another colour space than the file's.

    What a Deliver has encoded, and any PQ or HLG display space of the config, is tagged as such: EXR by chromaticities,
    whiteLuminance and colorInteropID, PNG by cICP, movies by their code points. The light of such frames is measured
    from the code values as written; MaxCLL, MaxFALL, the mastering display and every frame's figures go into
    NAME.light.json, and into PQ movies (MOV, MP4, MKV), so that players read them. Resumed renders and farm tasks add
    up: a frame that is written again replaces its figures.

    Each frame is written under a hidden name in its folder, forced to disk, then renamed: a file that has its name is
    whole. What killed renders of this machine left under hidden names is removed.
    """

    id = "Write"
    Params = WriteParams
    sink = True
    devices = ("cpu", "cuda")
    scratch = 0.0

    def check(self, params: WriteParams, inputs: Mapping[str, Clip], settings: Settings) -> Iterable[str]:
        """Refuse what could not be written: format, datatype, compression, channels, folder, colour space."""
        clip = inputs["input"]
        target = format_of(params.path)
        parse_pattern(params.path)
        channels = channels_to_write(params, clip, target)
        if target is not None:
            _check_still(params, target)
        check_folder(params.path.parent)
        if params.path.is_dir():
            raise GraphError("is a folder", file=params.path, remedy="Name the files, for instance frame.####.exr.")
        config = _config(settings)
        space = _space(params, config, target, clip)
        config.is_noop(config.working, space)
        signal = signal_of(params, clip, config, space, settings)
        movie = _check_movie(params, clip, signal) if target is None else None
        if target is not None:
            check_depth(signal, params, target)
        _check_source(params, clip, self)
        return list(_warnings(params, clip, target, movie, channels, signal))

    def fingerprint(self, params: WriteParams, frame: int | None, settings: Settings) -> str:
        """Name the colour transform, so that frames are written again when the config changes."""
        if frame is not None:
            return ""
        config = _config(settings)
        space = config.working if params.colourspace == "auto" else config.resolve(params.colourspace)
        return f"{space} {config.hash}"

    def compute(self, params: WriteParams, request: Request, inputs: Inputs, device: Device) -> Image:
        """Hand the input on; the frames go to `writer`."""
        return inputs["input"].crop(request.region)

    def identity(self, params: WriteParams, request: Request) -> str | None:
        """The input, always."""
        return "input"

    def target(self, params: WriteParams, frame: int) -> Path | None:
        """Return the file of one frame; None for a movie."""
        if format_of(params.path) is None:
            return None
        pattern = parse_pattern(params.path)
        return pattern.path(frame) if pattern else params.path

    def writer(self, params: WriteParams, clip: Clip, frames: Sequence[int], settings: Settings) -> Writer:
        """Make the folder, remove what dead renders left in it, open a movie.

        Raises
        ------
        GraphError
            More than one frame and no place for the number in the name; the folder cannot be written to.
        """
        target = format_of(params.path)
        if target is not None and len(frames) > 1 and parse_pattern(params.path) is None:
            raise GraphError(
                f"{len(frames)} frames would all be written to one file",
                file=params.path,
                remedy=f"Give the frame number a place: {params.path.stem}.####{params.path.suffix}.",
            )
        make_folder(params.path.parent)
        remove_stale(params.path.parent)
        config = _config(settings)
        space = _space(params, config, target, clip)
        signal = signal_of(params, clip, config, space, settings)
        if target is None:
            return MovieFrames(params, clip, config, space, settings.threads, signal)
        return Stills(self, params, clip, config, space, target, settings.threads, signal, frames)


def _config(settings: Settings) -> ColourConfig:
    from safelight.colour.config import config_for

    return config_for(settings)


def _space(params: WriteParams, config: ColourConfig, target: Format | None, clip: Clip) -> str:
    from safelight.colour.config import default_space

    if params.colourspace != "auto":
        return config.resolve(params.colourspace)
    if display_of(clip.metadata) is not None:
        # A signal already: nothing is converted.
        return config.working
    if target is None:
        return default_space(config, params.path, floating=False, log=False)
    origin = clip.metadata.get(ORIGIN)
    if target.name == "dpx" and isinstance(origin, Mapping) and origin.get("format") == "dpx":
        # A DPX says little of its encoding: like for like.
        if origin["colourspace"] != "auto":
            return config.resolve(str(origin["colourspace"]))
        return default_space(config, Path(str(origin["path"])), floating=False, log=bool(origin["log"]))
    kind = channel_types(target, channels_to_write(params, clip, target), params.datatype, clip.metadata)[0]
    return default_space(config, params.path, floating=kind in ("half", "float"), log=target.name == "dpx")


def _check_still(params: WriteParams, target: Format) -> None:
    if params.datatype != "auto" and params.datatype not in target.types:
        raise GraphError(
            f"{params.path.suffix} files cannot hold datatype {params.datatype}",
            where="datatype",
            remedy=f"They can hold {', '.join(target.types)}.",
        )
    if params.compression != "auto" and params.compression not in target.compressions:
        raise GraphError(
            f"{params.path.suffix} files have no compression {params.compression}",
            where="compression",
            remedy=f"They have {', '.join(target.compressions)}.",
        )


def _check_movie(params: WriteParams, clip: Clip, signal: Signal) -> MovieFormat:
    if params.datatype in ("half", "float"):
        raise GraphError(
            f"movies cannot hold datatype {params.datatype}", where="datatype", remedy="Use uint8 or uint10."
        )
    form = signal.movie_format(params)
    width, height = clip.display.width, clip.display.height
    if (form.halves[0] and width % 2) or (form.halves[1] and height % 2):
        raise GraphError(
            f"pixel format {form.layout} takes even sizes only, and the picture is {width}x{height}",
            file=params.path,
            remedy="Choose pixel_format yuv444p10le (or gbrp10le with ffv1), or crop.",
        )
    return form


def _check_source(params: WriteParams, clip: Clip, node: Write) -> None:
    origin = clip.metadata.get(ORIGIN)
    source = origin.get("path") if isinstance(origin, Mapping) else None
    mine = node.target(params, clip.first) or params.path
    if source and mine.exists() and Path(source).exists() and mine.samefile(source):
        raise GraphError(
            "the file would overwrite its own source",
            file=mine,
            remedy="Write to another folder or under another name.",
        )


def _warnings(
    params: WriteParams,
    clip: Clip,
    target: Format | None,
    movie: MovieFormat | None,
    channels: tuple[str, ...],
    signal: Signal,
) -> Iterable[str]:
    lost = [name for name in clip.channels if name not in channels]
    if lost and not params.wanted:
        yield f"{params.path.suffix} files do not hold the channels {', '.join(lost)}: they are left out"
    if target is not None:
        types = channel_types(target, channels, params.datatype, clip.metadata)
        needed = clip.extent.area * sum(dtype_of(kind).itemsize for kind in types) * len(clip.frames)
        standing = params.path.parent
        while not standing.exists() and standing != standing.parent:
            standing = standing.parent
        free = free_bytes(standing)
        if free is not None and needed > free:
            yield (
                f"the frames ({len(clip.frames)}) take up to {needed / 1e9:.1f} GB before compression, "
                f"and {free / 1e9:.1f} GB are free in {standing}"
            )
    if movie is not None and rate_of(params, clip) is None:
        yield f"nothing says how many frames a second {params.path.name} has: {USUAL_RATE} are taken"
    if signal.static and signal.mastering is None:
        yield (
            f"nothing says how bright the display was that {params.path.name} was mastered on: ST 2086 is left out. "
            "Set mastering_max and mastering_primaries, or use Deliver."
        )
