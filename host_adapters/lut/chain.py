"""The colour-only part of a graph as a function of one colour."""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt

from safelight.colour.config import ColourConfig, config_for
from safelight.graph.device import Device
from safelight.graph.errors import GraphError, did_you_mean
from safelight.graph.graph import Graph
from safelight.graph.image import Clip, Image
from safelight.graph.node import Inputs, Node, Request
from safelight.graph.params import Params
from safelight.graph.region import Region
from safelight.graph.render import pull

Colours = npt.NDArray[np.float32]
WIDTH = 1024
"""Colours in a row of the picture that they travel in."""


class _Colours(Node):
    """A picture in memory, in place of the graph's Read."""

    id = "safelight:colours"
    inputs = ()
    source = True
    tileable = False
    devices = ("cpu",)

    def __init__(self, pixels: Colours) -> None:
        self._pixels = pixels

    def extent(self, params: Params, inputs: Any) -> Clip:
        """One frame."""
        window = Region.sized(self._pixels.shape[2], self._pixels.shape[1])
        return Clip(1, 1, window, window)

    def compute(self, params: Params, request: Request, inputs: Inputs, device: Device) -> Image:
        """The colours asked for."""
        whole = Region.sized(self._pixels.shape[2], self._pixels.shape[1])
        return Image(self._pixels, whole).crop(request.region)


class Chain:
    """What a graph does to a colour between its Read and its Write.

    Parameters
    ----------
    graph:
        All nodes between must work pixel by pixel, without frame or place (`Node.pointwise`).
    write:
        The Write that ends the chain, if there are several.
    source, target:
        Colour spaces that colours come and go in; empty for those that Read and Write name, or scene-linear.

    Raises
    ------
    GraphError
        A node looks at more than its pixel, measures the shot, or there is more than one picture: named.
    """

    def __init__(self, graph: Graph, device: Device, write: str = "", source: str = "", target: str = "") -> None:
        self._graph, self._device = graph, device
        sinks = graph.sinks
        if write and write not in sinks:
            raise GraphError(f"there is no Write '{write}'", file=graph.path, remedy=did_you_mean(write, sinks))
        if not sinks or (len(sinks) > 1 and not write):
            raise GraphError(
                f"the graph has {len(sinks)} nodes that write: {', '.join(sinks) or 'none'}",
                file=graph.path,
                remedy="Say with --write which one ends the colour chain." if sinks else "Add a Write.",
            )
        self.write = write or sinks[0]
        above = nx.ancestors(graph.net, self.write)
        self.nodes = [name for name in graph.order if name in above and graph.nodes[name].inputs]
        reads = [name for name in graph.order if name in above and not graph.nodes[name].inputs]
        self._refuse(reads)
        self.read = reads[0]
        feeding = next(iter(graph.links[self.write].values()))
        self._end, self._output = feeding.node, feeding.output
        self.config: ColourConfig = config_for(graph.settings)
        self.source = self.config.resolve(source or self._space(self.read))
        self.target = self.config.resolve(target or self._space(self.write))
        self.meant = self._meant()
        """The space that the numbers going out are in: a Convert at the end leaves its target's."""

    def _refuse(self, reads: list[str]) -> None:
        graph = self._graph
        for name in self.nodes:
            node = graph.nodes[name]
            if not node.pointwise or node.wants_analysis(graph.params[name]):
                why = "measures the shot" if node.pointwise else "looks at more than one pixel, or at its place"
                raise GraphError(
                    f"{node.id} {why}: a table of colours cannot hold it",
                    where=f"node '{name}'",
                    file=graph.path,
                    remedy="Export a document of the colour nodes alone (Convert and others that work pixel by pixel).",
                )
        if len(reads) != 1:
            raise GraphError(
                f"the chain begins with {len(reads)} pictures: {', '.join(reads)}",
                file=graph.path,
                remedy="A table of colours has one picture coming in.",
            )

    def _space(self, name: str) -> str:
        space = str(getattr(self._graph.params[name], "colourspace", "auto"))
        return "scene_linear" if space == "auto" else space

    def _meant(self) -> str:
        left = str(getattr(self._graph.params[self._end], "target", ""))
        return self.config.resolve(left) if left and self.target == self.config.working else self.target

    @property
    def linear(self) -> bool:
        """Whether the colours that come in are scene-linear."""
        space = self.config.config.getColorSpace(self.source)
        return self.source == self.config.working or (space is not None and space.getEncoding() == "scene-linear")

    def __call__(self, colours: Colours) -> Colours:
        """Return what becomes of colours (3, n) in `source`, in `target`."""
        count = colours.shape[1]
        rows = -(-count // WIDTH)
        pixels = np.zeros((3, rows * WIDTH), np.float32)
        pixels[:, :count] = colours
        pixels = pixels.reshape(3, rows, WIDTH)
        config, cpu = self.config, Device("cpu", self._device.threads)
        pixels = config.convert(pixels, self.source, config.working, cpu)
        old = self._graph
        names = [self.read, *self.nodes]
        nodes = {name: old.nodes[name] for name in names} | {self.read: _Colours(pixels)}
        params = {name: old.params[name] for name in names} | {self.read: Params()}
        links = {name: old.links[name] for name in self.nodes}
        graph = Graph(nodes, params, links, old.settings)
        ((_, image),) = pull(graph, self._end, self._output, device=self._device)
        made = config.convert(np.ascontiguousarray(image.data[:3]), config.working, self.target, cpu)
        return np.asarray(made, np.float32).reshape(3, -1)[:, :count]
