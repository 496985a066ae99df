"""The elementary functions, through a kernel of their own, against float64."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from safelight.nodes.kernels.launch import isas
from safelight.nodes.kernels.source import FOLDER

SOURCE = """
#if defined(__AVX2__)
#include <immintrin.h>
#endif
#include "elementary.h"
extern "C" void evaluate(const float* in, float* out, int n, int which) {
    using namespace sl;
    for (int i = 0; i < n; i += LANES) {
        const F v = load_lanes(in + i);
        F r = v;
        if (which == 0) r = log2(v);
        if (which == 1) r = exp2(v);
        if (which == 2) r = log(v);
        if (which == 3) r = exp(v);
        if (which == 4) r = log10(v);
        if (which == 5) r = exp10(v);
        if (which == 6) r = sqrt(v);
        if (which == 7) r = floor(v);
        if (which == 8) r = pow(v, splat(2.2f));
        if (which == 9) r = to_float(to_int(v));
        if (which == 10) r = select(is_finite(v), sl::abs(v), splat(-1.0f));
        if (which == 11) r = expm1_small(v);
        if (which == 12) r = log1p_small(v);
        store_lanes(out + i, r);
    }
}
"""
BUILDS = {"scalar": (1, "x86-64-v3"), "v2": (4, "x86-64-v2"), "v3": (8, "x86-64-v3"), "v4": (16, "x86-64-v4")}
POSITIVE = np.concatenate([np.geomspace(1e-30, 1e30, 4001), np.linspace(0.5, 2.0, 4001)]).astype(np.float32)
SIGNED = np.concatenate([np.linspace(-36, 36, 4001), np.linspace(-1e-3, 1e-3, 101)]).astype(np.float32)
SMALL = np.concatenate([np.linspace(-0.2, 0.2, 4001), np.geomspace(1e-12, 0.2, 2001)]).astype(np.float32)
SMALL = SMALL[SMALL != 0]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ctypes.CDLL]:
    compiler = shutil.which("g++") or shutil.which("c++")
    if compiler is None:
        pytest.skip("needs a C++ compiler")
    folder: Path = tmp_path_factory.mktemp("math")
    source = folder / "math.cpp"
    source.write_text(SOURCE)
    libraries = {}
    for name in isas():
        if name not in BUILDS:
            continue
        lanes, march = BUILDS[name]
        options = ["-O2", "-std=c++17", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC", "-Wno-psabi", "-w"]
        command = [compiler, *options, f"-march={march}", f"-DSL_LANES={lanes}", "-iquote", str(FOLDER), str(source)]
        subprocess.run([*command, "-o", str(folder / f"{name}.so")], check=True)
        libraries[name] = ctypes.CDLL(str(folder / f"{name}.so"))
    if not libraries:
        pytest.skip("no x86-64 build runs here")
    return libraries


def evaluate(library: ctypes.CDLL, values: np.ndarray, which: int) -> np.ndarray:
    padded = np.concatenate([values, np.ones(-len(values) % 16, np.float32)]).astype(np.float32)
    out = np.empty_like(padded)
    library.evaluate(padded.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), len(padded), which)
    return out[: len(values)]


@pytest.mark.parametrize(
    ("which", "values", "exact", "scale"),
    [
        (0, POSITIVE, np.log2, 1.0),
        (2, POSITIVE, np.log, 1.0),
        (4, POSITIVE, np.log10, 1.0),
        (1, SIGNED, np.exp2, 0.0),
        (3, SIGNED, np.exp, 0.0),
        (5, SIGNED, lambda v: 10.0**v, 0.0),
        (6, POSITIVE, np.sqrt, 0.0),
        (7, SIGNED, np.floor, 0.0),
        (8, POSITIVE[(POSITIVE > 1e-10) & (POSITIVE < 1e10)], lambda v: v**2.2, 0.0),
        (9, SIGNED, np.trunc, 0.0),
        (11, SMALL, np.expm1, 0.0),
        (12, SMALL, np.log1p, 0.0),
    ],
)
def test_against_float64(
    builds: dict[str, ctypes.CDLL], which: int, values: np.ndarray, exact: object, scale: float
) -> None:
    expected = exact(values.astype(np.float64))  # type: ignore[operator]
    limit = 3e-7 if which not in (3, 5, 8) else 6e-6  # a power's error grows with its exponent: 2^-24 * log2(result)
    for name, library in builds.items():
        error = np.abs(evaluate(library, values, which) - expected) / np.maximum(np.abs(expected), scale or 1e-30)
        assert error.max() < limit, f"{name}: {error.max():.2e} at {values[error.argmax()]}"


@pytest.mark.parametrize("which", range(13))
def test_builds_with_fused_multiply_add_agree_bit_for_bit(builds: dict[str, ctypes.CDLL], which: int) -> None:
    values = POSITIVE if which in (0, 2, 4, 6, 8) else SMALL if which > 10 else SIGNED
    results = [evaluate(library, values, which) for name, library in builds.items() if name != "v2"]
    for other in results[1:]:
        np.testing.assert_array_equal(results[0].view(np.int32), other.view(np.int32))


def test_not_finite_is_seen(builds: dict[str, ctypes.CDLL]) -> None:
    values = np.array([np.nan, np.inf, -np.inf, -3.0, 0.0, 3e38], np.float32)
    for library in builds.values():
        np.testing.assert_array_equal(evaluate(library, values, 10), np.array([-1, -1, -1, 3, 0, 3e38], np.float32))
