"""Whole-shot analyses: run once, kept for a person to read, stale or foreign ones caught."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from safelight.graph.analysis import sidecar_path
from safelight.graph.device import Device
from safelight.graph.document import load_document
from safelight.graph.errors import GraphError
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Pictures, Port, Request
from safelight.graph.params import Params
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


class Against(Node):
    """Takes off each frame how much brighter the shot is than another, which is only looked at."""

    id = "Against"
    inputs = (Port("input"), Port("other", optional=True))

    def needs(self, params: Params, request: Request) -> Mapping[str, Sequence[Request]]:
        return {"input": (request,)}

    def wants_analysis(self, params: Params) -> bool:
        return True

    def analysis_requests(self, params: Params, clips: Mapping[str, Clip]) -> Mapping[str, Sequence[Request]]:
        return {
            port: [Request(clip.first, clip.extent), Request(clip.last, clip.extent)] for port, clip in clips.items()
        }

    def analyse(self, params: Params, images: Pictures, clips: Mapping[str, Clip], device: Device) -> Mapping[str, Any]:
        means = {port: [float(image.data.mean()) for _, image in images.of(port)] for port in ("input", "other")}
        again = [(frame, float(image.data.mean())) for frame, image in images]
        return {"means": means, "again": again}

    def compute(self, params: Params, request: Request, inputs: Inputs, device: Device) -> Image:
        assert inputs.analysis is not None and "other" not in inputs
        means = inputs.analysis["means"]
        step = np.float32(np.mean(means["input"]) - np.mean(means["other"] or [0]))
        return inputs["input"].with_data(inputs["input"].data - step)


SEVERAL = """
safelight = 1
[nodes.noise]
type = "Noise"
frames = 6
[nodes.long]
type = "Noise"
frames = 9
seed = 5
[nodes.against]
type = "Against"
inputs = {input = "noise", other = "long"}
[nodes.out]
type = "Store"
input = "against"
path = "out.%04d.npy"
"""


def test_several_inputs_are_looked_at_and_may_be_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "shot.toml"

    def run(text: str) -> tuple[dict[str, Any], list[str]]:
        path.write_text(text)
        registry = toys()
        registry.add(Against)
        notes = Notes()
        render(Graph.from_document(load_document(path), registry), [1], progress=notes)
        kept = tmp_path / "shot.safelight" / "against.analysis.json"
        return dict(json.loads(kept.read_text())), notes.notes

    first, _ = run(SEVERAL)
    found = first["result"]
    assert len(found["means"]["input"]) == len(found["means"]["other"]) == 2
    assert [mean for _, mean in found["again"]] == found["means"]["input"] != found["means"]["other"]
    assert len(first["plate"]) == 3, "both sources, and the size"
    again, notes = run(SEVERAL)
    assert again == first and not notes
    kept = tmp_path / "shot.safelight" / "against.analysis.json"
    kept.unlink()
    alone, _ = run(
        SEVERAL.replace(', other = "long"', "").replace('[nodes.long]\ntype = "Noise"\nframes = 9\nseed = 5\n', "")
    )
    assert alone["result"]["means"]["other"] == [] and alone["key"] != first["key"]
