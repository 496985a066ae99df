// How well moved neighbours match a frame, block by block of 16 x 16 pixels: for each neighbour the sums of each plane's
// differences and of the squares of the first one's, each difference held to four standard deviations, so that damage
// weighs little. Of three planes also what the records' differences, smoothed as `dirt_depart` smooths them, have in
// common: their sums and those of their products, of every fourth row, held to twelve.
// Sums are of whole numbers, hence exact and the same for every lane count.
#include "driver.h"

struct dirt_blocks_args {
    sl::Grid grid;   // blocks
    sl::In centre;   // planes of the frame, with a pixel or more around the picture
    sl::In others;   // `count` neighbours' planes
    sl::Out out;     // for each neighbour: each plane's sum of steps of 1/16 sigma, the first one's sum of their squares;
                     // of three planes then R, G, B in steps of 1/8 sigma, RR, RG, RB, GG, GB, BB
    int planes, count;             // at most 4 neighbours
    int left, top, width, height;  // of the picture
    float per_sigma[3];   // 1 / standard deviation of a difference, for each plane
    float per_record[3];  // the same of a smoothed difference, for each record
};

namespace sl {

static constexpr int DIRT_BLOCK = 16;

// Smoothed records (3 x 3, binomial) of three planes (y, u, v) in a row from `p` on, where `plane` and `row` are apart.
SL_FN void dirt_records(const float* p, long long plane, long long row, F* records) {
    F smooth[3];
    for (int c = 0; c < 3; ++c) {
        F lines[3];
        for (int j = -1; j <= 1; ++j) {
            const float* at = p + c * plane + j * row;
            lines[j + 1] = load_lanes(at - 1) + load_lanes(at + 1) + load_lanes(at) * 2.0f;
        }
        smooth[c] = (lines[0] + lines[2] + lines[1] * 2.0f) * 0.0625f;
    }
    const F base = smooth[0] * 0.577350269f;
    records[0] = base + smooth[1] * 0.707106781f + smooth[2] * 0.408248290f;
    records[1] = base - smooth[2] * 0.816496581f;
    records[2] = base - smooth[1] * 0.707106781f + smooth[2] * 0.408248290f;
}

SL_FN void dirt_put(const dirt_blocks_args& k, int bx, int by, int plane, float value) {
    k.out.p[plane * k.out.plane + (by - k.out.y0) * k.out.row + (bx - k.out.x0)] = value;
}

}  // namespace sl

SL_FN void dirt_blocks(const dirt_blocks_args& k, int bx, int by) {
    using namespace sl;
    const int each = k.planes == 3 ? 13 : 2;
    const int x0 = imin(bx * DIRT_BLOCK, imax(0, k.width - DIRT_BLOCK)) + k.left - k.centre.x0;
    const int y0 = imin(by * DIRT_BLOCK, imax(0, k.height - DIRT_BLOCK)) + k.top - k.centre.y0;
    const float* frame = k.centre.p + y0 * k.centre.row + x0;
    const float* moved = k.others.p + y0 * k.others.row + x0;
    for (int n = 0; n < k.count; ++n)
        for (int c = 0; c < k.planes; ++c) {
            const float* a = frame + c * k.centre.plane;
            const float* b = moved + (n * k.planes + c) * k.others.plane;
            const float scale = 16.0f * k.per_sigma[c];
            F sum = splat(0.0f), squares = splat(0.0f);
            for (int y = 0; y < DIRT_BLOCK; ++y)
                for (int x = 0; x < DIRT_BLOCK; x += LANES) {
                    const F d = load_lanes(a + y * k.centre.row + x) - load_lanes(b + y * k.others.row + x);
                    const F step = sl::floor(clamp(d * scale, splat(-64.0f), splat(64.0f)) + 0.5f);
                    sum = sum + step;
                    squares = mad(step, step, squares);
                }
            dirt_put(k, bx, by, n * each + c, hsum(sum));
            if (c == 0) dirt_put(k, bx, by, n * each + k.planes, hsum(squares));
        }
    if (k.planes < 3) return;
    F sums[4][9];
    for (int n = 0; n < 4; ++n)
        for (int i = 0; i < 9; ++i) sums[n][i] = splat(0.0f);
    for (int y = 1; y < DIRT_BLOCK; y += 4)
        for (int x = 0; x < DIRT_BLOCK; x += LANES) {
            F here[3], there[3], step[3];
            dirt_records(frame + y * k.centre.row + x, k.centre.plane, k.centre.row, here);
            for (int n = 0; n < k.count; ++n) {
                dirt_records(moved + n * 3 * k.others.plane + y * k.others.row + x, k.others.plane, k.others.row, there);
                for (int r = 0; r < 3; ++r) {
                    const F d = (here[r] - there[r]) * (8.0f * k.per_record[r]);
                    step[r] = sl::floor(clamp(d, splat(-96.0f), splat(96.0f)) + 0.5f);
                    sums[n][r] = sums[n][r] + step[r];
                }
                for (int r = 0, i = 3; r < 3; ++r)
                    for (int q = r; q < 3; ++q, ++i) sums[n][i] = mad(step[r], step[q], sums[n][i]);
            }
        }
    for (int n = 0; n < k.count; ++n)
        for (int i = 0; i < 9; ++i) dirt_put(k, bx, by, n * each + 4 + i, hsum(sums[n][i]));
}
SL_ITEM_KERNEL(dirt_blocks)
