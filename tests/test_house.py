"""The house: which folder may know which, and what every folder and file must have."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("graph", "colour", "nodes", "host_adapters", "ofx_bridge")
MAY_KNOW = {
    "graph": {"graph"},
    "colour": {"colour"},
    "nodes": {"nodes", "colour", "graph"},
    "host_adapters": {"host_adapters", "nodes", "colour", "graph"},
    "ofx_bridge": {"ofx_bridge", "nodes", "colour", "graph"},
}


# The one family of errors: a leaf that knows nothing, so that a wrong colour name reads like any other wrong name.
SHARED = {"safelight.graph.errors"}


def imports(path: Path) -> Iterator[str]:
    """Yield every module a file imports, also inside functions; not what only the type checker sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for block in ast.walk(tree):
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING":
            block.body = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module or ""


@pytest.mark.parametrize("room", ROOMS)
def test_arrows_point_one_way(room: str) -> None:
    for path in (ROOT / room).rglob("*.py"):
        for module in imports(path):
            if module.startswith("safelight.") and module not in SHARED:
                other = module.split(".")[1]
                assert other in MAY_KNOW[room], f"{path.relative_to(ROOT)} imports {module}"


def test_the_arrow_test_can_fail(tmp_path: Path) -> None:
    path = tmp_path / "x.py"
    path.write_text("def f():\n    from safelight.nodes.io import read\n")
    assert list(imports(path)) == ["safelight.nodes.io"]


@pytest.mark.parametrize("room", [*ROOMS, "tests", "examples"])
def test_every_root_folder_says_what_lives_there(room: str) -> None:
    assert len((ROOT / room / "README.md").read_text().split()) > 30
    assert not (ROOT / room / "__init__.py").exists() or room == "tests"


def test_every_node_has_a_test_file() -> None:
    for path in (ROOT / "nodes").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "\n    id = " in text and "(Node)" in text:
            test = ROOT / "tests" / path.relative_to(ROOT).with_name(f"test_{path.name}")
            assert test.exists(), f"{path.relative_to(ROOT)} has no {test.relative_to(ROOT)}"


def test_every_kernel_has_a_test() -> None:
    tests = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    for path in (ROOT / "nodes" / "kernels").rglob("*.kernel.h"):
        name = path.name.removesuffix(".kernel.h")
        assert f'"{name}"' in tests, f"no test names the kernel {name}"
