// The filter along rows, from the planes of regrain_white (four rows in one) to a plane for each layer.
#include "driver.h"
#include "grain/regrain_noise.h"

struct regrain_rows_args {
    sl::Grid grid;
    sl::In white;
    sl::Out out;
    sl::Table taps;
    int layers;
};

template <bool EDGE>
SL_FN void regrain_rows(const regrain_rows_args& k, const sl::At<EDGE>& at) {
    const sl::At<EDGE> from{at.x, at.y >> 2, at.n};
    for (int c = 0; c < k.layers; ++c) {
        const int plane = 4 * c + (at.y & 3);
        at.store(k.out, c, sl::symmetric(k.taps.p + c * k.taps.n, k.taps.n - 1, [&](int j) {
            return from.load(k.white, plane, j);
        }));
    }
}
SL_PIXEL_KERNEL(regrain_rows)
