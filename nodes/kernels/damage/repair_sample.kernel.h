// A picture read between its pixels at a list of places without taking from its grain: its low part (Gaussian, sigma 1,
// over 5 x 5 pixels) is moved exactly, the rest, which holds the grain, by whole pixels; interpolating that would
// soften it. Beyond the picture its border pixels count. Pixels that are not good count nowhere, but must be finite.
#include "driver.h"
#include "elementary.h"

struct repair_sample_args {
    sl::Grid grid;    // places
    sl::In places;    // y, x, counted from the picture's first pixel, smaller than 2^22
    sl::In picture;
    sl::Raw good;     // a byte for each pixel of the picture, not 0 where it may be read
    sl::Out out;      // value and low part of each plane; then 1 where the nearest pixel may be read, 0 elsewhere
    int planes;
};

namespace sl {

SL_FN F repair_may_read(const Raw& good, const In& picture, I x, I y) {
#if SL_LANES == 1
    return good.p[iclamp(y, 0, picture.h - 1) * good.row + iclamp(x, 0, picture.w - 1)] ? 1.0f : 0.0f;
#else
    F v;
    for (int i = 0; i < LANES; ++i)
        v[i] = good.p[iclamp(y[i], 0, picture.h - 1) * good.row + iclamp(x[i], 0, picture.w - 1)] ? 1.0f : 0.0f;
    return v;
#endif
}

}  // namespace sl

template <bool EDGE>
SL_FN void repair_sample(const repair_sample_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    static constexpr float GAUSS[5] = {0.135335283f, 0.606530660f, 1.0f, 0.606530660f, 0.135335283f};
    const F y = at.load(k.places, 0), x = at.load(k.places, 1);
    const F nearest_y = sl::floor(y + 0.5f), nearest_x = sl::floor(x + 0.5f);
    const F fy = y - nearest_y, fx = x - nearest_x;
    const I iy = to_int(nearest_y), ix = to_int(nearest_x);
    F down[5], across[5];
    for (int j = 0; j < 5; ++j) {
        const F dy = splat(float(j - 2)) - fy, dx = splat(float(j - 2)) - fx;
        down[j] = exp(dy * dy * -0.5f);
        across[j] = exp(dx * dx * -0.5f);
    }
    F use[25], moved_weight = splat(0.0f), still_weight = splat(0.0f);
    for (int j = 0; j < 5; ++j)
        for (int i = 0; i < 5; ++i) {
            use[5 * j + i] = repair_may_read(k.good, k.picture, ix + (i - 2), iy + (j - 2));
            moved_weight = mad(use[5 * j + i], down[j] * across[i], moved_weight);
            still_weight = mad(use[5 * j + i], splat(GAUSS[j] * GAUSS[i]), still_weight);
        }
    const F per_moved = splat(1.0f) / sl::max(moved_weight, splat(1e-12f));
    const F per_still = splat(1.0f) / sl::max(still_weight, splat(1e-12f));
    const I x0 = splat(k.picture.x0), y0 = splat(k.picture.y0);
    for (int c = 0; c < k.planes; ++c) {
        const F value = gather(k.picture, c, ix + x0, iy + y0);
        F moved = splat(0.0f), still = splat(0.0f), least = value, most = value;
        for (int j = 0; j < 5; ++j)
            for (int i = 0; i < 5; ++i) {
                const F here = use[5 * j + i];
                const F pixel = gather(k.picture, c, ix + x0 + (i - 2), iy + y0 + (j - 2));
                moved = mad(here * (down[j] * across[i]), pixel, moved);
                still = mad(here * splat(GAUSS[j] * GAUSS[i]), pixel, still);
                if (j > 0 && j < 4 && i > 0 && i < 4) {
                    least = select(here > 0.0f, sl::min(least, pixel), least);
                    most = select(here > 0.0f, sl::max(most, pixel), most);
                }
            }
        const F low = moved * per_moved;
        // Across a hard edge the two parts do not fit: never beyond what lies around.
        at.store(k.out, 2 * c, clamp(low + (value - still * per_still), least, most));
        at.store(k.out, 2 * c + 1, low);
    }
    const M inside = (iy >= 0) & (iy < k.picture.h) & (ix >= 0) & (ix < k.picture.w);
    at.store(k.out, 2 * k.planes, select(inside, use[12], splat(0.0f)));
}
SL_PIXEL_KERNEL(repair_sample)
