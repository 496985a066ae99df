"""Whole-shot analyses: run once, kept for a person to read, stale or foreign ones caught."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from safelight.graph.analysis import sidecar_path
from safelight.graph.document import load_document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.progress import Step
from safelight.graph.render import pull, render
from tests.graph.toys import CALLS, toys

TEXT = """
safelight = 1
[nodes.noise]
type = "Noise"
frames = 6
[nodes.box]
type = "Box"
input = "noise"
[nodes.level]
type = "Level"
input = "box"
tag = "level"
[nodes.out]
type = "Store"
input = "level"
path = "out.%04d.npy"
"""


class Notes:
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.stages: list[str] = []

    def step(self, step: Step) -> None:
        if step.stage not in self.stages:
            self.stages.append(step.stage)

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.fixture
def shot(tmp_path: Path) -> Path:
    path = tmp_path / "shot.toml"
    path.write_text(TEXT)
    CALLS.clear()
    return path


def load(path: Path) -> Graph:
    return Graph.from_document(load_document(path), toys())


def test_runs_once_for_all_chunks(shot: Path) -> None:
    notes = Notes()
    render(load(shot), [1, 2], progress=notes)
    assert notes.stages == ["analyse level", "render"]
    assert notes.notes == ["node 'level': the shot was looked at"]
    render(load(shot), [3, 4])
    images = dict(pull(load(shot), "level"))
    assert CALLS["level.analyse", 0] == 1
    mean = np.mean([image.data.mean(dtype=np.float64) for image in images.values()])
    assert abs(mean) < 1e-6
    np.testing.assert_array_equal(images[3].data, np.load(shot.parent / "out.0003.npy"))


def test_is_kept_for_people(shot: Path) -> None:
    render(load(shot), [1])
    path = sidecar_path(load(shot), "level")
    assert path == shot.parent / "shot.safelight" / "level.analysis.json"
    kept = json.loads(path.read_text())
    assert kept["type"] == "Level" and kept["parameters"] == {"scale": 1.0} and "mean" in kept["result"]
    assert len(path.read_text().splitlines()) > 10


def test_is_run_again_when_stale(shot: Path) -> None:
    render(load(shot))
    shot.write_text(TEXT.replace('input = "noise"', 'input = "noise"\npadding = 2'))
    notes = Notes()
    report = render(load(shot), resume=True, progress=notes)
    assert CALLS["level.analyse", 0] == 2 and report.rendered == 6
    assert any("analysed again" in note for note in notes.notes)
    shot.write_text(shot.read_text().replace('tag = "level"', 'tag = "level"\nscale = 0.5'))
    render(load(shot))
    assert CALLS["level.analyse", 0] == 3
    shot.write_text(shot.read_text().replace("scale = 0.5", 'scale = 0.5\ncolour = "red"'))
    render(load(shot))
    assert CALLS["level.analyse", 0] == 3, "a parameter that the analysis does not depend on"


def test_an_edited_result_is_obeyed_and_renders_again(shot: Path) -> None:
    render(load(shot))
    path = sidecar_path(load(shot), "level")
    assert path is not None
    kept = json.loads(path.read_text())
    kept["result"]["mean"] = 100.0
    path.write_text(json.dumps(kept))
    report = render(load(shot), resume=True)
    assert report.rendered == 6 and CALLS["level.analyse", 0] == 1
    assert np.load(shot.parent / "out.0001.npy").mean() < -50


def test_another_plate_is_refused(shot: Path) -> None:
    render(load(shot))
    shot.write_text(TEXT.replace("frames = 6", "frames = 6\nseed = 4"))
    with pytest.raises(
        GraphError, match=r"node 'level', .*level\.analysis\.json: the analysis belongs to another plate"
    ):
        render(load(shot))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "no JSON"),
        ("[]", "this is no analysis"),
        ('{"result": {}, "plate": [], "safelight_analysis": 9}', "format 9"),
    ],
)
def test_a_broken_sidecar_is_named(shot: Path, content: str, message: str) -> None:
    path = sidecar_path(load(shot), "level")
    assert path is not None
    path.parent.mkdir()
    path.write_text(content)
    with pytest.raises(GraphError, match=rf"level\.analysis\.json.*{message}"):
        render(load(shot))


def test_a_folder_that_cannot_be_written_is_said(shot: Path) -> None:
    (shot.parent / "shot.safelight").write_text("a file in the way")
    notes = Notes()
    render(load(shot), progress=notes)
    assert any("could not be kept" in note for note in notes.notes)
