"""The plug-in: what it may use, its menu, its editions, presets, documents, farm machines, colour, paths."""

from __future__ import annotations

import json
import sys
import tomllib
from pathlib import Path

import pytest

from safelight.graph.document import Document, load_document
from safelight.graph.graph import Graph
from safelight.graph.registry import default_registry
from safelight.host_adapters.nuke import groups
from safelight.host_adapters.nuke.to_nk import text_of
from tests.host_adapters.nuke.conftest import FAKE, Nuke, running

# --- start, menu, editions ----------------------------------------------------------------------------------------


def test_the_menu_has_every_restoration_node_with_its_help(quick: Nuke) -> None:
    quick.module("start").everywhere()
    quick.module("start").with_gui()
    top = quick.host.menus["Nodes"]._items["Safelight"]
    shown = {
        name: item for room in top._items.values() if hasattr(room, "_items") for name, item in room._items.items()
    }
    assert set(shown) == set(default_registry()) - {"Read", "Write"}
    assert set(top._items) >= {"Grain", "Damage", "Colour", "Output", "Settings"}
    for name in (*shown, "Output", "Settings"):
        item = shown.get(name) or top._items[name]
        exec(item._command)  # as Nuke does when somebody clicks
        made = quick.host.the_root._children[-1]
        assert made._knobs["safelight_type"]._value == name
    assert quick.host.messages == []
    assert set(quick.host.menus["Nuke"]._items["Safelight"]._items) == {
        "Export selection…",
        "Import graph document…",
        "Check results",
        "About",
    }


def test_knobs_are_typed_and_say_range_and_unit() -> None:
    specs = groups.specs_of(default_registry())
    knobs = {p["name"]: groups.knob_of(p) for p in specs["Degrain"]["parameters"]}
    assert (knobs["strength"].kind, knobs["strength"].span) == (7, (0, 4))
    assert (knobs["radius"].kind, knobs["radius"].span, knobs["radius"].label) == (3, (0, 4), "radius (frames)")
    assert knobs["noise"].kind == 4 and knobs["noise"].items[0] == "auto"
    assert "0 … 4 frames" in knobs["radius"].tooltip
    assert groups.knob_of(specs["DirtDetect"]["parameters"][1]).kind == 6
    assert knobs["profile"].kind == 2
    convert = groups.group(specs["Convert"], "Convert1", {})
    assert any(knob.name == "safelight_space" for knob in convert.user_knobs)
    seed = next(p for p in specs["Regrain"]["parameters"] if p["name"] == "seed")
    assert groups.knob_of(seed).kind == 1  # up to 2^32 - 1: more than Nuke's whole numbers hold


def test_a_farm_machine_starts_without_a_gui_and_with_a_broken_install(
    quick: Nuke, capsys: pytest.CaptureFixture[str]
) -> None:
    quick.host.gui = False
    for name in ("init", "menu"):
        quick.host.module.__dict__.pop(name, None)
        __import__(name)
    assert "has no menu" in capsys.readouterr().err and len(quick.host.callbacks["beforeRender"]) == 1
    (quick.plugin / "safelight_config.json").write_text("{ broken")
    del sys.modules["init"]
    __import__("init")
    assert "Nuke goes on without it" in capsys.readouterr().err
    quick.module("stale").before_render()  # nobody is asking: thisNode is None
    plate = quick.plate()
    write = quick.host.make("Write", file=str(quick.folder / "w.%04d.exr"), file_type="exr", raw=True, inputs=[plate])
    write._do_knob("datatype")
    quick.host.do_execute(write, 1003, 1003)
    assert (quick.folder / "w.1003.exr").exists()


@pytest.mark.parametrize("edition", ["nc", "indie"])
def test_editions_are_named(tmp_path: Path, installed: Path, monkeypatch: pytest.MonkeyPatch, edition: str) -> None:
    for quick in running(tmp_path, installed, monkeypatch, **{edition: True}):
        quick.use([sys.executable, str(FAKE)])
        node = quick.node("Degrain", quick.plate())
        quick.module("panel").about()
        assert {"nc": "Nuke Non-commercial", "indie": "Nuke Indie"}[edition] in quick.host.messages.pop()
        monkeypatch.setattr(type(node), "_size", lambda self: (4096, 2160))
        before = quick.host.snapshot()
        quick.render(node, "1003")
        if edition == "nc":
            assert (
                "Non-commercial writes no more than 1920 x 1080, and 'Read1' is 4096 x 2160" in quick.host.messages[0]
            )
            assert quick.host.snapshot() == before
        else:
            assert quick.host.messages == []


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("proxy", "proxy mode"),
        ("views", "has the views ['left', 'right']"),
        ("unconnected", "input 'input' of 'Degrain1' is not connected"),
        ("animated", "strength of 'Degrain1' is animated"),
        ("schema", "'Degrain1' was made by another version: Degrain has no parameter softness"),
        ("frames", "'1003-x' is no frame range"),
        ("colour", "OCIO config 'nuke-default' was not found"),
    ],
)
def test_what_would_give_wrong_frames_is_refused_before_any(quick: Nuke, what: str, words: str) -> None:
    node = quick.node("Degrain", quick.plate())
    if what == "proxy":
        quick.host.the_root._knobs["proxy"]._value = True
    elif what == "views":
        quick.host.view_names = ["left", "right"]
    elif what == "unconnected":
        node._inputs = []
    elif what == "animated":
        node._knobs["sl_strength"]._animated = True
    elif what == "schema":
        node._add("sl_softness", "Double_Knob=0")
    elif what == "colour":
        quick.host.the_root._knobs["colorManagement"]._value = "OCIO"
    before = quick.host.snapshot()
    quick.render(node, "1003-x" if what == "frames" else "1003")
    assert len(quick.host.messages) == 1 and words in quick.host.messages[0]
    assert quick.host.snapshot() == before and quick.host.rendered == []


# --- colour and paths ---------------------------------------------------------------------------------------------


def test_the_config_is_env_then_custom_then_stock(quick: Nuke, monkeypatch: pytest.MonkeyPatch) -> None:
    job, root = quick.module("job"), quick.host.the_root._knobs
    assert job.colour_of({}).config.endswith("safelight_linear_rec709.ocio")
    root["colorManagement"]._value = "OCIO"
    stock = quick.folder / "Nuke" / "plugins" / "OCIOConfigs" / "configs" / "nuke-default" / "config.ocio"
    stock.parent.mkdir(parents=True)
    stock.write_text("x")
    assert job.colour_of({}).config == str(stock)
    custom = quick.folder / "show.ocio"
    root["OCIO_config"]._value, root["customOCIOConfigPath"]._value = "custom", str(custom)
    with pytest.raises(Exception, match=r"show\.ocio is not there"):
        job.colour_of({})
    custom.write_text("x")
    root["workingSpaceLUT"]._value = "scene_linear (ACES - ACEScg)"
    found = job.colour_of({})
    assert (found.config, found.space) == (str(custom), "scene_linear") and "custom config" in str(found)
    monkeypatch.setenv("OCIO", "/show/env.ocio")
    assert (job.colour_of({}).config, job.colour_of({}).said_by) == ("/show/env.ocio", "environment OCIO")
    assert job.colour_of({"colour": {"config": "ocio://default"}}).config == "ocio://default"


def test_the_linear_config_is_rec709_and_lets_exr_alone(installed: Path) -> None:
    from safelight.colour.config import config_for
    from safelight.graph.node import Settings

    config = config_for(Settings(installed, {"colour": {"config": "safelight_linear_rec709.ocio"}}))
    assert config.working == "Linear Rec.709 (sRGB)"
    assert config.file_space(Path("a.exr")) is None


def test_a_path_map_makes_two_machines_agree(quick: Nuke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAFELIGHT_PATH_MAP", f"P:/show={quick.folder}; Q:/x = /mnt/x ")
    config = quick.module("config").load()
    assert config.local("P:/show/plate/p.exr") == f"{quick.folder}/plate/p.exr"
    assert config.common(f"{quick.folder}/plate/p.exr") == "P:/show/plate/p.exr"
    assert config.local("P:/shows/other.exr") == "P:/shows/other.exr" and config.local("Q:/x/y") == "/mnt/x/y"
    quick.module("start").everywhere()
    assert quick.host.filters[0]("P:/show/a") == f"{quick.folder}/a"
    files = quick.module("hash").files
    assert files(f"{quick.folder}/plate/p.%04d.exr", config) == files("P:/show/plate/p.####.exr", config)
    monkeypatch.setenv("SAFELIGHT_PATH_MAP", "nonsense")
    with pytest.raises(ValueError, match="no FROM=TO"):
        quick.module("config").load()


# --- presets and documents ----------------------------------------------------------------------------------------


def test_presets(quick: Nuke) -> None:
    panel = quick.module("panel")
    node = quick.node("Degrain", quick.plate(), radius=3, strength=0.25, noise="manual", patch="1, 2, 3, 4")
    path = quick.folder / "soft.safelight.json"
    panel.save_preset(node, str(path))
    other = quick.node("Degrain", quick.plate())
    panel.load_preset(other, str(path))
    values = quick.module("graph").parameters(other, quick.module("nodes").specs()["Degrain"])
    assert (values["radius"], values["strength"], values["noise"], values["patch"]) == (3, 0.25, "manual", [1, 2, 3, 4])
    assert quick.host.messages == []
    before = other._snapshot()
    for data, words in (
        ("{", "no preset"),
        (json.dumps({"type": "Regrain", "parameters": {}}), "preset of Regrain"),
        (json.dumps({"type": "Degrain", "parameters": {"radius": 1, "gone": 1}}), "no parameter gone"),
        (json.dumps({"type": "Degrain", "parameters": {"strength": 1, "noise": "loud"}}), "should be one of auto"),
    ):
        path.write_text(data)
        panel.load_preset(other, str(path))
        assert words in quick.host.messages.pop() and other._snapshot() == before


def test_a_selection_becomes_a_document_and_a_document_nodes(nuke: Nuke, tmp_path: Path) -> None:
    panel = nuke.module("panel")
    source = tmp_path / "graph.toml"
    source.write_text(
        f"""safelight = 1
[shot]
cuts = [1005]
[nodes."the scan"]
type = "Read"
path = "{tmp_path}/plate/p.####.exr"
missing = "hold"
[nodes.degrain]
type = "Degrain"
input = "the scan"
radius = 1
[nodes.out]
type = "Write"
input = "degrain.grain"
path = "{tmp_path}/out/o.####.exr"
datatype = "half"
"""
    )
    panel.import_document(str(source))
    assert nuke.host.messages == []
    made = {one._do_name(): one for one in nuke.host.the_root._children}
    assert (made["the_scan"]._kind, made["the_scan"]._knobs["last"]._value) == ("Read", 1012)
    assert made["out"]._do_knob("datatype")._value == "16 bit half"
    for one in made.values():
        one._knobs["selected"]._value = True
    nuke.host.make("Grade")._knobs["selected"]._value = True
    panel.export_selection(str(tmp_path / "again"))
    (message,) = nuke.host.messages
    assert "3 nodes are in" in message and "Left out, as Safelight has no such node: Grade1 (Grade)" in message
    before, after = load_document(source), load_document(tmp_path / "again.toml")
    first, second = Graph.from_document(before), Graph.from_document(after)
    assert second.cuts == (1005,)
    params = [{graph.nodes[name].id: one for name, one in graph.params.items()} for graph in (first, second)]
    assert params[0] == params[1]
    assert second.links["out"]["input"].output == "grain"


def test_plain_reads_and_writes_of_nukes_own_say_what_they_mean(quick: Nuke) -> None:
    plate = quick.plate(on_error="nearest frame", colorspace="sRGB", raw=False)
    node = quick.node("Degrain", plate)
    write = quick.host.make("Write", file="/out/o.%04d.exr", file_type="exr", raw=True, inputs=[node])
    write._do_knob("datatype")._do_setValue("32 bit float")
    write._do_knob("compression")._do_setValue("none")
    for one in (plate, node, write):
        one._knobs["selected"]._value = True
    quick.module("panel").export_selection(str(quick.folder / "own.toml"))
    nodes = tomllib.loads((quick.folder / "own.toml").read_text())["nodes"]
    assert nodes["Read1"]["missing"] == "hold" and nodes["Read1"]["colourspace"] == "sRGB"
    assert (nodes["Read1"]["first"], nodes["Read1"]["last"]) == (1001, 1012)
    assert {k: nodes["Write1"][k] for k in ("datatype", "compression", "colourspace")} == {
        "datatype": "float",
        "compression": "none",
        "colourspace": "scene_linear",
    }
    Graph.from_document(Document.parse((quick.folder / "own.toml").read_text()))


def test_terminal(quick: Nuke, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick.host.gui = False
    document = tmp_path / "graph.toml"
    document.write_text(
        f'safelight = 1\n[nodes.scan]\ntype = "Read"\npath = "{tmp_path}/plate/p.####.exr"\n'
        '[nodes.clean]\ntype = "Degrain"\ninput = "scan"\n'
    )
    (tmp_path / "shot.nk").write_text(text_of(load_document(document)))
    main = quick.module("terminal").main
    assert main([str(tmp_path / "shot.nk"), "clean", "1003-1004"]) == 0
    folder = Path(capsys.readouterr().out.strip())
    assert sorted(path.name for path in folder.glob("*.exr")) == ["frame.1003.exr", "frame.1004.exr"]
    assert main(["only one"]) == 2
    assert main([str(tmp_path / "shot.nk"), "nobody", "1003"]) == 2
    quick.use(["/no/engine"])
    assert main([str(tmp_path / "shot.nk"), "clean_2" if quick.host.do_toNode("clean_2") else "clean", "1003"]) == 1
    assert "cannot be started" in capsys.readouterr().err


def test_an_engine_of_another_version_renews_the_menu(quick: Nuke, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    engine = quick.module("engine").Engine
    monkeypatch.setattr(engine, "version", lambda self: "9.9")
    monkeypatch.setattr(engine, "run", lambda self, arguments, **_: asked.append(arguments) or "")
    quick.module("panel")._refresh()
    quick.module("panel")._refresh()
    assert asked == [["nuke", "install", "--to", str(quick.plugin)]]
    assert any("now by 9.9" in line for line in quick.host.printed)


def test_a_picture_of_the_node_graph(tmp_path: Path) -> None:
    from safelight.host_adapters.nuke.picture import draw
    from safelight.host_adapters.nuke.to_nk import nodes_of

    examples = Path(__file__).parents[3] / "examples"
    nodes = nodes_of(load_document(examples / "original_grain.toml"))
    with_states, without = draw(nodes, done=["degrain"], stale=["regrain"]), draw(nodes)
    assert with_states.size == without.size and with_states.tobytes() != without.tobytes()
