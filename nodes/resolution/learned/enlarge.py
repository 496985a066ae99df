"""Pictures enlarged by nets: scene-linear in and out, tile by tile, and held to what their pixels say.

Light is coded (`coding`), enlarged by Lanczos, and what the net adds is laid on: a net for luma adds the same to R, G
and B, so that colour differences are resampled and never invented. Then the result is moved, by the least filter that
does it (`sampling.returning`), until reducing it gives the input back: Keys' cubic (a = -1/2) stretched by the scale,
on the coded values. That pulls the net's errors out and leaves what it invented between the samples.

Tiles have one shape, whatever the picture and the memory, and overlap by `halo`: each pixel is computed by the same
operations in the same order wherever it lies, so its bits depend on the pixels within the halo alone.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.errors import GraphError, RenderError
from safelight.nodes.resolution.learned.binning import blocks, returned
from safelight.nodes.resolution.learned.coding import LUMA, decode, encode
from safelight.nodes.resolution.learned.models import DEFAULT, NAMES, PRECISIONS, Net, available, find
from safelight.nodes.resolution.learned.sampling import REACH, enlarged, mirror, reduced, returning, spread

if TYPE_CHECKING:
    import torch

__all__ = ["available", "departure", "enlarge", "halo"]

Planes = npt.NDArray[np.float32]

TILE = 192
"""Input pixels of a tile's side without the halo, on a processor: its planes stay near the cache."""
GPU_TILE = 512
LEAST_TILE = 64
SWING = 0.5
"""How far the enlarged picture may leave the range of the 3×3 input pixels around, in parts of that range: nets that
meet what they were never shown (a light of 400 beside 0.1) would swing further."""
RETURN = REACH + 2
"""Input pixels that the way back to the data looks at on every side: the filter's, and the reduction's 2."""
MENDED = 2
"""Pixels around a missing one that stand in for it."""
TWICE = 8
"""The scale for which a picture goes through two nets, 4 times and 2 times."""
TOE = 0.01
"""Scene-linear light under which a difference counts less and less stops."""


def halo(model: str | Path | Net, scale: int = 2) -> int:
    """Return the input pixels on every side that an output pixel of the model depends on.

    Other people's nets may look further than anyone says: `tileable` tells.
    """
    if scale == TWICE:
        return halo(model, 4) + -(-halo(model, 2) // 4)
    net = find(model, scale) if isinstance(model, str | Path) else model
    return net.margin + RETURN + MENDED


def tileable(model: str | Path | Net, scale: int = 2) -> bool:
    """Tell whether the model's pixels depend on `halo` input pixels and nothing else.

    If not (other people's nets: attention, windows, global statistics), it must be given the whole frame, which it
    takes in tiles of its own.
    """
    net = find(model, scale) if isinstance(model, str | Path) else model
    return net.local


def enlarge(
    planes: Planes,
    scale: int,
    *,
    model: str | Path | Net = "main",
    precision: str = "float32",
    consistent: bool | None = None,
    strength: float = 1.0,
    device: Device | None = None,
    memory: int | None = None,
) -> Planes:
    """Return a picture enlarged by a net.

    Parameters
    ----------
    planes:
        (C, H, W) float32, scene-linear, unclamped; C = 1 or 3 (R, G, B). Edges go on as their mirror. A pixel that is
        not finite counts as missing, channel by channel, and is handed on as it is.
    scale:
        2, 4 or 8 (4, then 2: shipped nets only).
    model:
        `main` (also `default`) or `fast`; `main_area` or `fast_area`, of pictures whose pixels are means of light; a
        weights file, or what `models.find` gave (the way to allow pickles).
    precision:
        Of the net alone. `float32`, which `auto` means on a processor. `float16`, which it means on a GPU: within 0.1
        of an 8-bit code. `bfloat16`: within half a code. Both are quick only where the hardware has them. `int8`, for
        preview: it bands.
    consistent:
        Bring the result back to its data, so that reducing it, by the kernel that the net learned from or by means of
        light, gives the picture back. By default the net says: those trained to repair as well are not held to
        what they repaired, and other people's may be such.
    strength:
        Share of what the net adds; 0 leaves the picture enlarged by Lanczos.
    device:
        Where, and how many threads; the bits do not depend on them.
    memory:
        Bytes of working memory to keep to, at least one tile's; 0 and None: no matter.

    Returns
    -------
    (C, scale H, scale W) float32, scene-linear.

    Raises
    ------
    GraphError
        The extra is missing; the model, scale, channels or precision do not fit.
    """
    import torch

    if precision not in ("auto", *PRECISIONS):
        raise GraphError(f"unknown precision '{precision}'", remedy=f"Use auto, {', '.join(PRECISIONS)}.")
    if planes.ndim != 3 or planes.shape[0] not in (1, 3):
        raise GraphError(f"a picture of shape {planes.shape}", remedy="Give one or three planes: (C, H, W).")
    device = device or Device()
    place = placed(device)
    if precision == "auto":
        precision = "float32" if place.type == "cpu" else "float16"
    if scale == TWICE and str(model) in (DEFAULT, *NAMES):
        for part in (4, 2):
            planes = enlarge(
                planes,
                part,
                model=model,
                precision=precision,
                consistent=consistent,
                strength=strength,
                device=device,
                memory=memory,
            )
        return planes
    net = find(model, scale, channels=planes.shape[0]) if isinstance(model, str | Path) else model
    source = _tensor(planes)
    if 0 in planes.shape:
        return np.zeros((planes.shape[0], scale * planes.shape[1], scale * planes.shape[2]), np.float32)
    lost = ~torch.isfinite(source)
    some = bool(lost.any())
    held = net.consistent if consistent is None else consistent
    job = _Job(net, precision, held, _mended(source, lost) if some else source, place, strength)
    out = _run(job, device, memory)
    if some:
        whole = blocks(source, scale)
        out = torch.where(torch.isfinite(whole), out, whole)
    result: Planes = _like(out, planes)
    return result


def departure(planes: Planes, made: Planes, scale: int) -> Planes:
    """Return how far a result goes beyond what the pixels say: stops, (scale H, scale W), 0 or more.

    The measure is the most any channel differs from the picture enlarged by Lanczos and brought to the same data
    (which invents nothing); light under about 0.01 counts less. Not finite pixels depart by 0: they are handed on.
    """
    import torch

    source, result = _tensor(planes), _tensor(made)
    source = _mended(source, lost) if bool((lost := ~torch.isfinite(source)).any()) else source
    code = encode(source)
    known = enlarged(code, scale)
    known = decode(known + spread(code - reduced(known, scale), returning("cubic", scale)))
    stops = torch.log2((result.abs() + TOE) / (known.abs() + TOE)).abs()
    out: Planes = _like(torch.where(torch.isfinite(stops), stops, torch.zeros_like(stops)).amax(0), planes)
    return out


def placed(device: Device) -> torch.device:
    """Return torch's name of a device: the processor, said once, where torch was built without CUDA."""
    import torch

    if device.kind == "cuda":
        if torch.cuda.is_available():
            return torch.device("cuda")
        warnings.warn("this torch has no CUDA: nets run on the processor", RuntimeWarning, stacklevel=3)
    return torch.device("cpu")


def _mended(source: torch.Tensor, lost: torch.Tensor) -> torch.Tensor:
    """Return the planes with missing pixels filled by the mean of the 5×5 around them, by 0 where there is none."""
    import torch
    import torch.nn.functional as nn

    there = torch.where(lost, torch.zeros_like(source), source)
    side = 2 * MENDED + 1
    total, count = torch.zeros_like(source), torch.zeros_like(source)
    wide, seen = (nn.pad(x, (MENDED,) * 4) for x in (there, (~lost).to(source.dtype)))
    height, width = source.shape[1:]
    for y in range(side):
        for x in range(side):
            total = total + wide[:, y : y + height, x : x + width] / side**2
            count = count + seen[:, y : y + height, x : x + width] / side**2
    return torch.where(lost, total / count.clamp(min=0.5 / side**2), there)


@dataclass(frozen=True, eq=False)
class _Job:
    net: Net
    precision: str
    consistent: bool
    source: torch.Tensor
    place: torch.device
    strength: float = 1.0

    @property
    def margin(self) -> int:
        return self.net.margin + RETURN

    def tile(self, y: int, x: int, sides: tuple[int, int]) -> torch.Tensor:
        """Return (C, scale height, scale width) for the input pixels of a tile of those sides, from (y, x) on."""
        import torch

        net, scale, margin = self.net, self.net.scale, self.margin
        rows, columns = (
            mirror(size, margin, margin + side)[at : at + side + 2 * margin]
            for size, at, side in zip(self.source.shape[1:], (y, x), sides, strict=True)
        )
        light = self.source[:, torch.from_numpy(rows)[:, None], torch.from_numpy(columns)[None]].to(self.place)
        code = encode(light)
        if net.planes == 1 and len(code) == 3:
            r, g, b = (float(weight) for weight in LUMA)
            seen = (code[0] * r + code[1] * g + code[2] * b)[None]
        else:
            seen = code
        cut = net.margin
        made = enlarged(code, scale)[:, scale * cut : -scale * cut, scale * cut : -scale * cut]
        low, high = (bound[:, cut - 1 : 1 - cut, cut - 1 : 1 - cut] for bound in _around(code))
        if self.strength:
            more = net.added(seen, self.precision)
            made = made + (more if self.strength == 1 else more * self.strength)
        if self.consistent:
            code = code[:, cut:-cut, cut:-cut]
            spare = (high - low) * SWING
            made = made.clamp(blocks(low - spare, scale), blocks(high + spare, scale))
            if net.reduction == "area":
                return self._inner(returned(made, code, scale))
            made = self._closed(made, y - RETURN, x - RETURN)
            made = made + spread(code - reduced(made, scale), returning("cubic", scale))
        out: torch.Tensor = decode(self._inner(made).contiguous())
        return out

    def _inner(self, made: torch.Tensor) -> torch.Tensor:
        """Return the tile without what the way back to the data looks at around it."""
        cut = self.net.scale * RETURN
        return made[:, cut:-cut, cut:-cut]

    def _closed(self, made: torch.Tensor, y: int, x: int) -> torch.Tensor:
        """Return the enlarged tile, which begins at input pixel (y, x), with the picture's mirror beyond its edges.

        A net turned round is another net: what it makes of the mirrored input is not the mirror of what it makes.
        """
        import torch

        scale = self.net.scale
        ways = []
        for size, at, length in zip(self.source.shape[1:], (y, x), made.shape[1:], strict=True):
            before, end = max(0, -at) * scale, (at * scale + length) - size * scale
            way = mirror(size * scale, before, max(0, end))[max(0, at) * scale :][:length] - at * scale
            ways.append(torch.from_numpy(np.clip(way, 0, length - 1)))
        rows, columns = ways
        if all(bool((way[1:] > way[:-1]).all()) for way in ways):
            return made
        return made[:, rows[:, None], columns[None]]

    def cost(self, sides: tuple[int, int]) -> int:
        """Return about how many bytes a tile takes while it is worked on."""
        wide = (sides[0] + 2 * self.margin) * (sides[1] + 2 * self.margin)
        layer = getattr(getattr(self.net, "stored", None), "shape", None)
        planes = 2 * layer.channels if layer is not None else 512
        return 4 * wide * (planes + 8 * self.source.shape[0] * self.net.scale**2)


def _run(job: _Job, device: Device, memory: int | None) -> torch.Tensor:
    import torch

    channels, height, width = job.source.shape
    scale = job.net.scale
    out = torch.empty((channels, scale * height, scale * width), dtype=torch.float32, device=job.source.device)

    def work(corner: tuple[int, int], sides: tuple[int, int]) -> None:
        (y, x), (h, w) = corner, sides
        # Whether gradients are kept is each thread's own setting.
        with torch.inference_mode():
            made = job.tile(y, x, sides)[:, : scale * (height - y), : scale * (width - x)]
            out[:, scale * y : scale * (y + h), scale * x : scale * (x + w)] = made.to(out.device)

    if job.place.type != "cpu":
        _on_gpu(work, height, width, memory, job)
        return out
    sides = (height, width) if job.net.whole else (TILE, TILE)
    # Nets of our own run on one thread each, so that no sum is ever shared out; others use what there is.
    many = max(1, min(device.threads, (memory or 1 << 62) // job.cost(sides))) if job.net.local else 1
    threads = 1 if job.net.local else device.threads
    with ThreadPoolExecutor(many, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        for _ in pool.map(lambda corner: work(corner, sides), list(_corners(height, width, sides))):
            pass
    return out


def _on_gpu(work: Any, height: int, width: int, memory: int | None, job: _Job) -> None:
    """Go through the tiles one by one; out of memory, in smaller ones, said once."""
    import torch

    side = GPU_TILE
    while side > LEAST_TILE and memory is not None and job.cost((side, side)) > memory:
        side //= 2
    said = False
    while True:
        sides = (height, width) if job.net.whole else (side, side)
        try:
            with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
                for corner in _corners(height, width, sides):
                    work(corner, sides)
            return
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            if side <= LEAST_TILE or job.net.whole:
                raise RenderError(
                    f"the GPU has no memory for a tile of {sides[1]}x{sides[0]} pixels",
                    remedy="Free it, or use --device cpu.",
                ) from None
            side //= 2
            if not said:
                warnings.warn(f"out of GPU memory: tiles of {side} pixels from here", RuntimeWarning, stacklevel=4)
            said = True


def _corners(height: int, width: int, sides: tuple[int, int]) -> Iterator[tuple[int, int]]:
    return ((y, x) for y in range(0, height, sides[0]) for x in range(0, width, sides[1]))


def _around(code: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return least and greatest of the 3×3 around each pixel: (C, H, W) → two of (C, H - 2, W - 2)."""
    import torch

    bounds = []
    for pick in (torch.minimum, torch.maximum):
        rows = pick(pick(code[:, :-2], code[:, 1:-1]), code[:, 2:])
        bounds.append(pick(pick(rows[:, :, :-2], rows[:, :, 1:-1]), rows[:, :, 2:]))
    return bounds[0], bounds[1]


def _tensor(planes: Any) -> torch.Tensor:
    """Return planes as torch sees them: numpy's by sharing, CuPy's by DLPack, or brought here if torch has no CUDA."""
    import torch

    if not isinstance(planes, np.ndarray):
        if torch.cuda.is_available():
            return torch.utils.dlpack.from_dlpack(planes)
        planes = planes.get()
    with warnings.catch_warnings():
        # torch warns of arrays that must not be written to; nothing here writes to its input.
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(np.ascontiguousarray(planes, np.float32))


def _like(made: torch.Tensor, planes: Any) -> Any:
    if isinstance(planes, np.ndarray):
        return made.numpy()
    import cupy

    return cupy.from_dlpack(made) if made.is_cuda else cupy.asarray(made.numpy())
