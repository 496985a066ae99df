"""One shot restored: pulled, rendered by the engine, brought back; all of it, or nothing."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safelight.graph.document import Document, Entry
from safelight.graph.errors import GraphError, RenderError, SafelightError
from safelight.host_adapters.document_text import absolute_config, absolute_paths, document_text
from safelight.host_adapters.resolve import back as bring
from safelight.host_adapters.resolve.connect import Session
from safelight.host_adapters.resolve.engine import run_engine
from safelight.host_adapters.resolve.journal import NAME, Journal
from safelight.host_adapters.resolve.paths import first_file
from safelight.host_adapters.resolve.project import Colour, hdr_parameters, space_of
from safelight.host_adapters.resolve.pull import Deliver, Media, Pull, pull_direct, pull_rendered
from safelight.host_adapters.resolve.remote import Remote
from safelight.host_adapters.resolve.shots import JOB, HostShot, slug
from safelight.host_adapters.timeline.shot_documents import Template
from safelight.nodes.io.files.decode import STILL_SUFFIXES
from safelight.nodes.io.files.sequence import parse_pattern

MARK = "safelight:"
"""What the hidden data of our markers begins with; the job's hash follows."""
Engine = Callable[..., None]


@dataclass(frozen=True)
class Options:
    """How shots are restored."""

    template: Template
    output: Path
    """Folder of the jobs: pictures, documents, journals."""
    handles: int = 8
    back: bring.Back = "take"
    again: bool = False
    """Restore a shot whose marker says that it was."""
    rendered: bool = False
    """Let Resolve render the pull even where Safelight reads the camera file."""
    preset: str = "H.264 Master"
    """Render preset a pull through Resolve begins from."""
    engine: tuple[str, ...] = ()
    """More arguments of `safelight render`."""


@dataclass
class Result:
    """What became of a shot."""

    shot: HostShot
    job: str
    folder: Path
    done: bool
    """False: its marker says that it was restored before, and nothing was touched."""
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Place:
    """Where a job works."""

    session: Session
    project: Remote
    timeline: Remote
    colour: Colour


def source_hash(source: Media, options: Options, colour: Colour) -> str:
    """Return a hash of all that a restored shot depends on: media, frames, template, colour, and how it comes back."""
    file = Path(first_file(source.path))
    document = options.template.document
    facts = [
        version("safelight"),
        source.path,
        [file.stat().st_size, file.stat().st_mtime_ns] if file.is_file() else None,
        source.frames,
        source.offset,
        source.duration,
        source.space,
        options.handles,
        options.back,
        options.rendered,
        document_text(document),
        list(map(list, document.overrides)),
        sorted(colour.settings.items()),
    ]
    return hashlib.blake2b(json.dumps(facts).encode(), digest_size=8).hexdigest()


def run_job(
    place: Place,
    shot: HostShot,
    options: Options,
    tell: Callable[[str], None],
    cancel: threading.Event,
    engine: Engine = run_engine,
) -> Result:
    """Restore one shot and bring it back.

    A marker on the shot whose hidden data is the job's hash makes a second run a no-op. Whatever fails, is refused or
    never returns: project and timeline are put back as they were, and one error says what happened.

    Raises
    ------
    GraphError
        The shot is of a kind that cannot be restored.
    RenderError
        Pull, render or return failed.
    Cancelled
        `cancel` was set.
    """
    if shot.refused:
        raise GraphError(shot.refused, where=shot.where)
    name = source_hash(shot.source, options, place.colour)
    folder = options.output.absolute() / f"{slug(shot.name)}_{name}"
    if not options.again and shot.item.table("GetMarkerByCustomData", MARK + name):
        return Result(shot, name, folder, done=False)
    whole = options.back == "replace"
    by_host = options.rendered or not shot.source.readable
    if by_host and whole:
        raise GraphError(
            "media that Safelight does not read itself is not replaced: only a part of it would be rendered",
            where=shot.where,
            remedy="Use --back take or --back track.",
        )
    journal = Journal(place.project.id, folder / NAME)
    try:
        if by_host:
            deliver = Deliver(
                place.project, place.colour, journal, folder / "pull", options.preset, tell, cancel.is_set
            )
            pull = pull_rendered(shot, options.handles, deliver)
        else:
            pull = pull_direct(shot.source, options.handles, whole=whole)
        restored = restore(shot.name, pull, options, place.colour, folder, tell, cancel, engine)
        _record(folder, place, shot, options, pull, name)
        start = pull.shown - pull.first
        if whole:
            bring.in_place(place.project, journal, shot, restored, pull.first, shot.source.frames)
        else:
            media = bring.import_media(place.project, journal, restored, pull.first, pull.last, pull.space, shot.where)
            if options.back == "take":
                bring.as_take(place.timeline, journal, shot, media, start)
            else:
                bring.as_track(place.project, place.timeline, journal, shot, media, start)
        note = f"{options.template.document.path or 'graph'}: frames {pull.first}-{pull.last}"
        bring.mark(place.timeline, journal, shot, MARK + name, note)
    except BaseException as error:
        problems = journal.undo(place.project)
        if problems and isinstance(error, SafelightError):
            error.remedy = (
                f"{error.remedy.rstrip('.')}. " if error.remedy else ""
            ) + f"Not everything could be taken back ({problems[0]}): run 'safelight resolve undo {folder}'."
        if isinstance(error, SafelightError):
            raise error.at(where=shot.where) from None
        raise
    notes = []
    if (
        not space_of(pull.space)
        and "colourspace" not in options.template.document.entries[options.template.read].params
    ):
        told = f"Resolve's colour space '{pull.space}' is not known here" if pull.space else "no colour space is said"
        notes.append(
            f"{told}: the pictures were taken for what their files are by default; set colourspace of the Read"
        )
    return Result(shot, name, folder, done=True, notes=notes)


def restore(
    name: str,
    pull: Pull,
    options: Options,
    colour: Colour,
    folder: Path,
    tell: Callable[[str], None],
    cancel: threading.Event,
    engine: Engine = run_engine,
) -> Path:
    """Render a pull through the template into `folder/restored`; return the pictures' path with `####`.

    Raises RenderError, also where a frame is missing in the end.
    """
    suffix = options.template.suffix
    if suffix.casefold() not in STILL_SUFFIXES:
        raise GraphError(
            f"the graph writes '{suffix}' files, and Resolve is handed numbered pictures",
            where=f"node '{options.template.write}'",
            remedy="Give its path an extension such as .exr.",
        )
    target = folder / "restored" / f"{slug(name)}.{'#' * 8}{suffix}"
    document = folder / "graph.toml"
    folder.mkdir(parents=True, exist_ok=True)
    document.write_text(job_document(pull, options.template, colour, target), encoding="utf-8")
    engine(document, lambda share, stage: tell(f"{name}: {stage} {share:.0%}"), cancel, options.engine)
    pattern = parse_pattern(target)
    assert pattern is not None
    missing = [frame for frame in range(pull.first, pull.last + 1) if not pattern.path(frame).is_file()]
    if missing:
        raise RenderError(f"{len(missing)} frames were not rendered", frame=missing[0], file=target)
    return target


def job_document(pull: Pull, template: Template, colour: Colour, target: Path) -> str:
    """Return the document of a job: the template with the shot's pictures, colour spaces and HDR figures set.

    Restored pictures are written in the space that the pull is in, so that the grade made for it still fits. A
    template that names a space for its Read or Write keeps it.
    """
    source = template.document
    values = absolute_paths(source)
    for node, found in hdr_parameters(source, colour).items():
        values[node] |= found
    read, write = values[template.read], values[template.write]
    read |= {"path": str(pull.path), "first": pull.first, "last": pull.last}
    write["path"] = str(target)
    read.setdefault("colourspace", space_of(pull.space) or "auto")
    if "colourspace" not in write and read["colourspace"] != "auto":
        write["colourspace"] = read["colourspace"]
    elif "colourspace" not in write:
        write["colourspace"] = _usual_space(pull.path, source)
        read["colourspace"] = write["colourspace"]
    for name in template.writes:
        if name != template.write:
            path = Path(values[name]["path"])
            values[name]["path"] = str(target.parent.with_name(name) / path.name)
    entries = {name: Entry(entry.type, values[name], entry.links) for name, entry in source.entries.items()}
    sections = {name: dict(table) for name, table in source.sections.items()}
    sections["colour"] = absolute_config(sections.get("colour", {}), source.folder)
    sections["shot"] = {**sections.get("shot", {}), "cuts": []}
    heading = f"Frames {pull.first}-{pull.last} of {pull.path.name}."
    return document_text(replace(source, entries=entries, sections=sections), heading)


def _usual_space(path: Path, document: Document) -> str:
    """Return the space a Read would take the files to be in, so that the Write goes back to the same."""
    from safelight.colour.config import config_for, default_space
    from safelight.graph.node import Settings
    from safelight.nodes.io.files import survey
    from safelight.nodes.io.files.sequence import find_files

    files = find_files(path)
    first = files.single or next(iter(files.frames.values()))
    header = survey.movie_header_of(first, False) if files.movie else survey.header_of(first, "", False)
    config = config_for(Settings(document.folder, document.sections))
    return default_space(config, first, floating=not files.movie and header.floating, log=header.log)


def _record(folder: Path, place: Place, shot: HostShot, options: Options, pull: Pull, name: str) -> None:
    source = shot.source
    facts: dict[str, Any] = {
        "safelight": version("safelight"),
        "job": name,
        "host": place.session.told,
        "template": str(options.template.document.path or ""),
        "source": {
            "item": shot.id,
            "back": options.back,
            "path": source.path,
            "frames": source.frames,
            "offset": source.offset,
            "space": source.space,
        },
        "shot": shot.as_data(),
        "pull": {
            "path": str(pull.path),
            "frames": [pull.first, pull.last],
            "shown_from": pull.shown,
            "colour_space": pull.space,
            "rendered_by_resolve": pull.rendered,
        },
        "colour_settings": dict(sorted(place.colour.settings.items())),
    }
    (folder / JOB).write_text(json.dumps(facts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
