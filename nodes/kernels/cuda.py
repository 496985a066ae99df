"""The same kernel files on a CUDA device, compiled by CuPy's RawModule on first use and cached on disk by CuPy."""

from __future__ import annotations

import hashlib
from functools import cache
from typing import Any

from safelight.graph.region import Region
from safelight.nodes.kernels.source import FOLDER, KernelSource, find

# No contraction beyond mad(): the arithmetic of the CPU builds.
OPTIONS = ("-std=c++17", "--fmad=false", f"-I{FOLDER}")
BLOCK = (32, 8)
THREADS = 128  # of one item of a block kernel


def translation_unit(source: KernelSource) -> str:
    """Return what the compiler is given: the file as it stands, in a namespace so that CUDA's own min and abs give way,
    and a digest of all headers, since CuPy's cache on disk does not look into what is included."""
    file = source.path.relative_to(FOLDER).as_posix()
    return f'// {_headers()}\nnamespace cuda_build {{\n#include "{file}"\n}}\n'


@cache
def _headers() -> str:
    files = sorted(FOLDER.rglob("*.h"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


@cache
def _kernel(name: str) -> Any:
    import cupy

    module = cupy.RawModule(code=translation_unit(find(name)), options=OPTIONS, backend="nvrtc")
    return module.get_function(f"{name}_kernel")


def run(source: KernelSource, block: Any, region: Region) -> None:
    """Launch on the current device and stream; `block` is the filled args struct.

    CuPy passes a numpy array of one element by value, whatever its type; a numpy scalar of a struct it refuses.
    """
    arguments = (block.reshape(1),)
    if source.kind == "BLOCK":
        _kernel(source.name)((1, region.height), (THREADS, 1), arguments)
        return
    grid = (-(-region.width // BLOCK[0]), -(-region.height // BLOCK[1]))
    _kernel(source.name)(grid, BLOCK, arguments)


def compile_only(name: str, architecture: str = "sm_90") -> bytes:
    """Compile one kernel to machine code with NVRTC, which needs neither device nor driver.

    Returns the cubin. Raises RuntimeError with the compiler's log; ImportError without CuPy and the NVRTC library.
    """
    from cupy_backends.cuda.libs import nvrtc

    program = nvrtc.createProgram(translation_unit(find(name)), f"{name}.cu", (), ())
    try:
        try:
            nvrtc.compileProgram(program, (*OPTIONS, f"--gpu-architecture={architecture}"))
        except nvrtc.NVRTCError:
            raise RuntimeError(f"kernel {name}: {nvrtc.getProgramLog(program)}") from None
        cubin: bytes = nvrtc.getCUBIN(program)
        return cubin
    finally:
        nvrtc.destroyProgram(program)
