"""Text on drawn pictures."""

from __future__ import annotations

from typing import Any

from PIL import ImageDraw


def wrapped(text: str, pen: ImageDraw.ImageDraw, font: Any, width: float) -> list[str]:
    """Return the lines of a text, none wider than `width` pixels but for a word that is."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if pen.textlength(longer, font) > width and lines[-1]:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines
