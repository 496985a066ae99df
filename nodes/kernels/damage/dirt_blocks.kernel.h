// How well moved neighbours match a frame, block by block of 16 x 16 pixels: for each neighbour and plane the sum of
// the differences and of their squares, each difference held to four standard deviations, so that damage weighs little.
// Sums are of whole numbers, hence exact and the same for every lane count.
#include "driver.h"

struct dirt_blocks_args {
    sl::Grid grid;   // blocks
    sl::In centre;   // planes of the frame
    sl::In others;   // `count` neighbours' planes
    sl::Out out;     // for each neighbour and plane: sum of steps, sum of their squares; a step is 1/16 sigma
    int planes, count;
    float per_sigma[3];  // 1 / standard deviation of a difference, for each plane
};

static constexpr int DIRT_BLOCK = 16;

SL_FN void dirt_blocks(const dirt_blocks_args& k, int bx, int by) {
    using namespace sl;
    const int x0 = imin(bx * DIRT_BLOCK, k.centre.w - DIRT_BLOCK), y0 = imin(by * DIRT_BLOCK, k.centre.h - DIRT_BLOCK);
    for (int n = 0; n < k.count; ++n)
        for (int c = 0; c < k.planes; ++c) {
            const float* a = k.centre.p + c * k.centre.plane + y0 * k.centre.row + x0;
            const float* b = k.others.p + (n * k.planes + c) * k.others.plane + y0 * k.others.row + x0;
            const float scale = 16.0f * k.per_sigma[c];
            F sum = splat(0.0f), squares = splat(0.0f);
            for (int y = 0; y < DIRT_BLOCK; ++y)
                for (int x = 0; x < DIRT_BLOCK; x += LANES) {
                    const F d = load_lanes(a + y * k.centre.row + x) - load_lanes(b + y * k.others.row + x);
                    const F step = sl::floor(clamp(d * scale, splat(-64.0f), splat(64.0f)) + 0.5f);
                    sum = sum + step;
                    squares = mad(step, step, squares);
                }
            float* out = k.out.p + 2 * (n * k.planes + c) * k.out.plane + by * k.out.row + bx;
            out[0] = hsum(sum);
            out[k.out.plane] = hsum(squares);
        }
}
SL_ITEM_KERNEL(dirt_blocks)
