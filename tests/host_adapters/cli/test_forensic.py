"""Forensic graphs as a person meets them: what is refused and why, what is left and where, what compare says of it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import OpenEXR
import pytest

from tests.host_adapters.cli.conftest import Safelight
from tests.nodes.damage.repairing import pictures, resting, spot

FORENSIC = """safelight = 1
[graph]
forensic = true
[nodes.plate]
type = "Read"
path = "in.####.exr"
[nodes.matte]
type = "Read"
path = "matte.####.exr"
[nodes.fix]
type = "Repair"
inputs = {source = "plate", matte = "matte"}
[nodes.out]
type = "Write"
input = "%s"
path = "out.####.exr"
"""
REGRAIN = '[nodes.grain]\ntype = "Regrain"\ninput = "fix"\n'
LAID = '[nodes.grain]\ntype = "Damage"\ninput = "fix"\n'
MATCHED = '[nodes.grain]\ntype = "GrainMatch"\ninputs = {input = "fix", reference = "plate"}\n'


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    """Three frames of a still picture: a hole on one place in all of them, and one that only the second has."""
    boxes = [(t, 60, 90, 70, 100) for t in range(3)]
    shown, mattes = spot(
        {t: image for t, image in pictures(resting()[1]).items() if t < 3}, *boxes, (1, 20, 20, 26, 26)
    )
    for name, images in (("in", shown), ("matte", mattes)):
        for frame, image in images.items():
            pixels = {channel: np.ascontiguousarray(p) for channel, p in zip(image.channels, image.data, strict=True)}
            OpenEXR.File({"type": OpenEXR.scanlineimage}, pixels).write(str(tmp_path / f"{name}.{frame:04d}.exr"))
    return tmp_path


def document(folder: Path, last: str = "fix", extra: str = "") -> Path:
    path = folder / "shot.toml"
    path.write_text(FORENSIC % last + extra)
    return path


@pytest.mark.parametrize("command", ["check", "render"])
@pytest.mark.parametrize(("extra", "kind"), [(REGRAIN, "Regrain"), (LAID, "Damage"), (MATCHED, "GrainMatch")])
def test_a_node_that_invents_is_refused_by_name_reason_and_remedy(
    safelight: Safelight, shot: Path, command: str, extra: str, kind: str
) -> None:
    done = safelight(command, document(shot, "grain", extra), cwd=shot)
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert f"node 'grain': {kind} lays" in said and "the graph is forensic" in said
    assert "Take the node out, or say forensic = false in [graph]" in said
    assert not list(shot.glob("out.*"))


def test_a_repair_invents_nothing_names_what_it_left_and_compare_agrees(safelight: Safelight, shot: Path) -> None:
    done = safelight("render", document(shot), "--json", cwd=shot)
    assert done.returncode == 0, done.stderr
    left = [warning for warning in json.loads(done.stdout)["warnings"] if "no frame can fill" in warning]
    assert [warning.split("frame ")[1].split(":")[0] for warning in left] == ["0", "1", "2"]
    assert all("Repair left 1 hole (144 pixels)" in warning and "[89, 59, 101, 71]" in warning for warning in left)
    compared = safelight("compare", "in.####.exr", "out.####.exr", "--json", cwd=shot)
    assert compared.returncode == 0, compared.stderr
    record = json.loads(compared.stdout)["all"]["provenance"]
    assert record["kept_but_changed"] == 0
    assert set(record["pixels"]) - {"kept"}
    assert all(kind == "kept" or kind.startswith("from frame t") for kind in record["pixels"])
    assert not any("grain laid in" in kind or "synthesised" in kind for kind in record["pixels"])
