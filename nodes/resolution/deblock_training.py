"""How the filters of Deblock are made: photographs, coded and smoothed, and least squares class by class.

    python -m safelight.nodes.resolution.deblock_training FOLDER OUT.npy

FOLDER holds pictures (PNG, WebP, JPEG of high quality); each gives 256 × 320 pixels from its middle, reduced to about
500 lines first so that no older codec left anything in it. Coded as a video encoder does, with the intra matrix of
MPEG-1 (ISO/IEC 11172-2, 2.4.3.2), at three scales.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image as Picture
from scipy.fft import dctn, idctn

from safelight.graph.device import Device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch
from safelight.nodes.resolution.blocks import LOWEST
from safelight.nodes.resolution.deblock import BUSY, NOISE, SURE, smoothed

Floats = npt.NDArray[np.float32]

CLASSES, TAPS = 250, 73
SCALES = (8, 16, 28)
MATRIX = (
    8, 16, 19, 22, 26, 27, 29, 34,
    16, 16, 22, 24, 27, 29, 34, 37,
    19, 22, 26, 27, 29, 34, 34, 38,
    22, 22, 26, 27, 29, 34, 37, 40,
    22, 26, 27, 29, 32, 35, 40, 48,
    26, 27, 29, 32, 35, 40, 48, 58,
    26, 27, 29, 34, 38, 46, 56, 69,
    27, 29, 35, 38, 46, 56, 69, 83,
)  # fmt: skip
RIDGE = 0.02
BORROWED = 0.05
"""How strongly a class leans on the filter of all, over the mean energy of a class."""


def features(coded: Floats, smooth: Floats, size: float, device: Device) -> tuple[Floats, npt.NDArray[np.intp]]:
    """Return what a filter weighs, (pixels, TAPS), and the class of each pixel, for blocks from (0, 0) on.

    The arithmetic of the kernel `deblock_refine`, in single precision.
    """
    h, w = smooth.shape
    region = Region.sized(w, h)
    steer = device.empty((3, h, w))
    launch(device, "upscale_steer", region, reach=3, guide=(smooth, region), out=(steer, region), noise=0.02 * size**2)
    around = _windows(smooth, 2) - smooth[..., None, None]
    variance = np.maximum(around.var(axis=(2, 3)), 0)
    busy = np.digitize(variance, np.asarray(BUSY) * size**2)
    row, column = np.mgrid[0:h, 0:w] & 7
    up, left = np.minimum(row, 7 - row), np.minimum(column, 7 - column)
    swap = left < up
    low, high = np.minimum(up, left), np.maximum(up, left)
    place = low * (9 - low) // 2 + high - low
    twice, cross = 2 * steer[0] ** 2 - 1, 2 * steer[0] * steer[1]
    cross = np.where((row > 3) != (column > 3), -cross, cross)
    twice = np.where(swap, -twice, twice)
    level = np.where(twice >= 0, 1, 3)
    turned = np.where(np.abs(twice) >= np.abs(cross), level, np.where(cross >= 0, 2, 4))
    classes = (place * 5 + busy) * 5 + np.where(steer[2] >= SURE, turned, 0)
    lost = _folded(_windows(coded - smooth, 3), row > 3, column > 3, swap).reshape(-1, 49)
    shape = _folded(around, row > 3, column > 3, swap).reshape(-1, 25)
    return np.concatenate([lost, np.delete(shape, 12, 1)], 1), classes.ravel()


def _windows(plane: Floats, reach: int) -> Floats:
    size = 2 * reach + 1
    return np.lib.stride_tricks.sliding_window_view(np.pad(plane, reach, mode="edge"), (size, size))


def _folded(
    windows: Floats, lower: npt.NDArray[np.bool_], right: npt.NDArray[np.bool_], swap: npt.NDArray[np.bool_]
) -> Floats:
    made = windows.copy()
    made[lower] = made[lower][:, ::-1]
    made[right] = made[right][:, :, ::-1]
    made[swap] = made[swap].transpose(0, 2, 1)
    return made


def pairs(files: Sequence[Path]) -> Iterator[tuple[Floats, Floats, float]]:
    """Yield luma as coded and as it was, in 8-bit codes, and a fifth of the quantiser's step."""
    for file in files:
        picture = Picture.open(file).convert("RGB")
        picture = picture.reduce(max(1, min(picture.size) // 500))
        x, y = (picture.width - 320) // 2 & ~7, (picture.height - 256) // 2 & ~7
        picture = picture.crop((x, y, x + 320, y + 256))
        truth = np.asarray(picture.convert("L"), np.float32)
        for scale in SCALES:
            step = float(np.median([MATRIX[8 * v + u] for v, u in LOWEST])) * scale / 8
            yield quantised(truth, scale), truth, step / 5


def quantised(luma: Floats, scale: float) -> Floats:
    """Return luma, (H, W) of multiples of 8, in 8-bit codes as a video encoder's intra frames have it.

    Encoders round towards zero from 5/8 of a step on; still-picture encoders from a half, so their coefficients tend to
    be too large, and a video encoder's too small.
    """
    h, w = luma.shape
    blocks = luma.astype(np.float64).reshape(h // 8, 8, w // 8, 8).transpose(0, 2, 1, 3)
    found = dctn(blocks, axes=(2, 3), norm="ortho")
    steps = np.asarray(MATRIX, np.float64).reshape(8, 8) * scale / 8
    made = np.sign(found) * np.floor(np.abs(found) / steps + 0.375) * steps
    made[..., 0, 0] = np.rint(found[..., 0, 0] / 8) * 8
    back = idctn(made, axes=(2, 3), norm="ortho").transpose(0, 2, 1, 3).reshape(h, w)
    return np.asarray(np.clip(np.rint(back), 0, 255), np.float32)


def train(files: Sequence[Path], device: Device) -> Floats:
    """Return the filters, (CLASSES, TAPS)."""
    normal, right = np.zeros((CLASSES, TAPS, TAPS)), np.zeros((CLASSES, TAPS))
    for coded, truth, size in pairs(files):
        smooth = np.ascontiguousarray(smoothed(coded, Region.sized(*coded.shape[::-1]), NOISE * size, device))
        found, classes = features(coded, smooth, size, device)
        wanted = (truth - smooth).ravel() / size
        order = np.argsort(classes, kind="stable")
        ends = np.searchsorted(classes[order], np.arange(CLASSES + 1))
        found, wanted = found[order] / size, wanted[order]
        for index in range(CLASSES):
            part = slice(ends[index], ends[index + 1])
            normal[index] += found[part].T @ found[part]
            right[index] += found[part].T @ wanted[part]
    energy = np.trace(normal.sum(0)) / TAPS / CLASSES
    eye = np.eye(TAPS)
    common = np.linalg.solve(normal.sum(0) + RIDGE * energy * eye, right.sum(0))
    borrowed = BORROWED * energy
    own = [RIDGE * np.trace(part) / TAPS + borrowed for part in normal]
    solved = [
        np.linalg.solve(part + extra * eye, side + borrowed * common)
        for part, side, extra in zip(normal, right, own, strict=True)
    ]
    return np.asarray(solved, np.float32)


def main(arguments: Sequence[str]) -> None:
    """Train from a folder."""
    folder, out = map(Path, arguments)
    files = sorted(file for file in folder.iterdir() if file.suffix.lower() in (".png", ".webp", ".jpg", ".jpeg"))
    np.save(out, train(files, Device("cpu")).astype(np.float16))


if __name__ == "__main__":
    main(sys.argv[1:])
