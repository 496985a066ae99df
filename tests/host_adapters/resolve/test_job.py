"""A shot out of Resolve's stand-in and back: the right frames, once, and all of it taken back on request."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from safelight.graph.errors import GraphError, RenderError
from safelight.host_adapters.resolve.job import Result, run_job
from safelight.host_adapters.resolve.journal import Journal
from safelight.host_adapters.resolve.project import space_of
from safelight.host_adapters.resolve.shots import current_shot, list_shots
from tests.host_adapters.resolve.conftest import (
    LENGTH,
    MEDIA,
    OFFSET,
    build,
    engine,
    options_of,
    place_of,
    shown,
)  # fmt: skip
from tests.host_adapters.timeline.conftest import pixel
from tests.stand_ins.resolve_like.host import Host

RIGHT = [(0.25, float(frame), 0.5) for frame in range(OFFSET, OFFSET + LENGTH)]


def run(host: Host, folder: Path, shot: int = 0, **options: object) -> Result:
    place = place_of(host, wait=30)
    shots = list_shots(place.timeline, 24)
    said: list[str] = []
    result = run_job(place, shots[shot], options_of(folder, **options), said.append, threading.Event(), engine)
    place.session.close()
    return result


def undo(host: Host, result: Result) -> None:
    assert Journal.load(result.folder / "journal.json").undo(place_of(host).project) == []


def test_shots_are_items_with_media(host: Host) -> None:
    place = place_of(host)
    shots = list_shots(place.timeline, 24)
    assert [(shot.name, shot.track, shot.source.offset) for shot in shots] == [("A001", 1, 5), ("B002", 1, 10)]
    told = shots[0].as_data()
    assert told["frames"] == [1006, 1009] and told["timecode"] == "01:00:00:00" and told["refused"] == ""
    assert shots[0].source.readable and not shots[1].source.readable
    assert current_shot(place.timeline, shots).name == "A001"


def test_a_take_shows_the_right_frames(host: Host, tmp_path: Path) -> None:
    before = host.snapshot()
    result = run(host, tmp_path)
    item = host.timelines[0]._tracks[0][0]
    assert result.done and item._selected == 2 and item._offset == 3 and item._duration == LENGTH
    assert shown(host, 1, 86400) == RIGHT
    made = sorted((result.folder / "restored").glob("*.exr"))
    assert [path.name for path in made] == [f"A001.{number:08d}.exr" for number in range(1003, 1013)]
    assert pixel(made[0]) == (0.25, 2.0, 0.5)
    assert item._media._space == "ACEScg" and [folder._name for folder in host.pool._root._folders] == ["Safelight"]
    assert host.pool._current is host.pool._root and "theirs" in item._markers[0]["name"]
    record = json.loads((result.folder / "job.json").read_text())
    assert record["colour_settings"]["colorSpaceOutput"] == "Rec.2100 ST2084" and record["pull"]["frames"] == [
        1003,
        1012,
    ]
    undo(host, result)
    assert host.snapshot() == before


def test_a_colour_space_that_is_not_known_is_said(host: Host, tmp_path: Path) -> None:
    host.pool._root._clips[0]._space = "Mystery Log"
    (note,) = run(host, tmp_path, back="track").notes
    assert "'Mystery Log' is not known here" in note and shown(host, 3, 86400) == RIGHT
    host.pool._root._clips[0]._space = "ACEScg"
    assert run(host, tmp_path).notes == []


def test_a_second_run_changes_nothing(host: Host, tmp_path: Path) -> None:
    result = run(host, tmp_path)
    before, files = host.snapshot(), {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*")}
    host.calls.clear()
    again = run(host, tmp_path)
    assert not again.done and again.job == result.job and host.snapshot() == before
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.*")} == files
    assert not any(call.split(".")[1].startswith(("Set", "Add", "Delete", "Import")) for call in host.calls)
    # Another question is another job, and is still asked of the camera's file.
    other = run(host, tmp_path, handles=1)
    assert other.done and other.job != result.job and len(host.timelines[0]._tracks[0][0]._takes) == 3
    assert shown(host, 1, 86400) == RIGHT
    document = (other.folder / "graph.toml").read_text()
    assert "media/A001/A001.####.exr" in document and "first = 1005" in document


def test_a_track_above_with_the_grade(host: Host, tmp_path: Path) -> None:
    before = host.snapshot()
    result = run(host, tmp_path, back="track")
    timeline = host.timelines[0]
    assert timeline._names == ["Video 1", "Video 2", "Safelight V1"] and timeline._tracks[2][0]._grade == "warm"
    assert shown(host, 3, 86400) == RIGHT
    assert not run(host, tmp_path, back="track").done
    assert len(list_shots(place_of(host).timeline, 24)) == 2  # what we laid there is no shot
    again = run(host, tmp_path, shot=1, back="track")
    assert len(timeline._tracks) == 3 and len(timeline._tracks[2]) == 2  # one track while there is room
    undo(host, again)
    undo(host, result)
    assert host.snapshot() == before


def test_replacement_takes_the_whole_media_and_keeps_metadata(host: Host, tmp_path: Path) -> None:
    before = host.snapshot()
    result = run(host, tmp_path, back="replace")
    media = host.pool._root._clips[0]
    assert (
        media._frames == MEDIA and "restored" in media._path and media._metadata == {"Reel Name": "A001", "Scene": "7"}
    )
    assert shown(host, 1, 86400) == RIGHT and media._space == "ACEScg"
    assert not run(host, tmp_path, back="replace").done
    undo(host, result)
    assert media._path.endswith(f"A001.[1001-{1000 + MEDIA}].exr") and media._metadata["Scene"] == "7"
    assert host.snapshot() == before


def test_what_is_not_read_is_rendered_with_handles(host: Host, tmp_path: Path) -> None:
    host.settings["colorSpaceOutput"] = "ACEScg"
    before = host.snapshot()
    result = run(host, tmp_path, shot=1)
    item = host.timelines[0]._tracks[0][2]
    assert item._offset == 3 and [p[:2] for p in shown(host, 1, 86404)] == [(2.0, 10.0 + k) for k in range(5)]
    # Deliver is as it was: page, presets, queue, hidden marks, timelines.
    assert [timeline._name for timeline in host.timelines] == ["cut", "other"] and host.current._name == "cut"
    assert list(host.presets) == ["H.264 Master"] and host.deliver["MarkIn"] == 7 and len(host.queue) == 1
    # The output transform is baked in: its space is recorded, and read back from.
    document = (result.folder / "graph.toml").read_text()
    assert document.count('colourspace = "ACEScg"') == 2 and item._media._space == "ACEScg"
    assert space_of("Rec.2100 ST2084") == "Rec.2100-PQ - Display" and space_of("Mystery") == ""
    assert json.loads((result.folder / "job.json").read_text())["pull"]["rendered_by_resolve"]
    undo(host, result)
    assert host.snapshot() == before


def test_hdr_of_the_project_reaches_the_nodes_that_know_it(host: Host, tmp_path: Path) -> None:
    from safelight.graph.document import Document
    from safelight.graph.node import Node
    from safelight.graph.params import Params, param
    from safelight.graph.registry import Registry
    from safelight.host_adapters.resolve.project import hdr_parameters
    from safelight.nodes.io.write import Write

    class LiftParams(Params):
        peak: float = param(600.0, unit="cd/m²")

    class Lift(Node):
        id = "Lift"
        Params = LiftParams

    class DiscParams(Params):
        peak: float = param(3.0, unit="pixels")

    class Disc(Node):
        id = "Disc"
        Params = DiscParams

    registry = Registry()
    for kind in (Lift, Disc, Write):
        registry.add(kind)
    text = "safelight = 1\n" + "".join(f'[nodes.{n}]\ntype = "{t}"\n{more}\n' for n, t, more in (
        ("lift", "Lift", ""), ("own", "Lift", "peak = 200.0"), ("disc", "Disc", ""), ("out", "Write", 'path = "x.exr"'),
    ))  # fmt: skip
    colour = place_of(host).colour
    found = hdr_parameters(Document.parse(text), colour, registry)
    assert found["lift"] == {"peak": 1000.0} and "own" not in found and "disc" not in found
    host.settings["hdrMasteringOn"] = "0"
    assert hdr_parameters(Document.parse(text), place_of(host).colour, registry) == {}


@pytest.mark.parametrize("version", [(18, 5), (20, 3), (21, 1)])
def test_settings_of_old_and_new_releases(tmp_path: Path, version: tuple[int, int]) -> None:
    host = build(tmp_path, version=version)
    host.timelines[0]._settings = {"useCustomSettings": "1", "colorSpaceOutput": "Rec.709 Gamma 2.4"}
    colour = place_of(host).colour
    assert colour.output == "Rec.709 Gamma 2.4" and colour.peak == 1000 and colour.managed
    assert ("Project.GetSettings" in host.calls) == (version == (21, 1)) and host.violations == []


def test_refusals_say_why(host: Host, tmp_path: Path) -> None:
    items = host.timelines[0]._tracks[0]
    items[0]._retime = 2
    with pytest.raises(GraphError, match=r"shot 'A001', track V1, 01:00:00:00: it is retimed \(9 frames"):
        run(host, tmp_path)
    items[0]._retime = 1
    with pytest.raises(GraphError, match="is not replaced"):
        run(host, tmp_path, shot=1, back="replace")
    with pytest.raises(RenderError, match="no render preset 'mine'"):
        run(host, tmp_path, shot=1, preset="mine")
    template = tmp_path / "template.toml"
    template.write_text(template.read_text().replace("x.####.exr", "x.mov"))
    with pytest.raises(GraphError, match=r"the graph writes '\.mov' files"):
        run(host, tmp_path)
    items[0]._duration = 20
    with pytest.raises(GraphError, match="frames up to 25 of media that has 16"):
        run(host, tmp_path)


def test_every_space_that_is_known_is_in_the_built_in_config(monkeypatch: pytest.MonkeyPatch) -> None:
    from safelight.colour.config import config_for
    from safelight.graph.node import Settings
    from safelight.host_adapters.resolve.project import SPACES

    monkeypatch.delenv("OCIO", raising=False)
    config = config_for(Settings())
    names = set(config.names())
    assert [space for space in SPACES.values() if space not in names] == []


def test_only_a_pq_signal_gets_a_mastering_display(host: Host) -> None:
    from safelight.graph.document import Document
    from safelight.host_adapters.resolve.project import hdr_parameters

    host.settings.update({"hdrMasteringOn": "1", "hdrMasteringLuminanceMax": "1000"})
    colour = place_of(host).colour
    write = '[nodes.out]\ntype = "Write"\npath = "x.####.exr"\n'
    assert hdr_parameters(Document.parse(f"safelight = 1\n{write}"), colour) == {}
    for encoding in ("pq", "srgb"):
        text = f'safelight = 1\n[nodes.show]\ntype = "Deliver"\nencoding = "{encoding}"\n{write}'
        found = hdr_parameters(Document.parse(text), colour)
        assert found.get("show", {}).get("peak") == (1000 if encoding == "pq" else None)
        assert found.get("out", {}).get("mastering_max") == (1000 if encoding == "pq" else None)
