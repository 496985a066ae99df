// Half-size picture for motion search: [1 3 3 1] in both directions, rounded to whole numbers, so that sums of
// differences stay exact whatever their order. Output pixel (x, y) lies between input pixels 2x and 2x + 1.
#include "driver.h"
#include "single.h"

struct motion_shrink_args {
    sl::Grid grid;
    sl::In source;
    sl::Out out;
};

// Item: one output row's run of 16 pixels.
SL_FN void motion_shrink(const motion_shrink_args& k, int bx, int y) {
    using namespace sl;
    float column[34];
    const int x0 = bx * 16, first = 2 * x0 - 1;
    const float* rows[4];
    for (int j = 0; j < 4; ++j) rows[j] = k.source.p + iclamp(2 * y - 1 + j, 0, k.source.h - 1) * k.source.row;
    if (first >= 0 && first + 34 <= k.source.w) {
        for (int i = 0; i < 34; ++i)
            column[i] = (rows[0][first + i] + rows[3][first + i]) + 3.0f * (rows[1][first + i] + rows[2][first + i]);
    } else {
        for (int i = 0; i < 34; ++i) {
            const int x = iclamp(first + i, 0, k.source.w - 1);
            column[i] = (rows[0][x] + rows[3][x]) + 3.0f * (rows[1][x] + rows[2][x]);
        }
    }
    float out[16];
    for (int i = 0; i < 16; ++i) {
        const float sum = (column[2 * i] + column[2 * i + 3]) + 3.0f * (column[2 * i + 1] + column[2 * i + 2]);
        out[i] = floor1(sum * 0.015625f + 0.5f);
    }
    const int n = imin(16, k.out.w - x0);
    for (int i = 0; i < n; ++i) k.out.p[y * k.out.row + x0 + i] = out[i];
}
SL_ITEM_KERNEL(motion_shrink)
