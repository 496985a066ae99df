// One small pixel becomes four: values at a quarter of a pixel left and right, above and below, interpolated over 5 x 5
// pixels. Where the picture runs one way, by a kernel turned that way: cubic across, wide along; else by the cubic in
// x and y; in between by both. Plane 4 c + 2 j + i of `large` is the column i, row j of the four, at the small pixel's place.
// Reference: Keys 1981 (cubic convolution).
#include "driver.h"

struct upscale_spread_args {
    sl::Grid grid;
    sl::In small, steer;  // steer: see upscale_steer
    sl::In given;         // what is added to, where `add`: the planes of `large`
    sl::Out large;
    int planes, add;
    float along;  // how far the turned kernel reaches along an edge, in small pixels
};

SL_FN sl::F upscale_cubic(sl::F v) {
    using namespace sl;
    const F d = sl::abs(v);
    const F near = mad(mad(d, splat(1.5f), splat(-2.5f)), d * d, splat(1.0f));
    const F far = mad(mad(mad(d, splat(-0.5f), splat(2.5f)), d, splat(-4.0f)), d, splat(2.0f));
    return select(d < 1.0f, near, select(d < 2.0f, far, splat(0.0f)));
}

template <bool EDGE>
SL_FN void upscale_spread(const upscale_spread_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const float straight[5] = {0.0f, -0.0703125f, 0.8671875f, 0.2265625f, -0.0234375f};  // the cubic at -2.25 .. 1.75
    const F cosine = at.load(k.steer, 0), sine = at.load(k.steer, 1), sure = at.load(k.steer, 2);
    const float shrink = 1.0f / (k.along * k.along);
    // The pixels right of the middle: below it and above it. Those left of it are their mirror images.
    F w[2][25];
    for (int side = 0; side < 2; ++side) {
        const float py = side == 0 ? 0.25f : -0.25f;
        F sum = splat(0.0f);
        for (int j = 0; j < 5; ++j)
            for (int i = 0; i < 5; ++i) {
                const float dx = float(i) - 2.25f, dy = float(j) - 2.0f - py;
                const F across = mad(sine, splat(dy), cosine * dx), run = mad(sine, splat(-dx), cosine * dy);
                const F bump = sl::max(mad(run * run, splat(-shrink), splat(1.0f)), splat(0.0f));
                w[side][j * 5 + i] = upscale_cubic(across) * (bump * bump);
                sum = sum + w[side][j * 5 + i];
            }
        const F share = sure / sum, rest = 1.0f - sure;
        for (int j = 0; j < 5; ++j)
            for (int i = 0; i < 5; ++i) {
                const float plain = straight[i] * straight[side == 0 ? j : 4 - j];
                w[side][j * 5 + i] = mad(w[side][j * 5 + i], share, rest * plain);
            }
    }
    for (int c = 0; c < k.planes; ++c) {
        F v[4];
        for (int p = 0; p < 4; ++p) v[p] = k.add ? at.load(k.given, 4 * c + p) : splat(0.0f);
        for (int j = 0; j < 5; ++j)
            for (int i = 0; i < 5; ++i) {
                const F near = at.load(k.small, c, i - 2, j - 2);
                const int n = j * 5 + i;
                v[0] = mad(w[0][24 - n], near, v[0]);
                v[1] = mad(w[1][n], near, v[1]);
                v[2] = mad(w[1][24 - n], near, v[2]);
                v[3] = mad(w[0][n], near, v[3]);
            }
        for (int p = 0; p < 4; ++p) at.store(k.large, 4 * c + p, v[p]);
    }
}
SL_PIXEL_KERNEL(upscale_spread)
