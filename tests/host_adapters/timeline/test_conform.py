"""`safelight conform`: formats, ways of finding media, and everything that is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import opentimelineio as otio
import pytest

from safelight.graph.document import Document, load_document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.host_adapters.document_text import document_text
from safelight.host_adapters.timeline.conform import conform
from safelight.host_adapters.timeline.edit import local_path, read_edit
from safelight.host_adapters.timeline.load import load_timeline
from safelight.host_adapters.timeline.restored import edl_text
from safelight.host_adapters.timeline.timecode import header_timecode
from tests.host_adapters.cli.conftest import Safelight, safelight
from tests.host_adapters.timeline.conftest import bcd, write_frame

__all__ = ["safelight"]  # the fixture
HOUR = 3600 * 24
EDL = """TITLE: cut
FCM: NON-DROP FRAME

001  A001     V     C        01:00:00:10 01:00:00:16 01:00:00:00 01:00:00:06
* FROM CLIP NAME: one
002  A001     V     C        01:00:00:20 01:00:01:08 01:00:00:06 01:00:00:12
M2   A001            048.0                01:00:00:20
* FROM CLIP NAME: two
"""


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A001: 60 frames numbered by their timecode from 01:00:00:00."""
    for frame in range(60):
        write_frame(tmp_path / "media" / "A001" / f"A001.{HOUR + frame}.exr", (1, frame, 0))
    return tmp_path / "media"


def time(value: float, rate: float = 24) -> otio.opentime.RationalTime:
    return otio.opentime.RationalTime(value, rate)


def clip(start: float, length: float, name: str = "A001", rate: float = 24) -> otio.schema.Clip:
    return otio.schema.Clip(name, source_range=otio.opentime.TimeRange(time(start, rate), time(length, rate)))


def timeline(*children: object) -> otio.schema.Timeline:
    made = otio.schema.Timeline("cut", global_start_time=time(HOUR))
    made.tracks.append(otio.schema.Track("picture", kind="Video", children=list(children)))
    return made


def conformed(made: otio.schema.Timeline, *folders: Path, **options: object) -> object:
    return conform(read_edit(made), folders, Path(), **options)


def refusal(made: otio.schema.Timeline, *folders: Path) -> str:
    with pytest.raises(GraphError) as caught:
        conformed(made, *folders)
    return str(caught.value)


def test_an_edl_by_reel_and_timecode(tmp_path: Path, safelight: Safelight, scan: Path, template: Path) -> None:
    (tmp_path / "cut.edl").write_text(EDL)
    done = safelight("conform", "cut.edl", template, "-m", scan, "-o", "out", "--fps", 24, "--handles", 2, "--json")
    assert done.returncode == 0, done.stderr
    one, two = json.loads(done.stdout)["shots"]
    assert one["frames"] == [HOUR + 10, HOUR + 15] and one["rendered"] == [HOUR + 8, HOUR + 17]
    assert one["found"] == "reel, timecode is file number"
    # Twice the speed: six frames of the timeline show eleven of the media. (The EDL's writer cannot say so.)
    assert two["frames"] == [HOUR + 20, HOUR + 30] and two["uses"][0]["speed"] == 2
    assert "miscounts" in json.loads(done.stdout)["remarks"][0] and not (tmp_path / "out" / "cut_restored.edl").exists()
    (tmp_path / "cut.edl").write_text("\n".join(EDL.splitlines()[:5]) + "\n")
    done = safelight("conform", "cut.edl", template, "-m", scan, "-o", "out", "--fps", 24, "--handles", 2, "--json")
    assert json.loads(done.stdout)["remarks"] == [] and len(json.loads(done.stdout)["stale"]) == 1
    again = otio.adapters.read_from_file(str(tmp_path / "out" / "cut_restored.edl"), rate=24)
    assert "01:00:00:10 01:00:00:16 01:00:00:00 01:00:00:06" in (tmp_path / "out" / "cut_restored.edl").read_text()
    assert one["uses"][0]["record_timecode"] == "01:00:00:00" and one["uses"][0]["record"] == 0
    first = again.tracks[0][0]
    assert first.source_range.start_time.value == HOUR + 10 and "restored" in first.media_reference.target_url_base
    shot = load_document(tmp_path / "out" / "0010_one.toml")
    assert shot.entries["scan"].params["first"] == HOUR + 8 and shot.sections["shot"]["cuts"] == []
    Graph.from_document(shot).check()


def test_an_edl_must_be_told_its_rate(tmp_path: Path, safelight: Safelight, template: Path) -> None:
    (tmp_path / "cut.edl").write_text(EDL)
    done = safelight("conform", "cut.edl", template, "-o", "out")
    assert done.returncode == 2 and "--fps 24" in done.stderr and "cut.edl" in done.stderr
    (tmp_path / "cut.edl").write_text(EDL.replace("NON-DROP FRAME", "DROP FRAME"))
    done = safelight("conform", "cut.edl", template, "-o", "out", "--fps", 29.97)
    assert done.returncode == 2 and "drop-frame" in done.stderr


def test_fcp7_xml(tmp_path: Path, safelight: Safelight, scan: Path, template: Path) -> None:
    whole = otio.opentime.TimeRange(time(HOUR), time(60))
    url = f"file://localhost/Volumes/raid/A001/A001.[{HOUR}-{HOUR + 59}].exr"
    clips = [clip(HOUR + 5 * index, 5) for index in range(3)]
    for one in clips:
        one.media_reference = otio.schema.ExternalReference(url, whole)
    otio.adapters.write_to_file(timeline(*clips), str(tmp_path / "cut.xml"))
    text = (tmp_path / "cut.xml").read_text()
    first = text.index("<clipitem", text.index("<clipitem") + 1)
    (tmp_path / "cut.xml").write_text(
        f"{text[:first]}{text[first:].replace('<in>', '<enabled>FALSE</enabled><in>', 1)}"
    )
    done = safelight("conform", "cut.xml", template, "-m", scan, "-o", "out", "--handles", 0, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [shot["frames"] for shot in told["shots"]] == [[HOUR, HOUR + 4], [HOUR + 10, HOUR + 14]]
    assert len(told["disabled"]) == 1 and told["remarks"] == []
    again = otio.adapters.read_from_file(str(tmp_path / "out" / "cut_restored.xml"))
    again = again if isinstance(again, otio.schema.Timeline) else again[0]
    media = again.tracks[0][2].media_reference
    assert media.target_url.endswith(f"0020_A001.[{HOUR + 10}-{HOUR + 14}].exr")
    assert again.tracks[0][2].source_range.start_time.value == HOUR + 10


def test_one_edit_in_three_formats_needs_the_same_frames(tmp_path: Path) -> None:
    """A dissolve off the middle of its cut: EDL and XML write it in ways of their own, and show the same frames."""
    whole = otio.opentime.TimeRange(time(HOUR), time(100))
    parts = [clip(HOUR + 10, 12), clip(HOUR + 30, 12, "B001"), clip(HOUR + 50, 6)]
    for one in parts:
        url = f"file:///raid/{one.name}/{one.name}.[86400-86499].exr"
        one.media_reference = otio.schema.ExternalReference(url, whole)
        one.metadata["cmx_3600"] = {"reel": one.name}
    dissolve = otio.schema.Transition("d", "SMPTE_Dissolve", in_offset=time(3), out_offset=time(2))
    made = timeline(parts[0], dissolve, parts[1], otio.schema.Gap(duration=time(5)), parts[2])
    for suffix in (".otio", ".xml"):
        otio.adapters.write_to_file(made, str(tmp_path / f"cut{suffix}"))
    (tmp_path / "cut.edl").write_text(edl_text(made, 24))
    for suffix in (".otio", ".xml", ".edl"):
        edit = read_edit(load_timeline(tmp_path / f"cut{suffix}", 24))
        needed = [(use.name, use.first - HOUR, use.last - HOUR) for use in edit.uses]
        assert needed == [("A001", 10, 23), ("B001", 27, 41), ("A001", 50, 55)], suffix
        assert (edit.rate, edit.start, edit.uses[2].record) == (24, HOUR, 29)


def test_restored_pictures_are_no_media(tmp_path: Path, safelight: Safelight, template: Path) -> None:
    """They have the reel and the timecode of what they were made from, and may lie below --media."""
    for frame in range(6):
        write_frame(tmp_path / f"x.{1001 + frame}.exr", (0, 0, 0), timecode=bcd(HOUR + frame, 24), reelName="R7")
    one = clip(HOUR + 1, 3, "one")
    one.metadata["cmx_3600"] = {"reel": "R7"}
    otio.adapters.write_to_file(timeline(one), str(tmp_path / "cut.otio"))
    run = ("conform", "cut.otio", template, "-m", ".", "-o", "out", "--json")
    assert safelight(*run).returncode == 0
    assert safelight("render", "out/0010_one.toml").returncode == 0
    done = safelight(*run)
    assert done.returncode == 0 and json.loads(done.stdout)["written"] == [], done.stderr


def test_media_of_another_length_are_not_guessed_at(tmp_path: Path) -> None:
    for frame in range(12):
        write_frame(tmp_path / f"x.{1001 + frame}.exr", (0, 0, 0))
    one = clip(2, 3, "x")
    one.media_reference = otio.schema.MissingReference(available_range=otio.opentime.TimeRange(time(0), time(10)))
    assert "the edit counts on 10 frames, so that nothing says" in refusal(timeline(one), tmp_path)
    one = clip(2, 3, "x")
    one.media_reference = otio.schema.MissingReference(available_range=otio.opentime.TimeRange(time(0), time(12)))
    assert conformed(timeline(one), tmp_path, handles=0).shots[0].first == 1003


def test_a_movie(tmp_path: Path, safelight: Safelight, template: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "movie.toml").write_text(
        'safelight = 1\n[nodes.p]\ntype = "Plate"\nwidth = 64\nheight = 36\nframes = 9\n'
        '[nodes.o]\ntype = "Write"\ninput = "p"\npath = "media/A7.mkv"\n'
    )
    (tmp_path / "media").mkdir()
    assert safelight("render", "movie.toml").returncode == 0
    one = clip(3, 2, "A7")
    span = otio.opentime.TimeRange(time(0), time(9))
    one.media_reference = otio.schema.ExternalReference("file:///elsewhere/A7.mkv", span)
    otio.adapters.write_to_file(timeline(one), str(tmp_path / "cut.otio"))
    done = safelight("conform", "cut.otio", template, "-m", "media", "-o", "out", "--handles", 2, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["shots"][0]["rendered"] == [2, 7]  # a movie's first frame is 1
    assert safelight("render", "out/0010_A7.toml").returncode == 0
    names = sorted(path.name for path in (tmp_path / "out" / "restored" / "0010_A7").glob("*.exr"))
    assert names[0] == "0010_A7.00002.exr" and len(names) == 6


def test_an_aaf_where_its_plug_in_is(tmp_path: Path, safelight: Safelight, scan: Path, template: Path) -> None:
    pytest.importorskip("otio_aaf_adapter")
    whole = otio.opentime.TimeRange(time(HOUR), time(60))
    clips = [clip(HOUR + 20 * index, 5) for index in range(2)]
    for one in clips:
        one.media_reference = otio.schema.ExternalReference(f"file:///raid/A001/A001.{HOUR}.exr", whole)
    otio.adapters.write_to_file(timeline(*clips), str(tmp_path / "cut.aaf"), use_empty_mob_ids=True)
    done = safelight("conform", "cut.aaf", template, "-m", scan, "-o", "out", "--handles", 1, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [shot["rendered"] for shot in told["shots"]] == [[HOUR, HOUR + 5], [HOUR + 19, HOUR + 25]]
    assert "not written" in told["remarks"][0] and (tmp_path / "out" / "cut_restored.otio").exists()


def test_retimes_are_understood_or_refused_by_name(scan: Path) -> None:
    back, freeze, remap = clip(HOUR + 20, 5, "A001"), clip(HOUR + 20, 5), clip(HOUR + 20, 5)
    back.effects.append(otio.schema.LinearTimeWarp(time_scalar=-1))
    freeze.effects.append(otio.schema.FreezeFrame())
    remap.effects.append(otio.schema.TimeEffect("Speed Ramp", "SpeedRamp"))
    shots = conformed(timeline(freeze), scan, handles=0).shots
    assert (shots[0].first, shots[0].last) == (HOUR + 20, HOUR + 20)
    gap = otio.schema.Gap(duration=time(12))
    text = refusal(timeline(gap, back), scan)
    assert "clip 'A001', track V1, 01:00:00:12" in text and "backwards (-100 %)" in text
    text = refusal(timeline(remap, back.clone()), scan)
    assert "'SpeedRamp' is not understood" in text and "1 more clips" in text
    xml = otio.schema.Effect("Time Remap", metadata={"fcp_xml": {"effectid": "timeremap", "parameter": [
        {"parameterid": "speed", "value": "50"}]}})  # fmt: skip
    other = clip(HOUR, 5)
    other.effects.append(xml)
    assert "'Time Remap' is not understood" in refusal(timeline(other), scan)
    other.effects[0].metadata["fcp_xml"]["parameter"][0]["value"] = "100"
    assert conformed(timeline(other.clone()), scan).shots


def test_nested_sequences_are_refused_and_can_be_left(scan: Path) -> None:
    nested = otio.schema.Stack("inner", children=[otio.schema.Track(kind="Video", children=[clip(HOUR, 5)])])
    made = timeline(nested, clip(HOUR, 5))
    assert "a nested sequence (stack)" in refusal(made, scan)
    found = conformed(made, scan, keep_going=True)
    assert len(found.left) == 1 and "inner" in found.left[0].why and len(found.shots) == 1
    assert found.shots[0].uses[0].record == 5


def test_transitions_need_their_frames(scan: Path) -> None:
    dissolve = otio.schema.Transition("d", "SMPTE_Dissolve", in_offset=time(3), out_offset=time(2))
    text = refusal(timeline(clip(HOUR + 10, 5), dissolve, clip(HOUR + 1, 5)), scan)
    assert "it shows 00:59:59:22 to 01:00:00:05" in text and "A001.#####.exr has 86400-86459" in text
    shots = conformed(timeline(clip(HOUR + 10, 5), dissolve.clone(), clip(HOUR + 30, 5)), scan, handles=0).shots
    assert [(shot.first - HOUR, shot.last - HOUR) for shot in shots] == [(10, 16), (27, 34)]


def test_holes_ambiguity_rates_and_absence(tmp_path: Path, scan: Path) -> None:
    write_frame(tmp_path / "other" / "A001" / f"A001.{HOUR}.exr", (1, 0, 0))
    write_frame(tmp_path / "other" / "A001" / f"A001.{HOUR + 50}.exr", (1, 0, 0))
    assert "2 media fit by name" in refusal(timeline(clip(HOUR + 10, 5)), scan, tmp_path / "other")
    (scan / "A001" / f"A001.{HOUR + 12}.exr").unlink()
    text = refusal(timeline(clip(HOUR + 10, 5)), scan)
    assert "frames 86412 of the media are missing" in text and "track V1" in text
    # Handles stop at a hole.
    assert conformed(timeline(clip(HOUR + 14, 5)), scan).shots[0].start == HOUR + 13
    assert "no media is there for name 'B002'" in refusal(timeline(clip(0, 5, "B002")), scan)
    write_frame(tmp_path / "slow" / "C1.0001.exr", (0, 0, 0), fps=(25, 1))
    assert "runs at 25 frames a second and the clip at 24" in refusal(timeline(clip(1, 1, "C1")), tmp_path / "slow")


def test_a_finished_master_keeps_its_cuts(scan: Path) -> None:
    edits = [clip(HOUR, 10), clip(HOUR + 10, 10), clip(HOUR + 20, 10), clip(HOUR + 40, 5)]
    found = conformed(timeline(*edits), scan, handles=4)
    assert [(s.start - HOUR, s.end - HOUR) for s in found.shots] == [(0, 13), (6, 23), (16, 33), (36, 48)]
    assert [[cut - HOUR for cut in shot.cuts] for shot in found.shots] == [[10], [10, 20], [20], []]


def test_the_longest_agreeing_path_decides(tmp_path: Path) -> None:
    for day in ("day1", "day2"):
        write_frame(tmp_path / day / "A" / "x.0001.exr", (0, 0, 0))
    one = clip(1, 1, "x")
    one.media_reference = otio.schema.ExternalReference(r"D:\shoot\day2\A\x.0001.exr")
    assert conformed(timeline(one), tmp_path).shots[0].media.path == tmp_path / "day2" / "A" / "x.####.exr"


def test_headers_timecode_leads_to_frames(tmp_path: Path) -> None:
    for frame in range(5):
        write_frame(tmp_path / f"x.{1001 + frame}.exr", (0, 0, 0), timecode=bcd(HOUR + 7 + frame, 24))
    found = conformed(timeline(clip(HOUR + 8, 2, "x")), tmp_path, handles=0).shots[0]
    assert (found.first, found.last, found.matches[0].by) == (1002, 1003, "name, timecode")
    assert header_timecode(bcd(HOUR * 5 + 17, 24), 24) == HOUR * 5 + 17 and header_timecode((0xFFFFFFFF, 0), 24) is None


def test_edits_by_hand_are_kept(tmp_path: Path, safelight: Safelight, scan: Path, template: Path) -> None:
    otio.adapters.write_to_file(timeline(clip(HOUR + 10, 5)), str(tmp_path / "cut.otio"))
    run = ("conform", "cut.otio", template, "-m", scan, "-o", "out")
    assert safelight(*run).returncode == 0
    document = tmp_path / "out" / "0010_A001.toml"
    document.write_text(document.read_text() + "# mine\n")
    done = safelight(*run)
    assert done.returncode == 0 and "edited by hand, kept" in done.stdout and document.read_text().endswith("# mine\n")
    done = safelight(*run, "--handles", 2)
    assert done.returncode == 2 and "edited by hand" in done.stderr and "--force" in done.stderr
    assert document.read_text().endswith("# mine\n")
    done = safelight(*run, "--handles", 2, "--force")
    assert done.returncode == 0 and "# mine" not in document.read_text()


def test_wrong_use_is_said(tmp_path: Path, safelight: Safelight, template: Path) -> None:
    (tmp_path / "cut.fcpxml").write_text("")
    for arguments, text in (
        (("cut.fcpxml", template), "Export FCPXML as FCP7 XML"),
        (("none.otio", template), "there is no such timeline"),
        (("none.otio", template, "--repeats", "twice"), "unknown --repeats 'twice'"),
    ):
        done = safelight("conform", *arguments, "-o", "out")
        assert done.returncode == 2 and text in done.stderr, done.stderr
    (tmp_path / "bad.otio").write_text("{")
    done = safelight("conform", "bad.otio", template, "-o", "out")
    assert done.returncode == 2 and "cannot be read" in done.stderr and "Traceback" not in done.stderr
    two = template.with_name("two.toml")
    two.write_text(template.read_text() + '[nodes.more]\ntype = "Write"\ninput = "scan"\npath = "y.####.exr"\n')
    done = safelight("conform", "bad.otio", two, "-o", "out")
    assert done.returncode == 2 and "out, more" in done.stderr and "--write" in done.stderr


def test_urls_become_paths() -> None:
    assert local_path("file:///a/b%20c/x%2341.%04d.exr") == "/a/b c/x#41.####.exr"
    assert local_path("//server/share/x.mov") == "//server/share/x.mov"
    assert local_path("file://server/share/x.mov") == "//server/share/x.mov"


def test_documents_survive_the_writing() -> None:
    text = """safelight = 1
[graph]
description = 'a "quoted" \\ line'
[colour]
context = {SHOT = "x", "odd key" = "y"}
[shot]
cuts = [4, -3]
[nodes."a b"]
type = "Read"
path = "x.exr"
fps = 23.976
[nodes.m]
type = "Mix"
inputs = {a = "a b", b = "a b.image"}
list = [1.0, 2e9, true, 1e-12]
"""
    document = Document.parse(text)
    again = Document.parse(document_text(document, "two\nlines"))
    assert again.entries == document.entries and again.sections == document.sections


def test_several_sequences(tmp_path: Path) -> None:
    both = otio.schema.SerializableCollection("bin", [timeline(clip(0, 5)), timeline(clip(0, 6))])
    both[1].name = "other"
    otio.adapters.write_to_file(both, str(tmp_path / "bin.otio"))
    with pytest.raises(GraphError, match="holds 2 sequences: cut, other"):
        load_timeline(tmp_path / "bin.otio")
    assert load_timeline(tmp_path / "bin.otio", sequence="other").duration().value == 6
