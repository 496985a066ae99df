"""How Resolve writes the path of a sequence: `name.[first-last].exr`."""

from __future__ import annotations

import re

RANGE = re.compile(r"\[(-?\d+)-(-?\d+)\](?=\.\w+$)")


def first_file(path: str) -> str:
    """Return the first file of a sequence; other paths as they are.

    >>> first_file("/a/x.[1001-1010].exr")
    '/a/x.1001.exr'
    """
    return RANGE.sub(lambda match: match[1], path)


def as_pattern(path: str) -> str:
    """Return the path as a Read takes it.

    >>> as_pattern("/a/x.[1001-1010].exr")
    '/a/x.####.exr'
    """
    return RANGE.sub(lambda match: "#" * len(match[1].lstrip("-")), path)
