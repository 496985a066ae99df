"""One graph document for each shot, made from a template; what somebody edited since is never overwritten."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from safelight.graph.document import Document, Entry
from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.graph import Graph
from safelight.host_adapters.document_text import absolute_config, absolute_paths, document_text
from safelight.host_adapters.timeline.conform import Shot
from safelight.nodes.io.files.sequence import MOVIE_SUFFIXES

RESTORED = "restored"
"""Folder of the restored media, beside the documents."""
RECORD = "conform.json"
"""File that says what a conform wrote, so that the next one knows an edited document from its own."""
_PLACE = re.compile(r"#+|%0?\d*d")


@dataclass(frozen=True)
class Template:
    """A document whose Read and Write are set for each shot."""

    document: Document
    read: str
    write: str
    """The Write whose pictures the new timeline shows."""
    writes: tuple[str, ...]

    @property
    def suffix(self) -> str:
        """Extension of the pictures that the new timeline shows."""
        return Path(str(self.document.entries[self.write].params["path"])).suffix

    def output(self, shot: str, write: str = "") -> Path:
        """Return where a shot's pictures go, relative to the folder of the documents; frame numbers as `#`.

        Frames keep the numbers they have in the media, and as many digits as the template asks for.
        """
        name = write or self.write
        path = Path(str(self.document.entries[name].params["path"]))
        digits = _PLACE.search(path.name)
        number = "" if path.suffix.casefold() in MOVIE_SUFFIXES else f".{_hashes(digits.group() if digits else '####')}"
        folder = Path(RESTORED) / shot
        return (folder if name == self.write else folder / name) / f"{shot}{number}{path.suffix}"


def _hashes(place: str) -> str:
    return place if place.startswith("#") else "#" * int(re.sub(r"\D", "", place) or 1)


def template_of(document: Document, read: str = "", write: str = "") -> Template:
    """Find the Read and the Write of a template.

    Raises
    ------
    GraphError
        There is none, or several and none is named; the document is not sound.
    """
    Graph.from_document(document)
    entries = document.entries
    reads = [name for name, entry in entries.items() if entry.type == "Read"]
    writes = [name for name, entry in entries.items() if entry.type == "Write"]
    found = {}
    for kind, names, named in (("Read", reads, read), ("Write", writes, write)):
        if named and named not in names:
            raise GraphError(
                f"the template has no {kind} called '{named}'", file=document.path, remedy=did_you_mean(named, names)
            )
        if not names:
            raise GraphError(f"the template has no {kind}", file=document.path, remedy=f'Add one: type = "{kind}".')
        if not named and len(names) > 1:
            raise GraphError(
                f"the template has {len(names)} nodes of type {kind}: {', '.join(names)}",
                file=document.path,
                remedy=f"Say with --{kind.lower()} which one is set for each shot.",
            )
        found[kind] = named or names[0]
    return Template(document, found["Read"], found["Write"], tuple(writes))


def shot_document(template: Template, shot: Shot) -> str:
    """Return the document of one shot as text."""
    document = template.document
    values = absolute_paths(document)
    values[template.read] |= {"path": str(shot.media.path.absolute()), "first": shot.start, "last": shot.end}
    for name in template.writes:
        values[name]["path"] = str(template.output(shot.name, name))
    entries = {name: Entry(entry.type, values[name], entry.links) for name, entry in document.entries.items()}
    sections = {name: dict(table) for name, table in document.sections.items()}
    sections["graph"] = {**sections.get("graph", {}), "name": shot.name}
    sections["colour"] = absolute_config(sections.get("colour", {}), document.folder)
    sections["shot"] = {**sections.get("shot", {}), "cuts": shot.cuts}
    heading = [f"{shot.name}: frames {shot.first}-{shot.last} of {shot.media.path.name}, with handles "
               f"{shot.start}-{shot.end}."]  # fmt: skip
    for use in shot.uses:
        retime = f", {use.retime}" if use.retime else ""
        reel = f", reel {use.reel}" if use.reel else ""
        heading.append(f"{use.track} {use.record_timecode}, {use.duration} frames: {use.name}{reel}{retime}.")
    return document_text(replace(document, entries=entries, sections=sections), "\n".join(heading))


@dataclass
class Written:
    """What happened to the files of a conform."""

    written: list[Path] = field(default_factory=list)
    unchanged: list[Path] = field(default_factory=list)
    edited: list[Path] = field(default_factory=list)
    """Documents somebody changed since they were made: kept."""
    stale: list[Path] = field(default_factory=list)
    """Documents of an earlier conform that are no part of this one: kept."""


def write_files(
    folder: Path,
    documents: dict[str, str],
    others: dict[str, str],
    *,
    force: bool = False,
    dry_run: bool = False,
) -> Written:
    """Write documents and timelines (by file name) into a folder; nothing is touched that would not change.

    Raises GraphError where a document was edited by hand and the edit asks for another one, unless `force`.
    """
    known = _record(folder)
    result = Written()
    texts = {**documents, **others}
    for name, text in texts.items():
        path = folder / name
        there = _read(path)
        if there == text:
            result.unchanged.append(path)
        elif there is not None and not force and name in documents and _digest(there) != known.get(name):
            if known.get(name) == _digest(text):
                result.edited.append(path)  # ours has not changed since: the hand's edit stands
                continue
            raise GraphError(
                "the document was edited by hand, and the conform now asks for another one",
                file=path,
                remedy="Move it away, or overwrite it with --force.",
            )
        else:
            result.written.append(path)
    result.stale = [folder / name for name in known if name not in texts and (folder / name).exists()]
    if dry_run:
        return result
    for path in result.written:
        _write(path, texts[path.name])
    record = {name: _digest(text) for name, text in documents.items()}
    record |= {path.name: known[path.name] for path in result.stale}
    text = json.dumps({"safelight conform": 1, "documents": record}, indent=1, sort_keys=True) + "\n"
    if _read(folder / RECORD) != text:
        _write(folder / RECORD, text)
    return result


def _record(folder: Path) -> dict[str, str]:
    text = _read(folder / RECORD)
    if text is None:
        return {}
    try:
        found: Any = json.loads(text)["documents"]
        return {str(name): str(digest) for name, digest in found.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise GraphError(
            "the record of the last conform cannot be read",
            file=folder / RECORD,
            remedy="Delete it: documents that differ are then taken for edited.",
        ) from None


def _digest(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _read(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise GraphError(f"the file cannot be read: {error.strerror}", file=path) from None


def _write(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(text.encode())
        temporary.replace(path)
    except OSError as error:
        raise GraphError(f"the file cannot be written: {error.strerror}", file=path) from None
    finally:
        temporary.unlink(missing_ok=True)
