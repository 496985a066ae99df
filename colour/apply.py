"""OpenColorIO's CPU processor on planar rows, in threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import PyOpenColorIO as OCIO

# Bands of about this many pixels stay in a core's cache between the copy and the transform.
BAND_PIXELS = 65536


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="colour")


def apply_cpu(
    processor: OCIO.CPUProcessor, pixels: npt.NDArray[np.float32], threads: int = 1, *, band: int = 0
) -> npt.NDArray[np.float32]:
    """Return the transformed pixels as a new array; the input is not written to.

    OpenColorIO works on one pixel at a time and releases Python's lock while it does, so bands of rows run in
    parallel and the result does not depend on how they are cut.

    Parameters
    ----------
    processor:
        A float32 to float32 CPU processor.
    pixels:
        (3, height, width) float32 planes: red, green, blue. Any strides. Unclamped, may hold NaN and Inf.
    threads:
        Threads to share the bands; the pixels do not depend on it.
    band:
        Rows in a band; 0 chooses.
    """
    planes, height, width = pixels.shape
    if planes != 3:
        raise ValueError(f"a colour transform takes 3 planes, not {planes}")
    out: npt.NDArray[np.float32] = np.empty((3, height, width), np.float32)
    if not out.size:
        return out
    rows = band or max(1, BAND_PIXELS // width)

    def work(start: int) -> None:
        part = out[:, start : start + rows]
        np.copyto(part, pixels[:, start : start + rows])
        image: Any = OCIO.PlanarImageDesc(part[0], part[1], part[2], width, part.shape[1])
        processor.apply(image)

    starts = range(0, height, rows)
    if threads <= 1 or len(starts) == 1:
        for start in starts:
            work(start)
    else:
        list(_pool(threads).map(work, starts))
    return out
