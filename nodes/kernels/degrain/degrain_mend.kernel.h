// Adds what a half-size picture says of the low frequencies: linear interpolation of `half`, whose pixel (x, y) lies
// between pixels 2x and 2x + 1 of `image`, counted from the corners of both.
#include "driver.h"

struct degrain_mend_args {
    sl::Grid grid;   // x: runs of 64 pixels, y: rows
    sl::In half;
    sl::Out image;
    int planes;
};

static constexpr int DEGRAIN_MEND_RUN = 64;

SL_FN void degrain_mend(const degrain_mend_args& k, int run, int y) {
    using namespace sl;
    const int x0 = run * DEGRAIN_MEND_RUN, n = imin(DEGRAIN_MEND_RUN, k.image.w - x0), first = x0 / 2 - 1;
    const int near = y / 2, far = iclamp(y % 2 ? near + 1 : near - 1, 0, k.half.h - 1);
    for (int c = 0; c < k.planes; ++c) {
        const float* a = k.half.p + c * k.half.plane + near * k.half.row;
        const float* b = k.half.p + c * k.half.plane + far * k.half.row;
        float line[DEGRAIN_MEND_RUN / 2 + 2], both[DEGRAIN_MEND_RUN];
        if (first >= 0 && first + DEGRAIN_MEND_RUN / 2 + 2 <= k.half.w) {
            for (int i = 0; i < DEGRAIN_MEND_RUN / 2 + 2; ++i)
                line[i] = a[first + i] * 0.75f + b[first + i] * 0.25f;
        } else {
            for (int i = 0; i < DEGRAIN_MEND_RUN / 2 + 2; ++i) {
                const int x = iclamp(first + i, 0, k.half.w - 1);
                line[i] = a[x] * 0.75f + b[x] * 0.25f;
            }
        }
        for (int i = 0; i < DEGRAIN_MEND_RUN / 2; ++i) {
            both[2 * i] = line[i] * 0.25f + line[i + 1] * 0.75f;
            both[2 * i + 1] = line[i + 1] * 0.75f + line[i + 2] * 0.25f;
        }
        float* out = k.image.p + c * k.image.plane + y * k.image.row + x0;
        for (int i = 0; i < n; ++i) out[i] = out[i] + both[i];
    }
}
SL_ITEM_KERNEL(degrain_mend)
