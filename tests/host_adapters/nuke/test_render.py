"""A range rendered from Nuke: bits, metadata, handles, what is made again and what is not, staleness."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import OpenImageIO
import pytest

from tests.host_adapters.nuke.conftest import FIRST, LAST, Nuke
from tests.stand_ins.nuke_like.pixels import picture

KEPT = ("smpte:TimeCode", "reelName", "owner", "PixelAspectRatio")


def bits(made: Any) -> np.ndarray:
    return made.data.view(np.uint32)


def test_what_is_passed_through_comes_back_bit_for_bit_with_its_metadata(nuke: Nuke) -> None:
    plate = nuke.plate()
    node = nuke.node("Degrain", plate, strength=0.0)
    nuke.render(node, "1003-1005x2")
    assert nuke.host.messages == []
    for frame in (1003, 1005):
        before, after = picture(plate, frame), picture(node, frame)
        assert list(after.spec.channelnames) == list(before.spec.channelnames)
        assert np.array_equal(bits(before), bits(after))
        assert np.isnan(after.data).any() and np.isinf(after.data).any()
        for name in ("x", "y", "width", "height", "full_x", "full_y", "full_width", "full_height"):
            assert getattr(after.spec, name) == getattr(before.spec, name), name
        for name in KEPT:
            assert after.spec.getattribute(name) == before.spec.getattribute(name), name
    with pytest.raises(RuntimeError, match="no such file"):
        picture(node, 1004)  # never the untouched input in place of what was not rendered
    result = next(one for one in node._children if one._kind == "Read")
    assert (result._do_name(), result._knobs["raw"]._value) == ("result", True)
    assert node._knobs["safelight_done"]._value == "1003 1005"


@pytest.mark.slow
def test_the_engine_gets_the_frames_it_needs_and_makes_what_it_makes_alone(nuke: Nuke, tmp_path: Path) -> None:
    """Two frames of a filter that looks two frames around, and at eight frames of the shot before."""
    grade = nuke.host.make("Grade", white=1.0, inputs=[nuke.plate()])
    node = nuke.node("Degrain", grade, radius=2)
    nuke.render(node, "1005-1006")
    assert nuke.host.messages == []
    spread = {FIRST + round(i * (LAST - FIRST) / 7) for i in range(8)}
    written = [frame for _, frame in nuke.host.rendered]
    assert sorted(written) == sorted({*range(1003, 1009), *spread}) and len(written) == len(set(written))
    (tmp_path / "alone.toml").write_text(
        f"""safelight = 1
[colour]
config = "{nuke.plugin}/safelight_linear_rec709.ocio"
[nodes.plate]
type = "Read"
path = "{tmp_path}/plate/p.####.exr"
colourspace = "scene_linear"
[nodes.degrain]
type = "Degrain"
input = "plate"
[nodes.out]
type = "Write"
input = "degrain"
path = "alone/f.####.exr"
datatype = "float"
"""
    )
    command = [sys.executable, "-m", "safelight.host_adapters.cli.main", "render", "alone.toml", "-f", "1005-1006"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
    for frame in (1005, 1006):
        source = OpenImageIO.ImageInput.open(str(tmp_path / "alone" / f"f.{frame}.exr"))
        alone = np.asarray(source.read_image("float"), np.float32)
        assert np.array_equal(alone.view(np.uint32), bits(picture(node, frame)))
        assert not np.array_equal(bits(picture(node, frame)), bits(picture(grade, frame)))


def test_a_second_render_makes_nothing_again_and_a_wider_one_only_what_is_missing(quick: Nuke) -> None:
    node = quick.node("Degrain", quick.plate())
    quick.render(node, "1003-1004")
    first = list(quick.host.rendered)
    before = node._snapshot()
    quick.render(node, "1003-1004")
    assert quick.host.rendered == first and node._snapshot() == before
    quick.render(node, "1004-1006")
    assert [frame for _, frame in quick.host.rendered[len(first) :]] == [1005, 1006]
    assert node._knobs["safelight_done"]._value == "1003-1006"
    result = next(one for one in node._children if one._kind == "Read")
    assert (result._knobs["first"]._value, result._knobs["last"]._value) == (1003, 1006)
    assert quick.host.messages == [] and quick.host.tasks_open == 0 and quick.host.undo_off == 0


def test_a_chain_is_one_graph_with_every_port(quick: Nuke) -> None:
    plate = quick.plate()
    dirt = quick.node("DirtDetect", plate, sensitivity=0.25)
    degrain = quick.node("Degrain", quick.host.make("Dot", inputs=[plate]))
    output = quick.node("Output", degrain)
    output._knobs["safelight_output"]._do_setValue("grain")
    off = quick.node("Regrain", plate)
    off._knobs["disable"]._value = True
    repair = quick.node("Repair", off, dirt)
    mix = quick.node("Mix", repair, output)
    quick.render(mix, "1003")
    assert quick.host.messages == []
    text = (Path(quick.module("job").describe(mix, quick.module("config").load())[4]) / "graph.toml").read_text()
    import tomllib

    nodes = tomllib.loads(text)["nodes"]
    assert nodes[mix._do_name()]["inputs"] == {"a": repair._do_name(), "b": f"{degrain._do_name()}.grain"}
    assert nodes[repair._do_name()]["inputs"] == {"source": "Read1", "matte": dirt._do_name()}
    assert nodes[dirt._do_name()]["sensitivity"] == 0.25
    assert [name for name, node in nodes.items() if node["type"] == "Read"] == ["Read1"]


def _state(quick: Nuke, node: Any) -> str:
    return quick.module("stale").mark(node)


@pytest.mark.parametrize("change", ["knob", "above", "file", "reconnect", "colour", "cuts", "list"])
def test_a_result_made_from_something_else_says_so(quick: Nuke, change: str) -> None:
    names = quick.module("names")
    plate = quick.plate()
    grade = quick.host.make("Grade", white=1.0, inputs=[plate])
    node = quick.node("Degrain", grade)
    profile = quick.folder / "grain.json"
    profile.write_text("{}")
    node._knobs["sl_profile"]._do_setValue(str(profile))
    assert _state(quick, node) == names.EMPTY
    quick.render(node, "1003")
    assert _state(quick, node) == names.FRESH
    for name, value in (("xpos", 50), ("label", "hello"), ("selected", True)):
        grade._knobs[name]._do_setValue(value)
    assert _state(quick, node) == names.FRESH
    if change == "knob":
        node._knobs["sl_radius"]._do_setValue(3)
    elif change == "above":
        grade._knobs["white"]._do_setValue(1.5)
    elif change == "file":
        os.utime(quick.folder / "plate" / "p.1007.exr", (1, 1))
    elif change == "list":
        profile.write_text('{"edited": 1}')
    elif change == "reconnect":
        node._inputs = [plate]
    elif change == "colour":
        quick.host.the_root._knobs["workingSpaceLUT"]._do_setValue("ACEScg")
    else:
        quick.node("Settings")._knobs["safelight_cuts"]._do_setValue("1005")
    assert _state(quick, node) == names.STALE
    assert node._knobs["tile_color"]._value == names.STALE_TILE
    assert "STALE" in node._knobs["safelight_state"]._value and "STALE" in node._knobs["safelight_status"]._value
    quick.host.callbacks.clear()
    quick.module("start").everywhere()
    write = quick.host.make("Write", file=str(quick.folder / "x.%04d.exr"), file_type="exr", raw=True, inputs=[node])
    write._do_knob("datatype")
    quick.host.this_node = write
    quick.module("stale").before_render()
    assert any("stale" in line and "Degrain1" in line for line in quick.host.printed)
    node._knobs["safelight_on_stale"]._do_setValue("stop")
    with pytest.raises(Exception, match="Render it again"):
        quick.module("stale").before_render()
    node._knobs["safelight_show"]._do_setValue("input")
    quick.module("stale").before_render()


def test_while_somebody_works_stale_results_show_by_themselves(quick: Nuke, monkeypatch: pytest.MonkeyPatch) -> None:
    quick.module("start").with_gui()
    stale = quick.module("stale")
    monkeypatch.setattr(stale, "DELAY", 0.02)
    grade = quick.host.make("Grade", white=1.0, inputs=[quick.plate()])
    node = quick.node("Degrain", grade)
    quick.render(node, "1003")
    grade._knobs["white"]._do_setValue(2.0)
    assert node._knobs["safelight_state"]._value == ""
    (changed,) = quick.host.callbacks["knobChanged"]
    quick.host.this_knob = grade._knobs["xpos"]
    changed()
    assert stale._timer == []  # moving a node changes no picture
    quick.host.this_knob = grade._knobs["white"]
    for _ in range(3):
        changed()
    quick.host.pump(5, until=lambda: bool(node._knobs["safelight_state"]._value))
    assert "STALE" in node._knobs["safelight_state"]._value
    grade._knobs["white"]._do_setValue(1.0)
    for loaded in quick.host.callbacks["onScriptLoad"]:
        loaded()
    assert node._knobs["safelight_state"]._value == "" and quick.host.messages == []


def test_a_foreign_node_below_a_result_that_is_not_there_is_refused_by_name(quick: Nuke) -> None:
    first = quick.node("Degrain", quick.plate())
    grade = quick.host.make("Grade", inputs=[first])
    second = quick.node("Regrain", grade)
    before = quick.host.snapshot()
    quick.render(second, "1003")
    assert quick.host.messages == [f"'{first._do_name()}' above 'Grade1' has no result yet. Render it first."]
    assert quick.host.snapshot() == before


def test_cancel_leaves_no_process_no_file_and_no_change(quick: Nuke, monkeypatch: pytest.MonkeyPatch) -> None:
    for mood, patience in (("hang", 20.0), ("deaf", 0.5)):
        monkeypatch.setenv("FAKE_ENGINE", mood)
        monkeypatch.setattr(quick.module("engine"), "PATIENCE", patience)
        started: list[Any] = []
        popen = subprocess.Popen

        def noted(*args: Any, started: list[Any] = started, popen: Any = popen, **kwargs: Any) -> Any:
            started.append(popen(*args, **kwargs))
            return started[-1]

        monkeypatch.setattr(subprocess, "Popen", noted)
        node = quick.node("Degrain", quick.plate())
        before = quick.host.snapshot()
        quick.host.messages.clear()
        quick.host.cancelled = lambda started=started: any("render" in one.args for one in started)
        quick.render(node, "1003-1005")
        monkeypatch.setattr(subprocess, "Popen", popen)
        assert quick.host.messages == [f"'{node._do_name()}' was stopped: 0 of 3 frames are whole and will be kept"]
        assert quick.host.snapshot() == before and quick.host.tasks_open == 0
        assert all(one.poll() is not None for one in started)
        assert not [path for path in (quick.folder / "cache").rglob("*") if path.name.startswith(".writing")]


@pytest.mark.parametrize(
    ("mood", "words"),
    [
        ("fail", "node 'Degrain1', frame 1003: the plate is too small. Use a larger one."),
        ("silent", "status 9"),
        ("garbage", "no JSON"),
        ("short", "ended well, and frames 1003-1004 are not in"),
    ],
)
def test_what_the_engine_says_is_the_one_message(
    quick: Nuke, monkeypatch: pytest.MonkeyPatch, mood: str, words: str
) -> None:
    monkeypatch.setenv("FAKE_ENGINE", mood)
    node = quick.node("Degrain", quick.plate())
    before = quick.host.snapshot()
    quick.render(node, "1003-1004")
    assert len(quick.host.messages) == 1 and words in quick.host.messages[0]
    assert quick.host.snapshot() == before


def test_no_engine_is_one_message(quick: Nuke) -> None:
    node = quick.node("Degrain", quick.plate())
    for engine, words in (([], "does not know where"), (["/no/such/safelight"], "cannot be started: No such file")):
        quick.use(engine)
        quick.host.messages.clear()
        quick.render(node, "1003")
        assert len(quick.host.messages) == 1 and words in quick.host.messages[0]
