// The middle of the vectors around, one axis at a time.
#pragma once
#include "../lane.h"

SL_FN void motion_order(int& a, int& b) {
    const int low = sl::imin(a, b);
    b = sl::imax(a, b);
    a = low;
}

// Median of nine by exchanges, without branches (Devillard 1998, after Paeth 1990).
SL_FN int motion_median(const int* v) {
    int p[9];
    for (int i = 0; i < 9; ++i) p[i] = v[i];
    motion_order(p[1], p[2]), motion_order(p[4], p[5]), motion_order(p[7], p[8]);
    motion_order(p[0], p[1]), motion_order(p[3], p[4]), motion_order(p[6], p[7]);
    motion_order(p[1], p[2]), motion_order(p[4], p[5]), motion_order(p[7], p[8]);
    motion_order(p[0], p[3]), motion_order(p[5], p[8]), motion_order(p[4], p[7]);
    motion_order(p[3], p[6]), motion_order(p[1], p[4]), motion_order(p[2], p[5]);
    motion_order(p[4], p[7]), motion_order(p[4], p[2]), motion_order(p[6], p[4]);
    motion_order(p[4], p[2]);
    return p[4];
}
