"""Scanline EXR whose channels have several types, every bit kept.

OpenImageIO's Python writer takes one type for all channels, which costs NaN payloads of halfs and the low bits of ids.
It writes the header and an empty picture; here the chunks are made anew (OpenEXR File Layout: uncompressed, ZIPS, ZIP:
channels in order of name within each row; bytes split into even and odd, differences of neighbours, zlib).
"""

from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Array
from safelight.nodes.io.files.exr_chunks import read_exr
from safelight.nodes.io.files.pixels import Samples, pack

_ROWS = {"none": 1, "zips": 1, "zip": 16}
_ZIP_LEVEL = 4


def write_mixed(path: Path, planes: Array, channels: tuple[str, ...], types: tuple[str, ...], device: Device) -> None:
    """Replace the pixels of a single-part scanline EXR at `path` by `planes`, (C, H, W) float32, of these types.

    Raises
    ------
    OSError
        The disk is full.
    """
    exr = read_exr(path)
    part = exr.parts[0]
    order = sorted(range(len(channels)), key=lambda index: channels[index].encode())
    rows: list[Samples] = []
    for index in order:
        samples = pack(planes[index : index + 1], types[index], device)[:, :, 0]
        rows.append(np.ascontiguousarray(samples).view(np.uint8).reshape(samples.shape[0], -1))
    picture = np.concatenate(rows, axis=1)
    step = _ROWS[part.compression]
    starts = range(0, picture.shape[0], step)

    def chunk(start: int) -> bytes:
        raw = picture[start : start + step].tobytes()
        body = raw if part.compression == "none" else _squeeze(raw)
        return struct.pack("<ii", part.data.y0 + start, len(body)) + body

    head = path.read_bytes()[: exr.tables]
    with ThreadPoolExecutor(max(1, device.threads)) as pool, path.open("wb") as file:
        chunks = list(pool.map(chunk, starts))
        offsets = exr.tables + 8 * len(chunks) + np.cumsum([0, *(len(data) for data in chunks[:-1])])
        file.write(head + offsets.astype("<i8").tobytes())
        for data in chunks:
            file.write(data)


def _squeeze(raw: bytes) -> bytes:
    data = np.frombuffer(raw, np.uint8)
    halves = np.concatenate([data[0::2], data[1::2]])
    steps = halves.copy()
    steps[1:] = halves[1:] - halves[:-1] + np.uint8(128)
    packed = zlib.compress(steps.tobytes(), _ZIP_LEVEL)
    return packed if len(packed) < len(raw) else raw
