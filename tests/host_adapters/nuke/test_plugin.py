"""The plug-in: what it may use, its menu, its editions, presets, documents, farm machines, colour, paths."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from safelight.graph.document import Document, load_document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.registry import default_registry
from safelight.host_adapters.nuke import groups
from safelight.host_adapters.nuke.install import install, uninstall
from safelight.host_adapters.nuke.to_nk import text_of
from tests.host_adapters.nuke.conftest import FAKE, Nuke, running
from tests.stand_ins.nuke_like import Host, Hung, manifest

PLUGIN = Path(groups.__file__).parent / "plugin"
SOURCES = sorted(path for path in PLUGIN.glob("*.py") if path.name != "__init__.py")
# Names that hold something of Nuke's in the plug-in's code; what is asked of them must be in the manifest.
HOST_NAMES = {"node", "one", "feed", "place", "read", "write", "knob", "up", "group", "inside", "undo", "reload"}


# --- what the code may use ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_the_code_is_python_3_7_and_needs_nothing_but_nuke(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 7))
    own = {source.stem for source in SOURCES}
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        for name in names:
            top = name.partition(".")[0]
            assert top in sys.stdlib_module_names or top in own or top == "nuke", f"{path.name} imports {name}"
        if isinstance(node, ast.Attribute):
            assert node.attr not in {"removeprefix", "removesuffix", "is_relative_to"}, f"{path.name}: {node.attr}"


def test_the_code_runs_on_python_3_7(quick: Nuke, tmp_path: Path) -> None:
    """Every module imported and a little of it used, where that Python is at hand."""
    python = shutil.which("python3.7")
    if python is None or subprocess.run([python, "--version"], capture_output=True, check=False).returncode:
        pytest.skip("needs python3.7")
    (tmp_path / "nuke.py").write_text("GUI = False\nenv = {}\ndef addBeforeRender(call): pass\n")
    modules = ", ".join(path.stem for path in SOURCES if path.stem not in ("menu",))
    code = f"""
import sys
sys.path[:0] = [{str(tmp_path)!r}, {str(quick.plugin)!r}]
import {modules}
assert safelight_frames.parse("1-10x2 15 -8--5") == [-8, -7, -6, -5, 1, 3, 5, 7, 9, 15]
assert 'a = "b"' in safelight_toml.document_text({{"n": {{"type": "X", "params": {{"a": "b"}}}}}})
assert safelight_engine.Engine([{sys.executable!r}, {str(FAKE)!r}]).version()
"""
    done = subprocess.run([python, "-B", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_picture_of_the_node_graph(tmp_path: Path) -> None:
    from safelight.host_adapters.nuke.picture import draw
    from safelight.host_adapters.nuke.to_nk import nodes_of

    examples = Path(__file__).parents[3] / "examples"
    nodes = nodes_of(load_document(examples / "original_grain.toml"))
    with_states, without = draw(nodes, done=["degrain"], stale=["regrain"]), draw(nodes)
    assert with_states.size == without.size and with_states.tobytes() != without.tobytes()


def test_every_call_of_nuke_is_in_the_manifest() -> None:
    methods = {name for table in manifest.CALLS.values() for name in table}
    used: set[str] = set()
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Attribute) or not isinstance(node.value, ast.Name):
                continue
            where = f"{path.name}, line {node.lineno}: {node.value.id}.{node.attr}"
            if node.value.id == "nuke":
                known = {*manifest.CALLS["nuke"], *manifest.CONSTANTS, *manifest.VALUES}
                assert node.attr in known, where
                used.add(node.attr)
            elif node.value.id in HOST_NAMES and path.stem not in ("safelight_values", "safelight_toml"):
                assert node.attr in methods or node.attr in {"get", "setdefault"}, where
    assert len(used) > 20


def test_the_manifest_test_can_fail() -> None:
    assert manifest.find("Node", "knob") is not None and manifest.find("Group", "knob") is not None
    assert manifest.find("Node", "sample") is None and "localiseFiles" not in manifest.CALLS["nuke"]


def test_the_stand_in_is_strict(tmp_path: Path) -> None:
    host = Host(tmp_path)
    nuke, node = host.module, host.make("Dot")
    with pytest.raises(AttributeError):
        nuke.localiseFiles()
    with pytest.raises(AttributeError):
        node.sample("red", 0, 0)
    with pytest.raises(AttributeError):
        node.label = "x"
    with pytest.raises(TypeError):
        node.setInput(0)
    with pytest.raises(NameError):
        node["no_such_knob"]
    with pytest.raises(Hung):
        nuke.executeInMainThread(print)
    with pytest.raises(RuntimeError):
        Host(tmp_path, gui=False).module.menu("Nodes")
    caught: list[BaseException] = []

    def elsewhere() -> None:
        try:
            nuke.allNodes()
        except AssertionError as error:
            caught.append(error)

    import threading

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert "not on the main thread" in str(caught[0])


@pytest.fixture
def live() -> Any:
    """Nuke itself: these tests run in a Python that can import it."""
    try:
        import nuke
    except ImportError:
        nuke = None
    if not hasattr(nuke, "NUKE_VERSION_STRING"):
        pytest.skip("needs Nuke")
    return nuke


@pytest.mark.host
def test_the_manifest_is_what_nuke_has(live: Any) -> None:
    nuke = live
    for name in (*manifest.CALLS["nuke"], *manifest.CONSTANTS, *manifest.VALUES):
        assert hasattr(nuke, name), f"nuke.{name}"
    groups_of = {"Node": nuke.nodes.NoOp(), "Group": nuke.nodes.Group(), "Root": nuke.root()}
    groups_of["Knob"] = groups_of["Node"]["name"]
    groups_of["Array_Knob"] = nuke.nodes.Blur()["size"]
    groups_of["File_Knob"] = nuke.nodes.Read()["file"]
    groups_of["Script_Knob"] = nuke.nodes.Read()["reload"]
    groups_of["Undo"] = nuke.Undo()
    for name, thing in groups_of.items():
        for method in manifest.CALLS[name]:
            assert method in dir(thing), f"{name}.{method}"
    write = nuke.nodes.Write()
    write["file_type"].setValue("exr")
    for knob in ("channels", "datatype", "compression", "metadata", "raw"):
        assert write.knob(knob) is not None, knob


@pytest.mark.host
def test_a_node_from_the_menu_goes_into_nuke(live: Any, tmp_path: Path) -> None:
    nuke = live
    folder = install(tmp_path / "safelight").folder
    for path in sorted((folder / "safelight_nodes").glob("*.nk")):
        node = nuke.nodePaste(path.as_posix())
        assert node.Class() in ("Group", "NoOp") and node.knob("safelight_type").value() == path.stem


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


# --- install ------------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("HOME", str(tmp_path))
    yield tmp_path / ".nuke"


def test_install_touches_nothing_of_yours_and_uninstall_leaves_it(home: Path) -> None:
    home.mkdir()
    (home / "init.py").write_text("print('mine')")
    before = (home / "init.py").read_text()
    planned = install(dry_run=True).lines
    assert len(planned) > 20 and not (home / "safelight").exists() and (home / "init.py").read_text() == before
    done = install(cache="/cache", path_map=[("P:/", "/mnt/p")])
    assert done.lines == planned
    text = (home / "init.py").read_text()
    assert text.startswith("print('mine')\n# >>> safelight") and repr((home / "safelight").as_posix()) in text
    compile(text, "init.py", "exec")
    assert install().lines == []
    config = json.loads((home / "safelight" / "safelight_config.json").read_text())
    assert (config["cache"], config["path_map"], config["engine"][0]) == ("/cache", [["P:/", "/mnt/p"]], sys.executable)
    (home / "safelight" / "menu.py").write_text("# edited")
    assert "keep your menu.py as menu.py.before" in install().lines
    (home / "safelight" / "safelight_names.py").write_text("# edited")
    lines = uninstall().lines
    assert any("safelight_names.py: it was edited" in line for line in lines)
    assert (home / "init.py").read_text().strip() == before
    assert sorted(path.name for path in (home / "safelight").iterdir()) == ["menu.py.before", "safelight_names.py"]
    with pytest.raises(GraphError, match="no plug-in"):
        uninstall()


def test_install_refuses_a_folder_of_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "menu.py").write_text("# theirs")
    with pytest.raises(GraphError, match="somebody else's"):
        install(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["menu.py"]


def test_the_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "safelight.host_adapters.cli.main", "nuke"]
    (tmp_path / "bad.nk").write_text("Blur {\n size [exec ls]\n")
    (tmp_path / "fed.nk").write_text(
        text_of(Document.parse('safelight = 1\n[nodes.p]\ntype = "Plate"\n[nodes.d]\ntype = "Degrain"\ninput = "p"\n'))
        .replace("Group {", "Blur {\n inputs 0\n name soft\n}\nGroup {", 1)
        .replace(" inputs 0\n name p\n", " disable true\n name p\n")
    )
    for name, words in (
        ("bad.nk", "error: line 1, bad.nk: the brace opened here is never closed"),
        ("fed.nk", "'d' is fed by 'soft', a Blur of Nuke's"),
        ("none.nk", "none.nk: there is no such script"),
    ):
        run = subprocess.run([*command, "export", name], cwd=tmp_path, capture_output=True, text=True)
        assert (run.returncode, run.stdout) == (2, "") and words in run.stderr, run.stderr
