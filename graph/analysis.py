"""Whole-shot analyses: run once before a render, kept in a small file that a person can read.

The sidecar lies beside the document, in `NAME.safelight/NODE.analysis.json` for a document NAME.toml, so that every
chunk and every farm task of the shot works from the same numbers. It is taken as it stands when its key fits; run
again when the same plate has changed or the node's parameters have; refused when it was made from another plate, since
then either the document or the sidecar is not the one that was meant.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, SafelightError
from safelight.graph.execute import Executor
from safelight.graph.graph import Graph, Source
from safelight.graph.image import Image
from safelight.graph.node import Request, Settings
from safelight.graph.params import extra
from safelight.graph.plan import Target, plan
from safelight.graph.progress import Progress, Silent, Stage
from safelight.graph.provenance import bare
from safelight.graph.signature import Signatures, digest, picture_params

FORMAT = 1


def sidecar_path(graph: Graph, name: str) -> Path | None:
    """Return where a node's analysis is kept; None for a graph without a document file."""
    if graph.path is None:
        return None
    return graph.path.resolve().with_suffix(".safelight") / f"{name}.analysis.json"


def run_analyses(
    graph: Graph,
    device: Device,
    *,
    budget: int,
    progress: Progress | None = None,
    cancel: threading.Event | None = None,
) -> dict[str, Mapping[str, Any]]:
    """Bring every analysis that the graph wants up to date; return their results by node.

    Raises
    ------
    GraphError
        A sidecar is broken, of a newer version, or belongs to another plate.
    """
    progress = progress or Silent()
    results: dict[str, Mapping[str, Any]] = {}
    for name in graph.order:
        node, params = graph.nodes[name], graph.params[name]
        if not node.wants_analysis(params):
            continue
        signatures = Signatures(graph, results)
        looks = looks_of(graph, name)
        parameters = dict(node.analysis_params(params))
        asked: list[Any] = []
        for port, (source, requests) in looks.items():
            pictures = [signatures.of(source.node, source.output, request.frame) for request in requests]
            asked += [] if port == node.inputs[0].name else [port]
            asked += [pictures, [str(request.region) for request in requests]]
        key = digest([node.id, node.version, parameters, *asked])
        plate = plate_of(graph, name)
        path = sidecar_path(graph, name)
        kept = _load(path, name, plate) if path is not None else None
        if kept is not None:
            same = kept.get("key") == key
            if same and node.analysis_stands(params, kept["result"]):
                results[name] = kept["result"]
                continue
            why = "a file of its analysis has gone" if same else "the plate or its parameters changed"
            progress.note(f"node '{name}': {why}, so the shot is analysed again")
        made = _Made(graph, name, looks, device, budget, progress, cancel, results)
        try:
            found = node.analyse(params, made, graph.input_clips(name), device)
        except SafelightError as error:
            raise error.at(where=f"node '{name}' ({node.id}), whole-shot analysis") from None
        # Through JSON and back, so that the first render sees the very numbers that later ones read.
        result: dict[str, Any] = json.loads(json.dumps(found))
        results[name] = result
        if result.get("note"):  # what a person should know of it, such as that there is nothing to do
            progress.note(f"node '{name}': {result['note']}")
        if path is not None:
            content = {
                "safelight_analysis": FORMAT,
                "node": name,
                "type": node.id,
                "version": node.version,
                "plate": plate,
                "parameters": parameters,
                "key": key,
                "result": result,
            }
            _store(path, content, progress)
    return results


def plate_of(graph: Graph, name: str) -> list[str]:
    """Return what tells one plate from another: the files (or generators) above a node, and the picture's size."""

    above = nx.ancestors(graph.net, name)
    plate = []
    for up in graph.order:
        if up in above and not graph.links[up]:
            fields = type(graph.params[up]).model_fields
            params = picture_params(graph.params[up])
            files = [str(params[field]) for field in params if extra(fields[field]).get("kind") == "path"]
            plate.append(f"{graph.nodes[up].id} {' '.join(files) or json.dumps(params, sort_keys=True)}")
    first = next(iter(graph.input_clips(name).values()))
    return [*plate, str(first.display)]


def looks_of(graph: Graph, name: str) -> dict[str, tuple[Source, Sequence[Request]]]:
    """Return by port where an analysis looks, and at what."""
    node, links = graph.nodes[name], graph.links[name]
    asked = node.analysis_requests(graph.params[name], graph.input_clips(name))
    by_port = asked if isinstance(asked, Mapping) else {node.inputs[0].name: asked}
    return {port: (links[port], requests) for port, requests in by_port.items() if port in links}


@dataclass
class _Made:
    """The pictures that a node's analysis asked for."""

    graph: Graph
    name: str
    looks: Mapping[str, tuple[Source, Sequence[Request]]]
    device: Device
    budget: int
    progress: Progress
    cancel: threading.Event | None
    analyses: Mapping[str, Mapping[str, Any]]

    @property
    def settings(self) -> Settings:
        return self.graph.settings

    def __iter__(self) -> Iterator[tuple[int, Image]]:
        return self.of(self.graph.nodes[self.name].inputs[0].name)

    def of(self, port: str) -> Iterator[tuple[int, Image]]:
        if port not in self.looks:
            return
        source, requests = self.looks[port]
        stage = Stage(f"analyse {self.name}", len(requests), self.progress)
        targets = [Target(source.node, source.output, request.frame, request.region) for request in requests]
        made = plan(self.graph, targets)
        executor = Executor(
            self.graph, made, self.device, budget=self.budget, cancel=self.cancel, analyses=self.analyses
        )
        for target, image in executor.run():
            assert isinstance(image, Image)
            yield target.frame, bare(image)
            stage.advance(target.frame, executor.live_bytes)


def _load(path: Path, name: str, plate: list[str]) -> dict[str, Any] | None:
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise GraphError("the analysis cannot be read", where=f"node '{name}'", file=path, remedy=str(error)) from None
    remedy = "Delete the file, and the shot is analysed again."
    try:
        kept = json.loads(text)
    except ValueError as error:
        raise GraphError(
            f"the analysis is no JSON ({error})", where=f"node '{name}'", file=path, remedy=remedy
        ) from None
    if not isinstance(kept, dict) or not isinstance(kept.get("result"), dict) or "plate" not in kept:
        raise GraphError("this is no analysis", where=f"node '{name}'", file=path, remedy=remedy)
    if kept.get("safelight_analysis") != FORMAT:
        raise GraphError(
            f"the analysis is of format {kept.get('safelight_analysis')}, not {FORMAT}",
            where=f"node '{name}'",
            file=path,
            remedy="Update Safelight, or delete the file.",
        )
    if kept["plate"] != plate:
        raise GraphError(
            f"the analysis belongs to another plate ({'; '.join(map(str, kept['plate']))})",
            where=f"node '{name}'",
            file=path,
            remedy="Delete the file to analyse this plate, or keep each shot's document under a name of its own.",
        )
    return kept


def _store(path: Path, content: Mapping[str, Any], progress: Progress) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        temporary.replace(path)
    except OSError as error:
        progress.note(f"{path}: the analysis could not be kept ({error.strerror}); the next render makes it again")
