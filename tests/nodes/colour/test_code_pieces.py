"""Pieces of the curve of codes: codes and what shifts add, for curves of all kinds."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from safelight.nodes.colour.code_pieces import BEND, CLOSE, CODE, STEP, code_in, pieces_of, shift_of
from safelight.nodes.colour.lift_fields import pieces
from safelight.nodes.colour.source import WORKING

FINE = np.linspace(0, 1, 16385)


def srgb(e: np.ndarray) -> np.ndarray:
    return np.asarray(np.where(e <= 0.04045, e / 12.92, ((np.maximum(e, 0) + 0.055) / 1.055) ** 2.4))


def gamma(e: np.ndarray) -> np.ndarray:
    return np.asarray(np.maximum(e, 0) ** 2.4)


def line(e: np.ndarray) -> np.ndarray:
    return e


def table(e: np.ndarray) -> np.ndarray:
    return np.asarray(np.interp(e, np.linspace(0, 1, 9), np.linspace(0, 1, 9) ** 2.2))


@pytest.mark.parametrize("bits", [8, 10])
@pytest.mark.parametrize(
    ("curve", "many", "worst"), [(srgb, False, 0.02), (gamma, False, 0.01), (line, False, 1e-3), (table, True, 0.5)]
)
def test_codes_and_shifts(curve: Callable[[np.ndarray], np.ndarray], many: bool, worst: float, bits: int) -> None:
    highest = 2**bits - 1
    made = pieces_of(curve(FINE), FINE, highest).astype(np.float32).astype(np.float64)
    assert (made.shape[1] > 32) == many and made.shape[0] == CODE + STEP + BEND
    whole = np.arange(highest + 1)
    light = curve(whole / highest)
    assert np.abs(code_in(made, light) - whole).max() < CLOSE + 1e-3
    assert shift_of(made) == 23 - int(np.log2(made.shape[1] // 32))
    # The place within a piece, from the float's bits, as the kernel finds it.
    inside = light[1:-1]
    b = inside.astype(np.float32).view(np.int32)
    index = (b >> shift_of(made)) - (95 << (23 - shift_of(made)))
    at = (b & ((1 << shift_of(made)) - 1)) * 2.0 ** -shift_of(made)
    step = sum(made[CODE + k, index] * at**k for k in range(STEP))
    bend = sum(made[CODE + STEP + k, index] * at**k for k in range(BEND))
    a_code = curve((whole[1:-1] + 0.5) / highest) - curve((whole[1:-1] - 0.5) / highest)
    for shift in (-0.5, -0.2, 0.3, 0.5):
        true = curve((whole[1:-1] + shift) / highest) - inside
        assert (np.abs(shift * (step + shift * bend) - true) / a_code).max() < worst


def test_black_has_a_step_of_its_own() -> None:
    made = pieces_of(srgb(FINE), FINE, 255)
    assert code_in(made, [0.0, 1.0]) == pytest.approx([0, 255], abs=1e-3)
    assert made[CODE, 0] == pytest.approx(1 / 255 / 12.92, rel=1e-3)


def test_no_codes_no_pieces() -> None:
    assert WORKING.pieces is None and not pieces(WORKING)["pieces"][0].any()
