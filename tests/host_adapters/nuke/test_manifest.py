"""What the plug-in's code may use of Python and of Nuke, and whether Nuke has it."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from safelight.host_adapters.nuke import groups
from safelight.host_adapters.nuke.install import install
from tests.host_adapters.nuke.conftest import FAKE, Nuke
from tests.stand_ins.nuke_like import Host, Hung, manifest

PLUGIN = Path(groups.__file__).parent / "plugin"
SOURCES = sorted(path for path in PLUGIN.glob("*.py") if path.name != "__init__.py")
# Names that hold something of Nuke's in the plug-in's code; what is asked of them must be in the manifest.
HOST_NAMES = {"node", "one", "feed", "place", "read", "write", "knob", "up", "group", "inside", "undo", "reload"}


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
