// Detail protection: the share of the grain that is taken at each pixel, less where the clean picture varies by more
// than the noise would. In each opponent channel the variance of the clean picture over 7 x 7 pixels, less a quarter of
// the noise's for what cleaning leaves, is held against the noise's: e / (e + noise), the part of local variance that
// is picture (Lee 1980). The channel that holds most of it counts.
#include "domain.h"
#include "driver.h"

struct degrain_detail_args {
    sl::Grid grid;
    sl::In coded;        // the clean picture, encoded, opponent
    sl::In matte;        // coverage, one plane
    sl::Out out;         // share to take, one plane
    sl::Table variance;  // noise variance over the encoded level, one plane for each channel
    int planes, use_matte;
    float detail;
    float relative[3];   // variance of each opponent channel against what `variance` says
};

template <bool EDGE>
SL_FN void degrain_detail(const degrain_detail_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F level[3], noise[3];
    for (int c = 0; c < k.planes; ++c) level[c] = at.load(k.coded, c);
    if (k.planes == 3) from_opponent(level[0], level[1], level[2]);
    for (int c = 0; c < k.planes; ++c) noise[c] = lookup(k.variance, c, level[c]);
    if (k.planes == 3) {
        const F r = noise[0], g = noise[1], b = noise[2];
        noise[0] = (r + g + b) * (1.0f / 3.0f);
        noise[1] = (r + b) * 0.5f;
        noise[2] = mad(g, splat(4.0f), r + b) * (1.0f / 6.0f);
    }
    F kept = splat(0.0f);
    for (int c = 0; c < k.planes; ++c) {
        const F here = at.load(k.coded, c);
        F sum = splat(0.0f), squares = splat(0.0f);
        for (int y = -3; y <= 3; ++y)
            for (int x = -3; x <= 3; ++x) {
                const F d = at.load(k.coded, c, x, y) - here;
                sum = sum + d;
                squares = mad(d, d, squares);
            }
        const F mean = sum * (1.0f / 49.0f), expected = max(noise[c] * k.relative[c], splat(1.0e-20f));
        // min(NaN, b) is b: what is too large to square is detail.
        const F varies = min(squares * (1.0f / 49.0f) - mean * mean, splat(1.0e20f));
        const F picture = max(mad(expected, splat(-0.25f), varies), splat(0.0f));
        kept = max(kept, picture / (picture + expected));
    }
    const F matte = k.use_matte ? clamp(at.load(k.matte, 0), splat(0.0f), splat(1.0f)) : splat(1.0f);
    at.store(k.out, 0, matte * mad(kept, splat(-k.detail), splat(1.0f)));
}
SL_PIXEL_KERNEL(degrain_detail)
