// The mean of 3 x 3 pixels of a plane, in which what is not a number counts as 0, and the same in the whole steps that
// motion is searched in.
#include "driver.h"

struct repair_luma_args {
    sl::Grid grid;
    sl::In grey;
    sl::Out luma, search;
    float search_scale;  // whole steps for each unit
};

template <bool EDGE>
SL_FN void repair_luma(const repair_luma_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F sum = splat(0.0f);
    for (int j = -1; j <= 1; ++j)
        for (int i = -1; i <= 1; ++i) {
            const F v = at.load(k.grey, 0, i, j);
            sum = sum + select(v == v, v, splat(0.0f));
        }
    const F mean = sum * (1.0f / 9.0f);
    at.store(k.luma, 0, mean);
    at.store(k.search, 0, sl::floor(clamp(mad(mean, splat(k.search_scale), splat(0.5f)), splat(-8191.0f), splat(8191.0f))));
}
SL_PIXEL_KERNEL(repair_luma)
