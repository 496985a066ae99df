"""`safelight lut`: tables against the exact colours, read back by somebody else; and what a table cannot hold."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import PyOpenColorIO as OCIO
import pytest

from tests.host_adapters.cli.conftest import Safelight, safelight

__all__ = ["safelight"]  # the fixture
LOOK = """safelight = 1
[nodes.scan]
type = "Read"
path = "scan.exr"
[nodes.look]
type = "Convert"
input = "scan"
source = "ACEScg"
target = "ACEScct"
[nodes.out]
type = "Write"
input = "look"
path = "out.####.exr"
"""


@pytest.fixture
def look(tmp_path: Path) -> Path:
    path = tmp_path / "look.toml"
    path.write_text(LOOK)
    return path


def acescct(light: float) -> float:
    """ACEScct of linear light (S-2016-001)."""
    return (math.log2(light) + 9.72) / 17.52 if light > 0.0078125 else 10.5402377416545 * light + 0.0729055341958355


def test_the_table_holds_the_chain(safelight: Safelight, look: Path, tmp_path: Path) -> None:
    done = safelight("lut", look, "-o", "look.cube", "--size", 33, "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["shaper"] and told["range"] == [0, 16] and told["nodes"] == ["look"]
    # Read by OpenColorIO, an implementation that is not ours, against the curve's own formula.
    reader = (
        OCIO.Config.CreateRaw().getProcessor(OCIO.FileTransform(str(tmp_path / "look.cube"))).getDefaultCPUProcessor()
    )
    for light in (0.0, 0.001, 0.02, 0.18, 1.0, 7.3, 15.9):
        assert reader.applyRGB([light] * 3) == pytest.approx([acescct(light)] * 3, abs=3e-3)
    assert reader.applyRGB([-1.0, 99.0, 0.18]) == pytest.approx([acescct(0), acescct(16), acescct(0.18)], abs=3e-3)
    lines = (tmp_path / "look.cube").read_text().splitlines()
    assert lines[1:5] == ["LUT_1D_SIZE 65536", "LUT_1D_INPUT_RANGE 0 16", "LUT_3D_SIZE 33", "LUT_3D_INPUT_RANGE 0 1"]
    assert len(lines) == 5 + 65536 + 33**3


def test_the_error_shrinks_with_the_lattice_and_is_stated(safelight: Safelight, look: Path, tmp_path: Path) -> None:
    spaces = ("--input-space", "ACEScct", "--output-space", "sRGB - Display/ACES 2.0 - SDR 100 nits (Rec.709)")
    look.write_text(LOOK.replace('source = "ACEScg"\ntarget = "ACEScct"', 'source = "ACEScg"\ntarget = "ACEScg"'))
    mean = {}
    for size in (9, 33):
        done = safelight("lut", look, "-o", "t.cube", "--size", size, *spaces, "--json")
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout)
        assert not told["shaper"]
        error = told["error"]["delta_e_itp"]
        mean[size] = error["mean"]
        assert 0 < error["mean"] < error["p99"] < error["max"] and len(told["error"]["worst"]) == 3
    assert mean[33] < mean[9] / 4
    shown = safelight("lut", look, "-o", "t.cube", "--size", 9, *spaces)
    assert "ΔE ITP mean" in shown.stdout and "ΔE2000 mean" in shown.stdout and "9³ colours" in shown.stdout


def test_a_dctl_shapes_exactly(safelight: Safelight, look: Path, tmp_path: Path) -> None:
    done = safelight("lut", look, "-o", "look.dctl", "--size", 17, "--highest", 64, "--json")
    assert done.returncode == 0, done.stderr
    text = (tmp_path / "look.dctl").read_text()
    assert "DEFINE_LUT(safelight_table, look.cube)" in text and "APPLY_LUT(" in text
    span = float(text.split(" / ")[2].split("f")[0])
    assert span == pytest.approx(math.log2(64 / 0.005 + 1), 1e-8)
    table = np.array([line.split() for line in (tmp_path / "look.cube").read_text().splitlines()[4:]], float)
    assert table.shape == (17**3, 3)
    for place in (0, 5, 11, 16):  # greys: red, green and blue at one place of the lattice
        light = 0.005 * (2 ** (place / 16 * span) - 1)
        assert table[place * (1 + 17 + 17 * 17)] == pytest.approx([acescct(light)] * 3, abs=2e-5)
    assert json.loads(done.stdout)["error"]["delta_e_itp"]["max"] < 20


def test_what_a_table_cannot_hold_is_named(safelight: Safelight, look: Path) -> None:
    look.write_text(
        LOOK.replace('input = "look"', 'input = "clean"') + '[nodes.clean]\ntype = "Degrain"\ninput = "look"\n'
    )
    done = safelight("lut", look, "-o", "x.cube")
    assert (
        done.returncode == 2 and "node 'clean'" in done.stderr and "Degrain looks at more than one pixel" in done.stderr
    )
    look.write_text(LOOK)
    for arguments, told in (
        (("-o", "x.3dl"), "no kind of table"),
        (("-o", "gone/x.cube"), "folder is not there"),
        (("-o", "x.cube", "--write", "outt"), "Did you mean 'out'?"),
        (("-o", "x.cube", "--input-space", "ACESct"), "no colour space 'ACESct'"),
    ):
        done = safelight("lut", look, *arguments)
        assert done.returncode == 2 and told in done.stderr, done.stderr


def test_nodes_that_call_themselves_pointwise_are(look: Path) -> None:
    """Colours in another order come out in that order, bit for bit; a Mix blends them one by one."""
    from safelight.graph.device import Device
    from safelight.graph.document import load_document
    from safelight.graph.graph import Graph
    from safelight.graph.registry import default_registry
    from safelight.host_adapters.lut.chain import Chain

    half = '[nodes.half]\ntype = "Mix"\ninputs = {a = "scan", b = "look"}\namount = 0.25\n'
    look.write_text(LOOK.replace('input = "look"', 'input = "half"') + half)
    chain = Chain(Graph.from_document(load_document(look)), Device("cpu", 1))
    assert chain.nodes == ["look", "half"]
    rng = np.random.default_rng(2)
    colours = rng.normal(0.4, 1, (3, 2500)).astype(np.float32)
    order = rng.permutation(2500)
    made = chain(colours)
    assert (chain(np.ascontiguousarray(colours[:, order])) == made[:, order]).all()
    curve = np.vectorize(acescct)(colours.astype(float))
    assert made == pytest.approx(0.75 * colours + 0.25 * curve, abs=1e-5)
    tried = {"Convert", "Mix"}
    assert tried <= {name for name, node in default_registry().items() if node.pointwise}
