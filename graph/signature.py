"""Signatures: one hash that changes when, and only when, a picture may.

A hash of node id, version, parameters and the signatures of the inputs' frames that the picture is made from. Readers
add path, size and time of the frame's file, colour nodes their config, whole-shot analyses their result. A node that
hands on an input (`identity`) has that input's signature.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from safelight.graph.graph import Graph
from safelight.graph.node import Node, Request
from safelight.graph.params import Params, extra
from safelight.graph.plan import Need, clamped_needs

Place = tuple[str, str, int]
"""Node, output, frame."""


def canonical(data: Any) -> str:
    """Return plain data as one line of JSON, the same for equal data."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def digest(data: Any) -> str:
    """Return a SHA-256 of plain data, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical(data).encode()).hexdigest()


def picture_params(params: Params) -> dict[str, Any]:
    """Return the parameters that can change a pixel, as plain data."""
    fields = type(params).model_fields
    return {
        name: value
        for name, value in params.model_dump(mode="json").items()
        if extra(fields[name]).get("picture", True)
    }


class Signatures:
    """Signatures of one graph; each is computed once. Files are looked at when first asked for."""

    def __init__(self, graph: Graph, analyses: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        self._graph = graph
        self._known: dict[Place, str] = {}
        self._analyses = analyses or {}
        self._static: dict[str, str] = {}

    def of(self, node: str, output: str, frame: int) -> str:
        """Return the signature of one output picture (its whole data window)."""
        place = (node, output, frame)
        if place not in self._known:
            self._fill(place)
        return self._known[place]

    def written(self, sink: str, frame: int) -> str:
        """Return the signature of the file a sink writes: its input's picture and how it is written."""
        pictures = [self.of(need.node, need.output, need.frame) for need in self._needs(sink, frame)]
        return digest([self._own(sink, frame), pictures])

    def _fill(self, place: Place) -> None:
        # A stack instead of recursion, as chains may be long.
        stack = [place]
        while stack:
            name, output, frame = stack[-1]
            if (name, output, frame) in self._known:
                stack.pop()
                continue
            needs = self._needs(name, frame)
            open_needs = [p for need in needs if (p := (need.node, need.output, need.frame)) not in self._known]
            if open_needs:
                stack += open_needs
            else:
                self._sign(name, frame, needs)
                stack.pop()

    def _needs(self, name: str, frame: int) -> list[Need]:
        graph = self._graph
        extent = graph.clips[name][graph.nodes[name].outputs[0].name].extent_at(frame)
        return clamped_needs(graph, name, Request(frame, extent))

    def _sign(self, name: str, frame: int, needs: list[Need]) -> None:
        graph = self._graph
        node, params = graph.nodes[name], graph.params[name]
        outputs = [port.name for port in node.outputs]
        feeds = [
            (need.port, need.output, need.frame - frame, self._known[need.node, need.output, need.frame])
            for need in needs
        ]
        base = digest([self._own(name, frame), frame, feeds])
        for index, port in enumerate(outputs):
            self._known[name, port, frame] = base if index == 0 else digest([base, port])
        identity = node.identity(params, Request(frame, graph.clips[name][outputs[0]].extent_at(frame)))
        source = graph.links[name].get(identity) if identity is not None else None
        if source is not None:
            self._known[name, outputs[0], frame] = self._known[source.node, source.output, frame]

    def _own(self, name: str, frame: int) -> str:
        """Return what the node itself contributes."""
        graph = self._graph
        node, params = graph.nodes[name], graph.params[name]
        if name not in self._static:
            analysis = self._analyses.get(name)
            self._static[name] = digest(
                [
                    node.id,
                    node.version,
                    picture_params(params),
                    node.fingerprint(params, None, graph.settings),
                    digest(analysis) if analysis is not None else "",
                    *self._record(node),
                ]
            )
        return self._static[name] + node.fingerprint(params, frame, graph.settings)

    def _record(self, node: Node) -> list[str]:
        """Return what the document's [graph] changes in a node's pictures; nothing for a plain document."""
        settings = self._graph.settings
        recorded = ["provenance"] if settings.provenance and not node.inputs else []
        return recorded + (["forensic"] if settings.forensic else [])
