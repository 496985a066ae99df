"""What the grain nodes ask of their input."""

from __future__ import annotations

from safelight.graph.errors import GraphError
from safelight.graph.image import Clip, colour_planes


def require_picture(clip: Clip) -> None:
    """Refuse a clip that holds mattes or data alone: raises GraphError before anything renders."""
    if not colour_planes(clip.channels):
        raise GraphError(
            f"there is no R, G, B or Y among the channels {', '.join(clip.channels)}",
            where="input 'input'",
            remedy="Feed a picture; mattes and depth have no grain.",
        )
