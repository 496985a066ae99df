// Light of the source at half its size, and the same of what does not clip: the brighter, the more it counts, as it is
// the colour at the rim of a highlight that its clipped middle had.
#include "driver.h"
#include "halves.h"
#include "lift_source.h"
#include "matrix.h"

struct lift_colours_args {
    sl::Grid grid;
    sl::In image;
    sl::Out light;  // three channels; then weighted light of three channels; weight
    float to_source[9];
    float level;
    int plane[3];
};

template <bool EDGE>
SL_FN void lift_colours(const lift_colours_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F sum[7];
    for (int c = 0; c < 7; ++c) sum[c] = splat(0.0f);
    for (int row = 0; row < 2; ++row) {
        F rgb[2][3], v[3];
        for (int c = 0; c < 3; ++c) run_pairs(k.image, k.plane[c], at.x, 2 * at.y + row, rgb[0][c], rgb[1][c]);
        for (int i = 0; i < 2; ++i) {
            M finite = is_finite(rgb[i][0]) & is_finite(rgb[i][1]) & is_finite(rgb[i][2]);
            for (int c = 0; c < 3; ++c) rgb[i][c] = select(finite, rgb[i][c], splat(0.0f));
            times(k.to_source, rgb[i], v);
            const F most = clamp(max(max(v[0], v[1]), v[2]) * (1 / k.level), splat(0.0f), splat(1.0f));
            const F square = most * most, weight = square * square * (splat(1.0f) - clipped(most, 1.0f));
            for (int c = 0; c < 3; ++c) {
                sum[c] = sum[c] + v[c] * 0.25f;
                sum[3 + c] = mad(v[c], weight * 0.25f, sum[3 + c]);
            }
            sum[6] = mad(weight, splat(0.25f), sum[6]);
        }
    }
    for (int c = 0; c < 7; ++c) at.store(k.light, c, sum[c]);
}
SL_PIXEL_KERNEL(lift_colours)
