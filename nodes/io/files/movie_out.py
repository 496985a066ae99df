"""Movies from pictures, by PyAV (the extra `movie`)."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.graph.image import Array
from safelight.nodes.io.files.landing import Landing, temporary_name
from safelight.nodes.io.files.mastering import Levels, Mastering, obus, sei, with_obus, with_sei
from safelight.nodes.io.files.movie_in import pyav
from safelight.nodes.io.files.movie_tags import ROOM, TAGGED, tag_movie
from safelight.nodes.io.files.pixels import Samples, pack
from safelight.nodes.io.files.ycbcr import from_rgb

CODECS = {".mov": "prores_ks", ".mp4": "libx264", ".m4v": "libx264", ".mkv": "ffv1", ".avi": "mjpeg"}
"""What each extension gets when nobody says."""
_HDR_CODECS = {".mp4": "libx265"}
# What FFmpeg's writers of these containers take.
_FITS = {
    ".mov": ("prores_ks", "libx264", "libx265", "libsvtav1", "mjpeg"),
    ".mp4": ("libx264", "libx265", "libsvtav1", "ffv1", "mjpeg"),
    ".m4v": ("libx264",),
    ".avi": ("mjpeg", "ffv1", "libx264"),
}
_IN_BAND = {"libx265": with_sei, "libsvtav1": with_obus}
"""Codecs whose streams say themselves how bright they are."""
_INSERTS = {"libx265": sei, "libsvtav1": obus}

# Pixel formats by codec and bits; the first is the usual one.
_LAYOUTS: dict[str, dict[int, str]] = {
    "prores_ks": {10: "yuv422p10le"},
    "ffv1": {10: "gbrp10le", 8: "bgr0", 16: "gbrp16le"},
    "libx264": {8: "yuv420p", 10: "yuv420p10le"},
    "libx265": {8: "yuv420p", 10: "yuv420p10le"},
    "libsvtav1": {10: "yuv420p10le", 8: "yuv420p"},
    "mjpeg": {8: "yuvj420p"},
}
_HALVES = {"420": (True, True), "422": (True, False), "444": (False, False)}
# ITU-T H.273 code points.
_MATRIX = {"bt709": 1, "bt601": 5, "bt2020": 9, "rgb": 0}
_LIMITED, _FULL = 1, 2


@dataclass(frozen=True)
class MovieFormat:
    """How a movie is encoded."""

    codec: str
    layout: str
    """Pixel format, FFmpeg's name."""
    bits: int
    matrix: str
    """`bt709`, `bt601`, `bt2020` (non-constant luminance), or `rgb`."""
    full: bool
    halves: tuple[bool, bool]
    """Chroma of half width, half height."""


def movie_format(
    path: Path, codec: str, layout: str, datatype: str, *, hdr: bool = False, matrix: str = "bt709"
) -> MovieFormat:
    """Choose codec and pixel format.

    Parameters
    ----------
    hdr:
        The signal is PQ or HLG: it takes 10 bits or more, and a file that can be tagged so.
    matrix:
        Y'CbCr matrix of the signal.

    Raises
    ------
    GraphError
        The extension, codec, pixel format or datatype do not go together, or this PyAV lacks the codec.
    """
    suffix = path.suffix.lower()
    if suffix not in CODECS:
        raise GraphError(f"movies of the kind '{suffix}' cannot be written", file=path, remedy=f"Use {_list(CODECS)}.")
    usual_codec = _HDR_CODECS.get(suffix, CODECS[suffix]) if hdr else CODECS[suffix]
    chosen = usual_codec if codec == "auto" else codec
    if hdr and (suffix not in TAGGED or chosen == "mjpeg"):
        raise GraphError(
            f"{suffix} movies with {chosen} cannot say that they are HDR: players would show them wrong",
            file=path,
            remedy="Write .mov, .mp4 or .mkv, with prores_ks, libx265, libsvtav1 or ffv1.",
        )
    if chosen not in _FITS.get(suffix, (chosen,)):
        raise GraphError(
            f"{suffix} movies do not hold {chosen}",
            file=path,
            remedy=f"They hold {_list(_FITS[suffix])}; .mkv holds all.",
        )
    av = pyav(path)
    try:
        known = av.Codec(chosen, "w")
    except Exception:
        raise GraphError(
            f"this PyAV has no encoder '{chosen}'", file=path, remedy=f"Choose another codec: {_list(_LAYOUTS)}."
        ) from None
    usual = _LAYOUTS[chosen]
    if layout == "auto":
        first = 10 if hdr and 10 in usual else next(iter(usual))
        bits = first if datatype == "auto" else {"uint8": 8, "uint10": 10, "uint16": 16}.get(datatype, 0)
        if bits not in usual:
            can = [f"uint{number}" for number in sorted(usual)]
            raise GraphError(
                f"{chosen} cannot hold datatype {datatype}", file=path, remedy=f"It can hold {_list(can)}."
            )
        layout = usual[bits]
    offered = [item.name for item in known.video_formats or ()]
    if offered and layout not in offered:
        raise GraphError(f"{chosen} cannot hold pixel format {layout}", file=path, remedy=f"Use {_list(offered)}.")
    form = _describe(chosen, layout, path, matrix)
    if hdr and form.bits < 10:
        raise GraphError(
            f"an HDR signal in {form.bits} bits shows bands",
            where="datatype" if datatype != "auto" else "pixel_format",
            remedy="Use uint10, or a pixel format of 10 bits or more.",
        )
    return form


def _describe(codec: str, layout: str, path: Path, matrix: str) -> MovieFormat:
    if layout == "bgr0":
        return MovieFormat(codec, layout, 8, "rgb", True, (False, False))
    name = layout.removesuffix("le")
    head, _, depth = name.partition("p")
    bits = int(depth) if depth.isdigit() else 8
    if head == "gbr" and not (depth and not depth.isdigit()):
        return MovieFormat(codec, layout, bits, "rgb", True, (False, False))
    full = head.startswith("yuvj")
    halves = _HALVES.get(head.replace("yuvj", "").replace("yuv", ""))
    if halves is None or not head.startswith("yuv") or head.startswith("yuva") or (depth and not depth.isdigit()):
        raise GraphError(
            f"pixel format {layout} is not supported",
            file=path,
            remedy="Use yuv420p, yuv422p10le, yuv444p10le, gbrp10le …",
        )
    return MovieFormat(codec, layout, bits, "bt601" if codec == "mjpeg" else matrix, full, halves)


def _list(names: Any) -> str:
    return ", ".join(list(names)[:12])


class MovieWriter:
    """Encodes frames in order into a hidden file that gets its name when it is closed."""

    def __init__(
        self,
        path: Path,
        form: MovieFormat,
        size: tuple[int, int],
        fps: Fraction,
        pixel_aspect: float,
        quality: int,
        transfer: tuple[int, int],
        metadata: Mapping[str, str],
        device: Device,
        *,
        hdr: bool = False,
    ) -> None:
        """Open the file.

        Parameters
        ----------
        quality:
            Constant rate factor of libx264 and libx265.
        transfer:
            Code points of primaries and transfer curve (ITU-T H.273); 2 says nothing.
        hdr:
            Room is left for the mastering display and the light levels, which `close` takes. HEVC and AV1 say them
            with every key frame: their packets wait in a file beside the movie until the last frame is known.
        """
        self._av = pyav(path)
        self._landing = Landing(path)
        self._form, self._size, self._count, self._device = form, size, 0, device
        self._hdr, self._transfer = hdr, transfer
        self._spool: BinaryIO | None = None
        self._waiting: list[tuple[int, int | None, int | None, int | None, bool]] = []
        try:
            self._container = self._av.open(str(self._landing.temporary), "w")
            stream = self._container.add_stream(form.codec, rate=fps)
            stream.width, stream.height = size
            stream.pix_fmt = form.layout
            if form.codec == "libx265" and path.suffix.lower() != ".mkv":
                stream.codec_context.codec_tag = "hvc1"  # Apple's players take no other
            stream.time_base = stream.codec_context.time_base = 1 / fps
            stream.codec_context.sample_aspect_ratio = Fraction(pixel_aspect).limit_denominator(10000)
            stream.codec_context.color_range = _FULL if form.full else _LIMITED
            stream.codec_context.colorspace = _MATRIX[form.matrix]
            stream.codec_context.color_primaries, stream.codec_context.color_trc = transfer
            stream.codec_context.thread_count = device.threads
            if form.codec in ("libx264", "libx265"):
                stream.options = {"crf": str(quality), "preset": "medium"}
                if form.codec == "libx265":
                    stream.options = {**stream.options, "x265-params": "log-level=error"}
            elif form.codec == "libsvtav1":
                os.environ.setdefault("SVT_LOG", "1")  # errors alone
                stream.options = {"crf": str(max(1, quality)), "preset": "8"}  # FFmpeg takes 0 for "not set"
            elif form.codec == "prores_ks":
                stream.options = {"profile": "3", "vendor": "apl0"}
            elif form.codec == "ffv1":
                stream.options = {"level": "3", "slicecrc": "1", "slices": "4"}
            elif form.codec == "mjpeg":
                stream.options = {"qmin": "1", "qmax": "2"}
            self._container.metadata.update(metadata)
            if hdr and path.suffix.lower() == ".mkv":
                stream.metadata["title"] = ROOM
            if hdr and form.codec in _IN_BAND:
                self._spooled = temporary_name(path.with_suffix(".tmp"))
                self._spool = self._spooled.open("w+b")
            self._stream = stream
        except Exception as error:
            self.abort()
            raise self._failure(error) from None

    def add(self, rgb: Array) -> None:
        """Encode one frame: (3, H, W) float32 as displayed, 0 black, 1 white.

        Raises
        ------
        RenderError
            The disk is full, or the encoder refuses.
        """
        form = self._form
        frame = self._av.VideoFrame(*self._size, form.layout)
        for plane, samples in zip(frame.planes, self._planes(rgb), strict=True):
            width = plane.line_size // samples.itemsize
            lines = np.zeros((samples.shape[0], width), samples.dtype)
            lines[:, : samples.shape[1]] = samples
            plane.update(lines)
        frame.pts, frame.time_base = self._count, self._stream.codec_context.time_base
        frame.color_range = _FULL if form.full else _LIMITED
        frame.colorspace = _MATRIX[form.matrix]
        if hasattr(frame, "color_primaries"):
            frame.color_primaries, frame.color_trc = self._transfer
        self._count += 1
        try:
            self._take(self._stream.encode(frame))
        except Exception as error:
            raise self._failure(error) from None

    def _planes(self, rgb: Array) -> list[Samples]:
        form = self._form
        if form.matrix != "rgb":
            return from_rgb(rgb, form.bits, form.matrix, form.full, form.halves)
        if form.layout == "bgr0":
            codes = np.zeros((*rgb.shape[1:], 4), np.uint8)
            codes[..., :3] = pack(rgb, "uint8", self._device)[..., ::-1]
            return [codes.reshape(rgb.shape[1], -1)]
        held = np.clip(np.nan_to_num(rgb, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
        kind = np.uint8 if form.bits == 8 else np.uint16
        codes = np.floor(held * np.float32(2**form.bits - 1) + np.float32(0.5)).astype(kind)
        return [codes[1], codes[2], codes[0]]

    def _take(self, packets: Iterable[Any]) -> None:
        """Write packets, or keep them until it is known how bright all frames are."""
        if self._spool is None:
            self._container.mux(packets)
            return
        for packet in packets:
            self._spool.write(bytes(packet))
            self._waiting.append((packet.size, packet.pts, packet.dts, packet.duration, packet.is_keyframe))
            self._base = packet.time_base

    def _release(self, made: Mastering | None, levels: Levels | None) -> None:
        assert self._spool is not None
        codec = self._form.codec
        extra = _INSERTS[codec](made, levels)
        self._spool.seek(0)
        for size, pts, dts, duration, key in self._waiting:
            data = self._spool.read(size)
            packet = self._av.Packet(_IN_BAND[codec](data, extra) if key and extra else data)
            packet.stream, packet.time_base = self._stream, self._base
            packet.pts, packet.dts, packet.is_keyframe = pts, dts, key
            if duration:
                packet.duration = duration
            self._container.mux_one(packet)

    def close(self, made: Mastering | None = None, levels: Levels | None = None) -> Path:
        """Flush the encoder, say how bright the movie is, and give it its name.

        Parameters
        ----------
        made, levels:
            Mastering display, and MaxCLL and MaxFALL, of an HDR movie.

        Raises
        ------
        RenderError
            The disk is full.
        """
        try:
            self._take(self._stream.encode(None))
            if self._spool is not None:
                self._release(made, levels)
            self._container.close()
            if self._hdr:
                tag_movie(self._landing.temporary, self._landing.path.suffix.lower(), made, levels)
        except Exception as error:
            raise self._failure(error) from None
        self._drop_spool()
        return self._landing.land()

    def _drop_spool(self) -> None:
        if self._spool is not None:
            self._spool.close()
            with contextlib.suppress(OSError):
                self._spooled.unlink()

    def abort(self) -> None:
        """Remove what was written."""
        container = getattr(self, "_container", None)
        if container is not None:
            with contextlib.suppress(Exception):
                container.close()
        self._drop_spool()
        self._landing.discard()

    def _failure(self, error: Exception) -> RenderError:
        if isinstance(error, RenderError):
            return error
        full = getattr(error, "errno", None) == errno.ENOSPC
        text = "no space left" if full else " ".join(str(error).split())[:200]
        return self._landing.failure(text)
