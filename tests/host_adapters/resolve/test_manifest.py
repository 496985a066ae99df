"""Every API call made is in the manifest: read from the adapter's text, and, inside a real host, from its `dir()`."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from safelight.graph.errors import GraphError
from safelight.host_adapters.resolve.connect import LEAST, connect
from tests.stand_ins.resolve_like import objects as stand_in
from tests.stand_ins.resolve_like.manifest import MANIFEST

ADAPTER = Path(__file__).parents[3] / "host_adapters" / "resolve"
ASKING = {"call", "do", "text", "whole", "table", "has"}
"""Methods of Remote whose first argument is the name of a call; of the others it is the second."""
OBJECTS = {"one", "maybe", "many", "rows"}


def calls(text: str) -> Iterator[tuple[str, int]]:
    """Yield (name, arguments) of every call of the host's that Python text makes."""
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        place = 0 if node.func.attr in ASKING else 1 if node.func.attr in OBJECTS else None
        if place is not None and len(node.args) > place and isinstance(node.args[place], ast.Constant):
            name = node.args[place].value
            if isinstance(name, str) and re.fullmatch(r"[A-Z][A-Za-z]+", name):
                yield name, -1 if node.func.attr == "has" else len(node.args) - place - 1


def test_every_call_of_the_adapter_is_in_the_manifest() -> None:
    known: dict[str, list[tuple[int, int]]] = {}
    for methods in MANIFEST.values():
        for name, call in methods.items():
            known.setdefault(name, []).append((call.least, call.most))
    seen = set()
    for path in ADAPTER.rglob("*.py"):
        for name, count in calls(path.read_text(encoding="utf-8")):
            seen.add(name)
            fits = count < 0 or any(least <= count <= most for least, most in known.get(name, []))
            assert fits, f"{path.name}: {name} with {count} arguments is not in the manifest"
    assert len(seen) > 50, "the adapter's calls are not found in its text any more"


def test_every_call_of_the_lua_script_is_in_the_manifest() -> None:
    text = (ADAPTER / "menu" / "safelight.lua").read_text(encoding="utf-8")
    names = {name for name in re.findall(r":(\w+)\(", text) if name[0].isupper()}
    assert len(names) > 20 and names <= {name for methods in MANIFEST.values() for name in methods}


def test_a_misspelling_would_be_found() -> None:
    assert list(calls('item.do("AddTaek", 1)\nitem.one("Folder", "GetRoot")')) == [("AddTaek", 1), ("GetRoot", 0)]


def test_the_adapter_asks_only_through_remote() -> None:
    """No call goes round the deadline and the checks: outside `remote` and the menu script nothing is called raw."""
    for path in ADAPTER.glob("*.py"):
        if path.name != "remote.py":
            assert ".raw" not in path.read_text(encoding="utf-8"), path.name


def test_the_stand_in_does_nothing_that_is_not_listed() -> None:
    shared = {"do_GetName", "do_GetUniqueId"}  # of the base
    for kind in (value for value in vars(stand_in).values() if isinstance(value, type) and value.__name__ in MANIFEST):
        done = {name for name in dir(kind) if name.startswith("do_")} - shared
        assert {name[3:] for name in done} <= set(MANIFEST[kind.__name__]), kind.__name__


@pytest.mark.host
def test_the_manifest_is_what_a_live_resolve_offers() -> None:
    """Set SAFELIGHT_HOST_RESOLVE=1 with Resolve open on a project with a timeline that has a clip on V1."""
    if not os.environ.get("SAFELIGHT_HOST_RESOLVE"):
        pytest.skip("needs a running DaVinci Resolve and SAFELIGHT_HOST_RESOLVE=1")
    session = connect()
    assert session.version[:2] >= LEAST
    project, timeline = session.project(), session.timeline()
    pool = project.one("MediaPool", "GetMediaPool")
    item = timeline.many("TimelineItem", "GetItemListInTrack", "video", 1)[0]
    live = {
        "Resolve": session.resolve,
        "ProjectManager": session.resolve.one("ProjectManager", "GetProjectManager"),
        "Project": project,
        "MediaPool": pool,
        "Folder": pool.one("Folder", "GetRootFolder"),
        "Timeline": timeline,
        "TimelineItem": item,
        "MediaPoolItem": item.one("MediaPoolItem", "GetMediaPoolItem"),
    }
    missing = []
    for kind, remote in live.items():
        offered = set(dir(remote.raw))
        missing += [
            f"{kind}.{name}"
            for name, call in MANIFEST[kind].items()
            if call.since <= session.version[:2] and (call.edition == "free" or session.studio) and name not in offered
        ]
    assert missing == [], f"{session.told} does not offer {', '.join(missing)}"


@pytest.mark.host
def test_the_shots_of_a_live_timeline_can_be_listed() -> None:
    if not os.environ.get("SAFELIGHT_HOST_RESOLVE"):
        pytest.skip("needs a running DaVinci Resolve and SAFELIGHT_HOST_RESOLVE=1")
    from safelight.host_adapters.resolve.shots import list_shots

    try:
        timeline = connect().timeline()
    except GraphError as error:
        pytest.skip(str(error))
    for shot in list_shots(timeline, float(timeline.text("GetSetting", "timelineFrameRate").split()[0])):
        assert shot.duration > 0 and shot.source.offset >= 0 and shot.name
