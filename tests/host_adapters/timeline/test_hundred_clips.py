"""A hundred clips with transitions, disabled clips, gaps, retimes and repeated media: conformed right, frame by frame.

The edit is a plain list of numbers here. What each frame of the timeline must show is counted from that list alone;
what it does show is read from the restored timeline's JSON, without OpenTimelineIO, and from the pixels of the
restored files.
"""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import opentimelineio as otio
import pytest

from safelight.graph.device import Device
from safelight.graph.document import load_document
from safelight.graph.graph import Graph
from safelight.graph.render import render
from tests.host_adapters.cli.conftest import Safelight, safelight
from tests.host_adapters.timeline.conftest import TEMPLATE, bcd, pixel, write_frame

RATE = 24
LENGTH = 60
HANDLES = 3
__all__ = ["safelight"]  # the fixture


@dataclass
class Event:
    """One clip of the list: media, first frame in it (from 0), length, and what is around it."""

    media: int
    start: int
    length: int
    gap: int = 0
    enabled: bool = True
    speed: float = 1.0
    dissolve: tuple[int, int] = (0, 0)
    """Frames of a dissolve into the next clip, before and after the cut."""

    def shown(self, k: int) -> int:
        """Frame of the media (from 0) that the k-th frame of the clip shows."""
        return self.start + math.floor(k * self.speed)


def make_list(seed: int) -> list[list[Event]]:
    """A list for two tracks, 100 clips in all."""
    rng = random.Random(seed)
    tracks = []
    for count in (80, 20):
        events: list[Event] = []
        for _ in range(count):
            speed = rng.choices((1.0, 2.0, 0.5, 0.0), (88, 4, 4, 4))[0]
            event = Event(rng.randrange(6), 0, rng.randint(3, 8), speed=speed)
            event.start = rng.randint(8, LENGTH - 8 - 2 * event.length)
            if rng.random() < 0.1:
                event.start = rng.randint(0, 2)  # handles that are not there
            event.gap = rng.randint(1, 9) if rng.random() < 0.25 else 0
            event.enabled = rng.random() > 0.1
            if events and not event.gap and min(events[-1].start, event.start) > 4 and rng.random() < 0.4:
                events[-1].dissolve = (rng.randint(0, 2), rng.randint(1, 2))
            events.append(event)
        tracks.append(events)
    return tracks


def must_show(tracks: list[list[Event]]) -> Counter[tuple[int, int, int, int, bool]]:
    """Count every (track, timeline frame, media, frame of the media, enabled) the edit shows, dissolves with both."""
    table: Counter[tuple[int, int, int, int, bool]] = Counter()
    for number, events in enumerate(tracks):
        at = 0
        before = (0, 0)
        for event in events:
            at += event.gap
            for k in range(-before[0], event.length + event.dissolve[1]):
                table[number, at + k, event.media, event.shown(k), event.enabled] += 1
            at += event.length
            before = event.dissolve
    return table


def write_timeline(tracks: list[list[Event]], path: Path) -> None:
    """The list as OTIO: some media known by path, some by reel and timecode, some by name."""
    time = otio.opentime.RationalTime
    timeline = otio.schema.Timeline("hundred", global_start_time=time(86400, RATE))
    for number, events in enumerate(tracks):
        track = otio.schema.Track(f"track {number}", kind="Video")
        for event in events:
            if event.gap:
                track.append(otio.schema.Gap(duration=time(event.gap, RATE)))
            base = zero(event.media)
            span = otio.opentime.TimeRange(time(base, RATE), time(LENGTH, RATE))
            clip = otio.schema.Clip(
                f"m{event.media}" if event.media >= 4 else "take",
                source_range=otio.opentime.TimeRange(time(base + event.start, RATE), time(event.length, RATE)),
            )
            clip.enabled = event.enabled
            if event.media < 2:
                clip.media_reference = otio.schema.ExternalReference(
                    f"file:///Volumes/elsewhere/m{event.media}/m{event.media}.%04d.exr", span
                )
            elif event.media < 4:
                clip.metadata["cmx_3600"] = {"reel": f"R{event.media}"}
            else:
                clip.media_reference = otio.schema.MissingReference(available_range=span)
            if event.speed == 0:
                clip.effects.append(otio.schema.FreezeFrame())
            elif event.speed != 1:
                clip.effects.append(otio.schema.LinearTimeWarp(time_scalar=event.speed))
            clip.markers.append(otio.schema.Marker(f"note {event.start}"))
            track.append(clip)
            if any(event.dissolve):
                track.append(
                    otio.schema.Transition(
                        "dissolve",
                        "SMPTE_Dissolve",
                        in_offset=time(event.dissolve[0], RATE),
                        out_offset=time(event.dissolve[1], RATE),
                    )
                )
        timeline.tracks.append(track)
    timeline.tracks.append(otio.schema.Track("sound", kind="Audio"))
    otio.adapters.write_to_file(timeline, str(path))


def zero(media: int) -> int:
    """Media time of a media's first frame: timecode of three reels, 0 for the others."""
    return 3600 * RATE + 500 * media if 1 <= media < 4 else 0


def number(media: int, frame: int) -> int:
    """Number of the file of a media's frame."""
    return (86400 if media == 3 else 1001) + frame + (zero(media) - 86400 if media == 3 else 0)


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six media whose pixels say (media, frame)."""
    folder = tmp_path_factory.mktemp("media")
    for media in range(6):
        for frame in range(LENGTH):
            coded = {"timecode": bcd(zero(media) + frame, RATE)} if media == 2 else {}
            if media == 2:
                coded["reelName"] = "R2"
            name = {2: "scan_of_two", 3: "R3"}.get(media, f"m{media}")
            write_frame(folder / f"m{media}" / f"{name}.{number(media, frame):04d}.exr", (media, frame, 0.25), **coded)
    return folder


def does_show(path: Path) -> Counter[tuple[int, int, int, int, bool]]:
    """The same table read from a timeline's JSON and the files it names; files are opened."""
    table: Counter[tuple[int, int, int, int, bool]] = Counter()
    seen: dict[Path, tuple[float, ...]] = {}
    tracks = [t for t in json.loads(path.read_text())["tracks"]["children"] if t["kind"] == "Video"]
    for index, track in enumerate(tracks):
        at = 0
        children = track["children"]
        for place, child in enumerate(children):
            kind = child["OTIO_SCHEMA"].split(".")[0]
            if kind == "Transition":
                continue
            span = child["source_range"]
            length = int(span["duration"]["value"])
            if kind == "Clip":
                head = children[place - 1]["in_offset"]["value"] if place and "in_offset" in children[place - 1] else 0
                after = children[place + 1] if place + 1 < len(children) else {}
                tail = after["out_offset"]["value"] if "out_offset" in after else 0
                speed = 1.0
                for effect in child["effects"]:
                    speed *= effect["time_scalar"]
                media = child["media_references"][child["active_media_reference_key"]]
                for k in range(-int(head), length + int(tail)):
                    if child["enabled"]:
                        time = span["start_time"]["value"] + math.floor(k * speed)
                        file_number = int(media["start_frame"] + time - media["available_range"]["start_time"]["value"])
                        name = (
                            f"{media['name_prefix']}{file_number:0{media['frame_zero_padding']}d}{media['name_suffix']}"
                        )
                        file = Path(unquote(urlsplit(media["target_url_base"]).path)) / name
                        assert media["name_prefix"] in str(file) and "restored" in file.parts
                        shown = seen.setdefault(file, pixel(file))
                        assert shown[2] == 0.25
                        table[index, at + k, int(shown[0]), int(shown[1]), True] += 1
            at += length
    return table


@pytest.mark.parametrize("repeats", ["once", pytest.param("each", marks=pytest.mark.slow)])
def test_a_hundred_clips(tmp_path: Path, media: Path, safelight: Safelight, repeats: str) -> None:
    tracks = make_list(11)
    events = [event for events in tracks for event in events]
    assert len(events) == 100
    assert sum(not event.enabled for event in events) >= 5 and sum(any(event.dissolve) for event in events) >= 10
    assert {event.speed for event in events} == {0.0, 0.5, 1.0, 2.0} and sum(bool(e.gap) for e in events) >= 15
    write_timeline(tracks, tmp_path / "cut.otio")
    (tmp_path / "t.toml").write_text(TEMPLATE)
    command = ("conform", "cut.otio", "t.toml", "--media", media, "-o", "out", "--handles", HANDLES,
               "--repeats", repeats, "--json")  # fmt: skip

    dry = safelight(*command, "--dry-run")
    assert dry.returncode == 0 and not (tmp_path / "out").exists(), dry.stderr
    done = safelight(*command)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["shots"] == json.loads(dry.stdout)["shots"] and told["transitions"] >= 10
    documents = sorted((tmp_path / "out").glob("*.toml"))
    assert len(documents) == len(told["shots"]) and len(told["disabled"]) == sum(not e.enabled for e in events)

    rendered: Counter[tuple[int, int]] = Counter()
    for document in documents:
        render(Graph.from_document(load_document(document)), device=Device("cpu", 1))
        for file in (tmp_path / "out" / "restored" / document.stem).glob("*.exr"):
            shown = pixel(file)
            rendered[int(shown[0]), int(shown[1])] += 1
            # Restored files keep the number and the timecode of what they were made from.
            assert int(file.name.split(".")[-2]) == number(int(shown[0]), int(shown[1]))

    expected = must_show(tracks)
    enabled = Counter({key: count for key, count in expected.items() if key[4]})
    assert does_show(tmp_path / "out" / "cut_restored.otio") == enabled

    # Handles: as many as asked for, or as the media has.
    wanted = {(media, frame) for _, _, media, frame, _ in enabled}
    for media, frame in wanted:
        for near in range(max(0, frame - HANDLES), min(LENGTH - 1, frame + HANDLES) + 1):
            assert rendered[media, near]
    if repeats == "each":
        assert len(documents) == sum(event.enabled for event in events)
    else:
        assert len(documents) < sum(event.enabled for event in events)
        spans = [(shot["media"], *shot["frames"]) for shot in told["shots"]]
        for one in spans:  # what is shown is restored once: no two shots share a frame that the edit shows
            assert not any(o is not one and o[0] == one[0] and o[1] <= one[2] and one[1] <= o[2] for o in spans)

    def state() -> dict[Path, tuple[int, bytes]]:
        files = (path for path in (tmp_path / "out").rglob("*") if path.is_file())
        return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}

    before = state()
    again = safelight(*command)
    assert again.returncode == 0 and json.loads(again.stdout)["written"] == []
    assert before == state()


def test_the_rest_of_the_edit_is_kept(tmp_path: Path, media: Path, safelight: Safelight) -> None:
    tracks = make_list(5)
    write_timeline(tracks, tmp_path / "cut.otio")
    (tmp_path / "t.toml").write_text(TEMPLATE)
    done = safelight("conform", "cut.otio", "t.toml", "--media", media, "-o", "out")
    assert done.returncode == 0 and "shots for" in done.stdout, done.stderr

    def bare(path: Path) -> object:
        """The timeline without its media references and its name."""
        data = json.loads(path.read_text())
        data["name"] = ""
        for track in data["tracks"]["children"]:
            for child in track["children"]:
                child.pop("media_references", None)
        return data

    assert bare(tmp_path / "cut.otio") == bare(tmp_path / "out" / "cut_restored.otio")


def test_the_independent_table_can_fail() -> None:
    tracks = make_list(11)
    right = must_show(tracks)
    tracks[0][40].start += 1
    assert must_show(tracks) != right
