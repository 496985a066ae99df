"""A project with shots on a strict stand-in, and an engine that is the real one in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from safelight.graph.device import Device
from safelight.graph.document import load_document
from safelight.graph.graph import Graph
from safelight.graph.render import render
from safelight.host_adapters.resolve.connect import connect
from safelight.host_adapters.resolve.job import Options, Place
from safelight.host_adapters.resolve.project import read_colour
from safelight.host_adapters.timeline.shot_documents import template_of
from tests.host_adapters.timeline.conftest import pixel, write_frame
from tests.stand_ins.resolve_like.clips import MediaPoolItem, TimelineItem
from tests.stand_ins.resolve_like.host import Host

TEMPLATE = """safelight = 1
[nodes.scan]
type = "Read"
path = "anything.####.exr"
[nodes.out]
type = "Write"
input = "scan"
path = "x.####.exr"
datatype = "float"
compression = "none"
"""
OFFSET, LENGTH, MEDIA = 5, 4, 16
"""Shot A: its offset into its media, its length, and the media's."""
WAIT = 0.6
"""Seconds that a call may take here."""


def build(folder: Path, **options: Any) -> Host:
    """A timeline of a sequence, a transition, a camera-raw movie, and a title on V2."""
    path = folder / "media" / "A001"
    if not path.exists():
        for frame in range(MEDIA):
            write_frame(path / f"A001.{1001 + frame}.exr", (0.25, frame, 0.5))
    host = Host(**options)
    first = MediaPoolItem(host, f"{path}/A001.[1001-{1000 + MEDIA}].exr", MEDIA, 1001, "ACEScg")
    first._metadata = {"Reel Name": "A001", "Scene": "7"}
    raw = MediaPoolItem(host, f"{folder}/media/B002.braw", 30, value=2)
    host.pool._root._clips += [first, raw]
    shots = [
        TimelineItem(host, first, "A001", 86400, LENGTH, OFFSET),
        TimelineItem(host, None, "Cross Dissolve", 86402, 4, 0),
        TimelineItem(host, raw, "B002", 86404, 5, 10),
    ]
    shots[0]._grade = "warm"
    shots[0]._markers[0] = {"color": "Blue", "name": "theirs", "note": "", "duration": 1, "customData": ""}
    host.timelines[0]._tracks[0] += shots
    host.timelines[0]._tracks[1].append(TimelineItem(host, None, "Title", 86400, 9, 0))
    host.timelines[0]._current = shots[0]
    return host


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    """The stand-in; a call that is not in the manifest fails the test."""
    made = build(tmp_path)
    yield made
    made.freed.set()
    assert made.violations == []


def place_of(host: Host, wait: float = WAIT) -> Place:
    """Connect to the stand-in as the adapter does."""
    session = connect(scriptapp=host.scriptapp, wait=wait)
    project, timeline = session.project(), session.timeline()
    return Place(session, project, timeline, read_colour(session, project, timeline))


def options_of(folder: Path, **options: Any) -> Options:
    template = folder / "template.toml"
    if not template.exists():
        template.write_text(TEMPLATE)
    return Options(template_of(load_document(template)), folder / "jobs", **{"handles": 3, **options})


def engine(document: Path, report: Callable[[float, str], None], cancel: threading.Event, options: object) -> None:
    """The engine in this process: frames that are there are left."""
    render(Graph.from_document(load_document(document)), device=Device("cpu", 1), resume=True)


def shown(host: Host, track: int, at: int) -> list[tuple[float, ...]]:
    """Pixels of each frame that an item shows, read from the files."""
    item = next(item for item in host.timelines[0]._tracks[track - 1] if item._start == at)
    media = item._media
    first, _, rest = media._path.partition("[")
    begin, _, rest = rest.partition("-")
    suffix = rest.partition("]")[2]
    numbers = range(int(begin) + item._offset, int(begin) + item._offset + item._duration)
    return [pixel(Path(f"{first}{number:0{len(begin)}d}{suffix}")) for number in numbers]
