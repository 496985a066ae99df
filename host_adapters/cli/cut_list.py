"""The cut list of a graph document, written into its text without touching the rest of it."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from safelight.graph.document import Document
from safelight.graph.errors import GraphError

_HEADER = re.compile(r"^[ \t]*\[[ \t]*(shot|\"shot\")[ \t]*\][ \t]*(#[^\r\n]*)?(?=\r?$)", re.MULTILINE)
_TABLE = re.compile(r"^[ \t]*\[", re.MULTILINE)
_CUTS = re.compile(r"^[ \t]*(cuts|\"cuts\")[ \t]*=[ \t]*", re.MULTILINE)
_BY_HAND = "Write the list into [shot] by hand."


def with_cuts(text: str, cuts: Sequence[int], *, force: bool = False, path: Path | None = None) -> str:
    """Return a document's text with `cuts = [...]` in its table [shot]; comments, order and layout stay.

    Raises GraphError where a list is there already (unless `force`), or stands in the text in a way that cannot be
    replaced without rewriting more than it.
    """
    there = Document.parse(text, path=path).sections["shot"].get("cuts")
    if there is not None and not force:
        if sorted(set(there)) == sorted(set(cuts)):
            return text
        raise GraphError(
            f"the document has a cut list already: {list(there)}",
            file=path,
            remedy="Add --force to replace it; it may have been edited by hand.",
        )
    line = f"cuts = [{', '.join(map(str, cuts))}]"
    end = "\r\n" if "\r\n" in text else "\n"
    header = _HEADER.search(text)
    if header is None:
        table = _TABLE.search(text)
        at = table.start() if table else len(text)
        before = text[:at] + (end if text[:at] and not text[:at].endswith("\n") else "")
        made = f"{before}[shot]{end}{line}{end}{end}{text[at:]}"
    else:
        after = header.end()
        following = _TABLE.search(text, after)
        stop = following.start() if following else len(text)
        old = _CUTS.search(text, after, _before_lists(text, after, stop))
        if old is None:
            made = f"{text[:after]}{end}{line}{text[after:]}"
        else:
            indent = re.match(r"[ \t]*", text[old.start() :])
            made = text[: old.start()] + (indent[0] if indent else "") + line + text[_list_end(text, old.end(), path) :]
    try:
        right = Document.parse(made).sections["shot"].get("cuts") == list(cuts)
    except GraphError:
        right = False
    if not right:
        raise GraphError("the cut list cannot be put into this document's text", file=path, remedy=_BY_HAND)
    return made


def write_cuts(path: Path, cuts: Sequence[int], *, force: bool = False) -> bool:
    """Put the list into a document on disk, by rename; tell whether anything changed. Errors as in `with_cuts`."""
    try:
        text = path.read_bytes().decode("utf-8")
        made = with_cuts(text, cuts, force=force, path=path)
        if made == text:
            return False
        target = path.resolve()
        handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(made.encode("utf-8"))
            os.chmod(name, target.stat().st_mode & 0o7777)  # noqa: PTH101 (a name, not a Path)
            os.replace(name, target)  # noqa: PTH105
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise GraphError(f"the document cannot be written: {error.strerror}", file=path) from None
    return True


def _before_lists(text: str, start: int, stop: int) -> int:
    """Return where the table ends: a line of a list over several lines may begin with a bracket, too."""
    old = _CUTS.search(text, start)
    if old is None or old.start() > stop:
        return stop
    return max(stop, old.end())


def _list_end(text: str, at: int, path: Path | None) -> int:
    """Return where the list that begins at `at` ends."""
    depth, comment = 0, False
    for i in range(at, len(text)):
        sign = text[i]
        if comment:
            comment = sign != "\n"
        elif sign == "#":
            comment = True
        elif sign == "[":
            depth += 1
        elif sign == "]":
            depth -= 1
            if depth == 0:
                return i + 1
    raise GraphError("the cut list has no end", file=path, remedy=_BY_HAND)
