"""Mattes that obey a list of defects, and still say what was found before."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from safelight.graph.image import Clip, Image
from safelight.nodes.damage.defects import Defects

FOUND = "found"
"""Channel of a matte that obeys a list: the matte as it was found, before the list was obeyed. Repair judges frames by
it, so that what a person decides of one place moves nothing in another."""


def matte_channels(path: Path | None, *inputs: Clip) -> tuple[str, ...]:
    """Return the channels of a matte that obeys a list, if there is one, or is made of such mattes."""
    return ("A", FOUND) if path is not None or any(FOUND in clip.channels for clip in inputs) else ("A",)


def obeyed(path: Path | None, matte: Image, frame: int) -> Image:
    """Return a frame's matte as a node's list has it, with what was found in the channel `found`; the very same matte
    where there is no list."""
    if path is None:
        return matte
    edited = Defects.load(path).apply(matte, frame)
    return replace(edited, data=np.concatenate([edited.data[:1], matte.data[-1:]]), channels=matte_channels(path))


def as_found(matte: Image) -> Image:
    """Return a matte as it was before any list was obeyed, one channel."""
    if FOUND not in matte.channels:
        return matte
    at = matte.channels.index(FOUND)
    return replace(matte, data=matte.data[at : at + 1], channels=("A",))
