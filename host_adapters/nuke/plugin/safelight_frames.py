"""Frame ranges in Nuke's words and in the engine's. Python 3.7, standard library only."""

from __future__ import annotations

import re

_RANGE = re.compile(r"(-?\d{1,9})(?:-(-?\d{1,9})(?:x(\d{1,9}))?)?")


def parse(text: str) -> list[int]:
    """Return the frames of Nuke's `1-10x2 15 -8--5`, ascending, each once.

    Raises ValueError for what is none.
    """
    frames: set[int] = set()
    for part in text.replace(",", " ").split():
        match = _RANGE.fullmatch(part)
        if match is None:
            raise ValueError(f"'{part}' is no frame range. Write 1001-1100, 1001-1100x2 or 1 5 9.")
        first = int(match.group(1))
        last = int(match.group(2)) if match.group(2) else first
        step = int(match.group(3) or 1)
        if last < first or step < 1:
            raise ValueError(
                f"the frame range '{part}' is empty. Write the lower frame first, and a step of 1 or more."
            )
        if len(frames) + (last - first) // step > 1000000:
            raise ValueError(f"'{part}' is more than a million frames")
        frames.update(range(first, last + 1, step))
    return sorted(frames)


def runs(frames: list[int]) -> list[tuple[int, int, int]]:
    """Return frames as runs of (first, last, step)."""
    found = []
    rest = sorted(set(frames))
    while rest:
        step = rest[1] - rest[0] if len(rest) > 1 else 1
        count = 1
        while count < len(rest) and rest[count] - rest[count - 1] == step:
            count += 1
        if count == 2 and step > 1:
            count = 1
        found.append((rest[0], rest[count - 1], step if count > 1 else 1))
        rest = rest[count:]
    return found


def nuke_text(frames: list[int]) -> str:
    """Write frames as Nuke does: `1-10x2 15`."""
    return " ".join(_run_text(run) for run in runs(frames))


def engine_text(frames: list[int]) -> str:
    """Write frames as the engine reads them: `1-10x2,15`."""
    return ",".join(_run_text(run) for run in runs(frames))


def _run_text(run: tuple[int, int, int]) -> str:
    first, last, step = run
    if first == last:
        return str(first)
    return f"{first}-{last}" + (f"x{step}" if step > 1 else "")
