"""Stills to files, by OpenImageIO."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from safelight.colour.claims import COLOUR_ATTRIBUTES, DISPLAY
from safelight.colour.display import Display, chromaticities
from safelight.graph.device import Device
from safelight.graph.errors import RenderError
from safelight.graph.image import Array
from safelight.graph.region import Region
from safelight.nodes.io.files.decode import check_png, explain, oiio, read_samples
from safelight.nodes.io.files.exr_chunks import check_exr
from safelight.nodes.io.files.exr_mixed import write_mixed
from safelight.nodes.io.files.formats import Format
from safelight.nodes.io.files.header import ORIGIN
from safelight.nodes.io.files.landing import Landing, free_bytes
from safelight.nodes.io.files.light import FrameLight
from safelight.nodes.io.files.mastering import Mastering, png_chunks
from safelight.nodes.io.files.pixels import dtype_of, pack

_FAMILIES = {"dpx": "dpx", "cineon": "cineon", "tiff": "tiff", "png": "png", "jpeg": "jpeg", "openexr": "openexr"}
# What a writer works out for itself.
_OWN = frozenset(
    {"oiio:BitsPerSample", "PixelAspectRatio", "dpx:ImageDescriptor", DISPLAY, "maxCLL", "maxFALL", "masteringDisplay"}
)
# Type names that OpenImageIO writes but does not read.
_UNPARSED = {"vector2i": "int[2]"}
INTEROP = {"ACEScg": "lin_ap1_scene", "ACES2065-1": "lin_ap0_scene"}
PRIMARIES = {
    "ACEScg": (0.713, 0.293, 0.165, 0.83, 0.128, 0.044, 0.32168, 0.33767),
    "ACES2065-1": (0.7347, 0.2653, 0.0, 1.0, 0.0001, -0.077, 0.32168, 0.33767),
}


@dataclass(frozen=True)
class Shown:
    """What a file says of its signal."""

    display: Display
    mastering: Mastering | None
    light: FrameLight | None


@dataclass(frozen=True)
class Still:
    """One picture, ready to be encoded: planes in the file's own colour space."""

    planes: Array
    region: Region
    display: Region
    channels: tuple[str, ...]
    types: tuple[str, ...]
    metadata: Mapping[str, Any]
    keep_colour: bool
    """Whether what the source's header says of its colour space is still true."""
    space: str
    """Colour space, if the user named one; empty otherwise."""
    log: bool
    pixel_aspect: float
    fps: Fraction | None
    compression: str
    dwa_level: float
    jpeg_quality: int
    shown: Shown | None = None
    """The display that the planes are a signal for, where they are one."""

    @property
    def nbytes(self) -> int:
        """Bytes of samples before compression."""
        return self.region.area * sum(dtype_of(kind).itemsize for kind in self.types)


def write_still(still: Still, target: Format, path: Path, device: Device) -> Path:
    """Write one file: whole, or not at all.

    Raises
    ------
    RenderError
        The disk is full, or the file cannot be written for another reason.
    """
    with Landing(path) as landing:
        try:
            _write(still, target, landing, device)
        except RenderError as error:
            if error.file == landing.temporary:
                raise landing.failure(error.what, still.nbytes) from None
            raise
        except (OSError, MemoryError) as error:
            raise landing.failure(getattr(error, "strerror", None) or "out of memory", still.nbytes) from None
        return landing.land()


def _write(still: Still, target: Format, landing: Landing, device: Device) -> None:
    if target.name == "jpeg":
        _write_jpeg(still, landing, device)
    else:
        _write_oiio(still, target, landing, device)
    if target.name == "png" and still.shown is not None:
        _tag_png(still.shown, landing)
    _verify(still, target, landing)


def _tag_png(shown: Shown, landing: Landing) -> None:
    """Say mastering display and light, and take out chunks that call the picture sRGB (PNG, third edition)."""
    light = shown.light
    levels = (light.most, light.mean) if light is not None else None
    extra = png_chunks(shown.mastering, levels) if shown.display.encoding == "pq" else []
    data = landing.temporary.read_bytes()
    out, at = [data[:8]], 8
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        whole = data[at : at + 12 + size]
        if kind == b"IDAT" and extra:
            out += [
                struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body))
                for name, body in extra
            ]
            extra = []
        if kind not in (b"sRGB", b"gAMA", b"cHRM"):
            out.append(whole)
        at += 12 + size
    landing.temporary.write_bytes(b"".join(out))


def _verify(still: Still, target: Format, landing: Landing) -> None:
    """Make sure that what lies on the disk is whole: encoders do not notice every write that fails."""
    try:
        if target.name == "openexr":
            check_exr(landing.temporary, 0)
        elif target.name == "png":
            check_png(landing.temporary)
        free = free_bytes(landing.path.parent)
        if free is not None and free < still.nbytes + (1 << 20):
            read_samples(landing.temporary)
    except RenderError as error:
        raise landing.failure(f"what was written is not whole: {error.what}", still.nbytes) from None


def _write_oiio(still: Still, target: Format, landing: Landing, device: Device) -> None:
    spec = _spec(still, target)
    if len(set(still.types)) > 1 or "uint32" in still.types:
        _send(target, landing, spec, np.zeros((spec.height, spec.width, spec.nchannels), np.float32), still.nbytes)
        write_mixed(landing.temporary, still.planes, still.channels, still.types, device)
    else:
        _send(target, landing, spec, pack(still.planes, still.types[0], device), still.nbytes)


def _write_jpeg(still: Still, landing: Landing, device: Device) -> None:
    """Encode in memory, by Pillow: the usual JPEG library ends the whole process when the disk is full."""
    from PIL import Image as Pillow

    samples = pack(still.planes, "uint8", device)
    picture = Pillow.fromarray(samples[:, :, 0] if samples.shape[2] == 1 else samples)
    notes = Pillow.Exif()
    for name, tag in (("ImageDescription", 0x010E), ("Software", 0x0131), ("DateTime", 0x0132), ("Copyright", 0x8298)):
        if name in still.metadata:
            notes[tag] = str(still.metadata[name])
    encoded = io.BytesIO()
    picture.save(encoded, "jpeg", quality=still.jpeg_quality, subsampling=0, exif=notes)
    landing.temporary.write_bytes(encoded.getvalue())


def _send(target: Format, landing: Landing, spec: Any, samples: Any, needed: int) -> None:
    output = oiio().ImageOutput.create(target.name)
    if output is None:
        raise RenderError(f"this OpenImageIO cannot write {target.name}", file=landing.path)
    good = output.open(str(landing.temporary), spec) and output.write_image(samples)
    why = "" if good else explain(output.geterror)
    if not output.close() and good:
        good, why = False, explain(output.geterror)
    if not good:
        raise landing.failure(why, needed)


def _spec(still: Still, target: Format) -> Any:
    library = oiio()
    kinds = [{"uint10": "uint16", "uint12": "uint16", "uint32": "uint"}.get(kind, kind) for kind in still.types]
    mixed = len(set(kinds)) > 1 or "uint" in kinds
    spec = library.ImageSpec(
        still.region.width, still.region.height, len(still.channels), "float" if mixed else kinds[0]
    )
    if mixed:
        spec.channelformats = tuple(library.TypeDesc(kind) for kind in kinds)
    spec.channelnames = still.channels
    if target.windows:
        spec.x, spec.y = still.region.x0, still.region.y0
        spec.full_x, spec.full_y = still.display.x0, still.display.y0
    spec.full_width, spec.full_height = still.display.width, still.display.height
    if "A" in still.channels:
        spec.alpha_channel = still.channels.index("A")
    _attributes(spec, still, target)
    spec["PixelAspectRatio"] = float(still.pixel_aspect)
    if still.types[0] in ("uint10", "uint12"):
        spec["oiio:BitsPerSample"] = int(still.types[0][4:])
    if target.name == "png":
        spec["oiio:UnassociatedAlpha"] = 1
    if target.name == "dpx" and not still.keep_colour:
        spec["dpx:Transfer"] = "Logarithmic" if still.log else "User defined"
        spec["dpx:Colorimetric"] = "Printing density" if still.log else "User defined"
    if still.shown is not None:
        _say(spec, still.shown, target)
    if target.name == "openexr":
        if still.space in INTEROP:
            spec["colorInteropID"] = INTEROP[still.space]
            spec.attribute("chromaticities", library.TypeDesc("float[8]"), PRIMARIES[still.space])
        level = f":{still.dwa_level:g}" if still.compression in ("dwaa", "dwab") else ""
        # Ids and mixed types are brought into place by exr_mixed, which knows these.
        squeeze = still.compression if not mixed or still.compression in ("none", "zips", "zip") else "zip"
        spec["compression"] = squeeze + level
        if "DateTime" not in still.metadata:
            # Else the time of writing goes in, and the same frame is another file every time.
            spec["DateTime"] = ""
    elif target.name == "tiff":
        spec["compression"] = still.compression
    return spec


def _say(spec: Any, shown: Shown, target: Format) -> None:
    """Put into a header which display the numbers are a signal for, and how bright this frame is."""
    library, display = oiio(), shown.display
    if display.interop:
        spec["colorInteropID"] = display.interop
    if target.name == "png":
        spec.attribute("CICP", library.TypeDesc("int[4]"), (*display.code_points, 0, 1))
    if target.name != "openexr":
        return
    spec.attribute("chromaticities", library.TypeDesc("float[8]"), chromaticities(display.primaries))
    spec["whiteLuminance"] = float(display.full)
    spec[DISPLAY] = json.dumps(display.as_data())
    if shown.mastering is not None:
        spec["masteringDisplay"] = str(shown.mastering)
    if shown.light is not None:
        spec["maxCLL"], spec["maxFALL"] = float(shown.light.most), float(shown.light.mean)


def _attributes(spec: Any, still: Still, target: Format) -> None:
    library = oiio()
    origin = still.metadata.get(ORIGIN)
    types: Mapping[str, str] = origin.get("attribute_types", {}) if isinstance(origin, Mapping) else {}
    other = {family for name, family in _FAMILIES.items() if name != target.name} | {"movie"}
    for name, value in still.metadata.items():
        if name == ORIGIN or name in _OWN or (name.partition(":")[0] in other and ":" in name):
            continue
        if name in COLOUR_ATTRIBUTES and not still.keep_colour:
            continue
        if isinstance(value, bytes):
            spec.attribute(name, library.TypeDesc(f"uint8[{len(value)}]"), np.frombuffer(value, np.uint8))
        elif name in types:
            spec.attribute(name, library.TypeDesc(_UNPARSED.get(types[name], types[name])), value)
        elif isinstance(value, bool):
            spec.attribute(name, int(value))
        elif isinstance(value, str | int | float):
            spec.attribute(name, value)
    if still.fps is not None:
        rate = (still.fps.numerator, still.fps.denominator)
        if still.metadata.get("framesPerSecond") != rate:
            spec.attribute("framesPerSecond", library.TypeDesc("rational"), rate)
