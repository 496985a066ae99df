"""Shapes of damage from a folder: pictures with an alpha channel, and label maps drawn from scans of dusty film."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import UnidentifiedImageError
from scipy import ndimage

from safelight.graph.errors import GraphError
from safelight.nodes.damage.draws import Draws, Floats, mixed

LABELS = {50: "speck", 100: "speck", 150: "fibre", 200: "fibre"}
"""What the values of a label map stand for; 250 (a scratch) lies along the film and is no stamp."""
FAMILIES = {
    "dirt": "speck", "dots": "speck", "smut": "speck", "spots": "speck", "sprink": "speck",
    "hair": "fibre", "lint": "fibre",
    "stain": "blotch", "blotch": "blotch",
}  # fmt: skip
"""What a picture holds, by how its file name begins; others are passed over."""
_SUFFIXES = (".png", ".tif", ".tiff", ".webp")
_LEAST = 6
_MOST_PIXELS = 64_000_000


@dataclass(frozen=True, eq=False)
class Templates:
    """Cut-out shapes, each a cover from 0 to 1, in the order of their size."""

    shapes: dict[str, list[Floats]] = field(default_factory=dict)
    sizes: dict[str, Floats] = field(default_factory=dict)

    def pick(self, family: str, draws: Draws, size: float) -> Floats | None:
        """Return a shape about `size` pixels large, turned by a random quarter, maybe mirrored; None if there is none.

        For specks and blotches the size is the diameter of a disc as large, for fibres the longer side of their box.
        """
        sizes = self.sizes.get(family)
        if sizes is None:
            return None
        # Something larger is shrunk rather than something smaller blown up.
        first = min(int(np.searchsorted(sizes, 0.9 * size)), len(sizes) - 1)
        last = max(first + 1, int(np.searchsorted(sizes, 4 * size)), min(len(sizes), first + 24))
        at = min(first + draws.below(last - first), len(sizes) - 1)
        shape = np.rot90(self.shapes[family][at], draws.below(4))
        if draws.chance(0.5):
            shape = shape[:, ::-1]
        return scaled(np.ascontiguousarray(shape), size / float(sizes[at]))


def scaled(cover: Floats, factor: float) -> Floats:
    """Return a cover made `factor` times as large, with a pixel of margin."""
    if factor < 1:
        cover = ndimage.gaussian_filter(np.pad(cover, math.ceil(1 / factor) + 1), 0.42 / factor, mode="constant")
    high, wide = (max(1, math.ceil(size * factor)) + 2 for size in cover.shape)
    middle = (np.array(cover.shape) - 1) / 2
    rows = (np.arange(high) - (high - 1) / 2) / factor + middle[0]
    columns = (np.arange(wide) - (wide - 1) / 2) / factor + middle[1]
    at = np.broadcast_arrays(rows[:, None], columns[None, :])
    return np.asarray(np.clip(ndimage.map_coordinates(cover, at, order=1, mode="constant"), 0, 1), np.float64)


def listing(folder: Path) -> str:
    """Return what the shapes depend on: names, sizes and times of the folder's pictures, as a hash.

    Raises GraphError where there is no such folder, or no picture in it.
    """
    files = _files(folder)
    if not files:
        raise GraphError(
            "no templates of damage here",
            file=folder,
            remedy=f"Give a folder of pictures with alpha named {', '.join(FAMILIES)}…, or of label maps *_labels.png.",
        )
    words: list[int] = []
    for path in files:
        facts = path.stat()
        words += [*path.relative_to(folder).as_posix().encode(), facts.st_size, facts.st_mtime_ns]
    return f"{mixed(*words):016x}"


@lru_cache(maxsize=2)
def load(folder: Path, listed: str) -> Templates:
    """Cut the shapes out of all pictures in a folder and those below it.

    Raises GraphError where a picture cannot be read.
    """
    found: dict[str, list[Floats]] = {}
    for path in _files(folder):
        try:
            with Pillow.open(path) as picture:
                if picture.width * picture.height > _MOST_PIXELS:
                    raise GraphError("this template is too large", file=path, remedy="Cut it into smaller ones.")
                labelled = path.stem.endswith("_labels")
                pixels = np.asarray(picture.convert("L") if labelled else picture.convert("RGBA").getchannel("A"))
        except (OSError, UnidentifiedImageError, SyntaxError) as error:
            raise GraphError(f"this template cannot be read: {error}", file=path) from None
        if labelled:
            for value, family in LABELS.items():
                pieces = _pieces((pixels == value).astype(np.float64))
                # Outlines drawn by hand make plates of the hairs that lie in coils.
                slender = [p for p in pieces if family != "fibre" or p.sum() < 0.12 * max(p.shape) ** 2]
                found.setdefault(family, []).extend(slender)
        else:
            found.setdefault(_family(path), []).extend(_pieces(pixels / 255.0))
    shapes, sizes = {}, {}
    for family, pieces in found.items():
        measured = np.array([_size(family, piece) for piece in pieces])
        order = np.argsort(measured, kind="stable")
        if len(order):
            shapes[family], sizes[family] = [pieces[i] for i in order], measured[order]
    return Templates(shapes, sizes)


def _files(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise GraphError("there is no such folder of templates", file=folder)
    paths = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    return sorted(path for path in paths if path.stem.endswith("_labels") or _family(path))


def _family(path: Path) -> str:
    return next((family for name, family in FAMILIES.items() if path.stem.lower().startswith(name)), "")


def _pieces(cover: Floats) -> list[Floats]:
    """Return the connected shapes of a picture, without specks too small to have a shape."""
    marks, _ = ndimage.label(cover > 0.12, structure=np.ones((3, 3)))
    pieces = []
    for number, box in enumerate(ndimage.find_objects(marks), 1):
        own = marks[box] == number
        if np.count_nonzero(own) >= _LEAST:
            pieces.append(np.where(own, cover[box], 0.0))
    return pieces


def _size(family: str, piece: Floats) -> float:
    if family == "fibre":
        return float(max(piece.shape))
    return 2 * math.sqrt(np.count_nonzero(piece > 0.3) / math.pi) if (piece > 0.3).any() else 1.0
