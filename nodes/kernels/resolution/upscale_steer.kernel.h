// Which way a picture runs: the direction across its edges, from the structure tensor of 5 x 5 gradients, and how
// surely it has one.
// References: Bigun and Granlund 1987 (structure tensor), Takeda et al. 2007 (steering by it).
#include "driver.h"

struct upscale_steer_args {
    sl::Grid grid;
    sl::In guide;
    sl::Out out;  // cosine and sine of the direction across; 0 no direction, 1 one direction alone
    float noise;  // added to the tensor's trace: what gradients without a direction are expected to sum to
};

template <bool EDGE>
SL_FN void upscale_steer(const upscale_steer_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const float bell[5] = {0.05448868f, 0.24420134f, 0.40261995f, 0.24420134f, 0.05448868f};
    F xx = splat(0.0f), xy = splat(0.0f), yy = splat(0.0f);
    for (int j = -2; j <= 2; ++j)
        for (int i = -2; i <= 2; ++i) {
            const F gx = (at.load(k.guide, 0, i + 1, j) - at.load(k.guide, 0, i - 1, j)) * 0.5f;
            const F gy = (at.load(k.guide, 0, i, j + 1) - at.load(k.guide, 0, i, j - 1)) * 0.5f;
            const float w = bell[j + 2] * bell[i + 2];
            xx = mad(gx * gx, splat(w), xx);
            xy = mad(gx * gy, splat(w), xy);
            yy = mad(gy * gy, splat(w), yy);
        }
    const F along = xx - yy, cross = xy + xy;
    const F size = sl::sqrt(mad(along, along, cross * cross));
    const F twice = select(size > 0.0f, along / sl::max(size, splat(1e-30f)), splat(1.0f));
    const F cosine = sl::sqrt(sl::max(mad(twice, splat(0.5f), splat(0.5f)), splat(0.0f)));
    const F sine = sl::sqrt(sl::max(mad(twice, splat(-0.5f), splat(0.5f)), splat(0.0f)));
    at.store(k.out, 0, cosine);
    at.store(k.out, 1, select(cross < 0.0f, -sine, sine));
    at.store(k.out, 2, size / (xx + yy + k.noise));
}
SL_PIXEL_KERNEL(upscale_steer)
