// How much pixels differ from the mean of those two to their sides, in blocks of 16 x 16: the median of the means of rows.
// A row of a block is a sample: the median passes over a few rows of a figure's edge.
// An item is a block. Sums run in one order, whatever the lanes: halves, then neighbours, then neighbours of those.
#include "driver.h"

struct scratch_noise_args {
    sl::Grid grid;    // blocks
    sl::In plane;
    sl::Out out;
    sl::Raw rows;     // int: of every row of all blocks, which of the picture it is
    sl::Raw columns;  // the same of columns, counted from the third, up to the third from the end
};

SL_FN void scratch_noise(const scratch_noise_args& k, int block, int y) {
    using namespace sl;
    const int *rows = (const int*)k.rows.p + 16 * y, *columns = (const int*)k.columns.p + 16 * block;
    const bool whole = columns[15] - columns[0] == 15 && columns[1] - columns[0] == 1;
    float means[16];
    for (int j = 0; j < 16; ++j) {
        const float* row = k.plane.p + rows[j] * k.plane.row;
        float away[16];
        if (whole) {
            const float* p = row + columns[0];
            for (int i = 0; i < 16; ++i) away[i] = p[i + 2] - 0.5f * (p[i] + p[i + 4]);
        } else {
            for (int i = 0; i < 16; ++i) {
                const float* p = row + columns[i];
                away[i] = p[2] - 0.5f * (p[0] + p[4]);
            }
        }
        for (int i = 0; i < 16; ++i) away[i] = away[i] < 0 ? -away[i] : away[i];
        for (int i = 0; i < 8; ++i) away[i] = away[i] + away[i + 8];
        for (int i = 0; i < 4; ++i) away[i] = away[2 * i] + away[2 * i + 1];
        const float mean = ((away[0] + away[1]) + (away[2] + away[3])) * 0.0625f;
        int at = j;
        for (; at > 0 && means[at - 1] > mean; --at) means[at] = means[at - 1];
        means[at] = mean;
    }
    k.out.p[y * k.out.row + block] = (means[7] + means[8]) * 0.5f;
}
SL_ITEM_KERNEL(scratch_noise)
