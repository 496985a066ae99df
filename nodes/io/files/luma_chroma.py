"""Luminance/chroma EXR files: Y at full size, RY and BY at half, which OpenImageIO does not open.

OpenEXR technical introduction, "Luminance/Chroma Images": RY = (R - Y) / Y, BY = (B - Y) / Y, chroma stored for every
second pixel of every second row; it is brought back by a symmetric filter of 27 taps, first across, then down. The
decoder is the optional module `OpenEXR` (pip install 'safelight[exr]').
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import RenderError
from safelight.nodes.io.files.decode import Block
from safelight.nodes.io.files.exr_chunks import ExrPart
from safelight.nodes.io.files.header import Header

_REC709 = (0.64, 0.33, 0.30, 0.60, 0.15, 0.06, 0.3127, 0.3290)
# Half of the filter's taps between two stored samples, nearest first.
_TAPS = (0.627123, -0.186077, 0.087929, -0.043159, 0.019597, -0.007540, 0.002128)

Plane = npt.NDArray[np.float32]


def luma_chroma_header(path: Path, part: ExrPart) -> Header:
    """Describe the R, G, B picture that `read_luma_chroma` makes of such a file.

    Raises
    ------
    RenderError
        The subsampled channels are not Y, RY and BY at half size.
    """
    sampling = {channel.name: channel.sampling for channel in part.channels}
    if sampling.get("Y") != (1, 1) or sampling.get("RY") != (2, 2) or sampling.get("BY") != (2, 2):
        raise RenderError(
            "has channels of fewer samples than pixels that are not luminance and chroma", file=path,
            remedy="Convert it to R, G, B first.",
        )  # fmt: skip
    attributes: dict[str, Any] = {}
    types: dict[str, str] = {}
    names = {"owner": "Copyright", "comments": "ImageDescription", "capDate": "DateTime"}
    for name, (kind, data) in part.raw.items():
        if kind == "string":
            attributes[names.get(name, name)] = data.decode("utf-8", "replace")
            types[names.get(name, name)] = "string"
    alpha = ("A",) if sampling.get("A") == (1, 1) else ()
    channels = ("R", "G", "B", *alpha)
    return Header(
        format="openexr",
        display=part.display,
        data=part.data,
        channels=channels,
        types=("half",) * len(channels),
        pixel_aspect=part.pixel_aspect,
        compression=part.compression,
        attributes=attributes,
        attribute_types=types,
    )


def read_luma_chroma(path: Path, part: ExrPart) -> tuple[Header, Block]:
    """Decode to R, G, B (and A), half.

    Raises
    ------
    RenderError
        The module `OpenEXR` is missing, or cannot decode the file.
    """
    header = luma_chroma_header(path, part)
    try:
        import OpenEXR
    except ImportError:
        raise RenderError(
            "is a luminance/chroma EXR, which OpenImageIO cannot read",
            file=path,
            remedy="Install the decoder for it: pip install 'safelight[exr]'.",
        ) from None
    try:
        with OpenEXR.File(str(path), separate_channels=True) as file:
            planes = {name: np.asarray(channel.pixels, np.float32) for name, channel in file.channels().items()}
    except Exception as error:  # the module raises whatever its C++ side throws
        raise RenderError(f"cannot be read ({' '.join(str(error).split())[:200]})", file=path) from None
    luma = planes["Y"]
    height, width = luma.shape
    red = (_upsample(planes["RY"], height, width) + 1) * luma
    blue = (_upsample(planes["BY"], height, width) + 1) * luma
    weights = _luma_weights(part)
    green = (luma - red * weights[0] - blue * weights[2]) / weights[1]
    picture = [red, green, blue]
    if "A" in header.channels:
        picture.append(planes["A"])
    with np.errstate(over="ignore"):
        return header, Block("half", np.stack(picture, axis=2).astype(np.float16))


def _luma_weights(part: ExrPart) -> tuple[float, float, float]:
    """Return the luminances of the file's primaries (the middle row of its RGB to XYZ matrix)."""
    kind, data = part.raw.get("chromaticities", ("", b""))
    values = struct.unpack("<8f", data) if kind == "chromaticities" and len(data) == 32 else _REC709
    xy = np.array(values, np.float64).reshape(4, 2)
    primaries = np.stack([xy[:3, 0], xy[:3, 1], 1 - xy[:3].sum(axis=1)])
    white = np.array([xy[3, 0] / xy[3, 1], 1, (1 - xy[3].sum()) / xy[3, 1]])
    scale = np.linalg.solve(primaries, white)
    red, green, blue = (float(v) for v in primaries[1] * scale)
    return red, green, blue


def _upsample(plane: Plane, height: int, width: int) -> Plane:
    return _double(_double(plane, width, 1), height, 0)


def _double(plane: Plane, size: int, axis: int) -> Plane:
    """Put a filtered sample between every two along an axis; border samples repeat."""
    moved = np.moveaxis(plane, axis, 0)
    reach = len(_TAPS)
    padded = np.pad(moved, [(reach, reach), (0, 0)], mode="edge")
    count = moved.shape[0]
    between = np.zeros_like(moved)
    for k, weight in enumerate(_TAPS):
        low = padded[reach - k : reach - k + count]
        high = padded[reach + 1 + k : reach + 1 + k + count]
        between += np.float32(weight) * (low + high)
    out = np.empty((2 * count, *moved.shape[1:]), np.float32)
    out[0::2], out[1::2] = moved, between
    return np.moveaxis(out[:size], 0, axis)
