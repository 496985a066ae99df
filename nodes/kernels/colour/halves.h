// Pictures of half the size, and back: pixel (x, y) of the half lies between pixels 2x and 2x + 1 of the whole.
// All coordinates begin at 0.
#pragma once
#include "lane.h"

namespace sl {

// LANES values from x on; beyond the picture its border pixel.
SL_FN F run(const In& in, int c, int x, int y) {
    const float* row = in.p + c * in.plane + iclamp(y, 0, in.h - 1) * in.row;
#if SL_LANES == 1
    return row[iclamp(x, 0, in.w - 1)];
#else
    if (x >= 0 && x + LANES <= in.w) return load_lanes(row + x);
    F v;
    for (int i = 0; i < LANES; ++i) v[i] = row[iclamp(x + i, 0, in.w - 1)];
    return v;
#endif
}

// The pixels 2x and 2x + 1, for LANES values of x.
SL_FN void run_pairs(const In& in, int c, int x, int y, F& even, F& odd) {
    const float* row = in.p + c * in.plane + iclamp(y, 0, in.h - 1) * in.row;
    if (2 * (x + LANES) <= in.w) return load_pairs(row + 2 * x, even, odd);
#if SL_LANES == 1
    even = row[iclamp(2 * x, 0, in.w - 1)];
    odd = row[iclamp(2 * x + 1, 0, in.w - 1)];
#else
    for (int i = 0; i < LANES; ++i) {
        even[i] = row[iclamp(2 * (x + i), 0, in.w - 1)];
        odd[i] = row[iclamp(2 * (x + i) + 1, 0, in.w - 1)];
    }
#endif
}

SL_FN F half_mean(const In& in, int c, int x, int y) {
    F a, b, d, e;
    run_pairs(in, c, x, 2 * y, a, b);
    run_pairs(in, c, x, 2 * y + 1, d, e);
    return ((a + b) + (d + e)) * 0.25f;
}

// LANES pixels of a picture twice as large, from an even x on (any x where there is one lane), by linear interpolation.
SL_FN F doubled(const In& half, int c, int x, int y) {
    const int X = x >> 1, Y = y >> 1, far = Y + ((y & 1) ? 1 : -1);
#if SL_LANES == 1
    const int side = X + ((x & 1) ? 1 : -1);
    const F m = mad(run(half, c, X, Y), 0.75f, run(half, c, X, far) * 0.25f);
    const F s = mad(run(half, c, side, Y), 0.75f, run(half, c, side, far) * 0.25f);
    return mad(m, 0.75f, s * 0.25f);
#else
    const F q = splat(0.75f);
    const F m = mad(run(half, c, X, Y), q, run(half, c, X, far) * 0.25f);
    const F l = mad(run(half, c, X - 1, Y), q, run(half, c, X - 1, far) * 0.25f);
    const F r = mad(run(half, c, X + 1, Y), q, run(half, c, X + 1, far) * 0.25f);
    F first, second;
    join_pairs(mad(m, q, l * 0.25f), mad(m, q, r * 0.25f), first, second);
    return first;
#endif
}

}  // namespace sl
