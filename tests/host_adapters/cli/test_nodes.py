"""`safelight nodes`: the registry, for people and machines."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from safelight.graph.registry import default_registry
from safelight.host_adapters.cli.describe import choices, parameter
from safelight.host_adapters.cli.main import app
from safelight.nodes.io.plate import PlateParams


def test_every_node_is_listed_with_its_room() -> None:
    listed = CliRunner().invoke(app, ["nodes"]).output
    for name in default_registry():
        assert name in listed
    assert "io" in listed and "merge" in listed


def test_json_holds_every_parameter() -> None:
    found = json.loads(CliRunner().invoke(app, ["nodes", "--json"]).output)
    registry = default_registry()
    assert {node["id"] for node in found["nodes"]} == set(registry)
    for node in found["nodes"]:
        known = registry[node["id"]]
        assert [item["name"] for item in node["parameters"]] == list(type(known).Params.model_fields)
        assert [port["name"] for port in node["inputs"]] == [port.name for port in known.inputs]
        assert node["help"] and all(item["help"] for item in node["parameters"]), node["id"]


def test_one_node_in_full() -> None:
    shown = CliRunner().invoke(app, ["nodes", "Plate"]).output
    for word in ("width", "1920", "1 … 32768", "pixels", "Cut to another scene", "image"):
        assert word in shown
    found = json.loads(CliRunner().invoke(app, ["nodes", "Mix", "--json"]).output)
    assert found["id"] == "Mix" and found["room"] == "merge"
    assert found["inputs"][2] == {
        "name": "matte",
        "help": "Coverage, first channel, 0 to 1; without it `amount` holds everywhere.",
        "optional": True,
    }
    assert found["parameters"][0]["range"] == {"ge": 0, "le": 1}


def test_parameters_as_data() -> None:
    found = parameter("width", PlateParams.model_fields["width"])
    assert found["type"] == "int" and found["default"] == 1920 and found["unit"] == "pixels"
    assert found["range"] == {"ge": 1, "le": 32768} and not found["required"]
    assert choices(PlateParams.model_fields["cut"].annotation) == []
