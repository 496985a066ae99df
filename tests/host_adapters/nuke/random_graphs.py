"""Random documents over all node types: every kind of parameter, port, name."""

from __future__ import annotations

import random
from typing import Any

from pydantic import ValidationError

from safelight.graph.node import Node
from safelight.graph.registry import Registry
from safelight.host_adapters.cli.describe import describe
from safelight.host_adapters.nuke.plugin.safelight_values import kinds_of

NAMES = [
    "scan",
    "Degrain1",
    "my node",
    "Körnung",
    "1st",
    "a_b",
    "a b",
    "x-y",
    "日本",
    "push 0",
    "end_group",
    "{",
    '"q"',
]
TEXTS = ["", "plain", "two words", 'a "quote"', "br[ack]et {brace} $dollar \\back", "Zeile\nzwei", "ß∂ƒ", "#x;y", "0.5"]
PATHS = ["scans/a.####.exr", "b [v1].%04d.exr", "/abs/c$d.####.dpx", "mit leer/e.####.exr", "f\\g.exr", "ü.exr"]


def random_document(
    rng: random.Random, registry: Registry
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return nodes and sections of a valid document."""
    nodes: dict[str, dict[str, Any]] = {}
    outputs: list[str] = []
    sources = [name for name in registry if not registry[name].inputs]
    others = [name for name in registry if registry[name].inputs]
    names = NAMES + [f"n{index}" for index in range(30)]
    rng.shuffle(names)
    for index in range(rng.randrange(2, 14)):
        kind = registry[rng.choice(sources if index == 0 or rng.random() < 0.2 else others)]
        name = names[index]
        inputs = {}
        for port in kind.inputs:
            if not port.optional or rng.random() < 0.6:
                inputs[port.name] = rng.choice(outputs)
        nodes[name] = {"type": kind.id, "inputs": inputs, "params": _params(rng, kind)}
        outputs += [name, *(f"{name}.{port.name}" for port in kind.outputs)]
    sections: dict[str, dict[str, Any]] = {}
    if rng.random() < 0.5:
        sections["shot"] = {"cuts": sorted(rng.sample(range(-50, 2000), rng.randrange(1, 4)))}
    if rng.random() < 0.3:
        sections["graph"] = {"provenance": rng.random() < 0.5, "description": rng.choice(TEXTS)}
    if rng.random() < 0.3:
        sections["colour"] = {"config": "ocio://default", "context": {"SHOT": rng.choice(TEXTS)}}
    return nodes, sections


def _params(rng: random.Random, kind: Node) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for parameter in describe(kind)["parameters"]:
        if not parameter["required"] and rng.random() < 0.4:
            continue
        for _ in range(20):
            trial = {**found, parameter["name"]: _value(rng, parameter)}
            if _accepted(kind, trial, parameter["name"]):
                found = trial
                break
    assert _accepted(kind, found, "", whole=True), (kind.id, found)
    return found


def _accepted(kind: Node, values: dict[str, Any], name: str, *, whole: bool = False) -> bool:
    try:
        type(kind).Params.model_validate(values)
    except ValidationError as error:
        # While it is built up, a document may still lack what comes later.
        return not whole and all(one["type"] == "missing" for one in error.errors())
    return True


def _value(rng: random.Random, parameter: dict[str, Any]) -> Any:
    if parameter["kind"] == "path":
        return rng.choice(PATHS)
    bounds = parameter["range"]
    low = bounds.get("ge", bounds.get("gt", -5))
    high = bounds.get("le", bounds.get("lt", max(low, 0) + 100))
    kind = rng.choice([kind for kind in kinds_of(parameter) if kind != "none"])
    if kind == "choice":
        return rng.choice(parameter["choices"])
    if kind == "bool":
        return rng.random() < 0.5
    if kind == "int":
        return rng.choice([int(low), int(high), rng.randint(int(low), int(high))])
    if kind == "float":
        return rng.choice([float(low), float(high), rng.uniform(low, high), 1 / 3])
    if kind == "list":
        return [rng.randrange(4, 400) for _ in range(rng.choice([0, 4]))]
    return rng.choice(TEXTS)
