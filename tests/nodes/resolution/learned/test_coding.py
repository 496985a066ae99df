"""The coding that nets see: sRGB to white, a logarithm above, and the way back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from safelight.nodes.resolution.learned.coding import decode, encode


def slow(light: float) -> float:
    a = abs(light)
    if a <= 0.0031308:
        code = 12.92 * a
    elif a <= 1:
        code = 1.055 * a ** (1 / 2.4) - 0.055
    else:
        code = 1 + 1.055 / 2.4 * np.log(a)
    return float(np.copysign(code, light))


VALUES = np.float32(
    [0, -0.0, 1e-30, -1e-6, 0.0031308, 0.0032, 0.18, -0.5, 1, np.nextafter(np.float32(1), 2), 686, -4e4, 3e38]
)


def test_against_the_formula() -> None:
    np.testing.assert_allclose(encode(VALUES), [slow(float(v)) for v in VALUES], rtol=2e-6, atol=1e-7)
    assert np.signbit(encode(np.float32([-0.0])))[0]


def test_there_and_back() -> None:
    random = np.random.default_rng(0)
    light = np.concatenate([VALUES[:-1], random.uniform(-2, 2, 999), 10 ** random.uniform(-6, 6, 999)]).astype(
        np.float32
    )
    np.testing.assert_allclose(decode(encode(light)), light, rtol=2e-5, atol=1e-9)
    assert np.isfinite(decode(np.float32([1e9, -1e9]))).all()


def test_smooth_and_rising() -> None:
    light = np.linspace(-3, 3, 60001)
    code = np.array([slow(v) for v in light])
    assert (np.diff(encode(light.astype(np.float32)).astype(float)) > -1e-6).all()
    steps = np.diff(code)
    assert np.abs(np.diff(steps)[light[1:-1] > 0.5]).max() < 1e-7, "no corner at white"


def test_torch_agrees() -> None:
    torch: Any = pytest.importorskip("torch")
    np.testing.assert_allclose(encode(torch.from_numpy(VALUES)).numpy(), encode(VALUES), rtol=1e-6)
    codes = encode(VALUES)
    np.testing.assert_allclose(decode(torch.from_numpy(codes)).numpy(), decode(codes), rtol=2e-5)
