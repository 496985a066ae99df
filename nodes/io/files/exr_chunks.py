"""OpenEXR headers and chunk tables, read without any decoder: safe on hostile files, and quick.

OpenEXR File Layout (openexr.com): a magic number, a version word, headers of typed attributes, a table of offsets for
each part, then chunks, each led by its own coordinates and size. A decoder that trusts the table may return rows that
a damaged chunk never held; here every chunk's lead is held against the header.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from safelight.graph.errors import RenderError
from safelight.graph.region import Region

MAGIC = b"\x76\x2f\x31\x01"
_TILED, _LONG, _DEEP, _MULTIPART = 0x200, 0x400, 0x800, 0x1000
COMPRESSIONS = ("none", "rle", "zips", "zip", "piz", "pxr24", "b44", "b44a", "dwaa", "dwab", "htj2k256", "htj2k32")
_ROWS = (1, 1, 1, 16, 32, 16, 32, 32, 32, 256, 256, 32)
_SIZES = {0: ("uint32", 4), 1: ("half", 2), 2: ("float", 4)}
_MOST_ATTRIBUTE = 64 << 20
_MOST_SIDE = 1 << 22


@dataclass(frozen=True)
class ExrChannel:
    """One channel as the header declares it."""

    name: str
    type: str
    """`half`, `float` or `uint32`."""
    bytes: int
    sampling: tuple[int, int]


@dataclass
class ExrPart:
    """One part's header."""

    data: Region
    display: Region
    channels: tuple[ExrChannel, ...]
    compression: str
    pixel_aspect: float
    name: str = ""
    deep: bool = False
    tile: tuple[int, int, int, int] | None = None
    """Width, height, level mode (0 one, 1 mipmap, 2 ripmap), rounding (0 down, 1 up)."""
    chunk_count: int | None = None
    raw: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    """All attributes: type name and bytes."""

    @property
    def subsampled(self) -> bool:
        """Whether some channel has fewer samples than there are pixels (luminance/chroma files)."""
        return any(channel.sampling != (1, 1) for channel in self.channels)

    @property
    def has_colour(self) -> bool:
        """Whether there is a picture in it rather than data."""
        names = {channel.name for channel in self.channels}
        return bool(names & {"R", "G", "B", "Y"})


@dataclass
class ExrFile:
    """Headers of all parts, and where the chunk tables begin."""

    path: Path
    parts: list[ExrPart]
    tables: int
    multipart: bool


class _Cursor:
    def __init__(self, path: Path, data: mmap.mmap | bytes) -> None:
        self.path, self.data, self.at = path, data, 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if count < 0 or end > len(self.data):
            raise _damaged(self.path, "it ends in the middle of its header")
        taken = bytes(self.data[self.at : end])
        self.at = end
        return taken

    def integer(self) -> int:
        return int(struct.unpack("<i", self.take(4))[0])

    def text(self) -> str:
        end = self.data.find(b"\0", self.at, self.at + 256)
        if end < 0:
            raise _damaged(self.path, "its header holds a name without an end")
        return self.take(end + 1 - self.at)[:-1].decode("utf-8", "replace")


def _damaged(path: Path, why: str) -> RenderError:
    return RenderError(f"the EXR file is damaged: {why}", file=path, remedy="Copy or render that frame again.")


def read_exr(path: Path) -> ExrFile:
    """Read the headers of an EXR file.

    Raises
    ------
    RenderError
        Not an EXR file, empty, truncated or with impossible values.
    """
    try:
        with path.open("rb") as file:
            try:
                data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except ValueError:
                raise RenderError("the file is empty", file=path, remedy="Copy or render that frame again.") from None
            with data:
                return _parse(path, data)
    except OSError as error:
        raise RenderError(f"cannot be read ({error.strerror or error})", file=path) from None


def check_exr(path: Path, part_index: int) -> None:
    """Hold a part's chunk table and the lead of each of its chunks against the header.

    Raises
    ------
    RenderError
        A chunk is missing, lies outside the file, names other rows than its own, has an impossible size, or is
        nothing but zeros where compressed data should be.
    """
    exr = read_exr(path)
    table = exr.tables + sum(8 * chunk_count(path, part) for part in exr.parts[:part_index])
    _check_part(exr, exr.parts[part_index], part_index, np.memmap(path, np.uint8, mode="r"), table)


def _parse(path: Path, data: mmap.mmap) -> ExrFile:
    cursor = _Cursor(path, data)
    if bytes(data[:4]) != MAGIC:
        raise RenderError("is not an EXR file (its first bytes are another format's)", file=path)
    cursor.take(4)
    version = cursor.integer()
    multipart = bool(version & _MULTIPART)
    parts = []
    while True:
        raw = _attributes(cursor)
        if raw is None:
            break
        parts.append(_part(path, raw, version))
        if not multipart:
            break
        if len(parts) > 4096:
            raise _damaged(path, "it claims more than 4096 parts")
    if not parts:
        raise _damaged(path, "it has no header")
    return ExrFile(path, parts, cursor.at, multipart)


def _attributes(cursor: _Cursor) -> dict[str, tuple[str, bytes]] | None:
    raw: dict[str, tuple[str, bytes]] = {}
    while name := cursor.text():
        kind = cursor.text()
        size = cursor.integer()
        if not 0 <= size <= _MOST_ATTRIBUTE:
            raise _damaged(cursor.path, f"attribute '{name}' claims {size} bytes")
        raw[name] = (kind, cursor.take(size))
    return raw or None


def _part(path: Path, raw: dict[str, tuple[str, bytes]], version: int) -> ExrPart:
    def value(name: str, layout: str) -> tuple[int | float, ...]:
        if name not in raw:
            raise _damaged(path, f"its header has no '{name}'")
        try:
            return tuple(struct.unpack(layout, raw[name][1]))
        except struct.error:
            raise _damaged(path, f"its '{name}' is malformed") from None

    windows = []
    for name in ("dataWindow", "displayWindow"):
        x0, y0, x1, y1 = (int(v) for v in value(name, "<4i"))
        if not (0 <= x1 - x0 < _MOST_SIDE and 0 <= y1 - y0 < _MOST_SIDE):
            raise _damaged(path, f"its {name} ({x0}, {y0}) - ({x1}, {y1}) is impossible")
        windows.append(Region(x0, y0, x1 + 1, y1 + 1))
    code = int(value("compression", "<B")[0])
    if code >= len(COMPRESSIONS):
        raise _damaged(path, f"its compression {code} is unknown")
    kind = raw.get("type", ("", b""))[1].rstrip(b"\0").decode("ascii", "replace")
    tile = None
    if "tiles" in raw and (kind in ("tiledimage", "deeptile") or (not kind and version & _TILED)):
        width, height, mode = (int(v) for v in value("tiles", "<IIB"))
        if not (0 < width < _MOST_SIDE and 0 < height < _MOST_SIDE and mode & 15 < 3):
            raise _damaged(path, f"its tiles of {width}x{height} are impossible")
        tile = (width, height, mode & 15, mode >> 4)
    count = int(value("chunkCount", "<i")[0]) if "chunkCount" in raw else None
    aspect = float(value("pixelAspectRatio", "<f")[0]) if "pixelAspectRatio" in raw else 1.0
    return ExrPart(
        data=windows[0],
        display=windows[1],
        channels=_channels(path, raw),
        compression=COMPRESSIONS[code],
        pixel_aspect=aspect,
        name=raw.get("name", ("", b""))[1].rstrip(b"\0").decode("utf-8", "replace"),
        deep=bool(version & _DEEP and not kind) or kind.startswith("deep"),
        tile=tile,
        chunk_count=count,
        raw=raw,
    )


def _channels(path: Path, raw: dict[str, tuple[str, bytes]]) -> tuple[ExrChannel, ...]:
    if "channels" not in raw:
        raise _damaged(path, "its header has no 'channels'")
    data, at, found = raw["channels"][1], 0, []
    while at < len(data) and data[at] != 0:
        end = data.find(b"\0", at)
        if end < 0 or end + 17 > len(data):
            raise _damaged(path, "its list of channels is cut off")
        name = data[at:end].decode("utf-8", "replace")
        code, x, y = struct.unpack("<i4x2i", data[end + 1 : end + 17])
        if code not in _SIZES or x < 1 or y < 1:
            raise _damaged(path, f"channel '{name}' has an unknown type or sampling")
        kind, size = _SIZES[code]
        found.append(ExrChannel(name, kind, size, (x, y)))
        at = end + 17
    if not found:
        raise _damaged(path, "it has no channels")
    return tuple(found)


def _levels(size: int, rounding: int) -> int:
    return max(1, (size - 1).bit_length() + 1 if rounding else size.bit_length())


def _level_size(size: int, level: int, rounding: int) -> int:
    return max(1, -(-size >> level) if rounding else size >> level)


def chunk_count(path: Path, part: ExrPart) -> int:
    """Return how many chunks a part must have.

    Raises
    ------
    RenderError
        The header's own count is another one.
    """
    if part.tile is None:
        count = -(-part.data.height // _ROWS[COMPRESSIONS.index(part.compression)])
    else:
        tw, th, mode, rounding = part.tile
        w, h = part.data.width, part.data.height
        across, down = _levels(w, rounding), _levels(h, rounding)
        if mode == 0:
            pairs = [(0, 0)]
        elif mode == 1:
            pairs = [(level, level) for level in range(_levels(max(w, h), rounding))]
        else:
            pairs = [(x, y) for y in range(down) for x in range(across)]
        count = sum(-(-_level_size(w, x, rounding) // tw) * -(-_level_size(h, y, rounding) // th) for x, y in pairs)
    if part.deep and part.chunk_count is not None:
        return part.chunk_count
    if part.chunk_count is not None and part.chunk_count != count:
        raise _damaged(path, f"it claims {part.chunk_count} chunks where its size makes {count}")
    return count


def _check_part(exr: ExrFile, part: ExrPart, index: int, view: np.ndarray, table: int) -> None:
    path, size, count = exr.path, len(view), chunk_count(exr.path, part)
    if table + 8 * count > size:
        raise _damaged(path, f"it ends inside its table of {count} chunks")
    offsets = view[table : table + 8 * count].tobytes()
    at = np.frombuffer(offsets, "<i8")
    lead = 4 if exr.multipart else 0
    length = lead + (8 if part.tile is None else 20)
    missing = int((at == 0).sum())
    if missing:
        raise _damaged(path, f"{missing} of its {count} chunks were never written")
    beyond = (at < table + 8 * count) | (at > size - length)
    if beyond.any():
        raise _damaged(path, f"{_rows(part, beyond)}lie beyond the end of the file: it was cut off")
    leads = view[at[:, None] + np.arange(length)].copy().view("<i4")
    wrong = leads[:, 0] != index if exr.multipart else np.zeros(count, bool)
    fields = leads[:, lead // 4 :]
    if part.tile is None:
        rows = _ROWS[COMPRESSIONS.index(part.compression)]
        wrong |= fields[:, 0] != part.data.y0 + rows * np.arange(count)
        height = np.minimum(rows, part.data.height - rows * np.arange(count))
        most = height * part.data.width * sum(channel.bytes for channel in part.channels)
    else:
        tw, th, mode, _ = part.tile
        wrong |= (fields[:, :4] < 0).any(axis=1)
        if mode == 0:
            across = -(-part.data.width // tw)
            wrong |= (fields[:, 0] != np.arange(count) % across) | (fields[:, 1] != np.arange(count) // across)
        most = np.full(count, tw * th * sum(channel.bytes for channel in part.channels))
    sizes = fields[:, -1].astype(np.int64)
    wrong |= (sizes <= 0) | (sizes > most)
    if wrong.any():
        raise _damaged(path, f"{_rows(part, wrong)}are overwritten: their chunks' leads are not theirs")
    cut = at + length + sizes > size
    if cut.any():
        raise _damaged(path, f"{_rows(part, cut)}are cut off at the end of the file")
    if part.compression != "none":
        squeezed = np.flatnonzero(sizes < most)
        zero = np.zeros(count, bool)
        for chunk in squeezed:
            begin = int(at[chunk]) + length
            # Nearly every chunk shows at once that it holds something.
            zero[chunk] = not view[begin : begin + 16].any() and not view[begin : begin + int(sizes[chunk])].any()
        if zero.any():
            raise _damaged(path, f"{_rows(part, zero)}are zeros where compressed data should be")


def _rows(part: ExrPart, bad: np.ndarray) -> str:
    chunks = np.flatnonzero(bad)
    if part.tile is not None:
        return f"{len(chunks)} of {len(bad)} tiles "
    rows = _ROWS[COMPRESSIONS.index(part.compression)]
    first = part.data.y0 + rows * int(chunks[0])
    last = min(part.data.y0 + rows * (int(chunks[-1]) + 1), part.data.y1) - 1
    return f"rows {first} to {last} "
