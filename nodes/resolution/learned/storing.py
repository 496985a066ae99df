"""Weights of our own nets on disk: safetensors that say what they are, checked on the way in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.errors import GraphError
from safelight.nodes.resolution.learned.nets import Shape

MARK = "safelight"
"""Entry of the header that tells our own files."""
KINDS = {1: "plain luma 1", 3: "plain colour 1"}
"""What they hold, by planes: see `nets`. Raised when the same weights would mean another picture."""

REDUCTIONS = ("bicubic", "area")
"""How pictures came to have few pixels: by a scaler's kernel, or each the mean light of what it covers."""


@dataclass(frozen=True, eq=False)
class Stored:
    """A net as it lies on disk."""

    shape: Shape
    arrays: Mapping[str, npt.NDArray[np.float32]]
    repairs: bool = False
    """Trained on damaged pictures, to enlarge what lies under the damage."""
    ranges: tuple[float, ...] = ()
    """Largest value that enters each layer, on the held-out pictures: the steps of 8-bit arithmetic."""
    notes: Mapping[str, Any] = field(default_factory=dict)
    """Recipe and figures, for a person."""
    reduction: str = "bicubic"
    """One of `REDUCTIONS`: what made the pictures that it learned from, and what its results are brought back by."""


def save(path: Path, stored: Stored, *, half: bool = False) -> None:
    """Write a net; with `half` in 16 bits a weight."""
    says = {
        "kind": KINDS[stored.shape.planes],
        **asdict(stored.shape),
        "repairs": stored.repairs,
        **({} if stored.reduction == REDUCTIONS[0] else {"reduction": stored.reduction}),
        "ranges": list(stored.ranges),
        "notes": dict(stored.notes),
    }
    write(path, says, stored.arrays, half=half)


def write(path: Path, says: Mapping[str, Any], arrays: Mapping[str, Any], *, half: bool = False) -> None:
    """Write weights and what their header says, by a file beside it that takes its place at the end."""
    from safetensors.numpy import save_file

    beside = path.with_name(f".{path.name}.part")
    kind = np.float16 if half else np.float32
    save_file(
        {name: np.ascontiguousarray(array, kind) for name, array in arrays.items()},
        str(beside),
        {MARK: json.dumps(says)},
    )
    beside.replace(path)


def header(path: Path) -> Mapping[str, Any] | None:
    """Return what a safetensors file of ours says of itself; None of somebody else's. Refuse what is no whole file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), "numpy") as held:
            says = (held.metadata() or {}).get(MARK)
        return None if says is None else dict(json.loads(says))
    except FileNotFoundError:
        raise GraphError("there are no such weights", file=path, remedy="Mend the path.") from None
    except (SafetensorError, OSError, ValueError, TypeError) as error:
        raise broken(path, error) from None


def of_kind(path: Path, kind: str, lack: str, remedy: str) -> Mapping[str, Any]:
    """Return what a file of this kind of ours says of itself; refuse others, which `lack` (they fill no holes)."""
    says = header(path)
    if says is None or says.get("kind") != kind:
        other = "without a header of Safelight" if says is None else f"of the kind '{says.get('kind')}'"
        raise GraphError(f"weights {other}: {lack}", file=path, remedy=remedy)
    return says


def broken(path: Path, error: BaseException) -> GraphError:
    """Return the error of a file that is cut off, damaged or no safetensors at all."""
    with path.open("rb") as start:
        first = start.read(2)
    if first in (b"PK", b"\x80\x02", b"\x80\x04"):
        return GraphError(
            "is a pickle with the name of a safetensors file",
            file=path,
            remedy="Name it .pth and allow pickled weights, or convert it to safetensors.",
        )
    reason = " ".join(str(error).split()) or type(error).__name__
    return GraphError(f"is no whole safetensors file ({reason})", file=path, remedy="Fetch or copy it again.")


def load(path: Path) -> Stored:
    """Read a net of ours, whole and finite."""
    from safetensors.numpy import load_file

    says = header(path)
    if says is None or says.get("kind") not in KINDS.values():
        kind = "without a header of Safelight" if says is None else f"of the kind '{says.get('kind')}'"
        raise GraphError(f"weights {kind}", file=path, remedy="Use a newer Safelight, or other weights.")
    reduction = str(says.get("reduction", REDUCTIONS[0]))
    if reduction not in REDUCTIONS:
        raise GraphError(
            f"weights for a reduction '{reduction}'", file=path, remedy="Use a newer Safelight, or other weights."
        )
    try:
        planes = next(count for count, kind in KINDS.items() if kind == says["kind"])
        shape = Shape(int(says["channels"]), int(says["layers"]), int(says["scale"]), planes)
        arrays = {name: array.astype(np.float32) for name, array in load_file(str(path)).items()}
        ranges = tuple(float(value) for value in says.get("ranges", ()))
    except Exception as error:
        raise broken(path, error) from None
    checked(arrays, {str(k): size for k, size in enumerate(shape.sizes)}, path)
    return Stored(shape, arrays, bool(says.get("repairs", False)), ranges, dict(says.get("notes", {})), reduction)


def checked(arrays: Mapping[str, Any], sizes: Mapping[str, tuple[int, int]], path: Path) -> None:
    """Refuse weights that are not those of 3×3 convolutions of these planes in and out, by name; and NaN."""
    shapes: dict[str, tuple[int, ...]] = {f"{k}.weight": (o, i, 3, 3) for k, (i, o) in sizes.items()}
    shapes |= {f"{k}.bias": (o,) for k, (_, o) in sizes.items()}
    if {name: array.shape for name, array in arrays.items()} != shapes:
        raise GraphError("its tensors are not those that its header tells of", file=path, remedy="Train or fetch it.")
    finite(arrays, path)


def finite(arrays: Mapping[str, Any], path: Path) -> None:
    """Refuse weights with NaN or infinities: one of them blackens every picture."""
    for name, array in arrays.items():
        if not np.isfinite(np.asarray(array, np.float64)).all():
            raise GraphError(
                f"the weights '{name}' are not all numbers", file=path, remedy="Fetch or train them again."
            )


def digest(path: Path) -> str:
    """Return a hash of the file: what a signature holds of it."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise GraphError(f"cannot be read ({error.strerror})", file=path, remedy="Mend the path.") from None
