"""Calls a kernel by name on numpy or CuPy pixels: one call, wherever the pixels are.

A kernel NAME lives in `NAME.kernel.h`. Its `struct NAME_args` is the only description of its arguments: it is read
here to build the same struct for the shared library (a pointer to it) and for CUDA (the struct by value).
"""

from __future__ import annotations

import ctypes
import os
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from safelight.graph.device import Device
from safelight.graph.image import Image
from safelight.graph.region import Region
from safelight.nodes.kernels.source import Field, KernelSource, find

# What an In or Out argument may be: an image, or planes (C, H, W) or (H, W) with the region they cover.
Planes = Image | tuple[Any, Region]


def launch(device: Device, name: str, region: Region, *, reach: int = 0, isa: str | None = None, **args: Any) -> None:
    """Run kernel `name` for every pixel (or item) of `region`.

    Parameters
    ----------
    device:
        Where the arrays are; `device.threads` is the number of CPU threads.
    name:
        Kernel name, as in `NAME.kernel.h`.
    region:
        Pixels to make, in the coordinates of the arrays' regions; items for an item kernel.
    reach:
        How far to the left and right the kernel loads. Rows above and below, and columns beyond the inputs, are
        clamped to the input's border by the kernel itself.
    isa:
        Build to use on the CPU (`scalar`, `v2`, `v3`, `v4`, `neon`); default: the best this machine runs.
    **args:
        One value for each field of the struct after `grid`: planes for In, InOwn and Out, a float32 array (n,) or
        (planes, n) with (low, high) for Table, an array of any type whose first axis counts rows for Raw, numbers for
        the rest.

    Raises
    ------
    TypeError
        An argument is missing, unknown, or of the wrong kind: a programming error, never a user's.
    """
    if not region:
        return
    source = find(name)
    keep: list[Any] = []
    block = np.zeros((), dtype=source.dtype)
    low, high = -(2**30), 2**30
    for field in source.fields:
        if field.name not in args:
            raise TypeError(f"kernel {name} needs '{field.name}'")
        value = args.pop(field.name)
        if field.type in ("In", "InOwn", "Out"):
            array, covers = _planes(value, field, name)
            keep.append(array)
            _fill_planes(block[field.name], array, covers)
            if field.type == "In" and covers:
                low, high = max(low, covers.x0), min(high, covers.x1)
            if field.type == "Out" and field.bound and not covers.contains(region):
                raise TypeError(f"kernel {name} would write {region} outside '{field.name}' {covers}")
        elif field.type == "Table":
            keep.append(_fill_table(block[field.name], value, device))
        elif field.type == "Raw":
            if value.ndim < 2 or (value[0].size and not value[0].flags.c_contiguous):
                raise TypeError(f"kernel {name}: the rows of '{field.name}' must be contiguous")
            keep.append(value)
            block[field.name]["p"], block[field.name]["row"] = _pointer(value), value.strides[0]
        else:
            block[field.name] = value
    if args:
        raise TypeError(f"kernel {name} has no argument {sorted(args)}")
    grid = block["grid"]
    grid["x0"], grid["y0"], grid["x1"], grid["y1"] = region.x0, region.y0, region.x1, region.y1
    grid["lo"], grid["hi"] = low + reach, high - reach
    grid["threads"] = max(1, device.threads)
    if device.kind == "cuda":
        from safelight.nodes.kernels.cuda import run

        run(source, block, region)
    else:
        _function(name, isa or best_isa())(block.ctypes.data)


def _planes(value: Planes, field: Field, kernel: str) -> tuple[Any, Region]:
    array, covers = (value.data, value.region) if isinstance(value, Image) else value
    if array.ndim == 2:
        array = array[None]
    if array.dtype != np.float32 or array.ndim != 3 or (array.shape[2] > 1 and array.strides[2] != 4):
        if field.type == "Out":
            raise TypeError(f"kernel {kernel}: '{field.name}' must be float32 with consecutive columns")
        array = _contiguous(array)
    if (array.shape[1], array.shape[2]) != (covers.height, covers.width):
        raise TypeError(f"kernel {kernel}: '{field.name}' is {array.shape} where its region is {covers}")
    return array, covers


def _contiguous(array: Any) -> Any:
    if isinstance(array, np.ndarray):
        return np.ascontiguousarray(array, dtype=np.float32)
    import cupy

    return cupy.ascontiguousarray(array, dtype=np.float32)


def _pointer(array: Any) -> int:
    return int(array.ctypes.data) if isinstance(array, np.ndarray) else int(array.data.ptr)


def _fill_planes(slot: Any, array: Any, covers: Region) -> None:
    slot["p"] = _pointer(array)
    slot["plane"], slot["row"] = array.strides[0] // 4, array.strides[1] // 4
    slot["x0"], slot["y0"], slot["w"], slot["h"] = covers.x0, covers.y0, covers.width, covers.height
    slot["planes"] = array.shape[0]


def _fill_table(slot: Any, value: Any, device: Device) -> Any:
    samples, (low, high) = value
    table = device.xp.ascontiguousarray(device.xp.atleast_2d(device.xp.asarray(samples, dtype=np.float32)))
    slot["p"], slot["n"], slot["planes"] = _pointer(table), table.shape[1], table.shape[0]
    slot["low"], slot["scale"] = low, (table.shape[1] - 1) / (high - low)
    return table


@cache
def _library() -> ctypes.CDLL:
    # An editable install keeps the built library beside the installed package, not beside this file.
    import safelight.nodes.kernels as here

    folders = [Path(__file__).parent, *map(Path, here.__path__), *_installed()]
    for folder in folders:
        for suffix in (".so", ".dylib", ".dll"):
            path = folder / f"safelight_kernels{suffix}"
            if path.exists():
                return ctypes.CDLL(str(path))
    raise ImportError("safelight's kernels are not built: install the project (pip install .)")


def _installed() -> list[Path]:
    from importlib.metadata import PackageNotFoundError, files

    try:
        found = files("safelight") or []
    except PackageNotFoundError:
        return []
    return [Path(str(file.locate())).parent for file in found if file.name.startswith("safelight_kernels")]


@cache
def isas() -> tuple[str, ...]:
    """Return the builds this machine can run, best last."""
    library = _library()
    if not hasattr(library, "safelight_cpu_level"):
        return ("scalar", "neon")
    level = int(library.safelight_cpu_level())
    scalar = ("scalar",) if level >= 3 else ()
    return (*scalar, *(f"v{number}" for number in range(2, level + 1)))


@cache
def best_isa() -> str:
    """Return the build used by default; `SAFELIGHT_ISA` chooses another (for tests and for hunting a difference)."""
    chosen = os.environ.get("SAFELIGHT_ISA", "")
    return chosen if chosen in isas() else isas()[-1]


@cache
def _function(name: str, isa: str) -> Any:
    library = _library()
    size = int(getattr(library, f"{name}_size_{isa}")())
    expected = find(name).dtype.itemsize
    if size != expected:
        raise ImportError(f"kernel {name}: built with {size} bytes of arguments, source says {expected}; install again")
    function = getattr(library, f"{name}_{isa}")
    function.argtypes = [ctypes.c_void_p]
    function.restype = None
    return function


__all__ = ["KernelSource", "best_isa", "isas", "launch"]
