"""Still picture files to samples, by OpenImageIO; luminance/chroma EXR by the OpenEXR module."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.errors import GraphError, RenderError, did_you_mean
from safelight.graph.region import Region
from safelight.nodes.io.files.exr_chunks import ExrFile, ExrPart, check_exr, read_exr
from safelight.nodes.io.files.header import Header, frame_rate
from safelight.nodes.io.files.pixels import Samples

EXR_SUFFIXES = frozenset({".exr", ".sxr"})
STILL_SUFFIXES = EXR_SUFFIXES | {
    ".dpx", ".cin", ".cineon", ".tif", ".tiff", ".png", ".jpg", ".jpeg", ".tga", ".bmp", ".hdr",
}  # fmt: skip

_MEND = "Copy or render that frame again."
# What the decoder found out about the file's layout, not about the picture.
_LAYOUT = frozenset(
    {"oiio:subimages", "oiio:subimagename", "oiio:RowsPerChunk", "oiio:miplevels", "oiio:BitsPerSample", "compression",
     "openexr:chunkCount", "openexr:roundingmode", "openexr:lineOrder", "textureformat", "cineon:UserData",
     "PixelAspectRatio", "type",
     "openexr:dwaCompressionLevel", "version", "name", "tiff:PhotometricInterpretation", "tiff:PlanarConfiguration",
     "tiff:RowsPerStrip", "tiff:Compression", "planarconfig", "jpeg:subsampling", "dpx:UserData", "dpx:Packing",
     "dpx:EndOfLinePadding", "dpx:EndOfImagePadding", "dpx:DittoKey", "dpx:ImageDescriptor"}
)  # fmt: skip
_TYPES = {"half": "half", "float": "float", "double": "double", "uint8": "uint8", "uint16": "uint16", "uint": "uint32"}


@dataclass(frozen=True)
class Block:
    """Neighbouring channels of one sample type, as the file holds them: (height, width, channels)."""

    type: str
    samples: Samples


@cache
def oiio() -> Any:
    """Return OpenImageIO, imported when first needed."""
    import OpenImageIO

    return OpenImageIO


def set_threads(count: int) -> None:
    """Let OpenImageIO and OpenEXR use so many threads in all (their pools are shared by all callers)."""
    library = oiio()
    if library.get_int_attribute("threads") != count:
        library.attribute("threads", count)
        library.attribute("exr_threads", count)


def explain(geterror: Callable[[], str]) -> str:
    """Return a decoder's message as one line, whatever bytes it holds."""
    try:
        text = geterror()
    except UnicodeDecodeError as error:
        text = bytes(error.object).decode("utf-8", "replace")
    lines = dict.fromkeys(" ".join(line.split()) for line in text.splitlines())
    clean = "; ".join(line for line in lines if line)
    clean = "".join(char if char.isprintable() else "?" for char in clean)
    return clean[:300] or "the decoder does not say why"


def choose_part(exr: ExrFile, wanted: str) -> int:
    """Return the index of a part by number or name; by default the first flat one with colour, else the first flat."""
    parts = exr.parts
    if wanted:
        names = [part.name for part in parts]
        if wanted in names:
            return names.index(wanted)
        if wanted.isdigit() and int(wanted) < len(parts):
            return int(wanted)
        listed = ", ".join(name or str(index) for index, name in enumerate(names))
        raise GraphError(
            f"there is no part '{wanted}'", file=exr.path, remedy=did_you_mean(wanted, names) or f"It has {listed}."
        )
    flat = [index for index, part in enumerate(parts) if not part.deep]
    if not flat:
        raise RenderError(
            "is a deep EXR: it holds lists of samples, not a picture",
            file=exr.path,
            remedy="Flatten it first, for instance with 'oiiotool --flatten'.",
        )
    return next((index for index in flat if parts[index].has_colour), flat[0])


def _exr_part(path: Path, wanted: str) -> tuple[int, ExrPart]:
    exr = read_exr(path)
    index = choose_part(exr, wanted)
    if exr.parts[index].deep:
        raise RenderError(f"part '{wanted}' is deep: it holds lists of samples, not a picture", file=path)
    return index, exr.parts[index]


def read_header(path: Path, part: str = "") -> Header:
    """Read one file's header.

    Parameters
    ----------
    part:
        Name or number of the part of a multipart EXR; empty for the first that holds a picture.

    Raises
    ------
    RenderError
        The file is missing, damaged, or of a kind that cannot be read.
    GraphError
        There is no such part.
    """
    index, exr = _exr_part(path, part) if path.suffix.lower() in EXR_SUFFIXES else (0, None)
    if exr is not None and exr.subsampled:
        from safelight.nodes.io.files.luma_chroma import luma_chroma_header

        return luma_chroma_header(path, exr)
    source, spec = _open(path, index)
    try:
        return _header(source, spec, path)
    finally:
        source.close()


def read_samples(path: Path, part: str = "", channels: Sequence[str] = ()) -> tuple[Header, list[Block]]:
    """Read one file whole: the header, cut down to the channels wanted, and its samples in the header's order.

    Raises as `read_header` does, and RenderError for pixels that are missing or damaged.
    """
    index, exr = _exr_part(path, part) if path.suffix.lower() in EXR_SUFFIXES else (0, None)
    if exr is not None:
        check_exr(path, index)
        if exr.subsampled:
            from safelight.nodes.io.files.luma_chroma import read_luma_chroma

            header, block = read_luma_chroma(path, exr)
            return select(header, [block], channels, path)
    elif path.suffix.lower() == ".png":
        check_png(path)
    source, spec = _open(path, index)
    try:
        header = _header(source, spec, path)
        blocks = [_read(source, header, run, index, path) for run in _runs(header.types)]
    finally:
        source.close()
    return select(header, blocks, channels, path)


def select(header: Header, blocks: list[Block], channels: Sequence[str], path: Path) -> tuple[Header, list[Block]]:
    """Keep the channels named, in the file's order; all when none is named.

    Raises
    ------
    RenderError
        The file has no such channel.
    """
    if not channels:
        return header, blocks
    for name in channels:
        if name not in header.channels:
            raise RenderError(
                f"has no channel '{name}'",
                file=path,
                remedy=did_you_mean(name, header.channels) or f"It has {', '.join(header.channels)}.",
            )
    keep = [name in channels for name in header.channels]
    cut, at = [], 0
    for block in blocks:
        count = block.samples.shape[2]
        chosen = [i for i in range(count) if keep[at + i]]
        at += count
        if len(chosen) == count:
            cut.append(block)
        elif chosen:
            cut.append(Block(block.type, np.ascontiguousarray(block.samples[:, :, chosen])))
    return select_header(header, channels), cut


def select_header(header: Header, channels: Sequence[str]) -> Header:
    """Keep the channels named, in the file's order."""
    keep = [index for index, name in enumerate(header.channels) if name in channels]
    return replace(
        header,
        channels=tuple(header.channels[index] for index in keep),
        types=tuple(header.types[index] for index in keep),
    )


def _open(path: Path, part: int) -> tuple[Any, Any]:
    library = oiio()
    hints = library.ImageSpec()
    hints["oiio:UnassociatedAlpha"] = 1
    try:
        source = library.ImageInput.open(str(path), hints)
    except UnicodeDecodeError as error:
        raise RenderError(f"cannot be read ({explain(_raiser(error))})", file=path, remedy=_MEND) from None
    if source is None:
        why = explain(library.geterror)
        if not path.exists():
            raise RenderError("there is no such file", file=path)
        if path.stat().st_size == 0:
            raise RenderError("the file is empty", file=path, remedy=_MEND)
        raise RenderError(f"cannot be read ({why})", file=path, remedy=_MEND)
    if not source.seek_subimage(part, 0):
        why = explain(source.geterror)
        source.close()
        raise RenderError(f"part {part} cannot be read ({why})", file=path, remedy=_MEND)
    spec = source.spec()
    if spec.deep:
        source.close()
        raise RenderError("is a deep picture: it holds lists of samples", file=path, remedy="Flatten it first.")
    if spec.depth > 1:
        source.close()
        raise RenderError("is a volume, not a picture", file=path)
    return source, spec


def check_png(path: Path) -> None:
    """Walk the chunks of a PNG and their checksums: its decoder writes to the terminal what it finds wrong.

    Raises
    ------
    RenderError
        The file is cut off, or a chunk is not what its checksum says.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RenderError(f"cannot be read ({error.strerror or error})", file=path) from None
    at, name = 8, b""
    while at + 12 <= len(data) and name != b"IEND":
        length, name = struct.unpack(">I4s", data[at : at + 8])
        end = at + 12 + length
        if end > len(data):
            break
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise RenderError(
                f"the PNG file is damaged: its {name!r} chunk does not agree with its checksum", file=path, remedy=_MEND
            )
        at = end
    if name != b"IEND" or at > len(data):
        raise RenderError("the PNG file is cut off", file=path, remedy=_MEND)


def _raiser(error: UnicodeDecodeError) -> Callable[[], str]:
    def again() -> str:
        raise error

    return again


def _header(source: Any, spec: Any, path: Path) -> Header:
    attributes: dict[str, Any] = {}
    types: dict[str, str] = {}
    for attribute in spec.extra_attribs:
        name, value = str(attribute.name), _value(attribute)
        if name in _LAYOUT or name.startswith("thumbnail_") or value is None:
            continue
        attributes[name], types[name] = value, str(attribute.type)
    name = str(source.format_name())
    formats = [str(kind) for kind in spec.channelformats] or [str(spec.format)] * spec.nchannels
    bits = int(spec.get_int_attribute("oiio:BitsPerSample", 0))
    kinds = tuple(_kind(kind, bits, name) for kind in formats)
    aspect = float(spec.get_float_attribute("PixelAspectRatio", 1.0))
    rates = (attributes.get(key) for key in ("framesPerSecond", "dpx:FrameRate", "dpx:TemporalFrameRate"))
    return Header(
        format=name,
        display=Region.sized(spec.full_width, spec.full_height, spec.full_x, spec.full_y),
        data=Region.sized(spec.width, spec.height, spec.x, spec.y),
        channels=tuple(map(str, spec.channelnames)),
        types=kinds,
        pixel_aspect=aspect if math.isfinite(aspect) and aspect > 0 else 1.0,
        fps=next((rate for value in rates if (rate := frame_rate(value)) is not None), None),
        compression=str(spec.get_string_attribute("compression", "")),
        log=name == "cineon" or (name == "dpx" and _is_log(attributes)),
        attributes=attributes,
        attribute_types=types,
    )


def _is_log(attributes: Mapping[str, Any]) -> bool:
    said = {attributes.get(name) for name in ("dpx:Transfer", "dpx:Colorimetric", "oiio:ColorSpace")}
    return bool(said & {"Logarithmic", "Printing density", "KodakLog", "Kodak Log"})


def _kind(kind: str, bits: int, format_name: str) -> str:
    if kind == "uint16" and bits in (10, 12) and format_name in ("dpx", "cineon"):
        return f"uint{bits}"
    if kind == "uint" and format_name != "openexr":
        return "float"
    # Rarer types (signed, 64 bit) come as the floats the decoder makes of them.
    return _TYPES.get(kind, "float")


def _value(attribute: Any) -> Any:
    value = attribute.value
    if isinstance(value, np.ndarray):
        return value.tobytes() if value.dtype == np.uint8 else tuple(value.ravel().tolist())
    if isinstance(value, tuple):
        return tuple(item.item() if isinstance(item, np.generic) else item for item in value)
    if isinstance(value, np.generic):
        return value.item()
    return value if isinstance(value, str | int | float) else None


def _runs(types: Sequence[str]) -> list[tuple[int, int]]:
    """Cut the channels into runs of one type: (first, end)."""
    starts = [i for i, kind in enumerate(types) if i == 0 or kind != types[i - 1]]
    return list(zip(starts, [*starts[1:], len(types)], strict=True))


def _read(source: Any, header: Header, run: tuple[int, int], part: int, path: Path) -> Block:
    kind = header.types[run[0]]
    native = {"uint10": "uint16", "uint12": "uint16", "uint32": "uint"}.get(kind, kind)
    try:
        samples = source.read_image(part, 0, run[0], run[1], native)
    except MemoryError:
        samples = None
        why = f"its {header.data} pixels do not fit into memory"
    except UnicodeDecodeError as error:
        samples, why = None, explain(_raiser(error))
    else:
        why = explain(source.geterror) if samples is None else ""
        if samples is not None and source.has_error:
            samples, why = None, explain(source.geterror)
    if samples is None:
        raise RenderError(f"its pixels cannot be read ({why})", file=path, remedy=_MEND)
    if samples.ndim == 2:
        samples = samples[:, :, None]
    return Block(kind, samples.reshape(header.data.height, header.data.width, run[1] - run[0]))
