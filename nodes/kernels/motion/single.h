// Single floats with the arithmetic of the lanes, for loops that the compiler turns into vectors itself.
#pragma once
#include "../lane.h"

namespace sl {
#if SL_CUDA
SL_FN float fma1(float a, float b, float c) { return fmaf(a, b, c); }
SL_FN float floor1(float v) { return floorf(v); }
#else
#if defined(__FP_FAST_FMAF)
SL_FN float fma1(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
#else
SL_FN float fma1(float a, float b, float c) { return a * b + c; }
#endif
SL_FN float floor1(float v) { return __builtin_floorf(v); }
#endif
}  // namespace sl
