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
    for (int c = 0; c < k.planes; ++c) {
        F v[9], rows[3];
        if (!EDGE && at.y > k.smooth.y0 && at.y + 1 < k.smooth.y0 + k.smooth.h)
            SL_UNROLL for (int i = 0; i < 9; ++i) v[i] = at.load(k.smooth, c, i % 3 - 1, i / 3 - 1);
        else
            SL_UNROLL for (int i = 0; i < 9; ++i) v[i] = run(k.smooth, c, at.x + i % 3 - 1, at.y + i / 3 - 1);
        for (int y = 0; y < 3; ++y) rows[y] = mad(v[3 * y + 1], splat(2.0f), v[3 * y] + v[3 * y + 2]);
        const F mean = mad(rows[1], splat(2.0f), rows[0] + rows[2]) * 0.0625f, code = at.load(k.codes, c);
        at.store(k.out, c, code + within_rounding(mean - code));
    }
}
SL_PIXEL_KERNEL(lift_relax)
