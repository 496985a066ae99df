"""The frames a Read has, and what their headers say: names at once, headers in threads, both remembered."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from safelight.graph.device import cpu_count
from safelight.graph.errors import RenderError
from safelight.graph.region import Region
from safelight.nodes.io.files.decode import EXR_SUFFIXES, choose_part
from safelight.nodes.io.files.exr_chunks import read_exr
from safelight.nodes.io.files.header import Header
from safelight.nodes.io.files.local import opener
from safelight.nodes.io.files.sequence import Files, find_files

T = TypeVar("T")


class _Memory:
    """The latest answers, by key. Two threads that miss at once may both work; they get the same."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._kept: OrderedDict[Any, Any] = OrderedDict()

    def get(self, key: Any, changed: int, make: Callable[[], T]) -> T:
        """Return what `make` made of something that changed at `changed` (nanoseconds since the epoch)."""
        if time.time_ns() - changed < _SETTLED:
            return make()
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: T = self._kept[key]
                return found
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made


# File systems count time in steps of some milliseconds: what changed just now may change again within the same one.
_SETTLED = 1_000_000_000
_files = _Memory(64)
_headers = _Memory(20_000)


@dataclass(frozen=True)
class Facts:
    """What must agree between frames, and what may differ."""

    display: Region
    data: Region
    channels: frozenset[str]
    pixel_aspect: float


def stamp(path: Path) -> tuple[int, int]:
    """Return a file's size and time of change in nanoseconds.

    Raises
    ------
    RenderError
        It is not there.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise RenderError(f"cannot be read ({error.strerror})", file=path) from None
    return found.st_size, found.st_mtime_ns


def files_of(path: Path) -> Files:
    """Find what a path means; asked again only when its folder has changed."""
    folder = path if path.is_dir() else path.parent
    try:
        changed = folder.stat().st_mtime_ns
    except OSError:
        return find_files(path)
    return _files.get((path, changed), changed, lambda: find_files(path))


def header_of(path: Path, part: str, untrusted: bool) -> Header:
    """Read a still's whole header, or remember it."""
    size, changed = stamp(path)
    key = (path, size, changed, part, untrusted)
    return _headers.get(key, changed, lambda: opener(untrusted).header(path, part))


def movie_header_of(path: Path, untrusted: bool) -> Header:
    """Read a movie's header, or remember it."""
    size, changed = stamp(path)
    key = (path, size, changed, "movie", untrusted)
    return _headers.get(key, changed, lambda: opener(untrusted).movie_header(path))


def facts_of(path: Path, part: str, untrusted: bool) -> Facts:
    """Read what a frame must share with its neighbours, as cheaply as the format allows."""

    def make() -> Facts:
        if path.suffix.lower() in EXR_SUFFIXES and not untrusted:
            exr = read_exr(path)
            chosen = exr.parts[choose_part(exr, part)]
            names = frozenset(channel.name for channel in chosen.channels)
            return Facts(chosen.display, chosen.data, names, chosen.pixel_aspect)
        header = opener(untrusted).header(path, part)
        return Facts(header.display, header.data, frozenset(header.channels), header.pixel_aspect)

    size, changed = stamp(path)
    return _headers.get((path, size, changed, part, "facts", untrusted), changed, make)


def survey(frames: Mapping[int, Path], part: str, untrusted: bool) -> dict[int, Facts]:
    """Read the facts of all frames, in threads.

    Raises
    ------
    RenderError
        A header cannot be read, or a frame differs from the first in size, channels or pixel aspect; the message
        names frame, file, and both values.
    """
    numbers = list(frames)
    with ThreadPoolExecutor(min(16, 4 * cpu_count())) as pool:
        jobs = [pool.submit(facts_of, frames[number], part, untrusted) for number in numbers]
        found = {}
        for number, job in zip(numbers, jobs, strict=True):
            try:
                found[number] = job.result()
            except Exception as error:
                for other in jobs:
                    other.cancel()
                if isinstance(error, RenderError):
                    raise error.at(frame=number, file=frames[number]) from None
                raise
    if not numbers:
        return found
    first, whole = numbers[0], found[numbers[0]]
    for number, facts in found.items():
        for what, here, there in (
            ("size", facts.display, whole.display),
            ("channels", _names(facts.channels), _names(whole.channels)),
            ("pixel aspect", facts.pixel_aspect, whole.pixel_aspect),
        ):
            if here != there:
                raise RenderError(
                    f"frame {number} differs from frame {first} in {what}: {here}; {frames[first].name} has {there}",
                    frame=number,
                    file=frames[number],
                    remedy="Render that frame again, or read the parts one by one with 'first' and 'last'.",
                )
    return found


def _names(channels: frozenset[str]) -> str:
    return ", ".join(sorted(channels))
