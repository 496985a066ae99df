"""Light and mastering display in finished movies, where the library that wrote them has no way for it.

MaxCLL is known after the last frame, and a movie's head is written before the first. QuickTime and MP4 keep their head
(`moov`) at the end of the file, where it may grow; Matroska's head gets room beforehand, which is used up or filled
with a Void. The file still has its hidden name while this happens.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from safelight.nodes.io.files.mastering import Levels, Mastering, clli, mdcv

ROOM = "-" * 200
"""Name of a Matroska track that is written first, to be replaced by what is known at the end."""
TAGGED = frozenset({".mov", ".mp4", ".m4v", ".mkv"})
"""Extensions of movies that can be tagged."""


def tag_movie(file: Path, suffix: str, made: Mastering | None, levels: Levels | None) -> None:
    """Put mastering display and light levels into a finished movie's head, in place.

    Parameters
    ----------
    suffix:
        Extension that the file is going to have.

    Raises
    ------
    ValueError
        The file is not laid out as it was written: nothing of it is changed.
    """
    with file.open("r+b") as handle:
        if suffix == ".mkv":
            _tag_matroska(handle, made, levels)
        else:
            _tag_quicktime(handle, made, levels)


# --- QuickTime and MP4: ISO/IEC 14496-12 -----------------------------------------------------------------------------

_WAY = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
_ENTRY_HEAD = 16 + 70  # SampleEntry and VisualSampleEntry before their boxes, with the box's own head


def _tag_quicktime(handle: BinaryIO, made: Mastering | None, levels: Levels | None) -> None:
    end = handle.seek(0, 2)
    at, place = 0, None
    while at + 8 <= end:
        handle.seek(at)
        size, kind = struct.unpack(">I4s", handle.read(8))
        if size == 1:
            (size,) = struct.unpack(">Q", handle.read(8))
        if size < 8 or at + size > end:
            raise ValueError("a box that does not fit its file")
        if kind == b"moov":
            place = (at, size)
        at += size
    if place is None or place[0] + place[1] != end:
        raise ValueError("the movie's head is not at its end")
    handle.seek(place[0])
    head = handle.read(place[1])
    extra = b""
    if made:
        extra += _box(b"mdcv", mdcv(made))
    if levels:
        extra += _box(b"clli", clli(levels))
    grown = _grow(head, _WAY, extra)
    handle.seek(place[0])
    handle.write(grown)


def _boxes(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            raise ValueError("a box that does not fit its parent")
        yield at, size, kind
        at += size


def _grow(data: bytes, way: tuple[bytes, ...], extra: bytes) -> bytes:
    """Return a box with `extra` put into the first sample entry along the way, sizes mended."""
    if not way[1:]:
        # stsd: version, flags and a count, then the sample entries.
        size, kind = struct.unpack_from(">I4s", data, 16)
        entry = data[16 : 16 + size]
        boxes, end = entry[_ENTRY_HEAD:], _ENTRY_HEAD
        kept = b""
        for at, length, name in _boxes(boxes):
            end = _ENTRY_HEAD + at + length
            if name not in (b"mdcv", b"clli"):
                kept += boxes[at : at + length]
        entry = entry[8:_ENTRY_HEAD] + kept + extra + entry[end:]
        return _box(data[4:8], data[8:16] + _box(kind, entry) + data[16 + size :])
    inner, done = b"", False
    for at, length, name in _boxes(data[8:]):
        child = data[8 + at : 8 + at + length]
        if name == way[1] and not done:
            child, done = _grow(child, way[1:], extra), True
        inner += child
    if not done:
        raise ValueError(f"no box {way[1].decode()}")
    return _box(data[4:8], inner)


def _box(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I4s", 8 + len(body), kind) + body


# --- Matroska: RFC 9559 ----------------------------------------------------------------------------------------------

_SEGMENT, _CLUSTER, _TRACKS, _TRACK, _VIDEO, _COLOUR = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xE0, 0x55B0
_NAME, _VOID, _CRC, _MAX_CLL, _MAX_FALL, _MASTERING = 0x536E, 0xEC, 0xBF, 0x55BC, 0x55BD, 0x55D0


def _tag_matroska(handle: BinaryIO, made: Mastering | None, levels: Levels | None) -> None:
    handle.seek(0)
    head = handle.read(1 << 20)
    at = 0
    while at < len(head):
        kind, start, size = _element(head, at)
        if kind == _SEGMENT:
            at = start
        elif kind == _TRACKS and size is not None:
            tracks = head[start : start + size]
            if len(tracks) != size:
                break
            new = _tracks(tracks, made, levels)
            assert len(new) == size
            handle.seek(start)
            handle.write(new)
            return
        elif kind == _CLUSTER or size is None:
            break
        else:
            at = start + size
    raise ValueError("the movie's tracks are not before its frames")


def _tracks(data: bytes, made: Mastering | None, levels: Levels | None) -> bytes:
    parts, done = [], False
    for kind, at, start, end in _elements(data):
        whole = data[at:end]
        if kind == _TRACK and not done:
            whole, done = data[at:start] + _track(data[start:end], made, levels), True
        if kind != _CRC:
            parts.append(whole)
    body = b"".join(parts)
    check = b"" if len(body) == len(data) else b"\xbf\x84" + struct.pack("<I", zlib.crc32(body))
    return check + body


def _track(data: bytes, made: Mastering | None, levels: Levels | None) -> bytes:
    """Return a track's elements with its room used, of the same length."""
    parts = []
    for kind, at, start, end in _elements(data):
        if kind == _NAME and data[start:end] == ROOM.encode():
            continue
        parts.append(_make(_VIDEO, _video(data[start:end], made, levels)) if kind == _VIDEO else data[at:end])
    body = b"".join(parts)
    rest = len(data) - len(body)
    if rest and rest < 9:
        raise ValueError("there is no room in the track")
    return body + (b"\xec\x01" + struct.pack(">Q", rest - 9)[1:] + bytes(rest - 9) if rest else b"")


def _video(data: bytes, made: Mastering | None, levels: Levels | None) -> bytes:
    parts, colour = [], b""
    for kind, at, start, end in _elements(data):
        if kind == _COLOUR:
            colour = b"".join(
                data[start:end][a:e]
                for k, a, _s, e in _elements(data[start:end])
                if k not in (_MAX_CLL, _MAX_FALL, _MASTERING)
            )
        else:
            parts.append(data[at:end])
    if levels:
        for kind, level in zip((_MAX_CLL, _MAX_FALL), levels, strict=True):
            colour += _make(kind, struct.pack(">H", level))
    if made:
        numbers = [value / 50000 for value in made.points] + [value / 10000 for value in made.lights]
        colour += _make(
            _MASTERING,
            b"".join(_make(0x55D1 + index, struct.pack(">d", number)) for index, number in enumerate(numbers)),
        )
    return b"".join(parts) + _make(_COLOUR, colour)


def _elements(data: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Yield (id, start of the element, start of its content, its end)."""
    at = 0
    while at < len(data):
        kind, start, size = _element(data, at)
        if size is None or start + size > len(data):
            raise ValueError("an element that does not fit its parent")
        yield kind, at, start, start + size
        at = start + size


def _element(data: bytes, at: int) -> tuple[int, int, int | None]:
    """Return an element's id, where its content starts, and its size; None where that is unknown."""
    if at >= len(data) or not data[at]:
        raise ValueError("no element where one should be")
    length = 9 - data[at].bit_length()
    kind = int.from_bytes(data[at : at + length], "big")
    at += length
    if at >= len(data) or not data[at]:
        raise ValueError("an element without a size")
    length = 9 - data[at].bit_length()
    size = int.from_bytes(data[at : at + length], "big") & ((1 << 7 * length) - 1)
    return kind, at + length, None if size == (1 << 7 * length) - 1 else size


def _make(kind: int, body: bytes) -> bytes:
    name = kind.to_bytes((kind.bit_length() + 7) // 8, "big")
    return name + struct.pack(">H", 0x4000 | len(body)) + body
