"""Timecode as frame counts: as text, and as SMPTE 12M's binary-coded decimals in file headers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

_TEXT = re.compile(r"(\d{1,2})[:;.](\d{2})[:;.](\d{2})([:;.])(\d{2,3})")


def nominal(rate: float) -> int:
    """Return the frames that one second of timecode counts.

    >>> nominal(23.976), nominal(29.97)
    (24, 30)
    """
    return max(1, round(rate))


def timecode(frame: int, rate: float) -> str:
    """Write a frame count as non-drop timecode.

    >>> timecode(86412, 24)
    '01:00:00:12'
    """
    base = nominal(rate)
    sign, frame = ("-" if frame < 0 else ""), abs(frame)
    seconds, frames = divmod(frame, base)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{sign}{hours:02}:{minutes:02}:{seconds:02}:{frames:02}"


def frame_count(text: str, rate: float) -> int | None:
    """Return the frames that a timecode counts from 00:00:00:00; None for what is none, and beyond its rate.

    A semicolon (or 29.97 and 59.94 with one) counts drop-frame: ST 12-1 leaves out two (four) numbers each minute
    but every tenth.

    >>> frame_count("01:00:00:12", 24), frame_count("00:01:00;02", 29.97)
    (86412, 1800)
    """
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    hours, minutes, seconds, mark, frames = match[1], match[2], match[3], match[4], match[5]
    base = nominal(rate)
    if int(frames) >= base or int(minutes) > 59 or int(seconds) > 59:
        return None
    count = ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * base + int(frames)
    if mark == ";" and base % 30 == 0:
        whole = int(hours) * 60 + int(minutes)
        count -= base // 15 * (whole - whole // 10)
    return count


def header_timecode(value: Any, rate: float) -> int | None:
    """Return the frame count of what a header holds: text, or the two words of an EXR or DPX; None for neither."""
    if isinstance(value, str):
        return frame_count(value, rate)
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(word, int) for word in value):
        word = value[0] & 0xFFFFFFFF
        if word == 0xFFFFFFFF:  # a DPX's "not set"
            return None
        frames = (word & 15) + 10 * (word >> 4 & 3)
        seconds = (word >> 8 & 15) + 10 * (word >> 12 & 7)
        minutes = (word >> 16 & 15) + 10 * (word >> 20 & 7)
        hours = (word >> 24 & 15) + 10 * (word >> 28 & 3)
        return frame_count(f"{hours:02}:{minutes:02}:{seconds:02}{';' if word >> 6 & 1 else ':'}{frames:02}", rate)
    return None
