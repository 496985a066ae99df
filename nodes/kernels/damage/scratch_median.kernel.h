// Running median of 21 along rows, the border repeated: the window is kept in order.
// An item is a row.
#include "driver.h"

struct scratch_median_args {
    sl::Grid grid;   // x: 0 .. 1, y: rows
    sl::Raw values;  // double
    sl::Raw out;     // double
    int wide;
};

SL_FN void scratch_median(const scratch_median_args& k, int, int y) {
    using namespace sl;
    constexpr int HALF = 10, COUNT = 2 * HALF + 1;
    const double* in = (const double*)(k.values.p + y * k.values.row);
    double* out = (double*)(k.out.p + y * k.out.row);
    double sorted[COUNT];
    for (int i = 0; i < COUNT; ++i) {
        const double v = in[iclamp(i - HALF, 0, k.wide - 1)];
        int at = i;
        for (; at > 0 && sorted[at - 1] > v; --at) sorted[at] = sorted[at - 1];
        sorted[at] = v;
    }
    for (int x = 0;; ++x) {
        out[x] = sorted[HALF];
        if (x + 1 == k.wide) break;
        const double gone = in[imax(x - HALF, 0)], v = in[imin(x + 1 + HALF, k.wide - 1)];
        int at = 0;
        while (at < COUNT - 1 && sorted[at] != gone) ++at;
        for (; at > 0 && sorted[at - 1] > v; --at) sorted[at] = sorted[at - 1];
        for (; at < COUNT - 1 && sorted[at + 1] < v; ++at) sorted[at] = sorted[at + 1];
        sorted[at] = v;
    }
}
SL_ITEM_KERNEL(scratch_median)
