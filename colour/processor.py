"""One transform from a named space to another, ready to be applied on any device."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import PyOpenColorIO as OCIO

from safelight.colour.apply import apply_cpu

if TYPE_CHECKING:
    from safelight.graph.device import Device

# Lossless: no table in place of a formula, no fast logarithms and powers.
OPTIMISATION = OCIO.OPTIMIZATION_LOSSLESS


class Processor:
    """A transform of red, green and blue, built and checked.

    Attributes
    ----------
    noop:
        True when it changes nothing: `apply` then returns the very object it was given.
    fingerprint:
        Hash of all that the pixels depend on: every matrix, curve and table of the transform (their contents, not
        their file names) and the version of OpenColorIO.
    """

    def __init__(self, processor: OCIO.Processor) -> None:
        self._processor = processor
        self._cpu = processor.getOptimizedCPUProcessor(OCIO.BIT_DEPTH_F32, OCIO.BIT_DEPTH_F32, OPTIMISATION)
        self._gpu: Any = None
        self.noop = bool(processor.isNoOp() or self._cpu.isNoOp())
        text = f"{OCIO.__version__} {processor.getCacheID()}"
        self.fingerprint = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    def apply(self, pixels: Any, device: Device) -> Any:
        """Return (3, height, width) float32 pixels transformed, on the device where they are; unclamped."""
        if self.noop:
            return pixels
        if device.kind == "cpu":
            return apply_cpu(self._cpu, pixels, device.threads)
        if self._gpu is None:
            from safelight.colour.gpu import GpuProcessor

            self._gpu = GpuProcessor(self._processor, self._cpu, OPTIMISATION)
        if self._gpu.exact:
            return self._gpu.apply(pixels)
        xp: Any = device.xp
        return xp.asarray(apply_cpu(self._cpu, pixels.get(), device.threads))
