"""A stand-in for CuPy where there is no GPU: strict about what lies where.

Its arrays live in ordinary memory but behave like device arrays: numpy functions refuse them, they refuse numpy arrays
in assignments and arithmetic, and only `.get()` brings them back. Kernels run as the scalar build, which is the code
a GPU runs. It checks who moves what where, not CUDA.
"""

from __future__ import annotations

import types
from typing import Any

import numpy as np

from safelight.graph.region import Region
from safelight.nodes.kernels import launch
from safelight.nodes.kernels.source import KernelSource

LAUNCHED: list[str] = []
"""Kernels run "on the device"."""


class DeviceArray:
    """An array that numpy may not touch."""

    __array_priority__ = 1000

    def __init__(self, host: np.ndarray) -> None:
        self._host = host
        self.shape, self.dtype, self.ndim = host.shape, host.dtype, host.ndim
        self.strides, self.nbytes, self.size = host.strides, host.nbytes, host.size
        self.data = types.SimpleNamespace(ptr=host.ctypes.data)

    def get(self) -> np.ndarray:
        return self._host.copy()

    def copy(self) -> DeviceArray:
        return DeviceArray(self._host.copy())

    def reshape(self, *shape: int) -> DeviceArray:
        return DeviceArray(self._host.reshape(*shape))

    def __array__(self, *args: Any, **kwargs: Any) -> np.ndarray:
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`.")

    def __getitem__(self, key: Any) -> DeviceArray:
        return DeviceArray(self._host[_host_key(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[_host_key(key)] = _host(value)

    def all(self) -> DeviceArray:
        return DeviceArray(np.asarray(self._host.all()))

    def any(self) -> DeviceArray:
        return DeviceArray(np.asarray(self._host.any()))

    def __bool__(self) -> bool:
        return bool(self._host)

    def __invert__(self) -> DeviceArray:
        return DeviceArray(~self._host)

    def _binary(self, name: str, other: Any) -> DeviceArray:
        return DeviceArray(getattr(self._host, name)(_host(other)))


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "eq", "ne", "lt", "gt", "ge", "le", "and", "or"):
    setattr(DeviceArray, f"__{_name}__", lambda self, other, n=f"__{_name}__": self._binary(n, other))


def _host(value: Any) -> Any:
    if isinstance(value, DeviceArray):
        return value._host
    if isinstance(value, np.ndarray) and value.ndim:
        raise TypeError(f"Unsupported type {type(value)}")
    return value


def _host_key(key: Any) -> Any:
    return tuple(map(_host, key)) if isinstance(key, tuple) else _host(key)


def module() -> types.ModuleType:
    """Return what `import cupy` should give."""
    fake = types.ModuleType("cupy")

    def make(name: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> DeviceArray:
            if name in ("asarray", "array"):  # the two that take numpy arrays: a transfer
                args = tuple(a._host if isinstance(a, DeviceArray) else a for a in args)
            else:
                args = tuple(_host(a) for a in args)
            result = getattr(np, name)(*args, **kwargs)
            return DeviceArray(result.copy() if name == "asarray" else result)

        return call

    for name in (
        *("asarray", "array", "empty", "zeros", "ones", "empty_like", "zeros_like", "ascontiguousarray", "atleast_2d"),
        *("where", "isfinite", "abs", "stack", "concatenate", "full", "maximum", "rint", "clip", "pad"),
    ):
        setattr(fake, name, make(name))
    fake.float32 = np.float32  # type: ignore[attr-defined]
    fake.ndarray = DeviceArray  # type: ignore[attr-defined]
    runtime = types.SimpleNamespace(getDeviceCount=lambda: 1)
    fake.cuda = types.SimpleNamespace(runtime=runtime)  # type: ignore[attr-defined]
    return fake


def run(source: KernelSource, block: Any, region: Region) -> None:
    """Stand in for `safelight.nodes.kernels.cuda.run`."""
    LAUNCHED.append(source.name)
    launch._function(source.name, "scalar")(block.ctypes.data)
