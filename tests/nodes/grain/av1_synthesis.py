"""AV1's film-grain synthesis, written from the standard: what a decoder makes of a table, bit for bit.

AV1 Bitstream & Decoding Process Specification (2019), 7.18.3; `gaussian_sequence.txt` holds the 2048 numbers of
7.18.3.2. For 4:2:0 and 4:4:4, slow and obvious; it shares nothing with the code it holds to account but the parameters.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np

from safelight.nodes.grain.film_grain_table import FilmGrain

GAUSSIAN = np.array((Path(__file__).with_name("gaussian_sequence.txt")).read_text().split(), np.int64)
Planes = list[np.ndarray]


class Random:
    """The 16-bit shift register."""

    def __init__(self, seed: int) -> None:
        self.register = seed

    def number(self, bits: int) -> int:
        r = self.register
        bit = (r ^ (r >> 1) ^ (r >> 3) ^ (r >> 12)) & 1
        self.register = r = (r >> 1) | (bit << 15)
        return (r >> (16 - bits)) & ((1 << bits) - 1)


def round2(x: np.ndarray | int, bits: int) -> np.ndarray | int:
    """Divide by 2^bits, halves up."""
    return x if bits == 0 else (x + (1 << (bits - 1))) >> bits


def templates(grain: FilmGrain, seed: int, depth: int, halved: bool) -> Planes:
    """Generate the templates of Y, Cb, Cr."""
    least, most = -(1 << (depth - 1)), (1 << (depth - 1)) - 1
    lag, shift = grain.ar_coeff_lag, 12 - depth + grain.grain_scale_shift
    places = [(dy, dx) for dy in range(-lag, 1) for dx in range(-lag, lag + 1) if dy < 0 or dx < 0]

    def white(rows: int, columns: int, start: int, wanted: bool) -> list[list[int]]:
        random = Random(start)
        if not wanted:
            return [[0] * columns for _ in range(rows)]
        return [[int(round2(int(GAUSSIAN[random.number(11)]), shift)) for _ in range(columns)] for _ in range(rows)]

    luma = white(73, 82, seed, bool(grain.scaling_y))
    for y in range(3, 73):
        for x in range(3, 79):
            total = sum(c * luma[y + dy][x + dx] for c, (dy, dx) in zip(grain.ar_y, places, strict=True))
            luma[y][x] = min(max(luma[y][x] + int(round2(total, grain.ar_coeff_shift)), least), most)
    out = [np.array(luma)]
    rows, columns = (38, 44) if halved else (73, 82)
    for start, points, coefficients in (
        (seed ^ 0xB524, grain.scaling_cb, grain.ar_cb), (seed ^ 0x49D8, grain.scaling_cr, grain.ar_cr)
    ):  # fmt: skip
        plane = white(rows, columns, start, bool(points))
        for y in range(3, rows):
            for x in range(3, columns - 3):
                total = sum(c * plane[y + dy][x + dx] for c, (dy, dx) in zip(coefficients[:-1], places, strict=True))
                if halved:
                    ly, lx = 2 * (y - 3) + 3, 2 * (x - 3) + 3
                    mean = int(round2(luma[ly][lx] + luma[ly][lx + 1] + luma[ly + 1][lx] + luma[ly + 1][lx + 1], 2))
                else:
                    mean = luma[y][x]
                total += coefficients[-1] * mean if grain.scaling_y else 0
                plane[y][x] = min(max(plane[y][x] + int(round2(total, grain.ar_coeff_shift)), least), most)
        out.append(np.array(plane))
    return out


def noise_image(made: Planes, grain: FilmGrain, seed: int, depth: int, shape: tuple[int, int], halved: bool) -> Planes:
    """Lay blocks of the templates over the picture, blended where they overlap."""
    least, most = -(1 << (depth - 1)), (1 << (depth - 1)) - 1
    height, width = shape
    out = []
    for plane, template in enumerate(made):
        sub = 1 if plane and halved else 0
        side, over = 32 >> sub, 2 >> sub
        weights = [(23, 22)] if sub else [(27, 17), (17, 27)]
        tall, wide = (height + sub) >> sub, (width + sub) >> sub
        stripes = []
        for number in range(-(-height // 32)):
            random = Random(seed ^ (((number * 37 + 178) & 255) << 8) ^ ((number * 173 + 105) & 255))
            stripe = np.zeros((side + over, wide), np.int64)
            for left in range(0, wide, side):
                value = random.number(8)
                x0 = (6 if sub else 9) + (value >> 4) * (1 if sub else 2)
                y0 = (6 if sub else 9) + (value & 15) * (1 if sub else 2)
                block = template[y0 : y0 + side + over, x0 : x0 + min(side + over, wide - left)].copy()
                if grain.overlap and left:
                    for j, (old, new) in enumerate(weights[: block.shape[1]]):
                        mixed = round2(stripe[:, left + j] * old + block[:, j] * new, 5)
                        block[:, j] = np.clip(mixed, least, most)
                stripe[:, left : left + block.shape[1]] = block
            stripes.append(stripe)
        picture = np.zeros((tall, wide), np.int64)
        for number, stripe in enumerate(stripes):
            top = number * side
            rows = stripe[: min(side, tall - top)].copy()
            if grain.overlap and number:
                for i, (old, new) in enumerate(weights[: len(rows)]):
                    mixed = round2(stripes[number - 1][side + i] * old + rows[i] * new, 5)
                    rows[i] = np.clip(mixed, least, most)
            picture[top : top + len(rows)] = rows
        out.append(picture)
    return out


def scaling(points: tuple[tuple[int, int], ...], index: np.ndarray, depth: int) -> np.ndarray:
    """Look up the scaling of levels of any depth."""
    if not points:
        return np.zeros_like(index)
    table = np.zeros(257, np.int64)
    table[: points[0][0]] = points[0][1]
    for (x0, y0), (x1, y1) in pairwise(points):
        step = (y1 - y0) * ((65536 + ((x1 - x0) >> 1)) // (x1 - x0))
        for x in range(x1 - x0):
            table[x0 + x] = y0 + ((x * step + 32768) >> 16)
    table[points[-1][0] :] = points[-1][1]
    shift = depth - 8
    x, rest = index >> shift, index & ((1 << shift) - 1)
    return np.asarray(table[x] + round2((table[x + 1] - table[x]) * rest, shift))


def add_grain(
    planes: Planes, grain: FilmGrain, seed: int, depth: int, *, halved: bool = True, restricted: bool = False
) -> Planes:
    """Return Y', Cb, Cr code values with the grain of one frame."""
    made = templates(grain, seed, depth, halved)
    luma = planes[0].astype(np.int64)
    noise = noise_image(made, grain, seed, depth, (luma.shape[0], luma.shape[1]), halved)
    top = (1 << depth) - 1
    low, high, high_c = (16 << (depth - 8), 235 << (depth - 8), 240 << (depth - 8)) if restricted else (0, top, top)
    out = [np.clip(luma + round2(scaling(grain.scaling_y, luma, depth) * noise[0], grain.scaling_shift), low, high)]
    for plane, points, mult, luma_mult, offset in (
        (1, grain.scaling_cb, grain.cb_mult, grain.cb_luma_mult, grain.cb_offset),
        (2, grain.scaling_cr, grain.cr_mult, grain.cr_luma_mult, grain.cr_offset),
    ):
        chroma = planes[plane].astype(np.int64)
        mean = luma
        if halved:
            rows = luma[::2]
            following = np.minimum(np.arange(0, luma.shape[1], 2) + 1, luma.shape[1] - 1)
            mean = np.asarray(round2(rows[:, ::2] + rows[:, following], 1))
        merged = (mean * (luma_mult - 128) + chroma * (mult - 128)) >> 6
        index = np.clip(merged + ((offset - 256) << (depth - 8)), 0, top)
        added = round2(scaling(points, index, depth) * noise[plane], grain.scaling_shift)
        out.append(np.clip(chroma + added, low, high_c) if points else chroma)
    return out
