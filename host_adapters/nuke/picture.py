"""A document as Nuke's node graph shows it: `python -m safelight.host_adapters.nuke.picture GRAPH PICTURE`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from safelight.graph.document import load_document
from safelight.host_adapters.nuke.nk.script import Node
from safelight.host_adapters.nuke.plugin import safelight_names as names
from safelight.host_adapters.nuke.to_nk import nodes_of

WIDE, HIGH, EDGE = 300, 76, 24
_BACK, _LINE, _TEXT, _FAINT = (122, 122, 122), (28, 28, 28), (255, 255, 255), (214, 214, 214)
_SIZES = (24, 19)


def draw(nodes: Sequence[Node], done: Sequence[str] = (), stale: Sequence[str] = ()) -> Image.Image:
    """Draw nodes at their places.

    Parameters
    ----------
    done, stale:
        Names of nodes shown with a result, and with one that is not up to date; others show none yet.
    """
    fonts = [ImageFont.load_default(size) for size in _SIZES]
    places = {node: (int(node.text("xpos")) * 2 + EDGE, int(node.text("ypos")) * 5 // 4 + EDGE) for node in nodes}
    size = max(x for x, _ in places.values()) + WIDE + EDGE, max(y for _, y in places.values()) + HIGH + EDGE
    picture = Image.new("RGB", size, _BACK)
    pen = ImageDraw.Draw(picture)
    for node, (x, y) in places.items():
        for index, up in enumerate(node.inputs):
            if up is not None and up in places:
                end = x + WIDE * (index + 1) // (len(node.inputs) + 1), y
                pen.line([(places[up][0] + WIDE // 2, places[up][1] + HIGH), end], _LINE, 3)
                pen.polygon([end, (end[0] - 6, y - 13), (end[0] + 6, y - 13)], _LINE)
    for node, (x, y) in places.items():
        kind, below = node.text(names.TYPE) or node.kind, node.name
        tile = int(node.text("tile_color") or "0", 16)
        if node.children is not None:
            state, tile = names.EMPTY, names.EMPTY_TILE
            if node.name in done:
                state, tile = "rendered", names.FRESH_TILE
            elif node.name in stale:
                state, tile = "STALE", names.STALE_TILE
            below = f"{below}: {state}"
        pen.rounded_rectangle([x, y, x + WIDE, y + HIGH], 6, tuple(tile.to_bytes(4, "big")[:3]))
        for words, font, colour, at in ((kind, fonts[0], _TEXT, 24), (below, fonts[1], _FAINT, 54)):
            pen.text((x + WIDE // 2, y + at), words, colour, font, anchor="mm")
    return picture


if __name__ == "__main__":
    shown = nodes_of(load_document(sys.argv[1]))
    result = [node.name for node in shown if node.children is not None]
    draw(shown, done=result[:2], stale=result[2:3]).save(sys.argv[2], lossless=True)
