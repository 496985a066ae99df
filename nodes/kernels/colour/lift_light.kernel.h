// Stops above the knee of I of ICtCp, as light, at half the size: what a picture's texture lies on.
#include "driver.h"
#include "halves.h"
#include "matrix.h"
#include "pq.h"

struct lift_light_args {
    sl::Grid grid;
    sl::In image;
    sl::Out out;
    float to_lms[9];
    float knee_log2;
    int plane[3];
};

template <bool EDGE>
SL_FN void lift_light(const lift_light_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    F sum = splat(0.0f);
    for (int row = 0; row < 2; ++row) {
        F rgb[2][3], lms[3];
        for (int c = 0; c < 3; ++c) run_pairs(k.image, k.plane[c], at.x, 2 * at.y + row, rgb[0][c], rgb[1][c]);
        for (int i = 0; i < 2; ++i) {
            const M finite = is_finite(rgb[i][0]) & is_finite(rgb[i][1]) & is_finite(rgb[i][2]);
            for (int c = 0; c < 3; ++c) rgb[i][c] = select(finite, rgb[i][c], splat(0.0f));
            times(k.to_lms, rgb[i], lms);
            const F stops = log2_of_pq((pq_odd(lms[0]) + pq_odd(lms[1])) * 0.5f) - k.knee_log2;
            sum = sum + max(stops, splat(-8.0f));
        }
    }
    at.store(k.out, 0, sum * 0.25f);
}
SL_PIXEL_KERNEL(lift_light)
