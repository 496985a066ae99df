"""Movies to samples, by PyAV (the extra `movie`): any frame, exactly."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.errors import GraphError, RenderError
from safelight.graph.region import Region
from safelight.nodes.io.files.decode import Block
from safelight.nodes.io.files.header import Header
from safelight.nodes.io.files.pixels import Samples
from safelight.nodes.io.files.ycbcr import to_rgb

_KEPT = 4  # movies held open at once
# FFmpeg's numbers for the matrix (AVColorSpace), after ITU-T H.273.
_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020"}
_FULL = 2
_UNSAID = 2  # "unspecified" among H.273's primaries and transfers
_lock = threading.Lock()
_open: OrderedDict[tuple[Path, int, int], Movie] = OrderedDict()


def pyav(path: Path) -> Any:
    """Return PyAV.

    Raises
    ------
    GraphError
        It is not installed.
    """
    try:
        import av
    except ImportError:
        raise GraphError(
            "movies need PyAV, which is not installed", file=path, remedy="Run pip install 'safelight[movie]'."
        ) from None
    return av


def movie(path: Path) -> Movie:
    """Return the open movie, with its index of frames; a few stay open."""
    try:
        stat = path.stat()
    except OSError as error:
        raise RenderError(f"cannot be read ({error.strerror})", file=path) from None
    key = (path, stat.st_size, stat.st_mtime_ns)
    with _lock:
        if key not in _open:
            _open[key] = Movie(path)
            while len(_open) > _KEPT:
                _open.popitem(last=False)[1].close()
        _open.move_to_end(key)
        return _open[key]


class Movie:
    """A movie's first video stream. Frames are counted in the order of display, from 0.

    The index is made from the packets' times alone, without decoding; a frame is found by decoding from the key
    frame before it until its own time appears.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._av = pyav(path)
        self._next: Iterator[Any] | None = None
        self._at = -1
        try:
            self._container = self._av.open(str(path))
            if not self._container.streams.video:
                raise RenderError("holds no video", file=path)
            self._stream = self._container.streams.video[0]
            self._stream.thread_type = "AUTO"
            self._times, self._keys = self._index()
            self.header = self._header()
        except self._av.FFmpegError as error:
            raise RenderError(f"cannot be read ({error.strerror or error})", file=path) from None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._container.close()

    def _index(self) -> tuple[list[int], list[int]]:
        times, keys = [], []
        for packet in self._container.demux(self._stream):
            when = packet.pts if packet.pts is not None else packet.dts
            if packet.size == 0 or when is None or packet.is_discard:
                continue
            times.append(int(when))
            if packet.is_keyframe:
                keys.append(int(when))
        if not times:
            raise RenderError("holds no frames", file=self.path)
        return sorted(set(times)), sorted(keys)

    def _header(self) -> Header:
        stream, context = self._stream, self._stream.codec_context
        width, height = int(context.width), int(context.height)
        if not width or not height:
            raise RenderError("its video has no size", file=self.path)
        aspect = stream.sample_aspect_ratio or context.sample_aspect_ratio
        attributes: dict[str, Any] = {
            f"movie:{name}": str(text) for name, text in {**self._container.metadata, **stream.metadata}.items()
        }
        attributes["movie:codec"] = str(context.name)
        attributes["movie:pix_fmt"] = str(context.pix_fmt)
        types = dict.fromkeys(attributes, "string")
        points = tuple(int(getattr(context, name)) for name in ("color_primaries", "color_trc", "colorspace"))
        if any(point not in (_UNSAID, 0) for point in points[:2]):
            attributes["movie:CICP"] = (*points, int(int(context.color_range) == _FULL))
            types["movie:CICP"] = "int[4]"
        pixel = self._av.VideoFormat(context.pix_fmt, width, height) if context.pix_fmt else None
        bits = int(pixel.components[0].bits) if pixel else 8
        alpha = pixel is not None and any(part.is_alpha for part in pixel.components)
        kind = {8: "uint8", 10: "uint10", 12: "uint12"}.get(bits, "uint16")
        channels = ("R", "G", "B", "A") if alpha else ("R", "G", "B")
        rate = stream.average_rate or stream.guessed_rate
        return Header(
            format="movie",
            display=Region.sized(width, height),
            data=Region.sized(width, height),
            channels=channels,
            types=(kind,) * len(channels),
            pixel_aspect=float(aspect) if aspect else 1.0,
            fps=rate if rate and rate > 0 else None,
            compression=str(context.name),
            attributes=attributes,
            attribute_types=types,
            frames=len(self._times),
        )

    def read(self, index: int) -> tuple[Header, list[Block]]:
        """Decode one frame to R'G'B' as the movie encodes it, float32.

        Raises
        ------
        RenderError
            There is no such frame, or it is damaged.
        """
        with self._lock:
            if not 0 <= index < len(self._times):
                raise RenderError(f"has no frame {index + 1}: it has {len(self._times)}", file=self.path)
            try:
                frame = self._find(index)
            except self._av.FFmpegError as error:
                self._next = None
                raise RenderError(
                    f"movie frame {index + 1} cannot be decoded ({error.strerror})", file=self.path
                ) from None
            return self.header, [Block("float", self._samples(frame))]

    def _find(self, index: int) -> Any:
        want = self._times[index]
        if self._next is None or not 0 <= index - self._at - 1 < 16:
            keys = [key for key in self._keys if key <= want]
            self._container.seek(keys[-1] if keys else self._times[0], stream=self._stream, backward=True)
            self._next = self._container.decode(self._stream)
        for frame in self._next:
            when = frame.pts if frame.pts is not None else frame.dts
            if when is None or when < want:
                continue
            if when > want:
                break
            self._at = index
            return frame
        self._next = None
        raise RenderError(
            f"movie frame {index + 1} is damaged or missing", file=self.path, remedy="Copy or render the movie again."
        )

    def _samples(self, frame: Any) -> Samples:
        if (frame.width, frame.height) != (self.header.display.width, self.header.display.height):
            raise RenderError(
                f"changes its size from {self.header.display} to {frame.width}x{frame.height}", file=self.path
            )
        parts = frame.format.components
        bits = max(int(part.bits) for part in parts)
        alpha = any(part.is_alpha for part in parts)
        rgb = frame.format.is_rgb or str(frame.format.name).startswith(("gbr", "pal"))
        depth = next(known for known in (8, 10, 12, 16) if known >= bits) if bits <= 16 else 16
        end = "" if depth == 8 else f"{depth}le"
        if rgb:
            planar = self._planar(frame, ("gbrap" if alpha else "gbrp") + end)
            order = (2, 0, 1, 3)[: len(planar)]
            return np.stack([planar[i] for i in order], axis=2) * np.float32(1 / (2**depth - 1))
        full = int(frame.color_range) == _FULL or str(frame.format.name).startswith("yuvj")
        if len(parts) == 1 or (len(parts) == 2 and alpha):
            luma = self._planar(frame, "gray" + end)[0]
            neutral = np.full((1, 1), 2.0 ** (depth - 1), np.float32).repeat(luma.shape[0], 0).repeat(luma.shape[1], 1)
            return to_rgb([luma, neutral, neutral], depth, "bt709", full)
        across = 2 if -(-frame.width // 2) == parts[1].width and frame.width > 1 else 1
        down = 2 if -(-frame.height // 2) == parts[1].height and frame.height > 1 else 1
        layout = {(1, 1): "444", (2, 1): "422", (2, 2): "420"}.get((across, down), "444")
        planar = self._planar(frame, f"yuv{'a' if alpha else ''}{layout}p{end}")
        matrix = _MATRICES.get(int(frame.colorspace), "bt709" if frame.height >= 720 else "bt601")
        colour = to_rgb(planar, depth, matrix, full)
        if not alpha:
            return colour
        return np.concatenate([colour, planar[3][:, :, None] * np.float32(1 / (2**depth - 1))], axis=2)

    def _planar(self, frame: Any, layout: str) -> list[Samples]:
        # A change of layout alone: depth, range and matrix stay, so nothing is computed that could round.
        if frame.format.name.replace("yuvj", "yuv") != layout:
            frame = frame.reformat(format=layout, src_color_range=frame.color_range, dst_color_range=frame.color_range)
        kind = np.dtype(np.uint16 if layout.endswith("le") else np.uint8)
        planes = []
        for plane in frame.planes:
            rows = np.frombuffer(plane, kind).reshape(plane.height, plane.line_size // kind.itemsize)
            planes.append(rows[:, : plane.width])
        return planes
