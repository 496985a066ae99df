// Encoded planes at half the size: [1 3 3 1] / 8 in both directions; or how another half-size picture differs from that.
// Output pixel (x, y) lies between input pixels 2x and 2x + 1, counted from the corners of what both cover.
#include "driver.h"

struct degrain_reduce_args {
    sl::Grid grid;    // x: runs of 32 output pixels, y: output rows
    sl::In source;    // with a border: `left` and `top` are where its picture begins
    sl::In base;      // of the size of `out`
    sl::Out out;
    int planes, differ, left, top;  // differ: out = base - half, otherwise half
};

static constexpr int DEGRAIN_HALF_RUN = 32;

SL_FN void degrain_reduce(const degrain_reduce_args& k, int run, int y) {
    using namespace sl;
    const int x0 = run * DEGRAIN_HALF_RUN, n = imin(DEGRAIN_HALF_RUN, k.out.w - x0);
    for (int c = 0; c < k.planes; ++c) {
        float column[2 * DEGRAIN_HALF_RUN + 2];
        const float* p = k.source.p + c * k.source.plane + (k.top + 2 * y - 1) * k.source.row + k.left + 2 * x0 - 1;
        const float *a = p, *b = a + k.source.row, *d = b + k.source.row, *e = d + k.source.row;
        const int wide = 2 * n + 2;
        for (int i = 0; i < wide; ++i) column[i] = (a[i] + e[i]) + 3.0f * (b[i] + d[i]);
        float* out = k.out.p + c * k.out.plane + y * k.out.row + x0;
        for (int i = 0; i < n; ++i) {
            const float sum = (column[2 * i] + column[2 * i + 3]) + 3.0f * (column[2 * i + 1] + column[2 * i + 2]);
            out[i] = sum * 0.015625f;
        }
        if (k.differ) {
            const float* base = k.base.p + c * k.base.plane + y * k.base.row + x0;
            for (int i = 0; i < n; ++i) {
                const float apart = base[i] - out[i];
                out[i] = apart >= -1.0e30f && apart <= 1.0e30f ? apart : 0.0f;  // what is no number corrects nothing
            }
        }
    }
}
SL_ITEM_KERNEL(degrain_reduce)
