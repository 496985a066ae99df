// One step towards the smoothest picture that rounds to the codes: [1 2 1] in both directions, held within rounding of
// the mean code.
#include "driver.h"
#include "halves.h"
#include "lift_source.h"

struct lift_relax_args {
    sl::Grid grid;
    sl::In smooth, codes;
    sl::Out out;
    int planes;
};

template <bool EDGE>
SL_FN void lift_relax(const lift_relax_args& k, const sl::At<EDGE>& at) {
    using namespace sl;
    const bool inside = !EDGE && at.y > k.smooth.y0 && at.y + 1 < k.smooth.y0 + k.smooth.h;
    for (int c = 0; c < k.planes; ++c) {
        F rows[3];
        const float* here = k.smooth.p + c * k.smooth.plane + (at.y - k.smooth.y0) * k.smooth.row + (at.x - k.smooth.x0);
        SL_UNROLL for (int y = -1; y < 2; ++y) {
            const float* row = here + y * k.smooth.row;
            F v[3];
            SL_UNROLL for (int x = -1; x < 2; ++x) v[x + 1] = inside ? load_lanes(row + x) : run(k.smooth, c, at.x + x, at.y + y);
            rows[y + 1] = mad(v[1], splat(2.0f), v[0] + v[2]);
        }
        const F mean = mad(rows[1], splat(2.0f), rows[0] + rows[2]) * 0.0625f, code = at.load(k.codes, c);
        at.store(k.out, c, code + within_rounding(mean - code));
    }
}
SL_PIXEL_KERNEL(lift_relax)
