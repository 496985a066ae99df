// All kernels for one instruction set. Everything lies in a namespace named after it, so that no inline function is
// shared between objects built for different processors.
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace SL_ISA {
#include "all_kernels.h"
}

// What the library can do on this machine: 0 nothing special, 2, 3, 4 for x86-64-v2, -v3, -v4.
#define SL_IS_v2 1
#define SL_PASTE_(A, B) A##B
#define SL_PASTE(A, B) SL_PASTE_(A, B)
#if SL_PASTE(SL_IS_, SL_ISA) + 0 == 1
extern "C" __attribute__((visibility("default"))) int safelight_cpu_level() {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("x86-64-v4")) return 4;
    if (__builtin_cpu_supports("x86-64-v3")) return 3;
    return 2;
}
#endif
