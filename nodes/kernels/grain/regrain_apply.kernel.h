// The filter along columns and the density map: the end of regrain_white, regrain_rows. Same bits as the kernel regrain.
#include "driver.h"
#include "grain/regrain_film.h"
#include "grain/regrain_noise.h"

struct regrain_apply_args {
    sl::Grid grid;
    sl::In image, matte, rows;  // matte: one plane, read if use_matte
    sl::Out out;
    sl::Table taps, forward, sigma, quadratic, inverse;
    float e_toe[3], n_toe[3], toe_slope[3], toe_back[3], x_end[3], n_end[3], end_stops[3];
    int plane[3];
    int layers, use_matte, skewed;
};

template <bool EDGE>
SL_FN void regrain_apply(const regrain_apply_args& k, const sl::At<EDGE>& at) {
    for (int c = 0; c < k.layers; ++c) {
        const sl::F g = sl::symmetric(k.taps.p + c * k.taps.n, k.taps.n - 1, [&](int j) {
            return at.load(k.rows, c, 0, j);
        });
        const sl::F w = k.use_matte ? sl::weight(k.matte, at) : sl::splat(1.0f);
        at.store(k.out, k.plane[c], sl::grained(sl::film_layer(k, c), at.load(k.image, k.plane[c]), g, w));
    }
}
SL_PIXEL_KERNEL(regrain_apply)
