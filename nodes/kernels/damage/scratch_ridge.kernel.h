// How much every pixel looks like a thin upright line, dark or bright, in standard deviations of the noise there: the
// lesser of its differences to both sides, for the best of several widths.
#include "driver.h"

struct scratch_ridge_args {
    sl::Grid grid;
    sl::In plane;    // any number of planes
    sl::In noise;    // of each
    sl::Out out;     // of each plane: dark, bright
    int widths[8];   // pixels, rising; 0 ends them
    float units[8];  // what brings the difference of the means to the noise of a pixel, for each
    int gap, flank;  // pixels between a line and what it is compared with, and of that
    float clip;      // the most that one pixel says
};

template <bool EDGE>
SL_FN void scratch_ridge(const scratch_ridge_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    // Beyond the border there is nothing to compare with.
    const F x = to_float(at.xs() - k.plane.x0);
    const M inside = (x >= float(k.gap + k.flank)) & (x < float(k.plane.w - k.gap - k.flank));
    const F side = splat(1.0f / float(k.flank));
    for (int c = 0; c < k.plane.planes; ++c) {
        F dark = splat(-3.0e38f), bright = dark;
        for (int i = 0; i < 8 && k.widths[i]; ++i) {
            const int width = k.widths[i], left = -(width / 2);
            F middle = splat(0.0f), before = middle, after = middle;
            for (int j = 0; j < width; ++j) middle = middle + at.load(k.plane, c, left + j, 0);
            for (int j = 0; j < k.flank; ++j) {
                before = before + at.load(k.plane, c, left - k.gap - k.flank + j, 0);
                after = after + at.load(k.plane, c, left + width + k.gap + j, 0);
            }
            middle = middle * splat(1.0f / float(width));
            before = before * side;
            after = after * side;
            const F unit = splat(k.units[i]);
            dark = sl::max(dark, (sl::min(before, after) - middle) * unit);
            bright = sl::max(bright, (middle - sl::max(before, after)) * unit);
        }
        const F noise = at.load(k.noise, c);
        at.store(k.out, 2 * c, select(inside, sl::clamp(dark / noise, splat(-k.clip), splat(k.clip)), splat(0.0f)));
        at.store(k.out, 2 * c + 1, select(inside, sl::clamp(bright / noise, splat(-k.clip), splat(k.clip)), splat(0.0f)));
    }
}
SL_PIXEL_KERNEL(scratch_ridge)
