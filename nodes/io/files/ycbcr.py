"""Y'CbCr planes of movies to R'G'B' and back, in float, to the last code value.

ITU-R BT.601, BT.709, BT.2020 (non-constant luminance), limited and full range. (FFmpeg's own scaler is off by up to
0.9 of an 8-bit code on such planes, whatever depth it is asked for.) Chroma of half width is sited on the left luma
sample (MPEG-2, H.264's default), of half height between two rows; it is interpolated linearly, and made by the filter
(1 2 1) / 4 across and the mean of two rows down.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]
Codes = npt.NDArray[Any]

MATRICES = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
"""Luma weights of red and blue."""


def to_rgb(planes: list[Codes], bits: int, matrix: str, full: bool) -> npt.NDArray[np.float32]:
    """Turn code planes (Y, Cb, Cr; chroma of half width or height or not) into (H, W, 3) float32, 1.0 = white.

    Nothing is clamped: codes beyond the nominal range become values below 0 and above 1.
    """
    luma, height, width = planes[0], *planes[0].shape
    zero, span, middle, reach = _range(bits, full)
    y = (luma.astype(np.float32) - zero) * np.float32(1 / span)
    cb, cr = (
        (_enlarge(plane.astype(np.float32), height, width) - middle) * np.float32(1 / reach) for plane in planes[1:3]
    )
    red, blue = MATRICES[matrix]
    out = np.empty((height, width, 3), np.float32)
    out[..., 0] = y + np.float32(2 * (1 - red)) * cr
    out[..., 2] = y + np.float32(2 * (1 - blue)) * cb
    green = 1 - red - blue
    out[..., 1] = y - np.float32(2 * (1 - red) * red / green) * cr - np.float32(2 * (1 - blue) * blue / green) * cb
    return out


def from_rgb(
    rgb: npt.NDArray[np.float32], bits: int, matrix: str, full: bool, halves: tuple[bool, bool]
) -> list[Codes]:
    """Turn (3, H, W) into code planes, clamped to what the depth can hold, rounded to nearest; NaN becomes 0.

    Parameters
    ----------
    halves:
        Whether chroma has half the width, half the height.
    """
    zero, span, middle, reach = _range(bits, full)
    red, blue = MATRICES[matrix]
    held = np.clip(np.nan_to_num(rgb, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
    y = np.float32(red) * held[0] + np.float32(1 - red - blue) * held[1] + np.float32(blue) * held[2]
    cb = (held[2] - y) * np.float32(0.5 / (1 - blue))
    cr = (held[0] - y) * np.float32(0.5 / (1 - red))
    kind, most = (np.uint8 if bits == 8 else np.uint16), 2**bits - 1
    codes = [y * span + zero, *(_reduce(plane, halves) * reach + middle for plane in (cb, cr))]
    return [np.clip(np.floor(plane + 0.5), 0, most).astype(kind) for plane in codes]


def _range(bits: int, full: bool) -> tuple[float, float, float, float]:
    """Return black, white minus black, the middle of chroma, and its span, in codes."""
    scale = 2.0 ** (bits - 8)
    if full:
        return 0.0, 2.0**bits - 1, 128 * scale, 2.0**bits - 1
    return 16 * scale, 219 * scale, 128 * scale, 224 * scale


def _enlarge(plane: Plane, height: int, width: int) -> Plane:
    rows, columns = plane.shape
    if columns != width:
        right = np.concatenate([plane[:, 1:], plane[:, -1:]], axis=1)
        wide = np.empty((rows, 2 * columns), np.float32)
        wide[:, 0::2], wide[:, 1::2] = plane, (plane + right) * np.float32(0.5)
        plane = wide[:, :width]
    if rows != height:
        above = np.concatenate([plane[:1], plane[:-1]])
        below = np.concatenate([plane[1:], plane[-1:]])
        tall = np.empty((2 * rows, plane.shape[1]), np.float32)
        tall[0::2] = plane * np.float32(0.75) + above * np.float32(0.25)
        tall[1::2] = plane * np.float32(0.75) + below * np.float32(0.25)
        plane = tall[:height]
    return plane


def _reduce(plane: Plane, halves: tuple[bool, bool]) -> Plane:
    if halves[0]:
        padded = np.pad(plane, [(0, 0), (1, 1 + plane.shape[1] % 2)], mode="edge")
        count = (plane.shape[1] + 1) // 2
        left, here, right = (padded[:, k : k + 2 * count : 2] for k in range(3))
        plane = left * np.float32(0.25) + here * np.float32(0.5) + right * np.float32(0.25)
    if halves[1]:
        padded = np.pad(plane, [(0, plane.shape[0] % 2), (0, 0)], mode="edge")
        plane = (padded[0::2] + padded[1::2]) * np.float32(0.5)
    return plane
