"""OpenColorIO's GPU shader of a transform, as C++ that compiles for CUDA and for the host.

OpenColorIO writes the shader in GLSL; `glsl.h` makes that text valid C++ but for a few things that are rewritten
here: number literals, array constants, uniforms (taken at their present values), swizzles that reorder, and where
the textures are. The very same text is compiled by NVRTC for a device and by a C++ compiler in the tests, which hold
it against OpenColorIO's CPU processor.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import PyOpenColorIO as OCIO

FUNCTION = "safelight_colour"
HEADER = Path(__file__).parent / "glsl.h"


@dataclass(frozen=True, slots=True)
class Shader:
    """A translated transform.

    Attributes
    ----------
    code:
        C++ source. For CUDA a kernel `safelight_colour`, else an extern "C" function of that name, both of
        (source, target, source plane stride, source row stride, width, height, tables): source and target are float32
        planes, strides count floats, the target is contiguous; `tables` is one array with all textures.
    tables:
        The textures' texels, float32, one after the other.
    """

    code: str
    tables: npt.NDArray[np.float32]


def translate(processor: OCIO.Processor, optimisation: Any) -> Shader:
    """Return the transform as C++. What this does not know shows itself when the code is compiled."""
    gpu = processor.getOptimizedGPUProcessor(optimisation)
    description = OCIO.GpuShaderDesc.CreateShaderDesc(language=OCIO.GPU_LANGUAGE_GLSL_4_0)
    gpu.extractGpuShaderInfo(description)
    samplers, tables = _textures(description)
    text = re.sub(r"//[^\n]*", "", description.getShaderText())
    text = re.sub(r"^uniform sampler\dD \w+;$", "", text, flags=re.M)
    text = re.sub(r"(?<![\w.])((?:\d+\.\d*|\.\d+)(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+)f?(?!\w)", r"\1f", text)
    text = re.sub(r"\.(gbr|brg|zyx)\b", r".\1()", text)
    text = re.sub(r"\bin (int|float|bool|vec\d)\b", r"\1", text)
    constants: list[str] = []

    def table(match: re.Match[str]) -> str:
        constants.append(f"GL_TABLE {match[1]} {match[2]}[{match[3]}] = {{{match[4]}}};")
        return ""

    text = re.sub(r"^const (int|float) (\w+)\[(\d+)\] = \1\[\3\]\(([^)]*)\);", table, text, flags=re.M)
    for name, value in description.getUniforms():
        text, count = re.subn(rf"^uniform \w+ {name}(?:\[\d+\])?;", "", text, flags=re.M)
        if count:
            constants.append(_uniform(name, value))
    text = re.sub(r"^((?:float|int|bool|void|vec\d|mat\d) \w+\()", r"GL_MEMBER \1", text, flags=re.M)
    code = _PROGRAM
    for key, value in {
        "HEADER": HEADER.read_text(encoding="utf-8"),
        "CONSTANTS": "\n".join(constants),
        "SAMPLERS": "\n".join(f"    {kind} {name};" for kind, name, _setting in samplers),
        "SETTINGS": "\n".join(f"    shader.{name} = {{{{{setting}}}}};" for _kind, name, setting in samplers),
        "SHADER": text,
        "FUNCTION": FUNCTION,
    }.items():
        code = code.replace(f"@{key}@", value)
    return Shader(code, tables)


def _textures(description: Any) -> tuple[list[tuple[str, str, str]], npt.NDArray[np.float32]]:
    samplers: list[tuple[str, str, str]] = []
    parts: list[npt.NDArray[np.float32]] = []
    offset = 0

    def add(kind: str, name: str, size: tuple[int, int, int], nearest: bool, values: npt.NDArray[np.float32]) -> None:
        nonlocal offset
        setting = f"tables + {offset}, {size[0]}, {size[1]}, {size[2]}, {'true' if nearest else 'false'}"
        samplers.append((kind, name, setting))
        parts.append(values)
        offset += values.size

    for texture in description.getTextures():
        flat = np.array(texture.getValues(), np.float32).reshape(-1)
        if texture.channel == OCIO.GpuShaderDesc.TEXTURE_RED_CHANNEL:
            flat = np.repeat(flat, 3)
        kind = "sampler1D" if texture.dimensions == OCIO.GpuShaderDesc.TEXTURE_1D else "sampler2D"
        nearest = texture.interpolation == OCIO.INTERP_NEAREST
        add(kind, texture.samplerName, (texture.width, texture.height, 1), nearest, flat)
    for texture in description.get3DTextures():
        edge = texture.edgeLen
        flat = np.array(texture.getValues(), np.float32).reshape(-1)
        add("sampler3D", texture.samplerName, (edge, edge, edge), texture.interpolation == OCIO.INTERP_NEAREST, flat)
    # An empty array has no address to hand to a kernel.
    return samplers, np.concatenate(parts) if parts else np.zeros(1, np.float32)


def _uniform(name: str, value: Any) -> str:
    if value.type == OCIO.UNIFORM_BOOL:
        return f"GL_TABLE bool {name} = {str(bool(value.getBool())).lower()};"
    if value.type == OCIO.UNIFORM_DOUBLE:
        return f"GL_TABLE float {name} = {_number(value.getDouble())};"
    if value.type == OCIO.UNIFORM_FLOAT3:
        return f"#define {name} vec3({', '.join(map(_number, value.getFloat3()))})"
    if value.type == OCIO.UNIFORM_VECTOR_FLOAT:
        return _array("float", name, map(_number, value.getVectorFloat()))
    if value.type == OCIO.UNIFORM_VECTOR_INT:
        return _array("int", name, (str(int(item)) for item in value.getVectorInt()))
    raise ValueError(f"a uniform of unknown type: {name}")


def _array(kind: str, name: str, items: Iterable[str]) -> str:
    values = list(items) or ["0"]
    return f"GL_TABLE {kind} {name}[{len(values)}] = {{{', '.join(values)}}};"


def _number(value: float) -> str:
    most = float(np.finfo(np.float32).max)  # an open end is the largest double
    return f"{float(np.float32(min(max(value, -most), most)))!r}f"


_PROGRAM = """\
@HEADER@
namespace glsl {
@CONSTANTS@

struct Program {
@SAMPLERS@
@SHADER@
};

GL_FN void pixel(const float* source, float* target, long long plane, long long row, int width, int height,
                 const float* tables, int x, int y) {
    Program shader;
    (void)tables;
@SETTINGS@
    const float* from = source + y * row + x;
    float* to = target + (long long)y * width + x;
    const long long step = (long long)width * height;
    const vec4 colour = shader.OCIOMain(vec4(from[0], from[plane], from[2 * plane], 1.0f));
    to[0] = colour.r;
    to[step] = colour.g;
    to[2 * step] = colour.b;
}
}

#if defined(__CUDACC__)
extern "C" __global__ void @FUNCTION@(const float* source, float* target, long long plane, long long row, int width,
                                      int height, const float* tables) {
    const int x = int(blockIdx.x * blockDim.x + threadIdx.x), y = int(blockIdx.y * blockDim.y + threadIdx.y);
    if (x < width && y < height) glsl::pixel(source, target, plane, row, width, height, tables, x, y);
}
#else
extern "C" void @FUNCTION@(const float* source, float* target, long long plane, long long row, int width, int height,
                           const float* tables) {
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) glsl::pixel(source, target, plane, row, width, height, tables, x, y);
}
#endif
"""
