"""Interleaved samples of a file's own type to and from planes of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from safelight.graph.device import Device
from safelight.graph.image import Array
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch

Samples = npt.NDArray[Any]

BITS = {"uint8": 8, "uint10": 10, "uint12": 12, "uint16": 16}
"""Significant bits of the whole-number types; all but uint8 lie in 16-bit samples, high bits first."""

_KINDS = {"uint8": 0, "uint10": 1, "uint12": 1, "uint16": 1, "half": 2, "float": 3, "uint32": 3}
_DTYPES = {"uint8": np.uint8, "uint10": np.uint16, "uint12": np.uint16, "uint16": np.uint16, "half": np.float16,
           "float": np.float32, "uint32": np.uint32, "double": np.float64}  # fmt: skip
_RUN = 2048  # sl::RUN in samples.h


def dtype_of(kind: str) -> np.dtype[Any]:
    """Return the numpy type that holds samples of type `kind`."""
    return np.dtype(_DTYPES[kind])


def unpack(samples: Samples, kind: str, device: Device, *, out: Array | None = None, isa: str | None = None) -> Array:
    """Turn (H, W, C) samples into (C, H, W) float32.

    Halfs and floats keep their value and, of NaNs, the payload; whole numbers of n bits become code / (2^n - 1);
    `uint32` (ids) travels as its bits, because float32 cannot hold every number; `double` is rounded to float32.
    """
    height, width, planes = samples.shape
    result = np.empty((planes, height, width), np.float32) if out is None else out
    if not result.size:
        return result
    if not samples[0].flags.c_contiguous:
        samples = np.ascontiguousarray(samples)
    if kind == "double":
        with np.errstate(over="ignore", invalid="ignore"):
            result[...] = np.moveaxis(samples, 2, 0)
        return result
    run = max(1, _RUN // planes)
    bits = BITS.get(kind, 16)
    launch(
        Device("cpu", device.threads),
        "unpack",
        Region(0, 0, -(-width // run), height),
        isa=isa,
        out=(result, Region.sized(width, height)),
        kind=_KINDS[kind],
        planes=planes,
        run=run,
        shift=0 if kind == "uint8" else 16 - bits,
        most=float(2**bits - 1),
        source=samples,
    )
    return result


def pack(planes: Array, kind: str, device: Device, *, isa: str | None = None) -> Samples:
    """Turn (C, H, W) float32 into (H, W, C) samples of a file's type.

    `float` and `half` never clamp (a half beyond 65520 is infinite) and keep NaN payloads. Whole numbers are clamped
    to 0..1 times their largest code and rounded to the nearest, halves up, without dither; NaN becomes 0. `uint10`
    and `uint12` lie in the high bits of 16, their own high bits repeated below. `uint32` takes the bits.
    """
    count, height, width = planes.shape
    out = np.empty((height, width, count), _DTYPES[kind])
    if not out.size:
        return out
    if kind == "double":
        out[...] = np.moveaxis(planes, 0, 2)
        return out
    if planes.strides[2] != 4:
        planes = np.ascontiguousarray(planes)
    run = max(1, _RUN // count)
    bits = BITS.get(kind, 16)
    launch(
        Device("cpu", device.threads),
        "pack",
        Region(0, 0, -(-width // run), height),
        isa=isa,
        out=out,
        kind=_KINDS[kind],
        planes=count,
        run=run,
        shift=0 if kind == "uint8" else 16 - bits,
        most=float(2**bits - 1),
        source=(planes, Region.sized(width, height)),
    )
    return out
