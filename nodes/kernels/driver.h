// Turns a pixel function into something that can be called: a CUDA kernel, or a function of a shared library that
// walks the rows in threads. The args struct of a kernel NAME is called NAME_args and begins with a Grid; it is also
// what the launch layer in Python reads to know how to call it.
#pragma once
#include "lane.h"

#if SL_CUDA

#define SL_PIXEL_KERNEL(NAME)                                                        \
    extern "C" __global__ void NAME##_kernel(const NAME##_args k) {                  \
        const int x = k.grid.x0 + int(blockIdx.x * blockDim.x + threadIdx.x);        \
        const int y = k.grid.y0 + int(blockIdx.y * blockDim.y + threadIdx.y);        \
        if (x < k.grid.x1 && y < k.grid.y1) NAME(k, sl::At<true>{x, y, 1});          \
    }

#define SL_ITEM_KERNEL(NAME)                                                         \
    extern "C" __global__ void NAME##_kernel(const NAME##_args k) {                  \
        const int x = k.grid.x0 + int(blockIdx.x * blockDim.x + threadIdx.x);        \
        const int y = k.grid.y0 + int(blockIdx.y * blockDim.y + threadIdx.y);        \
        if (x < k.grid.x1 && y < k.grid.y1) NAME(k, x, y);                           \
    }

// Items of many threads that share memory: NAME(k, item) is run by THREADS threads of one block (one call on a CPU, in
// lanes). A loop over columns is SL_COLUMNS, one over anything else SL_COUNT; between loops that read what others wrote stands SL_SYNC.
#define SL_COLUMNS(I, COUNT) for (int I = int(threadIdx.x); I < (COUNT); I += int(blockDim.x))
// The same in rounds that all threads take together, so that SL_SYNC may stand inside; work is for I < COUNT alone.
#define SL_ROUNDS(I, COUNT) for (int I = int(threadIdx.x); I - int(threadIdx.x) < (COUNT); I += int(blockDim.x))
#define SL_COUNT(I, COUNT) for (int I = int(threadIdx.x); I < (COUNT); I += int(blockDim.x))
#define SL_SYNC() __syncthreads()
#define SL_BLOCK_KERNEL(NAME)                                                        \
    extern "C" __global__ void NAME##_kernel(const NAME##_args k) {                  \
        NAME(k, k.grid.y0 + int(blockIdx.y));                                        \
    }

#else

#define SL_COLUMNS(I, COUNT) for (int I = 0; I < (COUNT); I += sl::LANES)
#define SL_ROUNDS(I, COUNT) for (int I = 0; I < (COUNT); I += sl::LANES)
#define SL_COUNT(I, COUNT) for (int I = 0; I < (COUNT); ++I)
#define SL_SYNC()

#define SL_JOIN_(A, B, C) A##B##C
#define SL_JOIN(A, B, C) SL_JOIN_(A, B, C)
#define SL_EXPORT extern "C" __attribute__((visibility("default")))
// The size is exported too, so that the launch layer can hold its own idea of the struct against the compiler's.
#define SL_SIZE(NAME) \
    SL_EXPORT int SL_JOIN(NAME, _size_, SL_ISA)() { return int(sizeof(NAME##_args)); }

// One call of NAME(k, at) for every run of LANES pixels; rows in threads.
#define SL_PIXEL_KERNEL(NAME)                                                        \
    SL_SIZE(NAME)                                                                    \
    SL_EXPORT void SL_JOIN(NAME, _, SL_ISA)(const NAME##_args* args) {               \
        const NAME##_args& k = *args;                                                \
        const sl::Grid g = k.grid;                                                   \
        _Pragma("omp parallel for schedule(static) num_threads(g.threads) if (g.threads > 1)") \
        for (int y = g.y0; y < g.y1; ++y)                                            \
            for (int x = g.x0; x < g.x1; x += sl::LANES) {                           \
                const int n = sl::imin(sl::LANES, g.x1 - x);                         \
                if (x >= g.lo && x + sl::LANES <= g.hi)                              \
                    NAME(k, sl::At<false>{x, y, n});                                 \
                else                                                                 \
                    NAME(k, sl::At<true>{x, y, n});                                  \
            }                                                                        \
    }

// One call of NAME(k, x, y) for every item (a block, a row, a bin); it may use lanes inside.
#define SL_ITEM_KERNEL(NAME)                                                         \
    SL_SIZE(NAME)                                                                    \
    SL_EXPORT void SL_JOIN(NAME, _, SL_ISA)(const NAME##_args* args) {               \
        const NAME##_args& k = *args;                                                \
        const sl::Grid g = k.grid;                                                   \
        _Pragma("omp parallel for schedule(static) num_threads(g.threads) if (g.threads > 1)") \
        for (int y = g.y0; y < g.y1; ++y)                                            \
            for (int x = g.x0; x < g.x1; ++x) NAME(k, x, y);                         \
    }

// One call of NAME(k, item) for every row of the grid.
#define SL_BLOCK_KERNEL(NAME)                                                        \
    SL_SIZE(NAME)                                                                    \
    SL_EXPORT void SL_JOIN(NAME, _, SL_ISA)(const NAME##_args* args) {               \
        const NAME##_args& k = *args;                                                \
        const sl::Grid g = k.grid;                                                   \
        _Pragma("omp parallel for schedule(static) num_threads(g.threads) if (g.threads > 1)") \
        for (int y = g.y0; y < g.y1; ++y) NAME(k, y);                                \
    }

#endif
