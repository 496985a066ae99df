"""Every call of every kind of job made to fail in every way: one clear message, project and timeline as they were."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from safelight.graph.errors import GraphError, SafelightError
from safelight.host_adapters.resolve.job import run_job
from safelight.host_adapters.resolve.journal import Journal
from safelight.host_adapters.resolve.shots import list_shots
from tests.host_adapters.resolve.conftest import build, engine, options_of, place_of
from tests.stand_ins.resolve_like.host import Fault, Host

KINDS = ("False", "None", "[None]", "False after", "hangs", "hangs after")
JOBS = [("take", 0), ("track", 0), ("replace", 0), ("take", 1)]


def run(host: Host, folder: Path, back: str, shot: int, wait: float) -> None:
    place = place_of(host, wait)
    name = ("A001", "B002")[shot]
    found = [one for one in list_shots(place.timeline, 24) if one.name == name]
    if not found:  # it was said to show no media, as titles do
        raise GraphError(f"there is no shot '{name}' on the timeline")
    options = options_of(folder, back=back)
    run_job(place, found[0], options, lambda text: None, threading.Event(), engine)
    place.session.close()


def faulty(folder: Path, back: str, shot: int, fault: Fault) -> tuple[str, str]:
    """Run with one fault; return what came of it and a complaint, empty if all is as it should be."""
    host = build(folder, fault=fault)
    before = host.snapshot()
    error: SafelightError | None = None
    try:
        run(host, folder, back, shot, 0.25)
    except SafelightError as raised:
        error = raised
    finally:
        host.freed.set()
    call = host.calls[fault.at] if fault.at < len(host.calls) else "?"
    if host.violations:
        return call, f"{call} {fault.kind}: {host.violations}"
    if error is None:
        # It may not have mattered; then all was done.
        clean = build(folder)
        run(clean, folder, back, shot, 30)
        return call, "" if host.snapshot() == clean.snapshot() else f"{call} {fault.kind}: done, but otherwise"
    text = str(error)
    if "\n" in text or len(text) < 20 or "Traceback" in text:
        return call, f"{call} {fault.kind}: unclear: {text}"
    if host.snapshot() != before:
        # A call that hangs while things are taken back leaves the rest to the journal, and the message says so.
        journals = list((folder / "jobs").glob("*/journal.json"))
        project = place_of(host, 30).project
        left = [Journal.load(path).undo(project) for path in journals]
        if "safelight resolve undo" not in text or any(left) or host.snapshot() != before:
            return call, f"{call} {fault.kind}: not as it was: {text}"
    return call, ""


def count(folder: Path, back: str, shot: int) -> int:
    host = build(folder)
    run(host, folder, back, shot, 30)
    assert host.violations == []
    return len(host.calls)


@pytest.mark.parametrize(("back", "shot"), JOBS)
def test_a_sample_of_faults(tmp_path: Path, back: str, shot: int) -> None:
    calls = count(tmp_path, back, shot)
    picked = range(shot + len(back), calls, max(1, calls // 9))
    complaints = [faulty(tmp_path, back, shot, Fault(at, KINDS[i % 4]))[1] for i, at in enumerate(picked)]
    last = faulty(tmp_path, back, shot, Fault(calls - 2, "hangs after"))
    assert [*filter(None, complaints), *filter(None, last[1:])] == []


@pytest.mark.exhaustive
@pytest.mark.parametrize(("back", "shot"), JOBS)
@pytest.mark.parametrize("kind", KINDS)
def test_every_fault(tmp_path: Path, back: str, shot: int, kind: str) -> None:
    calls = count(tmp_path, back, shot)
    seen = [faulty(tmp_path, back, shot, Fault(at, kind)) for at in range(calls)]
    assert [complaint for _, complaint in seen if complaint] == []
    assert len({call for call, _ in seen}) > 15


def test_a_fault_can_be_seen(tmp_path: Path) -> None:
    """The comparison notices what is left behind."""
    host = build(tmp_path)
    before = host.snapshot()
    host.timelines[0]._tracks[0][0].do_AddMarker(3, "Sand", "left", "", 1, "x")
    assert host.snapshot() != before
