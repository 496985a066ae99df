"""A graph as a small picture: boxes from left to right, in SVG without any script."""

from __future__ import annotations

from html import escape

import networkx as nx

from safelight.graph.graph import Graph

BOX_W, BOX_H, GAP_X, GAP_Y = 128, 40, 34, 12


def svg(graph: Graph) -> str:
    """Draw a graph: each node right of those that feed it."""
    column: dict[str, int] = {}
    for name in graph.order:
        above = [column[up] for up in graph.net.predecessors(name)]
        column[name] = max(above) + 1 if above else 0
    lanes: dict[int, int] = {}
    place: dict[str, tuple[int, int]] = {}
    for name in graph.order:
        # A node stays on the line of its first feeder where that place is free.
        ups = list(dict.fromkeys(graph.net.predecessors(name)))
        want = place[ups[0]][1] if ups else 0
        lane = max(want, lanes.get(column[name], 0))
        lanes[column[name]] = lane + 1
        place[name] = column[name], lane
    width = (max(x for x, _ in place.values()) + 1) * (BOX_W + GAP_X) - GAP_X + 2
    height = (max(y for _, y in place.values()) + 1) * (BOX_H + GAP_Y) - GAP_Y + 2
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" {size}>']
    for up, down, port in nx.MultiDiGraph(graph.net).edges(keys=True):
        x0, y0 = _corner(place[up])
        x1, y1 = _corner(place[down])
        x0, y0, y1 = x0 + BOX_W, y0 + BOX_H // 2, y1 + BOX_H // 2
        middle = (x0 + x1) // 2
        curve = f"M{x0} {y0} C{middle} {y0} {middle} {y1} {x1} {y1}"
        parts.append(f'<path class="edge" d="{curve}"><title>{escape(port)}</title></path>')
    for name, spot in place.items():
        x, y = _corner(spot)
        node = graph.nodes[name]
        kind = "file" if node.sink or node.source else "node"
        parts.append(
            f'<g class="{kind}"><rect x="{x}" y="{y}" width="{BOX_W}" height="{BOX_H}" rx="4"/>'
            f'<text x="{x + BOX_W // 2}" y="{y + 17}">{escape(node.id)}</text>'
            f'<text class="name" x="{x + BOX_W // 2}" y="{y + 32}">{escape(_note(graph, name))}</text></g>'
        )
    return "".join(parts) + "</svg>"


def _corner(spot: tuple[int, int]) -> tuple[int, int]:
    return spot[0] * (BOX_W + GAP_X) + 1, spot[1] * (BOX_H + GAP_Y) + 1


def _note(graph: Graph, name: str) -> str:
    """Say what a node is about: its stock, its folder, else its name."""
    params = graph.params[name]
    stock, path = getattr(params, "stock", ""), getattr(params, "path", "")
    return str(stock) or str(path).replace("\\", "/").rpartition("/")[2] or name
