"""What can go wrong, in one small family: every error names the place and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from pathlib import Path


class SafelightError(Exception):
    """Base of all errors that a user can mend.

    Attributes
    ----------
    what:
        One sentence: what is wrong.
    where:
        Node, port, parameter, line: where it is wrong; empty if the sentence says it.
    frame:
        Frame number it happened at, or None.
    file:
        File concerned, or None.
    remedy:
        One sentence: what to do about it.

    ``str(error)`` is one line that holds them all.
    """

    def __init__(
        self,
        what: str,
        *,
        where: str = "",
        frame: int | None = None,
        file: Path | str | None = None,
        remedy: str = "",
    ) -> None:
        self.what = what
        self.where = where
        self.frame = frame
        self.file = Path(file) if file is not None else None
        self.remedy = remedy
        super().__init__(what)

    def __str__(self) -> str:
        place = ", ".join(
            part
            for part in (
                self.where,
                f"frame {self.frame}" if self.frame is not None else "",
                str(self.file) if self.file is not None and str(self.file) not in self.what else "",
            )
            if part
        )
        text = f"{place}: {self.what}" if place else self.what
        text = " ".join(text.split())
        if self.remedy:
            text = f"{text.rstrip('.')}. {self.remedy}"
        return text

    def at(
        self, *, where: str | None = None, frame: int | None = None, file: Path | str | None = None
    ) -> SafelightError:
        """Fill in what the thrower could not know, keeping what it did; returns self."""
        self.where = self.where or (where or "")
        self.frame = self.frame if self.frame is not None else frame
        self.file = self.file if self.file is not None else (Path(file) if file is not None else None)
        return self

    def of_node(self, name: str) -> SafelightError:
        """Say which node it happened in, before what the thrower knew of the place there; returns self."""
        node = f"node '{name}'"
        if not self.where.startswith(node):
            self.where = f"{node}, {self.where}" if self.where else node
        return self


class GraphError(SafelightError):
    """The document or the graph is wrong: found before anything renders (exit status 2)."""


class RenderError(SafelightError):
    """A frame could not be made, read or written (exit status 1)."""


class Cancelled(SafelightError):  # noqa: N818 (no error: somebody asked for it)
    """The render was stopped on request (exit status 130)."""

    def __init__(self, what: str = "stopped on request") -> None:
        super().__init__(what)


def did_you_mean(word: str, known: Iterable[str], *, most: int = 3) -> str:
    """Say the nearest known names, as a sentence that can close an error; empty when none is near.

    >>> did_you_mean("Degrian", ["Degrain", "Regrain", "Read"])
    "Did you mean 'Degrain'?"
    """
    by_fold = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(word.casefold(), list(by_fold), n=most, cutoff=0.6)
    if not near:
        return ""
    best = by_fold[near[0]]
    others = [by_fold[name] for name in near[1:] if difflib.SequenceMatcher(None, word.casefold(), name).ratio() > 0.8]
    return "Did you mean " + " or ".join(f"'{name}'" for name in [best, *others]) + "?"
