"""A net for holes that no other frame shows: what it adds to a fill from the surroundings, cell by cell.

It sees the picture coded (`coding`), its holes already filled by what runs on from their edges, and where they are;
what it gives is *added* there: nothing at all is an honest answer. Pixels are taken two by two into a picture of half
the size, which goes through three sizes and back (a U-Net; Ronneberger et al. 2015). The first kernels sum to 0 over
the picture: a brighter one gets the same additions.

Cells of CELL pixels lie on a grid fixed to the frame and are seen with MARGIN pixels around, which is more than a
result depends on: each pixel is computed by the same operations wherever it lies and whatever else is filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.nodes.resolution.learned.models import FOLDER, available, weights_at
from safelight.nodes.resolution.learned.sampling import mirror
from safelight.nodes.resolution.learned.storing import broken, checked, of_kind, write

if TYPE_CHECKING:
    import torch

Planes = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
Weights = Mapping[str, Any]
"""Tensors by name: `a0.weight` (out, in, 3, 3), `a0.bias` (out), …, in the order of `FillShape.sizes`."""

KIND = "fill 1"
"""What a file holds; raised when the same weights would mean another picture."""
CELL = 96
MARGIN = 48
"""Pixels around a cell that are seen; a result depends on fewer. Both are multiples of GRID."""
GRID = 8
"""Pixels of the coarsest size's pixel: windows begin at whole ones."""
LEAK = 0.1
"""Slope of the units below 0: one that is shut for good would learn nothing more."""
SWING = 0.5
"""How far a result may leave the range of the pixels within NEAR, in parts of that range."""
NEAR = 12


@dataclass(frozen=True)
class FillShape:
    """What a net is, apart from its weights: channels at a half, a quarter and an eighth of the size."""

    near: int = 24
    middle: int = 48
    far: int = 64

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Planes in and out of each layer."""
        a, b, c = self.near, self.middle, self.far
        return {
            "a0": (16, a), "a1": (a, a), "b0": (a, b), "b1": (b, b), "c0": (b, c), "c1": (c, c), "c2": (c, c),
            "b2": (c + b, b), "a2": (b + a, a), "a3": (a, 12),
        }  # fmt: skip

    @property
    def parameters(self) -> int:
        """Count the weights."""
        return sum(9 * i * o + o for i, o in self.sizes.values())


@dataclass(frozen=True, eq=False)
class StoredFill:
    """A net as it lies on disk."""

    shape: FillShape
    arrays: Mapping[str, npt.NDArray[np.float32]]
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Recipe and figures, for a person."""


# --- the net ---------------------------------------------------------------------------------------------------------


def fresh(shape: FillShape, seed: int) -> dict[str, torch.Tensor]:
    """Return weights to begin from: He's for ReLU, the last layer nothing, so that training starts at the fill from the
    surroundings and no unit is driven shut to get there."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, (i, o) in shape.sizes.items():
        spread = 0.0 if name == "a3" else (2 / (9 * i)) ** 0.5
        weights[f"{name}.weight"] = torch.randn(o, i, 3, 3, generator=generator) * spread
        weights[f"{name}.bias"] = torch.zeros(o)
    centre(weights)
    return weights


def centre(weights: Weights) -> None:
    """Make the first layer's kernels sum to 0 over each colour plane, in place."""
    first = weights["a0.weight"]
    for plane in range(3):
        part = first[:, 4 * plane : 4 * plane + 4]
        part -= part.mean((1, 2, 3), keepdim=True)


def added(weights: Weights, x: torch.Tensor) -> torch.Tensor:
    """Return what the net adds: (N, 4, H, W), coded R, G, B and the hole (1; else 0) → (N, 3, H, W).

    H and W are multiples of GRID. Beyond the edges lies nothing: results within MARGIN of them depend on that.
    """
    import torch
    import torch.nn.functional as nn

    def layer(name: str, values: torch.Tensor, stride: int = 1) -> torch.Tensor:
        made = nn.conv2d(values, weights[f"{name}.weight"], weights[f"{name}.bias"], stride=stride, padding=1)
        return made if name == "a3" else nn.leaky_relu_(made, LEAK)

    def doubled(values: torch.Tensor) -> torch.Tensor:
        return nn.interpolate(values, scale_factor=2, mode="nearest")

    half = layer("a1", layer("a0", nn.pixel_unshuffle(x, 2)))
    quarter = layer("b1", layer("b0", half, 2))
    eighth = layer("c2", layer("c1", layer("c0", quarter, 2)))
    quarter = layer("b2", torch.cat([doubled(eighth), quarter], 1))
    half = layer("a2", torch.cat([doubled(quarter), half], 1))
    return nn.pixel_shuffle(layer("a3", half), 2)


# --- running it ------------------------------------------------------------------------------------------------------


def filled(
    net: StoredFill, code: Planes, hole: Bools, *, corner: tuple[int, int] = (0, 0), device: Device | None = None
) -> Planes:
    """Return a picture whose holes a net has worked on.

    Parameters
    ----------
    code:
        (C, H, W), coded, finite, its holes filled from their surroundings. Three planes are R, G, B; of any other
        number each is filled by itself, as a grey picture.
    hole:
        (H, W): what is to be filled. No other pixel changes.
    corner:
        y and x of the first pixel in the frame, to which the grid of cells is fixed.
    device:
        How many threads; the bits do not depend on it.

    Returns
    -------
    (C, H, W) coded. No value leaves the range of the pixels within NEAR by more than SWING of it.
    """
    import torch

    out = code.copy()
    height, width = hole.shape
    corners = [
        (y, x)
        for y in range(-(corner[0] % CELL), height, CELL)
        for x in range(-(corner[1] % CELL), width, CELL)
        if hole[max(0, y) : y + CELL, max(0, x) : x + CELL].any()
    ]
    weights = {
        name: torch.from_numpy(array).contiguous(
            memory_format=torch.channels_last if array.ndim == 4 else torch.contiguous_format
        )
        for name, array in net.arrays.items()
    }
    groups = [code] if len(code) == 3 else [np.repeat(plane[None], 3, 0) for plane in code]

    def work(at: tuple[int, int]) -> None:
        y, x = at
        rows, columns = (
            mirror(size, CELL + MARGIN, CELL + MARGIN)[CELL + first :][: CELL + 2 * MARGIN]
            for size, first in ((height, y), (width, x))
        )
        window = hole[rows[:, None], columns[None]]
        own = slice(max(0, y), min(y + CELL, height)), slice(max(0, x), min(x + CELL, width))
        inner = tuple(slice(MARGIN + part.start - a, MARGIN + part.stop - a) for part, a in zip(own, at, strict=True))
        here = hole[own]
        for number, planes in enumerate(groups):
            seen = planes[:, rows[:, None], columns[None]]
            stacked = np.concatenate([seen, window[None].astype(np.float32)])[None]
            # Whether gradients are kept is each thread's own setting.
            with torch.inference_mode():
                given = torch.from_numpy(np.ascontiguousarray(stacked))
                more = added(weights, given.contiguous(memory_format=torch.channels_last))[0].numpy()
            made = _bounded(seen + more, seen)[:, inner[0], inner[1]]
            if len(code) == 3:
                out[:, own[0], own[1]][:, here] = made[:, here]
            else:
                out[number, own[0], own[1]][here] = made.mean(0)[here]

    # One thread to a cell, so that no sum is ever shared out.
    many = max(1, (device or Device()).threads)
    with ThreadPoolExecutor(many, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        for _ in pool.map(work, corners):
            pass
    return out


def _bounded(made: Planes, seen: Planes) -> Planes:
    from scipy.ndimage import maximum_filter, minimum_filter

    size = (1, 2 * NEAR + 1, 2 * NEAR + 1)
    low, high = minimum_filter(seen, size), maximum_filter(seen, size)
    slack = np.float32(SWING) * (high - low)
    return np.asarray(np.clip(made, low - slack, high + slack), np.float32)


# --- on disk ---------------------------------------------------------------------------------------------------------


def shipped() -> Path:
    """Return the file that comes with Safelight."""
    return FOLDER / "fill.safetensors"


def save(path: Path, stored: StoredFill) -> None:
    """Write a net."""
    says = {"kind": KIND, **asdict(stored.shape), "notes": dict(stored.notes)}
    write(path, says, stored.arrays)


def find(path: Path | None = None) -> StoredFill:
    """Return the shipped net or that of a path, checked; refuse where nets cannot run, and what is no net for holes."""
    available()
    path = path or shipped()
    weights_at(path, "Use .safetensors, as safelight train --net fill writes it.")
    facts = path.stat()
    return _loaded(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=2)
def _loaded(path: Path, time: int, size: int) -> StoredFill:
    return load(path)


def load(path: Path) -> StoredFill:
    """Read a net of ours for holes, whole and finite."""
    from safetensors.numpy import load_file

    says = of_kind(path, KIND, "they fill no holes", "Use what safelight train --net fill writes.")
    try:
        shape = FillShape(*(int(says[name]) for name in ("near", "middle", "far")))
        arrays = load_file(str(path))
    except Exception as error:
        raise broken(path, error) from None
    checked(arrays, shape.sizes, path)
    return StoredFill(shape, arrays, dict(says.get("notes", {})))
