"""A transform on a CUDA device: OpenColorIO's own GPU shader, compiled by CuPy and held against the CPU processor.

Every transform is compared with the CPU processor on `probes` before its first use. Where the two do not agree, or
the shader does not compile, the pixels take the way over the CPU: slower, and exact.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt
import PyOpenColorIO as OCIO

from safelight.colour.apply import apply_cpu
from safelight.colour.shader import FUNCTION, translate

Pixels = npt.NDArray[np.float32]

# No contraction into fused multiply-adds: the arithmetic that the tests run on the host.
OPTIONS = ("-std=c++17", "--fmad=false")
BLOCK = (32, 8)
TOLERANCE = 2e-5
"""Largest difference from the CPU processor (see `disagreement`) with which a shader is used."""

_log = logging.getLogger("safelight.colour")


def probes(count: int = 8192) -> Pixels:
    """Return (3, 1, count) values that exercise a transform: -1 to 1.3, and from ±1e-6 to half float's largest."""
    random = np.random.default_rng(20110601)
    pixels = random.uniform(-0.1, 1.3, (3, 1, count))
    quarter = count // 4
    pixels[..., :quarter] = 10.0 ** random.uniform(-6.0, np.log10(65504.0), (3, 1, quarter))
    pixels[..., quarter : quarter + count // 16] = -(10.0 ** random.uniform(-6.0, 0.0, (3, 1, count // 16)))
    grey = count // 8
    pixels[..., -grey:] = np.linspace(-0.05, 2.0, grey)
    pixels[..., -1] = 0.0
    return pixels.astype(np.float32)


def differences(ours: Pixels, theirs: Pixels) -> npt.NDArray[np.float64]:
    """Return each pixel's largest difference over its largest channel (plus 0.001, so that black is not divided by).

    A pixel that is finite in one and not in the other counts as infinite.
    """
    a, b = ours.astype(np.float64).reshape(3, -1), theirs.astype(np.float64).reshape(3, -1)
    finite = np.isfinite(a).all(0), np.isfinite(b).all(0)
    with np.errstate(invalid="ignore", over="ignore"):
        found = np.abs(a - b).max(0) / (np.abs(b).max(0) + 1e-3)
    found[finite[0] != finite[1]] = np.inf
    found[~finite[0] & ~finite[1]] = 0.0
    return np.asarray(found, np.float64)


def disagreement(ours: Pixels, theirs: Pixels) -> float:
    """Return the difference that 99 % of the pixels keep to.

    The last percent is left out for transforms whose slope is very large in places (PQ at black, a tone curve undone
    near its white): there both answers are right to rounding and differ by more.
    """
    return float(np.quantile(differences(ours, theirs), 0.99, method="higher"))


class GpuProcessor:
    """One transform on CUDA devices.

    Attributes
    ----------
    exact:
        True when the shader agrees with the CPU processor to `TOLERANCE`; False says that `apply` must not be used.
    """

    def __init__(self, processor: OCIO.Processor, cpu: OCIO.CPUProcessor, optimisation: Any) -> None:
        import cupy

        self._shader = translate(processor, optimisation)
        self._tables: dict[int, Any] = {}
        try:
            module = cupy.RawModule(code=self._shader.code, options=OPTIONS, backend="nvrtc")
            self._kernel = module.get_function(FUNCTION)
            values = probes()
            found = disagreement(self.apply(cupy.asarray(values)).get(), apply_cpu(cpu, values))
        except cupy.cuda.compiler.CompileException as error:
            _log.warning("a colour transform goes over the CPU: its shader does not compile (%s)", str(error)[:200])
            self.exact = False
            return
        self.exact = found <= TOLERANCE
        if not self.exact:
            _log.warning("a colour transform goes over the CPU: its shader differs by %.2g", found)

    def apply(self, pixels: Any) -> Any:
        """Return (3, height, width) float32 CuPy pixels transformed, as a new array on the same device."""
        import cupy

        if pixels.strides[2] != 4 and pixels.shape[2] > 1:
            pixels = cupy.ascontiguousarray(pixels)
        _planes, height, width = pixels.shape
        out = cupy.empty((3, height, width), cupy.float32)
        if not out.size:
            return out
        device = cupy.cuda.Device().id
        if device not in self._tables:
            self._tables[device] = cupy.asarray(self._shader.tables)
        grid = (-(-width // BLOCK[0]), -(-height // BLOCK[1]))
        plane, row = (np.int64(stride // 4) for stride in pixels.strides[:2])
        arguments = (pixels, out, plane, row, np.int32(width), np.int32(height), self._tables[device])
        self._kernel(grid, BLOCK, arguments)
        return out
