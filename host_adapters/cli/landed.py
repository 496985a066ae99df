"""Small text files that land under their name only when they are complete: lists, tables, pages."""

from __future__ import annotations

from pathlib import Path

from safelight.graph.errors import GraphError


def write_text(path: Path, text: str, what: str = "the file") -> None:
    """Write UTF-8 text to a file, whole or not at all.

    Raises
    ------
    GraphError
        `what` cannot be written: the disk is full, the folder is missing or closed.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        raise GraphError(f"{what} cannot be written: {error.strerror}", file=path) from None
    finally:
        temporary.unlink(missing_ok=True)
