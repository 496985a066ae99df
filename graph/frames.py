"""Frame ranges as people write them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from safelight.graph.errors import GraphError

_RANGE = re.compile(r"(-?\d+)(?:-(-?\d+)(?:[x:](\d+))?)?")


def parse_frames(text: str) -> list[int]:
    """Read a frame range: single frames, `first-last`, `first-lastxstep` (or `:step`), joined by commas or spaces.

    Frames come back in the order given, each once. Negative frames are written as they are: `-8--5`.

    >>> parse_frames("1001-1005x2, 1010")
    [1001, 1003, 1005, 1010]
    >>> parse_frames("-2-1")
    [-2, -1, 0, 1]

    Raises
    ------
    GraphError
        The text is no range, runs backwards, or is empty.
    """
    frames: dict[int, None] = {}
    for part in re.split(r"[,\s]+", text.strip()):
        match = _RANGE.fullmatch(part)
        if match is None:
            raise GraphError(
                f"'{part or text}' is not a frame range", remedy="Write 1001-1100, 1001-1100x2 or 1001,1005,1010."
            )
        first = int(match[1])
        last = int(match[2]) if match[2] is not None else first
        step = int(match[3]) if match[3] is not None else 1
        if last < first or step < 1:
            raise GraphError(
                f"the frame range '{part}' is empty", remedy="Write the lower frame first, and a step of at least 1."
            )
        frames.update(dict.fromkeys(range(first, last + 1, step)))
    return list(frames)


def format_frames(frames: Sequence[int]) -> str:
    """Write frames as the shortest range text that `parse_frames` reads back, sorted.

    >>> format_frames([1, 2, 3, 7, 10, 12, 14])
    '1-3,7,10-14x2'
    """
    rest = sorted(set(frames))
    parts: list[str] = []
    while rest:
        step = rest[1] - rest[0] if len(rest) > 1 else 1
        count = 1
        while count < len(rest) and rest[count] - rest[count - 1] == step:
            count += 1
        if count == 2 and step > 1:  # two frames are not yet a pattern
            count = 1
        if count == 1:
            parts.append(str(rest[0]))
        else:
            parts.append(f"{rest[0]}-{rest[count - 1]}" + (f"x{step}" if step > 1 else ""))
        rest = rest[count:]
    return ",".join(parts)
