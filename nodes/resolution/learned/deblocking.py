"""A net for what a codec's quantiser took from luma: what it adds to Deblock's classical result, tile by tile.

It sees the classical result and what that took away, both over the quantiser's step, so that one net serves all
qualities, and where in its block a pixel lies. 2 × 2 pixels are one place of the net (pixel unshuffle): residual blocks
of 3×3 convolutions run on a quarter of the pixels. What it gives, times the step, is *added*: nothing at all is an
honest answer. The first kernels sum to 0 over the classical result: a brighter picture gets the same additions.

Tiles lie on the codec's grid, are of one size whatever the picture, and are seen with `Shape.halo` pixels around, which
is all that a result depends on: each is worked on by one thread, by the same operations.

References: He et al. 2016 (residual blocks), Shi et al. 2016 (pixel shuffle), Zhang et al. 2018 (a net told the
strength of what it is to remove).
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

Plane = npt.NDArray[np.float32]
Weights = Mapping[str, Any]
"""Tensors by name: `head.weight` (out, in, 3, 3), `head.bias` (out), `0a.weight`, …, in the order of `Shape.sizes`."""

KIND = "deblock 1"
"""What a file holds; raised when the same weights would mean another picture."""
CELL = 2
"""Pixels of a side that are one place of the net."""
BLOCK = 8
"""Pixels of a codec's block."""
TILE = 384
"""Pixels of a tile's side without the halo, whole blocks."""
LIGHT, LOST = 25.0, 0.5
"""Fifths of the quantiser's step that are 1 to the net, in the classical result and in what that took away."""
SEEN = 8192.0
"""8-bit codes beyond which light is not told apart: 4000 times white."""
MOST = 10.0
"""How far a result may leave the classical one, in fifths of the step."""


@dataclass(frozen=True)
class Shape:
    """What a net is, apart from its weights."""

    channels: int = 32
    blocks: int = 5
    """Residual blocks, of two convolutions each."""

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Planes in and out of each layer."""
        c, cells = self.channels, CELL * CELL
        middle = {f"{k}{part}": (c, c) for k in range(self.blocks) for part in "ab"}
        return {"head": (2 * cells + 4, c), **middle, "tail": (c, cells)}

    @property
    def halo(self) -> int:
        """Pixels on every side of a place that results in it depend on at most, whole blocks."""
        return -(-CELL * len(self.sizes) // BLOCK) * BLOCK

    @property
    def parameters(self) -> int:
        """Count the weights."""
        return sum(9 * i * o + o for i, o in self.sizes.values())


@dataclass(frozen=True, eq=False)
class Stored:
    """A net as it lies on disk."""

    shape: Shape
    arrays: Mapping[str, Plane]
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Recipe and figures, for a person."""


# --- the net ---------------------------------------------------------------------------------------------------------


def fresh(shape: Shape, seed: int) -> dict[str, torch.Tensor]:
    """Return weights to begin from: He's for ReLU, blocks that change little, the last layer nothing, so that training
    starts at the classical result."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    weights = {}
    for name, (i, o) in shape.sizes.items():
        spread = 0.0 if name == "tail" else (2 / (9 * i)) ** 0.5 * (0.3 if name[-1] == "b" else 1)
        weights[f"{name}.weight"] = torch.randn(o, i, 3, 3, generator=generator) * spread
        weights[f"{name}.bias"] = torch.zeros(o)
    centre(weights)
    return weights


def centre(weights: Weights) -> None:
    """Make the first layer's kernels sum to 0 over the classical result, in place."""
    part = weights["head.weight"][:, : CELL * CELL]
    part -= part.mean((1, 2, 3), keepdim=True)


def told(coded: torch.Tensor, smooth: torch.Tensor, size: Any) -> torch.Tensor:
    """Return what a net is shown of luma as coded and cleaned, (N, 1, H, W), in 8-bit codes: (N, 12, H / 2, W / 2).

    H and W are multiples of BLOCK, and a block begins at (0, 0). `size`: a fifth of the quantiser's step, one or
    (N, 1, 1, 1). What is no number, or beyond SEEN, is shown as what is not.
    """
    import torch
    import torch.nn.functional as nn

    light = torch.nan_to_num(smooth).clamp(-SEEN, SEEN) / (LIGHT * size)
    lost = (torch.nan_to_num(coded - smooth) / size).clamp(-MOST, MOST) / LOST
    seen = nn.pixel_unshuffle(torch.cat([light, lost], 1), CELL)
    shape = len(seen), 2, *seen.shape[2:]
    down, across = (_places(n).to(seen.device) for n in shape[2:])
    return torch.cat([seen, down[:, :, None].expand(shape), across[:, None].expand(shape)], 1)


def _places(count: int) -> torch.Tensor:
    """Return sine and cosine of the way through a block, (2, count), from a block's first place on."""
    import torch

    turn = 2 * torch.pi * CELL / BLOCK * (torch.arange(count) % (BLOCK // CELL) + 0.5)
    return torch.stack([turn.sin(), turn.cos()])


def added(weights: Weights, x: torch.Tensor, padding: int = 0) -> torch.Tensor:
    """Return what the net adds, in fifths of the step: (N, 12, h, w), as `told` makes them → (N, 1, 2 h', 2 w').

    Without padding each layer takes a place off every side; with 1, nothing lies beyond the edges.
    """
    import torch.nn.functional as nn

    def layer(name: str, values: torch.Tensor) -> torch.Tensor:
        return nn.conv2d(values, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=padding)

    x = layer("head", x)
    cut = 2 * (1 - padding)
    for k in range(len(weights) // 4 - 1):
        more = layer(f"{k}b", nn.relu_(layer(f"{k}a", nn.relu(x))))
        x = x[..., cut : x.shape[-2] - cut, cut : x.shape[-1] - cut] + more
    return nn.pixel_shuffle(layer("tail", nn.relu(x)), CELL).clamp(-MOST, MOST)


# --- running it ------------------------------------------------------------------------------------------------------


def corrected(
    net: Stored, coded: Any, smooth: Any, size: float, corner: tuple[int, int], device: Device | None = None
) -> Any:
    """Return luma that a net has worked on.

    Parameters
    ----------
    coded, smooth:
        (H, W), in 8-bit codes, finite: as the codec left it, and the classical result. Edges go on as their mirror.
    size:
        A fifth of the quantiser's step, in 8-bit codes.
    corner:
        y and x of a pixel where a block begins, counted from the first pixel; any whole numbers.
    device:
        Where, and how many threads; the bits do not depend on those.

    Returns
    -------
    (H, W), where `smooth` lies. No value is further than MOST × `size` from it.
    """
    import torch

    from safelight.nodes.resolution.learned.enlarge import placed

    device = device or Device()
    place, xp = placed(device), device.xp
    given, base = (np.ascontiguousarray(a if isinstance(a, np.ndarray) else a.get()) for a in (coded, smooth))
    out = base.copy()
    (height, width), halo = base.shape, net.shape.halo
    spare = halo - CELL * len(net.shape.sizes)
    weights = {
        name: torch.from_numpy(np.array(array))
        .to(place)
        .contiguous(memory_format=torch.channels_last if array.ndim == 4 else torch.contiguous_format)
        for name, array in net.arrays.items()
    }
    first = [at % BLOCK - BLOCK if at % BLOCK else 0 for at in corner]
    corners = [(y, x) for y in range(first[0], height, TILE) for x in range(first[1], width, TILE)]

    def work(at: tuple[int, int]) -> None:
        rows, columns = (
            mirror(size, halo + BLOCK, TILE + halo)[BLOCK + begins :][: TILE + 2 * halo]
            for size, begins in zip((height, width), at, strict=True)
        )
        # Whether gradients are kept is each thread's own setting.
        with torch.inference_mode():
            shown = [torch.from_numpy(a[rows[:, None], columns[None]])[None, None].to(place) for a in (given, base)]
            x = told(shown[0], shown[1], size).contiguous(memory_format=torch.channels_last)
            more = (added(weights, x)[0, 0] * size).cpu().numpy()
        own = [slice(max(0, begins), min(begins + TILE, end)) for begins, end in zip(at, (height, width), strict=True)]
        inner = [
            slice(spare + part.start - begins, spare + part.stop - begins) for part, begins in zip(own, at, strict=True)
        ]
        out[own[0], own[1]] += more[inner[0], inner[1]]

    # One thread to a tile, so that no sum is ever shared out.
    many = max(1, device.threads) if place.type == "cpu" else 1
    with (
        torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False),
        ThreadPoolExecutor(many, initializer=torch.set_num_threads, initargs=(1,)) as pool,
    ):
        for _ in pool.map(work, corners):
            pass
    return xp.asarray(out)


# --- on disk ---------------------------------------------------------------------------------------------------------


def shipped() -> Path:
    """Return the file that comes with Safelight."""
    return FOLDER / "deblock.safetensors"


def save(path: Path, stored: Stored) -> None:
    """Write a net, 16 bits a weight."""
    says = {"kind": KIND, **asdict(stored.shape), "notes": dict(stored.notes)}
    write(path, says, stored.arrays, half=True)


def find(path: Path | None = None) -> Stored:
    """Return the shipped net or that of a path, checked; refuse where nets cannot run, and what is none for blocks."""
    available()
    path = path or shipped()
    weights_at(path, "Use .safetensors, as safelight.nodes.resolution.learned.training.deblocking writes it.")
    facts = path.stat()
    return _loaded(path, facts.st_mtime_ns, facts.st_size)


@lru_cache(maxsize=2)
def _loaded(path: Path, time: int, size: int) -> Stored:
    return load(path)


def load(path: Path) -> Stored:
    """Read a net of ours for blocks, whole and finite."""
    from safetensors.numpy import load_file

    says = of_kind(
        path, KIND, "they take out no blocks", "Use what safelight.nodes.resolution.learned.training.deblocking writes."
    )
    try:
        shape = Shape(int(says["channels"]), int(says["blocks"]))
        arrays = {name: array.astype(np.float32) for name, array in load_file(str(path)).items()}
    except Exception as error:
        raise broken(path, error) from None
    checked(arrays, shape.sizes, path)
    return Stored(shape, arrays, dict(says.get("notes", {})))
