"""Opening files, in this process or in a child with limits: one interface for both."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from safelight.nodes.io.files.decode import Block, read_header, read_samples
from safelight.nodes.io.files.header import Header


class Opener(Protocol):
    """Reads headers and samples. Safe to call from several threads."""

    def header(self, path: Path, part: str) -> Header:
        """Read a still's header."""
        ...

    def samples(self, path: Path, part: str, channels: Sequence[str]) -> tuple[Header, list[Block]]:
        """Read a still."""
        ...

    def movie_header(self, path: Path) -> Header:
        """Describe a movie; its index of frames is built and kept."""
        ...

    def movie_frame(self, path: Path, index: int) -> tuple[Header, list[Block]]:
        """Read a movie's frame by its place in the order of display, from 0."""
        ...


class LocalOpener:
    """Reads in this process."""

    def header(self, path: Path, part: str) -> Header:
        """See Opener."""
        return read_header(path, part)

    def samples(self, path: Path, part: str, channels: Sequence[str]) -> tuple[Header, list[Block]]:
        """See Opener."""
        return read_samples(path, part, channels)

    def movie_header(self, path: Path) -> Header:
        """See Opener."""
        from safelight.nodes.io.files.movie_in import movie

        return movie(path).header

    def movie_frame(self, path: Path, index: int) -> tuple[Header, list[Block]]:
        """See Opener."""
        from safelight.nodes.io.files.movie_in import movie

        return movie(path).read(index)


_LOCAL = LocalOpener()


def opener(untrusted: bool) -> Opener:
    """Return what opens files: the child process when they are not trusted."""
    if not untrusted:
        return _LOCAL
    from safelight.nodes.io.files.sandbox import sandbox

    return sandbox()
