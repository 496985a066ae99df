"""Reads kernel files: which there are, and what arguments each takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).parent

_GRID = np.dtype([(n, "<i4") for n in ("x0", "y0", "x1", "y1", "lo", "hi", "threads", "reserved")], align=True)
_PLANES = np.dtype(
    [("p", "<u8"), ("plane", "<i8"), ("row", "<i8")]
    + [(n, "<i4") for n in ("x0", "y0", "w", "h", "planes", "reserved")],
    align=True,
)
_TABLE = np.dtype([("p", "<u8"), ("n", "<i4"), ("planes", "<i4"), ("low", "<f4"), ("scale", "<f4")], align=True)
_RAW = np.dtype([("p", "<u8"), ("row", "<i8")], align=True)
_TYPES = {
    "Grid": _GRID,
    "In": _PLANES,
    "InOwn": _PLANES,
    "Out": _PLANES,
    "Table": _TABLE,
    "Raw": _RAW,
    "float": "<f4",
    "int": "<i4",
    "unsigned": "<u4",
}
_STRUCT = re.compile(r"struct\s+(\w+)_args\s*\{(.*?)\};", re.S)
_MEMBER = re.compile(r"(?:sl::)?(\w+)\s+([^;]+);")


@dataclass(frozen=True)
class Field:
    """One argument: its name, the C type (In, InOwn, Out, Table, Raw, float, int, unsigned), its length if an array."""

    name: str
    type: str
    length: int = 0
    bound: bool = True
    """For Out: whether the kernel writes it at grid coordinates, so that the launch layer can check the bounds."""


@dataclass(frozen=True)
class KernelSource:
    """One kernel as its file declares it."""

    name: str
    path: Path
    kind: str
    """`PIXEL`, `ITEM`, or another driver's name."""
    fields: tuple[Field, ...]
    dtype: np.dtype[np.void]


@cache
def kernels() -> dict[str, Path]:
    """Return every kernel file by kernel name."""
    return {path.name.removesuffix(".kernel.h"): path for path in sorted(FOLDER.rglob("*.kernel.h"))}


@cache
def find(name: str) -> KernelSource:
    """Parse one kernel file.

    Raises KeyError for an unknown name, ValueError for a file whose struct cannot be read.
    """
    path = kernels()[name]
    text = re.sub(r"//[^\n]*", "", path.read_text())
    struct = next((m for m in _STRUCT.finditer(text) if m.group(1) == name), None)
    kind = re.search(rf"SL_(\w+)_KERNEL\({name}\)", text)
    if struct is None or kind is None:
        raise ValueError(f"{path}: no 'struct {name}_args' or no SL_…_KERNEL({name})")
    fields = []
    for type_name, names in _MEMBER.findall(struct.group(2)):
        if type_name not in _TYPES:
            raise ValueError(f"{path}: '{type_name}' is not a type a kernel may take")
        for declared in names.split(","):
            match = re.fullmatch(r"\s*(\w+)(?:\[(\d+)\])?\s*", declared)
            if match is None:
                raise ValueError(f"{path}: cannot read the member '{declared.strip()}'")
            bound = kind.group(1) == "PIXEL"
            fields.append(Field(match.group(1), type_name, int(match.group(2) or 0), bound))
    if not fields or fields[0].type != "Grid":
        raise ValueError(f"{path}: 'struct {name}_args' must begin with 'sl::Grid grid;'")
    dtype = np.dtype(
        [(f.name, _TYPES[f.type], (f.length,)) if f.length else (f.name, _TYPES[f.type]) for f in fields], align=True
    )
    return KernelSource(name, path, kind.group(1), tuple(fields[1:]), dtype)
