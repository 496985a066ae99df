// Pictures of half the size, and back: pixel (x, y) of the half lies between pixels 2x and 2x + 1 of the whole.
// All coordinates begin at 0.
#pragma once
#include "lane.h"

namespace sl {

// LANES values from x on; one pixel beyond the picture the line goes on straight.
#if SL_LANES == 1
SL_FN F run_across(const In& in, int c, int x, int y) {
    const float* row = in.p + c * in.plane + y * in.row;
    const int last = in.w - 1, before = imin(1, last), after = imax(last - 1, 0);
    return x < 0 ? mad(row[0], 2.0f, -row[before]) : x > last ? mad(row[last], 2.0f, -row[after]) : row[x];
}
#else
SL_RARE F run_beyond(In in, int c, int x, int y) {
    const float* row = in.p + c * in.plane + y * in.row;
    const int last = in.w - 1, before = imin(1, last), after = imax(last - 1, 0);
    F v, base, other;
    for (int i = 0; i < LANES; ++i) {
        const int at = x + i;
        v[i] = row[iclamp(at, 0, last)];
        base[i] = at < 0 || at > last ? 2.0f : 1.0f;
        other[i] = at < 0 ? row[before] : at > last ? row[after] : 0.0f;
    }
    return mad(v, base, -other);
}

SL_FN F run_across(const In& in, int c, int x, int y) {
    if (x >= 0 && x + LANES <= in.w) return load_lanes(in.p + c * in.plane + y * in.row + x);
    return run_beyond(in, c, x, y);
}
#endif

// The same of a row beyond the picture.
SL_FN F run(const In& in, int c, int x, int y) {
    if (y >= 0 && y < in.h) return run_across(in, c, x, y);
    const int edge = y < 0 ? 0 : in.h - 1, inner = y < 0 ? imin(1, edge + in.h - 1) : imax(edge - 1, 0);
    return mad(run_across(in, c, x, edge), splat(2.0f), -run_across(in, c, x, inner));
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

// The same where half of a mean's pixels may lie beyond the picture: there the line goes on straight.
SL_FN F half_mean_straight(const In& in, int c, int x, int y) {
    if (2 * (x + LANES) <= in.w && 2 * y + 1 < in.h) return half_mean(in, c, x, y);
    F sum = splat(0.0f);
    for (int j = 0; j < 2; ++j) {
#if SL_LANES == 1
        sum = sum + (run(in, c, 2 * x, 2 * y + j) + run(in, c, 2 * x + 1, 2 * y + j));
#else
        F first, second;
        const F near = run(in, c, 2 * x, 2 * y + j), far = run(in, c, 2 * x + LANES, 2 * y + j);
        split_pairs(near, far, first, second);
        sum = sum + (first + second);
#endif
    }
    return sum * 0.25f;
}

// LANES pixels of a picture twice as large, from an even x on (any x where there is one lane), by linear interpolation.
#if SL_LANES == 1
SL_FN F doubled(const In& half, int c, int x, int y) {
    const int X = x >> 1, Y = y >> 1, far = Y + ((y & 1) ? 1 : -1);
    const int side = X + ((x & 1) ? 1 : -1);
    const F m = mad(run(half, c, X, Y), 0.75f, run(half, c, X, far) * 0.25f);
    const F s = mad(run(half, c, side, Y), 0.75f, run(half, c, side, far) * 0.25f);
    return mad(m, 0.75f, s * 0.25f);
}
#else
// Of columns from one before the first on: the linear interpolation of twice as many.
SL_FN F between(F column) {
    F near, other;
#if defined(__clang__)
    for (int i = 0; i < LANES; ++i) near[i] = column[1 + i / 2], other[i] = column[i / 2 + 2 * (i % 2)];
#else
    const I at = iota() >> 1;
    near = __builtin_shuffle(column, at + 1);
    other = __builtin_shuffle(column, at + 2 * (iota() & 1));
#endif
    return mad(near, splat(0.75f), other * 0.25f);
}

SL_RARE F doubled_at_border(In half, int c, int x, int y) {
    const int X = x >> 1, Y = y >> 1, far = Y + ((y & 1) ? 1 : -1);
    return between(mad(run(half, c, X - 1, Y), splat(0.75f), run(half, c, X - 1, far) * 0.25f));
}

SL_FN F doubled(const In& half, int c, int x, int y) {
    const int X = x >> 1, Y = y >> 1, far = Y + ((y & 1) ? 1 : -1);
    if (X < 1 || X - 1 + LANES > half.w || far < 0 || far >= half.h) return doubled_at_border(half, c, x, y);
    const float *row = half.p + c * half.plane + Y * half.row + (X - 1), *next = row + (far - Y) * half.row;
    return between(mad(load_lanes(row), splat(0.75f), load_lanes(next) * 0.25f));
}
#endif

}  // namespace sl
