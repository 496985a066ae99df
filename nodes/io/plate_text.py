"""A small stroke font for the Plate's sign: line segments only, so that letters are the same on every machine."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt

# Polylines on a grid 4 wide and 6 high, y down; "x y x y ..." with ";" between strokes.
GLYPHS = {
    " ": "",
    "-": "1 3 3 3",
    ".": "2 6 2 6",
    ":": "2 2 2 2;2 5 2 5",
    "0": "1 0 3 0 4 1 4 5 3 6 1 6 0 5 0 1 1 0;1 5 3 1",
    "1": "1 1 2 0 2 6;1 6 3 6",
    "2": "0 1 1 0 3 0 4 1 4 2 0 6 4 6",
    "3": "0 1 1 0 3 0 4 1 4 2 3 3 1.5 3;3 3 4 4 4 5 3 6 1 6 0 5",
    "4": "3 6 3 0 0 4 4 4",
    "5": "4 0 0 0 0 2.5 3 2.5 4 3.5 4 5 3 6 1 6 0 5",
    "6": "4 1 3 0 1 0 0 1 0 5 1 6 3 6 4 5 4 4 3 3 1 3 0 4",
    "7": "0 0 4 0 1.5 6",
    "8": "1 3 0 2 0 1 1 0 3 0 4 1 4 2 3 3 1 3 0 4 0 5 1 6 3 6 4 5 4 4 3 3",
    "9": "4 2 3 3 1 3 0 2 0 1 1 0 3 0 4 1 4 5 3 6 1 6 0 5",
    "A": "0 6 2 0 4 6;0.8 4 3.2 4",
    "E": "4 0 0 0 0 6 4 6;0 3 3 3",
    "F": "4 0 0 0 0 6;0 3 3 3",
    "G": "4 1 3 0 1 0 0 1 0 5 1 6 3 6 4 5 4 3 2.5 3",
    "H": "0 0 0 6;4 0 4 6;0 3 4 3",
    "I": "2 0 2 6;1 0 3 0;1 6 3 6",
    "L": "0 0 0 6 4 6",
    "M": "0 6 0 0 2 3 4 0 4 6",
    "P": "0 6 0 0 3 0 4 1 4 2 3 3 0 3",
    "R": "0 6 0 0 3 0 4 1 4 2 3 3 0 3;2 3 4 6",
    "S": "4 1 3 0 1 0 0 1 0 2 1 3 3 3 4 4 4 5 3 6 1 6 0 5",
    "T": "0 0 4 0;2 0 2 6",
}
ADVANCE = 5.6
"""From one letter to the next, on the grid."""


def strokes(text: str, x: float, y: float, height: float, weight: float) -> npt.NDArray[np.float64]:
    """Return the segments of a line of text: rows x0, y0, x1, y1, radius.

    Parameters
    ----------
    text:
        Letters of `GLYPHS`; KeyError for another.
    x, y:
        Upper left corner of the first letter, in pixels.
    height:
        Height of a capital, in pixels.
    weight:
        Thickness of a stroke, in pixels.
    """
    scale = height / 6
    rows: list[tuple[float, float, float, float, float]] = []
    for index, letter in enumerate(text):
        left = x + index * ADVANCE * scale
        for line in filter(None, GLYPHS[letter].split(";")):
            numbers = [float(number) for number in line.split()]
            points = [(left + a * scale, y + b * scale) for a, b in zip(numbers[::2], numbers[1::2], strict=True)]
            rows += [(*p, *q, weight / 2) for p, q in itertools.pairwise(points)]
    return np.array(rows, dtype=np.float64).reshape(-1, 5).T
