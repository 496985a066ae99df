"""OpenColorIO's shaders as C++: the code a GPU runs, compiled for the host and held against the CPU processor."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import PyOpenColorIO as OCIO
import pytest

from safelight.colour import gpu
from safelight.colour.apply import apply_cpu
from safelight.colour.config import ColourConfig, config_for
from safelight.colour.gpu import OPTIONS, TOLERANCE, differences, disagreement, probes
from safelight.colour.processor import OPTIMISATION, Processor
from safelight.colour.shader import FUNCTION, Shader, translate
from safelight.graph.device import Device, choose_device
from safelight.graph.node import Settings
from tests.colour.configs import tone_mapped_view
from tests.stand_ins import cupy_like

COMPILER = shutil.which("g++") or shutil.which("clang++")
host = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")
Run = Callable[[Shader, np.ndarray], np.ndarray]


@pytest.fixture(scope="module")
def config() -> ColourConfig:
    return config_for(Settings())


def build(code: str, folder: Path) -> Any:
    """Compile a shader's C++ for this machine; return its function."""
    source = folder / f"shader{abs(hash(code))}.cpp"
    source.write_text(code)
    library = source.with_suffix(".so")
    flags = ["-std=c++17", "-O1", "-ffp-contract=off", "-shared", "-fPIC", "-Werror=uninitialized"]
    subprocess.run([str(COMPILER), *flags, str(source), "-o", str(library)], check=True)
    function = getattr(ctypes.CDLL(str(library)), FUNCTION)
    function.restype = None
    function.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_longlong, ctypes.c_longlong]
    function.argtypes += [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
    return function


def run(shader: Shader, pixels: np.ndarray, folder: Path) -> np.ndarray:
    """Run a shader on the host: what a GPU would make of (3, h, w) pixels with consecutive columns."""
    out = np.empty(pixels.shape, np.float32)
    plane, row = (stride // 4 for stride in pixels.strides[:2])
    _planes, height, width = pixels.shape
    build(shader.code, folder)(
        pixels.ctypes.data, out.ctypes.data, plane, row, width, height, shader.tables.ctypes.data
    )
    return out


def both(transform: OCIO.Transform, folder: Path, values: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return a transform's result by its shader and by the CPU processor."""
    processor = OCIO.Config.CreateRaw().getProcessor(transform)
    values = probes() if values is None else values
    cpu = processor.getOptimizedCPUProcessor(OCIO.BIT_DEPTH_F32, OCIO.BIT_DEPTH_F32, OPTIMISATION)
    return run(translate(processor, OPTIMISATION), values, folder), apply_cpu(cpu, values)


# --- spaces and views of the built-in config --------------------------------------------------------------------------

SPACES = {
    # The largest difference over all probes: a few units in the last place, but for long tables and near black in PQ.
    "ACES2065-1": 5e-6,
    "ACEScct": 5e-6,
    "ACEScc": 5e-5,
    "srgb_tx": 5e-6,
    "Cineon": 5e-6,
    "ADX10": 3e-4,
    "ARRI LogC4": 5e-5,
    "ARRI LogC3 (EI800)": 5e-6,
    "S-Log3 S-Gamut3.Cine": 5e-6,
    "Log3G10 REDWideGamutRGB": 5e-6,
    "V-Log V-Gamut": 5e-6,
    "DaVinci Intermediate WideGamut": 5e-6,
    "CanonLog2 CinemaGamut D55": 3e-3,
    "Rec.1886 Rec.709 - Display": 1e-5,
    "Rec.2100-PQ - Display": 2e-3,
    "Rec.2100-HLG - Display": 1e-4,
    tone_mapped_view(): 1e-3,
}


@host
@pytest.mark.parametrize("name", SPACES)
def test_a_shader_equals_the_cpu(config: ColourConfig, name: str, tmp_path: Path) -> None:
    values = probes()
    processor = config.processor("scene_linear", name)
    ours = run(translate(processor._processor, OPTIMISATION), values, tmp_path)
    theirs = apply_cpu(processor._cpu, values)
    assert disagreement(ours, theirs) <= 1e-5
    assert differences(ours, theirs).max() <= SPACES[name]


@host
@pytest.mark.parametrize("name", [name for name in SPACES if "/" not in name])
def test_and_back(config: ColourConfig, name: str, tmp_path: Path) -> None:
    values = np.random.default_rng(3).uniform(-0.05, 1.0, (3, 20, 100)).astype(np.float32)
    processor = config.processor(name, "scene_linear")
    ours = run(translate(processor._processor, OPTIMISATION), values, tmp_path)
    assert differences(ours, apply_cpu(processor._cpu, values)).max() <= 5e-5


# --- the kinds of operation that configs are made of ------------------------------------------------------------------


def table_1d(length: int, half: bool = False) -> OCIO.Lut1DTransform:
    table = OCIO.Lut1DTransform(length, half)
    entries = np.nan_to_num(np.array(table.getData(), np.float32), posinf=65504, neginf=-65504)
    entries = np.sign(entries) * np.abs(entries) ** 0.6 + np.tile([0.0, 0.01, 0.02], length)
    table.setData(entries.astype(np.float32))
    return table


def table_3d(edge: int, interpolation: Any) -> OCIO.Lut3DTransform:
    table = OCIO.Lut3DTransform(edge)
    table.setInterpolation(interpolation)
    table.setData(np.random.default_rng(4).uniform(0, 1, 3 * edge**3).astype(np.float32))
    return table


def primary(dynamic: bool) -> OCIO.GradingPrimaryTransform:
    values = OCIO.GradingPrimary(OCIO.GRADING_LOG)
    values.brightness = OCIO.GradingRGBM(10, -5, 3, 2)
    values.contrast = OCIO.GradingRGBM(1.2, 0.9, 1.1, 1.05)
    values.gamma = OCIO.GradingRGBM(1.1, 0.9, 1.2, 1.0)
    values.saturation = 1.3
    return OCIO.GradingPrimaryTransform(values=values, style=OCIO.GRADING_LOG, dynamic=dynamic)


def tone(dynamic: bool) -> OCIO.GradingToneTransform:
    values = OCIO.GradingTone(OCIO.GRADING_VIDEO)
    values.midtones = OCIO.GradingRGBMSW(1.3, 0.9, 1.1, 1.1, values.midtones.start, values.midtones.width)
    values.scontrast = 1.3
    return OCIO.GradingToneTransform(values=values, style=OCIO.GRADING_VIDEO, dynamic=dynamic)


def curves(dynamic: bool) -> OCIO.GradingRGBCurveTransform:
    curve = OCIO.GradingBSplineCurve([0, 0, 0.3, 0.4, 1, 1.1])
    straight = OCIO.GradingBSplineCurve([0, 0, 0.5, 0.5, 1, 1])
    values = OCIO.GradingRGBCurve(curve, straight, straight, curve)
    return OCIO.GradingRGBCurveTransform(values=values, style=OCIO.GRADING_LOG, dynamic=dynamic)


UNIT = np.random.default_rng(6).uniform(-0.3, 1.4, (3, 40, 50)).astype(np.float32)
OPERATIONS: dict[str, OCIO.Transform] = {
    "matrix": OCIO.MatrixTransform([1, 0.2, 0, 0, -0.1, 1, 0.3, 0, 0, 0.1, 0.8, 0, 0, 0, 0, 1], [0.1, 0, -0.2, 0]),
    "cdl": OCIO.CDLTransform([1.1, 0.9, 1], [0.1, 0, -0.1], [1.1, 0.9, 1.2], 0.8),
    "range": OCIO.RangeTransform(0.0, 1.0, 0.1, 0.9),
    "exponent": OCIO.ExponentTransform([2.2, 2.1, 2.0, 1.0], OCIO.NEGATIVE_PASS_THRU),
    "moncurve": OCIO.ExponentWithLinearTransform([2.4, 2.4, 2.4, 1.0], [0.055, 0.055, 0.055, 0.0]),
    "log": OCIO.LogTransform(10.0),
    "exposure and contrast": OCIO.ExposureContrastTransform(
        style=OCIO.EXPOSURE_CONTRAST_LINEAR, exposure=0.5, contrast=1.2, gamma=0.9
    ),
    "1-D table, short": table_1d(16),
    "1-D table, long": table_1d(65536),
    "1-D table, half domain": table_1d(65536, half=True),
    "3-D table, trilinear": table_3d(17, OCIO.INTERP_LINEAR),
    "3-D table, tetrahedral": table_3d(17, OCIO.INTERP_TETRAHEDRAL),
    "grading primary": primary(dynamic=False),
    "grading primary, dynamic": primary(dynamic=True),
    "grading tone": tone(dynamic=False),
    "grading tone, dynamic": tone(dynamic=True),
    "grading curves": curves(dynamic=False),
    "grading curves, dynamic": curves(dynamic=True),
    "red modifier": OCIO.FixedFunctionTransform(OCIO.FIXED_FUNCTION_ACES_RED_MOD_10),
    "gamut compression": OCIO.FixedFunctionTransform(
        OCIO.FIXED_FUNCTION_ACES_GAMUT_COMP_13, [1.147, 1.264, 1.312, 0.815, 0.803, 0.880, 1.2]
    ),
    "hue, saturation": OCIO.FixedFunctionTransform(OCIO.FIXED_FUNCTION_RGB_TO_HSV),
}


@host
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_kind_of_operation(name: str, tmp_path: Path) -> None:
    ours, theirs = both(OPERATIONS[name], tmp_path, UNIT)
    assert differences(ours, theirs).max() <= 5e-5
    assert disagreement(ours, theirs) <= TOLERANCE
    assert not np.array_equal(theirs, UNIT)


@host
def test_parts_of_a_larger_picture(config: ColourConfig, tmp_path: Path) -> None:
    shader = translate(config.processor("scene_linear", "srgb_tx")._processor, OPTIMISATION)
    whole = run(shader, UNIT, tmp_path)
    np.testing.assert_array_equal(run(shader, UNIT[:, 3:20, 7:31], tmp_path), whole[:, 3:20, 7:31])
    np.testing.assert_array_equal(run(shader, UNIT[:, ::-1], tmp_path), whole[:, ::-1])
    assert run(shader, UNIT[:, :1, :1], tmp_path).shape == (3, 1, 1)


# --- the yardstick ----------------------------------------------------------------------------------------------------


def test_disagreement_sees_what_is_wrong() -> None:
    good = probes()
    assert disagreement(good, good) == 0
    assert differences(good * np.float32(1.001), good).max() > 9e-4
    bad = good.copy()
    bad[:, :, ::50] += 0.1
    assert disagreement(bad, good) > 0.01
    bad[:, :, ::50] = np.nan
    assert disagreement(bad, good) == np.inf
    assert disagreement(bad, bad) == 0


def test_probes_reach_wide() -> None:
    values = probes()
    assert values.dtype == np.float32 and np.isfinite(values).all()
    assert (
        values.max() > 5e4 and values.min() < -0.9 and (values == 0).any() and np.abs(values[values != 0]).min() < 2e-6
    )


# --- on the device ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["ACEScct", "ADX10", tone_mapped_view()])
def test_compiles_for_cuda(config: ColourConfig, name: str) -> None:
    nvrtc = pytest.importorskip("cupy_backends.cuda.libs.nvrtc", reason="needs CuPy and the NVRTC library")
    try:
        nvrtc.getVersion()
    except Exception:
        pytest.skip("needs the NVRTC library")
    shader = translate(config.processor("scene_linear", name)._processor, OPTIMISATION)
    program = nvrtc.createProgram(shader.code, "shader.cu", (), ())
    try:
        nvrtc.compileProgram(program, (*OPTIONS, "--gpu-architecture=sm_90"))
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
    cubin = nvrtc.getCUBIN(program)
    assert cubin[:4] == b"\x7fELF" and FUNCTION.encode() in cubin


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> types.ModuleType:
    """CuPy's stand-in, with modules compiled for the host and launched block by block as CUDA would be asked to."""

    class CompileError(Exception):
        pass

    class RawModule:
        def __init__(self, code: str, options: tuple[str, ...], backend: str) -> None:
            self.code = code

        def get_function(self, name: str) -> Any:
            assert name == FUNCTION
            try:
                function = build(self.code, tmp_path)
            except subprocess.CalledProcessError as error:
                raise CompileError(str(error)) from error

            def launch(grid: tuple[int, int], block: tuple[int, int], arguments: tuple[Any, ...]) -> None:
                source, target, plane, row, width, height, tables = arguments
                assert [type(v) for v in (plane, row, width, height)] == [np.int64, np.int64, np.int32, np.int32]
                assert grid[0] * block[0] >= width and grid[1] * block[1] >= height
                pointers = (item.data.ptr for item in (source, target, tables))
                first, second, third = pointers
                function(first, second, int(plane), int(row), int(width), int(height), third)

            return launch

    fake = cupy_like.module()
    fake.RawModule = RawModule  # type: ignore[attr-defined]
    fake.cuda.Device = lambda: types.SimpleNamespace(id=0)
    fake.cuda.compiler = types.SimpleNamespace(CompileException=CompileError)
    monkeypatch.setitem(sys.modules, "cupy", fake)
    return fake


@host
def test_the_whole_way_on_a_stand_in(config: ColourConfig, stand_in: types.ModuleType) -> None:
    processor = Processor(config.processor("scene_linear", "srgb_tx")._processor)
    device, values = Device("cuda"), stand_in.asarray(UNIT)
    out = processor.apply(values, device)
    assert isinstance(out, cupy_like.DeviceArray) and processor._gpu.exact
    assert differences(out.get(), apply_cpu(processor._cpu, UNIT)).max() <= 2e-6
    part = processor.apply(values[:, 2:9, 3:17], device)
    np.testing.assert_array_equal(part.get(), out.get()[:, 2:9, 3:17])
    turned = processor.apply(values[:, :, ::-1], device)
    np.testing.assert_array_equal(turned.get(), out.get()[:, :, ::-1])
    assert processor.apply(values[:, :0], device).shape == (3, 0, 50)
    np.testing.assert_array_equal(values.get(), UNIT)


@host
@pytest.mark.parametrize("why", ["does not compile", "differs"])
def test_where_the_shader_is_no_good_the_cpu_answers(
    config: ColourConfig,
    stand_in: types.ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    why: str,
) -> None:
    def spoilt(processor: OCIO.Processor, optimisation: Any) -> Shader:
        shader = translate(processor, optimisation)
        old, new = (
            "return outColor;",
            "return outcolour;" if why == "does not compile" else "return outColor * 1.01f;",
        )
        assert old in shader.code
        return Shader(shader.code.replace(old, new), shader.tables)

    monkeypatch.setattr(gpu, "translate", spoilt)
    processor = Processor(config.processor("scene_linear", "srgb_tx")._processor)
    for _ in range(2):
        out = processor.apply(stand_in.asarray(UNIT), Device("cuda", 2))
        np.testing.assert_array_equal(out.get(), apply_cpu(processor._cpu, UNIT))
    assert [why in record.message for record in caplog.records] == [True]


@pytest.mark.gpu
@pytest.mark.parametrize("name", SPACES)
def test_gpu_equals_cpu(config: ColourConfig, name: str) -> None:
    if choose_device("auto").kind != "cuda":
        pytest.skip("needs a CUDA device")
    import cupy

    values = probes()
    processor = Processor(config.processor("scene_linear", name)._processor)
    ours = cupy.asnumpy(processor.apply(cupy.asarray(values), Device("cuda")))
    assert processor._gpu.exact
    assert disagreement(ours, apply_cpu(processor._cpu, values)) <= TOLERANCE
