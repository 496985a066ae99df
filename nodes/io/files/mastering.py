"""The display that a picture was mastered on (SMPTE ST 2086), and how files and streams hold it."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from safelight.colour.display import Display, chromaticities

Levels = tuple[int, int]
"""MaxCLL and MaxFALL, whole cd/m²."""


@dataclass(frozen=True)
class Mastering:
    """A mastering display: its primaries (white D65) and its darkest and brightest light, cd/m²."""

    primaries: str
    darkest: float
    brightest: float

    @property
    def points(self) -> tuple[int, ...]:
        """Return x and y of red, green, blue and white in steps of 0.00002."""
        return tuple(round(value * 50000) for value in chromaticities(self.primaries))

    @property
    def lights(self) -> tuple[int, int]:
        """Return the brightest and the darkest light in steps of 0.0001 cd/m²."""
        return round(self.brightest * 10000), round(self.darkest * 10000)

    def __str__(self) -> str:
        """Write it as x265's `--master-display` takes it.

        >>> str(Mastering("p3d65", 0.0001, 1000))
        'G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)'
        """
        (rx, ry, gx, gy, bx, by, wx, wy), (most, least) = self.points, self.lights
        return f"G({gx},{gy})B({bx},{by})R({rx},{ry})WP({wx},{wy})L({most},{least})"

    def as_data(self) -> dict[str, Any]:
        """Return plain data."""
        rx, ry, gx, gy, bx, by, wx, wy = chromaticities(self.primaries)
        return {
            "primaries": self.primaries,
            "red": [rx, ry],
            "green": [gx, gy],
            "blue": [bx, by],
            "white": [wx, wy],
            "min": self.darkest,
            "max": self.brightest,
            "x265": str(self),
        }


def mastering_of(
    display: Display, primaries: str = "auto", brightest: float = 0.0, darkest: float = 0.0001
) -> Mastering | None:
    """Return the mastering display that a signal was made for; None where nobody says how bright it was.

    Parameters
    ----------
    primaries, brightest:
        What the user says; "auto" and 0 take the signal's limiting gamut and peak.
    """
    peak = brightest or display.peak
    gamut = display.limit or "" if primaries == "auto" else primaries
    return Mastering(gamut, darkest, peak) if peak and gamut else None


def mdcv(made: Mastering) -> bytes:
    """Return the 24 bytes of an ISO `mdcv` box and of HEVC's SEI 137: green, blue, red, white, brightest, darkest."""
    rx, ry, gx, gy, bx, by, wx, wy = made.points
    return struct.pack(">8H2I", gx, gy, bx, by, rx, ry, wx, wy, *made.lights)


def clli(levels: Levels) -> bytes:
    """Return the 4 bytes of an ISO `clli` box and of HEVC's SEI 144."""
    return struct.pack(">2H", *levels)


def sei(made: Mastering | None, levels: Levels | None) -> bytes:
    """Return HEVC prefix SEI NAL units with start codes (Rec. ITU-T H.265 D.2.28, D.2.35)."""
    out = b""
    for number, payload in ((137, mdcv(made) if made else b""), (144, clli(levels) if levels else b"")):
        if payload:
            body = bytes([number, len(payload)]) + payload + b"\x80"
            out += b"\x00\x00\x00\x01\x4e\x01" + _escaped(body)
    return out


def _escaped(body: bytes) -> bytes:
    """Put 3 between two zeros and a byte of at most 3, so that no start code appears (H.265, 7.4.2)."""
    out, zeros = bytearray(), 0
    for byte in body:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def obus(made: Mastering | None, levels: Levels | None) -> bytes:
    """Return AV1 metadata OBUs (AV1 specification, 5.8.3 and 5.8.4)."""
    out = b""
    if levels:
        out += _obu(1, clli(levels))
    if made:
        points = [round(value * 65536) for value in chromaticities(made.primaries)]
        lights = min(2**32 - 1, round(made.brightest * 256)), round(made.darkest * 16384)
        out += _obu(2, struct.pack(">8H2I", *points, *lights))
    return out


def _obu(kind: int, payload: bytes) -> bytes:
    body = bytes([kind]) + payload + b"\x80"
    return bytes([5 << 3 | 2, len(body)]) + body


def with_sei(packet: bytes, extra: bytes) -> bytes:
    """Return an HEVC access unit (with start codes) with SEI units put before its first slice."""
    at = 0
    while True:
        at = packet.find(b"\x00\x00\x01", at)
        if at < 0:
            return extra + packet
        kind = packet[at + 3] >> 1 & 0x3F
        if kind < 32:
            start = at - 1 if at and packet[at - 1] == 0 else at
            return packet[:start] + extra + packet[start:]
        at += 3


def with_obus(packet: bytes, extra: bytes) -> bytes:
    """Return an AV1 temporal unit with OBUs put after its delimiter and sequence header.

    Raises
    ------
    ValueError
        The packet is no sequence of OBUs with sizes.
    """
    at, place = 0, 0
    while at < len(packet):
        header = packet[at]
        kind, start = header >> 3 & 15, at + 1 + (header >> 2 & 1)
        if not header & 2:
            raise ValueError("an OBU without a size")
        size, shift = 0, 0
        while True:
            byte = packet[start]
            size |= (byte & 127) << shift
            shift, start = shift + 7, start + 1
            if not byte & 128:
                break
        at = start + size
        if kind not in (1, 2):
            break
        place = at
    return packet[:place] + extra + packet[place:]


def png_chunks(made: Mastering | None, levels: tuple[float, float] | None) -> list[tuple[bytes, bytes]]:
    """Return PNG's chunks mDCV and cLLI (PNG, third edition, 11.3.2.7 and 11.3.2.8)."""
    chunks = []
    if made:
        chunks.append((b"mDCV", struct.pack(">8H2I", *made.points, *made.lights)))
    if levels:
        chunks.append((b"cLLI", struct.pack(">2I", *(round(value * 10000) for value in levels))))
    return chunks
