"""Every kernel file, as it stands, compiles to machine code for CUDA; what a GPU makes of it equals the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device, choose_device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch
from safelight.nodes.kernels.source import find, kernels


@pytest.mark.parametrize("name", sorted(kernels()))
def test_compiles_for_cuda(name: str) -> None:
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="needs CuPy and the NVRTC library")
    try:
        nvrtc.getVersion()
    except Exception:
        pytest.skip("needs the NVRTC library")
    from safelight.nodes.kernels.cuda import compile_only

    cubin = compile_only(name)
    assert cubin[:4] == b"\x7fELF" and f"{name}_kernel".encode() in cubin


@pytest.mark.parametrize(("name", "region"), [("mix", Region(-2, 3, 301, 104)), ("degrain", Region(0, 0, 1, 77))])
def test_launches_as_cupy_wants_it(monkeypatch: pytest.MonkeyPatch, name: str, region: Region) -> None:
    """The struct goes as a numpy array of one element, which CuPy passes by value; the grid covers the region."""
    from safelight.nodes.kernels import cuda

    source = find(name)
    seen = []
    monkeypatch.setattr(cuda, "_kernel", lambda which: lambda *call: seen.append((which, *call)))
    cuda.run(source, np.zeros((), source.dtype), region)
    [(which, grid, block, arguments)] = seen
    [struct] = arguments
    assert which == name and type(struct) is np.ndarray and struct.size == 1 and struct.dtype == source.dtype
    if source.kind == "BLOCK":
        assert grid == (1, region.height) and block == (cuda.THREADS, 1)
    else:
        assert all(n * m >= size for n, m, size in zip(grid, block, (region.width, region.height), strict=True))
    assert block[0] * block[1] <= 1024


@pytest.mark.gpu
def test_gpu_equals_cpu_on_a_pixel_kernel() -> None:
    if choose_device("auto").kind != "cuda":
        pytest.skip("needs a CUDA device")
    rng = np.random.default_rng(1)
    region = Region(-2, 3, 301, 104)
    a, b = (rng.standard_normal((3, region.height, region.width)).astype(np.float32) for _ in range(2))
    outs = []
    for device in (Device("cpu"), Device("cuda")):
        xp = device.xp
        out = xp.empty_like(xp.asarray(a))
        planes = {"a": (xp.asarray(a), region), "b": (xp.asarray(b), region), "matte": (xp.asarray(a[:1]), region)}
        launch(device, "mix", region, **planes, out=(out, region), amount=0.3, use_matte=1, planes=3)
        outs.append(out if device.kind == "cpu" else out.get())
    np.testing.assert_allclose(outs[1], outs[0], rtol=1e-5)
