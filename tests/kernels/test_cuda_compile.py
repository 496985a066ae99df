"""Every kernel file, as it stands, compiles to machine code for CUDA; what a GPU makes of it equals the CPU."""

from __future__ import annotations

import numpy as np
import pytest

from safelight.graph.device import Device, choose_device
from safelight.graph.region import Region
from safelight.nodes.kernels.launch import launch
from safelight.nodes.kernels.source import kernels


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
